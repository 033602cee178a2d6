#!/usr/bin/env python3
"""ADD INDEX on a large table beside oltp_read_write, on Aquifer and on InnoDB one after the other.

1. sysbench makes one table; both servers have the same memory for data.
2. oltp_read_write runs on that table and tells its queries each second. After a while ADD INDEX begins on another
   connection; when it is done the load goes on for as long as before.
3. The index is compared with the table: number of rows and a checksum over what it holds, in one snapshot.

"Foreground" is the median second during the build over the median second outside of it. The same statement with nothing
beside it is measured too, on a second index.
"""

import argparse
import contextlib
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import report
import servers
from load import Load, usage

CREATE = "ALTER TABLE sbtest.sbtest1 ADD INDEX {name} ({column}), ALGORITHM=INPLACE, LOCK=NONE"


class Beside:
    """oltp_read_write, with its queries in each second since it began."""

    def __init__(self, server, options):
        self.output = tempfile.TemporaryFile("w+")
        command = ["sysbench", "oltp_read_write", "--db-driver=mysql", "--mysql-host=127.0.0.1",
                   f"--mysql-port={server.port}", "--mysql-user=root", "--mysql-db=sbtest", "--tables=1",
                   f"--table-size={options.rows}", f"--threads={options.threads}", "--time=86400", "--events=0",
                   "--report-interval=1", "run"]
        self.began = time.monotonic()
        self.process = subprocess.Popen(command, stdout=self.output, stderr=subprocess.STDOUT)

    def second(self):
        return time.monotonic() - self.began

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        self.output.seek(0)
        text = self.output.read()
        found = re.findall(r"\[ (\d+)s \].*? qps: ([\d.]+)", text)
        if not found:
            raise SystemExit("sysbench did not run:\n" + text[-1000:])
        return {int(second): float(qps) for second, qps in found}


def build(server, name, column):
    """Seconds and the server's CPU seconds of an ADD INDEX."""
    before, begun = usage(server.pid)[0], time.monotonic()
    server.query(CREATE.format(name=name, column=column))
    return time.monotonic() - begun, usage(server.pid)[0] - before


def check(server, name, column):
    """The index holds what the table holds."""
    sums = []
    with contextlib.closing(server.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
        for hint in (f"IGNORE INDEX ({name})", f"FORCE INDEX ({name})"):
            condition = f"{column} >= ''"
            cursor.execute(f"SELECT COUNT(*), BIT_XOR(CRC32(CONCAT(id, {column}))) FROM sbtest.sbtest1 {hint} WHERE {condition}")
            sums.append(cursor.fetchone())
    if sums[0] != sums[1]:
        raise SystemExit(f"{server.name}: the table and its index differ: {sums}")
    return sums[0][0]


def measure(server, options):
    load = Load(1, options.rows, options.threads)
    report.progress(f"{server.name}: {options.rows} rows")
    loaded = load.prepare(server)
    alone_s, alone_cpu_s = build(server, "by_c", "c")
    server.query("ALTER TABLE sbtest.sbtest1 DROP INDEX by_c")
    time.sleep(options.seconds)
    beside = Beside(server, options)
    time.sleep(options.seconds)
    begin = beside.second()
    build_s, _ = build(server, "by_pad", "pad")
    end = beside.second()
    time.sleep(options.seconds)
    seconds = beside.stop()
    during = [qps for second, qps in seconds.items() if begin + 1 < second <= end]
    outside = [qps for second, qps in seconds.items() if 3 < second < begin or second > end + 1]
    checked = check(server, "by_pad", "pad")
    return {
        "load_s": loaded, "alone_s": alone_s, "alone_cpu_s": alone_cpu_s, "beside_s": build_s,
        "outside_qps": statistics.median(outside), "during_qps": statistics.median(during) if during else None,
        "worst_qps": min(during) if during else None, "checked_rows": checked, "seconds": seconds,
        "begin_s": begin, "end_s": end,
    }


def shown(value):
    return "" if value is None else report.number(value)


def share(figures, key):
    return figures[key] / figures["outside_qps"] if figures[key] is not None else None


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    servers.add_options(parser)
    parser.add_argument("--rows", type=servers.positive, default=10_000_000)
    parser.add_argument("--threads", type=servers.positive, default=16)
    parser.add_argument("--seconds", type=servers.positive, default=20, help="of load before and after the build (default 20)")
    parser.add_argument("--memory-mib", type=servers.positive, default=4_096)
    options = parser.parse_args()
    servers.use_binary(options.binary)
    measured = {}
    with servers.temporary_directory(options.dir) as base:
        for name in servers.NAMES:
            with servers.start(name, base, options.memory_mib) as server:
                measured[name] = measure(server, options)
    lines = [
        ("alone, s", "alone_s"), ("alone, CPU s", "alone_cpu_s"), ("beside the load, s", "beside_s"),
        ("queries/s outside of the build", "outside_qps"), ("queries/s during it, median second", "during_qps"),
        ("queries/s during it, worst second", "worst_qps"),
    ]
    rows = [[what, *(shown(measured[name][key]) for name in servers.NAMES)] for what, key in lines]
    for what, key in [("foreground, median second", "during_qps"), ("foreground, worst second", "worst_qps")]:
        rows.append([what, *(shown(share(measured[name], key)) for name in servers.NAMES)])
    table = report.table(["", *servers.NAMES], rows)
    print(table)
    if not options.no_results:
        title = f"# ADD INDEX beside oltp_read_write, {options.rows} rows, {options.threads} connections\n\n`{report.command_line()}`\n\n"
        report.write(options.name or "add-index", measured, title + table + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
