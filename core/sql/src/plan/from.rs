//! FROM: tables, joins, their order and methods.

use std::ops::Range;
use std::sync::Arc;

use aquifer_types::{SqlError, SqlResult};

use crate::ast::{JoinCondition, JoinKind, TableName, TableRef};
use crate::expr::{self, BinaryOp, CompareOp, Expr};
use crate::plan::bind_expr::ExprContext;
use crate::plan::binder::{Binder, OutColumn};
use crate::plan::common::BoundCommon;
use crate::plan::json_table::JsonTablePlan;
use crate::plan::merge::{Merged, Pending};
use crate::plan::node::{Apply, QueryPlan};
use crate::plan::output;
use crate::plan::scope::{MergedTable, Scope, ScopeColumn, ScopeTable};
use crate::plan::table_info::TableInfo;
use crate::virtual_table::VirtualTable;

/// Where rows of a table in scope come from.
pub(crate) enum Source {
    Stored {
        info: Arc<TableInfo>,
        use_index: Option<Vec<String>>,
        ignore_index: Vec<String>,
    },
    Virtual(Arc<VirtualTable>),
    /// A derived or common table, and where its rows are kept, if they are.
    Derived(Arc<QueryPlan>, Option<usize>),
    /// Distinct rows of an IN subquery ([`crate::plan::semi_join`]).
    Subquery(Arc<QueryPlan>),
    /// A derived table that is computed anew for each row of the tables it refers to.
    Lateral {
        query: Arc<QueryPlan>,
        outer: Vec<(usize, Expr)>,
        requires: Vec<usize>,
    },
    /// JSON_TABLE over a document that may come from tables before it.
    JsonTable {
        document: Expr,
        plan: Arc<JsonTablePlan>,
        requires: Vec<usize>,
    },
    /// The rows of the iteration before, within a recursive common table.
    Work(usize),
}

impl Source {
    /// Tables whose row must be there before this one can be read.
    pub(crate) fn requires(&self) -> &[usize] {
        match self {
            Self::Lateral { requires, .. } | Self::JsonTable { requires, .. } => requires,
            _ => &[],
        }
    }

    /// What it takes from the row of those tables.
    pub(crate) fn outer_exprs(&self) -> Vec<&Expr> {
        match self {
            Self::Lateral { outer, .. } => outer.iter().map(|(_, expr)| expr).collect(),
            Self::JsonTable { document, .. } => vec![document],
            _ => Vec::new(),
        }
    }
}

/// FROM before joins are ordered.
pub(crate) enum Tree {
    Leaf(usize),
    Join { left: Box<Tree>, right: Box<Tree>, kind: JoinKind, on: Vec<Expr>, applies: Vec<Apply> },
}

/// A bound FROM.
pub(crate) struct From {
    pub tree: Tree,
    pub sources: Vec<Source>,
}

/// A derived table, which only its place reads.
pub(crate) fn once(bound: super::binder::BoundQuery) -> BoundCommon {
    BoundCommon { plan: Arc::new(bound.plan), columns: bound.columns.into(), kept: None }
}

/// Splits a condition at its ANDs.
pub(crate) fn conjuncts(expr: Expr, out: &mut Vec<Expr>) {
    if let Some((left, right)) = expr.as_and() {
        let (left, right) = (left.clone(), right.clone());
        conjuncts(left, out);
        conjuncts(right, out);
    } else {
        out.push(expr);
    }
}

