//! Tables about what does not exist here: they have the right columns and no rows.

use aquifer_types::{SqlResult, Value};

use super::Source;
use super::definition::TableLine;

const I: &str = "information_schema";

pub(super) const TABLES: &[TableLine] = &[
    (
        I,
        "TRIGGERS",
        "TRIGGER_CATALOG:v64 TRIGGER_SCHEMA:b64 TRIGGER_NAME:v64 EVENT_MANIPULATION:v6 \
         EVENT_OBJECT_CATALOG:v64 EVENT_OBJECT_SCHEMA:b64 EVENT_OBJECT_TABLE:b64 ACTION_ORDER:m \
         ACTION_CONDITION:x? ACTION_STATEMENT:x ACTION_ORIENTATION:v3 ACTION_TIMING:v6 \
         ACTION_REFERENCE_OLD_TABLE:v64? ACTION_REFERENCE_NEW_TABLE:v64? ACTION_REFERENCE_OLD_ROW:v3 \
         ACTION_REFERENCE_NEW_ROW:v3 CREATED:t SQL_MODE:x DEFINER:v288 CHARACTER_SET_CLIENT:v64 \
         COLLATION_CONNECTION:v64 DATABASE_COLLATION:v64",
        nothing,
    ),
    (
        I,
        "ROUTINES",
        "SPECIFIC_NAME:v64 ROUTINE_CATALOG:v64 ROUTINE_SCHEMA:b64 ROUTINE_NAME:v64 ROUTINE_TYPE:v9 \
         DATA_TYPE:x? CHARACTER_MAXIMUM_LENGTH:i? CHARACTER_OCTET_LENGTH:i? NUMERIC_PRECISION:m? \
         NUMERIC_SCALE:m? DATETIME_PRECISION:m? CHARACTER_SET_NAME:v64? COLLATION_NAME:v64? \
         DTD_IDENTIFIER:x? ROUTINE_BODY:v8 ROUTINE_DEFINITION:x? EXTERNAL_NAME:v1? EXTERNAL_LANGUAGE:v64 \
         PARAMETER_STYLE:v3 IS_DETERMINISTIC:v3 SQL_DATA_ACCESS:v17 SQL_PATH:v1? SECURITY_TYPE:v7 \
         CREATED:t LAST_ALTERED:t SQL_MODE:x ROUTINE_COMMENT:x DEFINER:v288 CHARACTER_SET_CLIENT:v64 \
         COLLATION_CONNECTION:v64 DATABASE_COLLATION:v64",
        nothing,
    ),
    (
        I,
        "PARAMETERS",
        "SPECIFIC_CATALOG:v64 SPECIFIC_SCHEMA:b64 SPECIFIC_NAME:v64 ORDINAL_POSITION:u PARAMETER_MODE:v5? \
         PARAMETER_NAME:v64? DATA_TYPE:x? CHARACTER_MAXIMUM_LENGTH:i? CHARACTER_OCTET_LENGTH:i? \
         NUMERIC_PRECISION:m? NUMERIC_SCALE:i? DATETIME_PRECISION:m? CHARACTER_SET_NAME:v64? \
         COLLATION_NAME:v64? DTD_IDENTIFIER:x ROUTINE_TYPE:v9",
        nothing,
    ),
    (
        I,
        "EVENTS",
        "EVENT_CATALOG:v64 EVENT_SCHEMA:b64 EVENT_NAME:v64 DEFINER:v288 TIME_ZONE:v64 EVENT_BODY:v3 \
         EVENT_DEFINITION:x EVENT_TYPE:v9 EXECUTE_AT:t? INTERVAL_VALUE:v256? INTERVAL_FIELD:v18? SQL_MODE:x \
         STARTS:t? ENDS:t? STATUS:v21 ON_COMPLETION:v12 CREATED:t LAST_ALTERED:t LAST_EXECUTED:t? \
         EVENT_COMMENT:v2048 ORIGINATOR:m CHARACTER_SET_CLIENT:v64 COLLATION_CONNECTION:v64 \
         DATABASE_COLLATION:v64",
        nothing,
    ),
    (
        I,
        "PARTITIONS",
        "TABLE_CATALOG:v64 TABLE_SCHEMA:b64 TABLE_NAME:b64 PARTITION_NAME:v64? SUBPARTITION_NAME:v64? \
         PARTITION_ORDINAL_POSITION:m? SUBPARTITION_ORDINAL_POSITION:m? PARTITION_METHOD:v13? \
         SUBPARTITION_METHOD:v13? PARTITION_EXPRESSION:v2048? SUBPARTITION_EXPRESSION:v2048? \
         PARTITION_DESCRIPTION:x? TABLE_ROWS:u? AVG_ROW_LENGTH:u? DATA_LENGTH:u? MAX_DATA_LENGTH:u? \
         INDEX_LENGTH:u? DATA_FREE:u? CREATE_TIME:t? UPDATE_TIME:t? CHECK_TIME:t? CHECKSUM:i? \
         PARTITION_COMMENT:x NODEGROUP:v256? TABLESPACE_NAME:v268?",
        nothing,
    ),
    (
        I,
        "FILES",
        "FILE_ID:i? FILE_NAME:x? FILE_TYPE:v256? TABLESPACE_NAME:v268 TABLE_CATALOG:v0 TABLE_SCHEMA:v0? \
         TABLE_NAME:v0? LOGFILE_GROUP_NAME:v256? LOGFILE_GROUP_NUMBER:i? ENGINE:v64 FULLTEXT_KEYS:v0? \
         DELETED_ROWS:v0? UPDATE_COUNT:v0? FREE_EXTENTS:i? TOTAL_EXTENTS:i? EXTENT_SIZE:i? \
         INITIAL_SIZE:i? MAXIMUM_SIZE:i? AUTOEXTEND_SIZE:i? CREATION_TIME:v0? LAST_UPDATE_TIME:v0? \
         LAST_ACCESS_TIME:v0? RECOVER_TIME:v0? TRANSACTION_COUNTER:v0? VERSION:i? ROW_FORMAT:v256? \
         TABLE_ROWS:v0? AVG_ROW_LENGTH:v0? DATA_LENGTH:v0? MAX_DATA_LENGTH:v0? INDEX_LENGTH:v0? \
         DATA_FREE:i? CREATE_TIME:v0? UPDATE_TIME:v0? CHECK_TIME:v0? CHECKSUM:v0? STATUS:v256? EXTRA:v256?",
        nothing,
    ),
    (
        I,
        "VIEW_TABLE_USAGE",
        "VIEW_CATALOG:v64 VIEW_SCHEMA:b64 VIEW_NAME:b64 TABLE_CATALOG:v64 TABLE_SCHEMA:b64 TABLE_NAME:b64",
        nothing,
    ),
    (
        I,
        "VIEW_ROUTINE_USAGE",
        "TABLE_CATALOG:v64 TABLE_SCHEMA:b64 TABLE_NAME:b64 SPECIFIC_CATALOG:v64 SPECIFIC_SCHEMA:b64 SPECIFIC_NAME:v64",
        nothing,
    ),
    (
        I,
        "TABLESPACES",
        "TABLESPACE_NAME:v64 ENGINE:v64 TABLESPACE_TYPE:v64? LOGFILE_GROUP_NAME:v64? EXTENT_SIZE:u? AUTOEXTEND_SIZE:u? MAXIMUM_SIZE:u? NODEGROUP_ID:u? TABLESPACE_COMMENT:v2048?",
        nothing,
    ),
    (
        I,
        "OPTIMIZER_TRACE",
        "QUERY:x TRACE:x MISSING_BYTES_BEYOND_MAX_MEM_SIZE:n INSUFFICIENT_PRIVILEGES:n",
        nothing,
    ),
    (
        I,
        "PROFILING",
        "QUERY_ID:n SEQ:n STATE:v30 DURATION:d CPU_USER:d? CPU_SYSTEM:d? CONTEXT_VOLUNTARY:n? CONTEXT_INVOLUNTARY:n? BLOCK_OPS_IN:n? BLOCK_OPS_OUT:n? MESSAGES_SENT:n? MESSAGES_RECEIVED:n? PAGE_FAULTS_MAJOR:n? PAGE_FAULTS_MINOR:n? SWAPS:n? SOURCE_FUNCTION:v30? SOURCE_FILE:v20? SOURCE_LINE:n?",
        nothing,
    ),
    (
        I,
        "RESOURCE_GROUPS",
        "RESOURCE_GROUP_NAME:v64 RESOURCE_GROUP_TYPE:v6 RESOURCE_GROUP_ENABLED:n VCPU_IDS:l? THREAD_PRIORITY:n",
        nothing,
    ),
    (I, "COLUMN_STATISTICS", "SCHEMA_NAME:b64 TABLE_NAME:b64 COLUMN_NAME:v64 HISTOGRAM:j", nothing),
    (
        I,
        "ST_GEOMETRY_COLUMNS",
        "TABLE_CATALOG:v64 TABLE_SCHEMA:b64 TABLE_NAME:b64 COLUMN_NAME:v64? SRS_NAME:v80? SRS_ID:m? GEOMETRY_TYPE_NAME:x?",
        nothing,
    ),
    (
        I,
        "ST_SPATIAL_REFERENCE_SYSTEMS",
        "SRS_NAME:v80 SRS_ID:m ORGANIZATION:v256? ORGANIZATION_COORDSYS_ID:m? DEFINITION:v4096 DESCRIPTION:v2048?",
        nothing,
    ),
    (
        I,
        "ROLE_ROUTINE_GRANTS",
        "GRANTOR:v97? GRANTOR_HOST:v256? GRANTEE:v32 GRANTEE_HOST:v255 SPECIFIC_CATALOG:v3 SPECIFIC_SCHEMA:v64 \
         SPECIFIC_NAME:v64 ROUTINE_CATALOG:v3 ROUTINE_SCHEMA:v64 ROUTINE_NAME:v64 PRIVILEGE_TYPE:v27 \
         IS_GRANTABLE:v3",
        nothing,
    ),
    (
        I,
        "INNODB_METRICS",
        "NAME:v193 SUBSYSTEM:v193 COUNT:i MAX_COUNT:i? MIN_COUNT:i? AVG_COUNT:d? COUNT_RESET:i MAX_COUNT_RESET:i? MIN_COUNT_RESET:i? AVG_COUNT_RESET:d? TIME_ENABLED:t? TIME_DISABLED:t? TIME_ELAPSED:i? TIME_RESET:t? STATUS:v193 TYPE:v193 COMMENT:v193",
        nothing,
    ),
    (
        I,
        "INNODB_CMP",
        "page_size:n compress_ops:n compress_ops_ok:n compress_time:n uncompress_ops:n uncompress_time:n",
        nothing,
    ),
    (
        I,
        "INNODB_CMP_RESET",
        "page_size:n compress_ops:n compress_ops_ok:n compress_time:n uncompress_ops:n uncompress_time:n",
        nothing,
    ),
    (
        I,
        "INNODB_CMPMEM",
        "page_size:n buffer_pool_instance:n pages_used:n pages_free:n relocation_ops:i relocation_time:n",
        nothing,
    ),
    (
        I,
        "INNODB_BUFFER_POOL_STATS",
        "POOL_ID:u POOL_SIZE:u FREE_BUFFERS:u DATABASE_PAGES:u OLD_DATABASE_PAGES:u MODIFIED_DATABASE_PAGES:u PENDING_DECOMPRESS:u PENDING_READS:u PENDING_FLUSH_LRU:u PENDING_FLUSH_LIST:u",
        nothing,
    ),
    (
        I,
        "INNODB_TABLESPACES",
        "SPACE:m NAME:v655 FLAG:m ROW_FORMAT:v22? PAGE_SIZE:m ZIP_PAGE_SIZE:m SPACE_TYPE:v10? FS_BLOCK_SIZE:m FILE_SIZE:u ALLOCATED_SIZE:u AUTOEXTEND_SIZE:u SERVER_VERSION:v10? SPACE_VERSION:m ENCRYPTION:v1? STATE:v10?",
        nothing,
    ),
    (
        "mysql",
        "procs_priv",
        "Host:v255 Db:v64 User:v32 Routine_name:v64 Routine_type:v9 Grantor:v288 Proc_priv:v64 Timestamp:t",
        nothing,
    ),
    ("mysql", "global_grants", "USER:v32 HOST:v255 PRIV:v32 WITH_GRANT_OPTION:v1", nothing),
    (
        "mysql",
        "proxies_priv",
        "Host:v255 User:v32 Proxied_host:v255 Proxied_user:v32 With_grant:n Grantor:v288 Timestamp:t",
        nothing,
    ),
    ("mysql", "plugin", "name:v64 dl:v128", nothing),
    ("mysql", "func", "name:v64 ret:n dl:v128 type:v9", nothing),
    (
        "mysql",
        "servers",
        "Server_name:v64 Host:v255 Db:v64 Username:v64 Password:v64 Port:n Socket:v64 Wrapper:v64 Owner:v64",
        nothing,
    ),
    ("mysql", "time_zone", "Time_zone_id:m Use_leap_seconds:v1", nothing),
    ("mysql", "time_zone_name", "Name:v64 Time_zone_id:m", nothing),
    ("mysql", "time_zone_transition", "Time_zone_id:m Transition_time:i Transition_type_id:m", nothing),
    (
        "mysql",
        "time_zone_transition_type",
        "Time_zone_id:m Transition_type_id:m Offset:n Is_DST:n Abbreviation:v8",
        nothing,
    ),
    (
        "mysql",
        "general_log",
        "event_time:t user_host:x thread_id:u server_id:m command_type:v64 argument:l",
        nothing,
    ),
    (
        "mysql",
        "slow_log",
        "start_time:t user_host:x query_time:v16 lock_time:v16 rows_sent:n rows_examined:n db:v512 last_insert_id:n insert_id:n server_id:m sql_text:l thread_id:u",
        nothing,
    ),
    (
        "mysql",
        "help_topic",
        "help_topic_id:m name:v64 help_category_id:m description:x example:x url:x",
        nothing,
    ),
];

fn nothing(_: &Source<'_>) -> SqlResult<Vec<Vec<Value>>> {
    Ok(Vec::new())
}
