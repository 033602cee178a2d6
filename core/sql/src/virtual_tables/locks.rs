//! Who holds and who waits for what: `INNODB_TRX`, `data_locks`, `data_lock_waits`.
//!
//! The session asks its node for a [`LockReport`] before a statement that names one of these tables runs.

use std::collections::HashMap;

use aquifer_types::{SqlResult, Value};

use super::definition::TableLine;
use super::source::{datetime, maybe_text, size, text, uint};
use super::{ProcessRow, Source};

/// Transactions, locks and waits of a node at about one moment.
#[derive(Clone, Debug, Default)]
pub struct LockReport {
    /// Transactions that have locked or written something.
    pub transactions: Vec<TransactionRow>,
    /// Locks held and wanted.
    pub locks: Vec<LockRow>,
    /// Who waits for whom.
    pub waits: Vec<WaitRow>,
    /// Deadlocks since the start.
    pub deadlocks: u64,
    /// The last of them.
    pub latest_deadlock: Option<DeadlockRow>,
}

/// A running transaction.
#[derive(Clone, Debug)]
pub struct TransactionRow {
    /// Its number.
    pub id: u64,
    /// Its connection.
    pub connection: u64,
    /// When it began to lock or write, in seconds since 1970.
    pub started_unix_s: i64,
    /// Its level, as `trx_isolation_level` names it.
    pub isolation: &'static str,
    /// Locks it has taken.
    pub locked: usize,
    /// Keys it has written.
    pub written: usize,
}

/// A lock.
#[derive(Clone, Debug)]
pub struct LockRow {
    /// The transaction.
    pub transaction: u64,
    /// The key, or the start of a range.
    pub key: Vec<u8>,
    /// Where the range ends.
    pub end: Option<Vec<u8>>,
    /// Whether it is exclusive.
    pub exclusive: bool,
    /// Whether it is held; otherwise it is waited for.
    pub granted: bool,
}

/// A wait.
#[derive(Clone, Debug)]
pub struct WaitRow {
    /// Who waits.
    pub requesting: u64,
    /// For whom.
    pub blocking: u64,
    /// For which key.
    pub key: Vec<u8>,
}

/// A deadlock.
#[derive(Clone, Debug)]
pub struct DeadlockRow {
    /// The transactions, each waiting for the next, with how much each had done and what key it waited for.
    pub cycle: Vec<(u64, u64, Vec<u8>)>,
    /// Who gave way.
    pub victim: u64,
}

/// Whether a table is computed from a [`LockReport`].
#[must_use]
pub fn needs_lock_report(schema: &str, table: &str) -> bool {
    TABLES
        .iter()
        .any(|(known, name, ..)| known.eq_ignore_ascii_case(schema) && name.eq_ignore_ascii_case(table))
}

pub(super) const TABLES: &[TableLine] = &[
    (
        "information_schema",
        "INNODB_TRX",
        "trx_id:u trx_state:v13 trx_started:t trx_requested_lock_id:v126? trx_wait_started:t? trx_weight:u \
         trx_mysql_thread_id:u trx_query:v1024? trx_operation_state:v64? trx_tables_in_use:u trx_tables_locked:u \
         trx_lock_structs:u trx_lock_memory_bytes:u trx_rows_locked:u trx_rows_modified:u \
         trx_concurrency_tickets:u trx_isolation_level:v16 trx_unique_checks:n trx_foreign_key_checks:n \
         trx_last_foreign_key_error:v256? trx_adaptive_hash_latched:n trx_adaptive_hash_timeout:u \
         trx_is_read_only:n trx_autocommit_non_locking:n trx_schedule_weight:u?",
        transactions,
    ),
    (
        "performance_schema",
        "data_locks",
        "ENGINE:v32 ENGINE_LOCK_ID:v128 ENGINE_TRANSACTION_ID:u? THREAD_ID:u? EVENT_ID:u? \
         OBJECT_SCHEMA:v64? OBJECT_NAME:v64? PARTITION_NAME:v64? SUBPARTITION_NAME:v64? INDEX_NAME:v64? \
         OBJECT_INSTANCE_BEGIN:u LOCK_TYPE:v32 LOCK_MODE:v32 LOCK_STATUS:v32 LOCK_DATA:v8192?",
        locks,
    ),
    (
        "performance_schema",
        "data_lock_waits",
        "ENGINE:v32 REQUESTING_ENGINE_LOCK_ID:v128 REQUESTING_ENGINE_TRANSACTION_ID:u? \
         REQUESTING_THREAD_ID:u? BLOCKING_ENGINE_LOCK_ID:v128 BLOCKING_ENGINE_TRANSACTION_ID:u? \
         BLOCKING_THREAD_ID:u?",
        waits,
    ),
];

