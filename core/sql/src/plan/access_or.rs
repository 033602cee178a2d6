//! Ranges from a disjunction: `a = 1 OR a > 7`, `(a, b) IN ((1, 2), (3, 4))`, `(a, b) > (1, 2)`.
//!
//! Each branch, together with the conditions beside the disjunction, gives ranges of the same index; their union
//! is read, made disjoint when the scan starts. The disjunction stays as a filter.

use crate::expr::Expr;
use crate::plan::access::{Candidate, Found, RANGES_MAX, Request, collect};
use crate::plan::table_info::IndexInfo;

/// The ranges that the first suitable disjunction gives of an index; `None` when a branch bounds nothing.
pub(super) fn alternatives(request: &Request<'_>, index: &IndexInfo, beside: &[Candidate]) -> Option<Found> {
    let each = request.conditions.iter().enumerate();
    each.filter(|(_, condition)| condition.as_or().is_some())
        .find_map(|(number, condition)| union(condition, number, request, index, beside))
}

fn union(
    condition: &Expr,
    number: usize,
    request: &Request<'_>,
    index: &IndexInfo,
    beside: &[Candidate],
) -> Option<Found> {
    let mut branches = Vec::new();
    split(condition, Expr::as_or, &mut branches);
    let mut all: Option<Found> = None;
    for branch in branches {
        let mut parts = Vec::new();
        split(branch, Expr::as_and, &mut parts);
        let mut candidates: Vec<Candidate> =
            parts.into_iter().filter_map(|part| Candidate::of(part, number, request)).collect();
        candidates.extend_from_slice(beside);
        let found = collect(index, &candidates);
        if found.equal_parts == 0 && found.bounds == 0 {
            return None;
        }
        all = Some(match all {
            None => Found { implied: Vec::new(), single: Vec::new(), ..found },
            Some(mut all) => {
                // The weakest branch says how selective the whole is.
                if (found.equal_parts, found.bounds) < (all.equal_parts, all.bounds) {
                    (all.equal_parts, all.bounds) = (found.equal_parts, found.bounds);
                }
                all.ranges.extend(found.ranges);
                all.used.extend(found.used);
                all
            }
        });
        if all.as_ref().is_some_and(|all| all.ranges.len() > RANGES_MAX) {
            return None;
        }
    }
    all
}

/// The operands of an associative operator, however they are nested.
fn split<'e>(expr: &'e Expr, operands: fn(&Expr) -> Option<(&Expr, &Expr)>, out: &mut Vec<&'e Expr>) {
    match operands(expr) {
        Some((left, right)) => {
            split(left, operands, out);
            split(right, operands, out);
        }
        None => out.push(expr),
    }
}
