"""Starts and stops the real programs that the end-to-end tests talk to: Aquifer nodes, MariaDB, moto.

Everything runs on free ports of the loopback interface, below one temporary directory, and is stopped
when its context manager ends. Nothing is shared between tests.
"""

import contextlib
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

import pymysql

BINARY = os.environ.get("AQUIFER_BINARY", "target/release/aquifer")
START_TIMEOUT_S = 60
# Each node preallocates its file.
DISK_CACHE_BYTES = 64 << 20


def free_port():
    """A port that nobody listens on at this moment, below those that clients are given."""
    while True:
        port = random.randrange(12_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@contextlib.contextmanager
def repeating(node, step):
    """A client of its own calls `step(cursor, turn)`, turns from 1 on, until the block ends; fails if it met an error."""
    stop, failures = threading.Event(), []

    def run():
        try:
            with contextlib.closing(node.connect()) as connection, connection.cursor() as cursor:
                turn = 0
                while not stop.is_set():
                    turn += 1
                    step(cursor, turn)
        except (pymysql.err.MySQLError, AssertionError) as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    assert not failures, failures


def wait_until(condition, timeout_s, what):
    """Polls until `condition` is true; fails with `what` otherwise."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"{what} did not happen within {timeout_s} s")


class Process:
    """A program with its output in a file."""

    def __init__(self, name, command, log_path, env=None):
        self.name = name
        self.log_path = pathlib.Path(log_path)
        self.log = open(self.log_path, "ab")
        self.command = [str(part) for part in command]
        self.popen = subprocess.Popen(
            self.command, stdout=self.log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            env={**os.environ, **(env or {})},
        )

    @property
    def pid(self):
        return self.popen.pid

    def output(self):
        return self.log_path.read_text(errors="replace")

    def running(self):
        return self.popen.poll() is None

    def kill(self):
        """SIGKILL: what a crash looks like."""
        if self.running():
            self.popen.kill()
        self.popen.wait()
        self.log.close()

    def stop(self, timeout_s=60):
        """SIGTERM, and the exit status."""
        if self.running():
            self.popen.send_signal(signal.SIGTERM)
        try:
            status = self.popen.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            raise AssertionError(f"{self.name} did not stop in {timeout_s} s:\n{self.output()}")
        self.log.close()
        return status


class Node(Process):
    """A writer or a reader."""

    def __init__(self, role, port, arguments, log_path, env=None):
        self.port = port
        super().__init__(role, [BINARY, role, "--port", port, *arguments], log_path, env)

    def wait_ready(self, timeout_s=START_TIMEOUT_S):
        def ready():
            if not self.running():
                raise AssertionError(f"{self.name} ended with {self.popen.returncode}:\n{self.output()}")
            try:
                self.connect(connect_timeout=2).close()
                return True
            except pymysql.err.OperationalError as error:
                if error.args[0] in (2003, 2013):
                    return False
                raise
        wait_until(ready, timeout_s, f"{self.name} on port {self.port}")
        return self

    def connect(self, **options):
        return pymysql.connect(host="127.0.0.1", port=self.port, user="root", autocommit=True, **options)

    def query(self, sql, args=None, **options):
        with contextlib.closing(self.connect(**options)) as connection:
            with connection.cursor() as cursor:
                cursor.execute(sql, args)
                return cursor.fetchall()

    def execute(self, *statements, **options):
        with contextlib.closing(self.connect(**options)) as connection:
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)

    def status(self, name):
        rows = self.query("SHOW GLOBAL STATUS LIKE %s", (name,))
        assert rows, f"{self.name} has no status {name}"
        return rows[0][1]

    def visible_lsn(self):
        return int(self.status("Aquifer_visible_lsn"))

    def wait_published(self, timeout_s=20):
        """Until what is committed now is in the chain."""
        lsn = self.visible_lsn()
        wait_until(lambda: int(self.status("Aquifer_published_lsn")) >= lsn, timeout_s, f"LSN {lsn} in the chain")


class Cluster:
    """A store with nodes on it, each with a local directory of its own."""

    def __init__(self, base, store=None, store_arguments=(), env=None):
        self.base = pathlib.Path(base)
        self.base.mkdir(parents=True, exist_ok=True)
        self.store = store or str(self.base / "store")
        self.store_arguments = list(store_arguments)
        self.env = env
        self.nodes = []

    def local(self, name):
        return self.base / name

    def start(self, role, name=None, arguments=(), port=None, ready=True):
        name = name or role
        node = Node(
            role, port or free_port(),
            ["--store", self.store, "--local", self.local(name), "--disk-cache-bytes", DISK_CACHE_BYTES,
             *self.store_arguments, *arguments],
            self.base / f"{name}.log", self.env,
        )
        self.nodes.append(node)
        return node.wait_ready() if ready else node

    def writer(self, name="writer", **options):
        return self.start("writer", name, **options)

    def reader(self, name="reader", **options):
        return self.start("reader", name, **options)

    def delete_local(self, name):
        shutil.rmtree(self.local(name))

    def close(self):
        for node in self.nodes:
            if node.running():
                node.kill()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


@contextlib.contextmanager
def mariadb(base, options=()):
    """A MariaDB server of its own; yields its port. root has no password."""
    data = pathlib.Path(base) / "mariadb"
    data.mkdir(parents=True)
    subprocess.run(
        ["mariadb-install-db", "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal",
         "--skip-test-db", "--user=root"],
        check=True, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT,
    )
    port = free_port()
    server = Process(
        "mariadbd",
        ["/usr/sbin/mariadbd", "--no-defaults", f"--datadir={data}", f"--port={port}", "--bind-address=127.0.0.1",
         f"--socket={data}/m.sock", "--user=root", *options],
        data / "server.log",
    )
    try:
        def ready():
            assert server.running(), server.output()
            with contextlib.suppress(pymysql.err.OperationalError):
                pymysql.connect(host="127.0.0.1", port=port, user="root").close()
                return True
        wait_until(ready, START_TIMEOUT_S, "MariaDB")
        yield port
    finally:
        server.kill()


@contextlib.contextmanager
def moto(base):
    """An S3 server with a bucket `aquifer`; yields its endpoint and the environment with credentials."""
    with moto_server(base) as (_, endpoint, env):
        yield endpoint, env


@contextlib.contextmanager
def moto_server(base):
    """As `moto`, with the process first."""
    import boto3

    base = pathlib.Path(base)
    base.mkdir(parents=True, exist_ok=True)
    port = free_port()
    endpoint = f"http://127.0.0.1:{port}"
    env = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": "us-east-1"}
    server = Process(
        "moto", [sys.executable, pathlib.Path(__file__).with_name("serial_moto.py"), "-H", "127.0.0.1", "-p", port],
        base / "moto.log",
    )
    try:
        def ready():
            assert server.running(), server.output()
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 1).close()
                return True
        wait_until(ready, START_TIMEOUT_S, "moto")
        client = boto3.client(
            "s3", endpoint_url=endpoint, aws_access_key_id="test", aws_secret_access_key="test",
            region_name="us-east-1",
        )
        client.create_bucket(Bucket="aquifer")
        yield server, endpoint, env
    finally:
        server.kill()


def sysbench(script, action, port, *options, timeout_s=600, db="sbtest"):
    """Runs a sysbench script and returns its output."""
    command = [
        "sysbench", script, "--db-driver=mysql", "--mysql-host=127.0.0.1", f"--mysql-port={port}",
        "--mysql-user=root", f"--mysql-db={db}", *options, action,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s)
    return done.returncode, done.stdout + done.stderr


def table_checksums(connection, database="sbtest"):
    """A checksum of each table, computed from its rows in primary key order."""
    import hashlib

    sums = {}
    with connection.cursor() as cursor:
        cursor.execute(f"SHOW TABLES FROM `{database}`")
        tables = sorted(row[0] for row in cursor.fetchall())
        for table in tables:
            cursor.execute(f"SELECT * FROM `{database}`.`{table}` ORDER BY 1")
            digest = hashlib.sha256()
            for row in cursor.fetchall():
                digest.update(repr(row).encode())
            sums[table] = digest.hexdigest()
    return sums


def percentile(values, share):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def number_in(pattern, text):
    found = re.search(pattern, text)
    assert found, f"no {pattern!r} in:\n{text}"
    return float(found.group(1))