impl<'a> Binder<'a> {
    pub(crate) fn from(
        &mut self,
        table: &TableRef,
        scope: &mut Scope<'_>,
        sources: &mut Vec<Source>,
    ) -> SqlResult<Tree> {
        match table {
            TableRef::Table { name, alias, use_index, ignore_index } => {
                let common = name.schema.is_none().then(|| {
                    self.common.iter().rposition(|c| super::scope::same_name(&c.table.name, &name.name))
                });
                if let Some(Some(number)) = common {
                    return self.common_table(number, alias.as_deref(), scope, sources);
                }
                self.named_table(name, alias.as_deref(), (use_index, ignore_index), scope, sources)
            }
            TableRef::Derived { lateral, query, alias, columns } => {
                if *lateral {
                    return self.lateral(query, alias, columns, scope, sources);
                }
                if self.merges_derived()
                    && let Some(merged) = self.merge(query, None, scope, sources)?
                {
                    return push_merged(merged, alias, columns, scope);
                }
                let bound = self.query(query, scope.parent)?;
                self.push_derived(&once(bound), alias, columns, scope, sources)
            }
            TableRef::JsonTable(table) => self.json_table(table, scope, sources),
            TableRef::Join(join) => {
                let (first, start) = (scope.star.len(), scope.names.len());
                let left = self.side(&join.left, join.kind == JoinKind::Right, scope, sources)?;
                let middle = scope.names.len();
                let right = self.side(&join.right, join.kind == JoinKind::Left, scope, sources)?;
                let (mut on, mut applies) =
                    self.join_condition(&join.condition, join.kind, (start, middle, first), scope)?;
                let (left, right) = match (left, right) {
                    ((left, Some(inner)), (right, _)) | ((left, _), (right, Some(inner))) => {
                        inner.join_clause(&mut on, &mut applies);
                        (left, right)
                    }
                    ((left, None), (right, None)) => (left, right),
                };
                let (left, right) = (Box::new(left), Box::new(right));
                Ok(match join.kind {
                    JoinKind::Right => {
                        Tree::Join { left: right, right: left, kind: JoinKind::Left, on, applies }
                    }
                    kind => Tree::Join { left, right, kind, on, applies },
                })
            }
        }
    }

    /// One side of a join. Of the inner side of an outer join: with what merged queries leave to ON.
    fn side(
        &mut self,
        table: &TableRef,
        is_inner: bool,
        scope: &mut Scope<'_>,
        sources: &mut Vec<Source>,
    ) -> SqlResult<(Tree, Option<Pending>)> {
        if !is_inner {
            return Ok((self.from(table, scope, sources)?, None));
        }
        let around = std::mem::replace(&mut scope.is_inner_side, true);
        let before = scope.pending.take();
        let tree = self.from(table, scope, sources);
        scope.is_inner_side = around;
        Ok((tree?, Some(scope.pending.replace(before))))
    }

    /// LATERAL: the tables before it are the block around its query.
    fn lateral(
        &mut self,
        query: &crate::ast::Query,
        alias: &str,
        columns: &[String],
        scope: &mut Scope<'_>,
        sources: &mut Vec<Source>,
    ) -> SqlResult<Tree> {
        let bound = self.subquery(query, scope)?;
        let mut requires: Vec<usize> = Vec::new();
        for (_, expr) in &bound.outer {
            requires.extend(expr.columns().iter().filter_map(|slot| scope.table_of(*slot)));
        }
        let outer = bound.outer;
        let plain = super::binder::BoundQuery { plan: bound.plan, columns: bound.columns };
        let tree = self.push_derived(&once(plain), alias, columns, scope, sources)?;
        if let Some(Source::Derived(query, _)) = sources.pop() {
            sources.push(Source::Lateral { query, outer, requires });
        }
        Ok(tree)
    }

    pub(crate) fn push_derived(
        &mut self,
        bound: &BoundCommon,
        alias: &str,
        names: &[String],
        scope: &mut Scope<'_>,
        sources: &mut Vec<Source>,
    ) -> SqlResult<Tree> {
        let alias: Arc<str> = Arc::from(alias);
        let mut columns = derived_columns(&bound.columns, names)?;
        for column in &mut columns {
            column.flags = output::flags_of_type(&column.data_type, column.nullable);
            column.org_name = column.name.clone();
            column.org_table = alias.clone();
            column.schema = Arc::from("");
        }
        let table = ScopeTable { alias, schema: Arc::from(""), offset: 0, columns, info: None, reads: None };
        let number = scope.push(table)?;
        sources.push(Source::Derived(Arc::clone(&bound.plan), bound.kept));
        Ok(Tree::Leaf(number))
    }

