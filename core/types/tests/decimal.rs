//! DECIMAL: arithmetic, rounding, text, bytes at rest.
#![allow(clippy::unwrap_used)]

use aquifer_types::Decimal;
use aquifer_types::decimal::{fixed_width, read_fixed};
use proptest::prelude::*;

fn d(text: &str) -> Decimal {
    Decimal::parse(text.as_bytes()).unwrap_or_else(|| panic!("{text}"))
}

#[test]
fn parse_keeps_scale_and_sign() {
    for text in ["0", "1", "-1", "0.5", "-0.05", "123456789.123456789", "1.50", "0.00"] {
        assert_eq!(d(text).to_string(), text);
    }
    let long = "9".repeat(65);
    assert_eq!(d(&long).to_string(), long);
    assert_eq!(d("1e3").to_string(), "1000");
    assert_eq!(d("1.25e1").to_string(), "12.5");
    assert_eq!(d("125e-2").to_string(), "1.25");
    assert_eq!(d("-.5").to_string(), "-0.5");
    assert_eq!(d("5.").to_string(), "5");
    assert_eq!(d("-0").to_string(), "0");
    assert_eq!(d("0.1234567890123456789012345678905").to_string(), "0.123456789012345678901234567891");
}

#[test]
fn parse_refuses_what_is_no_number() {
    for text in ["", ".", "-", "abc", "1x", "e5", " 1"] {
        assert!(Decimal::parse(text.as_bytes()).is_none(), "{text}");
    }
    assert!(Decimal::parse("1".repeat(66).as_bytes()).is_none());
    assert!(Decimal::parse(b"1e65").is_none());
    assert_eq!(Decimal::parse_prefix(b"12.5abc").unwrap().1, 4);
    assert_eq!(Decimal::parse_prefix(b"12e").unwrap().1, 2);
}

#[test]
fn arithmetic_of_long_numbers_is_exact() {
    let nines = d(&"9".repeat(64));
    assert_eq!(nines.add(&d("1")).unwrap().to_string(), format!("1{}", "0".repeat(64)));
    assert!(d(&"9".repeat(65)).add(&d("1")).is_none());
    assert_eq!(nines.sub(&nines).unwrap().to_string(), "0");
    let a = d("12345678901234567890123456789.123");
    assert_eq!(a.mul(&d("2")).unwrap().to_string(), "24691357802469135780246913578.246");
    let product = d("99999999999999999999999999999999").mul(&d("99999999999999999999999999999999")).unwrap();
    assert_eq!(product.to_string(), "9999999999999999999999999999999800000000000000000000000000000001");
    let tiny = d("0.0000000000000001");
    assert_eq!(tiny.mul(&tiny).unwrap().to_string(), "0.000000000000000000000000000000");
}

#[test]
fn division_rounds_half_away_from_zero() {
    assert_eq!(d("1").div(&d("3"), 4).unwrap().to_string(), "0.3333");
    assert_eq!(d("2").div(&d("3"), 4).unwrap().to_string(), "0.6667");
    assert_eq!(d("-2").div(&d("3"), 4).unwrap().to_string(), "-0.6667");
    assert_eq!(d("1.00").div(&d("8"), 4).unwrap().to_string(), "0.125000");
    assert_eq!(d("1").div_extended(&d("3"), 4).unwrap().to_string(), "0.333333333");
    assert!(d("1").div(&Decimal::ZERO, 4).is_none());
    assert_eq!(d("-7.5").rem(&d("2")).unwrap().to_string(), "-1.5");
    assert_eq!(d("7.5").int_div(&d("-2")).unwrap().to_string(), "-3");
    let a = d("123456789012345678901234567890123456789012345678901234567890");
    assert_eq!(
        a.int_div(&d("987654321098765432109876543210")).unwrap().to_string(),
        "124999998860937500014238281249"
    );
}

#[test]
fn round_and_truncate_follow_the_scale() {
    assert_eq!(d("1.235").round(2).to_string(), "1.24");
    assert_eq!(d("-1.235").round(2).to_string(), "-1.24");
    assert_eq!(d("1.239").truncate(2).to_string(), "1.23");
    assert_eq!(d("155").round(-1).to_string(), "160");
    assert_eq!(d("155").truncate(-2).to_string(), "100");
    assert_eq!(d("155").round(-3).to_string(), "0");
    assert_eq!(d("1.5").round(3).to_string(), "1.500");
    assert_eq!(d("-1.5").floor().to_string(), "-2");
    assert_eq!(d("-1.5").ceiling().to_string(), "-1");
    assert_eq!(d("1.0001").ceiling().to_string(), "2");
    assert_eq!(d("99.995").fit(4, 2), None);
    assert_eq!(d("99.994").fit(4, 2).unwrap().to_string(), "99.99");
    assert_eq!(Decimal::max_of(5, 2).to_string(), "999.99");
}

