"""The servers that are measured, each on data of its own below one temporary directory.

Starting and stopping is done by `tools/e2e/harness.py`, the same code that the tests use.
"""

import argparse
import contextlib
import os
import pathlib
import shutil
import signal
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools" / "e2e"))

try:
    import harness
    import pymysql
except ImportError as error:
    raise SystemExit(f"{error}: run this with the Python of the tests, target/venv/bin/python, which "
                     "`cargo xtask setup` makes") from error

MIB = 1 << 20

# The default is a tenth of the free disk for each node, allocated at once: too much for one measurement.
DISK_CACHE = f"--disk-cache-bytes={512 * MIB}"

NAMES = ("aquifer", "mariadb")
SHOWN = {"aquifer": "Aquifer", "mariadb": "InnoDB"}


class Server:
    """A running server."""

    def __init__(self, name, port, pid):
        self.name, self.port, self.pid = name, port, pid

    def connect(self, **options):
        return pymysql.connect(host="127.0.0.1", port=self.port, user="root", autocommit=True, **options)

    def query(self, sql):
        with contextlib.closing(self.connect()) as connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall()


def add_options(parser):
    """Options that every measurement has."""
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    parser.add_argument("--binary", default=os.environ.get("AQUIFER_BINARY", target / "release" / "aquifer"),
                        type=pathlib.Path, help="the aquifer program (default: the release build)")
    parser.add_argument("--dir", default=target, type=pathlib.Path,
                        help="where the temporary directory is made; a real disk, not tmpfs (default: target/)")
    parser.add_argument("--name", help="name of the case in the result's file name (default: made of the sizes)")
    parser.add_argument("--no-results", action="store_true", help="print only, write no files")


def names_list(allowed=None):
    """Type of an option that is a list of words with commas."""
    def parse(text):
        words = [word for word in text.split(",") if word]
        unknown = [word for word in words if allowed and word not in allowed]
        if unknown or not words:
            raise argparse.ArgumentTypeError(f"{text!r}: expected some of {', '.join(allowed or ())}")
        return words
    return parse


def positive(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text}: must be at least 1")
    return value


def use_binary(path):
    """Has the harness start this program."""
    if not os.access(path, os.X_OK):
        raise SystemExit(f"{path} is not there: build it (cargo build --release) or name one with --binary")
    harness.BINARY = str(path.resolve())


@contextlib.contextmanager
def temporary_directory(parent):
    """A directory that is gone afterwards, also when the measurement is interrupted."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    parent.mkdir(parents=True, exist_ok=True)
    path = pathlib.Path(tempfile.mkdtemp(prefix="aquifer-perf-", dir=parent))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def start(name, base, memory_mib, options=(), max_connections=500):
    """Starts a server with about `memory_mib` of memory for its data."""
    run = {"aquifer": aquifer, "mariadb": mariadb, "myrocks": myrocks}[name]
    with run(base, memory_mib, options, max_connections) as server:
        yield server


@contextlib.contextmanager
def aquifer(base, memory_mib, options, max_connections):
    """A writer on a directory store. Its memory: memtable, a quarter of it for rows, the rest for blocks."""
    with harness.Cluster(base / "aquifer") as cluster:
        node = cluster.writer(arguments=[*aquifer_options(memory_mib), *options])
        node.execute(f"SET GLOBAL max_connections = {max_connections}")
        yield Server("aquifer", node.port, node.pid)


def aquifer_options(memory_mib):
    memtable = min(64, max(1, memory_mib // 8))
    rows = max(1, memory_mib // 4)
    blocks = max(1, memory_mib - memtable - rows)
    return [f"--memtable-bytes={memtable * MIB}", f"--row-cache-bytes={rows * MIB}",
            f"--block-cache-bytes={blocks * MIB}", DISK_CACHE]


@contextlib.contextmanager
def mariadb(base, memory_mib, options, max_connections):
    """MariaDB with InnoDB, durable commits, and room for its log and its flushing on a solid-state disk."""
    with harness.mariadb(base, [*mariadb_options(memory_mib, max_connections), *options]) as port:
        server = Server("mariadb", port, None)
        server.pid = int(pathlib.Path(server.query("SELECT @@pid_file")[0][0]).read_text())
        yield server


@contextlib.contextmanager
def myrocks(base, memory_mib, options, max_connections):
    """MariaDB with MyRocks beside InnoDB; the tables say which they are for."""
    plugin = ["--plugin-load-add=ha_rocksdb", f"--rocksdb-block-cache-size={memory_mib * MIB}"]
    with mariadb(base / "myrocks", memory_mib, [*plugin, *options], max_connections) as server:
        yield server


# What MyRocks' own documents recommend for production, instead of what it does by default.
MYROCKS_ZSTD = ("--rocksdb-default-cf-options="
                "compression=kLZ4Compression;bottommost_compression=kZSTD",)


def mariadb_options(memory_mib, max_connections):
    return [
        f"--innodb-buffer-pool-size={memory_mib}M",
        "--innodb-flush-log-at-trx-commit=1",
        # A log that does not force checkpoints during a round, and flushing at the pace of an SSD: at the
        # defaults it would still be flushing while it is the other server's turn.
        "--innodb-log-file-size=1G",
        "--innodb-io-capacity=2000",
        # What Debian's package sets, and with it most installations.
        "--character-set-server=utf8mb4",
        "--collation-server=utf8mb4_general_ci",
        f"--max-connections={max_connections}",
    ]
