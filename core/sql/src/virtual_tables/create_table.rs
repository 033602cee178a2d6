//! The text of SHOW CREATE TABLE and SHOW CREATE DATABASE, byte for byte as MySQL 8.0 writes it: clients
//! parse it (SQLAlchemy) and restore from it (mysqldump).

use std::fmt::Write as _;

use aquifer_catalog::{
    Check, Column, ColumnDefault, Database, ForeignKey, Index, IndexKind, ReferentialAction, Table,
};
use aquifer_types::{Collation, TypeKind};

use super::columns::literal_text;
use super::keys::{column_of, shown_indexes};
use super::{charset, type_text};
use crate::virtual_table::VirtualTable;

/// An identifier in backticks.
#[must_use]
pub fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A string in single quotes, with MySQL's escapes.
#[must_use]
pub fn string_literal(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('\'');
    for letter in text.chars() {
        match letter {
            '\'' => out.push_str("''"),
            '\\' => out.push_str("\\\\"),
            '\0' => out.push_str("\\0"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\u{1a}' => out.push_str("\\Z"),
            other => out.push(other),
        }
    }
    out.push('\'');
    out
}

/// The statement that makes this table. `next` is the next AUTO_INCREMENT value when it is known.
#[must_use]
pub fn create_table(table: &Table, next: Option<u64>) -> String {
    let mut parts: Vec<String> = table.shown_columns().map(|column| column_line(table, column)).collect();
    parts.extend(shown_indexes(table).into_iter().map(|index| index_line(table, index)));
    // InnoDB keeps foreign keys by name.
    let mut keys: Vec<&ForeignKey> = table.foreign_keys.iter().collect();
    keys.sort_by(|a, b| a.name.cmp(&b.name));
    parts.extend(keys.into_iter().map(|key| foreign_key_line(table, key)));
    parts.extend(table.checks.iter().map(check_line));
    let temporary = if table.id.is_temporary() { "TEMPORARY " } else { "" };
    let mut out = format!("CREATE {temporary}TABLE {} (\n", quoted(&table.name));
    for (at, part) in parts.iter().enumerate() {
        let end = if at + 1 < parts.len() { ",\n" } else { "\n" };
        let _ = write!(out, "  {part}{end}");
    }
    out.push(')');
    out.push_str(&options(table, next));
    out
}

fn options(table: &Table, next: Option<u64>) -> String {
    let mut out = String::from(" ENGINE=InnoDB");
    let counter = table.columns.iter().any(|column| column.auto_increment);
    // Before the first row there is what the table was created with.
    let next = next.unwrap_or_default().max(table.options.auto_increment);
    if counter && next > 1 {
        let _ = write!(out, " AUTO_INCREMENT={next}");
    }
    let set = charset::charset_of(table.collation);
    let _ = write!(out, " DEFAULT CHARSET={}", set.name);
    if shows_collation(table.collation) {
        let _ = write!(out, " COLLATE={}", charset::collation_name(table.collation));
    }
    let format = &table.options.row_format;
    if !format.is_empty() && !format.eq_ignore_ascii_case("default") {
        let _ = write!(out, " ROW_FORMAT={}", format.to_uppercase());
    }
    if !table.options.comment.is_empty() {
        let _ = write!(out, " COMMENT={}", string_literal(&table.options.comment));
    }
    out
}

/// Whether COLLATE is written beside the character set: always for utf8mb4, whose default depends on the
/// version, else when it is not the character set's default.
fn shows_collation(collation: Collation) -> bool {
    let set = charset::charset_of(collation);
    set.name == "utf8mb4" || set.default_collation != collation.0
}

fn column_line(table: &Table, column: &Column) -> String {
    let mut out = format!("{} {}", quoted(&column.name), type_text::column_type(&column.data_type));
    collation_clause(table, column, &mut out);
    if let Some(generated) = &column.generated {
        let kind = if generated.stored { "STORED" } else { "VIRTUAL" };
        let _ = write!(out, " GENERATED ALWAYS AS {} {kind}", in_parentheses(&generated.expression));
    }
    if !column.nullable {
        out.push_str(" NOT NULL");
    } else if column.data_type.kind == TypeKind::Timestamp {
        out.push_str(" NULL");
    }
    default_clause(column, &mut out);
    match column.on_update {
        Some(0) => out.push_str(" ON UPDATE CURRENT_TIMESTAMP"),
        Some(digits) => {
            let _ = write!(out, " ON UPDATE CURRENT_TIMESTAMP({digits})");
        }
        None => {}
    }
    if column.auto_increment {
        out.push_str(" AUTO_INCREMENT");
    }
    if !column.comment.is_empty() {
        let _ = write!(out, " COMMENT {}", string_literal(&column.comment));
    }
    if column.invisible {
        out.push_str(" /*!80023 INVISIBLE */");
    }
    out
}

fn collation_clause(table: &Table, column: &Column, out: &mut String) {
    let collation = column.data_type.collation;
    if !type_text::has_collation(column.data_type.kind) || collation == table.collation {
        return;
    }
    let set = charset::charset_of(collation);
    let other_charset = set.name != charset::charset_of(table.collation).name;
    if other_charset {
        let _ = write!(out, " CHARACTER SET {}", set.name);
    }
    if shows_collation(collation) || !other_charset {
        let _ = write!(out, " COLLATE {}", charset::collation_name(collation));
    }
}

fn default_clause(column: &Column, out: &mut String) {
    if column.generated.is_some() {
        return;
    }
    match &column.default {
        ColumnDefault::None if column.nullable && shows_null_default(column) => out.push_str(" DEFAULT NULL"),
        ColumnDefault::Null if shows_null_default(column) => out.push_str(" DEFAULT NULL"),
        ColumnDefault::None | ColumnDefault::Null => {}
        ColumnDefault::CurrentTimestamp(0) => out.push_str(" DEFAULT CURRENT_TIMESTAMP"),
        ColumnDefault::CurrentTimestamp(digits) => {
            let _ = write!(out, " DEFAULT CURRENT_TIMESTAMP({digits})");
        }
        ColumnDefault::Expression(expression) => {
            let _ = write!(out, " DEFAULT ({expression})");
        }
        ColumnDefault::Literal(bytes) => {
            let shown = literal_text(column, bytes);
            let bare = column.data_type.kind == TypeKind::Bit || is_hexadecimal(column, &shown);
            if bare {
                let _ = write!(out, " DEFAULT {shown}");
            } else {
                let _ = write!(out, " DEFAULT {}", string_literal(&shown));
            }
        }
    }
}

fn is_hexadecimal(column: &Column, shown: &str) -> bool {
    matches!(column.data_type.kind, TypeKind::Binary | TypeKind::VarBinary) && shown.starts_with("0x")
}

/// BLOB, TEXT and JSON columns show no DEFAULT NULL, nor do AUTO_INCREMENT columns.
fn shows_null_default(column: &Column) -> bool {
    let large = matches!(
        column.data_type.kind,
        TypeKind::TinyText
            | TypeKind::Text
            | TypeKind::MediumText
            | TypeKind::LongText
            | TypeKind::TinyBlob
            | TypeKind::Blob
            | TypeKind::MediumBlob
            | TypeKind::LongBlob
    );
    column.nullable && !large && !column.auto_increment
}

/// An expression with one pair of parentheses around it at least.
fn in_parentheses(expression: &str) -> String {
    format!("({expression})")
}

fn names_list<'n>(names: impl Iterator<Item = &'n str>) -> String {
    names.map(quoted).collect::<Vec<_>>().join(", ")
}

