//! EXPLAIN in its traditional format (manual 10.8.2): a row for each table, in the order in which they are read.

use std::sync::Arc;

use aquifer_types::{DataType, SqlError, SqlResult, TypeKind, Value};
use bytes::Bytes;

use crate::ast::{Explain, ExplainFormat};
use crate::plan::constants::Constants;
use crate::plan::explain_block::{Block, Document, SetKind, SubqueryDoc, document};
use crate::plan::explain_table::TableDoc;
use crate::plan::node::Apply;
use crate::plan::{PlanKind, explain_json, explain_tree};
use crate::result::{ColumnFlags, ResultColumn};

/// Columns and rows of the answer.
pub(super) type Rows = (Arc<[ResultColumn]>, Vec<Vec<Value>>);

/// The answer of EXPLAIN.
pub(crate) fn explain(
    kind: &PlanKind,
    init: &[Apply],
    constants: &Constants,
    explain: &Explain,
) -> SqlResult<Rows> {
    let unknown = || SqlError::not_supported("EXPLAIN of this statement");
    match explain.format {
        ExplainFormat::Traditional => {
            let document = document(kind, init, constants).ok_or_else(unknown)?;
            Ok((columns(), lines(&document).into_iter().map(Line::values).collect()))
        }
        ExplainFormat::Tree => explain_tree::explain(kind, init, constants),
        ExplainFormat::Json => {
            let document = document(kind, init, constants).ok_or_else(unknown)?;
            Ok(explain_json::answer(&document))
        }
    }
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

/// One row of the answer.
struct Line<'d> {
    id: Option<u64>,
    select_type: &'static str,
    table: Option<String>,
    doc: Option<&'d TableDoc>,
    extra: Vec<&'static str>,
}

impl Line<'_> {
    fn values(self) -> Vec<Value> {
        let text = |text: &str| Value::Bytes(Bytes::copy_from_slice(text.as_bytes()));
        let list = |list: &[String]| if list.is_empty() { Value::Null } else { text(&list.join(",")) };
        let number = |number: Option<u64>| {
            number.and_then(|number| i64::try_from(number).ok()).map_or(Value::Null, Value::Int)
        };
        let extra = if self.extra.is_empty() { Value::Null } else { text(&self.extra.join("; ")) };
        let nothing = TableDoc::default();
        let doc = self.doc.unwrap_or(&nothing);
        let result = self.doc.is_none() && self.table.is_some();
        let access = if result { "ALL" } else { doc.access };
        let rows = doc.rows_read();
        vec![
            number(self.id),
            text(self.select_type),
            self.table.map_or(Value::Null, |table| text(&table)),
            Value::Null,
            if access.is_empty() { Value::Null } else { text(access) },
            list(&doc.possible_keys),
            doc.key.as_deref().map_or(Value::Null, text),
            if doc.key_len > 0 { text(&doc.key_len.to_string()) } else { Value::Null },
            list(&doc.refs),
            number(rows),
            if rows.is_some() { Value::Double(doc.filtered) } else { Value::Null },
            extra,
        ]
    }
}

fn lines(document: &Document) -> Vec<Line<'_>> {
    let mut out = Vec::new();
    if let Some(table) = &document.insert {
        let select_type = table.change.map_or("INSERT", |change| change.name());
        let (table, doc) = (Some(table.name.clone()), Some(table));
        out.push(Line { id: Some(1), select_type, table, doc, extra: Vec::new() });
    }
    if let Some(block) = &document.block {
        block_lines(block, None, &mut out);
    }
    out
}

fn block_lines<'d>(block: &'d Block, note: Option<&'static str>, out: &mut Vec<Line<'d>>) {
    if let Some((kind, parts)) = &block.parts {
        parts.iter().for_each(|part| block_lines(part, None, out));
        result_line(block, *kind, parts, out);
    }
    if let Some(message) = block.message {
        let (id, select_type) = (Some(block.id), block.select_type);
        out.push(Line { id, select_type, table: None, doc: None, extra: vec![message] });
    }
    for (number, table) in block.tables.iter().enumerate() {
        let mut extra = table_extra(table);
        if number == 0 {
            let temporary = block.groups || block.removes_duplicates || !block.windows.is_empty();
            extra.extend(temporary.then_some("Using temporary"));
            extra.extend((block.sorts || !block.windows.is_empty()).then_some("Using filesort"));
            extra.extend(note);
        }
        let name = if table.line_name.is_empty() { &table.name } else { &table.line_name };
        out.push(Line {
            id: Some(block.id),
            select_type: table.change.map_or(block.select_type, |change| change.name()),
            table: Some(name.clone()),
            doc: Some(table),
            extra,
        });
    }
    for table in &block.tables {
        table.materialized.iter().for_each(|block| block_lines(block, None, out));
        table.subqueries.iter().for_each(|doc| subquery_lines(doc, out));
    }
    block.select_list.iter().chain(&block.having).for_each(|doc| subquery_lines(doc, out));
}

fn subquery_lines<'d>(doc: &'d SubqueryDoc, out: &mut Vec<Line<'d>>) {
    block_lines(&doc.block, None, out);
    if let Some(block) = &doc.for_all {
        block_lines(block, Some("Computed for all rows if there are many"), out);
    }
}

/// The row of what several queries give together, where it is kept.
fn result_line<'d>(block: &Block, kind: SetKind, parts: &[Block], out: &mut Vec<Line<'d>>) {
    let Some((select_type, name)) = result_name(kind, parts, block.sorts) else { return };
    let mut extra = vec!["Using temporary"];
    extra.extend(block.sorts.then_some("Using filesort"));
    out.push(Line { id: None, select_type, table: Some(name), doc: None, extra });
}

/// What the rows of several queries are called where they are kept: not those of UNION ALL without an order.
pub(super) fn result_name(kind: SetKind, parts: &[Block], sorts: bool) -> Option<(&'static str, String)> {
    let (select_type, name) = match kind {
        SetKind::UnionAll if !sorts => return None,
        SetKind::UnionAll | SetKind::Union => ("UNION RESULT", "union"),
        SetKind::Intersect => ("INTERSECT RESULT", "intersect"),
        SetKind::Except => ("EXCEPT RESULT", "except"),
    };
    let ids: Vec<String> = parts.iter().map(|part| part.id.to_string()).collect();
    Some((select_type, format!("<{name}{}>", ids.join(","))))
}

fn table_extra(table: &TableDoc) -> Vec<&'static str> {
    let mut extra = Vec::new();
    extra.extend((!table.conditions.is_empty()).then_some("Using where"));
    extra.extend(&table.notes);
    extra.extend(table.recursive.then_some("Recursive"));
    extra.extend(table.backward.then_some("Backward index scan"));
    extra.extend(table.covering.then_some("Using index"));
    extra.extend(table.join_buffer.map(|how| match how {
        "hash join" => "Using join buffer (hash join)",
        _ => "Using join buffer (Block Nested Loop)",
    }));
    extra
}
