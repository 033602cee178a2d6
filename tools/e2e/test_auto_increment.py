"""AUTO_INCREMENT values: the settings of sessions as MariaDB has them, and who waits for whom."""

import contextlib
import threading

import pymysql
import pytest

import harness

SCRIPT = (
    "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, v INT)",
    "INSERT INTO t (v) VALUES (1), (2)",
    "SET auto_increment_increment = 10",
    "INSERT INTO t (v) VALUES (3), (4), (5)",
    "SELECT LAST_INSERT_ID()",
    "SET auto_increment_offset = 3",
    "INSERT INTO t (v) VALUES (6)",
    "INSERT INTO t (v) VALUES (7), (8)",
    "INSERT INTO t VALUES (77, 9)",
    "INSERT INTO t (v) VALUES (10)",
    "INSERT INTO t (v) SELECT v + 100 FROM t WHERE v < 4 ORDER BY v",
    "SET auto_increment_increment = 5, auto_increment_offset = 2",
    "INSERT INTO t (v) VALUES (13), (14)",
    "SET auto_increment_increment = 1, auto_increment_offset = 1",
    "INSERT INTO t (v) VALUES (15)",
    "SET insert_id = 1000",
    "INSERT INTO t (v) VALUES (16)",
    "SELECT LAST_INSERT_ID()",
    "INSERT INTO t (v) VALUES (17)",
    "SET insert_id = 500",
    "INSERT INTO t (v) VALUES (18)",
    "INSERT INTO t (v) VALUES (19)",
    "SELECT id, v FROM t ORDER BY v",
)


def answers(port):
    found = []
    with contextlib.closing(pymysql.connect(host="127.0.0.1", port=port, user="root", autocommit=True)) as connection:
        with connection.cursor() as cursor:
            cursor.execute("CREATE DATABASE numbering")
            cursor.execute("USE numbering")
            for sql in SCRIPT:
                try:
                    cursor.execute(sql)
                    found.append((sql, cursor.rowcount, cursor.lastrowid, cursor.fetchall()))
                except pymysql.MySQLError as error:
                    found.append((sql, error.args[0]))
    return found


def test_increment_offset_and_insert_id_are_obeyed(cluster, mariadb_port):
    assert answers(cluster.writer().port) == answers(mariadb_port)


@pytest.mark.parametrize("mode", [0, 1, 2])
def test_innodb_autoinc_lock_mode_says_who_waits(cluster, mode):
    """An INSERT … SELECT that stands still after its first values: do others get values meanwhile?"""
    writer = cluster.writer()
    writer.execute(
        f"SET GLOBAL innodb_autoinc_lock_mode = {mode}", "SET cte_max_recursion_depth = 5000", "CREATE DATABASE app",
        "CREATE TABLE app.t (id INT AUTO_INCREMENT PRIMARY KEY, v INT UNIQUE)", "CREATE TABLE app.s (v INT PRIMARY KEY)",
        "INSERT INTO app.s WITH RECURSIVE n (v) AS (SELECT 1 UNION ALL SELECT v + 1 FROM n WHERE v < 3000) SELECT v FROM n",
    )
    holder, other = writer.connect(), writer.connect()
    holder.cursor().execute("BEGIN")
    holder.cursor().execute("INSERT INTO app.t VALUES (100000, 2500)")
    copying = threading.Thread(target=writer.execute, args=("INSERT IGNORE INTO app.t (v) SELECT v FROM app.s ORDER BY v",))
    copying.start()
    harness.wait_until(lambda: writer.query("SELECT * FROM performance_schema.data_lock_waits"), 60, "the wait for v = 2500")

    inserting = threading.Thread(target=other.cursor().execute, args=("INSERT INTO app.t (v) VALUES (-1), (-2)",))
    inserting.start()
    if mode == 2:
        inserting.join(60)
        assert not inserting.is_alive(), "in mode 2 nobody waits"
    else:
        harness.wait_until(
            lambda: len(writer.query("SELECT * FROM performance_schema.data_lock_waits")) == 2, 60, "the second wait")
    holder.cursor().execute("ROLLBACK")
    copying.join(60)
    inserting.join(60)
    (copied, first, last), = writer.query("SELECT COUNT(*), MIN(id), MAX(id) FROM app.t WHERE v > 0")
    between = writer.query(f"SELECT COUNT(*) FROM app.t WHERE v < 0 AND id BETWEEN {first} AND {last}")
    assert copied == 3000
    assert between == ((2 if mode == 2 else 0,),)
    if mode != 2:
        assert last - first == 2999, "the values of one statement follow each other"
