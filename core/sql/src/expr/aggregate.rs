//! Aggregate functions (manual 12.19.1). An [`Aggregate`] belongs to a plan; an [`Accumulator`] is the state
//! of one group. NULL arguments are passed over, DISTINCT is handled here.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashSet};

use aquifer_types::{Collation, DataType, SqlError, SqlResult, TypeKind, Value};
use bytes::Bytes;

use super::aggregate_json::JsonState;
use super::aggregate_texts::{Entry, join};
use super::aggregate_type::result_type;
use super::coerce;
use super::compare::{sort_order, write_group_key};
use super::context::{BindContext, EvalContext};
use super::eval::eval_ref;
use super::infer::{int_type, number};
use super::ir::{Expr, ExprType};
use super::sum::Sum;

/// One aggregate function call of a query.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregate {
    /// Arguments, evaluated over each input row; none for COUNT(*).
    pub args: Vec<Expr>,
    /// ORDER BY of GROUP_CONCAT.
    pub order_by: Vec<(Expr, SortOrder)>,
    kind: Kind,
    duplicates: Duplicates,
    pub(super) separator: Bytes,
    pub(super) ty: ExprType,
}

/// Direction of an ORDER BY part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum SortOrder {
    Ascending,
    Descending,
}

/// ALL or DISTINCT before the arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Duplicates {
    All,
    Distinct,
}

/// Which function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Count,
    Sum,
    Avg,
    Min,
    Max,
    BitAnd,
    BitOr,
    BitXor,
    Variance(Spread),
    GroupConcat,
    JsonArray,
    JsonObject,
    /// GROUPING: computed from the level of WITH ROLLUP, not from rows.
    Grouping,
}

/// Which measure of spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spread {
    VarPop,
    VarSamp,
    StdPop,
    StdSamp,
}

fn kind_of(name: &str) -> Option<Kind> {
    Some(match name.to_ascii_lowercase().as_str() {
        "count" => Kind::Count,
        "sum" => Kind::Sum,
        "avg" => Kind::Avg,
        "min" => Kind::Min,
        "max" => Kind::Max,
        "bit_and" => Kind::BitAnd,
        "bit_or" => Kind::BitOr,
        "bit_xor" => Kind::BitXor,
        "std" | "stddev" | "stddev_pop" => Kind::Variance(Spread::StdPop),
        "stddev_samp" => Kind::Variance(Spread::StdSamp),
        "variance" | "var_pop" => Kind::Variance(Spread::VarPop),
        "var_samp" => Kind::Variance(Spread::VarSamp),
        "group_concat" => Kind::GroupConcat,
        "json_arrayagg" => Kind::JsonArray,
        "json_objectagg" => Kind::JsonObject,
        _ => return None,
    })
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Sum => "sum",
            Self::Avg => "avg",
            Self::Min => "min",
            Self::Max => "max",
            Self::BitAnd => "bit_and",
            Self::BitOr => "bit_or",
            Self::BitXor => "bit_xor",
            Self::Variance(Spread::VarPop) => "var_pop",
            Self::Variance(Spread::VarSamp) => "var_samp",
            Self::Variance(Spread::StdPop) => "stddev_pop",
            Self::Variance(Spread::StdSamp) => "stddev_samp",
            Self::GroupConcat => "group_concat",
            Self::JsonArray => "json_arrayagg",
            Self::JsonObject => "json_objectagg",
            Self::Grouping => "grouping",
        }
    }
}

/// Whether `name` (in any case) is an aggregate function, here or in MySQL.
#[must_use]
pub fn is_aggregate(name: &str) -> bool {
    kind_of(name).is_some() || name.eq_ignore_ascii_case("st_collect")
}

impl Aggregate {
    /// Binds an aggregate by name; `args` is empty for COUNT(*).
    ///
    /// # Errors
    /// 1582 for a wrong number of arguments, 1235 for one that Aquifer does not have.
    pub fn new(name: &str, duplicates: Duplicates, args: Vec<Expr>, bind: &BindContext) -> SqlResult<Self> {
        let Some(kind) = kind_of(name) else {
            return Err(SqlError::not_supported(&format!("{}()", name.to_ascii_uppercase())));
        };
        let legal = match kind {
            Kind::Count => args.len() <= 1 || duplicates == Duplicates::Distinct,
            Kind::GroupConcat => !args.is_empty(),
            Kind::JsonObject => args.len() == 2,
            _ => args.len() == 1,
        };
        if !legal {
            let text = format!("Incorrect parameter count in the call to native function '{name}'");
            return Err(SqlError::new(1582, text));
        }
        let mut args = args;
        let ty = result_type(kind, &mut args, bind)?;
        let separator = Bytes::from_static(b",");
        Ok(Self { args, order_by: Vec::new(), kind, duplicates, separator, ty })
    }

