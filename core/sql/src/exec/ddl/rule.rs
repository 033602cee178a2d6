//! CHECK constraints, generated columns and functional key parts: definitions, and rows that exist already.

use std::sync::Arc;

use aquifer_catalog::{Check, Column, ColumnDefault, ColumnId, Table};
use aquifer_types::{DataType, SqlError, SqlMode, SqlResult, TypeKind, Value};

use crate::ast::{AstExpr, CheckDef, ColumnRef, GeneratedDef, VariableScope, expression_text};
use crate::exec::ddl::all_rows::AllRows;
use crate::exec::ddl::table::take_column_id;
use crate::exec::{ExecContext, ForeignKeyChecks, foreign, rules, write};
use crate::expr::BindContext;
use crate::plan::binder::Binder;
use crate::plan::table_info::TableInfo;
use crate::plan::{PlanEnv, RowRules, SystemVariables};

/// Definitions may not use variables.
struct NoVariables;

impl SystemVariables for NoVariables {
    fn get(&self, _: VariableScope, _: &str) -> SqlResult<(Value, DataType)> {
        Err(SqlError::not_supported("variables in a definition"))
    }
}

/// Binds against the transaction's catalog.
fn bound<T>(
    bind: &BindContext,
    ctx: &ExecContext<'_>,
    body: impl FnOnce(&mut Binder<'_>) -> SqlResult<T>,
) -> SqlResult<T> {
    let catalog = ctx.txn.catalog();
    let user_variables = ctx.eval.user_variables.borrow();
    let env = PlanEnv {
        catalog: &catalog,
        bind,
        variables: &NoVariables,
        user_variables: &user_variables,
        virtual_tables: ctx.virtual_tables,
        param_types: &[],
        statistics: &crate::statistics::NoStatistics,
        first: None,
    };
    body(&mut Binder::new(&env, 0))
}

/// The rules of a table as it is defined now; unknown names in them are errors.
pub(super) fn rules_of(table: &Table, bind: &BindContext, ctx: &ExecContext<'_>) -> SqlResult<RowRules> {
    // Rows are not read: the layouts need not be there yet.
    let info = Arc::new(TableInfo::new(&Arc::new(table.clone()))?);
    bound(bind, ctx, |binder| binder.rules(&info))
}

/// Checks the expressions of a table's definition: their names, and that generated columns come in order.
pub(super) fn check_definition(table: &Table, bind: &BindContext, ctx: &ExecContext<'_>) -> SqlResult<()> {
    let computed = table.columns.iter().any(|column| column.generated.is_some());
    if !computed && table.checks.is_empty() {
        return Ok(());
    }
    for check in &table.checks {
        for name in column_names(&check.expression)? {
            if table.column_position(&name).is_none() {
                let text =
                    format!("Check constraint '{}' refers to non-existing column '{name}'.", check.name);
                return Err(SqlError::new(3820, text));
            }
        }
    }
    for (position, column) in table.columns.iter().enumerate() {
        let Some(generated) = &column.generated else { continue };
        for name in column_names(&generated.expression)? {
            let Some(at) = table.column_position(&name) else { continue };
            let used = &table.columns[at];
            if used.auto_increment {
                let text =
                    format!("Generated column '{}' cannot refer to auto-increment column.", column.name);
                return Err(SqlError::new(3109, text));
            }
            if used.generated.is_some() && at >= position {
                let text = "Generated column can refer only to generated columns defined prior to it.";
                return Err(SqlError::new(3107, text));
            }
        }
    }
    let info = TableInfo::new(&Arc::new(table.clone()))?;
    let rules = bound(bind, ctx, |binder| binder.rules(&Arc::new(info)))?;
    let volatile = rules.generated.iter().find(|(_, expr)| crate::plan::has_volatile(expr));
    if let Some((position, _)) = volatile {
        let text = format!(
            "Expression of generated column '{}' contains a disallowed function.",
            table.columns[*position].name
        );
        return Err(SqlError::new(3102, text));
    }
    Ok(())
}

/// Names of the columns that an expression of a definition uses.
pub(super) fn column_names(text: &str) -> SqlResult<Vec<String>> {
    let ast = crate::parse::parse_expression(text, SqlMode::default())?;
    let mut names = Vec::new();
    collect(&ast, &mut names);
    Ok(names)
}

fn collect(ast: &AstExpr, names: &mut Vec<String>) {
    if let AstExpr::Column(ColumnRef { name, .. }) = ast {
        names.push(name.clone());
    }
    ast.for_each_child(&mut |child| collect(child, names));
}

/// Adds a CHECK constraint.
pub(super) fn add_check(table: &mut Table, def: &CheckDef, ctx: &ExecContext<'_>) -> SqlResult<()> {
    let name = match &def.name {
        Some(name) => name.clone(),
        None => {
            let prefix = format!("{}_chk_", table.name);
            let number = |check: &Check| check.name.strip_prefix(&*prefix)?.parse::<u32>().ok();
            format!("{prefix}{}", table.checks.iter().filter_map(number).max().unwrap_or(0) + 1)
        }
    };
    let same = |check: &Check| check.name.eq_ignore_ascii_case(&name);
    let catalog = ctx.txn.catalog();
    let database = catalog.database(&table.schema);
    let others = database.into_iter().flat_map(|database| catalog.tables(database.id));
    // Constraints of temporary tables are known to nobody else.
    let others = others.filter(|other| other.id != table.id && !table.id.is_temporary());
    let taken = others.into_iter().any(|other| other.checks.iter().any(same));
    if taken || table.checks.iter().any(same) {
        return Err(SqlError::new(3822, format!("Duplicate check constraint name '{name}'.")));
    }
    let expression = expression_text(&def.expr)?;
    if let Some(column) = &def.column
        && column_names(&expression)?.iter().any(|used| !used.eq_ignore_ascii_case(column))
    {
        return Err(SqlError::new(
            3813,
            format!("Column check constraint '{name}' references other column."),
        ));
    }
    table.checks.push(Check { name: Arc::from(name.as_str()), expression, enforced: def.enforced });
    Ok(())
}

/// Removes a CHECK constraint by name.
pub(super) fn drop_check(table: &mut Table, name: &str) -> SqlResult<()> {
    let before = table.checks.len();
    table.checks.retain(|check| !check.name.eq_ignore_ascii_case(name));
    if table.checks.len() == before {
        let text = format!("Check constraint '{name}' is not found in the table.");
        return Err(SqlError::new(3821, text));
    }
    Ok(())
}

/// Refuses to drop or rename a column that expressions use; drops CHECK constraints that use no other.
pub(super) fn release_column(table: &mut Table, name: &str, dropping: bool) -> SqlResult<()> {
    let uses = |text: &str| -> SqlResult<(bool, bool)> {
        let names = column_names(text)?;
        let used = names.iter().any(|used| used.eq_ignore_ascii_case(name));
        Ok((used, names.iter().all(|used| used.eq_ignore_ascii_case(name))))
    };
    for column in &table.columns {
        if let Some(generated) = &column.generated
            && uses(&generated.expression)?.0
        {
            let text = if column.hidden {
                format!("Column '{name}' has a functional index dependency and cannot be dropped or renamed.")
            } else {
                format!("Column '{name}' has a generated column dependency.")
            };
            return Err(SqlError::new(if column.hidden { 3837 } else { 3108 }, text));
        }
    }
    let mut kept = Vec::new();
    for check in std::mem::take(&mut table.checks) {
        let (used, alone) = uses(&check.expression)?;
        if used && !(alone && dropping) {
            let text = format!(
                "Check constraint '{}' uses column '{name}', hence column cannot be dropped or renamed.",
                check.name
            );
            return Err(SqlError::new(3959, text));
        }
        if !used {
            kept.push(check);
        }
    }
    table.checks = kept;
    Ok(())
}

/// Makes a column a generated one.
pub(super) fn generate(column: &mut Column, def: &GeneratedDef) -> SqlResult<()> {
    if column.auto_increment || column.on_update.is_some() || column.default != ColumnDefault::None {
        return Err(SqlError::new(1221, "Incorrect usage of DEFAULT and generated column"));
    }
    let expression = expression_text(&def.expr)?;
    column.generated = Some(aquifer_catalog::Generated { expression, stored: def.stored });
    Ok(())
}

/// Adds the hidden column of a functional key part.
pub(super) fn hidden_column(
    table: &mut Table,
    index: &str,
    part: usize,
    ast: &AstExpr,
    bind: &BindContext,
    ctx: &ExecContext<'_>,
) -> SqlResult<ColumnId> {
    if matches!(ast, AstExpr::Column(_)) {
        return Err(SqlError::new(
            3756,
            "Functional index on a column is not supported. Consider using a regular index instead.",
        ));
    }
    let expression = expression_text(ast)?;
    let info = TableInfo::new(&Arc::new(table.clone()))?;
    let expr = bound(bind, ctx, |binder| binder.definition_expr(&expression, &info, "functional index"))?;
    let mut data_type = expr.data_type().clone();
    if matches!(data_type.kind, TypeKind::Json) {
        let text = "Cannot create a functional index on an expression that returns a BLOB or TEXT. Please \
                    consider using CAST.";
        return Err(SqlError::new(3757, text));
    }
    if data_type.kind == TypeKind::VarChar && data_type.length > 768 {
        data_type.length = 768;
    }
    let id = take_column_id(table);
    table.columns.push(Column {
        id,
        name: Arc::from(format!("!hidden!{index}!{part}!0")),
        data_type,
        nullable: true,
        default: ColumnDefault::None,
        initial: None,
        on_update: None,
        auto_increment: false,
        invisible: true,
        comment: String::new(),
        generated: Some(aquifer_catalog::Generated { expression, stored: false }),
        hidden: true,
    });
    Ok(id)
}

/// Checks all rows of a table against its CHECK constraints and foreign keys, as ALTER TABLE adds some.
pub(super) async fn verify_rows(
    table: &Table,
    bind: &BindContext,
    ctx: &mut ExecContext<'_>,
) -> SqlResult<()> {
    let rules = rules_of(table, bind, ctx)?;
    let keys = rules.foreign.as_ref().filter(|_| ctx.foreign_key_checks == ForeignKeyChecks::On);
    let links = keys.and_then(|keys| keys.table(table.id)).filter(|links| !links.parents.is_empty());
    if rules.checks.is_empty() && links.is_none() {
        return Ok(());
    }
    let info = TableInfo::new(&Arc::new(table.clone()))?;
    let mut all = AllRows::of(&info, ctx.txn);
    while let Some(batch) = all.next().await? {
        for (_, row) in batch {
            let stored = write::stored_values(&info, row)?;
            rules::check(&rules, &foreign::to_session(&info, &stored, ctx.eval.time_zone), ctx)?;
            if let Some(links) = links {
                foreign::check_parents(links, &stored, None, None, ctx).await?;
            }
        }
    }
    Ok(())
}
