//! EXPLAIN FORMAT=TREE and EXPLAIN ANALYZE: operators as an indented tree (manual 15.8.2), each with what the planner
//! expected and, after an execution, with what it took: milliseconds to the first and to the last row and rows, for
//! each time that it was begun.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;

use aquifer_types::{DataType, SqlError, SqlResult, Value};

use crate::ast::{Explain, ExplainFormat};
use crate::exec::{Profile, Spilled};
use crate::expr::Expr;
use crate::expr::show::{Names, show, show_aggregate};
use crate::plan::cost::estimate;
use crate::plan::explain::{Rows, column};
use crate::plan::node::{
    AggregateNode, Apply, ApplyKind, JoinMethod, JoinNode, JoinType, LimitNode, Node, QueryPlan, Scan,
    SortKey,
};
use crate::plan::{InsertSource, KeyedJoin, PlanKind, Planned};
use crate::txn::Direction;

/// The answer of EXPLAIN FORMAT=TREE.
pub(super) fn explain(kind: &PlanKind, init: &[Apply], constants: &[(usize, Expr)]) -> SqlResult<Rows> {
    let mut tree = Tree::new(init, constants, None);
    match kind {
        PlanKind::Query { plan, .. } | PlanKind::Do(plan) => tree.node(&plan.node, plan.row_width),
        PlanKind::Insert(insert) => {
            let what = if insert.is_replace() { "Replace" } else { "Insert" };
            tree.plain(&format!("{what} into {}", insert.table.table.name));
            if let InsertSource::Query { plan, .. } = &insert.source {
                tree.depth += 1;
                tree.node(&plan.node, plan.row_width);
            }
        }
        PlanKind::Update(update) => tree.changed("Update", &update.scan, &update.applies, &update.late),
        PlanKind::Delete(delete) => tree.changed("Delete from", &delete.scan, &delete.applies, &delete.late),
        PlanKind::UpdateJoin(update) => {
            let names = update.targets.iter().map(|target| &*target.info.table.name);
            tree.joined("Update", names, &update.join);
        }
        PlanKind::DeleteJoin(delete) => {
            let names = delete.targets.iter().map(|target| &*target.info.table.name);
            tree.joined("Delete from", names, &delete.join);
        }
        PlanKind::Ddl(_) | PlanKind::Explain(_) | PlanKind::Analyze(_) => {
            return Err(SqlError::not_supported("EXPLAIN of this statement"));
        }
    }
    tree.depth = 0;
    tree.applies(init);
    let text = Value::Bytes(tree.out.into());
    Ok((Arc::from([column("EXPLAIN", DataType::varchar(64 * 1024))]), vec![vec![text]]))
}

/// EXPLAIN ANALYZE of a query.
pub(super) fn analyze(kind: PlanKind, explain: &Explain) -> SqlResult<Planned> {
    if explain.format == ExplainFormat::Json {
        return Err(SqlError::not_supported("EXPLAIN ANALYZE with JSON format"));
    }
    match kind {
        PlanKind::Query { plan, into, .. } if into.is_empty() => {
            let columns = Arc::from([column("EXPLAIN", DataType::varchar(64 * 1024))]);
            Ok((PlanKind::Analyze(plan), Some(columns)))
        }
        _ => Err(SqlError::not_supported("EXPLAIN ANALYZE of a statement that is not a query")),
    }
}

/// The tree of a query, then of the subqueries that run before it.
pub(crate) fn tree(
    plan: &QueryPlan,
    init: &[Apply],
    constants: &[(usize, Expr)],
    profile: Option<&Profile>,
) -> String {
    let mut tree = Tree::new(init, constants, profile);
    tree.node(&plan.node, plan.row_width);
    tree.applies(init);
    tree.out
}

struct Tree<'p> {
    out: String,
    depth: usize,
    /// Names of all columns of the join around, to which the ranges of its inner side may refer.
    names: Vec<String>,
    /// What parameters stand for that are not the user's.
    params: Params,
    profile: Option<&'p Profile>,
}

impl<'p> Tree<'p> {
    fn new(init: &[Apply], constants: &[(usize, Expr)], profile: Option<&'p Profile>) -> Self {
        let mut params = Params::new();
        name_results(init, &mut params);
        for (slot, expr) in constants {
            let text = show(expr, &Known { columns: &[], params: &params });
            params.insert(*slot, text);
        }
        Self { out: String::new(), depth: 0, names: Vec::new(), params, profile }
    }

