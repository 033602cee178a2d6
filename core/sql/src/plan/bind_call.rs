//! Calls that are bound by rules of their own: JSON_VALUE and GROUPING.

use aquifer_types::{SqlError, SqlResult};

use crate::ast::{FunctionCall, JsonOtherwise, JsonValueCall};
use crate::expr::aggregate::Aggregate;
use crate::expr::{self, Expr, Otherwise};
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
}
