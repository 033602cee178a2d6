//! One shard of the block cache: S3-FIFO over a byte budget.
//!
//! * A new block enters the *small* queue (a tenth of the budget). If it is used again before it
//!   reaches the end it moves to the *main* queue, otherwise it leaves and only its hash stays in the
//!   *ghost* queue.
//! * A block whose hash is in the ghost queue enters the main queue at once.
//! * At the end of the main queue a block that was used goes round again, once for each use up to
//!   three; one that was not leaves.
//!
//! A scan's blocks pass through the small queue only, count no uses and leave no ghost, so that a
//! scan of any length displaces at most the small queue.

use std::collections::{HashMap, VecDeque};

use super::{Access, BlockKey};
use crate::counters::{BlockCounters, to_u64};
use crate::hash::BuildPreHashed;

/// What a block costs beside its own bytes: its node, its table entry, its place in a queue and a ghost.
const NODE_BYTES_OVERHEAD: usize = 160;
const USES_MAX: u8 = 3;
const SMALL_DIVISOR: usize = 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Queue {
    Small,
    Main,
}

#[derive(Debug)]
struct Node<B> {
    block: B,
    bytes: usize,
    uses: u8,
    queue: Queue,
    access: Access,
}

/// A part of the cache, used under its lock.
#[derive(Debug)]
pub(super) struct Shard<B> {
    nodes: HashMap<BlockKey, Node<B>, BuildPreHashed>,
    small: VecDeque<BlockKey>,
    main: VecDeque<BlockKey>,
    ghosts: Ghosts,
    bytes_max: usize,
    small_bytes: usize,
    main_bytes: usize,
    hits: u64,
    misses: u64,
    inserts: u64,
    evictions: u64,
}

impl<B: Clone> Shard<B> {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            nodes: HashMap::default(),
            small: VecDeque::new(),
            main: VecDeque::new(),
            ghosts: Ghosts::default(),
            bytes_max,
            small_bytes: 0,
            main_bytes: 0,
            hits: 0,
            misses: 0,
            inserts: 0,
            evictions: 0,
        }
    }

    pub(super) fn get(&mut self, key: BlockKey, access: Access) -> Option<B> {
        let Some(node) = self.nodes.get_mut(&key) else {
            self.misses += 1;
            return None;
        };
        if access == Access::Point {
            node.uses = (node.uses + 1).min(USES_MAX);
            node.access = Access::Point;
        }
        self.hits += 1;
        Some(node.block.clone())
    }

    pub(super) fn peek(&self, key: BlockKey) -> Option<B> {
        self.nodes.get(&key).map(|node| node.block.clone())
    }

    pub(super) fn contains(&self, key: BlockKey) -> bool {
        self.nodes.contains_key(&key)
    }

    /// Puts a block in and gives back what had to leave.
    pub(super) fn insert(&mut self, key: BlockKey, block: B, bytes: usize, access: Access) -> Vec<B> {
        let bytes = bytes + NODE_BYTES_OVERHEAD;
        if bytes > self.bytes_max / SMALL_DIVISOR || self.nodes.contains_key(&key) {
            return vec![block];
        }
        let known = access == Access::Point && self.ghosts.remove(key.hash64());
        let queue = if known { Queue::Main } else { Queue::Small };
        self.nodes.insert(key, Node { block, bytes, uses: 0, queue, access });
        self.enqueue(key, queue, bytes);
        self.inserts += 1;
        let mut evicted = Vec::new();
        while self.bytes() > self.bytes_max {
            let Some(block) = self.evict_step() else { break };
            evicted.extend(block);
        }
        evicted
    }

    /// Blocks of the main queue, newest first, then those of the small queue that were used since they came.
    pub(super) fn hot_keys(&self) -> impl Iterator<Item = BlockKey> {
        let used = |key: &&BlockKey| self.nodes.get(*key).is_some_and(|node| node.uses > 0);
        self.main.iter().rev().chain(self.small.iter().rev().filter(used)).copied()
    }

    fn enqueue(&mut self, key: BlockKey, queue: Queue, bytes: usize) {
        match queue {
            Queue::Small => {
                self.small.push_back(key);
                self.small_bytes += bytes;
            }
            Queue::Main => {
                self.main.push_back(key);
                self.main_bytes += bytes;
            }
        }
    }

    fn bytes(&self) -> usize {
        self.small_bytes + self.main_bytes
    }

    /// Takes one block off a queue: to the other queue, to the back, or out. `None`: both are empty.
    fn evict_step(&mut self) -> Option<Option<B>> {
        let from_small = self.small_bytes > self.bytes_max / SMALL_DIVISOR || self.main.is_empty();
        if from_small { self.step_small() } else { self.step_main() }
    }

    fn step_small(&mut self) -> Option<Option<B>> {
        let key = self.small.pop_front()?;
        let node = self.nodes.get_mut(&key)?;
        self.small_bytes -= node.bytes;
        if node.uses > 0 {
            node.uses = 0;
            node.queue = Queue::Main;
            let bytes = node.bytes;
            self.enqueue(key, Queue::Main, bytes);
            return Some(None);
        }
        if node.access == Access::Point {
            let remembered = self.nodes.len();
            self.ghosts.push(key.hash64(), remembered);
        }
        Some(self.take(key))
    }

    fn step_main(&mut self) -> Option<Option<B>> {
        let key = self.main.pop_front()?;
        let node = self.nodes.get_mut(&key)?;
        self.main_bytes -= node.bytes;
        if node.uses > 0 {
            node.uses -= 1;
            let bytes = node.bytes;
            self.enqueue(key, Queue::Main, bytes);
            return Some(None);
        }
        Some(self.take(key))
    }

    fn take(&mut self, key: BlockKey) -> Option<B> {
        self.evictions += 1;
        self.nodes.remove(&key).map(|node| node.block)
    }

    pub(super) fn add_counters(&self, sum: &mut BlockCounters) {
        sum.hits += self.hits;
        sum.misses += self.misses;
        sum.inserts += self.inserts;
        sum.evictions += self.evictions;
        sum.blocks += to_u64(self.nodes.len());
        sum.bytes += to_u64(self.bytes());
    }
}

/// Hashes of blocks that left the small queue unused, oldest first.
#[derive(Debug, Default)]
struct Ghosts {
    order: VecDeque<(u64, u64)>,
    live: HashMap<u64, u64, BuildPreHashed>,
    next: u64,
}

impl Ghosts {
    /// Remembers a hash, and at most `limit` of them (at least one).
    fn push(&mut self, hash: u64, limit: usize) {
        self.next += 1;
        self.live.insert(hash, self.next);
        self.order.push_back((hash, self.next));
        while self.order.len() > limit.max(1) {
            if let Some((old, number)) = self.order.pop_front()
                && self.live.get(&old) == Some(&number)
            {
                self.live.remove(&old);
            }
        }
    }

    fn remove(&mut self, hash: u64) -> bool {
        self.live.remove(&hash).is_some()
    }
}