    /// Rows of one table that are changed when all of them are known.
    fn changed(&mut self, what: &str, scan: &Scan, applies: &[Apply], late: &[Expr]) {
        let columns = scan.table.table.columns.iter();
        self.names = columns.map(|column| format!("{}.{}", scan.alias, column.name)).collect();
        name_results(applies, &mut self.params);
        let (names, params) = (self.names.clone(), self.params.clone());
        let known = Known { columns: &names, params: &params };
        self.plain(&format!("{what} {}", scan.table.table.name));
        let all: Vec<Expr> = scan.filter.iter().chain(late).cloned().collect();
        self.depth += 1;
        if !all.is_empty() {
            self.plain(&format!("Filter: {}", conditions(&all, &known)));
            self.depth += 1;
        }
        let expected = format!("  (cost={} rows={})", rounded(scan.cost), rounded(scan.rows));
        self.plain(&format!("{}{expected}", access(scan, &known)));
        self.applies(applies);
        self.names = Vec::new();
    }

    /// Rows of a join that are changed when all of them are known.
    fn joined<'t>(&mut self, what: &str, names: impl Iterator<Item = &'t str>, join: &KeyedJoin) {
        let names: Vec<&str> = names.collect();
        self.plain(&format!("{what} {}", names.join(", ")));
        self.depth += 1;
        self.node(&join.node, join.row_width);
    }

    /// A node and all below it; `width` is that of the block's rows.
    fn node(&mut self, node: &Node, width: usize) {
        let names = if self.names.is_empty() { below(node, width, &self.params) } else { self.names.clone() };
        name_results(own_applies(node), &mut self.params);
        let params = self.params.clone();
        let known = Known { columns: &names, params: &params };
        if let Node::Scan(scan) = node {
            return self.scan(node, scan, &known);
        }
        let (text, filter) = label(node, &known);
        if !filter.is_empty() {
            self.plain(&format!("Filter: {}", conditions(filter, &known)));
            self.depth += 1;
        }
        self.line(&text, node);
        self.depth += 1;
        self.inputs(node, width);
        self.depth -= 1 + usize::from(!filter.is_empty());
    }

    fn scan(&mut self, node: &Node, scan: &Scan, names: &Known<'_>) {
        let filtered = !scan.filter.is_empty();
        if filtered {
            self.plain(&format!("Filter: {}", conditions(&scan.filter, names)));
            self.depth += 1;
        }
        self.line(&access(scan, names), node);
        self.depth -= usize::from(filtered);
    }

    /// The operators below one, with its subqueries after them.
    fn inputs(&mut self, node: &Node, width: usize) {
        match node {
            Node::Join(join) => {
                let around = self.names.clone();
                if around.is_empty() {
                    self.names = given(node, width, &self.params);
                }
                self.node(&join.outer, width);
                if matches!(join.method, JoinMethod::Hash(..)) {
                    self.plain("Hash");
                    self.depth += 1;
                    self.node(&join.inner, width);
                    self.depth -= 1;
                } else {
                    self.node(&join.inner, width);
                }
                self.applies(&join.applies);
                self.names = around;
            }
            Node::Filter { input, applies, .. }
            | Node::Extend { input, applies, .. }
            | Node::Project { input, applies, .. } => {
                self.node(input, width);
                self.over(input, width, applies);
            }
            Node::Aggregate(aggregate) => {
                self.node(&aggregate.input, width);
                self.over(&aggregate.input, width, &aggregate.applies);
            }
            Node::Window(window) => self.node(&window.input, width),
            Node::Distinct { input, .. }
            | Node::Sort { input, .. }
            | Node::Limit { input, .. }
            | Node::Cut { input, .. } => self.node(input, width),
            Node::Union(parts) => parts.iter().for_each(|part| self.node(part, width)),
            Node::SetDifference { left, right, .. } => {
                self.node(left, width);
                self.node(right, width);
            }
            Node::Recursive(recursive) => {
                let around = std::mem::take(&mut self.names);
                self.node(&recursive.seed, recursive.row_width);
                recursive.parts.iter().for_each(|part| self.node(part, recursive.row_width));
                self.names = around;
            }
            Node::Derived { query, .. } => {
                let around = std::mem::take(&mut self.names);
                self.node(&query.node, query.row_width);
                self.names = around;
            }
            Node::Values { applies, .. } => self.applies(applies),
            Node::Unit | Node::Scan(_) | Node::Virtual(_) | Node::JsonTable { .. } | Node::Work { .. } => {}
        }
    }

    /// Subqueries that run for the rows of an operator.
    fn over(&mut self, input: &Node, width: usize, applies: &[Apply]) {
        if applies.is_empty() {
            return;
        }
        let inner = given(input, width, &self.params);
        let around = std::mem::replace(&mut self.names, inner);
        self.applies(applies);
        self.names = around;
    }

    fn applies(&mut self, applies: &[Apply]) {
        let names = self.names.clone();
        for apply in applies {
            for (slot, expr) in &apply.outer {
                let text = show(expr, &Known { columns: &names, params: &self.params });
                self.params.insert(*slot, text);
            }
            let when = if apply.correlated { "dependent" } else { "run only once" };
            let kind = match &apply.kind {
                ApplyKind::Scalar => "projection",
                ApplyKind::Exists => "EXISTS",
                ApplyKind::Compare { .. } => "condition",
            };
            self.plain(&format!("Select #{} (subquery in {kind}; {when})", apply.id + 2));
            self.depth += 1;
            let around = std::mem::take(&mut self.names);
            self.node(&apply.query.node, apply.query.row_width);
            if let Some(keyed) = &apply.keyed {
                self.names = Vec::new();
                self.plain(&format!("Select #{} for all rows, after {} runs", apply.id + 2, keyed.runs));
                self.depth += 1;
                self.node(&keyed.query.node, keyed.query.row_width);
                self.depth -= 1;
            }
            self.names = around;
            self.depth -= 1;
        }
    }

    /// A line without measures.
    fn plain(&mut self, text: &str) {
        let _ = writeln!(self.out, "{:indent$}-> {text}", "", indent = 4 * self.depth);
    }

    fn line(&mut self, text: &str, node: &Node) {
        let expected = estimate(node);
        let mut all = format!("{text}  (cost={} rows={})", rounded(expected.cost), rounded(expected.rows));
        if let Some(profile) = self.profile {
            match profile.of(node) {
                None => all.push_str(" (never executed)"),
                Some(measure) => {
                    #[allow(clippy::cast_precision_loss)]
                    let [first, last, rows, loops] =
                        [measure.first_micros, measure.all_micros, measure.rows, measure.loops]
                            .map(|number| number as f64);
                    let _ = write!(
                        all,
                        " (actual time={:.3}..{:.3} rows={} loops={loops})",
                        first / loops / 1000.0,
                        last / loops / 1000.0,
                        rounded(rows / loops)
                    );
                    all.push_str(&files_of(measure.spilled));
                }
            }
        }
        self.plain(&all);
    }
}

