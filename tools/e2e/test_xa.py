"""XA: prepared transactions belong to nobody, keep their locks, and survive crashes and the loss of the local disk."""

import contextlib
import threading

import pymysql
import pytest

import harness


@pytest.fixture
def writer(cluster):
    writer = cluster.writer()
    writer.execute(
        "CREATE DATABASE d",
        "CREATE TABLE d.t (id INT PRIMARY KEY, n INT NOT NULL, UNIQUE KEY by_n (n))",
        "INSERT INTO d.t VALUES (1, 10), (2, 20)",
        "SET GLOBAL innodb_lock_wait_timeout = 1",
        "SET GLOBAL lock_wait_timeout = 1",
    )
    return writer


def code(node, statement):
    try:
        node.execute(statement)
    except pymysql.err.MySQLError as error:
        return error.args[0]
    return 0


def prepare(node, xid, *statements):
    node.execute("XA START %s" % xid, *statements, "XA END %s" % xid, "XA PREPARE %s" % xid)


def rows(node):
    return node.query("SELECT id, n FROM d.t ORDER BY id")


def test_prepared_transaction_is_ended_by_another_session(cluster, writer):
    reader = cluster.reader()
    with contextlib.closing(writer.connect()) as connection, connection.cursor() as cursor:
        for statement in ("XA START 'g', 'b', 7", "INSERT INTO d.t VALUES (3, 30)", "UPDATE d.t SET n = 11 WHERE id = 1",
                          "XA END 'g', 'b', 7", "XA PREPARE 'g', 'b', 7"):
            cursor.execute(statement)
        # The session is free for something else.
        cursor.execute("UPDATE d.t SET n = 21 WHERE id = 2")
        cursor.execute("XA START 'other'")
        cursor.execute("SELECT id, n FROM d.t ORDER BY id")
        assert cursor.fetchall() == ((1, 10), (2, 21))
        cursor.execute("XA END 'other'")
        cursor.execute("XA COMMIT 'other' ONE PHASE")
    assert writer.query("XA RECOVER") == ((7, 1, 1, "gb"),)
    assert writer.query("XA RECOVER CONVERT XID") == ((7, 1, 1, "0x6762"),)
    assert code(writer, "UPDATE d.t SET n = 12 WHERE id = 1") == 1205
    assert code(writer, "INSERT INTO d.t VALUES (9, 30)") == 1205
    assert code(writer, "ALTER TABLE d.t ADD COLUMN x INT") == 1205
    assert code(writer, "XA COMMIT 'g', 'b'") == 1397
    writer.execute("XA COMMIT 'g', 'b', 7")
    assert writer.query("XA RECOVER") == ()
    assert rows(writer) == ((1, 11), (2, 21), (3, 30))
    harness.wait_until(lambda: rows(reader) == rows(writer), 20, "the rows on the reader")
    writer.execute("ALTER TABLE d.t ADD COLUMN x INT", "ALTER TABLE d.t DROP COLUMN x")
    prepare(writer, "'g2'", "DELETE FROM d.t")
    assert code(writer, "INSERT INTO d.t VALUES (1, 1)") == 1205
    writer.execute("XA ROLLBACK 'g2'", "UPDATE d.t SET n = n + 1")
    assert rows(writer) == ((1, 12), (2, 22), (3, 31))
    assert code(reader, "XA START 'here'") == 1290
    assert reader.query("XA RECOVER") == ()


@pytest.mark.parametrize("loses_disk", [False, True])
def test_prepared_transactions_survive(cluster, writer, loses_disk):
    prepare(writer, "'one'", "INSERT INTO d.t VALUES (3, 30)", "UPDATE d.t SET n = 11 WHERE id = 1")
    prepare(writer, "'two'", "INSERT INTO d.t VALUES (4, 40)", "DELETE FROM d.t WHERE id = 2")
    writer.execute("XA START 'lost'", "INSERT INTO d.t VALUES (5, 50)", "XA END 'lost'")
    if loses_disk:
        writer.wait_published()
    writer.kill()
    if loses_disk:
        cluster.delete_local("writer")
    writer = cluster.writer()
    writer.execute("SET GLOBAL innodb_lock_wait_timeout = 1", "SET GLOBAL lock_wait_timeout = 1")
    assert "2 prepared transactions" in writer.output()
    assert writer.query("XA RECOVER") == ((1, 3, 0, "one"), (1, 3, 0, "two"))
    assert rows(writer) == ((1, 10), (2, 20))
    for statement in ("UPDATE d.t SET n = 12 WHERE id = 1", "INSERT INTO d.t VALUES (3, 1)", "INSERT INTO d.t VALUES (9, 40)",
                      "SELECT * FROM d.t WHERE id = 2 FOR SHARE", "ALTER TABLE d.t ADD COLUMN x INT",
                      "SELECT * FROM d.t WHERE id > 2 FOR UPDATE"):
        assert code(writer, statement) == 1205, statement
    assert code(writer, "XA START 'one'") == 1440
    writer.execute("INSERT INTO d.t VALUES (5, 50)", "XA COMMIT 'one'")
    assert rows(writer) == ((1, 11), (2, 20), (3, 30), (5, 50))
    # Ended once: the second start finds one only.
    assert writer.stop() == 0
    writer = cluster.writer()
    assert writer.query("XA RECOVER") == ((1, 3, 0, "two"),)
    writer.execute("XA ROLLBACK 'two'", "UPDATE d.t SET n = n + 1", "ALTER TABLE d.t ADD COLUMN x INT")
    assert rows(writer) == ((1, 12), (2, 21), (3, 31), (5, 51))
    writer.kill()
    assert rows(cluster.writer()) == ((1, 12), (2, 21), (3, 31), (5, 51))


