//! Which index a scan uses, and which conditions it answers by itself.
//!
//! A condition whose comparison is made in the column's own domain gives bounds. Bounds are converted to the
//! column's type when the scan starts and may then admit more rows than the condition does, so the condition
//! is kept as a filter, except between integers, where the bounds are exact.

use aquifer_catalog::IndexKind;
use aquifer_types::{DataType, TypeKind};

use crate::expr::{CompareOp, Expr};
use crate::plan::access_or::alternatives;
use crate::plan::cost::{GET, Knowledge, SEEK, TABLE_ROWS, guess_one};
use crate::plan::node::{Access, Bound, RangeSpec};
use crate::plan::table_info::{IndexInfo, TableInfo};
use crate::txn::Direction;

/// Most ranges that IN lists may make together.
pub(super) const RANGES_MAX: usize = 4096;

/// What a condition says about one column.
#[derive(Clone)]
pub(crate) enum Sarg {
    Equal(Expr),
    NullSafe(Expr),
    In(Vec<Expr>),
    Range(Option<Bound>, Option<Bound>),
    Like(Expr),
}

/// A condition usable by an index.
#[derive(Clone)]
pub(super) struct Candidate {
    column: usize,
    sarg: Sarg,
    condition: usize,
    exact: bool,
}

impl Candidate {
    /// What a condition gives, if it bounds a column of the table.
    pub(super) fn of(condition: &Expr, number: usize, request: &Request<'_>) -> Option<Self> {
        let (column, sarg) = sargs(condition, request)?;
        let exact = is_exact(&request.info.table.columns[column].data_type, &sarg);
        Some(Self { column, sarg, condition: number, exact })
    }
}

/// What a scan should do.
pub(crate) struct Choice {
    pub access: Access,
    pub direction: Direction,
    /// Rows that are read.
    pub rows: f64,
    /// Of those, rows that satisfy the conditions.
    pub kept: f64,
    pub cost: f64,
    /// Whether bounds refer to rows of tables before it.
    pub uses_outer: bool,
    /// Conditions that need no further test.
    pub implied: Vec<usize>,
    /// Whether rows come in the wanted order.
    pub ordered: bool,
    pub covering: bool,
}

/// What is asked of a scan.
pub(crate) struct Request<'r> {
    pub info: &'r TableInfo,
    pub offset: usize,
    pub conditions: &'r [&'r Expr],
    /// Whether a slot has a value when the scan starts.
    pub bound: &'r dyn Fn(usize) -> bool,
    /// Wanted order: column positions with DESC.
    pub order: &'r [(usize, bool)],
    /// Columns to be read.
    pub needed: &'r [usize],
    /// USE or FORCE INDEX.
    pub use_index: Option<&'r [String]>,
    /// IGNORE INDEX.
    pub ignore_index: &'r [String],
    /// Whether only a few rows will be taken (LIMIT), which favours order.
    pub limited: bool,
    /// What is known of the table.
    pub knowledge: &'r Knowledge<'r>,
}

/// Chooses the cheapest access.
pub(crate) fn choose(request: &Request<'_>) -> Choice {
    let candidates = candidates(request);
    let mut best: Option<Choice> = None;
    let primary = consider(request, 0, &request.info.indexes[0], &candidates);
    if primary.access.point && primary.access.ranges.len() == 1 && request.use_index.is_none() {
        // Nothing is better than one look for one row.
        return primary;
    }
    for (number, index) in request.info.indexes.iter().enumerate() {
        if number > 0 && !allowed(index, request) {
            continue;
        }
        let choice = consider(request, number, index, &candidates);
        let forced = request.use_index.is_some_and(|names| is_named(index, names));
        let better = best.as_ref().is_none_or(|best| {
            let penalty = |choice: &Choice| {
                let sort = if request.order.is_empty() || choice.ordered { 0.0 } else { choice.rows * 1.5 };
                let early = choice.ordered && request.limited && !request.order.is_empty();
                if early { choice.cost * 0.2 } else { choice.cost + sort }
            };
            forced || penalty(&choice) < penalty(best)
        });
        if better {
            best = Some(choice);
        }
    }
    best.unwrap_or_else(|| consider(request, 0, &request.info.indexes[0], &[]))
}

