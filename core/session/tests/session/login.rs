//! Who comes in.

use std::net::Ipv4Addr;

use aquifer_session::{SessionFlow, SessionSettings};

use crate::client::{Answer, Server};

#[test]
fn login_root_without_password_from_this_machine_enters() {
    let server = Server::new();
    let mut client = server.root();
    assert_eq!(client.run("SET @a = 1").status, 2);
}

#[test]
fn login_root_from_elsewhere_is_denied() {
    let server = Server::new();
    let mut client = server.connect(Ipv4Addr::new(10, 1, 2, 3));
    let (code, text) = client.log_in("root", "", None).error();
    assert_eq!(code, 1045);
    assert_eq!(text, "Access denied for user 'root'@'10.1.2.3' (using password: NO)");
    assert_eq!(client.flow, SessionFlow::Close);
}

#[test]
fn login_unknown_user_is_denied() {
    let server = Server::new();
    let mut client = server.connect(Ipv4Addr::LOCALHOST);
    let (code, text) = client.log_in("nobody", "secret", None).error();
    assert_eq!(code, 1045);
    assert_eq!(text, "Access denied for user 'nobody'@'localhost' (using password: YES)");
}

#[test]
fn login_with_unknown_database_is_refused() {
    let server = Server::new();
    let mut client = server.connect(Ipv4Addr::LOCALHOST);
    let (code, text) = client.log_in("root", "", Some("nowhere")).error();
    assert_eq!((code, text.as_str()), (1049, "Unknown database 'nowhere'"));
}

#[test]
fn login_with_native_password_checks_it() {
    let server = Server::new();
    server.root().run("CREATE USER app@'10.%' IDENTIFIED WITH mysql_native_password BY 'secret'");
    let from = Ipv4Addr::new(10, 0, 0, 9);
    assert!(matches!(server.connect(from).log_in("app", "secret", None), Answer::Ok(_)));
    let (code, text) = server.connect(from).log_in("app", "wrong", None).error();
    assert_eq!(code, 1045);
    assert_eq!(text, "Access denied for user 'app'@'10.0.0.9' (using password: YES)");
    assert_eq!(server.connect(Ipv4Addr::new(11, 0, 0, 9)).log_in("app", "secret", None).error().0, 1045);
}

#[test]
fn login_beyond_max_connections_is_refused() {
    let settings = SessionSettings {
        variables: vec![("max_connections".to_owned(), "1".to_owned())],
        ..SessionSettings::default()
    };
    let server = Server::with(&settings);
    let mut first = server.root();
    first.run("CREATE USER app IDENTIFIED WITH mysql_native_password BY ''");
    // One more is let as far as the login, for an administrator.
    let mut second = server.connect(Ipv4Addr::LOCALHOST);
    let (code, text) = second.log_in("app", "", None).error();
    assert_eq!((code, text.as_str()), (1040, "Too many connections"));
    let mut third = server.connect(Ipv4Addr::LOCALHOST);
    assert_eq!(third.flow, SessionFlow::Close);
    let packets = third.packets();
    assert_eq!(u16::from_le_bytes([packets[0][1], packets[0][2]]), 1040);
    drop(second);
    drop(third);
    let mut admin = server.connect(Ipv4Addr::LOCALHOST);
    assert!(matches!(admin.log_in("root", "", None), Answer::Ok(_)));
}

#[test]
fn drop_session_leaves_the_processlist() {
    let server = Server::new();
    let client = server.root();
    assert_eq!(server.registry.connection_count(), 1);
    drop(client);
    assert_eq!(server.registry.connection_count(), 0);
}

#[test]
fn idle_session_is_small() {
    let server = Server::new();
    let client = server.root();
    assert!(size_of_val(&client.session) < 2048, "{}", size_of_val(&client.session));
}
