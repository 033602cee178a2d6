//! The texts of GROUP_CONCAT.

use std::cmp::Ordering;

use aquifer_types::{Collation, Value};
use bytes::Bytes;

use super::aggregate::{Aggregate, SortOrder};
use super::compare::sort_order;
use super::context::EvalContext;

/// One text of a GROUP_CONCAT with its sort values.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub keys: Vec<Value>,
    pub text: Bytes,
}

/// The texts in order, with separators, up to `group_concat_max_len`.
pub(super) fn join(entries: Vec<Entry>, aggregate: &Aggregate, ctx: &mut EvalContext) -> Value {
    let mut entries = entries;
    let order = &aggregate.order_by;
    entries.sort_by(|a, b| {
        order.iter().zip(a.keys.iter().zip(&b.keys)).fold(
            Ordering::Equal,
            |found, ((e, direction), (x, y))| {
                found.then_with(|| match direction {
                    SortOrder::Ascending => sort_order(x, y, e.data_type()),
                    SortOrder::Descending => sort_order(y, x, e.data_type()),
                })
            },
        )
    });
    let limit = usize::try_from(ctx.group_concat_max_len).unwrap_or(usize::MAX);
    let mut out: Vec<u8> = Vec::new();
    for (i, entry) in entries.iter().enumerate() {
        if i > 0 {
            out.extend_from_slice(&aggregate.separator);
        }
        out.extend_from_slice(&entry.text);
        if out.len() > limit {
            cut_to(&mut out, limit, aggregate.ty.data_type.collation);
            ctx.warn(1260, format!("Row {} was cut by GROUP_CONCAT()", i + 1));
            break;
        }
    }
    Value::Bytes(out.into())
}

/// Cuts a text to at most `limit` bytes without tearing a character.
fn cut_to(out: &mut Vec<u8>, limit: usize, collation: Collation) {
    let mut cut = limit.min(out.len());
    while cut > 0 && collation.charset().maxlen() > 1 && cut < out.len() && out[cut] & 0xC0 == 0x80 {
        cut -= 1;
    }
    out.truncate(cut);
}
