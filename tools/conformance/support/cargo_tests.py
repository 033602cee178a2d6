"""Runs `cargo test` and records each test by the lines that the test programs print.

Usage: cargo_tests.py COMMAND...; every test binary runs, one test at a time.
"""

import json
import os
import re
import subprocess
import sys

LINE = re.compile(r"^test (?P<test>\S+)(?: - should panic)? \.\.\. (?P<outcome>ok|FAILED|ignored)", re.M)
# What a test printed that failed.
REPORT = re.compile(r"^---- (?P<test>\S+) stdout ----\n(?P<text>.*?)(?=^---- |^failures:$)", re.M | re.S)
OUTCOMES = {"ok": "passed", "FAILED": "failed", "ignored": "skipped"}


def record(out, binary, text):
    reports = {found["test"]: found["text"] for found in REPORT.finditer(text)}
    for found in LINE.finditer(text):
        entry = {
            "test": f"{binary}::{found['test']}", "outcome": OUTCOMES[found["outcome"]],
            "message": reports.get(found["test"], "")[-4000:],
        }
        out.write(json.dumps(entry) + "\n")


def main():
    command = [word for word in sys.argv[1:] if word != "--quiet"]
    wanted = os.environ.get("CONFORMANCE_ONLY")
    filters = [wanted] if wanted else []
    done = subprocess.run([*command, "--no-fail-fast", "--", "--test-threads=1", *filters],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    text = done.stdout.decode(errors="replace")
    print(text)
    parts = re.split(r"^ +Running (?:unittests )?(\S+) .*$", text, flags=re.M)
    with open(os.environ["CONFORMANCE_RESULTS"], "a") as out:
        for binary, output in zip(parts[1::2], parts[2::2]):
            record(out, binary, output)


if __name__ == "__main__":
    main()
