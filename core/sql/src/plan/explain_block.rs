//! What EXPLAIN says of a plan, before it is rows or a document: query blocks with their tables in the order in which
//! they are read (manual 10.8.2). Operators over FROM are features of their block, subqueries are blocks of their own.

use std::sync::Arc;

use aquifer_types::DataType;

use crate::expr::Expr;
use crate::expr::show::show;
use crate::plan::PlanKind;
use crate::plan::assemble::mentions;
use crate::plan::constants::Constants;
use crate::plan::cost::{Estimate, estimate};
use crate::plan::explain_table::{Change, TableDoc, column_bytes, scanned};
use crate::plan::explain_tree::{Known, Params, given};
use crate::plan::node::{Apply, JoinMethod, Node, QueryPlan, Scan};
use crate::plan::table_info::TableInfo;

/// A subquery and where it stands.
pub(super) struct SubqueryDoc {
    pub dependent: bool,
    pub block: Block,
    /// The same for all rows around at once.
    pub for_all: Option<Block>,
}

/// What makes one result of several queries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SetKind {
    UnionAll,
    Union,
    Intersect,
    Except,
}

/// A query block.
pub(super) struct Block {
    pub id: u64,
    pub select_type: &'static str,
    pub cost: f64,
    pub sorts: bool,
    pub removes_duplicates: bool,
    pub groups: bool,
    /// Functions of each window.
    pub windows: Vec<Vec<&'static str>>,
    pub tables: Vec<TableDoc>,
    /// The queries that it is made of, instead of tables.
    pub parts: Option<(SetKind, Vec<Block>)>,
    pub message: Option<&'static str>,
    pub select_list: Vec<SubqueryDoc>,
    pub having: Vec<SubqueryDoc>,
}

impl Block {
    fn new(id: u64, select_type: &'static str, cost: f64) -> Self {
        Self {
            id,
            select_type,
            cost,
            sorts: false,
            removes_duplicates: false,
            groups: false,
            windows: Vec::new(),
            tables: Vec::new(),
            parts: None,
            message: None,
            select_list: Vec::new(),
            having: Vec::new(),
        }
    }

    /// Calls `visit` for the blocks directly within.
    pub(super) fn for_each_inner(&self, visit: &mut dyn FnMut(&Self)) {
        let mut subquery = |doc: &SubqueryDoc| {
            visit(&doc.block);
            doc.for_all.iter().for_each(&mut *visit);
        };
        self.tables.iter().flat_map(|table| &table.subqueries).for_each(&mut subquery);
        self.select_list.iter().chain(&self.having).for_each(&mut subquery);
        self.tables.iter().filter_map(|table| table.materialized.as_deref()).for_each(&mut *visit);
        self.parts.iter().flat_map(|(_, parts)| parts).for_each(visit);
    }
}

/// What a statement does.
pub(super) struct Document {
    /// The table that an INSERT or REPLACE is into.
    pub insert: Option<TableDoc>,
    /// `None` when there are no rows to be found.
    pub block: Option<Block>,
}

