//! WITH RECURSIVE (manual 13.2.20): a seed, then parts that read the rows of the iteration before.
//!
//! A recursive part sees its own table as a work table ([`Source::Work`]) that the operator fills before each
//! iteration. Types are those of the seed; every column may be NULL.

use std::sync::Arc;

use aquifer_types::{DataType, SqlError, SqlResult, Value};

use crate::ast::{Query, QueryBody, SetOperator, TableRef, VariableScope};
use crate::plan::binder::{Binder, BoundQuery, OutColumn};
use crate::plan::from::{Source, Tree};
use crate::plan::node::{Node, QueryPlan, RecursiveNode};
use crate::plan::output;
use crate::plan::query::{Around, computed};
use crate::plan::scope::{CommonTableDef, Scope, ScopeColumn, ScopeTable};
use crate::plan::sort_type::SortType;

/// The table of a recursive part.
#[derive(Clone)]
pub(crate) struct WorkTable {
    pub id: usize,
    pub columns: Arc<[(Arc<str>, DataType)]>,
}

/// Iterations unless `cte_max_recursion_depth` says otherwise.
const DEPTH_DEFAULT: u64 = 1000;

/// Whether a query names a table, which makes a common table recursive.
pub(crate) fn names_itself(query: &Query, name: &str) -> bool {
    let within =
        query.with.iter().flat_map(|with| &with.tables).any(|table| names_itself(&table.query, name));
    within || body_names(&query.body, name)
}

fn body_names(body: &QueryBody, name: &str) -> bool {
    match body {
        QueryBody::Select(select) => select.from.as_ref().is_some_and(|from| table_names(from, name)),
        QueryBody::Values(_) => false,
        QueryBody::Nested(query) => names_itself(query, name),
        QueryBody::Set { left, right, .. } => body_names(left, name) || body_names(right, name),
    }
}

fn table_names(table: &TableRef, name: &str) -> bool {
    match table {
        TableRef::Table { name: found, .. } => {
            found.schema.is_none() && super::scope::same_name(&found.name, name)
        }
        TableRef::Derived { query, .. } => names_itself(query, name),
        TableRef::JsonTable(_) => false,
        TableRef::Join(join) => table_names(&join.left, name) || table_names(&join.right, name),
    }
}

/// Parts of a UNION from left to right, each with whether it removes duplicates.
fn parts<'q>(body: &'q QueryBody, distinct: bool, out: &mut Vec<Part<'q>>) {
    match body {
        QueryBody::Set { operator: SetOperator::Union, all, left, right } => {
            parts(left, distinct, out);
            parts(right, !all, out);
        }
        other => out.push((other, distinct)),
    }
}

fn refused(code: u16, name: &str, text: &str) -> SqlError {
    SqlError::new(code, format!("Recursive Common Table Expression '{name}' {text}"))
}

/// A query of the union, and whether the union up to it is DISTINCT.
type Part<'q> = (&'q QueryBody, bool);

