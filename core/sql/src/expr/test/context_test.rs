//! What depends on settings, parameters, variables and columns.

use aquifer_types::convert::Strictness;
use aquifer_types::temporal::TimeZone;
use aquifer_types::{DataType, SqlMode, TypeKind, Value};
use bytes::Bytes;

use super::text::{context, evaluate_in, parse_with};
use crate::expr::{
    BinaryOp, BindContext, CompareOp, Expr, binary, column, int_literal, param, string_literal,
};

fn bind() -> BindContext {
    BindContext::default()
}

#[test]
fn division_by_zero_warns_only_where_the_mode_says() {
    let mut ctx = context();
    assert_eq!(evaluate_in("1/0", &mut ctx).unwrap(), "NULL");
    assert_eq!(ctx.warnings.entries()[0].code, 1365);
    ctx.strictness = Strictness::Strict;
    assert_eq!(evaluate_in("1/0", &mut ctx).unwrap_err().code(), 1365);
    let mut lenient = context();
    lenient.sql_mode = SqlMode::NONE;
    assert_eq!(evaluate_in("1/0", &mut lenient).unwrap(), "NULL");
    assert_eq!(lenient.warnings.total(), 0);
}

#[test]
fn text_as_number_warns_or_fails() {
    let mut ctx = context();
    assert_eq!(evaluate_in("'12abc'+1", &mut ctx).unwrap(), "13");
    assert_eq!(ctx.warnings.entries()[0].message, "Truncated incorrect DOUBLE value: '12abc'");
    ctx.strictness = Strictness::Strict;
    assert_eq!(evaluate_in("'12abc'+1", &mut ctx).unwrap_err().code(), 1292);
}

#[test]
fn unsigned_subtraction_follows_the_mode() {
    let mut ctx = context();
    let text = "CAST(1 AS UNSIGNED) - 2";
    assert_eq!(evaluate_in(text, &mut ctx).unwrap_err().code(), 1690);
    ctx.sql_mode = ctx.sql_mode.with(SqlMode::NO_UNSIGNED_SUBTRACTION);
    assert_eq!(evaluate_in(text, &mut ctx).unwrap(), "-1");
}

#[test]
fn user_variables_keep_their_value_within_a_statement() {
    let mut ctx = context();
    assert_eq!(evaluate_in("@a", &mut ctx).unwrap(), "NULL");
    assert_eq!(evaluate_in("@a := 5", &mut ctx).unwrap(), "5");
    assert_eq!(evaluate_in("@A + 1", &mut ctx).unwrap(), "6");
}

#[test]
fn now_is_in_the_session_time_zone() {
    let mut ctx = context();
    ctx.time_zone = TimeZone::Fixed(5 * 3600 + 1800);
    assert_eq!(evaluate_in("NOW(6)", &mut ctx).unwrap(), "2024-02-29 18:04:56.789012");
    assert_eq!(evaluate_in("UTC_TIMESTAMP()", &mut ctx).unwrap(), "2024-02-29 12:34:56");
    assert_eq!(evaluate_in("UNIX_TIMESTAMP('1970-01-02 05:30:00')", &mut ctx).unwrap(), "86400");
    assert_eq!(evaluate_in("FROM_UNIXTIME(0)", &mut ctx).unwrap(), "1970-01-01 05:30:00");
}

#[test]
fn last_insert_id_with_argument_sets_it() {
    let mut ctx = context();
    assert_eq!(evaluate_in("LAST_INSERT_ID(42)", &mut ctx).unwrap(), "42");
    assert_eq!(evaluate_in("LAST_INSERT_ID()", &mut ctx).unwrap(), "42");
}

#[test]
fn rand_with_seed_repeats_its_series() {
    let bind = bind();
    let e = parse_with("RAND(3)", &bind, &[]).unwrap();
    let series = |e: &Expr| {
        let mut ctx = context();
        (0..3).map(|_| format!("{:?}", e.eval(&[], &mut ctx).unwrap())).collect::<Vec<_>>()
    };
    let first = series(&e);
    assert_eq!(first, series(&e));
    assert_eq!(first[0], "Double(0.9057697559760601)");
    assert_eq!(first[1], "Double(0.37307905813034536)");
    assert_eq!(first[2], "Double(0.14808605345719125)");
}

