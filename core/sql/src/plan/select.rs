//! One SELECT: its steps from FROM to LIMIT.

use std::sync::Arc;

use aquifer_types::{SqlError, SqlResult};

use crate::ast::{AstExpr, ColumnRef, Literal, Locking, Select, SelectItem, TableName, WindowSpec};
use crate::expr::Expr;
use crate::expr::aggregate::Aggregate;
use crate::plan::before_group::take_early;
use crate::plan::bind_expr::{AGGREGATE_BASE, ExprContext};
use crate::plan::binder::{Binder, BoundQuery, OutColumn};
use crate::plan::from::{From, conjuncts};
use crate::plan::node::{Apply, LockSpec};
use crate::plan::query::{Around, computed};
use crate::plan::scope::{Entry, Scope};
use crate::plan::semi_join::may_join_subqueries;
use crate::plan::window::{WINDOW_BASE, WindowCall, check_windows};

/// A block after names are resolved.
pub(super) struct Block {
    pub items: Vec<(Expr, OutColumn)>,
    pub where_applies: Vec<Apply>,
    pub conditions: Vec<Expr>,
    pub post_applies: Vec<Apply>,
    pub groups: Vec<Expr>,
    pub having: Vec<Expr>,
    /// Order: expression, descending.
    pub order: Vec<(Expr, bool)>,
    pub aggregates: Vec<Aggregate>,
    pub aggregate_applies: Vec<Apply>,
    pub windows: Vec<WindowCall>,
}

/// Where parts of select items go.
struct ItemPlaces<'p, 's> {
    aggregates: &'p mut Vec<Aggregate>,
    applies: &'p mut Vec<Apply>,
    windows: &'p mut Vec<WindowCall>,
    defs: &'p [(String, WindowSpec)],
    /// Items that are subqueries, with their number in the result.
    subqueries: Vec<(&'s AstExpr, usize)>,
}

/// Error 3594 for an alias of a window function where there can be none.
fn no_windows(expr: &Expr, items: &[(Expr, OutColumn)]) -> SqlResult<()> {
    let has = |e: &Expr| e.columns().iter().any(|index| *index >= WINDOW_BASE);
    if !has(expr) {
        return Ok(());
    }
    let name = items.iter().find(|(item, _)| has(item)).map_or("", |(_, column)| &*column.name);
    let text = format!(
        "You cannot use the alias '{name}' of an expression containing a window function in this context.'"
    );
    Err(SqlError::new(3594, text))
}

impl<'a> Binder<'a> {
    pub(crate) fn select(
        &mut self,
        select: &Select,
        around: Around<'_>,
        parent: Option<&Scope<'_>>,
    ) -> SqlResult<BoundQuery> {
        check_windows(&select.windows)?;
        if select.calc_found_rows && around.limit.is_some() {
            self.calc_found_rows = true;
        }
        let mut scope = Scope::new(parent);
        let mut sources = Vec::new();
        let tree = match &select.from {
            Some(from) => Some(self.from(from, &mut scope, &mut sources)?),
            None => None,
        };
        let mut block = self.block(select, around, &scope)?;
        let pending = scope.pending.take();
        let ungrouped = block.groups.is_empty() && block.aggregates.is_empty() && block.having.is_empty();
        if block.order.is_empty() && scope.names.len() == 1 && ungrouped && !select.distinct {
            block.order = pending.order.clone();
        }
        pending.join_clause(&mut block.conditions, &mut block.where_applies);
        let tree = match tree {
            Some(tree) if may_join_subqueries(select, around, &block, &scope) => {
                Some(self.join_subqueries(tree, &mut block, &mut scope, &mut sources)?)
            }
            tree => tree,
        };
        let locks = self.locks_of(around.locking, &scope)?;
        let limit = around.limit.map(|limit| self.limit(limit)).transpose()?;
        let from = tree.map(|tree| From { tree, sources });
        self.assemble(select, block, from, &scope, &locks, limit)
    }

    /// How the rows of each table are locked. Those of a derived table are not, even if it was merged.
    fn locks_of(&mut self, locking: Option<&Locking>, scope: &Scope<'_>) -> SqlResult<Vec<Option<LockSpec>>> {
        let lock = self.lock_spec(locking);
        let mut locks = vec![None; scope.tables.len()];
        let of = locking.map_or(&[][..], |locking| &locking.of);
        for name in of {
            if !scope.entries().any(|entry| **entry.alias == **name) {
                return Err(SqlError::new(
                    3568,
                    format!("Unresolved table name `{name}` in locking clause."),
                ));
            }
        }
        for (number, entry) in scope.entries().enumerate() {
            let is_derived = scope.merged_at(number).is_some_and(|merged| merged.view.is_none());
            if !is_derived && (of.is_empty() || of.iter().any(|name| **entry.alias == **name)) {
                locks[scope.tables_of(number)].fill(lock);
            }
        }
        Ok(locks)
    }

