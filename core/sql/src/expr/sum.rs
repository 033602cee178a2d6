//! Sums of SUM and AVG: exact for exact numbers, in integers as long as the arguments are integers.

use aquifer_types::{DataType, Decimal, SqlError, SqlResult, Value};

use super::coerce;
use super::context::EvalContext;
use super::infer::{Family, Numeric, family, numeric};

/// A sum as narrow as its arguments allow.
#[derive(Clone, Debug)]
pub(crate) enum Sum {
    None,
    Int(i128),
    Decimal(Decimal),
    Double(f64),
}

fn sum_out_of_range() -> SqlError {
    SqlError::new(1690, "DECIMAL value is out of range in 'sum'")
}

impl Sum {
    pub(crate) fn add(&mut self, value: &Value, ty: &DataType, ctx: &mut EvalContext) -> SqlResult<()> {
        if let (Self::Decimal(sum), Value::Decimal(other)) = (&mut *self, value) {
            *sum = sum.add(other).ok_or_else(sum_out_of_range)?;
            return Ok(());
        }
        let is_double = numeric(ty) == Numeric::Double;
        match (&mut *self, value) {
            (Self::Int(sum), Value::Int(n)) => *sum += i128::from(*n),
            (Self::Int(sum), Value::UInt(n)) if family(ty) == Family::Integer => *sum += i128::from(*n),
            (Self::Double(sum), _) => *sum += coerce::double(value, ty, ctx)?,
            (Self::None, Value::Int(n)) => *self = Self::Int(i128::from(*n)),
            (Self::None, Value::UInt(n)) if family(ty) == Family::Integer => {
                *self = Self::Int(i128::from(*n))
            }
            (Self::None, _) if is_double => *self = Self::Double(coerce::double(value, ty, ctx)?),
            (Self::None, _) => *self = Self::Decimal(coerce::decimal(value, ty, ctx)?),
            (Self::Decimal(sum), _) => {
                let other = coerce::decimal(value, ty, ctx)?;
                *sum = sum.add(&other).ok_or_else(sum_out_of_range)?;
            }
            (Self::Int(sum), _) => {
                let other = coerce::decimal(value, ty, ctx)?;
                let sum = Decimal::from_i128(*sum).add(&other).ok_or_else(sum_out_of_range)?;
                *self = Self::Decimal(sum);
            }
        }
        Ok(())
    }

    pub(crate) fn total(self) -> Value {
        match self {
            Self::None => Value::Null,
            Self::Int(n) => Value::Decimal(Decimal::from_i128(n)),
            Self::Decimal(d) => Value::Decimal(d),
            Self::Double(x) => Value::Double(x),
        }
    }

    pub(crate) fn average(self, count: u64, ty: &DataType) -> SqlResult<Value> {
        #[allow(clippy::cast_precision_loss)] // the nearest double is what is wanted
        let sum = match self {
            Self::None => return Ok(Value::Null),
            Self::Double(x) => return Ok(Value::Double(x / count as f64)),
            Self::Int(n) => Decimal::from_i128(n),
            Self::Decimal(d) => d,
        };
        let increment = ty.decimals.saturating_sub(sum.scale());
        let average = sum.div(&Decimal::from_u64(count), increment).ok_or_else(sum_out_of_range)?;
        Ok(Value::Decimal(average))
    }
}
