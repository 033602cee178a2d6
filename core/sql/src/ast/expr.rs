//! Expressions as written.

use super::TypeDef;
use super::query::{OrderItem, Query};

/// A name of a column with up to two qualifiers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ColumnRef {
    /// Database.
    pub schema: Option<String>,
    /// Table or alias.
    pub table: Option<String>,
    /// Column.
    pub name: String,
}

/// A constant.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// NULL.
    Null,
    /// TRUE, FALSE.
    Bool(bool),
    /// An integer without a sign that fits.
    UInt(u64),
    /// Digits with a point, or an integer that does not fit: DECIMAL.
    Decimal(String),
    /// With an exponent: DOUBLE.
    Double(f64),
    /// A string after its escapes were resolved.
    String(Vec<u8>),
    /// N'…' or _charset'…' with the character set's name in lower case.
    Introduced(String, Vec<u8>),
    /// x'…', 0x…, b'…', 0b….
    Hex(Vec<u8>),
    /// DATE'…'.
    Date(String),
    /// TIME'…'.
    Time(String),
    /// TIMESTAMP'…'.
    Timestamp(String),
}

/// Operators with one operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AstUnary {
    /// `-`.
    Minus,
    /// `+`.
    Plus,
    /// NOT and `!`.
    Not,
    /// `~`.
    BitNot,
    /// BINARY.
    Binary,
}

/// Operators with two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum AstBinary {
    Or,
    Xor,
    And,
    Eq,
    NullSafeEq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    BitOr,
    BitAnd,
    BitXor,
    ShiftLeft,
    ShiftRight,
    Plus,
    Minus,
    Multiply,
    Divide,
    IntDivide,
    Modulo,
    /// `||` under PIPES_AS_CONCAT.
    Concat,
    /// `->`.
    JsonExtract,
    /// `->>`.
    JsonUnquote,
}

/// IS [NOT] TRUE and so on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum TruthTest {
    True,
    False,
    Unknown,
}

/// ANY or ALL of a subquery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Quantifier {
    Any,
    All,
}

/// Where a system variable is read or set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VariableScope {
    /// `@@name`.
    Default,
    /// `@@session.name`, `@@local.name`.
    Session,
    /// `@@global.name`.
    Global,
    /// `@@persist.name`.
    Persist,
    /// `@@persist_only.name`.
    PersistOnly,
}

/// Target of CAST and CONVERT.
#[derive(Clone, Debug, PartialEq)]
pub struct CastType {
    /// First word in upper case: SIGNED, UNSIGNED, CHAR, BINARY, NCHAR, DATE, TIME, DATETIME, YEAR,
    /// DECIMAL, DOUBLE, FLOAT, REAL, JSON.
    pub name: String,
    /// First number in parentheses.
    pub length: Option<u32>,
    /// Second number in parentheses.
    pub decimals: Option<u8>,
    /// CHARACTER SET.
    pub charset: Option<String>,
}

/// CASE.
#[derive(Clone, Debug, PartialEq)]
pub struct CaseExpr {
    /// CASE operand.
    pub operand: Option<AstExpr>,
    /// WHEN … THEN ….
    pub branches: Vec<(AstExpr, AstExpr)>,
    /// ELSE.
    pub otherwise: Option<AstExpr>,
}

/// OVER (…), OVER name, or a definition of WINDOW.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WindowSpec {
    /// The window that it is or extends.
    pub name: Option<String>,
    /// Whether it is that window itself: OVER name.
    pub bare: bool,
    /// PARTITION BY.
    pub partition: Vec<AstExpr>,
    /// ORDER BY.
    pub order: Vec<OrderItem>,
    /// ROWS or RANGE.
    pub frame: Option<Frame>,
}

/// A frame: what of the partition a window function sees.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// ROWS or RANGE.
    pub unit: FrameUnit,
    /// Where it starts.
    pub start: FrameBound,
    /// Where it ends, inclusive.
    pub end: FrameBound,
}