/// Indexes whose first column a condition bounds; asked for EXPLAIN alone.
pub(super) fn possible_keys(request: &Request<'_>) -> Vec<usize> {
    if !request.knowledge.explains {
        return Vec::new();
    }
    let candidates = candidates(request);
    let bounds =
        |index: &IndexInfo| candidates.iter().any(|each| Some(&each.column) == index.columns.first());
    let usable = |number: usize, index: &IndexInfo| number == 0 || allowed(index, request);
    let all = request.info.indexes.iter().enumerate();
    all.filter(|(number, index)| usable(*number, index) && bounds(index)).map(|(number, _)| number).collect()
}

fn is_named(index: &IndexInfo, names: &[String]) -> bool {
    names.iter().any(|name| index.name.eq_ignore_ascii_case(name))
}

fn allowed(index: &IndexInfo, request: &Request<'_>) -> bool {
    index.is_usable
        && !is_named(index, request.ignore_index)
        && request.use_index.is_none_or(|names| is_named(index, names))
}

fn candidates(request: &Request<'_>) -> Vec<Candidate> {
    let each = request.conditions.iter().enumerate();
    each.filter_map(|(number, condition)| Candidate::of(condition, number, request)).collect()
}

/// Bounds that a condition gives.
fn sargs(condition: &Expr, request: &Request<'_>) -> Option<(usize, Sarg)> {
    let constant = |expr: &Expr| {
        let mut free = true;
        expr.walk(&mut |node| {
            if let Expr::Column { index, .. } = node {
                free &= (request.bound)(*index);
            }
        });
        free && !has_volatile(expr)
    };
    let own = |expr: &Expr| match expr {
        Expr::Column { index, .. } => index.checked_sub(request.offset).filter(|i| *i < request.info.width()),
        _ => None,
    };
    if let Some((op, left, right)) = condition.as_comparison() {
        let (column_expr, column, value, op) = match (own(left), own(right)) {
            (Some(column), _) if constant(right) => (left, column, right, op),
            (_, Some(column)) if constant(left) => (right, column, left, flipped(op)),
            _ => return None,
        };
        if !condition.compares_in_domain_of(column_expr) {
            return None;
        }
        return comparison_sarg(op, value).map(|sarg| (column, sarg));
    }
    if let Some((value, low, high)) = condition.as_between() {
        let column = own(value)?;
        if !constant(low) || !constant(high) || !condition.compares_in_domain_of(value) {
            return None;
        }
        let bound = |value: &Expr| Some(Bound { value: value.clone(), inclusive: true });
        return Some((column, Sarg::Range(bound(low), bound(high))));
    }
    if let Some((value, members)) = condition.as_in_list() {
        let column = own(value)?;
        if !members.iter().all(constant) || !condition.compares_in_domain_of(value) {
            return None;
        }
        return Some((column, Sarg::In(members.to_vec())));
    }
    if let Some(value) = condition.as_is_null() {
        return Some((own(value)?, Sarg::NullSafe(crate::expr::null_literal())));
    }
    if let Some((value, pattern, escape)) = condition.as_like() {
        let column = own(value)?;
        let plain = matches!(escape, Expr::Literal { value: aquifer_types::Value::Bytes(b), .. } if &**b == b"\\")
            || escape.data_type().kind == TypeKind::Null;
        if !plain || !constant(pattern) || !condition.compares_in_domain_of(value) {
            return None;
        }
        return Some((column, Sarg::Like(pattern.clone())));
    }
    None
}

/// Whether an expression differs from one evaluation to the next.
pub(crate) fn has_volatile(expr: &Expr) -> bool {
    !expr.all(&mut |node| match node {
        Expr::Column { .. } | Expr::Param { .. } | Expr::Literal { .. } => true,
        Expr::Call(call) => !call.op.is_volatile(),
    })
}

fn comparison_sarg(op: CompareOp, value: &Expr) -> Option<Sarg> {
    let bound = |inclusive| Some(Bound { value: value.clone(), inclusive });
    Some(match op {
        CompareOp::Eq => Sarg::Equal(value.clone()),
        CompareOp::NullSafeEq => Sarg::NullSafe(value.clone()),
        CompareOp::Gt => Sarg::Range(bound(false), None),
        CompareOp::Ge => Sarg::Range(bound(true), None),
        CompareOp::Lt => Sarg::Range(None, bound(false)),
        CompareOp::Le => Sarg::Range(None, bound(true)),
        CompareOp::Ne => return None,
    })
}

