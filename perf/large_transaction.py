#!/usr/bin/env python3
"""One transaction that writes many times the server's memory, on Aquifer and on InnoDB one after the other.

1. INSERT … SELECT statements fill a table with a secondary index, all in one transaction, and a COMMIT ends it. Beside it
   another client commits a small transaction every few milliseconds.
2. The rows are counted and summed up by the table and by the index.
3. The same transaction once more, on another table, ends with ROLLBACK.

The server's memory is looked at twenty times a second.
"""

import argparse
import contextlib
import sys
import threading
import time

import machine
import report
import servers
from report import number

ROW_BYTES = 610
STATEMENT_ROWS = 100_000
INSERT = (
    "INSERT INTO d.{table} SELECT i, (i * 7919) % 1000003, CONCAT(SHA2(i, 512), REPEAT('x', 340), SHA2(i + 1, 512)) FROM "
    "(SELECT {start} + a.n * 10000 + b.n * 1000 + c.n * 100 + e.n * 10 + f.n AS i "
    "FROM d.digit a, d.digit b, d.digit c, d.digit e, d.digit f) s"
)


class Beside:
    """A client with small transactions, and the server's memory, until stopped."""

    def __init__(self, server):
        self.server = server
        self.commits = []
        self.peak_bytes = 0
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._commit, self._watch)]
        for thread in self._threads:
            thread.start()

    def _commit(self):
        with contextlib.closing(self.server.connect()) as connection, connection.cursor() as cursor:
            while not self._stop.wait(0.005):
                begun = time.monotonic()
                cursor.execute("UPDATE d.small SET n = n + 1 WHERE id = 1")
                self.commits.append((begun, time.monotonic() - begun))

    def _watch(self):
        while not self._stop.wait(0.05):
            self.peak_bytes = max(self.peak_bytes, machine.resident_bytes(self.server.pid))

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join(60)


def fill(cursor, table, rows):
    cursor.execute("BEGIN")
    for start in range(0, rows, STATEMENT_ROWS):
        cursor.execute(INSERT.format(table=table, start=start))


def measure(server, options):
    rows = options.times * options.memory_mib * (1 << 20) // ROW_BYTES // STATEMENT_ROWS * STATEMENT_ROWS
    report.progress(f"{server.name}: {rows} rows")
    with contextlib.closing(server.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE d")
        cursor.execute("CREATE TABLE d.digit (n INT PRIMARY KEY)")
        cursor.execute("INSERT INTO d.digit VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)")
        cursor.execute("CREATE TABLE d.small (id INT PRIMARY KEY, n INT NOT NULL)")
        cursor.execute("INSERT INTO d.small VALUES (1, 0)")
        for table in ("committed", "given_up"):
            cursor.execute(f"CREATE TABLE d.{table} (id INT PRIMARY KEY, n INT NOT NULL, pad VARCHAR(700) NOT NULL, KEY by_n (n))")
        before = machine.resident_bytes(server.pid)
        beside, begun = Beside(server), time.monotonic()
        fill(cursor, "committed", rows)
        filled = time.monotonic()
        cursor.execute("COMMIT")
        committed = time.monotonic()
        beside.stop()
        sums = []
        for where in ("IGNORE INDEX (by_n)", "FORCE INDEX (by_n) WHERE n >= 0"):
            cursor.execute(f"SELECT COUNT(*), SUM(n), BIT_XOR(id) FROM d.committed {where}")
            sums.append(cursor.fetchone())
        if sums[0] != sums[1] or sums[0][0] != rows:
            raise SystemExit(f"{server.name}: the table and its index differ: {sums}")
        fill(cursor, "given_up", rows // 4)
        give_up = time.monotonic()
        cursor.execute("ROLLBACK")
        given_up = time.monotonic()
        cursor.execute("SELECT COUNT(*) FROM d.given_up")
        if cursor.fetchone() != (0,):
            raise SystemExit(f"{server.name}: rows of a transaction that was rolled back")
    waits = sorted(wait for _, wait in beside.commits)
    last = [wait for begun_at, wait in beside.commits if begun_at + wait >= filled]
    return {
        "rows": rows, "fill_s": filled - begun, "commit_s": committed - filled, "in_all_s": committed - begun,
        "rows_per_s": rows / (committed - begun), "before_mib": before / (1 << 20),
        "peak_mib": beside.peak_bytes / (1 << 20), "rollback_s": given_up - give_up,
        "others_p50_ms": waits[len(waits) // 2] * 1e3, "others_p99_ms": waits[len(waits) * 99 // 100] * 1e3,
        "others_max_ms": waits[-1] * 1e3, "others_at_commit_ms": max(last, default=0) * 1e3,
    }


FIGURES = [
    ("rows written, s", "fill_s"), ("COMMIT, s", "commit_s"), ("both, s", "in_all_s"), ("rows/s", "rows_per_s"),
    ("server's memory before, MiB", "before_mib"), ("largest, MiB", "peak_mib"),
    ("others' commits beside it: median, ms", "others_p50_ms"), ("p99, ms", "others_p99_ms"),
    ("slowest, ms", "others_max_ms"), ("slowest during COMMIT, ms", "others_at_commit_ms"),
    ("ROLLBACK of a quarter as much, s", "rollback_s"),
]


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    servers.add_options(parser)
    parser.add_argument("--memory-mib", type=servers.positive, default=256)
    parser.add_argument("--times", type=servers.positive, default=10, help="bytes of rows for each byte of memory (default 10)")
    options = parser.parse_args()
    servers.use_binary(options.binary)
    measured = {}
    with servers.temporary_directory(options.dir) as base:
        for name in servers.NAMES:
            with servers.start(name, base, options.memory_mib) as server:
                measured[name] = measure(server, options)
    rows = [[what, *(number(measured[name][key]) for name in servers.NAMES)] for what, key in FIGURES]
    table = report.table(["", *servers.NAMES], rows)
    print(table)
    if not options.no_results:
        title = (f"# One transaction of {options.times} times the server's {options.memory_mib} MiB\n\n"
                 f"`{report.command_line()}`\n\n{measured[servers.NAMES[0]]['rows']:,} rows of {ROW_BYTES} bytes.\n\n")
        report.write(options.name or "large-transaction", measured, title + table + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
