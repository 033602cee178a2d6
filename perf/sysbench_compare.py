#!/usr/bin/env python3
"""Compares Aquifer's writer with MariaDB's InnoDB under sysbench, in one run on one machine.

1. Both servers start with the same memory for data, and sysbench makes the same tables in both.
2. For each script and kind of statement: a warm-up of both, then rounds. In a round each server has its
   turn, and the next round turns the order around, so that a machine that becomes slower or faster in the
   meantime does not favour one of them. Both stay up, only one is loaded.
3. Before each turn both servers must have been quiet for a second. What a server still does after its turn
   (flush, compaction, purge) is its own cost and appears as "CPU with settling".
4. Medians over the rounds with the lowest and the highest round. A result in which other processes took
   more than a twentieth of the machine says so.
"""

import argparse
import contextlib
import itertools
import sys
import time

import machine
import report
import servers
from load import Load
from report import Spread

QUIET_PATIENCE_S = 120
OTHERS_SHARE_MAX = 0.1

FIGURES = [
    ("queries/s", "queries_per_s"),
    ("transactions/s", "transactions_per_s"),
    ("p95 latency, ms", "latency_p95_ms"),
    ("server CPU, µs/query", "server_cpu_us_per_query"),
    ("CPU with settling, µs/query", "settled_cpu_us_per_query"),
    ("errors", "errors"),
]


def main():
    options = parse_options()
    if "aquifer" in options.names:
        servers.use_binary(options.binary)
    with servers.temporary_directory(options.dir) as base, contextlib.ExitStack() as stack:
        about = describe(options, base)
        report.progress(report.machine_lines(about["machine"])[0])
        load = Load(options.tables, options.table_size, options.threads)
        running = {name: stack.enter_context(start(name, base, options)) for name in options.names}
        prepare(load, running, about)
        cases = [measure(case, load, running, options) for case in itertools.product(options.scripts, options.ps_modes)]
        for server in running.values():
            load.check(server)
        about["aquifer_status"] = aquifer_status(running)
    return finish(about, cases, options)


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    servers.add_options(parser)
    parser.add_argument("--scripts", type=servers.names_list(), default=["oltp_point_select", "oltp_read_write"],
                        help="sysbench scripts, with commas (default: oltp_point_select,oltp_read_write)")
    parser.add_argument("--ps-modes", type=servers.names_list(("auto", "disable")), default=["auto"],
                        help="auto: server-side prepared statements; disable: text; or both with a comma")
    parser.add_argument("--rounds", type=servers.positive, default=3)
    parser.add_argument("--seconds", type=servers.positive, default=20, help="of each turn (default 20)")
    parser.add_argument("--warmup", type=int, default=10, help="seconds before the rounds of a case (default 10)")
    parser.add_argument("--threads", type=servers.positive, default=16, help="connections of sysbench (default 16)")
    parser.add_argument("--tables", type=servers.positive, default=4)
    parser.add_argument("--table-size", type=servers.positive, default=250_000)
    parser.add_argument("--memory-mib", type=servers.positive, default=1_024,
                        help="buffer pool of InnoDB; memtable and caches of Aquifer together (default 1024)")
    parser.add_argument("--only", choices=servers.NAMES, help="measure one server; writes no results")
    parser.add_argument("--aquifer-option", action="append", default=[], help="one more option of the writer")
    parser.add_argument("--mariadb-option", action="append", default=[], help="one more option of MariaDB")
    options = parser.parse_args()
    options.names = [options.only] if options.only else list(servers.NAMES)
    return options


def describe(options, base):
    return {
        "what": "sysbench: Aquifer's writer and MariaDB's InnoDB",
        "command": report.command_line(),
        "machine": machine.facts(base),
        "versions": report.versions(options.binary if "aquifer" in options.names else None, "mariadb" in options.names),
        "data": {"tables": options.tables, "rows_per_table": options.table_size},
        "threads": options.threads, "rounds": options.rounds, "seconds": options.seconds,
        "memory_mib": options.memory_mib,
        "mariadb_options": [
            *servers.mariadb_options(options.memory_mib, max_connections(options)), *options.mariadb_option],
        "aquifer_options": [*servers.aquifer_options(options.memory_mib), *options.aquifer_option],
    }


def start(name, base, options):
    report.progress(f"starting {name}")
    extra = {"aquifer": options.aquifer_option, "mariadb": options.mariadb_option}[name]
    return servers.start(name, base, options.memory_mib, extra, max_connections(options))


def max_connections(options):
    return max(500, options.threads + 50)


def prepare(load, running, about):
    about["prepare_s"] = {}
    for server in running.values():
        report.progress(f"{server.name}: making {load.tables} tables of {load.table_size} rows")
        about["prepare_s"][server.name] = round(load.prepare(server), 2)
        report.progress(f"{server.name}: took {about['prepare_s'][server.name]} s")


def measure(case, load, running, options):
    """All rounds of one script with one kind of statement."""
    script, ps_mode = case
    pids = [server.pid for server in running.values()]
    for server in running.values() if options.warmup else ():
        report.progress(f"{script}, {ps_mode}: warming {server.name} up")
        load.run(server, script, options.warmup, f"--db-ps-mode={ps_mode}")
    turns = []
    for number in range(options.rounds):
        order = list(running.values())
        if number % 2:
            order.reverse()
        for position, server in enumerate(order):
            machine.wait_quiet(pids, QUIET_PATIENCE_S)
            turn = take_turn(server, load, script, options.seconds, ps_mode)
            turns.append({"round": number + 1, "position": position + 1, "server": server.name} | turn)
            tell(script, ps_mode, turns[-1], options)
    return {"script": script, "ps_mode": ps_mode, "turns": turns}