/// What an operator has put into temporary files.
fn files_of(spilled: Spilled) -> String {
    if spilled.parts == 0 {
        return String::new();
    }
    let parts = if spilled.sorted { "sorted runs" } else { "partitions" };
    format!(" (spilled {} bytes, {} {parts})", spilled.bytes, spilled.parts)
}

/// Gives the results of subqueries the names under which they are shown.
fn name_results(applies: &[Apply], params: &mut Params) {
    params.extend(applies.iter().map(|apply| (apply.result, format!("(select #{})", apply.id + 2))));
}

/// The subqueries that run for the rows of a node.
fn own_applies(node: &Node) -> &[Apply] {
    match node {
        Node::Join(join) => &join.applies,
        Node::Filter { applies, .. }
        | Node::Extend { applies, .. }
        | Node::Project { applies, .. }
        | Node::Values { applies, .. } => applies,
        Node::Aggregate(aggregate) => &aggregate.applies,
        _ => &[],
    }
}

/// A number as short as it is exact enough.
fn rounded(number: f64) -> String {
    if number.fract() == 0.0 || number >= 100.0 { format!("{number:.0}") } else { format!("{number:.2}") }
}

fn conditions(conditions: &[Expr], names: &Known<'_>) -> String {
    let texts: Vec<String> = conditions.iter().map(|condition| show(condition, names)).collect();
    if texts.len() == 1 { texts.concat() } else { format!("({})", texts.join(" and ")) }
}

