#!/usr/bin/env python3
"""How far a reader is behind its writer, as a client sees it and as the reader says itself.

A writer and a reader on a directory store. A client commits a change on the writer, takes the time when the
OK is there, and asks the reader until it has the change. It rests for a random while before the next one, so
that it does not fall into step with the writer's publishing. Rounds without and with load on the writer take
turns; each has a reader of its own, so that its status covers that round alone.
"""

import argparse
import contextlib
import random
import sys
import threading
import time

import machine
import report
import servers
from load import Load
from report import Spread
from servers import harness

REST_MAX_S = 0.05
LOAD_LEAD_S = 2
CATCH_UP_S = 120

FIGURES = [
    ("samples", "samples"),
    ("lag p50, ms", "p50_ms"),
    ("lag p90, ms", "p90_ms"),
    ("lag p99, ms", "p99_ms"),
    ("lag max, ms", "max_ms"),
    ("reader's own p50, ms", "own_p50_ms"),
    ("reader's own p99, ms", "own_p99_ms"),
    ("links/s", "links_per_s"),
    ("transactions/s of the load", "transactions_per_s"),
]


def main():
    options = parse_options()
    servers.use_binary(options.binary)
    with servers.temporary_directory(options.dir) as base, harness.Cluster(base / "cluster") as cluster:
        about = {
            "what": "Lag of a reader", "command": report.command_line(), "machine": machine.facts(base),
            "versions": report.versions(options.binary), "script": options.script, "threads": options.threads,
            "data": {"tables": options.tables, "rows_per_table": options.table_size},
            "rounds": options.rounds, "seconds": options.seconds, "poll_ms": options.poll_ms,
            "writer_options": options.writer_option,
        }
        writer = cluster.writer(arguments=[servers.DISK_CACHE, *options.writer_option])
        writer.execute(f"SET GLOBAL max_connections = {options.threads + 50}")
        load = Load(options.tables, options.table_size, options.threads)
        report.progress("making the tables")
        load.prepare(servers.Server("aquifer", writer.port, writer.pid))
        writer.execute("CREATE TABLE sbtest.beat (id INT PRIMARY KEY, v BIGINT)",
                       "INSERT INTO sbtest.beat VALUES (1, 0)")
        rounds = [measure(cluster, writer, number, loaded, load, options)
                  for number in range(1, options.rounds + 1) for loaded in (False, True)]
    return finish(about, rounds, options)


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    servers.add_options(parser)
    parser.add_argument("--script", default="oltp_read_write", help="the load on the writer (default oltp_read_write)")
    parser.add_argument("--rounds", type=servers.positive, default=3, help="each without and with load (default 3)")
    parser.add_argument("--seconds", type=servers.positive, default=20, help="of each measurement (default 20)")
    parser.add_argument("--threads", type=servers.positive, default=8, help="connections of the load (default 8)")
    parser.add_argument("--tables", type=servers.positive, default=4)
    parser.add_argument("--table-size", type=servers.positive, default=50_000)
    parser.add_argument("--poll-ms", type=float, default=1.0,
                        help="pause between two questions to the reader: the resolution (default 1)")
    parser.add_argument("--writer-option", action="append", default=[], help="one more option of the writer")
    return parser.parse_args()


def measure(cluster, writer, number, loaded, load, options):
    """One round with a fresh reader."""
    name = f"reader-{number}-{'loaded' if loaded else 'idle'}"
    reader = cluster.reader(name, arguments=[servers.DISK_CACHE])
    target = writer.visible_lsn()
    harness.wait_until(lambda: reader.visible_lsn() >= target, CATCH_UP_S, f"LSN {target} on the reader")
    machine.wait_quiet([writer.pid, reader.pid], CATCH_UP_S)
    with under_load(load, writer, options) if loaded else contextlib.nullcontext({}) as load_figures:
        links, begin = int(reader.status("Aquifer_reader_links")), time.monotonic()
        lags_ms = lags(writer, reader, options.seconds, options.poll_ms)
        links_per_s = (int(reader.status("Aquifer_reader_links")) - links) / (time.monotonic() - begin)
        own = {end: float(reader.status(f"Aquifer_reader_lag_{end}_ms")) for end in ("p50", "p99")}
    reader.stop()
    cluster.delete_local(name)
    figures = {
        "round": number, "loaded": loaded, "samples": len(lags_ms),
        **{f"p{share}_ms": round(harness.percentile(lags_ms, share / 100), 3) for share in (50, 90, 99)},
        "max_ms": round(max(lags_ms), 3), "own_p50_ms": own["p50"], "own_p99_ms": own["p99"],
        "links_per_s": round(links_per_s, 2), "transactions_per_s": load_figures.get("transactions_per_s"),
        "load": load_figures, "lags_ms": [round(lag, 3) for lag in lags_ms],
    }
    report.progress(f"round {number}/{options.rounds}, {'loaded' if loaded else 'no load'}: "
                    f"p50 {figures['p50_ms']} ms, p99 {figures['p99_ms']} ms of {len(lags_ms)}; "
                    f"the reader says {own['p50']} and {own['p99']} ms")
    return figures


