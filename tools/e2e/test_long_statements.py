"""Statements that are too long for the thread that serves other clients."""

import contextlib
import hashlib
import threading

import pymysql
import pytest

import harness

ROWS = 40_000


@pytest.fixture
def writer(cluster):
    node = cluster.writer()
    node.execute("CREATE DATABASE app", "CREATE TABLE app.t (id INT PRIMARY KEY, k INT, v VARCHAR(60), KEY (k))")
    with contextlib.closing(node.connect(database="app")) as connection, connection.cursor() as cursor:
        for start in range(0, ROWS, 10_000):
            rows = [(i, i % 1000, hashlib.md5(str(i).encode()).hexdigest()) for i in range(start, start + 10_000)]
            cursor.executemany("INSERT INTO t VALUES (%s, %s, %s)", rows)
    return node


def moved(node):
    return int(node.query("SHOW GLOBAL STATUS LIKE 'Aquifer_long_statements'")[0][1])


def test_long_query_moves_and_gives_the_same_rows(writer, cluster):
    reader = cluster.reader()
    lsn = writer.visible_lsn()
    harness.wait_until(lambda: reader.visible_lsn() >= lsn, 30, "the rows on the reader")
    expected = sorted(hashlib.md5(str(i).encode()).hexdigest() for i in range(ROWS))
    for node in writer, reader:
        before = moved(node)
        assert node.query("SELECT COUNT(*), SUM(id) FROM app.t WHERE v <> ''") == ((ROWS, ROWS * (ROWS - 1) // 2),)
        assert moved(node) == before + 1
        # Rows that went out before the move are not sent again, and none is left out.
        assert sorted(row[0] for row in node.query("SELECT id FROM app.t")) == list(range(ROWS))
        assert [row[0] for row in node.query("SELECT v FROM app.t ORDER BY v")] == expected
        assert node.query("SELECT id FROM app.t ORDER BY id LIMIT 30000, 2") == ((30000,), (30001,))
        assert moved(node) == before + 4
        assert node.query("SELECT v FROM app.t WHERE id = 7") == ((hashlib.md5(b"7").hexdigest(),),)
        assert moved(node) == before + 4


def test_long_query_sees_its_transactions_writes_and_snapshot(writer):
    with contextlib.closing(writer.connect(database="app")) as connection, connection.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT v FROM t WHERE id = 1")
        cursor.execute("UPDATE t SET v = 'mine' WHERE id = 20000")
        cursor.execute("DELETE FROM t WHERE id = 20001")
        cursor.execute("INSERT INTO t VALUES (1000000, 0, 'mine')")
        writer.execute("INSERT INTO app.t VALUES (2000000, 0, 'mine')")
        before = moved(writer)
        cursor.execute("SELECT id FROM t WHERE v = 'mine'")
        assert cursor.fetchall() == ((20000,), (1000000,))
        cursor.execute("SELECT COUNT(*) FROM t WHERE v <> ''")
        assert cursor.fetchall() == ((ROWS,),)
        assert moved(writer) == before + 2
        cursor.execute("ROLLBACK")
        cursor.execute("SELECT COUNT(*) FROM t WHERE v <> ''")
        assert cursor.fetchall() == ((ROWS + 1,),)


def test_error_in_the_middle_of_a_long_query_reaches_the_client(writer):
    with contextlib.closing(writer.connect(database="app")) as connection, connection.cursor() as cursor:
        with pytest.raises(pymysql.err.MySQLError) as raised:
            cursor.execute("SELECT id, (SELECT k FROM t AS u WHERE u.id >= 35000 + 0 * t.id "
                           "AND u.id <= IF(t.id < 30000, 35000, 35001)) FROM t")
        assert raised.value.args[0] == 1242
        cursor.execute("SELECT 1")
        assert cursor.fetchall() == ((1,),)


def test_long_query_can_be_killed_and_others_go_on(writer):
    with contextlib.closing(writer.connect(database="app")) as connection:
        failed = []

        def run():
            try:
                with connection.cursor() as cursor:
                    cursor.execute("SELECT COUNT(*) FROM t AS a JOIN t AS b ON a.k <> b.k + 1000")
            except pymysql.err.MySQLError as error:
                failed.append(error.args[0])
        thread = threading.Thread(target=run)
        before = moved(writer)
        thread.start()
        harness.wait_until(lambda: moved(writer) > before, 30, "the move")
        assert writer.query("SELECT k FROM app.t WHERE id = 5") == ((5,),)
        writer.execute(f"KILL QUERY {connection.thread_id()}")
        thread.join(30)
        assert failed == [1317]
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            assert cursor.fetchall() == ((1,),)


def test_node_stops_while_a_long_query_runs(writer):
    connection = writer.connect(database="app")
    before = moved(writer)
    connection._execute_command(3, "SELECT COUNT(*) FROM t AS a JOIN t AS b ON a.k <> b.k + 1000")
    harness.wait_until(lambda: moved(writer) > before, 30, "the move")
    assert writer.stop() == 0
    connection._force_close()


def test_sizes_and_counters_are_told(writer):
    rows, data, index = writer.query("SELECT table_rows, data_length, index_length FROM information_schema.tables "
                                     "WHERE table_schema = 'app' AND table_name = 't'")[0]
    assert ROWS // 2 <= rows <= 2 * ROWS
    assert data > ROWS * 30 and index > ROWS
    writer.execute("CREATE TABLE app.n (id INT AUTO_INCREMENT PRIMARY KEY)", "INSERT INTO app.n VALUES (NULL), (NULL)")
    assert "AUTO_INCREMENT=3 " in writer.query("SHOW CREATE TABLE app.n")[0][1]