/// What an operator is called, and the conditions that it tests on the rows that it makes.
fn label<'n>(node: &'n Node, names: &Known<'_>) -> (String, &'n [Expr]) {
    let none: &[Expr] = &[];
    match node {
        Node::Scan(scan) => (access(scan, names), &scan.filter),
        Node::Virtual(scan) => (format!("Table scan on {}", scan.alias), &scan.filter),
        Node::Derived { kept, is_subquery, outer, filter, name, .. } => {
            let how = match (kept, outer.is_empty()) {
                (Some(_), _) => "Materialize CTE, read once",
                (None, true) if *is_subquery => "Semi-join with the distinct rows of",
                (None, true) => "Stream results of",
                (None, false) => "Lateral, anew for each row:",
            };
            (format!("{how} {name}"), filter)
        }
        Node::JsonTable { filter, name, .. } => (format!("Materialize table function on {name}"), filter),
        Node::Work { filter, name, .. } => (format!("Scan new records on {name}"), filter),
        Node::Recursive(_) => ("Repeat until convergence".to_owned(), none),
        Node::Join(join) => (join_label(join, names), none),
        Node::Filter { conditions: all, .. } => (format!("Filter: {}", conditions(all, names)), none),
        Node::Extend { .. } | Node::Project { .. } => ("Compute".to_owned(), none),
        Node::Window(_) => ("Window aggregate".to_owned(), none),
        Node::Aggregate(aggregate) => (aggregate_label(aggregate, names), none),
        Node::Distinct { .. } => ("Temporary table with deduplication".to_owned(), none),
        Node::Sort { keys, limit, .. } => (sort_label(keys, limit.as_ref(), names), none),
        Node::Limit { limit, .. } => (limit_label(limit, names), none),
        Node::Cut { .. } => ("Leave out columns".to_owned(), none),
        Node::Union(_) => ("Append".to_owned(), none),
        Node::SetDifference { keep_common, .. } => {
            ((if *keep_common { "Intersect" } else { "Except" }).to_owned(), none)
        }
        Node::Unit | Node::Values { .. } => ("Rows fetched before execution".to_owned(), none),
    }
}

fn access(scan: &Scan, names: &Known<'_>) -> String {
    let index = &scan.table.indexes[scan.access.index];
    let covering = if scan.covering { "Covering index" } else { "Index" };
    let backward = if scan.direction == Direction::Backward { " (reverse)" } else { "" };
    let first = scan.access.ranges.first();
    let bounded = scan.access.ranges.iter().any(|r| r.low.is_some() || r.high.is_some() || r.like.is_some());
    let equal = first.map_or(0, |range| range.equal.len());
    let alias = &scan.alias;
    if equal == 0 && !bounded {
        return if scan.access.index == 0 && !scan.covering {
            format!("Table scan on {alias}{backward}")
        } else {
            format!("{covering} scan on {alias} using {}{backward}", index.name)
        };
    }
    let ranges = scan.access.ranges.len();
    let columns = || index.columns.iter().map(|column| &scan.table.table.columns[*column].name);
    match first {
        Some(range) if ranges == 1 && !bounded => {
            let equals: Vec<String> = columns()
                .zip(&range.equal)
                .map(|(column, value)| format!("{column}={}", show(value, names)))
                .collect();
            let how = if scan.access.point { "Single-row index" } else { covering };
            format!("{how} lookup on {alias} using {} ({}){backward}", index.name, equals.join(", "))
        }
        _ => {
            let used: Vec<&str> = columns().take(equal + usize::from(bounded)).map(|name| &**name).collect();
            let many = if ranges == 1 { String::new() } else { format!(", {ranges} ranges") };
            format!(
                "{covering} range scan on {alias} using {} ({}{many}){backward}",
                index.name,
                used.join(", ")
            )
        }
    }
}

fn join_label(join: &JoinNode, names: &Known<'_>) -> String {
    let kind = match join.kind {
        JoinType::Inner => "inner join",
        JoinType::Left => "left join",
    };
    let mut parts = Vec::new();
    let how = match &join.method {
        JoinMethod::Lookup => format!("Nested loop {kind}"),
        JoinMethod::Buffer => format!("Buffered {kind}"),
        JoinMethod::Hash(pairs, _) => {
            parts.extend(pairs.iter().map(|(a, b)| format!("({} = {})", show(b, names), show(a, names))));
            let kind = kind.replace("inner", "Inner hash").replace("left", "Left hash");
            format!("{kind} {}", parts.join(", "))
        }
    };
    if join.on.is_empty() { how } else { format!("{how}, extra conditions: {}", conditions(&join.on, names)) }
}

fn aggregate_label(aggregate: &AggregateNode, names: &Known<'_>) -> String {
    let how = if aggregate.keys.is_empty() { "Aggregate" } else { "Group aggregate" };
    let all: Vec<String> = aggregate.aggregates.iter().map(|each| show_aggregate(each, names)).collect();
    if all.is_empty() { how.to_owned() } else { format!("{how}: {}", all.join(", ")) }
}

fn sort_label(keys: &[SortKey], limit: Option<&LimitNode>, names: &Known<'_>) -> String {
    let key =
        |key: &SortKey| format!("{}{}", names.column(key.column), if key.descending { " DESC" } else { "" });
    let keys: Vec<String> = keys.iter().map(key).collect();
    let limit =
        limit.map_or(String::new(), |limit| format!(", {}", limit_label(limit, names).to_lowercase()));
    format!("Sort: {}{limit}", keys.join(", "))
}

