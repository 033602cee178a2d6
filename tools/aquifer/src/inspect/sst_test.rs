//! A table as text.

use aquifer_format::sst::Compression;
use aquifer_lsm::{TableBuilder, TableOptions, anatomy};
use aquifer_types::{Lsn, SstId};

use super::super::golden;
use super::super::keys::Keys;
use super::print;

fn text(compression: Compression, rows: u32, last: usize) -> String {
    let id = SstId(0x1234 << 100);
    let mut builder = TableBuilder::new(TableOptions::new(id, compression, 1_700_000_000_000_000));
    for number in 0..rows {
        let key = [&[0, 0, 8, 0][..], format!("{number:05}").as_bytes()].concat();
        let value = format!("value {number} ").repeat(20);
        let value = (number % 100 != 7).then_some(value.as_bytes());
        builder.add(&key, Lsn(u64::from(number) + 5), value).unwrap();
        if number % 10 == 0 {
            builder.add(&key, Lsn(2), Some(b"an older version")).unwrap();
        }
    }
    let built = builder.finish().unwrap();
    let anatomy = anatomy(id, &built.object).unwrap();
    print(&anatomy, "level 1 of branch main as of link 42", &Keys::default(), last)
}

#[test]
fn sst_of_compressed_blocks() {
    golden::check("sst", &text(Compression::Lz4, 500, 5));
}

#[test]
fn sst_of_one_plain_block() {
    golden::check("sst_plain", &text(Compression::None, 3, 40));
}
