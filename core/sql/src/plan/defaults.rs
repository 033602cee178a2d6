//! What columns get that are not given: defaults, and ON UPDATE.

use std::sync::Arc;

use aquifer_catalog::{Column, ColumnDefault};
use aquifer_types::{DataType, SqlError, SqlResult, TypeKind, Value};

use crate::expr::{self, Expr};
use crate::plan::bind_expr::ExprContext;
use crate::plan::binder::Binder;
use crate::plan::dml::AssignmentPlan;
use crate::plan::scope::Scope;
use crate::plan::table_info::TableInfo;

/// What a column gets when nothing is given.
#[derive(Clone)]
pub(crate) enum DefaultPlan {
    /// A value of the column's type.
    Value(Value),
    /// An expression.
    Expr(Expr),
    /// The next AUTO_INCREMENT value.
    AutoIncrement,
    /// Error 1364, or the type's zero.
    Missing,
    /// As that, of a table that is changed through this view: error 1423.
    MissingInView(Arc<str>),
}

impl Binder<'_> {
    /// Defaults of all columns.
    pub(crate) fn defaults(&mut self, info: &TableInfo) -> SqlResult<Vec<DefaultPlan>> {
        info.table
            .columns
            .iter()
            .map(|column| match &column.default {
                _ if column.auto_increment => Ok(DefaultPlan::AutoIncrement),
                _ if column.generated.is_some() => Ok(DefaultPlan::Value(Value::Null)),
                ColumnDefault::None if column.nullable => Ok(DefaultPlan::Value(Value::Null)),
                ColumnDefault::None => Ok(DefaultPlan::Missing),
                ColumnDefault::Null => Ok(DefaultPlan::Value(Value::Null)),
                ColumnDefault::Literal(text) => {
                    super::table_info::text_value(text, &column.data_type).map(DefaultPlan::Value)
                }
                ColumnDefault::CurrentTimestamp(fsp) => self.now(*fsp).map(DefaultPlan::Expr),
                ColumnDefault::Expression(text) => {
                    let ast = crate::parse::parse_expression(text, self.env.bind.sql_mode)?;
                    let mut scope = Scope::new(None);
                    scope.push(self.plain_table(info))?;
                    let mut applies = Vec::new();
                    let mut cx = ExprContext::plain("field list", &mut applies);
                    self.expr(&ast, &scope, &mut cx).map(DefaultPlan::Expr)
                }
            })
            .collect()
    }

    /// NOW(fsp).
    fn now(&self, fsp: u8) -> SqlResult<Expr> {
        expr::function("NOW", vec![expr::int_literal(i64::from(fsp))], self.env.bind)
    }

    /// Columns with ON UPDATE CURRENT_TIMESTAMP that are not assigned.
    pub(crate) fn on_update(
        &self,
        info: &TableInfo,
        assignments: &[AssignmentPlan],
    ) -> SqlResult<Vec<(usize, Expr)>> {
        let mut out = Vec::new();
        for (position, column) in info.table.columns.iter().enumerate() {
            if let Some(fsp) = column.on_update
                && !assignments.iter().any(|assignment| assignment.column == position)
            {
                out.push((position, self.now(fsp)?));
            }
        }
        Ok(out)
    }

    /// DEFAULT(column) as an expression.
    pub(crate) fn default_expr(&mut self, column: &Column) -> SqlResult<Expr> {
        match &column.default {
            ColumnDefault::Literal(text) => {
                let value = super::table_info::text_value(text, &column.data_type)?;
                Ok(expr::literal(value, column.data_type.clone()))
            }
            ColumnDefault::None if !column.nullable && !column.auto_increment => {
                Err(SqlError::new(1364, format!("Field '{}' doesn't have a default value", column.name)))
            }
            ColumnDefault::None | ColumnDefault::Null => Ok(expr::null_literal()),
            ColumnDefault::CurrentTimestamp(fsp) => self.now(*fsp),
            ColumnDefault::Expression(_) => {
                Err(SqlError::new(3773, "DEFAULT function cannot be used with default value expressions"))
            }
        }
    }
}

/// Whether a column's zero value is its type's, for lenient inserts of a missing value.
pub(crate) fn zero_value(data_type: &DataType) -> Value {
    match data_type.kind {
        TypeKind::TinyInt | TypeKind::SmallInt | TypeKind::MediumInt | TypeKind::Int | TypeKind::BigInt => {
            if data_type.unsigned {
                Value::UInt(0)
            } else {
                Value::Int(0)
            }
        }
        TypeKind::Bit | TypeKind::Year | TypeKind::Set => Value::UInt(0),
        TypeKind::Enum => Value::UInt(1),
        TypeKind::Float => Value::Float(0.0),
        TypeKind::Double => Value::Double(0.0),
        TypeKind::Decimal => Value::Decimal(aquifer_types::Decimal::from_scaled(0, data_type.decimals)),
        TypeKind::Date => Value::Date(aquifer_types::Date::default()),
        TypeKind::Time => Value::Time(aquifer_types::Time::default()),
        TypeKind::DateTime | TypeKind::Timestamp => Value::DateTime(aquifer_types::DateTime::default()),
        TypeKind::Json => Value::Bytes(bytes::Bytes::from_static(b"null")),
        TypeKind::Binary => Value::Bytes(vec![0; data_type.length as usize].into()),
        _ => Value::Bytes(bytes::Bytes::new()),
    }
}