def take_turn(server, load, script, seconds, ps_mode):
    started = time.time()
    figures = load.run(server, script, seconds, f"--db-ps-mode={ps_mode}")
    before = machine.cpu_seconds(server.pid)
    figures["settled"] = machine.wait_quiet([server.pid], QUIET_PATIENCE_S)
    after_s = machine.cpu_seconds(server.pid) - before
    figures["settling_cpu_s"] = round(after_s, 3)
    figures["settled_cpu_us_per_query"] = None
    if figures.get("queries"):
        all_s = figures["server_cpu_s"] + after_s
        figures["settled_cpu_us_per_query"] = round(all_s / figures["queries"] * 1e6, 3)
    figures["others_share"] = round(figures["other_cpu_s"] / figures["wall_s"] / machine.cores(), 4)
    figures["started"] = round(started, 1)
    return figures


def tell(script, ps_mode, turn, options):
    place = f"{script}, {ps_mode}: round {turn['round']}/{options.rounds}, {turn['server']}:"
    if "failure" in turn:
        report.progress(f"{place} FAILED: {' | '.join(turn['failure'])}")
    else:
        report.progress(f"{place} {turn['queries_per_s']:,.0f} queries/s, p95 {turn['latency_p95_ms']} ms, "
                        f"{turn['server_cpu_us_per_query']:.1f} µs CPU a query, {turn['errors']} errors, "
                        f"others used {turn['others_share']:.1%} of the machine")


def aquifer_status(running):
    if "aquifer" not in running:
        return {}
    rows = running["aquifer"].query("SHOW GLOBAL STATUS LIKE 'Aquifer\\_%'")
    return {name: value for name, value in rows if name != "Aquifer_server_uuid"}


def finish(about, cases, options):
    names = options.names
    text = summary(cases, names, about["prepare_s"])
    print(f"\n{text}\n")
    print("\n".join(warnings(cases)))
    if not options.no_results and options.only is None:
        case = options.name or f"{options.tables}x{options.table_size}-{options.threads}threads"
        for path in report.write(f"sysbench-{case}", about | {"cases": cases}, markdown(about, cases, names)):
            print(path)
    return 1 if any("failure" in turn for case in cases for turn in case["turns"]) else 0


def spreads(case, name, key):
    return Spread([turn.get(key) for turn in case["turns"] if turn["server"] == name])


def summary(cases, names, prepare_s):
    loaded = [Spread([prepare_s[name]]) for name in names]
    rows = [["making the tables, s", *(spread.shown() for spread in loaded)]
            + ([loaded[0].ratio(loaded[1])] if len(names) == 2 else [])]
    for case in cases:
        for title, key in FIGURES:
            found = [spreads(case, name, key) for name in names]
            row = [f"{case['script']}, {case['ps_mode']}: {title}", *(spread.shown() for spread in found)]
            rows.append(row + ([found[0].ratio(found[1])] if len(found) == 2 else []))
    head = ["median (lowest … highest)", *(servers.SHOWN[name] for name in names)]
    return report.table(head + (["ratio"] if len(names) == 2 else []), rows)


def warnings(cases):
    """What a reader of the result has to know about how it came about."""
    turns = [turn for case in cases for turn in case["turns"]]
    lines = []
    failed = [turn for turn in turns if "failure" in turn]
    if failed:
        lines.append(f"{len(failed)} of {len(turns)} turns failed and are not in the medians: "
                     f"{failed[0]['failure'][0]}")
    worst = max((turn["others_share"] for turn in turns), default=0)
    if worst > OTHERS_SHARE_MAX:
        lines.append(f"The machine was shared: other processes used up to {worst:.0%} of it during a turn.")
    if not all(turn["settled"] for turn in turns):
        lines.append(f"A server was still busy {QUIET_PATIENCE_S} s after its turn.")
    return lines


def markdown(about, cases, names):
    done = [turn for case in cases for turn in case["turns"] if "failure" not in turn]
    share = Spread([turn["client_cpu_s"] / turn["wall_s"] for turn in done])
    lines = [
        f"# {about['what']}",
        "",
        *report.machine_lines(about["machine"]),
        f"sysbench ran on the same machine and used {share.shown()} cores. "
        + report.versions_line(about["versions"]),
        "",
        f"Data: {about['data']['tables']} tables of {about['data']['rows_per_table']:,} rows, "
        f"{about['memory_mib']:,} MiB of memory for them in each server; {about['threads']} connections.",
        f"Commits are durable in both. InnoDB: `{' '.join(about['mariadb_options'])}`. "
        f"Aquifer: `{' '.join(about['aquifer_options'])}`, store in a directory.",
        "",
        f"Command: `{about['command']}`",
        "",
        f"Medians of {about['rounds']} rounds of {about['seconds']} s each, servers in turns, lowest and highest round "
        "in brackets; ratio is Aquifer to InnoDB.",
        "",
        summary(cases, names, about["prepare_s"]),
        "",
        *(f"* {line}" for line in warnings(cases)),
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