fn limit_label(limit: &LimitNode, names: &Known<'_>) -> String {
    let number = |expr: &Option<Expr>| expr.as_ref().map(|expr| show(expr, names));
    let count = number(&limit.count).map_or("no limit".to_owned(), |count| format!("{count} row(s)"));
    match number(&limit.offset) {
        Some(offset) => format!("Limit/Offset: {count}, {offset} left out"),
        None => format!("Limit: {count}"),
    }
}

/// Names of the columns that a node's own expressions refer to.
fn below(node: &Node, width: usize, params: &Params) -> Vec<String> {
    match node {
        Node::Filter { input, .. }
        | Node::Extend { input, .. }
        | Node::Project { input, .. }
        | Node::Distinct { input, .. }
        | Node::Sort { input, .. }
        | Node::Limit { input, .. }
        | Node::Cut { input, .. } => given(input, width, params),
        Node::Aggregate(aggregate) => given(&aggregate.input, width, params),
        Node::Window(window) => given(&window.input, width, params),
        leaf => given(leaf, width, params),
    }
}

/// Names of the columns of the rows that a node gives.
pub(super) fn given(node: &Node, width: usize, params: &Params) -> Vec<String> {
    match node {
        Node::Filter { input, .. }
        | Node::Distinct { input, .. }
        | Node::Sort { input, .. }
        | Node::Limit { input, .. }
        | Node::Cut { input, .. } => given(input, width, params),
        Node::Window(window) => given(&window.input, width, params),
        Node::Extend { input, width: kept, exprs, .. } => {
            let names = given(input, width, params);
            let known = Known { columns: &names, params };
            let mut out: Vec<String> = names.iter().take(*kept).cloned().collect();
            out.extend(exprs.iter().map(|expr| show(expr, &known)));
            out
        }
        Node::Project { input, exprs, .. } => {
            let names = given(input, width, params);
            let known = Known { columns: &names, params };
            exprs.iter().map(|expr| show(expr, &known)).collect()
        }
        Node::Aggregate(aggregate) => {
            let names = given(&aggregate.input, width, params);
            let known = Known { columns: &names, params };
            let mut out: Vec<String> = aggregate.keys.iter().map(|key| show(key, &known)).collect();
            out.extend(aggregate.aggregates.iter().map(|each| show_aggregate(each, &known)));
            out.extend(aggregate.carried.iter().map(|expr| show(expr, &known)));
            out
        }
        Node::Union(parts) => parts.first().map(|part| given(part, width, params)).unwrap_or_default(),
        Node::SetDifference { left, .. } => given(left, width, params),
        leaf => {
            let mut names: Vec<String> = (0..width).map(|index| format!("#{index}")).collect();
            name_tables(leaf, &mut names, params);
            names
        }
    }
}

/// What parameters stand for, by their number.
pub(super) type Params = HashMap<usize, String>;

/// Names while a node is shown.
pub(super) struct Known<'n> {
    pub columns: &'n [String],
    pub params: &'n Params,
}

impl Names for Known<'_> {
    fn column(&self, index: usize) -> String {
        self.columns.get(index).cloned().unwrap_or_else(|| format!("#{index}"))
    }

    fn param(&self, index: usize) -> String {
        self.params.get(&index).cloned().unwrap_or_else(|| format!("?{}", index + 1))
    }
}

/// Writes the names of tables' columns to their places in rows of the block.
fn name_tables(node: &Node, names: &mut [String], params: &Params) {
    let mut put = |slot: usize, alias: &str, column: &str| {
        if let Some(name) = names.get_mut(slot) {
            *name = format!("{alias}.{column}");
        }
    };
    match node {
        Node::Scan(scan) => {
            for needed in &scan.needed {
                put(scan.offset + needed.place, &scan.alias, &scan.table.table.columns[needed.column].name);
            }
        }
        Node::Virtual(scan) => {
            for (number, column) in scan.table.columns.iter().enumerate() {
                put(scan.offset + number, &scan.alias, &column.name);
            }
        }
        Node::Derived { is_subquery: false, offset, name, columns, .. } => {
            for (number, column) in columns.iter().enumerate() {
                put(offset + number, name, column);
            }
        }
        Node::Derived { query, offset, name, .. } => {
            for (number, column) in
                given(&query.node, query.row_width, params).iter().take(query.width).enumerate()
            {
                put(offset + number, name, column);
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
