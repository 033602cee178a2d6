//! The outbox: where tables and edits go while the store is away, so that flushes and with them commits go
//! on (ADR 0100).
//!
//! What a flush does, by the state of the store:
//!
//! 1. **There.** The table is PUT, the edit is queued for publishing, and comes into force on this node when
//!    it is in the chain.
//! 2. **Away.** The table becomes a file here and reads find it there. The edit becomes a file too, durably;
//!    then it comes into force on this node and is queued. Its memtable is free.
//! 3. **Back.** The publisher takes its queue in order. For an edit of case 2 it first PUTs the tables, then
//!    publishes the link, then the files go.
//!
//! A flush that finds the store away in the middle of case 1 goes on with case 2. Compactions do not wait
//! here: one that needs the store fails and is made again later; one whose edit waits in the queue takes
//! effect at once and is not recorded, so that after a crash it has never been.
//!
//! Invariants:
//! * Flush edits come into force in the order of their checkpoint LSNs, and each that came into force
//!   before it was published is recorded here. So a start may apply the recorded ones to the chain's manifest.
//! * The commit log keeps what is not published. So the whole directory can be lost without loss.

mod dir;
mod watch;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use aquifer_format::{ManifestEdit, sst_key};
use aquifer_objstore::StoreErrorKind;
use aquifer_shard::engine::Engine;
use aquifer_shard::error::{NodeError, NodeResult};
use aquifer_shard::event;
use aquifer_shard::ticker::Ticker;
use aquifer_types::{ErrorKind, SstId};
use bytes::Bytes;
use futures_channel::oneshot;
use futures_util::future::{Either, select};

pub use dir::{FoundEdit, OutboxDir};
pub use watch::StoreWatch;

use crate::publisher::Publisher;

/// How often a wait for the store looks whether it is away.
const LOOK: Duration = Duration::from_millis(100);

/// A table's PUT counts as unanswered after this, and a second for each MiB.
const PUT_PATIENCE: Duration = Duration::from_secs(10);

/// A table whose edit has not come by then belongs to work that was given up.
const TAKEN_MAX: Duration = Duration::from_secs(24 * 3600);

/// Stored index and filter of tables that an edit adds.
pub type Metas = HashMap<SstId, Bytes>;

/// What a table or an edit comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A memtable: goes on without the store.
    Flush,
    /// Other tables: waits for the store.
    Compaction,
    /// A build of indexes, whose edit must be in the chain before their definitions are in the log: waits for the
    /// store, and is given up when that is away.
    Load,
}

/// Takes tables and edits from maintenance and sees to it that they get to the store. Cheap to clone.
#[derive(Clone)]
pub struct Outbox {
    engine: Arc<Engine>,
    publisher: Publisher,
    ticker: Ticker,
    dir: Arc<OutboxDir>,
    /// Tables that were taken and whose edits are not in force yet, with the time.
    taken: Arc<Mutex<HashMap<SstId, Instant>>>,
}

/// How far an edit has come.
#[derive(Default)]
struct Progress {
    in_force: bool,
    /// Its number in the directory.
    recorded: Option<u64>,
}

impl Outbox {
    /// An outbox in front of `publisher`.
    #[must_use]
    pub fn new(engine: Arc<Engine>, publisher: Publisher, ticker: Ticker, dir: Arc<OutboxDir>) -> Self {
        Self { engine, publisher, ticker, dir, taken: Arc::default() }
    }

    /// Whether the store takes nothing at present: then only flushes make sense.
    #[must_use]
    pub fn is_away(&self) -> bool {
        self.publisher.watch().is_away()
    }

    /// Waits for something that the store has to answer, but not while it is away: flushes must go on.
    ///
    /// # Errors
    /// `Unavailable` when the store is away.
    pub async fn unless_away<T>(&self, answer: impl Future<Output = T>) -> NodeResult<T> {
        let mut answer = Box::pin(answer);
        loop {
            match select(answer, self.ticker.sleep(LOOK)).await {
                Either::Left((answer, _)) => return Ok(answer),
                Either::Right(_) if self.is_away() => {
                    return Err(NodeError::new(ErrorKind::Unavailable, "the store is away"));
                }
                Either::Right((_, unfinished)) => answer = unfinished,
            }
        }
    }

