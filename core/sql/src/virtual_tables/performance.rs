//! Tables of `performance_schema` that tools write to or read without using what they say.

use aquifer_types::{SqlResult, Value};

use super::Source;
use super::definition::TableLine;

pub(super) const TABLES: &[TableLine] = &[
    (
        "performance_schema",
        "setup_instruments",
        "NAME:v128 ENABLED:v3 TIMED:v3? PROPERTIES:v64 FLAGS:v64? VOLATILITY:n DOCUMENTATION:x?",
        nothing,
    ),
    ("performance_schema", "setup_consumers", "NAME:v64 ENABLED:v3", nothing),
    ("performance_schema", "setup_actors", "HOST:v255 USER:v32 ROLE:v32 ENABLED:v3 HISTORY:v3", nothing),
    (
        "performance_schema",
        "host_cache",
        "IP:v64 HOST:v255? HOST_VALIDATED:v3 SUM_CONNECT_ERRORS:i COUNT_HOST_BLOCKED_ERRORS:i \
         COUNT_NAMEINFO_TRANSIENT_ERRORS:i COUNT_HANDSHAKE_ERRORS:i COUNT_AUTHENTICATION_ERRORS:i \
         FIRST_SEEN:t LAST_SEEN:t FIRST_ERROR_SEEN:t? LAST_ERROR_SEEN:t?",
        nothing,
    ),
    (
        "performance_schema",
        "events_statements_summary_by_digest",
        "SCHEMA_NAME:v64? DIGEST:v64? DIGEST_TEXT:x? COUNT_STAR:u SUM_TIMER_WAIT:u MIN_TIMER_WAIT:u \
         AVG_TIMER_WAIT:u MAX_TIMER_WAIT:u SUM_LOCK_TIME:u SUM_ERRORS:u SUM_WARNINGS:u \
         SUM_ROWS_AFFECTED:u SUM_ROWS_SENT:u SUM_ROWS_EXAMINED:u SUM_CREATED_TMP_DISK_TABLES:u \
         SUM_CREATED_TMP_TABLES:u SUM_SELECT_FULL_JOIN:u SUM_SELECT_FULL_RANGE_JOIN:u SUM_SELECT_RANGE:u \
         SUM_SELECT_RANGE_CHECK:u SUM_SELECT_SCAN:u SUM_SORT_MERGE_PASSES:u SUM_SORT_RANGE:u \
         SUM_SORT_ROWS:u SUM_SORT_SCAN:u SUM_NO_INDEX_USED:u SUM_NO_GOOD_INDEX_USED:u SUM_CPU_TIME:u \
         FIRST_SEEN:t LAST_SEEN:t QUANTILE_95:u QUANTILE_99:u QUANTILE_999:u QUERY_SAMPLE_TEXT:x? \
         QUERY_SAMPLE_SEEN:t QUERY_SAMPLE_TIMER_WAIT:u",
        nothing,
    ),
    (
        "performance_schema",
        "events_statements_current",
        "THREAD_ID:u EVENT_ID:u END_EVENT_ID:u? EVENT_NAME:v128 SOURCE:v64? TIMER_START:u? TIMER_END:u? \
         TIMER_WAIT:u? LOCK_TIME:u SQL_TEXT:x? DIGEST:v64? DIGEST_TEXT:x? CURRENT_SCHEMA:v64?",
        nothing,
    ),
    (
        "performance_schema",
        "events_transactions_current",
        "THREAD_ID:u EVENT_ID:u END_EVENT_ID:u? EVENT_NAME:v128 STATE:v11? TRX_ID:u? GTID:v64? \
         ACCESS_MODE:v10? ISOLATION_LEVEL:v64? AUTOCOMMIT:v3",
        nothing,
    ),
    (
        "performance_schema",
        "prepared_statements_instances",
        "OBJECT_INSTANCE_BEGIN:u STATEMENT_ID:u STATEMENT_NAME:v64? SQL_TEXT:x OWNER_THREAD_ID:u \
         OWNER_EVENT_ID:u COUNT_REPREPARE:u COUNT_EXECUTE:u",
        nothing,
    ),
    (
        "performance_schema",
        "file_summary_by_event_name",
        "EVENT_NAME:v128 COUNT_STAR:u SUM_TIMER_WAIT:u COUNT_READ:u SUM_TIMER_READ:u \
         SUM_NUMBER_OF_BYTES_READ:i COUNT_WRITE:u SUM_TIMER_WRITE:u SUM_NUMBER_OF_BYTES_WRITE:i \
         COUNT_MISC:u SUM_TIMER_MISC:u",
        nothing,
    ),
    (
        "performance_schema",
        "table_io_waits_summary_by_table",
        "OBJECT_TYPE:v64? OBJECT_SCHEMA:v64? OBJECT_NAME:v64? COUNT_STAR:u SUM_TIMER_WAIT:u COUNT_READ:u \
         SUM_TIMER_READ:u COUNT_WRITE:u SUM_TIMER_WRITE:u COUNT_FETCH:u SUM_TIMER_FETCH:u COUNT_INSERT:u \
         SUM_TIMER_INSERT:u COUNT_UPDATE:u SUM_TIMER_UPDATE:u COUNT_DELETE:u SUM_TIMER_DELETE:u",
        nothing,
    ),
    (
        "performance_schema",
        "table_io_waits_summary_by_index_usage",
        "OBJECT_TYPE:v64? OBJECT_SCHEMA:v64? OBJECT_NAME:v64? INDEX_NAME:v64? COUNT_STAR:u \
         SUM_TIMER_WAIT:u COUNT_READ:u SUM_TIMER_READ:u COUNT_WRITE:u SUM_TIMER_WRITE:u COUNT_FETCH:u \
         SUM_TIMER_FETCH:u COUNT_INSERT:u SUM_TIMER_INSERT:u COUNT_UPDATE:u SUM_TIMER_UPDATE:u \
         COUNT_DELETE:u SUM_TIMER_DELETE:u",
        nothing,
    ),
    (
        "performance_schema",
        "table_lock_waits_summary_by_table",
        "OBJECT_TYPE:v64? OBJECT_SCHEMA:v64? OBJECT_NAME:v64? COUNT_STAR:u SUM_TIMER_WAIT:u \
         COUNT_READ:u SUM_TIMER_READ:u COUNT_WRITE:u SUM_TIMER_WRITE:u COUNT_READ_NORMAL:u \
         SUM_TIMER_READ_NORMAL:u COUNT_READ_WITH_SHARED_LOCKS:u SUM_TIMER_READ_WITH_SHARED_LOCKS:u \
         COUNT_READ_HIGH_PRIORITY:u SUM_TIMER_READ_HIGH_PRIORITY:u COUNT_READ_NO_INSERT:u \
         SUM_TIMER_READ_NO_INSERT:u COUNT_READ_EXTERNAL:u SUM_TIMER_READ_EXTERNAL:u \
         COUNT_WRITE_LOW_PRIORITY:u SUM_TIMER_WRITE_LOW_PRIORITY:u COUNT_WRITE_NORMAL:u \
         SUM_TIMER_WRITE_NORMAL:u COUNT_WRITE_EXTERNAL:u SUM_TIMER_WRITE_EXTERNAL:u",
        nothing,
    ),
    (
        "performance_schema",
        "metadata_locks",
        "OBJECT_TYPE:v64 OBJECT_SCHEMA:v64? OBJECT_NAME:v64? COLUMN_NAME:v64? OBJECT_INSTANCE_BEGIN:u \
         LOCK_TYPE:v32 LOCK_DURATION:v32 LOCK_STATUS:v32 SOURCE:v64? OWNER_THREAD_ID:u? OWNER_EVENT_ID:u?",
        nothing,
    ),
    (
        "performance_schema",
        "replication_group_members",
        "CHANNEL_NAME:c MEMBER_ID:c MEMBER_HOST:v255 MEMBER_PORT:n? MEMBER_STATE:v64 MEMBER_ROLE:v64 \
         MEMBER_VERSION:v64 MEMBER_COMMUNICATION_STACK:v64",
        nothing,
    ),
];

fn nothing(_: &Source<'_>) -> SqlResult<Vec<Vec<Value>>> {
    Ok(Vec::new())
}
