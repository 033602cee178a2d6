//! Values that statements use all the time, decoded.

use std::time::Duration;

use aquifer_sql::exec::SPILL_MEMORY;
use aquifer_types::collation::Charset;
use aquifer_types::temporal::TimeZone;
use aquifer_types::{Collation, SqlMode};
use aquifer_wire::ResultCharset;

use super::{SessionVariables, ids};
use crate::{charset, rows};

/// Transaction isolation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// READ UNCOMMITTED: behaves as READ COMMITTED.
    ReadUncommitted,
    /// A new snapshot for each statement.
    ReadCommitted,
    /// One snapshot for the transaction.
    RepeatableRead,
    /// As REPEATABLE READ; plain SELECT locks what it reads.
    Serializable,
}

impl Isolation {
    /// The level of a value of `transaction_isolation`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name.to_ascii_uppercase().replace('-', " ").as_str() {
            "READ UNCOMMITTED" => Some(Self::ReadUncommitted),
            "READ COMMITTED" => Some(Self::ReadCommitted),
            "REPEATABLE READ" => Some(Self::RepeatableRead),
            "SERIALIZABLE" => Some(Self::Serializable),
            _ => None,
        }
    }

    /// As `transaction_isolation` says it.
    #[must_use]
    pub fn variable_text(self) -> &'static str {
        match self {
            Self::ReadUncommitted => "READ-UNCOMMITTED",
            Self::ReadCommitted => "READ-COMMITTED",
            Self::RepeatableRead => "REPEATABLE-READ",
            Self::Serializable => "SERIALIZABLE",
        }
    }

    /// Its name in SQL.
    #[must_use]
    pub fn sql_name(self) -> &'static str {
        match self {
            Self::ReadUncommitted => "READ UNCOMMITTED",
            Self::ReadCommitted => "READ COMMITTED",
            Self::RepeatableRead => "REPEATABLE READ",
            Self::Serializable => "SERIALIZABLE",
        }
    }

    /// Whether each statement reads from a new snapshot.
    #[must_use]
    pub fn renews_view(self) -> bool {
        matches!(self, Self::ReadUncommitted | Self::ReadCommitted)
    }
}

/// The decoded values.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct Effective {
    pub autocommit: bool,
    pub sql_mode: SqlMode,
    pub time_zone: TimeZone,
    pub collation_connection: Collation,
    pub isolation: Isolation,
    pub transaction_read_only: bool,
    pub innodb_lock_wait_timeout: Duration,
    pub lock_wait_timeout: Duration,
    pub max_execution_time_ms: u64,
    pub sql_select_limit: u64,
    pub max_allowed_packet: u64,
    pub group_concat_max_len: u64,
    pub div_precision_increment: u8,
    pub default_week_format: u8,
    pub max_error_count: usize,
    pub spill_memory: usize,
    pub spill_disk: u64,
    pub safe_updates: bool,
    pub foreign_key_checks: bool,
    /// `auto_increment_increment` and `auto_increment_offset`.
    pub auto_increment: (u64, u64),
    pub require_primary_key: bool,
    pub long_query_time: Duration,
    /// A fixed `timestamp`, in microseconds since 1970.
    pub timestamp_micros: Option<i64>,
    pub track_schema: bool,
    pub track_state: bool,
    pub track_gtids: bool,
    /// How column definitions describe strings.
    pub result_charset: ResultCharset,
    /// What strings of results are converted to; `None` sends them as they are.
    pub result_target: Option<Charset>,
    /// What texts of the client are converted from; `None` takes them as UTF-8.
    pub client_charset: Option<Charset>,
}

impl Default for Effective {
    fn default() -> Self {
        Self {
            autocommit: true,
            sql_mode: SqlMode::default(),
            time_zone: TimeZone::Utc,
            collation_connection: Collation::UTF8MB4_0900_AI_CI,
            isolation: Isolation::RepeatableRead,
            transaction_read_only: false,
            innodb_lock_wait_timeout: Duration::from_secs(50),
            lock_wait_timeout: Duration::from_secs(31_536_000),
            max_execution_time_ms: 0,
            sql_select_limit: u64::MAX,
            max_allowed_packet: 67_108_864,
            group_concat_max_len: 1024,
            div_precision_increment: 4,
            default_week_format: 0,
            max_error_count: 1024,
            spill_memory: SPILL_MEMORY,
            spill_disk: 1 << 40,
            safe_updates: false,
            foreign_key_checks: true,
            auto_increment: (1, 1),
            require_primary_key: false,
            long_query_time: Duration::from_secs(10),
            timestamp_micros: None,
            track_schema: true,
            track_state: false,
            track_gtids: false,
            result_charset: ResultCharset::UTF8MB4,
            result_target: Some(Charset::Utf8mb4),
            client_charset: None,
        }
    }
}

