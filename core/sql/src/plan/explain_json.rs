//! EXPLAIN FORMAT=JSON: the first version of the document of MySQL 8.0 (manual 15.8.2).

use std::fmt::Write;
use std::sync::Arc;

use aquifer_types::{DataType, Value};

use crate::plan::explain::{Rows, column, result_name};
use crate::plan::explain_block::{Block, Document, SubqueryDoc};
use crate::plan::explain_table::{Change, TableDoc, whole};

/// Members of an object in their order.
type Members = Vec<(&'static str, Json)>;

enum Json {
    Bool(bool),
    Number(u64),
    Text(String),
    List(Vec<Json>),
    Object(Members),
}

/// The document as a result.
pub(super) fn answer(document: &Document) -> Rows {
    let mut out = String::new();
    let block = Json::Object(statement(document));
    Json::Object(vec![("query_block", block)]).write(0, &mut out);
    (Arc::from([column("EXPLAIN", DataType::varchar(64 * 1024))]), vec![vec![Value::Bytes(out.into())]])
}

fn text(text: &str) -> Json {
    Json::Text(text.to_owned())
}

fn texts(list: &[String]) -> Json {
    Json::List(list.iter().map(|each| text(each)).collect())
}

/// Two digits after the point, as all costs and shares have.
fn decimal(number: f64) -> Json {
    Json::Text(format!("{number:.2}"))
}

fn statement(document: &Document) -> Members {
    let Some(table) = &document.insert else {
        return document.block.as_ref().map(block).unwrap_or_default();
    };
    let mut members: Members = vec![("select_id", Json::Number(1))];
    if let Some(source) = &document.block {
        members.push(("cost_info", Json::Object(vec![("query_cost", decimal(source.cost))])));
    }
    members.push(("table", Json::Object(table_members(table, None))));
    if let Some(source) = &document.block {
        let inner = block(source).into_iter().filter(|(name, _)| !matches!(*name, "select_id" | "cost_info"));
        members.push(("insert_from", Json::Object(inner.collect())));
    }
    members
}

fn block(block: &Block) -> Members {
    let mut members: Members = Vec::new();
    if block.parts.is_none() {
        members.push(("select_id", Json::Number(block.id)));
    }
    if let Some(message) = block.message {
        members.push(("message", text(message)));
    } else if block.parts.is_none() && !matches!(block.tables.first(), Some(TableDoc { change: Some(_), .. }))
    {
        members.push(("cost_info", Json::Object(vec![("query_cost", decimal(block.cost))])));
    }
    members.extend(operations(block));
    for (name, docs) in [("select_list_subqueries", &block.select_list), ("having_subqueries", &block.having)]
    {
        if !docs.is_empty() {
            members.push((name, Json::List(docs.iter().map(subquery).collect())));
        }
    }
    members
}

/// FROM within the operations over it: order, then duplicates, then windows, then groups.
fn operations(block: &Block) -> Members {
    let mut inner = match &block.parts {
        Some(_) => union_result(block),
        None => tables(block),
    };
    if block.groups {
        let head = vec![("using_temporary_table", Json::Bool(true)), ("using_filesort", Json::Bool(false))];
        inner = vec![("grouping_operation", Json::Object(joined(head, inner)))];
    }
    if !block.windows.is_empty() {
        let window = |functions: &Vec<&'static str>| {
            Json::Object(vec![
                ("name", text("<unnamed window>")),
                ("using_filesort", Json::Bool(true)),
                ("functions", Json::List(functions.iter().map(|name| text(name)).collect())),
            ])
        };
        let head = vec![("windows", Json::List(block.windows.iter().map(window).collect()))];
        inner = vec![("windowing", Json::Object(joined(head, inner)))];
    }
    if block.removes_duplicates {
        let head = vec![("using_temporary_table", Json::Bool(true)), ("using_filesort", Json::Bool(false))];
        inner = vec![("duplicates_removal", Json::Object(joined(head, inner)))];
    }
    if block.sorts && block.parts.is_none() {
        let head = vec![("using_filesort", Json::Bool(true))];
        inner = vec![("ordering_operation", Json::Object(joined(head, inner)))];
    }
    inner
}

fn joined(mut head: Members, tail: Members) -> Members {
    head.extend(tail);
    head
}

fn union_result(block: &Block) -> Members {
    let Some((kind, parts)) = &block.parts else { return Vec::new() };
    let specification = |part: &Block| {
        Json::Object(vec![
            ("dependent", Json::Bool(false)),
            ("cacheable", Json::Bool(true)),
            ("query_block", Json::Object(self::block(part))),
        ])
    };
    let kept = result_name(*kind, parts, block.sorts);
    let mut members: Members = vec![("using_temporary_table", Json::Bool(kept.is_some()))];
    let key = match &kept {
        Some(("INTERSECT RESULT", _)) => "intersect_result",
        Some(("EXCEPT RESULT", _)) => "except_result",
        _ => "union_result",
    };
    if let Some((_, name)) = kept {
        members.push(("table_name", Json::Text(name)));
        members.push(("access_type", text("ALL")));
    }
    members.push(("query_specifications", Json::List(parts.iter().map(specification).collect())));
    let result = vec![(key, Json::Object(members))];
    if !block.sorts {
        return result;
    }
    vec![("ordering_operation", Json::Object(joined(vec![("using_filesort", Json::Bool(true))], result)))]
}

fn tables(block: &Block) -> Members {
    let mut before = None;
    let mut docs = Vec::with_capacity(block.tables.len());
    for table in &block.tables {
        let members = table_members(table, before);
        before = Some(table);
        docs.push(Json::Object(vec![("table", Json::Object(members))]));
    }
    match docs.pop() {
        None => Vec::new(),
        Some(Json::Object(only)) if docs.is_empty() => only,
        Some(last) => {
            docs.push(last);
            vec![("nested_loop", Json::List(docs))]
        }
    }
}

