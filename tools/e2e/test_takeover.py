"""Two writers on one store: the chain decides, and nothing acknowledged is dropped in silence."""

import re
import time

import pymysql
import pytest

import harness
import ledger as ledger_module
from ledger import Ledger, acknowledged_pairs, stored_pairs


def test_second_writer_takes_over_and_the_first_stops(cluster):
    first = cluster.writer("first")
    first.execute(*ledger_module.SCHEMA)
    ledger = Ledger(workers=2)
    ledger.start(first.port)
    harness.wait_until(lambda: ledger.total() >= 100, 60, "a hundred acknowledged transactions")
    second = cluster.writer("second")
    harness.wait_until(lambda: not first.running(), 30, "the end of the first writer")
    ledger.stop()
    assert first.popen.returncode == 1
    assert "another writer" in first.output(), first.output()

    stored = stored_pairs(second)
    missing = acknowledged_pairs(ledger) - stored
    rescued = set()
    branch = re.search(r"rescue branch ([a-z0-9_-]+)", first.output())
    if branch:
        reader = cluster.reader("rescue", arguments=["--branch", branch.group(1)])
        rescued = stored_pairs(reader)
    dropped = missing - rescued
    assert not dropped, f"acknowledged and neither on main nor on the rescue branch: {sorted(dropped)[:10]}"
    second.execute("INSERT INTO ledger.entry VALUES (99, 1, 1, '99-1'), (99, 1, 2, '99-1')")
    print(f"{len(stored)} on main, {len(missing)} on the rescue branch")


def test_first_writer_that_was_paused_does_not_serve_after_a_takeover(cluster):
    first = cluster.writer("first")
    first.execute(*ledger_module.SCHEMA)
    first.wait_published()
    first.popen.send_signal(harness.signal.SIGSTOP)
    second = cluster.writer("second")
    second.execute("INSERT INTO ledger.entry VALUES (1, 1, 1, '1-1'), (1, 1, 2, '1-1')")
    first.popen.send_signal(harness.signal.SIGCONT)
    with pytest.raises(pymysql.err.MySQLError):
        while True:
            first.execute("INSERT INTO ledger.entry VALUES (2, 1, 1, '2-1')")
            first.execute("DELETE FROM ledger.entry WHERE worker = 2")
            time.sleep(0.01)
    harness.wait_until(lambda: not first.running(), 30, "the end of the first writer")
    assert stored_pairs(second) == {(1, 1)}


def test_writer_restarted_after_a_takeover_rescues_its_tail(cluster):
    first = cluster.writer("first", arguments=["--publish-interval-ms", "2000"])
    first.execute(*ledger_module.SCHEMA)
    ledger = Ledger(workers=1)
    ledger.start(first.port)
    harness.wait_until(lambda: ledger.total() >= 50, 60, "fifty acknowledged transactions")
    first.kill()
    ledger.stop()
    second = cluster.writer("second")
    second.execute("CREATE DATABASE IF NOT EXISTS newer")
    on_main = stored_pairs(second) if second.query("SHOW DATABASES LIKE 'ledger'") else set()
    assert second.stop() == 0
    again = cluster.writer("first")
    branch = re.search(r"rescue branch ([a-z0-9_-]+)", again.output())
    missing = acknowledged_pairs(ledger) - on_main
    assert missing, "the test meant to leave an unpublished tail"
    assert branch, again.output()
    reader = cluster.reader("rescue", arguments=["--branch", branch.group(1)])
    assert missing <= stored_pairs(reader)
