//! What a plan is made of.
//!
//! All operators of one query block below aggregation work on rows of one width: each table of FROM has its
//! place in it (`offset`), so that an expression means the same everywhere in the block. A subquery's result
//! reaches expressions as a parameter beyond those of the user; so do columns of an outer block.

use std::sync::Arc;

use crate::expr::Expr;
use crate::expr::aggregate::Aggregate;
use crate::plan::table_info::TableInfo;
use crate::txn::Direction;
use crate::virtual_table::VirtualTable;

/// Rows of a query block or of a part of it.
pub(crate) enum Node {
    /// One row without values.
    Unit,
    /// A stored table.
    Scan(Box<Scan>),
    /// A virtual table.
    Virtual(Box<VirtualScan>),
    /// A derived table or common table: rows of its own query, placed at `offset`.
    /// Of a lateral one: parameters to set from the row before it is computed.
    /// Of a common table that is read more than once: where its rows are kept.
    /// Or the distinct rows of an IN subquery that is joined instead of tested.
    Derived {
        query: Arc<QueryPlan>,
        is_subquery: bool,
        kept: Option<usize>,
        outer: Vec<(usize, Expr)>,
        offset: usize,
        filter: Vec<Expr>,
        name: Arc<str>,
        /// Names of its columns, for EXPLAIN.
        columns: Vec<Arc<str>>,
    },
    /// JSON_TABLE.
    JsonTable {
        document: Expr,
        plan: Arc<crate::plan::JsonTablePlan>,
        offset: usize,
        filter: Vec<Expr>,
        name: Arc<str>,
    },
    /// A recursive common table.
    Recursive(Box<RecursiveNode>),
    /// What the iteration before has given, within a recursive common table.
    Work { id: usize, offset: usize, width: usize, filter: Vec<Expr>, name: Arc<str> },
    /// A join.
    Join(Box<JoinNode>),
    /// Conditions with the subqueries that they need.
    Filter { input: Box<Node>, applies: Vec<Apply>, conditions: Vec<Expr> },
    /// The first `width` columns of the input with computed ones after them.
    Extend { input: Box<Node>, width: usize, applies: Vec<Apply>, exprs: Vec<Expr> },
    /// The row of the input with results of window functions after it.
    Window(Box<WindowNode>),
    /// Groups: keys, then aggregates, then values of the group's first row.
    Aggregate(Box<AggregateNode>),
    /// Computed columns.
    Project { input: Box<Node>, applies: Vec<Apply>, exprs: Vec<Expr> },
    /// Rows that differ in their first `visible` columns.
    Distinct { input: Box<Node>, visible: usize, keys: Vec<crate::plan::SortType> },
    /// Rows in order, at most those that `limit` lets through.
    Sort { input: Box<Node>, keys: Vec<SortKey>, limit: Option<LimitNode> },
    /// Some of the rows.
    Limit { input: Box<Node>, limit: LimitNode },
    /// Only the first columns.
    Cut { input: Box<Node>, width: usize },
    /// Rows of several queries one after the other.
    Union(Vec<Node>),
    /// Rows that are (or are not) in the right operand.
    SetDifference {
        left: Box<Node>,
        right: Box<Node>,
        keep_common: bool,
        all: bool,
        keys: Vec<crate::plan::SortType>,
    },
    /// Constant rows.
    Values { rows: Vec<Vec<Expr>>, width: usize, applies: Vec<Apply> },
}

/// WITH RECURSIVE.
pub(crate) struct RecursiveNode {
    pub seed: Node,
    pub parts: Vec<Node>,
    /// How rows are told apart, when duplicates are removed.
    pub keys: Option<Vec<crate::plan::SortType>>,
    /// The work table that the parts read.
    pub id: usize,
    pub width: usize,
    pub row_width: usize,
    /// Most iterations.
    pub depth_max: u64,
}

/// A sort key over the row of the input.
#[derive(Clone)]
pub(crate) struct SortKey {
    pub column: usize,
    pub ty: crate::plan::SortType,
    pub descending: bool,
}

/// Window functions over rows that hold what they need.
pub(crate) struct WindowNode {
    pub input: Node,
    /// Number of calls.
    pub results: usize,
    pub groups: Vec<WindowGroup>,
}

