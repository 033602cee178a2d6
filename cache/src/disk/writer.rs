//! The thread that fills the file.
//!
//! Owns the order of segments: it alone writes to the file, adds to the index and reuses segments.
//! It begins by finding what an earlier process left.
//!
//! 1. *Recover*: hop from batch header to batch header through every segment, as long as they verify
//!    and carry the generation of the segment's first. Nothing else of them is trusted: payloads are
//!    verified when they are read.
//! 2. *Append*: blocks that wait are packed into a batch, header first, and written at once at the
//!    current segment's end. Only then are they in the index.
//! 3. *Reuse*: when a segment is full the one with the lowest generation is forgotten and begun
//!    again. Its blocks that were read since they were written go along, up to half a segment.

use std::collections::VecDeque;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::Duration;

use bytes::Bytes;

use super::Shared;
use super::index::{Heat, Location};
use super::layout::{
    BATCH_HEADER, Batch, ENTRY, Entry, PAGE, PAGE_BYTES, RECORDS_MAX, decode_batch_header,
    encode_batch_header,
};
use super::reads::read_now;
use super::sys::AlignedBuf;
use crate::block::BlockKey;
use crate::counters::{bump, bump_by, to_u64};

/// Blocks are written together up to this length; a single longer one is written alone.
const BATCH_BYTES: usize = 256 << 10;
/// How long a lone block waits for company.
const LINGER: Duration = Duration::from_millis(20);
/// What a kept block is reckoned to cost beside its bytes, so that those kept fit their new segment.
const SURVIVOR_OVERHEAD: u64 = 128;

const _: () = assert!(BATCH_BYTES.is_multiple_of(PAGE));

/// What the thread is told.
pub(super) enum Order {
    /// Write a block.
    Put(Record),
    /// Answer when everything before this is written.
    Flush(SyncSender<()>),
}

/// A block to write.
pub(super) struct Record {
    pub(super) key: BlockKey,
    pub(super) bytes: Bytes,
}

#[derive(Default)]
struct Segment {
    /// 0: never used.
    generation: u64,
    keys: Vec<BlockKey>,
}

struct Current {
    segment: u32,
    next: u64,
}

/// The thread's state.
pub(super) struct Writer {
    shared: Arc<Shared>,
    orders: Receiver<Order>,
    segments: Vec<Segment>,
    current: Option<Current>,
    generation: u64,
    buffer: AlignedBuf,
}

impl Writer {
    /// # Errors
    /// When there is no memory for the batch buffer.
    pub(super) fn new(shared: Arc<Shared>, orders: Receiver<Order>) -> io::Result<Self> {
        let segments = (0..shared.geometry.segments).map(|_| Segment::default()).collect();
        let buffer = AlignedBuf::new(BATCH_BYTES)?;
        Ok(Self { shared, orders, segments, current: None, generation: 0, buffer })
    }

    /// The thread's body: until the cache is dropped.
    pub(super) fn run(mut self) {
        if let Err(error) = self.recover() {
            self.shared.turn_off("reading at start", &error);
        }
        while let Ok(first) = self.orders.recv() {
            let (records, flushes) = self.gather(first);
            let queued: usize = records.iter().map(|r| r.bytes.len()).sum();
            if self.shared.stopping() {
                return;
            }
            if self.shared.is_on()
                && let Err(error) = self.write(records)
            {
                self.shared.turn_off("writing", &error);
            }
            self.shared.queued_bytes.fetch_sub(queued, Ordering::Relaxed);
            for done in flushes {
                let _ = done.send(());
            }
        }
    }

    /// Collects what comes until a batch is full, a flush is asked for, or nothing comes.
    fn gather(&self, first: Order) -> (VecDeque<Record>, Vec<SyncSender<()>>) {
        let mut records = VecDeque::new();
        let mut flushes = Vec::new();
        let mut bytes = 0;
        let mut next = Some(first);
        while let Some(order) = next.take() {
            match order {
                Order::Put(record) => {
                    bytes += record.bytes.len();
                    records.push_back(record);
                }
                Order::Flush(done) => flushes.push(done),
            }
            if bytes >= BATCH_BYTES || !flushes.is_empty() || self.shared.stopping() {
                break;
            }
            next = self.orders.recv_timeout(LINGER).ok();
        }
        (records, flushes)
    }

    /// Step 1.
    fn recover(&mut self) -> io::Result<()> {
        let mut page = AlignedBuf::new(PAGE)?;
        for segment in 0..self.shared.geometry.segments {
            self.recover_segment(segment, &mut page)?;
            if self.shared.stopping() {
                break;
            }
        }
        Ok(())
    }

    fn recover_segment(&mut self, segment: u32, page: &mut AlignedBuf) -> io::Result<()> {
        let geometry = self.shared.geometry;
        let start = geometry.segment_start(segment);
        let end = start + geometry.segment_bytes;
        let mut position = start;
        let mut generation = None;
        while position < end {
            self.shared.file.read_exact_at(page, position)?;
            let Some(batch) = decode_batch_header(page, position, end - position) else { break };
            if *generation.get_or_insert(batch.generation) != batch.generation {
                break;
            }
            self.note(segment, &batch, position);
            bump_by(&self.shared.counts.recovered, batch.entries.len());
            position += batch.bytes;
        }
        if let Some(generation) = generation {
            self.segments[index_of(segment)].generation = generation;
            self.generation = self.generation.max(generation);
        }
        Ok(())
    }

