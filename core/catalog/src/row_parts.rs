//! Stored forms of what came to tables later: foreign keys, CHECK constraints, views.

use aquifer_types::SqlResult;

use crate::model::{Check, ColumnId, ForeignKey, ReferentialAction, View, ViewAlgorithm, ViewCheck};
use crate::proto::{CheckRow, ForeignKeyRow, ViewRow, corrupt};

/// Actions by their stored number, which is the position here.
const ACTIONS: [ReferentialAction; 4] = [
    ReferentialAction::NoAction,
    ReferentialAction::Restrict,
    ReferentialAction::Cascade,
    ReferentialAction::SetNull,
];

const ALGORITHMS: [ViewAlgorithm; 3] =
    [ViewAlgorithm::Undefined, ViewAlgorithm::Merge, ViewAlgorithm::TempTable];

const CHECKS: [ViewCheck; 3] = [ViewCheck::None, ViewCheck::Local, ViewCheck::Cascaded];

fn number_of<T: PartialEq>(list: &[T], value: &T) -> u32 {
    list.iter().position(|known| known == value).and_then(|at| u32::try_from(at).ok()).unwrap_or(0)
}

fn numbered<T: Copy>(list: &[T], number: u32, what: &str) -> SqlResult<T> {
    let found = usize::try_from(number).ok().and_then(|number| list.get(number).copied());
    found.ok_or_else(|| corrupt(&format!("{what} of kind {number}")))
}

pub(crate) fn foreign_key_row(key: &ForeignKey) -> ForeignKeyRow {
    ForeignKeyRow {
        name: key.name.to_string(),
        columns: key.columns.iter().map(|column| column.0).collect(),
        parent_schema: key.parent_schema.to_string(),
        parent_table: key.parent_table.to_string(),
        parent_columns: key.parent_columns.iter().map(ToString::to_string).collect(),
        on_delete: number_of(&ACTIONS, &key.on_delete),
        on_update: number_of(&ACTIONS, &key.on_update),
    }
}

pub(crate) fn foreign_key_from(row: ForeignKeyRow) -> SqlResult<ForeignKey> {
    if row.columns.is_empty() || row.columns.len() != row.parent_columns.len() {
        return Err(corrupt(&format!("foreign key '{}' without matching columns", row.name)));
    }
    Ok(ForeignKey {
        name: row.name.into(),
        columns: row.columns.into_iter().map(ColumnId).collect(),
        parent_schema: row.parent_schema.into(),
        parent_table: row.parent_table.into(),
        parent_columns: row.parent_columns.into_iter().map(Into::into).collect(),
        on_delete: numbered(&ACTIONS, row.on_delete, "referential action")?,
        on_update: numbered(&ACTIONS, row.on_update, "referential action")?,
    })
}

pub(crate) fn check_row(check: &Check) -> CheckRow {
    CheckRow {
        name: check.name.to_string(),
        expression: check.expression.clone(),
        not_enforced: !check.enforced,
    }
}

pub(crate) fn check_from(row: CheckRow) -> Check {
    Check { name: row.name.into(), expression: row.expression, enforced: !row.not_enforced }
}

pub(crate) fn view_row(view: &View) -> ViewRow {
    ViewRow {
        query: view.query.clone(),
        columns: view.columns.iter().map(ToString::to_string).collect(),
        algorithm: number_of(&ALGORITHMS, &view.algorithm),
        check_option: number_of(&CHECKS, &view.check_option),
        definer: view.definer.clone(),
        invoker: view.invoker,
        sql_mode: view.sql_mode,
        database: view.database.clone(),
    }
}

pub(crate) fn view_from(row: ViewRow) -> SqlResult<View> {
    Ok(View {
        query: row.query,
        columns: row.columns.into_iter().map(Into::into).collect(),
        algorithm: numbered(&ALGORITHMS, row.algorithm, "view algorithm")?,
        check_option: numbered(&CHECKS, row.check_option, "view check option")?,
        definer: row.definer,
        invoker: row.invoker,
        sql_mode: row.sql_mode,
        database: row.database,
    })
}