/// The blocks of a plan; `None` of a statement that has none.
pub(super) fn document(kind: &PlanKind, init: &[Apply], constants: &Constants) -> Option<Document> {
    let mut builder = Builder { next_id: 2, params: Params::new(), init: Vec::new() };
    for apply in init {
        let id = builder.take_id();
        builder.name_result(apply, id);
        builder.init.push((apply.result, id));
    }
    for (slot, expr) in constants {
        let text = show(expr, &Known { columns: &[], params: &builder.params });
        builder.params.insert(*slot, text);
    }
    let mut insert = None;
    let mut block = match kind {
        PlanKind::Query { plan, .. } | PlanKind::Do(plan) => Some(builder.query(plan, 1, "SIMPLE")),
        PlanKind::Insert(plan) => {
            let change = if plan.is_replace() { Change::Replace } else { Change::Insert };
            insert = Some(TableDoc::changed(&plan.table.table.name, change));
            match &plan.source {
                crate::plan::InsertSource::Values(_) => None,
                crate::plan::InsertSource::Query { plan, .. } => Some(builder.query(plan, 1, "SIMPLE")),
            }
        }
        PlanKind::Update(plan) => Some(builder.changed(
            &plan.scan,
            (&plan.applies, &plan.late),
            !plan.order.is_empty(),
            Change::Update,
        )),
        PlanKind::Delete(plan) => Some(builder.changed(
            &plan.scan,
            (&plan.applies, &plan.late),
            !plan.order.is_empty(),
            Change::Delete,
        )),
        PlanKind::UpdateJoin(plan) => {
            let targets = plan.targets.iter().map(|target| (&target.info, target.key_slot));
            Some(builder.joined(
                (&plan.join.node, plan.join.row_width),
                &plan.applies,
                targets,
                Change::Update,
            ))
        }
        PlanKind::DeleteJoin(plan) => {
            let targets = plan.targets.iter().map(|target| (&target.info, target.key_slot));
            Some(builder.joined((&plan.join.node, plan.join.row_width), &[], targets, Change::Delete))
        }
        PlanKind::Ddl(_) | PlanKind::Explain(_) | PlanKind::Analyze(_) => return None,
    };
    if let Some(block) = &mut block {
        builder.place_init(init, block);
        if block.select_type == "SIMPLE" && is_primary(block) {
            block.select_type = "PRIMARY";
        }
    }
    Some(Document { insert, block })
}

/// Whether a block has others beside it, but those that are joined.
fn is_primary(block: &Block) -> bool {
    let mut found = block.parts.is_some();
    block.for_each_inner(&mut |inner| found |= inner.select_type != "MATERIALIZED" || is_primary(inner));
    found
}

struct Builder {
    next_id: u64,
    params: Params,
    /// Results of subqueries that run before all others, with the numbers of their blocks.
    init: Vec<(usize, u64)>,
}