/// Calls over one partition and order.
pub(crate) struct WindowGroup {
    pub partition: Vec<SortKey>,
    pub order: Vec<SortKey>,
    pub calls: Vec<WindowCallNode>,
}

/// One call.
pub(crate) struct WindowCallNode {
    /// Its arguments are columns and constants.
    pub function: crate::expr::window::WindowFunction,
    pub frame: FrameNode,
    /// Which of the results it is.
    pub output: usize,
}

/// Which rows a call sees.
pub(crate) struct FrameNode {
    /// Whether CURRENT ROW is the row itself; otherwise it is with its peers.
    pub rows: bool,
    pub start: BoundNode,
    pub end: BoundNode,
}

/// One end of a frame.
pub(crate) enum BoundNode {
    Unbounded,
    CurrentRow,
    Rows {
        distance: Expr,
        preceding: bool,
    },
    /// The order value at this end is in `column`; the conditions are over (order value, end).
    Value {
        column: usize,
        at_or_after: Expr,
        after: Expr,
    },
}

/// LIMIT and OFFSET as constant expressions.
#[derive(Clone)]
pub(crate) struct LimitNode {
    pub offset: Option<Expr>,
    pub count: Option<Expr>,
}

/// How rows are locked as they are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LockSpec {
    pub mode: crate::txn::LockMode,
    pub wait: WaitSpec,
}

/// What is done about a locked row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WaitSpec {
    Timeout,
    NoWait,
    Skip,
}

/// A scan of a stored table.
pub(crate) struct Scan {
    pub table: Arc<TableInfo>,
    pub offset: usize,
    /// Columns to decode: those of the conditions first, in the order in which these are tested.
    pub needed: Vec<Needed>,
    /// How many of them each condition of `filter` needs, with those before it; empty when all are decoded first.
    pub steps: Vec<usize>,
    /// Slots of the row from `offset` on that the table has.
    pub width: usize,
    pub access: Access,
    /// Indexes that it might have used, for EXPLAIN.
    pub possible: Vec<usize>,
    pub direction: Direction,
    pub lock: Option<LockSpec>,
    pub filter: Vec<Expr>,
    /// Whether the index holds every needed column.
    pub covering: bool,
    /// Where the row's key goes, for statements that change rows of a join.
    pub key_slot: Option<usize>,
    /// Name in the query, for EXPLAIN.
    pub alias: Arc<str>,
    /// Whether only the first row is asked for.
    pub first: bool,
    /// Rows that are expected to be read.
    pub rows: f64,
    /// Of those, rows that are expected to satisfy the filter.
    pub kept: f64,
    /// What that is expected to cost.
    pub cost: f64,
}

/// A column to decode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Needed {
    /// Its position in the table.
    pub column: usize,
    /// Its place in the row, from the table's offset on.
    pub place: usize,
}

/// How a scan finds its rows.
#[derive(Clone)]
pub(crate) struct Access {
    /// Position among `TableInfo::indexes`; 0 holds the rows.
    pub index: usize,
    /// Ranges to read, in no particular order; they are sorted and made disjoint at run time.
    pub ranges: Vec<RangeSpec>,
    /// Whether each range is one entry of a unique index.
    pub point: bool,
}

/// A range of an index: equal leading parts, then bounds of the next.
#[derive(Clone, Default)]
pub(crate) struct RangeSpec {
    pub equal: Vec<Expr>,
    /// Parts of `equal` that may be NULL (`<=>`, IS NULL); otherwise NULL means no rows.
    pub null_safe: Vec<bool>,
    pub low: Option<Bound>,
    pub high: Option<Bound>,
    /// A LIKE pattern whose literal beginning bounds the range.
    pub like: Option<Expr>,
}

/// One end of a range.
#[derive(Clone)]
pub(crate) struct Bound {
    pub value: Expr,
    pub inclusive: bool,
}

/// A scan of a virtual table.
pub(crate) struct VirtualScan {
    pub table: Arc<VirtualTable>,
    pub offset: usize,
    pub equals: Vec<(usize, Expr)>,
    pub filter: Vec<Expr>,
    pub alias: Arc<str>,
}

/// Kinds of joins that are executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JoinType {
    Inner,
    Left,
}

