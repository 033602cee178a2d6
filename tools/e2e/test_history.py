"""Random histories on the writer and on a reader have none of the anomalies that the isolation level forbids.

AQUIFER_HISTORY_TXNS sets how many transactions each run has (default 3,000; the release check uses 100,000).
"""

import os
import pathlib
import subprocess
import sys
import time

import pytest

import harness

HISTORY = pathlib.Path(__file__).parent.parent / "history"
TRANSACTIONS = int(os.environ.get("AQUIFER_HISTORY_TXNS", "3000"))
CHECKER = pathlib.Path(harness.BINARY).parent / "aquifer-history"
KILLS = 3


def check(level, path):
    done = subprocess.run([CHECKER, "--level", level, path], capture_output=True, text=True)
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def recorder(port, out, level, *options):
    return subprocess.Popen(
        [sys.executable, HISTORY / "record.py", "--writer", str(port), "--level", level,
         "--transactions", str(TRANSACTIONS), "--out", out, "--prepared", *options],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )


def prepare(port):
    sys.path.insert(0, str(HISTORY))
    import record

    record.prepare(port)


def finish(process):
    output, _ = process.communicate(timeout=3_600)
    assert process.returncode == 0, output


@pytest.mark.parametrize("level", ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])
def test_history_on_writer_and_reader_is_what_the_level_allows(cluster, tmp_path, level):
    writer = cluster.writer()
    prepare(writer.port)
    reader = cluster.reader()
    harness.wait_until(lambda: reader.query("SHOW DATABASES LIKE 'history'"), 60, "the database on the reader")
    out = tmp_path / "history.txt"
    finish(recorder(writer.port, out, level, "--reader", str(reader.port)))
    check(level.lower().replace(" ", "-"), out)


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_history_with_kills_is_what_the_level_allows(cluster, tmp_path, level):
    port = harness.free_port()
    writer = cluster.writer(port=port)
    prepare(port)
    reader = cluster.reader()
    harness.wait_until(lambda: reader.query("SHOW DATABASES LIKE 'history'"), 60, "the database on the reader")
    out = tmp_path / "history.txt"
    process = recorder(port, out, level, "--reader", str(reader.port))
    for _ in range(KILLS):
        before = writer.visible_lsn()
        harness.wait_until(
            lambda: process.poll() is not None or writer.visible_lsn() > before + TRANSACTIONS // 10, 600, "commits"
        )
        writer.kill()
        time.sleep(0.2)
        writer = cluster.writer(port=port)
    finish(process)
    check(level.lower().replace(" ", "-"), out)
