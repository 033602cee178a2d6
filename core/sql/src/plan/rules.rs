//! What every row of a table is checked against and what is computed of it: generated columns, CHECK
//! constraints, foreign keys. Bound with each statement that changes rows, over a row of the table's columns.

use std::sync::Arc;

use aquifer_types::{SqlError, SqlResult};

use crate::expr::Expr;
use crate::plan::bind_expr::ExprContext;
use crate::plan::binder::Binder;
use crate::plan::foreign::ForeignKeys;
use crate::plan::scope::Scope;
use crate::plan::table_info::TableInfo;

/// A condition that rows must not fail.
pub(crate) struct CheckPlan {
    pub name: Arc<str>,
    pub condition: Expr,
}

/// All rules of one table.
#[derive(Default)]
pub(crate) struct RowRules {
    /// Generated columns, in the order in which they are computed.
    pub generated: Vec<(usize, Expr)>,
    /// Enforced CHECK constraints.
    pub checks: Vec<CheckPlan>,
    /// Foreign keys from and to the table; `None` when there are none.
    pub foreign: Option<ForeignKeys>,
}

impl Binder<'_> {
    /// The rules of a table, foreign keys included.
    pub(crate) fn rules(&mut self, info: &Arc<TableInfo>) -> SqlResult<RowRules> {
        let generated = self.generated_columns(info)?;
        let mut checks = Vec::new();
        for check in info.table.checks.iter().filter(|check| check.enforced) {
            let condition = self.definition_expr(&check.expression, info, "check constraint")?;
            checks.push(CheckPlan { name: check.name.clone(), condition });
        }
        Ok(RowRules { generated, checks, foreign: self.foreign_keys(info)? })
    }

    /// The expressions of generated columns. One may use another only when that one stands before it.
    pub(crate) fn generated_columns(&mut self, info: &TableInfo) -> SqlResult<Vec<(usize, Expr)>> {
        let mut out = Vec::new();
        for (position, column) in info.table.columns.iter().enumerate() {
            if let Some(generated) = &column.generated {
                let expr = self.definition_expr(&generated.expression, info, "generated column function")?;
                out.push((position, expr));
            }
        }
        Ok(out)
    }

    /// Binds an expression of a definition over the columns of its table.
    ///
    /// # Errors
    /// 1054 with `clause`; 1235 for subqueries.
    pub(crate) fn definition_expr(
        &mut self,
        text: &str,
        info: &TableInfo,
        clause: &'static str,
    ) -> SqlResult<Expr> {
        let ast = crate::parse::parse_expression(text, aquifer_types::SqlMode::default())?;
        let mut scope = Scope::new(None);
        scope.push(self.plain_table(info))?;
        let mut applies = Vec::new();
        let mut cx = ExprContext::plain(clause, &mut applies);
        let bound = self.expr(&ast, &scope, &mut cx)?;
        if applies.is_empty() {
            Ok(bound)
        } else {
            Err(SqlError::not_supported("subqueries in a definition"))
        }
    }
}
