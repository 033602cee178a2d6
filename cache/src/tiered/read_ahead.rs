//! Fetching what a scan will want next, several blocks in one request.
//!
//! A read-ahead is one ranged GET that several flights share, one flight a block. Each flight is polled
//! once, which sends the request on its way; nobody waits for it. When the scan comes to a block it
//! joins the block's flight, drives it to its end, and finds the bytes there or on their way.
//!
//! Flights die when nobody holds them, so the newest [`FLIGHTS_KEPT`] are kept in a ring. That bounds
//! the memory of read-aheads whose scan was given up: the stored bytes of as many blocks, and at most
//! [`AHEAD_BYTES_MAX`] for the stretch that is only partly left in the ring.
//!
//! Blocks that the disk cache has are started one by one from there.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};

use aquifer_lsm::{BlockHandle, ReadError, Table};
use bytes::Bytes;
use crossbeam_queue::ArrayQueue;
use futures_util::future::{FutureExt, Shared};

use super::{Cargo, Inner, Landed, TieredSource, key_of};
use crate::block::{Access, BlockKey};
use crate::counters::bump;
use crate::flight::{Boarding, Flight};

/// Most bytes of one read-ahead.
const AHEAD_BYTES_MAX: u64 = 1 << 20;
/// Flights that are kept alive though nobody awaits them.
const FLIGHTS_KEPT: usize = 256;

type RangeFlight = Shared<Pin<Box<dyn Future<Output = Result<Bytes, ReadError>> + Send>>>;

/// The newest flights that were started ahead.
pub(super) struct ReadAheads(ArrayQueue<Flight<Landed>>);

impl Default for ReadAheads {
    fn default() -> Self {
        Self(ArrayQueue::new(FLIGHTS_KEPT))
    }
}

/// A part of an object that one GET brings.
#[derive(Clone)]
struct Stretch {
    start: u64,
    bytes: RangeFlight,
}

impl TieredSource {
    /// Starts fetching the first stretch of `blocks` that is not held anywhere.
    pub(super) fn start_read_ahead(&self, table: &Arc<Table>, blocks: &[BlockHandle]) {
        let inner = &self.inner;
        let mut stretch: Vec<BlockHandle> = Vec::new();
        let mut bytes = 0;
        for handle in blocks {
            let key = key_of(table, *handle);
            if inner.blocks.contains(key) {
                continue;
            }
            if inner.disk.as_ref().is_some_and(|disk| disk.contains(key)) {
                self.start(table, *handle, || inner.clone().fetch_block(table.clone(), *handle, self.access));
                continue;
            }
            bytes += u64::from(handle.len);
            let adjacent = stretch.last().is_none_or(|last| touches(*last, *handle));
            if !adjacent || (bytes > AHEAD_BYTES_MAX && !stretch.is_empty()) {
                break;
            }
            stretch.push(*handle);
        }
        self.start_stretch(table, &stretch);
    }

    /// Starts fetching index and filter of each table.
    pub(super) fn start_metas(&self, tables: &[Arc<Table>]) {
        for table in tables.iter().filter(|table| !table.has_meta()) {
            let key = BlockKey { sst: table.id(), offset: table.meta_range().start };
            let fetch = || self.inner.clone().fetch_meta(table.clone());
            self.launch(self.inner.flights.board(key, || None, fetch));
        }
    }

    fn start_stretch(&self, table: &Arc<Table>, blocks: &[BlockHandle]) {
        let ends = (blocks.iter().map(|b| b.range().start).min(), blocks.iter().map(|b| b.range().end).max());
        let (Some(start), Some(end)) = ends else { return };
        let (inner, sst) = (self.inner.clone(), table.id());
        let fetch = async move {
            bump(&inner.counts.read_aheads);
            inner.fetch_from_store(sst, &(start..end)).await
        };
        let stretch = Stretch { start, bytes: fetch.boxed().shared() };
        for handle in blocks {
            let part = || self.inner.clone().fetch_part(table.clone(), *handle, stretch.clone(), self.access);
            self.start(table, *handle, part);
        }
    }

    /// Starts a flight that nobody awaits yet.
    fn start<F>(&self, table: &Table, handle: BlockHandle, fetch: impl FnOnce() -> F)
    where
        F: Future<Output = Landed> + Send + 'static,
    {
        let key = key_of(table, handle);
        let held = || self.inner.blocks.peek(key).map(|block| Ok(Cargo::Block(block)));
        self.launch(self.inner.flights.board(key, held, fetch));
    }

    /// Sends a new flight on its way and keeps it alive; one under way is moved on, as far as what it waits for is
    /// there.
    fn launch(&self, boarding: Boarding<Landed>) {
        let mut nobody = Context::from_waker(Waker::noop());
        match boarding {
            Boarding::Started(mut flight) => {
                if flight.poll_unpin(&mut nobody).is_pending() {
                    drop(self.inner.ahead.0.force_push(flight));
                }
            }
            Boarding::Joined(mut flight) => drop(flight.poll_unpin(&mut nobody)),
            Boarding::Landed(_) => {}
        }
    }
}

impl Inner {
    /// One block out of a stretch; by itself if the stretch did not bring it whole.
    async fn fetch_part(
        self: Arc<Self>,
        table: Arc<Table>,
        handle: BlockHandle,
        stretch: Stretch,
        access: Access,
    ) -> Landed {
        let key = key_of(&table, handle);
        let part = stretch.bytes.await.ok().and_then(|whole| cut(&whole, handle, stretch.start));
        let Some((stored, Ok(block))) =
            part.map(|stored| (stored.clone(), table.decode_block(handle, stored)))
        else {
            return self.fetch_block(table, handle, access).await;
        };
        self.offer(key, stored, access);
        self.blocks.insert(key, block.clone(), block.resident_bytes(), access);
        Ok(Cargo::Block(block))
    }
}

/// A copy of a block's bytes, so that it does not hold the whole stretch in memory.
fn cut(whole: &Bytes, handle: BlockHandle, start: u64) -> Option<Bytes> {
    let from = usize::try_from(handle.offset.checked_sub(start)?).ok()?;
    let length = usize::try_from(handle.len).ok()?;
    whole.get(from..from.checked_add(length)?).map(Bytes::copy_from_slice)
}

/// Whether two blocks follow each other in the object, in either order.
fn touches(one: BlockHandle, other: BlockHandle) -> bool {
    one.range().end == other.offset || other.range().end == one.offset
}
