//! One fetch for many waiters.
//!
//! A flight is a shared future: whoever awaits it drives it. So it makes progress as long as one of its
//! waiters does (a slow background lane that started it holds nobody up), and it ends early only when
//! all of them have gone (a killed statement takes nobody along).
//!
//! A flight is removed when it has landed, after its result is in the caches. Whoever looks for one
//! looks into the caches once more under the same lock, so a landed block is never fetched again at
//! once.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::{FutureExt, Shared, WeakShared};

use crate::block::BlockKey;
use crate::hash::{BuildPreHashed, bucket};

const SHARDS: usize = 16;

type Boxed<V> = Pin<Box<dyn Future<Output = V> + Send>>;

/// A fetch in progress, to be awaited.
pub(crate) type Flight<V> = Shared<Boxed<V>>;

type Map<V> = HashMap<BlockKey, (u64, WeakShared<Boxed<V>>), BuildPreHashed>;

/// What a caller gets.
pub(crate) enum Boarding<V: Clone> {
    /// It was there when looked for again.
    Landed(V),
    /// Somebody fetches it already.
    Joined(Flight<V>),
    /// This caller's own fetch.
    Started(Flight<V>),
}

/// All fetches in progress.
pub(crate) struct Flights<V> {
    shards: [Mutex<Map<V>>; SHARDS],
    next: AtomicU64,
}

impl<V: Clone + Send + Sync + 'static> Flights<V> {
    pub(crate) fn new() -> Self {
        Self { shards: std::array::from_fn(|_| Mutex::default()), next: AtomicU64::new(0) }
    }

    /// Joins the flight of `key`, or starts one with `fetch` unless `peek` finds the value.
    pub(crate) fn board<F>(
        self: &Arc<Self>,
        key: BlockKey,
        peek: impl FnOnce() -> Option<V>,
        fetch: impl FnOnce() -> F,
    ) -> Boarding<V>
    where
        F: Future<Output = V> + Send + 'static,
    {
        let mut shard = self.shard(key);
        if let Some(flight) = shard.get(&key).and_then(|(_, weak)| weak.upgrade()) {
            return Boarding::Joined(flight);
        }
        if let Some(value) = peek() {
            return Boarding::Landed(value);
        }
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let landing = Landing { flights: self.clone(), key, id };
        let fetch = fetch();
        let flight = async move {
            let _landing = landing;
            fetch.await
        };
        let flight = (Box::pin(flight) as Boxed<V>).shared();
        if let Some(weak) = flight.downgrade() {
            shard.insert(key, (id, weak));
        }
        Boarding::Started(flight)
    }

    fn shard(&self, key: BlockKey) -> MutexGuard<'_, Map<V>> {
        self.shards[bucket(key.hash64(), SHARDS)].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes a flight when it lands or is abandoned, unless another has taken its place.
struct Landing<V: Clone + Send + Sync + 'static> {
    flights: Arc<Flights<V>>,
    key: BlockKey,
    id: u64,
}

impl<V: Clone + Send + Sync + 'static> Drop for Landing<V> {
    fn drop(&mut self) {
        let mut shard = self.flights.shard(self.key);
        if shard.get(&self.key).is_some_and(|(id, _)| *id == self.id) {
            shard.remove(&self.key);
        }
    }
}
