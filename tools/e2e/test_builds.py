"""Index builds and tables written anew beyond what a transaction may hold: atomic, right, and on the reader too."""

import contextlib
import random
import threading
import time

import pymysql
import pytest

import harness

ROWS = 160_000
PAD = 150


@pytest.fixture
def large(cluster):
    """A writer with a table whose entries are more than a transaction may write."""
    # Small memtables: several parts, which must be merged.
    writer = cluster.writer(arguments=["--memtable-bytes", str(8 << 20)])
    writer.execute(
        "CREATE DATABASE d", "CREATE TABLE d.digit (n INT PRIMARY KEY)",
        "INSERT INTO d.digit VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)",
        "CREATE TABLE d.t (id INT PRIMARY KEY, n INT NOT NULL, pad VARCHAR(200) NOT NULL)",
    )
    for thousand in range(ROWS // 10_000):
        # Not in the order of `n`, and every `n` once.
        writer.execute(
            "INSERT INTO d.t SELECT i, (i * 7919) %% 1000003, CONCAT(SHA2(i, 512), REPEAT('x', %d)) FROM "
            "(SELECT %d + a.n * 1000 + b.n * 100 + c.n * 10 + e.n AS i FROM d.digit a, d.digit b, d.digit c, d.digit e) s"
            % (PAD - 128, thousand * 10_000)
        )
    return writer


def same_by_index(node, index):
    first = {"by_pad": "pad >= ''", "by_n": "n >= 0"}[index]
    with contextlib.closing(node.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
        cursor.execute("SELECT COUNT(*), SUM(n), BIT_XOR(CRC32(pad)) FROM d.t IGNORE INDEX (%s)" % index)
        by_rows = cursor.fetchall()
        cursor.execute("SELECT COUNT(*), SUM(n), BIT_XOR(CRC32(pad)) FROM d.t FORCE INDEX (%s) WHERE %s" % (index, first))
        by_index = cursor.fetchall()
    assert by_rows == by_index
    assert by_rows[0][0] == ROWS


def test_index_larger_than_a_transaction_is_right_on_writer_and_reader_and_after_a_kill(cluster, large):
    reader = cluster.reader()
    large.execute("ALTER TABLE d.t ADD INDEX by_pad (pad), ADD UNIQUE INDEX by_n (n)")
    same_by_index(large, "by_pad")
    assert large.query("SELECT id FROM d.t WHERE n = %s", ((123_456 * 7919) % 1_000_003,)) == ((123_456,),)
    with pytest.raises(pymysql.err.IntegrityError) as refused:
        large.execute("INSERT INTO d.t VALUES (%d, 7919, 'double')" % ROWS)
    assert refused.value.args[0] == 1062
    harness.wait_until(lambda: "by_pad" in reader.query("SHOW CREATE TABLE d.t")[0][1], 30, "the index on the reader")
    same_by_index(reader, "by_pad")
    large.kill()
    large = cluster.writer()
    same_by_index(large, "by_pad")


def test_duplicate_in_another_part_is_found_and_leaves_no_trace(large):
    large.execute("UPDATE d.t SET n = 7919 WHERE id = %d" % (ROWS - 1))
    with pytest.raises(pymysql.err.IntegrityError) as refused:
        large.execute("CREATE UNIQUE INDEX by_n ON d.t (n)")
    assert refused.value.args == (1062, "Duplicate entry '7919' for key 't.by_n'")
    assert "by_n" not in large.query("SHOW CREATE TABLE d.t")[0][1]
    large.execute("UPDATE d.t SET n = 7918 WHERE id = 1", "CREATE INDEX by_n ON d.t (n)")
    assert large.query("SELECT COUNT(*) FROM d.t WHERE n = 7919") == ((1,),)


def test_table_larger_than_a_transaction_is_written_anew(large):
    before = large.query("SELECT COUNT(*), SUM(n), BIT_XOR(CRC32(pad)) FROM d.t")
    large.execute("ALTER TABLE d.t MODIFY n BIGINT UNSIGNED NOT NULL, DROP PRIMARY KEY, ADD PRIMARY KEY (n)")
    assert large.query("SELECT COUNT(*), SUM(n), BIT_XOR(CRC32(pad)) FROM d.t") == before
    assert large.query("SELECT id FROM d.t WHERE n = 7919") == ((1,),)
    large.execute("CREATE TABLE d.copy AS SELECT * FROM d.t")
    assert large.query("SELECT COUNT(*), SUM(n), BIT_XOR(CRC32(pad)) FROM d.copy") == before


def test_kill_during_a_build_leaves_the_table_as_it_was(cluster, large):
    for wait_s in (0.3, 1.0, 2.0):
        def build():
            with contextlib.suppress(pymysql.err.MySQLError):
                large.execute("CREATE INDEX by_pad ON d.t (pad)")

        thread = threading.Thread(target=build)
        thread.start()
        time.sleep(wait_s)
        large.kill()
        thread.join()
        large = cluster.writer(arguments=["--memtable-bytes", str(8 << 20)])
        if "by_pad" in large.query("SHOW CREATE TABLE d.t")[0][1]:
            same_by_index(large, "by_pad")
            large.execute("DROP INDEX by_pad ON d.t")
    assert large.query("SELECT COUNT(*) FROM d.t") == ((ROWS,),)


def test_killed_build_ends_soon_and_others_are_served_meanwhile(large):
    large.execute("CREATE TABLE d.other (id INT PRIMARY KEY)")
    connection = large.connect()
    outcome = []

    def build():
        try:
            with connection.cursor() as cursor:
                cursor.execute("CREATE INDEX by_pad ON d.t (pad)")
            outcome.append("done")
        except pymysql.err.MySQLError as error:
            outcome.append(error.args[0])

    thread = threading.Thread(target=build)
    thread.start()
    slowest = 0.0
    for number in range(40):
        begun = time.monotonic()
        large.execute("INSERT INTO d.other VALUES (%d)" % number)
        slowest = max(slowest, time.monotonic() - begun)
    large.execute("KILL QUERY %d" % connection.thread_id())
    thread.join(timeout=30)
    connection.close()
    print(f"slowest insert beside a build: {slowest * 1000:.1f} ms; the build: {outcome}")
    assert outcome in ([1317], ["done"])
    assert large.query("SELECT COUNT(*) FROM d.other") == ((40,),)


class Writes:
    """Clients that insert, move, delete and bring back rows of `d.t` all the time."""

    def __init__(self, node, clients=3):
        self.node, self.commits, self.slowest_s, self.failures = node, 0, 0.0, []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(n, clients)) for n in range(clients)]
        for thread in self._threads:
            thread.start()

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join(60)
        assert not self.failures, self.failures

    def _work(self, number, clients):
        pick = random.Random(number)
        # Values above all that the rows have had, and of this client alone.
        fresh = iter(range(10_000_000 * (number + 1), 10_000_000 * (number + 2)))
        own = range(number, ROWS, clients)
        try:
            with contextlib.closing(self.node.connect()) as connection, connection.cursor() as cursor:
                while not self._stop.is_set():
                    begun = time.monotonic()
                    cursor.execute("BEGIN")
                    self.change(cursor, pick, own, fresh)
                    cursor.execute("COMMIT" if pick.random() < 0.9 else "ROLLBACK")
                    self.commits += 1
                    self.slowest_s = max(self.slowest_s, time.monotonic() - begun)
        except pymysql.err.MySQLError as error:
            self.failures.append(error)

    def change(self, cursor, pick, own, fresh):
        """What one transaction does to rows of its client."""
        row = pick.choice(own)
        cursor.execute("UPDATE d.t SET n = n + 1, pad = SHA2(%s, 512) WHERE id = %s", (pick.random(), row))
        if pick.random() < 0.5:
            cursor.execute("DELETE FROM d.t WHERE id = %s", (row,))
            cursor.execute("INSERT INTO d.t (id, n, pad) VALUES (%s, %s, SHA2(%s, 512))", (row, row, pick.random()))


