//! The keys of a memtable: a lock-free ordered list with towers (a skip list), in an arena. Each has its versions.
//!
//! This module exists for its unsafe code. Nodes are inserted by compare-and-swap, level by level from
//! the bottom, and never removed or changed, so there is nothing to reclaim and no ABA: a node that was
//! once reached stays reachable and valid until the list is dropped (the insert-only case of Fraser,
//! "Practical lock-freedom", 2004, chapter 4).
//!
//! Invariants:
//! * The bottom level holds every node, in the order of their keys; each higher level is a subsequence of the one
//!   below.
//! * A node is written completely, with a first version, before the release that publishes it, and read after an
//!   acquire.
//! * `back` of a node names some node before it, the head included; nearly always the one right before.
//!   It saves the search that a step backward would cost otherwise.
//! * Towers are as high as the hash of the key says: no random numbers, the same list every time.

use std::cmp::Ordering as Order;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use aquifer_format::sst::key_hash;

use super::arena::{ALIGN, Arena};
use super::prefetch::prefetch;
use super::versions::{Unlinked, Versions};

/// Levels: each holds about a quarter of the nodes of the one below, so this suits 4^12 keys.
const LEVELS_MAX: usize = 12;
/// Nodes of a level that are enough to tell how many there are below, within a tenth or so.
const SAMPLE_MIN: u64 = 128;
/// A node with a short key and a low tower.
const NODE_PREFETCH_BYTES: usize = 64;

const _: () = assert!(align_of::<Node>() <= ALIGN);

/// Head of a node. Its tower (`height` pointers), its key and its first version follow in the same piece of the
/// arena.
#[repr(C)]
pub(super) struct Node {
    versions: Versions,
    back: AtomicPtr<Node>,
    key_bytes: u16,
    height: u8,
}

/// See the module.
pub(super) struct Keys {
    arena: Arena,
    head: *mut Node,
    height: AtomicUsize,
}

/// Neighbours of a position on one level.
#[derive(Clone, Copy)]
struct Gap {
    before: *mut Node,
    after: *mut Node,
}

/// A node as seen by readers; lives as long as its list.
#[derive(Clone, Copy)]
pub(super) struct KeyRef(ptr::NonNull<Node>);

impl Node {
    fn tower(node: *mut Self) -> *mut AtomicPtr<Self> {
        node.wrapping_add(1).cast()
    }

    /// # Safety
    /// `node` is a live node or the head, and `level` is below its height.
    unsafe fn next(node: *mut Self, level: usize) -> *mut Self {
        // SAFETY: the tower has a pointer for each level below the height.
        unsafe { &*Self::tower(node).add(level) }.load(Ordering::Acquire)
    }

    /// # Safety
    /// As [`Self::next`]; not the head, which has no key.
    unsafe fn key<'a>(node: *mut Self) -> &'a [u8] {
        // SAFETY: a live node.
        let head = unsafe { &*node };
        let start = Self::tower(node).wrapping_add(usize::from(head.height)).cast::<u8>();
        // SAFETY: the key follows the tower and was written before the node was published.
        unsafe { std::slice::from_raw_parts(start, usize::from(head.key_bytes)) }
    }

    /// # Safety
    /// As [`Self::key`].
    unsafe fn compare(node: *mut Self, key: &[u8]) -> Order {
        // SAFETY: the caller's promise.
        unsafe { Self::key(node) }.cmp(key)
    }
}

impl Keys {
    pub(super) fn new() -> Self {
        let arena = Arena::new();
        let head = arena.allocate(node_bytes(LEVELS_MAX, 0)).cast::<Node>().as_ptr();
        // SAFETY: the piece has room for a head and `LEVELS_MAX` pointers, and nobody else knows it.
        unsafe { write_node(head, LEVELS_MAX, &[]) };
        Self { arena, head, height: AtomicUsize::new(1) }
    }

    /// Inserts a version; `false` when `(key, lsn)` is there already, whose value then stays.
    /// The key is at most 65,535 bytes and the value shorter than 4 GiB - 1: the caller has checked.
    pub(super) fn insert(&self, key: &[u8], lsn: u64, value: Option<&[u8]>) -> bool {
        let mut gaps = [Gap { before: self.head, after: ptr::null_mut() }; LEVELS_MAX];
        if let Some(known) = self.find_gaps(key, &mut gaps) {
            // SAFETY: the list lives as long as `&self`.
            let versions = unsafe { known.versions() };
            return versions.add(&Unlinked::on_top(&self.arena, lsn, value, versions));
        }
        let height = tower_height(key);
        self.height.fetch_max(height, Ordering::Relaxed);
        let first_at = node_bytes(height, key.len());
        let place = self.arena.allocate(first_at + Unlinked::first_bytes(value));
        let node = place.cast::<Node>().as_ptr();
        // SAFETY: the piece is ours, and large enough for this node.
        unsafe { write_node(node, height, key) };
        // SAFETY: room for the version follows, aligned because a node's bytes are.
        let first = unsafe { Unlinked::first_at(place.as_ptr().add(first_at), lsn, value) };
        // SAFETY: written; nobody else knows it yet.
        unsafe { &*node }.versions.add(&first);
        for (level, gap) in gaps.iter_mut().enumerate().take(height) {
            if let Some(known) = self.link(node, level, gap, key) {
                // Somebody else was faster with this key. A version that others cannot reach may move.
                // SAFETY: the list lives as long as `&self`.
                return unsafe { known.versions() }.add(&first);
            }
        }
        true
    }

