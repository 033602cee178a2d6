//! Rows of a query block without the columns that nothing reads.
//!
//! While a block is bound and planned its row has a slot for every column of its tables. When its operators below
//! grouping are there, the slots that are read get new numbers without gaps, so that rows that go from operator to
//! operator, and those kept by joins, hold nothing else.

use std::ops::Range;

use crate::expr::Expr;
use crate::plan::node::{Apply, ApplyKind, JoinMethod, Needed, Node, Scan};

/// Renumbers the slots of a block: those of `node`, which are all below `width`, and of `above`, expressions over the
/// same row. Gives the old slot of each new one.
pub(super) fn compact(node: &mut Node, above: &mut [&mut Expr], width: usize) -> Vec<usize> {
    let mut used = vec![false; width];
    let mut mark = |expr: &mut Expr| {
        for index in expr.columns() {
            if let Some(slot) = used.get_mut(index) {
                *slot = true;
            }
        }
    };
    visit_exprs(node, &mut mark);
    above.iter_mut().for_each(|expr| mark(expr));
    whole_sources(node, &mut |slots| used[slots].fill(true));
    let numbers = Numbers::of(&used);
    let mut map = |expr: &mut Expr| expr.map_columns(&mut |index| numbers.of_slot(index));
    visit_exprs(node, &mut map);
    above.iter_mut().for_each(|expr| map(expr));
    places(node, &numbers, &used);
    (0..width).filter(|slot| used[*slot]).collect()
}

/// New numbers: how many used slots there are before each.
struct Numbers(Vec<usize>);

impl Numbers {
    fn of(used: &[bool]) -> Self {
        let mut before = vec![0];
        let mut count = 0;
        for used in used {
            count += usize::from(*used);
            before.push(count);
        }
        Self(before)
    }

    /// Columns that are not of the block's row (aggregates, window functions) stay as they are.
    fn of_slot(&self, slot: usize) -> usize {
        if slot + 1 < self.0.len() { self.0[slot] } else { slot }
    }

    fn of_range(&self, slots: &Range<usize>) -> Range<usize> {
        self.0[slots.start]..self.0[slots.end]
    }
}

/// Calls `visit` for every expression over the block's row.
pub(super) fn visit_exprs(node: &mut Node, visit: &mut dyn FnMut(&mut Expr)) {
    match node {
        Node::Scan(scan) => {
            scan.filter.iter_mut().for_each(&mut *visit);
            for range in &mut scan.access.ranges {
                range.equal.iter_mut().for_each(&mut *visit);
                range.low.iter_mut().chain(&mut range.high).for_each(|bound| visit(&mut bound.value));
                range.like.iter_mut().for_each(&mut *visit);
            }
        }
        Node::Virtual(scan) => {
            scan.filter.iter_mut().for_each(&mut *visit);
            scan.equals.iter_mut().for_each(|(_, expr)| visit(expr));
        }
        Node::Derived { outer, filter, .. } => {
            outer.iter_mut().for_each(|(_, expr)| visit(expr));
            filter.iter_mut().for_each(visit);
        }
        Node::JsonTable { document, filter, .. } => {
            visit(document);
            filter.iter_mut().for_each(visit);
        }
        Node::Work { filter, .. } => filter.iter_mut().for_each(visit),
        Node::Join(join) => {
            visit_exprs(&mut join.outer, visit);
            visit_exprs(&mut join.inner, visit);
            join.on.iter_mut().for_each(&mut *visit);
            if let JoinMethod::Hash(pairs, _) = &mut join.method {
                pairs.iter_mut().for_each(|(outer, inner)| {
                    visit(outer);
                    visit(inner);
                });
            }
            of_applies(&mut join.applies, visit);
        }
        Node::Filter { input, applies, conditions } => {
            visit_exprs(input, visit);
            of_applies(applies, visit);
            conditions.iter_mut().for_each(visit);
        }
        Node::Limit { input, .. } => visit_exprs(input, visit),
        Node::Aggregate(aggregate) => {
            visit_exprs(&mut aggregate.input, visit);
            of_applies(&mut aggregate.applies, visit);
            aggregate.keys.iter_mut().for_each(&mut *visit);
            aggregate.carried.iter_mut().for_each(&mut *visit);
            for each in &mut aggregate.aggregates {
                each.args.iter_mut().for_each(&mut *visit);
                each.order_by.iter_mut().for_each(|(expr, _)| visit(expr));
            }
        }
        _ => {}
    }
}

fn of_applies(applies: &mut [Apply], visit: &mut dyn FnMut(&mut Expr)) {
    for apply in applies {
        apply.outer.iter_mut().for_each(|(_, expr)| visit(expr));
        if let ApplyKind::Compare { operands, .. } = &mut apply.kind {
            operands.iter_mut().for_each(&mut *visit);
        }
    }
}

/// Calls `visit` for the slots of tables whose rows come as a whole.
fn whole_sources(node: &Node, visit: &mut dyn FnMut(Range<usize>)) {
    match node {
        Node::Virtual(scan) => visit(scan.offset..scan.offset + scan.table.columns.len()),
        Node::Derived { query, offset, .. } => visit(*offset..*offset + query.width),
        Node::JsonTable { plan, offset, .. } => visit(*offset..*offset + plan.width),
        Node::Work { offset, width, .. } => visit(*offset..*offset + *width),
        Node::Join(join) => {
            whole_sources(&join.outer, visit);
            whole_sources(&join.inner, visit);
        }
        Node::Filter { input, .. } | Node::Limit { input, .. } => whole_sources(input, visit),
        Node::Aggregate(aggregate) => whole_sources(&aggregate.input, visit),
        _ => {}
    }
}

/// Gives tables their new places.
fn places(node: &mut Node, numbers: &Numbers, used: &[bool]) {
    match node {
        Node::Scan(scan) => {
            let old = scan.offset;
            let slots = numbers.of_range(&(old..old + scan.width));
            scan.needed.retain(|needed| used[old + needed.place]);
            for Needed { place, .. } in &mut scan.needed {
                *place = numbers.of_slot(old + *place) - slots.start;
            }
            (scan.offset, scan.width) = (slots.start, slots.len());
            order_needed(scan);
        }
        Node::Virtual(scan) => scan.offset = numbers.of_slot(scan.offset),
        Node::Derived { offset, .. } | Node::JsonTable { offset, .. } | Node::Work { offset, .. } => {
            *offset = numbers.of_slot(*offset);
        }
        Node::Join(join) => {
            places(&mut join.outer, numbers, used);
            places(&mut join.inner, numbers, used);
            join.inner_slots = numbers.of_range(&join.inner_slots);
            join.more_inner_slots.iter_mut().for_each(|slots| *slots = numbers.of_range(slots));
        }
        Node::Filter { input, .. } | Node::Limit { input, .. } => places(input, numbers, used),
        Node::Aggregate(aggregate) => places(&mut aggregate.input, numbers, used),
        _ => {}
    }
}

/// Puts the columns that conditions need in the order of the conditions, so that a row that fails one is decoded no
/// further.
fn order_needed(scan: &mut Scan) {
    let mut done = 0;
    scan.steps.clear();
    for condition in &scan.filter {
        for slot in condition.columns() {
            let place = slot.checked_sub(scan.offset);
            let rest = &scan.needed[done..];
            if let Some(at) = rest.iter().position(|needed| Some(needed.place) == place) {
                scan.needed.swap(done, done + at);
                done += 1;
            }
        }
        scan.steps.push(done);
    }
}
