#!/usr/bin/env python3
"""TPC-H: the 22 queries on Aquifer and on MariaDB's InnoDB.

Both servers get the same rows (tpch_data.py), the same indexes and ANALYZE TABLE. Each query runs a few times on
each server; its time is the least of them, its CPU that of the server for one run, on average: what it costs on a
machine that others use, too. Every answer is compared with the other server's.
"""

import argparse
import itertools
import time
import warnings

import machine
import report
import servers
import tpch_data
import tpch_queries
from servers import pymysql

SETTLE_S = 60
TIMEOUT_S = 120
# Of one LOAD DATA, which is one transaction.
LINES_MAX = 50_000


def main():
    options = parse_options()
    if "aquifer" in options.servers:
        servers.use_binary(options.binary)
    with servers.temporary_directory(options.dir) as base:
        generator = tpch_data.Generator(options.scale, options.seed)
        generator.write(base / "data")
        report.progress(f"rows generated: scale factor {options.scale}, seed {options.seed}")
        about = {
            "what": "TPC-H", "command": report.command_line(), "machine": machine.facts(base),
            "versions": report.versions(options.binary if "aquifer" in options.servers else None,
                                        "mariadb" in options.servers),
            "scale": options.scale, "seed": options.seed, "rounds": options.rounds, "memory_mib": options.memory_mib,
        }
        found = {}
        for name in options.servers:
            extra = options.aquifer_option if name == "aquifer" else ()
            with servers.start(name, base, options.memory_mib, extra, 100) as server:
                found[name] = measure(server, base / "data", options)
    return finish(about, found, options)


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    servers.add_options(parser)
    parser.add_argument("--scale", type=float, default=0.1, help="scale factor (default 0.1)")
    parser.add_argument("--seed", type=int, default=1, help="of the generator (default 1)")
    parser.add_argument("--rounds", type=servers.positive, default=3, help="runs of each query (default 3)")
    parser.add_argument("--memory-mib", type=servers.positive, default=1024)
    parser.add_argument("--queries", type=servers.names_list([str(number) for number in tpch_queries.QUERIES]),
                        default=[str(number) for number in tpch_queries.QUERIES])
    parser.add_argument("--servers", type=servers.names_list(servers.NAMES), default=list(servers.NAMES))
    parser.add_argument("--aquifer-option", action="append", default=[], help="handed to the writer")
    parser.add_argument("--analyze", action="store_true", help="print EXPLAIN ANALYZE of each query on Aquifer")
    options = parser.parse_args()
    options.queries = [int(number) for number in options.queries]
    return options


def measure(server, data, options):
    started = time.monotonic()
    load(server, data)
    loaded_s = time.monotonic() - started
    report.progress(f"{server.name}: loaded in {loaded_s:.1f} s")
    machine.wait_quiet([server.pid], SETTLE_S)
    queries = {}
    for number in options.queries:
        before = machine.cpu_seconds(server.pid)
        queries[number] = run(server, tpch_queries.text(number, options.scale), options.rounds)
        queries[number]["cpu_s"] = (machine.cpu_seconds(server.pid) - before) / options.rounds
        shown = queries[number].get("error") or f"{min(queries[number]['seconds']):.3f} s"
        report.progress(f"{server.name}: query {number}: {shown}")
        if options.analyze and server.name == "aquifer" and "error" not in queries[number]:
            with server.connect(database="tpch") as connection, connection.cursor() as cursor:
                cursor.execute("EXPLAIN ANALYZE " + tpch_queries.text(number, options.scale))
                print("\n".join(row[0] for row in cursor.fetchall()), flush=True)
    return {"loaded_s": loaded_s, "queries": queries}


def load(server, data):
    server.query("SET GLOBAL local_infile = 1")
    server.query("CREATE DATABASE tpch COLLATE utf8mb4_bin")
    with server.connect(database="tpch", local_infile=True) as connection, connection.cursor() as cursor:
        for name, columns in tpch_data.SCHEMA.items():
            cursor.execute(f"CREATE TABLE {name} ({columns})")
            for part in parts(data / name):
                with warnings.catch_warnings():
                    warnings.simplefilter("error")
                    cursor.execute(f"LOAD DATA LOCAL INFILE '{part}' INTO TABLE {name}")
        for name in tpch_data.SCHEMA:
            cursor.execute(f"ANALYZE TABLE {name}")
            cursor.fetchall()