def test_index_is_built_while_others_write(cluster, large):
    reader = cluster.reader()
    writes = Writes(large)
    try:
        harness.wait_until(lambda: writes.commits > 100, 30, "writes")
        for number in range(3):
            before = writes.commits
            large.execute("ALTER TABLE d.t ADD INDEX by_pad (pad), ADD INDEX by_n (n, pad)")
            during = writes.commits - before
            print(f"{during} commits during the build, the slowest took {writes.slowest_s * 1000:.0f} ms")
            assert during > 0
            same_by_index(large, "by_pad")
            same_by_index(large, "by_n")
            lsn = large.visible_lsn()
            harness.wait_until(lambda: reader.visible_lsn() >= lsn, 30, "the reader")
            same_by_index(reader, "by_pad")
            if number < 2:
                large.execute("ALTER TABLE d.t DROP INDEX by_pad, DROP INDEX by_n")
    finally:
        writes.stop()
    same_by_index(large, "by_pad")
    # What was flushed and compacted since the build, too, and what a restart makes of it.
    large.execute("UPDATE d.t SET pad = SHA2(id, 512) WHERE id < 20000")
    assert large.stop() == 0
    large = cluster.writer(arguments=["--memtable-bytes", str(8 << 20)])
    same_by_index(large, "by_pad")
    same_by_index(large, "by_n")


