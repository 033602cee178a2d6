//! Statements that the session carries out.

use aquifer_types::Xid;

use super::TableName;
use super::expr::{AstExpr, VariableScope};
use super::role::RoleStatement;

/// Scope of SET TRANSACTION.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetScope {
    /// The next transaction.
    Next,
    /// The session.
    Session,
    /// All later sessions.
    Global,
}

/// Isolation levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum IsolationLevel {
    ReadUncommitted,
    ReadCommitted,
    RepeatableRead,
    Serializable,
}

/// What SET TRANSACTION and START TRANSACTION say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TransactionCharacteristics {
    /// ISOLATION LEVEL.
    pub isolation: Option<IsolationLevel>,
    /// READ ONLY or READ WRITE.
    pub read_only: Option<bool>,
    /// WITH CONSISTENT SNAPSHOT.
    pub consistent_snapshot: bool,
}

/// One assignment of SET.
#[derive(Clone, Debug, PartialEq)]
pub enum SetItem {
    /// A system variable; `None` is DEFAULT. A bare word such as ON or utf8mb4 is a string literal.
    System(VariableScope, String, Option<AstExpr>),
    /// `@name`.
    User(String, AstExpr),
    /// NAMES charset COLLATE collation; `None` is DEFAULT.
    Names(Option<(String, Option<String>)>),
    /// CHARACTER SET charset; `None` is DEFAULT.
    CharacterSet(Option<String>),
}

/// SET.
#[derive(Clone, Debug, PartialEq)]
pub enum SetStatement {
    /// Variables in order.
    Variables(Vec<SetItem>),
    /// SET TRANSACTION.
    Transaction(SetScope, TransactionCharacteristics),
    /// SET PASSWORD [FOR account] = 'text'.
    Password(Option<AccountName>, String),
}

/// BEGIN and so on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransactionStatement {
    /// BEGIN, START TRANSACTION.
    Begin(TransactionCharacteristics),
    /// COMMIT; AND CHAIN, RELEASE.
    Commit {
        /// AND CHAIN.
        chain: bool,
        /// RELEASE.
        release: bool,
    },
    /// ROLLBACK; AND CHAIN, RELEASE.
    Rollback {
        /// AND CHAIN.
        chain: bool,
        /// RELEASE.
        release: bool,
    },
    /// SAVEPOINT.
    Savepoint(String),
    /// ROLLBACK TO.
    RollbackTo(String),
    /// RELEASE SAVEPOINT.
    Release(String),
}

/// XA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum XaStatement {
    /// START, BEGIN.
    Start(Xid),
    /// END.
    End(Xid),
    /// PREPARE.
    Prepare(Xid),
    /// COMMIT.
    Commit {
        /// Which branch.
        xid: Xid,
        /// ONE PHASE.
        one_phase: bool,
    },
    /// ROLLBACK.
    Rollback(Xid),
    /// RECOVER.
    Recover {
        /// CONVERT XID.
        convert: bool,
    },
    /// JOIN, RESUME, SUSPEND: MySQL refuses them too.
    Refused,
}

/// LIKE or WHERE of SHOW.
#[derive(Clone, Debug, PartialEq)]
pub enum ShowFilter {
    /// Everything.
    All,
    /// LIKE pattern.
    Like(Vec<u8>),
    /// WHERE, with its text for use in a rewritten query.
    Where(AstExpr, String),
}

/// SHOW.
#[derive(Clone, Debug, PartialEq)]
pub enum Show {
    /// AQUIFER STORAGE COST.
    StorageCost,
    /// DATABASES, SCHEMAS.
    Databases(ShowFilter),
    /// [FULL] TABLES [FROM db].
    Tables {
        /// FULL.
        full: bool,
        /// FROM.
        database: Option<String>,
        /// Filter.
        filter: ShowFilter,
    },
    /// TABLE STATUS [FROM db].
    TableStatus {
        /// FROM.
        database: Option<String>,
        /// Filter.
        filter: ShowFilter,
    },
    /// [FULL] COLUMNS FROM table; also DESCRIBE.
    Columns {
        /// FULL.
        full: bool,
        /// Of which table.
        table: TableName,
        /// Filter.
        filter: ShowFilter,
    },
    /// INDEX, INDEXES, KEYS FROM table.
    Index {
        /// Of which table.
        table: TableName,
        /// Filter.
        filter: ShowFilter,
    },
    /// CREATE TABLE.
    CreateTable(TableName),
    /// CREATE VIEW.
    CreateView(TableName),
    /// CREATE DATABASE [IF NOT EXISTS].
    CreateDatabase {
        /// IF NOT EXISTS is repeated in the answer.
        if_not_exists: bool,
        /// Name.
        name: String,
    },
    /// CREATE PROCEDURE, FUNCTION, TRIGGER, EVENT: the kind in upper case and the name.
    CreateRoutine(&'static str, TableName),
    /// CREATE USER.
    CreateUser(Option<AccountName>),
    /// [GLOBAL | SESSION] VARIABLES.
    Variables {
        /// GLOBAL.
        global: bool,
        /// Filter.
        filter: ShowFilter,
    },
    /// [GLOBAL | SESSION] STATUS.
    Status {
        /// GLOBAL.
        global: bool,
        /// Filter.
        filter: ShowFilter,
    },
    /// WARNINGS [LIMIT offset, count].
    Warnings(Option<(u64, u64)>),
    /// ERRORS [LIMIT offset, count].
    Errors(Option<(u64, u64)>),
    /// COUNT(*) WARNINGS or (`true`) ERRORS.
    DiagnosticsCount {
        /// Errors only.
        errors: bool,
    },
    /// [FULL] PROCESSLIST.
    Processlist {
        /// FULL.
        full: bool,
    },
    /// ENGINES.
    Engines,
    /// CHARACTER SET, CHARSET.
    CharacterSet(ShowFilter),
    /// COLLATION.
    Collation(ShowFilter),
    /// GRANTS [FOR account [USING roles]]; `None` is the session's own.
    Grants(Option<AccountName>, Vec<AccountName>),
    /// PRIVILEGES.
    Privileges,
    /// PLUGINS.
    Plugins,
    /// TRIGGERS [FROM db].
    Triggers {
        /// FROM.
        database: Option<String>,
        /// Filter.
        filter: ShowFilter,
    },
    /// EVENTS [FROM db].
    Events {
        /// FROM.
        database: Option<String>,
        /// Filter.
        filter: ShowFilter,
    },
    /// PROCEDURE STATUS, FUNCTION STATUS (the kind in upper case).
    RoutineStatus(&'static str, ShowFilter),
    /// OPEN TABLES.
    OpenTables(ShowFilter),
    /// MASTER STATUS, BINARY LOG STATUS.
    MasterStatus,
    /// SLAVE STATUS, REPLICA STATUS.
    ReplicaStatus,
    /// SLAVE HOSTS, REPLICAS.
    Replicas,
    /// MASTER LOGS, BINARY LOGS.
    BinaryLogs,
    /// ENGINE name STATUS or MUTEX.
    EngineStatus(String),
    /// PROFILES, PROFILE.
    Profiles,
}

/// 'user'@'host'.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountName {
    /// User; `None` is CURRENT_USER().
    pub user: Option<String>,
    /// Host; `%` when not written.
    pub host: String,
}

/// What CREATE USER and ALTER USER say about an account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountOptions {
    /// IDENTIFIED WITH plugin.
    pub plugin: Option<String>,
    /// BY 'password'.
    pub password: Option<String>,
    /// AS 'hash'.
    pub credential: Option<Vec<u8>>,
    /// ACCOUNT LOCK or UNLOCK.
    pub locked: Option<bool>,
    /// PASSWORD EXPIRE.
    pub expired: Option<bool>,
}

