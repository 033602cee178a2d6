//! Statements that are ready to run, and the cache of them.
//!
//! A [`ReadyStatement`] belongs to everybody on its executor: it holds no state of a session. It carries
//! what the session must check before it runs the plan (privileges, read-only nodes) and the column
//! definitions in their encoded form, so that a cached point query is neither parsed, planned nor
//! described again.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::rc::Rc;
use std::sync::Arc;

use aquifer_sql::ast::Statement;
use aquifer_sql::plan::param_code;
use aquifer_sql::{Plan, PlanKey, WithinView};
use aquifer_types::{Collation, Lsn};
use aquifer_wire::{ColumnsBlock, ResultCharset};

use crate::access::Requirement;
use crate::registry::CommandCounter;

/// What a statement is carried out by.
pub(crate) enum Body {
    /// The planner's crate.
    Planned(Arc<Plan>),
    /// The session.
    Direct(Statement),
}

/// Whether a statement changes anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// A query without locks.
    Read,
    /// Everything that a reader node refuses.
    Write,
    /// Changes of the session's temporary tables alone.
    Local,
    /// Neither: the session's own business.
    Session,
}

/// What the tables of a view need, of the one with whose rights it reads them.
pub(crate) struct ViewNeeds {
    pub(crate) within: Arc<WithinView>,
    pub(crate) requirements: Vec<Requirement>,
}

/// A statement that can be run any number of times.
pub(crate) struct ReadyStatement {
    pub(crate) body: Body,
    pub(crate) counter: Option<CommandCounter>,
    pub(crate) requirements: Vec<Requirement>,
    /// What the views that it names need.
    pub(crate) view_needs: Vec<ViewNeeds>,
    pub(crate) effect: Effect,
    /// Whether it reads or writes any table of the catalog.
    pub(crate) touches_tables: bool,
    pub(crate) commits_implicitly: bool,
    /// Whether it names a table of transactions or locks.
    pub(crate) shows_locks: bool,
    /// A SELECT without LIMIT, to which `sql_select_limit` applies.
    pub(crate) takes_default_limit: bool,
    /// UPDATE or DELETE without WHERE and LIMIT: error 1175 under `sql_safe_updates`.
    pub(crate) changes_all_rows: bool,
    /// CREATE TABLE without a primary key: error 3750 under `sql_require_primary_key`.
    pub(crate) lacks_primary_key: bool,
    /// DROP DATABASE: its name.
    pub(crate) drops_database: Option<String>,
    /// Number of `?`.
    pub(crate) parameters: usize,
    /// Version of the catalog that it was made for.
    pub(crate) catalog: Lsn,
    /// When it was made, in microseconds since 1970.
    pub(crate) made_micros: i64,
    columns: RefCell<Option<(ResultCharset, Rc<ColumnsBlock>)>>,
}

impl ReadyStatement {
    pub(crate) fn new(body: Body, counter: Option<CommandCounter>) -> Self {
        Self {
            body,
            counter,
            requirements: Vec::new(),
            view_needs: Vec::new(),
            effect: Effect::Session,
            touches_tables: false,
            commits_implicitly: false,
            shows_locks: false,
            takes_default_limit: false,
            changes_all_rows: false,
            lacks_primary_key: false,
            drops_database: None,
            parameters: 0,
            catalog: Lsn(0),
            made_micros: 0,
            columns: RefCell::new(None),
        }
    }

    /// Whether it may be kept for later.
    pub(crate) fn is_reusable(&self) -> bool {
        match &self.body {
            Body::Planned(plan) => plan.is_reusable(),
            Body::Direct(_) => true,
        }
    }

    /// Whether its plan was made by statistics, which change.
    pub(crate) fn follows_statistics(&self) -> bool {
        matches!(&self.body, Body::Planned(plan) if plan.follows_statistics())
    }

    /// The encoded column definitions for one character set, made once.
    pub(crate) fn columns_block(
        &self,
        charset: ResultCharset,
        make: impl FnOnce() -> ColumnsBlock,
    ) -> Rc<ColumnsBlock> {
        let mut cached = self.columns.borrow_mut();
        match &*cached {
            Some((known, block)) if *known == charset => Rc::clone(block),
            _ => {
                let block = Rc::new(make());
                *cached = Some((charset, Rc::clone(&block)));
                block
            }
        }
    }
}

struct Entry {
    text: Box<[u8]>,
    database: Box<str>,
    sql_mode: u32,
    collation: Collation,
    kinds: Box<[u16]>,
    statement: Rc<ReadyStatement>,
    used: u64,
}

impl Entry {
    fn is_for(&self, key: &PlanKey<'_>) -> bool {
        self.statement.catalog == key.catalog
            && self.sql_mode == key.sql_mode
            && self.collation == key.collation
            && *self.text == *key.text
            && *self.database == *key.database
            && self.kinds.len() == key.params.len()
            && self.kinds.iter().zip(key.params).all(|(kind, value)| *kind == param_code(value))
    }
}

/// A bounded cache; the least recently used of a small sample makes room.
pub(crate) struct StatementCache {
    entries: HashMap<u64, Entry>,
    hasher: RandomState,
    capacity: usize,
    clock: u64,
}

impl StatementCache {
    /// Longest text that is kept, in bytes.
    pub(crate) const TEXT_BYTES_MAX: usize = 16 * 1024;

    pub(crate) fn new(capacity: usize) -> Self {
        Self { entries: HashMap::new(), hasher: RandomState::new(), capacity: capacity.max(1), clock: 0 }
    }

    /// The statement for exactly this key.
    pub(crate) fn get(&mut self, key: &PlanKey<'_>) -> Option<Rc<ReadyStatement>> {
        let hash = self.hash(key);
        self.clock += 1;
        let entry = self.entries.get_mut(&hash)?;
        if !entry.is_for(key) {
            return None;
        }
        entry.used = self.clock;
        Some(Rc::clone(&entry.statement))
    }

    /// Forgets the statements whose plans were made by statistics.
    pub(crate) fn forget_estimated(&mut self) {
        self.entries.retain(|_, entry| !entry.statement.follows_statistics());
    }

    /// Keeps a statement if it may be used again.
    pub(crate) fn insert(&mut self, key: &PlanKey<'_>, statement: &Rc<ReadyStatement>) {
        if !statement.is_reusable() || key.text.len() > Self::TEXT_BYTES_MAX {
            return;
        }
        let hash = self.hash(key);
        if self.entries.len() >= self.capacity && !self.entries.contains_key(&hash) {
            let sample = self.entries.iter().take(16);
            let oldest = sample.min_by_key(|(_, entry)| entry.used).map(|(hash, _)| *hash);
            oldest.map(|hash| self.entries.remove(&hash));
        }
        self.clock += 1;
        let entry = Entry {
            text: key.text.into(),
            database: key.database.into(),
            sql_mode: key.sql_mode,
            collation: key.collation,
            kinds: key.params.iter().map(param_code).collect(),
            statement: Rc::clone(statement),
            used: self.clock,
        };
        self.entries.insert(hash, entry);
    }

    /// Without the catalog's version, so that a newer statement replaces the older one.
    fn hash(&self, key: &PlanKey<'_>) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(key.text);
        hasher.write(key.database.as_bytes());
        hasher.write_u32(key.sql_mode);
        hasher.write_u16(key.collation.0);
        for value in key.params {
            hasher.write_u16(param_code(value));
        }
        hasher.finish()
    }
}