fn flipped(op: CompareOp) -> CompareOp {
    match op {
        CompareOp::Lt => CompareOp::Gt,
        CompareOp::Le => CompareOp::Ge,
        CompareOp::Gt => CompareOp::Lt,
        CompareOp::Ge => CompareOp::Le,
        same => same,
    }
}

/// Whether a type's values are plain integers.
pub(crate) fn is_integer(data_type: &DataType) -> bool {
    matches!(
        data_type.kind,
        TypeKind::TinyInt | TypeKind::SmallInt | TypeKind::MediumInt | TypeKind::Int | TypeKind::BigInt
    )
}

fn is_exact(column: &DataType, sarg: &Sarg) -> bool {
    let integer = |expr: &Expr| is_integer(expr.data_type());
    is_integer(column)
        && match sarg {
            Sarg::Equal(value) => integer(value),
            Sarg::NullSafe(_) | Sarg::Like(_) => false,
            Sarg::In(members) => members.iter().all(integer),
            Sarg::Range(low, high) => low.iter().chain(high).all(|bound| integer(&bound.value)),
        }
}

fn consider(request: &Request<'_>, number: usize, index: &IndexInfo, candidates: &[Candidate]) -> Choice {
    let plain = finish(request, number, index, collect(index, candidates));
    match alternatives(request, index, candidates).map(|found| finish(request, number, index, found)) {
        Some(union) if union.cost < plain.cost => union,
        _ => plain,
    }
}

/// The ranges that conditions give of an index.
pub(super) fn collect(index: &IndexInfo, candidates: &[Candidate]) -> Found {
    let mut ranges = vec![RangeSpec::default()];
    let mut implied = Vec::new();
    let mut equal_parts = 0;
    let mut single = Vec::new();
    let mut used = Vec::new();
    let mut bounds = 0;
    for (column, key) in index.columns.iter().zip(&index.keys) {
        let on_column = || candidates.iter().filter(|c| c.column == *column);
        let equal = on_column().find(|c| matches!(c.sarg, Sarg::Equal(_) | Sarg::NullSafe(_)));
        let chosen = equal.or_else(|| {
            on_column()
                .find(|c| matches!(&c.sarg, Sarg::In(members) if members.len() * ranges.len() <= RANGES_MAX))
        });
        let Some(chosen) = chosen else {
            bounds =
                add_bounds(&mut ranges, on_column(), key.prefix_length.is_none(), &mut implied, &mut used);
            break;
        };
        match &chosen.sarg {
            Sarg::Equal(value) => extend(&mut ranges, value, false),
            Sarg::NullSafe(value) => extend(&mut ranges, value, true),
            Sarg::In(members) => {
                let old = std::mem::take(&mut ranges);
                for member in members {
                    let mut part = old.clone();
                    extend(&mut part, member, false);
                    ranges.extend(part);
                }
            }
            _ => {}
        }
        if matches!(chosen.sarg, Sarg::Equal(_) | Sarg::NullSafe(_)) {
            single.push(equal_parts);
        }
        used.push(chosen.condition);
        if chosen.exact && key.prefix_length.is_none() {
            implied.push(chosen.condition);
        }
        equal_parts += 1;
    }
    Found { ranges, implied, equal_parts, single, used, bounds }
}

/// Ranges of an index, and what they say of its parts.
pub(super) struct Found {
    pub ranges: Vec<RangeSpec>,
    /// Conditions that need no further test.
    pub implied: Vec<usize>,
    /// Leading parts that are equal to something.
    pub equal_parts: usize,
    /// Those that are equal to one value.
    pub single: Vec<usize>,
    /// Conditions that gave the ranges.
    pub used: Vec<usize>,
    /// Ends that are bound of the part behind the equal ones.
    pub bounds: usize,
}

fn extend(ranges: &mut [RangeSpec], value: &Expr, null_safe: bool) {
    for range in ranges {
        range.equal.push(value.clone());
        range.null_safe.push(null_safe);
    }
}

