//! Queries and the statements that change rows.

use super::expr::AstExpr;
use super::{Statement, TableName};

/// A query with what follows its body.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// WITH.
    pub with: Option<WithClause>,
    /// The body.
    pub body: QueryBody,
    /// ORDER BY of the whole.
    pub order: Vec<OrderItem>,
    /// LIMIT of the whole.
    pub limit: Option<Limit>,
    /// FOR UPDATE and so on.
    pub locking: Option<Locking>,
    /// INTO @a, @b.
    pub into: Option<IntoTarget>,
}

/// WITH [RECURSIVE] ….
#[derive(Clone, Debug, PartialEq)]
pub struct WithClause {
    /// RECURSIVE.
    pub recursive: bool,
    /// Its tables in order.
    pub tables: Vec<CommonTable>,
}

/// name (columns) AS (query).
#[derive(Clone, Debug, PartialEq)]
pub struct CommonTable {
    /// Name.
    pub name: String,
    /// Names of columns, or none.
    pub columns: Vec<String>,
    /// The query.
    pub query: Query,
}

/// What a query computes.
#[derive(Clone, Debug, PartialEq)]
pub enum QueryBody {
    /// SELECT.
    Select(Box<Select>),
    /// VALUES ROW(…), ….
    Values(Vec<Vec<AstExpr>>),
    /// A query in parentheses with its own ORDER BY and LIMIT.
    Nested(Box<Query>),
    /// UNION, INTERSECT, EXCEPT.
    Set {
        /// Which.
        operator: SetOperator,
        /// ALL keeps duplicates.
        all: bool,
        /// Left operand.
        left: Box<QueryBody>,
        /// Right operand.
        right: Box<QueryBody>,
    },
}

/// Set operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum SetOperator {
    Union,
    Intersect,
    Except,
}

/// One SELECT.
#[derive(Clone, Debug, PartialEq)]
pub struct Select {
    /// DISTINCT.
    pub distinct: bool,
    /// SQL_CALC_FOUND_ROWS.
    pub calc_found_rows: bool,
    /// STRAIGHT_JOIN.
    pub straight_join: bool,
    /// Select list.
    pub items: Vec<SelectItem>,
    /// FROM, comma lists as cross joins.
    pub from: Option<TableRef>,
    /// WHERE.
    pub filter: Option<AstExpr>,
    /// GROUP BY.
    pub group: Vec<AstExpr>,
    /// WITH ROLLUP.
    pub rollup: bool,
    /// HAVING.
    pub having: Option<AstExpr>,
    /// WINDOW name AS (…).
    pub windows: Vec<(String, super::WindowSpec)>,
}

/// One entry of a select list.
#[derive(Clone, Debug, PartialEq)]
pub enum SelectItem {
    /// `*`, `t.*`, `s.t.*`.
    Wildcard(Option<TableName>),
    /// An expression.
    Expr {
        /// The expression.
        expr: AstExpr,
        /// AS alias.
        alias: Option<String>,
        /// The text it was written as.
        text: String,
    },
}

/// ORDER BY item.
#[derive(Clone, Debug, PartialEq)]
pub struct OrderItem {
    /// By what.
    pub expr: AstExpr,
    /// DESC.
    pub descending: bool,
}

/// LIMIT: literals or parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Limit {
    /// Rows to skip.
    pub offset: Option<AstExpr>,
    /// Rows to return.
    pub count: AstExpr,
}

/// Locking clause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locking {
    /// FOR SHARE or LOCK IN SHARE MODE.
    pub shared: bool,
    /// OF tables.
    pub of: Vec<String>,
    /// NOWAIT.
    pub nowait: bool,
    /// SKIP LOCKED.
    pub skip_locked: bool,
}

/// SELECT … INTO.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IntoTarget {
    /// User variables.
    Variables(Vec<String>),
    /// OUTFILE or DUMPFILE.
    File(Box<super::OutFile>),
}

/// An entry of FROM.
#[derive(Clone, Debug, PartialEq)]
pub enum TableRef {
    /// A table.
    Table {
        /// Its name.
        name: TableName,
        /// Its alias.
        alias: Option<String>,
        /// FORCE INDEX or USE INDEX names, when given.
        use_index: Option<Vec<String>>,
        /// IGNORE INDEX names.
        ignore_index: Vec<String>,
    },
    /// (query) AS alias (columns).
    Derived {
        /// LATERAL.
        lateral: bool,
        /// The query.
        query: Box<Query>,
        /// The alias.
        alias: String,
        /// Names of columns, or none.
        columns: Vec<String>,
    },
    /// JSON_TABLE.
    JsonTable(Box<JsonTable>),
    /// A join.
    Join(Box<Join>),
}

/// JSON_TABLE(document, path COLUMNS (…)) AS alias.
#[derive(Clone, Debug, PartialEq)]
pub struct JsonTable {
    /// The document.
    pub document: AstExpr,
    /// Path of what becomes rows.
    pub path: String,
    /// Its columns.
    pub columns: Vec<JsonColumn>,
    /// The alias.
    pub alias: String,
}

