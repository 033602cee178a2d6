//! Types of the results of aggregate functions (manual 12.19.1).

use aquifer_types::{DataType, SqlResult, TypeKind};

use super::aggregate::Kind;
use super::context::BindContext;
use super::infer::{
    Numeric, decimal_type, digits, double_type, int_type, number, numeric, string_of, text_length, typed,
    uint_type, unify_texts,
};
use super::ir::{Coercibility, Expr, ExprType};

/// The type of a function's result; arguments may be given another collation.
pub(super) fn result_type(kind: Kind, args: &mut [Expr], bind: &BindContext) -> SqlResult<ExprType> {
    let first = args.first().map(|a| a.expr_type().clone());
    let of = first.as_ref().map(|t| &t.data_type);
    Ok(match (kind, of) {
        (Kind::JsonArray | Kind::JsonObject, _) => super::json::json_type(true),
        (Kind::Count | Kind::Grouping, _) | (_, None) => number(int_type(21), false),
        (Kind::Sum, Some(ty)) => number(sum_type(ty), true),
        (Kind::Avg, Some(ty)) => number(avg_type(ty, bind), true),
        (Kind::BitAnd | Kind::BitOr | Kind::BitXor, _) => number(uint_type(21), false),
        (Kind::Variance(_), _) => number(double_type(), true),
        (Kind::Min | Kind::Max, Some(ty)) => {
            let strength = first.as_ref().map_or(Coercibility::IMPLICIT, |t| t.coercibility);
            let plain = match ty.kind {
                TypeKind::Enum | TypeKind::Set => string_of(text_length(ty), ty.collation),
                _ => DataType { zerofill: false, ..ty.clone() },
            };
            typed(plain, true, strength)
        }
        (Kind::GroupConcat, _) => {
            let (collation, strength) = unify_texts(args, "group_concat", bind)?;
            let chars = bind.group_concat_max_len / u64::from(collation.charset().maxlen());
            let length = u32::try_from(chars).unwrap_or(u32::MAX);
            typed(string_of(length, collation), true, strength.min(Coercibility::LITERAL))
        }
    })
}

fn sum_type(ty: &DataType) -> DataType {
    if numeric(ty) == Numeric::Double {
        return double_type();
    }
    let (integer, scale) = digits(ty);
    decimal_type((integer + scale + 22).min(65), scale)
}

fn avg_type(ty: &DataType, bind: &BindContext) -> DataType {
    if numeric(ty) == Numeric::Double {
        return double_type();
    }
    let (integer, scale) = digits(ty);
    let increment = u32::from(bind.div_precision_increment);
    decimal_type(integer + scale + increment, (scale + increment).min(30))
}
