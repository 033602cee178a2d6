//! SET and SELECT @@name.

use aquifer_session::variables::{VARIABLES, VariableId};

use crate::client::Server;

#[test]
fn table_is_sorted_and_long() {
    assert!(VARIABLES.windows(2).all(|pair| pair[0].name < pair[1].name));
    assert!(VARIABLES.len() > 500, "{}", VARIABLES.len());
    for variable in &VARIABLES {
        assert!(VariableId::named(variable.name).is_some(), "{}", variable.name);
    }
}

#[test]
fn defaults_are_legal() {
    use aquifer_types::{DataType, TypeKind, Warnings};
    for variable in &VARIABLES {
        let default = variable.default_value();
        let (value, _) = default.to_sql(variable);
        let mut warnings = Warnings::default();
        let checked = variable.check(&value, &DataType::of(TypeKind::Double), &default, &mut warnings);
        assert_eq!(checked.as_ref().ok(), Some(&default), "{}: {checked:?}", variable.name);
        assert_eq!(warnings.total(), 0, "{}", variable.name);
    }
}

#[test]
fn select_variables_gives_values_and_scopes() {
    let server = Server::new();
    let mut client = server.root();
    assert_eq!(client.value("SELECT @@version"), "8.0.34-aquifer");
    assert_eq!(client.value("select @@version_comment limit 1"), "Aquifer");
    assert_eq!(client.value("SELECT @@session.autocommit"), "1");
    assert_eq!(client.value("SELECT @@global.max_connections"), "151");
    assert_eq!(client.value("SELECT @@lower_case_table_names"), "0");
    assert_eq!(client.error("SELECT @@nonsense"), (1193, "Unknown system variable 'nonsense'".to_owned()));
    assert_eq!(client.error("SELECT @@session.max_connections").0, 1238);
}

#[test]
fn set_takes_every_form() {
    let server = Server::new();
    let mut client = server.root();
    client.run("SET autocommit = 0, @@session.sql_mode = 'ANSI_QUOTES', @u = 3");
    client.run("SET SESSION wait_timeout := 100");
    client.run("SET LOCAL net_write_timeout = 7");
    client.run("SET @@sql_select_limit = DEFAULT");
    client.run("SET NAMES latin1 COLLATE latin1_bin");
    let rows = client.rows(
        "SELECT @@autocommit, @@sql_mode, @u, @@wait_timeout, @@net_write_timeout, @@character_set_client, \
         @@collation_connection",
    );
    assert_eq!(rows[0], ["0", "ANSI_QUOTES", "3", "100", "7", "latin1", "latin1_bin"]);
    client.run("SET CHARACTER SET utf8mb4");
    assert_eq!(client.value("SELECT @@collation_connection"), "utf8mb4_0900_ai_ci");
    client.run("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED");
    assert_eq!(client.value("SELECT @@transaction_isolation"), "READ-COMMITTED");
    client.run("SET transaction_isolation = 'SERIALIZABLE', collation_connection = utf8mb4_general_ci");
    assert_eq!(client.value("SELECT @@tx_isolation"), "SERIALIZABLE");
}

#[test]
fn set_as_mysqldump_does_keeps_and_restores() {
    let server = Server::new();
    let mut client = server.root();
    for text in [
        "/*!40101 SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT */;",
        "/*!50503 SET NAMES utf8mb4 */;",
        "/*!40103 SET @OLD_TIME_ZONE=@@TIME_ZONE */;",
        "/*!40103 SET TIME_ZONE='+00:00' */;",
        "/*!40014 SET @OLD_UNIQUE_CHECKS=@@UNIQUE_CHECKS, UNIQUE_CHECKS=0 */;",
        "/*!40014 SET @OLD_FOREIGN_KEY_CHECKS=@@FOREIGN_KEY_CHECKS, FOREIGN_KEY_CHECKS=0 */;",
        "/*!40101 SET @OLD_SQL_MODE=@@SQL_MODE, SQL_MODE='NO_AUTO_VALUE_ON_ZERO' */;",
        "/*!40111 SET @OLD_SQL_NOTES=@@SQL_NOTES, SQL_NOTES=0 */;",
    ] {
        client.run(text);
    }
    assert_eq!(
        client.rows("SELECT @@unique_checks, @@sql_mode, @OLD_UNIQUE_CHECKS")[0],
        ["0", "NO_AUTO_VALUE_ON_ZERO", "1"]
    );
    client.run("/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE */");
    client.run("/*!40101 SET SQL_MODE=@OLD_SQL_MODE */");
    client.run("/*!40014 SET UNIQUE_CHECKS=@OLD_UNIQUE_CHECKS */");
    assert_eq!(client.rows("SELECT @@unique_checks, @@time_zone")[0], ["1", "SYSTEM"]);
    assert!(client.value("SELECT @@sql_mode").starts_with("ONLY_FULL_GROUP_BY,"));
}