    fn named_table(
        &mut self,
        name: &TableName,
        alias: Option<&str>,
        hints: (&Option<Vec<String>>, &[String]),
        scope: &mut Scope<'_>,
        sources: &mut Vec<Source>,
    ) -> SqlResult<Tree> {
        let schema = self.schema_of(name)?.to_owned();
        let virtual_tables = self.env.virtual_tables;
        if virtual_tables.has_schema(&schema)
            && let Some(table) = virtual_tables.table(&schema, &name.name)
        {
            self.repeatable = false;
            let reads = (&*table.schema == "mysql").then(|| self.reads_of(&table.schema, &table.name));
            let tree = push_virtual(table, alias, scope, sources)?;
            if let Some(pushed) = scope.tables.last_mut() {
                pushed.reads = reads;
            }
            return Ok(tree);
        }
        if virtual_tables.has_schema(&schema) && self.table_named(&schema, &name.name).is_none() {
            return Err(SqlError::new(
                1109,
                format!("Unknown table '{}' in {schema}", name.name.to_uppercase()),
            ));
        }
        if let Some(table) = self.table_named(&schema, &name.name)
            && let Some(view) = &table.view
        {
            return self.view_table(table, view, alias, scope, sources);
        }
        let info = self.stored_table(name)?;
        for hint in hints.0.iter().flatten().chain(hints.1) {
            if info.index_named(hint).is_none() {
                let table = alias.unwrap_or(&name.name);
                return Err(SqlError::new(1176, format!("Key '{hint}' doesn't exist in table '{table}'")));
            }
        }
        let reads = self.reads_of_stored(&info);
        let number = scope.push(ScopeTable { reads, ..scope_table(&info, alias) })?;
        let use_index = hints.0.clone().filter(|names| !names.is_empty());
        sources.push(Source::Stored { info, use_index, ignore_index: hints.1.to_vec() });
        Ok(Tree::Leaf(number))
    }

    /// Binds ON; merges columns for USING and NATURAL.
    fn join_condition(
        &mut self,
        condition: &JoinCondition,
        kind: JoinKind,
        (start, middle, first): (usize, usize, usize),
        scope: &mut Scope<'_>,
    ) -> SqlResult<(Vec<Expr>, Vec<Apply>)> {
        let mut on = Vec::new();
        let mut applies = Vec::new();
        let names: Vec<String> = match condition {
            JoinCondition::None => return Ok((on, applies)),
            JoinCondition::On(ast) => {
                let mut cx = ExprContext::plain("on clause", &mut applies);
                let bound = self.expr(ast, scope, &mut cx)?;
                conjuncts(bound, &mut on);
                return Ok((on, applies));
            }
            JoinCondition::Using(names) => names.clone(),
            JoinCondition::Natural => {
                let columns = |entries: Range<usize>| {
                    entries.flat_map(|entry| scope.entry(entry).columns).filter(|column| !column.merged)
                };
                let is_right = |name: &str| {
                    columns(middle..scope.names.len()).any(|right| super::scope::same_name(name, &right.name))
                };
                columns(start..middle)
                    .filter(|left| is_right(&left.name))
                    .map(|left| left.name.to_string())
                    .collect()
            }
        };
        let mut merged = Vec::new();
        for name in names {
            let left = locate(scope, start..middle, &name)?;
            let right = locate(scope, middle..scope.names.len(), &name)?;
            on.push(expr::binary(
                BinaryOp::Compare(CompareOp::Eq),
                scope.expr_at(left.0, left.1),
                scope.expr_at(right.0, right.1),
                self.env.bind,
            )?);
            // Of an outer join the preserved side's column is the one that is seen.
            let (seen, hidden) = match kind {
                JoinKind::Right => (right, left),
                _ => (left, right),
            };
            for (entry, position) in [left, right] {
                scope.entry(entry).note_read(position);
            }
            scope.hide(hidden.0, hidden.1);
            merged.push((left, seen, hidden));
        }
        // Merged columns come first, then those of the preserved side of a right join, else of the left side.
        let right_first = kind == JoinKind::Right && !merged.is_empty();
        let part = scope.star.split_off(first);
        let place = |column: &(usize, usize)| part.iter().position(|other| other == column);
        merged.sort_by_key(|(left, seen, _)| place(if right_first { seen } else { left }));
        scope.star.extend(merged.iter().map(|(_, seen, _)| *seen));
        let mut rest = part;
        rest.retain(|c| merged.iter().all(|(_, seen, hidden)| c != seen && c != hidden));
        if right_first {
            rest.sort_by_key(|(entry, _)| *entry < middle);
        }
        scope.star.extend(rest);
        Ok((on, applies))
    }
}

