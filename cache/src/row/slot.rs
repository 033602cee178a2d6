//! One slot of the row cache: a tagged atomic pointer to an immutable entry. The only unsafe code of
//! the row cache is here.
//!
//! A slot is one 64-bit word: 16 bits of the key's hash, 47 bits of pointer, and one bit that says
//! *pending*. Most slots of a set are rejected by their hash bits without touching the entry.
//!
//! Ownership: the entry belongs to the slot whose word names it. Whoever takes the word out of the
//! slot by a successful compare-and-swap retires the entry through the epoch collector; it is freed
//! when no thread can still hold a reference. An entry is never in two slots and never put back.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crossbeam_epoch::Guard;

const TAG_SHIFT: u32 = 48;
const POINTER_MASK: u64 = ((1 << TAG_SHIFT) - 1) & !PENDING;
const PENDING: u64 = 1;

const _: () = assert!(size_of::<usize>() == 8, "slots pack a pointer and a tag in 64 bits");
const _: () = assert!(align_of::<Entry>() >= 2, "the pending bit uses the pointer's lowest bit");

/// One cached version of a row; immutable but for the mark of use.
#[derive(Debug)]
pub(super) struct Entry {
    /// LSN of the version.
    pub(super) lsn: u64,
    /// Key, then value.
    pub(super) data: Box<[u8]>,
    /// Where the value begins in `data`.
    pub(super) key_len: usize,
    /// Whether the version is a deletion (there is no value).
    pub(super) deleted: bool,
    /// Set by a hit, cleared by the clock hand.
    pub(super) referenced: AtomicBool,
}

/// The state in which an entry is put into its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Publish {
    /// Readers see it at once.
    Now,
    /// Readers ignore it until [`Slot::publish`].
    Pending,
}

/// What a slot held when it was looked at; its entry lives as long as the guard.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen<'g> {
    word: u64,
    guard: PhantomData<&'g Guard>,
}

impl<'g> Seen<'g> {
    pub(super) fn is_empty(self) -> bool {
        self.word == 0
    }

    pub(super) fn is_pending(self) -> bool {
        self.word & PENDING != 0
    }

    pub(super) fn tag(self) -> u64 {
        self.word >> TAG_SHIFT
    }

    /// The entry, if the slot held one.
    pub(super) fn entry(self) -> Option<&'g Entry> {
        let pointer = pointer_of(self.word);
        // SAFETY: `word` was in the slot while this thread was pinned, so the entry was alive then;
        // it is retired through the epoch collector only, which frees nothing that a thread pinned
        // before the retirement may hold. `'g` is within that pin. Entries are never mutated but
        // through their atomics.
        unsafe { pointer.as_ref() }
    }
}

fn pointer_of(word: u64) -> *const Entry {
    // Lossless: `usize` has 64 bits (asserted above).
    #[allow(clippy::cast_possible_truncation)]
    std::ptr::with_exposed_provenance((word & POINTER_MASK) as usize)
}

/// What an all-zero memory is a valid value of.
///
/// # Safety
/// All bytes zero must be a valid value of the type.
pub(super) unsafe trait Zeroable {}

// SAFETY: an atomic integer, of which zero is a value.
unsafe impl Zeroable for AtomicU64 {}
// SAFETY: a set has nothing but slots, and a slot nothing but an atomic integer; zero is the empty slot.
unsafe impl Zeroable for super::Set {}

/// `count` values of zero bytes. Their memory is not touched: pages that are never used are never taken.
pub(super) fn zeroed<T: Zeroable>(count: usize) -> Box<[T]> {
    let values = Box::<[T]>::new_zeroed_slice(count);
    // SAFETY: all bytes are zero, which is a value of the type by the contract of the trait.
    unsafe { values.assume_init() }
}

/// A place for one entry.
#[derive(Debug, Default)]
pub(super) struct Slot(AtomicU64);

impl Slot {
    /// Looks at the slot.
    pub(super) fn load<'g>(&self, _guard: &'g Guard) -> Seen<'g> {
        Seen { word: self.0.load(Ordering::SeqCst), guard: PhantomData }
    }

    /// Puts `entry` in place of what was `seen`; gives the new content back for [`Slot::publish`].
    ///
    /// # Errors
    /// The entry, when the slot has changed since, or its address does not fit the word.
    pub(super) fn replace<'g>(
        &self,
        seen: Seen<'g>,
        entry: Box<Entry>,
        tag: u64,
        publish: Publish,
        guard: &'g Guard,
    ) -> Result<Seen<'g>, Box<Entry>> {
        let pointer = Box::into_raw(entry);
        let address = pointer.expose_provenance() as u64;
        let fits = address & !POINTER_MASK == 0;
        let pending = if publish == Publish::Pending { PENDING } else { 0 };
        let word = (tag << TAG_SHIFT) | address | pending;
        if fits && self.swap_word(seen.word, word, guard) {
            return Ok(Seen { word, guard: PhantomData });
        }
        // SAFETY: `pointer` came from `Box::into_raw` above and was not stored anywhere.
        Err(unsafe { Box::from_raw(pointer) })
    }

    /// Empties the slot if it still holds what was `seen`.
    pub(super) fn remove(&self, seen: Seen<'_>, guard: &Guard) -> bool {
        seen.word != 0 && self.swap_word(seen.word, 0, guard)
    }

    /// Lets readers see a pending entry; `false` when it has been taken out meanwhile.
    pub(super) fn publish(&self, seen: Seen<'_>) -> bool {
        self.0.compare_exchange(seen.word, seen.word & !PENDING, Ordering::SeqCst, Ordering::Relaxed).is_ok()
    }

    fn swap_word(&self, old: u64, new: u64, guard: &Guard) -> bool {
        if self.0.compare_exchange(old, new, Ordering::SeqCst, Ordering::Relaxed).is_err() {
            return false;
        }
        let pointer = pointer_of(old).cast_mut();
        if !pointer.is_null() {
            // SAFETY: the swap took the only stored word that names this entry, so nobody else
            // retires it and no new reader finds it; it came from `Box::into_raw`. `Entry` is `Send`.
            unsafe { guard.defer_unchecked(move || drop(Box::from_raw(pointer))) };
        }
        true
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let pointer = pointer_of(*self.0.get_mut()).cast_mut();
        if !pointer.is_null() {
            // SAFETY: `&mut self` proves that nobody reads the slot any more, and the slot owns its
            // entry, which came from `Box::into_raw`.
            drop(unsafe { Box::from_raw(pointer) });
        }
    }
}
