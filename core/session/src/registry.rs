//! What all sessions of a node share: connection ids, the processlist, KILL, limits, global variables
//! and status counters.
//!
//! Touched on every statement are only the relaxed atomics of a session's own [`ConnectionEntry`] and
//! of its executor's [`ExecutorCounters`]; locks are taken when connections come and go, when global
//! variables change and when somebody looks.
//!
//! Time limits are enforced by [`SessionRegistry::tick`], which a thread of the node calls every 10 to
//! 100 ms, because timers of a busy executor may be late.

mod counters;
mod entry;
mod user_locks;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant, SystemTime};

pub use counters::{CommandCounter, CounterTotals, ExecutorCounters};
pub use entry::{ConnectionEntry, EntryCommand, EntryView};
pub(crate) use user_locks::{LockAttempt, UserLocks};

use aquifer_catalog::Catalog;
use aquifer_sql::ValueLocks;
use aquifer_sql::temporary::TemporaryMemory;
use aquifer_types::Collation;
use aquifer_wire::{AuthCache, AuthPlugin, Capabilities, HandshakeSettings, ServerKeys};

use crate::output::Closer;
use crate::variables::{GlobalVariables, ids};
use crate::xa::XaNames;

/// Set in [`crate::node::Interrupt`] by KILL QUERY.
pub const INTERRUPT_QUERY: u8 = 1;
/// Set in [`crate::node::Interrupt`] by KILL CONNECTION and shutdown.
pub const INTERRUPT_CONNECTION: u8 = 2;
/// Set in [`crate::node::Interrupt`] when `max_execution_time` has passed.
pub const INTERRUPT_TIMEOUT: u8 = 3;

/// How the node wants its sessions to be.
#[derive(Clone, Debug)]
pub struct SessionSettings {
    /// What `@@version` and the greeting say; starts with `8.0.`.
    pub version: String,
    /// Global variables that differ from their defaults, by name, as `SET GLOBAL` would take them;
    /// read-only ones (`port`, `hostname`, `server_uuid`, …) are allowed here.
    pub variables: Vec<(String, String)>,
    /// For TLS and for passwords sent encrypted; without keys there is no TLS.
    pub keys: Option<Arc<ServerKeys>>,
}

impl Default for SessionSettings {
    fn default() -> Self {
        Self { version: crate::VERSION.to_owned(), variables: Vec::new(), keys: None }
    }
}

/// The sessions of one node. `Send + Sync`; one per process.
pub struct SessionRegistry {
    started: Instant,
    started_at: SystemTime,
    next_id: AtomicU64,
    connections: Mutex<BTreeMap<u64, Arc<ConnectionEntry>>>,
    executors: Mutex<Vec<Arc<ExecutorCounters>>>,
    globals: RwLock<Arc<GlobalVariables>>,
    /// `innodb_autoinc_lock_mode`, which every statement that writes asks for.
    value_locks: AtomicU64,
    peak_connections: AtomicU64,
    persisted_applied: AtomicBool,
    handshake: Arc<HandshakeSettings>,
    auth_cache: AuthCache,
    user_locks: UserLocks,
    temporary_memory: Arc<TemporaryMemory>,
    attributes: Mutex<BTreeMap<u64, Vec<(String, String)>>>,
    xa_names: Arc<XaNames>,
}

impl SessionRegistry {
    /// Branches of global transactions that sessions work on.
    pub(crate) fn xa_names(&self) -> &Arc<XaNames> {
        &self.xa_names
    }

    /// What the temporary tables of all sessions may keep.
    pub(crate) fn temporary_memory(&self) -> &Arc<TemporaryMemory> {
        &self.temporary_memory
    }

    /// A registry without sessions.
    ///
    /// # Errors
    /// A sentence for the operator when a variable of `settings` is unknown or its value is not legal.
    pub fn new(settings: &SessionSettings) -> Result<Arc<Self>, String> {
        let globals = GlobalVariables::new(settings)?;
        Ok(Arc::new(Self {
            started: Instant::now(),
            started_at: SystemTime::now(),
            next_id: AtomicU64::new(8),
            connections: Mutex::new(BTreeMap::new()),
            executors: Mutex::new(Vec::new()),
            value_locks: AtomicU64::new(value_locks(&globals)),
            globals: RwLock::new(Arc::new(globals)),
            peak_connections: AtomicU64::new(0),
            persisted_applied: AtomicBool::new(false),
            handshake: Arc::new(HandshakeSettings {
                version: settings.version.clone(),
                capabilities: Capabilities::ALL_SUPPORTED,
                collation: Collation::UTF8MB4_0900_AI_CI,
                default_plugin: AuthPlugin::CachingSha2,
                keys: settings.keys.clone(),
            }),
            auth_cache: AuthCache::new(),
            user_locks: UserLocks::default(),
            temporary_memory: TemporaryMemory::new(0),
            attributes: Mutex::new(BTreeMap::new()),
            xa_names: Arc::default(),
        }))
    }