/// In what a frame is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum FrameUnit {
    Rows,
    Range,
}

/// One end of a frame. A distance may be an INTERVAL, whose unit is given then.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum FrameBound {
    UnboundedPreceding,
    Preceding(AstExpr, Option<String>),
    CurrentRow,
    Following(AstExpr, Option<String>),
    UnboundedFollowing,
}

/// JSON_VALUE(document, path …).
#[derive(Clone, Debug, PartialEq)]
pub struct JsonValueCall {
    /// The document.
    pub document: AstExpr,
    /// The path.
    pub path: AstExpr,
    /// RETURNING.
    pub returning: Option<CastType>,
    /// ON EMPTY.
    pub on_empty: JsonOtherwise,
    /// ON ERROR.
    pub on_error: JsonOtherwise,
}

/// What ON EMPTY and ON ERROR give.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum JsonOtherwise {
    /// NULL, also when nothing is written.
    #[default]
    Null,
    /// ERROR.
    Error,
    /// DEFAULT value.
    Default(AstExpr),
}

/// `name(args)`.
#[derive(Clone, Debug, PartialEq)]
pub struct FunctionCall {
    /// Name in upper case.
    pub name: String,
    /// Arguments.
    pub args: Vec<AstExpr>,
    /// DISTINCT within an aggregate.
    pub distinct: bool,
    /// `COUNT(*)`.
    pub star: bool,
    /// ORDER BY within GROUP_CONCAT.
    pub order: Vec<OrderItem>,
    /// SEPARATOR of GROUP_CONCAT.
    pub separator: Option<Vec<u8>>,
    /// OVER.
    pub over: Option<Box<WindowSpec>>,
}

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub enum AstExpr {
    /// A constant.
    Literal(Literal),
    /// `?` or a literal that was taken out; numbered from 0 in text order.
    Param(usize),
    /// A column.
    Column(ColumnRef),
    /// `@@name`.
    SystemVariable(VariableScope, String),
    /// `@name`.
    UserVariable(String),
    /// `@name := value`.
    AssignVariable(String, Box<AstExpr>),
    /// One operand.
    Unary(AstUnary, Box<AstExpr>),
    /// Two operands.
    Binary(AstBinary, Box<AstExpr>, Box<AstExpr>),
    /// A call.
    Function(Box<FunctionCall>),
    /// CAST and CONVERT(x, type).
    Cast(Box<AstExpr>, CastType),
    /// CONVERT(x USING charset).
    ConvertUsing(Box<AstExpr>, String),
    /// COLLATE.
    Collate(Box<AstExpr>, String),
    /// CASE.
    Case(Box<CaseExpr>),
    /// [NOT] BETWEEN: value, low, high, negated.
    Between(Box<AstExpr>, Box<AstExpr>, Box<AstExpr>, bool),
    /// [NOT] IN (list).
    In(Box<AstExpr>, Vec<AstExpr>, bool),
    /// [NOT] IN (subquery).
    InSubquery(Box<AstExpr>, Box<Query>, bool),
    /// `= ANY (subquery)` and so on.
    Quantified(AstBinary, Box<AstExpr>, Quantifier, Box<Query>),
    /// [NOT] LIKE: value, pattern, ESCAPE, negated.
    Like(Box<AstExpr>, Box<AstExpr>, Option<Box<AstExpr>>, bool),
    /// [NOT] REGEXP.
    Regexp(Box<AstExpr>, Box<AstExpr>, bool),
    /// IS [NOT] NULL.
    IsNull(Box<AstExpr>, bool),
    /// IS [NOT] TRUE, FALSE, UNKNOWN.
    IsTruth(Box<AstExpr>, TruthTest, bool),
    /// (subquery).
    Subquery(Box<Query>),
    /// [NOT] EXISTS (subquery).
    Exists(Box<Query>, bool),
    /// (a, b) and ROW(a, b).
    Row(Vec<AstExpr>),
    /// `date ± INTERVAL n unit` and DATE_ADD, DATE_SUB: date, number, unit, subtract.
    AddInterval(Box<AstExpr>, Box<AstExpr>, String, bool),
    /// EXTRACT(unit FROM date).
    Extract(String, Box<AstExpr>),
    /// TRIM: side (BOTH, LEADING, TRAILING), what to remove, from what.
    Trim(String, Option<Box<AstExpr>>, Box<AstExpr>),
    /// TIMESTAMPADD(unit, n, date).
    TimestampAdd(String, Box<AstExpr>, Box<AstExpr>),
    /// TIMESTAMPDIFF(unit, a, b).
    TimestampDiff(String, Box<AstExpr>, Box<AstExpr>),
    /// GET_FORMAT(DATE, 'USA').
    GetFormat(String, Box<AstExpr>),
    /// JSON_VALUE.
    JsonValue(Box<JsonValueCall>),
    /// MATCH (…) AGAINST (…); refused by name.
    Match,
    /// VALUES(column) in ON DUPLICATE KEY UPDATE.
    Values(ColumnRef),
    /// DEFAULT(column).
    DefaultOf(ColumnRef),
    /// DEFAULT as a value of INSERT or UPDATE.
    Default,
    /// CAST(… AS type) of a column definition; unused elsewhere.
    Typed(Box<AstExpr>, Box<TypeDef>),
}

