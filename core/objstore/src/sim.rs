//! S3 in memory: latency, bandwidth, request limits and faults, all decided by one seed.
//!
//! What it imitates:
//! * Each request takes a log-normal time, one in a thousand five times as long, and its bytes at the bandwidth
//!   of one connection ([`SimProfile`]).
//! * Past so many requests a second under one prefix (the key up to its last `/`) the answer is 503.
//! * A conditional PUT is atomic: it takes effect at one moment, the end of its time.
//! * Faults that are planned for the next request of a kind, or that come at random ([`SimFault`]).
//!
//! Time is real, or virtual ([`SimTime`]): then nobody sleeps, and the clock goes on to the earliest request that
//! is under way as soon as no other work is left on the lane. Requests that are under way together overlap.
//!
//! It does not imitate: listings by page size (a page holds 1,000 keys as on S3), multipart, versions.

mod draw;
mod time;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::future::Future;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use crate::error::{StoreError, StoreErrorKind, StoreResult};
use crate::meter::Operation;
use crate::traits::{ObjectInfo, ObjectStore, Page, PutOutcome, StoreFuture};
use draw::Draws;
pub use time::SimTime;
use time::Timeline;

/// Keys in a page of a listing.
const PAGE_KEYS: usize = 1_000;

/// A log-normal distribution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogNormal {
    /// Half of the draws are below it.
    pub median_ms: f64,
    /// Standard deviation of the logarithm.
    pub sigma: f64,
}

/// How fast a store is and how much it takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SimProfile {
    /// PUT and DELETE.
    pub put: LogNormal,
    /// GET and HEAD.
    pub get: LogNormal,
    /// LIST.
    pub list: LogNormal,
    /// One request in so many is slow.
    pub slow_one_in: u64,
    /// By this factor.
    pub slow_factor: f64,
    /// Bandwidth of one connection.
    pub bytes_per_second: f64,
    /// PUT and DELETE a second under one prefix; more are answered 503.
    pub puts_per_second: u64,
    /// GET, HEAD and LIST a second under one prefix.
    pub gets_per_second: u64,
}

impl SimProfile {
    /// S3 Standard from a machine in the same region.
    pub const S3_STANDARD: Self = Self {
        put: LogNormal { median_ms: 28.0, sigma: 0.40 },
        get: LogNormal { median_ms: 24.5, sigma: 0.54 },
        list: LogNormal { median_ms: 25.0, sigma: 0.38 },
        slow_one_in: 1_000,
        slow_factor: 5.0,
        bytes_per_second: 50.0 * 1_048_576.0,
        puts_per_second: 3_500,
        gets_per_second: 5_500,
    };

    /// S3 Express One Zone: a fifth of the times.
    pub const S3_EXPRESS: Self = Self {
        put: LogNormal { median_ms: 5.6, sigma: 0.40 },
        get: LogNormal { median_ms: 4.9, sigma: 0.54 },
        list: LogNormal { median_ms: 5.0, sigma: 0.38 },
        ..Self::S3_STANDARD
    };

    fn of(&self, operation: Operation) -> LogNormal {
        match operation {
            Operation::Put | Operation::Delete => self.put,
            Operation::Get | Operation::Head => self.get,
            Operation::List => self.list,
        }
    }
}

/// What happens to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SimFault {
    /// It takes effect and its answer is lost.
    LostAnswer,
    /// A conditional PUT is refused because another one for the key is under way: 409, without effect.
    Conflict,
    /// A conditional PUT is told that there is an object, whether there is one or not: 412, without effect.
    Precondition,
    /// No answer within the client's patience, without effect.
    TimeOut,
    /// The connection is reset at once, without effect.
    Reset,
    /// A GET's body ends early, without an error.
    Truncated,
    /// A GET or HEAD is answered from before the newest write of the key.
    Stale,
    /// A GET or HEAD finds nothing.
    Missing,
    /// 503, slow down.
    SlowDown,
}

impl SimFault {
    fn fits(self, operation: Operation) -> bool {
        match self {
            Self::Conflict | Self::Precondition => operation == Operation::Put,
            Self::Truncated => operation == Operation::Get,
            Self::Stale | Self::Missing => matches!(operation, Operation::Get | Operation::Head),
            Self::LostAnswer | Self::TimeOut | Self::Reset | Self::SlowDown => true,
        }
    }
}

/// How long a client waits for an answer that does not come.
const TIME_OUT: Duration = Duration::from_secs(10);

/// How a simulated store is made.
#[derive(Clone, Debug)]
pub struct SimOptions {
    /// Decides every draw: requests in the same order get the same times and faults.
    pub seed: u64,
    /// How fast it is.
    pub profile: SimProfile,
    /// Whether anybody sleeps.
    pub time: SimTime,
    /// Faults at random, each with the number of requests in a million that it hits.
    pub random_faults: Vec<(SimFault, u32)>,
}

