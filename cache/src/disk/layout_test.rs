//! The layout against its document, and its decoder against damage.

use proptest::prelude::*;

use super::*;

const GOLDEN_HEADER: &[u8] = include_bytes!("../../tests/golden/disk_cache_file_header_v1.bin");
const GOLDEN_BATCH: &[u8] = include_bytes!("../../tests/golden/disk_cache_batch_v1.bin");
const GOLDEN_POSITION: u64 = 4096 + (1 << 20);

fn golden_geometry() -> Geometry {
    Geometry { segment_bytes: 1 << 20, segments: 7 }
}

fn golden_batch() -> Batch {
    let key = |sst: u128, offset: u64| BlockKey { sst: SstId(sst), offset };
    Batch {
        generation: 5,
        bytes: 8192,
        entries: vec![
            Entry {
                key: key(0x0123_4567_89ab_cdef_0011_2233_4455_6677, 16_384),
                start: 120,
                length: 4000,
                crc: 0xdead_beef,
            },
            Entry { key: key(u128::MAX, 0), start: 4120, length: 1, crc: 7 },
        ],
    }
}

fn encoded(batch: &Batch, position: u64) -> Vec<u8> {
    let mut page = vec![0u8; PAGE];
    encode_batch_header(batch, position, &mut page);
    page
}

#[test]
fn golden_file_header_decodes() {
    assert_eq!(decode_file_header(GOLDEN_HEADER), Some(golden_geometry()));
    let mut page = vec![0u8; PAGE];
    encode_file_header(golden_geometry(), &mut page);
    assert_eq!(&page[..32], GOLDEN_HEADER);
}

#[test]
fn golden_batch_header_decodes() {
    assert_eq!(decode_batch_header(GOLDEN_BATCH, GOLDEN_POSITION, 8192), Some(golden_batch()));
    assert_eq!(&encoded(&golden_batch(), GOLDEN_POSITION)[..GOLDEN_BATCH.len()], GOLDEN_BATCH);
}

#[test]
fn batch_header_at_another_position_is_refused() {
    assert_eq!(decode_batch_header(GOLDEN_BATCH, GOLDEN_POSITION + PAGE_BYTES, 8192), None);
}

#[test]
fn batch_longer_than_its_segment_is_refused() {
    assert_eq!(decode_batch_header(GOLDEN_BATCH, GOLDEN_POSITION, 4096), None);
}

#[test]
fn any_flipped_bit_of_a_header_is_refused() {
    for bit in 0..GOLDEN_BATCH.len() * 8 {
        let mut bytes = GOLDEN_BATCH.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(decode_batch_header(&bytes, GOLDEN_POSITION, 8192), None, "bit {bit}");
    }
    for bit in 0..28 * 8 {
        let mut bytes = GOLDEN_HEADER.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(decode_file_header(&bytes), None, "bit {bit}");
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode_file_header(&bytes);
        let mut page = bytes;
        if page.len() >= 4 {
            page[..4].copy_from_slice(b"AQBT");
        }
        let _ = decode_batch_header(&page, 4096, u64::MAX);
    }

    #[test]
    fn entries_outside_their_batch_are_refused(start in 0u32..20_000, length in 0u32..20_000) {
        let mut batch = golden_batch();
        batch.entries[1].start = start;
        batch.entries[1].length = length;
        let inside = start >= 120 && u64::from(start) + u64::from(length) <= batch.bytes;
        let page = encoded(&batch, 4096);
        prop_assert_eq!(decode_batch_header(&page, 4096, 8192).is_some(), inside);
    }
}
