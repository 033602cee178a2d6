//! JSON_CONTAINS and JSON_OVERLAPS.

use std::cmp::Ordering;

use super::Json;

/// Whether `candidate` is contained in `target`: an array contains each of its elements and every array of
/// contained elements, an object every object with a part of its members.
#[must_use]
pub fn contains(target: &Json, candidate: &Json) -> bool {
    match (target, candidate) {
        (Json::Object(_), Json::Object(wanted)) => {
            wanted.iter().all(|(name, value)| target.member(name).is_some_and(|found| contains(found, value)))
        }
        (Json::Array(_), Json::Array(wanted)) => wanted.iter().all(|item| array_contains(target, item)),
        (Json::Array(_), _) => array_contains(target, candidate),
        _ => target.order(candidate) == Ordering::Equal,
    }
}

fn array_contains(target: &Json, wanted: &Json) -> bool {
    let Json::Array(items) = target else { return false };
    items.iter().any(|item| match (item, wanted) {
        (Json::Array(_), Json::Array(_)) | (Json::Object(_), Json::Object(_)) => contains(item, wanted),
        (Json::Array(_), _) => contains(item, wanted),
        _ => item.order(wanted) == Ordering::Equal,
    })
}

/// Whether two documents have an element or a member in common.
#[must_use]
pub fn overlaps(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Object(x), Json::Object(_)) => {
            x.iter().any(|(name, value)| b.member(name).is_some_and(|v| v.order(value) == Ordering::Equal))
        }
        (Json::Array(x), Json::Array(y)) => x.iter().any(|item| y.iter().any(|other| same(item, other))),
        (Json::Array(x), other) | (other, Json::Array(x)) => x.iter().any(|item| same(item, other)),
        _ => same(a, b),
    }
}

fn same(a: &Json, b: &Json) -> bool {
    a.order(b) == Ordering::Equal
}
