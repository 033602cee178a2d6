//! SCHEMATA and TABLES.

use aquifer_catalog::Table;
use aquifer_types::{Collation, SqlResult, Value};

use super::definition::TableLine;
use super::source::{datetime, maybe_text, text, uint};
use super::{SCHEMAS, Source, charset};

pub(super) const TABLES: &[TableLine] = &[
    (
        "information_schema",
        "SCHEMATA",
        "CATALOG_NAME:v64 SCHEMA_NAME:b64 DEFAULT_CHARACTER_SET_NAME:v64 DEFAULT_COLLATION_NAME:v64 \
         SQL_PATH:v1? DEFAULT_ENCRYPTION:v3",
        schemata,
    ),
    (
        "information_schema",
        "SCHEMATA_EXTENSIONS",
        "CATALOG_NAME:v64 SCHEMA_NAME:b64 OPTIONS:v256?",
        schemata_extensions,
    ),
    (
        "information_schema",
        "TABLES",
        "TABLE_CATALOG:v64 TABLE_SCHEMA:b64 TABLE_NAME:b64 TABLE_TYPE:v11 ENGINE:v64? VERSION:n? \
         ROW_FORMAT:v10? TABLE_ROWS:u? AVG_ROW_LENGTH:u? DATA_LENGTH:u? MAX_DATA_LENGTH:u? \
         INDEX_LENGTH:u? DATA_FREE:u? AUTO_INCREMENT:u? CREATE_TIME:t? UPDATE_TIME:t? CHECK_TIME:t? \
         TABLE_COLLATION:v64? CHECKSUM:i? CREATE_OPTIONS:v256? TABLE_COMMENT:x?",
        tables,
    ),
    (
        "information_schema",
        "TABLES_EXTENSIONS",
        "TABLE_CATALOG:v64 TABLE_SCHEMA:b64 TABLE_NAME:b64 ENGINE_ATTRIBUTE:j? \
         SECONDARY_ENGINE_ATTRIBUTE:j?",
        tables_extensions,
    ),
    (
        "information_schema",
        "INNODB_TABLES",
        "TABLE_ID:u NAME:v655 FLAG:n N_COLS:n SPACE:i ROW_FORMAT:v12? ZIP_PAGE_SIZE:m SPACE_TYPE:v10? \
         INSTANT_COLS:n TOTAL_ROW_VERSIONS:n",
        innodb_tables,
    ),
];

fn schemata(source: &Source<'_>) -> SqlResult<Vec<Vec<Value>>> {
    let row = |name: &str, collation: Collation| {
        vec![
            text("def"),
            text(name),
            text(charset::charset_of(collation).name),
            text(charset::collation_name(collation)),
            Value::Null,
            text("NO"),
        ]
    };
    let mut rows: Vec<Vec<Value>> = virtual_schemas(source)
        .map(|name| {
            let utf8mb3 = name == "information_schema";
            row(name, if utf8mb3 { Collation::UTF8MB3_GENERAL_CI } else { Collation::UTF8MB4_0900_AI_CI })
        })
        .collect();
    rows.extend(source.databases().map(|database| row(&database.name, database.collation)));
    Ok(rows)
}

fn schemata_extensions(source: &Source<'_>) -> SqlResult<Vec<Vec<Value>>> {
    let row = |name: &str| vec![text("def"), text(name), text("")];
    let mut rows: Vec<Vec<Value>> = virtual_schemas(source).map(row).collect();
    rows.extend(source.databases().map(|database| row(&database.name)));
    Ok(rows)
}

/// Names of the virtual databases that the session may see and the hints allow.
pub(super) fn virtual_schemas<'a>(source: &'a Source<'_>) -> impl Iterator<Item = &'static str> + use<'a> {
    SCHEMAS.into_iter().filter(|name| source.wants_schema(name) && source.facts.may_see_database(name))
}

/// ROW_FORMAT as shown: what the user asked for, else the default.
fn row_format(table: &Table) -> String {
    let asked = &table.options.row_format;
    if asked.is_empty() || asked.eq_ignore_ascii_case("default") {
        return "Dynamic".to_owned();
    }
    let mut letters = asked.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters.map(|letter| letter.to_ascii_lowercase())).collect()
}

