//! EXPLAIN: the plan's scans, one row each, in the order in which they are read.

use std::sync::Arc;

use aquifer_types::{DataType, SqlError, SqlResult, TypeKind, Value};
use bytes::Bytes;

use crate::ast::{Explain, ExplainFormat};
use crate::expr::Expr;
use crate::plan::node::{Apply, JoinMethod, JoinType, Node, Scan};
use crate::plan::{PlanKind, explain_tree};
use crate::result::{ColumnFlags, ResultColumn};
use crate::txn::Direction;

/// One row of the answer.
struct Line {
    id: u64,
    select_type: &'static str,
    table: Option<String>,
    access: Option<&'static str>,
    key: Option<String>,
    key_len: u64,
    rows: Option<u64>,
    /// Percent of the rows that satisfy the conditions.
    filtered: f64,
    extra: Vec<&'static str>,
}

struct Explainer {
    lines: Vec<Line>,
    next_id: u64,
}

/// Columns and rows of the answer.
pub(super) type Rows = (Arc<[ResultColumn]>, Vec<Vec<Value>>);

/// The answer of EXPLAIN.
pub(crate) fn explain(
    kind: &PlanKind,
    init: &[Apply],
    constants: &[(usize, Expr)],
    explain: &Explain,
) -> SqlResult<Rows> {
    match explain.format {
        ExplainFormat::Traditional => {}
        ExplainFormat::Tree => return explain_tree::explain(kind, init, constants),
        ExplainFormat::Json => return Err(SqlError::not_supported("EXPLAIN FORMAT=JSON")),
    }
    let mut explainer = Explainer { lines: Vec::new(), next_id: 2 };
    match kind {
        PlanKind::Query { plan, .. } | PlanKind::Do(plan) => explainer.node(&plan.node, 1, "SIMPLE", &[]),
        PlanKind::Insert(insert) => explainer.plain("INSERT", &insert.table.table.name),
        PlanKind::Update(update) => explainer.scan(&update.scan, 1, "UPDATE", &[]),
        PlanKind::Delete(delete) => explainer.scan(&delete.scan, 1, "DELETE", &[]),
        PlanKind::UpdateJoin(update) => explainer.node(&update.join.node, 1, "UPDATE", &[]),
        PlanKind::DeleteJoin(delete) => explainer.node(&delete.join.node, 1, "DELETE", &[]),
        PlanKind::Ddl(_) | PlanKind::Explain(_) | PlanKind::Analyze(_) => {
            return Err(SqlError::not_supported("EXPLAIN of this statement"));
        }
    }
    for apply in init {
        let id = explainer.take_id();
        explainer.node(&apply.query.node, id, "SUBQUERY", &[]);
    }
    let rows = explainer.lines.into_iter().map(Line::values).collect();
    Ok((columns(), rows))
}

fn columns() -> Arc<[ResultColumn]> {
    let text = |name: &str| (name.to_owned(), DataType::varchar(256));
    let number = |name: &str| (name.to_owned(), DataType::of(TypeKind::BigInt));
    [
        number("id"),
        text("select_type"),
        text("table"),
        text("partitions"),
        text("type"),
        text("possible_keys"),
        text("key"),
        text("key_len"),
        text("ref"),
        number("rows"),
        ("filtered".to_owned(), DataType::of(TypeKind::Double)),
        text("Extra"),
    ]
    .into_iter()
    .map(|(name, data_type)| column(&name, data_type))
    .collect()
}

/// A column of the answer.
pub(super) fn column(name: &str, data_type: DataType) -> ResultColumn {
    ResultColumn {
        schema: Arc::from(""),
        table: Arc::from(""),
        org_table: Arc::from(""),
        name: Arc::from(name),
        org_name: Arc::from(""),
        data_type,
        flags: ColumnFlags::default(),
    }
}

