//! A tailer in virtual time: what it costs when nothing happens, and how soon it sees what does.
#![allow(missing_docs, clippy::unwrap_used)]

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aquifer_cache::{BlockCache, BlockCacheConfig, RowCache, RowCacheConfig, TieredSource};
use aquifer_catalog::Catalog;
use aquifer_format::link::{LinkBuilder, LinkPosition};
use aquifer_format::{DeltaFlags, GroupBuilder, GroupView, Head, encode_delta, head_key, link_key};
use aquifer_lsm::Manifest;
use aquifer_objstore::{DirStore, Operation, Retry, Store, block_on};
use aquifer_reader::pace::{Bell, Clock, IDLE_PAUSE};
use aquifer_reader::{Lag, TailOptions, Tailer};
use aquifer_shard::chain::ChainState;
use aquifer_shard::dead::DeadIndexes;
use aquifer_shard::engine::{Engine, EngineParts};
use aquifer_shard::error::NodeResult;
use aquifer_shard::homes::Homes;
use aquifer_shard::queue::mailboxes;
use aquifer_shard::replay::Memtables;
use aquifer_txn::Views;
use aquifer_types::{BranchName, Epoch, LinkSeq, Lsn};

const OPTIONS: TailOptions = TailOptions {
    pin: None,
    probe_interval_min: Duration::from_millis(50),
    staleness_max: Duration::from_secs(2),
    memtable_bytes: 1 << 20,
};
const HOUR: Duration = Duration::from_secs(3600);

/// Does something at each pause: given the moment, the pause and the bell. `false` ends the tailer.
type AtPause = Box<dyn FnMut(Duration, Duration, &Bell) -> bool + Send>;

struct VirtualClock {
    now: Arc<Mutex<Duration>>,
    at_pause: Mutex<AtPause>,
    stop: Arc<AtomicBool>,
}

impl Clock for VirtualClock {
    fn now(&self) -> Duration {
        *self.now.lock().unwrap()
    }

    fn sleep(&self, pause: Duration, bell: &Bell) {
        let at = self.now();
        *self.now.lock().unwrap() = at + pause;
        if !(self.at_pause.lock().unwrap())(at, pause, bell) {
            self.stop.store(true, Ordering::Release);
        }
    }
}

/// A chain that a test adds links to.
#[derive(Clone)]
struct Chain {
    store: Store,
    next: Arc<Mutex<LinkPosition>>,
}

impl Chain {
    fn new(base: &Path) -> Self {
        let backend = Arc::new(DirStore::open(base, Default::default()).unwrap());
        let store = Store::with_backend(backend, Retry::default()).unwrap();
        let next = ChainState::empty(&BranchName::main()).next;
        Self { store, next: Arc::new(Mutex::new(next)) }
    }

    fn publish(&self) -> Lsn {
        let mut next = self.next.lock().unwrap();
        let lsn = next.previous_lsn.next();
        let mut builder = LinkBuilder::new(next.clone());
        builder.push_group(&group(lsn)).unwrap();
        let (bytes, digest) = builder.finish(lsn, 1).unwrap();
        block_on(self.store.put_if_absent(&link_key("", &next.branch, next.seq), bytes)).unwrap();
        (next.seq, next.previous, next.previous_lsn) = (next.seq.next(), digest, lsn);
        lsn
    }

    fn engine(&self) -> Arc<Engine> {
        let blocks = BlockCache::new(&BlockCacheConfig::with_bytes(1 << 20));
        Engine::new(EngineParts {
            store: self.store.clone(),
            branch: BranchName::main(),
            cluster_uuid: String::new(),
            source: Arc::new(TieredSource::new(Arc::new(self.store.clone()), Arc::new(blocks), None)),
            rows: Arc::new(RowCache::new(RowCacheConfig::with_bytes(1 << 20), Lsn(0))),
            views: Views::new(1, Lsn(0)),
            manifest: Manifest::new(),
            memtables: Memtables::default(),
            catalog: Arc::new(Catalog::from_rows(Lsn(0), Vec::new()).unwrap()),
            dead: DeadIndexes::default(),
            temporary: None,
        })
    }

    /// Runs a tailer from the chain's beginning until `at_pause` says no.
    fn tail(&self, engine: &Arc<Engine>, at_pause: AtPause) -> NodeResult<()> {
        let (senders, _receivers) = mailboxes(1, 16);
        let homes = Homes::new(senders, Arc::clone(&engine.views));
        let stop = Arc::new(AtomicBool::new(false));
        let clock =
            VirtualClock { now: Arc::default(), at_pause: Mutex::new(at_pause), stop: Arc::clone(&stop) };
        let state = ChainState::empty(&BranchName::main());
        let bell = Arc::new(Bell::default());
        let (engine, lag) = (Arc::clone(engine), Lag::default());
        let (chain, options, clock) = (state, OPTIONS, Box::new(clock));
        Tailer { engine, homes, chain, options, lag, bell, clock, stop }.run()
    }

