//! Rows told apart by some of their columns, under the columns' collations.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher};

use aquifer_types::Value;

use crate::exec::hash::{Hashed, KeyHashing};
use crate::plan::SortType;

/// Distinct keys in the order in which they were first met.
pub(crate) struct RowSet<'a> {
    types: &'a [SortType],
    /// Values of the keys one after another, `types.len()` to a key.
    keys: Vec<Value>,
    /// Numbers of keys by hash; keys with equal hashes are chained through `next`.
    first: HashMap<u64, u32, Hashed>,
    next: Vec<u32>,
    hasher: KeyHashing,
}

/// End of a chain.
const NONE: u32 = u32::MAX;

impl<'a> RowSet<'a> {
    pub(crate) fn new(types: &'a [SortType]) -> Self {
        Self {
            types,
            keys: Vec::new(),
            first: HashMap::with_hasher(Hashed),
            next: Vec::new(),
            hasher: KeyHashing::new(),
        }
    }

    /// The values of a key.
    pub(crate) fn key(&self, number: usize) -> &[Value] {
        &self.keys[number * self.types.len()..(number + 1) * self.types.len()]
    }

    fn hash(&self, key: &[Value]) -> u64 {
        let mut state = self.hasher.build_hasher();
        for (value, ty) in key.iter().zip(self.types) {
            ty.hash(value, &mut state);
        }
        state.finish()
    }

    /// Whether a number is that of a key.
    pub(crate) fn is(&self, number: usize, key: &[Value]) -> bool {
        let mut pairs = key.iter().zip(self.key(number)).zip(self.types);
        pairs.all(|((a, b), ty)| ty.equal(a, b))
    }

    /// The number of a key that was inserted.
    pub(crate) fn find(&self, key: &[Value]) -> Option<usize> {
        self.find_hashed(key, self.hash(key)).ok()
    }

    /// The number of a key, or the head of the chain that it would be in.
    fn find_hashed(&self, key: &[Value], hash: u64) -> Result<usize, u32> {
        let head = self.first.get(&hash).copied().unwrap_or(NONE);
        let mut at = head;
        while at != NONE {
            let number = at as usize;
            if self.is(number, key) {
                return Ok(number);
            }
            at = self.next[number];
        }
        Err(head)
    }

    /// The number of a key, and whether it is new. At most `u32::MAX - 1` keys.
    pub(crate) fn insert(&mut self, key: &[Value]) -> (usize, bool) {
        let hash = self.hash(key);
        let head = match self.find_hashed(key, hash) {
            Ok(number) => return (number, false),
            Err(head) => head,
        };
        let number = self.next.len();
        self.next.push(head);
        self.first.insert(hash, u32::try_from(number).unwrap_or(NONE));
        self.keys.extend_from_slice(&key[..self.types.len()]);
        (number, true)
    }
}