    /// GROUPING(args), whose value is that of [`Aggregate::grouping_args`] and the level of the row.
    #[must_use]
    pub fn grouping(args: Vec<Expr>) -> Self {
        Self {
            args,
            order_by: Vec::new(),
            kind: Kind::Grouping,
            duplicates: Duplicates::All,
            separator: Bytes::new(),
            ty: number(int_type(21), false),
        }
    }

    /// Arguments of GROUPING, if this is one.
    #[must_use]
    pub fn grouping_args(&self) -> Option<&[Expr]> {
        (self.kind == Kind::Grouping).then_some(&self.args[..])
    }

    /// ORDER BY and SEPARATOR of GROUP_CONCAT; the separator is in the character set of the result.
    #[must_use]
    pub fn with_order(self, order_by: Vec<(Expr, SortOrder)>, separator: Option<Bytes>) -> Self {
        let separator = separator.unwrap_or(self.separator);
        Self { order_by, separator, ..self }
    }

    /// Whether another one keeps the same sum and count of the same rows: SUM and AVG of the same.
    pub(crate) fn sums_as(&self, other: &Self) -> bool {
        let sums = |kind| matches!(kind, Kind::Sum | Kind::Avg);
        sums(self.kind) && sums(other.kind) && self.duplicates == other.duplicates && self.args == other.args
    }

    /// Whether the order in which rows come makes no difference to it, not even in the last digit.
    pub(crate) fn is_free_of_order(&self) -> bool {
        let text = |expr: &Expr| expr.data_type().collation != Collation::BINARY;
        match self.kind {
            Kind::Count | Kind::BitAnd | Kind::BitOr | Kind::BitXor => true,
            Kind::Sum | Kind::Avg => self.ty.data_type.kind != TypeKind::Double,
            Kind::Min | Kind::Max => !self.args.iter().any(text),
            _ => false,
        }
    }

    /// Its name.
    pub(crate) fn name(&self) -> &'static str {
        self.kind.name()
    }

    /// The type of the result.
    #[must_use]
    pub fn data_type(&self) -> &DataType {
        &self.ty.data_type
    }

    /// The type with nullability and coercibility.
    #[must_use]
    pub fn expr_type(&self) -> &ExprType {
        &self.ty
    }

    /// Whether this is COUNT(*), which the executor may answer from the number of rows.
    #[must_use]
    pub fn is_count_star(&self) -> bool {
        self.kind == Kind::Count && self.args.is_empty()
    }

    /// MIN or MAX of one expression, which the executor may answer from one end of an index.
    #[must_use]
    pub fn as_extreme(&self) -> Option<(SortOrder, &Expr)> {
        match self.kind {
            Kind::Min => Some((SortOrder::Ascending, &self.args[0])),
            Kind::Max => Some((SortOrder::Descending, &self.args[0])),
            _ => None,
        }
    }

    /// Whether its state grows with the rows taken in: DISTINCT, GROUP_CONCAT and JSON documents.
    #[must_use]
    pub fn keeps_rows(&self) -> bool {
        let grows = matches!(self.kind, Kind::GroupConcat | Kind::JsonArray | Kind::JsonObject);
        grows || self.duplicates == Duplicates::Distinct
    }

    /// Whether rows with arguments that are new to DISTINCT can be taken in after all others.
    pub(crate) fn may_defer(&self) -> bool {
        let keeps_order = matches!(self.kind, Kind::GroupConcat | Kind::JsonArray | Kind::JsonObject);
        self.duplicates == Duplicates::Distinct && !keeps_order && !matches!(self.kind, Kind::Min | Kind::Max)
    }

    /// The same of rows that consist of its first argument.
    pub(crate) fn of_values(&self) -> Self {
        let column = |arg: &Expr| Expr::Column { index: 0, ty: arg.expr_type().clone() };
        Self { args: self.args.first().map(column).into_iter().collect(), ..self.clone() }
    }

    /// State for one group.
    #[must_use]
    pub fn accumulator(&self) -> Accumulator {
        let state = match self.kind {
            Kind::Count => State::Count(0),
            Kind::Sum | Kind::Avg => State::Sum { sum: Sum::None, count: 0 },
            Kind::Min | Kind::Max => State::Extreme(Value::Null),
            Kind::BitAnd => State::Bits(u64::MAX),
            Kind::BitOr | Kind::BitXor => State::Bits(0),
            Kind::Variance(_) => State::Moments { count: 0.0, mean: 0.0, squares: 0.0 },
            Kind::GroupConcat => State::Texts { entries: Vec::new(), bytes: 0 },
            Kind::Grouping => State::Count(0),
            Kind::JsonArray => State::Json(JsonState::Array(Vec::new())),
            Kind::JsonObject => State::Json(JsonState::Object(BTreeMap::new(), 0)),
        };
        let distinct = self.duplicates == Duplicates::Distinct && !matches!(self.kind, Kind::Min | Kind::Max);
        Accumulator { state, seen: distinct.then(HashSet::default), seen_bytes: 0 }
    }
}