/// The column of some entries of FROM that USING or NATURAL names.
fn locate(scope: &Scope<'_>, entries: Range<usize>, name: &str) -> SqlResult<(usize, usize)> {
    let mut found = None;
    for entry in entries {
        for (position, column) in scope.entry(entry).columns.iter().enumerate() {
            if !column.merged && super::scope::same_name(&column.name, name) {
                if found.is_some() {
                    return Err(SqlError::new(1052, format!("Column '{name}' in from clause is ambiguous")));
                }
                found = Some((entry, position));
            }
        }
    }
    found.ok_or_else(|| SqlError::new(1054, format!("Unknown column '{name}' in 'from clause'")))
}

/// The columns of a derived table as names see them, each as what it shows.
pub(super) fn derived_columns(columns: &[OutColumn], names: &[String]) -> SqlResult<Vec<ScopeColumn>> {
    if !names.is_empty() && names.len() != columns.len() {
        return Err(SqlError::new(
            1353,
            "In definition of view, derived table or common table expression, SELECT list and column names list have \
             different column counts",
        ));
    }
    let mut out: Vec<ScopeColumn> = Vec::with_capacity(columns.len());
    for (number, column) in columns.iter().enumerate() {
        let name = names.get(number).map_or_else(|| column.name.clone(), |name| Arc::from(name.as_str()));
        if out.iter().any(|known| super::scope::same_name(&known.name, &name)) {
            return Err(SqlError::new(1060, format!("Duplicate column name '{name}'")));
        }
        out.push(ScopeColumn {
            name,
            data_type: column.ty.data_type.clone(),
            nullable: column.ty.nullable,
            invisible: false,
            merged: false,
            flags: column.flags,
            org_name: column.org_name.clone(),
            org_table: column.org_table.clone(),
            schema: column.schema.clone(),
        });
    }
    Ok(out)
}

/// Names a merged derived table.
pub(super) fn push_merged(
    merged: Merged,
    alias: &str,
    names: &[String],
    scope: &mut Scope<'_>,
) -> SqlResult<Tree> {
    let Merged { tree, items, tables } = merged;
    let (exprs, columns): (Vec<Expr>, Vec<OutColumn>) = items.into_iter().unzip();
    let columns = derived_columns(&columns, names)?;
    let (alias, schema) = (Arc::from(alias), Arc::from(""));
    scope.push_merged(MergedTable { alias, schema, columns, exprs, tables, view: None, reads: None })?;
    Ok(tree)
}

fn push_virtual(
    table: Arc<VirtualTable>,
    alias: Option<&str>,
    scope: &mut Scope<'_>,
    sources: &mut Vec<Source>,
) -> SqlResult<Tree> {
    let columns = table
        .columns
        .iter()
        .map(|column| ScopeColumn {
            name: column.name.clone(),
            data_type: column.data_type.clone(),
            nullable: column.nullable,
            invisible: false,
            merged: false,
            flags: output::flags_of_type(&column.data_type, column.nullable),
            org_name: column.name.clone(),
            org_table: table.name.clone(),
            schema: table.schema.clone(),
        })
        .collect();
    let alias = alias.map_or_else(|| table.name.clone(), Arc::from);
    let schema = table.schema.clone();
    let number = scope.push(ScopeTable { alias, schema, offset: 0, columns, info: None, reads: None })?;
    sources.push(Source::Virtual(table));
    Ok(Tree::Leaf(number))
}

/// A stored table as names see it.
pub(crate) fn scope_table(info: &Arc<TableInfo>, alias: Option<&str>) -> ScopeTable {
    let table = &info.table;
    let columns = table
        .columns
        .iter()
        .enumerate()
        .map(|(position, column)| ScopeColumn {
            name: column.name.clone(),
            data_type: column.data_type.clone(),
            nullable: column.nullable,
            invisible: column.invisible,
            merged: false,
            flags: output::flags_of_column(info, position),
            org_name: column.name.clone(),
            org_table: table.name.clone(),
            schema: table.schema.clone(),
        })
        .collect();
    let alias = alias.map_or_else(|| table.name.clone(), Arc::from);
    ScopeTable {
        alias,
        schema: table.schema.clone(),
        offset: 0,
        columns,
        info: Some(Arc::clone(info)),
        reads: None,
    }
}
