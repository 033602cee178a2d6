//! Looks for isolation anomalies in recorded histories, by Elle's method (Kingsbury and Alvaro, VLDB 2020).
//!
//! Every write has a value of its own, so a read says which transaction it read from. Lists that are only appended
//! to also say in which order their writers came; for registers a transaction that read one value and wrote another
//! says so. That gives a graph of transactions:
//!
//! * `ww`: the next writer of the same key,
//! * `wr`: who read what was written,
//! * `rw`: who overwrote what was read,
//! * `session`: the next transaction of the same session, if asked for.
//!
//! A cycle in it is an anomaly; its kind depends on the edges ([`anomaly::Kind`], after Adya). Some anomalies need
//! no cycle: a read of an aborted or intermediate value, a lost append, a lost update.
//!
//! Everything is linear in the history but the search for a witness inside a strongly connected component, and in a
//! history of a correct database there are none.
//!
//! Deliberately not here: running anything. Histories are recorded by `tools/history/record.py`.

pub mod anomaly;
mod append;
pub mod check;
mod graph;
pub mod history;
mod register;
mod witness;
