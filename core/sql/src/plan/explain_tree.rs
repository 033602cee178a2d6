//! EXPLAIN FORMAT=TREE and EXPLAIN ANALYZE: operators as an indented tree (manual 15.8.2), each with what the planner
//! expected and, after an execution, with what it took: milliseconds to the first and to the last row and rows, for
//! each time that it was begun.

use std::fmt::Write;
use std::sync::Arc;

use aquifer_types::{DataType, SqlError, SqlResult, Value};

use crate::ast::{Explain, ExplainFormat};
use crate::exec::Profile;
use crate::expr::Expr;
use crate::expr::show::{show, show_aggregate};
use crate::plan::cost::estimate;
use crate::plan::explain::{Rows, column};
use crate::plan::node::{
    AggregateNode, Apply, ApplyKind, JoinMethod, JoinNode, JoinType, LimitNode, Node, QueryPlan, Scan, SortKey,
};
use crate::plan::{PlanKind, Planned};
use crate::txn::Direction;

/// The answer of EXPLAIN FORMAT=TREE.
pub(super) fn explain(kind: &PlanKind, init: &[Apply]) -> SqlResult<Rows> {
    let text = match kind {
        PlanKind::Query { plan, .. } | PlanKind::Do(plan) => tree(plan, init, None),
        PlanKind::UpdateJoin(update) => joined("Update", &update.join.node, update.join.row_width),
        PlanKind::DeleteJoin(delete) => joined("Delete", &delete.join.node, delete.join.row_width),
        _ => "<not executable by iterator executor>\n".to_owned(),
    };
    Ok((Arc::from([column("EXPLAIN", DataType::varchar(64 * 1024))]), vec![vec![Value::Bytes(text.into())]]))
}

fn joined(what: &str, node: &Node, width: usize) -> String {
    let mut tree = Tree { out: format!("-> {what}\n"), depth: 1, names: Vec::new(), profile: None };
    tree.node(node, width);
    tree.out
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
pub(crate) fn tree(plan: &QueryPlan, init: &[Apply], profile: Option<&Profile>) -> String {
    let mut tree = Tree { out: String::new(), depth: 0, names: Vec::new(), profile };
    tree.node(&plan.node, plan.row_width);
    tree.applies(init);
    tree.out
}

struct Tree<'p> {
    out: String,
    depth: usize,
    /// Names of all columns of the join around, to which the ranges of its inner side may refer.
    names: Vec<String>,
    profile: Option<&'p Profile>,
}