/// How a join finds inner rows.
pub(crate) enum JoinMethod {
    /// The inner side is opened for each outer row (its keys refer to it).
    Lookup,
    /// Inner rows are read once and kept.
    Buffer,
    /// Inner rows are read once into a hash table by these expressions (outer, inner).
    Hash(Vec<(Expr, Expr)>, Vec<crate::plan::SortType>),
}

/// A join.
pub(crate) struct JoinNode {
    pub outer: Node,
    pub inner: Node,
    /// Slots that the inner side fills, to be NULL in unmatched rows of a left join.
    pub inner_slots: std::ops::Range<usize>,
    pub more_inner_slots: Vec<std::ops::Range<usize>>,
    pub kind: JoinType,
    pub method: JoinMethod,
    pub on: Vec<Expr>,
    pub applies: Vec<Apply>,
    /// Rows that are expected.
    pub rows: Option<f64>,
}

/// GROUP BY.
pub(crate) struct AggregateNode {
    pub input: Node,
    /// WITH ROLLUP.
    pub rollup: bool,
    /// For each aggregate: the keys that a GROUPING asks for.
    pub grouping: Vec<Option<Vec<usize>>>,
    pub applies: Vec<Apply>,
    pub keys: Vec<Expr>,
    pub key_types: Vec<crate::plan::SortType>,
    pub aggregates: Vec<Aggregate>,
    /// For each aggregate: the first that sums the same, which may be itself.
    pub same_sums: Vec<usize>,
    pub carried: Vec<Expr>,
    /// Without GROUP BY there is one group even without rows.
    pub always_one: bool,
}

/// What a subquery gives to the expression around it.
pub(crate) enum ApplyKind {
    /// Its only value, NULL without rows.
    Scalar,
    /// 1 or 0.
    Exists,
    /// Comparison of the operand with each row: `matches` is over the row's values as parameters.
    Compare {
        /// Operands, evaluated over the outer row.
        operands: Vec<Expr>,
        /// Parameters that hold the operands during comparison.
        operand_slots: Vec<usize>,
        /// Parameters that hold a row of the subquery during comparison.
        row_slots: Vec<usize>,
        /// Three-valued comparison over those parameters.
        test: Expr,
        /// Whether one match decides for true (ANY, IN) or one failure for false (ALL).
        all: bool,
        /// When one match decides and hashing decides equality exactly: by what.
        hash: Option<Box<HashedRows>>,
    },
}

/// A subquery's rows that can be hashed.
pub(crate) struct HashedRows {
    /// Types under which values are told apart.
    pub types: Vec<crate::plan::SortType>,
    /// Types of the subquery's columns.
    pub columns: Vec<crate::expr::ExprType>,
}

/// A correlated subquery computed for all rows of the block around it at once ([`crate::plan::keyed`]).
pub(crate) struct Keyed {
    /// Its rows are the keys, then the value of a scalar subquery.
    pub query: QueryPlan,
    /// What a row of the block around looks for, over the parameters that are set from it.
    pub keys: Vec<Expr>,
    pub types: Vec<crate::plan::SortType>,
    /// Runs of the subquery for single rows that are expected to cost as much as this does.
    pub runs: u64,
}

/// A subquery with what it needs and gives.
pub(crate) struct Apply {
    /// Number within the statement.
    pub id: usize,
    /// Parameters to set from the outer row before it runs.
    pub outer: Vec<(usize, Expr)>,
    /// Whether it depends on any outer row.
    pub correlated: bool,
    /// Whether the same parameters give the same result, as long as nothing is written.
    pub determined: bool,
    pub query: QueryPlan,
    /// The same for all outer rows, used when there turn out to be many.
    pub keyed: Option<Keyed>,
    pub kind: ApplyKind,
    /// The parameter that gets the result.
    pub result: usize,
    /// The type of the result.
    pub result_type: aquifer_types::DataType,
}

impl Apply {
    /// The result as an expression.
    pub(crate) fn result_expr(&self) -> Expr {
        crate::expr::param(self.result, self.result_type.clone())
    }
}

/// A query block or a union of some.
pub(crate) struct QueryPlan {
    pub node: Node,
    pub width: usize,
    /// Width of the rows below projection, for buffers.
    pub row_width: usize,
}
