"""The drivers run one script on Aquifer and on MariaDB and must get the same, value by value, type by type."""

import contextlib
import datetime
import decimal
import subprocess

import MySQLdb
import mysql.connector
import pymysql
import pytest
import sqlalchemy

import harness

SCRIPT_SETUP = [
    "DROP DATABASE IF EXISTS shared_script",
    "CREATE DATABASE shared_script CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
    "USE shared_script",
    """CREATE TABLE kinds (
        id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, ti TINYINT, si SMALLINT UNSIGNED, mi MEDIUMINT, bi BIGINT,
        ub BIGINT UNSIGNED, fl FLOAT, db DOUBLE, de DECIMAL(20,6), ch CHAR(10), vc VARCHAR(100), tx TEXT, bl BLOB,
        vb VARBINARY(20), da DATE, dt DATETIME(6), ts TIMESTAMP NULL, tm TIME, ye YEAR, bo BOOL,
        KEY by_si (si), UNIQUE KEY by_vc (vc))""",
    "CREATE TABLE orders (id INT PRIMARY KEY, kind INT, amount DECIMAL(10,2), KEY (kind))",
]

SCRIPT = [
    "INSERT INTO kinds (ti, si, mi, bi, ub, fl, db, de, ch, vc, tx, bl, vb, da, dt, ts, tm, ye, bo) VALUES "
    "(-128, 65535, -8388608, -9223372036854775808, 18446744073709551615, 1.5, 2.25, 12345678901234.567891, 'char', "
    "'varchar', 'text', x'00ff10', x'0102', '2024-02-29', '2024-02-29 23:59:59.123456', '2024-01-01 00:00:00', "
    "'-12:34:56', 2024, TRUE)",
    "INSERT INTO kinds (ti, vc) VALUES (1, 'zwei'), (2, 'drei'), (NULL, NULL)",
    "INSERT INTO orders VALUES (1, 1, 10.50), (2, 1, 20.25), (3, 2, 5.00), (4, NULL, 1.00)",
    "SELECT * FROM kinds ORDER BY id",
    "SELECT id, ti FROM kinds WHERE id = 2",
    "SELECT id FROM kinds WHERE id BETWEEN 2 AND 3 ORDER BY id DESC",
    "SELECT id, vc FROM kinds WHERE vc = 'zwei'",
    "SELECT COUNT(*), COUNT(ti), SUM(ti), MIN(ti), MAX(ti), AVG(ti) FROM kinds",
    "SELECT DISTINCT kind FROM orders ORDER BY kind",
    "SELECT kind, SUM(amount) AS total FROM orders GROUP BY kind ORDER BY total DESC",
    "SELECT k.id, o.id, o.amount FROM kinds k JOIN orders o ON o.kind = k.id ORDER BY o.id",
    "SELECT k.id, o.id FROM kinds k LEFT JOIN orders o ON o.kind = k.id ORDER BY k.id, o.id",
    "SELECT id FROM orders ORDER BY amount DESC LIMIT 2",
    "SELECT id FROM orders ORDER BY id LIMIT 1, 2",
    "UPDATE orders SET amount = amount + 1 WHERE kind = 1",
    "UPDATE orders SET amount = amount WHERE kind = 1",
    "SELECT id, amount FROM orders ORDER BY id",
    "DELETE FROM orders WHERE id = 3",
    "SELECT COUNT(*) FROM orders",
    "SELECT 1 + 1, 'a', NULL, 1.5, 1e3, TRUE",
    "SELECT CONCAT('a', 1), UPPER('abc'), LENGTH('äb'), CHAR_LENGTH('äb'), COALESCE(NULL, 2), IFNULL(NULL, 'x')",
    "SELECT id FROM kinds WHERE vc LIKE 'z%'",
    "SELECT id FROM kinds WHERE ti IS NULL",
    "SELECT id FROM orders WHERE id IN (1, 4) ORDER BY id",
    "SELECT CASE WHEN id > 2 THEN 'big' ELSE 'small' END AS size FROM orders ORDER BY id",
    "BEGIN",
    "INSERT INTO orders VALUES (10, 1, 1)",
    "ROLLBACK",
    "SELECT COUNT(*) FROM orders",
    "INSERT INTO orders VALUES (1, 1, 1)",
    "INSERT INTO orders VALUES (NULL, 1, 1)",
    "SELECT nope FROM orders",
    "SELECT * FROM nowhere",
    "SELEC 1",
    "INSERT INTO kinds (ti) VALUES (300)",
    "SELECT DATABASE()",
    "SELECT @@autocommit",
    "SHOW TABLES",
    # MySQL 8 answers these names in upper case however they are asked for, MariaDB as they are asked for.
    "SELECT TABLE_NAME, TABLE_TYPE FROM information_schema.tables WHERE table_schema = 'shared_script' ORDER BY 1",
    "SELECT COLUMN_NAME, DATA_TYPE, IS_NULLABLE, COLUMN_KEY FROM information_schema.columns "
    "WHERE table_schema = 'shared_script' AND table_name = 'orders' ORDER BY ordinal_position",
    "TRUNCATE TABLE orders",
    "SELECT COUNT(*) FROM orders",
    "REPLACE INTO orders VALUES (1, 5, 5), (2, 5, 5)",
    "INSERT INTO orders VALUES (1, 6, 6) ON DUPLICATE KEY UPDATE kind = VALUES(kind)",
    "SELECT * FROM orders ORDER BY id",
    "DROP TABLE orders",
]