impl SimOptions {
    /// S3 Standard in virtual time without faults.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, profile: SimProfile::S3_STANDARD, time: SimTime::Virtual, random_faults: Vec::new() }
    }
}

/// See the module. Clones are the same store.
#[derive(Clone, Debug)]
pub struct SimStore(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    options: SimOptions,
    draws: Draws,
    timeline: Timeline,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    objects: BTreeMap<String, Stored>,
    planned: VecDeque<(Operation, SimFault)>,
    /// Requests in the present second, by prefix and kind of limit.
    rates: HashMap<(String, bool), (u64, u64)>,
    is_out: bool,
}

#[derive(Clone, Debug)]
struct Stored {
    bytes: Bytes,
    modified: Duration,
    /// What a stale read finds.
    before: Option<Bytes>,
}

impl SimStore {
    /// An empty store.
    #[must_use]
    pub fn new(options: SimOptions) -> Self {
        let (draws, timeline) = (Draws::new(options.seed), Timeline::new(options.time));
        Self(Arc::new(Shared { options, draws, timeline, state: Mutex::default() }))
    }

    /// Plans a fault for the next request of a kind that has none yet.
    pub fn inject(&self, operation: Operation, fault: SimFault) {
        self.state().planned.push_back((operation, fault));
    }

    /// Planned faults that have not happened yet.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.state().planned.len()
    }

    /// Resets every connection from now on, or no longer.
    pub fn set_outage(&self, is_out: bool) {
        self.state().is_out = is_out;
    }

    /// Time since the store was made, by its clock.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.0.timeline.now()
    }

    /// Bytes of all objects.
    #[must_use]
    pub fn stored_bytes(&self) -> u64 {
        self.state().objects.values().map(|object| object.bytes.len() as u64).sum()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One request: its fate, its time, its effect. `bytes` of an answer are known only after the effect.
    async fn request<T>(
        &self,
        operation: Operation,
        key: &str,
        sent_bytes: usize,
        effect: impl FnOnce(&mut State, Duration, Option<SimFault>) -> StoreResult<(T, usize)>,
    ) -> StoreResult<T> {
        let number = self.0.draws.next_number();
        let fault = self.fate(operation, key, number);
        if fault == Some(SimFault::Reset) {
            return Err(StoreError::unavailable("connection reset"));
        }
        let latency = self.latency(operation, number);
        if fault == Some(SimFault::TimeOut) {
            self.0.timeline.sleep(TIME_OUT).await;
            return Err(StoreError::unavailable("no answer in time"));
        }
        self.0.timeline.sleep(latency + self.transfer(sent_bytes)).await;
        match fault {
            Some(SimFault::SlowDown) => return Err(StoreError::unavailable("503 SlowDown")),
            Some(SimFault::Conflict) => {
                return Err(StoreError::unavailable("409 ConditionalRequestConflict"));
            }
            _ => {}
        }
        let (answer, received_bytes) = effect(&mut self.state(), self.now(), fault)?;
        self.0.timeline.sleep(self.transfer(received_bytes)).await;
        match fault {
            Some(SimFault::LostAnswer) => Err(StoreError::unavailable("the answer was lost")),
            _ => Ok(answer),
        }
    }

    /// What is going to happen to a request, if anything.
    fn fate(&self, operation: Operation, key: &str, number: u64) -> Option<SimFault> {
        let now = self.now();
        let mut state = self.state();
        if state.is_out {
            return Some(SimFault::Reset);
        }
        if let Some(at) = state.planned.iter().position(|(wanted, _)| *wanted == operation) {
            return state.planned.remove(at).map(|(_, fault)| fault);
        }
        if state.is_over_rate(&self.0.options.profile, operation, key, now) {
            return Some(SimFault::SlowDown);
        }
        let mut draw = self.0.draws.below(number, 0, 1_000_000);
        for (fault, per_million) in &self.0.options.random_faults {
            if draw < u64::from(*per_million) {
                return Some(*fault).filter(|fault| fault.fits(operation));
            }
            draw -= u64::from(*per_million);
        }
        None
    }

    fn latency(&self, operation: Operation, number: u64) -> Duration {
        let profile = &self.0.options.profile;
        let LogNormal { median_ms, sigma } = profile.of(operation);
        let slow = self.0.draws.below(number, 1, profile.slow_one_in.max(1)) == 0;
        let factor = if slow { profile.slow_factor } else { 1.0 };
        let ms = median_ms * (sigma * self.0.draws.normal(number, 2)).exp() * factor;
        Duration::from_secs_f64(ms / 1_000.0)
    }

    #[allow(clippy::cast_precision_loss)]
    fn transfer(&self, bytes: usize) -> Duration {
        Duration::from_secs_f64(bytes as f64 / self.0.options.profile.bytes_per_second)
    }

    async fn read(&self, key: &str, range: Option<Range<u64>>) -> StoreResult<Bytes> {
        let read = |state: &mut State, _, fault| {
            let mut bytes = state.visible(key, fault).ok_or_else(|| StoreError::not_found(key))?;
            if let Some(range) = range {
                bytes = cut(&bytes, &range)?;
            }
            if fault == Some(SimFault::Truncated) {
                bytes.truncate(bytes.len() / 2);
            }
            let length = bytes.len();
            Ok((bytes, length))
        };
        self.request(Operation::Get, key, 0, read).await
    }
}

