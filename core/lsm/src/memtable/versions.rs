//! The versions of one key, newest first, in an arena.
//!
//! This module exists for its unsafe code. A version names the next older one, and a second one further on, so that
//! the version of an old snapshot is found in a number of steps that is logarithmic in the number of newer ones: the
//! jumps of Myers, "An applicative random-access stack", 1983. A new version is put on top by compare-and-swap, or,
//! when it is not the newest, behind the one that it follows.
//!
//! Invariants:
//! * LSNs fall strictly from a version to the one it names as older, and to the one it jumps to.
//! * A version is written completely before the release that publishes it, and read after an acquire. Afterwards only
//!   its `older` changes, to a version between the two; what was reachable stays so.
//! * Versions live as long as the arena that they were taken from.

use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, Ordering};

use super::arena::{ALIGN, Arena};
use super::prefetch::prefetch;

/// What `value_bytes` says of a tombstone.
const TOMBSTONE: u32 = u32::MAX;
/// The processor goes on by itself after a few lines in a row.
const VERSION_PREFETCH_BYTES: usize = 256;

const _: () = assert!(align_of::<Version>() <= ALIGN);

/// Head of a version. Its jump (if `depth` is not 0) and its value follow in the same piece of the arena.
#[repr(C)]
pub(super) struct Version {
    older: AtomicPtr<Version>,
    lsn: u64,
    value_bytes: u32,
    /// How many older versions there were when it was made.
    depth: u32,
}

/// The top of a key's versions.
#[repr(transparent)]
pub(super) struct Versions(AtomicPtr<Version>);

/// A version as seen by readers; lives as long as its arena.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct VersionRef(NonNull<Version>);

/// A version that is not among the others yet.
pub(super) struct Unlinked {
    version: NonNull<Version>,
    lsn: u64,
}

impl Versions {
    pub(super) fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// The newest; nothing only before the first was added.
    pub(super) fn newest(&self) -> Option<VersionRef> {
        NonNull::new(self.0.load(Ordering::Acquire)).map(VersionRef)
    }

    /// The newest that is not newer than `lsn`.
    pub(super) fn as_of(&self, lsn: u64) -> Option<VersionRef> {
        let newest = self.newest()?;
        if newest.lsn() <= lsn {
            return Some(newest);
        }
        // A version that was added in between may be newer than `lsn`, too.
        let mut older = newest.last_newer_than(lsn).older();
        while let Some(newer) = older.filter(|older| older.lsn() > lsn) {
            older = newer.older();
        }
        older
    }

    /// The oldest that is newer than `lsn`.
    pub(super) fn before(&self, lsn: u64) -> Option<VersionRef> {
        self.newest().filter(|newest| newest.lsn() > lsn).map(|newest| newest.last_newer_than(lsn))
    }

    /// Adds a version; `false` when there is one with its LSN, which then stays.
    ///
    /// The values of both are in the arena of `made`, and the caller keeps that as long as `self`.
    pub(super) fn add(&self, made: &Unlinked) -> bool {
        loop {
            let newest = self.newest();
            let (link, older) = match newest.filter(|newest| newest.lsn() >= made.lsn) {
                None => (&self.0, newest),
                Some(newest) if newest.lsn() == made.lsn => return false,
                Some(newest) => {
                    let newer = newest.last_newer_than(made.lsn);
                    (newer.link(), newer.older())
                }
            };
            if older.is_some_and(|older| older.lsn() == made.lsn) {
                return false;
            }
            made.prepare(older);
            let expected = older.map_or(ptr::null_mut(), |older| older.0.as_ptr());
            let published = made.version.as_ptr();
            if link.compare_exchange(expected, published, Ordering::Release, Ordering::Relaxed).is_ok() {
                return true;
            }
        }
    }
}

impl VersionRef {
    fn head(&self) -> &Version {
        // SAFETY: a published version is complete, and lives as long as the list that it was reached through.
        unsafe { self.0.as_ref() }
    }

    pub(super) fn lsn(self) -> u64 {
        self.head().lsn
    }

    /// The next older version.
    pub(super) fn older(self) -> Option<Self> {
        NonNull::new(self.head().older.load(Ordering::Acquire)).map(Self)
    }

    /// Has the processor fetch the version and the beginning of its value.
    pub(super) fn prefetch(self) {
        prefetch(self.0.as_ptr().cast(), VERSION_PREFETCH_BYTES);
    }

    fn link<'a>(self) -> &'a AtomicPtr<Version> {
        // SAFETY: as in `head`; the caller uses it while the list lives.
        unsafe { &(*self.0.as_ptr()).older }
    }

    fn jump(self) -> Option<Self> {
        if self.head().depth == 0 {
            return None;
        }
        // SAFETY: a version whose depth is not 0 is followed by its jump, written before it was published.
        NonNull::new(unsafe { *jump_of(self.0.as_ptr()) }).map(Self)
    }