#[test]
fn comparison_of_column_and_text_stays_in_the_domain_of_the_column() {
    let id = column(0, DataType::of(TypeKind::Int), false);
    let text = string_literal(Bytes::from_static(b"5"), bind().collation);
    let e = binary(BinaryOp::Compare(CompareOp::Eq), id.clone(), text, &bind()).unwrap();
    assert!(e.compares_in_domain_of(&id));
    let mut ctx = context();
    assert!(e.eval_filter(&[Value::Int(5)], &mut ctx).unwrap());
    let word = string_literal(Bytes::from_static(b"x"), bind().collation);
    let e = binary(BinaryOp::Compare(CompareOp::Eq), id.clone(), word, &bind()).unwrap();
    assert!(e.eval_filter(&[Value::Int(0)], &mut ctx).unwrap());
    assert!(!e.eval_filter(&[Value::Int(1)], &mut ctx).unwrap());
    // A text column compared with a number is compared as doubles: no index serves that.
    let name = column(0, DataType::varchar(10), false);
    let e = binary(BinaryOp::Compare(CompareOp::Eq), name.clone(), int_literal(5), &bind()).unwrap();
    assert!(!e.compares_in_domain_of(&name));
    assert!(e.eval_filter(&[Value::Bytes(Bytes::from_static(b"5.0"))], &mut ctx).unwrap());
}

#[test]
fn comparison_of_date_column_and_text_uses_the_calendar() {
    let day = column(0, DataType::of(TypeKind::Date), false);
    let text = string_literal(Bytes::from_static(b"2024-1-5"), bind().collation);
    let e = binary(BinaryOp::Compare(CompareOp::Ge), day.clone(), text, &bind()).unwrap();
    assert!(e.compares_in_domain_of(&day));
    let date = |y, m, d| Value::Date(aquifer_types::Date { year: y, month: m, day: d });
    let mut ctx = context();
    assert!(e.eval_filter(&[date(2024, 1, 5)], &mut ctx).unwrap());
    assert!(!e.eval_filter(&[date(2023, 12, 31)], &mut ctx).unwrap());
}

#[test]
fn parameters_are_constant_but_not_immutable() {
    let e = binary(BinaryOp::Add, param(0, DataType::of(TypeKind::BigInt)), int_literal(1), &bind()).unwrap();
    assert!(e.is_constant() && !e.is_immutable());
    let mut ctx = context();
    ctx.params = vec![Value::Int(41)];
    assert!(matches!(e.eval(&[], &mut ctx).unwrap(), Value::Int(42)));
}

#[test]
fn columns_can_be_collected_mapped_and_compared() {
    let ty = DataType::of(TypeKind::Int);
    let columns = [("a", column(3, ty.clone(), true)), ("b", column(1, ty, true))];
    let mut e = parse_with("a + b * a > 5 AND b IS NULL", &bind(), &columns).unwrap();
    assert_eq!(e.columns(), [1, 3]);
    assert!(!e.is_constant());
    let same = parse_with("a + b * a > 5 AND b IS NULL", &bind(), &columns).unwrap();
    assert_eq!(e, same);
    e.map_columns(&mut |i| i + 10);
    assert_eq!(e.columns(), [11, 13]);
    assert_ne!(e, same);
    let volatile = parse_with("RAND()", &bind(), &[]).unwrap();
    assert_ne!(volatile, volatile.clone());
}

#[test]
fn enum_is_text_in_comparisons_and_number_in_arithmetic() {
    let members = Some(vec!["red".to_owned(), "blue".to_owned()].into());
    let color = column(0, DataType { members, ..DataType::of(TypeKind::Enum) }, true);
    let columns = [("c", color)];
    let check = |text: &str, row: u64| {
        let e = parse_with(text, &bind(), &columns).unwrap();
        e.eval_filter(&[Value::UInt(row)], &mut context()).unwrap()
    };
    assert!(check("c = 'BLUE'", 2));
    assert!(check("c = 2", 2));
    assert!(check("c + 0 = 1", 1));
    assert!(check("c > 'a'", 2));
    assert!(check("CONCAT(c, '!') = 'red!'", 1));
    assert!(check("c IN ('red', 'green')", 1));
}

#[test]
fn latin1_column_takes_utf8_literals() {
    let latin = DataType { collation: aquifer_types::Collation(8), ..DataType::varchar(10) };
    let columns = [("l", column(0, latin, true))];
    let e = parse_with("l = 'é'", &bind(), &columns).unwrap();
    assert!(e.eval_filter(&[Value::Bytes(Bytes::from_static(b"\xE9"))], &mut context()).unwrap());
}

#[test]
fn unknown_functions_are_told_from_missing_ones() {
    let with_database = BindContext { database: Some("d".to_owned()), ..bind() };
    let error = parse_with("NOPE(1)", &with_database, &[]).unwrap_err();
    assert_eq!((error.code(), error.message()), (1305, "FUNCTION d.NOPE does not exist"));
    assert_eq!(parse_with("ST_X('a')", &bind(), &[]).unwrap_err().code(), 1235);
    assert_eq!(parse_with("LENGTH()", &bind(), &[]).unwrap_err().code(), 1582);
    let mix =
        parse_with("'a' COLLATE utf8mb4_bin = 'b' COLLATE utf8mb4_general_ci", &bind(), &[]).unwrap_err();
    assert_eq!(
        mix.message(),
        "Illegal mix of collations (utf8mb4_bin,EXPLICIT) and (utf8mb4_general_ci,EXPLICIT) for operation '='"
    );
}