    /// Links `node` on one level; the node of its key if that turned out to be there already (bottom level).
    fn link(&self, node: *mut Node, level: usize, gap: &mut Gap, key: &[u8]) -> Option<KeyRef> {
        loop {
            // SAFETY: `node` is ours and its tower has this level.
            unsafe { &*Node::tower(node).add(level) }.store(gap.after, Ordering::Relaxed);
            if level == 0 {
                // SAFETY: as above.
                unsafe { &*node }.back.store(gap.before, Ordering::Relaxed);
            }
            // SAFETY: `before` is the head or a live node that was reached on this level.
            let link = unsafe { &*Node::tower(gap.before).add(level) };
            if link.compare_exchange(gap.after, node, Ordering::Release, Ordering::Relaxed).is_ok() {
                if level == 0 && !gap.after.is_null() {
                    // SAFETY: a live node.
                    unsafe { &*gap.after }.back.store(node, Ordering::Release);
                }
                return None;
            }
            let (moved, exists) = self.find_gap(gap.before, ptr::null_mut(), level, key);
            if exists {
                return KeyRef::new(moved.after);
            }
            *gap = moved;
        }
    }

    /// Where `key` belongs on each level; its node when it is there already.
    fn find_gaps(&self, key: &[u8], gaps: &mut [Gap; LEVELS_MAX]) -> Option<KeyRef> {
        let (mut before, mut after) = (self.head, ptr::null_mut());
        for level in (0..self.height.load(Ordering::Relaxed)).rev() {
            let (gap, exists) = self.find_gap(before, after, level, key);
            if exists {
                return KeyRef::new(gap.after);
            }
            (before, after) = (gap.before, gap.after);
            gaps[level] = gap;
        }
        None
    }

    /// Where `key` belongs on `level`, searching from `before`, a node before it on that level. `known_after` was
    /// found to be after the position one level higher, so it need not be compared again.
    fn find_gap(
        &self,
        mut before: *mut Node,
        known_after: *mut Node,
        level: usize,
        key: &[u8],
    ) -> (Gap, bool) {
        loop {
            // SAFETY: `before` is the head or was reached on this level or a higher one.
            let after = unsafe { Node::next(before, level) };
            if after.is_null() || after == known_after {
                return (Gap { before, after }, false);
            }
            // SAFETY: a node that was reached is alive.
            match unsafe { Node::compare(after, key) } {
                Order::Less => before = after,
                order => return (Gap { before, after }, order == Order::Equal),
            }
        }
    }

    /// The first node at or after `key`, and whether it is `key`'s own.
    pub(super) fn at_or_after(&self, key: &[u8]) -> Option<(KeyRef, bool)> {
        let (mut before, mut after) = (self.head, ptr::null_mut());
        for level in (0..self.height.load(Ordering::Relaxed)).rev() {
            let (gap, exists) = self.find_gap(before, after, level, key);
            if exists {
                return KeyRef::new(gap.after).map(|node| (node, true));
            }
            (before, after) = (gap.before, gap.after);
        }
        KeyRef::new(after).map(|node| (node, false))
    }

    /// The last node before `key`.
    pub(super) fn before(&self, key: &[u8]) -> Option<KeyRef> {
        let (mut before, mut after) = (self.head, ptr::null_mut());
        for level in (0..self.height.load(Ordering::Relaxed)).rev() {
            let gap = self.find_gap(before, after, level, key).0;
            (before, after) = (gap.before, gap.after);
        }
        self.unless_head(before)
    }

    /// About how many nodes have `start ≤ key < end`: counted on the highest level that has enough of them
    /// there, each standing for four of the level below.
    pub(super) fn count_between(&self, start: &[u8], end: &[u8]) -> u64 {
        let mut before = self.head;
        for level in (0..self.height.load(Ordering::Relaxed)).rev() {
            let gap = self.find_gap(before, ptr::null_mut(), level, start).0;
            before = gap.before;
            let (mut node, mut count) = (gap.after, 0_u64);
            // SAFETY: nodes that were reached are alive.
            while !node.is_null() && unsafe { Node::key(node) } < end {
                count += 1;
                // SAFETY: `node` was reached on this level.
                node = unsafe { Node::next(node, level) };
            }
            if level == 0 || count >= SAMPLE_MIN {
                return count << (2 * level);
            }
        }
        0
    }

