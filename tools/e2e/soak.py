"""A soak: load, faults of the store, writers that are killed, a reader that watches; then it must heal.

    target/venv/bin/python tools/e2e/soak.py --seconds 1200 --result perf/results/soak.md

First faults, then none: at the end everything that was acknowledged must be there, on the writer and on the
reader, `aquifer verify` must find nothing, and after collection the store holds little more than what is live.
Memory and local disk are watched all the time. One seed decides the load, the kills and the faults (but not how
threads take turns). The store's clock is faster than the day, so that collection has an hour of history to work on.
"""

import argparse
import collections
import contextlib
import os
import pathlib
import random
import subprocess
import tempfile
import threading
import time

import pymysql

import harness
from bank import LOST
from faulty_s3 import FaultyS3

MIB = 1 << 20
# The store's time that a run lasts, however short it is.
STORE_SPAN_S = 3600
ROWS = 16_000
PAYLOAD_BYTES = 2_000
WORKERS = 4
ROW_CACHE, BLOCK_CACHE, MEMTABLE, DISK_CACHE, OUTBOX = 16 * MIB, 32 * MIB, 4 * MIB, 64 * MIB, 256 * MIB
# Beside caches and memtables (one that fills, four that wait, one that is written): the program itself, what
# executors, the commit log and requests under way need, and what the allocator keeps.
PROCESS_BYTES = 200 * MIB
RSS_MAX = ROW_CACHE + BLOCK_CACHE + 6 * MEMTABLE + PROCESS_BYTES
# The commit log's segments are preallocated and are kept until what they hold is published and flushed.
LOCAL_MAX = DISK_CACHE + OUTBOX + 256 * MIB
SPACE_MAX = 1.3
FAULT_SHARE = 0.004
# Answers that a client has to expect while a store fails and writers die.
EXPECTED = {*LOST, 1205, 1213, 1105, 1290}


class Rows:
    """Workers that replace rows of their own with higher rounds, and remember which were acknowledged."""

    def __init__(self, port, seed):
        self.port = port
        self.acknowledged = [0] * ROWS
        self.attempted = [0] * ROWS
        self.commits = 0
        self.errors = collections.Counter()
        self.failures = []
        self.slowest_s = 0.0
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(n, seed), daemon=True) for n in range(WORKERS)]
        for thread in self._threads:
            thread.start()

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join(180)
            assert not thread.is_alive(), "a client hangs"

    def _work(self, number, seed):
        pick = random.Random(seed * 100 + number)
        while not self._stop.is_set():
            try:
                with contextlib.closing(pymysql.connect(host="127.0.0.1", port=self.port, user="root", autocommit=True,
                                                        connect_timeout=5, read_timeout=120)) as connection:
                    while not self._stop.is_set():
                        self._replace(connection, number, pick)
            except (pymysql.err.MySQLError, OSError) as error:
                code = error.args[0] if isinstance(error, pymysql.err.MySQLError) else 0
                self.errors[code] += 1
                if code not in EXPECTED:
                    self.failures.append(error)
                self._stop.wait(0.05)

    def _replace(self, connection, number, pick):
        # Several rows in one transaction; a few of them are deleted and come back.
        rows = [pick.randrange(number, ROWS, WORKERS) for _ in range(pick.randint(1, 8))]
        rows = sorted(set(rows))
        rounds = {row: self.attempted[row] + 1 for row in rows}
        for row in rows:
            self.attempted[row] = rounds[row]
        began = time.monotonic()
        with connection.cursor() as cursor:
            cursor.execute("BEGIN")
            for row in rows:
                if pick.random() < 0.05:
                    cursor.execute("DELETE FROM soak.row WHERE id = %s", (row,))
                cursor.execute("REPLACE INTO soak.row VALUES (%s, %s, %s)",
                               (row, rounds[row], pick.randbytes(PAYLOAD_BYTES)))
            cursor.execute("COMMIT")
        self.slowest_s = max(self.slowest_s, time.monotonic() - began)
        for row in rows:
            self.acknowledged[row] = rounds[row]
        self.commits += 1