impl Line {
    fn values(self) -> Vec<Value> {
        let text = |text: &str| Value::Bytes(Bytes::copy_from_slice(text.as_bytes()));
        let option = |value: Option<String>| value.map_or(Value::Null, |value| text(&value));
        let extra = if self.extra.is_empty() { Value::Null } else { text(&self.extra.join("; ")) };
        vec![
            i64::try_from(self.id).map_or(Value::Null, Value::Int),
            text(self.select_type),
            option(self.table),
            Value::Null,
            self.access.map_or(Value::Null, text),
            option(self.key.clone()),
            option(self.key.clone()),
            if self.key_len > 0 { text(&self.key_len.to_string()) } else { Value::Null },
            Value::Null,
            self.rows.and_then(|rows| i64::try_from(rows).ok()).map_or(Value::Null, Value::Int),
            if self.rows.is_some() { Value::Double(self.filtered) } else { Value::Null },
            extra,
        ]
    }
}

impl Explainer {
    fn take_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id - 1
    }

    fn plain(&mut self, select_type: &'static str, table: &str) {
        self.lines.push(Line {
            id: 1,
            select_type,
            table: Some(table.to_owned()),
            access: Some("ALL"),
            key: None,
            key_len: 0,
            rows: None,
            filtered: 100.0,
            extra: Vec::new(),
        });
    }

    fn scan(&mut self, scan: &Scan, id: u64, select_type: &'static str, extra: &[&'static str]) {
        let mut extra = extra.to_vec();
        let index = &scan.table.indexes[scan.access.index];
        let parts = scan.access.ranges.first().map_or(0, |range| range.equal.len());
        let bounded =
            scan.access.ranges.iter().any(|r| r.low.is_some() || r.high.is_some() || r.like.is_some());
        let whole = parts == 0 && !bounded;
        let outer = scan.access.ranges.iter().flat_map(|r| &r.equal).any(|e| !e.columns().is_empty());
        let access = match (scan.access.point, whole, bounded, scan.access.ranges.len()) {
            (_, true, ..) if scan.access.index == 0 && !scan.covering => "ALL",
            (_, true, ..) => "index",
            (true, _, _, 1) if outer => "eq_ref",
            (true, _, _, 1) => "const",
            (false, _, false, 1) => "ref",
            _ => "range",
        };
        if scan.covering {
            extra.push("Using index");
        }
        if !scan.filter.is_empty() {
            extra.push("Using where");
        }
        if scan.direction == Direction::Backward {
            extra.push("Backward index scan");
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let rows = scan.rows.round() as u64;
        let known = scan.table.rows.get().copied().flatten().is_some();
        let share = if known && scan.rows > 0.0 { 100.0 * scan.kept / scan.rows } else { 100.0 };
        self.lines.push(Line {
            id,
            select_type,
            table: Some(scan.alias.to_string()),
            access: Some(access),
            key: (access != "ALL").then(|| index.name.to_string()),
            key_len: key_len(scan, parts + usize::from(bounded)),
            rows: Some(rows.max(1)),
            filtered: (share * 100.0).round().clamp(1.0, 10_000.0) / 100.0,
            extra,
        });
    }

    fn other(&mut self, id: u64, select_type: &'static str, table: &str, extra: &[&'static str]) {
        self.lines.push(Line {
            id,
            select_type,
            table: Some(table.to_owned()),
            access: Some("ALL"),
            key: None,
            key_len: 0,
            rows: Some(100),
            filtered: 100.0,
            extra: extra.to_vec(),
        });
    }

    fn applies(&mut self, applies: &[Apply]) {
        for apply in applies {
            let id = self.take_id();
            let kind = if apply.correlated { "DEPENDENT SUBQUERY" } else { "SUBQUERY" };
            self.node(&apply.query.node, id, kind, &[]);
            if let Some(keyed) = &apply.keyed {
                self.node(
                    &keyed.query.node,
                    id,
                    "MATERIALIZED",
                    &["Computed for all rows if there are many"],
                );
            }
        }
    }

    fn node(&mut self, node: &Node, id: u64, select_type: &'static str, extra: &[&'static str]) {
        let with = |more: &'static str| {
            let mut all = extra.to_vec();
            all.push(more);
            all
        };
        match node {
            Node::Scan(scan) => self.scan(scan, id, select_type, extra),
            Node::Virtual(scan) => self.other(id, select_type, &scan.alias, extra),
            Node::Derived { query, is_subquery, name, .. } => {
                let inner = self.take_id();
                self.other(id, select_type, name, extra);
                let how = if *is_subquery { "MATERIALIZED" } else { "DERIVED" };
                self.node(&query.node, inner, how, &[]);
            }
            Node::JsonTable { name, .. } => {
                self.other(id, select_type, name, &with("Table function: json_table"))
            }
            Node::Work { name, .. } => self.other(id, select_type, name, &with("Recursive")),
            Node::Recursive(recursive) => {
                self.node(&recursive.seed, id, select_type, extra);
                for part in &recursive.parts {
                    let id = self.take_id();
                    self.node(part, id, "UNION", &[]);
                }
            }
            Node::Join(join) => {
                self.node(&join.outer, id, select_type, extra);
                let how: &[&'static str] = match (&join.method, join.kind) {
                    (JoinMethod::Hash(..), _) => &["Using join buffer (hash join)"],
                    (JoinMethod::Buffer, JoinType::Inner | JoinType::Left) => &["Using join buffer"],
                    (JoinMethod::Lookup, _) => &[],
                };
                self.node(&join.inner, id, select_type, how);
                self.applies(&join.applies);
            }
            Node::Filter { input, applies, .. } => {
                self.node(input, id, select_type, &with("Using where"));
                self.applies(applies);
            }
            Node::Window(window) => {
                self.node(&window.input, id, select_type, &with("Using temporary; Using filesort"));
            }
            Node::Project { input, applies, .. } | Node::Extend { input, applies, .. } => {
                self.node(input, id, select_type, extra);
                self.applies(applies);
            }
            Node::Aggregate(aggregate) => {
                let grouped = !aggregate.keys.is_empty();
                let extra = if grouped { with("Using temporary") } else { extra.to_vec() };
                self.node(&aggregate.input, id, select_type, &extra);
            }
            Node::Distinct { input, .. } => self.node(input, id, select_type, &with("Using temporary")),
            Node::Sort { input, .. } => self.node(input, id, select_type, &with("Using filesort")),
            Node::Limit { input, .. } | Node::Cut { input, .. } => self.node(input, id, select_type, extra),
            Node::Union(parts) => {
                for (number, part) in parts.iter().enumerate() {
                    let id = if number == 0 { id } else { self.take_id() };
                    self.node(part, id, if number == 0 { "PRIMARY" } else { "UNION" }, &[]);
                }
            }
            Node::SetDifference { left, right, .. } => {
                self.node(left, id, "PRIMARY", &[]);
                let id = self.take_id();
                self.node(right, id, "UNION", &[]);
            }
            Node::Unit | Node::Values { .. } => self.lines.push(Line {
                id,
                select_type,
                table: None,
                access: None,
                key: None,
                key_len: 0,
                rows: None,
                filtered: 100.0,
                extra: vec!["No tables used"],
            }),
        }
    }
}

/// Bytes of the used parts of an index as MySQL counts them.
fn key_len(scan: &Scan, parts: usize) -> u64 {
    let index = &scan.table.indexes[scan.access.index];
    let used = index.columns.iter().zip(&index.keys).take(parts);
    used.map(|(column, key)| {
        let data_type = &key.data_type;
        let characters = u64::from(key.prefix_length.unwrap_or(data_type.length));
        let bytes = characters * u64::from(data_type.collation.charset().maxlen());
        let size = match data_type.kind {
            TypeKind::TinyInt | TypeKind::Year | TypeKind::Enum => 1,
            TypeKind::SmallInt => 2,
            TypeKind::MediumInt | TypeKind::Date | TypeKind::Time => 3,
            TypeKind::Int | TypeKind::Float | TypeKind::Timestamp => 4,
            TypeKind::DateTime => 5,
            TypeKind::Char | TypeKind::Binary => bytes,
            TypeKind::Decimal => u64::from(data_type.length / 2 + 1),
            TypeKind::BigInt | TypeKind::Double | TypeKind::Bit | TypeKind::Set => 8,
            _ => bytes + 2,
        };
        size + u64::from(scan.table.table.columns[*column].nullable)
    })
    .sum()
}
