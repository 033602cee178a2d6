//! SLEEP, GET_LOCK and their relatives.

use crate::client::Server;

#[test]
fn sleep_gives_zero_and_needs_a_number() {
    let server = Server::new();
    let mut client = server.root();
    assert_eq!(client.value("SELECT SLEEP(0.01)"), "0");
    assert_eq!(client.value("SELECT 1 + SLEEP(0)"), "1");
    client.run("DO SLEEP(0)");
    assert_eq!(client.error("SELECT SLEEP(NULL)"), (1210, "Incorrect arguments to sleep.".to_owned()));
    assert_eq!(client.error("SELECT SLEEP()").0, 1582);
}

#[test]
fn get_lock_is_held_by_one_connection() {
    let server = Server::new();
    let mut client = server.root();
    let mut other = server.root();
    assert_eq!(client.value("SELECT GET_LOCK('a', 0)"), "1");
    assert_eq!(other.value("SELECT GET_LOCK('A', 0)"), "0");
    assert_eq!(other.value("SELECT IS_FREE_LOCK('a')"), "0");
    assert_eq!(other.value("SELECT IS_USED_LOCK('a')"), client.session.connection_id().to_string());
    assert_eq!(other.value("SELECT RELEASE_LOCK('a')"), "0");
    assert_eq!(client.value("SELECT RELEASE_LOCK('a')"), "1");
    assert_eq!(client.value("SELECT RELEASE_LOCK('a')"), "NULL");
    assert_eq!(other.value("SELECT GET_LOCK('a', 0)"), "1");
    drop(other);
    assert_eq!(client.value("SELECT GET_LOCK('a', 0)"), "1");
}

#[test]
fn wait_for_gtid_looks_at_the_visible_lsn() {
    let server = Server::new();
    let mut client = server.root();
    client.run("CREATE DATABASE d");
    assert_eq!(client.value("SELECT WAIT_FOR_EXECUTED_GTID_SET('x:1', 1)"), "0");
    assert_eq!(client.value("SELECT WAIT_FOR_EXECUTED_GTID_SET('x:1-999', 1)"), "1");
    assert_eq!(client.error("SELECT WAIT_FOR_EXECUTED_GTID_SET('x', 1)").0, 1772);
}
