//! Histories whose anomalies are known, good and bad, and long ones.

#![allow(clippy::unwrap_used, reason = "a test")]

use aquifer_history::anomaly::{Anomaly, Kind, Level, Readers};
use aquifer_history::{check, history};

fn anomalies(text: &str) -> Vec<Anomaly> {
    check::anomalies(&history::parse(text).unwrap())
}

fn kinds(text: &str) -> Vec<Kind> {
    let mut kinds: Vec<Kind> = anomalies(text).iter().map(|anomaly| anomaly.kind).collect();
    kinds.sort();
    kinds.dedup();
    kinds
}

/// The strictest level that lets a history pass.
fn passes(text: &str) -> Option<Level> {
    let levels = [
        Level::Serializable,
        Level::Snapshot,
        Level::RepeatableRead,
        Level::ReadCommitted,
        Level::ReadUncommitted,
    ];
    let found = anomalies(text);
    levels.into_iter().find(|level| !found.iter().any(|anomaly| level.forbids(anomaly)))
}

#[test]
fn serial_history_has_nothing() {
    let text = "1 ok a:1:1\n2 ok r:1:1 a:1:2\n1 ok r:1:1,2 a:2:3\n2 ok r:2:3 r:1:1,2\n3 final r:1:1,2 r:2:3";
    assert_eq!(kinds(text), []);
    assert_eq!(passes(text), Some(Level::Serializable));
}

#[test]
fn writes_in_opposite_orders_are_g0() {
    let text = "1 ok a:1:1 a:2:1\n2 ok a:1:2 a:2:2\n3 ok r:1:1,2\n4 ok r:2:2,1";
    assert!(kinds(text).contains(&Kind::G0), "{:?}", anomalies(text));
    assert_eq!(passes(text), None);
}

#[test]
fn read_of_a_rolled_back_append_is_g1a() {
    let text = "1 fail a:1:1\n2 ok r:1:1";
    assert_eq!(kinds(text), [Kind::G1a]);
    assert_eq!(passes(text), Some(Level::ReadUncommitted));
}

#[test]
fn read_between_two_appends_of_a_transaction_is_g1b() {
    let text = "1 ok a:1:1 a:1:2\n2 ok r:1:1\n3 ok r:1:1,2";
    assert!(kinds(text).contains(&Kind::G1b));
    assert_eq!(passes(text), Some(Level::ReadUncommitted));
}

#[test]
fn two_that_read_each_others_writes_are_g1c() {
    let text = "1 ok a:1:1 r:2:2\n2 ok a:2:2 r:1:1";
    assert_eq!(kinds(text), [Kind::G1c]);
    assert_eq!(passes(text), Some(Level::ReadUncommitted));
}

#[test]
fn torn_snapshot_of_a_reader_is_g_single_of_read_only_transactions() {
    let text = "1 ok a:1:1 a:2:1\n2 ok r:1: r:2:1\n3 ok r:1:1 r:2:1";
    assert_eq!(kinds(text), [Kind::GSingle]);
    assert_eq!(anomalies(text)[0].readers, Readers::ReadOnly);
    assert_eq!(passes(text), Some(Level::ReadCommitted));
}

#[test]
fn torn_snapshot_of_a_writer_is_allowed_at_repeatable_read_only() {
    // T1 reads key 1 before T0's append, and then appends to key 2 after it.
    let text = "1 ok a:1:1 a:2:1\n2 ok r:1: a:2:2\n3 ok r:1:1 r:2:1,2";
    assert_eq!(kinds(text), [Kind::GSingle]);
    assert_eq!(passes(text), Some(Level::RepeatableRead));
}

#[test]
fn reader_that_goes_back_in_its_session_is_g_single() {
    let text = "1 ok a:1:1\n2 ok r:1:1\n2 ok r:1:";
    assert_eq!(kinds(text), [Kind::GSingle]);
}

#[test]
fn two_appends_to_the_same_read_version_are_a_lost_update() {
    let text = "1 ok r:1: a:1:1\n2 ok r:1: a:1:2\n3 ok r:1:1,2";
    assert!(kinds(text).contains(&Kind::LostUpdate));
    assert_eq!(passes(text), Some(Level::RepeatableRead));
}

#[test]
fn readers_that_see_two_writers_in_different_orders_are_a_long_fork() {
    let text = "1 ok a:1:1\n2 ok a:2:1\n3 ok r:1:1 r:2:\n4 ok r:1: r:2:1\n5 ok r:1:1 r:2:1";
    assert_eq!(kinds(text), [Kind::LongFork]);
    assert_eq!(passes(text), Some(Level::ReadCommitted));
}

#[test]
fn write_skew_is_g2_item() {
    let text = "1 ok r:1: r:2: a:1:1\n2 ok r:1: r:2: a:2:1\n3 ok r:1:1 r:2:1";
    assert_eq!(kinds(text), [Kind::G2Item]);
    assert_eq!(passes(text), Some(Level::Snapshot));
}

#[test]
fn phantom_is_g2() {
    let text = "1 ok R:2: a:1:1\n2 ok R:1: a:2:1\n3 ok r:1:1 r:2:1";
    assert_eq!(kinds(text), [Kind::G2]);
    assert_eq!(passes(text), Some(Level::Snapshot));
}

#[test]
fn own_append_that_is_not_read_is_internal() {
    assert_eq!(kinds("1 ok a:1:1 r:1:\n2 ok r:1:1"), [Kind::Internal]);
    assert!(kinds("1 ok r:1: r:1:1\n2 ok a:1:1").contains(&Kind::Internal));
}

