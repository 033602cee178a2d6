//! How a transaction fills indexes that nobody else can read: first in its write set, beyond some megabytes in a
//! [`Load`].

use std::sync::Arc;

use aquifer_lsm::ReadState;
use aquifer_shard::reads::{self, Fill};
use aquifer_sql::txn::Txn;
use aquifer_types::{Lsn, Maybe, SqlError, SqlResult};
use bytes::Bytes;

use super::WriteTxn;
use crate::load::Load;

/// What the write set takes of such rows: a small table costs no object in the store.
const SMALL_BYTES_MAX: usize = 8 << 20;

impl WriteTxn {
    /// What holds the rows of a key's index if this transaction is filling it by a load.
    pub(super) fn loading(&self, key: &[u8]) -> Option<Arc<ReadState>> {
        let load = self.load.borrow();
        let load = load.as_ref()?;
        load.fills(key).then(|| Arc::clone(load.state()))
    }

    pub(super) fn put_new_row(&self, key: Bytes, value: Bytes, unique: bool) -> Maybe<'_, SqlResult<bool>> {
        if let Err(error) = self.check_writable() {
            return Maybe::Ready(Err(error));
        }
        if self.held.borrow().writes.get(&key).is_some() {
            return Maybe::Ready(Ok(false));
        }
        let is_small = self.load.borrow().is_none() && self.held.borrow().writes.bytes() < SMALL_BYTES_MAX;
        let loads = self.part.loads.get();
        let Some(loads) = loads.filter(|_| !is_small) else {
            return Maybe::Ready(self.write(key, Some(value)).map(|()| true));
        };
        let mut load = self.load.borrow_mut();
        let load = load.get_or_insert_with(|| Load::new(loads, self.part.engine.views.visible()));
        load.note(&key);
        if load.is_full() || unique && load.has_tables() {
            return Maybe::wait(self.put_new_slow(key, value, unique));
        }
        Maybe::Ready(load.put(&key, &value).map_err(SqlError::from))
    }

    async fn put_new_slow(&self, key: Bytes, value: Bytes, unique: bool) -> SqlResult<bool> {
        // Taken out for the time of the spill: one statement of the transaction runs at a time.
        let full = self.load.borrow_mut().take_if(|load| load.is_full());
        if let Some(mut load) = full {
            let spilled = load.spill().await;
            *self.load.borrow_mut() = Some(load);
            spilled?;
        }
        if unique
            && let Some(state) = self.loading(&key)
            && reads::get(&self.part.engine, || state, &key, Lsn::MAX, Fill::Nothing).await?.is_some()
        {
            return Ok(false);
        }
        let load = self.load.borrow();
        let Some(load) = load.as_ref() else { return Ok(false) };
        Ok(load.put(&key, &value)?)
    }

    /// Before the commit that defines what was filled.
    pub(super) async fn install_load(&self) -> SqlResult<()> {
        let load = self.load.borrow_mut().take();
        match load {
            Some(load) => Ok(load.install().await?),
            None => Ok(()),
        }
    }
}
