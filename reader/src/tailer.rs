//! The tailer: a thread that follows the chain and applies what it finds.
//!
//! A link is applied as a whole: its groups go into the memtable and the row cache, the tables of its large
//! transactions into the manifest, then everything up to its last LSN becomes visible at once, and then its other
//! edits go into the manifest, which may have dropped what was visible before. The tailer is the only thread
//! that changes the memtable, so it is the home of every row of this node.
//!
//! How often it asks for the next link is in [`crate::pace`]. A link that is missing is the tail, unless the
//! reader was away for so long that the link has come and gone: after a gap, and from time to time, it asks the
//! head.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aquifer_format::{DeltaView, ForkRecord, GroupView, Link, ManifestEdit, Pin, pin_key};
use aquifer_objstore::{Store, block_on};
use aquifer_shard::chain::{self, ChainState};
use aquifer_shard::engine::Engine;
use aquifer_shard::error::{NodeError, NodeResult};
use aquifer_shard::event;
use aquifer_shard::homes::Homes;
use aquifer_shard::local::apply;
use aquifer_shard::replay::{Memtables, Replay};
use aquifer_types::{BranchName, ErrorKind, LinkSeq, Lsn};
use futures_channel::oneshot;
use hdrhistogram::Histogram;

use crate::pace::{Bell, Clock, GAP, Pace};

/// How a reader follows the chain.
#[derive(Clone, Debug)]
pub struct TailOptions {
    /// Pause between probes while there is traffic. Smaller: less lag, more GET requests.
    pub probe_interval_min: Duration,
    /// How old the answer of a statement may be: while statements run, the reader asks for the next link at
    /// least so often. Smaller: less lag when links come rarely, more GET requests.
    pub staleness_max: Duration,
    /// A memtable is frozen at this size; it goes when the writer has flushed what it holds.
    pub memtable_bytes: usize,
    /// The name of a pin: its state is served, and nothing is followed.
    pub pin: Option<BranchName>,
}

/// How far the reader is behind the writer: time from a link's creation until it is visible here, by the
/// clocks of both machines.
#[derive(Clone, Default)]
pub struct Lag(Arc<Mutex<LagState>>);

struct LagState {
    micros: Histogram<u64>,
    last_link: LinkSeq,
    links: u64,
}

impl Default for LagState {
    fn default() -> Self {
        // Three significant digits and bounds that grow as needed: always legal.
        #[allow(clippy::expect_used)]
        let micros = Histogram::new(3).expect("three digits are legal");
        Self { micros, last_link: LinkSeq(0), links: 0 }
    }
}

impl Lag {
    fn record(&self, link: &Link) {
        let micros = event::wall_micros().saturating_sub(link.header.wall_micros);
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.micros.record(micros.max(1)).unwrap_or_default();
        state.last_link = link.header.seq;
        state.links += 1;
    }

    /// Names and values for SHOW GLOBAL STATUS.
    #[must_use]
    pub fn status(&self) -> Vec<(String, String)> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let millis = |quantile: f64| {
            let micros = state.micros.value_at_quantile(quantile);
            format!("{}.{:03}", micros / 1000, micros % 1000)
        };
        vec![
            ("Aquifer_reader_lag_p50_ms".to_owned(), millis(0.5)),
            ("Aquifer_reader_lag_p99_ms".to_owned(), millis(0.99)),
            ("Aquifer_reader_links".to_owned(), state.links.to_string()),
            ("Aquifer_reader_last_link".to_owned(), state.last_link.to_string()),
        ]
    }
}

/// What a reader starts from.
pub struct Opened {
    /// The chain up to its end at this moment.
    pub chain: ChainState,
    /// What is not in tables.
    pub memtables: Memtables,
}

/// Reads a branch up to its end.
///
/// # Errors
/// `Corrupt` naming the object; `Unavailable`.
pub async fn open(store: &Store, branch: &BranchName) -> NodeResult<Opened> {
    let mut replay = Replay::new("opening");
    let chain = chain::open(store, branch, &mut replay).await?;
    Ok(Opened { memtables: replay.finish(chain.manifest.checkpoint_lsn()), chain })
}

/// Reads the state that a pin names.
///
/// # Errors
/// `Invalid` when there is no such pin, otherwise as [`open`].
pub async fn open_pin(store: &Store, name: &BranchName) -> NodeResult<(Pin, Opened)> {
    let key = pin_key("", name);
    let object = store.get(&key).await.map_err(|error| match error.is_not_found() {
        true => NodeError::new(
            ErrorKind::Invalid,
            format!("there is no pin {name} at {}; `aquifer inspect pins` lists them", store.location()),
        ),
        false => error.into(),
    })?;
    let pin = Pin::decode(object, &key)?;
    let at = ForkRecord { parent: pin.branch.clone(), parent_seq: pin.seq, lsn: pin.lsn };
    let mut replay = Replay::new("opening");
    let chain = chain::open_at(store, &at, &mut replay).await?;
    Ok((pin, Opened { memtables: replay.finish(chain.manifest.checkpoint_lsn()), chain }))
}

