"""Runs the test suites of drivers, ORMs, applications and tools against Aquifer and against MariaDB, and compares.

Usage: conformance.py [--only aquifer|mariadb] [-k TEXT] [--out DIR] SUITE...

Each suite is fetched as source (see sources.py), runs once against a fresh Aquifer writer and once against a
fresh MariaDB, and its results go to DIR: `<suite>.<server>.json` holds every test, `<suite>.failures.txt` the
tests that pass on MariaDB and not on Aquifer, by message, the most frequent first. The exit status is 0 when
every suite that was asked for reached its `goal` (the least share of MariaDB's passes).
"""

import argparse
import collections
import contextlib
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tools" / "e2e"), str(pathlib.Path(__file__).resolve().parent)]

import harness  # noqa: E402
import results  # noqa: E402
import sources  # noqa: E402
import suites  # noqa: E402

SUITE_TIMEOUT_S = 3600


@contextlib.contextmanager
def server(name, base):
    """A fresh server; yields its port."""
    base = pathlib.Path(base)
    if name == "mariadb":
        options = ["--character-set-server=utf8mb4", "--local-infile=1", "--skip-name-resolve"]
        with harness.mariadb(base, options) as port:
            yield port
        return
    with harness.Cluster(base / "cluster") as cluster:
        writer = cluster.writer(arguments=["--memtable-bytes", 32 << 20])
        writer.execute("SET GLOBAL local_infile = ON")
        yield writer.port
        if not writer.running():
            print(f"the server ended:\n{writer.output()[-2000:]}", file=sys.stderr)


def run_suite(suite, source, name, work, only_tests):
    """Runs a suite against one server; {test: (outcome, message)}."""
    with tempfile.TemporaryDirectory(prefix="conformance-", dir=work) as base:
        with server(name, base) as port:
            run = suite.prepare(suites.Setting(source, port, pathlib.Path(base), only_tests))
            log = work / f"{suite.name}.{name}.log"
            with open(log, "wb") as output:
                try:
                    subprocess.run(
                        [str(part) for part in run.command], cwd=run.directory, env={**os.environ, **run.env},
                        stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                        timeout=SUITE_TIMEOUT_S,
                    )
                except subprocess.TimeoutExpired:
                    print(f"{suite.name} on {name}: stopped after {SUITE_TIMEOUT_S} s", file=sys.stderr)
            found = results.read(run.results)
            if not found:
                raise SystemExit(f"{suite.name} on {name} ran no test:\n{log.read_text(errors='replace')[-3000:]}")
            return found


def counts(found):
    outcomes = collections.Counter(outcome for outcome, _ in found.values())
    return outcomes["passed"], outcomes["failed"], outcomes["skipped"]


def cause(message):
    """What failures of one cause have in common: the first line that names an error, without its values."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    coded = [line for line in lines if re.search(r"\(\d{4}, ", line)]
    pytest = [line for line in lines if line.startswith("E  ")]
    line = (coded[-1:] or pytest[:1] or lines[-1:] or ["no message"])[0]
    line = re.sub(r"'[^']*'|\"[^\"]*\"|`[^`]*`", "…", line)
    return re.sub(r"\b\d{5,}\b|0x[0-9a-f]+", "…", line)[:160]


def differences(aquifer, mariadb):
    """Tests that pass on MariaDB and not on Aquifer, with the message."""
    return {
        test: aquifer.get(test, ("missing", "was not run"))[1] or "was not run"
        for test, (outcome, _) in mariadb.items()
        if outcome == "passed" and aquifer.get(test, ("missing", ""))[0] not in ("passed", "skipped")
    }


def write_failures(path, failed):
    groups = collections.defaultdict(list)
    for test, message in failed.items():
        groups[cause(message)].append(test)
    with open(path, "w") as out:
        for reason, tests in sorted(groups.items(), key=lambda item: -len(item[1])):
            out.write(f"{len(tests)}\t{reason}\n")
            out.writelines(f"\t{test}\n" for test in sorted(tests))


def compare(suite, arguments, work):
    """Runs one suite on the servers that were asked for and prints its lines; whether its goal was reached."""
    source = sources.fetch(suite, work)
    found = {}
    for name in ("aquifer", "mariadb"):
        path = work / f"{suite.name}.{name}.json"
        if arguments.only in (None, name):
            found[name] = run_suite(suite, source, name, work, arguments.k)
            path.write_text(json.dumps(found[name], indent=0, sort_keys=True))
        elif path.exists():
            found[name] = json.loads(path.read_text())
    for name, outcomes in found.items():
        passed, failed, skipped = counts(outcomes)
        print(f"{suite.name:<12} {name:<8} {passed:>7} {failed:>7} {skipped:>8}", flush=True)
    if len(found) < 2:
        return True
    failed = differences(found["aquifer"], found["mariadb"])
    write_failures(work / f"{suite.name}.failures.txt", failed)
    passes = counts(found["mariadb"])[0]
    share = 1 - len(failed) / max(passes, 1)
    print(f"{suite.name:<12} {100 * share:.1f} % of what passes on MariaDB", flush=True)
    return share >= suite.goal


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("suites", nargs="+", choices=[*suites.SUITES, "all"])
    parser.add_argument("--only", choices=["aquifer", "mariadb"])
    parser.add_argument("-k", help="only tests whose name contains this")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "target" / "conformance")
    arguments = parser.parse_args()
    work = arguments.out.resolve()
    work.mkdir(parents=True, exist_ok=True)
    names = list(suites.SUITES) if "all" in arguments.suites else arguments.suites
    print(f"{'suite':<12} {'server':<8} {'passed':>7} {'failed':>7} {'skipped':>8}")
    reached = [compare(suites.SUITES[name], arguments, work) for name in names]
    print(f"details in {work}")
    return 0 if all(reached) else 1


if __name__ == "__main__":
    sys.exit(main())
