//! COLUMNS.

use aquifer_catalog::{Column, ColumnDefault, IndexKind, Privileges, Rights, Table};
use aquifer_types::{SqlResult, TypeKind, Value};

use super::definition::TableLine;
use super::schemas::virtual_schemas;
use super::source::{maybe_text, size, text, uint, yes_no};
use super::{Source, charset, type_text};
use crate::virtual_table::VirtualTable;

pub(super) const TABLES: &[TableLine] = &[
    (
        "information_schema",
        "COLUMNS",
        "TABLE_CATALOG:v64 TABLE_SCHEMA:b64 TABLE_NAME:b64 COLUMN_NAME:v64? ORDINAL_POSITION:m \
         COLUMN_DEFAULT:x? IS_NULLABLE:v3 DATA_TYPE:x? CHARACTER_MAXIMUM_LENGTH:i? \
         CHARACTER_OCTET_LENGTH:i? NUMERIC_PRECISION:u? NUMERIC_SCALE:u? DATETIME_PRECISION:m? \
         CHARACTER_SET_NAME:v64? COLLATION_NAME:v64? COLUMN_TYPE:x COLUMN_KEY:v3 EXTRA:v256? \
         PRIVILEGES:v154? COLUMN_COMMENT:x GENERATION_EXPRESSION:x SRS_ID:m?",
        columns,
    ),
    (
        "information_schema",
        "COLUMNS_EXTENSIONS",
        "TABLE_CATALOG:v64 TABLE_SCHEMA:b64 TABLE_NAME:b64 COLUMN_NAME:v64 ENGINE_ATTRIBUTE:j? \
         SECONDARY_ENGINE_ATTRIBUTE:j?",
        columns_extensions,
    ),
];

/// What one may do with a column, as PRIVILEGES shows it; `None` for somebody who may do nothing with it and does not
/// see it. Without rights everything is allowed.
#[must_use]
pub fn column_privileges(rights: Option<&Rights>, table: &Table, column: &Column) -> Option<String> {
    let all = Privileges::ALL_ON_COLUMN;
    let has = rights.map_or(all, |rights| rights.on_column(&table.schema, &table.name, &column.name));
    let has = has.common(all);
    let names: Vec<String> = has.names().map(str::to_ascii_lowercase).collect();
    (!names.is_empty()).then(|| names.join(","))
}

fn columns(source: &Source<'_>) -> SqlResult<Vec<Vec<Value>>> {
    let mut rows = Vec::new();
    for schema in virtual_schemas(source) {
        let defs = super::tables().iter().filter(|def| &*def.table.schema == schema);
        for def in defs.filter(|def| source.wants_table(&def.table.name)) {
            virtual_rows(&def.table, &mut rows);
        }
    }
    for table in source.tables() {
        let shown = table.shown_columns().enumerate();
        rows.extend(shown.filter_map(|(at, column)| {
            let privileges = column_privileges(source.facts.rights(), table, column)?;
            Some(column_row(table, at, column, &privileges))
        }));
    }
    Ok(rows)
}

fn virtual_rows(table: &VirtualTable, rows: &mut Vec<Vec<Value>>) {
    for (at, column) in table.columns.iter().enumerate() {
        let mut row =
            vec![text("def"), text(&table.schema), text(&table.name), text(&column.name), size(at + 1)];
        row.push(Value::Null);
        row.push(yes_no(column.nullable));
        type_values(&column.data_type, &mut row);
        row.extend([text(""), text(""), text("select"), text(""), text(""), Value::Null]);
        rows.push(row);
    }
}

/// DATA_TYPE to COLUMN_TYPE.
fn type_values(data_type: &aquifer_types::DataType, row: &mut Vec<Value>) {
    let lengths = type_text::character_lengths(data_type);
    let numeric = type_text::numeric_precision(data_type);
    let collated = type_text::has_collation(data_type.kind);
    let signed = |number: u64| Value::Int(i64::try_from(number).unwrap_or(i64::MAX));
    row.push(text(type_text::data_type_name(data_type.kind)));
    row.push(lengths.map_or(Value::Null, |(characters, _)| signed(characters)));
    row.push(lengths.map_or(Value::Null, |(_, octets)| signed(octets)));
    row.push(numeric.map_or(Value::Null, |(precision, _)| uint(precision)));
    row.push(numeric.and_then(|(_, scale)| scale).map_or(Value::Null, uint));
    row.push(type_text::datetime_precision(data_type).map_or(Value::Null, uint));
    row.push(maybe_text(collated.then(|| charset::charset_of(data_type.collation).name)));
    row.push(maybe_text(collated.then(|| charset::collation_name(data_type.collation))));
    row.push(text(&type_text::column_type(data_type)));
}