/// The state of one aggregate in one group.
#[derive(Clone, Debug)]
pub struct Accumulator {
    state: State,
    /// Group keys of the arguments met, for DISTINCT.
    seen: Option<HashSet<Vec<u8>>>,
    seen_bytes: usize,
}

#[derive(Clone, Debug)]
enum State {
    Count(i64),
    Sum {
        sum: Sum,
        count: u64,
    },
    Extreme(Value),
    Bits(u64),
    /// Welford's running mean and sum of squared differences.
    Moments {
        count: f64,
        mean: f64,
        squares: f64,
    },
    Texts {
        entries: Vec<Entry>,
        bytes: usize,
    },
    Json(JsonState),
}

impl Accumulator {
    /// Takes in an input row: evaluates the aggregate's arguments over it.
    ///
    /// # Errors
    /// Those of the arguments, and 1690 for sums out of range.
    pub fn update(&mut self, aggregate: &Aggregate, row: &[Value], ctx: &mut EvalContext) -> SqlResult<()> {
        if self.seen.is_some() && !self.is_new(aggregate, row, ctx)? {
            return Ok(());
        }
        let Some(arg) = aggregate.args.first() else {
            if let State::Count(n) = &mut self.state {
                *n += 1;
            }
            return Ok(());
        };
        match &mut self.state {
            State::Texts { .. } => return self.add_text(aggregate, row, ctx),
            State::Json(json) => return json.add(&aggregate.args, row, ctx),
            _ => {}
        }
        let value = eval_ref(arg, row, ctx)?;
        if value.is_null() {
            return Ok(());
        }
        let ty = arg.data_type();
        match &mut self.state {
            State::Count(n) => *n += 1,
            State::Sum { sum, count } => {
                *count += 1;
                sum.add(&value, ty, ctx)?;
            }
            State::Extreme(best) => {
                let plain = plain_value(&value, ty);
                let order = sort_order(&plain, best, &aggregate.ty.data_type);
                let wanted = if aggregate.kind == Kind::Min { Ordering::Less } else { Ordering::Greater };
                if best.is_null() || order == wanted {
                    *best = plain;
                }
            }
            State::Bits(bits) => {
                let other = coerce::bits64(&value, ty, ctx)?;
                *bits = match aggregate.kind {
                    Kind::BitAnd => *bits & other,
                    Kind::BitOr => *bits | other,
                    _ => *bits ^ other,
                };
            }
            State::Moments { count, mean, squares } => {
                let x = coerce::double(&value, ty, ctx)?;
                *count += 1.0;
                let before = *mean;
                *mean += (x - before) / *count;
                *squares += (x - before) * (x - *mean);
            }
            State::Texts { .. } | State::Json(_) => {}
        }
        Ok(())
    }

    /// As [`Accumulator::update`], when there is no memory for what DISTINCT has met: a row whose arguments are new is not
    /// taken in. What tells them apart is given back, with the value for [`Accumulator::take_later`].
    pub(crate) fn update_or_defer(
        &mut self,
        aggregate: &Aggregate,
        row: &[Value],
        ctx: &mut EvalContext,
    ) -> SqlResult<Option<(Vec<u8>, Value)>> {
        let (Some(arg), Some(key)) = (aggregate.args.first(), distinct_key(aggregate, row, ctx)?) else {
            return Ok(None);
        };
        if self.seen.as_ref().is_some_and(|seen| seen.contains(&key)) {
            return Ok(None);
        }
        Ok(Some((key, arg.eval(row, ctx)?)))
    }