/// CREATE_OPTIONS.
fn create_options(table: &Table) -> String {
    if table.options.row_format.is_empty() {
        return String::new();
    }
    format!("row_format={}", table.options.row_format.to_uppercase())
}

/// ENGINE as shown: whatever was asked for, rows are transactional.
pub(super) const ENGINE: &str = "InnoDB";

fn tables(source: &Source<'_>) -> SqlResult<Vec<Vec<Value>>> {
    let mut rows: Vec<Vec<Value>> = Vec::new();
    for schema in virtual_schemas(source) {
        let defs = super::tables().iter().filter(|def| &*def.table.schema == schema);
        for def in defs.filter(|def| source.wants_table(&def.table.name)) {
            rows.push(view_row(schema, &def.table.name));
        }
    }
    rows.extend(source.tables().map(|table| table_row(source, table)));
    Ok(rows)
}

fn view_row(schema: &str, name: &str) -> Vec<Value> {
    let (kind, engine) = match schema {
        "information_schema" => ("SYSTEM VIEW", None),
        "performance_schema" => ("BASE TABLE", Some("PERFORMANCE_SCHEMA")),
        _ => ("BASE TABLE", Some("InnoDB")),
    };
    let mut row = vec![text("def"), text(schema), text(name), text(kind), maybe_text(engine), Value::Int(10)];
    row.push(maybe_text(engine.map(|_| "Dynamic")));
    row.extend(std::iter::repeat_n(uint(0), 6));
    row.extend([Value::Null, Value::Null, Value::Null, Value::Null]);
    row.push(maybe_text(engine.map(|_| "utf8mb4_0900_ai_ci")));
    row.extend([Value::Null, text(""), text("")]);
    row
}

fn table_row(source: &Source<'_>, table: &Table) -> Vec<Value> {
    if table.view.is_some() {
        let mut row = vec![text("def"), text(&table.schema), text(&table.name), text("VIEW")];
        row.extend(std::iter::repeat_n(Value::Null, 10));
        row.push(datetime(table.options.created_unix_s));
        row.extend(std::iter::repeat_n(Value::Null, 5));
        row.push(text("VIEW"));
        return row;
    }
    let size = source.facts.table_size(table);
    let counter = table.columns.iter().any(|column| column.auto_increment);
    let next = source.facts.auto_increment(table).unwrap_or_default().max(table.options.auto_increment);
    let average = size.data_bytes.checked_div(size.rows).unwrap_or(0);
    vec![
        text("def"),
        text(&table.schema),
        text(&table.name),
        text("BASE TABLE"),
        text(ENGINE),
        Value::Int(10),
        text(&row_format(table)),
        uint(size.rows),
        uint(average),
        uint(size.data_bytes),
        uint(0),
        uint(size.index_bytes),
        uint(0),
        if counter { uint(next.max(1)) } else { Value::Null },
        datetime(table.options.created_unix_s),
        Value::Null,
        Value::Null,
        text(charset::collation_name(table.collation)),
        Value::Null,
        text(&create_options(table)),
        text(&table.options.comment),
    ]
}

fn tables_extensions(source: &Source<'_>) -> SqlResult<Vec<Vec<Value>>> {
    let row = |table: &std::sync::Arc<Table>| {
        vec![text("def"), text(&table.schema), text(&table.name), Value::Null, Value::Null]
    };
    Ok(source.tables().filter(|table| table.view.is_none()).map(row).collect())
}

fn innodb_tables(source: &Source<'_>) -> SqlResult<Vec<Vec<Value>>> {
    let row = |table: &std::sync::Arc<Table>| {
        let columns = i64::try_from(table.columns.len()).unwrap_or(i64::MAX);
        vec![
            uint(u64::from(table.id.0)),
            text(&format!("{}/{}", table.schema, table.name)),
            Value::Int(33),
            Value::Int(columns + 3),
            Value::Int(i64::from(table.id.0)),
            text(&row_format(table)),
            uint(0),
            text("Single"),
            Value::Int(0),
            Value::Int(0),
        ]
    };
    Ok(source.tables().map(row).collect())
}
