"""Sessions that wait cost nothing, and time-outs hold however many there are."""

import contextlib
import os
import threading
import time

import pymysql

import harness

BLOCKED = 1_000
WATCH_S = 4
# Of one core, on average while all of them wait; polling every 50 ms took more than a third.
CPU_SHARE_MAX = 0.05


def cpu_s(node):
    with open(f"/proc/{node.pid}/stat") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def send_only(connection, sql):
    """Sends a statement without waiting for its answer."""
    connection._execute_command(3, sql)


def test_thousand_blocked_sessions_use_no_cpu(cluster):
    writer = cluster.writer()
    writer.execute("SET GLOBAL max_connections = 2000", "CREATE DATABASE app",
                   "CREATE TABLE app.t (id INT PRIMARY KEY, v INT)", "INSERT INTO app.t VALUES (1, 0), (2, 0)")
    holder = writer.connect()
    holder.cursor().execute("BEGIN")
    holder.cursor().execute("UPDATE app.t SET v = v + 1 WHERE id = 1")
    waiting = [writer.connect() for _ in range(BLOCKED)]
    try:
        for number, connection in enumerate(waiting):
            if number % 10 == 0:
                send_only(connection, "SELECT GET_LOCK('one', 100)")
            else:
                send_only(connection, "UPDATE app.t SET v = v + 1 WHERE id = 1")
        harness.wait_until(lambda: waiting_count(writer) >= BLOCKED - 1, 60, "a thousand statements")
        # One of them got its lock at once. What the statements themselves cost is over when the server has been quiet once.
        harness.wait_until(lambda: share(writer, 0.5) < CPU_SHARE_MAX, 60, "a quiet server")
        used = share(writer, WATCH_S)
        print(f"{BLOCKED} blocked sessions use {used:.2%} of a core")
        assert used < CPU_SHARE_MAX
        holder.cursor().execute("COMMIT")
        blocked = [connection for number, connection in enumerate(waiting) if number % 10]
        for connection in blocked:
            connection._read_query_result()
        assert writer.query("SELECT v FROM app.t WHERE id = 1") == ((len(blocked) + 1,),)
    finally:
        for connection in waiting:
            connection._force_close()


def share(node, seconds):
    before = cpu_s(node)
    start = time.monotonic()
    time.sleep(seconds)
    return (cpu_s(node) - before) / (time.monotonic() - start)


def waiting_count(node):
    rows = node.query("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE COMMAND = 'Query'")
    return rows[0][0] - 1


def test_lock_wait_timeout_holds_under_full_load(cluster):
    writer = cluster.writer()
    writer.execute("CREATE DATABASE app", "CREATE TABLE app.t (id INT PRIMARY KEY, v INT)",
                   "INSERT INTO app.t VALUES (1, 0), (2, 0)")
    stop = threading.Event()
    load = [threading.Thread(target=hammer, args=(writer, stop), daemon=True) for _ in range(8)]
    for thread in load:
        thread.start()
    try:
        with contextlib.closing(writer.connect()) as holder, contextlib.closing(writer.connect()) as other:
            holder.cursor().execute("BEGIN")
            holder.cursor().execute("SELECT v FROM app.t WHERE id = 1 FOR UPDATE")
            cursor = other.cursor()
            cursor.execute("SET SESSION innodb_lock_wait_timeout = 1")
            for _ in range(3):
                try:
                    cursor.execute("UPDATE app.t SET v = 1 WHERE id = 1")
                    raise AssertionError("the update did not wait")
                except pymysql.err.OperationalError as error:
                    assert error.args[0] == 1205, error
    finally:
        stop.set()
        for thread in load:
            thread.join(30)


def hammer(node, stop):
    with contextlib.closing(node.connect()) as connection, connection.cursor() as cursor:
        while not stop.is_set():
            cursor.execute("SELECT v FROM app.t WHERE id = 2")
