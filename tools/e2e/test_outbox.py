"""The store goes away and comes back: commits go on, everything is published in order, nothing is lost."""

import contextlib
import signal

import pymysql
import pytest

import harness
import ledger as ledger_module
from ledger import Ledger, acknowledged_pairs, stored_pairs
from proxy import Proxy

SMALL_MEMTABLES = ("--memtable-bytes", "200000")
BLOB_BYTES = 20_000


class Rig:
    """A cluster on moto behind a proxy."""

    def __init__(self, base, endpoint, env, server):
        self.proxy = Proxy(int(endpoint.rsplit(":", 1)[1]))
        self.server = server
        arguments = ["--s3-endpoint", f"http://127.0.0.1:{self.proxy.port}", "--s3-path-style"]
        self.cluster = harness.Cluster(base, "s3://aquifer/db", arguments, env)

    def writer(self, *arguments):
        return self.cluster.writer(arguments=[*SMALL_MEMTABLES, *arguments])


@pytest.fixture
def rig(tmp_path):
    with harness.moto_server(tmp_path / "moto") as (server, endpoint, env):
        rig = Rig(tmp_path / "c", endpoint, env, server)
        try:
            yield rig
        finally:
            rig.cluster.close()
            rig.proxy.cut()


def fill(node, first, count):
    """Rows that are large enough to make the writer flush."""
    with contextlib.closing(node.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE IF NOT EXISTS app")
        cursor.execute("CREATE TABLE IF NOT EXISTS app.blob_of (id INT PRIMARY KEY, v MEDIUMTEXT)")
        for row in range(first, first + count):
            cursor.execute("INSERT INTO app.blob_of VALUES (%s, %s)", (row, chr(97 + row % 26) * BLOB_BYTES))


def check_rows(node, count):
    rows = node.query("SELECT id, LENGTH(v), LEFT(v, 1), RIGHT(v, 1) FROM app.blob_of ORDER BY id")
    assert rows == tuple((row, BLOB_BYTES, chr(97 + row % 26), chr(97 + row % 26)) for row in range(count))


def outbox_bytes(node):
    return int(node.status("Aquifer_outbox_bytes"))


def drained(node):
    return int(node.status("Aquifer_publish_backlog_bytes")) == 0 and outbox_bytes(node) == 0


def test_commits_and_flushes_go_on_while_the_store_refuses_connections(rig):
    writer = rig.writer()
    writer.execute(*ledger_module.SCHEMA)
    fill(writer, 0, 10)
    reader = rig.cluster.reader()
    ledger = Ledger(workers=2)
    # What is in no cache cannot be read without the store.
    check_rows(writer, 10)
    assert stored_pairs(writer) == set()
    rig.proxy.cut()
    ledger.start(writer.port)
    fill(writer, 10, 40)
    harness.wait_until(lambda: ledger.total() >= 100, 60, "a hundred transactions without the store")
    harness.wait_until(lambda: outbox_bytes(writer) > 0, 60, "a flush into the outbox")
    check_rows(writer, 50)
    assert int(writer.status("Aquifer_store_away_ms")) > 0
    rig.proxy.restore()
    ledger.stop()
    assert not ledger.failures
    harness.wait_until(lambda: drained(writer), 120, "an empty backlog")
    lsn = writer.visible_lsn()
    harness.wait_until(lambda: reader.visible_lsn() >= lsn, 60, "the reader")
    check_rows(reader, 50)
    assert acknowledged_pairs(ledger) <= stored_pairs(reader)
    # All of it is in the store: nothing of this node is needed.
    writer.kill()
    rig.cluster.delete_local("writer")
    writer = rig.writer()
    check_rows(writer, 50)
    assert acknowledged_pairs(ledger) <= stored_pairs(writer)


def test_killed_while_the_store_is_away_nothing_is_lost(rig):
    writer = rig.writer()
    fill(writer, 0, 5)
    harness.wait_until(lambda: drained(writer), 60, "an empty backlog")
    rig.proxy.cut()
    fill(writer, 5, 60)
    harness.wait_until(lambda: outbox_bytes(writer) > 0, 60, "a flush into the outbox")
    writer.kill()
    rig.proxy.restore()
    writer = rig.writer()
    check_rows(writer, 65)
    assert "were in the commit log only" in writer.output()
    harness.wait_until(lambda: drained(writer), 120, "an empty backlog")
    writer.kill()
    rig.cluster.delete_local("writer")
    check_rows(rig.writer(), 65)


def test_stopped_while_the_store_is_away_publishes_at_the_next_start(rig):
    writer = rig.writer()
    fill(writer, 0, 5)
    rig.proxy.cut()
    fill(writer, 5, 30)
    assert writer.stop() == 0, writer.output()
    assert "published when this writer is started again" in writer.output(), writer.output()
    rig.proxy.restore()
    writer = rig.writer()
    check_rows(writer, 35)
    assert writer.stop() == 0, writer.output()
    rig.cluster.delete_local("writer")
    check_rows(rig.writer(), 35)


def test_writes_are_refused_beyond_the_budget_and_allowed_again(rig):
    writer = rig.writer("--outbox-bytes", "400000")
    fill(writer, 0, 1)
    rig.proxy.cut()
    with pytest.raises(pymysql.err.MySQLError) as raised:
        fill(writer, 1, 200)
    code, text = raised.value.args
    assert code == 1105
    assert "--outbox-bytes" in text and "s3://aquifer/db" in text, text
    count = writer.query("SELECT COUNT(*) FROM app.blob_of")[0][0]
    check_rows(writer, count)
    rig.proxy.restore()
    harness.wait_until(lambda: drained(writer), 120, "an empty backlog")
    fill(writer, count, 5)
    check_rows(writer, count + 5)


def test_commits_go_on_while_the_store_hangs(rig):
    writer = rig.writer()
    fill(writer, 0, 5)
    rig.server.popen.send_signal(signal.SIGSTOP)
    try:
        fill(writer, 5, 40)
        harness.wait_until(lambda: outbox_bytes(writer) > 0, 90, "a flush into the outbox")
        check_rows(writer, 45)
    finally:
        rig.server.popen.send_signal(signal.SIGCONT)
    harness.wait_until(lambda: drained(writer), 120, "an empty backlog")
    check_rows(rig.cluster.reader(), 45)
    assert "the store is back after" in writer.output()