def test_snapshot_from_before_an_index_does_not_read_it(large):
    old, new = large.connect(), large.connect()
    with contextlib.closing(old), contextlib.closing(new), old.cursor() as cursor, new.cursor() as later:
        cursor.execute("CREATE DATABASE e")
        cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
        large.execute("CREATE INDEX by_pad ON d.t (pad)")
        later.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
        with pytest.raises(pymysql.err.MySQLError) as refused:
            cursor.execute("SELECT COUNT(*) FROM d.t FORCE INDEX (by_pad) WHERE pad >= ''")
        assert refused.value.args[0] == 1412
        cursor.execute("ROLLBACK")
        later.execute("SELECT COUNT(*) FROM d.t FORCE INDEX (by_pad) WHERE pad >= ''")
        assert later.fetchall() == ((ROWS,),)


def begin_build(node, statement="CREATE INDEX by_pad ON d.t (pad)"):
    """A session that builds an index, in a thread; its connection id and, when it has ended, its error or `(0,)`."""
    connection, outcome = node.connect(), []

    def build():
        try:
            with contextlib.closing(connection), connection.cursor() as cursor:
                cursor.execute(statement)
            outcome.append((0,))
        except pymysql.err.MySQLError as error:
            outcome.append(error.args)

    thread = threading.Thread(target=build)
    thread.start()
    return connection.thread_id(), thread, outcome


def state_of(node, session):
    found = node.query("SELECT STATE FROM information_schema.PROCESSLIST WHERE ID = %s", (session,))
    return found[0][0] if found else ""


def test_progress_is_shown_and_a_killed_build_leaves_nothing(cluster, large):
    writes = Writes(large)
    try:
        # Several indexes, so that it takes longer than another statement waits.
        session, thread, outcome = begin_build(
            large, "ALTER TABLE d.t ADD INDEX by_pad (pad), ADD INDEX (pad, n), ADD INDEX (pad, id), ADD INDEX (n, pad)")
        harness.wait_until(lambda: outcome or state_of(large, session).startswith("building index:"), 30, "progress")
        print(state_of(large, session))
        # Nobody sees the index yet.
        assert outcome or "by_pad" not in large.query("SHOW CREATE TABLE d.t")[0][1]
        # Another definition waits, and gets its time-out.
        with pytest.raises(pymysql.err.MySQLError) as refused:
            large.execute("SET lock_wait_timeout = 1", "ALTER TABLE d.t ADD COLUMN more INT")
        assert outcome or refused.value.args[0] == 1205
        try:
            large.execute("KILL QUERY %d" % session)
        except pymysql.err.OperationalError as error:
            assert error.args[0] == 1094, error
        thread.join(30)
        assert outcome[0][0] in (0, 1317)
        if outcome[0][0] == 1317:
            assert "by_pad" not in large.query("SHOW CREATE TABLE d.t")[0][1]
        large.execute("SET lock_wait_timeout = 50", "ALTER TABLE d.t ADD COLUMN more INT", "ALTER TABLE d.t DROP COLUMN more")
    finally:
        writes.stop()
    if outcome[0][0] == 1317:
        large.execute("CREATE INDEX by_pad ON d.t (pad)")
    same_by_index(large, "by_pad")


def test_kill_during_a_build_beside_writes_leaves_no_part_of_the_index(cluster, large):
    for wait_s in (0.1, 0.4):
        session, thread, outcome = begin_build(large)
        harness.wait_until(lambda: outcome or state_of(large, session).startswith("building index:"), 30, "progress")
        large.execute("UPDATE d.t SET pad = SHA2(RAND(), 512) WHERE id < 1000")
        time.sleep(wait_s)
        large.kill()
        thread.join(30)
        large = cluster.writer(arguments=["--memtable-bytes", str(8 << 20)])
        if outcome == [(0,)]:
            large.execute("DROP INDEX by_pad ON d.t")
        assert "by_pad" not in large.query("SHOW CREATE TABLE d.t")[0][1]
    large.execute("CREATE INDEX by_pad ON d.t (pad)")
    same_by_index(large, "by_pad")


