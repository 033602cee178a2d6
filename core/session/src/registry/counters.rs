//! Status counters: one set per executor, added up when somebody asks.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What can be counted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(usize)]
        pub enum CommandCounter { $($(#[$doc])* $name,)* }

        impl CommandCounter {
            /// All of them, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];
        }
    };
}

counters! {
    /// Statements sent by clients (`Questions`).
    Questions,
    /// Statements run (`Queries`), multi-statements counted one by one.
    Queries,
    /// `Connections`: attempts, successful or not.
    Connections,
    /// `Aborted_connects`.
    AbortedConnects,
    /// `Aborted_clients`.
    AbortedClients,
    /// `Connection_errors_max_connections`.
    ConnectionErrorsMax,
    /// `Bytes_received`.
    BytesReceived,
    /// `Bytes_sent`.
    BytesSent,
    /// `Slow_queries`.
    SlowQueries,
    /// `Aquifer_long_statements`: moved to the bulk lane.
    LongStatements,
    /// `Max_execution_time_exceeded`.
    MaxExecutionTimeExceeded,
    /// `Com_select`.
    Select,
    /// `Com_insert`.
    Insert,
    /// `Com_insert_select`.
    InsertSelect,
    /// `Com_update`.
    Update,
    /// `Com_delete`.
    Delete,
    /// `Com_replace`.
    Replace,
    /// `Com_begin`.
    Begin,
    /// `Com_commit`.
    Commit,
    /// `Com_rollback`.
    Rollback,
    /// `Com_savepoint`.
    Savepoint,
    /// `Com_release_savepoint`.
    ReleaseSavepoint,
    /// `Com_rollback_to_savepoint`.
    RollbackToSavepoint,
    /// `Com_xa_start`.
    XaStart,
    /// `Com_xa_end`.
    XaEnd,
    /// `Com_xa_prepare`.
    XaPrepare,
    /// `Com_xa_commit`.
    XaCommit,
    /// `Com_xa_rollback`.
    XaRollback,
    /// `Com_xa_recover`.
    XaRecover,
    /// `Com_set_option`.
    SetOption,
    /// `Com_change_db`.
    ChangeDb,
    /// `Com_create_table`.
    CreateTable,
    /// `Com_drop_table`.
    DropTable,
    /// `Com_alter_table`.
    AlterTable,
    /// `Com_create_index`.
    CreateIndex,
    /// `Com_drop_index`.
    DropIndex,
    /// `Com_truncate`.
    Truncate,
    /// `Com_rename_table`.
    RenameTable,
    /// `Com_create_db`.
    CreateDb,
    /// `Com_drop_db`.
    DropDb,
    /// `Com_create_user`.
    CreateUser,
    /// `Com_drop_user`.
    DropUser,
    /// `Com_grant`.
    Grant,
    /// `Com_revoke`.
    Revoke,
    /// `Com_kill`.
    Kill,
    /// `Com_show_variables`.
    ShowVariables,
    /// `Com_show_status`.
    ShowStatus,
    /// `Com_show_tables`.
    ShowTables,
    /// `Com_show_databases`.
    ShowDatabases,
    /// `Com_show_create_table`.
    ShowCreateTable,
    /// `Com_show_fields`.
    ShowFields,
    /// `Com_show_keys`.
    ShowKeys,
    /// `Com_show_processlist`.
    ShowProcesslist,
    /// `Com_show_warnings`.
    ShowWarnings,
    /// `Com_show_grants`.
    ShowGrants,
    /// `Com_show_engine_status`.
    ShowEngineStatus,
    /// `Com_show_table_status`.
    ShowTableStatus,
    /// `Com_explain_other` and plain EXPLAIN.
    Explain,
    /// `Com_lock_tables`.
    LockTables,
    /// `Com_unlock_tables`.
    UnlockTables,
    /// `Com_analyze`.
    Analyze,
    /// `Com_stmt_prepare`.
    StmtPrepare,
    /// `Com_stmt_execute`.
    StmtExecute,
    /// `Com_stmt_close`.
    StmtClose,
    /// `Com_stmt_reset`.
    StmtReset,
    /// `Com_stmt_fetch`.
    StmtFetch,
    /// `Com_stmt_send_long_data`.
    StmtLongData,
    /// `Com_stmt_reprepare`.
    StmtReprepare,
    /// Statements answered from the plan cache (`Aquifer_plan_cache_hits`).
    PlanCacheHits,
    /// Statements that had to be planned (`Aquifer_plan_cache_misses`).
    PlanCacheMisses,
    /// `Open prepared statements`: opened so far.
    PreparedOpened,
    /// Prepared statements closed so far.
    PreparedClosed,
}

const COUNTERS: usize = CommandCounter::ALL.len();

/// The counters of one executor. Written by it alone, read by anybody.
#[derive(Debug)]
pub struct ExecutorCounters {
    values: [AtomicU64; COUNTERS],
}

impl Default for ExecutorCounters {
    fn default() -> Self {
        Self { values: [const { AtomicU64::new(0) }; COUNTERS] }
    }
}

impl ExecutorCounters {
    /// Adds to a counter. Only the owning executor may call it: a load and a store are enough then.
    pub fn add(&self, counter: CommandCounter, amount: u64) {
        let value = &self.values[counter as usize];
        value.store(value.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Relaxed);
    }

    /// The present value.
    #[must_use]
    pub fn get(&self, counter: CommandCounter) -> u64 {
        self.values[counter as usize].load(Ordering::Relaxed)
    }
}

/// The sum over the executors.
#[derive(Clone, Debug)]
pub struct CounterTotals {
    values: [u64; COUNTERS],
}

impl Default for CounterTotals {
    fn default() -> Self {
        Self { values: [0; COUNTERS] }
    }
}

impl CounterTotals {
    /// Adds one executor's counters.
    pub fn add(&mut self, counters: &ExecutorCounters) {
        for (total, value) in self.values.iter_mut().zip(&counters.values) {
            *total = total.wrapping_add(value.load(Ordering::Relaxed));
        }
    }

    /// The sum of one counter.
    #[must_use]
    pub fn get(&self, counter: CommandCounter) -> u64 {
        self.values[counter as usize]
    }
}