    fn requests(&self) -> u64 {
        let snapshot = self.store.meter().snapshot();
        Operation::ALL.iter().map(|operation| snapshot.of(*operation).requests).sum()
    }
}

fn group(lsn: Lsn) -> GroupView {
    let write = [(b"\x00\x00\x10\x00key".as_slice(), Some(b"value".as_slice()))];
    let mut builder = GroupBuilder::new(lsn, Epoch(0));
    builder.push(encode_delta(write, DeltaFlags::NONE, 1).unwrap());
    GroupView::parse(builder.finish().unwrap()).unwrap()
}

#[test]
fn idle_reader_makes_at_most_eight_requests_an_hour() {
    let base = tempfile::tempdir().unwrap();
    let chain = Chain::new(base.path());
    chain.publish();
    let hours: Arc<Mutex<Vec<u64>>> = Arc::default();
    let (seen, counted) = (chain.clone(), Arc::clone(&hours));
    let at_pause: AtPause = Box::new(move |at, _, _| {
        let mut hours = counted.lock().unwrap();
        let hour = at.as_secs() / HOUR.as_secs();
        while (hours.len() as u64) <= hour {
            hours.push(seen.requests());
        }
        hour < 24
    });
    chain.tail(&chain.engine(), at_pause).unwrap();
    let hours = hours.lock().unwrap();
    let each: Vec<u64> = hours.windows(2).map(|pair| pair[1] - pair[0]).collect();
    println!("requests in each hour: {each:?}");
    // The first hour begins with a minute of attention.
    assert!(each[0] <= 60, "{each:?}");
    assert!(each[1..].iter().all(|requests| *requests <= 8), "{each:?}");
}

#[test]
fn statement_on_a_sleeping_reader_sees_what_the_chain_has() {
    let base = tempfile::tempdir().unwrap();
    let chain = Chain::new(base.path());
    chain.publish();
    let engine = chain.engine();
    let (writer, views) = (chain.clone(), Arc::clone(&engine.views));
    let mut asked = None;
    let at_pause: AtPause = Box::new(move |_, pause, bell| {
        if let Some((lsn, receiver)) = asked.take() {
            let mut receiver: futures_channel::oneshot::Receiver<()> = receiver;
            assert_eq!(receiver.try_recv().unwrap(), Some(()), "one probe later it is answered");
            assert_eq!(views.visible(), lsn);
            return false;
        }
        if pause == IDLE_PAUSE {
            // It sleeps long: a commit comes, and then somebody asks.
            let lsn = writer.publish();
            asked = Some((lsn, bell.statement().expect("it sleeps")));
        }
        true
    });
    chain.tail(&engine, at_pause).unwrap();
    assert_eq!(engine.views.visible(), Lsn(2));
}

#[test]
fn statements_keep_the_pauses_short_and_wait_for_nothing() {
    let base = tempfile::tempdir().unwrap();
    let chain = Chain::new(base.path());
    let at_pause: AtPause = Box::new(|at, pause, bell| {
        assert!(pause <= OPTIONS.staleness_max, "{pause:?} at {at:?}");
        assert!(bell.statement().is_none());
        at < HOUR
    });
    chain.tail(&chain.engine(), at_pause).unwrap();
}

#[test]
fn link_after_a_quiet_night_makes_the_reader_attentive() {
    let base = tempfile::tempdir().unwrap();
    let chain = Chain::new(base.path());
    let writer = chain.clone();
    let mut published = false;
    let at_pause: AtPause = Box::new(move |_, pause, _| {
        if published {
            assert_eq!(pause, OPTIONS.probe_interval_min);
            return false;
        }
        if pause == IDLE_PAUSE {
            writer.publish();
            published = true;
        }
        true
    });
    chain.tail(&chain.engine(), at_pause).unwrap();
}

#[test]
fn reader_that_was_passed_by_ends_with_an_error_and_not_at_a_false_tail() {
    let base = tempfile::tempdir().unwrap();
    let chain = Chain::new(base.path());
    chain.publish();
    let writer = chain.clone();
    let mut passed = false;
    let at_pause: AtPause = Box::new(move |_, pause, _| {
        if pause == IDLE_PAUSE && !passed {
            passed = true;
            for seq in 1..=4 {
                writer.publish();
                block_on(writer.store.delete(&link_key("", &BranchName::main(), LinkSeq(seq)))).unwrap();
            }
            let seq = LinkSeq(5);
            let head = Head { checkpoint_seq: seq, link_seq: seq, epoch: Epoch(0), written_micros: 1 };
            block_on(writer.store.put(&head_key("", &BranchName::main()), head.encode())).unwrap();
        }
        true
    });
    let error = chain.tail(&chain.engine(), at_pause).unwrap_err();
    assert!(error.to_string().contains("has been deleted"), "{error}");
}