#[test]
fn set_wrong_names_and_values_fail_with_mysqls_numbers() {
    let server = Server::new();
    let mut client = server.root();
    let cases = [
        ("SET nonsense = 1", 1193, "Unknown system variable 'nonsense'"),
        ("SET version = '9'", 1238, "Variable 'version' is a read only variable"),
        ("SET autocommit = 2", 1231, "Variable 'autocommit' can't be set to the value of '2'"),
        ("SET sql_mode = 'NOPE'", 1231, "Variable 'sql_mode' can't be set to the value of 'NOPE'"),
        ("SET wait_timeout = 'x'", 1232, "Incorrect argument type to variable 'wait_timeout'"),
        (
            "SET max_connections = 5",
            1229,
            "Variable 'max_connections' is a GLOBAL variable and should be set with SET GLOBAL",
        ),
        (
            "SET GLOBAL timestamp = 5",
            1228,
            "Variable 'timestamp' is a SESSION variable and can't be used with SET GLOBAL",
        ),
        ("SET NAMES klingon", 1115, "Unknown character set: 'klingon'"),
        ("SET collation_connection = 'x_ci'", 1273, "Unknown collation: 'x_ci'"),
        (
            "SET NAMES utf8mb4 COLLATE latin1_bin",
            1253,
            "COLLATION 'latin1_bin' is not valid for CHARACTER SET 'utf8mb4'",
        ),
        ("SET time_zone = 'Nowhere/City'", 1298, "Unknown or incorrect time zone: 'Nowhere/City'"),
        (
            "SET max_allowed_packet = 1024",
            1238,
            "SESSION variable 'max_allowed_packet' is read-only. Use SET GLOBAL to assign the value",
        ),
    ];
    for (text, code, message) in cases {
        assert_eq!(client.error(text), (code, message.to_owned()), "{text}");
    }
}

#[test]
fn set_list_with_an_error_sets_nothing() {
    let server = Server::new();
    let mut client = server.root();
    client.error("SET sql_safe_updates = 1, autocommit = 7");
    assert_eq!(client.rows("SHOW VARIABLES LIKE 'sql_safe_updates'")[0][1], "OFF");
}

#[test]
fn set_out_of_bounds_is_clamped_with_a_warning() {
    let server = Server::new();
    let mut client = server.root();
    assert_eq!(client.run("SET wait_timeout = 0").warnings, 1);
    let warnings = client.rows("SHOW WARNINGS");
    assert_eq!(warnings, [["Warning", "1292", "Truncated incorrect wait_timeout value: '0'"]]);
    assert_eq!(client.rows("SHOW VARIABLES LIKE 'wait_timeout'")[0][1], "1");
}

#[test]
fn set_global_is_seen_by_later_sessions_only() {
    let server = Server::new();
    let mut early = server.root();
    early.run("SET GLOBAL sql_mode = ''");
    assert!(early.rows("SHOW SESSION VARIABLES LIKE 'sql_mode'")[0][1].contains("STRICT"));
    assert_eq!(early.rows("SHOW GLOBAL VARIABLES LIKE 'sql_mode'")[0][1], "");
    assert_eq!(server.root().rows("SHOW VARIABLES LIKE 'sql_mode'")[0][1], "");
}

#[test]
fn set_persist_is_stored_in_the_catalog() {
    let server = Server::new();
    server.root().run("SET PERSIST max_connections = 77");
    let catalog = aquifer_session::node::Node::catalog(&*server.node);
    assert_eq!(catalog.variable("max_connections"), Some("77"));
    assert_eq!(server.root().rows("SHOW VARIABLES LIKE 'max_connections'")[0][1], "77");
}

#[test]
fn set_tracked_variable_is_told_in_the_ok() {
    let server = Server::new();
    let mut client = server.root();
    let ok = client.run("SET autocommit = 0");
    assert_eq!(ok.status & (1 << 14), 1 << 14);
    let told = String::from_utf8_lossy(&ok.rest).into_owned();
    assert!(told.contains("autocommit") && told.contains("OFF"), "{told:?}");
}

#[test]
fn set_of_what_is_not_implemented_is_refused() {
    let server = Server::new();
    let mut client = server.root();
    for text in ["SET sql_auto_is_null = 1", "SET lc_time_names = 'de_DE'"] {
        assert_eq!(client.error(text).0, 1235, "{text}");
    }
    client.run("SET sql_auto_is_null = 0, gtid_next = 'AUTOMATIC'");
}

#[test]
fn safe_updates_need_a_condition() {
    let server = Server::new();
    let mut client = server.root();
    client.run("CREATE DATABASE d");
    client.run("CREATE TABLE d.t (id INT PRIMARY KEY)");
    client.run("SET sql_safe_updates = 1, sql_require_primary_key = 1");
    assert_eq!(client.error("DELETE FROM d.t").0, 1175);
    client.run("DELETE FROM d.t WHERE id = 1");
    assert_eq!(client.error("CREATE TABLE d.u (id INT)").0, 3750);
}

#[test]
fn collation_server_is_that_of_new_databases() {
    let server = Server::new();
    let mut client = server.root();
    client.run("SET collation_server = utf8mb4_general_ci");
    client.run("CREATE DATABASE d");
    assert!(client.rows("SHOW CREATE DATABASE d")[0][1].contains("COLLATE utf8mb4_general_ci"));
}
