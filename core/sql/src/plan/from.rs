//! FROM: tables, joins, their order and methods.

use std::ops::Range;
use std::sync::Arc;

use aquifer_types::{SqlError, SqlResult};

use crate::ast::{JoinCondition, JoinKind, TableName, TableRef};
use crate::expr::{self, BinaryOp, CompareOp, Expr};
use crate::plan::access::{Request, choose};
use crate::plan::bind_expr::ExprContext;
use crate::plan::binder::Binder;
use crate::plan::node::{
    Apply, JoinMethod, JoinNode, JoinType, LockSpec, Node, QueryPlan, Scan, VirtualScan,
};
use crate::plan::output;
use crate::plan::scope::{Scope, ScopeColumn, ScopeTable};
use crate::plan::select::mentions;
use crate::plan::sort_type::SortType;
use crate::plan::table_info::TableInfo;
use crate::virtual_table::VirtualTable;

/// Where rows of a table in scope come from.
pub(crate) enum Source {
    Stored { info: Arc<TableInfo>, use_index: Option<Vec<String>>, ignore_index: Vec<String> },
    Virtual(Arc<VirtualTable>),
    Derived(Arc<QueryPlan>),
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
                let common = name
                    .schema
                    .is_none()
                    .then(|| self.common.iter().rposition(|c| c.table.name == name.name));
                if let Some(Some(number)) = common {
                    return self.common_table(number, alias.as_deref(), scope, sources);
                }
                self.named_table(name, alias.as_deref(), (use_index, ignore_index), scope, sources)
            }
            TableRef::Derived { lateral, query, alias, columns } => {
                if *lateral {
                    return Err(SqlError::not_supported("LATERAL"));
                }
                let bound = self.query(query, scope.parent)?;
                self.push_derived(bound, alias, columns, scope, sources)
            }
            TableRef::Join(join) => {
                let left = self.from(&join.left, scope, sources)?;
                let middle = scope.tables.len();
                let start = leaf_min(&left);
                let right = self.from(&join.right, scope, sources)?;
                let (on, applies) =
                    self.join_condition(&join.condition, join.kind, (start, middle), scope)?;
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

    fn common_table(
        &mut self,
        number: usize,
        alias: Option<&str>,
        scope: &mut Scope<'_>,
        sources: &mut Vec<Source>,
    ) -> SqlResult<Tree> {
        let definition = self.common[number].clone();
        let hidden = self.common.split_off(definition.visible);
        let bound = self.query(&definition.table.query, None);
        self.common.truncate(definition.visible);
        self.common.extend(hidden);
        let alias = alias.unwrap_or(&definition.table.name);
        self.push_derived(bound?, alias, &definition.table.columns, scope, sources)
    }

    fn push_derived(
        &mut self,
        bound: super::binder::BoundQuery,
        alias: &str,
        names: &[String],
        scope: &mut Scope<'_>,
        sources: &mut Vec<Source>,
    ) -> SqlResult<Tree> {
        if !names.is_empty() && names.len() != bound.columns.len() {
            return Err(SqlError::new(
                1353,
                "In definition of view, derived table or common table expression, SELECT list and column names list \
                 have different column counts",
            ));
        }
        let alias: Arc<str> = Arc::from(alias);
        let mut columns: Vec<ScopeColumn> = Vec::new();
        for (number, column) in bound.columns.iter().enumerate() {
            let name = names.get(number).map_or_else(|| column.name.clone(), |name| Arc::from(name.as_str()));
            if columns.iter().any(|known| super::scope::same_name(&known.name, &name)) {
                return Err(SqlError::new(1060, format!("Duplicate column name '{name}'")));
            }
            columns.push(ScopeColumn {
                name: name.clone(),
                data_type: column.ty.data_type.clone(),
                nullable: column.ty.nullable,
                invisible: false,
                merged: false,
                flags: output::flags_of_type(&column.ty.data_type, column.ty.nullable),
                org_name: name,
                org_table: alias.clone(),
                schema: Arc::from(""),
            });
        }
        let table = ScopeTable { alias, schema: Arc::from(""), offset: 0, columns, info: None };
        let number = scope.push(table)?;
        sources.push(Source::Derived(Arc::new(bound.plan)));
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
            return push_virtual(table, alias, scope, sources);
        }
        if virtual_tables.has_schema(&schema) && self.env.catalog.table(&schema, &name.name).is_none() {
            return Err(SqlError::new(
                1109,
                format!("Unknown table '{}' in {schema}", name.name.to_uppercase()),
            ));
        }
        let info = self.stored_table(name)?;
        for hint in hints.0.iter().flatten().chain(hints.1) {
            if info.index_named(hint).is_none() {
                let table = alias.unwrap_or(&name.name);
                return Err(SqlError::new(1176, format!("Key '{hint}' doesn't exist in table '{table}'")));
            }
        }
        let number = scope.push(scope_table(&info, alias))?;
        let use_index = hints.0.clone().filter(|names| !names.is_empty());
        sources.push(Source::Stored { info, use_index, ignore_index: hints.1.to_vec() });
        Ok(Tree::Leaf(number))
    }

    /// Binds ON; merges columns for USING and NATURAL.
    fn join_condition(
        &mut self,
        condition: &JoinCondition,
        kind: JoinKind,
        (start, middle): (usize, usize),
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
                let right = || scope.tables[middle..].iter().flat_map(|t| &t.columns).filter(|c| !c.merged);
                let left = scope.tables[start..middle].iter().flat_map(|t| &t.columns).filter(|c| !c.merged);
                left.filter(|l| right().any(|r| super::scope::same_name(&l.name, &r.name)))
                    .map(|l| l.name.to_string())
                    .collect()
            }
        };
        for name in names {
            let (lt, lc) = locate(&scope.tables[start..middle], &name)?;
            let (rt, rc) = locate(&scope.tables[middle..], &name)?;
            let (lt, rt) = (lt + start, rt + middle);
            let column = |t: usize, c: usize| {
                let table = &scope.tables[t];
                let column = &table.columns[c];
                expr::column(table.offset + c, column.data_type.clone(), column.nullable)
            };
            on.push(expr::binary(
                BinaryOp::Compare(CompareOp::Eq),
                column(lt, lc),
                column(rt, rc),
                self.env.bind,
            )?);
            // Of an outer join the preserved side's column is the one that is seen.
            let hidden = if kind == JoinKind::Right { (lt, lc) } else { (rt, rc) };
            scope.tables[hidden.0].columns[hidden.1].merged = true;
        }
        Ok((on, applies))
    }
}

