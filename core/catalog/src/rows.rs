//! Catalog rows: their keys, and the writes that change them.
//!
//! Keys are the system index id (four bytes, big-endian), then numbers big-endian and names as their UTF-8
//! bytes; a name that is followed by another part ends with a zero byte.

use std::sync::Arc;

use aquifer_types::collation::CollationVersion;
use aquifer_types::{Collation, DataType, IndexId, Lsn, SchemaVersion, SqlResult, TableId, TypeKind};
use bytes::Bytes;

use crate::account::Account;
use crate::account_row::{account_from, account_row};
use crate::model::{
    Column, ColumnDefault, ColumnId, Database, DatabaseId, Generated, Index, IndexKind, IndexPart,
    IndexState, Layout, Rebuild, StoredColumn, Table, TableOptions,
};
use crate::proto::{
    self, ColumnRow, DatabaseRow, IndexRow, LayoutRow, PartRow, RebuildRow, StoredColumnRow, TableRow,
    TypeRow, VariableRow, corrupt,
};
use crate::row_parts;

/// Databases: key is the database's number.
pub const DATABASES: IndexId = IndexId(1);
/// Tables: key is the database's and the table's number.
pub const TABLES: IndexId = IndexId(2);
/// Accounts: key is the user, a zero byte, the host.
pub const ACCOUNTS: IndexId = IndexId(3);
/// Persisted global variables: key is the name.
pub const VARIABLES: IndexId = IndexId(4);
/// Names of databases: key is the name, value the number, big-endian.
pub const DATABASE_NAMES: IndexId = IndexId(5);
/// Names of tables: key is the database's number and the name, value the table's number, big-endian.
pub const TABLE_NAMES: IndexId = IndexId(6);

/// First key of the catalog.
pub const SYSTEM_RANGE_START: [u8; 4] = [0, 0, 0, 1];
/// First key after the catalog.
pub const SYSTEM_RANGE_END: [u8; 4] = [0, 0, 0, 7];

/// A row to put, or (`None`) to delete.
pub type Write = (Bytes, Option<Bytes>);

/// Key of a database.
#[must_use]
pub fn database_key(id: DatabaseId) -> Bytes {
    [DATABASES.0.to_be_bytes(), id.0.to_be_bytes()].concat().into()
}

/// Key of a database's name: to lock before it is created or dropped.
#[must_use]
pub fn database_name_key(name: &str) -> Bytes {
    [&DATABASE_NAMES.0.to_be_bytes()[..], name.as_bytes()].concat().into()
}

/// Key of a table.
#[must_use]
pub fn table_key(database: DatabaseId, id: TableId) -> Bytes {
    [TABLES.0.to_be_bytes(), database.0.to_be_bytes(), id.0.to_be_bytes()].concat().into()
}

/// Key of a table's name: to lock before it is created, renamed or dropped.
#[must_use]
pub fn table_name_key(database: DatabaseId, name: &str) -> Bytes {
    [&TABLE_NAMES.0.to_be_bytes()[..], &database.0.to_be_bytes(), name.as_bytes()].concat().into()
}

/// Key of an account.
#[must_use]
pub fn account_key(user: &str, host: &str) -> Bytes {
    [&ACCOUNTS.0.to_be_bytes()[..], user.as_bytes(), &[0], host.as_bytes()].concat().into()
}

/// Key of a persisted variable.
#[must_use]
pub fn variable_key(name: &str) -> Bytes {
    [&VARIABLES.0.to_be_bytes()[..], name.as_bytes()].concat().into()
}

/// Writes that create a database or change its collation.
#[must_use]
pub fn put_database(database: &Database) -> Vec<Write> {
    let row = DatabaseRow {
        id: database.id.0,
        name: database.name.to_string(),
        collation: u32::from(database.collation.0),
    };
    vec![
        (database_key(database.id), Some(proto::encode(&row))),
        (database_name_key(&database.name), Some(Bytes::copy_from_slice(&database.id.0.to_be_bytes()))),
    ]
}

/// Writes that drop a database. Its tables must be dropped by the same transaction.
#[must_use]
pub fn drop_database(database: &Database) -> Vec<Write> {
    vec![(database_key(database.id), None), (database_name_key(&database.name), None)]
}

