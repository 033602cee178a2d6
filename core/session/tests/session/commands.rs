//! Commands of the protocol.

use std::sync::atomic::Ordering;

use aquifer_session::SessionFlow;

use crate::client::{Answer, Server, decode_all, decode_simple, packet};

#[test]
fn ping_answers_ok() {
    let server = Server::new();
    let mut client = server.root();
    client.send(0, &[0x0e]);
    assert!(matches!(decode_simple(&client.packets()[0]), Answer::Ok(_)));
}

#[test]
fn unknown_command_is_refused() {
    let server = Server::new();
    let mut client = server.root();
    client.send(0, &[0x1d]);
    assert_eq!(decode_simple(&client.packets()[0]), Answer::Error(1047, "Unknown command".to_owned()));
    assert_eq!(client.flow, SessionFlow::Continue);
}

#[test]
fn quit_closes() {
    let server = Server::new();
    let mut client = server.root();
    client.send(0, &[1]);
    assert_eq!(client.flow, SessionFlow::Close);
    assert!(client.packets().is_empty());
}

#[test]
fn pipelined_commands_are_answered_in_order() {
    let server = Server::new();
    let mut client = server.root();
    let mut bytes = packet(0, b"\x03SET @a = 1");
    bytes.extend(packet(0, b"\x03SET nonsense = 1"));
    bytes.extend(packet(0, &[0x0e]));
    client.send_raw(&bytes);
    let answers = decode_all(&client.packets());
    assert!(matches!(answers[0], Answer::Ok(_)));
    assert!(matches!(answers[1], Answer::Error(1193, _)));
    assert!(matches!(answers[2], Answer::Ok(_)));
}

#[test]
fn init_db_of_unknown_database_fails() {
    let server = Server::new();
    let mut client = server.root();
    client.send(0, b"\x02nowhere");
    assert!(matches!(decode_simple(&client.packets()[0]), Answer::Error(1049, _)));
    client.send(0, b"\x02INFORMATION_SCHEMA");
    assert!(matches!(decode_simple(&client.packets()[0]), Answer::Ok(_)));
}

#[test]
fn statistics_is_one_line() {
    let server = Server::new();
    let mut client = server.root();
    client.send(0, &[9]);
    let packets = client.packets();
    let line = String::from_utf8_lossy(&packets[0]).into_owned();
    assert!(line.starts_with("Uptime: ") && line.contains("Threads: 1"), "{line}");
}

#[test]
fn reset_connection_forgets_variables() {
    let server = Server::new();
    let mut client = server.root();
    client.run("SET autocommit = 0, @a = 5");
    client.send(0, &[0x1f]);
    assert!(matches!(decode_simple(&client.packets()[0]), Answer::Ok(_)));
    assert_eq!(client.rows("SHOW VARIABLES LIKE 'autocommit'")[0][1], "ON");
}

#[test]
fn multi_statements_give_one_answer_each() {
    let server = Server::new();
    let mut client = server.root();
    let answers = client.queries("SET @a = 1; SHOW WARNINGS; SET @b = 2 ; -- end");
    assert_eq!(answers.len(), 3);
    assert_eq!(answers[0].clone().ok().status & 8, 8);
    assert_eq!(answers[2].clone().ok().status & 8, 0);
    let answers = client.queries("SET @a = 1; SET nonsense = 1; SET @b = 2");
    assert_eq!(answers.len(), 2);
    assert_eq!(answers[1].clone().error().0, 1193);
}

#[test]
fn empty_query_is_1065() {
    let server = Server::new();
    assert_eq!(server.root().error(""), (1065, "Query was empty".to_owned()));
}

#[test]
fn kill_connection_closes_it() {
    let server = Server::new();
    let mut client = server.root();
    let mut victim = server.root();
    client.run(&format!("KILL {}", victim.session.connection_id()));
    assert!(victim.closed.load(Ordering::Relaxed));
    victim.send(0, &[0x0e]);
    assert_eq!(victim.flow, SessionFlow::Close);
    assert_eq!(client.error("KILL 999999"), (1094, "Unknown thread id: 999999".to_owned()));
}

#[test]
fn processlist_shows_connections() {
    let server = Server::new();
    let mut client = server.root();
    let _other = server.root();
    let rows = client.rows("SHOW FULL PROCESSLIST");
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0][1], "root");
    assert_eq!(rows[0][4], "Query");
    assert_eq!(rows[0][7], "SHOW FULL PROCESSLIST");
    assert_eq!(rows[1][4], "Sleep");
}