impl Effective {
    /// Decodes the values of a session.
    #[must_use]
    pub fn of(variables: &SessionVariables) -> Self {
        let number = |id| variables.get(id).as_u64();
        let on = |id| variables.get(id).is_on();
        let text = |id| variables.get(id).as_str();
        let small = |id| u8::try_from(number(id)).unwrap_or(u8::MAX);
        let seconds = |id| Duration::from_secs(number(id));
        let collation = charset::collation_named(text(ids::COLLATION_CONNECTION));
        let (result_charset, result_target) = rows::result_charset(text(ids::CHARACTER_SET_RESULTS));
        let client = Charset::by_name(text(ids::CHARACTER_SET_CLIENT));
        let client_charset = client.filter(|charset| *charset == Charset::Latin1);
        Self {
            autocommit: on(ids::AUTOCOMMIT),
            sql_mode: SqlMode::parse(text(ids::SQL_MODE)).unwrap_or_default(),
            time_zone: TimeZone::parse(text(ids::TIME_ZONE)).unwrap_or(TimeZone::Utc),
            collation_connection: collation.map_or(Collation::UTF8MB4_0900_AI_CI, |found| found.0),
            isolation: Isolation::named(text(ids::TRANSACTION_ISOLATION))
                .unwrap_or(Isolation::RepeatableRead),
            transaction_read_only: on(ids::TRANSACTION_READ_ONLY),
            innodb_lock_wait_timeout: seconds(ids::INNODB_LOCK_WAIT_TIMEOUT),
            lock_wait_timeout: seconds(ids::LOCK_WAIT_TIMEOUT),
            max_execution_time_ms: number(ids::MAX_EXECUTION_TIME),
            sql_select_limit: number(ids::SQL_SELECT_LIMIT),
            max_allowed_packet: number(ids::MAX_ALLOWED_PACKET),
            group_concat_max_len: number(ids::GROUP_CONCAT_MAX_LEN),
            div_precision_increment: small(ids::DIV_PRECISION_INCREMENT),
            default_week_format: small(ids::DEFAULT_WEEK_FORMAT),
            max_error_count: usize::try_from(number(ids::MAX_ERROR_COUNT)).unwrap_or(1024),
            spill_memory: usize::try_from(number(ids::AQUIFER_SPILL_MEMORY)).unwrap_or(usize::MAX),
            spill_disk: number(ids::AQUIFER_SPILL_DISK),
            safe_updates: on(ids::SQL_SAFE_UPDATES),
            foreign_key_checks: on(ids::FOREIGN_KEY_CHECKS),
            auto_increment: (number(ids::AUTO_INCREMENT_INCREMENT), number(ids::AUTO_INCREMENT_OFFSET)),
            require_primary_key: on(ids::SQL_REQUIRE_PRIMARY_KEY),
            long_query_time: seconds_of(variables, ids::LONG_QUERY_TIME),
            timestamp_micros: timestamp_of(variables),
            track_schema: on(ids::SESSION_TRACK_SCHEMA),
            track_state: on(ids::SESSION_TRACK_STATE_CHANGE),
            track_gtids: text(ids::SESSION_TRACK_GTIDS) != "OFF",
            result_charset,
            result_target,
            client_charset,
        }
    }
}

fn seconds_of(variables: &SessionVariables, id: super::VariableId) -> Duration {
    match variables.get(id) {
        super::VariableValue::Double(seconds) => {
            Duration::try_from_secs_f64(*seconds).unwrap_or(Duration::MAX)
        }
        other => Duration::from_secs(other.as_u64()),
    }
}

fn timestamp_of(variables: &SessionVariables) -> Option<i64> {
    let fixed = seconds_of(variables, ids::TIMESTAMP);
    (!fixed.is_zero()).then(|| i64::try_from(fixed.as_micros()).unwrap_or(i64::MAX))
}
