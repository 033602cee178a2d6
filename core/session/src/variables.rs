//! System variables: the table of them, their global values and a session's own.
//!
//! A session shares the global values of the moment when it began and keeps only those that it has
//! changed, so that an idle connection is small. What statements need on every execution is kept
//! decoded in [`Effective`], which is derived again after each change.

mod definition;
mod effective;
mod global;
mod local;
mod table_a_h;
mod table_i;
mod table_j_o;
mod table_p_z;
mod value;

pub use definition::{Access, DefaultValue, Kind, Scope, Variable};
pub use effective::{Effective, Isolation};
pub use global::GlobalVariables;
pub use local::{SessionVariables, TransactionDefaults};
pub use value::VariableValue;

const COUNT: usize =
    table_a_h::TABLE.len() + table_i::TABLE.len() + table_j_o::TABLE.len() + table_p_z::TABLE.len();

/// All system variables, sorted by name.
pub static VARIABLES: [Variable; COUNT] = joined();

const fn joined() -> [Variable; COUNT] {
    let parts = [table_a_h::TABLE, table_i::TABLE, table_j_o::TABLE, table_p_z::TABLE];
    let mut all = [table_a_h::TABLE[0]; COUNT];
    let (mut part, mut at) = (0, 0);
    while part < parts.len() {
        let mut entry = 0;
        while entry < parts[part].len() {
            all[at] = parts[part][entry];
            entry += 1;
            at += 1;
        }
        part += 1;
    }
    all
}

/// Position of a variable in [`VARIABLES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct VariableId(u16);

impl VariableId {
    /// The variable of a name, in any case; `None` is error 1193.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let lower = name.to_ascii_lowercase();
        let canonical = match lower.as_str() {
            "tx_isolation" => "transaction_isolation",
            "tx_read_only" => "transaction_read_only",
            other => other,
        };
        let at = VARIABLES.binary_search_by(|variable| variable.name.cmp(canonical)).ok()?;
        u16::try_from(at).ok().map(Self)
    }

    /// The variable of a name that the code knows to exist.
    const fn known(name: &str) -> Self {
        let mut at: u16 = 0;
        while (at as usize) < COUNT {
            if same(VARIABLES_AT_COMPILE_TIME[at as usize].name, name) {
                return Self(at);
            }
            at += 1;
        }
        panic!("no such system variable")
    }

    /// Its position.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// Its definition.
    #[must_use]
    pub fn definition(self) -> &'static Variable {
        &VARIABLES[self.index()]
    }

    /// All of them, by name.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..u16::try_from(COUNT).unwrap_or(u16::MAX)).map(Self)
    }
}

static VARIABLES_AT_COMPILE_TIME: [Variable; COUNT] = joined();

const fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut at = 0;
    while at < a.len() {
        if a[at] != b[at] {
            return false;
        }
        at += 1;
    }
    true
}

/// Numbers of the variables that the code itself reads or writes.
#[allow(missing_docs)]
pub mod ids {
    use super::VariableId;

    macro_rules! ids {
        ($($constant:ident = $name:literal,)*) => {
            $(pub const $constant: VariableId = VariableId::known($name);)*
        };
    }

    ids! {
        ACTIVATE_ALL_ROLES_ON_LOGIN = "activate_all_roles_on_login",
        AQUIFER_SPILL_DISK = "aquifer_spill_disk",
        AQUIFER_SPILL_MEMORY = "aquifer_spill_memory",
        AUTOCOMMIT = "autocommit",
        AUTO_INCREMENT_INCREMENT = "auto_increment_increment",
        AUTO_INCREMENT_OFFSET = "auto_increment_offset",
        CHARACTER_SET_CLIENT = "character_set_client",
        CHARACTER_SET_CONNECTION = "character_set_connection",
        CHARACTER_SET_DATABASE = "character_set_database",
        CHARACTER_SET_RESULTS = "character_set_results",
        CHARACTER_SET_SERVER = "character_set_server",
        COLLATION_CONNECTION = "collation_connection",
        COLLATION_DATABASE = "collation_database",
        COLLATION_SERVER = "collation_server",
        COMPLETION_TYPE = "completion_type",
        CONNECT_TIMEOUT = "connect_timeout",
        CTE_MAX_RECURSION_DEPTH = "cte_max_recursion_depth",
        DEFAULT_WEEK_FORMAT = "default_week_format",
        DIV_PRECISION_INCREMENT = "div_precision_increment",
        ERROR_COUNT = "error_count",
        EXTERNAL_USER = "external_user",
        FOREIGN_KEY_CHECKS = "foreign_key_checks",
        GROUP_CONCAT_MAX_LEN = "group_concat_max_len",
        GTID_EXECUTED = "gtid_executed",
        IDENTITY = "identity",
        INNODB_AUTOINC_LOCK_MODE = "innodb_autoinc_lock_mode",
        INNODB_LOCK_WAIT_TIMEOUT = "innodb_lock_wait_timeout",
        INSERT_ID = "insert_id",
        INTERACTIVE_TIMEOUT = "interactive_timeout",
        LAST_INSERT_ID = "last_insert_id",
        LOCAL_INFILE = "local_infile",
        LOCK_WAIT_TIMEOUT = "lock_wait_timeout",
        LONG_QUERY_TIME = "long_query_time",
        MANDATORY_ROLES = "mandatory_roles",
        MAX_ALLOWED_PACKET = "max_allowed_packet",
        MAX_CONNECTIONS = "max_connections",
        MAX_ERROR_COUNT = "max_error_count",
        MAX_EXECUTION_TIME = "max_execution_time",
        MAX_PREPARED_STMT_COUNT = "max_prepared_stmt_count",
        OFFLINE_MODE = "offline_mode",
        PSEUDO_THREAD_ID = "pseudo_thread_id",
        READ_ONLY = "read_only",
        SECURE_FILE_PRIV = "secure_file_priv",
        SERVER_UUID = "server_uuid",
        SESSION_TRACK_GTIDS = "session_track_gtids",
        SESSION_TRACK_SCHEMA = "session_track_schema",
        SESSION_TRACK_STATE_CHANGE = "session_track_state_change",
        SESSION_TRACK_SYSTEM_VARIABLES = "session_track_system_variables",
        SESSION_TRACK_TRANSACTION_INFO = "session_track_transaction_info",
        SQL_MODE = "sql_mode",
        SQL_NOTES = "sql_notes",
        SQL_REQUIRE_PRIMARY_KEY = "sql_require_primary_key",
        REQUIRE_SECURE_TRANSPORT = "require_secure_transport",
        SQL_SAFE_UPDATES = "sql_safe_updates",
        SQL_SELECT_LIMIT = "sql_select_limit",
        SQL_WARNINGS = "sql_warnings",
        SUPER_READ_ONLY = "super_read_only",
        TEMPTABLE_MAX_RAM = "temptable_max_ram",
        TIMESTAMP = "timestamp",
        TIME_ZONE = "time_zone",
        TRANSACTION_ISOLATION = "transaction_isolation",
        TRANSACTION_READ_ONLY = "transaction_read_only",
        UNIQUE_CHECKS = "unique_checks",
        VERSION = "version",
        WAIT_TIMEOUT = "wait_timeout",
        WARNING_COUNT = "warning_count",
    }
}
