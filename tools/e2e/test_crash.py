"""What survives SIGKILL, and what the store alone holds."""

import contextlib
import subprocess
import time

import pymysql

import harness
import ledger as ledger_module
from ledger import Ledger, acknowledged_pairs, stored_pairs

TABLES = ("--tables=4", "--table-size=10000")
ROUNDS = 10


def prepare_sysbench(node):
    node.execute("CREATE DATABASE IF NOT EXISTS sbtest", *ledger_module.SCHEMA)
    status, output = harness.sysbench("oltp_read_write", "prepare", node.port, *TABLES)
    assert status == 0, output


def start_sysbench(port):
    return subprocess.Popen(
        ["sysbench", "oltp_read_write", "--db-driver=mysql", "--mysql-host=127.0.0.1", f"--mysql-port={port}",
         "--mysql-user=root", "--mysql-db=sbtest", "--threads=16", "--time=120", *TABLES, "run"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )


def test_acknowledged_transactions_survive_ten_kills_under_load(cluster):
    port = harness.free_port()
    writer = cluster.writer(port=port)
    prepare_sysbench(writer)
    ledger = Ledger()
    for round_number in range(ROUNDS):
        load = start_sysbench(port)
        before = ledger.total()
        ledger.start(port)
        harness.wait_until(lambda: ledger.total() >= before + 50, 60, "fifty acknowledged transactions")
        time.sleep(0.1 * round_number)
        writer.kill()
        ledger.stop()
        load.kill()
        load.wait()
        # What was under way when the server died may or may not be there; the next attempt is another one.
        writer = cluster.writer(port=port)
        stored = stored_pairs(writer)
        lost = acknowledged_pairs(ledger) - stored
        assert not lost, f"round {round_number}: acknowledged and lost: {sorted(lost)[:10]}"
        check_sysbench_tables(writer)
    assert not ledger.failures, ledger.failures[:3]
    print(f"{ledger.total()} acknowledged transactions survived {ROUNDS} kills")


def check_sysbench_tables(node):
    """oltp_read_write deletes and re-inserts the same key in one transaction: the count never changes."""
    for table in range(1, 5):
        rows = node.query(f"SELECT COUNT(*) FROM sbtest.sbtest{table}")[0][0]
        assert rows == 10_000, f"sbtest{table} has {rows} rows"
        by_index = node.query(f"SELECT COUNT(*) FROM sbtest.sbtest{table} FORCE INDEX (k_{table}) WHERE k >= 0")[0][0]
        assert by_index == 10_000, f"index k_{table} has {by_index} entries"


def test_clean_stop_then_deleted_local_directory_loses_nothing(cluster):
    writer = cluster.writer()
    prepare_sysbench(writer)
    status, output = harness.sysbench(
        "oltp_read_write", "run", writer.port, *TABLES, "--threads=8", "--time=5"
    )
    assert status == 0, output
    with contextlib.closing(writer.connect()) as connection:
        before = harness.table_checksums(connection)
    lsn = writer.visible_lsn()
    assert writer.stop() == 0, writer.output()
    cluster.delete_local("writer")
    writer = cluster.writer()
    with contextlib.closing(writer.connect()) as connection:
        assert harness.table_checksums(connection) == before
    assert writer.visible_lsn() >= lsn


def test_kill_then_deleted_local_directory_loses_only_the_unpublished_tail(cluster):
    writer = cluster.writer(arguments=["--publish-interval-ms", "300"])
    writer.execute(*ledger_module.SCHEMA)
    writer.wait_published()
    ledger = Ledger(workers=1)
    ledger.start(writer.port)
    harness.wait_until(lambda: ledger.total() >= 500, 60, "five hundred acknowledged transactions")
    writer.kill()
    ledger.stop()
    cluster.delete_local("writer")
    writer = cluster.writer()
    stored = sorted(seq for _, seq in stored_pairs(writer))
    # One worker commits in order, so what is left must be a prefix without holes.
    assert stored == list(range(1, len(stored) + 1)), "a hole in the commit order"
    assert len(stored) <= ledger.attempted[0]
    lost = max(0, ledger.acknowledged[0] - len(stored))
    assert lost > 0, "the test meant to lose a tail"
    assert "unpublished" in writer.output(), writer.output()
    print(f"{lost} of {ledger.acknowledged[0]} acknowledged transactions were in the deleted tail")


def test_recovery_does_not_reuse_auto_increment_values(cluster):
    writer = cluster.writer()
    writer.execute(
        "CREATE DATABASE app", "CREATE TABLE app.t (id BIGINT PRIMARY KEY AUTO_INCREMENT, v INT)",
        "INSERT INTO app.t (v) VALUES (1), (2), (3)", "DELETE FROM app.t WHERE id = 3",
    )
    writer.kill()
    writer = cluster.writer()
    writer.execute("INSERT INTO app.t (v) VALUES (4)")
    ids = [row[0] for row in writer.query("SELECT id FROM app.t ORDER BY id")]
    assert ids[:2] == [1, 2] and ids[2] > 3, ids


def test_uncommitted_transaction_leaves_no_trace_after_kill(cluster):
    writer = cluster.writer()
    writer.execute("CREATE DATABASE app", "CREATE TABLE app.t (id INT PRIMARY KEY, v INT)")
    connection = writer.connect()
    connection.autocommit(False)
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO app.t VALUES (1, 1)")
    writer.kill()
    with contextlib.suppress(pymysql.err.MySQLError):
        connection.close()
    writer = cluster.writer()
    assert writer.query("SELECT COUNT(*) FROM app.t") == ((0,),)
