//! Transactions that XA has prepared (ADR 0164): they belong to no session, and survive a crash.
//!
//! | index 1025 | a row for each, from PREPARE to its end |
//! |---|---|
//! | memory | who holds which locks, and what is left to be ended on the executor where it ran |

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::{Mutex, MutexGuard, PoisonError};

use aquifer_format::{DeltaBuilder, DeltaView, FormatResult};
use aquifer_lsm::{Cursor, Direction};
use aquifer_objstore::block_on;
use aquifer_shard::engine::Engine;
use aquifer_shard::error::{NodeError, NodeResult};
use aquifer_shard::event;
use aquifer_shard::executor::ExecutorId;
use aquifer_shard::homes::{Homes, LockOutcome, Msg, Patience};
use aquifer_shard::local::Local;
use aquifer_txn::{Held, LockStrength};
use aquifer_types::{IndexId, Lsn, SqlError, SqlResult, TableId, TxnId, Xid};
use bytes::{Buf, Bytes};

use crate::node::WriterPart;
use crate::sequencer::CommitRequest;

/// The system index of their rows.
pub const PREPARED: IndexId = IndexId(1025);

const VERSION: u8 = 1;

/// One of them.
pub struct Prepared {
    id: TxnId,
    /// Where it ran.
    executor: ExecutorId,
    /// What it writes; nothing of a transaction that only read, which has no row.
    delta: Option<DeltaView>,
    /// The keys that it has locked, by home.
    locks: Box<[Vec<Bytes>]>,
    tables: Vec<TableId>,
}

/// All of a writer.
#[derive(Default)]
pub struct PreparedTransactions(Mutex<HashMap<Xid, Prepared>>);

impl PreparedTransactions {
    /// Their names, in no order.
    #[must_use]
    pub fn names(&self) -> Vec<Xid> {
        self.all().keys().cloned().collect()
    }

    /// Whether there is one of this name.
    #[must_use]
    pub fn contains(&self, xid: &Xid) -> bool {
        self.all().contains_key(xid)
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Xid, Prepared>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, xid: &Xid) -> Option<Prepared> {
        self.all().remove(xid)
    }

    pub(crate) fn add(&self, xid: Xid, prepared: Prepared) {
        self.all().insert(xid, prepared);
    }

    /// Those that the store and the log have at a start.
    ///
    /// # Errors
    /// `Corrupt` when one cannot be read; `Unavailable`.
    pub fn load(engine: &Engine, homes: &Homes) -> NodeResult<Self> {
        let start = Bytes::copy_from_slice(&PREPARED.0.to_be_bytes());
        let range = start..Bytes::copy_from_slice(&(PREPARED.0 + 1).to_be_bytes());
        let mut cursor = Cursor::new(&engine.state(), range, Direction::Forward, engine.views.visible());
        let (mut rows, mut all) = (Vec::new(), HashMap::new());
        loop {
            let before = rows.len();
            block_on(cursor.next_batch_async(&*engine.source, &mut rows, 256))?;
            if rows.len() == before {
                break;
            }
        }
        for (key, value) in rows {
            let (xid, tables, delta) = decode(&key, value)?;
            let mut locks = vec![Vec::new(); homes.count()];
            for (key, _) in delta.iter() {
                locks[homes.home_of(&key)].push(key);
            }
            let (id, executor) = (homes.next_txn(), ExecutorId(0));
            let locks = locks.into_boxed_slice();
            all.insert(xid, Prepared { id, executor, delta: Some(delta), locks, tables });
        }
        if !all.is_empty() {
            let count = all.len();
            event::info(&format!(
                "{count} prepared transactions wait for XA COMMIT or XA ROLLBACK: see XA RECOVER"
            ));
        }
        Ok(Self(Mutex::new(all)))
    }