impl Builder {
    fn take_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id - 1
    }

    fn name_result(&mut self, apply: &Apply, id: u64) {
        self.params.insert(apply.result, format!("(select #{id})"));
    }

    fn query(&mut self, plan: &QueryPlan, id: u64, select_type: &'static str) -> Block {
        self.block(&plan.node, plan.row_width, id, select_type)
    }

    fn block(&mut self, node: &Node, width: usize, id: u64, select_type: &'static str) -> Block {
        let mut block = Block::new(id, select_type, estimate(node).cost);
        self.upper(node, width, &mut block);
        block
    }

    /// Operators over FROM.
    fn upper(&mut self, node: &Node, width: usize, block: &mut Block) {
        match node {
            Node::Project { input, applies, .. } | Node::Extend { input, applies, .. } => {
                self.upper(input, width, block);
                let names = given(input, width, &self.params);
                let found = self.applies(applies, &names);
                block.select_list.extend(found);
            }
            Node::Cut { input, .. } | Node::Limit { input, .. } if !is_from(node) => {
                self.upper(input, width, block);
            }
            Node::Sort { input, .. } => {
                block.sorts = true;
                self.upper(input, width, block);
            }
            Node::Distinct { input, .. } => match &**input {
                Node::Union(parts) => self.parts(SetKind::Union, parts, width, block),
                input => {
                    block.removes_duplicates = true;
                    self.upper(input, width, block);
                }
            },
            Node::Window(window) => {
                for group in &window.groups {
                    block.windows.push(group.calls.iter().map(|call| call.function.name()).collect());
                }
                self.upper(&window.input, width, block);
            }
            Node::Aggregate(aggregate) => {
                block.groups = !aggregate.keys.is_empty();
                self.upper(&aggregate.input, width, block);
                let names = given(&aggregate.input, width, &self.params);
                let found = self.applies(&aggregate.applies, &names);
                block.select_list.extend(found);
            }
            Node::Filter { input, applies, .. } if !is_from(node) => {
                self.upper(input, width, block);
                let names = given(input, width, &self.params);
                let found = self.applies(applies, &names);
                block.having.extend(found);
            }
            Node::Union(parts) => self.parts(SetKind::UnionAll, parts, width, block),
            Node::SetDifference { left, right, keep_common, .. } => {
                let kind = if *keep_common { SetKind::Intersect } else { SetKind::Except };
                self.set_operation(kind, [&**left, &**right].into_iter(), width, block);
            }
            Node::Recursive(recursive) => {
                let all = std::iter::once(&recursive.seed).chain(&recursive.parts);
                self.set_operation(SetKind::UnionAll, all, recursive.row_width, block);
            }
            Node::Unit | Node::Values { .. } => block.message = Some("No tables used"),
            from => {
                let mut names: Vec<String> = (0..width).map(|index| format!("#{index}")).collect();
                name_tables(from, &mut names, &self.params);
                self.tables(from, &names, block);
            }
        }
    }

    fn parts(&mut self, kind: SetKind, parts: &[Node], width: usize, block: &mut Block) {
        self.set_operation(kind, parts.iter(), width, block);
    }

    fn set_operation<'n>(
        &mut self,
        kind: SetKind,
        parts: impl Iterator<Item = &'n Node>,
        width: usize,
        block: &mut Block,
    ) {
        let name = match kind {
            SetKind::UnionAll | SetKind::Union => "UNION",
            SetKind::Intersect => "INTERSECT",
            SetKind::Except => "EXCEPT",
        };
        let first_type = if block.id == 1 { "PRIMARY" } else { block.select_type };
        let mut blocks = Vec::new();
        for (number, part) in parts.enumerate() {
            let (id, select_type) = if number == 0 { (block.id, first_type) } else { (self.take_id(), name) };
            blocks.push(self.block(part, width, id, select_type));
        }
        block.parts = Some((kind, blocks));
    }

    /// Tables of FROM; gives what is expected of all so far.
    fn tables(&mut self, node: &Node, names: &[String], block: &mut Block) {
        let first = block.tables.len();
        match node {
            Node::Join(join) => {
                self.tables(&join.outer, names, block);
                let middle = block.tables.len();
                self.tables(&join.inner, names, block);
                let mut conditions = join.on.clone();
                if let Some(table) = block.tables.get_mut(middle) {
                    table.join_buffer = match &join.method {
                        JoinMethod::Lookup => None,
                        JoinMethod::Buffer => Some("Block Nested Loop"),
                        JoinMethod::Hash(..) => Some("hash join"),
                    };
                }
                if let JoinMethod::Hash(pairs, _) = &join.method {
                    let known = Known { columns: names, params: &self.params };
                    let pair = |(a, b): &(Expr, Expr)| format!("({} = {})", show(b, &known), show(a, &known));
                    let texts: Vec<String> = pairs.iter().map(pair).collect();
                    if let Some(table) = block.tables.last_mut() {
                        table.conditions.extend(texts);
                    }
                }
                self.attach(&mut conditions, &join.applies, names, block);
            }
            Node::Filter { input, applies, conditions } => {
                self.tables(input, names, block);
                self.attach(&mut conditions.clone(), applies, names, block);
            }
            Node::Limit { input, .. } | Node::Cut { input, .. } => self.tables(input, names, block),
            leaf => {
                let table = self.leaf(leaf, names);
                block.tables.push(table);
            }
        }
        let before = first.checked_sub(1).map_or(Estimate::default(), |last| block.tables[last].prefix);
        let all = estimate(node);
        if let Some(table) = block.tables.last_mut() {
            let is_inner = !matches!(node, Node::Join(_)) && first > 0;
            table.prefix =
                if is_inner { Estimate { rows: all.rows, cost: before.cost + all.cost } } else { all };
        }
    }

    /// Conditions and subqueries that are tested when the last table's row is there.
    fn attach(&mut self, conditions: &mut Vec<Expr>, applies: &[Apply], names: &[String], block: &mut Block) {
        let found = self.applies(applies, names);
        let known = Known { columns: names, params: &self.params };
        if let Some(table) = block.tables.last_mut() {
            table.conditions.extend(conditions.iter().map(|condition| show(condition, &known)));
            table.mentioned.append(conditions);
            table.subqueries.extend(found);
        }
    }

    fn leaf(&mut self, node: &Node, names: &[String]) -> TableDoc {
        let (mut table, filter) = match node {
            Node::Scan(scan) => return self.scan(scan, names),
            Node::Derived { query, is_subquery, name, filter, columns, .. } => {
                let id = self.take_id();
                let block = self.query(query, id, if *is_subquery { "MATERIALIZED" } else { "DERIVED" });
                let shown = if *is_subquery { format!("<subquery{id}>") } else { name.to_string() };
                let mut table = TableDoc::named(&shown, estimate(&query.node).rows);
                table.line_name = format!("<{}{id}>", if *is_subquery { "subquery" } else { "derived" });
                table.materialized = Some(Box::new(block));
                table.used_columns =
                    columns.iter().filter(|c| !c.is_empty()).map(|c| c.to_string()).collect();
                (table, filter)
            }
            Node::Virtual(scan) => (TableDoc::named(&scan.alias, 100.0), &scan.filter),
            Node::JsonTable { name, filter, .. } => {
                let mut table = TableDoc::named(name, 10.0);
                table.notes.push("Table function: json_table; Using temporary");
                (table, filter)
            }
            Node::Work { name, filter, .. } => {
                let mut table = TableDoc::named(name, 100.0);
                table.recursive = true;
                (table, filter)
            }
            _ => return TableDoc::named("", 1.0),
        };
        let known = Known { columns: names, params: &self.params };
        table.conditions = filter.iter().map(|condition| show(condition, &known)).collect();
        table.mentioned = filter.clone();
        table
    }

    fn scan(&self, scan: &Scan, names: &[String]) -> TableDoc {
        let known = Known { columns: names, params: &self.params };
        let mut table = scanned(scan, &known);
        table.conditions = scan.filter.iter().map(|condition| show(condition, &known)).collect();
        table.mentioned.clone_from(&scan.filter);
        table.mentioned.extend(scan.access.ranges.iter().flat_map(|range| range.equal.iter().cloned()));
        table
    }

    fn applies(&mut self, applies: &[Apply], names: &[String]) -> Vec<SubqueryDoc> {
        applies.iter().map(|apply| self.apply(apply, names, None)).collect()
    }

    fn apply(&mut self, apply: &Apply, names: &[String], id: Option<u64>) -> SubqueryDoc {
        let id = id.unwrap_or_else(|| self.take_id());
        self.name_result(apply, id);
        for (slot, expr) in &apply.outer {
            let text = show(expr, &Known { columns: names, params: &self.params });
            self.params.insert(*slot, text);
        }
        let select_type = if apply.correlated { "DEPENDENT SUBQUERY" } else { "SUBQUERY" };
        let block = self.query(&apply.query, id, select_type);
        let for_all = apply.keyed.as_ref().map(|keyed| self.query(&keyed.query, id, "MATERIALIZED"));
        SubqueryDoc { dependent: apply.correlated, block, for_all }
    }

    /// Puts subqueries that run before all others to the table whose conditions use them, else to the select list.
    fn place_init(&mut self, init: &[Apply], block: &mut Block) {
        let ids = std::mem::take(&mut self.init);
        for (apply, (result, id)) in init.iter().zip(ids) {
            let doc = self.apply(apply, &[], Some(id));
            let uses = |table: &&mut TableDoc| table.mentioned.iter().any(|expr| mentions(expr, &[result]));
            match block.tables.iter_mut().find(uses) {
                Some(table) => table.subqueries.push(doc),
                None => block.select_list.push(doc),
            }
        }
    }

    /// Rows of one table that are changed.
    fn changed(
        &mut self,
        scan: &Scan,
        (applies, late): (&[Apply], &[Expr]),
        sorts: bool,
        change: Change,
    ) -> Block {
        let mut block = Block::new(1, change.name(), scan.cost);
        block.sorts = sorts;
        let names = names_of(scan.table.width(), &scan.table, &scan.alias);
        let mut table = self.scan(scan, &names);
        table.change = Some(change);
        block.tables.push(table);
        self.attach(&mut late.to_vec(), applies, &names, &mut block);
        block
    }

    /// Rows of a join that are changed, with the places of the keys of tables to be changed.
    fn joined<'t>(
        &mut self,
        (node, width): (&Node, usize),
        applies: &[Apply],
        targets: impl Iterator<Item = (&'t Arc<TableInfo>, usize)>,
        change: Change,
    ) -> Block {
        let mut block = self.block(node, width, 1, "SIMPLE");
        let slots: Vec<usize> = targets.map(|(_, slot)| slot).collect();
        for table in &mut block.tables {
            if table.key_slot.is_some_and(|slot| slots.contains(&slot)) {
                table.change = Some(change);
            }
        }
        let mut names: Vec<String> = (0..width).map(|index| format!("#{index}")).collect();
        name_tables(node, &mut names, &self.params);
        let found = self.applies(applies, &names);
        block.select_list.extend(found);
        block
    }
}

