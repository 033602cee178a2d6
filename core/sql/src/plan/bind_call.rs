//! Calls that are bound by rules of their own: JSON_VALUE and GROUPING.

use aquifer_types::{SqlError, SqlResult, Value};
use bytes::Bytes;

use crate::ast::{FunctionCall, JsonOtherwise, JsonValueCall, VariableScope};
use crate::expr::aggregate::Aggregate;
use crate::expr::{self, CastTarget, Expr, Otherwise};
use crate::plan::bind_expr::{AGGREGATE_BASE, ExprContext};
use crate::plan::binder::Binder;
use crate::plan::scope::Scope;

impl Binder<'_> {
    pub(crate) fn json_value(
        &mut self,
        call: &JsonValueCall,
        scope: &Scope<'_>,
        cx: &mut ExprContext<'_>,
    ) -> SqlResult<Expr> {
        let document = self.expr(&call.document, scope, cx)?;
        let path = self.expr(&call.path, scope, cx)?;
        let target = call.returning.as_ref().map(|target| self.cast_target(target)).transpose()?;
        let empty = self.otherwise(&call.on_empty, scope, cx)?;
        let error = self.otherwise(&call.on_error, scope, cx)?;
        expr::json_value(document, path, target, (empty, error), self.env.bind)
    }

    fn otherwise(
        &mut self,
        what: &JsonOtherwise,
        scope: &Scope<'_>,
        cx: &mut ExprContext<'_>,
    ) -> SqlResult<Otherwise> {
        Ok(match what {
            JsonOtherwise::Null => Otherwise::Null,
            JsonOtherwise::Error => Otherwise::Error,
            JsonOtherwise::Default(value) => Otherwise::Default(self.expr(value, scope, cx)?),
        })
    }

    /// AES functions depend on a variable, which becomes their fourth argument.
    pub(crate) fn add_encryption_mode(&mut self, name: &str, args: &mut Vec<Expr>) -> SqlResult<()> {
        if args.len() > 3 {
            return Err(SqlError::not_supported(&format!("{name} with a key derivation function")));
        }
        if args.len() < 2 {
            return Ok(());
        }
        self.reusable = false;
        let mode = match self.env.variables.get(VariableScope::Default, "block_encryption_mode") {
            Ok((Value::Bytes(mode), _)) => mode,
            _ => Bytes::from_static(b"aes-128-ecb"),
        };
        args.resize(3, expr::null_literal());
        args.push(expr::string_literal(mode, self.env.bind.collation));
        Ok(())
    }

    /// GROUPING(expr, …): which of its arguments the row's level of WITH ROLLUP has summed up.
    pub(crate) fn grouping(
        &mut self,
        call: &FunctionCall,
        scope: &Scope<'_>,
        cx: &mut ExprContext<'_>,
    ) -> SqlResult<Expr> {
        let Some(aggregates) = cx.aggregates.take() else {
            return Err(SqlError::new(1111, "Invalid use of group function"));
        };
        let mut inner =
            ExprContext { aliases: cx.aliases, ..ExprContext::plain(cx.clause, &mut *cx.applies) };
        let args = self.exprs(&call.args, scope, &mut inner)?;
        let aggregate = Aggregate::grouping(args);
        let ty = aggregate.expr_type().clone();
        let number = aggregates.len();
        aggregates.push(aggregate);
        cx.aggregates = Some(aggregates);
        Ok(Expr::Column { index: AGGREGATE_BASE + number, ty })
    }

    /// The target of CAST.
    pub(crate) fn cast_target(&self, target: &crate::ast::CastType) -> SqlResult<CastTarget> {
        let fsp = u8::try_from(target.length.unwrap_or(0)).unwrap_or(u8::MAX);
        Ok(match target.name.as_str() {
            "SIGNED" => CastTarget::Signed,
            "UNSIGNED" => CastTarget::Unsigned,
            "BINARY" => CastTarget::Binary(target.length),
            "CHAR" | "CHARACTER" | "NCHAR" => {
                let collation = match &target.charset {
                    Some(name) if name.eq_ignore_ascii_case("binary") => {
                        return Ok(CastTarget::Binary(target.length));
                    }
                    Some(name) => aquifer_types::collation::Charset::by_name(name)
                        .ok_or_else(|| SqlError::new(1115, format!("Unknown character set: '{name}'")))?
                        .default_collation(),
                    None => self.env.bind.collation,
                };
                CastTarget::Char(target.length, collation)
            }
            "DATE" => CastTarget::Date,
            "TIME" => CastTarget::Time(fsp),
            "DATETIME" => CastTarget::DateTime(fsp),
            "YEAR" => CastTarget::Year,
            "DECIMAL" => CastTarget::Decimal(
                u8::try_from(target.length.unwrap_or(10)).unwrap_or(u8::MAX),
                target.decimals.unwrap_or(0),
            ),
            "FLOAT" => CastTarget::Float,
            "DOUBLE" | "REAL" => CastTarget::Double,
            _ => CastTarget::Json,
        })
    }
}
