"""What DROP, TRUNCATE and rebuilds leave behind goes from the tree, what others may still read does not."""

import contextlib
import re
import threading
import time

import pymysql

import harness
from test_collection import run

SMALL = ("--memtable-bytes", "1000000", "--publish-interval-ms", "5")
ROWS = 20_000


def fill(writer, table, rows=ROWS):
    writer.execute(
        "CREATE TABLE IF NOT EXISTS app.%s (id INT PRIMARY KEY, n INT, pad VARCHAR(200), KEY by_n (n))" % table,
        "SET SESSION cte_max_recursion_depth = 1000000",
        "INSERT INTO app.%s WITH RECURSIVE s AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM s WHERE i < %d) "
        "SELECT i, i * 7919 %% 100003, SHA2(i, 512) FROM s" % (table, rows),
    )


def stored(cluster):
    """Entries in the tables of the tree."""
    status, output, errors = run("inspect", "levels", "--store", cluster.store)
    assert status == 0, errors
    found = re.search(r"; (\d+) entries", output)
    return int(found.group(1)) if found else 0


def start(cluster):
    writer = cluster.writer(arguments=SMALL)
    writer.execute("CREATE DATABASE IF NOT EXISTS app")
    return writer


def until_flushed(writer):
    harness.wait_until(lambda: int(writer.status("Aquifer_frozen_memtable_bytes")) == 0, 60, "flushes")


def until_stored(cluster, rows_max):
    harness.wait_until(lambda: stored(cluster) <= rows_max, 60, f"at most {rows_max} entries in the tree")


def test_dropped_and_truncated_tables_and_old_rows_of_rebuilds_go(cluster):
    writer = start(cluster)
    for table in ["stays", "dropped", "truncated", "rebuilt"]:
        fill(writer, table)
    until_flushed(writer)
    # Nearly all of a row and an entry for each row.
    assert stored(cluster) > 7 * ROWS
    writer.execute(
        "DROP TABLE app.dropped", "TRUNCATE TABLE app.truncated",
        "ALTER TABLE app.rebuilt MODIFY n BIGINT, DROP INDEX by_n",
    )
    fill(writer, "truncated", 500)
    until_flushed(writer)
    # Two per row of one table, one of another, and what is beside dead keys in one table of the tree.
    until_stored(cluster, 4 * ROWS)
    count = lambda table: writer.query("SELECT COUNT(*), SUM(n), SUM(id) FROM app.%s" % table)
    assert count("stays") == count("rebuilt") == writer.query(
        "SELECT COUNT(*), SUM(n), SUM(id) FROM app.stays FORCE INDEX (by_n) WHERE n >= 0")
    assert count("truncated")[0][0] == 500
    before = count("stays")
    writer.kill()
    writer = start(cluster)
    assert writer.query("SELECT COUNT(*), SUM(n), SUM(id) FROM app.stays") == before
    assert writer.stop() == 0
    status, output, errors = run("verify", "--store", cluster.store)
    assert status == 0, output + errors


def test_a_start_finds_what_was_dropped_before_a_kill(cluster):
    writer = start(cluster)
    fill(writer, "stays", 1_000)
    fill(writer, "dropped")
    until_flushed(writer)
    with contextlib.closing(writer.connect()) as reading, reading.cursor() as cursor:
        # An old view keeps the entries for as long as the writer lives.
        cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
        writer.execute("DROP TABLE app.dropped")
        writer.wait_published()
        time.sleep(12)
        assert stored(cluster) > ROWS
        writer.kill()
    writer = start(cluster)
    until_stored(cluster, 4_000)
    assert writer.query("SELECT COUNT(*) FROM app.stays") == ((1_000,),)