/// A lock's name: its transaction and its key.
fn lock_id(transaction: u64, key: &[u8]) -> String {
    // As long as the column; longer keys of one transaction may look alike.
    let mut id = format!("{transaction}:{}", hex(key));
    id.truncate(126);
    id
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn connections(report: &LockReport) -> HashMap<u64, u64> {
    report.transactions.iter().map(|row| (row.id, row.connection)).collect()
}

fn known(number: Option<&u64>) -> Value {
    number.map_or(Value::Null, |number| uint(*number))
}

fn transactions(source: &Source<'_>) -> SqlResult<Vec<Vec<Value>>> {
    let Some(report) = source.facts.lock_report() else { return Ok(Vec::new()) };
    let waits: HashMap<u64, &WaitRow> = report.waits.iter().map(|wait| (wait.requesting, wait)).collect();
    let processes: HashMap<u64, ProcessRow> =
        source.facts.processes().into_iter().map(|process| (process.id, process)).collect();
    let row = |trx: &TransactionRow| {
        let wait = waits.get(&trx.id);
        let query = processes.get(&trx.connection).and_then(|process| process.info.as_deref());
        let query = query.map(|query| query.chars().take(1024).collect::<String>());
        let requested = wait.map(|wait| lock_id(trx.id, &wait.key));
        vec![
            uint(trx.id),
            text(if wait.is_some() { "LOCK WAIT" } else { "RUNNING" }),
            datetime(trx.started_unix_s),
            maybe_text(requested.as_deref()),
            Value::Null,
            size(trx.locked + trx.written),
            uint(trx.connection),
            maybe_text(query.as_deref()),
            Value::Null,
            uint(0),
            uint(0),
            size(trx.locked),
            uint(0),
            size(trx.locked),
            size(trx.written),
            uint(0),
            text(trx.isolation),
            Value::Int(1),
            Value::Int(1),
            Value::Null,
            Value::Int(0),
            uint(0),
            Value::Int(0),
            Value::Int(0),
            Value::Null,
        ]
    };
    Ok(report.transactions.iter().map(row).collect())
}

fn locks(source: &Source<'_>) -> SqlResult<Vec<Vec<Value>>> {
    let Some(report) = source.facts.lock_report() else { return Ok(Vec::new()) };
    let connections = connections(report);
    let names = index_names(source);
    let row = |lock: &LockRow| {
        let index = lock.key.first_chunk::<4>().map(|id| u32::from_be_bytes(*id));
        let name = index.and_then(|index| names.get(&index));
        let mode = match (lock.exclusive, &lock.end) {
            (_, Some(_)) => "S,GAP",
            (true, None) => "X,REC_NOT_GAP",
            (false, None) => "S,REC_NOT_GAP",
        };
        let data = match &lock.end {
            None => format!("0x{}", hex(lock.key.get(4..).unwrap_or_default())),
            Some(end) => format!("0x{} to 0x{}", hex(&lock.key), hex(end)),
        };
        let data: String = data.chars().take(8192).collect();
        vec![
            text("INNODB"),
            text(&lock_id(lock.transaction, &lock.key)),
            uint(lock.transaction),
            known(connections.get(&lock.transaction)),
            Value::Null,
            maybe_text(name.map(|(schema, ..)| schema.as_str())),
            maybe_text(name.map(|(_, table, _)| table.as_str())),
            Value::Null,
            Value::Null,
            maybe_text(name.map(|(.., index)| index.as_str())),
            uint(0),
            text("RECORD"),
            text(mode),
            text(if lock.granted { "GRANTED" } else { "WAITING" }),
            text(&data),
        ]
    };
    Ok(report.locks.iter().map(row).collect())
}

/// Database, table and name of each index by its id.
fn index_names(source: &Source<'_>) -> HashMap<u32, (String, String, String)> {
    let mut names = HashMap::new();
    for table in source.databases().flat_map(|database| source.catalog.tables(database.id)) {
        for index in &table.indexes {
            let name = (table.schema.to_string(), table.name.to_string(), index.name.to_string());
            names.insert(index.id.0, name);
        }
    }
    names
}

fn waits(source: &Source<'_>) -> SqlResult<Vec<Vec<Value>>> {
    let Some(report) = source.facts.lock_report() else { return Ok(Vec::new()) };
    let connections = connections(report);
    let row = |wait: &WaitRow| {
        vec![
            text("INNODB"),
            text(&lock_id(wait.requesting, &wait.key)),
            uint(wait.requesting),
            known(connections.get(&wait.requesting)),
            text(&lock_id(wait.blocking, &wait.key)),
            uint(wait.blocking),
            known(connections.get(&wait.blocking)),
        ]
    };
    Ok(report.waits.iter().map(row).collect())
}