/// Adds the bounds on the first part that is not equal to something; gives how many ends are bound.
fn add_bounds<'c>(
    ranges: &mut [RangeSpec],
    candidates: impl Iterator<Item = &'c Candidate>,
    whole: bool,
    implied: &mut Vec<usize>,
    used: &mut Vec<usize>,
) -> usize {
    let (mut low, mut high, mut like) = (None, None, None);
    for candidate in candidates {
        match &candidate.sarg {
            Sarg::Range(l, h) => {
                let takes = l.is_some() && low.is_none() || h.is_some() && high.is_none();
                let clashes = l.is_some() && low.is_some() || h.is_some() && high.is_some();
                if takes && !clashes {
                    low = low.or_else(|| l.clone());
                    high = high.or_else(|| h.clone());
                    used.push(candidate.condition);
                    if candidate.exact && whole {
                        implied.push(candidate.condition);
                    }
                }
            }
            Sarg::Like(pattern) if like.is_none() => {
                like = Some(pattern.clone());
                used.push(candidate.condition);
            }
            _ => {}
        }
    }
    if low.is_some() || high.is_some() {
        like = None;
    }
    let count = usize::from(low.is_some()) + usize::from(high.is_some()) + 2 * usize::from(like.is_some());
    for range in ranges {
        range.low.clone_from(&low);
        range.high.clone_from(&high);
        range.like.clone_from(&like);
    }
    count
}

fn finish(request: &Request<'_>, number: usize, index: &IndexInfo, found: Found) -> Choice {
    let unique = index.is_unique() && index.keys.iter().all(|key| key.prefix_length.is_none());
    let all_equal = found.equal_parts > 0 && found.equal_parts == index.columns.len();
    let null_safe = found.ranges.iter().any(|range| range.null_safe.contains(&true));
    let point = unique && all_equal && !null_safe;
    let rows = rows_read(request, number, &found, point);
    let covering = number == 0 || covers(request, index);
    let each = match (number, covering, request.info.rows.get().copied().flatten()) {
        (0, ..) => 1.0,
        (_, true, _) => 0.9,
        (_, false, None) => 2.5,
        (_, false, Some(_)) => GET + 1.0,
    };
    #[allow(clippy::cast_precision_loss)]
    let begin = found.ranges.len() as f64 * if point { GET - 1.0 } else { SEEK };
    let cost = begin + rows * each;
    let (ordered, direction) = order_of(request, index, &found);
    let uses_outer = found.used.iter().any(|condition| {
        let columns = request.conditions[*condition].columns();
        columns.iter().any(|slot| *slot < request.offset || *slot >= request.offset + request.info.width())
    });
    // Of one row by its key there is nothing to estimate, and no statistics are asked.
    let one = point && !uses_outer && found.ranges.len() == 1;
    let kept = if one { rows } else { rows_kept(request, rows, &found) };
    Choice {
        kept,
        access: Access { index: number, ranges: found.ranges, point },
        direction,
        rows,
        cost,
        uses_outer,
        implied: found.implied,
        ordered,
        covering: covering && number > 0,
    }
}

/// Rows that ranges of an index are expected to hold.
#[allow(clippy::cast_precision_loss)]
fn rows_read(request: &Request<'_>, number: usize, found: &Found, point: bool) -> f64 {
    let many = found.ranges.len() as f64;
    if point {
        return many;
    }
    let (info, knowledge) = (request.info, request.knowledge);
    let known = knowledge.rows(info);
    let all = known.unwrap_or(TABLE_ROWS);
    if found.equal_parts == 0 && found.bounds == 0 {
        return all;
    }
    if let Some(rows) = knowledge.rows_in(info, number, &found.ranges, point) {
        return rows.min(all);
    }
    let equal = match (known, found.equal_parts) {
        (_, 0) => all,
        (Some(_), parts) => knowledge
            .rows_per_value(info, number, parts)
            .unwrap_or_else(|| (all / 100_f64.powi(i32::try_from(parts).unwrap_or(8))).clamp(1.0, 10.0)),
        (None, parts) => (all / 100_f64.powi(i32::try_from(parts).unwrap_or(8))).max(4.0),
    };
    let bounds = match found.bounds {
        0 => 1.0,
        1 => 3.0,
        _ => 20.0,
    };
    (equal / bounds * many).clamp(1.0, all)
}