/// Writes that create a table or change it, name apart.
#[must_use]
pub fn put_table(table: &Table) -> Vec<Write> {
    vec![
        (table_key(table.database, table.id), Some(proto::encode(&table_row(table)))),
        (
            table_name_key(table.database, &table.name),
            Some(Bytes::copy_from_slice(&table.id.0.to_be_bytes())),
        ),
    ]
}

/// Writes that give a table another name, possibly in another database; `table` still has the old ones.
#[must_use]
pub fn rename_table(table: &Table, database: DatabaseId, name: &str) -> Vec<Write> {
    let mut renamed = table.clone();
    renamed.database = database;
    renamed.name = Arc::from(name);
    let mut writes = drop_table(table);
    writes.extend(put_table(&renamed));
    writes
}

/// Writes that drop a table's catalog rows.
#[must_use]
pub fn drop_table(table: &Table) -> Vec<Write> {
    vec![(table_key(table.database, table.id), None), (table_name_key(table.database, &table.name), None)]
}

/// Writes that create or change an account.
#[must_use]
pub fn put_account(account: &Account) -> Vec<Write> {
    let row = account_row(account);
    vec![(account_key(&account.user, &account.host), Some(proto::encode(&row)))]
}

/// Writes that drop an account.
#[must_use]
pub fn drop_account(user: &str, host: &str) -> Vec<Write> {
    vec![(account_key(user, host), None)]
}

/// Writes that persist a global variable.
#[must_use]
pub fn put_variable(name: &str, value: &str) -> Vec<Write> {
    let row = VariableRow { name: name.to_owned(), value: value.to_owned() };
    vec![(variable_key(name), Some(proto::encode(&row)))]
}

/// Writes that forget a persisted global variable.
#[must_use]
pub fn drop_variable(name: &str) -> Vec<Write> {
    vec![(variable_key(name), None)]
}

/// Reads a row of [`DATABASES`].
///
/// # Errors
/// `Corrupt` when it cannot be understood.
pub fn decode_database(value: &[u8]) -> SqlResult<Database> {
    let row: DatabaseRow = proto::decode(value)?;
    Ok(Database { id: DatabaseId(row.id), name: row.name.into(), collation: collation(row.collation)? })
}

/// Reads a row of [`TABLES`]; `schema` is left empty.
///
/// # Errors
/// `Corrupt` when it cannot be understood or has no index that holds its rows.
pub fn decode_table(value: &[u8]) -> SqlResult<Table> {
    table_from(proto::decode(value)?)
}

fn table_from(row: TableRow) -> SqlResult<Table> {
    let indexes: Vec<Index> = row.indexes.into_iter().map(index_from).collect::<SqlResult<_>>()?;
    if !matches!(indexes.first().map(|i| i.kind), Some(IndexKind::Primary | IndexKind::Hidden)) {
        return Err(corrupt("table has no index that holds its rows"));
    }
    Ok(Table {
        id: TableId(row.id),
        database: DatabaseId(row.database),
        schema: Arc::from(""),
        name: row.name.into(),
        columns: row.columns.into_iter().map(column_from).collect::<SqlResult<_>>()?,
        indexes,
        layouts: row.layouts.into_iter().map(layout_from).collect::<SqlResult<_>>()?,
        next_column: row.next_column,
        collation: collation(row.collation)?,
        options: TableOptions {
            engine: row.engine,
            comment: row.comment,
            row_format: row.row_format,
            auto_increment: row.auto_increment,
            created_unix_s: row.created_unix_s,
        },
        foreign_keys: row
            .foreign_keys
            .into_iter()
            .map(row_parts::foreign_key_from)
            .collect::<SqlResult<_>>()?,
        checks: row.checks.into_iter().map(row_parts::check_from).collect(),
        view: row.view.map(row_parts::view_from).transpose()?,
        rebuild: row.rebuild.map(|row| rebuild_from(*row).map(Box::new)).transpose()?,
    })
}

fn rebuild_from(row: RebuildRow) -> SqlResult<Rebuild> {
    let table = row.table.ok_or_else(|| corrupt("table is written anew without a definition"))?;
    Ok(Rebuild { table: table_from(table)?, sql_mode: row.sql_mode, time_zone: row.time_zone })
}

/// Reads a row of [`ACCOUNTS`].
///
/// # Errors
/// `Corrupt` when it cannot be understood.
pub fn decode_account(value: &[u8]) -> SqlResult<Account> {
    Ok(account_from(proto::decode(value)?))
}