#[test]
fn foreign_append_under_an_own_one_is_moved() {
    let text = "1 ok r:1: a:1:1 r:1:2,1\n2 ok a:1:2";
    assert!(kinds(text).contains(&Kind::Moved) && !kinds(text).contains(&Kind::Internal));
    assert_eq!(passes(text), Some(Level::RepeatableRead));
}

#[test]
fn value_of_nobody_and_value_twice_are_garbage() {
    assert_eq!(kinds("1 ok r:1:9"), [Kind::Garbage]);
    assert!(kinds("1 ok a:1:1\n2 ok r:1:1,1").contains(&Kind::Garbage));
}

#[test]
fn reads_that_fit_no_order_are_told() {
    assert!(kinds("1 ok a:1:1\n2 ok a:1:2\n3 ok r:1:1,2\n4 ok r:1:2").contains(&Kind::IncompatibleOrder));
}

#[test]
fn committed_append_that_the_final_read_lacks_is_lost() {
    assert_eq!(kinds("1 ok a:1:1\n2 ok a:1:2\n3 final r:1:2"), [Kind::LostAppend]);
    assert_eq!(kinds("1 info a:1:1\n2 ok a:1:2\n3 final r:1:2"), [], "nobody was promised the first");
}

#[test]
fn unknown_outcome_that_was_read_counts_as_committed() {
    let text = "1 info a:1:1 a:2:1\n2 ok r:1: r:2:1\n3 final r:1:1 r:2:1";
    assert_eq!(kinds(text), [Kind::GSingle]);
}

#[test]
fn unknown_outcome_is_no_part_of_its_session() {
    assert_eq!(kinds("1 info a:1:1\n1 ok a:2:1\n2 ok r:1: r:2:1\n3 final r:1:1 r:2:1"), []);
}

#[test]
fn registers_in_order_have_nothing() {
    assert_eq!(kinds("1 ok w:1:1\n2 ok g:1:1 w:1:2\n3 ok g:1:2 g:2:nil"), []);
}

#[test]
fn registers_show_the_same_anomalies() {
    assert_eq!(kinds("1 fail w:1:1\n2 ok g:1:1"), [Kind::G1a]);
    assert!(kinds("1 ok w:1:1 w:1:2\n2 ok g:1:1").contains(&Kind::G1b));
    assert_eq!(kinds("1 ok w:1:1 g:2:2\n2 ok w:2:2 g:1:1"), [Kind::G1c]);
    assert_eq!(kinds("1 ok w:1:1 w:2:1\n2 ok g:1:nil g:2:1\n3 ok g:1:1"), [Kind::GSingle]);
    assert_eq!(kinds("1 ok g:1:nil g:2:nil w:1:1\n2 ok g:1:nil g:2:nil w:2:1"), [Kind::G2Item]);
    assert_eq!(kinds("1 ok w:1:1\n2 ok w:2:1\n3 ok g:1:1 g:2:nil\n4 ok g:1:nil g:2:1"), [Kind::LongFork]);
    assert_eq!(kinds("1 ok w:1:1 g:1:2\n2 ok w:1:2"), [Kind::Internal]);
    assert!(kinds("1 ok w:1:1\n2 ok g:1:1 w:1:2\n3 ok g:1:1 w:1:3").contains(&Kind::LostUpdate));
}

#[test]
fn line_that_is_not_understood_is_named() {
    for (text, line) in
        [("x ok r:1:", 1), ("1 ok r:1:\n1 maybe", 2), ("1 ok z:1:1", 1), ("1 ok a:1:x", 1), ("1 ok a:1", 1)]
    {
        assert_eq!(history::parse(text).unwrap_err().line, line, "{text}");
    }
}

/// 100,000 transactions of 16 sessions one after the other, over lists that are given up after a while.
fn long_history() -> Vec<String> {
    let mut lists: Vec<(u64, Vec<u64>)> = (0..8).map(|key| (key, Vec::new())).collect();
    let (mut next_key, mut random) = (8, 1_u64);
    let mut pick = |below: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) % below
    };
    let mut lines = Vec::new();
    for number in 0..100_000_u64 {
        let mut line = format!("{} ok", pick(16));
        for part in 0..3 {
            let at = usize::try_from(pick(8)).unwrap();
            if pick(3) == 0 {
                let (key, values) = &mut lists[at];
                let value = number * 4 + part;
                line += &format!(" a:{key}:{value}");
                values.push(value);
            } else {
                let (key, values) = &lists[at];
                let shown: Vec<String> = values.iter().map(u64::to_string).collect();
                line += &format!(" r:{key}:{}", shown.join(","));
            }
            if lists[at].1.len() > 30 {
                lists[at] = (next_key, Vec::new());
                next_key += 1;
            }
        }
        lines.push(line);
    }
    lines
}

#[test]
fn long_serial_history_has_nothing() {
    assert_eq!(anomalies(&long_history().join("\n")), []);
}

#[test]
fn one_torn_read_among_a_hundred_thousand_is_found() {
    let mut lines = long_history();
    lines.insert(50_000, "900 ok a:900001:1 a:900002:1".to_owned());
    lines.insert(50_001, "901 ok r:900001:1".to_owned());
    lines.insert(60_000, "902 ok r:900001: r:900002:1".to_owned());
    let found = anomalies(&lines.join("\n"));
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].kind, found[0].readers), (Kind::GSingle, Readers::ReadOnly));
    assert!(found[0].detail.starts_with("T60000 -rw-> T50000"), "{}", found[0].detail);
}
