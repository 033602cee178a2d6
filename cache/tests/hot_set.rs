//! The list of hot blocks: what is in it, and that damage is never taken for a list.
#![allow(clippy::unwrap_used)]

use aquifer_cache::hot_set::{HOT_BLOCKS_MAX, decode, encode};
use aquifer_cache::{Access, BlockCache, BlockCacheConfig, BlockKey};
use aquifer_types::SstId;
use proptest::prelude::*;

fn key(number: u64) -> BlockKey {
    BlockKey { sst: SstId(u128::from(number / 100) << 64 | 7), offset: number * 16_384 }
}

#[test]
fn encoded_list_has_the_documented_bytes() {
    let bytes = encode(&[BlockKey { sst: SstId(2), offset: 3 }]);
    let mut wanted = b"AQHB\x01\x00\x00\x00\x01\x00\x00\x00\x02".to_vec();
    wanted.resize(28, 0);
    wanted.extend_from_slice(&3u64.to_le_bytes());
    assert_eq!(bytes[..36], wanted);
    assert_eq!(bytes.len(), 40);
    assert_eq!(bytes[36..], crc32c::crc32c(&wanted).to_le_bytes());
}

#[test]
fn list_of_too_many_blocks_is_cut() {
    let keys: Vec<BlockKey> = (0..HOT_BLOCKS_MAX as u64 + 5).map(key).collect();
    assert_eq!(decode(&encode(&keys)).unwrap(), keys[..HOT_BLOCKS_MAX]);
}

#[test]
fn hot_keys_are_those_used_again_and_not_those_of_scans() {
    let cache = BlockCache::new(&BlockCacheConfig { bytes_max: 1 << 20, shards: 1 });
    for number in 0..10 {
        cache.insert(key(number), number, 1_000, Access::Point);
    }
    for number in 20..40 {
        cache.insert(key(number), number, 1_000, Access::Scan);
        assert!(cache.get(key(number), Access::Scan).is_some());
    }
    for number in [2, 3, 5] {
        assert!(cache.get(key(number), Access::Point).is_some());
    }
    let mut hot = cache.hot_keys(100);
    hot.sort_by_key(|key| key.offset);
    assert_eq!(hot, [key(2), key(3), key(5)]);
    assert_eq!(cache.hot_keys(2).len(), 2);
}

proptest! {
    #[test]
    fn any_list_comes_back(numbers in prop::collection::vec(any::<u64>(), 0..200)) {
        let keys: Vec<BlockKey> = numbers.iter().map(|n| key(n % (1 << 40))).collect();
        prop_assert_eq!(decode(&encode(&keys)), Some(keys));
    }

    #[test]
    fn damaged_list_is_refused(count in 0u64..50, at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let mut bytes = encode(&(0..count).map(key).collect::<Vec<_>>());
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert_eq!(decode(&bytes), None);
    }

    #[test]
    fn arbitrary_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert_eq!(decode(&bytes), None);
    }
}