fn table_members(table: &TableDoc, before: Option<&TableDoc>) -> Members {
    let mut members: Members = Vec::new();
    if let Some(change) = table.change {
        let name = match change {
            Change::Insert => "insert",
            Change::Replace => "replace",
            Change::Update => "update",
            Change::Delete => "delete",
        };
        members.push((name, Json::Bool(true)));
    }
    members.push(("table_name", text(&table.name)));
    members.push(("access_type", text(table.access)));
    let lists = [("possible_keys", &table.possible_keys)];
    members.extend(
        lists.into_iter().filter(|(_, list)| !list.is_empty()).map(|(name, list)| (name, texts(list))),
    );
    if let Some(key) = &table.key {
        members.push(("key", text(key)));
        members.push(("used_key_parts", texts(&table.used_key_parts)));
        members.push(("key_length", Json::Text(table.key_len.to_string())));
    }
    if !table.refs.is_empty() {
        members.push(("ref", texts(&table.refs)));
    }
    let alone = matches!(table.change, Some(Change::Update | Change::Delete)) && table.key_slot.is_none();
    if let Some(rows) = table.rows_read() {
        members.push(("rows_examined_per_scan", Json::Number(rows)));
        if !alone {
            members.push(("rows_produced_per_join", Json::Number(whole(table.prefix.rows).max(1))));
        }
        members.push(("filtered", decimal(table.filtered)));
    }
    let flags = [
        ("recursive", table.recursive),
        ("backward_index_scan", table.backward),
        ("using_index", table.covering),
    ];
    members.extend(flags.into_iter().filter(|(_, set)| *set).map(|(name, _)| (name, Json::Bool(true))));
    if let Some(how) = table.join_buffer {
        members.push(("using_join_buffer", text(how)));
    }
    if table.rows.is_some() && !alone {
        members.push(("cost_info", Json::Object(cost_info(table, before))));
    }
    if !table.used_columns.is_empty() && !alone {
        members.push(("used_columns", texts(&table.used_columns)));
    }
    if !table.conditions.is_empty() {
        let all = table.conditions.join(" and ");
        let all = if table.conditions.len() > 1 { format!("({all})") } else { all };
        members.push(("attached_condition", Json::Text(all)));
    }
    if let Some(block) = &table.materialized {
        members.push(("materialized_from_subquery", materialized(block)));
    }
    if !table.subqueries.is_empty() {
        members.push(("attached_subqueries", Json::List(table.subqueries.iter().map(subquery).collect())));
    }
    members
}

/// What reading a table and testing its rows costs, and all tables up to it.
fn cost_info(table: &TableDoc, before: Option<&TableDoc>) -> Members {
    let own = table.prefix.cost - before.map_or(0.0, |before| before.prefix.cost);
    let eval = (table.prefix.rows * 0.1).min(own.max(0.0));
    vec![
        ("read_cost", decimal((own - eval).max(0.0))),
        ("eval_cost", decimal(eval)),
        ("prefix_cost", decimal(table.prefix.cost)),
        (
            "data_read_per_join",
            Json::Text(size(whole(table.prefix.rows).max(1).saturating_mul(table.row_bytes))),
        ),
    ]
}

/// Bytes with a letter for their magnitude.
fn size(bytes: u64) -> String {
    let letters = ["", "K", "M", "G", "T", "P", "E"];
    let mut number = bytes;
    let mut letter = 0;
    while number >= 1024 && letter + 1 < letters.len() {
        number /= 1024;
        letter += 1;
    }
    format!("{number}{}", letters[letter])
}

fn materialized(block: &Block) -> Json {
    Json::Object(vec![
        ("using_temporary_table", Json::Bool(true)),
        ("dependent", Json::Bool(false)),
        ("cacheable", Json::Bool(true)),
        ("query_block", Json::Object(self::block(block))),
    ])
}

fn subquery(doc: &SubqueryDoc) -> Json {
    let mut members: Members = vec![
        ("dependent", Json::Bool(doc.dependent)),
        ("cacheable", Json::Bool(!doc.dependent)),
        ("query_block", Json::Object(block(&doc.block))),
    ];
    if let Some(block) = &doc.for_all {
        members.push(("materialized_from_subquery", materialized(block)));
    }
    Json::Object(members)
}

impl Json {
    /// Writes a value whose first line is indented already.
    fn write(&self, depth: usize, out: &mut String) {
        match self {
            Self::Bool(value) => {
                let _ = write!(out, "{value}");
            }
            Self::Number(number) => {
                let _ = write!(out, "{number}");
            }
            Self::Text(text) => write_text(text, out),
            Self::List(list) => {
                write_all('[', list.iter(), ']', depth, out, |each, out| each.write(depth + 1, out))
            }
            Self::Object(members) => {
                write_all('{', members.iter(), '}', depth, out, |(name, value), out| {
                    write_text(name, out);
                    out.push_str(": ");
                    value.write(depth + 1, out);
                });
            }
        }
    }
}

/// Writes each part in a line of its own.
fn write_all<T>(
    open: char,
    parts: impl Iterator<Item = T>,
    close: char,
    depth: usize,
    out: &mut String,
    mut write: impl FnMut(T, &mut String),
) {
    out.push(open);
    for (number, part) in parts.enumerate() {
        out.push_str(if number == 0 { "\n" } else { ",\n" });
        out.push_str(&"  ".repeat(depth + 1));
        write(part, out);
    }
    out.push('\n');
    out.push_str(&"  ".repeat(depth));
    out.push(close);
}

fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if u32::from(c) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
