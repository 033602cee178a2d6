//! Bytes at rest: golden ones, round trips, and arbitrary input.

#![allow(clippy::unwrap_used, reason = "a test")]

use aquifer_commitlog::codec::{
    FrameHeader, HardRecord, Record, SegmentHeader, decode_segment_header, encode_frame,
    encode_segment_header, frame_bytes, verify_frame,
};
use bytes::Bytes;
use proptest::prelude::*;

/// One segment header and two frames, as version 1 has them.
const GOLDEN: &[u8] = include_bytes!("golden/segment_v1.bin");

fn golden_header() -> SegmentHeader {
    SegmentHeader {
        log_id: 0x0011_2233_4455_6677_8899_AABB_CCDD_EEFF,
        run: 3,
        first_seq: 17,
        durable_seq: 16,
        first_index: 21,
        prev_term: 4,
        hard: HardRecord { term: 5, vote: 1, commit: 20 },
        segment_bytes: 12_288,
    }
}

fn golden_frames() -> [(FrameHeader, Vec<Record>); 2] {
    let header = |seq| FrameHeader { log_id_low: 0x8899_AABB_CCDD_EEFF, run: 3, seq, durable_seq: 16 };
    [
        (
            header(17),
            vec![
                Record::Hard(HardRecord { term: 5, vote: 1, commit: 20 }),
                Record::Truncate { index: 20, term: 4 },
                Record::Entry { kind: 0, term: 5, index: 21, data: Bytes::new() },
                Record::Entry { kind: 0, term: 5, index: 22, data: Bytes::from_static(b"aquifer") },
            ],
        ),
        (header(18), vec![Record::End]),
    ]
}

fn encode_golden() -> Vec<u8> {
    let mut bytes = vec![0xFF; 4096];
    encode_segment_header(&golden_header(), &mut bytes);
    for (header, records) in golden_frames() {
        let body = records.iter().map(Record::encoded_bytes).sum();
        let mut frame = vec![0xFF; frame_bytes(body)];
        encode_frame(&header, &records, &mut frame);
        bytes.extend(frame);
    }
    bytes
}

#[test]
fn golden_segment_v1_decodes_forever() {
    assert_eq!(decode_segment_header(GOLDEN), Ok(golden_header()));
    let mut rest = &GOLDEN[4096..];
    for (header, records) in golden_frames() {
        let frame = verify_frame(rest).unwrap();
        assert_eq!(frame.header, header);
        assert_eq!(frame.records().unwrap(), records);
        rest = &rest[frame.bytes..];
    }
    assert!(rest.is_empty());
}

#[test]
fn encoding_gives_the_golden_bytes() {
    if std::env::var_os("BLESS").is_some() {
        std::fs::write("tests/golden/segment_v1.bin", encode_golden()).unwrap();
    }
    assert!(encode_golden() == GOLDEN, "the encoding of version 1 has changed");
}

fn any_record() -> impl Strategy<Value = Record> {
    prop_oneof![
        (0..3_u8, any::<u64>(), any::<u64>(), proptest::collection::vec(any::<u8>(), 0..300))
            .prop_map(|(kind, term, index, data)| Record::Entry { kind, term, index, data: data.into() }),
        (any::<u64>(), any::<u64>(), any::<u64>())
            .prop_map(|(term, vote, commit)| Record::Hard(HardRecord { term, vote, commit })),
        (any::<u64>(), any::<u64>()).prop_map(|(index, term)| Record::Truncate { index, term }),
        Just(Record::End),
    ]
}

proptest! {
    #[test]
    fn frame_round_trips(records in proptest::collection::vec(any_record(), 0..20), seq: u64, run: u64) {
        let header = FrameHeader { log_id_low: 9, run, seq, durable_seq: seq / 2 };
        let body = records.iter().map(Record::encoded_bytes).sum();
        let mut bytes = vec![1; frame_bytes(body)];
        encode_frame(&header, &records, &mut bytes);
        let frame = verify_frame(&bytes).unwrap();
        prop_assert_eq!(frame.header, header);
        prop_assert_eq!(frame.records().unwrap(), records);
    }

    #[test]
    fn changed_frame_is_refused(records in proptest::collection::vec(any_record(), 1..5), at: usize, flip in 1..=255_u8) {
        let header = FrameHeader { log_id_low: 9, run: 1, seq: 2, durable_seq: 1 };
        let body: usize = records.iter().map(Record::encoded_bytes).sum();
        let mut bytes = vec![0; frame_bytes(body)];
        encode_frame(&header, &records, &mut bytes);
        // The reserved bytes after the checksum mean nothing yet.
        let at = at % (64 + body);
        prop_assume!(!(52..64).contains(&at));
        bytes[at] ^= flip;
        prop_assert!(verify_frame(&bytes).is_err());
    }

    #[test]
    fn arbitrary_bytes_never_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..600), dress: bool) {
        let _ = decode_segment_header(&bytes);
        let _ = verify_frame(&bytes);
        if dress && bytes.len() >= 64 {
            // A body of garbage under a correct checksum.
            bytes[..4].copy_from_slice(b"AQFF");
            bytes[4] = 1;
            let body = u32::try_from(bytes.len() - 64).unwrap();
            bytes[40..44].copy_from_slice(&body.to_le_bytes());
            let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes[..48]), &bytes[64..]);
            bytes[48..52].copy_from_slice(&crc.to_le_bytes());
            let _ = verify_frame(&bytes).unwrap().records();
        }
    }
}
