//! Numbers that a transaction takes from counters: AUTO_INCREMENT values, ids of tables and indexes.

use std::sync::Arc;

use aquifer_shard::reads::Fill;
use aquifer_types::{Lsn, SqlResult, TEMPORARY_ID_MIN};

use super::WriteTxn;
use crate::counters::{Counter, CounterId, Taken};

impl WriteTxn {
    pub(super) async fn reserve(&self, id: CounterId, count: u64, at_least: u64) -> SqlResult<u64> {
        let counter = self.counter(id).await?;
        loop {
            match counter.take(count, at_least)? {
                Taken::Value(first) => return Ok(first),
                Taken::Extend(end) => self.part.extend_counter(&counter, end).await?,
            }
        }
    }

    async fn counter(&self, id: CounterId) -> SqlResult<Arc<Counter>> {
        if let Some(counter) = self.part.counters.find(id) {
            return Ok(counter);
        }
        let key = id.key();
        let stored = self.read(&key, Lsn::MAX, Fill::Nothing).await?;
        self.part.counters.loaded(id, stored.as_deref())
    }

    pub(super) async fn observe(&self, id: CounterId, value: u64) -> SqlResult<()> {
        let counter = self.counter(id).await?;
        while let Some(end) = counter.observe(value) {
            self.part.extend_counter(&counter, end).await?;
        }
        Ok(())
    }
}

/// A number below those of temporary tables.
pub(super) fn shared_id(id: u64) -> Option<u32> {
    u32::try_from(id).ok().filter(|id| *id < TEMPORARY_ID_MIN)
}