fn locate(tables: &[ScopeTable], name: &str) -> SqlResult<(usize, usize)> {
    let mut found = None;
    for (t, table) in tables.iter().enumerate() {
        for (c, column) in table.columns.iter().enumerate() {
            if !column.merged && super::scope::same_name(&column.name, name) {
                if found.is_some() {
                    return Err(SqlError::new(1052, format!("Column '{name}' in from clause is ambiguous")));
                }
                found = Some((t, c));
            }
        }
    }
    found.ok_or_else(|| SqlError::new(1054, format!("Unknown column '{name}' in 'from clause'")))
}

fn leaf_min(tree: &Tree) -> usize {
    match tree {
        Tree::Leaf(number) => *number,
        Tree::Join { left, right, .. } => leaf_min(left).min(leaf_min(right)),
    }
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
    let number = scope.push(ScopeTable { alias, schema, offset: 0, columns, info: None })?;
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
    ScopeTable { alias, schema: table.schema.clone(), offset: 0, columns, info: Some(Arc::clone(info)) }
}

/// Something to be joined: a table or the right side of a left join.
struct Item {
    tree: Tree,
    /// ON of a left join with its subqueries; `None` for an inner join.
    left: Option<(Vec<Expr>, Vec<Apply>)>,
    /// Tables that must come before.
    requires: Vec<usize>,
    tables: Vec<usize>,
}

/// What join planning needs to know.
pub(crate) struct FromPlanner<'p> {
    pub tables: &'p [ScopeTable],
    pub sources: &'p [Source],
    /// Whether each slot is read by any expression of the block.
    pub used: &'p [bool],
    /// How rows of each table are locked.
    pub locks: &'p [Option<LockSpec>],
    /// Wanted order when there is one table: column positions with DESC.
    pub order: &'p [(usize, bool)],
    pub limited: bool,
    pub straight: bool,
}

/// A planned FROM.
pub(crate) struct FromPlan {
    pub node: Node,
    /// Whether rows come in the wanted order.
    pub ordered: bool,
}

