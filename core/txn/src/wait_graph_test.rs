use aquifer_types::TxnId;

use crate::wait_graph::{Deadlock, WaitGraph};

#[test]
fn wait_that_closes_a_cycle_is_a_deadlock() {
    let graph = WaitGraph::default();
    assert_eq!(graph.wait(TxnId(1), vec![TxnId(2)]), Ok(()));
    assert_eq!(graph.wait(TxnId(2), vec![TxnId(3), TxnId(4)]), Ok(()));
    assert_eq!(graph.wait(TxnId(4), vec![TxnId(1)]), Err(Deadlock));
    assert_eq!(graph.waiting(), 2);
}

#[test]
fn wait_that_ended_is_no_part_of_a_cycle() {
    let graph = WaitGraph::default();
    assert_eq!(graph.wait(TxnId(1), vec![TxnId(2)]), Ok(()));
    graph.done(TxnId(1));
    assert_eq!(graph.wait(TxnId(2), vec![TxnId(1)]), Ok(()));
}
