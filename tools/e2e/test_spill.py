"""Statements that go on in temporary files."""

import contextlib
import os
import pathlib
import subprocess
import sys
import threading

import pymysql
import pytest

import harness

ROWS = 300_000
SPILL = "SET aquifer_spill_memory = 1048576"
# Far below what the rows of one of the queries take in memory.
GROWTH_BYTES_MAX = 160 << 20
# Takes the first row of a result and waits.
CLIENT = """
import sys, time, pymysql
connection = pymysql.connect(host="127.0.0.1", port=int(sys.argv[1]), user="root", cursorclass=pymysql.cursors.SSCursor)
cursor = connection.cursor()
cursor.execute(sys.argv[2])
cursor.execute(sys.argv[3])
cursor.fetchone()
print("reading", flush=True)
time.sleep(600)
"""
SORT = "SELECT id, s FROM app.t ORDER BY s DESC, id"


def fill(node, rows=ROWS):
    node.execute(
        "CREATE DATABASE app",
        "CREATE TABLE app.d (n INT PRIMARY KEY)",
        "INSERT INTO app.d VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)",
        "CREATE TABLE app.t (id INT PRIMARY KEY, g INT, s VARCHAR(400))")
    number = "a.n + 10 * b.n + 100 * c.n + 1000 * d.n + 10000 * e.n"
    for start in range(0, rows, 100_000):
        node.execute(f"INSERT INTO app.t SELECT {start} + {number}, ({start} + {number}) % 50021, "
                     f"CONCAT(MD5({start} + {number}), REPEAT('x', 300)) FROM app.d a, app.d b, app.d c, app.d d, app.d e")


def disk_bytes(node):
    return int(node.status("Aquifer_spill_disk_bytes"))


def temporary_files(node):
    """Files that the process holds open in the directory for temporary ones."""
    found = []
    for descriptor in pathlib.Path(f"/proc/{node.pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            found.append(os.readlink(descriptor))
    return [name for name in found if "/temporary/" in name]


def wait_gone(node):
    harness.wait_until(lambda: disk_bytes(node) == 0 and not temporary_files(node), 10, "the end of temporary files")


def peak_bytes(node):
    for line in pathlib.Path(f"/proc/{node.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) << 10
    raise AssertionError("no VmHWM")


def forget_peak(node):
    pathlib.Path(f"/proc/{node.pid}/clear_refs").write_text("5")


@contextlib.contextmanager
def spilling(node):
    with contextlib.closing(node.connect(cursorclass=pymysql.cursors.SSCursor)) as connection:
        with connection.cursor() as cursor:
            cursor.execute(SPILL)
            yield cursor


def sort_until_killed(node, failed):
    try:
        with spilling(node) as cursor:
            cursor.execute("SELECT CONNECTION_ID()")
            failed.append(cursor.fetchall()[0][0])
            cursor.execute(f"SELECT COUNT(*) FROM ({SORT} LIMIT 10000000) x")
            cursor.fetchall()
            failed.append("it ended")
    except pymysql.err.MySQLError as error:
        failed.append(error.args[0])


def test_results_are_right_and_memory_stays_bounded(cluster):
    node = cluster.writer()
    fill(node)
    assert node.query("SELECT COUNT(*), SUM(LENGTH(s)) FROM app.t") == ((ROWS, ROWS * 332),)
    forget_peak(node)
    before = peak_bytes(node)
    with spilling(node) as cursor:
        cursor.execute(SORT)
        previous, count = ("g", -1), 0
        for id, text in cursor.fetchall_unbuffered():
            assert (text, -id) <= (previous[0], -previous[1])
            previous, count = (text, id), count + 1
        assert count == ROWS
        cursor.execute("SELECT s, COUNT(*), MAX(id) FROM app.t GROUP BY s")
        assert sum(row[2] for row in cursor.fetchall_unbuffered()) == ROWS * (ROWS - 1) // 2
        cursor.execute("SELECT COUNT(*), SUM(LENGTH(v.s)), SUM(w.id - v.id) FROM app.t v JOIN app.t w ON v.s = w.s")
        assert cursor.fetchall() == [(ROWS, ROWS * 332, 0)]
        cursor.execute("SELECT COUNT(*) FROM (SELECT DISTINCT s FROM app.t) x")
        assert cursor.fetchall() == [(ROWS,)]
        cursor.execute("INSERT INTO app.d SELECT 10 + COUNT(*) FROM (SELECT g FROM app.t GROUP BY g) x")
        cursor.execute("SELECT MAX(n) FROM app.d")
        assert cursor.fetchall() == [(50_031,)]
    assert peak_bytes(node) - before < GROWTH_BYTES_MAX
    wait_gone(node)
    for name in "Created_tmp_files", "Created_tmp_disk_tables", "Sort_merge_passes":
        assert int(node.status(name)) > 0, name


def test_kill_and_a_client_that_goes_leave_nothing(cluster):
    node = cluster.writer()
    fill(node)
    failed = []
    thread = threading.Thread(target=sort_until_killed, args=(node, failed))
    thread.start()
    harness.wait_until(lambda: disk_bytes(node) > 4 << 20, 60, "a sort in temporary files")
    assert temporary_files(node)
    assert not os.listdir(cluster.local("writer") / "temporary")
    node.execute(f"KILL QUERY {failed[0]}")
    thread.join()
    assert failed[1] == 1317
    wait_gone(node)
    client = subprocess.Popen([sys.executable, "-c", CLIENT, str(node.port), SPILL, SORT], stdout=subprocess.PIPE)
    assert client.stdout.readline() == b"reading\n"
    assert disk_bytes(node) > 0
    client.kill()
    client.wait()
    client.stdout.close()
    wait_gone(node)


def test_a_killed_process_leaves_nothing(cluster):
    node = cluster.writer()
    fill(node, 100_000)
    failed = []
    thread = threading.Thread(target=sort_until_killed, args=(node, failed))
    thread.start()
    harness.wait_until(lambda: disk_bytes(node) > 0, 60, "a sort in temporary files")
    node.kill()
    thread.join()
    assert not os.listdir(cluster.local("writer") / "temporary")
    node = cluster.writer()
    assert node.query("SELECT COUNT(*) FROM app.t") == ((100_000,),)
    assert disk_bytes(node) == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system")
def test_a_full_disk_fails_the_statement_and_not_the_node(cluster):
    directory = cluster.local("writer") / "temporary"
    directory.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", directory], check=True)
    try:
        node = cluster.writer()
        fill(node, 100_000)
        with spilling(node) as cursor:
            for query in (SORT, "SELECT s, COUNT(*) FROM app.t GROUP BY s",
                          f"INSERT INTO app.d SELECT COUNT(*) FROM ({SORT} LIMIT 1000000) x"):
                with pytest.raises(pymysql.err.MySQLError) as raised:
                    cursor.execute(query)
                    cursor.fetchall()
                assert raised.value.args[0] == 1021
                assert str(directory) in raised.value.args[1]
            cursor.execute("SELECT g FROM app.t WHERE id < 30000 ORDER BY s, g DESC LIMIT 29990, 100")
            assert len(cursor.fetchall()) == 10
        wait_gone(node)
        node.stop()
    finally:
        subprocess.run(["umount", directory], check=True)