    pub(super) fn block(
        &mut self,
        select: &Select,
        around: Around<'_>,
        scope: &Scope<'_>,
    ) -> SqlResult<Block> {
        let mut where_applies = Vec::new();
        let mut conditions = Vec::new();
        if let Some(filter) = &select.filter {
            let mut cx = ExprContext::plain("where clause", &mut where_applies);
            let bound = self.expr(filter, scope, &mut cx)?;
            conjuncts(bound, &mut conditions);
            self.use_generated(scope, &mut conditions)?;
        }
        let mut aggregates = Vec::new();
        let mut post_applies = Vec::new();
        let mut windows = Vec::new();
        let mut places = ItemPlaces {
            aggregates: &mut aggregates,
            applies: &mut post_applies,
            windows: &mut windows,
            defs: &select.windows,
            subqueries: Vec::new(),
        };
        let items = self.items(&select.items, scope, &mut places)?;
        let written = places.subqueries;
        let aliases: Vec<(String, Expr)> =
            items.iter().map(|(expr, column)| (column.name.to_string(), expr.clone())).collect();
        let mut aggregate_applies = Vec::new();
        let mut groups = Vec::new();
        for item in &select.group {
            groups.push(match repeated(item, &written) {
                Some(index) => items[index].0.clone(),
                None => self.group_item(item, scope, &items, &aliases, &mut aggregate_applies)?,
            });
        }
        let mut having = Vec::new();
        if let Some(filter) = &select.having {
            let mut cx = ExprContext {
                aggregates: Some(&mut aggregates),
                aliases: &aliases,
                ..ExprContext::plain("having clause", &mut post_applies)
            };
            let bound = self.expr(filter, scope, &mut cx)?;
            no_windows(&bound, &items)?;
            conjuncts(bound, &mut having);
        }
        let mut bound_order = Vec::new();
        for item in around.order {
            let mut cx = ExprContext {
                aggregates: Some(&mut aggregates),
                aliases: &aliases,
                alias_first: true,
                windows: Some(&mut windows),
                window_defs: &select.windows,
                ..ExprContext::plain("order clause", &mut post_applies)
            };
            let listed = repeated(&item.expr, &written);
            let expr = match position(&item.expr, items.len(), "order clause")?.or(listed) {
                Some(index) => items[index].0.clone(),
                None => self.expr(&item.expr, scope, &mut cx)?,
            };
            bound_order.push((expr, item.descending));
        }
        take_early(&groups, &aggregates, &mut post_applies, &mut aggregate_applies)?;
        Ok(Block {
            items,
            where_applies,
            conditions,
            post_applies,
            groups,
            having,
            order: bound_order,
            aggregates,
            aggregate_applies,
            windows,
        })
    }

    fn group_item(
        &mut self,
        item: &AstExpr,
        scope: &Scope<'_>,
        items: &[(Expr, OutColumn)],
        aliases: &[(String, Expr)],
        applies: &mut Vec<Apply>,
    ) -> SqlResult<Expr> {
        let expr = match position(item, items.len(), "group statement")? {
            Some(index) => items[index].0.clone(),
            None => {
                let mut cx = ExprContext { aliases, ..ExprContext::plain("group statement", applies) };
                self.expr(item, scope, &mut cx)?
            }
        };
        no_windows(&expr, items)?;
        let mut aggregate = false;
        expr.walk(&mut |node| {
            aggregate |= matches!(node, Expr::Column { index, .. } if *index >= AGGREGATE_BASE)
        });
        if aggregate {
            return Err(SqlError::new(1056, "Can't group on an aggregate"));
        }
        Ok(expr)
    }

