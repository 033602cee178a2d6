//! What evaluation needs besides the row: settings, time, parameters, the session's facts, and the place
//! where warnings go.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use aquifer_types::convert::Strictness;
use aquifer_types::temporal::TimeZone;
use aquifer_types::{Collation, DataType, Date, DateTime, SqlError, SqlMode, SqlResult, Value, Warnings};

/// What binding needs to know of the session.
#[derive(Clone, Debug)]
pub struct BindContext {
    /// `collation_connection`: that of string literals and of numbers turned into text.
    pub collation: Collation,
    /// The session's `sql_mode`.
    pub sql_mode: SqlMode,
    /// The current database, for messages.
    pub database: Option<String>,
    /// `div_precision_increment`.
    pub div_precision_increment: u8,
    /// `group_concat_max_len`, in bytes.
    pub group_concat_max_len: u64,
}

impl Default for BindContext {
    fn default() -> Self {
        Self {
            collation: Collation::UTF8MB4_0900_AI_CI,
            sql_mode: SqlMode::default(),
            database: None,
            div_precision_increment: 4,
            group_concat_max_len: 1024,
        }
    }
}

/// Time and randomness, so that a simulation can decide them.
pub trait Environment {
    /// Microseconds since 1970-01-01 00:00:00 UTC, now (SYSDATE, UUID).
    fn now_micros(&self) -> i64;

    /// 64 random bits (RAND without seed, UUID, RANDOM_BYTES).
    fn random(&self) -> u64;
}

/// Facts of the session that functions return.
#[derive(Clone, Debug, Default)]
pub struct SessionFacts {
    /// CONNECTION_ID().
    pub connection_id: u64,
    /// USER(), as `name@host`.
    pub user: String,
    /// CURRENT_USER(), as `name@host` of the account.
    pub current_user: String,
    /// CURRENT_ROLE(): the active roles, or NONE.
    pub current_role: String,
    /// DATABASE().
    pub database: Option<String>,
    /// VERSION().
    pub version: String,
    /// LAST_INSERT_ID(); `LAST_INSERT_ID(n)` sets it.
    pub last_insert_id: Cell<u64>,
    /// `insert_id`: the next generated AUTO_INCREMENT value, unless it is 0.
    pub insert_id: Cell<u64>,
    /// ROW_COUNT().
    pub row_count: Cell<i64>,
    /// FOUND_ROWS().
    pub found_rows: Cell<u64>,
}

/// `@name` variables of a session; names are compared without case.
#[derive(Clone, Debug, Default)]
pub struct UserVariables(HashMap<String, (Value, DataType)>);

impl UserVariables {
    /// Value and type, if it was ever set.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&(Value, DataType)> {
        self.0.get(&name.to_lowercase())
    }

    /// Sets a variable.
    pub fn set(&mut self, name: &str, value: Value, ty: DataType) {
        self.0.insert(name.to_lowercase(), (value, ty));
    }

    /// Forgets all (COM_RESET_CONNECTION, COM_CHANGE_USER).
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

/// State of one execution of a statement. Make one per execution; it is not shared between threads.
#[derive(Clone)]
pub struct EvalContext {
    /// The session's `sql_mode`.
    pub sql_mode: SqlMode,
    /// The session's time zone.
    pub time_zone: TimeZone,
    /// Start of the statement: microseconds since 1970 UTC; NOW() and its relatives.
    pub now_micros: i64,
    /// Values of the parameters, and of constants that the executor computed.
    pub params: Vec<Value>,
    /// Where warnings go.
    pub warnings: Warnings,
    /// Strict while a statement that changes data runs in a strict mode: then wrong input to an
    /// operator is an error, not a warning.
    pub strictness: Strictness,
    /// What functions tell about the session.
    pub session: Rc<SessionFacts>,
    /// `@name` variables.
    pub user_variables: Rc<RefCell<UserVariables>>,
    /// Time and randomness.
    pub environment: Rc<dyn Environment>,
    /// 1-based number of the row being stored, for messages.
    pub row_number: u64,
    /// `max_allowed_packet`: longest string a function may make, in bytes.
    pub max_allowed_packet: u64,
    /// `group_concat_max_len`, in bytes.
    pub group_concat_max_len: u64,
    /// `default_week_format`.
    pub default_week_format: u8,
    /// Streams of RAND(n), by the address of the call's node.
    pub(crate) rand_streams: Vec<(usize, u32, u32)>,
}

impl EvalContext {
    /// A context with MySQL's defaults, at a time that `environment` tells.
    #[must_use]
    pub fn new(environment: Rc<dyn Environment>) -> Self {
        Self {
            sql_mode: SqlMode::default(),
            time_zone: TimeZone::Utc,
            now_micros: environment.now_micros(),
            params: Vec::new(),
            warnings: Warnings::default(),
            strictness: Strictness::Lenient,
            session: Rc::default(),
            user_variables: Rc::default(),
            environment,
            row_number: 1,
            max_allowed_packet: 67_108_864,
            group_concat_max_len: 1024,
            default_week_format: 0,
            rand_streams: Vec::new(),
        }
    }

    /// Today in the session's time zone.
    #[must_use]
    pub fn today(&self) -> Date {
        self.local_now().date
    }

    /// The start of the statement in the session's time zone, with microseconds.
    #[must_use]
    pub fn local_now(&self) -> DateTime {
        let utc = DateTime::from_unix_micros(self.now_micros).unwrap_or_default();
        self.time_zone.to_local(utc)
    }

    /// Adds a warning.
    pub(crate) fn warn(&mut self, code: u16, message: impl Into<String>) {
        self.warnings.warn(code, message);
    }

    /// Wrong input: an error while data is changed strictly, else a warning.
    pub(crate) fn warn_or_fail(&mut self, code: u16, message: impl Into<String>) -> SqlResult<()> {
        if self.strictness == Strictness::Strict {
            return Err(SqlError::new(code, message));
        }
        self.warn(code, message);
        Ok(())
    }

    /// The NULL of a function that met wrong input, with a warning.
    pub(crate) fn null_with(&mut self, code: u16, message: impl Into<String>) -> SqlResult<Value> {
        self.warn_or_fail(code, message)?;
        Ok(Value::Null)
    }
}
