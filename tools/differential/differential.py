#!/usr/bin/env python3
"""Runs generated statements on Aquifer and on MariaDB and compares what they answer.

Compared: rows (in order where the statement orders them), the family of each column's type, error codes, codes of
warnings, affected rows. Differences between MySQL 8.0 and MariaDB that are known are in `differences.py`, each with
the reason; everything else is a fault of ours until somebody shows that it is not.
"""

import argparse
import collections
import concurrent.futures
import contextlib
import pathlib
import sys
import tempfile
import time

import MySQLdb

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools" / "e2e"))

import differences  # noqa: E402
import harness  # noqa: E402
from grammar import Grammar  # noqa: E402

SQL_MODE = "ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO"
SCHEMA_STATEMENTS = 500
FAMILIES = {
    1: "int", 2: "int", 3: "int", 8: "int", 9: "int", 4: "float", 5: "float", 0: "decimal", 246: "decimal",
    10: "date", 7: "datetime", 12: "datetime", 11: "time", 249: "text", 250: "text", 251: "text", 252: "text", 253: "text",
    254: "text", 6: "null",
}

Answer = collections.namedtuple("Answer", "error rows families affected warnings")


class Side:
    """One server."""

    def __init__(self, name, port):
        self.name = name
        self.connection = MySQLdb.connect(host="127.0.0.1", port=port, user="root", charset="utf8mb4", conv={})
        self.connection.autocommit(True)
        self.run("DROP DATABASE IF EXISTS differential")
        self.run("CREATE DATABASE differential CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci")
        self.run("USE differential")
        self.run("SET NAMES utf8mb4 COLLATE utf8mb4_general_ci")
        self.run(f"SET sql_mode = '{SQL_MODE}'")
        # MySQL's default.
        self.run("SET group_concat_max_len = 1024")

    def run(self, statement):
        cursor = self.connection.cursor()
        try:
            affected = cursor.execute(statement)
            rows = cursor.fetchall() if cursor.description else None
            families = [FAMILIES.get(column[1], column[1]) for column in cursor.description or ()]
        except MySQLdb.Error as error:
            return Answer(error.args[0], None, [], 0, ())
        finally:
            cursor.close()
        return Answer(0, rows, families, affected, self.warnings())

    def warnings(self):
        if not self.connection.warning_count():
            return ()
        cursor = self.connection.cursor()
        cursor.execute("SHOW WARNINGS")
        codes = sorted({int(row[1]) for row in cursor.fetchall()})
        cursor.close()
        return tuple(codes)


def difference(statement, ours, theirs):
    """What differs, in a word; `None` when nothing does."""
    if ours.error != theirs.error:
        return f"error {ours.error} instead of {theirs.error}"
    if ours.error:
        return None
    ordered = "ORDER BY" in statement.rpartition(" FROM ")[2]
    rows = [side.rows if ordered or side.rows is None else sorted(side.rows, key=repr) for side in (ours, theirs)]
    if rows[0] != rows[1]:
        return "rows"
    if ours.rows is None and ours.affected != theirs.affected:
        return "affected rows"
    if ours.families != theirs.families:
        return f"types {ours.families} instead of {theirs.families}"
    if ours.warnings != theirs.warnings:
        return f"warnings {ours.warnings} instead of {theirs.warnings}"
    return None


def compare(sides, statements, seed, tell):
    """Runs that many statements; gives the number of differences by kind, and of known ones by reason."""
    with concurrent.futures.ThreadPoolExecutor(1) as beside:
        return compare_on(sides, statements, seed, tell, beside)


def compare_on(sides, statements, seed, tell, beside):
    """As `compare`, the second side at the same time as the first, on a thread of its own."""
    found, known, done = collections.Counter(), collections.Counter(), 0
    while done < statements:
        grammar = Grammar(seed)
        setup = list(grammar.setup())
        for statement in setup:
            for side in sides:
                answer = side.run(statement)
                if answer.error:
                    raise SystemExit(f"{side.name}: error {answer.error} in {statement}")
        for _ in range(min(SCHEMA_STATEMENTS, statements - done)):
            done += 1
            statement, shows = grammar.statement()
            history = list(setup)
            if shows:
                setup.append(statement)
            for text in filter(None, (statement, shows)):
                theirs = beside.submit(sides[1].run, text)
                answers = [sides[0].run(text), theirs.result()]
                what = difference(text, *answers)
                if what is None:
                    continue
                reason = differences.reason(text, what, *answers)
                if reason:
                    known[reason] += 1
                else:
                    found[what] += 1
                    tell(seed, history, text, what, answers)
            if shows and answers[0].rows != answers[1].rows:
                break
        seed += 1
    return found, known, done


def report(directory, shown_max):
    """Writes each difference to a file that can be run, and the first ones to the terminal."""
    count = 0

    def tell(seed, setup, statement, what, answers):
        nonlocal count
        count += 1
        if directory:
            lines = [f"-- seed {seed}: {what}", f"-- aquifer {str(answers[0])[:2000]}", f"-- mariadb {str(answers[1])[:2000]}"]
            text = ";\n".join([*setup, statement])
            (directory / f"{seed}-{count}.sql").write_text("\n".join([*lines, text + ";\n"]))
        if count <= shown_max:
            print(f"\nseed {seed}: {what}\n  {statement[:1500]}")
            counted = [collections.Counter(answer.rows or ()) for answer in answers]
            for name, answer, own, other in zip(("aquifer", "mariadb"), answers, counted, reversed(counted)):
                only = list((own - other).elements())[:4]
                print(f"  {name}: error {answer.error}, {len(answer.rows or ())} rows, only here {str(only)[:400]}, "
                      f"{answer.families}, warnings {answer.warnings}, affected {answer.affected}")
    return tell


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--statements", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", type=int, default=20, help="differences to print (default 20)")
    parser.add_argument("--out", type=pathlib.Path, help="directory for scripts of all differences")
    options = parser.parse_args()
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        base = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory()))
        cluster = stack.enter_context(harness.Cluster(base / "aquifer"))
        port = stack.enter_context(harness.mariadb(base))
        sides = [Side("aquifer", cluster.writer().port), Side("mariadb", port)]
        begin = time.monotonic()
        found, known, done = compare(sides, options.statements, options.seed, report(options.out, options.show))
    print(f"\n{done:,} statements in {time.monotonic() - begin:.0f} s")
    for title, counter in (("known", known), ("unexplained", found)):
        for what, count in counter.most_common():
            print(f"  {count:6} {title}: {what}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
