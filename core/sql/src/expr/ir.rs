//! The form of an expression. It is built by the constructors of [`super::build`] only, so that the
//! type of every node agrees with its operator and arguments.

use std::fmt;

use aquifer_types::{Collation, DataType, SqlResult, Value};

use super::context::EvalContext;
use super::function::FunctionDef;

/// How strongly an expression insists on its collation (manual 10.8.4): lower wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Coercibility(pub u8);

#[allow(missing_docs)]
impl Coercibility {
    pub const EXPLICIT: Self = Self(0);
    pub const NONE: Self = Self(1);
    pub const IMPLICIT: Self = Self(2);
    pub const SYSTEM: Self = Self(3);
    pub const LITERAL: Self = Self(4);
    pub const NUMERIC: Self = Self(5);
    pub const NULL: Self = Self(6);
}

/// The type of an expression: what result set metadata shows, and what collation rules need.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ExprType {
    /// The type; `length` counts characters.
    pub data_type: DataType,
    /// Whether NULL can come out.
    pub nullable: bool,
    /// How strongly the collation is held.
    pub coercibility: Coercibility,
}

/// An expression with its type.
#[derive(Clone)]
pub enum Expr {
    /// A constant known when the statement was bound.
    Literal {
        /// The value.
        value: Value,
        /// Its type.
        ty: ExprType,
    },
    /// A column of the row that the expression is evaluated over.
    Column {
        /// Position in that row.
        index: usize,
        /// Its type.
        ty: ExprType,
    },
    /// A parameter: constant within one execution.
    Param {
        /// Position in [`EvalContext::params`].
        index: usize,
        /// Its type as assumed when the statement was bound.
        ty: ExprType,
    },
    /// An operator or function over arguments.
    Call(Box<Call>),
}

/// An operator or function with its arguments and result type.
#[derive(Clone)]
pub struct Call {
    /// What is done.
    pub(crate) op: Op,
    /// To what.
    pub(crate) args: Vec<Expr>,
    /// The result.
    pub(crate) ty: ExprType,
}

/// What a [`Call`] does.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    /// `+ - * / DIV %` and the bit operators.
    Binary(BinaryOp),
    /// A comparison, with the domain in which it is made.
    Compare(CompareOp, CompareDomain),
    /// Three-valued AND.
    And,
    /// Three-valued OR.
    Or,
    /// Three-valued XOR.
    Xor,
    /// One argument.
    Unary(UnaryOp),
    /// `IS [NOT] NULL`.
    IsNull(Negation),
    /// `IS [NOT] TRUE | FALSE | UNKNOWN`.
    IsTruth(Truth, Negation),
    /// `a [NOT] BETWEEN b AND c`, with one domain for each bound.
    Between(Negation, CompareDomain, CompareDomain),
    /// `a [NOT] IN (b, …)`, with a domain for each member.
    In(Negation, Vec<CompareDomain>),
    /// Arguments: value, pattern, escape.
    Like(Negation, Collation),
    /// Arguments: value, pattern.
    Regexp(Negation, Collation),
    /// Arguments: [operand,] when, then, …[, else]; with the domain of each comparison if there is
    /// an operand.
    Case(CaseShape),
    /// NULLIF, with the domain of its comparison.
    NullIf(CompareDomain),
    /// CAST and CONVERT.
    Cast(CastTarget),
    /// `CONVERT(x USING charset)`: to the character set of the collation.
    ConvertCharset(Collation),
    /// `x COLLATE c`.
    Collate,
    /// Arguments: temporal, amount.
    AddInterval(IntervalUnit, IntervalSign),
    /// `EXTRACT(unit FROM x)`.
    Extract(IntervalUnit),
    /// `TIMESTAMPDIFF(unit, a, b)`.
    TimestampDiff(IntervalUnit),
    /// Arguments: string[, what to remove].
    Trim(TrimSide),
    /// `@name`.
    UserVariable(String),
    /// `@name := x`.
    SetUserVariable(String),
    /// A function of the table in [`super::function`].
    Function(&'static FunctionDef),
}