/// Reads a row of [`VARIABLES`]: name and value.
///
/// # Errors
/// `Corrupt` when it cannot be understood.
pub fn decode_variable(value: &[u8]) -> SqlResult<(String, String)> {
    let row: VariableRow = proto::decode(value)?;
    Ok((row.name, row.value))
}

fn table_row(table: &Table) -> TableRow {
    TableRow {
        id: table.id.0,
        database: table.database.0,
        name: table.name.to_string(),
        columns: table.columns.iter().map(column_row).collect(),
        indexes: table.indexes.iter().map(index_row).collect(),
        layouts: table.layouts.iter().map(layout_row).collect(),
        next_column: table.next_column,
        collation: u32::from(table.collation.0),
        engine: table.options.engine.clone(),
        comment: table.options.comment.clone(),
        row_format: table.options.row_format.clone(),
        auto_increment: table.options.auto_increment,
        created_unix_s: table.options.created_unix_s,
        foreign_keys: table.foreign_keys.iter().map(row_parts::foreign_key_row).collect(),
        checks: table.checks.iter().map(row_parts::check_row).collect(),
        view: table.view.as_ref().map(row_parts::view_row),
        rebuild: table.rebuild.as_ref().map(|rebuild| {
            Box::new(RebuildRow {
                table: Some(table_row(&rebuild.table)),
                sql_mode: rebuild.sql_mode,
                time_zone: rebuild.time_zone.clone(),
            })
        }),
    }
}

fn column_row(column: &Column) -> ColumnRow {
    let (default_kind, default_text) = match &column.default {
        ColumnDefault::None => (0, Vec::new()),
        ColumnDefault::Null => (1, Vec::new()),
        ColumnDefault::Literal(text) => (2, text.clone()),
        ColumnDefault::CurrentTimestamp(fsp) => (3, vec![*fsp]),
        ColumnDefault::Expression(text) => (4, text.clone().into_bytes()),
    };
    ColumnRow {
        id: column.id.0,
        name: column.name.to_string(),
        data_type: Some(type_row(&column.data_type)),
        nullable: column.nullable,
        default_kind,
        default_text,
        initial: column.initial.clone(),
        on_update: column.on_update.map(u32::from),
        auto_increment: column.auto_increment,
        invisible: column.invisible,
        comment: column.comment.clone(),
        generated: column.generated.as_ref().map(|generated| generated.expression.clone()),
        generated_stored: column.generated.as_ref().is_some_and(|generated| generated.stored),
        hidden: column.hidden,
    }
}

fn column_from(row: ColumnRow) -> SqlResult<Column> {
    let default = match row.default_kind {
        0 => ColumnDefault::None,
        1 => ColumnDefault::Null,
        2 => ColumnDefault::Literal(row.default_text),
        3 => ColumnDefault::CurrentTimestamp(row.default_text.first().copied().unwrap_or(0)),
        4 => ColumnDefault::Expression(
            String::from_utf8(row.default_text).map_err(|_| corrupt("default expression is not UTF-8"))?,
        ),
        other => return Err(corrupt(&format!("column default of kind {other}"))),
    };
    Ok(Column {
        id: ColumnId(row.id),
        name: row.name.into(),
        data_type: type_from(row.data_type)?,
        nullable: row.nullable,
        default,
        initial: row.initial,
        on_update: row.on_update.map(small).transpose()?,
        auto_increment: row.auto_increment,
        invisible: row.invisible,
        comment: row.comment,
        generated: row.generated.map(|expression| Generated { expression, stored: row.generated_stored }),
        hidden: row.hidden,
    })
}

fn index_row(index: &Index) -> IndexRow {
    IndexRow {
        id: index.id.0,
        name: index.name.to_string(),
        kind: match index.kind {
            IndexKind::Primary => 0,
            IndexKind::Hidden => 1,
            IndexKind::Unique => 2,
            IndexKind::Plain => 3,
        },
        parts: index
            .parts
            .iter()
            .map(|part| PartRow { column: part.column.0, prefix: part.prefix, descending: part.descending })
            .collect(),
        comment: index.comment.clone(),
        invisible: index.invisible,
        building: index.is_building(),
        complete_since: match index.state {
            IndexState::Complete(since) => since.0,
            IndexState::Building => 0,
        },
        collation_version: match index.collation_version {
            CollationVersion::V1 => 0,
            newer => newer.number(),
        },
    }
}