def parts(path):
    """A file in files of some lines each, one after the other at the same place: a transaction has a limit."""
    part = path.with_suffix(".part")
    with open(path) as file:
        while lines := list(itertools.islice(file, LINES_MAX)):
            part.write_text("".join(lines))
            yield part


def run(server, sql, rounds):
    """Times of a query, and its answer; or its error."""
    seconds = []
    with server.connect(database="tpch", read_timeout=TIMEOUT_S) as connection, connection.cursor() as cursor:
        for _ in range(rounds):
            started = time.monotonic()
            try:
                cursor.execute(sql)
                rows = cursor.fetchall()
            except pymysql.err.MySQLError as error:
                return {"error": f"{type(error).__name__} {error}"}
            seconds.append(time.monotonic() - started)
    return {"seconds": seconds, "rows": [[str(value) for value in row] for row in rows]}


def finish(about, found, options):
    """The table; 1 when an answer differs or is missing."""
    wrong = [number for number in options.queries if not same(found, number)]
    lines = [line(found, number, number in wrong) for number in options.queries]
    totals = {name: total(result) for name, result in found.items()}
    both = len(found) == 2
    if both and None not in totals.values():
        (ours, our_cpu), (theirs, their_cpu) = totals["aquifer"], totals["mariadb"]
        lines.append(["all", f"{ours:.3f}", f"{theirs:.3f}", f"{ours / theirs:.2f}", f"{our_cpu:.2f}", f"{their_cpu:.2f}",
                      f"{our_cpu / their_cpu:.2f}", ""])
    head = ["query", "Aquifer, s", "InnoDB, s", "ratio", "CPU: Aquifer, s", "InnoDB, s", "ratio", "answer"]
    text = report.table(head, lines)
    print(text)
    if both and not options.no_results:
        for result in found.values():
            for query in result["queries"].values():
                query["rows"] = len(query.get("rows", []))
        loads = ", ".join(f"{servers.SHOWN[name]} {found[name]['loaded_s']:.1f} s" for name in found)
        head = [
            f"# TPC-H, scale factor {options.scale}", "", *report.machine_lines(about["machine"]),
            report.versions_line(about["versions"]), f"Command: `{about['command']}`", "",
            f"Times are the least of {options.rounds} runs, in seconds, CPU is that of the server for one run, on average; "
            f"answers are compared value by value. "
            f"{options.memory_mib} MiB for data on each server. Load and ANALYZE: {loads}.", "",
        ]
        case = options.name or f"tpch-sf{options.scale}"
        for name in report.write(case, about | {"found": found}, "\n".join(head) + "\n" + text):
            report.progress(name)
    return 1 if wrong else 0


def same(found, number):
    answers = [result["queries"][number].get("rows") for result in found.values()]
    return None not in answers and all(answer == answers[0] for answer in answers)


def total(result):
    """Seconds and seconds of CPU."""
    times = [query.get("seconds") for query in result["queries"].values()]
    cpu = sum(query["cpu_s"] for query in result["queries"].values())
    return None if None in times else (sum(min(each) for each in times), cpu)


def line(found, number, wrong):
    times = {name: result["queries"][number].get("seconds") for name, result in found.items()}
    shown = {name: f"{min(each):.3f}" if each else "error" for name, each in times.items()}
    ours, theirs = times.get("aquifer"), times.get("mariadb")
    ratio = f"{min(ours) / min(theirs):.2f}" if ours and theirs else "-"
    cpu = {name: result["queries"][number]["cpu_s"] for name, result in found.items()}
    cpu_ratio = f"{cpu['aquifer'] / cpu['mariadb']:.2f}" if len(cpu) == 2 and cpu["mariadb"] > 0 else "-"
    rows = len(next(iter(found.values()))["queries"][number].get("rows", []))
    answer = "differs" if wrong and ours and theirs else "error" if wrong else f"{rows} rows"
    cpu = [f"{cpu[name]:.3f}" if name in cpu else "-" for name in servers.NAMES]
    return [str(number), *(shown.get(name, "-") for name in servers.NAMES), ratio, *cpu, cpu_ratio, answer]


if __name__ == "__main__":
    raise SystemExit(main())