#[test]
fn field_list_describes_columns() {
    let server = Server::new();
    let mut client = server.root();
    client.run("USE information_schema");
    client.send(0, b"\x04ENGINES\0");
    let packets = client.packets();
    assert_eq!(packets.len(), 7);
    assert!(packets[0].windows(6).any(|part| part == b"ENGINE"));
    client.send(0, b"\x04nothing\0");
    assert!(matches!(decode_simple(&client.packets()[0]), Answer::Error(1146, _)));
}

#[test]
fn reader_refuses_writes() {
    let server = Server::new();
    let mut client = server.root();
    client.run("CREATE DATABASE d");
    server.node.reader.set(true);
    let text = "The MySQL server is running with the --read-only option so it cannot execute this statement";
    assert_eq!(client.error("CREATE DATABASE e"), (1290, text.to_owned()));
    assert_eq!(client.error("CREATE USER x").0, 1290);
    assert_eq!(client.value("SELECT @@read_only"), "1");
}

#[test]
fn found_rows_and_row_count_follow_statements() {
    let server = Server::new();
    let mut client = server.root();
    client.run("CREATE DATABASE d");
    client.run("CREATE TABLE d.t (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(10))");
    let ok = client.run("INSERT INTO d.t (v) VALUES ('a'), ('b'), ('c')");
    assert_eq!((ok.affected, ok.insert_id), (3, 1));
    assert_eq!(client.value("SELECT ROW_COUNT()"), "3");
    assert_eq!(client.value("SELECT LAST_INSERT_ID()"), "1");
    assert_eq!(client.rows("SELECT * FROM d.t WHERE id > 1").len(), 2);
    assert_eq!(client.value("SELECT FOUND_ROWS()"), "2");
    client.run("SET sql_select_limit = 1");
    assert_eq!(client.rows("SELECT * FROM d.t").len(), 1);
    assert_eq!(client.rows("SELECT * FROM d.t LIMIT 2").len(), 2);
}

#[test]
fn cached_statement_gives_its_own_values() {
    let server = Server::new();
    let mut client = server.root();
    client.run("CREATE DATABASE d");
    client.run("USE d");
    client.run("CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(10))");
    client.run("INSERT INTO t VALUES (1, 'one')");
    client.run("INSERT INTO t VALUES (2, 'two')");
    assert_eq!(client.value("SELECT v FROM t WHERE id = 1"), "one");
    assert_eq!(client.value("SELECT v FROM t WHERE id = 2"), "two");
    let hits = client.rows("SHOW STATUS LIKE 'Aquifer_plan_cache_hits'");
    assert_ne!(hits[0][1], "0");
    client.run("ALTER TABLE t ADD COLUMN w INT DEFAULT 7");
    assert_eq!(client.rows("SELECT * FROM t WHERE id = 2"), [["2", "two", "7"]]);
}

#[test]
fn drop_of_the_current_database_leaves_none() {
    let server = Server::new();
    let mut client = server.root();
    client.run("CREATE DATABASE d");
    client.run("USE d");
    client.run("DROP DATABASE d");
    assert_eq!(client.value("SELECT DATABASE()"), "NULL");
    assert_eq!(client.error("SHOW TABLES"), (1046, "No database selected".to_owned()));
}

#[test]
fn latin1_connection_gets_its_own_bytes_back() {
    let server = Server::new();
    let mut client = server.root();
    client.run("SET NAMES latin1");
    // Two characters of latin1, which are one of UTF-8.
    client.send(0, b"\x03SELECT '\xc3\xa4', CHAR_LENGTH('\xc3\xa4')");
    let packets = client.packets();
    assert_eq!(packets[4], b"\x02\xc3\xa4\x012");
    client.run("SET NAMES utf8mb4");
    client.send(0, "\x03SELECT CHAR_LENGTH('\u{e4}')".as_bytes());
    assert_eq!(client.packets()[3], b"\x011");
}

#[test]
fn update_of_instruments_does_nothing() {
    let server = Server::new();
    let mut client = server.root();
    let ok =
        client.run("UPDATE performance_schema.setup_instruments SET ENABLED = 'YES' WHERE NAME LIKE 'x%'");
    assert_eq!(ok.affected, 0);
}
