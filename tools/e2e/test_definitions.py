"""Definitions through the wire: foreign keys between sessions, what tools read about them, dumps and restores."""

import contextlib
import subprocess
import threading

import pymysql
import pytest

import harness

SCHEMA = [
    "CREATE DATABASE shop",
    "USE shop",
    "CREATE TABLE customer (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(40) NOT NULL, "
    "initial CHAR(1) GENERATED ALWAYS AS (LEFT(name, 1)) STORED, KEY (initial), "
    "age INT, CONSTRAINT grown CHECK (age >= 18 AND name <> ''))",
    "CREATE TABLE orders (id INT AUTO_INCREMENT PRIMARY KEY, customer INT, note VARCHAR(20) DEFAULT 'it''s', "
    "CONSTRAINT orders_customer FOREIGN KEY (customer) REFERENCES customer (id) ON DELETE CASCADE ON UPDATE SET NULL)",
    "INSERT INTO customer (id, name, age) VALUES (1, 'Ada', 36), (2, 'Bob', NULL), (3, 'Gödel', 71)",
    "INSERT INTO orders (id, customer) VALUES (1, 1), (2, 1), (3, 2), (4, NULL)",
    "CREATE VIEW buyers AS SELECT name, COUNT(*) AS n FROM customer JOIN orders ON orders.customer = customer.id "
    "GROUP BY name",
]


def one(cursor, sql, args=None):
    cursor.execute(sql, args)
    return cursor.fetchall()


@pytest.fixture
def shop(cluster):
    writer = cluster.writer()
    writer.execute(*SCHEMA)
    return writer


def test_definitions_are_shown_as_tools_read_them(shop):
    with contextlib.closing(shop.connect(database="shop")) as connection, connection.cursor() as cursor:
        text = one(cursor, "SHOW CREATE TABLE orders")[0][1]
        assert (
            "CONSTRAINT `orders_customer` FOREIGN KEY (`customer`) REFERENCES `customer` (`id`) "
            "ON DELETE CASCADE ON UPDATE SET NULL"
        ) in text
        assert "KEY `orders_customer` (`customer`)" in text
        text = one(cursor, "SHOW CREATE TABLE customer")[0][1]
        assert "`initial` char(1) GENERATED ALWAYS AS (left(`name`,1)) STORED" in text
        assert "CONSTRAINT `grown` CHECK (((`age` >= 18) and (`name` <> _utf8mb4'')))" in text
        assert one(cursor, "SELECT CONSTRAINT_NAME, UNIQUE_CONSTRAINT_NAME, UPDATE_RULE, DELETE_RULE, TABLE_NAME, "
                   "REFERENCED_TABLE_NAME FROM information_schema.REFERENTIAL_CONSTRAINTS "
                   "WHERE CONSTRAINT_SCHEMA = 'shop'") == (
            ("orders_customer", "PRIMARY", "SET NULL", "CASCADE", "orders", "customer"),)
        assert one(cursor, "SELECT COLUMN_NAME, REFERENCED_TABLE_SCHEMA, REFERENCED_TABLE_NAME, REFERENCED_COLUMN_NAME "
                   "FROM information_schema.KEY_COLUMN_USAGE WHERE TABLE_NAME = 'orders' "
                   "AND REFERENCED_TABLE_NAME IS NOT NULL") == (("customer", "shop", "customer", "id"),)
        assert one(cursor, "SHOW FULL TABLES") == (
            ("buyers", "VIEW"), ("customer", "BASE TABLE"), ("orders", "BASE TABLE"))
        assert sorted(one(cursor, "SELECT * FROM buyers")) == [("Ada", 2), ("Bob", 1)]


def test_checks_off_lets_children_come_first_and_on_finds_the_parent(cluster):
    writer = cluster.writer()
    with contextlib.closing(writer.connect()) as connection, connection.cursor() as cursor:
        for statement in (
            "CREATE DATABASE d", "USE d", "SET foreign_key_checks = 0",
            "CREATE TABLE child (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES parent (id))",
            "INSERT INTO child VALUES (1, 7)",
            "CREATE TABLE parent (id INT PRIMARY KEY)", "INSERT INTO parent VALUES (7)",
            "SET foreign_key_checks = 1", "INSERT INTO child VALUES (2, 7)",
        ):
            cursor.execute(statement)
        with pytest.raises(pymysql.err.IntegrityError) as refused:
            cursor.execute("INSERT INTO child VALUES (3, 8)")
        assert refused.value.args[0] == 1452
        with pytest.raises(pymysql.err.IntegrityError) as refused:
            cursor.execute("DELETE FROM parent")
        assert refused.value.args[0] == 1451


