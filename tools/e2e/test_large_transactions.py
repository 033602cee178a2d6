"""Transactions larger than memory may hold: atomic, undone in parts and as a whole, and no burden on others."""

import contextlib
import random
import re
import subprocess
import threading
import time

import pymysql
import pytest

import harness

PAD = "x" * 200
# A transaction keeps a quarter of this in memory.
SMALL = ["--memtable-bytes", str(1 << 20)]
ROWS = 20_000


def columns(start, count, mark):
    return ["(%d, %d, '%s-%d', '%s')" % (n, n * 7919 % 1_000_003, mark, n, PAD) for n in range(start, start + count)]


def insert(cursor, start, count, mark="a"):
    for first in range(start, start + count, 1000):
        rows = columns(first, min(1000, start + count - first), mark)
        cursor.execute("INSERT INTO d.t VALUES " + ", ".join(rows))


def summary(node_or_cursor):
    sql = "SELECT COUNT(*), SUM(n), BIT_XOR(CRC32(CONCAT(id, mark))) FROM d.t"
    if hasattr(node_or_cursor, "query"):
        return node_or_cursor.query(sql)
    node_or_cursor.execute(sql)
    return node_or_cursor.fetchall()


def count_by_index(node):
    return node.query("SELECT COUNT(*), SUM(id) FROM d.t FORCE INDEX (by_n) WHERE n >= 0")


@pytest.fixture
def writer(cluster):
    writer = cluster.writer(arguments=SMALL)
    writer.execute(
        "CREATE DATABASE d",
        "CREATE TABLE d.t (id INT PRIMARY KEY, n INT NOT NULL, mark VARCHAR(40) NOT NULL, pad VARCHAR(300) NOT NULL, "
        "UNIQUE KEY by_mark (mark), KEY by_n (n))",
        "CREATE TABLE d.other (id INT PRIMARY KEY, n INT NOT NULL)",
        "INSERT INTO d.other VALUES (1, 0)",
    )
    return writer