# Statements of one session and the error that each gives; `None`: whatever MariaDB gives.
STATES = [
    ("XA END 'a'", None), ("XA PREPARE 'a'", None), ("XA COMMIT 'a'", 1397), ("XA ROLLBACK 'a'", 1397),
    ("XA START 'a'", 0), ("XA START 'b'", 1399), ("BEGIN", 1399), ("COMMIT", 1399), ("ROLLBACK", 1399),
    ("CREATE TABLE d.x (id INT PRIMARY KEY)", 1399), ("INSERT INTO d.t VALUES (7, 70)", 0),
    ("SAVEPOINT s", 0), ("INSERT INTO d.t VALUES (8, 80)", 0), ("ROLLBACK TO s", 0),
    ("XA PREPARE 'a'", 1399), ("XA COMMIT 'a' ONE PHASE", 1399), ("XA ROLLBACK 'a'", 1399), ("XA END 'b'", 1397),
    ("XA END 'a'", 0), ("XA END 'a'", 1399), ("SELECT * FROM d.t", 1399), ("INSERT INTO d.t VALUES (9, 90)", 1399),
    ("XA COMMIT 'a'", 1399), ("XA START 'a'", 1399), ("XA COMMIT 'a' ONE PHASE", 0),
    ("XA START 'a'", 0), ("XA END 'a'", 0), ("XA ROLLBACK 'a'", 0),
    ("BEGIN", 0), ("XA START 'a'", 1400), ("COMMIT", 0),
    ("XA START 'a' JOIN", 1398), ("XA START '%s'" % ("x" * 65), 1064), ("XA START X'6162', '', 3", 0), ("XA END 'ab', '', 3", 0),
    ("XA ROLLBACK 0x6162, '', 3", 0),
]


def test_states_are_those_of_mariadb(writer, tmp_path):
    with harness.mariadb(tmp_path) as port, contextlib.closing(writer.connect()) as own, contextlib.closing(
        pymysql.connect(host="127.0.0.1", port=port, user="root", autocommit=True)
    ) as other:
        with other.cursor() as cursor:
            cursor.execute("CREATE DATABASE d")
            cursor.execute("CREATE TABLE d.t (id INT PRIMARY KEY, n INT NOT NULL, UNIQUE KEY by_n (n))")
        for statement, expected in STATES:
            found = []
            for connection in (own, other):
                with connection.cursor() as cursor:
                    try:
                        cursor.execute(statement)
                        found.append((0, ""))
                    except pymysql.err.MySQLError as error:
                        found.append(error.args)
            assert found[0] == found[1] or expected == 1064 == found[0][0] == found[1][0], (statement, found)
            assert expected is None or found[0][0] == expected, (statement, found)
    assert rows(writer) == ((1, 10), (2, 20), (7, 70))


def test_deadlock_leaves_a_branch_that_can_only_be_rolled_back(writer):
    with contextlib.closing(writer.connect()) as first, contextlib.closing(writer.connect()) as second:
        with first.cursor() as a, second.cursor() as b:
            for cursor, key in ((a, 1), (b, 2)):
                cursor.execute("SET innodb_lock_wait_timeout = 20")
                cursor.execute("XA START 'x%d'" % key)
                cursor.execute("UPDATE d.t SET n = n + 100 WHERE id = %d" % key)
            a.execute("INSERT INTO d.t VALUES (50, 500), (51, 510), (52, 520)")
            waiting = threading.Thread(target=lambda: a.execute("UPDATE d.t SET n = n + 100 WHERE id = 2"), daemon=True)
            waiting.start()
            harness.wait_until(lambda: writer.query("SELECT 1 FROM performance_schema.data_lock_waits"), 10, "the wait")
            with pytest.raises(pymysql.err.OperationalError) as refused:
                b.execute("UPDATE d.t SET n = n + 100 WHERE id = 1")
            waiting.join(20)
            assert refused.value.args[0] == 1213
            for statement, expected in (("SELECT * FROM d.t", 1399), ("XA END 'x2'", 1614), ("XA PREPARE 'x2'", 1399)):
                with pytest.raises(pymysql.err.MySQLError) as refused:
                    b.execute(statement)
                assert refused.value.args[0] == expected, statement
            b.execute("XA ROLLBACK 'x2'")
            a.execute("XA END 'x1'")
            a.execute("XA COMMIT 'x1' ONE PHASE")
    assert rows(writer)[:2] == ((1, 110), (2, 120))
