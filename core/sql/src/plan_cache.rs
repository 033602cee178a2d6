//! Plans by what they were made for.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;

use aquifer_types::{Collation, Lsn, Value};

use crate::plan::Plan;

/// All that a plan depends on, borrowed for a look-up.
#[derive(Clone, Copy, Debug)]
pub struct PlanKey<'a> {
    /// Normalised or whole text of the statement.
    pub text: &'a [u8],
    /// The current database.
    pub database: &'a str,
    /// `SqlMode::bits`.
    pub sql_mode: u32,
    /// `collation_connection`.
    pub collation: Collation,
    /// The parameters, of which only the kinds count.
    pub params: &'a [Value],
    /// `Catalog::version`.
    pub catalog: Lsn,
}

struct Entry {
    text: Box<[u8]>,
    database: Box<str>,
    sql_mode: u32,
    collation: Collation,
    kinds: Box<[u16]>,
    catalog: Lsn,
    plan: Arc<Plan>,
    used: u64,
}

impl Entry {
    fn is_for(&self, key: &PlanKey<'_>) -> bool {
        self.catalog == key.catalog
            && self.sql_mode == key.sql_mode
            && self.collation == key.collation
            && *self.text == *key.text
            && *self.database == *key.database
            && self.kinds.len() == key.params.len()
            && self.kinds.iter().zip(key.params).all(|(kind, value)| *kind == crate::plan::param_code(value))
    }
}

/// A bounded cache, one for each executor. The least recently used of a small sample makes room.
pub struct PlanCache {
    entries: HashMap<u64, Entry>,
    hasher: RandomState,
    capacity: usize,
    clock: u64,
}

impl PlanCache {
    /// A cache of at most `capacity` plans.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { entries: HashMap::new(), hasher: RandomState::new(), capacity: capacity.max(1), clock: 0 }
    }

    /// The plan for exactly this key.
    pub fn get(&mut self, key: &PlanKey<'_>) -> Option<Arc<Plan>> {
        let hash = self.hash(key);
        self.clock += 1;
        let entry = self.entries.get_mut(&hash)?;
        if !entry.is_for(key) {
            return None;
        }
        entry.used = self.clock;
        Some(Arc::clone(&entry.plan))
    }

    /// Keeps a plan if it may be used again.
    pub fn insert(&mut self, key: &PlanKey<'_>, plan: &Arc<Plan>) {
        if !plan.is_reusable() {
            return;
        }
        let hash = self.hash(key);
        if self.entries.len() >= self.capacity && !self.entries.contains_key(&hash) {
            let oldest =
                self.entries.iter().take(16).min_by_key(|(_, entry)| entry.used).map(|(hash, _)| *hash);
            oldest.map(|hash| self.entries.remove(&hash));
        }
        self.clock += 1;
        let entry = Entry {
            text: key.text.into(),
            database: key.database.into(),
            sql_mode: key.sql_mode,
            collation: key.collation,
            kinds: key.params.iter().map(crate::plan::param_code).collect(),
            catalog: key.catalog,
            plan: Arc::clone(plan),
            used: self.clock,
        };
        self.entries.insert(hash, entry);
    }

    /// Without the catalog's version, so that a newer plan replaces the older one.
    fn hash(&self, key: &PlanKey<'_>) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(key.text);
        hasher.write(key.database.as_bytes());
        hasher.write_u32(key.sql_mode);
        hasher.write_u16(key.collation.0);
        for value in key.params {
            hasher.write_u16(crate::plan::param_code(value));
        }
        hasher.finish()
    }
}
