"""Index builds and tables written anew beyond what a transaction may hold: atomic, right, and on the reader too."""

import contextlib
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
    by_rows = node.query("SELECT COUNT(*), SUM(n), BIT_XOR(CRC32(pad)) FROM d.t IGNORE INDEX (%s)" % index)
    by_index = node.query("SELECT COUNT(*), SUM(n), BIT_XOR(CRC32(pad)) FROM d.t FORCE INDEX (%s) WHERE pad >= ''" % index)
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
