//! Order and equality of JSON values (manual 11.5, "Comparison and Ordering of JSON Values").

use std::cmp::Ordering;

use super::{Json, parse_stored};
use crate::Decimal;

impl Json {
    /// What decides between values of different types; greater is later.
    fn rank(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Int(_) | Self::UInt(_) | Self::Double(_) | Self::Decimal(_) => 1,
            Self::String(_) => 2,
            Self::Object(_) => 3,
            Self::Array(_) => 4,
            Self::Bool(_) => 5,
        }
    }

    /// The order of two values. Objects are equal or in an order that means nothing.
    #[must_use]
    pub fn order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::String(a), Self::String(b)) => a.as_bytes().cmp(b.as_bytes()),
            (Self::Array(a), Self::Array(b)) => {
                let first = a.iter().zip(b).map(|(x, y)| x.order(y)).find(|o| o.is_ne());
                first.unwrap_or_else(|| a.len().cmp(&b.len()))
            }
            (Self::Object(a), Self::Object(b)) => a.len().cmp(&b.len()).then_with(|| {
                let pairs = a.iter().zip(b);
                let mut orders =
                    pairs.map(|(x, y)| super::name_order(&x.0, &y.0).then_with(|| x.1.order(&y.1)));
                orders.find(|o| o.is_ne()).unwrap_or(Ordering::Equal)
            }),
            _ => self.rank().cmp(&other.rank()).then_with(|| order_numbers(self, other)),
        }
    }
}

/// Order of two numbers; equal for anything else.
fn order_numbers(a: &Json, b: &Json) -> Ordering {
    match (a, b) {
        (Json::Int(x), Json::Int(y)) => x.cmp(y),
        (Json::UInt(x), Json::UInt(y)) => x.cmp(y),
        (Json::Int(x), Json::UInt(y)) => i128::from(*x).cmp(&i128::from(*y)),
        (Json::UInt(x), Json::Int(y)) => i128::from(*x).cmp(&i128::from(*y)),
        (Json::Double(x), Json::Double(y)) => x.partial_cmp(y).unwrap_or(Ordering::Equal),
        (Json::Double(_), _) | (_, Json::Double(_)) => match (as_double(a), as_double(b)) {
            (Some(x), Some(y)) => x.partial_cmp(&y).unwrap_or(Ordering::Equal),
            _ => Ordering::Equal,
        },
        _ => match (as_decimal(a), as_decimal(b)) {
            (Some(x), Some(y)) => x.cmp(&y),
            _ => Ordering::Equal,
        },
    }
}

#[allow(clippy::cast_precision_loss)] // the nearest double is what is wanted
fn as_double(value: &Json) -> Option<f64> {
    Some(match value {
        Json::Int(n) => *n as f64,
        Json::UInt(n) => *n as f64,
        Json::Double(x) => *x,
        Json::Decimal(d) => d.to_f64(),
        _ => return None,
    })
}

fn as_decimal(value: &Json) -> Option<Decimal> {
    Some(match value {
        Json::Int(n) => Decimal::from_i64(*n),
        Json::UInt(n) => Decimal::from_u64(*n),
        Json::Decimal(d) => *d,
        _ => return None,
    })
}

/// Order of two stored documents; texts that are none come first, by their bytes.
#[must_use]
pub fn compare_text(a: &[u8], b: &[u8]) -> Ordering {
    if a == b {
        return Ordering::Equal;
    }
    match (parse_stored(a), parse_stored(b)) {
        (Ok(x), Ok(y)) => x.order(&y),
        (Ok(_), Err(_)) => Ordering::Greater,
        (Err(_), Ok(_)) => Ordering::Less,
        (Err(_), Err(_)) => a.cmp(b),
    }
}

/// Appends bytes that are equal exactly when two stored documents are.
pub fn write_equality_key(text: &[u8], out: &mut Vec<u8>) {
    match parse_stored(text) {
        Ok(value) => write_key(&value, out),
        Err(_) => out.extend_from_slice(text),
    }
}

fn write_key(value: &Json, out: &mut Vec<u8>) {
    out.push(value.rank());
    let length = |n: usize, out: &mut Vec<u8>| out.extend_from_slice(&(n as u64).to_be_bytes());
    match value {
        Json::Null => {}
        Json::Bool(b) => out.push(u8::from(*b)),
        Json::String(s) => {
            length(s.len(), out);
            out.extend_from_slice(s.as_bytes());
        }
        Json::Array(items) => {
            length(items.len(), out);
            items.iter().for_each(|item| write_key(item, out));
        }
        Json::Object(members) => {
            length(members.len(), out);
            for (name, member) in members {
                length(name.len(), out);
                out.extend_from_slice(name.as_bytes());
                write_key(member, out);
            }
        }
        number => write_number_key(number, out),
    }
}

/// The same bytes for the same number in whatever form.
fn write_number_key(value: &Json, out: &mut Vec<u8>) {
    let double = as_double(value).unwrap_or(0.0);
    let exact = as_decimal(value).or_else(|| Decimal::from_f64(double));
    let text = match exact {
        Some(d) => {
            let mut text = Vec::new();
            d.normalized().write(&mut text);
            text
        }
        None => (double + 0.0).to_bits().to_be_bytes().to_vec(),
    };
    out.extend_from_slice(&(text.len() as u64).to_be_bytes());
    out.extend_from_slice(&text);
}
