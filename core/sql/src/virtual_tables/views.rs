//! VIEWS, and the text of SHOW CREATE VIEW.

use std::fmt::Write as _;

use aquifer_catalog::{Table, View, ViewAlgorithm, ViewCheck};
use aquifer_types::{SqlResult, Value};

use super::Source;
use super::create_table::quoted;
use super::definition::TableLine;
use super::source::{text, yes_no};
use crate::plan::is_updatable;

pub(super) const TABLES: &[TableLine] = &[(
    "information_schema",
    "VIEWS",
    "TABLE_CATALOG:v64 TABLE_SCHEMA:b64 TABLE_NAME:b64 VIEW_DEFINITION:x? CHECK_OPTION:v8? \
     IS_UPDATABLE:v3? DEFINER:v288? SECURITY_TYPE:v7? CHARACTER_SET_CLIENT:v64 COLLATION_CONNECTION:v64",
    views,
)];

fn views(source: &Source<'_>) -> SqlResult<Vec<Vec<Value>>> {
    let find = |schema: &str, name: &str| source.catalog.stored_table(schema, name).cloned();
    let mut rows = Vec::new();
    for table in source.tables() {
        let Some(view) = &table.view else { continue };
        rows.push(vec![
            text("def"),
            text(&table.schema),
            text(&table.name),
            text(&view.query),
            text(check_option(view)),
            yes_no(is_updatable(table, &find)),
            text(&view.definer),
            text(security(view)),
            text("utf8mb4"),
            text("utf8mb4_0900_ai_ci"),
        ]);
    }
    Ok(rows)
}

fn check_option(view: &View) -> &'static str {
    match view.check_option {
        ViewCheck::None => "NONE",
        ViewCheck::Local => "LOCAL",
        ViewCheck::Cascaded => "CASCADED",
    }
}

fn security(view: &View) -> &'static str {
    if view.invoker { "INVOKER" } else { "DEFINER" }
}

/// The statement that makes this view.
#[must_use]
pub fn create_view(table: &Table, view: &View) -> String {
    let algorithm = match view.algorithm {
        ViewAlgorithm::Undefined => "UNDEFINED",
        ViewAlgorithm::Merge => "MERGE",
        ViewAlgorithm::TempTable => "TEMPTABLE",
    };
    let (user, host) = view.definer.rsplit_once('@').unwrap_or((&view.definer, "%"));
    let mut out = format!(
        "CREATE ALGORITHM={algorithm} DEFINER={}@{} SQL SECURITY {} VIEW {}",
        quoted(user),
        quoted(host),
        security(view),
        quoted(&table.name)
    );
    let renamed = table.columns.iter().zip(&view.columns).any(|(column, own)| column.name != *own);
    if renamed {
        let names: Vec<String> = table.columns.iter().map(|column| quoted(&column.name)).collect();
        let _ = write!(out, " ({})", names.join(","));
    }
    let _ = write!(out, " AS {}", view.query);
    if view.check_option != ViewCheck::None {
        let _ = write!(out, " WITH {} CHECK OPTION", check_option(view));
    }
    out
}
