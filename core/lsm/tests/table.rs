//! One table: what was written is read, damage anywhere is found, and old bytes decode forever.
#![allow(clippy::unwrap_used)]

mod common;

use std::path::PathBuf;
use std::sync::Arc;

use aquifer_format::SstMeta;
use aquifer_format::sst::{Compression, key_hash};
use aquifer_lsm::{
    BuildError, BuiltTable, Cursor, Direction, KeyRange, Located, Manifest, Memtable, ReadState, Table,
    TableBuilder, TableInfo, TableOptions, get_async, verify,
};
use aquifer_types::{Lsn, SstId};
use bytes::Bytes;
use common::{Caching, Objects, now};

type Entry = (Vec<u8>, u64, Option<Vec<u8>>);

fn entries(count: u32) -> Vec<Entry> {
    let mut all = Vec::new();
    for number in 0..count {
        let key = format!("row/{:04}", number * 3).into_bytes();
        for version in (0..1 + u64::from(number % 11 == 0) * 40).rev() {
            let lsn = 10 + version * 2;
            let value = (number % 7 != 1).then(|| format!("value {number} at {lsn}").repeat(2).into_bytes());
            all.push((key.clone(), lsn, value));
        }
    }
    all
}

fn build(id: u128, entries: &[Entry], compression: Compression) -> BuiltTable {
    let options =
        TableOptions { id: SstId(id), compression, block_bytes_target: 400, created_micros: 1_234_567 };
    let mut builder = TableBuilder::new(options);
    for (key, lsn, value) in entries {
        builder.add(key, Lsn(*lsn), value.as_deref()).unwrap();
    }
    builder.finish().unwrap()
}

fn state_of(built: &BuiltTable) -> (Arc<ReadState>, Objects) {
    let objects = Objects::new(Caching::Nothing);
    objects.put(built.info.id, built.object.clone());
    let added = vec![SstMeta::from(&TableInfo { level: 3, ..built.info.clone() })];
    let edit = aquifer_format::ManifestEdit { added, ..Default::default() };
    let manifest = Arc::new(Manifest::new().apply(&edit).unwrap());
    (Arc::new(ReadState::new(Arc::new(Memtable::new()), Vec::new(), manifest)), objects)
}

fn check_reads(built: &BuiltTable, entries: &[Entry]) {
    let (state, objects) = state_of(built);
    for (key, lsn, value) in entries {
        let found = now(get_async(&state, &objects, key, Lsn(*lsn))).unwrap().unwrap();
        assert_eq!((found.lsn.0, found.value.as_deref()), (*lsn, value.as_deref()));
        assert_eq!(now(get_async(&state, &objects, key, Lsn(9))).unwrap(), None);
        let absent = [key.as_slice(), b"x"].concat();
        assert_eq!(now(get_async(&state, &objects, &absent, Lsn::MAX)).unwrap(), None);
    }
    let mut rows = Vec::new();
    let mut cursor = Cursor::new(&state, KeyRange::all(), Direction::Forward, Lsn::MAX);
    loop {
        let before = rows.len();
        now(cursor.next_batch_async(&objects, &mut rows, 1_000)).unwrap();
        if rows.len() == before {
            break;
        }
    }
    let mut newest: Vec<&Entry> = entries.iter().collect();
    newest.dedup_by(|later, earlier| later.0 == earlier.0);
    let expected: Vec<(&[u8], &[u8])> =
        newest.iter().filter_map(|(key, _, value)| Some((key.as_slice(), value.as_deref()?))).collect();
    let rows: Vec<(&[u8], &[u8])> = rows.iter().map(|(key, value)| (&**key, &**value)).collect();
    assert_eq!(rows, expected);
    assert!(objects.read_ahead.get() > 0);
}

#[test]
fn table_reads_back_with_every_compression() {
    let entries = entries(200);
    for compression in [Compression::None, Compression::Lz4, Compression::Zstd] {
        let built = build(7, &entries, compression);
        assert_eq!(verify::verify(SstId(7), &built.object).unwrap(), built.info);
        assert_eq!(built.info.entries, entries.len() as u64);
        check_reads(&built, &entries);
    }
}

#[test]
fn point_read_of_absent_key_is_filtered() {
    let entries = entries(3_000);
    let built = build(8, &entries, Compression::Lz4);
    let table = Table::new(built.info.clone());
    assert_eq!(table.locate(b"row/0003", key_hash(b"row/0003"), Lsn::MAX), Located::NeedsMeta);
    let range = table.meta_range();
    let (start, end) = (usize::try_from(range.start).unwrap(), usize::try_from(range.end).unwrap());
    table.install_meta(built.object.slice(start..end)).unwrap();
    let passed = (0..10_000)
        .filter(|number| {
            let key = format!("none/{number}");
            table.locate(key.as_bytes(), key_hash(key.as_bytes()), Lsn::MAX) != Located::Absent
                && &*built.info.smallest <= key.as_bytes()
        })
        .count();
    let may_contain = (0..10_000)
        .filter(|number| {
            let key = format!("row/{:04}", number * 3 + 1);
            matches!(table.locate(key.as_bytes(), key_hash(key.as_bytes()), Lsn::MAX), Located::Block(_))
        })
        .count();
    assert!(passed < 250 && may_contain < 250, "{passed} and {may_contain} of 10,000 passed the filter");
}