fn index_from(row: IndexRow) -> SqlResult<Index> {
    Ok(Index {
        id: IndexId(row.id),
        name: row.name.into(),
        kind: match row.kind {
            0 => IndexKind::Primary,
            1 => IndexKind::Hidden,
            2 => IndexKind::Unique,
            3 => IndexKind::Plain,
            other => return Err(corrupt(&format!("index of kind {other}"))),
        },
        parts: row
            .parts
            .into_iter()
            .map(|part| IndexPart {
                column: ColumnId(part.column),
                prefix: part.prefix,
                descending: part.descending,
            })
            .collect(),
        comment: row.comment,
        invisible: row.invisible,
        state: if row.building {
            IndexState::Building
        } else {
            IndexState::Complete(Lsn(row.complete_since))
        },
        collation_version: CollationVersion::from_number(row.collation_version.max(1)).ok_or_else(|| {
            let number = row.collation_version;
            corrupt(&format!("index of collation version {number}; a newer Aquifer has written it"))
        })?,
    })
}

fn layout_row(layout: &Layout) -> LayoutRow {
    LayoutRow {
        version: layout.version.0,
        columns: layout
            .columns
            .iter()
            .map(|c| StoredColumnRow { id: c.id.0, data_type: Some(type_row(&c.data_type)) })
            .collect(),
    }
}

fn layout_from(row: LayoutRow) -> SqlResult<Layout> {
    Ok(Layout {
        version: SchemaVersion(row.version),
        columns: row
            .columns
            .into_iter()
            .map(|c| Ok(StoredColumn { id: ColumnId(c.id), data_type: type_from(c.data_type)? }))
            .collect::<SqlResult<_>>()?,
    })
}

/// Kinds by their stored number, which is the position here.
const KINDS: [TypeKind; 30] = [
    TypeKind::Null,
    TypeKind::TinyInt,
    TypeKind::SmallInt,
    TypeKind::MediumInt,
    TypeKind::Int,
    TypeKind::BigInt,
    TypeKind::Bit,
    TypeKind::Year,
    TypeKind::Float,
    TypeKind::Double,
    TypeKind::Decimal,
    TypeKind::Date,
    TypeKind::Time,
    TypeKind::DateTime,
    TypeKind::Timestamp,
    TypeKind::Char,
    TypeKind::VarChar,
    TypeKind::TinyText,
    TypeKind::Text,
    TypeKind::MediumText,
    TypeKind::LongText,
    TypeKind::Binary,
    TypeKind::VarBinary,
    TypeKind::TinyBlob,
    TypeKind::Blob,
    TypeKind::MediumBlob,
    TypeKind::LongBlob,
    TypeKind::Enum,
    TypeKind::Set,
    TypeKind::Json,
];

fn type_row(data_type: &DataType) -> TypeRow {
    let kind = KINDS.iter().position(|kind| *kind == data_type.kind).unwrap_or(0);
    TypeRow {
        kind: u32::try_from(kind).unwrap_or(0),
        length: data_type.length,
        decimals: u32::from(data_type.decimals),
        unsigned: data_type.unsigned,
        zerofill: data_type.zerofill,
        collation: u32::from(data_type.collation.0),
        members: data_type.members.as_deref().unwrap_or(&[]).to_vec(),
    }
}

fn type_from(row: Option<TypeRow>) -> SqlResult<DataType> {
    let row = row.ok_or_else(|| corrupt("column without a type"))?;
    let kind = usize::try_from(row.kind).ok().and_then(|kind| KINDS.get(kind).copied());
    let kind = kind.ok_or_else(|| corrupt(&format!("column type of kind {}", row.kind)))?;
    let mut data_type = DataType::of(kind);
    data_type.length = row.length;
    data_type.decimals = small(row.decimals)?;
    data_type.unsigned = row.unsigned;
    data_type.zerofill = row.zerofill;
    data_type.collation = collation(row.collation)?;
    data_type.members =
        matches!(kind, TypeKind::Enum | TypeKind::Set).then(|| Arc::from(row.members.as_slice()));
    Ok(data_type)
}

fn collation(number: u32) -> SqlResult<Collation> {
    u16::try_from(number).map(Collation).map_err(|_| corrupt("collation number out of range"))
}

fn small(number: u32) -> SqlResult<u8> {
    u8::try_from(number).map_err(|_| corrupt("number of digits out of range"))
}
