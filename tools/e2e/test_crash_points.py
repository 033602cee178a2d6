"""A crash at every change that a writer makes to a file: before it, after it, and in the middle of a write.

The program is preloaded with `crashpoint.c`, which counts its writes, renames, links, deletions and syncs and ends it at
the n-th. `AQUIFER_CRASH_POINTS=N` tries N of them instead of a few; `all` tries each in turn.
"""

import contextlib
import os
import pathlib
import subprocess
import time

import pymysql
import pytest

import harness

# A transaction keeps 64 KiB in memory; everything is flushed, compacted and collected soon.
ARGUMENTS = ["--memtable-bytes", str(256 << 10), "--retention-s", "1", "--collection-interval-s", "1",
             "--publish-interval-ms", "5"]
POINTS = os.environ.get("AQUIFER_CRASH_POINTS", "24")
HOW = ("before", "after", "torn")
LARGE = 1_500
PAD = "p" * 120
GONE = (0, 1053, 2003, 2006, 2013)


@pytest.fixture(scope="session")
def preload(tmp_path_factory):
    library = tmp_path_factory.mktemp("crashpoint") / "crashpoint.so"
    source = pathlib.Path(__file__).with_name("crashpoint.c")
    subprocess.run(["gcc", "-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o", library, source, "-ldl"], check=True)
    return library


