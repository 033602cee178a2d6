//! JSON_TABLE (manual 12.18.6) in FROM.

use std::sync::Arc;

use aquifer_types::json::Path;
use aquifer_types::{Collation, DataType, SqlError, SqlResult, TypeKind};

use crate::ast::{AstExpr, JsonColumn, JsonColumnKind, JsonOtherwise, JsonTable, Literal};
use crate::plan::bind_expr::ExprContext;
use crate::plan::binder::Binder;
use crate::plan::from::{Source, Tree};
use crate::plan::output;
use crate::plan::scope::{Scope, ScopeColumn, ScopeTable};

/// How a document becomes rows.
pub(crate) struct JsonTablePlan {
    pub path: Path,
    pub columns: Vec<JsonColumnPlan>,
    pub width: usize,
}

/// One column, or a group of columns below a path.
pub(crate) enum JsonColumnPlan {
    Ordinality(usize),
    Exists { slot: usize, path: Path, ty: DataType },
    Value { slot: usize, path: Path, ty: DataType, name: Arc<str>, on_empty: Missing, on_error: Missing },
    Nested(Path, Vec<JsonColumnPlan>),
}

/// What a column gets when there is no value, or none that fits.
pub(crate) enum Missing {
    Null,
    Error,
    /// The text of a JSON value.
    Default(Vec<u8>),
}

impl Binder<'_> {
    pub(crate) fn json_table(
        &mut self,
        table: &JsonTable,
        scope: &mut Scope<'_>,
        sources: &mut Vec<Source>,
    ) -> SqlResult<Tree> {
        let mut applies = Vec::new();
        let mut cx = ExprContext::plain("a table function argument", &mut applies);
        let document = self.expr(&table.document, scope, &mut cx)?;
        if !applies.is_empty() {
            return Err(SqlError::not_supported("subqueries in JSON_TABLE"));
        }
        let mut columns = Vec::new();
        let plans = self.json_columns(&table.columns, &mut columns)?;
        let plan = JsonTablePlan {
            path: crate::expr::json_path(&table.path)?,
            columns: plans,
            width: columns.len(),
        };
        let scope_table = ScopeTable {
            alias: Arc::from(table.alias.as_str()),
            schema: Arc::from(""),
            offset: 0,
            columns,
            info: None,
            reads: None,
        };
        let requires = document.columns().iter().filter_map(|slot| scope.table_of(*slot)).collect();
        let number = scope.push(scope_table)?;
        sources.push(Source::JsonTable { document, plan: Arc::new(plan), requires });
        Ok(Tree::Leaf(number))
    }

    fn json_columns(
        &self,
        defs: &[JsonColumn],
        columns: &mut Vec<ScopeColumn>,
    ) -> SqlResult<Vec<JsonColumnPlan>> {
        let mut plans = Vec::with_capacity(defs.len());
        for def in defs {
            let slot = columns.len();
            let name: Arc<str> = Arc::from(def.name.as_str());
            let mut push = |data_type: &DataType| -> SqlResult<()> {
                if columns.iter().any(|known| super::scope::same_name(&known.name, &name)) {
                    return Err(SqlError::new(1060, format!("Duplicate column name '{name}'")));
                }
                columns.push(ScopeColumn {
                    name: name.clone(),
                    data_type: data_type.clone(),
                    nullable: true,
                    invisible: false,
                    merged: false,
                    flags: output::flags_of_type(data_type, true),
                    org_name: name.clone(),
                    org_table: Arc::from(""),
                    schema: Arc::from(""),
                });
                Ok(())
            };
            plans.push(match &def.kind {
                JsonColumnKind::Ordinality => {
                    push(&DataType { unsigned: true, ..DataType::of(TypeKind::Int) })?;
                    JsonColumnPlan::Ordinality(slot)
                }
                JsonColumnKind::Path { type_def, exists, path, on_empty, on_error } => {
                    let ty = crate::exec::column_type(&def.name, type_def, Collation::UTF8MB4_0900_AI_CI)?;
                    push(&ty)?;
                    let path = crate::expr::json_path(path)?;
                    if *exists {
                        JsonColumnPlan::Exists { slot, path, ty }
                    } else {
                        let (on_empty, on_error) = (missing(on_empty)?, missing(on_error)?);
                        JsonColumnPlan::Value { slot, path, ty, name, on_empty, on_error }
                    }
                }
                JsonColumnKind::Nested(path, inner) => {
                    let path = crate::expr::json_path(path)?;
                    JsonColumnPlan::Nested(path, self.json_columns(inner, columns)?)
                }
            });
        }
        Ok(plans)
    }
}

/// A default is the text of a JSON value.
fn missing(what: &JsonOtherwise) -> SqlResult<Missing> {
    Ok(match what {
        JsonOtherwise::Null => Missing::Null,
        JsonOtherwise::Error => Missing::Error,
        JsonOtherwise::Default(AstExpr::Literal(Literal::String(text))) => {
            if aquifer_types::json::parse(text).is_err() {
                return Err(SqlError::new(
                    3141,
                    "Invalid JSON text in argument 1 to function JSON_TABLE: DEFAULT",
                ));
            }
            Missing::Default(text.clone())
        }
        JsonOtherwise::Default(_) => {
            return Err(SqlError::not_supported("DEFAULT that is no string in JSON_TABLE"));
        }
    })
}
