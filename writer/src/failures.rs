//! What writers find wrong with indexes and rows that are being built beside them (ADRs 0166 and 0168).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aquifer_types::{IndexId, SqlError, SqlResult};

/// The indexes that are being built, each with the first error that somebody noted for it.
#[derive(Debug, Default)]
pub struct Failures(Mutex<HashMap<IndexId, Option<SqlError>>>);

/// Indexes for which errors are noted as long as this is there.
#[derive(Debug)]
pub struct Watched {
    failures: Arc<Failures>,
    indexes: Vec<IndexId>,
}

impl Failures {
    /// Errors are noted for `indexes` from here on.
    #[must_use]
    pub fn watch(self: &Arc<Self>, indexes: Vec<IndexId>) -> Watched {
        self.all().extend(indexes.iter().map(|index| (*index, None)));
        Watched { failures: Arc::clone(self), indexes }
    }

    /// Notes that an index cannot be finished, unless nobody builds it any more.
    pub fn note(&self, index: IndexId, error: SqlError) {
        if let Some(noted) = self.all().get_mut(&index) {
            noted.get_or_insert(error);
        }
    }

    /// Whether these can still be finished.
    ///
    /// # Errors
    /// What was noted first.
    pub fn check(&self, indexes: &[IndexId]) -> SqlResult<()> {
        let all = self.all();
        let noted = indexes.iter().find_map(|index| all.get(index)?.clone());
        noted.map_or(Ok(()), Err)
    }

    fn all(&self) -> MutexGuard<'_, HashMap<IndexId, Option<SqlError>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watched {
    /// The indexes.
    #[must_use]
    pub fn indexes(&self) -> &[IndexId] {
        &self.indexes
    }

    /// Whether they can still be finished.
    ///
    /// # Errors
    /// What was noted first.
    pub fn check(&self) -> SqlResult<()> {
        self.failures.check(&self.indexes)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let mut all = self.failures.all();
        self.indexes.iter().for_each(|index| drop(all.remove(index)));
    }
}