class Watch:
    """Memory and local disk of the nodes, twice a second."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.rss_max = collections.Counter()
        self.local_max = collections.Counter()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self):
        self._stop.set()
        self._thread.join(10)

    def _run(self):
        while not self._stop.wait(0.5):
            for node in list(self.cluster.nodes):
                if node.running():
                    self.rss_max[node.name] = max(self.rss_max[node.name], rss_bytes(node.pid))
            for name in ("writer", "reader"):
                self.local_max[name] = max(self.local_max[name], used_bytes(self.cluster.local(name)))


def rss_bytes(pid):
    with contextlib.suppress(OSError, ValueError):
        for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
    return 0


def used_bytes(folder):
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            if path.is_file():
                total += path.stat().st_blocks * 512
    return total


class Soak:
    """One run; `figures` is what it measured, as (what, value, limit)."""

    def __init__(self, base, seconds, seed):
        self.seconds, self.seed = seconds, seed
        self.pick = random.Random(seed)
        self.s3 = FaultyS3(seed, clock_factor=STORE_SPAN_S / seconds)
        env = {"AWS_ACCESS_KEY_ID": "soak", "AWS_SECRET_ACCESS_KEY": "soak", "AWS_REGION": "us-east-1"}
        self.cluster = harness.Cluster(
            base, "s3://aquifer/db", ["--s3-endpoint", self.s3.endpoint, "--s3-path-style"], env)
        self.port = harness.free_port()
        self.kills = self.outages = self.looks = 0
        self.figures = []

    def run(self):
        try:
            self._run()
        finally:
            self.cluster.close()
            self.s3.close()

    def _writer(self):
        return self.cluster.writer(arguments=self._writer_arguments(), port=self.port)

    def _reader(self):
        sizes = ["--row-cache-bytes", ROW_CACHE, "--block-cache-bytes", BLOCK_CACHE, "--memtable-bytes", MEMTABLE]
        return self.cluster.reader(arguments=sizes)

    def _run(self):
        self.writer = self._writer()
        self.writer.execute(
            "CREATE DATABASE soak", "CREATE TABLE soak.row (id INT PRIMARY KEY, round INT NOT NULL, v BLOB NOT NULL)")
        self.reader = self._reader()
        self.watch = Watch(self.cluster)
        rows = Rows(self.port, self.seed)
        seen = [0] * ROWS
        self.s3.set_faults(FAULT_SHARE)
        began = time.monotonic()
        next_kill = next_outage = 0
        while (elapsed := time.monotonic() - began) < self.seconds:
            if elapsed > next_outage:
                next_outage += max(30, self.seconds / 20)
                self.outages += 1
                self.s3.outage(self.pick.uniform(2, 5))
            if elapsed > next_kill:
                next_kill += max(15, self.seconds / 40)
                self._kill_writer()
            self._look(rows, seen)
            time.sleep(self.pick.uniform(0.2, 1.0))
        self.s3.set_faults(0)
        time.sleep(5)
        rows.stop()
        self.elapsed = time.monotonic() - began
        assert not rows.failures, rows.failures[:3]
        self._heal(rows)
        self._measure(rows)

    def _kill_writer(self):
        """SIGKILL under load, and a start while the store may be failing."""
        self.writer.kill()
        self.kills += 1
        for attempt in range(20):
            writer = self.cluster.start("writer", port=self.port, ready=False, arguments=self._writer_arguments())
            try:
                self.writer = writer.wait_ready(120)
                return
            except AssertionError:
                # A start that meets an outage may give up; an operator or an orchestrator starts it again.
                if writer.running() or attempt == 19:
                    raise
                time.sleep(0.5)

    def _writer_arguments(self):
        return ["--row-cache-bytes", ROW_CACHE, "--block-cache-bytes", BLOCK_CACHE, "--memtable-bytes", MEMTABLE,
                "--outbox-bytes", OUTBOX, "--collection-interval-s", 2, "--retention-s", 60]

    def _look(self, rows, seen):
        """What a reader shows never goes back and is never ahead of what was written."""
        first = self.pick.randrange(ROWS)
        with contextlib.suppress(*harness_errors()):
            found = self.reader.query(
                "SELECT id, round, LENGTH(v) FROM soak.row WHERE id BETWEEN %s AND %s", (first, first + 500),
                read_timeout=60)
            for row, number, length in found:
                assert length == PAYLOAD_BYTES, (row, length)
                assert seen[row] <= number <= rows.attempted[row], (row, seen[row], number, rows.attempted[row])
                seen[row] = number
            self.looks += 1

    def _heal(self, rows):
        """Without faults everything that was acknowledged is there, and both nodes agree."""
        harness.wait_until(lambda: int(self.writer.status("Aquifer_publish_backlog_bytes")) == 0, 120, "publishing")
        lsn = self.writer.visible_lsn()
        harness.wait_until(lambda: self.reader.visible_lsn() >= lsn, 120, "the reader")
        sums = []
        for node in (self.writer, self.reader):
            found = dict(node.query("SELECT id, round FROM soak.row", read_timeout=120))
            lost = [row for row in range(ROWS) if found.get(row, 0) < rows.acknowledged[row]]
            made_up = [row for row, number in found.items() if number > rows.attempted[row]]
            assert not lost, f"{node.name}: acknowledged and lost: {lost[:10]}"
            assert not made_up, f"{node.name}: never written: {made_up[:10]}"
            with contextlib.closing(node.connect(read_timeout=120)) as connection:
                sums.append(harness.table_checksums(connection, "soak"))
        assert sums[0] == sums[1], sums
        self.live_rows, self.live_bytes = self.writer.query("SELECT COUNT(*), SUM(LENGTH(v) + 16) FROM soak.row")[0]
        self.live_bytes = int(self.live_bytes)

    def _measure(self, rows):
        status = {name: int(value) for node in (self.writer, self.reader) for name, value in self._counters(node)}
        before = self.s3.stored_bytes()
        collected = self._collect()
        after, tables = self.s3.stored_bytes(), int(self.writer.status("Aquifer_sst_bytes"))
        self.watch.stop()
        assert self.writer.stop() == 0, self.writer.output()
        assert self.reader.stop() == 0, self.reader.output()
        arguments = ["--store", self.cluster.store, *self.cluster.store_arguments]
        verified = subprocess.run([harness.BINARY, "verify", *arguments], capture_output=True, text=True, timeout=600,
                                  env={**os.environ, **self.cluster.env})
        assert verified.returncode == 0, verified.stdout + verified.stderr
        rss, local = self.watch.rss_max, self.watch.local_max
        faults = ", ".join(f"{count} {name}" for name, count in sorted(self.s3.counts.items()))
        self.figures = [
            ("time under load", f"{self.elapsed:.0f} s", ""),
            ("transactions acknowledged and found again", f"{rows.commits}", "none lost"),
            ("slowest transaction", f"{rows.slowest_s:.2f} s", ""),
            ("errors that clients saw, by code", text_of(rows.errors), ""),
            ("writers killed", f"{self.kills}", ""),
            ("faults of the store", faults, ""),
            ("requests to the store", text_of(self.s3.requests), ""),
            ("looks at the reader", f"{self.looks}", "none went back"),
            *((f"memory of the {name}, most", mib(rss[name]), f"≤ {mib(RSS_MAX)}") for name in ("writer", "reader")),
            *((f"local disk of the {name}, most", mib(local[name]), f"≤ {mib(LOCAL_MAX)}")
              for name in ("writer", "reader")),
            ("live rows", f"{self.live_rows}, {mib(self.live_bytes)}", ""),
            ("stored before the last collections", mib(before), ""),
            ("objects collected", f"{collected}", ""),
            ("stored after them", f"{mib(after)}, of it {mib(tables)} in live tables", ""),
            ("stored for each live byte", f"{after / self.live_bytes:.2f}", f"≤ {SPACE_MAX}"),
        ]
        for name in ("writer", "reader"):
            assert rss[name] <= RSS_MAX, f"{name}: {mib(rss[name])} of memory, {mib(RSS_MAX)} are allowed"
            assert local[name] <= LOCAL_MAX, f"{name}: {mib(local[name])} of disk, {mib(LOCAL_MAX)} are allowed"
        for tier in ("row", "block", "disk"):
            used, limit = status[f"Aquifer_{tier}_cache_bytes"], status[f"Aquifer_{tier}_cache_bytes_max"]
            assert used <= limit * 1.05, f"{tier} cache: {mib(used)} of {mib(limit)}"
        assert after <= SPACE_MAX * self.live_bytes, self.table()

    @staticmethod
    def _counters(node):
        rows = node.query("SHOW GLOBAL STATUS LIKE 'Aquifer%cache_bytes%'")
        return [(name, value) for name, value in rows]

    def _collect(self):
        """Hours pass in the store until there is nothing left to collect."""
        harness.wait_until(
            lambda: int(self.writer.status("Aquifer_frozen_memtable_bytes")) == 0, 60, "flushes")
        # A minute without a flush, then what is stored twice is compacted.
        sizes = [0]
        harness.wait_until(lambda: self._is_at_rest(sizes), 400, "a tree at rest")
        self.writer.execute("CREATE TABLE soak.mark (n INT PRIMARY KEY)")
        counts = []
        for number in range(12):
            self.s3.move_clock(1800)
            # A link, so that there is a reason to collect.
            self.writer.execute(f"INSERT INTO soak.mark VALUES ({number})")
            runs = int(self.writer.status("Aquifer_collections"))
            harness.wait_until(lambda: int(self.writer.status("Aquifer_collections")) >= runs + 2, 60, "a collection")
            counts.append(int(self.writer.status("Aquifer_collected_objects")))
            if len(counts) > 3 and counts[-1] - counts[-3] < 10:
                break
        return counts[-1]

    def _is_at_rest(self, sizes, rest_s=75):
        """Whether the tables have not changed for so long; looks once a second."""
        time.sleep(1)
        size = int(self.writer.status("Aquifer_sst_bytes"))
        if size != sizes[0]:
            sizes[:] = [size]
        sizes.append(size)
        return len(sizes) > rest_s

    def table(self):
        lines = ["| what | measured | limit |", "|---|---|---|"]
        return "\n".join(lines + [f"| {what} | {value} | {limit} |" for what, value, limit in self.figures])


def harness_errors():
    return (pymysql.err.MySQLError, OSError)


def text_of(counter):
    return ", ".join(f"{name}: {count}" for name, count in sorted(counter.items())) or "none"


def mib(count):
    return f"{count / MIB:.1f} MiB"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=1200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--dir", help="where nodes keep their files meanwhile; a disk")
    parser.add_argument("--result", help="a file for the table")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.dir) as base:
        soak = Soak(base, options.seconds, options.seed)
        try:
            soak.run()
        finally:
            print(soak.table())
    text = f"# Soak\n\n{options.seconds:.0f} s, seed {options.seed}.\n\n{soak.table()}\n"
    if options.result:
        pathlib.Path(options.result).write_text(text)


if __name__ == "__main__":
    main()
