//! Statements that change the catalog.

use super::query::Query;
use super::{AstExpr, TableName};

/// A type as written.
#[derive(Clone, Debug, PartialEq)]
pub struct TypeDef {
    /// Name in upper case; aliases such as INTEGER resolved by the planner.
    pub name: String,
    /// First number in parentheses.
    pub length: Option<u32>,
    /// Second number in parentheses.
    pub decimals: Option<u8>,
    /// UNSIGNED.
    pub unsigned: bool,
    /// ZEROFILL.
    pub zerofill: bool,
    /// CHARACTER SET.
    pub charset: Option<String>,
    /// COLLATE.
    pub collate: Option<String>,
    /// The BINARY attribute of a string type: its character set's binary collation.
    pub binary: bool,
    /// Members of ENUM and SET.
    pub members: Vec<Vec<u8>>,
}

/// DEFAULT of a column.
#[derive(Clone, Debug, PartialEq)]
pub enum DefaultDef {
    /// A literal or signed number.
    Value(AstExpr),
    /// CURRENT_TIMESTAMP(n), NOW(n) and so on.
    CurrentTimestamp(u8),
    /// (expression) with its text.
    Expression(AstExpr, String),
}

/// GENERATED ALWAYS AS.
#[derive(Clone, Debug, PartialEq)]
pub struct GeneratedDef {
    /// The expression.
    pub expr: AstExpr,
    /// STORED rather than VIRTUAL.
    pub stored: bool,
}

/// A CHECK constraint.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckDef {
    /// Its name, or chosen by the planner.
    pub name: Option<String>,
    /// The condition.
    pub expr: AstExpr,
    /// Unless NOT ENFORCED.
    pub enforced: bool,
    /// The column whose attribute it is.
    pub column: Option<String>,
}

/// ON DELETE and ON UPDATE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum ReferentialActionDef {
    NoAction,
    Restrict,
    Cascade,
    SetNull,
    SetDefault,
}

/// A foreign key.
#[derive(Clone, Debug, PartialEq)]
pub struct ForeignKeyDef {
    /// CONSTRAINT name.
    pub name: Option<String>,
    /// Name after FOREIGN KEY: that of the index.
    pub index_name: Option<String>,
    /// Columns.
    pub columns: Vec<String>,
    /// The parent.
    pub parent: TableName,
    /// Its columns.
    pub parent_columns: Vec<String>,
    /// ON DELETE.
    pub on_delete: ReferentialActionDef,
    /// ON UPDATE.
    pub on_update: ReferentialActionDef,
}

/// A column.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnDef {
    /// Name.
    pub name: String,
    /// Type.
    pub type_def: TypeDef,
    /// NULL or NOT NULL, when written.
    pub nullable: Option<bool>,
    /// DEFAULT.
    pub default: Option<DefaultDef>,
    /// ON UPDATE CURRENT_TIMESTAMP(n).
    pub on_update: Option<u8>,
    /// AUTO_INCREMENT.
    pub auto_increment: bool,
    /// PRIMARY KEY.
    pub primary: bool,
    /// UNIQUE.
    pub unique: bool,
    /// COMMENT.
    pub comment: String,
    /// INVISIBLE.
    pub invisible: bool,
    /// GENERATED ALWAYS AS; an inline REFERENCES is ignored as MySQL does.
    pub generated: Option<GeneratedDef>,
    /// CHECK.
    pub checks: Vec<CheckDef>,
}

/// Kinds of index definitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum IndexDefKind {
    Primary,
    Unique,
    Plain,
    Fulltext,
    Spatial,
}

/// A key part.
#[derive(Clone, Debug, PartialEq)]
pub struct IndexPartDef {
    /// Column; empty for an expression.
    pub column: String,
    /// Prefix length.
    pub prefix: Option<u32>,
    /// DESC.
    pub descending: bool,
    /// A functional part.
    pub expression: Option<AstExpr>,
}

/// An index.
#[derive(Clone, Debug, PartialEq)]
pub struct IndexDef {
    /// Which.
    pub kind: IndexDefKind,
    /// Name, or chosen by the planner.
    pub name: Option<String>,
    /// Parts.
    pub parts: Vec<IndexPartDef>,
    /// COMMENT.
    pub comment: String,
    /// INVISIBLE.
    pub invisible: bool,
}

/// A table option: the name in upper case and the value as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableOption {
    /// ENGINE, CHARSET, COLLATE, COMMENT, AUTO_INCREMENT, ROW_FORMAT, ….
    pub name: String,
    /// Value.
    pub value: String,
}