#[test]
fn flipped_bit_anywhere_is_found() {
    let entries = entries(30);
    let built = build(9, &entries, Compression::Lz4);
    let object = built.object.to_vec();
    assert!(object.len() < 20_000);
    let table = Table::new(built.info.clone());
    let index_start = usize::try_from(table.meta_range().start).unwrap();
    let meta_end = usize::try_from(table.meta_range().end).unwrap();
    for at in 0..object.len() {
        let mut damaged = object.clone();
        damaged[at] ^= 1 << (at % 8);
        let damaged = Bytes::from(damaged);
        assert!(verify::verify(SstId(9), &damaged).is_err(), "byte {at}");
        if (index_start..meta_end).contains(&at) {
            let table = Table::new(built.info.clone());
            assert!(table.install_meta(damaged.slice(index_start..meta_end)).is_err(), "byte {at}");
            assert!(!table.has_meta());
        }
    }
    for end in 0..object.len() {
        assert!(verify::verify(SstId(9), &built.object.slice(..end)).is_err(), "cut at {end}");
    }
    assert!(verify::verify(SstId(10), &built.object).is_err(), "bytes of another table");
}

#[test]
fn read_of_damaged_block_is_an_error_never_a_row() {
    let entries = entries(30);
    let built = build(11, &entries, Compression::Zstd);
    let index_start = usize::try_from(Table::new(built.info.clone()).meta_range().start).unwrap();
    for at in 0..index_start {
        let mut damaged = built.object.to_vec();
        damaged[at] ^= 0x10;
        let damaged = BuiltTable { object: Bytes::from(damaged), info: built.info.clone() };
        let (state, objects) = state_of(&damaged);
        let errors = entries
            .iter()
            .filter(|(key, lsn, value)| match now(get_async(&state, &objects, key, Lsn(*lsn))) {
                Ok(found) => {
                    assert_eq!(found.unwrap().value.as_deref(), value.as_deref());
                    false
                }
                Err(_) => true,
            })
            .count();
        assert!(errors > 0, "byte {at} is in a block that was read");
    }
}

#[test]
fn block_of_another_place_is_refused() {
    let built = build(12, &entries(60), Compression::None);
    let table = Table::new(built.info.clone());
    let (state, objects) = state_of(&built);
    now(get_async(&state, &objects, b"row/0000", Lsn::MAX)).unwrap();
    let own = aquifer_lsm::BlockHandle { offset: 0, len: first_block_len(&built) };
    let stored = built.object.slice(..own.len as usize);
    assert!(table.decode_block(own, stored.clone()).is_ok());
    let elsewhere = aquifer_lsm::BlockHandle { offset: u64::from(own.len), len: own.len };
    assert!(table.decode_block(elsewhere, stored.clone()).is_err());
    let other = Table::new(TableInfo { id: SstId(13), ..built.info.clone() });
    assert!(other.decode_block(own, stored).is_err());
}

/// The length of the first data block, found by trying.
fn first_block_len(built: &BuiltTable) -> u32 {
    let table = Table::new(built.info.clone());
    (1..2_000u32)
        .find(|len| {
            let handle = aquifer_lsm::BlockHandle { offset: 0, len: *len };
            table.decode_block(handle, built.object.slice(..*len as usize)).is_ok()
        })
        .unwrap()
}

#[test]
fn add_out_of_order_is_refused() {
    let mut builder = TableBuilder::new(TableOptions::new(SstId(1), Compression::Lz4, 0));
    builder.add(b"b", Lsn(5), None).unwrap();
    assert_eq!(builder.add(b"a", Lsn(5), None), Err(BuildError::OutOfOrder));
    assert_eq!(builder.add(b"b", Lsn(5), None), Err(BuildError::OutOfOrder));
    assert_eq!(builder.add(b"b", Lsn(6), None), Err(BuildError::OutOfOrder));
    builder.add(b"b", Lsn(4), None).unwrap();
    builder.add(b"c", Lsn(9), Some(b"")).unwrap();
    assert!(builder.add(&vec![b'd'; 70_000], Lsn(1), None).is_err());
    assert!(builder.add(b"d", Lsn(1 << 56), None).is_err());
    let built = builder.finish().unwrap();
    assert_eq!((built.info.entries, built.info.tombstones), (3, 2));
    let empty = TableBuilder::new(TableOptions::new(SstId(1), Compression::Lz4, 0));
    assert!(matches!(empty.finish(), Err(BuildError::Empty)));
}

fn golden_path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}_v1.bin"))
}

/// `AQUIFER_WRITE_GOLDEN=1` writes the files that do not exist yet; it never changes one.
#[test]
fn golden_tables_decode_forever() {
    let entries = entries(40);
    let kinds = [Compression::None, Compression::Lz4, Compression::Zstd];
    for (name, compression) in ["sst_plain", "sst_lz4", "sst_zstd"].into_iter().zip(kinds) {
        let built = build(0x1234_5678_9abc_def0_0fed_cba9_8765_4321, &entries, compression);
        let path = golden_path(name);
        if !path.exists() && std::env::var_os("AQUIFER_WRITE_GOLDEN").is_some() {
            std::fs::write(&path, &built.object).unwrap();
        }
        let golden = Bytes::from(std::fs::read(&path).unwrap());
        if compression == Compression::None {
            assert_eq!(golden, built.object, "this build writes other bytes");
        }
        let info = verify::verify(built.info.id, &golden).unwrap();
        let stored = BuiltTable { object: golden, info };
        assert_eq!(stored.info.entries, built.info.entries);
        check_reads(&stored, &entries);
    }
}
