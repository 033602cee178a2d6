//! Entries that are put in any order and written as tables in key order: what a build of an index collects, where
//! nobody reads in between. Sorting an array costs a fraction of what a memtable's inserts do.

use std::fmt;
use std::sync::Arc;

use aquifer_types::Lsn;

use crate::walk::Head;

/// Bytes of a key that are compared as one number.
const PREFIX_BYTES: usize = 16;

/// See [`SortedWalk::touch_next`].
const TOUCHED_AT_ONCE: usize = 16;

/// Entries in the order in which they came.
#[derive(Default)]
pub struct SortBuffer {
    /// Keys and values back to back.
    bytes: Vec<u8>,
    places: Vec<Place>,
}

#[derive(Clone, Copy)]
struct Place {
    prefix: u128,
    at: usize,
    key_bytes: u32,
    value_bytes: u32,
}

/// Entries in key order, all of one LSN.
pub struct Sorted {
    entries: SortBuffer,
    lsn: Lsn,
}

/// A walk over all of them.
pub(crate) struct SortedWalk {
    sorted: Arc<Sorted>,
    next: usize,
}

impl SortBuffer {
    /// An empty buffer with room for as much as is in this one.
    #[must_use]
    pub fn another(&self) -> Self {
        Self { bytes: Vec::with_capacity(self.bytes.len()), places: Vec::with_capacity(self.places.len()) }
    }

    /// Adds an entry. Of those with one key a rewrite takes one, or refuses them (`RewriteOptions::repeats`).
    pub fn add(&mut self, key: &[u8], value: &[u8]) {
        let length = |slice: &[u8]| u32::try_from(slice.len()).unwrap_or(u32::MAX);
        let place = Place {
            prefix: prefix(key),
            at: self.bytes.len(),
            key_bytes: length(key),
            value_bytes: length(value),
        };
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(value);
        self.places.push(place);
    }

    /// Memory in use.
    #[must_use]
    pub fn used_bytes(&self) -> usize {
        self.bytes.len() + self.places.len() * size_of::<Place>()
    }

    /// Whether there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Sorts; takes a tenth of a second for a million.
    #[must_use]
    pub fn sort(mut self, lsn: Lsn) -> Arc<Sorted> {
        let mut places = std::mem::take(&mut self.places);
        places.sort_unstable_by(|left, right| {
            left.prefix.cmp(&right.prefix).then_with(|| self.key(left).cmp(self.key(right)))
        });
        self.places = places;
        Arc::new(Sorted { entries: self, lsn })
    }

    fn key(&self, place: &Place) -> &[u8] {
        &self.bytes[place.at..][..place.key_bytes as usize]
    }

    fn value(&self, place: &Place) -> &[u8] {
        &self.bytes[place.at + place.key_bytes as usize..][..place.value_bytes as usize]
    }
}

/// The beginning of a key as a number: of two keys, the one with the smaller number is less. Shorter keys end in zeros
/// here, so that equal numbers say nothing.
fn prefix(key: &[u8]) -> u128 {
    let mut bytes = [0; PREFIX_BYTES];
    let length = key.len().min(PREFIX_BYTES);
    bytes[..length].copy_from_slice(&key[..length]);
    u128::from_be_bytes(bytes)
}

impl Sorted {
    pub(crate) fn used_bytes(&self) -> usize {
        self.entries.used_bytes()
    }
}

impl SortedWalk {
    pub(crate) fn new(sorted: Arc<Sorted>) -> Self {
        Self { sorted, next: 0 }
    }

    pub(crate) fn head(&self) -> Head<'_> {
        let entries = &self.sorted.entries;
        let place = entries.places.get(self.next);
        place.map_or(Head::End, |place| Head::Item(entries.key(place), self.sorted.lsn))
    }

    pub(crate) fn value(&self) -> Option<&[u8]> {
        let entries = &self.sorted.entries;
        entries.places.get(self.next).map(|place| entries.value(place))
    }

    pub(crate) fn advance(&mut self) {
        self.next += 1;
        if self.next.is_multiple_of(TOUCHED_AT_ONCE) {
            self.touch_next();
        }
    }

    /// Entries that come next are all over the buffer: reading a byte of each, none of which depends on another, has the
    /// memory fetch them side by side.
    fn touch_next(&self) {
        let entries = &self.sorted.entries;
        let next = entries.places.iter().skip(self.next).take(TOUCHED_AT_ONCE);
        std::hint::black_box(next.fold(0, |sum: u8, place| sum ^ entries.bytes[place.at]));
    }
}

impl fmt::Debug for SortBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SortBuffer({} entries, {} bytes)", self.places.len(), self.used_bytes())
    }
}

impl fmt::Debug for SortedWalk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SortedWalk({} of {:?})", self.next, self.sorted.entries)
    }
}