/// Whether an operator is part of FROM and WHERE, not over groups.
fn is_from(node: &Node) -> bool {
    match node {
        Node::Filter { input, .. } | Node::Limit { input, .. } | Node::Cut { input, .. } => is_from(input),
        Node::Scan(_) | Node::Join(_) | Node::Derived { .. } | Node::Virtual(_) => true,
        Node::JsonTable { .. } | Node::Work { .. } => true,
        _ => false,
    }
}

fn quoted(parts: &[&str]) -> String {
    let shown = parts.iter().filter(|part| !part.is_empty());
    shown.map(|part| format!("`{part}`")).collect::<Vec<_>>().join(".")
}

/// Names of all columns of a table, at their own places.
fn names_of(width: usize, info: &TableInfo, alias: &str) -> Vec<String> {
    let columns = info.table.columns.iter().take(width);
    columns.map(|column| quoted(&[&info.table.schema, alias, &column.name])).collect()
}

/// Writes the full names of tables' columns to their places in rows of the block.
fn name_tables(node: &Node, names: &mut [String], params: &Params) {
    let mut put = |slot: usize, parts: &[&str]| {
        if let Some(name) = names.get_mut(slot) {
            *name = quoted(parts);
        }
    };
    match node {
        Node::Scan(scan) => {
            for needed in &scan.needed {
                let column = &scan.table.table.columns[needed.column].name;
                put(scan.offset + needed.place, &[&scan.table.table.schema, &scan.alias, column]);
            }
        }
        Node::Virtual(scan) => {
            for (number, column) in scan.table.columns.iter().enumerate() {
                put(scan.offset + number, &[&scan.table.schema, &scan.alias, &column.name]);
            }
        }
        Node::Derived { is_subquery: true, query, offset, name, .. } => {
            let inner = given(&query.node, query.row_width, params);
            for (number, column) in inner.iter().take(query.width).enumerate() {
                put(offset + number, &[name, column.rsplit('.').next().unwrap_or(column)]);
            }
        }
        Node::Derived { offset, name, columns, .. } => {
            for (number, column) in columns.iter().enumerate() {
                put(offset + number, &[name, column]);
            }
        }
        Node::Join(join) => {
            name_tables(&join.outer, names, params);
            name_tables(&join.inner, names, params);
        }
        Node::Filter { input, .. } | Node::Limit { input, .. } => name_tables(input, names, params),
        _ => {}
    }
}

/// Bytes of a row's columns as a table in memory has them.
pub(super) fn row_bytes(types: impl Iterator<Item = DataType>) -> u64 {
    types.map(|data_type| column_bytes(&data_type, u64::from(data_type.length))).sum()
}