impl FromPlanner<'_> {
    /// Plans a tree with the conditions of WHERE that are not subqueries. Conditions left over are returned
    /// by draining `conditions`.
    pub(crate) fn plan(&self, tree: Tree, conditions: &mut Vec<Expr>) -> SqlResult<FromPlan> {
        let mut flat = Flat { straight: self.straight, ..Flat::default() };
        flatten(tree, &mut flat, conditions);
        let Flat { mut items, late, applies, straight } = flat;
        let mut bound = vec![false; self.tables.len()];
        let mut node: Option<Node> = None;
        let mut ordered = false;
        while !items.is_empty() {
            let number = self.pick(&items, &bound, conditions, straight);
            let item = items.remove(number);
            node = Some(match node {
                None => {
                    let alone = items.is_empty();
                    let (first, in_order) = self.first(item.tree, conditions, &mut bound, alone)?;
                    ordered = in_order;
                    first
                }
                Some(outer) => self.join(outer, item, conditions, &mut bound)?,
            });
        }
        let mut node = node.unwrap_or(Node::Unit);
        if !late.is_empty() {
            node = Node::Filter { input: Box::new(node), applies, conditions: late };
        }
        Ok(FromPlan { node, ordered })
    }

    /// The next item: the cheapest of those whose requirements are met.
    fn pick(&self, items: &[Item], bound: &[bool], conditions: &[Expr], straight: bool) -> usize {
        let ready = |item: &Item| item.requires.iter().all(|table| bound[*table]);
        if straight || items.len() == 1 {
            return items.iter().position(ready).unwrap_or(0);
        }
        let mut best = (0, f64::MAX);
        for (number, item) in items.iter().enumerate() {
            if !ready(item) {
                continue;
            }
            let cost = match (&item.tree, &item.left) {
                (Tree::Leaf(table), left) => {
                    let on: &[Expr] = left.as_ref().map_or(conditions, |(on, _)| on);
                    self.leaf_cost(*table, on, bound)
                }
                _ => 1e7,
            };
            // A left join can wait: it never makes rows fewer.
            let cost = if item.left.is_some() { cost + 1e6 } else { cost };
            if cost < best.1 {
                best = (number, cost);
            }
        }
        best.0
    }

    fn leaf_cost(&self, table: usize, conditions: &[Expr], bound: &[bool]) -> f64 {
        match &self.sources[table] {
            Source::Stored { info, use_index, ignore_index } => {
                let refs = self.applicable(conditions, table, bound);
                let needed = self.needed(table);
                choose(&Request {
                    info,
                    offset: self.tables[table].offset,
                    conditions: &refs,
                    bound: &|slot| self.slot_bound(slot, bound),
                    order: &[],
                    needed: &needed,
                    use_index: use_index.as_deref(),
                    ignore_index,
                    limited: false,
                })
                .cost
            }
            Source::Virtual(_) => 2000.0,
            Source::Derived(_) => 1500.0,
        }
    }

    fn slot_bound(&self, slot: usize, bound: &[bool]) -> bool {
        self.tables
            .iter()
            .position(|t| slot >= t.offset && slot < t.offset + t.columns.len())
            .is_some_and(|table| bound[table])
    }

    /// Conditions over one table and those bound before it.
    fn applicable<'c>(&self, conditions: &'c [Expr], table: usize, bound: &[bool]) -> Vec<&'c Expr> {
        let range = self.slots(table);
        conditions
            .iter()
            .filter(|c| c.columns().iter().all(|slot| range.contains(slot) || self.slot_bound(*slot, bound)))
            .collect()
    }

    fn slots(&self, table: usize) -> Range<usize> {
        let table = &self.tables[table];
        table.offset..table.offset + table.columns.len()
    }

    fn needed(&self, table: usize) -> Vec<usize> {
        let range = self.slots(table);
        range.clone().filter(|slot| self.used[*slot]).map(|slot| slot - range.start).collect()
    }

    /// Takes out conditions whose columns are all bound.
    fn take_bound(&self, conditions: &mut Vec<Expr>, bound: &[bool]) -> Vec<Expr> {
        let (taken, rest) = std::mem::take(conditions)
            .into_iter()
            .partition(|c: &Expr| c.columns().iter().all(|slot| self.slot_bound(*slot, bound)));
        *conditions = rest;
        taken
    }

    fn first(
        &self,
        tree: Tree,
        conditions: &mut Vec<Expr>,
        bound: &mut [bool],
        alone: bool,
    ) -> SqlResult<(Node, bool)> {
        let Tree::Leaf(table) = tree else {
            let mut inner = Vec::new();
            let mut tables = Vec::new();
            leaves(&tree, &mut tables);
            let plan = self.plan(tree, &mut inner)?;
            tables.iter().for_each(|table| bound[*table] = true);
            conditions.extend(inner);
            return Ok((plan.node, false));
        };
        let before = bound.to_vec();
        bound[table] = true;
        let filter = self.take_bound(conditions, bound);
        let order = if alone { self.order } else { &[] };
        let (node, ordered, _) = self.leaf(table, filter, &before, order);
        Ok((node, ordered && alone))
    }

    /// A scan of one table; also says whether it is in order and whether it refers to outer rows.
    fn leaf(
        &self,
        table: usize,
        filter: Vec<Expr>,
        bound: &[bool],
        order: &[(usize, bool)],
    ) -> (Node, bool, bool) {
        let scope = &self.tables[table];
        match &self.sources[table] {
            Source::Stored { info, use_index, ignore_index } => {
                let refs: Vec<&Expr> = filter.iter().collect();
                let needed = self.needed(table);
                let choice = choose(&Request {
                    info,
                    offset: scope.offset,
                    conditions: &refs,
                    bound: &|slot| self.slot_bound(slot, bound),
                    order,
                    needed: &needed,
                    use_index: use_index.as_deref(),
                    ignore_index,
                    limited: self.limited,
                });
                let mut number = 0;
                let implied = &choice.implied;
                let mut filter = filter;
                filter.retain(|_| {
                    number += 1;
                    !implied.contains(&(number - 1))
                });
                let lock = self.locks[table];
                let scan = Scan {
                    table: Arc::clone(info),
                    offset: scope.offset,
                    needed,
                    access: choice.access,
                    direction: choice.direction,
                    lock,
                    filter,
                    covering: choice.covering && lock.is_none(),
                    alias: scope.alias.clone(),
                    rows: choice.rows,
                };
                (Node::Scan(Box::new(scan)), choice.ordered, choice.uses_outer)
            }
            Source::Virtual(table) => {
                let equals = virtual_equals(&filter, scope.offset, table.columns.len());
                let scan = VirtualScan {
                    table: Arc::clone(table),
                    offset: scope.offset,
                    equals,
                    filter,
                    alias: scope.alias.clone(),
                };
                (Node::Virtual(Box::new(scan)), order.is_empty(), false)
            }
            Source::Derived(query) => {
                let query = Arc::clone(query);
                let node = Node::Derived { query, offset: scope.offset, filter, name: scope.alias.clone() };
                (node, order.is_empty(), false)
            }
        }
    }

    fn join(
        &self,
        outer: Node,
        item: Item,
        conditions: &mut Vec<Expr>,
        bound: &mut [bool],
    ) -> SqlResult<Node> {
        let before = bound.to_vec();
        item.tables.iter().for_each(|table| bound[*table] = true);
        let (kind, mut on, applies) = match item.left {
            Some((on, applies)) => (JoinType::Left, on, applies),
            None => (JoinType::Inner, self.take_bound(conditions, bound), Vec::new()),
        };
        let ranges: Vec<Range<usize>> = item.tables.iter().map(|table| self.slots(*table)).collect();
        let inside =
            |expr: &Expr| expr.columns().iter().all(|slot| ranges.iter().any(|range| range.contains(slot)));
        let mut method = None;
        let mut inner = None;
        if let Tree::Leaf(table) = item.tree
            && matches!(self.sources[table], Source::Stored { .. })
            && applies.is_empty()
        {
            let refs = self.applicable(&on, table, &before);
            if refs.len() == on.len() {
                let (node, _, uses_outer) = self.leaf(table, on.clone(), &before, &[]);
                if uses_outer {
                    inner = Some(node);
                    method = Some(JoinMethod::Lookup);
                    on.clear();
                }
            }
        }
        let inner = match inner {
            Some(inner) => inner,
            None => {
                let (mut own, rest): (Vec<Expr>, Vec<Expr>) =
                    on.into_iter().partition(|c| !c.columns().is_empty() && inside(c));
                on = rest;
                let nothing = vec![false; bound.len()];
                match item.tree {
                    Tree::Leaf(table) => self.leaf(table, own, &nothing, &[]).0,
                    tree => {
                        let plan = self.plan(tree, &mut own)?;
                        filtered(plan.node, own)
                    }
                }
            }
        };
        let method = method.unwrap_or_else(|| hash_method(&mut on, &inside));
        let mut ranges = ranges.into_iter();
        let inner_slots = ranges.next().unwrap_or(0..0);
        let join = JoinNode {
            outer,
            inner,
            inner_slots,
            more_inner_slots: ranges.collect(),
            kind,
            method,
            on,
            applies,
        };
        let node = Node::Join(Box::new(join));
        let rest = if kind == JoinType::Left { self.take_bound(conditions, bound) } else { Vec::new() };
        Ok(filtered(node, rest))
    }
}

