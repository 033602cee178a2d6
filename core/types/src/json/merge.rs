//! JSON_MERGE_PATCH (RFC 7396) and JSON_MERGE_PRESERVE.

use super::{Json, find};

/// `target` with the members of `patch`; a `null` in the patch removes.
#[must_use]
pub fn merge_patch(target: Json, patch: Json) -> Json {
    let Json::Object(changes) = patch else { return patch };
    let mut members = match target {
        Json::Object(members) => members,
        _ => Vec::new(),
    };
    for (name, value) in changes {
        match (find(&members, &name), value) {
            (Ok(at), Json::Null) => {
                members.remove(at);
            }
            (Err(_), Json::Null) => {}
            (Ok(at), value) => {
                let old = std::mem::replace(&mut members[at].1, Json::Null);
                members[at].1 = merge_patch(old, value);
            }
            (Err(at), value) => members.insert(at, (name, merge_patch(Json::Null, value))),
        }
    }
    Json::Object(members)
}

/// Both documents: objects are united, all else becomes one array.
#[must_use]
pub fn merge_preserve(a: Json, b: Json) -> Json {
    match (a, b) {
        (Json::Object(mut members), Json::Object(more)) => {
            for (name, value) in more {
                match find(&members, &name) {
                    Ok(at) => {
                        let old = std::mem::replace(&mut members[at].1, Json::Null);
                        members[at].1 = merge_preserve(old, value);
                    }
                    Err(at) => members.insert(at, (name, value)),
                }
            }
            Json::Object(members)
        }
        (a, b) => {
            let mut items = a.into_array();
            items.extend(b.into_array());
            Json::Array(items)
        }
    }
}