    /// Takes in what [`Accumulator::update_or_defer`] gave, once for each key, when all rows have been read.
    /// `aggregate` is that of [`Aggregate::of_values`].
    pub(crate) fn take_later(
        &mut self,
        aggregate: &Aggregate,
        value: &Value,
        ctx: &mut EvalContext,
    ) -> SqlResult<()> {
        self.seen = None;
        self.update(aggregate, std::slice::from_ref(value), ctx)
    }

    /// Whether these arguments were not met before; rows with a NULL among them count as met.
    fn is_new(&mut self, aggregate: &Aggregate, row: &[Value], ctx: &mut EvalContext) -> SqlResult<bool> {
        let Some(key) = distinct_key(aggregate, row, ctx)? else { return Ok(false) };
        let length = key.len();
        let new = self.seen.as_mut().is_none_or(|seen| seen.insert(key));
        if new {
            self.seen_bytes += length + size_of::<Vec<u8>>();
        }
        Ok(new)
    }

    fn add_text(&mut self, aggregate: &Aggregate, row: &[Value], ctx: &mut EvalContext) -> SqlResult<()> {
        let mut text = Vec::new();
        for arg in &aggregate.args {
            let value = eval_ref(arg, row, ctx)?;
            if value.is_null() {
                return Ok(());
            }
            text.extend_from_slice(&coerce::text(&value, arg.data_type()));
        }
        let keys: SqlResult<Vec<Value>> = aggregate.order_by.iter().map(|(e, _)| e.eval(row, ctx)).collect();
        if let State::Texts { entries, bytes } = &mut self.state {
            *bytes += text.len() + size_of::<Entry>();
            entries.push(Entry { keys: keys?, text: text.into() });
        }
        Ok(())
    }

    /// The result.
    ///
    /// # Errors
    /// 1690.
    pub fn finish(self, aggregate: &Aggregate, ctx: &mut EvalContext) -> SqlResult<Value> {
        Ok(match self.state {
            State::Count(n) => Value::Int(n),
            State::Extreme(best) => best,
            State::Bits(bits) => Value::UInt(bits),
            State::Sum { count: 0, .. } => Value::Null,
            State::Sum { sum, count } if aggregate.kind == Kind::Avg => {
                sum.average(count, &aggregate.ty.data_type)?
            }
            State::Sum { sum, .. } => sum.total(),
            State::Moments { count, squares, .. } => match aggregate.kind {
                Kind::Variance(spread) => spread.of(count, squares),
                _ => Value::Null,
            },
            State::Json(json) => json.finish(),
            State::Texts { entries, .. } if entries.is_empty() => Value::Null,
            State::Texts { entries, .. } => join(entries, aggregate, ctx),
        })
    }

    /// Bytes held, for the executor's memory budget.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        let texts = match &self.state {
            State::Texts { bytes, .. } => *bytes,
            State::Json(json) => json.bytes(),
            State::Extreme(Value::Bytes(b)) => b.len(),
            _ => 0,
        };
        size_of::<Self>() + self.seen_bytes + texts
    }
}

/// Bytes that tell the arguments of a row apart, for DISTINCT; `None` with a NULL among them.
#[inline]
fn distinct_key(aggregate: &Aggregate, row: &[Value], ctx: &mut EvalContext) -> SqlResult<Option<Vec<u8>>> {
    let mut key = Vec::new();
    for arg in &aggregate.args {
        let value = eval_ref(arg, row, ctx)?;
        if value.is_null() {
            return Ok(None);
        }
        write_group_key(&value, arg.data_type(), &mut key);
    }
    Ok(Some(key))
}

/// ENUM and SET count as their texts in MIN and MAX.
fn plain_value(value: &Value, ty: &DataType) -> Value {
    match ty.kind {
        TypeKind::Enum | TypeKind::Set => Value::Bytes(coerce::text(value, ty)),
        _ => value.clone(),
    }
}

impl Spread {
    fn of(self, count: f64, squares: f64) -> Value {
        let sample = matches!(self, Self::VarSamp | Self::StdSamp);
        let divisor = if sample { count - 1.0 } else { count };
        if divisor <= 0.0 {
            return Value::Null;
        }
        let variance = squares / divisor;
        Value::Double(match self {
            Self::VarPop | Self::VarSamp => variance,
            Self::StdPop | Self::StdSamp => variance.sqrt(),
        })
    }
}