/// A node with conditions over it, if there are any.
pub(crate) fn filtered(node: Node, conditions: Vec<Expr>) -> Node {
    if conditions.is_empty() {
        return node;
    }
    Node::Filter { input: Box::new(node), applies: Vec::new(), conditions }
}

/// A tree whose inner joins are one list.
#[derive(Default)]
struct Flat {
    items: Vec<Item>,
    /// Conditions of ON with subqueries: tested when all tables are joined.
    late: Vec<Expr>,
    applies: Vec<Apply>,
    /// STRAIGHT_JOIN: the order is the user's.
    straight: bool,
}

fn flatten(tree: Tree, flat: &mut Flat, conditions: &mut Vec<Expr>) {
    match tree {
        Tree::Leaf(number) => {
            flat.items.push(Item {
                tree: Tree::Leaf(number),
                left: None,
                requires: Vec::new(),
                tables: vec![number],
            });
        }
        Tree::Join { left, right, kind: JoinKind::Left, on, applies } => {
            flatten(*left, flat, conditions);
            let requires = flat.items.iter().flat_map(|item| item.tables.iter().copied()).collect();
            let mut tables = Vec::new();
            leaves(&right, &mut tables);
            flat.items.push(Item { tree: *right, left: Some((on, applies)), requires, tables });
        }
        Tree::Join { left, right, kind, on, applies } => {
            flat.straight |= kind == JoinKind::Straight;
            flatten(*left, flat, conditions);
            flatten(*right, flat, conditions);
            let results: Vec<usize> = applies.iter().map(|apply| apply.result).collect();
            let (late, plain): (Vec<Expr>, Vec<Expr>) = on.into_iter().partition(|c| mentions(c, &results));
            conditions.extend(plain);
            flat.late.extend(late);
            flat.applies.extend(applies);
        }
    }
}

