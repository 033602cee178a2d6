#!/usr/bin/env python3
"""What long statements cost the short ones beside them.

In each round one client does point selects alone, and then beside clients that read whole tables over and over.
Long statements belong on threads of low priority, so the short ones should keep nearly all of their throughput.
"""

import argparse
import contextlib
import sys
import threading

import machine
import report
import servers
from load import Load
from report import Spread
from servers import pymysql

MEMORY_MIB = 512
SETTLE_S = 60
LONG = "SELECT COUNT(*), SUM(k), MAX(c) FROM sbtest1 WHERE pad <> ''"

FIGURES = [
    ("point selects alone, queries/s", "alone_per_s"),
    ("point selects beside them, queries/s", "beside_per_s"),
    ("kept, %", "kept_percent"),
    ("alone: p95, ms", "alone_p95_ms"),
    ("beside them: p95, ms", "beside_p95_ms"),
    ("long statements ended, for each second", "long_per_s"),
]


def main():
    options = parse_options()
    if "aquifer" in options.names:
        servers.use_binary(options.binary)
    rounds = []
    with servers.temporary_directory(options.dir) as base:
        about = {
            "what": "Long statements", "command": report.command_line(), "machine": machine.facts(base),
            "versions": report.versions(options.binary if "aquifer" in options.names else None,
                                        "mariadb" in options.names),
            "long": options.long, "rows": options.table_size, "rounds": options.rounds, "seconds": options.seconds,
        }
        for number in range(1, options.rounds + 1):
            for name in options.names if number % 2 else reversed(options.names):
                with servers.start(name, base / str(number), MEMORY_MIB, (), 100) as server:
                    rounds.append({"round": number, "server": name} | measure(server, options))
                report.progress(f"round {number}/{options.rounds}, {name}: {rounds[-1]['alone_per_s']:,.0f} a second "
                                f"alone, {rounds[-1]['beside_per_s']:,.0f} beside them")
    return finish(about, rounds, options)


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    servers.add_options(parser)
    parser.add_argument("--long", type=servers.positive, default=2, help="clients with long statements (default 2)")
    parser.add_argument("--rounds", type=servers.positive, default=3)
    parser.add_argument("--seconds", type=servers.positive, default=10, help="of each load (default 10)")
    parser.add_argument("--table-size", type=servers.positive, default=200_000)
    parser.add_argument("--only", choices=servers.NAMES, help="measure one server")
    options = parser.parse_args()
    options.names = [options.only] if options.only else list(servers.NAMES)
    return options


def measure(server, options):
    load = Load(tables=1, table_size=options.table_size, threads=1)
    load.prepare(server)
    load.run(server, "oltp_point_select", options.seconds)
    machine.wait_quiet([server.pid], SETTLE_S)
    alone = point_selects(load, server, options)
    with long_statements(server, options.long) as ended:
        beside = point_selects(load, server, options)
        count = sum(ended)
    return {
        "alone_per_s": alone["queries_per_s"], "beside_per_s": beside["queries_per_s"],
        "kept_percent": round(100 * beside["queries_per_s"] / alone["queries_per_s"], 1),
        "alone_p95_ms": alone["latency_p95_ms"], "beside_p95_ms": beside["latency_p95_ms"],
        "long_per_s": round(count / beside["wall_s"], 2), "alone": alone, "beside": beside,
    }


@contextlib.contextmanager
def long_statements(server, clients):
    """Runs them in threads; gives the number that each client has ended."""
    ended, stop = [0] * clients, threading.Event()
    connections = [server.connect(database="sbtest") for _ in range(clients)]

    def run(number):
        with contextlib.suppress(pymysql.err.MySQLError), connections[number].cursor() as cursor:
            while not stop.is_set():
                cursor.execute(LONG)
                cursor.fetchall()
                ended[number] += 1

    threads = [threading.Thread(target=run, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield ended
    finally:
        stop.set()
        for connection in connections:
            server.query(f"KILL QUERY {connection.thread_id()}")
        for thread in threads:
            thread.join()
        for connection in connections:
            connection.close()


def point_selects(load, server, options):
    figures = load.run(server, "oltp_point_select", options.seconds)
    if "failure" in figures:
        raise SystemExit(f"{server.name}: sysbench failed: {figures['failure']}")
    return figures


def finish(about, rounds, options):
    rows = []
    for title, key in FIGURES:
        sides = [Spread([found[key] for found in rounds if found["server"] == name]) for name in options.names]
        rows.append([title, *(side.shown() for side in sides)])
    head = ["median (lowest … highest) of the rounds", *(servers.SHOWN[name] for name in options.names)]
    text = report.table(head, rows)
    print(f"\n{text}\n")
    if not options.no_results and options.only != "mariadb":
        case = options.name or f"{options.long}-beside-one"
        for path in report.write(f"long-statements-{case}", about | {"measured": rounds}, markdown(about, text)):
            print(path)
    return 0


def markdown(about, text):
    return "\n".join([
        f"# {about['what']} beside point selects",
        "",
        *report.machine_lines(about["machine"]),
        report.versions_line(about["versions"]),
        f"{about['long']} clients repeat `{LONG}` over {about['rows']:,} rows; one client of sysbench does point selects.",
        "",
        f"Command: `{about['command']}`",
        "",
        f"{about['rounds']} rounds, a fresh server in each; {about['seconds']} s for each load.",
        "",
        text,
    ])


if __name__ == "__main__":
    sys.exit(main())