/// Which arguments a CASE has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CaseShape {
    /// Domains of the comparisons with the operand; `None` for a searched CASE.
    pub(crate) operand: Option<Vec<CompareDomain>>,
    /// Whether the last argument is the ELSE part.
    pub(crate) has_else: ElsePart,
}

/// Whether a CASE has an ELSE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ElsePart {
    Absent,
    Present,
}

/// The kind of value in which two operands are compared (manual 12.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CompareDomain {
    /// Both integers, of any signedness.
    Int,
    /// Exact numbers.
    Decimal,
    /// Floating point.
    Double,
    /// Strings under a collation.
    String(Collation),
    /// Dates with times.
    DateTime,
    /// Durations.
    Time,
    /// JSON values.
    Json,
}

/// Operators with two operands that are not comparisons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum BinaryOp {
    Add,
    Sub,
    Mul,
    Div,
    IntDiv,
    Rem,
    BitAnd,
    BitOr,
    BitXor,
    ShiftLeft,
    ShiftRight,
    And,
    Or,
    Xor,
    Compare(CompareOp),
}

/// Comparisons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum CompareOp {
    Eq,
    NullSafeEq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

/// Operators with one operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum UnaryOp {
    Minus,
    Plus,
    Not,
    BitNot,
    /// `BINARY x`.
    Binary,
}

/// Whether NOT stands before IN, LIKE, BETWEEN, REGEXP, or after IS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Negation {
    Plain,
    Negated,
}

/// Right side of `IS TRUE`, `IS FALSE`, `IS UNKNOWN`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Truth {
    True,
    False,
    Unknown,
}

/// Which ends TRIM works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum TrimSide {
    Both,
    Leading,
    Trailing,
}

/// Addition or subtraction of an interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum IntervalSign {
    Add,
    Subtract,
}

/// Units of INTERVAL, EXTRACT, TIMESTAMPADD and TIMESTAMPDIFF.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum IntervalUnit {
    Microsecond,
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
    SecondMicrosecond,
    MinuteMicrosecond,
    MinuteSecond,
    HourMicrosecond,
    HourSecond,
    HourMinute,
    DayMicrosecond,
    DaySecond,
    DayMinute,
    DayHour,
    YearMonth,
}

impl IntervalUnit {
    /// The unit of that name, in any case, with or without the `SQL_TSI_` that TIMESTAMPADD allows.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let upper = name.to_ascii_uppercase();
        Some(match upper.strip_prefix("SQL_TSI_").unwrap_or(&upper) {
            "MICROSECOND" => Self::Microsecond,
            "SECOND" => Self::Second,
            "MINUTE" => Self::Minute,
            "HOUR" => Self::Hour,
            "DAY" => Self::Day,
            "WEEK" => Self::Week,
            "MONTH" => Self::Month,
            "QUARTER" => Self::Quarter,
            "YEAR" => Self::Year,
            "SECOND_MICROSECOND" => Self::SecondMicrosecond,
            "MINUTE_MICROSECOND" => Self::MinuteMicrosecond,
            "MINUTE_SECOND" => Self::MinuteSecond,
            "HOUR_MICROSECOND" => Self::HourMicrosecond,
            "HOUR_SECOND" => Self::HourSecond,
            "HOUR_MINUTE" => Self::HourMinute,
            "DAY_MICROSECOND" => Self::DayMicrosecond,
            "DAY_SECOND" => Self::DaySecond,
            "DAY_MINUTE" => Self::DayMinute,
            "DAY_HOUR" => Self::DayHour,
            "YEAR_MONTH" => Self::YearMonth,
            _ => return None,
        })
    }
}

/// Target of CAST.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CastTarget {
    /// SIGNED.
    Signed,
    /// UNSIGNED.
    Unsigned,
    /// BINARY or BINARY(n).
    Binary(Option<u32>),
    /// CHAR or CHAR(n) in the character set of the collation.
    Char(Option<u32>, Collation),
    /// DATE.
    Date,
    /// TIME(fsp).
    Time(u8),
    /// DATETIME(fsp).
    DateTime(u8),
    /// DECIMAL(precision, scale).
    Decimal(u8, u8),
    /// DOUBLE.
    Double,
    /// FLOAT.
    Float,
    /// YEAR.
    Year,
    /// JSON.
    Json,
}

