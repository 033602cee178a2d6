//! Status counters by name: SHOW STATUS and COM_STATISTICS.
//!
//! Counters that describe parts which do not exist here are listed with 0, because dashboards expect
//! the names.

use crate::host::SessionHost;
use crate::registry::CommandCounter;

/// Statements that are counted, as `Com_` names them.
const COMMANDS: &[(&str, CommandCounter)] = &[
    ("Com_alter_table", CommandCounter::AlterTable),
    ("Com_analyze", CommandCounter::Analyze),
    ("Com_begin", CommandCounter::Begin),
    ("Com_change_db", CommandCounter::ChangeDb),
    ("Com_commit", CommandCounter::Commit),
    ("Com_create_db", CommandCounter::CreateDb),
    ("Com_create_index", CommandCounter::CreateIndex),
    ("Com_create_table", CommandCounter::CreateTable),
    ("Com_create_user", CommandCounter::CreateUser),
    ("Com_delete", CommandCounter::Delete),
    ("Com_drop_db", CommandCounter::DropDb),
    ("Com_drop_index", CommandCounter::DropIndex),
    ("Com_drop_table", CommandCounter::DropTable),
    ("Com_drop_user", CommandCounter::DropUser),
    ("Com_explain_other", CommandCounter::Explain),
    ("Com_grant", CommandCounter::Grant),
    ("Com_insert", CommandCounter::Insert),
    ("Com_insert_select", CommandCounter::InsertSelect),
    ("Com_kill", CommandCounter::Kill),
    ("Com_lock_tables", CommandCounter::LockTables),
    ("Com_release_savepoint", CommandCounter::ReleaseSavepoint),
    ("Com_rename_table", CommandCounter::RenameTable),
    ("Com_replace", CommandCounter::Replace),
    ("Com_revoke", CommandCounter::Revoke),
    ("Com_rollback", CommandCounter::Rollback),
    ("Com_rollback_to_savepoint", CommandCounter::RollbackToSavepoint),
    ("Com_savepoint", CommandCounter::Savepoint),
    ("Com_select", CommandCounter::Select),
    ("Com_set_option", CommandCounter::SetOption),
    ("Com_show_create_table", CommandCounter::ShowCreateTable),
    ("Com_show_databases", CommandCounter::ShowDatabases),
    ("Com_show_engine_status", CommandCounter::ShowEngineStatus),
    ("Com_show_fields", CommandCounter::ShowFields),
    ("Com_show_grants", CommandCounter::ShowGrants),
    ("Com_show_keys", CommandCounter::ShowKeys),
    ("Com_show_processlist", CommandCounter::ShowProcesslist),
    ("Com_show_status", CommandCounter::ShowStatus),
    ("Com_show_table_status", CommandCounter::ShowTableStatus),
    ("Com_show_tables", CommandCounter::ShowTables),
    ("Com_show_variables", CommandCounter::ShowVariables),
    ("Com_show_warnings", CommandCounter::ShowWarnings),
    ("Com_stmt_close", CommandCounter::StmtClose),
    ("Com_stmt_execute", CommandCounter::StmtExecute),
    ("Com_stmt_fetch", CommandCounter::StmtFetch),
    ("Com_stmt_prepare", CommandCounter::StmtPrepare),
    ("Com_stmt_reprepare", CommandCounter::StmtReprepare),
    ("Com_stmt_reset", CommandCounter::StmtReset),
    ("Com_stmt_send_long_data", CommandCounter::StmtLongData),
    ("Com_truncate", CommandCounter::Truncate),
    ("Com_unlock_tables", CommandCounter::UnlockTables),
    ("Com_update", CommandCounter::Update),
    ("Com_xa_commit", CommandCounter::XaCommit),
    ("Com_xa_end", CommandCounter::XaEnd),
    ("Com_xa_prepare", CommandCounter::XaPrepare),
    ("Com_xa_recover", CommandCounter::XaRecover),
    ("Com_xa_rollback", CommandCounter::XaRollback),
    ("Com_xa_start", CommandCounter::XaStart),
];

/// Counters of connections and statements.
const COUNTERS: &[(&str, CommandCounter)] = &[
    ("Aborted_clients", CommandCounter::AbortedClients),
    ("Aborted_connects", CommandCounter::AbortedConnects),
    ("Aquifer_plan_cache_hits", CommandCounter::PlanCacheHits),
    ("Aquifer_plan_cache_misses", CommandCounter::PlanCacheMisses),
    ("Bytes_received", CommandCounter::BytesReceived),
    ("Bytes_sent", CommandCounter::BytesSent),
    ("Connection_errors_max_connections", CommandCounter::ConnectionErrorsMax),
    ("Connections", CommandCounter::Connections),
    ("Aquifer_long_statements", CommandCounter::LongStatements),
    ("Max_execution_time_exceeded", CommandCounter::MaxExecutionTimeExceeded),
    ("Queries", CommandCounter::Queries),
    ("Questions", CommandCounter::Questions),
    ("Slow_queries", CommandCounter::SlowQueries),
];

/// Names that are always 0.
const ZEROS: &str = include_str!("status_zeros.txt");

/// All counters, by name.
pub(crate) fn all(host: &SessionHost) -> Vec<(String, String)> {
    let totals = host.registry.totals();
    let mut all: Vec<(String, String)> = COMMANDS
        .iter()
        .chain(COUNTERS)
        .map(|(name, counter)| ((*name).to_owned(), totals.get(*counter).to_string()))
        .collect();
    let mut add = |name: &str, value: String| all.push((name.to_owned(), value));
    let registry = &host.registry;
    let connected = registry.connection_count();
    let uptime = registry.uptime().as_secs();
    let opened = totals.get(CommandCounter::PreparedOpened);
    add("Threads_connected", connected.to_string());
    add("Threads_running", registry.running_count().to_string());
    add("Threads_cached", "0".to_owned());
    add("Threads_created", totals.get(CommandCounter::Connections).to_string());
    add("Max_used_connections", registry.peak_connections().to_string());
    add("Prepared_stmt_count", opened.saturating_sub(totals.get(CommandCounter::PreparedClosed)).to_string());
    add("Uptime", uptime.to_string());
    add("Uptime_since_flush_status", uptime.to_string());
    add("Ssl_cipher", String::new());
    add("Ssl_version", String::new());
    add("Compression", "OFF".to_owned());
    add("Caching_sha2_password_rsa_public_key", String::new());
    for (name, value) in host.node.status() {
        all.push((name, value));
    }
    all.extend(ZEROS.split_whitespace().map(|name| (name.to_owned(), "0".to_owned())));
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all.dedup_by(|later, earlier| {
        let same = later.0 == earlier.0;
        if same && earlier.1 == "0" {
            earlier.1 = std::mem::take(&mut later.1);
        }
        same
    });
    all
}

/// The line that COM_STATISTICS is answered with.
pub(crate) fn statistics_line(host: &SessionHost) -> String {
    let registry = &host.registry;
    let totals = registry.totals();
    let uptime = registry.uptime().as_secs();
    let questions = totals.get(CommandCounter::Questions);
    let slow = totals.get(CommandCounter::SlowQueries);
    let threads = registry.connection_count();
    let hundredths = questions.saturating_mul(100) / uptime.max(1);
    format!(
        "Uptime: {uptime}  Threads: {threads}  Questions: {questions}  Slow queries: {slow}  Opens: 0  \
         Flush tables: 1  Open tables: 0  Queries per second avg: {}.{:02}0",
        hundredths / 100,
        hundredths % 100
    )
}
