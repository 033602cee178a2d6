//! Writes of a large transaction on their way into tables that nobody else reads before it commits (ADR 0149).
//!
//! A [`Spill`] belongs to one transaction. It holds *layers*: the writes between two points of the write set, as
//! tables. A later layer is on top of an earlier one. What is undone takes whole layers away, so a layer begins at
//! every point that can be returned to. [`Spill::finish`] makes one sorted run of all layers.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aquifer_format::{ManifestEdit, SstMeta};
use aquifer_lsm::{Manifest, Memtable, ReadState, Retention, Rewrite, RewriteOptions, Table};
use aquifer_shard::engine::Spilled;
use aquifer_shard::error::{NodeError, NodeResult};
use aquifer_shard::event;
use aquifer_txn::{Segment, Write, WriteSetPoint};
use aquifer_types::{ErrorKind, Lsn, SstId};
use bytes::Bytes;

use crate::build::{Written, new_ids};
use crate::load::Loads;

/// Collection leaves tables alone for a day that are on their way into the manifest.
const AGE_MAX: Duration = Duration::from_secs(20 * 3600);

/// LSNs of own writes, above all that are committed: the transaction sees them on top.
const OWN_LSNS: u64 = 1 << 56;

/// See the module.
pub struct Spill {
    loads: Arc<Loads>,
    layers: Vec<Layer>,
    /// All layers, for reads at any LSN.
    state: Arc<ReadState>,
    /// The LSN that the next layer's entries are stored with: only their order counts.
    next: u64,
    begun: Instant,
}

struct Layer {
    from: WriteSetPoint,
    to: WriteSetPoint,
    number: u64,
    tables: Vec<Written>,
}

impl Spill {
    /// Without layers.
    #[must_use]
    pub fn new(loads: &Arc<Loads>) -> Self {
        let state = state_of(Manifest::new());
        Self { loads: Arc::clone(loads), layers: Vec::new(), state, next: 1, begun: Instant::now() }
    }

    /// All layers.
    #[must_use]
    pub fn state(&self) -> &Arc<ReadState> {
        &self.state
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }

    /// Puts layers on top, in order. When it fails none is there.
    ///
    /// # Errors
    /// `Unavailable` when the store is away; what it refuses with.
    pub async fn add(&mut self, segments: Vec<Segment>) -> NodeResult<()> {
        let mut layers = Vec::with_capacity(segments.len());
        for (number, Segment { from, to, writes }) in (self.next..).zip(segments) {
            let tables = self.write(number, writes).await?;
            layers.push(Layer { from, to, number, tables });
        }
        let added = layers.iter().flat_map(|layer| layer.tables.iter().map(|table| layer.shown(table)));
        let manifest = with_tables(self.state.manifest(), added.collect(), &layers)?;
        self.state = state_of(manifest);
        self.next += layers.len() as u64;
        self.layers.extend(layers);
        Ok(())
    }

    async fn write(&self, number: u64, writes: BTreeMap<Bytes, Write>) -> NodeResult<Vec<Written>> {
        let rewrite = move || {
            let memtable = Memtable::new();
            for (key, write) in &writes {
                // What no table can hold is refused when it is written to the transaction.
                if let Err(error) = memtable.insert(key, Lsn(number), write.as_deref()) {
                    event::error(&format!("broken invariant: a spilled write has no place: {error}"));
                    std::process::abort();
                }
            }
            let options = RewriteOptions::flush(new_ids(), number, event::wall_micros());
            Rewrite::flush(&[Arc::new(memtable)], Retention::everything(), options)
        };
        self.loads.build(rewrite).await
    }

    /// Takes away what was written after `point`; its tables.
    ///
    /// # Errors
    /// A bug, when a layer holds writes from before and after the point.
    pub fn undo_to(&mut self, point: WriteSetPoint) -> NodeResult<Vec<Written>> {
        let kept = self.layers.partition_point(|layer| layer.from < point);
        if self.layers[..kept].last().is_some_and(|layer| layer.to > point) {
            return Err(NodeError::new(ErrorKind::Bug, "a savepoint lies within a layer"));
        }
        let gone = self.layers.split_off(kept);
        let removed =
            gone.iter().flat_map(|layer| layer.tables.iter().map(|table| layer.shown(table).to_ref()));
        let edit = ManifestEdit { removed: removed.collect(), ..ManifestEdit::default() };
        let manifest = self.state.manifest().apply(&edit).map_err(|error| does_not_fit(&error))?;
        self.state = state_of(manifest);
        Ok(gone.into_iter().flat_map(|layer| layer.tables).collect())
    }

