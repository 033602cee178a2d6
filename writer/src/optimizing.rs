//! OPTIMIZE TABLE: what is stored of a table is brought to one level of the tree, without versions that nobody needs.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aquifer_catalog::Table;
use aquifer_lsm::{CompactionJob, Manifest, Settling, pick_settling};
use aquifer_session::node::Interrupt;
use aquifer_session::progress::Activity;
use aquifer_shard::engine::Engine;
use aquifer_shard::status;
use aquifer_types::key::keys_of;
use aquifer_types::{SqlError, SqlResult};

/// How often a statement looks how far it is.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Tables that statements wait for, in the order in which they came.
#[derive(Debug, Default)]
pub struct Optimizing(Mutex<VecDeque<Arc<Vec<Settling>>>>);

/// A statement's place in the queue.
struct Place<'q>(&'q Optimizing, Arc<Vec<Settling>>);

impl Optimizing {
    /// The next step of the first statement that has one.
    #[must_use]
    pub fn pick(&self, manifest: &Manifest, running: &[CompactionJob]) -> Option<CompactionJob> {
        let queue = self.queue();
        queue.iter().flat_map(|wanted| &**wanted).find_map(|range| pick_settling(manifest, range, running))
    }

    /// Returns when all that has been committed to a table is in one level; `freeze` has the memtable flushed.
    ///
    /// # Errors
    /// 1317, and then nothing more is done for it.
    pub async fn optimize(
        &self,
        engine: &Engine,
        table: &Table,
        freeze: impl Fn(),
        interrupt: &Interrupt,
    ) -> SqlResult<()> {
        let up_to = engine.views.visible();
        let wanted = table.indexes.iter().map(|index| Settling { keys: keys_of(index.id), up_to });
        let wanted: Arc<Vec<_>> = Arc::new(wanted.collect());
        let sum = |of: fn(&Settling, &Manifest) -> u64| {
            let state = engine.state();
            wanted.iter().map(|range| of(range, state.manifest())).sum::<u64>()
        };
        let _shown = interrupt.progress.begin(Activity::Optimizing, sum(Settling::in_all));
        freeze();
        let _place = self.enter(Arc::clone(&wanted));
        engine.maintenance.ring();
        loop {
            let left = sum(Settling::left);
            if left == 0 && engine.state().manifest().checkpoint_lsn() >= up_to {
                return Ok(());
            }
            interrupt.progress.set_left(left);
            status::sleep(LOOK_EVERY, interrupt).await;
            if interrupt.is_set() {
                return Err(SqlError::new(1317, "Query execution was interrupted"));
            }
        }
    }

    fn enter(&self, wanted: Arc<Vec<Settling>>) -> Place<'_> {
        self.queue().push_back(Arc::clone(&wanted));
        Place(self, wanted)
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<Arc<Vec<Settling>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.queue().retain(|other| !Arc::ptr_eq(other, &self.1));
    }
}