/// A column of JSON_TABLE; a nested group has no name.
#[derive(Clone, Debug, PartialEq)]
pub struct JsonColumn {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub kind: JsonColumnKind,
}

/// Kinds of columns of JSON_TABLE.
#[derive(Clone, Debug, PartialEq)]
pub enum JsonColumnKind {
    /// FOR ORDINALITY.
    Ordinality,
    /// type \[EXISTS\] PATH path.
    Path {
        /// The type.
        type_def: Box<super::TypeDef>,
        /// EXISTS.
        exists: bool,
        /// The path.
        path: String,
        /// ON EMPTY.
        on_empty: Box<super::JsonOtherwise>,
        /// ON ERROR.
        on_error: Box<super::JsonOtherwise>,
    },
    /// NESTED PATH path COLUMNS (…).
    Nested(String, Vec<JsonColumn>),
}

/// A join of two.
#[derive(Clone, Debug, PartialEq)]
pub struct Join {
    /// Left operand.
    pub left: TableRef,
    /// Right operand.
    pub right: TableRef,
    /// Which.
    pub kind: JoinKind,
    /// ON, USING, NATURAL.
    pub condition: JoinCondition,
}

/// Kinds of joins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum JoinKind {
    Inner,
    Straight,
    Left,
    Right,
}

/// What rows of a join have in common.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum JoinCondition {
    None,
    On(AstExpr),
    Using(Vec<String>),
    Natural,
}

/// column = value.
#[derive(Clone, Debug, PartialEq)]
pub struct Assignment {
    /// The column.
    pub column: super::ColumnRef,
    /// The value.
    pub value: AstExpr,
}

/// How an INSERT meets an existing row.
#[derive(Clone, Debug, PartialEq)]
pub enum OnConflict {
    /// Error 1062.
    Error,
    /// INSERT IGNORE: a warning.
    Ignore,
    /// ON DUPLICATE KEY UPDATE.
    Update(Vec<Assignment>),
}

/// INSERT or REPLACE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum InsertMode {
    Insert,
    Replace,
}

/// Rows of an INSERT.
#[derive(Clone, Debug, PartialEq)]
pub enum InsertRows {
    /// VALUES lists.
    Values(Vec<Vec<AstExpr>>),
    /// A query.
    Query(Box<Query>),
}

/// INSERT and REPLACE.
#[derive(Clone, Debug, PartialEq)]
pub struct Insert {
    /// Which.
    pub mode: InsertMode,
    /// IGNORE, also beside ON DUPLICATE KEY UPDATE.
    pub ignore: bool,
    /// Into which table.
    pub table: TableName,
    /// Column list; `None` is all visible ones in order.
    pub columns: Option<Vec<String>>,
    /// The rows.
    pub rows: InsertRows,
    /// AS alias of the new row.
    pub row_alias: Option<(String, Vec<String>)>,
    /// What to do about duplicates.
    pub on_conflict: OnConflict,
}

/// UPDATE.
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    /// WITH.
    pub with: Option<WithClause>,
    /// IGNORE.
    pub ignore: bool,
    /// One table, or a join (multi-table).
    pub table: TableRef,
    /// SET.
    pub assignments: Vec<Assignment>,
    /// WHERE.
    pub filter: Option<AstExpr>,
    /// ORDER BY.
    pub order: Vec<OrderItem>,
    /// LIMIT.
    pub limit: Option<AstExpr>,
}

/// DELETE.
#[derive(Clone, Debug, PartialEq)]
pub struct Delete {
    /// WITH.
    pub with: Option<WithClause>,
    /// IGNORE.
    pub ignore: bool,
    /// Names after DELETE of the multi-table form; empty for the single-table form.
    pub targets: Vec<TableName>,
    /// The table or join.
    pub from: TableRef,
    /// WHERE.
    pub filter: Option<AstExpr>,
    /// ORDER BY.
    pub order: Vec<OrderItem>,
    /// LIMIT.
    pub limit: Option<AstExpr>,
}

/// EXPLAIN and DESCRIBE.
#[derive(Clone, Debug, PartialEq)]
pub struct Explain {
    /// Of what.
    pub target: ExplainTarget,
    /// FORMAT.
    pub format: ExplainFormat,
    /// ANALYZE.
    pub analyze: bool,
}

/// Output of EXPLAIN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum ExplainFormat {
    Traditional,
    Tree,
    Json,
}

/// What EXPLAIN explains.
#[derive(Clone, Debug, PartialEq)]
pub enum ExplainTarget {
    /// A statement.
    Statement(Statement),
    /// Columns of a table (DESCRIBE): the name, and a column's name or pattern. The session answers it
    /// as SHOW COLUMNS.
    Table(TableName, Option<String>),
    /// What another connection runs, which the session finds.
    Connection(u64),
}
