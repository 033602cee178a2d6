//! What kind of statement it is: whose it is, what it changes, which counter counts it.

use aquifer_sql::ast::{
    AdminStatement, ExplainTarget, IndexDefKind, Insert, InsertMode, InsertRows, Show, Statement, TableRef,
    TransactionStatement, XaStatement,
};

use crate::registry::CommandCounter;
use crate::statement::Effect;

/// UPDATE of `performance_schema.setup_*`: tools switch instruments on that do not exist here.
pub(crate) fn is_instrument_update(statement: &Statement) -> bool {
    let Statement::Update(update) = statement else { return false };
    let TableRef::Table { name, .. } = &update.table else { return false };
    let schema = name.schema.as_deref().unwrap_or_default();
    schema.eq_ignore_ascii_case("performance_schema") && name.name.to_ascii_lowercase().starts_with("setup_")
}

/// Whether it is an EXPLAIN of something else than a statement.
pub(crate) fn is_describe(statement: &Statement) -> bool {
    matches!(statement, Statement::Explain(explain) if !matches!(explain.target, ExplainTarget::Statement(_)))
}

pub(crate) fn effect_of(statement: &Statement) -> Effect {
    match statement {
        Statement::Query(_) | Statement::Explain(_) | Statement::Do(_) => Effect::Read,
        Statement::Unsupported(_) => Effect::Session,
        _ => Effect::Write,
    }
}

/// Whether `sql_safe_updates` forbids a statement: UPDATE or DELETE without WHERE and LIMIT.
pub(crate) fn changes_all_rows(statement: &Statement) -> bool {
    match statement {
        Statement::Update(update) => update.filter.is_none() && update.limit.is_none(),
        Statement::Delete(delete) => delete.filter.is_none() && delete.limit.is_none(),
        _ => false,
    }
}

/// Whether `sql_require_primary_key` forbids a statement: CREATE TABLE without a primary key.
pub(crate) fn lacks_primary_key(statement: &Statement) -> bool {
    let Statement::CreateTable(create) = statement else { return false };
    let declared = create.columns.iter().any(|column| column.primary)
        || create.indexes.iter().any(|index| index.kind == IndexDefKind::Primary);
    create.like.is_none() && !declared
}

/// Gives CREATE DATABASE the session's `collation_server` unless it names another.
pub(crate) fn fill_collation(statement: &mut Statement, collation_server: &str) {
    if let Statement::CreateDatabase(create) = statement
        && create.charset.is_none()
        && create.collate.is_none()
    {
        create.collate = Some(collation_server.to_owned());
    }
}

/// Which Com_ counter a statement counts in.
pub(crate) fn counter_of(statement: &Statement) -> Option<CommandCounter> {
    Some(match statement {
        Statement::Query(_) => CommandCounter::Select,
        Statement::Insert(insert) => insert_counter(insert),
        Statement::Update(_) => CommandCounter::Update,
        Statement::Delete(_) => CommandCounter::Delete,
        Statement::Truncate(_) => CommandCounter::Truncate,
        Statement::CreateDatabase(_) => CommandCounter::CreateDb,
        Statement::DropDatabase(_) => CommandCounter::DropDb,
        Statement::CreateTable(_) => CommandCounter::CreateTable,
        Statement::AlterTable(_) => CommandCounter::AlterTable,
        Statement::DropTable(_) => CommandCounter::DropTable,
        Statement::RenameTable(_) => CommandCounter::RenameTable,
        Statement::CreateIndex(_) => CommandCounter::CreateIndex,
        Statement::DropIndex(_) => CommandCounter::DropIndex,
        Statement::Explain(_) => CommandCounter::Explain,
        Statement::Set(_) => CommandCounter::SetOption,
        Statement::Use(_) => CommandCounter::ChangeDb,
        Statement::Transaction(transaction) => transaction_counter(transaction),
        Statement::Xa(xa) => xa_counter(xa),
        Statement::Show(show) => return show_counter(show),
        Statement::Admin(admin) => return admin_counter(admin),
        _ => return None,
    })
}

fn insert_counter(insert: &Insert) -> CommandCounter {
    match (&insert.mode, &insert.rows) {
        (InsertMode::Replace, _) => CommandCounter::Replace,
        (InsertMode::Insert, InsertRows::Values(_)) => CommandCounter::Insert,
        (InsertMode::Insert, InsertRows::Query(_)) => CommandCounter::InsertSelect,
    }
}

fn transaction_counter(transaction: &TransactionStatement) -> CommandCounter {
    match transaction {
        TransactionStatement::Begin(_) => CommandCounter::Begin,
        TransactionStatement::Commit { .. } => CommandCounter::Commit,
        TransactionStatement::Rollback { .. } => CommandCounter::Rollback,
        TransactionStatement::Savepoint(_) => CommandCounter::Savepoint,
        TransactionStatement::RollbackTo(_) => CommandCounter::RollbackToSavepoint,
        TransactionStatement::Release(_) => CommandCounter::ReleaseSavepoint,
    }
}

fn xa_counter(xa: &XaStatement) -> CommandCounter {
    match xa {
        XaStatement::Start(_) | XaStatement::Refused => CommandCounter::XaStart,
        XaStatement::End(_) => CommandCounter::XaEnd,
        XaStatement::Prepare(_) => CommandCounter::XaPrepare,
        XaStatement::Commit { .. } => CommandCounter::XaCommit,
        XaStatement::Rollback(_) => CommandCounter::XaRollback,
        XaStatement::Recover { .. } => CommandCounter::XaRecover,
    }
}

fn show_counter(show: &Show) -> Option<CommandCounter> {
    Some(match show {
        Show::Variables { .. } => CommandCounter::ShowVariables,
        Show::Status { .. } => CommandCounter::ShowStatus,
        Show::Tables { .. } => CommandCounter::ShowTables,
        Show::Databases(_) => CommandCounter::ShowDatabases,
        Show::CreateTable(_) => CommandCounter::ShowCreateTable,
        Show::Columns { .. } => CommandCounter::ShowFields,
        Show::Index { .. } => CommandCounter::ShowKeys,
        Show::Processlist { .. } => CommandCounter::ShowProcesslist,
        Show::Warnings(_) => CommandCounter::ShowWarnings,
        Show::Grants(..) => CommandCounter::ShowGrants,
        Show::EngineStatus(_) => CommandCounter::ShowEngineStatus,
        Show::TableStatus { .. } => CommandCounter::ShowTableStatus,
        _ => return None,
    })
}

fn admin_counter(admin: &AdminStatement) -> Option<CommandCounter> {
    Some(match admin {
        AdminStatement::Kill { .. } => CommandCounter::Kill,
        AdminStatement::CreateUser { .. } => CommandCounter::CreateUser,
        AdminStatement::DropUser { .. } => CommandCounter::DropUser,
        AdminStatement::Grant(grant) if grant.revoke => CommandCounter::Revoke,
        AdminStatement::Grant(_) => CommandCounter::Grant,
        AdminStatement::LockTables(_) => CommandCounter::LockTables,
        AdminStatement::UnlockTables => CommandCounter::UnlockTables,
        AdminStatement::Maintenance(_) => CommandCounter::Analyze,
        _ => return None,
    })
}
