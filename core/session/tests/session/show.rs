//! SHOW, DESCRIBE and information_schema.

use crate::client::{Client, Server};

const ORDERS: &str = "CREATE TABLE orders (
  id bigint unsigned NOT NULL AUTO_INCREMENT,
  customer varchar(64) CHARACTER SET latin1 DEFAULT NULL,
  state enum('new','paid','it''s') NOT NULL DEFAULT 'new',
  total decimal(12,2) NOT NULL DEFAULT '0.00',
  flag tinyint(1) DEFAULT 1,
  small smallint(5) unsigned zerofill,
  note text COMMENT 'a \"note\"',
  created timestamp NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  at datetime(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
  PRIMARY KEY (id),
  UNIQUE KEY u (customer, state),
  KEY note_prefix (note(20)),
  KEY backwards (total DESC)
) ENGINE=InnoDB COMMENT='the orders'";

const ORDERS_SHOWN: &str = "CREATE TABLE `orders` (
  `id` bigint unsigned NOT NULL AUTO_INCREMENT,
  `customer` varchar(64) CHARACTER SET latin1 DEFAULT NULL,
  `state` enum('new','paid','it''s') NOT NULL DEFAULT 'new',
  `total` decimal(12,2) NOT NULL DEFAULT '0.00',
  `flag` tinyint(1) DEFAULT '1',
  `small` smallint(5) unsigned zerofill DEFAULT NULL,
  `note` text COMMENT 'a \"note\"',
  `created` timestamp NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  `at` datetime(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
  PRIMARY KEY (`id`),
  UNIQUE KEY `u` (`customer`,`state`),
  KEY `note_prefix` (`note`(20)),
  KEY `backwards` (`total` DESC)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci COMMENT='the orders'";

fn shop(server: &Server) -> Client {
    let mut client = server.root();
    client.run("CREATE DATABASE shop");
    client.run("USE shop");
    client.run(ORDERS);
    client
}

#[test]
fn show_create_table_is_as_mysql_prints_it() {
    let server = Server::new();
    let mut client = shop(&server);
    let rows = client.rows("SHOW CREATE TABLE orders");
    assert_eq!(rows[0][0], "orders");
    assert_eq!(rows[0][1], ORDERS_SHOWN);
}

#[test]
fn show_create_table_can_be_restored() {
    let server = Server::new();
    let mut client = shop(&server);
    client.run("DROP TABLE orders");
    client.run(ORDERS_SHOWN);
    assert_eq!(client.rows("SHOW CREATE TABLE orders")[0][1], ORDERS_SHOWN);
}

#[test]
fn show_create_database_is_as_mysql_prints_it() {
    let server = Server::new();
    let mut client = shop(&server);
    let text = "CREATE DATABASE `shop` /*!40100 DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci */ \
                /*!80016 DEFAULT ENCRYPTION='N' */";
    assert_eq!(client.rows("SHOW CREATE DATABASE shop")[0], ["shop", text]);
    assert!(
        client.rows("SHOW CREATE DATABASE IF NOT EXISTS shop")[0][1]
            .contains("/*!32312 IF NOT EXISTS*/ `shop`")
    );
    assert_eq!(
        client.error("SHOW CREATE TABLE missing"),
        (1146, "Table 'shop.missing' doesn't exist".to_owned())
    );
    assert_eq!(client.error("SHOW CREATE DATABASE missing").0, 1049);
}

#[test]
fn show_columns_and_describe_agree() {
    let server = Server::new();
    let mut client = shop(&server);
    let columns = client.rows("SHOW COLUMNS FROM orders");
    assert_eq!(columns[0], ["id", "bigint unsigned", "NO", "PRI", "NULL", "auto_increment"]);
    assert_eq!(columns[1], ["customer", "varchar(64)", "YES", "MUL", "NULL", ""]);
    assert_eq!(columns[8], ["at", "datetime(3)", "NO", "", "CURRENT_TIMESTAMP(3)", "DEFAULT_GENERATED"]);
    assert_eq!(client.rows("DESCRIBE orders"), columns);
    assert_eq!(client.rows("DESC orders 'st%'").len(), 1);
    let full = client.rows("SHOW FULL COLUMNS FROM shop.orders LIKE 'customer'");
    assert_eq!(full[0][2], "latin1_swedish_ci");
    let names = client.query("SHOW FIELDS IN orders").columns();
    assert_eq!(names, ["Field", "Type", "Null", "Key", "Default", "Extra"]);
}

#[test]
fn show_index_lists_parts() {
    let server = Server::new();
    let mut client = shop(&server);
    let rows = client.rows("SHOW INDEX FROM orders");
    assert_eq!(rows.len(), 5);
    assert_eq!(rows[0][..5], ["orders", "0", "PRIMARY", "1", "id"]);
    assert_eq!(rows[3][2], "note_prefix");
    assert_eq!(rows[3][7], "20");
    assert_eq!(rows[4][5], "D");
}

#[test]
fn show_tables_has_the_right_titles() {
    let server = Server::new();
    let mut client = shop(&server);
    assert_eq!(client.query("SHOW TABLES").columns(), ["Tables_in_shop"]);
    assert_eq!(client.query("SHOW TABLES LIKE 'o%'").columns(), ["Tables_in_shop (o%)"]);
    assert_eq!(client.rows("SHOW FULL TABLES FROM shop"), [["orders", "BASE TABLE"]]);
    assert!(client.rows("SHOW TABLES LIKE 'x%'").is_empty());
    assert!(client.rows("SHOW TABLES FROM information_schema").len() > 50);
    assert_eq!(client.error("SHOW TABLES FROM nowhere").0, 1049);
    let databases: Vec<String> =
        client.rows("SHOW DATABASES").into_iter().map(|mut row| row.remove(0)).collect();
    assert_eq!(databases, ["information_schema", "mysql", "performance_schema", "shop"]);
}

#[test]
fn show_table_status_has_all_columns() {
    let server = Server::new();
    let mut client = shop(&server);
    let names = client.query("SHOW TABLE STATUS").columns();
    assert_eq!(names.len(), 18);
    let rows = client.rows("SHOW TABLE STATUS LIKE 'orders'");
    assert_eq!(rows[0][0], "orders");
    assert_eq!(rows[0][1], "InnoDB");
    assert_eq!(rows[0][17], "the orders");
}

#[test]
fn show_where_filters() {
    let server = Server::new();
    let mut client = shop(&server);
    let rows =
        client.rows("SHOW VARIABLES WHERE Variable_name IN ('autocommit', 'sql_notes') AND Value = 'ON'");
    assert_eq!(rows, [["autocommit", "ON"], ["sql_notes", "ON"]]);
    let rows = client.rows("SHOW COLUMNS FROM orders WHERE Field = 'flag'");
    assert_eq!(rows[0][1], "tinyint(1)");
}

#[test]
fn show_forms_have_mysqls_columns() {
    let server = Server::new();
    let mut client = shop(&server);
    let cases = [
        ("SHOW ENGINES", "Engine,Support,Comment,Transactions,XA,Savepoints"),
        ("SHOW STORAGE ENGINES", "Engine,Support,Comment,Transactions,XA,Savepoints"),
        ("SHOW CHARACTER SET", "Charset,Description,Default collation,Maxlen"),
        ("SHOW COLLATION", "Collation,Charset,Id,Default,Compiled,Sortlen,Pad_attribute"),
        ("SHOW PLUGINS", "Name,Status,Type,Library,License"),
        ("SHOW WARNINGS", "Level,Code,Message"),
        ("SHOW ERRORS", "Level,Code,Message"),
        ("SHOW STATUS", "Variable_name,Value"),
        ("SHOW GLOBAL STATUS", "Variable_name,Value"),
        ("SHOW PRIVILEGES", "Privilege,Context,Comment"),
        ("SHOW OPEN TABLES", "Database,Table,In_use,Name_locked"),
        ("SHOW ENGINE INNODB STATUS", "Type,Name,Status"),
        ("SHOW MASTER STATUS", "File,Position,Binlog_Do_DB,Binlog_Ignore_DB,Executed_Gtid_Set"),
        ("SHOW GRANTS", "Grants for root@localhost"),
        ("SHOW COUNT(*) WARNINGS", "@@session.warning_count"),
        ("SHOW PROCESSLIST", "Id,User,Host,db,Command,Time,State,Info"),
    ];
    for (text, columns) in cases {
        assert_eq!(client.query(text).columns().join(","), columns, "{text}");
    }
    assert!(client.rows("SHOW TRIGGERS").is_empty());
    assert!(client.rows("SHOW EVENTS").is_empty());
    assert!(client.rows("SHOW PROCEDURE STATUS").is_empty());
    assert!(client.rows("SHOW SLAVE STATUS").is_empty());
    assert!(client.rows("SHOW GLOBAL STATUS").len() > 350);
    assert_eq!(client.rows("ANALYZE TABLE orders"), [["shop.orders", "analyze", "status", "OK"]]);
}

#[test]
fn information_schema_is_queried_in_either_case() {
    let server = Server::new();
    let mut client = shop(&server);
    let rows = client.rows(
        "SELECT table_name, ENGINE FROM information_schema.tables WHERE table_schema = 'shop' ORDER BY 1",
    );
    assert_eq!(rows, [["orders", "InnoDB"]]);
    let rows = client.rows(
        "SELECT COLUMN_NAME, COLUMN_TYPE, COLUMN_KEY FROM INFORMATION_SCHEMA.COLUMNS \
         WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'orders' AND ORDINAL_POSITION <= 2",
    );
    assert_eq!(rows, [["id", "bigint unsigned", "PRI"], ["customer", "varchar(64)", "MUL"]]);
    let rows = client.rows(
        "SELECT INDEX_NAME, SEQ_IN_INDEX, COLUMN_NAME FROM information_schema.STATISTICS \
         WHERE TABLE_NAME = 'orders' AND NON_UNIQUE = 0",
    );
    assert_eq!(rows.len(), 3);
    let rows = client.rows("SELECT schema_name FROM information_schema.schemata WHERE schema_name = 'shop'");
    assert_eq!(rows, [["shop"]]);
    let rows = client.rows(
        "SELECT CONSTRAINT_NAME, CONSTRAINT_TYPE FROM information_schema.TABLE_CONSTRAINTS \
         WHERE TABLE_SCHEMA = 'shop' ORDER BY CONSTRAINT_NAME",
    );
    assert_eq!(rows, [["PRIMARY", "PRIMARY KEY"], ["u", "UNIQUE"]]);
    let rows = client.rows(
        "SELECT VARIABLE_VALUE FROM performance_schema.global_variables WHERE VARIABLE_NAME = 'version_comment'",
    );
    assert_eq!(rows, [["Aquifer"]]);
    assert_eq!(client.value("SELECT COUNT(*) FROM information_schema.TRIGGERS"), "0");
    assert_eq!(client.error("SELECT * FROM information_schema.nothing").0, 1109);
}