impl Binder<'_> {
    /// The rows of a recursive common table.
    pub(crate) fn recursive(
        &mut self,
        definition: &CommonTableDef,
        parent: Option<&Scope<'_>>,
    ) -> SqlResult<BoundQuery> {
        let (name, query) = (&definition.table.name, &definition.table.query);
        let mut all = Vec::new();
        parts(&query.body, false, &mut all);
        if all.len() < 2 {
            return Err(refused(3573, name, "should contain a UNION"));
        }
        let first = all.iter().position(|(part, _)| body_names(part, name)).unwrap_or(all.len());
        if first == 0 || all[first..].iter().any(|(part, _)| !body_names(part, name)) {
            let text =
                "should have one or more non-recursive query blocks followed by one or more recursive ones";
            return Err(refused(3574, name, text));
        }
        for (part, _) in &all[first..] {
            check_part(part, name)?;
        }
        let hidden = self.common.split_off(definition.visible);
        let bound = self.recursive_parts(definition, parent, (&all[..first], &all[first..]));
        self.common.truncate(definition.visible);
        self.common.extend(hidden);
        let around = Around { order: &query.order, limit: query.limit.as_ref(), locking: None };
        self.order_and_limit(bound?, around)
    }

    fn recursive_parts(
        &mut self,
        definition: &CommonTableDef,
        parent: Option<&Scope<'_>>,
        (seeds, recursive): (&[Part<'_>], &[Part<'_>]),
    ) -> SqlResult<BoundQuery> {
        let mut seed: Option<BoundQuery> = None;
        for (part, distinct) in seeds {
            let next = self.body(part, Around::default(), parent)?;
            seed = Some(match seed {
                None => next,
                Some(before) => self.set_operation(SetOperator::Union, !distinct, before, next)?,
            });
        }
        let Some(seed) = seed else {
            return Err(refused(3573, &definition.table.name, "should contain a UNION"));
        };
        let names = &definition.table.columns;
        let columns: Vec<OutColumn> = seed
            .columns
            .iter()
            .enumerate()
            .map(|(number, column)| {
                let name = names.get(number).map_or(&*column.name, String::as_str);
                computed(name, crate::expr::ExprType { nullable: true, ..column.ty.clone() })
            })
            .collect();
        let id = self.allocate_slot();
        let shape = columns.iter().map(|c| (c.name.clone(), c.ty.data_type.clone())).collect();
        let work = WorkTable { id, columns: shape };
        self.common.push(CommonTableDef {
            work: Some(work),
            recursive: false,
            bound: None,
            ..definition.clone()
        });
        let width = columns.len();
        let mut row_width = seed.plan.row_width.max(width);
        let mut parts = Vec::new();
        for (part, _) in recursive {
            let bound = self.body(part, Around::default(), parent)?;
            if bound.columns.len() != width {
                let text = "The used SELECT statements have a different number of columns";
                return Err(SqlError::new(1222, text));
            }
            row_width = row_width.max(bound.plan.row_width);
            parts.push(self.converted(bound, &columns)?);
        }
        let distinct = recursive.iter().any(|(_, distinct)| *distinct);
        let keys = distinct.then(|| columns.iter().map(|c| SortType::of(&c.ty.data_type)).collect());
        let depth_max = self.depth_max();
        let node = RecursiveNode { seed: seed.plan.node, parts, keys, id, width, row_width, depth_max };
        let plan = QueryPlan { node: Node::Recursive(Box::new(node)), width, row_width };
        Ok(BoundQuery { plan, columns })
    }

    fn depth_max(&mut self) -> u64 {
        self.reusable = false;
        match self.env.variables.get(VariableScope::Default, "cte_max_recursion_depth") {
            Ok((Value::UInt(n), _)) => n,
            Ok((Value::Int(n), _)) => u64::try_from(n).unwrap_or(DEPTH_DEFAULT),
            _ => DEPTH_DEFAULT,
        }
    }
}

/// A recursive part names its table once, outside of subqueries, and does not sum up (3575, 3576, 3577).
fn check_part(part: &QueryBody, name: &str) -> SqlResult<()> {
    let QueryBody::Select(select) = part else { return Ok(()) };
    let mut aggregate = !select.group.is_empty() || select.distinct;
    let mut visit = |expr: &crate::ast::AstExpr| aggregate |= has_aggregate(expr);
    for item in &select.items {
        if let crate::ast::SelectItem::Expr { expr, .. } = item {
            visit(expr);
        }
    }
    select.having.iter().for_each(visit);
    if aggregate {
        let text = "can contain neither aggregation nor window functions in recursive query block";
        return Err(refused(3575, name, text));
    }
    let mut count = 0;
    if let Some(from) = &select.from {
        count_direct(from, name, &mut count);
    }
    if count == 1 {
        return Ok(());
    }
    let text = format!(
        "In recursive query block of Recursive Common Table Expression '{name}', the recursive table must be \
         referenced only once, and not in any subquery"
    );
    Err(SqlError::new(3577, text))
}

fn count_direct(table: &TableRef, name: &str, count: &mut usize) {
    match table {
        TableRef::Table { .. } => *count += usize::from(table_names(table, name)),
        TableRef::Join(join) => {
            count_direct(&join.left, name, count);
            count_direct(&join.right, name, count);
        }
        TableRef::Derived { .. } | TableRef::JsonTable(_) => {}
    }
}

fn has_aggregate(expr: &crate::ast::AstExpr) -> bool {
    if let crate::ast::AstExpr::Function(call) = expr
        && (call.over.is_some() || crate::expr::aggregate::is_aggregate(&call.name))
    {
        return true;
    }
    let mut found = false;
    expr.for_each_child(&mut |child| found |= has_aggregate(child));
    found
}

/// Puts a work table into scope.
pub(crate) fn push_work(
    work: &WorkTable,
    alias: &str,
    scope: &mut Scope<'_>,
    sources: &mut Vec<Source>,
) -> SqlResult<Tree> {
    let alias: Arc<str> = Arc::from(alias);
    let columns = work
        .columns
        .iter()
        .map(|(name, data_type)| ScopeColumn {
            name: name.clone(),
            data_type: data_type.clone(),
            nullable: true,
            invisible: false,
            merged: false,
            flags: output::flags_of_type(data_type, true),
            org_name: name.clone(),
            org_table: alias.clone(),
            schema: Arc::from(""),
        })
        .collect();
    let table = ScopeTable { alias, schema: Arc::from(""), offset: 0, columns, info: None, reads: None };
    let number = scope.push(table)?;
    sources.push(Source::Work(work.id));
    Ok(Tree::Leaf(number))
}
