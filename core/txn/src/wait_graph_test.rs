use aquifer_types::TxnId;

use crate::lock_table::Blocker;
use crate::wait_graph::{Victim, WaitGraph, WaitId};

fn id(txn: u64) -> WaitId {
    WaitId { executor: 0, ticket: txn }
}

/// Transaction `waiter`, which has done `weight`, waits for `blockers`; the victims.
fn wait(graph: &WaitGraph, waiter: u64, blockers: &[u64], weight: u64) -> Vec<u64> {
    let blockers: Vec<Blocker> = blockers.iter().map(|txn| Blocker::holder(TxnId(*txn))).collect();
    let victims = graph.wait(TxnId(waiter), id(waiter), &blockers, weight, b"k");
    victims.iter().map(|Victim { txn, wait }| if *wait == id(txn.0) { txn.0 } else { 0 }).collect()
}

#[test]
fn wait_that_closes_a_cycle_gives_way_among_equals() {
    let graph = WaitGraph::default();
    assert_eq!(wait(&graph, 1, &[2], 5), []);
    assert_eq!(wait(&graph, 2, &[3, 4], 5), []);
    assert_eq!(wait(&graph, 4, &[1], 5), [4]);
    assert_eq!(graph.waiting(), 2);
    let (found, latest) = graph.latest_deadlock();
    let latest = latest.unwrap();
    assert_eq!((found, latest.victim), (1, TxnId(4)));
    assert_eq!(latest.cycle.iter().map(|wait| wait.txn.0).collect::<Vec<_>>(), [4, 1, 2]);
}

#[test]
fn lightest_of_the_cycle_gives_way() {
    let graph = WaitGraph::default();
    assert_eq!(wait(&graph, 1, &[2], 5), []);
    assert_eq!(wait(&graph, 2, &[3], 1), []);
    assert_eq!(wait(&graph, 3, &[1], 9), [2]);
    assert_eq!(graph.waiting(), 2, "the waiter waits on");
}

#[test]
fn each_of_two_cycles_loses_one() {
    let graph = WaitGraph::default();
    assert_eq!(wait(&graph, 1, &[9], 1), []);
    assert_eq!(wait(&graph, 2, &[9], 1), []);
    assert_eq!(wait(&graph, 9, &[1, 2], 50), [1, 2]);
    assert_eq!(graph.waiting(), 1);
}

#[test]
fn wait_that_ended_is_no_part_of_a_cycle() {
    let graph = WaitGraph::default();
    assert_eq!(wait(&graph, 1, &[2], 1), []);
    graph.done(TxnId(1), id(1));
    assert_eq!(wait(&graph, 2, &[1], 1), []);
}

#[test]
fn end_of_an_earlier_wait_does_not_end_a_later_one() {
    let graph = WaitGraph::default();
    assert_eq!(wait(&graph, 1, &[2], 1), []);
    graph.done(TxnId(1), id(7));
    assert_eq!(wait(&graph, 2, &[1], 1), [2]);
}

#[test]
fn blockers_of_one_wait_add_up() {
    let graph = WaitGraph::default();
    assert_eq!(wait(&graph, 1, &[2], 1), []);
    assert_eq!(wait(&graph, 1, &[3], 1), []);
    assert_eq!(wait(&graph, 2, &[1], 1), [2]);
    assert_eq!(wait(&graph, 3, &[1], 1), [3]);
}

/// 1 holds a key; 2, which has done least, and 3 want it in this order.
fn queue_of_two(graph: &WaitGraph) {
    assert_eq!(wait(graph, 2, &[1], 1), []);
    let behind = [Blocker { txn: TxnId(2), holds: false }];
    assert_eq!(graph.wait(TxnId(3), id(3), &behind, 5, b"k"), []);
}

#[test]
fn who_only_stands_in_the_queue_does_not_give_way() {
    let graph = WaitGraph::default();
    queue_of_two(&graph);
    // The cycle is 1, 3, 2: without 2 it would be 1, 3.
    assert_eq!(wait(&graph, 1, &[3], 9), [3]);
    assert_eq!(graph.waiting(), 2);
}

#[test]
fn cycle_that_appears_when_somebody_leaves_the_queue_is_found() {
    let graph = WaitGraph::default();
    queue_of_two(&graph);
    graph.done(TxnId(2), id(2));
    assert_eq!(wait(&graph, 1, &[3], 9), []);
    let victims = graph.rewire(TxnId(3), id(3), vec![Blocker::holder(TxnId(1))]);
    assert_eq!(victims, [Victim { txn: TxnId(3), wait: id(3) }]);
}