#[test]
fn conversions_are_exact_or_nearest() {
    assert_eq!(Decimal::from_i64(i64::MIN).to_string(), i64::MIN.to_string());
    assert_eq!(Decimal::from_i64(i64::MIN).to_i64(), Some(i64::MIN));
    assert_eq!(Decimal::from_u64(u64::MAX).to_u64(), Some(u64::MAX));
    assert_eq!(Decimal::from_u64(u64::MAX).to_i64(), None);
    assert_eq!(d("2.5").to_i64(), Some(3));
    assert_eq!(Decimal::from_f64(0.1).unwrap().to_string(), "0.1");
    assert_eq!(Decimal::from_f64(1e20).unwrap().to_string(), "100000000000000000000");
    assert!(Decimal::from_f64(f64::NAN).is_none());
    assert_eq!(d("0.1").to_f64().to_bits(), 0.1_f64.to_bits());
    assert_eq!(
        d("123456789012345678901234567890.5").to_f64().to_bits(),
        123_456_789_012_345_678_901_234_567_890.5_f64.to_bits()
    );
}

#[test]
fn stored_width_is_the_least() {
    assert_eq!((fixed_width(1), fixed_width(2), fixed_width(3)), (1, 1, 2));
    assert_eq!((fixed_width(9), fixed_width(10), fixed_width(18), fixed_width(19)), (4, 5, 8, 9));
    assert_eq!(fixed_width(65), 28);
}

#[test]
fn stored_bytes_refuse_what_does_not_fit() {
    let mut out = Vec::new();
    assert!(d("100").write_fixed(2, 0, &mut out).is_none());
    assert!(d("1.23").write_fixed(5, 1, &mut out).is_none());
    assert!(out.is_empty());
    assert!(d("1.20").write_fixed(5, 1, &mut out).is_some());
}

fn any_decimal() -> impl Strategy<Value = Decimal> {
    ("[0-9]{1,34}", "[0-9]{0,30}", any::<bool>()).prop_map(|(whole, fraction, minus)| {
        let sign = if minus { "-" } else { "" };
        let point = if fraction.is_empty() { "" } else { "." };
        d(&format!("{sign}{whole}{point}{fraction}"))
    })
}

proptest! {
    #[test]
    fn arithmetic_agrees_with_128_bits(a in -(1_i128 << 62)..(1_i128 << 62), b in -(1_i128 << 62)..(1_i128 << 62)) {
        let (x, y) = (Decimal::from_i128(a), Decimal::from_i128(b));
        prop_assert_eq!(x.add(&y).unwrap(), Decimal::from_i128(a + b));
        prop_assert_eq!(x.sub(&y).unwrap(), Decimal::from_i128(a - b));
        prop_assert_eq!(x.mul(&y).unwrap(), Decimal::from_i128(a * b));
        if b != 0 {
            prop_assert_eq!(x.rem(&y).unwrap(), Decimal::from_i128(a % b));
            prop_assert_eq!(x.int_div(&y).unwrap(), Decimal::from_i128(a / b));
        }
        prop_assert_eq!(x.cmp(&y), a.cmp(&b));
    }

    #[test]
    fn long_arithmetic_undoes_itself(a in any_decimal(), b in any_decimal()) {
        prop_assert_eq!(a.add(&b).unwrap().sub(&b).unwrap(), a);
        prop_assert_eq!(a.neg().neg(), a);
        if !b.is_zero() {
            let (quotient, rest) = (a.int_div(&b), a.rem(&b).unwrap());
            if let Some(back) = quotient.and_then(|q| q.mul(&b)).filter(|_| b.scale() == 0) {
                prop_assert_eq!(back.add(&rest).unwrap(), a);
            }
            prop_assert!(rest.abs() < b.abs());
        }
    }

    #[test]
    fn text_reads_back(a in any_decimal()) {
        prop_assert_eq!(a.to_string(), d(&a.to_string()).to_string());
    }

    #[test]
    fn stored_bytes_order_as_the_numbers(a in any_decimal(), b in any_decimal()) {
        let bytes = |x: &Decimal| {
            let mut out = Vec::new();
            x.write_fixed(65, 30, &mut out).unwrap();
            out
        };
        prop_assert_eq!(bytes(&a).cmp(&bytes(&b)), a.cmp(&b));
        prop_assert_eq!(read_fixed(&bytes(&a), 30), a);
    }

    #[test]
    fn sort_keys_order_as_the_numbers(a in any_decimal(), b in any_decimal()) {
        let key = |x: &Decimal| {
            let mut out = Vec::new();
            x.write_sort_key(&mut out);
            out
        };
        prop_assert_eq!(key(&a).cmp(&key(&b)), a.cmp(&b));
    }
}