fn foreign_key_line(table: &Table, key: &ForeignKey) -> String {
    let own = key.columns.iter().filter_map(|id| table.position_of(*id)).map(|at| &*table.columns[at].name);
    let mut out = format!("CONSTRAINT {} FOREIGN KEY ({}) REFERENCES ", quoted(&key.name), names_list(own));
    if key.parent_schema != table.schema {
        let _ = write!(out, "{}.", quoted(&key.parent_schema));
    }
    let parent = names_list(key.parent_columns.iter().map(|name| &**name));
    let _ = write!(out, "{} ({parent})", quoted(&key.parent_table));
    for (event, action) in [("DELETE", key.on_delete), ("UPDATE", key.on_update)] {
        if action != ReferentialAction::NoAction {
            let _ = write!(out, " ON {event} {}", action_name(action));
        }
    }
    out
}

/// An action as SHOW and `information_schema` name it.
pub(super) fn action_name(action: ReferentialAction) -> &'static str {
    match action {
        ReferentialAction::NoAction => "NO ACTION",
        ReferentialAction::Restrict => "RESTRICT",
        ReferentialAction::Cascade => "CASCADE",
        ReferentialAction::SetNull => "SET NULL",
    }
}

/// A foreign key as error messages show it: the child's names, then the constraint.
#[must_use]
pub fn constraint_text(table: &Table, key: &ForeignKey) -> String {
    format!("{}.{}, {}", quoted(&table.schema), quoted(&table.name), foreign_key_line(table, key))
}

