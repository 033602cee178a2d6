//! What a statement's text says, before names are resolved.
//!
//! The tree covers every statement that a session can receive, including those that the session itself
//! carries out (SET, SHOW, transactions, accounts). It keeps identifiers as written.

mod admin;
mod ddl;
mod expr;
mod load;
mod print;
mod query;
mod role;

pub use admin::{
    AccountName, AccountOptions, AdminStatement, Flush, Grant, GrantTarget, GrantedPrivilege, IsolationLevel,
    LockTables, SetItem, SetScope, SetStatement, Show, ShowFilter, TableMaintenance,
    TransactionCharacteristics, TransactionStatement, XaStatement,
};
pub use ddl::{
    AlterOperation, AlterTable, CheckDef, ColumnDef, ColumnPlace, CreateDatabase, CreateIndex, CreateTable,
    CreateView, DefaultDef, DropDatabase, DropIndex, DropTable, ForeignKeyDef, GeneratedDef, IndexDef,
    IndexDefKind, IndexPartDef, ReferentialActionDef, TableOption, TypeDef,
};
pub use expr::{
    AstBinary, AstExpr, AstUnary, CaseExpr, CastType, ColumnRef, Frame, FrameBound, FrameUnit, FunctionCall,
    JsonOtherwise, JsonValueCall, Literal, Quantifier, TruthTest, VariableScope, WindowSpec,
};
pub use load::{LoadData, LoadDuplicates, LoadTarget, OutFile, RecordFormat};
pub use print::{expression_text, quoted_name};
pub use query::{
    Assignment, CommonTable, Delete, Explain, ExplainFormat, ExplainTarget, Insert, InsertMode, InsertRows,
    IntoTarget, Join, JoinCondition, JoinKind, JsonColumn, JsonColumnKind, JsonTable, Limit, Locking,
    OnConflict, OrderItem, Query, QueryBody, Select, SelectItem, SetOperator, TableRef, Update, WithClause,
};
pub use role::{RoleChoice, RoleStatement};

/// A possibly qualified name of a table.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TableName {
    /// The database, when written.
    pub schema: Option<String>,
    /// The table.
    pub name: String,
}

/// One statement.
#[derive(Clone, Debug, PartialEq)]
pub enum Statement {
    /// SELECT, VALUES, TABLE, UNION and so on.
    Query(Box<Query>),
    /// INSERT and REPLACE.
    Insert(Box<Insert>),
    /// LOAD DATA.
    Load(Box<LoadData>),
    /// UPDATE.
    Update(Box<Update>),
    /// DELETE.
    Delete(Box<Delete>),
    /// DO.
    Do(Vec<AstExpr>),
    /// TRUNCATE TABLE.
    Truncate(TableName),
    /// CREATE DATABASE.
    CreateDatabase(CreateDatabase),
    /// ALTER DATABASE: the name and the collation that it gets.
    AlterDatabase(CreateDatabase),
    /// DROP DATABASE.
    DropDatabase(DropDatabase),
    /// CREATE TABLE.
    CreateTable(Box<CreateTable>),
    /// CREATE VIEW and ALTER VIEW.
    CreateView(Box<CreateView>),
    /// ALTER TABLE.
    AlterTable(Box<AlterTable>),
    /// DROP TABLE.
    DropTable(DropTable),
    /// RENAME TABLE: pairs of old and new names.
    RenameTable(Vec<(TableName, TableName)>),
    /// CREATE INDEX.
    CreateIndex(Box<CreateIndex>),
    /// DROP INDEX.
    DropIndex(DropIndex),
    /// EXPLAIN and DESCRIBE.
    Explain(Box<Explain>),
    /// SHOW.
    Show(Box<Show>),
    /// SET in its forms.
    Set(SetStatement),
    /// USE.
    Use(String),
    /// BEGIN, COMMIT, SAVEPOINT and so on.
    Transaction(TransactionStatement),
    /// XA START, COMMIT and so on.
    Xa(XaStatement),
    /// PREPARE name FROM 'text'.
    Prepare {
        /// Name of the statement.
        name: String,
        /// A string literal or a user variable.
        source: AstExpr,
    },
    /// EXECUTE name USING @a, @b.
    Execute {
        /// Name of the statement.
        name: String,
        /// Names of user variables.
        using: Vec<String>,
    },
    /// DEALLOCATE PREPARE name.
    Deallocate(String),
    /// Accounts, KILL, FLUSH, LOCK TABLES and maintenance.
    Admin(Box<AdminStatement>),
    /// Parsed as far as its name; running it is error 1235 with this name.
    Unsupported(&'static str),
}

impl Statement {
    /// Whether the statement ends a running transaction before and after it (implicit commit).
    #[must_use]
    pub fn commits_implicitly(&self) -> bool {
        match self {
            Self::Truncate(_)
            | Self::CreateDatabase(_)
            | Self::AlterDatabase(_)
            | Self::DropDatabase(_)
            | Self::CreateView(_)
            | Self::AlterTable(_)
            | Self::RenameTable(_)
            | Self::CreateIndex(_)
            | Self::DropIndex(_) => true,
            Self::CreateTable(create) => !create.temporary,
            Self::DropTable(drop) => !drop.temporary,
            Self::Admin(admin) => admin.commits_implicitly(),
            _ => false,
        }
    }

    /// Whether this crate plans and executes it; the session does all others.
    #[must_use]
    pub fn is_planned(&self) -> bool {
        matches!(
            self,
            Self::Query(_)
                | Self::Insert(_)
                | Self::Update(_)
                | Self::Delete(_)
                | Self::Do(_)
                | Self::Truncate(_)
                | Self::CreateDatabase(_)
                | Self::AlterDatabase(_)
                | Self::DropDatabase(_)
                | Self::CreateTable(_)
                | Self::CreateView(_)
                | Self::AlterTable(_)
                | Self::DropTable(_)
                | Self::RenameTable(_)
                | Self::CreateIndex(_)
                | Self::DropIndex(_)
                | Self::Explain(_)
                | Self::Unsupported(_)
        )
    }
}
