//! Views in FROM: merged into the block or bound like derived tables, with names looked up where the view was made.

use std::sync::Arc;

use aquifer_catalog::{Table, View, ViewAlgorithm};
use aquifer_types::{SqlError, SqlMode, SqlResult};

use crate::ast::{Query, Statement};
use crate::expr::Expr;
use crate::plan::binder::{Binder, OutColumn};
use crate::plan::from::{Source, Tree, derived_columns};
use crate::plan::merge::Merged;
use crate::plan::scope::{MergedTable, Scope, ScopeColumn, same_name};
use crate::plan::usage::WithinView;

/// Views within views, at most.
pub(super) const DEPTH_MAX: usize = 32;

/// How names of columns begin that a view does not show.
const HIDDEN: &str = "!hidden!";

/// The modes that change how a text is read.
const READING_MODES: [(&str, SqlMode); 4] = [
    ("ANSI_QUOTES", SqlMode::ANSI_QUOTES),
    ("PIPES_AS_CONCAT", SqlMode::PIPES_AS_CONCAT),
    ("NO_BACKSLASH_ESCAPES", SqlMode::NO_BACKSLASH_ESCAPES),
    ("HIGH_NOT_PRECEDENCE", SqlMode::HIGH_NOT_PRECEDENCE),
];

/// The reading modes among stored bits.
fn reading_mode(bits: u32) -> SqlMode {
    let names = READING_MODES.iter().filter(|(_, mode)| bits & mode.bits() != 0).map(|(name, _)| *name);
    SqlMode::parse(&names.collect::<Vec<_>>().join(",")).unwrap_or_default()
}

fn invalid(table: &Table) -> SqlError {
    let text = format!(
        "View '{}.{}' references invalid table(s) or column(s) or function(s) or definer/invoker of view lack \
         rights to use them",
        table.schema, table.name
    );
    SqlError::new(1356, text)
}

/// With whose rights the tables of a view are read: its definer's, or under SQL SECURITY INVOKER those with which the
/// view is read.
fn within(table: &Table, view: &View, around: Option<&WithinView>) -> WithinView {
    let definer = match (view.invoker, around) {
        (false, _) => Some(view.definer.clone()),
        (true, around) => around.and_then(|around| around.definer.clone()),
    };
    let (schema, view) = around.map_or((&table.schema, &table.name), |around| (&around.schema, &around.view));
    WithinView { definer, schema: schema.clone(), view: view.clone() }
}

impl Binder<'_> {
    /// Puts a view into scope.
    pub(crate) fn view_table(
        &mut self,
        table: &Arc<Table>,
        view: &View,
        alias: Option<&str>,
        scope: &mut Scope<'_>,
        sources: &mut Vec<Source>,
    ) -> SqlResult<Tree> {
        let reads = self.reads_of(&table.schema, &table.name);
        let query = match self.views.get(&table.id) {
            Some(known) => Arc::clone(known),
            None => {
                let query: Arc<Query> = Arc::from(view_query(table, view)?);
                self.views.insert(table.id, Arc::clone(&query));
                query
            }
        };
        let alias = alias.unwrap_or(&table.name);
        if view.algorithm != ViewAlgorithm::TempTable {
            let parent = scope.parent.take();
            let merged =
                self.within_view(table, view, |binder| binder.merge(&query, Some(view), scope, sources));
            scope.parent = parent;
            if let Some(Merged { tree, items, tables }) = merged? {
                let (exprs, mut out): (Vec<Expr>, Vec<OutColumn>) = items.into_iter().unzip();
                name_columns(table, view, &mut out)?;
                let mut columns = derived_columns(&out, &[])?;
                show_columns(table, &mut columns);
                let (alias, schema, view) = (Arc::from(alias), table.schema.clone(), Some(Arc::clone(table)));
                let reads = Some(reads);
                scope.push_merged(MergedTable { alias, schema, columns, exprs, tables, view, reads })?;
                return Ok(tree);
            }
        }
        let mut bound = self.within_view(table, view, |binder| binder.query(&query, None))?;
        name_columns(table, view, &mut bound.columns)?;
        let tree = self.push_derived(&super::from::once(bound), alias, &[], scope, sources)?;
        if let Some(pushed) = scope.tables.last_mut() {
            pushed.schema = table.schema.clone();
            pushed.reads = Some(reads);
            show_columns(table, &mut pushed.columns);
        }
        Ok(tree)
    }

    /// Binds a view's query where the view was made.
    fn within_view<T>(
        &mut self,
        table: &Table,
        view: &View,
        bind: impl FnOnce(&mut Self) -> SqlResult<T>,
    ) -> SqlResult<T> {
        if self.view_depth >= DEPTH_MAX {
            let text = format!("`{}`.`{}` contains view recursion", table.schema, table.name);
            return Err(SqlError::new(1462, text));
        }
        let database = self.database.replace(view.database.clone());
        let common = std::mem::take(&mut self.common);
        let around = self.within.clone();
        self.within = Some(Arc::new(within(table, view, around.as_deref())));
        self.view_depth += 1;
        let bound = bind(self);
        self.view_depth -= 1;
        self.within = around;
        self.common = common;
        self.database = database;
        bound.map_err(|error| match error.code() {
            1054 | 1146 | 1049 | 1356 => invalid(table),
            _ => error,
        })
    }
}

/// The query of a view.
///
/// # Errors
/// 1356 when the stored text is not a query.
pub(super) fn view_query(table: &Table, view: &View) -> SqlResult<Box<Query>> {
    let options = crate::parse::ParseOptions { sql_mode: reading_mode(view.sql_mode) };
    match crate::parse::parse(&view.query, options)?.statement {
        Some(Statement::Query(query)) => Ok(query),
        _ => Err(invalid(table)),
    }
}

/// Gives the columns of a view's query the names that they have in the view.
fn name_columns(table: &Table, view: &View, columns: &mut [OutColumn]) -> SqlResult<()> {
    let same_shape = columns.len() == view.columns.len();
    // Columns that tables got since the view was made are not the view's; they keep their places, unseen.
    for (number, column) in columns.iter_mut().enumerate() {
        let known = if same_shape {
            Some(number)
        } else {
            view.columns.iter().position(|name| same_name(name, &column.name))
        };
        column.name = match known.and_then(|known| table.columns.get(known)) {
            Some(shown) => shown.name.clone(),
            None => Arc::from(format!("{HIDDEN}{number}")),
        };
    }
    let has = |name: &str| columns.iter().any(|column| same_name(&column.name, name));
    if table.columns.iter().all(|column| has(&column.name)) { Ok(()) } else { Err(invalid(table)) }
}

/// Has columns show the view as where they are from.
fn show_columns(table: &Table, columns: &mut [ScopeColumn]) {
    for column in columns {
        column.invisible = column.name.starts_with(HIDDEN);
        column.org_name = column.name.clone();
        column.org_table = table.name.clone();
        column.schema = table.schema.clone();
    }
}
