//! Applying a table's rules to a row on its way in.

use aquifer_types::convert::Strictness;
use aquifer_types::{SqlError, SqlResult, Value};

use crate::exec::ExecContext;
use crate::exec::{convert, subquery};
use crate::expr::Expr;
use crate::plan::table_info::TableInfo;
use crate::plan::{CheckOption, RowRules};
use crate::txn::Savepoint;

/// Computes the generated columns of a row as the session sees it.
pub(crate) fn generate(
    info: &TableInfo,
    generated: &[(usize, Expr)],
    row: &mut [Value],
    strictness: Strictness,
    ctx: &mut ExecContext<'_>,
) -> SqlResult<()> {
    for (column, expr) in generated {
        let value = expr.eval(row, &mut ctx.eval)?;
        let value = convert::store(info, *column, value, expr.data_type(), strictness, &mut ctx.eval)?;
        row[*column] = convert::not_null(info, *column, value, strictness, &mut ctx.eval)?;
    }
    Ok(())
}

/// Error 3819 when a row fails a CHECK constraint; NULL does not fail one.
pub(crate) fn check(rules: &RowRules, row: &[Value], ctx: &mut ExecContext<'_>) -> SqlResult<()> {
    for check in &rules.checks {
        let unknown = check.condition.eval(row, &mut ctx.eval)?.is_null();
        if !unknown && !check.condition.eval_filter(row, &mut ctx.eval)? {
            return Err(SqlError::new(3819, format!("Check constraint '{}' is violated.", check.name)));
        }
    }
    Ok(())
}

/// [`generate`], then [`check`].
pub(crate) fn complete(
    info: &TableInfo,
    rules: &RowRules,
    row: &mut [Value],
    strictness: Strictness,
    ctx: &mut ExecContext<'_>,
) -> SqlResult<()> {
    if rules.generated.is_empty() && rules.checks.is_empty() {
        return Ok(());
    }
    generate(info, &rules.generated, row, strictness, ctx)?;
    check(rules, row, ctx)
}

/// Error 1369 when a row does not satisfy the conditions of the view through which it is changed; NULL does not.
pub(crate) async fn check_option<'a>(
    check: Option<&'a CheckOption>,
    row: &[Value],
    ctx: &mut ExecContext<'a>,
) -> SqlResult<()> {
    let Some(check) = check else { return Ok(()) };
    for apply in &check.applies {
        subquery::run(apply, row, ctx).await?;
    }
    for condition in &check.conditions {
        if !condition.eval_filter(row, &mut ctx.eval)? {
            return Err(SqlError::new(1369, format!("CHECK OPTION failed '{}'", check.view)));
        }
    }
    Ok(())
}

/// What became of a row that was to be written after `savepoint`: whether it was. Under IGNORE an error that can be
/// ignored undoes the row and becomes a warning.
///
/// # Errors
/// The others.
pub(crate) fn unless_ignored(
    written: SqlResult<()>,
    ignore: bool,
    savepoint: Savepoint,
    ctx: &mut ExecContext<'_>,
) -> SqlResult<bool> {
    match written {
        Err(error) if ignore && is_ignorable(&error) => {
            ctx.txn.rollback_to(savepoint);
            ctx.eval.warnings.demote(&error);
            Ok(false)
        }
        other => other.map(|()| true),
    }
}

/// Errors that IGNORE turns into warnings about one row: duplicates, CHECK, CHECK OPTION, foreign keys.
pub(crate) fn is_ignorable(error: &SqlError) -> bool {
    matches!(error.code(), 1062 | 3819 | 1369 | 1451 | 1452)
}
