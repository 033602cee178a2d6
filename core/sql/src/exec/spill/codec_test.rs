#![allow(clippy::unwrap_used)]

use aquifer_types::Decimal;

use super::*;

fn samples() -> Vec<Value> {
    let decimal = |text: &str| Value::Decimal(Decimal::parse(text.as_bytes()).unwrap());
    let date = Date { year: 9999, month: 12, day: 31 };
    let mut values = vec![
        Value::Null,
        Value::Float(-0.0),
        Value::Float(f32::MIN_POSITIVE),
        Value::Double(f64::NEG_INFINITY),
        Value::Double(0.1),
        Value::Bytes(Bytes::new()),
        Value::Bytes(Bytes::from(vec![0xFF; 70_000])),
        Value::Date(Date::default()),
        Value::Date(date),
        Value::Time(Time { micros: -3_020_399_999_999 }),
        Value::DateTime(DateTime { date, micros: 86_399_999_999 }),
        decimal("0"),
        decimal("0.000"),
        decimal("-12.50"),
        decimal("0.000000000000000000000000000001"),
        decimal(&"9".repeat(65)),
        decimal(&format!("-{}.{}", "9".repeat(35), "9".repeat(30))),
    ];
    for shift in 0..64 {
        values.push(Value::Int(i64::MIN >> shift));
        values.push(Value::Int(i64::MAX >> shift));
        values.push(Value::UInt(u64::MAX >> shift));
    }
    values
}

#[test]
fn decode_gives_back_every_kind_of_value() {
    let values = samples();
    let mut bytes = Vec::new();
    values.iter().for_each(|value| encode(value, &mut bytes));
    let mut rest = &bytes[..];
    for value in &values {
        assert_eq!(format!("{:?}", decode(&mut rest).unwrap()), format!("{value:?}"));
    }
    assert!(rest.is_empty());
}

#[test]
fn decode_of_a_cut_value_is_an_error() {
    for value in samples() {
        let mut bytes = Vec::new();
        encode(&value, &mut bytes);
        for length in 0..bytes.len().min(40) {
            assert_eq!(decode(&mut &bytes[..length]).unwrap_err().code(), 1024, "{value:?}");
        }
    }
    assert!(decode(&mut &[200][..]).is_err());
}