    /// The oldest version that is newer than `lsn`, as this one is.
    fn last_newer_than(self, lsn: u64) -> Self {
        let is_newer = |version: &Self| version.lsn() > lsn;
        let mut at = self;
        while let Some(next) = at.jump().filter(is_newer).or_else(|| at.older().filter(is_newer)) {
            at = next;
        }
        at
    }

    /// # Safety
    /// The list must live for `'a`.
    pub(super) unsafe fn value<'a>(self) -> Option<&'a [u8]> {
        let head = self.head();
        if head.value_bytes == TOMBSTONE {
            return None;
        }
        let start = value_of(self.0.as_ptr(), head.depth);
        // SAFETY: the value follows and was written before the version was published.
        Some(unsafe { std::slice::from_raw_parts(start, head.value_bytes as usize) })
    }
}

impl Unlinked {
    /// Bytes that the first version of a key takes.
    pub(super) fn first_bytes(value: Option<&[u8]>) -> usize {
        size_of::<Version>() + value.map_or(0, <[u8]>::len)
    }

    /// Writes the first version of a key; more may turn out to be there when it is added.
    ///
    /// # Safety
    /// `place` has room for [`Unlinked::first_bytes`], is aligned to [`ALIGN`], and nobody else knows it.
    pub(super) unsafe fn first_at(place: *mut u8, lsn: u64, value: Option<&[u8]>) -> Self {
        // SAFETY: the caller's promise.
        unsafe { Self::write(place, lsn, value, 0) }
    }

    /// A version on top of others.
    pub(super) fn on_top(arena: &Arena, lsn: u64, value: Option<&[u8]>, others: &Versions) -> Self {
        let depth = others.newest().map_or(0, |newest| newest.head().depth.saturating_add(1));
        let jump_bytes = if depth == 0 { 0 } else { size_of::<*mut Version>() };
        let place = arena.allocate(Self::first_bytes(value) + jump_bytes);
        // SAFETY: a piece of that size, ours alone.
        unsafe { Self::write(place.as_ptr(), lsn, value, depth) }
    }

    /// # Safety
    /// As [`Unlinked::first_at`], with room for a jump if `depth` is not 0.
    unsafe fn write(place: *mut u8, lsn: u64, value: Option<&[u8]>, depth: u32) -> Self {
        let version = place.cast::<Version>();
        let value_bytes = value.map_or(TOMBSTONE, |value| u32::try_from(value.len()).unwrap_or(TOMBSTONE));
        let head = Version { older: AtomicPtr::new(ptr::null_mut()), lsn, value_bytes, depth };
        // SAFETY: room for a head; the caller's promise.
        unsafe { version.write(head) };
        if depth > 0 {
            // SAFETY: room for a jump.
            unsafe { jump_of(version).write(ptr::null_mut()) };
        }
        let value = value.unwrap_or_default();
        // SAFETY: room for the value; the two do not overlap, the piece is new.
        unsafe { ptr::copy_nonoverlapping(value.as_ptr(), value_of(version, depth), value.len()) };
        // SAFETY: a place that was written to is not null.
        Self { version: unsafe { NonNull::new_unchecked(version) }, lsn }
    }

    /// Makes it name `older`, and jump.
    fn prepare(&self, older: Option<VersionRef>) {
        let version = self.version.as_ptr();
        // SAFETY: written, and nobody else knows it yet.
        let head = unsafe { &*version };
        head.older.store(older.map_or(ptr::null_mut(), |older| older.0.as_ptr()), Ordering::Relaxed);
        if head.depth > 0 {
            let jump = older.map(jump_from).map_or(ptr::null_mut(), |to| to.0.as_ptr());
            // SAFETY: its depth is not 0, so there is room for a jump; nobody else knows it yet.
            unsafe { jump_of(version).write(jump) };
        }
    }
}

/// Where a version on top of `older` jumps to: as far as two equal jumps from there lead, or only to `older`.
fn jump_from(older: VersionRef) -> VersionRef {
    let far = || {
        let near = older.jump()?;
        let far = near.jump()?;
        let depths = [older, near, far].map(|version| version.head().depth);
        (depths[0].wrapping_sub(depths[1]) == depths[1].wrapping_sub(depths[2])).then_some(far)
    };
    far().unwrap_or(older)
}

fn jump_of(version: *mut Version) -> *mut *mut Version {
    version.wrapping_add(1).cast()
}

fn value_of(version: *mut Version, depth: u32) -> *mut u8 {
    let after_head = version.wrapping_add(1).cast::<u8>();
    if depth == 0 { after_head } else { after_head.wrapping_add(size_of::<*mut Version>()) }
}