fn column_row(table: &Table, at: usize, column: &Column, privileges: &str) -> Vec<Value> {
    let mut row = vec![text("def"), text(&table.schema), text(&table.name), text(&column.name), size(at + 1)];
    row.push(maybe_text(default_text(column).as_deref()));
    row.push(yes_no(column.nullable));
    type_values(&column.data_type, &mut row);
    row.push(text(column_key(table, column)));
    row.push(text(&extra(column)));
    row.push(text(privileges));
    row.push(text(&column.comment));
    row.push(text(column.generated.as_ref().map_or("", |generated| &generated.expression)));
    row.push(Value::Null);
    row
}

/// COLUMN_DEFAULT: the value as text without quotes.
pub(super) fn default_text(column: &Column) -> Option<String> {
    match &column.default {
        ColumnDefault::None | ColumnDefault::Null => None,
        ColumnDefault::Literal(bytes) => Some(literal_text(column, bytes)),
        ColumnDefault::CurrentTimestamp(0) => Some("CURRENT_TIMESTAMP".to_owned()),
        ColumnDefault::CurrentTimestamp(digits) => Some(format!("CURRENT_TIMESTAMP({digits})")),
        ColumnDefault::Expression(expression) => Some(expression.clone()),
    }
}

/// A default as text; binary strings in hexadecimal.
pub(super) fn literal_text(column: &Column, bytes: &[u8]) -> String {
    let binary = matches!(column.data_type.kind, TypeKind::Binary | TypeKind::VarBinary);
    match std::str::from_utf8(bytes) {
        Ok(text) if !binary || text.bytes().all(|byte| (32..127).contains(&byte)) => text.to_owned(),
        _ => {
            let digits: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
            format!("0x{digits}")
        }
    }
}

/// COLUMN_KEY.
pub(super) fn column_key(table: &Table, column: &Column) -> &'static str {
    let leads = |kind: IndexKind| {
        table.readable_indexes().filter(move |index| index.kind == kind).filter_map(|index| {
            let first = index.parts.first()?;
            (first.column == column.id).then_some(index.parts.len())
        })
    };
    let in_primary = table
        .indexes
        .iter()
        .any(|index| index.kind == IndexKind::Primary && index.parts.iter().any(|p| p.column == column.id));
    if in_primary {
        return "PRI";
    }
    let unique_alone = leads(IndexKind::Unique).any(|parts| parts == 1);
    if unique_alone {
        // A table without a primary key shows its first unique NOT NULL index as one.
        return if !column.nullable && table.has_hidden_key() && is_first_unique(table, column) {
            "PRI"
        } else {
            "UNI"
        };
    }
    if leads(IndexKind::Unique).next().is_some() || leads(IndexKind::Plain).next().is_some() {
        return "MUL";
    }
    ""
}

fn is_first_unique(table: &Table, column: &Column) -> bool {
    let nullable = |id| table.columns.iter().any(|other| other.id == id && other.nullable);
    let first = table
        .indexes
        .iter()
        .find(|index| index.kind == IndexKind::Unique && !index.parts.iter().any(|p| nullable(p.column)));
    first.is_some_and(|index| index.parts.iter().any(|part| part.column == column.id))
}

/// EXTRA.
pub(super) fn extra(column: &Column) -> String {
    let mut parts = Vec::new();
    if column.auto_increment {
        parts.push("auto_increment".to_owned());
    }
    if let Some(generated) = &column.generated {
        parts.push(if generated.stored { "STORED GENERATED" } else { "VIRTUAL GENERATED" }.to_owned());
    }
    if matches!(column.default, ColumnDefault::CurrentTimestamp(_) | ColumnDefault::Expression(_)) {
        parts.push("DEFAULT_GENERATED".to_owned());
    }
    match column.on_update {
        Some(0) => parts.push("on update CURRENT_TIMESTAMP".to_owned()),
        Some(digits) => parts.push(format!("on update CURRENT_TIMESTAMP({digits})")),
        None => {}
    }
    if column.invisible {
        parts.push("INVISIBLE".to_owned());
    }
    parts.join(" ")
}

fn columns_extensions(source: &Source<'_>) -> SqlResult<Vec<Vec<Value>>> {
    let mut rows = Vec::new();
    for table in source.tables() {
        let rights = source.facts.rights();
        for column in
            table.shown_columns().filter(|column| column_privileges(rights, table, column).is_some())
        {
            rows.push(vec![
                text("def"),
                text(&table.schema),
                text(&table.name),
                text(&column.name),
                Value::Null,
                Value::Null,
            ]);
        }
    }
    Ok(rows)
}
