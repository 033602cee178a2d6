//! What a 16 KiB ranged read of a directory store costs a caller, hand-over to the S3 lane included.
//!
//! `cargo run --release -p aquifer-objstore --example request_cost [directory]`

use std::time::Instant;

use aquifer_objstore::{Store, StoreOptions, StoreResult, StoreUrl, block_on};
use bytes::Bytes;

const OBJECT_BYTES: u64 = 64 << 20;
const BLOCK_BYTES: u64 = 16 << 10;
const READS: u64 = 20_000;

fn main() -> StoreResult<()> {
    let directory = std::env::args().nth(1).unwrap_or_else(|| "request-cost.tmp".to_owned());
    let store = Store::open(&StoreUrl::parse(&directory)?, &StoreOptions::default())?;
    block_on(store.put("object", Bytes::from(vec![7; 64 << 20])))?;
    let mut nanos: Vec<u128> = Vec::new();
    for read in 0..READS {
        let offset = read * 7919 % (OBJECT_BYTES / BLOCK_BYTES) * BLOCK_BYTES;
        let start = Instant::now();
        let bytes = block_on(store.get_range("object", offset..offset + BLOCK_BYTES))?;
        nanos.push(start.elapsed().as_nanos());
        assert_eq!(bytes.len() as u64, BLOCK_BYTES);
    }
    nanos.sort_unstable();
    let at = |percent: usize| nanos[nanos.len() * percent / 100] / 1000;
    println!("get_range of 16 KiB, one at a time: p50 {} us, p99 {} us", at(50), at(99));
    let start = Instant::now();
    for number in 0..200 {
        block_on(store.put_if_absent(&format!("small/{number}"), Bytes::from(format!("link {number}"))))?;
    }
    println!("put_if_absent of a small object: mean {} us", start.elapsed().as_micros() / 200);
    for object in block_on(store.list("", None))? {
        block_on(store.delete(&object.key))?;
    }
    Ok(())
}
