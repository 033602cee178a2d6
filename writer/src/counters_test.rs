use aquifer_types::TableId;

use crate::counters::{CounterId, Counters, Taken};

const ID: CounterId = CounterId::AutoIncrement(TableId(7));

#[test]
fn values_are_taken_only_from_a_reserved_block() {
    let counters = Counters::default();
    let counter = counters.loaded(ID, None).unwrap();
    assert_eq!(counter.take(1, 1).unwrap(), Taken::Extend(2));
    let limit = counter.begin_extension(2).unwrap();
    assert_eq!(counter.take(1, 1).unwrap(), Taken::Extend(2));
    counter.end_extension(Some(limit));
    assert_eq!(counter.take(3, 1).unwrap(), Taken::Value(1));
    assert_eq!(counter.take(1, 1).unwrap(), Taken::Value(4));
    assert_eq!(counter.take(1, 10).unwrap(), Taken::Value(10));
    assert_eq!(counter.take(1, 1).unwrap(), Taken::Value(11));
}

#[test]
fn explicit_value_pushes_the_counter_above_itself() {
    let counters = Counters::default();
    let counter = counters.loaded(ID, Some(&100_u64.to_le_bytes())).unwrap();
    assert_eq!(counter.observe(50), None);
    assert_eq!(counter.observe(100), Some(101));
    counter.end_extension(Some(counter.begin_extension(101).unwrap()));
    assert_eq!(counter.observe(100), None);
    assert_eq!(counter.take(1, 1).unwrap(), Taken::Value(101));
}

#[test]
fn failed_extension_reserves_nothing_and_lets_others_try() {
    let counters = Counters::default();
    let counter = counters.loaded(ID, None).unwrap();
    counter.begin_extension(2).unwrap();
    let mut waits = counter.begin_extension(2).unwrap_err();
    assert!(waits.try_recv().unwrap().is_none());
    counter.end_extension(None);
    assert!(waits.try_recv().unwrap().is_some());
    assert_eq!(counter.take(1, 1).unwrap(), Taken::Extend(2));
}

#[test]
fn clean_stop_gives_unused_values_back() {
    let counters = Counters::default();
    let counter = counters.loaded(ID, None).unwrap();
    counter.end_extension(Some(counter.begin_extension(2).unwrap()));
    assert_eq!(counter.take(2, 1).unwrap(), Taken::Value(1));
    let rows = counters.unused();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].0, ID.key());
    assert_eq!(&rows[0].1[..], 3_u64.to_le_bytes());
}

#[test]
fn used_up_counter_is_error_1467() {
    let counters = Counters::default();
    let counter = counters.loaded(ID, Some(&u64::MAX.to_le_bytes())).unwrap();
    assert_eq!(counter.take(1, 1).unwrap_err().code(), 1467);
}