    /// The tables of all layers.
    #[must_use]
    pub fn into_tables(self) -> Vec<Written> {
        self.layers.into_iter().flat_map(|layer| layer.tables).collect()
    }

    /// Makes one sorted run of everything, ready to be part of the database; and what is left over of the layers.
    ///
    /// # Errors
    /// As [`Spill::add`]; `Interrupted` when the writer stops; `Invalid` when the transaction is so old that collection may
    /// have taken its tables.
    pub async fn finish(&mut self) -> NodeResult<(Spilled, Vec<Written>)> {
        if self.begun.elapsed() > AGE_MAX {
            let text =
                "a transaction that is larger than memory must end within 20 hours; this one is rolled back";
            return Err(NodeError::new(ErrorKind::Invalid, text));
        }
        let mut tables: Vec<Written> = self.layers.iter().flat_map(|layer| layer.tables.clone()).collect();
        tables.sort_by(|left, right| left.info.smallest.cmp(&right.info.smallest));
        let mut parts = Vec::new();
        if tables.windows(2).any(|pair| pair[0].info.largest >= pair[1].info.smallest) {
            let runs = self.stored_runs()?;
            let merge = move || {
                let options = RewriteOptions::flush(new_ids(), 0, event::wall_micros());
                Rewrite::merge(&runs, Retention::newest(), options)
            };
            parts = std::mem::replace(&mut tables, self.loads.build(merge).await?);
        }
        let spilled = self.loads.hand_over(tables).await?;
        Ok((spilled, parts))
    }

    /// The layers' runs, newest first, with the LSNs that are stored in them.
    fn stored_runs(&self) -> NodeResult<Vec<Arc<Vec<Arc<Table>>>>> {
        let added = self.layers.iter().flat_map(|layer| layer.tables.iter().map(|table| layer.stored(table)));
        let manifest = with_tables(&Manifest::new(), added.collect(), &self.layers)?;
        Ok(manifest.runs().iter().map(|run| Arc::clone(run.tables())).collect())
    }
}

impl Layer {
    /// A table as a merge of layers sees it.
    fn stored(&self, table: &Written) -> SstMeta {
        SstMeta { run: self.number, ..SstMeta::from(&table.info) }
    }

    /// A table as the transaction sees it.
    fn shown(&self, table: &Written) -> SstMeta {
        SstMeta { commit_lsn: OWN_LSNS + self.number, ..self.stored(table) }
    }

    fn metas(&self) -> impl Iterator<Item = (SstId, Bytes)> + '_ {
        self.tables.iter().map(|table| (table.info.id, table.meta.clone()))
    }
}

/// A manifest with tables of layers, whose indexes and filters are in memory.
fn with_tables(manifest: &Manifest, added: Vec<SstMeta>, layers: &[Layer]) -> NodeResult<Manifest> {
    let edit = ManifestEdit { added, ..ManifestEdit::default() };
    let manifest = manifest.apply(&edit).map_err(|error| does_not_fit(&error))?;
    let metas: HashMap<SstId, Bytes> = layers.iter().flat_map(Layer::metas).collect();
    for table in manifest.tables() {
        if let Some(meta) = metas.get(&table.id()) {
            table.install_meta(meta.clone()).map_err(|error| does_not_fit(&error))?;
        }
    }
    Ok(manifest)
}

fn state_of(manifest: Manifest) -> Arc<ReadState> {
    Arc::new(ReadState::new(Arc::default(), Vec::new(), Arc::new(manifest)))
}

fn does_not_fit(error: &dyn std::fmt::Display) -> NodeError {
    NodeError::new(ErrorKind::Bug, format!("tables of a transaction do not fit together: {error}"))
}