PARAMETERS = [
    ("INSERT INTO kinds (ti, bi, db, de, vc, bl, da, dt, tm) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
     (7, -5, 2.5, decimal.Decimal("3.140000"), "päram", b"\x00\x01", datetime.date(2020, 1, 2),
      datetime.datetime(2020, 1, 2, 3, 4, 5, 678), datetime.timedelta(hours=5))),
    ("SELECT ti, bi, db, de, vc, bl, da, dt, tm FROM kinds WHERE vc = %s", ("päram",)),
    ("SELECT id FROM kinds WHERE id > %s AND id < %s ORDER BY id LIMIT %s", (1, 4, 2)),
    ("SELECT %s, %s, %s", (None, 1, "x")),
]

# What the wire says of a column differs by design: MariaDB types NULL, TRUE and literals in its own way.
CONNECTORS = {
    "pymysql": lambda port: pymysql.connect(host="127.0.0.1", port=port, user="root", charset="utf8mb4"),
    "mysqlclient": lambda port: MySQLdb.connect(host="127.0.0.1", port=port, user="root", charset="utf8mb4"),
    "connector-python": lambda port: mysql.connector.connect(
        host="127.0.0.1", port=port, user="root", charset="utf8mb4", collation="utf8mb4_general_ci", use_pure=True),
    "connector-python-prepared": lambda port: mysql.connector.connect(
        host="127.0.0.1", port=port, user="root", charset="utf8mb4", collation="utf8mb4_general_ci", use_pure=True),
    "connector-python-compressed": lambda port: mysql.connector.connect(
        host="127.0.0.1", port=port, user="root", charset="utf8mb4", collation="utf8mb4_general_ci", use_pure=True,
        compress=True),
}


def run_script(driver, port):
    with contextlib.closing(CONNECTORS[driver](port)) as connection:
        prepared = driver.endswith("prepared")
        cursor = connection.cursor(prepared=True) if prepared else connection.cursor()
        plain = connection.cursor()
        for statement in SCRIPT_SETUP:
            plain.execute(statement)
        results = [outcome_of(plain, statement, None) for statement in SCRIPT]
        results += [outcome_of(cursor, statement, args) for statement, args in PARAMETERS]
        connection.commit()
        return results


def outcome_of(cursor, statement, args):
    try:
        cursor.execute(statement, args) if args else cursor.execute(statement)
    except Exception as error:  # every driver has its own hierarchy
        code = getattr(error, "errno", None) or (error.args[0] if error.args else None)
        if not isinstance(code, int):
            raise
        return statement, "error", code
    if cursor.description is None:
        return statement, "done", cursor.rowcount, cursor.lastrowid
    columns = [column[0] for column in cursor.description]
    rows = [[(type(value).__name__, normal(value)) for value in row] for row in cursor.fetchall()]
    return statement, columns, rows