@contextlib.contextmanager
def session(node):
    with contextlib.closing(node.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("SET autocommit = 0")
        yield connection, cursor


def test_transaction_sees_its_own_writes_and_others_see_them_at_once(cluster, writer):
    reader = cluster.reader()
    with session(writer) as (connection, cursor):
        insert(cursor, 0, ROWS)
        cursor.execute("UPDATE d.t SET mark = CONCAT('b-', id) WHERE id % 3 = 0")
        cursor.execute("DELETE FROM d.t WHERE id % 5 = 0")
        left = [n for n in range(ROWS) if n % 5]
        cursor.execute("SELECT id, mark FROM d.t ORDER BY id LIMIT 100")
        assert [row[0] for row in cursor.fetchall()] == left[:100]
        cursor.execute("SELECT id FROM d.t ORDER BY id DESC LIMIT 100")
        assert [row[0] for row in cursor.fetchall()] == left[::-1][:100]
        cursor.execute("SELECT mark FROM d.t WHERE id IN (3, 4, 5)")
        assert cursor.fetchall() == (("b-3",), ("a-4",))
        cursor.execute("SELECT COUNT(*) FROM d.t FORCE INDEX (by_n) WHERE n >= 0")
        assert cursor.fetchall() == ((len(left),),)
        with pytest.raises(pymysql.err.IntegrityError) as refused:
            cursor.execute("INSERT INTO d.t VALUES (%d, 1, 'a-4', '')" % ROWS)
        assert refused.value.args == (1062, "Duplicate entry 'a-4' for key 't.by_mark'")
        own = summary(cursor)
        assert own[0][0] == len(left)
        for node in (writer, reader):
            assert summary(node)[0][0] == 0
        connection.commit()
    assert summary(writer) == own
    harness.wait_until(lambda: summary(reader)[0][0], 20, "the transaction on the reader")
    assert summary(reader) == own
    assert count_by_index(writer) == count_by_index(reader) == ((len(left), sum(left)),)
    writer.kill()
    writer = cluster.writer(arguments=SMALL)
    assert summary(writer) == own
    assert writer.stop() == 0
    cluster.delete_local("writer")
    writer = cluster.writer(arguments=SMALL)
    assert summary(writer) == own
    assert count_by_index(writer) == ((len(left), sum(left)),)


def test_statement_and_savepoint_are_undone_as_if_all_was_in_memory(writer):
    with session(writer) as (connection, cursor):
        insert(cursor, 0, 5000)
        cursor.execute("SAVEPOINT one")
        one = summary(cursor)
        cursor.execute("UPDATE d.t SET mark = CONCAT('c-', id), pad = REPEAT('y', 200)")
        insert(cursor, 5000, 3000)
        cursor.execute("SAVEPOINT two")
        two = summary(cursor)
        cursor.execute("INSERT INTO d.other SELECT id + 10, n FROM d.t")
        # Fails at its last row, long after it has begun to spill.
        with pytest.raises(pymysql.err.IntegrityError):
            cursor.execute("INSERT INTO d.t SELECT IF(id = 7999, 1, id + 20000), n, CONCAT('d-', id), pad FROM d.t")
        assert summary(cursor) == two
        cursor.execute("SELECT COUNT(*) FROM d.other")
        assert cursor.fetchall() == ((8001,),)
        cursor.execute("DELETE FROM d.t WHERE id < 4000")
        cursor.execute("ROLLBACK TO two")
        assert summary(cursor) == two
        cursor.execute("ROLLBACK TO one")
        assert summary(cursor) == one
        insert(cursor, 10_000, 3000, "e")
        cursor.execute("ROLLBACK TO one")
        assert summary(cursor) == one
        insert(cursor, 20_000, 3000, "f")
        end = summary(cursor)
        connection.commit()
    assert summary(writer) == end
    assert writer.query("SELECT COUNT(*) FROM d.other") == ((1,),)


def test_rollback_and_crash_leave_no_trace(cluster, writer):
    with session(writer) as (connection, cursor):
        insert(cursor, 0, ROWS)
        connection.rollback()
        insert(cursor, 0, 1000)
        connection.commit()
        before = summary(writer)
        insert(cursor, 1000, ROWS)
        writer.kill()
    writer = cluster.writer(arguments=SMALL)
    assert summary(writer) == before
    assert count_by_index(writer) == ((1000, 499_500),)
    # The keys are free.
    with session(writer) as (connection, cursor):
        insert(cursor, 1000, 2000, "z")
        connection.commit()
    assert summary(writer)[0][0] == 3000


def test_commit_that_is_in_the_log_only_survives(cluster):
    writer = cluster.writer(arguments=[*SMALL, "--publish-interval-ms", "60000"])
    writer.execute("CREATE DATABASE d", "CREATE TABLE d.t (id INT PRIMARY KEY, n INT, mark VARCHAR(40), pad VARCHAR(300))")
    with session(writer) as (connection, cursor):
        insert(cursor, 0, 5000)
        own = summary(cursor)
        connection.commit()
    writer.execute("UPDATE d.t SET mark = 'later' WHERE id = 4999")
    writer.kill()
    writer = cluster.writer(arguments=SMALL)
    assert writer.query("SELECT COUNT(*), SUM(n) FROM d.t") == ((own[0][0], own[0][1]),)
    assert writer.query("SELECT id FROM d.t WHERE mark = 'later'") == ((4999,),)
    writer.wait_published()
    reader = cluster.reader()
    assert summary(reader) == summary(writer)


def test_takeover_brings_it_to_the_rescue_branch(cluster):
    first = cluster.writer("first", arguments=[*SMALL, "--publish-interval-ms", "60000"])
    first.execute("CREATE DATABASE d", "CREATE TABLE d.t (id INT PRIMARY KEY, n INT, mark VARCHAR(40), pad VARCHAR(300))")
    with session(first) as (connection, cursor):
        insert(cursor, 0, 5000)
        own = summary(cursor)
        connection.commit()
    first.kill()
    second = cluster.writer("second")
    second.execute("CREATE DATABASE newer")
    assert second.stop() == 0
    again = cluster.writer("first")
    branch = re.search(r"rescue branch ([a-z0-9_-]+)", again.output()).group(1)
    reader = cluster.reader("rescue", arguments=["--branch", branch])
    assert summary(reader) == own


def test_others_wait_for_its_rows_only(writer):
    writer.execute("SET GLOBAL innodb_lock_wait_timeout = 1")
    with session(writer) as (connection, cursor):
        insert(cursor, 0, 10_000)
        # What is in tables is locked as what is in memory.
        for key in (5, 9_995):
            for statement in (
                "INSERT INTO d.t VALUES (%d, 1, 'other', '')" % key,
                "INSERT INTO d.t VALUES (%d, 1, 'a-%d', '')" % (key + 50_000, key),
                "SELECT * FROM d.t WHERE id = %d FOR SHARE" % key,
            ):
                with pytest.raises(pymysql.err.OperationalError) as refused:
                    writer.execute(statement)
                assert refused.value.args[0] == 1205, statement
            with pytest.raises(pymysql.err.OperationalError) as refused:
                writer.query("SELECT * FROM d.t WHERE id = %d FOR UPDATE NOWAIT" % key)
            assert refused.value.args[0] == 3572
            assert writer.query("SELECT * FROM d.t WHERE id = %d FOR UPDATE SKIP LOCKED" % key) == ()
        writer.execute("INSERT INTO d.t VALUES (60000, 1, 'mine', '')", "UPDATE d.other SET n = n + 1")
        found = []
        waiting = threading.Thread(target=lambda: found.append(waits(writer)))
        waiting.start()
        time.sleep(0.5)
        assert not found
        connection.commit()
        waiting.join(30)
    assert found == [(("a-7",),)]
    assert writer.query("SELECT n FROM d.other") == ((1,),)


def waits(node):
    with contextlib.closing(node.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("SET innodb_lock_wait_timeout = 30")
        cursor.execute("SELECT mark FROM d.t WHERE id = 7 FOR UPDATE")
        return cursor.fetchall()


ACCOUNTS = 2_000


class Bank:
    """Large and small transactions that move money between the same accounts until they are stopped."""

    def __init__(self, node):
        self.port = node.port
        self.committed = {"large": 0, "small": 0}
        self.failures = []
        self._stop = threading.Event()
        kinds = ["large", "large", "small", "small", "small", "small"]
        self._threads = [threading.Thread(target=self._work, args=(n, kind), daemon=True) for n, kind in enumerate(kinds)]
        for thread in self._threads:
            thread.start()

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join(120)
        assert not self.failures, self.failures[:3]

    def _work(self, number, kind):
        pick = random.Random(number)
        while not self._stop.is_set():
            try:
                with contextlib.closing(
                    pymysql.connect(host="127.0.0.1", port=self.port, user="root", read_timeout=60)
                ) as connection, connection.cursor() as cursor:
                    while not self._stop.is_set():
                        self._transfer(connection, cursor, kind, pick)
            except pymysql.err.MySQLError as error:
                # The server was killed, or this one gave way or has waited too long.
                if error.args[0] not in (0, 1053, 1205, 1213, 2003, 2006, 2013):
                    self.failures.append(error)
                    return
                self._stop.wait(0.05)
            except OSError:
                self._stop.wait(0.05)

    def _transfer(self, connection, cursor, kind, pick):
        half = ACCOUNTS // 2
        start, count = (0, half) if kind == "large" else (pick.randrange(half), 1)
        pad = pick.choice("abc")
        ends = [(start, start + count, -1), (half + start, half + start + count, 1)]
        for least, end, amount in ends if pick.random() < 0.5 else ends[::-1]:
            cursor.execute(
                "UPDATE d.account SET balance = balance + %s, pad = REPEAT(%s, 250) WHERE id >= %s AND id < %s",
                (amount, pad, least, end),
            )
        if kind == "large" and pick.random() < 0.3:
            cursor.execute("SAVEPOINT s")
            cursor.execute("UPDATE d.account SET balance = balance + 5, pad = REPEAT('z', 250)")
            cursor.execute("ROLLBACK TO s")
        if pick.random() < 0.1:
            connection.rollback()
            return
        connection.commit()
        self.committed[kind] += 1


def total(node):
    first = node.query("SELECT COUNT(*), SUM(balance) FROM d.account")[0]
    second = node.query("SELECT COUNT(*), SUM(balance) FROM d.account FORCE INDEX (by_balance) WHERE balance > -1000000000")[0]
    return first, second


def test_money_stays_under_large_and_small_transactions_and_kills(cluster):
    # A transaction keeps 64 KiB in memory.
    arguments = ["--memtable-bytes", str(256 << 10)]
    writer = cluster.writer(arguments=arguments)
    writer.execute(
        "SET GLOBAL innodb_lock_wait_timeout = 5", "CREATE DATABASE d",
        "CREATE TABLE d.account (id INT PRIMARY KEY, balance BIGINT NOT NULL, pad VARCHAR(300) NOT NULL, KEY by_balance (balance))",
        "INSERT INTO d.account VALUES " + ", ".join("(%d, 1000, '')" % n for n in range(ACCOUNTS)),
    )
    reader = cluster.reader()
    harness.wait_until(lambda: reader.query("SHOW DATABASES LIKE 'd'"), 20, "the table on the reader")
    expected = (ACCOUNTS, ACCOUNTS * 1000)
    bank = Bank(writer)
    for kill in range(3):
        deadline = time.monotonic() + 6
        while time.monotonic() < deadline:
            for node in (writer, reader):
                assert total(node) == (expected, expected), node.name
        writer.kill()
        writer = cluster.writer(arguments=arguments, port=bank.port)
        assert total(writer) == (expected, expected), "after kill %d" % kill
    bank.stop()
    assert total(writer) == (expected, expected)
    assert min(bank.committed.values()) >= 10, bank.committed
    print(bank.committed)
    writer.wait_published()
    harness.wait_until(lambda: reader.visible_lsn() == writer.visible_lsn(), 20, "the reader at the writer's LSN")
    assert total(reader) == (expected, expected)
    assert writer.stop() == 0
    verified = subprocess.run([harness.BINARY, "verify", "--store", cluster.store], capture_output=True, text=True, timeout=300)
    assert verified.returncode == 0, verified.stdout + verified.stderr
