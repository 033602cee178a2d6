//! The stored form of catalog rows (`core/docs/formats/catalog.md`): prost messages behind a version byte.
//! Field numbers are forever.

use aquifer_types::{SqlError, SqlResult};
use prost::Message;

/// First byte of each value.
pub(crate) const FORMAT_VERSION: u8 = 1;

#[derive(Clone, PartialEq, Message)]
pub(crate) struct DatabaseRow {
    #[prost(uint32, tag = "1")]
    pub id: u32,
    #[prost(string, tag = "2")]
    pub name: String,
    #[prost(uint32, tag = "3")]
    pub collation: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct TypeRow {
    #[prost(uint32, tag = "1")]
    pub kind: u32,
    #[prost(uint32, tag = "2")]
    pub length: u32,
    #[prost(uint32, tag = "3")]
    pub decimals: u32,
    #[prost(bool, tag = "4")]
    pub unsigned: bool,
    #[prost(bool, tag = "5")]
    pub zerofill: bool,
    #[prost(uint32, tag = "6")]
    pub collation: u32,
    #[prost(string, repeated, tag = "7")]
    pub members: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ColumnRow {
    #[prost(uint32, tag = "1")]
    pub id: u32,
    #[prost(string, tag = "2")]
    pub name: String,
    #[prost(message, optional, tag = "3")]
    pub data_type: Option<TypeRow>,
    #[prost(bool, tag = "4")]
    pub nullable: bool,
    /// 0 none, 1 NULL, 2 literal, 3 CURRENT_TIMESTAMP, 4 expression.
    #[prost(uint32, tag = "5")]
    pub default_kind: u32,
    #[prost(bytes = "vec", tag = "6")]
    pub default_text: Vec<u8>,
    #[prost(bytes = "vec", optional, tag = "7")]
    pub initial: Option<Vec<u8>>,
    #[prost(uint32, optional, tag = "8")]
    pub on_update: Option<u32>,
    #[prost(bool, tag = "9")]
    pub auto_increment: bool,
    #[prost(bool, tag = "10")]
    pub invisible: bool,
    #[prost(string, tag = "11")]
    pub comment: String,
    /// The expression of a generated column.
    #[prost(string, optional, tag = "12")]
    pub generated: Option<String>,
    /// Whether a generated column is STORED.
    #[prost(bool, tag = "13")]
    pub generated_stored: bool,
    /// Whether it belongs to a functional index and is never shown.
    #[prost(bool, tag = "14")]
    pub hidden: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ForeignKeyRow {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(uint32, repeated, tag = "2")]
    pub columns: Vec<u32>,
    #[prost(string, tag = "3")]
    pub parent_schema: String,
    #[prost(string, tag = "4")]
    pub parent_table: String,
    #[prost(string, repeated, tag = "5")]
    pub parent_columns: Vec<String>,
    /// 0 NO ACTION, 1 RESTRICT, 2 CASCADE, 3 SET NULL.
    #[prost(uint32, tag = "6")]
    pub on_delete: u32,
    #[prost(uint32, tag = "7")]
    pub on_update: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct CheckRow {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub expression: String,
    #[prost(bool, tag = "3")]
    pub not_enforced: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ViewRow {
    #[prost(string, tag = "1")]
    pub query: String,
    #[prost(string, repeated, tag = "2")]
    pub columns: Vec<String>,
    /// 0 UNDEFINED, 1 MERGE, 2 TEMPTABLE.
    #[prost(uint32, tag = "3")]
    pub algorithm: u32,
    /// 0 none, 1 LOCAL, 2 CASCADED.
    #[prost(uint32, tag = "4")]
    pub check_option: u32,
    #[prost(string, tag = "5")]
    pub definer: String,
    #[prost(bool, tag = "6")]
    pub invoker: bool,
    /// Bits of `SqlMode` under which the query is read.
    #[prost(uint32, tag = "7")]
    pub sql_mode: u32,
    /// The current database when it was made.
    #[prost(string, tag = "8")]
    pub database: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct PartRow {
    #[prost(uint32, tag = "1")]
    pub column: u32,
    #[prost(uint32, optional, tag = "2")]
    pub prefix: Option<u32>,
    #[prost(bool, tag = "3")]
    pub descending: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct IndexRow {
    #[prost(uint32, tag = "1")]
    pub id: u32,
    #[prost(string, tag = "2")]
    pub name: String,
    /// 0 primary, 1 hidden, 2 unique, 3 plain.
    #[prost(uint32, tag = "3")]
    pub kind: u32,
    #[prost(message, repeated, tag = "4")]
    pub parts: Vec<PartRow>,
    #[prost(string, tag = "5")]
    pub comment: String,
    #[prost(bool, tag = "6")]
    pub invisible: bool,
    #[prost(bool, tag = "7")]
    pub building: bool,
    #[prost(uint64, tag = "8")]
    pub complete_since: u64,
    /// 0 and 1: the first.
    #[prost(uint32, tag = "9")]
    pub collation_version: u32,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct StoredColumnRow {
    #[prost(uint32, tag = "1")]
    pub id: u32,
    #[prost(message, optional, tag = "2")]
    pub data_type: Option<TypeRow>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct LayoutRow {
    #[prost(uint32, tag = "1")]
    pub version: u32,
    #[prost(message, repeated, tag = "2")]
    pub columns: Vec<StoredColumnRow>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct TableRow {
    #[prost(uint32, tag = "1")]
    pub id: u32,
    #[prost(uint32, tag = "2")]
    pub database: u32,
    #[prost(string, tag = "3")]
    pub name: String,
    #[prost(message, repeated, tag = "4")]
    pub columns: Vec<ColumnRow>,
    #[prost(message, repeated, tag = "5")]
    pub indexes: Vec<IndexRow>,
    #[prost(message, repeated, tag = "6")]
    pub layouts: Vec<LayoutRow>,
    #[prost(uint32, tag = "7")]
    pub next_column: u32,
    #[prost(uint32, tag = "8")]
    pub collation: u32,
    #[prost(string, tag = "9")]
    pub engine: String,
    #[prost(string, tag = "10")]
    pub comment: String,
    #[prost(string, tag = "11")]
    pub row_format: String,
    #[prost(uint64, tag = "12")]
    pub auto_increment: u64,
    #[prost(int64, tag = "13")]
    pub created_unix_s: i64,
    #[prost(message, repeated, tag = "14")]
    pub foreign_keys: Vec<ForeignKeyRow>,
    #[prost(message, repeated, tag = "15")]
    pub checks: Vec<CheckRow>,
    #[prost(message, optional, tag = "16")]
    pub view: Option<ViewRow>,
    #[prost(message, optional, boxed, tag = "17")]
    pub rebuild: Option<Box<RebuildRow>>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct RebuildRow {
    #[prost(message, optional, tag = "1")]
    pub table: Option<TableRow>,
    /// Bits of `SqlMode`.
    #[prost(uint32, tag = "2")]
    pub sql_mode: u32,
    #[prost(string, tag = "3")]
    pub time_zone: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct DatabaseGrantRow {
    #[prost(string, tag = "1")]
    pub database: String,
    #[prost(uint64, tag = "2")]
    pub privileges: u64,
    #[prost(bool, tag = "3")]
    pub grant_option: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ColumnGrantRow {
    #[prost(string, tag = "1")]
    pub column: String,
    #[prost(uint64, tag = "2")]
    pub privileges: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct TableGrantRow {
    #[prost(string, tag = "1")]
    pub database: String,
    #[prost(string, tag = "2")]
    pub table: String,
    #[prost(uint64, tag = "3")]
    pub privileges: u64,
    #[prost(bool, tag = "4")]
    pub grant_option: bool,
    #[prost(message, repeated, tag = "5")]
    pub columns: Vec<ColumnGrantRow>,
    #[prost(string, tag = "6")]
    pub grantor: String,
    #[prost(int64, tag = "7")]
    pub changed_unix_s: i64,
}

/// A role of an account, or one that is active by default.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct RoleRow {
    #[prost(string, tag = "1")]
    pub user: String,
    #[prost(string, tag = "2")]
    pub host: String,
    #[prost(bool, tag = "3")]
    pub admin_option: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct AccountRow {
    #[prost(string, tag = "1")]
    pub user: String,
    #[prost(string, tag = "2")]
    pub host: String,
    #[prost(string, tag = "3")]
    pub plugin: String,
    #[prost(bytes = "vec", tag = "4")]
    pub credential: Vec<u8>,
    #[prost(bool, tag = "5")]
    pub locked: bool,
    #[prost(bool, tag = "6")]
    pub expired: bool,
    #[prost(uint64, tag = "7")]
    pub global: u64,
    #[prost(bool, tag = "8")]
    pub grant_option: bool,
    #[prost(message, repeated, tag = "9")]
    pub databases: Vec<DatabaseGrantRow>,
    #[prost(message, repeated, tag = "10")]
    pub tables: Vec<TableGrantRow>,
    #[prost(message, repeated, tag = "11")]
    pub roles: Vec<RoleRow>,
    #[prost(message, repeated, tag = "12")]
    pub default_roles: Vec<RoleRow>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct VariableRow {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub value: String,
}

/// The version byte and the message.
pub(crate) fn encode(message: &impl Message) -> bytes::Bytes {
    let mut out = Vec::with_capacity(1 + message.encoded_len());
    out.push(FORMAT_VERSION);
    message.encode_raw(&mut out);
    out.into()
}

/// Reads what [`encode`] wrote.
pub(crate) fn decode<M: Message + Default>(value: &[u8]) -> SqlResult<M> {
    match value.split_first() {
        Some((&FORMAT_VERSION, rest)) => {
            M::decode(rest).map_err(|error| corrupt(&format!("catalog row does not decode: {error}")))
        }
        Some((version, _)) => Err(corrupt(&format!("catalog row has format version {version}"))),
        None => Err(corrupt("catalog row is empty")),
    }
}

/// A catalog row that cannot be understood.
pub(crate) fn corrupt(what: &str) -> SqlError {
    SqlError::with_kind(1030, aquifer_types::ErrorKind::Corrupt, what)
}