impl State {
    /// The bytes that a read of a key gets.
    fn visible(&self, key: &str, fault: Option<SimFault>) -> Option<Bytes> {
        let stored = self.objects.get(key);
        match fault {
            Some(SimFault::Missing) => None,
            Some(SimFault::Stale) => stored.and_then(|stored| stored.before.clone()),
            _ => stored.map(|stored| stored.bytes.clone()),
        }
    }

    fn write(&mut self, key: &str, bytes: Bytes, now: Duration) {
        let before = self.objects.get(key).map(|stored| stored.bytes.clone());
        self.objects.insert(key.to_owned(), Stored { bytes, modified: now, before });
    }

    fn is_over_rate(&mut self, profile: &SimProfile, operation: Operation, key: &str, now: Duration) -> bool {
        let is_write = matches!(operation, Operation::Put | Operation::Delete);
        let prefix = key.rsplit_once('/').map_or("", |(prefix, _)| prefix).to_owned();
        let (second, count) = self.rates.entry((prefix, is_write)).or_default();
        if *second != now.as_secs() {
            (*second, *count) = (now.as_secs(), 0);
        }
        *count += 1;
        *count > if is_write { profile.puts_per_second } else { profile.gets_per_second }
    }
}

fn cut(bytes: &Bytes, range: &Range<u64>) -> StoreResult<Bytes> {
    let length = bytes.len() as u64;
    if range.start >= length {
        return Err(StoreError::new(StoreErrorKind::Invalid, "a range behind the end of the object"));
    }
    let index = |at: u64| usize::try_from(at.min(length)).unwrap_or(bytes.len());
    Ok(bytes.slice(index(range.start)..index(range.end)))
}

fn boxed<'a, T>(request: impl Future<Output = StoreResult<T>> + Send + 'a) -> StoreFuture<'a, T> {
    Box::pin(request)
}

impl ObjectStore for SimStore {
    fn location(&self) -> String {
        format!("simulation with seed {}", self.0.options.seed)
    }

    fn get<'a>(&'a self, key: &'a str) -> StoreFuture<'a, Bytes> {
        boxed(self.read(key, None))
    }

    fn get_range<'a>(&'a self, key: &'a str, range: Range<u64>) -> StoreFuture<'a, Bytes> {
        boxed(self.read(key, Some(range)))
    }

    fn put<'a>(&'a self, key: &'a str, bytes: Bytes) -> StoreFuture<'a, ()> {
        let sent = bytes.len();
        boxed(self.request(Operation::Put, key, sent, move |state, now, _| {
            state.write(key, bytes, now);
            Ok(((), 0))
        }))
    }

    fn put_if_absent<'a>(&'a self, key: &'a str, bytes: Bytes) -> StoreFuture<'a, PutOutcome> {
        let sent = bytes.len();
        boxed(self.request(Operation::Put, key, sent, move |state, now, fault| {
            if fault == Some(SimFault::Precondition) || state.objects.contains_key(key) {
                return Ok((PutOutcome::Exists, 0));
            }
            state.write(key, bytes, now);
            Ok((PutOutcome::Created, 0))
        }))
    }

    fn head<'a>(&'a self, key: &'a str) -> StoreFuture<'a, Option<u64>> {
        boxed(self.request(Operation::Head, key, 0, move |state, _, fault| {
            Ok((state.visible(key, fault).map(|bytes| bytes.len() as u64), 0))
        }))
    }

    fn delete<'a>(&'a self, key: &'a str) -> StoreFuture<'a, ()> {
        boxed(self.request(Operation::Delete, key, 0, move |state, _, _| {
            state.objects.remove(key);
            Ok(((), 0))
        }))
    }

    fn list_page<'a>(&'a self, prefix: &'a str, start_after: Option<&'a str>) -> StoreFuture<'a, Page> {
        boxed(self.request(Operation::List, prefix, 0, move |state, _, _| {
            let after = |key: &String| start_after.is_none_or(|after| key.as_str() > after);
            let from = start_after.map_or(prefix, |after| after.max(prefix)).to_owned();
            let found = state.objects.range(from..).take_while(|(key, _)| key.starts_with(prefix));
            let mut objects: Vec<ObjectInfo> = found
                .filter(|(key, _)| after(key))
                .take(PAGE_KEYS + 1)
                .map(|(key, stored)| ObjectInfo {
                    key: key.clone(),
                    size: stored.bytes.len() as u64,
                    modified: SystemTime::UNIX_EPOCH + stored.modified,
                })
                .collect();
            let more = objects.len() > PAGE_KEYS;
            objects.truncate(PAGE_KEYS);
            Ok((Page { objects, more }, 0))
        }))
    }
}