def test_a_transaction_on_a_reader_goes_on_while_its_table_is_dropped_and_taken_away(cluster):
    writer = start(cluster)
    fill(writer, "dropped")
    until_flushed(writer)
    reader = cluster.reader()
    harness.wait_until(lambda: reader.query("SHOW TABLES FROM app"), 20, "the table on the reader")
    with contextlib.closing(reader.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
        cursor.execute("SELECT COUNT(*) FROM app.dropped")
        assert cursor.fetchall() == ((ROWS,),)
        writer.execute("DROP TABLE app.dropped")
        until_stored(cluster, 100)
        try:
            cursor.execute("SELECT COUNT(*), COUNT(pad) FROM app.dropped")
            assert cursor.fetchall() == ((ROWS, ROWS),)
        except pymysql.err.MySQLError as error:
            # The table may be said to be gone, but never be read in part.
            assert error.args[0] in (1146, 1412), error
    assert not reader.query("SHOW TABLES FROM app")


def test_a_table_that_is_truncated_again_and_again_takes_no_more_room(cluster):
    writer = start(cluster)

    def read(cursor, _):
        cursor.execute("SELECT COUNT(*), COUNT(pad) FROM app.queue")
        rows, pads = cursor.fetchone()
        assert rows == pads and rows in (0, 5_000), (rows, pads)

    fill(writer, "queue", 5_000)
    with harness.repeating(writer, read):
        for _ in range(12):
            writer.execute("TRUNCATE TABLE app.queue")
            fill(writer, "queue", 5_000)
    until_flushed(writer)
    # Two entries a row: of the last two rounds, and of what shares a table of the tree with them.
    until_stored(cluster, 25_000)
    assert writer.query("SELECT COUNT(*), COUNT(pad) FROM app.queue") == ((5_000, 5_000),)


def test_optimize_brings_versions_together_beside_writes(cluster):
    writer = start(cluster)
    fill(writer, "t")
    fill(writer, "other")
    for _ in range(3):
        writer.execute("UPDATE app.t SET n = n + 1, pad = SHA2(pad, 512)")

    def write(cursor, turn):
        cursor.execute("UPDATE app.other SET n = n + 1 WHERE id = %s", (turn % ROWS + 1,))
        cursor.execute("UPDATE app.t SET pad = 'new' WHERE id = %s", (turn % 100 + 1,))

    before = writer.query("SELECT COUNT(*), SUM(n) FROM app.t")
    with harness.repeating(writer, write):
        assert writer.query("OPTIMIZE TABLE app.t") == (
            ("app.t", "optimize", "note", "Table does not support optimize, doing recreate + analyze instead"),
            ("app.t", "optimize", "status", "OK"),
        )
    assert writer.query("SELECT COUNT(*), SUM(n) FROM app.t") == before
    # Rows and entries of both tables once, and a few that were written meanwhile.
    assert stored(cluster) < 5 * ROWS
    reader = cluster.reader()
    try:
        reader.query("OPTIMIZE TABLE app.t")
        raise AssertionError("a reader changes nothing")
    except pymysql.err.MySQLError as error:
        assert error.args[0] == 1290


def test_optimize_shows_progress_and_can_be_killed(cluster):
    writer = start(cluster)
    fill(writer, "t", 200_000)
    until_flushed(writer)
    outcome = []

    def optimize():
        try:
            outcome.append(writer.query("OPTIMIZE TABLE app.t"))
        except pymysql.err.MySQLError as error:
            outcome.append(error.args[0])

    writer.execute("UPDATE app.t SET n = n + 1, pad = SHA2(pad, 512)")
    thread = threading.Thread(target=optimize)
    thread.start()
    running = harness.wait_until(
        lambda: [row for row in writer.query("SHOW PROCESSLIST") if row[6].startswith("optimizing:")], 20, "progress")
    assert re.fullmatch(r"optimizing: \d+ of about \d+ rows", running[0][6])
    writer.execute("KILL QUERY %d" % running[0][0])
    thread.join(20)
    assert outcome == [1317]
    assert writer.query("SELECT COUNT(*), COUNT(pad) FROM app.t") == ((200_000, 200_000),)