@contextlib.contextmanager
def under_load(load, writer, options):
    """sysbench on the writer for somewhat longer than the measurement. Its figures are there afterwards."""
    figures = {}
    server = servers.Server("aquifer", writer.port, writer.pid)

    def run():
        figures.update(load.run(server, options.script, options.seconds + 2 * LOAD_LEAD_S))

    thread = threading.Thread(target=run)
    thread.start()
    try:
        time.sleep(LOAD_LEAD_S)
        yield figures
    finally:
        thread.join()


def lags(writer, reader, seconds, poll_ms):
    """Milliseconds from the OK of a commit on the writer until the reader has it."""
    found, deadline, value = [], time.monotonic() + seconds, time.time_ns()
    with contextlib.closing(writer.connect()) as on_writer, contextlib.closing(reader.connect()) as on_reader:
        with on_writer.cursor() as write, on_reader.cursor() as read:
            while time.monotonic() < deadline or not found:
                time.sleep(random.uniform(0, REST_MAX_S))
                value += 1
                write.execute("UPDATE sbtest.beat SET v = %s WHERE id = 1", (value,))
                start = time.monotonic()
                while not seen(read, value):
                    time.sleep(poll_ms / 1e3)
                found.append((time.monotonic() - start) * 1e3)
    return found


def seen(cursor, value):
    cursor.execute("SELECT v FROM sbtest.beat WHERE id = 1")
    return cursor.fetchone()[0] >= value


def finish(about, rounds, options):
    text = summary(rounds)
    failures = [found["load"]["failure"][0] for found in rounds if "failure" in found["load"]]
    notes = [f"The load failed in {len(failures)} rounds: {failures[0]}"] if failures else []
    print(f"\n{text}\n", *notes, sep="\n")
    if not options.no_results:
        case = options.name or f"{options.script}-{options.threads}threads"
        for path in report.write(f"reader-lag-{case}", about | {"measured": rounds}, markdown(about, text, notes)):
            print(path)
    return 1 if failures else 0


def summary(rounds):
    rows = []
    for title, key in FIGURES:
        sides = [Spread([found[key] for found in rounds if found["loaded"] == loaded]) for loaded in (False, True)]
        rows.append([title, *(side.shown() for side in sides)])
    return report.table(["median (lowest … highest) of the rounds", "no load", "under load"], rows)


def markdown(about, text, notes):
    return "\n".join([
        f"# {about['what']}: writer and reader on one machine, store in a directory",
        "",
        *report.machine_lines(about["machine"]),
        f"Writer, reader, sysbench and the measuring client share it. {report.versions_line(about['versions'])}",
        "",
        f"Load: {about['script']} with {about['threads']} connections on tables of "
        f"{about['data']['rows_per_table']:,} rows (number of tables: {about['data']['tables']}).",
        f"Lag: from the OK on the writer until a client, asking every {about['poll_ms']:g} ms, sees the change on the "
        "reader. The reader's own figure counts from the creation of a link, so it leaves out the time that a commit "
        "waits for its link.",
        "",
        f"Command: `{about['command']}`",
        "",
        f"{about['rounds']} rounds of {about['seconds']} s, without and with load in turns.",
        "",
        text,
        "",
        *(f"* {note}" for note in notes),
    ])


if __name__ == "__main__":
    sys.exit(main())