def normal(value):
    return bytes(value) if isinstance(value, (bytearray, memoryview)) else value


@pytest.mark.parametrize("driver", list(CONNECTORS))
def test_driver_gets_the_same_as_from_mariadb(cluster, mariadb_port, driver):
    writer = cluster.writer()
    expected = run_script(driver, mariadb_port)
    found = run_script(driver, writer.port)
    differences = [(want, have) for want, have in zip(expected, found) if want != have]
    assert not differences, "\n".join(f"MariaDB {want}\nAquifer {have}" for want, have in differences)


def test_sqlalchemy_engine_creates_reflects_and_queries(cluster):
    writer = cluster.writer()
    writer.execute("CREATE DATABASE app")
    engine = sqlalchemy.create_engine(f"mysql+pymysql://root@127.0.0.1:{writer.port}/app")
    metadata = sqlalchemy.MetaData()
    users = sqlalchemy.Table(
        "users", metadata, sqlalchemy.Column("id", sqlalchemy.Integer, primary_key=True),
        sqlalchemy.Column("name", sqlalchemy.String(50), nullable=False, index=True),
        sqlalchemy.Column("balance", sqlalchemy.Numeric(12, 2), server_default="0.00"),
        sqlalchemy.Column("born", sqlalchemy.DateTime),
    )
    metadata.create_all(engine)
    with engine.begin() as connection:
        result = connection.execute(users.insert().values(name="Ada", balance=decimal.Decimal("1.50")))
        assert result.inserted_primary_key == (1,)
        connection.execute(users.insert(), [{"name": "Bob"}, {"name": "Eve"}])
    with engine.connect() as connection:
        rows = connection.execute(sqlalchemy.select(users.c.name, users.c.balance).order_by(users.c.id)).all()
        assert rows == [("Ada", decimal.Decimal("1.50")), ("Bob", decimal.Decimal("0.00")), ("Eve", decimal.Decimal("0.00"))]
    reflected = sqlalchemy.Table("users", sqlalchemy.MetaData(), autoload_with=engine)
    assert [column.name for column in reflected.columns] == ["id", "name", "balance", "born"]
    assert isinstance(reflected.c.balance.type, sqlalchemy.Numeric) and reflected.c.balance.type.scale == 2
    assert not reflected.c.name.nullable
    assert {index.name for index in reflected.indexes} == {"ix_users_name"}
    assert sqlalchemy.inspect(engine).get_table_names() == ["users"]
    metadata.drop_all(engine)
    engine.dispose()


def test_mariadb_command_line_client_runs_statements(cluster):
    writer = cluster.writer()
    script = ("CREATE DATABASE app; USE app; CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(10)); "
              "INSERT INTO t VALUES (1, 'a'), (2, NULL); SELECT * FROM t; SHOW TABLES; DESCRIBE t;")
    done = subprocess.run(
        ["mariadb", "--no-defaults", "-h", "127.0.0.1", "-P", str(writer.port), "-u", "root", "-t", "-e", script],
        capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "|  2 | NULL |" in done.stdout, done.stdout
    assert "| Tables_in_app |" in done.stdout, done.stdout


@pytest.mark.parametrize("script", [
    "oltp_point_select", "oltp_read_only", "oltp_read_write", "oltp_write_only", "oltp_insert", "oltp_delete",
    "oltp_update_index", "oltp_update_non_index"])
@pytest.mark.parametrize("mode", ["auto", "disable"])
def test_sysbench_script_prepares_runs_and_cleans_up(cluster, script, mode):
    writer = cluster.writer()
    writer.execute("CREATE DATABASE sbtest")
    options = ("--tables=2", "--table-size=1000", "--threads=4", f"--db-ps-mode={mode}")
    for action, extra in (("prepare", ()), ("run", ("--time=2",)), ("cleanup", ())):
        status, output = harness.sysbench(script, action, writer.port, *options, *extra)
        assert status == 0 and "FATAL" not in output, output
    assert writer.query("SHOW TABLES FROM sbtest") == ()
