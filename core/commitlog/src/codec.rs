//! Bytes of the commit log at rest, as `docs/formats/commitlog_segment.md` describes them.
//!
//! Functions only; no I/O. A segment is a header block followed by frames. A frame is what one write
//! puts down: it starts on a block boundary, so that no write ever touches a block that an earlier
//! one made durable, and one CRC32C covers its header and its records.

use bytes::Bytes;

/// Frames start on multiples of this; a multiple of every common device's sector.
pub const BLOCK_BYTES: u64 = 4096;
/// The same as a length in memory.
pub const BLOCK_LEN: usize = 4096;
/// Bytes of a frame before its records.
pub const FRAME_HEADER_BYTES: usize = 64;
/// Bytes of a record before its fields.
const RECORD_HEADER_BYTES: usize = 8;
/// Bytes of an entry record before its data.
pub const ENTRY_HEADER_BYTES: usize = RECORD_HEADER_BYTES + 16;
/// The version that this code writes; it reads no other yet.
pub const FORMAT_VERSION: u8 = 1;

const SEGMENT_MAGIC: [u8; 8] = *b"AQFLGSEG";
const FRAME_MAGIC: [u8; 4] = *b"AQFF";
const SEGMENT_CRC_AT: usize = 104;
const FRAME_CRC_AT: usize = 48;

const _: () = assert!(BLOCK_BYTES == BLOCK_LEN as u64);
const _: () = assert!(FRAME_CRC_AT + 4 <= FRAME_HEADER_BYTES);
const _: () = assert!(SEGMENT_CRC_AT + 4 <= 4096);

/// Raft's hard state: what a member must not forget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HardRecord {
    /// The newest term it has seen.
    pub term: u64,
    /// Whom it voted for in that term; 0: nobody.
    pub vote: u64,
    /// Up to where it knew the log to be committed; may lag.
    pub commit: u64,
}

/// The first block of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    /// Identity of the log.
    pub log_id: u128,
    /// Number of the opening of the log that began this segment.
    pub run: u64,
    /// Sequence number of the segment's first frame.
    pub first_seq: u64,
    /// All frames up to this were durable when the segment was begun.
    pub durable_seq: u64,
    /// The smallest index that an entry of this segment can have.
    pub first_index: u64,
    /// Term of the entry before `first_index`; 0 when there was none.
    pub prev_term: u64,
    /// The hard state when the segment was begun.
    pub hard: HardRecord,
    /// Length of the file.
    pub segment_bytes: u64,
}

/// What a frame says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// Low half of the log's identity.
    pub log_id_low: u64,
    /// Number of the opening of the log that wrote the frame.
    pub run: u64,
    /// Dense number of the frame in its log.
    pub seq: u64,
    /// All frames up to this were durable when this one was written.
    pub durable_seq: u64,
}

/// What a frame holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// An entry of the Raft log. An entry at an index that exists replaces it and all after it.
    Entry {
        /// 0: normal; others are Raft's entry types.
        kind: u8,
        /// When it was proposed.
        term: u64,
        /// Where it is.
        index: u64,
        /// What was proposed; empty for the entry with which a leader begins.
        data: Bytes,
    },
    /// A new hard state.
    Hard(HardRecord),
    /// Entries up to `index` are no longer needed.
    Truncate {
        /// The last of them.
        index: u64,
        /// Its term.
        term: u64,
    },
    /// The writer stopped in good order: everything before is durable.
    End,
}

const KIND_ENTRY: u8 = 1;
const KIND_HARD: u8 = 2;
const KIND_TRUNCATE: u8 = 3;
const KIND_END: u8 = 4;

impl Record {
    /// Bytes that it takes in a frame.
    #[must_use]
    pub fn encoded_bytes(&self) -> usize {
        RECORD_HEADER_BYTES
            + match self {
                Self::Entry { data, .. } => 16 + data.len(),
                Self::Hard(_) => 24,
                Self::Truncate { .. } => 16,
                Self::End => 0,
            }
    }
}

/// Bytes on the medium of a frame whose records take `body_bytes`, padding included.
#[must_use]
pub fn frame_bytes(body_bytes: usize) -> usize {
    (FRAME_HEADER_BYTES + body_bytes).next_multiple_of(BLOCK_LEN)
}

/// Writes fields one after the other into a slice that the caller has sized.
struct Fields<'a> {
    at: usize,
    out: &'a mut [u8],
}

