"""One sysbench run against one server, and what it cost the machine."""

import re
import time

import machine
import report
from servers import harness

CLIENT_PATIENCE_S = 120


class Load:
    """Tables, and how they are loaded."""

    def __init__(self, tables, table_size, threads):
        self.tables, self.table_size, self.threads = tables, table_size, threads

    def options(self, threads=None):
        return [f"--tables={self.tables}", f"--table-size={self.table_size}", f"--threads={threads or self.threads}"]

    def prepare(self, server, *options):
        """Creates the tables on a server and checks that they are complete. The seconds that it took."""
        server.query("CREATE DATABASE sbtest")
        threads = min(self.tables, machine.cores())
        start = time.monotonic()
        status, output = harness.sysbench(
            "oltp_read_write", "prepare", server.port, *self.options(threads), *options, timeout_s=7_200)
        if status != 0:
            raise SystemExit(f"{server.name}: sysbench could not make its tables:\n{output[-2000:]}")
        self.check(server)
        return time.monotonic() - start

    def check(self, server):
        """Each table has its rows: what a run deletes it inserts again in the same transaction."""
        for table in range(1, self.tables + 1):
            rows = server.query(f"SELECT COUNT(*) FROM sbtest.sbtest{table}")[0][0]
            if rows != self.table_size:
                raise SystemExit(f"{server.name}: sbtest{table} has {rows} rows instead of {self.table_size}")

    def run(self, server, script, seconds, *options, threads=None):
        """Runs a script for some seconds. The figures; `failure` holds sysbench's words if it did not end well."""
        begin, before = time.monotonic(), usage(server.pid)
        status, output = harness.sysbench(
            script, "run", server.port, *self.options(threads), f"--time={seconds}", "--events=0", *options,
            timeout_s=seconds + CLIENT_PATIENCE_S)
        wall_s, after = time.monotonic() - begin, usage(server.pid)
        server_s, client_s, busy_s = (now - then for then, now in zip(before, after))
        figures = parse(output) if status == 0 else failed(output)
        queries = figures.get("queries")
        figures |= {
            "wall_s": round(wall_s, 3),
            "server_cpu_s": round(server_s, 3),
            "client_cpu_s": round(client_s, 3),
            "other_cpu_s": round(max(0.0, busy_s - server_s - client_s), 3),
            "server_cpu_us_per_query": round(server_s / queries * 1e6, 3) if queries else None,
        }
        return figures


def usage(pid):
    return machine.cpu_seconds(pid), machine.children_cpu_seconds(), machine.busy_seconds()


def failed(output):
    lines = [report.without_paths(line) for line in output.splitlines() if re.search(r"FATAL|[Ee]rror", line)]
    return {"failure": lines[:10] or [report.without_paths(output[-500:])]}


def parse(output):
    """The figures of sysbench 1.0's report."""
    def one(pattern):
        return harness.number_in(pattern, output)

    return {
        "queries": int(one(r"queries:\s+(\d+)")),
        "queries_per_s": one(r"queries:\s+\d+\s+\(([\d.]+) per sec"),
        "transactions": int(one(r"transactions:\s+(\d+)")),
        "transactions_per_s": one(r"transactions:\s+\d+\s+\(([\d.]+) per sec"),
        "errors": int(one(r"ignored errors:\s+(\d+)")),
        "reconnects": int(one(r"reconnects:\s+(\d+)")),
        "latency_avg_ms": one(r"avg:\s+([\d.]+)"),
        "latency_p95_ms": one(r"95th percentile:\s+([\d.]+)"),
        "latency_max_ms": one(r"max:\s+([\d.]+)"),
    }