/// How many of the rows read satisfy the conditions that gave no range.
fn rows_kept(request: &Request<'_>, rows: f64, found: &Found) -> f64 {
    let rest = request.conditions.iter().enumerate().filter(|(number, _)| !found.used.contains(number));
    let known = request.knowledge.rows(request.info);
    let mut share = 1.0;
    // Conditions on one column belong together: both ends of a range, above all.
    let mut by_column: Vec<(usize, Vec<Candidate>, f64)> = Vec::new();
    for (number, condition) in rest {
        match known.and_then(|_| Candidate::of(condition, number, request)) {
            None => share *= guess_one(condition),
            Some(candidate) => {
                let guessed = guess_one(condition);
                match by_column.iter_mut().find(|(column, ..)| *column == candidate.column) {
                    Some((_, candidates, all)) => {
                        candidates.push(candidate);
                        *all *= guessed;
                    }
                    None => by_column.push((candidate.column, vec![candidate], guessed)),
                }
            }
        }
    }
    for (column, candidates, guessed) in by_column {
        share *= share_of(request, column, &candidates, known.unwrap_or(TABLE_ROWS)).unwrap_or(guessed);
    }
    (rows * share).max(rows.min(0.01))
}

/// The share of the table's rows that satisfy conditions on one column: by an index that begins with it, or by the number
/// of its values; `None` when nothing is known.
fn share_of(request: &Request<'_>, column: usize, candidates: &[Candidate], all: f64) -> Option<f64> {
    let (info, knowledge) = (request.info, request.knowledge);
    let index = info.indexes.iter().position(|index| index.columns.first() == Some(&column));
    if let Some(index) = index {
        let found = collect(&info.indexes[index], candidates);
        if let Some(rows) = knowledge.rows_in(info, index, &found.ranges, false) {
            return Some((rows / all).min(1.0));
        }
    }
    let values = knowledge.values_of(info, column)?;
    let share = |candidate: &Candidate| match &candidate.sarg {
        Sarg::Equal(_) | Sarg::NullSafe(_) => Some(1.0 / values),
        #[allow(clippy::cast_precision_loss)]
        Sarg::In(members) => Some((members.len() as f64 / values).min(1.0)),
        Sarg::Range(..) | Sarg::Like(_) => None,
    };
    candidates.iter().map(share).sum::<Option<f64>>().map(|sum| sum.min(1.0))
}

/// Whether an index and the primary key behind it hold every needed column.
fn covers(request: &Request<'_>, index: &IndexInfo) -> bool {
    let primary = &request.info.indexes[0];
    let readable = |of: &IndexInfo, column: usize| {
        of.columns
            .iter()
            .zip(&of.keys)
            .any(|(c, key)| *c == column && key.prefix_length.is_none() && key.is_reversible())
    };
    request.needed.iter().all(|column| readable(index, *column) || readable(primary, *column))
}

/// Whether the index gives the wanted order, and in which direction it must be read.
fn order_of(request: &Request<'_>, index: &IndexInfo, found: &Found) -> (bool, Direction) {
    if request.order.is_empty() {
        return (true, Direction::Forward);
    }
    let primary = &request.info.indexes[0];
    let is_primary = index.id == primary.id;
    let mut parts: Vec<(usize, bool, bool)> = Vec::new();
    let tail = if is_primary { None } else { Some(primary) };
    for of in std::iter::once(index).chain(tail) {
        for (column, key) in of.columns.iter().zip(&of.keys) {
            parts.push((
                *column,
                key.order == aquifer_types::key::KeyOrder::Descending,
                key.prefix_length.is_none(),
            ));
        }
    }
    let mut next = 0;
    let mut backward = None;
    for (column, descending) in request.order {
        loop {
            let Some((part, part_descending, whole)) = parts.get(next) else {
                // Every part is used up: the key is unique, so what follows cannot matter, unless what
                // makes it unique is the hidden row number.
                return (primary.kind != IndexKind::Hidden, direction(backward));
            };
            if part == column && *whole {
                next += 1;
                if found.single.contains(&(next - 1)) {
                    break;
                }
                let want = *descending != *part_descending;
                if *backward.get_or_insert(want) != want {
                    return (false, Direction::Forward);
                }
                break;
            }
            if found.single.contains(&next) {
                next += 1;
                continue;
            }
            let fixed =
                (0..index.columns.len()).any(|i| found.single.contains(&i) && index.columns[i] == *column);
            if fixed {
                break;
            }
            return (false, Direction::Forward);
        }
    }
    (true, direction(backward))
}

fn direction(backward: Option<bool>) -> Direction {
    if backward == Some(true) { Direction::Backward } else { Direction::Forward }
}