    /// Puts a batch that is in the file into the index.
    fn note(&mut self, segment: u32, batch: &Batch, position: u64) {
        for entry in &batch.entries {
            let location = Location {
                position: position + u64::from(entry.start),
                length: entry.length,
                crc: entry.crc,
            };
            self.shared.index.insert(entry.key, location);
            self.segments[index_of(segment)].keys.push(entry.key);
        }
    }

    /// Step 2.
    fn write(&mut self, mut records: VecDeque<Record>) -> io::Result<()> {
        while let Some(batch) = self.take_batch(&mut records) {
            let bytes = batch_bytes(&batch);
            match self.place_for(to_u64(bytes)) {
                Some((segment, position)) => self.append(segment, position, &batch, bytes)?,
                None => {
                    batch.into_iter().rev().for_each(|record| records.push_front(record));
                    let kept = self.begin_segment();
                    kept.into_iter().rev().for_each(|record| records.push_front(record));
                }
            }
        }
        Ok(())
    }

    /// The next records that fit one batch; `None` when there are none.
    fn take_batch(&self, records: &mut VecDeque<Record>) -> Option<Vec<Record>> {
        let mut batch: Vec<Record> = Vec::new();
        let mut payload = 0;
        while let Some(record) = records.front() {
            let header = BATCH_HEADER + (batch.len() + 1) * ENTRY;
            let full = header + payload + record.bytes.len() > BATCH_BYTES || batch.len() == RECORDS_MAX;
            if full && !batch.is_empty() {
                break;
            }
            let record = records.pop_front()?;
            if !self.shared.index.contains(record.key) {
                payload += record.bytes.len();
                batch.push(record);
            }
        }
        (!batch.is_empty()).then_some(batch)
    }

    fn place_for(&self, bytes: u64) -> Option<(u32, u64)> {
        let current = self.current.as_ref()?;
        let end = self.shared.geometry.segment_start(current.segment) + self.shared.geometry.segment_bytes;
        (current.next + bytes <= end).then_some((current.segment, current.next))
    }

    fn append(&mut self, segment: u32, position: u64, records: &[Record], bytes: usize) -> io::Result<()> {
        let mut own = if bytes > BATCH_BYTES { Some(AlignedBuf::new(bytes)?) } else { None };
        let generation = self.segments[index_of(segment)].generation;
        let out = own.as_mut().unwrap_or(&mut self.buffer);
        let batch = encode_batch(records, generation, position, &mut out[..bytes]);
        self.shared.file.write_all_at(&out[..bytes], position)?;
        self.current = Some(Current { segment, next: position + batch.bytes });
        self.note(segment, &batch, position);
        bump_by(&self.shared.counts.writes, batch.entries.len());
        bump_by(&self.shared.counts.write_bytes, bytes);
        Ok(())
    }

    /// Step 3. Gives back the blocks that are to be written again.
    fn begin_segment(&mut self) -> Vec<Record> {
        let oldest = (0..self.shared.geometry.segments)
            .min_by_key(|segment| self.segments[index_of(*segment)].generation)
            .unwrap_or(0);
        self.generation += 1;
        let old = std::mem::replace(
            &mut self.segments[index_of(oldest)],
            Segment { generation: self.generation, keys: Vec::new() },
        );
        self.current = Some(Current { segment: oldest, next: self.shared.geometry.segment_start(oldest) });
        self.forget(oldest, old.keys)
    }

    fn forget(&self, segment: u32, keys: Vec<BlockKey>) -> Vec<Record> {
        let geometry = self.shared.geometry;
        let mut room = geometry.segment_bytes / 2;
        let mut kept = Vec::new();
        for key in keys {
            let here = |l: Location| geometry.segment_of(l.position) == Some(segment);
            let Some((location, heat)) = self.shared.index.remove_if(key, here) else { continue };
            let cost = u64::from(location.length) + SURVIVOR_OVERHEAD;
            if heat == Heat::Hot
                && cost <= room
                && let Ok(bytes) = read_now(&self.shared.file, location)
            {
                room -= cost;
                kept.push(Record { key, bytes });
            } else {
                bump(&self.shared.counts.evictions);
            }
        }
        kept
    }
}

fn index_of(segment: u32) -> usize {
    usize::try_from(segment).unwrap_or(usize::MAX)
}

fn batch_bytes(records: &[Record]) -> usize {
    let payload: usize = records.iter().map(|r| r.bytes.len()).sum();
    (BATCH_HEADER + records.len() * ENTRY + payload).next_multiple_of(PAGE)
}

/// The length of a file's part that one record of `length` bytes needs.
pub(super) fn record_cost(length: usize) -> u64 {
    to_u64((BATCH_HEADER + ENTRY + length).next_multiple_of(PAGE))
}

/// Packs records into `out`, which has the batch's length.
fn encode_batch(records: &[Record], generation: u64, position: u64, out: &mut [u8]) -> Batch {
    let mut at = BATCH_HEADER + records.len() * ENTRY;
    let mut entries = Vec::with_capacity(records.len());
    for record in records {
        let end = at + record.bytes.len();
        out[at..end].copy_from_slice(&record.bytes);
        entries.push(Entry {
            key: record.key,
            start: to_u32(at),
            length: to_u32(record.bytes.len()),
            crc: crc32c::crc32c(&record.bytes),
        });
        at = end;
    }
    out[at..].fill(0);
    let batch = Batch { generation, bytes: to_u64(out.len()), entries };
    debug_assert!(batch.bytes.is_multiple_of(PAGE_BYTES));
    encode_batch_header(&batch, position, out);
    batch
}

/// Lengths within a segment, which is far below 4 GiB.
fn to_u32(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}