impl Tree<'_> {
    /// A node and all below it; `width` is that of the block's rows.
    fn node(&mut self, node: &Node, width: usize) {
        let names = if self.names.is_empty() { below(node, width) } else { self.names.clone() };
        let name = |index: usize| names.get(index).cloned().unwrap_or_else(|| format!("#{index}"));
        if let Node::Scan(scan) = node {
            return self.scan(node, scan, &name);
        }
        let (text, filter) = label(node, &name);
        if !filter.is_empty() {
            self.plain(&format!("Filter: {}", conditions(filter, &name)));
            self.depth += 1;
        }
        self.line(&text, node);
        self.depth += 1;
        self.inputs(node, width);
        self.depth -= 1 + usize::from(!filter.is_empty());
    }

    fn scan(&mut self, node: &Node, scan: &Scan, name: &dyn Fn(usize) -> String) {
        let filtered = !scan.filter.is_empty();
        if filtered {
            self.plain(&format!("Filter: {}", conditions(&scan.filter, name)));
            self.depth += 1;
        }
        self.line(&access(scan, name), node);
        self.depth -= usize::from(filtered);
    }

    /// The operators below one, with its subqueries after them.
    fn inputs(&mut self, node: &Node, width: usize) {
        match node {
            Node::Join(join) => {
                let around = self.names.clone();
                if around.is_empty() {
                    self.names = given(node, width);
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
                self.names = around;
                self.applies(&join.applies);
            }
            Node::Filter { input, applies, .. }
            | Node::Extend { input, applies, .. }
            | Node::Project { input, applies, .. } => {
                self.node(input, width);
                self.applies(applies);
            }
            Node::Aggregate(aggregate) => {
                self.node(&aggregate.input, width);
                self.applies(&aggregate.applies);
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

    fn applies(&mut self, applies: &[Apply]) {
        for (number, apply) in applies.iter().enumerate() {
            let when = if apply.correlated { "dependent" } else { "run only once" };
            let kind = match &apply.kind {
                ApplyKind::Scalar => "projection",
                ApplyKind::Exists => "EXISTS",
                ApplyKind::Compare { .. } => "condition",
            };
            self.plain(&format!("Select #{} (subquery in {kind}; {when})", number + 2));
            self.depth += 1;
            let around = std::mem::take(&mut self.names);
            self.node(&apply.query.node, apply.query.row_width);
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
                }
            }
        }
        self.plain(&all);
    }
}

/// A number as short as it is exact enough.
fn rounded(number: f64) -> String {
    if number.fract() == 0.0 || number >= 100.0 { format!("{number:.0}") } else { format!("{number:.2}") }
}

fn conditions(conditions: &[Expr], name: &dyn Fn(usize) -> String) -> String {
    let texts: Vec<String> = conditions.iter().map(|condition| show(condition, name)).collect();
    if texts.len() == 1 { texts.concat() } else { format!("({})", texts.join(" and ")) }
}

/// What an operator is called, and the conditions that it tests on the rows that it makes.
fn label<'n>(node: &'n Node, name: &dyn Fn(usize) -> String) -> (String, &'n [Expr]) {
    let none: &[Expr] = &[];
    match node {
        Node::Scan(scan) => (access(scan, name), &scan.filter),
        Node::Virtual(scan) => (format!("Table scan on {}", scan.alias), &scan.filter),
        Node::Derived { kept, outer, filter, name, .. } => {
            let how = match (kept, outer.is_empty()) {
                (Some(_), _) => "Materialize CTE, read once",
                (None, true) => "Stream results of",
                (None, false) => "Lateral, anew for each row:",
            };
            (format!("{how} {name}"), filter)
        }
        Node::JsonTable { filter, name, .. } => (format!("Materialize table function on {name}"), filter),
        Node::Work { filter, name, .. } => (format!("Scan new records on {name}"), filter),
        Node::Recursive(_) => ("Repeat until convergence".to_owned(), none),
        Node::Join(join) => (join_label(join, name), none),
        Node::Filter { conditions: all, .. } => (format!("Filter: {}", conditions(all, name)), none),
        Node::Extend { .. } | Node::Project { .. } => ("Compute".to_owned(), none),
        Node::Window(_) => ("Window aggregate".to_owned(), none),
        Node::Aggregate(aggregate) => (aggregate_label(aggregate, name), none),
        Node::Distinct { .. } => ("Temporary table with deduplication".to_owned(), none),
        Node::Sort { keys, limit, .. } => (sort_label(keys, limit.as_ref(), name), none),
        Node::Limit { limit, .. } => (limit_label(limit), none),
        Node::Cut { .. } => ("Leave out columns".to_owned(), none),
        Node::Union(_) => ("Append".to_owned(), none),
        Node::SetDifference { keep_common, .. } => {
            ((if *keep_common { "Intersect" } else { "Except" }).to_owned(), none)
        }
        Node::Unit | Node::Values { .. } => ("Rows fetched before execution".to_owned(), none),
    }
}

fn access(scan: &Scan, name: &dyn Fn(usize) -> String) -> String {
    let index = &scan.table.indexes[scan.access.index];
    let covering = if scan.covering { "Covering index" } else { "Index" };
    let backward = if scan.direction == Direction::Backward { " (reverse)" } else { "" };
    let first = scan.access.ranges.first();
    let bounded =
        scan.access.ranges.iter().any(|r| r.low.is_some() || r.high.is_some() || r.like.is_some());
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
                .map(|(column, value)| format!("{column}={}", show(value, name)))
                .collect();
            let how = if scan.access.point { "Single-row index" } else { covering };
            format!("{how} lookup on {alias} using {} ({}){backward}", index.name, equals.join(", "))
        }
        _ => {
            let used: Vec<&str> = columns().take(equal + usize::from(bounded)).map(|name| &**name).collect();
            let many = if ranges == 1 { String::new() } else { format!(", {ranges} ranges") };
            format!("{covering} range scan on {alias} using {} ({}{many}){backward}", index.name, used.join(", "))
        }
    }
}

fn join_label(join: &JoinNode, name: &dyn Fn(usize) -> String) -> String {
    let kind = match join.kind {
        JoinType::Inner => "inner join",
        JoinType::Left => "left join",
    };
    let mut parts = Vec::new();
    let how = match &join.method {
        JoinMethod::Lookup => format!("Nested loop {kind}"),
        JoinMethod::Buffer => format!("Buffered {kind}"),
        JoinMethod::Hash(pairs, _) => {
            parts.extend(pairs.iter().map(|(a, b)| format!("({} = {})", show(b, name), show(a, name))));
            let kind = kind.replace("inner", "Inner hash").replace("left", "Left hash");
            format!("{kind} {}", parts.join(", "))
        }
    };
    if join.on.is_empty() { how } else { format!("{how}, extra conditions: {}", conditions(&join.on, name)) }
}

