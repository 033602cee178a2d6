"""Many connections: idle ones are cheap, and the limit is told as MySQL tells it."""

import contextlib
import resource
import socket
import time

import pymysql
import pytest

import harness

IDLE = 5_000
BYTES_PER_CONNECTION_MAX = 16 * 1024


def resident_bytes(node):
    with open(f"/proc/{node.pid}/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()


def test_idle_connections_cost_under_16_kib_each(cluster):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    assert hard >= 2 * IDLE + 500, "the limit of open files is too low for this test"
    writer = cluster.writer()
    writer.execute("SET GLOBAL max_connections = 6000", "CREATE DATABASE app",
                   "CREATE TABLE app.t (id INT PRIMARY KEY, v INT)", "INSERT INTO app.t VALUES (1, 1)")
    warm_up = [writer.connect() for _ in range(100)]
    alone = median_select_s(writer)
    before = resident_bytes(writer)
    idle = [writer.connect() for _ in range(IDLE)]
    try:
        each = (resident_bytes(writer) - before) / IDLE
        beside = median_select_s(writer)
        print(f"{IDLE} idle connections: {each:.0f} bytes each; a select takes {alone * 1e6:.0f} µs alone "
              f"and {beside * 1e6:.0f} µs beside them")
        assert each < BYTES_PER_CONNECTION_MAX
        assert int(writer.status("Threads_connected")) >= IDLE
    finally:
        for connection in idle + warm_up:
            with contextlib.suppress(Exception):
                connection._force_close()


def median_select_s(node, samples=2_000):
    times = []
    with contextlib.closing(node.connect()) as connection, connection.cursor() as cursor:
        for _ in range(samples):
            start = time.perf_counter()
            cursor.execute("SELECT v FROM app.t WHERE id = 1")
            times.append(time.perf_counter() - start)
    return harness.percentile(times, 0.5)


def test_connection_beyond_the_limit_gets_1040(cluster):
    writer = cluster.writer()
    writer.execute("CREATE USER app@'%' IDENTIFIED BY 'secret'", "GRANT ALL ON *.* TO app@'%'",
                   "SET GLOBAL max_connections = 10")

    def connect():
        return pymysql.connect(host="127.0.0.1", port=writer.port, user="app", password="secret")

    held = [connect() for _ in range(10)]
    with pytest.raises(pymysql.err.OperationalError) as raised:
        for _ in range(3):
            held.append(connect())
    assert raised.value.args == (1040, "Too many connections")
    for connection in held:
        connection.close()
    harness.wait_until(lambda: try_connect(connect), 10, "a free connection")


def try_connect(connect):
    with contextlib.suppress(pymysql.err.OperationalError):
        connect().close()
        return True
    return False


def test_bytes_that_are_no_handshake_end_the_connection_only(cluster):
    writer = cluster.writer()
    for junk in (b"GET / HTTP/1.0\r\n\r\n", b"\x00" * 64, b"\xff" * 4096, b"\x01\x00\x00\x01"):
        with socket.create_connection(("127.0.0.1", writer.port), 5) as client:
            client.recv(4096)
            client.sendall(junk)
            client.settimeout(5)
            with contextlib.suppress(OSError):
                client.recv(4096)
    assert writer.query("SELECT 1") == ((1,),)
