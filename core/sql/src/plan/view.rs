//! Views in FROM: bound like derived tables, with names looked up where the view was made.

use std::sync::Arc;

use aquifer_catalog::{Table, View};
use aquifer_types::{SqlError, SqlMode, SqlResult};

use crate::ast::Statement;
use crate::plan::binder::{Binder, BoundQuery};
use crate::plan::from::{Source, Tree};
use crate::plan::scope::{Scope, same_name};
use crate::plan::usage::WithinView;

/// Views within views, at most.
const DEPTH_MAX: usize = 32;

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
        let mut bound = self.view_query(table, view)?;
        let alias = alias.unwrap_or(&table.name);
        let same_shape = bound.columns.len() == view.columns.len();
        // Columns that tables got since the view was made are not the view's; they keep their places, unseen.
        for (number, column) in bound.columns.iter_mut().enumerate() {
            let known = if same_shape {
                Some(number)
            } else {
                view.columns.iter().position(|name| same_name(name, &column.name))
            };
            column.name = match known.and_then(|known| table.columns.get(known)) {
                Some(shown) => shown.name.clone(),
                None => Arc::from(format!("!hidden!{number}")),
            };
        }
        let complete =
            table.columns.iter().all(|c| bound.columns.iter().any(|b| same_name(&b.name, &c.name)));
        if !complete {
            return Err(invalid(table));
        }
        let tree = self.push_derived(&super::from::once(bound), alias, &[], scope, sources)?;
        if let Some(pushed) = scope.tables.last_mut() {
            pushed.schema = table.schema.clone();
            pushed.reads = Some(reads);
            for column in &mut pushed.columns {
                column.invisible = column.name.starts_with("!hidden!");
                column.org_table = table.name.clone();
                column.schema = table.schema.clone();
            }
        }
        Ok(tree)
    }

    fn view_query(&mut self, table: &Table, view: &View) -> SqlResult<BoundQuery> {
        if self.view_depth >= DEPTH_MAX {
            let text = format!("`{}`.`{}` contains view recursion", table.schema, table.name);
            return Err(SqlError::new(1462, text));
        }
        let options = crate::parse::ParseOptions { sql_mode: reading_mode(view.sql_mode) };
        let parsed = crate::parse::parse(&view.query, options)?;
        let Some(Statement::Query(query)) = parsed.statement else { return Err(invalid(table)) };
        let database = self.database.replace(view.database.clone());
        let common = std::mem::take(&mut self.common);
        let around = self.within.clone();
        self.within = Some(Arc::new(within(table, view, around.as_deref())));
        self.view_depth += 1;
        let bound = self.query(&query, None);
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