    fn items<'s>(
        &mut self,
        items: &'s [SelectItem],
        scope: &Scope<'_>,
        places: &mut ItemPlaces<'_, 's>,
    ) -> SqlResult<Vec<(Expr, OutColumn)>> {
        let mut out = Vec::with_capacity(items.len());
        for item in items {
            match item {
                SelectItem::Wildcard(table) => wildcard(table.as_ref(), scope, &mut out)?,
                SelectItem::Expr { expr: ast, alias, text } => {
                    if matches!(ast, AstExpr::Subquery(_) | AstExpr::Exists(..) | AstExpr::InSubquery(..)) {
                        places.subqueries.push((ast, out.len()));
                    }
                    let mut cx = ExprContext {
                        aggregates: Some(&mut *places.aggregates),
                        windows: Some(&mut *places.windows),
                        window_defs: places.defs,
                        ..ExprContext::plain("field list", &mut *places.applies)
                    };
                    let bound = self.expr(ast, scope, &mut cx)?;
                    let column = out_column(&bound, ast, alias.as_deref(), text, scope);
                    out.push((bound, column));
                }
            }
        }
        Ok(out)
    }
}

/// `*` and `t.*`.
fn wildcard(name: Option<&TableName>, scope: &Scope<'_>, out: &mut Vec<(Expr, OutColumn)>) -> SqlResult<()> {
    let before = out.len();
    let mut matched = false;
    let mut push = |number: usize, position: usize| {
        let entry = scope.entry(number);
        if !entry.columns[position].invisible {
            entry.note_read(position);
            if let Some(reads) = entry.reads {
                reads.note_all();
            }
            let expr = scope.expr_at(number, position);
            let column = table_column(&expr, &entry, position, &entry.columns[position].name);
            out.push((expr, column));
        }
    };
    match name {
        None => scope.star.iter().for_each(|(entry, column)| push(*entry, *column)),
        Some(name) => {
            let (schema, table) = (name.schema.clone(), Some(name.name.clone()));
            let reference = ColumnRef { schema, table, name: String::new() };
            for (number, entry) in scope.entries().enumerate() {
                if entry.answers_to(&reference) {
                    matched = true;
                    (0..entry.columns.len()).for_each(|position| push(number, position));
                }
            }
        }
    }
    match name {
        Some(name) if !matched => Err(SqlError::new(1051, format!("Unknown table '{}'", name.name))),
        None if out.len() == before => Err(SqlError::new(1096, "No tables used")),
        _ => Ok(()),
    }
}

/// A result column that shows a table's column.
fn table_column(expr: &Expr, entry: &Entry<'_>, position: usize, name: &Arc<str>) -> OutColumn {
    let column = &entry.columns[position];
    OutColumn {
        name: name.clone(),
        ty: expr.expr_type().clone(),
        schema: column.schema.clone(),
        table: entry.alias.clone(),
        org_table: column.org_table.clone(),
        org_name: column.org_name.clone(),
        flags: column.flags,
    }
}

/// The result column of a select item.
fn out_column(bound: &Expr, ast: &AstExpr, alias: Option<&str>, text: &str, scope: &Scope<'_>) -> OutColumn {
    let name: Arc<str> = match (alias, ast) {
        (Some(alias), _) => Arc::from(alias),
        (None, AstExpr::Function(call)) if call.name == "NAME_CONST" => match call.args.first() {
            Some(AstExpr::Literal(Literal::String(name))) => Arc::from(String::from_utf8_lossy(name)),
            _ => Arc::from(text),
        },
        (None, AstExpr::Column(column)) => Arc::from(column.name.as_str()),
        (None, _) => Arc::from(text),
    };
    if let AstExpr::Column(column) = ast
        && let Ok(Some(found)) = scope.find(column, "field list")
    {
        let name = if alias.is_some() { name } else { found.column.name.clone() };
        return table_column(bound, &scope.entry(found.entry), found.position, &name);
    }
    computed(&name, bound.expr_type().clone())
}

/// The select item of which this is a repetition, if that is a subquery: it runs once for both.
fn repeated(ast: &AstExpr, items: &[(&AstExpr, usize)]) -> Option<usize> {
    items.iter().find(|(item, _)| *item == ast).map(|(_, index)| *index)
}

/// A literal number in ORDER BY or GROUP BY is the position of a select item.
fn position(ast: &AstExpr, items: usize, clause: &str) -> SqlResult<Option<usize>> {
    let AstExpr::Literal(Literal::UInt(position)) = ast else { return Ok(None) };
    let index = usize::try_from(*position).ok().and_then(|p| p.checked_sub(1)).filter(|index| *index < items);
    match index {
        Some(index) => Ok(Some(index)),
        None => Err(SqlError::new(1054, format!("Unknown column '{position}' in '{clause}'"))),
    }
}
