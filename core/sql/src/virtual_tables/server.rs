//! Tables about the server: engines, plugins, character sets, collations, connections, variables.

use aquifer_types::{SqlResult, Value};

use super::definition::TableLine;
use super::source::{maybe_text, text, uint, yes_no};
use super::{ProcessRow, Source, charset};

pub(super) const TABLES: &[TableLine] = &[
    (
        "information_schema",
        "ENGINES",
        "ENGINE:v64 SUPPORT:v8 COMMENT:v80 TRANSACTIONS:v3? XA:v3? SAVEPOINTS:v3?",
        engines,
    ),
    (
        "information_schema",
        "PLUGINS",
        "PLUGIN_NAME:v64 PLUGIN_VERSION:v20 PLUGIN_STATUS:v10 PLUGIN_TYPE:v80 PLUGIN_TYPE_VERSION:v20 \
         PLUGIN_LIBRARY:v64? PLUGIN_LIBRARY_VERSION:v20? PLUGIN_AUTHOR:v64? PLUGIN_DESCRIPTION:x? \
         PLUGIN_LICENSE:v80? LOAD_OPTION:v64",
        plugins,
    ),
    (
        "information_schema",
        "CHARACTER_SETS",
        "CHARACTER_SET_NAME:v64 DEFAULT_COLLATE_NAME:v64 DESCRIPTION:v2048 MAXLEN:m",
        character_sets,
    ),
    (
        "information_schema",
        "COLLATIONS",
        "COLLATION_NAME:v64 CHARACTER_SET_NAME:v64 ID:u IS_DEFAULT:v3 IS_COMPILED:v3 SORTLEN:m \
         PAD_ATTRIBUTE:v9",
        collations,
    ),
    (
        "information_schema",
        "COLLATION_CHARACTER_SET_APPLICABILITY",
        "COLLATION_NAME:v64 CHARACTER_SET_NAME:v64",
        applicability,
    ),
    (
        "information_schema",
        "PROCESSLIST",
        "ID:u USER:v32 HOST:v261 DB:v64? COMMAND:v16 TIME:n STATE:v64? INFO:x?",
        processlist,
    ),
    ("information_schema", "KEYWORDS", "WORD:v128? RESERVED:n?", nothing),
    (
        "performance_schema",
        "processlist",
        "ID:u USER:v32? HOST:v261? DB:v64? COMMAND:v16? TIME:i? STATE:v64? INFO:x? EXECUTION_ENGINE:v9?",
        performance_processlist,
    ),
    ("performance_schema", "global_variables", "VARIABLE_NAME:v64 VARIABLE_VALUE:v1024?", global_variables),
    ("performance_schema", "session_variables", "VARIABLE_NAME:v64 VARIABLE_VALUE:v1024?", session_variables),
    ("performance_schema", "global_status", "VARIABLE_NAME:v64 VARIABLE_VALUE:v1024?", global_status),
    ("performance_schema", "session_status", "VARIABLE_NAME:v64 VARIABLE_VALUE:v1024?", session_status),
    ("performance_schema", "persisted_variables", "VARIABLE_NAME:v64 VARIABLE_VALUE:v1024?", persisted),
    (
        "performance_schema",
        "session_connect_attrs",
        "PROCESSLIST_ID:u ATTR_NAME:v32 ATTR_VALUE:v1024? ORDINAL_POSITION:n?",
        attributes,
    ),
    (
        "performance_schema",
        "session_account_connect_attrs",
        "PROCESSLIST_ID:u ATTR_NAME:v32 ATTR_VALUE:v1024? ORDINAL_POSITION:n?",
        attributes,
    ),
    (
        "performance_schema",
        "threads",
        "THREAD_ID:u NAME:v128 TYPE:v10 PROCESSLIST_ID:u? PROCESSLIST_USER:v32? PROCESSLIST_HOST:v255? \
         PROCESSLIST_DB:v64? PROCESSLIST_COMMAND:v16? PROCESSLIST_TIME:i? PROCESSLIST_STATE:v64? \
         PROCESSLIST_INFO:x? INSTRUMENTED:v3",
        threads,
    ),
];

fn nothing(_: &Source<'_>) -> SqlResult<Vec<Vec<Value>>> {
    Ok(Vec::new())
}

fn engines(_: &Source<'_>) -> SqlResult<Vec<Vec<Value>>> {
    Ok(vec![
        [
            "InnoDB",
            "DEFAULT",
            "Supports transactions and row-level locking; stored in an object store",
            "YES",
            "NO",
            "YES",
        ]
        .map(text)
        .to_vec(),
        ["PERFORMANCE_SCHEMA", "YES", "Performance Schema", "NO", "NO", "NO"].map(text).to_vec(),
    ])
}

