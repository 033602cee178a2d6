//! Result types as result set metadata shows them: kind, length, decimals, sign, nullability.

use aquifer_types::{DataType, TypeKind};

use super::text::parse_with;
use crate::expr::{BindContext, column};

fn shape(text: &str) -> (TypeKind, u32, u8, bool) {
    let decimal = DataType { length: 10, decimals: 2, ..DataType::of(TypeKind::Decimal) };
    let unsigned = DataType { unsigned: true, ..DataType::of(TypeKind::Int) };
    let columns = [
        ("i", column(0, DataType::of(TypeKind::Int), false)),
        ("u", column(0, unsigned, false)),
        ("d", column(0, decimal, false)),
        ("f", column(0, DataType::of(TypeKind::Double), false)),
        ("v", column(0, DataType::varchar(20), true)),
        ("t", column(0, DataType { decimals: 3, ..DataType::of(TypeKind::DateTime) }, true)),
    ];
    let e = parse_with(text, &BindContext::default(), &columns).unwrap();
    let ty = e.data_type();
    (ty.kind, ty.length, ty.decimals, ty.unsigned)
}

#[test]
fn arithmetic_has_the_wider_kind() {
    assert_eq!(shape("1").0, TypeKind::BigInt);
    assert_eq!(shape("i + 1").0, TypeKind::BigInt);
    assert_eq!(shape("u + 1"), (TypeKind::BigInt, 11, 0, true));
    assert_eq!(shape("d + 1"), (TypeKind::Decimal, 11, 2, false));
    assert_eq!(shape("d * d"), (TypeKind::Decimal, 20, 4, false));
    assert_eq!(shape("i / 3"), (TypeKind::Decimal, 14, 4, false));
    assert_eq!(shape("d / 3").2, 6);
    assert_eq!(shape("f + 1"), (TypeKind::Double, 23, 31, false));
    assert_eq!(shape("v + 1").0, TypeKind::Double);
    assert_eq!(shape("i & 1"), (TypeKind::BigInt, 21, 0, true));
    assert_eq!(shape("i = 1"), (TypeKind::BigInt, 1, 0, false));
}

#[test]
fn choice_has_the_common_type() {
    assert_eq!(shape("IFNULL(v, 'x')"), (TypeKind::VarChar, 20, 0, false));
    assert_eq!(shape("COALESCE(d, 1)").0, TypeKind::Decimal);
    assert_eq!(shape("IF(1, i, v)").0, TypeKind::VarChar);
    assert_eq!(shape("IF(1, t, t)"), (TypeKind::DateTime, 0, 3, false));
    assert_eq!(shape("CASE WHEN 1 THEN 1 ELSE 2.5 END").0, TypeKind::Decimal);
}

#[test]
fn strings_count_characters() {
    assert_eq!(shape("CONCAT(v, 'abc')").1, 23);
    assert_eq!(shape("'héllo'").1, 5);
    assert_eq!(shape("CAST(i AS CHAR)").0, TypeKind::VarChar);
    assert_eq!(shape("CAST(v AS CHAR(5))").1, 5);
    assert_eq!(shape("CAST(v AS BINARY)").0, TypeKind::VarBinary);
    assert_eq!(shape("REPEAT(v, 1000000)").0, TypeKind::LongText);
}

#[test]
fn temporal_results_keep_fraction_digits() {
    assert_eq!(shape("t + INTERVAL 1 DAY"), (TypeKind::DateTime, 0, 3, false));
    assert_eq!(shape("t + INTERVAL 1 MICROSECOND").2, 6);
    assert_eq!(shape("NOW(4)"), (TypeKind::DateTime, 0, 4, false));
    assert_eq!(shape("DATE(t)").0, TypeKind::Date);
    assert_eq!(shape("UNIX_TIMESTAMP(t)"), (TypeKind::Decimal, 14, 3, false));
    assert_eq!(shape("UNIX_TIMESTAMP('2024-01-01')").0, TypeKind::BigInt);
}