def test_concurrent_children_and_parents_leave_no_orphan(shop):
    shop.execute(
        "CREATE TABLE shop.p (id INT PRIMARY KEY)",
        "CREATE TABLE shop.c (id INT AUTO_INCREMENT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES shop.p (id))",
    )
    unexpected = []

    def work(statement):
        with contextlib.closing(shop.connect(database="shop")) as connection, connection.cursor() as cursor:
            for number in range(2000):
                try:
                    cursor.execute(statement, (number % 10,))
                except pymysql.err.MySQLError as error:
                    if error.args[0] not in (1213, 1451, 1452, 1205):
                        unexpected.append(error)

    statements = ["INSERT IGNORE INTO p VALUES (%s)", "DELETE FROM p WHERE id = %s", "INSERT INTO c (p) VALUES (%s)",
                  "DELETE FROM c WHERE p = %s"]
    threads = [threading.Thread(target=work, args=(statement,)) for statement in statements for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not unexpected
    assert shop.query("SELECT COUNT(*) FROM shop.c LEFT JOIN shop.p ON c.p = p.id WHERE p.id IS NULL") == ((0,),)


def dump(port, database):
    done = subprocess.run(
        ["mariadb-dump", "--no-defaults", "-h", "127.0.0.1", "-P", str(port), "-u", "root", "--single-transaction",
         "--routines", "--triggers", "--events", "--databases", database],
        capture_output=True, text=True, timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def restore(port, text):
    done = subprocess.run(
        ["mariadb", "--no-defaults", "-h", "127.0.0.1", "-P", str(port), "-u", "root"],
        input=text, capture_output=True, text=True, timeout=120,
    )
    assert done.returncode == 0, done.stderr


def contents(connection):
    with connection.cursor() as cursor:
        return {table: sorted(one(cursor, f"SELECT * FROM shop.`{table}`"), key=repr)
                for table in ("customer", "orders", "buyers")}


def test_dump_loads_again_with_the_same_rows(cluster, shop):
    text = dump(shop.port, "shop")
    with contextlib.closing(shop.connect()) as connection:
        before = contents(connection)
    shop.execute("DROP DATABASE shop")
    restore(shop.port, text)
    with contextlib.closing(shop.connect()) as connection:
        assert contents(connection) == before
    assert dump(shop.port, "shop").splitlines()[5:-3] == text.splitlines()[5:-3]


def test_dump_of_mariadb_loads_with_the_same_rows(cluster, mariadb_port):
    peer = pymysql.connect(host="127.0.0.1", port=mariadb_port, user="root", autocommit=True)
    with contextlib.closing(peer), peer.cursor() as cursor:
        for statement in SCHEMA:
            cursor.execute(statement)
        expected = contents(peer)
        writer = cluster.writer()
        text = dump(mariadb_port, "shop")
        cursor.execute("DROP DATABASE shop")
    restore(writer.port, text)
    with contextlib.closing(writer.connect()) as connection:
        assert contents(connection) == expected


def test_first_auto_increment_value_of_a_table_without_rows_is_shown_and_kept(cluster):
    writer = cluster.writer()
    writer.execute("CREATE DATABASE d", "CREATE TABLE d.t (id INT AUTO_INCREMENT PRIMARY KEY) AUTO_INCREMENT = 7")
    shown = writer.query("SHOW CREATE TABLE d.t")[0][1]
    assert "AUTO_INCREMENT=7" in shown
    (value,), = writer.query("SELECT auto_increment FROM information_schema.tables WHERE table_schema = 'd'")
    assert value == 7
    writer.execute("DROP TABLE d.t", shown, "INSERT INTO t VALUES (), ()", database="d")
    assert writer.query("SELECT id FROM d.t ORDER BY id") == ((7,), (8,))
    writer.execute("TRUNCATE d.t")
    assert "AUTO_INCREMENT=" not in writer.query("SHOW CREATE TABLE d.t")[0][1]
    writer.execute("INSERT INTO d.t VALUES ()")
    assert writer.query("SELECT id FROM d.t") == ((1,),)