impl Fields<'_> {
    fn bytes(&mut self, bytes: &[u8]) {
        self.out[self.at..self.at + bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
    }
    fn u32(&mut self, value: u32) {
        self.bytes(&value.to_le_bytes());
    }
    fn u64(&mut self, value: u64) {
        self.bytes(&value.to_le_bytes());
    }
}

/// Fills the first block of a segment.
///
/// # Panics
/// When `out` is not one block: the caller's mistake.
pub fn encode_segment_header(header: &SegmentHeader, out: &mut [u8]) {
    assert_eq!(out.len() as u64, BLOCK_BYTES, "a segment header is one block");
    out.fill(0);
    let mut fields = Fields { at: 0, out };
    fields.bytes(&SEGMENT_MAGIC);
    fields.bytes(&[FORMAT_VERSION, 0, 0, 0, 0, 0, 0, 0]);
    fields.bytes(&header.log_id.to_le_bytes());
    for value in [
        header.run,
        header.first_seq,
        header.durable_seq,
        header.first_index,
        header.prev_term,
        header.hard.term,
        header.hard.vote,
        header.hard.commit,
        header.segment_bytes,
    ] {
        fields.u64(value);
    }
    debug_assert_eq!(fields.at, SEGMENT_CRC_AT);
    let crc = crc32c::crc32c(&out[..SEGMENT_CRC_AT]);
    out[SEGMENT_CRC_AT..SEGMENT_CRC_AT + 4].copy_from_slice(&crc.to_le_bytes());
}

/// Reads the first block of a segment.
///
/// # Errors
/// What is wrong with it.
pub fn decode_segment_header(block: &[u8]) -> Result<SegmentHeader, &'static str> {
    let mut reader = Reader(block);
    if reader.take(8)? != SEGMENT_MAGIC {
        return Err("this is not a segment of a commit log");
    }
    let version = reader.take(8)?;
    let crc = block.get(SEGMENT_CRC_AT..).and_then(|b| b.first_chunk()).ok_or(SHORT)?;
    if crc32c::crc32c(&block[..SEGMENT_CRC_AT]) != u32::from_le_bytes(*crc) {
        return Err("the checksum of the segment header is wrong");
    }
    if version[0] != FORMAT_VERSION {
        return Err("the format version of the segment is unknown to this program");
    }
    Ok(SegmentHeader {
        log_id: u128::from_le_bytes(*reader.array::<16>()?),
        run: reader.u64()?,
        first_seq: reader.u64()?,
        durable_seq: reader.u64()?,
        first_index: reader.u64()?,
        prev_term: reader.u64()?,
        hard: HardRecord { term: reader.u64()?, vote: reader.u64()?, commit: reader.u64()? },
        segment_bytes: reader.u64()?,
    })
}

/// Fills a frame, padding included.
///
/// # Panics
/// When `out` is not [`frame_bytes`] long for these records, or they exceed 4 GiB: the caller's
/// mistake.
pub fn encode_frame(header: &FrameHeader, records: &[Record], out: &mut [u8]) {
    let body: usize = records.iter().map(Record::encoded_bytes).sum();
    assert_eq!(out.len(), frame_bytes(body), "a frame fills its blocks");
    let body_bytes = u32::try_from(body).expect("a frame is smaller than a segment");
    let count = u32::try_from(records.len()).expect("a record takes at least eight bytes");
    out[..FRAME_HEADER_BYTES].fill(0);
    let mut fields = Fields { at: 0, out };
    fields.bytes(&FRAME_MAGIC);
    fields.bytes(&[FORMAT_VERSION, 0, 0, 0]);
    for value in [header.log_id_low, header.run, header.seq, header.durable_seq] {
        fields.u64(value);
    }
    fields.u32(body_bytes);
    fields.u32(count);
    fields.at = FRAME_HEADER_BYTES;
    for record in records {
        encode_record(record, &mut fields);
    }
    let end = fields.at;
    out[end..].fill(0);
    let crc = frame_crc(&out[..end]);
    out[FRAME_CRC_AT..FRAME_CRC_AT + 4].copy_from_slice(&crc.to_le_bytes());
}

fn frame_crc(frame: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&frame[..FRAME_CRC_AT]), &frame[FRAME_HEADER_BYTES..])
}

