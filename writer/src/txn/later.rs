//! What a transaction that has locked rows may have read before all executors have it, and how it waits for them.
//!
//! A lock is free when its home has applied the commit of who held it, a moment before other homes have applied the
//! same commit. Whoever then looks for other rows of it (its index entries, the children of its row) has to wait that
//! moment, or it would miss some.

use std::ops::Range;

use aquifer_shard::reads::{Own, Scan};
use aquifer_sql::txn::{Cursor, Direction, ReadMode};
use aquifer_types::{Lsn, Maybe, SqlResult};
use bytes::Bytes;

use super::{WriteTxn, closed};

impl WriteTxn {
    /// What all executors must have applied before this transaction looks for more than what it has locked.
    pub(super) fn unsettled(&self) -> Option<Lsn> {
        if !self.read_newest.get() {
            return None;
        }
        let homes = self.part.local.homes();
        let newest = homes.newest_applied();
        (newest > homes.settled()).then_some(newest)
    }

    /// As [`WriteTxn::unsettled`], for what reads the view: nothing if that is open already.
    pub(super) fn unsettled_view(&self) -> Option<Lsn> {
        if self.read_newest.get() && self.view.borrow().is_none() { self.unsettled() } else { None }
    }

    pub(super) async fn settle(&self, newest: Lsn) -> SqlResult<()> {
        self.part.local.until_settled(newest).await.map_err(|_| closed())
    }

    pub(super) fn scan_now(
        &self,
        range: Range<Bytes>,
        direction: Direction,
        mode: ReadMode,
        own: Own,
    ) -> Scan {
        let engine = &self.part.engine;
        let state = self.loading(&range.start).unwrap_or_else(|| engine.state());
        Scan::new(engine, &state, range, direction, self.read_lsn(mode), own)
    }
}

/// What a scan begins with.
type Start = (Range<Bytes>, Direction, ReadMode, Own);

/// A scan that begins when an LSN is settled.
pub(super) struct LaterScan<'t> {
    txn: &'t WriteTxn,
    newest: Lsn,
    /// Until it has begun.
    start: Option<Start>,
    scan: Option<Scan>,
}

impl<'t> LaterScan<'t> {
    pub(super) fn new(txn: &'t WriteTxn, newest: Lsn, start: Start) -> Self {
        Self { txn, newest, start: Some(start), scan: None }
    }
}

impl Cursor for LaterScan<'_> {
    fn next_batch<'a>(
        &'a mut self,
        out: &'a mut Vec<(Bytes, Bytes)>,
        limit: usize,
    ) -> Maybe<'a, SqlResult<()>> {
        let Self { txn, newest, start, scan } = self;
        if start.is_none()
            && let Some(scan) = scan
        {
            return scan.next_batch(out, limit);
        }
        Maybe::wait(async move {
            txn.settle(*newest).await?;
            if let Some((range, direction, mode, own)) = start.take() {
                *scan = Some(txn.scan_now(range, direction, mode, own));
            }
            match scan {
                Some(scan) => scan.next_batch(out, limit).await,
                None => Ok(()),
            }
        })
    }
}
