//! Changing a document at a path that finds one value: JSON_SET, JSON_INSERT, JSON_REPLACE, JSON_REMOVE,
//! JSON_ARRAY_APPEND, JSON_ARRAY_INSERT. Paths must not be multiple ([`Path::is_multiple`]).

use super::path::{Index, Leg};
use super::{Json, Path, find};

/// Which values are put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Those that exist and those that do not.
    Set,
    /// Those that do not exist.
    Insert,
    /// Those that exist.
    Replace,
}

/// The value at a path, to be changed; `None` when there is none.
fn seek_mut<'j>(document: &'j mut Json, legs: &[Leg]) -> Option<&'j mut Json> {
    let mut at = document;
    for leg in legs {
        at = match (leg, at) {
            (Leg::Member(name), Json::Object(members)) => {
                let position = find(members, name).ok()?;
                &mut members[position].1
            }
            (Leg::Cell(index), Json::Array(items)) => {
                let position = index.of(items.len())?;
                items.get_mut(position)?
            }
            (Leg::Cell(index), value) if !matches!(value, Json::Array(_)) && index.of(1) == Some(0) => value,
            _ => return None,
        };
    }
    Some(at)
}

/// Puts `value` at `path`. A path whose parent does not exist changes nothing.
pub fn change(document: &mut Json, path: &Path, value: Json, what: Change) {
    if let Some(found) = seek_mut(document, &path.legs) {
        if what != Change::Insert {
            *found = value;
        }
        return;
    }
    let Some((last, parents)) = path.legs.split_last() else { return };
    let Some(parent) = seek_mut(document, parents).filter(|_| what != Change::Replace) else { return };
    match (last, parent) {
        (Leg::Member(name), Json::Object(members)) => {
            if let Err(at) = find(members, name) {
                members.insert(at, (name.clone(), value));
            }
        }
        (Leg::Cell(Index::First(_)), Json::Array(items)) => items.push(value),
        (Leg::Cell(Index::Last(_)), Json::Array(items)) => items.insert(0, value),
        (Leg::Cell(index), scalar) => {
            let old = std::mem::replace(scalar, Json::Null);
            *scalar = Json::Array(match index {
                Index::First(_) => vec![old, value],
                Index::Last(_) => vec![value, old],
            });
        }
        _ => {}
    }
}

/// Removes what a path other than `$` finds.
pub fn remove(document: &mut Json, path: &Path) {
    let Some((last, parents)) = path.legs.split_last() else { return };
    match (last, seek_mut(document, parents)) {
        (Leg::Member(name), Some(Json::Object(members))) => {
            if let Ok(at) = find(members, name) {
                members.remove(at);
            }
        }
        (Leg::Cell(index), Some(Json::Array(items))) => {
            if let Some(at) = index.of(items.len()).filter(|at| *at < items.len()) {
                items.remove(at);
            }
        }
        _ => {}
    }
}

/// Appends to the array at a path; a value that is none becomes the first element of one.
pub fn array_append(document: &mut Json, path: &Path, value: Json) {
    if let Some(found) = seek_mut(document, &path.legs) {
        let mut items = std::mem::replace(found, Json::Null).into_array();
        items.push(value);
        *found = Json::Array(items);
    }
}

/// Inserts before the cell that a path ends in; positions beyond the end append.
pub fn array_insert(document: &mut Json, path: &Path, value: Json) {
    let Some((Leg::Cell(index), parents)) = path.legs.split_last() else { return };
    if let Some(Json::Array(items)) = seek_mut(document, parents) {
        let at = match index {
            Index::First(n) => (*n).min(items.len()),
            // The last cell is before the last element; positions before the start insert at the start.
            Index::Last(n) => items.len().saturating_sub(n + 1),
        };
        items.insert(at, value);
    }
}
