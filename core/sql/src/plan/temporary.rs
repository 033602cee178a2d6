//! What plans have to do with temporary tables.

use aquifer_types::{SqlError, SqlResult};

use crate::ast::{Statement, TableName};
use crate::plan::binder::Binder;
use crate::plan::{PlanEnv, PlanKind};

/// Whether a plan changes rows or definitions of temporary tables and of no others.
pub(super) fn changes_only_temporary(kind: &PlanKind, env: &PlanEnv<'_>) -> bool {
    match kind {
        PlanKind::Insert(insert) => insert.table.table.id.is_temporary(),
        PlanKind::Update(update) => update.scan.table.table.id.is_temporary(),
        PlanKind::Delete(delete) => delete.scan.table.table.id.is_temporary(),
        PlanKind::UpdateJoin(update) => update.targets.iter().all(|t| t.info.table.id.is_temporary()),
        PlanKind::DeleteJoin(delete) => delete.targets.iter().all(|t| t.info.table.id.is_temporary()),
        PlanKind::Ddl(ddl) => defines_only_temporary(&ddl.statement, env),
        PlanKind::Query { .. } | PlanKind::Do(_) | PlanKind::Analyze(_) | PlanKind::Explain(_) => false,
    }
}

fn defines_only_temporary(statement: &Statement, env: &PlanEnv<'_>) -> bool {
    let is_temporary = |name: &TableName| {
        let schema = name.schema.as_deref().or(env.bind.database.as_deref());
        schema.is_some_and(|schema| env.catalog.temporary_table(schema, &name.name).is_some())
    };
    match statement {
        Statement::CreateTable(create) => create.temporary,
        Statement::DropTable(drop) if drop.temporary => true,
        Statement::DropTable(drop) => !drop.views && drop.names.iter().all(is_temporary),
        Statement::AlterTable(alter) => is_temporary(&alter.name),
        Statement::Truncate(name) => is_temporary(name),
        Statement::CreateIndex(create) => is_temporary(&create.table),
        Statement::DropIndex(drop) => is_temporary(&drop.table),
        Statement::RenameTable(pairs) => pairs.iter().all(|(old, _)| is_temporary(old)),
        _ => false,
    }
}

impl Binder<'_> {
    /// Error 1352 when the statement, CREATE VIEW, has named a temporary table.
    pub(super) fn refuse_temporary(&self) -> SqlResult<()> {
        let Some(id) = self.tables.iter().find(|table| table.is_temporary()) else { return Ok(()) };
        let name = self.env.catalog.table_by_id(*id).map_or("", |table| &table.name);
        Err(SqlError::new(1352, format!("View's SELECT refers to a temporary table '{name}'")))
    }
}