class Work:
    """Everything that a writer does to files, and what of it was acknowledged."""

    def __init__(self):
        self.done = set()
        self.pairs = 0

    def run(self, node):
        """Whether the writer lived to its end."""
        try:
            with contextlib.closing(node.connect()) as connection, connection.cursor() as cursor:
                for name, statements in self.steps():
                    for statement in statements:
                        cursor.execute(statement)
                    self.done.add(name)
            return True
        except (pymysql.err.MySQLError, OSError) as error:
            if isinstance(error, pymysql.err.MySQLError) and error.args[0] not in GONE:
                raise
            return False

    def steps(self):
        yield "schema", ["CREATE DATABASE d"]
        yield "table", ["CREATE TABLE d.pair (id INT, part INT, pad VARCHAR(200), PRIMARY KEY (id, part), KEY by_pad (pad))"]
        yield "large table", ["CREATE TABLE d.large (id INT PRIMARY KEY, n INT NOT NULL, pad VARCHAR(200))"]
        yield from self.pair_steps(40)
        rows = ["(%d, %d, '%s')" % (n, n * 7, PAD) for n in range(LARGE)]
        yield "large", ["BEGIN", *("INSERT INTO d.large VALUES " + ", ".join(rows[at:at + 500]) for at in range(0, LARGE, 500)),
                        "UPDATE d.large SET n = n + 1", "COMMIT"]
        yield "index", ["ALTER TABLE d.large ADD UNIQUE INDEX by_n (n)"]
        yield "prepared", ["XA START 'x'", "INSERT INTO d.pair VALUES (-1, 1, ''), (-1, 2, '')", "XA END 'x'", "XA PREPARE 'x'"]
        yield from self.pair_steps(40)
        yield "ended", ["XA COMMIT 'x'"]
        yield "shrunk", ["DELETE FROM d.large WHERE id >= %d" % (LARGE // 2)]
        for _ in range(4):
            yield from self.pair_steps(40)
            # Time for what runs by itself.
            time.sleep(0.5)
        yield "dropped", ["DROP TABLE d.large"]

    def pair_steps(self, count):
        for _ in range(count):
            self.pairs += 1
            number = self.pairs
            yield ("pair", number), ["BEGIN", *("INSERT INTO d.pair VALUES (%d, %d, '%s')" % (number, part, PAD) for part in (1, 2)),
                                     "COMMIT"]


def exists(node, table):
    return bool(node.query("SELECT 1 FROM information_schema.tables WHERE table_schema = 'd' AND table_name = %s", (table,)))


def check(node, work):
    """Everything that was acknowledged is there, nothing in part."""
    done = work.done
    assert exists(node, "pair") or "table" not in done
    if exists(node, "pair"):
        parts = dict(node.query("SELECT id, COUNT(*) FROM d.pair GROUP BY id"))
        assert set(parts.values()) <= {2}, parts
        by_index = dict(node.query("SELECT id, COUNT(*) FROM d.pair FORCE INDEX (by_pad) WHERE pad >= '' GROUP BY id"))
        assert by_index == parts
        numbers = {number for _, number in (name for name in done if name[0] == "pair")}
        assert numbers <= parts.keys(), sorted(numbers - parts.keys())
        # One client: what came later is not there without what came before.
        there = sorted(number for number in parts if number > 0)
        assert there == list(range(1, len(there) + 1))
        prepared = node.query("XA RECOVER")
        assert -1 in parts or prepared or "prepared" not in done
        assert -1 in parts or "ended" not in done
    if exists(node, "large"):
        assert "dropped" not in done
        count, total = node.query("SELECT COUNT(*), COALESCE(SUM(n), 0) FROM d.large")[0]
        all_rows = (LARGE, sum(n * 7 + 1 for n in range(LARGE)))
        half = (LARGE // 2, sum(n * 7 + 1 for n in range(LARGE // 2)))
        allowed = {"shrunk": [half], "large": [all_rows, half]}
        expected = next((allowed[name] for name in allowed if name in done), [(0, 0), all_rows])
        assert (count, int(total)) in expected
        has_index = "by_n" in node.query("SHOW CREATE TABLE d.large")[0][1]
        assert has_index or "index" not in done
        if has_index:
            assert node.query("SELECT COUNT(*) FROM d.large FORCE INDEX (by_n) WHERE n >= 0") == ((count,),)
    else:
        assert "large table" not in done or "shrunk" in done


def crash_at(base, preload, point, how):
    """Runs the work with a crash at a point; whether it crashed."""
    work = Work()
    environment = os.environ | {"LD_PRELOAD": str(preload), "CRASH_AT": str(point), "CRASH_HOW": how}
    with harness.Cluster(base, env=environment) as cluster:
        node = cluster.start("writer", arguments=ARGUMENTS, ready=False)
        with contextlib.suppress(AssertionError):
            node.wait_ready()
            if work.run(node):
                node.stop()
        crashed = node.popen.wait(30) == -9
        cluster.env = None
        again = cluster.writer(arguments=ARGUMENTS)
        check(again, work)
        for format_id, length, _, name in again.query("XA RECOVER"):
            assert (format_id, length, name) == (1, 1, "x")
            again.execute("XA COMMIT 'x'")
        again.execute("CREATE DATABASE IF NOT EXISTS after_it")
        assert again.stop() == 0, again.output()
        verified = subprocess.run([harness.BINARY, "verify", "--store", cluster.store], capture_output=True, text=True, timeout=120)
        assert verified.returncode == 0, verified.stdout + verified.stderr
        # All of it is in the store.
        cluster.delete_local("writer")
        again = cluster.writer(arguments=ARGUMENTS)
        check(again, work)
        assert again.query("SHOW DATABASES LIKE 'after_it'")
    return crashed


def changes(base, preload):
    """How many changes the work takes, a clean stop included."""
    log = base / "changes"
    with harness.Cluster(base / "whole", env=os.environ | {"LD_PRELOAD": str(preload), "CRASH_LOG": str(log)}) as cluster:
        node = cluster.writer(arguments=ARGUMENTS)
        assert Work().run(node)
        harness.wait_until(lambda: int(node.status("Aquifer_collected_objects")), 60, "a collection")
        assert node.stop() == 0
    letters = log.read_text()
    assert set("wsrlu") <= set(letters), "writes, syncs, renames, links and deletions"
    return len(letters)


def test_crash_at_any_change_of_a_file_loses_nothing(tmp_path, preload):
    count = changes(tmp_path, preload)
    tried = range(1, count + 1) if POINTS == "all" else sorted({1 + n * count // int(POINTS) for n in range(int(POINTS))})
    crashed = 0
    for number, point in enumerate(tried):
        for how in HOW if POINTS == "all" else [HOW[number % len(HOW)]]:
            try:
                crashed += crash_at(tmp_path / f"{point}-{how}", preload, point, how)
            except AssertionError as error:
                raise AssertionError(f"crash {how} change {point} of {count}") from error
    print(f"{crashed} crashes at {len(tried)} of {count} changes")
    assert crashed >= len(tried) * 2 // 3