    /// Locks what those that a start has found have locked on this executor. To be called before it handles anything
    /// else.
    pub fn lock_on(&self, local: &Rc<Local>) {
        for prepared in self.all().values() {
            let here = &prepared.locks[local.index()];
            for key in here {
                let locked = local.lock(prepared.id, key, LockStrength::Exclusive, Patience::None, 0);
                debug_assert!(
                    matches!(locked, Ok(LockOutcome::Granted)),
                    "nobody else can have locked anything"
                );
            }
            if local.index() != usize::from(prepared.executor.0) {
                continue;
            }
            for table in &prepared.tables {
                // Nobody can have fenced anything yet.
                let _ = local.enter_table(*table, prepared.id);
            }
            let held = Rc::new(RefCell::new(Held::default()));
            if let Some(delta) = &prepared.delta {
                for (key, value) in delta.slices() {
                    let value = value.map(Bytes::copy_from_slice);
                    held.borrow_mut().writes.set(Bytes::copy_from_slice(key), value);
                }
            }
            local.begin_running(prepared.id, &held);
        }
    }
}

impl WriterPart {
    /// Makes a transaction, which the caller has taken apart, one of the prepared ones.
    ///
    /// # Errors
    /// As a commit; locks and tables come back.
    pub(crate) async fn prepare(
        &self,
        xid: Xid,
        id: TxnId,
        delta: Option<DeltaView>,
        (locks, tables): (Box<[Vec<Bytes>]>, Vec<TableId>),
    ) -> Result<(), (Box<[Vec<Bytes>]>, Vec<TableId>, SqlError)> {
        if let Some(delta) = &delta {
            let value = encode(&tables, delta);
            if let Err(error) = self.commit_system_row(key_of(&xid), Some(value)).await {
                return Err((locks, tables, error));
            }
        }
        let executor = ExecutorId(u16::try_from(self.local.index()).unwrap_or(u16::MAX));
        self.prepared.add(xid, Prepared { id, executor, delta, locks, tables });
        Ok(())
    }

    /// Commits a prepared transaction; `None` when there is none of this name.
    ///
    /// # Errors
    /// As a commit; it is still prepared then.
    pub(crate) async fn commit_prepared(&self, xid: &Xid) -> SqlResult<Option<Lsn>> {
        let Some(mut prepared) = self.prepared.take(xid) else { return Ok(None) };
        let Some(writes) = &prepared.delta else {
            let locks = std::mem::take(&mut prepared.locks);
            self.end_prepared(prepared, Some(locks));
            return Ok(Some(self.engine.views.visible()));
        };
        let committed = match commit_of(xid, writes) {
            Ok(delta) => {
                let locks = std::mem::take(&mut prepared.locks);
                self.submit_prepared(prepared.id, delta, locks).await
            }
            Err(error) => Err((None, SqlError::with_kind(1105, error.kind(), error.to_string()))),
        };
        match committed {
            Ok(lsn) => {
                self.end_prepared(prepared, None);
                Ok(Some(lsn))
            }
            Err((locks, error)) => {
                // Without its locks it is the sequencer's that cannot go on, and the next start finds its row.
                if let Some(locks) = locks {
                    prepared.locks = locks;
                    self.prepared.add(xid.clone(), prepared);
                }
                Err(error)
            }
        }
    }

    async fn submit_prepared(
        &self,
        txn: TxnId,
        delta: DeltaView,
        locks: Box<[Vec<Bytes>]>,
    ) -> Result<Lsn, (Option<Box<[Vec<Bytes>]>>, SqlError)> {
        if let Err(error) = self.check_backlog(delta.bytes().len()).await {
            return Err((Some(locks), error));
        }
        let (reply_to, answer) = self.local.expect_commit();
        let request = CommitRequest { delta, txn, reply_to, locks, spilled: None };
        if let Err((request, error)) = self.submit(request).await {
            self.local.forget_commit(reply_to.ticket);
            return Err((Some(request.locks), error));
        }
        let closed = || {
            SqlError::with_kind(1053, aquifer_types::ErrorKind::Unavailable, "Server shutdown in progress")
        };
        answer.await.unwrap_or_else(|_| Err(closed())).map_err(|error| (None, error))
    }