    /// The first node.
    pub(super) fn first(&self) -> Option<KeyRef> {
        // SAFETY: the head has a bottom level.
        KeyRef::new(unsafe { Node::next(self.head, 0) })
    }

    /// The last node.
    pub(super) fn last(&self) -> Option<KeyRef> {
        let mut before = self.head;
        for level in (0..self.height.load(Ordering::Relaxed)).rev() {
            loop {
                // SAFETY: the head or a node that was reached on this level or a higher one.
                let after = unsafe { Node::next(before, level) };
                if after.is_null() {
                    break;
                }
                before = after;
            }
        }
        self.unless_head(before)
    }

    /// The node after `node`, which is of this list.
    pub(super) fn next(&self, node: KeyRef) -> Option<KeyRef> {
        // SAFETY: a live node has a bottom level.
        KeyRef::new(unsafe { Node::next(node.0.as_ptr(), 0) })
    }

    /// Has the processor fetch the next node's newest version and the head of the node after that. Nodes lie all
    /// over memory: a scan that comes to each unprepared waits longer for it than it works on it. The next node's
    /// own head was fetched one step ago, except on the first.
    pub(super) fn prefetch_after(&self, node: KeyRef) {
        let Some(next) = self.next(node) else { return };
        // SAFETY: a live node of this list.
        if let Some(version) = unsafe { next.versions() }.newest() {
            version.prefetch();
        }
        if let Some(after) = self.next(next) {
            prefetch(after.0.as_ptr().cast(), NODE_PREFETCH_BYTES);
        }
    }

    /// The node before `node`, which is of this list.
    pub(super) fn previous(&self, node: KeyRef) -> Option<KeyRef> {
        let node = node.0.as_ptr();
        // SAFETY: a live node; what `back` names is alive too, and before it.
        let mut before = unsafe { &*node }.back.load(Ordering::Acquire);
        loop {
            // SAFETY: the head or a live node.
            let after = unsafe { Node::next(before, 0) };
            if after == node || after.is_null() {
                return self.unless_head(before);
            }
            before = after;
        }
    }

    pub(super) fn used_bytes(&self) -> usize {
        self.arena.used_bytes()
    }

    fn unless_head(&self, node: *mut Node) -> Option<KeyRef> {
        if node == self.head { None } else { KeyRef::new(node) }
    }
}

impl KeyRef {
    fn new(node: *mut Node) -> Option<Self> {
        ptr::NonNull::new(node).map(Self)
    }

    /// # Safety
    /// The list must live for `'a`. The same holds for the other methods.
    pub(super) unsafe fn key<'a>(self) -> &'a [u8] {
        // SAFETY: nodes live as long as the list, and a `KeyRef` is never the head.
        unsafe { Node::key(self.0.as_ptr()) }
    }

    /// # Safety
    /// As [`Self::key`].
    pub(super) unsafe fn versions<'a>(self) -> &'a Versions {
        // SAFETY: a live node.
        unsafe { &(*self.0.as_ptr()).versions }
    }
}

/// Bytes of a node before its first version.
fn node_bytes(height: usize, key_bytes: usize) -> usize {
    (size_of::<Node>() + height * size_of::<AtomicPtr<Node>>() + key_bytes).next_multiple_of(ALIGN)
}

/// # Safety
/// `node` has room for [`node_bytes`] of this node, and nobody else knows it yet.
unsafe fn write_node(node: *mut Node, height: usize, key: &[u8]) {
    let head = Node {
        versions: Versions::new(),
        back: AtomicPtr::new(ptr::null_mut()),
        key_bytes: u16::try_from(key.len()).unwrap_or(u16::MAX),
        height: u8::try_from(height).unwrap_or(u8::MAX),
    };
    // SAFETY: room for a head; the caller's promise.
    unsafe { node.write(head) };
    let tower = Node::tower(node);
    for level in 0..height {
        // SAFETY: room for `height` pointers.
        unsafe { tower.add(level).write(AtomicPtr::new(ptr::null_mut())) };
    }
    let key_at = tower.wrapping_add(height).cast::<u8>();
    // SAFETY: room for the key; the two do not overlap, the piece is new.
    unsafe { ptr::copy_nonoverlapping(key.as_ptr(), key_at, key.len()) };
}

/// 1 plus the number of times that two more bits of the hash are zero.
fn tower_height(key: &[u8]) -> usize {
    let hash = key_hash(key);
    let mixed = (hash ^ (hash >> 32)).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    let zeros = mixed.leading_zeros() / 2;
    (1 + usize::try_from(zeros).unwrap_or_default()).min(LEVELS_MAX)
}

// SAFETY: nodes are shared by atomics only and live in the list's own arena.
unsafe impl Send for Keys {}
// SAFETY: as above.
unsafe impl Sync for Keys {}