fn aggregate_label(aggregate: &AggregateNode, name: &dyn Fn(usize) -> String) -> String {
    let how = if aggregate.keys.is_empty() { "Aggregate" } else { "Group aggregate" };
    let all: Vec<String> = aggregate.aggregates.iter().map(|each| show_aggregate(each, name)).collect();
    if all.is_empty() { how.to_owned() } else { format!("{how}: {}", all.join(", ")) }
}

fn sort_label(keys: &[SortKey], limit: Option<&LimitNode>, name: &dyn Fn(usize) -> String) -> String {
    let key = |key: &SortKey| format!("{}{}", name(key.column), if key.descending { " DESC" } else { "" });
    let keys: Vec<String> = keys.iter().map(key).collect();
    let limit = limit.map_or(String::new(), |limit| format!(", {}", limit_label(limit).to_lowercase()));
    format!("Sort: {}{limit}", keys.join(", "))
}

fn limit_label(limit: &LimitNode) -> String {
    let name = |index: usize| format!("#{index}");
    let number = |expr: &Option<Expr>| expr.as_ref().map(|expr| show(expr, &name));
    let count = number(&limit.count).map_or("no limit".to_owned(), |count| format!("{count} row(s)"));
    match number(&limit.offset) {
        Some(offset) => format!("Limit/Offset: {count}, {offset} left out"),
        None => format!("Limit: {count}"),
    }
}

/// Names of the columns that a node's own expressions refer to.
fn below(node: &Node, width: usize) -> Vec<String> {
    match node {
        Node::Filter { input, .. }
        | Node::Extend { input, .. }
        | Node::Project { input, .. }
        | Node::Distinct { input, .. }
        | Node::Sort { input, .. }
        | Node::Limit { input, .. }
        | Node::Cut { input, .. } => given(input, width),
        Node::Aggregate(aggregate) => given(&aggregate.input, width),
        Node::Window(window) => given(&window.input, width),
        leaf => given(leaf, width),
    }
}

/// Names of the columns of the rows that a node gives.
fn given(node: &Node, width: usize) -> Vec<String> {
    match node {
        Node::Filter { input, .. }
        | Node::Distinct { input, .. }
        | Node::Sort { input, .. }
        | Node::Limit { input, .. }
        | Node::Cut { input, .. } => given(input, width),
        Node::Window(window) => given(&window.input, width),
        Node::Extend { input, width: kept, exprs, .. } => {
            let names = given(input, width);
            let mut out: Vec<String> = names.iter().take(*kept).cloned().collect();
            out.extend(exprs.iter().map(|expr| show(expr, &known(&names))));
            out
        }
        Node::Project { input, exprs, .. } => {
            let names = given(input, width);
            exprs.iter().map(|expr| show(expr, &known(&names))).collect()
        }
        Node::Aggregate(aggregate) => {
            let names = given(&aggregate.input, width);
            let mut out: Vec<String> =
                aggregate.keys.iter().map(|key| show(key, &known(&names))).collect();
            out.extend(aggregate.aggregates.iter().map(|each| show_aggregate(each, &known(&names))));
            out.extend(aggregate.carried.iter().map(|expr| show(expr, &known(&names))));
            out
        }
        Node::Union(parts) => parts.first().map(|part| given(part, width)).unwrap_or_default(),
        Node::SetDifference { left, .. } => given(left, width),
        leaf => {
            let mut names: Vec<String> = (0..width).map(|index| format!("#{index}")).collect();
            name_tables(leaf, &mut names);
            names
        }
    }
}

fn known(names: &[String]) -> impl Fn(usize) -> String {
    |index| names.get(index).cloned().unwrap_or_else(|| format!("#{index}"))
}

/// Writes the names of tables' columns to their places in rows of the block.
fn name_tables(node: &Node, names: &mut [String]) {
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
        Node::Derived { query, offset, name, .. } => {
            for (number, column) in given(&query.node, query.row_width).iter().take(query.width).enumerate() {
                put(offset + number, name, column);
            }
        }
        Node::Join(join) => {
            name_tables(&join.outer, names);
            name_tables(&join.inner, names);
        }
        Node::Filter { input, .. } | Node::Limit { input, .. } => name_tables(input, names),
        _ => {}
    }
}