    /// The global variables as they are now.
    #[must_use]
    pub fn globals(&self) -> Arc<GlobalVariables> {
        Arc::clone(&self.globals.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes global variables; `change` works on a copy that replaces the present ones.
    pub fn change_globals<T>(&self, change: impl FnOnce(&mut GlobalVariables) -> T) -> T {
        let mut globals = self.globals.write().unwrap_or_else(PoisonError::into_inner);
        let mut copy = GlobalVariables::clone(&globals);
        let result = change(&mut copy);
        self.value_locks.store(value_locks(&copy), Ordering::Relaxed);
        *globals = Arc::new(copy);
        result
    }

    /// When statements lock the AUTO_INCREMENT values of a table.
    pub(crate) fn value_locks(&self) -> ValueLocks {
        match self.value_locks.load(Ordering::Relaxed) {
            0 => ValueLocks::Traditional,
            1 => ValueLocks::Consecutive,
            _ => ValueLocks::Interleaved,
        }
    }

    /// Takes over the values that SET PERSIST has stored, once per process; values that are not legal any
    /// more are returned as sentences for the event log.
    pub fn apply_persisted(&self, catalog: &Catalog) -> Vec<String> {
        if self.persisted_applied.swap(true, Ordering::Relaxed) {
            return Vec::new();
        }
        self.change_globals(|globals| {
            let apply = |(name, value): (&str, &str)| globals.configure(name, value).err();
            catalog.variables().filter_map(apply).collect()
        })
    }

    /// Since when the node serves.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// Wall-clock time of the start.
    #[must_use]
    pub fn started_at(&self) -> SystemTime {
        self.started_at
    }

    /// Milliseconds since the start: the clock of [`ConnectionEntry`].
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Registers the counters of one executor.
    #[must_use]
    pub fn add_executor(&self) -> Arc<ExecutorCounters> {
        let counters = Arc::new(ExecutorCounters::default());
        lock(&self.executors).push(Arc::clone(&counters));
        counters
    }

    /// The sum of all executors' counters.
    #[must_use]
    pub fn totals(&self) -> CounterTotals {
        let mut totals = CounterTotals::default();
        for counters in lock(&self.executors).iter() {
            totals.add(counters);
        }
        totals
    }

    /// Registers a connection that has just been accepted.
    #[must_use]
    pub fn connect(&self, host: String, closer: Closer) -> Arc<ConnectionEntry> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let entry = Arc::new(ConnectionEntry::new(id, host, closer, self.now_ms()));
        let mut connections = lock(&self.connections);
        connections.insert(id, Arc::clone(&entry));
        let count = u64::try_from(connections.len()).unwrap_or(u64::MAX);
        self.peak_connections.fetch_max(count, Ordering::Relaxed);
        entry
    }

    /// Forgets a connection.
    pub fn disconnect(&self, id: u64) {
        lock(&self.attributes).remove(&id);
        lock(&self.connections).remove(&id);
    }

    /// What all logins have in common.
    pub(crate) fn handshake_settings(&self) -> Arc<HandshakeSettings> {
        Arc::clone(&self.handshake)
    }

    /// Passwords that were right lately.
    pub(crate) fn auth_cache(&self) -> &AuthCache {
        &self.auth_cache
    }

    /// Locks of GET_LOCK.
    pub(crate) fn user_locks(&self) -> &UserLocks {
        &self.user_locks
    }

    /// Releases all GET_LOCK locks of a connection and returns how many there were.
    pub(crate) fn release_user_locks(&self, connection: u64) -> u64 {
        self.user_locks.release_all(connection)
    }

    /// Keeps a connection's attributes.
    pub(crate) fn set_attributes(&self, id: u64, attributes: Vec<(String, String)>) {
        if !attributes.is_empty() {
            lock(&self.attributes).insert(id, attributes);
        }
    }

    /// Attributes of all connections: id, name, value.
    #[must_use]
    pub fn attributes(&self) -> Vec<(u64, String, String)> {
        let all = lock(&self.attributes);
        let flat = all.iter().flat_map(|(id, pairs)| pairs.iter().map(|(n, v)| (*id, n.clone(), v.clone())));
        flat.collect()
    }

    /// Connections now, those included that have not logged in yet.
    #[must_use]
    pub fn connection_count(&self) -> usize {
        lock(&self.connections).len()
    }

    /// The most connections at one time since the start.
    #[must_use]
    pub fn peak_connections(&self) -> u64 {
        self.peak_connections.load(Ordering::Relaxed)
    }

    /// Connections that run a statement now.
    #[must_use]
    pub fn running_count(&self) -> usize {
        lock(&self.connections).values().filter(|entry| entry.is_running()).count()
    }

    /// One connection.
    #[must_use]
    pub fn connection(&self, id: u64) -> Option<Arc<ConnectionEntry>> {
        lock(&self.connections).get(&id).cloned()
    }

    /// All connections, by id.
    #[must_use]
    pub fn connections(&self) -> Vec<Arc<ConnectionEntry>> {
        lock(&self.connections).values().cloned().collect()
    }

    /// Enforces `max_execution_time`, `wait_timeout`, `interactive_timeout` and `connect_timeout`.
    /// A thread of the node calls it every 10 to 100 ms.
    pub fn tick(&self) {
        let now = self.now_ms();
        for entry in self.connections() {
            entry.enforce_limits(now);
        }
    }

    /// Interrupts all statements and shuts all sockets: the node is closing.
    pub fn close_all(&self) {
        for entry in self.connections() {
            entry.kill_connection();
        }
    }
}

/// Locks even when a panicking thread has held the lock: the data are replaced as a whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn value_locks(globals: &GlobalVariables) -> u64 {
    globals.get(ids::INNODB_AUTOINC_LOCK_MODE).as_u64()
}