impl Expr {
    /// The type with nullability and coercibility.
    #[must_use]
    pub fn expr_type(&self) -> &ExprType {
        match self {
            Self::Literal { ty, .. } | Self::Column { ty, .. } | Self::Param { ty, .. } => ty,
            Self::Call(call) => &call.ty,
        }
    }

    /// The type that result set metadata shows.
    #[must_use]
    pub fn data_type(&self) -> &DataType {
        &self.expr_type().data_type
    }

    /// Whether NULL can come out.
    #[must_use]
    pub fn nullable(&self) -> bool {
        self.expr_type().nullable
    }

    /// The value over a row.
    ///
    /// # Errors
    /// MySQL's errors of the operators and functions, 1690 for results out of range among them.
    #[inline]
    pub fn eval(&self, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Value> {
        match self {
            Self::Literal { value, .. } => Ok(value.clone()),
            Self::Column { index, .. } => Ok(row.get(*index).cloned().unwrap_or(Value::Null)),
            Self::Param { index, .. } => Ok(ctx.params.get(*index).cloned().unwrap_or(Value::Null)),
            Self::Call(call) => super::eval::eval_call(call, row, ctx),
        }
    }

    /// Whether a row satisfies this as a condition: NULL counts as false.
    ///
    /// # Errors
    /// As [`Expr::eval`].
    pub fn eval_filter(&self, row: &[Value], ctx: &mut EvalContext) -> SqlResult<bool> {
        Ok(super::eval::eval_truth(self, row, ctx)? == Some(true))
    }
}

impl Expr {
    /// Whether the outermost operation may give another value each time, or does something besides.
    pub(crate) fn is_volatile(&self) -> bool {
        matches!(self, Self::Call(call) if call.op.is_volatile())
    }
}

impl Call {
    /// Whether two calls do the same with their arguments.
    pub(crate) fn does_same(&self, other: &Self) -> bool {
        self.op.same(&other.op) && !self.op.is_volatile()
    }
}

impl Op {
    /// Whether each evaluation may give another value, or does something besides.
    pub(crate) fn is_volatile(&self) -> bool {
        match self {
            Self::Function(def) => def.stability == super::function::Stability::Volatile,
            Self::UserVariable(_) | Self::SetUserVariable(_) => true,
            _ => false,
        }
    }

    /// Whether the result depends on the arguments alone.
    pub(crate) fn is_immutable(&self) -> bool {
        match self {
            Self::Function(def) => def.stability == super::function::Stability::Immutable,
            Self::UserVariable(_) | Self::SetUserVariable(_) => false,
            _ => true,
        }
    }

    fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Function(a), Self::Function(b)) => a.name == b.name,
            (Self::Function(_), _) | (_, Self::Function(_)) => false,
            _ => format!("{self:?}") == format!("{other:?}"),
        }
    }
}

/// Structural equality: the same operators over the same columns, parameters and constants.
impl PartialEq for Expr {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Literal { value: a, ty: s }, Self::Literal { value: b, ty: t }) => {
                s == t && aquifer_types::convert::is_identical(a, b)
            }
            (Self::Column { index: a, .. }, Self::Column { index: b, .. })
            | (Self::Param { index: a, .. }, Self::Param { index: b, .. }) => a == b,
            (Self::Call(a), Self::Call(b)) => {
                a.ty == b.ty && a.op.same(&b.op) && a.args == b.args && !a.op.is_volatile()
            }
            _ => false,
        }
    }
}

impl fmt::Debug for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal { value, .. } => write!(f, "{value:?}"),
            Self::Column { index, .. } => write!(f, "#{index}"),
            Self::Param { index, .. } => write!(f, "?{index}"),
            Self::Call(call) => f.debug_tuple(&format!("{:?}", call.op)).field(&call.args).finish(),
        }
    }
}