fn leaves(tree: &Tree, out: &mut Vec<usize>) {
    match tree {
        Tree::Leaf(number) => out.push(*number),
        Tree::Join { left, right, .. } => {
            leaves(left, out);
            leaves(right, out);
        }
    }
}

/// A hash join when some equality has one side in each input; else a buffered one.
fn hash_method(on: &mut Vec<Expr>, inside: &dyn Fn(&Expr) -> bool) -> JoinMethod {
    let mut pairs = Vec::new();
    let mut types = Vec::new();
    let has_columns = |expr: &Expr| !expr.columns().is_empty();
    on.retain(|condition| {
        let Some((CompareOp::Eq, left, right)) = condition.as_comparison() else { return true };
        if !SortType::hashable(left.data_type(), right.data_type()) {
            return true;
        }
        let touches = |expr: &Expr| {
            expr.columns()
                .iter()
                .any(|slot| inside(&Expr::Column { index: *slot, ty: expr.expr_type().clone() }))
        };
        let pair = if has_columns(left) && inside(left) && !touches(right) {
            (right.clone(), left.clone())
        } else if has_columns(right) && inside(right) && !touches(left) {
            (left.clone(), right.clone())
        } else {
            return true;
        };
        types.push(SortType::of(pair.0.data_type()));
        pairs.push(pair);
        false
    });
    if pairs.is_empty() { JoinMethod::Buffer } else { JoinMethod::Hash(pairs, types) }
}

/// Equalities with constants, as hints for a virtual table.
fn virtual_equals(filter: &[Expr], offset: usize, width: usize) -> Vec<(usize, Expr)> {
    let mut equals = Vec::new();
    for condition in filter {
        let Some((CompareOp::Eq, left, right)) = condition.as_comparison() else { continue };
        for (column, value) in [(left, right), (right, left)] {
            if let Expr::Column { index, .. } = column
                && value.columns().is_empty()
                && *index >= offset
                && *index < offset + width
            {
                equals.push((*index - offset, value.clone()));
            }
        }
    }
    equals
}