/// On what privileges are given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GrantTarget {
    /// `*.*`.
    Global,
    /// `db.*`; `None` is the present database (`*`).
    Database(Option<String>),
    /// A table or view.
    Table(TableName),
    /// A routine; refused.
    Routine,
    /// Everything that an account has (REVOKE ALL PRIVILEGES, GRANT OPTION).
    Everything,
}

/// One privilege of GRANT and REVOKE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantedPrivilege {
    /// Its name in upper case; `ALL` for ALL [PRIVILEGES].
    pub name: String,
    /// The columns on which it is given; none for what the statement is about as a whole.
    pub columns: Vec<String>,
}

/// GRANT and REVOKE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// REVOKE instead.
    pub revoke: bool,
    /// IF EXISTS of REVOKE: what is not there is a warning.
    pub if_exists: bool,
    /// IGNORE UNKNOWN USER of REVOKE: so is an account that is not there.
    pub ignore_unknown: bool,
    /// What is given.
    pub privileges: Vec<GrantedPrivilege>,
    /// On what.
    pub target: GrantTarget,
    /// To or from whom.
    pub accounts: Vec<(AccountName, AccountOptions)>,
    /// WITH GRANT OPTION.
    pub grant_option: bool,
}

/// FLUSH.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flush {
    /// TABLES WITH READ LOCK.
    TablesWithReadLock,
    /// All others: PRIVILEGES, TABLES, LOGS, STATUS, HOSTS, … (words in upper case).
    Other(String),
}

/// LOCK TABLES: tables with `true` for WRITE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockTables(pub Vec<(TableName, bool)>);

/// ANALYZE, CHECK, OPTIMIZE, REPAIR, CHECKSUM TABLE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableMaintenance {
    /// The verb in lower case, as the answer's Op column shows it.
    pub operation: &'static str,
    /// Which tables.
    pub tables: Vec<TableName>,
}

/// Statements about the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdminStatement {
    /// KILL [CONNECTION | QUERY] id.
    Kill {
        /// QUERY: the statement only.
        query_only: bool,
        /// Which connection.
        connection: u64,
    },
    /// CREATE USER.
    CreateUser {
        /// IF NOT EXISTS.
        if_not_exists: bool,
        /// Accounts.
        accounts: Vec<(AccountName, AccountOptions)>,
        /// DEFAULT ROLE: roles that they get and that are active after a login.
        default_roles: Vec<AccountName>,
    },
    /// ALTER USER.
    AlterUser {
        /// IF EXISTS.
        if_exists: bool,
        /// Accounts.
        accounts: Vec<(AccountName, AccountOptions)>,
    },
    /// DROP USER.
    DropUser {
        /// IF EXISTS.
        if_exists: bool,
        /// Accounts.
        accounts: Vec<AccountName>,
    },
    /// RENAME USER.
    RenameUser(Vec<(AccountName, AccountName)>),
    /// GRANT and REVOKE of privileges.
    Grant(Grant),
    /// Roles.
    Role(RoleStatement),
    /// FLUSH.
    Flush(Flush),
    /// LOCK TABLES.
    LockTables(LockTables),
    /// UNLOCK TABLES.
    UnlockTables,
    /// ANALYZE TABLE and so on.
    Maintenance(TableMaintenance),
    /// RESET; words in upper case.
    Reset(String),
}

impl AdminStatement {
    /// As [`super::Statement::commits_implicitly`].
    #[must_use]
    pub fn commits_implicitly(&self) -> bool {
        !matches!(self, Self::Kill { .. } | Self::UnlockTables | Self::Role(RoleStatement::Set(_)))
    }
}
