//! How a transaction whose writes outgrow memory moves them into tables, and what it sees of them (ADR 0149).

use std::sync::Arc;

use aquifer_format::{DeltaBuilder, DeltaView};
use aquifer_lsm::{Found, ReadState};
use aquifer_shard::engine::Spilled;
use aquifer_shard::event;
use aquifer_shard::reads;
use aquifer_sql::txn::Savepoint;
use aquifer_txn::WriteSetPoint;
use aquifer_types::{Maybe, SqlError, SqlResult, TxnId};
use bytes::Bytes;

use super::{WriteTxn, closed};
use crate::spill::Spill;

/// What is left in memory at a commit goes into the delta up to this; more becomes a table.
const DELTA_BYTES_MAX: usize = 1 << 20;

impl WriteTxn {
    /// What the transaction has spilled.
    pub(super) fn spilled(&self) -> Option<Arc<ReadState>> {
        let spill = self.spill.borrow();
        spill.as_ref().filter(|spill| !spill.is_empty()).map(|spill| Arc::clone(spill.state()))
    }

    /// Whether the writes in memory are to move.
    pub(super) fn has_to_spill(&self) -> bool {
        self.held.borrow().writes.bytes() >= self.part.spill_bytes && self.part.loads.get().is_some()
    }

    /// Moves the writes in memory into tables. `statement`: what the running statement returns to if it fails.
    pub(super) async fn spill(&self, statement: Option<Savepoint>) -> SqlResult<()> {
        let Some(loads) = self.part.loads.get() else { return Ok(()) };
        let mut returned_to = self.kept.borrow().clone();
        returned_to.extend(statement);
        let points: Vec<_> =
            returned_to.into_iter().map(|savepoint| WriteSetPoint::from_index(savepoint.0)).collect();
        // The writes stay where they are until the tables are there: a failure changes nothing.
        let segments = self.held.borrow().writes.segments(&points);
        let mut spill = self.spill.borrow_mut().take().unwrap_or_else(|| Spill::new(loads));
        let added = spill.add(segments).await;
        *self.spill.borrow_mut() = Some(spill);
        added?;
        self.hand_locks_to_layers().await?;
        self.held.borrow_mut().move_writes_away();
        Ok(())
    }

    /// The layers lock what they have, so the row locks of what is in memory now can go.
    async fn hand_locks_to_layers(&self) -> SqlResult<()> {
        let Some(layers) = self.spilled() else { return Ok(()) };
        self.asked_ranges.set(true);
        self.part.local.share_layers(self.id, &layers).await.map_err(|_| closed())?;
        let released: Box<[Vec<Bytes>]> = {
            let (held, mut locks) = (self.held.borrow(), self.locks.borrow_mut());
            let has_moved = |key: &mut Bytes| held.writes.get(key).is_some();
            locks.iter_mut().map(|keys| keys.extract_if(.., has_moved).collect()).collect()
        };
        self.part.local.release(self.id, released);
        Ok(())
    }

    /// Who has a key in layers: it is to be waited for before the key may be locked, or after it was.
    pub(super) fn layer_owner<'a>(&'a self, key: &'a [u8]) -> Maybe<'a, Option<TxnId>> {
        let mut layers = self.part.local.layers_of_others(self.id).into_iter();
        while let Some((owner, state)) = layers.next() {
            match reads::get_spilled(&self.part.engine, state, key) {
                Maybe::Ready(Ok(None)) => {}
                Maybe::Ready(Ok(Some(_))) => return Maybe::Ready(Some(owner)),
                first => return Maybe::wait(self.layer_owner_slow(key, owner, first, layers)),
            }
        }
        Maybe::Ready(None)
    }

    async fn layer_owner_slow<'a>(
        &'a self,
        key: &'a [u8],
        first_owner: TxnId,
        first: Maybe<'a, SqlResult<Option<Found>>>,
        rest: impl Iterator<Item = (TxnId, Arc<ReadState>)> + 'a,
    ) -> Option<TxnId> {
        let rest = rest.map(|(owner, state)| (owner, reads::get_spilled(&self.part.engine, state, key)));
        for (owner, found) in std::iter::once((first_owner, first)).chain(rest) {
            let found = found.await;
            // It may have ended meanwhile, and its tables with it; who cannot tell waits for the end.
            if !matches!(found, Ok(None)) && self.part.local.has_layers(owner) {
                return Some(owner);
            }
        }
        None
    }

    /// Undoes what was spilled after a point. Its keys are not locked any more.
    pub(super) fn undo_spilled(&self, point: WriteSetPoint) {
        let mut spill = self.spill.borrow_mut();
        let Some(spill) = spill.as_mut() else { return };
        match spill.undo_to(point) {
            Ok(tables) if tables.is_empty() => {}
            Ok(tables) => {
                // Others may be looking into them.
                self.leftover.borrow_mut().extend(tables);
                drop(self.part.local.share_layers(self.id, spill.state()));
            }
            Err(error) => {
                event::error(&format!("broken invariant: {error}"));
                std::process::abort();
            }
        }
    }

    /// After the end, when nobody looks into the layers any more.
    pub(super) fn delete_leftover(&self) {
        let tables = self.leftover.take();
        if let Some(loads) = self.part.loads.get() {
            loads.delete_later(tables);
        }
    }

    /// The transaction ends without a commit.
    pub(super) fn drop_spilled(&self) {
        if let Some(spill) = self.spill.take() {
            self.leftover.borrow_mut().extend(spill.into_tables());
        }
    }

    /// Before the commit: everything that was spilled as one run.
    pub(super) async fn finish_spill(&self) -> SqlResult<Option<Spilled>> {
        if self.spilled().is_none() {
            return Ok(None);
        }
        if self.held.borrow().writes.bytes() > DELTA_BYTES_MAX {
            self.spill(None).await?;
        }
        let Some(mut spill) = self.spill.borrow_mut().take() else { return Ok(None) };
        match spill.finish().await {
            Ok((spilled, parts)) => {
                // Others look into them until the transaction has ended.
                self.leftover.borrow_mut().extend(parts);
                Ok(Some(spilled))
            }
            Err(error) => {
                // Still to be dropped.
                *self.spill.borrow_mut() = Some(spill);
                Err(error.into())
            }
        }
    }

    /// What is committed: the writes in memory, and which tables have the others.
    pub(super) fn delta(&self, spilled: Option<&Spilled>) -> SqlResult<DeltaView> {
        let held = self.held.borrow();
        let mut builder = DeltaBuilder::with_capacity(held.writes.bytes() + 64 * held.writes.len());
        for (key, write) in held.writes.iter() {
            match write {
                Some(value) => builder.put(key, value),
                None => builder.delete(key),
            }
        }
        spilled.into_iter().flat_map(|spilled| &spilled.tables).for_each(|table| builder.spilled(table));
        let encoded = builder.finish(event::wall_micros()).and_then(DeltaView::parse);
        encoded.map_err(|error| SqlError::with_kind(1105, error.kind(), error.to_string()))
    }
}