class UniqueWrites(Writes):
    """Clients that move, delete and bring back rows of `d.t` so that no `n` comes twice, and exchange some."""

    def change(self, cursor, pick, own, fresh):
        row, other = pick.choice(own), pick.choice(own)
        action = pick.randrange(4)
        if action == 0:
            cursor.execute("UPDATE d.t SET n = %s WHERE id = %s", (next(fresh), row))
        elif action == 1:
            cursor.execute("UPDATE d.t SET pad = SHA2(%s, 512) WHERE id = %s", (pick.random(), row))
        elif action == 2:
            # The same value in a new row.
            cursor.execute("SELECT n, pad FROM d.t WHERE id = %s FOR UPDATE", (row,))
            n, pad = cursor.fetchone()
            cursor.execute("DELETE FROM d.t WHERE id = %s", (row,))
            cursor.execute("INSERT INTO d.t (id, n, pad) VALUES (%s, %s, %s)", (row, n, pad))
        elif row != other:
            # A value goes from one row to another; in between nobody has it.
            cursor.execute("SELECT n FROM d.t WHERE id = %s FOR UPDATE", (row,))
            (n,) = cursor.fetchone()
            cursor.execute("UPDATE d.t SET n = %s WHERE id = %s", (next(fresh), row))
            cursor.execute("UPDATE d.t SET n = %s WHERE id = %s", (n, other))


def test_unique_index_is_built_while_others_write(cluster, large):
    reader = cluster.reader()
    writes = UniqueWrites(large)
    try:
        harness.wait_until(lambda: writes.commits > 100, 30, "writes")
        for number in range(3):
            before = writes.commits
            large.execute("ALTER TABLE d.t ADD UNIQUE INDEX by_n (n)")
            during = writes.commits - before
            print(f"{during} commits during the build, the slowest took {writes.slowest_s * 1000:.0f} ms")
            assert during > 0
            same_by_index(large, "by_n")
            lsn = large.visible_lsn()
            harness.wait_until(lambda: reader.visible_lsn() >= lsn, 30, "the reader")
            same_by_index(reader, "by_n")
            # From now on it is unique.
            (taken,), = large.query("SELECT n FROM d.t WHERE id = 5")
            with pytest.raises(pymysql.err.IntegrityError) as refused:
                large.execute("INSERT INTO d.t VALUES (-1, %d, '')" % taken)
            assert refused.value.args[0] == 1062
            if number < 2:
                large.execute("ALTER TABLE d.t DROP INDEX by_n")
    finally:
        writes.stop()
    same_by_index(large, "by_n")


@pytest.mark.parametrize("moved", ["into the way of a row that nobody touches", "in a new row", "back again", "twice"])
def test_duplicate_that_comes_during_a_build_ends_it_and_not_the_writer(large, moved):
    def duplicate():
        """Something that leaves two rows with one `n`, or had them for a moment; `n` of row 7 is 55,433."""
        if moved == "in a new row":
            large.execute("INSERT INTO d.t VALUES (-7, 55433, '')")
            return 2
        if moved == "twice":
            large.execute("INSERT INTO d.t VALUES (-7, -99, '')", "REPLACE INTO d.t VALUES (-8, -99, '')")
            return 1
        large.execute("UPDATE d.t SET n = 55433 WHERE id = 9")
        if moved == "back again":
            large.execute("UPDATE d.t SET n = 9 * 7919 WHERE id = 9")
            return 1
        return 2

    session, thread, outcome = begin_build(large, "CREATE UNIQUE INDEX by_n ON d.t (n)")
    harness.wait_until(lambda: outcome or state_of(large, session).startswith("building index:"), 30, "progress")
    assert not outcome, "the build was over before anything could happen"
    rows = duplicate()
    thread.join(60)
    value = "-99" if moved == "twice" else "55433"
    assert large.query("SELECT COUNT(*) FROM d.t WHERE n = 55433") == ((rows,),)
    assert outcome == [(1062, f"Duplicate entry '{value}' for key 't.by_n'")]
    harness.wait_until(lambda: "by_n" not in large.query("SHOW CREATE TABLE d.t")[0][1], 30, "the end of the index")
    # Nothing of it is left that could be in the way.
    large.execute("DELETE FROM d.t WHERE id IN (-7, -8, 9)", "CREATE UNIQUE INDEX by_n ON d.t (n)")
    assert large.query("SELECT id FROM d.t WHERE n = 55433") == ((7,),)