    /// Rolls a prepared transaction back; whether there was one of this name.
    ///
    /// # Errors
    /// As a commit; it is still prepared then.
    pub(crate) async fn rollback_prepared(&self, xid: &Xid) -> SqlResult<bool> {
        let Some(mut prepared) = self.prepared.take(xid) else { return Ok(false) };
        if prepared.delta.is_some()
            && let Err(error) = self.commit_system_row(key_of(xid), None).await
        {
            self.prepared.add(xid.clone(), prepared);
            return Err(error);
        }
        let locks = std::mem::take(&mut prepared.locks);
        self.end_prepared(prepared, Some(locks));
        Ok(true)
    }

    /// Gives up what it holds; `locks` unless a commit has released them.
    fn end_prepared(&self, prepared: Prepared, locks: Option<Box<[Vec<Bytes>]>>) {
        let Prepared { id, executor, tables, .. } = prepared;
        if let Some(locks) = locks {
            self.local.release(id, locks);
        }
        self.local.post(executor, Msg::EndPrepared(id, tables));
        self.local.release_ranges(id);
    }
}

/// What a commit writes: the transaction's writes, and its row goes.
fn commit_of(xid: &Xid, writes: &DeltaView) -> FormatResult<DeltaView> {
    let mut builder = DeltaBuilder::with_capacity(writes.bytes().len() + 256);
    for (key, value) in writes.slices() {
        match value {
            Some(value) => builder.put(key, value),
            None => builder.delete(key),
        }
    }
    builder.delete(&key_of(xid));
    builder.finish(event::wall_micros()).and_then(DeltaView::parse)
}

fn key_of(xid: &Xid) -> Bytes {
    [&PREPARED.0.to_be_bytes()[..], &xid.to_bytes()].concat().into()
}

fn encode(tables: &[TableId], delta: &DeltaView) -> Bytes {
    let mut value = vec![VERSION];
    value.extend_from_slice(&u32::try_from(tables.len()).unwrap_or(0).to_le_bytes());
    tables.iter().for_each(|table| value.extend_from_slice(&table.0.to_le_bytes()));
    value.extend_from_slice(delta.bytes());
    value.into()
}

fn decode(key: &Bytes, mut value: Bytes) -> NodeResult<(Xid, Vec<TableId>, DeltaView)> {
    let damaged = |what: &str| NodeError::corrupt(format!("a prepared transaction cannot be read: {what}"));
    let xid =
        key.get(4..).and_then(|_| Xid::from_bytes(key.slice(4..))).ok_or_else(|| damaged("its name"))?;
    if value.len() < 5 || value.get_u8() != VERSION {
        return Err(damaged("its version"));
    }
    let count = usize::try_from(value.get_u32_le()).unwrap_or(usize::MAX);
    if value.len() / 4 < count {
        return Err(damaged("its tables"));
    }
    let tables = (0..count).map(|_| TableId(value.get_u32_le())).collect();
    let delta = DeltaView::parse(value).map_err(|error| damaged(&error.to_string()))?;
    Ok((xid, tables, delta))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test")]

    use aquifer_format::{DeltaBuilder, DeltaView};
    use aquifer_types::{TableId, Xid};
    use bytes::Bytes;

    #[test]
    fn row_is_what_was_prepared() {
        let mut delta = DeltaBuilder::new();
        delta.put(b"key", b"value");
        delta.delete(b"other");
        let delta = DeltaView::parse(delta.finish(7).unwrap()).unwrap();
        let xid = Xid::new(3, &b"global"[..], &b"branch"[..]).unwrap();
        let tables = vec![TableId(5), TableId(1 << 20)];
        let (key, value) = (super::key_of(&xid), super::encode(&tables, &delta));
        assert_eq!(super::decode(&key, value.clone()).unwrap(), (xid.clone(), tables, delta));
        for length in 0..value.len() {
            assert!(super::decode(&key, value.slice(..length)).is_err(), "{length} bytes");
        }
        let commit = super::commit_of(&xid, &super::decode(&key, value).unwrap().2).unwrap();
        let keys: Vec<Bytes> = commit.iter().map(|(key, _)| key).collect();
        assert_eq!(keys, [Bytes::from_static(b"key"), Bytes::from_static(b"other"), key]);
    }
}