/// CREATE TABLE.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateTable {
    /// TEMPORARY.
    pub temporary: bool,
    /// IF NOT EXISTS.
    pub if_not_exists: bool,
    /// Name.
    pub name: TableName,
    /// LIKE.
    pub like: Option<TableName>,
    /// Columns.
    pub columns: Vec<ColumnDef>,
    /// Indexes.
    pub indexes: Vec<IndexDef>,
    /// Foreign keys.
    pub foreign_keys: Vec<ForeignKeyDef>,
    /// CHECK constraints of the table.
    pub checks: Vec<CheckDef>,
    /// Something that is refused by name (PARTITION BY).
    pub refused: Option<&'static str>,
    /// Options.
    pub options: Vec<TableOption>,
    /// AS SELECT.
    pub query: Option<Box<Query>>,
}

/// CREATE VIEW and ALTER VIEW.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateView {
    /// OR REPLACE.
    pub replace: bool,
    /// ALTER VIEW.
    pub alter: bool,
    /// IF NOT EXISTS.
    pub if_not_exists: bool,
    /// Name.
    pub name: TableName,
    /// Names of columns, or none.
    pub columns: Vec<String>,
    /// The query.
    pub query: Box<Query>,
    /// Its text.
    pub text: String,
    /// The mode under which the text was read.
    pub sql_mode: aquifer_types::SqlMode,
    /// ALGORITHM.
    pub algorithm: aquifer_catalog::ViewAlgorithm,
    /// DEFINER as `user@host`.
    pub definer: Option<String>,
    /// SQL SECURITY INVOKER.
    pub invoker: bool,
    /// WITH CHECK OPTION.
    pub check_option: aquifer_catalog::ViewCheck,
}

/// CREATE DATABASE and ALTER DATABASE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateDatabase {
    /// IF NOT EXISTS.
    pub if_not_exists: bool,
    /// Name; empty in ALTER DATABASE of the present one.
    pub name: String,
    /// CHARACTER SET.
    pub charset: Option<String>,
    /// COLLATE.
    pub collate: Option<String>,
}

/// DROP DATABASE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DropDatabase {
    /// IF EXISTS.
    pub if_exists: bool,
    /// Name.
    pub name: String,
}

/// DROP TABLE, and DROP VIEW, which finds none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DropTable {
    /// TEMPORARY.
    pub temporary: bool,
    /// IF EXISTS.
    pub if_exists: bool,
    /// Whether views are meant.
    pub views: bool,
    /// Names.
    pub names: Vec<TableName>,
}

/// CREATE INDEX.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateIndex {
    /// On which table.
    pub table: TableName,
    /// The index.
    pub index: IndexDef,
}

/// DROP INDEX.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DropIndex {
    /// On which table.
    pub table: TableName,
    /// Its name.
    pub name: String,
}

/// Where ALTER TABLE puts a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ColumnPlace {
    /// At the end, or where it is.
    Unchanged,
    /// FIRST.
    First,
    /// AFTER.
    After(String),
}

/// One change of ALTER TABLE.
#[derive(Clone, Debug, PartialEq)]
pub enum AlterOperation {
    /// ADD COLUMN.
    AddColumn(ColumnDef, ColumnPlace),
    /// DROP COLUMN.
    DropColumn(String),
    /// CHANGE (old name, new definition) and MODIFY.
    ChangeColumn(String, ColumnDef, ColumnPlace),
    /// RENAME COLUMN.
    RenameColumn(String, String),
    /// ALTER COLUMN SET DEFAULT or (`None`) DROP DEFAULT.
    SetDefault(String, Option<DefaultDef>),
    /// ALTER COLUMN SET VISIBLE / INVISIBLE (`true`).
    SetColumnInvisible(String, bool),
    /// ADD INDEX and so on.
    AddIndex(IndexDef),
    /// DROP INDEX.
    DropIndex(String),
    /// DROP PRIMARY KEY.
    DropPrimaryKey,
    /// ADD FOREIGN KEY.
    AddForeignKey(ForeignKeyDef),
    /// DROP FOREIGN KEY.
    DropForeignKey(String),
    /// ADD CHECK.
    AddCheck(CheckDef),
    /// DROP CHECK.
    DropCheck(String),
    /// DROP CONSTRAINT, of any kind.
    DropConstraint(String),
    /// ALTER CHECK name ENFORCED or (`false`) NOT ENFORCED.
    SetCheckEnforced(String, bool),
    /// RENAME INDEX.
    RenameIndex(String, String),
    /// ALTER INDEX VISIBLE / INVISIBLE (`true`).
    SetIndexInvisible(String, bool),
    /// RENAME TO.
    Rename(TableName),
    /// Options.
    Option(TableOption),
    /// CONVERT TO CHARACTER SET charset COLLATE collation.
    ConvertTo(String, Option<String>),
    /// DISABLE KEYS, ENABLE KEYS, FORCE, ALGORITHM, LOCK, ORDER BY: nothing to do.
    Nothing,
    /// Refused by name.
    Refused(&'static str),
}

/// ALTER TABLE.
#[derive(Clone, Debug, PartialEq)]
pub struct AlterTable {
    /// Name.
    pub name: TableName,
    /// Changes in order.
    pub operations: Vec<AlterOperation>,
}
