//! Transaction control and status flags.

use aquifer_types::SqlError;

use crate::client::{Client, Server};

const IN_TRANS: u16 = 1;

fn with_table(server: &Server) -> Client {
    let mut client = server.root();
    client.run("CREATE DATABASE d");
    client.run("USE d");
    client.run("CREATE TABLE t (id INT PRIMARY KEY)");
    client
}

#[test]
fn begin_and_commit_set_the_flag() {
    let server = Server::new();
    let mut client = server.root();
    assert_eq!(client.run("BEGIN").status & IN_TRANS, IN_TRANS);
    assert_eq!(client.run("COMMIT").status & IN_TRANS, 0);
    assert_eq!(client.run("START TRANSACTION READ ONLY").status & (1 << 13), 1 << 13);
    assert_eq!(client.run("ROLLBACK AND CHAIN").status & IN_TRANS, IN_TRANS);
    assert_eq!(client.run("ROLLBACK").status & IN_TRANS, 0);
}

#[test]
fn commit_release_closes() {
    let server = Server::new();
    let mut client = server.root();
    client.run("COMMIT RELEASE");
    assert_eq!(client.flow, aquifer_session::SessionFlow::Close);
}

#[test]
fn savepoint_unknown_is_1305() {
    let server = Server::new();
    let mut client = server.root();
    client.run("BEGIN");
    assert_eq!(client.error("ROLLBACK TO a"), (1305, "SAVEPOINT a does not exist".to_owned()));
    client.run("SAVEPOINT a");
    client.run("ROLLBACK TO SAVEPOINT A");
    client.run("RELEASE SAVEPOINT a");
    assert_eq!(client.error("RELEASE SAVEPOINT a").0, 1305);
}

#[test]
fn set_transaction_inside_one_is_1568() {
    let server = Server::new();
    let mut client = server.root();
    client.run("BEGIN");
    assert_eq!(client.error("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE").0, 1568);
    client.run("SET SESSION TRANSACTION READ ONLY");
}

#[test]
fn rollback_undoes_and_commit_shows() {
    let server = Server::new();
    let mut client = with_table(&server);
    let mut other = server.root();
    client.run("BEGIN");
    client.run("INSERT INTO t VALUES (1)");
    assert_eq!(client.value("SELECT COUNT(*) FROM t"), "1");
    assert_eq!(other.value("SELECT COUNT(*) FROM d.t"), "0");
    client.run("ROLLBACK");
    assert_eq!(client.value("SELECT COUNT(*) FROM t"), "0");
    client.run("SET autocommit = 0");
    assert_eq!(client.run("INSERT INTO t VALUES (2)").status & IN_TRANS, IN_TRANS);
    assert_eq!(other.value("SELECT COUNT(*) FROM d.t"), "0");
    client.run("SET autocommit = 1");
    assert_eq!(other.value("SELECT COUNT(*) FROM d.t"), "1");
}

#[test]
fn savepoint_undoes_what_followed() {
    let server = Server::new();
    let mut client = with_table(&server);
    client.run("BEGIN");
    client.run("INSERT INTO t VALUES (1)");
    client.run("SAVEPOINT a");
    client.run("INSERT INTO t VALUES (2)");
    client.run("ROLLBACK TO a");
    client.run("COMMIT");
    assert_eq!(client.rows("SELECT id FROM t"), [["1"]]);
}

#[test]
fn failed_statement_leaves_the_transaction() {
    let server = Server::new();
    let mut client = with_table(&server);
    client.run("INSERT INTO t VALUES (1)");
    client.run("BEGIN");
    client.run("INSERT INTO t VALUES (2)");
    let (code, text) = client.error("INSERT INTO t VALUES (3), (1)");
    assert_eq!((code, text.as_str()), (1062, "Duplicate entry '1' for key 't.PRIMARY'"));
    client.run("COMMIT");
    assert_eq!(client.rows("SELECT id FROM t"), [["1"], ["2"]]);
    assert_eq!(client.rows("SHOW WARNINGS").len(), 0);
}

#[test]
fn ddl_commits_the_open_transaction() {
    let server = Server::new();
    let mut client = with_table(&server);
    client.run("BEGIN");
    client.run("INSERT INTO t VALUES (1)");
    assert_eq!(client.run("CREATE TABLE u (id INT)").status & IN_TRANS, 0);
    client.run("ROLLBACK");
    assert_eq!(client.value("SELECT COUNT(*) FROM t"), "1");
}

#[test]
fn read_only_transaction_refuses_writes() {
    let server = Server::new();
    let mut client = with_table(&server);
    client.run("START TRANSACTION READ ONLY");
    assert_eq!(client.error("INSERT INTO t VALUES (1)").0, 1792);
}

#[test]
fn commit_error_is_told() {
    let server = Server::new();
    let mut client = with_table(&server);
    let error = SqlError::new(1213, "Deadlock found when trying to get lock; try restarting transaction");
    *server.node.commit_error.borrow_mut() = Some(error);
    assert_eq!(client.error("INSERT INTO t VALUES (1)").0, 1213);
    assert_eq!(client.value("SELECT COUNT(*) FROM t"), "0");
    assert_eq!(client.rows("SHOW ERRORS").len(), 0);
}

#[test]
fn read_committed_sees_later_commits() {
    let server = Server::new();
    let mut client = with_table(&server);
    let mut other = server.root();
    client.run("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED");
    client.run("BEGIN");
    assert_eq!(client.value("SELECT COUNT(*) FROM t"), "0");
    other.run("INSERT INTO d.t VALUES (1)");
    assert_eq!(client.value("SELECT COUNT(*) FROM t"), "1");
    client.run("COMMIT");
    client.run("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ");
    client.run("BEGIN");
    assert_eq!(client.value("SELECT COUNT(*) FROM t"), "1");
    other.run("INSERT INTO d.t VALUES (2)");
    assert_eq!(client.value("SELECT COUNT(*) FROM t"), "1");
}

#[test]
fn gtid_of_a_commit_is_told() {
    let server = Server::new();
    let mut client = with_table(&server);
    client.run("SET session_track_gtids = OWN_GTID");
    let ok = client.run("INSERT INTO t VALUES (1)");
    let told = String::from_utf8_lossy(&ok.rest).into_owned();
    assert!(told.contains("00000000-0000-0000-0000-000000000001:"), "{told:?}");
}
