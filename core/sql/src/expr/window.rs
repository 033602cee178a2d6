//! Window functions (manual 12.21.1): names, arguments, types. The executor computes them over partitions.

use aquifer_types::{DataType, SqlError, SqlResult, TypeKind};

use super::aggregate::{Aggregate, Duplicates};
use super::context::BindContext;
use super::infer::{double_type, number, typed, uint_type};
use super::ir::{Expr, ExprType};

/// What a window function computes.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum WindowKind {
    RowNumber,
    Rank,
    DenseRank,
    PercentRank,
    CumeDist,
    Ntile,
    /// Rows before the present one.
    Lag,
    /// Rows after it.
    Lead,
    FirstValue,
    LastValue,
    NthValue,
    /// An aggregate over the frame.
    Aggregate(Box<Aggregate>),
}

/// A window function with its arguments; those of an aggregate are within it.
#[derive(Clone, Debug, PartialEq)]
pub struct WindowFunction {
    /// Which.
    pub kind: WindowKind,
    /// Arguments over the row: value, distance, default.
    pub args: Vec<Expr>,
    /// The result.
    pub ty: ExprType,
}

fn kind_of(name: &str) -> Option<(WindowKind, usize, usize)> {
    Some(match name {
        "row_number" => (WindowKind::RowNumber, 0, 0),
        "rank" => (WindowKind::Rank, 0, 0),
        "dense_rank" => (WindowKind::DenseRank, 0, 0),
        "percent_rank" => (WindowKind::PercentRank, 0, 0),
        "cume_dist" => (WindowKind::CumeDist, 0, 0),
        "ntile" => (WindowKind::Ntile, 1, 1),
        "lag" => (WindowKind::Lag, 1, 3),
        "lead" => (WindowKind::Lead, 1, 3),
        "first_value" => (WindowKind::FirstValue, 1, 1),
        "last_value" => (WindowKind::LastValue, 1, 1),
        "nth_value" => (WindowKind::NthValue, 2, 2),
        _ => return None,
    })
}

/// Whether `name` (in any case) is a function that needs OVER.
#[must_use]
pub fn is_window_only(name: &str) -> bool {
    kind_of(&name.to_ascii_lowercase()).is_some()
}

impl WindowFunction {
    /// Binds `name(args) OVER`, aggregates included.
    ///
    /// # Errors
    /// 1235 for DISTINCT and GROUP_CONCAT as in MySQL, 1582 for a wrong number of arguments, 1210 for a distance
    /// that is no constant, 3593 for a function that has no OVER.
    pub fn new(name: &str, duplicates: Duplicates, args: Vec<Expr>, bind: &BindContext) -> SqlResult<Self> {
        let lower = name.to_ascii_lowercase();
        let Some((kind, least, most)) = kind_of(&lower) else {
            if !super::aggregate::is_aggregate(&lower) {
                return Err(SqlError::new(3593, format!("You cannot use OVER with the function '{name}'.")));
            }
            if duplicates == Duplicates::Distinct {
                return Err(SqlError::not_supported("<window function>(DISTINCT ..)"));
            }
            if lower == "group_concat" {
                return Err(SqlError::not_supported("group_concat as window function"));
            }
            let aggregate = Aggregate::new(name, duplicates, args, bind)?;
            let ty = aggregate.expr_type().clone();
            return Ok(Self { kind: WindowKind::Aggregate(Box::new(aggregate)), args: Vec::new(), ty });
        };
        if args.len() < least || args.len() > most {
            let text = format!("Incorrect parameter count in the call to native function '{name}'");
            return Err(SqlError::new(1582, text));
        }
        let distance = match kind {
            WindowKind::Ntile => args.first(),
            _ => args.get(1),
        };
        if distance.is_some_and(|e| !e.is_constant() && !is_user_variable(e)) {
            return Err(SqlError::new(1210, format!("Incorrect arguments to {lower}")));
        }
        let ty = result_type(&kind, &args, bind)?;
        Ok(Self { kind, args, ty })
    }

    /// Its name.
    pub(crate) fn name(&self) -> &'static str {
        match &self.kind {
            WindowKind::RowNumber => "row_number",
            WindowKind::Rank => "rank",
            WindowKind::DenseRank => "dense_rank",
            WindowKind::PercentRank => "percent_rank",
            WindowKind::CumeDist => "cume_dist",
            WindowKind::Ntile => "ntile",
            WindowKind::Lag => "lag",
            WindowKind::Lead => "lead",
            WindowKind::FirstValue => "first_value",
            WindowKind::LastValue => "last_value",
            WindowKind::NthValue => "nth_value",
            WindowKind::Aggregate(aggregate) => aggregate.name(),
        }
    }

    /// Every expression that is evaluated over rows.
    pub fn exprs_mut(&mut self) -> impl Iterator<Item = &mut Expr> {
        let of_aggregate = match &mut self.kind {
            WindowKind::Aggregate(aggregate) => Some(aggregate.args.iter_mut()),
            _ => None,
        };
        self.args.iter_mut().chain(of_aggregate.into_iter().flatten())
    }

    /// As [`WindowFunction::exprs_mut`].
    pub fn exprs(&self) -> impl Iterator<Item = &Expr> {
        let of_aggregate = match &self.kind {
            WindowKind::Aggregate(aggregate) => Some(aggregate.args.iter()),
            _ => None,
        };
        self.args.iter().chain(of_aggregate.into_iter().flatten())
    }
}

fn is_user_variable(e: &Expr) -> bool {
    matches!(e, Expr::Call(call) if matches!(call.op, super::ir::Op::UserVariable(_)))
}

fn result_type(kind: &WindowKind, args: &[Expr], bind: &BindContext) -> SqlResult<ExprType> {
    Ok(match kind {
        WindowKind::PercentRank | WindowKind::CumeDist => number(double_type(), false),
        WindowKind::Ntile => number(uint_type(21), true),
        WindowKind::Lag | WindowKind::Lead if args.len() == 3 => {
            let values = [args[0].clone(), args[2].clone()];
            let (ty, strength) = super::infer::common_type(&values, "lead", bind)?;
            typed(ty, true, strength)
        }
        WindowKind::Lag
        | WindowKind::Lead
        | WindowKind::FirstValue
        | WindowKind::LastValue
        | WindowKind::NthValue => ExprType { nullable: true, ..args[0].expr_type().clone() },
        _ => number(DataType { unsigned: true, ..DataType::of(TypeKind::BigInt) }, false),
    })
}

/// A value of `from` as a value of `to`, for the default of LAG and LEAD.
///
/// # Errors
/// Those of the conversion.
pub fn adapt(
    value: aquifer_types::Value,
    from: &DataType,
    to: &DataType,
    ctx: &mut super::context::EvalContext,
) -> SqlResult<aquifer_types::Value> {
    super::coerce::adapt(value, from, to, ctx)
}
