//! What the meter charges.
#![allow(missing_docs, clippy::unwrap_used)]

use std::time::Duration;

use aquifer_objstore::{CostLine, Meter, Operation};

const MINUTE: Duration = Duration::from_secs(60);

fn line(lines: &[CostLine], kind: &str) -> CostLine {
    *lines.iter().find(|line| line.kind == kind).unwrap()
}

fn near(found: f64, expected: f64) -> bool {
    (found - expected).abs() <= expected.abs() * 1e-6 + 1e-12
}

#[test]
fn bill_is_requests_times_prices() {
    let meter = Meter::default();
    meter.requests(Operation::Get, 1_000);
    meter.requests(Operation::Put, 2_000);
    meter.requests(Operation::List, 1_000);
    meter.requests(Operation::Delete, 5_000);
    let lines = meter.bill_at(MINUTE, 0);
    assert!(near(line(&lines, "get").dollars.unwrap(), 0.0004));
    assert!(near(line(&lines, "put").dollars.unwrap(), 0.010));
    assert!(near(line(&lines, "list").dollars.unwrap(), 0.005));
    assert!(near(line(&lines, "delete").dollars.unwrap(), 0.0));
    let all = line(&lines, "all");
    assert_eq!(all.requests, Some(9_000));
    assert!(near(all.dollars.unwrap(), 0.0154));
}

#[test]
fn one_put_a_second_is_thirteen_dollars_a_month() {
    let meter = Meter::default();
    meter.requests(Operation::Put, 60);
    let month = line(&meter.bill_at(MINUTE, 0), "put").dollars_a_month;
    assert!(near(month, 12.96), "{month}");
}

#[test]
fn rate_is_that_of_the_last_minutes() {
    let meter = Meter::default();
    meter.requests(Operation::Put, 1_000_000);
    for minute in 1..=60 {
        meter.mark_at(MINUTE * minute);
    }
    let lines = meter.bill_at(MINUTE * 60, 0);
    assert!(near(line(&lines, "put").dollars_a_month, 0.0), "{lines:?}");
    assert!(near(line(&lines, "put").dollars.unwrap(), 5.0));
}

#[test]
fn storage_is_charged_by_the_month_and_counted_in_all() {
    let lines = Meter::default().bill_at(MINUTE, 100 << 30);
    let storage = line(&lines, "storage");
    assert_eq!((storage.requests, storage.dollars), (None, None));
    assert!(near(storage.dollars_a_month, 2.3));
    assert!(near(line(&lines, "all").dollars_a_month, 2.3));
}