impl AstExpr {
    /// A bare column name.
    #[must_use]
    pub fn column(name: &str) -> Self {
        Self::Column(ColumnRef { schema: None, table: None, name: name.to_owned() })
    }

    /// Calls `visit` for each direct operand, subqueries apart.
    pub fn for_each_child<'a>(&'a self, visit: &mut dyn FnMut(&'a AstExpr)) {
        match self {
            Self::AssignVariable(_, e)
            | Self::Unary(_, e)
            | Self::Cast(e, _)
            | Self::ConvertUsing(e, _)
            | Self::Collate(e, _)
            | Self::InSubquery(e, _, _)
            | Self::Quantified(_, e, _, _)
            | Self::IsNull(e, _)
            | Self::IsTruth(e, _, _)
            | Self::Extract(_, e)
            | Self::GetFormat(_, e)
            | Self::Typed(e, _) => visit(e),
            Self::Binary(_, a, b)
            | Self::Regexp(a, b, _)
            | Self::AddInterval(a, b, _, _)
            | Self::TimestampAdd(_, a, b)
            | Self::TimestampDiff(_, a, b) => {
                visit(a);
                visit(b);
            }
            Self::Between(a, b, c, _) => {
                visit(a);
                visit(b);
                visit(c);
            }
            Self::Like(a, b, escape, _) => {
                visit(a);
                visit(b);
                if let Some(escape) = escape {
                    visit(escape);
                }
            }
            Self::Trim(_, what, from) => {
                if let Some(what) = what {
                    visit(what);
                }
                visit(from);
            }
            Self::JsonValue(call) => {
                visit(&call.document);
                visit(&call.path);
            }
            Self::Function(call) => {
                call.args.iter().for_each(&mut *visit);
                call.order.iter().for_each(|item| visit(&item.expr));
                if let Some(over) = &call.over {
                    over.partition.iter().for_each(&mut *visit);
                    over.order.iter().for_each(|item| visit(&item.expr));
                }
            }
            Self::Case(case) => {
                case.operand.iter().for_each(&mut *visit);
                for (when, then) in &case.branches {
                    visit(when);
                    visit(then);
                }
                case.otherwise.iter().for_each(visit);
            }
            Self::In(e, list, _) => {
                visit(e);
                list.iter().for_each(visit);
            }
            Self::Row(list) => list.iter().for_each(visit),
            Self::Literal(_)
            | Self::Param(_)
            | Self::Column(_)
            | Self::SystemVariable(..)
            | Self::UserVariable(_)
            | Self::Subquery(_)
            | Self::Exists(..)
            | Self::Match
            | Self::Values(_)
            | Self::DefaultOf(_)
            | Self::Default => {}
        }
    }
}