fn check_line(check: &Check) -> String {
    let enforced = if check.enforced { "" } else { " /*!80016 NOT ENFORCED */" };
    format!("CONSTRAINT {} CHECK {}{enforced}", quoted(&check.name), in_parentheses(&check.expression))
}

fn index_line(table: &Table, index: &Index) -> String {
    let mut out = match index.kind {
        IndexKind::Primary | IndexKind::Hidden => "PRIMARY KEY (".to_owned(),
        IndexKind::Unique => format!("UNIQUE KEY {} (", quoted(&index.name)),
        IndexKind::Plain => format!("KEY {} (", quoted(&index.name)),
    };
    for (at, part) in index.parts.iter().enumerate() {
        let column = column_of(table, part);
        if at > 0 {
            out.push(',');
        }
        match column.filter(|column| column.hidden).and_then(|column| column.generated.as_ref()) {
            Some(generated) => out.push_str(&in_parentheses(&generated.expression)),
            None => out.push_str(&quoted(column.map_or("", |column| &column.name))),
        }
        let whole = column.and_then(|column| type_text::character_lengths(&column.data_type));
        if let Some(prefix) = part.prefix
            && whole.is_none_or(|(length, _)| length != u64::from(prefix))
        {
            let _ = write!(out, "({prefix})");
        }
        if part.descending {
            out.push_str(" DESC");
        }
    }
    out.push(')');
    if !index.comment.is_empty() {
        let _ = write!(out, " COMMENT {}", string_literal(&index.comment));
    }
    if index.invisible {
        out.push_str(" /*!80000 INVISIBLE */");
    }
    out
}

/// The statement that would make a virtual table.
#[must_use]
pub fn create_virtual(table: &VirtualTable) -> String {
    let line = |column: &crate::virtual_table::VirtualColumn| {
        let mut out = format!("  {} {}", quoted(&column.name), type_text::column_type(&column.data_type));
        out.push_str(if column.nullable { " DEFAULT NULL" } else { " NOT NULL" });
        out
    };
    let lines: Vec<String> = table.columns.iter().map(line).collect();
    let engine = if &*table.schema == "performance_schema" { "PERFORMANCE_SCHEMA" } else { "InnoDB" };
    format!(
        "CREATE TABLE {} (\n{}\n) ENGINE={engine} DEFAULT CHARSET=utf8mb3",
        quoted(&table.name),
        lines.join(",\n")
    )
}

/// The statement that makes a database.
#[must_use]
pub fn create_database(name: &str, collation: Collation, if_not_exists: bool) -> String {
    let set = charset::charset_of(collation);
    let mut out = String::from("CREATE DATABASE ");
    if if_not_exists {
        out.push_str("/*!32312 IF NOT EXISTS*/ ");
    }
    let _ = write!(out, "{} /*!40100 DEFAULT CHARACTER SET {}", quoted(name), set.name);
    if shows_collation(collation) {
        let _ = write!(out, " COLLATE {}", charset::collation_name(collation));
    }
    out.push_str(" */ /*!80016 DEFAULT ENCRYPTION='N' */");
    out
}

/// [`create_database`] of a database of the catalog.
#[must_use]
pub fn create_catalog_database(database: &Database, if_not_exists: bool) -> String {
    create_database(&database.name, database.collation, if_not_exists)
}
