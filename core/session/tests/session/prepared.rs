//! Prepared statements of the protocol and of SQL.

use crate::client::{Answer, Client, Server, decode_simple};

fn with_table(server: &Server) -> Client {
    let mut client = server.root();
    client.run("CREATE DATABASE d");
    client.run("USE d");
    client.run("CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(10))");
    client.run("INSERT INTO t VALUES (1, 'one'), (2, 'two'), (3, 'three')");
    client
}

/// Id, number of columns, number of parameters.
fn prepare(client: &mut Client, text: &str) -> (u32, u16, u16) {
    let mut body = vec![0x16];
    body.extend_from_slice(text.as_bytes());
    client.send(0, &body);
    let packets = client.packets();
    let head = &packets[0];
    assert_eq!(head[0], 0, "{:?}", decode_simple(head));
    let id = u32::from_le_bytes([head[1], head[2], head[3], head[4]]);
    (id, u16::from_le_bytes([head[5], head[6]]), u16::from_le_bytes([head[7], head[8]]))
}

/// Executes with one BIGINT parameter and returns the packets.
fn execute(client: &mut Client, id: u32, flags: u8, parameter: Option<i64>) -> Vec<Vec<u8>> {
    let mut body = vec![0x17];
    body.extend_from_slice(&id.to_le_bytes());
    body.push(flags);
    body.extend_from_slice(&1u32.to_le_bytes());
    if let Some(parameter) = parameter {
        body.extend_from_slice(&[0, 1, 8, 0]);
        body.extend_from_slice(&parameter.to_le_bytes());
    }
    client.send(0, &body);
    client.packets()
}

#[test]
fn execute_gives_binary_rows() {
    let server = Server::new();
    let mut client = with_table(&server);
    let (id, columns, parameters) = prepare(&mut client, "SELECT id, v FROM t WHERE id = ?");
    assert_eq!((columns, parameters), (2, 1));
    let packets = execute(&mut client, id, 0, Some(2));
    // Count, two definitions, EOF, row, EOF.
    assert_eq!(packets.len(), 6);
    assert_eq!(packets[4], [&[0, 0, 2, 0, 0, 0, 3][..], b"two"].concat());
    let packets = execute(&mut client, id, 0, Some(9));
    assert_eq!(packets.len(), 5);
}

#[test]
fn execute_after_ddl_sees_the_new_columns() {
    let server = Server::new();
    let mut client = with_table(&server);
    let (id, columns, _) = prepare(&mut client, "SELECT * FROM t WHERE id = ?");
    assert_eq!(columns, 2);
    client.run("ALTER TABLE t ADD COLUMN w INT DEFAULT 5");
    let packets = execute(&mut client, id, 0, Some(1));
    assert_eq!(packets[0], [3]);
}

#[test]
fn cursor_is_fetched_in_parts() {
    let server = Server::new();
    let mut client = with_table(&server);
    let (id, _, _) = prepare(&mut client, "SELECT id FROM t ORDER BY id");
    let packets = execute(&mut client, id, 1, None);
    let eof = packets.last().expect("an EOF");
    assert_eq!(u16::from_le_bytes([eof[3], eof[4]]) & (1 << 6), 1 << 6);
    let fetch = |client: &mut Client, rows: u32| {
        let mut body = vec![0x1c];
        body.extend_from_slice(&id.to_le_bytes());
        body.extend_from_slice(&rows.to_le_bytes());
        client.send(0, &body);
        client.packets()
    };
    let packets = fetch(&mut client, 2);
    assert_eq!(packets.len(), 3);
    let packets = fetch(&mut client, 2);
    assert_eq!(packets.len(), 2);
    assert_eq!(u16::from_le_bytes([packets[1][3], packets[1][4]]) & (1 << 7), 1 << 7);
    assert!(matches!(decode_simple(&fetch(&mut client, 1)[0]), Answer::Error(1421, _)));
}

#[test]
fn unknown_statement_is_1243() {
    let server = Server::new();
    let mut client = server.root();
    let packets = execute(&mut client, 77, 0, None);
    let (code, text) = decode_simple(&packets[0]).error();
    assert_eq!(code, 1243);
    assert_eq!(text, "Unknown prepared statement handler (77) given to mysqld_stmt_execute");
}

#[test]
fn prepare_beyond_the_limit_is_1461() {
    let server = Server::new();
    let mut client = server.root();
    client.run("SET GLOBAL max_prepared_stmt_count = 1");
    let (id, ..) = prepare(&mut client, "SET @a = 1");
    client.send(0, b"\x16SET @b = 1");
    assert!(matches!(decode_simple(&client.packets()[0]), Answer::Error(1461, _)));
    let mut close = vec![0x19];
    close.extend_from_slice(&id.to_le_bytes());
    client.send(0, &close);
    assert!(client.packets().is_empty());
    prepare(&mut client, "SET @b = 1");
}

#[test]
fn sql_prepare_executes_with_user_variables() {
    let server = Server::new();
    let mut client = with_table(&server);
    client.run("PREPARE s FROM 'SELECT v FROM t WHERE id = ?'");
    client.run("SET @id = 3");
    assert_eq!(client.value("EXECUTE s USING @id"), "three");
    assert_eq!(client.error("EXECUTE s").0, 1210);
    client.run("DEALLOCATE PREPARE s");
    assert_eq!(client.error("EXECUTE s USING @id").0, 1243);
}
