//! Accounts and what they may do.

use std::net::Ipv4Addr;

use crate::client::{Answer, Client, Server};

fn app(server: &Server) -> Client {
    let mut client = server.connect(Ipv4Addr::LOCALHOST);
    assert!(matches!(client.log_in("app", "", None), Answer::Ok(_)));
    client
}

const CREATE: &str = "CREATE USER app IDENTIFIED WITH mysql_native_password BY ''";

#[test]
fn create_user_twice_fails() {
    let server = Server::new();
    let mut root = server.root();
    root.run(CREATE);
    assert_eq!(root.error(CREATE), (1396, "Operation CREATE USER failed for 'app'@'%'".to_owned()));
    assert_eq!(root.run("CREATE USER IF NOT EXISTS app").warnings, 1);
    assert_eq!(root.error("DROP USER x").0, 1396);
    root.run("DROP USER IF EXISTS x, app");
    assert_eq!(server.connect(Ipv4Addr::LOCALHOST).log_in("app", "", None).error().0, 1045);
}

#[test]
fn create_user_keeps_the_first_administrator() {
    let server = Server::new();
    server.root().run(CREATE);
    let mut root = server.root();
    assert_eq!(
        root.rows("SHOW GRANTS")[0][0],
        "GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost` WITH GRANT OPTION"
    );
}

#[test]
fn alter_user_changes_the_password() {
    let server = Server::new();
    let mut root = server.root();
    root.run("CREATE USER app IDENTIFIED WITH mysql_native_password BY 'old'");
    root.run("ALTER USER app IDENTIFIED BY 'new'");
    let login = |password: &str| server.connect(Ipv4Addr::LOCALHOST).log_in("app", password, None);
    assert!(matches!(login("new"), Answer::Ok(_)));
    assert!(matches!(login("old"), Answer::Error(1045, _)));
    root.run("ALTER USER app ACCOUNT LOCK");
    assert!(matches!(login("new"), Answer::Error(..)));
}

#[test]
fn grant_gives_and_revoke_takes() {
    let server = Server::new();
    let mut root = server.root();
    root.run(CREATE);
    assert_eq!(root.rows("SHOW GRANTS FOR app"), [["GRANT USAGE ON *.* TO `app`@`%`"]]);
    root.run("GRANT SELECT, INSERT ON shop.* TO app");
    assert_eq!(root.rows("SHOW GRANTS FOR app")[1], ["GRANT SELECT, INSERT ON `shop`.* TO `app`@`%`"]);
    root.run("REVOKE INSERT ON shop.* FROM app");
    root.run("GRANT ALL ON other.* TO app");
    let lines = root.rows("SHOW GRANTS FOR app");
    assert_eq!(lines[1], ["GRANT SELECT ON `shop`.* TO `app`@`%`"]);
    assert_eq!(lines[2], ["GRANT ALL PRIVILEGES ON `other`.* TO `app`@`%`"]);
    assert_eq!(root.error("GRANT SELECT ON *.* TO nobody").0, 1410);
}

#[test]
fn administration_needs_privileges() {
    let server = Server::new();
    server.root().run(CREATE);
    let mut client = app(&server);
    let (code, text) = client.error("CREATE USER other");
    assert_eq!(code, 1227);
    assert_eq!(
        text,
        "Access denied; you need (at least one of) the CREATE USER privilege(s) for this operation"
    );
    assert_eq!(client.error("SET GLOBAL max_connections = 5").0, 1227);
    assert_eq!(client.error("USE mysql").0, 1044);
    assert_eq!(client.rows("SHOW DATABASES"), [["information_schema"], ["performance_schema"]]);
}

#[test]
fn tables_need_privileges() {
    let server = Server::new();
    let mut root = server.root();
    root.run(CREATE);
    root.run("CREATE DATABASE shop");
    root.run("CREATE TABLE shop.t (id INT PRIMARY KEY)");
    root.run("GRANT SELECT ON shop.* TO app");
    let mut client = app(&server);
    client.run("USE shop");
    assert!(client.rows("SELECT * FROM t").is_empty());
    let (code, text) = client.error("INSERT INTO t VALUES (1)");
    assert_eq!(
        (code, text.as_str()),
        (1142, "INSERT command denied to user 'app'@'localhost' for table 't'")
    );
    assert_eq!(client.error("DROP TABLE t").0, 1142);
    let (code, text) = client.error("CREATE DATABASE other");
    assert_eq!((code, text.as_str()), (1044, "Access denied for user 'app'@'%' to database 'other'"));
}

#[test]
fn expired_password_must_be_changed_first() {
    let server = Server::new();
    let mut root = server.root();
    root.run(CREATE);
    root.run("ALTER USER app PASSWORD EXPIRE");
    let mut client = app(&server);
    assert_eq!(client.error("SELECT 1").0, 1820);
    client.run("ALTER USER USER() IDENTIFIED BY 'new'");
    assert_eq!(client.value("SELECT 1"), "1");
}

#[test]
fn secure_transport_can_be_required() {
    let server = Server::new();
    let mut root = server.root();
    root.run("SET GLOBAL require_secure_transport = ON");
    assert_eq!(server.connect(Ipv4Addr::LOCALHOST).log_in("root", "", None).error().0, 3159);
}