/// The tailer's state: it goes on where `chain` ends.
pub struct Tailer {
    /// The node's storage.
    pub engine: Arc<Engine>,
    /// Told what is visible.
    pub homes: Arc<Homes>,
    /// What was read of the chain so far.
    pub chain: ChainState,
    /// How often it looks.
    pub options: TailOptions,
    /// Told how far behind it is.
    pub lag: Lag,
    /// Rung by those who want to see more, and after `stop` was set.
    pub bell: Arc<Bell>,
    /// Time.
    pub clock: Box<dyn Clock>,
    /// Ends it soon after it is set and the bell rung.
    pub stop: Arc<AtomicBool>,
}

impl Tailer {
    /// Follows the chain until stopped.
    ///
    /// # Errors
    /// `Corrupt` when a link cannot be trusted or the chain has been collected beyond this reader's place: what
    /// was visible before stays right, but nothing newer can be served. A store that is away is waited for.
    pub fn run(mut self) -> NodeResult<()> {
        let mut pace = Pace::new(&self.options, self.clock.now());
        let (mut away, mut answered) = (false, self.clock.now());
        let mut waiting = Vec::new();
        while !self.stop.load(Ordering::Acquire) {
            waiting.extend(self.bell.take_waiting());
            let gap = self.clock.now().saturating_sub(answered);
            match self.probe(gap) {
                Ok(found) => {
                    answered = self.clock.now();
                    away = false;
                    if let Some(link) = found {
                        self.apply(&link)?;
                        pace.link(answered);
                        continue;
                    }
                }
                Err(error) if error.kind() == ErrorKind::Unavailable => {
                    if !std::mem::replace(&mut away, true) {
                        event::warn(&format!("the store is away, serving what is here: {error}"));
                    }
                }
                Err(error) => return Err(error),
            }
            // Those who wait may have gone.
            for waiting in waiting.drain(..) {
                let _: Result<(), ()> = oneshot::Sender::send(waiting, ());
            }
            let pause = pace.pause(self.clock.now(), &self.bell);
            self.bell.set_asleep(pace.is_long(pause));
            self.clock.sleep(pause, &self.bell);
            self.bell.set_asleep(false);
        }
        Ok(())
    }

    /// The next link, if there is one. `gap`: how long the store has not been heard.
    fn probe(&self, gap: Duration) -> NodeResult<Option<Link>> {
        if self.options.pin.is_some() {
            return Ok(None);
        }
        let store = &self.engine.store;
        let found = block_on(chain::next_link(store, &self.chain))?;
        if found.is_some() || gap < GAP {
            return Ok(found);
        }
        let head = block_on(chain::read_head(store, &self.chain.next.branch))?;
        if head.is_none_or(|head| head.link_seq < self.chain.next.seq) {
            return Ok(None);
        }
        // It may have been created between the two answers.
        let found = block_on(chain::next_link(store, &self.chain))?;
        if found.is_none() {
            let (seq, branch) = (self.chain.next.seq, &self.chain.next.branch);
            return Err(NodeError::corrupt(format!(
                "this reader was away for longer than the store keeps links: link {seq} of branch {branch} has \
                 been deleted; start it again"
            )));
        }
        Ok(found)
    }

    fn apply(&mut self, link: &Link) -> NodeResult<()> {
        if self.engine.memtable_bytes() >= self.options.memtable_bytes {
            self.engine.freeze_memtable(self.chain.last_lsn());
        }
        let spilled: Vec<ManifestEdit> = link.groups().flat_map(GroupView::spilled_edits).collect();
        for edit in &spilled {
            self.install_spilled(edit)?;
        }
        for group in link.groups() {
            self.engine.install_catalog_changes(group)?;
            self.apply_group(group);
        }
        self.chain.advance(link)?;
        self.homes.applied_everywhere(self.chain.last_lsn());
        for edit in link.edits().filter(|edit| !spilled.contains(edit)) {
            self.engine.install_edit(edit)?;
        }
        self.lag.record(link);
        Ok(())
    }

    /// Memtables are cut before each large transaction; see [`aquifer_shard::replay`].
    fn apply_group(&self, group: &GroupView) {
        let apply_all = |deltas: &mut dyn Iterator<Item = (Lsn, DeltaView)>| {
            apply(&self.engine.active_memtable(), deltas, &self.engine.rows, |_| true);
        };
        let mut rest = group.iter().peekable();
        while let Some((lsn, first)) = rest.next() {
            if first.is_spilled() {
                self.engine.freeze_memtable(Lsn(lsn.0 - 1));
            }
            let others = std::iter::from_fn(|| rest.next_if(|(_, delta)| !delta.is_spilled()));
            apply_all(&mut std::iter::once((lsn, first)).chain(others));
        }
    }

    /// The tables of a large transaction, before it is visible.
    fn install_spilled(&self, edit: &ManifestEdit) -> NodeResult<()> {
        let rows = &self.engine.rows;
        let fills = rows.hold_fills();
        rows.remove_where(|key| {
            edit.added.iter().any(|table| *table.smallest_key <= *key && *key <= *table.largest_key)
        });
        self.engine.install_edit(edit)?;
        if let Some(table) = edit.added.first() {
            fills.release(Lsn(table.commit_lsn));
        }
        Ok(())
    }
}
