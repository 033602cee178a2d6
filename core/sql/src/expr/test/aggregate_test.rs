//! Aggregates over small groups.

use aquifer_types::text::to_text;
use aquifer_types::{DataType, TypeKind, Value};
use bytes::Bytes;

use super::text::context;
use crate::expr::aggregate::{Aggregate, Duplicates, SortOrder};
use crate::expr::{BindContext, column};

fn over(name: &str, duplicates: Duplicates, ty: &DataType, values: &[Value]) -> String {
    let mut ctx = context();
    let arg = column(0, ty.clone(), true);
    let aggregate = Aggregate::new(name, duplicates, vec![arg], &BindContext::default()).unwrap();
    let mut state = aggregate.accumulator();
    for v in values {
        state.update(&aggregate, std::slice::from_ref(v), &mut ctx).unwrap();
    }
    let value = state.finish(&aggregate, &mut ctx).unwrap();
    to_text(&value, aggregate.data_type())
        .map_or("NULL".to_owned(), |t| String::from_utf8_lossy(&t).into_owned())
}

fn ints(name: &str, values: &[i64]) -> String {
    let values: Vec<Value> = values.iter().map(|n| Value::Int(*n)).chain([Value::Null]).collect();
    over(name, Duplicates::All, &DataType::of(TypeKind::Int), &values)
}

fn texts(name: &str, duplicates: Duplicates, values: &[&'static str]) -> String {
    let values: Vec<Value> = values.iter().map(|t| Value::Bytes(Bytes::from_static(t.as_bytes()))).collect();
    over(name, duplicates, &DataType::varchar(10), &values)
}

#[test]
fn aggregate_over_integers_skips_null() {
    assert_eq!(ints("count", &[1, 2, 2]), "3");
    assert_eq!(ints("sum", &[1, 2, 2]), "5");
    assert_eq!(ints("avg", &[1, 2, 2]), "1.6667");
    assert_eq!(ints("min", &[3, -1, 2]), "-1");
    assert_eq!(ints("MAX", &[3, -1, 2]), "3");
    assert_eq!(ints("bit_or", &[1, 4]), "5");
    assert_eq!(ints("bit_and", &[7, 5]), "5");
    assert_eq!(ints("bit_xor", &[7, 5]), "2");
    assert_eq!(ints("std", &[2, 4]), "1");
    assert_eq!(ints("var_samp", &[2, 4]), "2");
    assert_eq!(ints("var_pop", &[2, 4]), "1");
    assert_eq!(ints("sum", &[i64::MAX, i64::MAX]), "18446744073709551614");
}

#[test]
fn aggregate_over_nothing_is_null_or_neutral() {
    assert_eq!(ints("count", &[]), "0");
    assert_eq!(ints("sum", &[]), "NULL");
    assert_eq!(ints("avg", &[]), "NULL");
    assert_eq!(ints("max", &[]), "NULL");
    assert_eq!(ints("bit_and", &[]), "18446744073709551615");
    assert_eq!(ints("bit_or", &[]), "0");
    assert_eq!(ints("stddev", &[]), "NULL");
    assert_eq!(ints("var_samp", &[1]), "NULL");
    assert_eq!(texts("group_concat", Duplicates::All, &[]), "NULL");
}

#[test]
fn aggregate_distinct_compares_under_the_collation() {
    assert_eq!(texts("count", Duplicates::Distinct, &["a", "A", "b"]), "2");
    assert_eq!(texts("group_concat", Duplicates::Distinct, &["a", "A", "b"]), "a,b");
    assert_eq!(texts("min", Duplicates::Distinct, &["b", "a"]), "a");
    assert_eq!(texts("sum", Duplicates::All, &["1.5", "2x"]), "3.5");
}

#[test]
fn group_concat_orders_and_cuts() {
    let mut ctx = context();
    ctx.group_concat_max_len = 6;
    let arg = column(0, DataType::varchar(10), true);
    let order = vec![(arg.clone(), SortOrder::Descending)];
    let aggregate = Aggregate::new("group_concat", Duplicates::All, vec![arg], &BindContext::default())
        .unwrap()
        .with_order(order, Some(Bytes::from_static(b"; ")));
    let mut state = aggregate.accumulator();
    for t in ["a", "c", "b"] {
        state.update(&aggregate, &[Value::Bytes(Bytes::from_static(t.as_bytes()))], &mut ctx).unwrap();
    }
    let value = state.finish(&aggregate, &mut ctx).unwrap();
    assert_eq!(to_text(&value, aggregate.data_type()).unwrap(), "c; b; ");
    assert_eq!(ctx.warnings.entries()[0].code, 1260);
}

#[test]
fn aggregate_count_of_several_columns_needs_distinct() {
    let args = || vec![column(0, DataType::varchar(1), true), column(1, DataType::varchar(1), true)];
    let bind = BindContext::default();
    assert_eq!(Aggregate::new("count", Duplicates::All, args(), &bind).unwrap_err().code(), 1582);
    let distinct = Aggregate::new("count", Duplicates::Distinct, args(), &bind).unwrap();
    let mut state = distinct.accumulator();
    let text = |s: &'static str| Value::Bytes(Bytes::from_static(s.as_bytes()));
    let mut ctx = context();
    for row in
        [[text("a"), text("b")], [text("A"), text("b")], [text("a"), Value::Null], [text("ab"), text("")]]
    {
        state.update(&distinct, &row, &mut ctx).unwrap();
    }
    assert!(matches!(state.finish(&distinct, &mut ctx).unwrap(), Value::Int(2)));
}
