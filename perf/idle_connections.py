#!/usr/bin/env python3
"""What an idle connection costs in memory, and what many of them cost a client that is busy.

In each round a server starts afresh and serves point selects of one client: alone, beside the idle
connections, and alone again after they are gone. Memory is the resident size of the server before and after
the idle connections are opened; a hundred others are open already, so that what a server allocates once is
not counted.
"""

import argparse
import contextlib
import sys
import time

import machine
import report
import servers
from load import Load
from report import Spread

WARM_UP_CONNECTIONS = 100
MEMORY_MIB = 256
SETTLE_S = 60

FIGURES = [
    ("bytes for an idle connection", "bytes_per_connection"),
    ("time to open one, µs", "open_us"),
    ("point select alone: avg, ms", "alone_avg_ms"),
    ("point select beside them: avg, ms", "beside_avg_ms"),
    ("point select afterwards: avg, ms", "afterwards_avg_ms"),
    ("point select alone: p95, ms", "alone_p95_ms"),
    ("point select beside them: p95, ms", "beside_p95_ms"),
    ("server CPU alone, µs/query", "alone_cpu_us"),
    ("server CPU beside them, µs/query", "beside_cpu_us"),
]


def main():
    options = parse_options()
    machine.allow_many_files(2 * options.connections + 1_000)
    if "aquifer" in options.names:
        servers.use_binary(options.binary)
    rounds = []
    with servers.temporary_directory(options.dir) as base:
        about = {
            "what": "Idle connections", "command": report.command_line(), "machine": machine.facts(base),
            "versions": report.versions(options.binary if "aquifer" in options.names else None,
                                        "mariadb" in options.names),
            "connections": options.connections, "rounds": options.rounds, "seconds": options.seconds,
        }
        for number in range(1, options.rounds + 1):
            for name in options.names if number % 2 else reversed(options.names):
                with servers.start(name, base / str(number), MEMORY_MIB, (), options.connections + 500) as server:
                    rounds.append({"round": number, "server": name} | measure(server, options))
                tell(rounds[-1], options)
    return finish(about, rounds, options)


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    servers.add_options(parser)
    parser.add_argument("--connections", type=servers.positive, default=5_000)
    parser.add_argument("--rounds", type=servers.positive, default=3)
    parser.add_argument("--seconds", type=servers.positive, default=5, help="of each load (default 5)")
    parser.add_argument("--table-size", type=servers.positive, default=10_000)
    parser.add_argument("--only", choices=servers.NAMES, help="measure one server")
    options = parser.parse_args()
    options.names = [options.only] if options.only else list(servers.NAMES)
    return options


def measure(server, options):
    load = Load(tables=1, table_size=options.table_size, threads=1)
    load.prepare(server)
    warm_up = open_connections(server, WARM_UP_CONNECTIONS)
    load.run(server, "oltp_point_select", options.seconds)
    figures = point_selects(load, server, options, "alone")
    before = machine.resident_bytes(server.pid)
    begin = time.monotonic()
    idle = open_connections(server, options.connections)
    try:
        figures["open_us"] = round((time.monotonic() - begin) / options.connections * 1e6, 1)
        machine.wait_quiet([server.pid], SETTLE_S)
        grown = machine.resident_bytes(server.pid) - before
        figures["bytes_per_connection"] = round(grown / options.connections)
        figures |= point_selects(load, server, options, "beside")
    finally:
        close(idle + warm_up)
    machine.wait_quiet([server.pid], SETTLE_S)
    return figures | point_selects(load, server, options, "afterwards")


def open_connections(server, count):
    opened = []
    try:
        for _ in range(count):
            opened.append(server.connect(connect_timeout=30))
    except Exception:
        close(opened)
        raise
    return opened


def close(connections):
    for connection in connections:
        with contextlib.suppress(Exception):
            connection.close()


def point_selects(load, server, options, when):
    figures = load.run(server, "oltp_point_select", options.seconds)
    if "failure" in figures:
        raise SystemExit(f"{server.name}: sysbench failed: {figures['failure']}")
    return {
        f"{when}_avg_ms": figures["latency_avg_ms"], f"{when}_p95_ms": figures["latency_p95_ms"],
        f"{when}_cpu_us": figures["server_cpu_us_per_query"], when: figures,
    }


def tell(found, options):
    report.progress(f"round {found['round']}/{options.rounds}, {found['server']}: "
                    f"{found['bytes_per_connection']:,} bytes each; a select takes {found['alone_avg_ms']} ms alone, "
                    f"{found['beside_avg_ms']} ms beside them")


def finish(about, rounds, options):
    rows = []
    for title, key in FIGURES:
        sides = [Spread([found[key] for found in rounds if found["server"] == name]) for name in options.names]
        rows.append([title, *(side.shown() for side in sides)])
    head = ["median (lowest … highest) of the rounds"]
    text = report.table(head + [{"mariadb": "MariaDB"}.get(name, "Aquifer") for name in options.names], rows)
    print(f"\n{text}\n")
    if not options.no_results and options.only != "mariadb":
        case = options.name or str(options.connections)
        for path in report.write(f"idle-connections-{case}", about | {"measured": rounds}, markdown(about, text)):
            print(path)
    return 0


def markdown(about, text):
    return "\n".join([
        f"# {about['what']}: {about['connections']:,} of them",
        "",
        *report.machine_lines(about["machine"]),
        report.versions_line(about["versions"]),
        "Connections by TCP without TLS, nothing done on them after the login; the point selects are sysbench's with "
        "one connection and prepared statements.",
        "",
        f"Command: `{about['command']}`",
        "",
        f"{about['rounds']} rounds, a fresh server in each; {about['seconds']} s for each load.",
        "",
        text,
    ])


if __name__ == "__main__":
    sys.exit(main())
