#!/usr/bin/env python3
"""One client that brings many rows into a table with two secondary indexes, on Aquifer and on InnoDB in turns.

Each way fills a table of its own: LOAD DATA LOCAL, INSERT of some hundred rows a statement in its forms, and INSERT …
SELECT. `upsert` is ON DUPLICATE KEY UPDATE with every second row there already. Rows come in the order of the primary key.
"""

import argparse
import contextlib
import random
import sys
import time

import report
import servers
from load import usage

TABLE = (
    "(id INT PRIMARY KEY, customer INT NOT NULL, placed DATE NOT NULL, amount DECIMAL(12,2) NOT NULL, state CHAR(8) NOT NULL, "
    "note VARCHAR(60) NOT NULL, KEY (customer), KEY (placed))"
)
ROWS_A_STATEMENT = 500
FORMS = {
    "insert": ("INSERT INTO", ""),
    "insert ignore": ("INSERT IGNORE INTO", ""),
    "replace": ("REPLACE INTO", ""),
    "upsert": ("INSERT INTO", " ON DUPLICATE KEY UPDATE amount = amount + VALUES(amount)"),
}
WAYS = ["load data", *FORMS, "insert select"]


def row(number):
    pick = random.Random(number)
    day = "20%02d-%02d-%02d" % (pick.randrange(30), 1 + pick.randrange(12), 1 + pick.randrange(28))
    amount = "%d.%02d" % (pick.randrange(100_000), pick.randrange(100))
    return (number, pick.randrange(50_000), day, amount, pick.choice(["open", "paid", "sent"]), "note %030d" % pick.randrange(10**9))


def statements(rows, table, before, after):
    for start in range(0, len(rows), ROWS_A_STATEMENT):
        values = ",".join("(%d,%d,'%s',%s,'%s','%s')" % values for values in rows[start:start + ROWS_A_STATEMENT])
        yield f"{before} {table} VALUES {values}{after}"


def prepare(cursor, way, table):
    cursor.execute(f"DROP TABLE IF EXISTS {table}")
    cursor.execute(f"CREATE TABLE {table} {TABLE}")
    if way == "upsert":
        cursor.execute(f"INSERT INTO {table} SELECT * FROM b.loaded WHERE id % 2 = 0")


def run(cursor, way, table, rows, file):
    if way == "load data":
        cursor.execute(f"LOAD DATA LOCAL INFILE '{file}' INTO TABLE {table}")
    elif way == "insert select":
        cursor.execute(f"INSERT INTO {table} SELECT * FROM b.loaded")
    else:
        for statement in statements(rows, table, *FORMS[way]):
            cursor.execute(statement)


def measure(server, way, rows, file):
    """Seconds, and CPU microseconds a row."""
    table = "b.loaded" if way == "load data" else "b.filled"
    with contextlib.closing(server.connect(local_infile=True)) as connection, connection.cursor() as cursor:
        cursor.execute("SET GLOBAL local_infile = 1")
        cursor.execute("CREATE DATABASE IF NOT EXISTS b")
        prepare(cursor, way, table)
        time.sleep(2)
        before, begun = usage(server.pid)[0], time.monotonic()
        run(cursor, way, table, rows, file)
        seconds, cpu = time.monotonic() - begun, usage(server.pid)[0] - before
        cursor.execute(f"SELECT COUNT(*) FROM {table}")
        stored = cursor.fetchone()[0]
    if stored != len(rows):
        raise SystemExit(f"{server.name}, {way}: {stored} rows are stored of {len(rows)}")
    return {"seconds": seconds, "cpu_us_a_row": cpu * 1e6 / len(rows)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    servers.add_options(parser)
    parser.add_argument("--rows", type=servers.positive, default=200_000)
    parser.add_argument("--rounds", type=servers.positive, default=3)
    parser.add_argument("--memory-mib", type=servers.positive, default=1_024)
    options = parser.parse_args()
    servers.use_binary(options.binary)
    rows = [row(number) for number in range(options.rows)]
    measured = {name: {way: [] for way in WAYS} for name in servers.NAMES}
    with servers.temporary_directory(options.dir) as base, contextlib.ExitStack() as running:
        file = base / "rows"
        file.write_text("".join("\t".join(map(str, values)) + "\n" for values in rows))
        started = [running.enter_context(servers.start(name, base, options.memory_mib)) for name in servers.NAMES]
        for number in range(options.rounds):
            for way in WAYS:
                for server in started if number % 2 == 0 else reversed(started):
                    measured[server.name][way].append(measure(server, way, rows, file))
            report.progress(f"round {number + 1} of {options.rounds}")
    lines = []
    for way in WAYS:
        spreads = {key: [report.Spread([one[key] for one in measured[name][way]]) for name in servers.NAMES]
                   for key in ("seconds", "cpu_us_a_row")}
        lines.append([way, *(spread.shown() for spread in spreads["seconds"]), spreads["seconds"][0].ratio(spreads["seconds"][1]),
                      *(spread.shown() for spread in spreads["cpu_us_a_row"])])
    head = ["", *(f"{name}, s" for name in servers.NAMES), "ratio", *(f"{name}, CPU µs a row" for name in servers.NAMES)]
    table = report.table(head, lines)
    print(table)
    if not options.no_results:
        title = f"# One client brings {options.rows} rows, {ROWS_A_STATEMENT} a statement\n\n`{report.command_line()}`\n\n"
        report.write(options.name or "bulk-load", measured, title + table + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