fn encode_record(record: &Record, fields: &mut Fields<'_>) {
    let start = |fields: &mut Fields<'_>, kind: u8, sub: u8, data: usize| {
        fields.bytes(&[kind, sub, 0, 0]);
        fields.u32(u32::try_from(data).expect("a record is smaller than its frame"));
    };
    match record {
        Record::Entry { kind, term, index, data } => {
            start(fields, KIND_ENTRY, *kind, data.len());
            fields.u64(*term);
            fields.u64(*index);
            fields.bytes(data);
        }
        Record::Hard(hard) => {
            start(fields, KIND_HARD, 0, 0);
            fields.u64(hard.term);
            fields.u64(hard.vote);
            fields.u64(hard.commit);
        }
        Record::Truncate { index, term } => {
            start(fields, KIND_TRUNCATE, 0, 0);
            fields.u64(*index);
            fields.u64(*term);
        }
        Record::End => start(fields, KIND_END, 0, 0),
    }
}

const SHORT: &str = "the bytes end too early";

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, bytes: usize) -> Result<&'a [u8], &'static str> {
        let (head, rest) = self.0.split_at_checked(bytes).ok_or(SHORT)?;
        self.0 = rest;
        Ok(head)
    }
    fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], &'static str> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or(SHORT)?;
        self.0 = rest;
        Ok(head)
    }
    fn u32(&mut self) -> Result<u32, &'static str> {
        Ok(u32::from_le_bytes(*self.array()?))
    }
    fn u64(&mut self) -> Result<u64, &'static str> {
        Ok(u64::from_le_bytes(*self.array()?))
    }
}

/// A frame whose checksum has been verified.
#[derive(Clone, Copy, Debug)]
pub struct VerifiedFrame<'a> {
    /// What it says about itself.
    pub header: FrameHeader,
    /// Bytes on the medium, padding included.
    pub bytes: usize,
    count: u32,
    body: &'a [u8],
}

/// Verifies the frame at the beginning of `bytes`, which may go on after it.
///
/// # Errors
/// What is wrong with it: it was never written, not completely written, or changed since.
pub fn verify_frame(bytes: &[u8]) -> Result<VerifiedFrame<'_>, &'static str> {
    let mut reader = Reader(bytes);
    if reader.take(4)? != FRAME_MAGIC {
        return Err("no frame begins here");
    }
    let version = reader.take(4)?[0];
    let header = FrameHeader {
        log_id_low: reader.u64()?,
        run: reader.u64()?,
        seq: reader.u64()?,
        durable_seq: reader.u64()?,
    };
    let body_bytes = usize::try_from(reader.u32()?).map_err(|_| SHORT)?;
    let count = reader.u32()?;
    let crc = reader.u32()?;
    let end = FRAME_HEADER_BYTES.checked_add(body_bytes).ok_or(SHORT)?;
    let frame = bytes.get(..end).ok_or("the frame is longer than its segment")?;
    if frame_crc(frame) != crc {
        return Err("the checksum of the frame is wrong");
    }
    if version != FORMAT_VERSION {
        return Err("the format version of the frame is unknown to this program");
    }
    Ok(VerifiedFrame { header, bytes: frame_bytes(body_bytes), count, body: &frame[FRAME_HEADER_BYTES..] })
}

impl VerifiedFrame<'_> {
    /// The records, in order.
    ///
    /// # Errors
    /// What is wrong: the frame was written by a faulty or newer program.
    pub fn records(&self) -> Result<Vec<Record>, &'static str> {
        let mut reader = Reader(self.body);
        let mut records = Vec::new();
        while !reader.0.is_empty() {
            records.push(decode_record(&mut reader)?);
        }
        if u32::try_from(records.len()).ok() != Some(self.count) {
            return Err("the number of records is not what the frame says");
        }
        Ok(records)
    }
}

fn decode_record(reader: &mut Reader<'_>) -> Result<Record, &'static str> {
    let [kind, sub, _, _] = *reader.array::<4>()?;
    let data = usize::try_from(reader.u32()?).map_err(|_| SHORT)?;
    match kind {
        KIND_ENTRY => Ok(Record::Entry {
            kind: sub,
            term: reader.u64()?,
            index: reader.u64()?,
            data: Bytes::copy_from_slice(reader.take(data)?),
        }),
        KIND_HARD => {
            Ok(Record::Hard(HardRecord { term: reader.u64()?, vote: reader.u64()?, commit: reader.u64()? }))
        }
        KIND_TRUNCATE => Ok(Record::Truncate { index: reader.u64()?, term: reader.u64()? }),
        KIND_END => Ok(Record::End),
        _ => Err("a record is of a kind unknown to this program"),
    }
}