/// Name, type, type version, description.
const PLUGINS: &[(&str, &str, &str, &str)] = &[
    ("mysql_native_password", "AUTHENTICATION", "2.1", "Native MySQL authentication"),
    ("caching_sha2_password", "AUTHENTICATION", "2.1", "Caching sha2 authentication"),
    ("InnoDB", "STORAGE ENGINE", "80034.0", "Transactional tables in an object store"),
    ("PERFORMANCE_SCHEMA", "STORAGE ENGINE", "80034.0", "Performance Schema"),
];

fn plugins(_: &Source<'_>) -> SqlResult<Vec<Vec<Value>>> {
    let row = |(name, kind, version, description): &(&str, &str, &str, &str)| {
        vec![
            text(name),
            text("1.0"),
            text("ACTIVE"),
            text(kind),
            text(version),
            Value::Null,
            Value::Null,
            text("Aquifer"),
            text(description),
            text("Apache-2.0"),
            text("FORCE"),
        ]
    };
    Ok(PLUGINS.iter().map(row).collect())
}

fn character_sets(_: &Source<'_>) -> SqlResult<Vec<Vec<Value>>> {
    let row = |set: &charset::CharacterSet| {
        vec![
            text(set.name),
            text(charset::default_collation(set.name)),
            text(set.description),
            uint(u64::from(set.max_length)),
        ]
    };
    Ok(charset::CHARACTER_SETS.iter().map(row).collect())
}

fn collations(_: &Source<'_>) -> SqlResult<Vec<Vec<Value>>> {
    let row = |info: &charset::CollationInfo| {
        let default = charset::default_collation(info.charset) == info.name;
        vec![
            text(info.name),
            text(info.charset),
            uint(u64::from(info.id)),
            text(if default { "Yes" } else { "" }),
            text("Yes"),
            uint(u64::from(info.sort_length)),
            text(info.pad),
        ]
    };
    Ok(charset::COLLATIONS.iter().map(row).collect())
}

fn applicability(_: &Source<'_>) -> SqlResult<Vec<Vec<Value>>> {
    let row = |info: &charset::CollationInfo| vec![text(info.name), text(info.charset)];
    Ok(charset::COLLATIONS.iter().map(row).collect())
}

/// The eight columns that all process lists have.
pub(super) fn process_row(process: &ProcessRow) -> Vec<Value> {
    vec![
        uint(process.id),
        text(&process.user),
        text(&process.host),
        maybe_text(process.db.as_deref()),
        text(&process.command),
        Value::Int(process.time_s),
        maybe_text(process.state.as_deref()),
        maybe_text(process.info.as_deref()),
    ]
}

fn processlist(source: &Source<'_>) -> SqlResult<Vec<Vec<Value>>> {
    Ok(source.facts.processes().iter().map(process_row).collect())
}

fn performance_processlist(source: &Source<'_>) -> SqlResult<Vec<Vec<Value>>> {
    let row = |process: &ProcessRow| {
        let mut row = process_row(process);
        row.push(text("PRIMARY"));
        row
    };
    Ok(source.facts.processes().iter().map(row).collect())
}

fn threads(source: &Source<'_>) -> SqlResult<Vec<Vec<Value>>> {
    let row = |process: &ProcessRow| {
        let mut row = vec![uint(process.id), text("thread/sql/one_connection"), text("FOREGROUND")];
        row.extend(process_row(process));
        row.push(yes_no(false));
        row
    };
    Ok(source.facts.processes().iter().map(row).collect())
}

fn attributes(source: &Source<'_>) -> SqlResult<Vec<Vec<Value>>> {
    let mut rows = Vec::new();
    let mut last = None;
    let mut position = 0;
    for (id, name, value) in source.facts.connection_attributes() {
        position = if last == Some(id) { position + 1 } else { 0 };
        last = Some(id);
        rows.push(vec![uint(id), text(&name), text(&value), Value::Int(position)]);
    }
    Ok(rows)
}

fn pairs(pairs: Vec<(String, String)>) -> SqlResult<Vec<Vec<Value>>> {
    Ok(pairs.into_iter().map(|(name, value)| vec![text(&name), text(&value)]).collect())
}

fn global_variables(source: &Source<'_>) -> SqlResult<Vec<Vec<Value>>> {
    pairs(source.facts.global_variables())
}

fn session_variables(source: &Source<'_>) -> SqlResult<Vec<Vec<Value>>> {
    pairs(source.facts.session_variables())
}

fn global_status(source: &Source<'_>) -> SqlResult<Vec<Vec<Value>>> {
    pairs(source.facts.global_status())
}

fn session_status(source: &Source<'_>) -> SqlResult<Vec<Vec<Value>>> {
    pairs(source.facts.session_status())
}

fn persisted(source: &Source<'_>) -> SqlResult<Vec<Vec<Value>>> {
    pairs(source.facts.persisted_variables())
}