    /// Tables that have been brought here and are in no manifest yet: collection must not touch them.
    #[must_use]
    pub fn on_their_way(&self) -> HashSet<SstId> {
        self.taken().keys().copied().collect()
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<SstId, Instant>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings a table to the store or, if it is away and the table comes from a flush, to the disk.
    ///
    /// # Errors
    /// `Unavailable` when the store is away (compaction) or the disk cannot be written (flush); what the
    /// store refuses with.
    pub async fn table(&self, id: SstId, object: Bytes, origin: Origin) -> NodeResult<()> {
        let now = Instant::now();
        self.taken().retain(|_, since| now - *since < TAKEN_MAX);
        self.taken().insert(id, now);
        let key = sst_key("", id);
        if !self.is_away() && self.put(&key, &object).await? {
            return Ok(());
        }
        if origin != Origin::Flush {
            return Err(NodeError::new(ErrorKind::Unavailable, "the store is away"));
        }
        self.dir.add_table(id, &object)?;
        self.engine.store.waiting().insert(&key, self.dir.table_path(id));
        Ok(())
    }

    /// `false`: the store is away.
    async fn put(&self, key: &str, object: &Bytes) -> NodeResult<bool> {
        let patience = PUT_PATIENCE + Duration::from_secs(object.len() as u64 >> 20);
        let begun = Instant::now();
        let mut put = Box::pin(self.engine.store.put(key, object.clone()));
        loop {
            match select(put, self.ticker.sleep(LOOK)).await {
                Either::Left((Ok(()), _)) => return Ok(true),
                Either::Left((Err(error), _)) if error.kind() == StoreErrorKind::Unavailable => {
                    self.publisher.watch().failed(&error);
                    return Ok(false);
                }
                Either::Left((Err(error), _)) => return Err(error.into()),
                // The PUT may still succeed later: the same bytes under the same name.
                Either::Right((_, _)) if self.is_away() => return Ok(false),
                Either::Right((_, _)) if begun.elapsed() > patience => {
                    self.publisher.watch().failed(&format!("{key}: no answer"));
                    return Ok(false);
                }
                Either::Right((_, unfinished)) => put = unfinished,
            }
        }
    }

    /// Publishes an edit whose tables were taken by [`Outbox::table`]. On return it is in force on this node,
    /// and in the chain or, while the store is away, on its way there. With `metas` no read fetches them.
    ///
    /// # Errors
    /// `Interrupted` when the publisher has ended, `Unavailable` when the disk cannot be written.
    pub async fn edit(&self, edit: ManifestEdit, metas: Metas, origin: Origin) -> NodeResult<()> {
        let ids: Vec<SstId> = edit.added.iter().map(|meta| meta.sst_id()).collect();
        self.bring_in_force(edit, Arc::new(metas), origin).await?;
        let mut taken = self.taken();
        ids.iter().for_each(|id| {
            taken.remove(id);
        });
        Ok(())
    }

    async fn bring_in_force(&self, edit: ManifestEdit, metas: Arc<Metas>, origin: Origin) -> NodeResult<()> {
        let here: Vec<SstId> =
            edit.added.iter().map(|meta| meta.sst_id()).filter(|id| self.dir.has(*id)).collect();
        let progress = Arc::new(Mutex::new(Progress::default()));
        if !here.is_empty() {
            self.put_in_force(&edit, &metas, origin, &mut lock(&progress))?;
        }
        let mut published = self.queue(edit.clone(), &metas, here, &progress);
        loop {
            if lock(&progress).in_force {
                return Ok(());
            }
            match select(published, self.ticker.sleep(LOOK)).await {
                Either::Left((Ok(()), _)) => return Ok(()),
                Either::Left((Err(_), _)) => {
                    return Err(NodeError::new(ErrorKind::Interrupted, "the publisher has stopped"));
                }
                Either::Right((_, unfinished)) => published = unfinished,
            }
            if self.is_away() && origin == Origin::Load {
                return Err(NodeError::new(ErrorKind::Unavailable, "the store is away"));
            }
            if self.is_away() {
                self.put_in_force(&edit, &metas, origin, &mut lock(&progress))?;
            }
        }
    }

    /// Case 2 of the module, unless the edit is in force already.
    fn put_in_force(
        &self,
        edit: &ManifestEdit,
        metas: &Metas,
        origin: Origin,
        progress: &mut Progress,
    ) -> NodeResult<()> {
        if progress.in_force {
            return Ok(());
        }
        if origin == Origin::Flush {
            progress.recorded = Some(self.dir.add_edit(edit)?);
        }
        install(&self.engine, edit, metas);
        progress.in_force = true;
        Ok(())
    }

    fn queue(
        &self,
        edit: ManifestEdit,
        metas: &Arc<Metas>,
        here: Vec<SstId>,
        progress: &Arc<Mutex<Progress>>,
    ) -> oneshot::Receiver<()> {
        let (sender, done) = oneshot::channel();
        let (engine, dir, progress) = (Arc::clone(&self.engine), Arc::clone(&self.dir), Arc::clone(progress));
        let (installed, sent, metas) = (edit.clone(), here.clone(), Arc::clone(metas));
        self.publisher.push_edit(
            edit,
            here,
            Box::new(move |_| {
                let mut progress = lock(&progress);
                if !std::mem::replace(&mut progress.in_force, true) {
                    install(&engine, &installed, &metas);
                }
                discard(&engine, &dir, progress.recorded.take(), &sent);
                let _ = sender.send(());
            }),
        );
        done
    }

    /// Queues what a start found and has put in force.
    pub fn queue_found(&self, found: FoundEdit) {
        let progress = Progress { in_force: true, recorded: Some(found.number) };
        // Nobody waits: the edit is in force.
        drop(self.queue(found.edit, &Arc::default(), found.tables, &Arc::new(Mutex::new(progress))));
    }
}

fn lock(progress: &Mutex<Progress>) -> MutexGuard<'_, Progress> {
    progress.lock().unwrap_or_else(PoisonError::into_inner)
}

fn install(engine: &Engine, edit: &ManifestEdit, metas: &Metas) {
    if let Err(error) = engine.install_edit_with(edit, metas) {
        event::error(&format!("broken invariant: an edit of this writer does not fit the manifest: {error}"));
        std::process::abort();
    }
}

/// Removes the files of an edit that is in the chain: the edit first, so that a start never finds one without
/// its tables.
fn discard(engine: &Engine, dir: &OutboxDir, recorded: Option<u64>, tables: &[SstId]) {
    let removed = recorded.map_or(Ok(()), |number| dir.remove_edit(number)).and_then(|()| {
        tables.iter().try_for_each(|id| {
            engine.store.waiting().remove(&sst_key("", *id));
            dir.remove_table(*id)
        })
    });
    if let Err(error) = removed {
        event::warn(&format!("a file of the outbox stays behind until the next start: {error}"));
    }
}
