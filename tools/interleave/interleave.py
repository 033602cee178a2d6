"""Runs interleaving scripts on a server; see README.md for the format."""

import argparse
import dataclasses
import decimal
import pathlib
import queue
import sys
import threading

import pymysql

SCRIPTS = pathlib.Path(__file__).parent / "scripts"
SERVERS = ("aquifer", "innodb")
DEFAULT_LEVEL = "REPEATABLE READ"
# How long a statement that must wait is watched, and how long one that must come may take.
WATCH_S = 0.15
PATIENCE_S = 60
# An unexpected lock wait ends after this, so that a wrong script or server costs seconds and not minutes.
LOCK_WAIT_S = 15


class ScriptError(Exception):
    """A script that cannot be read."""


@dataclasses.dataclass
class Step:
    """One line of a script; `sql` is None when it takes the outcome of an earlier one."""

    line: int
    session: str
    sql: str | None
    server: str | None
    expected: dict = dataclasses.field(default_factory=dict)

    def expects(self, server):
        return self.expected.get(server, self.expected.get(None, "ok"))


@dataclasses.dataclass
class Scenario:
    """A script's unit: its own tables, its own sessions."""

    name: str
    path: pathlib.Path
    levels: list
    setup: list
    options: list
    steps: list
    why: bool = False

    def differs(self):
        return any(step.server or set(step.expected) - {None} for step in self.steps)


def parse(path):
    """The scenarios of a file."""
    scenarios = []
    for number, raw in enumerate(path.read_text().splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("== "):
            scenarios.append(Scenario(line[3:].strip(), path, [DEFAULT_LEVEL], [], [], []))
            continue
        if not scenarios:
            raise ScriptError(f"{path}:{number}: a scenario begins with ==")
        _parse_line(scenarios[-1], number, line)
    for scenario in scenarios:
        if scenario.differs() != scenario.why:
            raise ScriptError(f"{path}: {scenario.name}: a difference and its reason (why) go together")
    return scenarios


def _parse_line(scenario, number, line):
    server, text = _server_of(line)
    if text.startswith(">"):
        server, expected = _server_of(text[1:].strip()) if server is None else (server, text[1:].strip())
        scenario.steps[-1].expected[server] = expected
        return
    word, _, rest = text.partition(" ")
    rest = rest.strip()
    if word == "level":
        scenario.levels = [level.strip() for level in rest.split(",")]
    elif word == "setup":
        scenario.setup.append((server, rest))
    elif word == "option":
        scenario.options.append(rest)
    elif word == "why":
        scenario.why = True
    elif len(word) == 1 and word.isupper():
        step = Step(number, word, None if rest in ("resumes", "waits") else rest, server)
        if rest == "waits":
            step.expected[None] = "waits"
        scenario.steps.append(step)
    else:
        raise ScriptError(f"{scenario.path}:{number}: {line!r} is not understood")


def _server_of(text):
    for server in SERVERS:
        if text.startswith(f"{server}:"):
            return server, text[len(server) + 1:].strip()
    return None, text


class Session(threading.Thread):
    """A connection whose statements run on a thread of their own."""

    def __init__(self, port, database, statements):
        super().__init__(daemon=True)
        self.connection = pymysql.connect(host="127.0.0.1", port=port, user="root", database=database,
                                          autocommit=True, read_timeout=2 * PATIENCE_S)
        self.id = self.connection.thread_id()
        self.todo = queue.Queue()
        self.outcomes = queue.Queue()
        self.running = False
        for statement in statements:
            with self.connection.cursor() as cursor:
                cursor.execute(statement)
        self.start()

    def run(self):
        while (sql := self.todo.get()) is not None:
            self.outcomes.put(self._outcome(sql))

    def _outcome(self, sql):
        if sql == "DISCONNECT":
            self.connection._force_close()
            return "ok"
        try:
            with self.connection.cursor() as cursor:
                changed = cursor.execute(sql)
                if cursor.description is None:
                    return f"changed {changed}"
                return " | ".join(", ".join(map(_shown, row)) for row in cursor.fetchall()) or "none"
        except pymysql.err.MySQLError as error:
            return f"error {error.args[0]}"
        except (AttributeError, OSError, ValueError):
            return "error 2013"  # the connection was closed under the statement

    def begin(self, sql):
        self.todo.put(sql)
        self.running = True

    def outcome(self, timeout_s):
        """What came of the statement under way, or None when it has not ended in that time."""
        try:
            outcome = self.outcomes.get(timeout=timeout_s)
        except queue.Empty:
            return None
        self.running = False
        return outcome

    def end(self):
        self.todo.put(None)
        self.connection._force_close()


def _shown(value):
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, decimal.Decimal):
        return str(value)
    return str(value)


class Run:
    """One scenario on one server at one level."""

    def __init__(self, scenario, level, port, server):
        self.scenario, self.level, self.port, self.server = scenario, level, port, server
        self.database = f"il_{scenario.name}"[:60]
        self.sessions = {}
        self.trace = []

    def complaint(self):
        """Runs it: None, or what went otherwise with the steps up to there."""
        admin = pymysql.connect(host="127.0.0.1", port=self.port, user="root", autocommit=True)
        try:
            with admin.cursor() as cursor:
                cursor.execute(f"DROP DATABASE IF EXISTS `{self.database}`")
                cursor.execute(f"CREATE DATABASE `{self.database}`")
                cursor.execute(f"USE `{self.database}`")
                for server, statement in self.scenario.setup:
                    if server in (None, self.server):
                        cursor.execute(statement)
            return self._steps()
        finally:
            for session in self.sessions.values():
                session.end()
            admin.close()

    def _steps(self):
        for step in self.scenario.steps:
            if step.server not in (None, self.server):
                continue
            expected = step.expects(self.server)
            got = self._take(step, expected)
            self.trace.append(f"  {step.line:3} {step.session} {step.sql or 'resumes'}  → {got}")
            if not matches(expected, got):
                trace = "\n".join(self.trace)
                return (f"{self.scenario.path.name}: {self.scenario.name} at {self.level} on {self.server}, line "
                        f"{step.line}: expected {expected!r}, got {got!r}\n{trace}")
        waiting = [name for name, session in self.sessions.items() if session.running]
        return f"{self.scenario.name}: sessions {waiting} still wait at the end" if waiting else None

    def _take(self, step, expected):
        session = self._session(step.session)
        if step.sql is not None:
            if session.running:
                return "a statement of this session is under way"
            session.begin(self._filled(step.sql))
        elif not session.running:
            return "nothing is under way"
        outcome = session.outcome(WATCH_S if expected == "waits" else PATIENCE_S)
        return "waits" if outcome is None else outcome

    def _filled(self, sql):
        """`{A}` stands for a session's connection id."""
        for name, session in self.sessions.items():
            sql = sql.replace("{" + name + "}", str(session.id))
        return sql

    def _session(self, name):
        if name not in self.sessions:
            options = [f"innodb_lock_wait_timeout = {LOCK_WAIT_S}", *self.scenario.options]
            options = [f"SET SESSION {option}" for option in options]
            level = f"SET SESSION TRANSACTION ISOLATION LEVEL {self.level}"
            self.sessions[name] = Session(self.port, self.database, [level, *options])
        return self.sessions[name]


def matches(expected, got):
    if expected == "ok":
        return got != "waits" and not got.startswith(("error", "a statement", "nothing"))
    if expected == "rows":
        return not got.startswith(("error", "changed", "waits"))
    return expected == got


def complaints(path, port, server):
    """Runs all scenarios of a file at all their levels."""
    found = []
    for scenario in parse(path):
        for level in scenario.levels:
            complaint = Run(scenario, level, port, server).complaint()
            if complaint:
                found.append(complaint)
    return found


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--port", type=int, required=True)
    arguments.add_argument("--server", choices=SERVERS, required=True)
    arguments.add_argument("scripts", nargs="*", type=pathlib.Path)
    given = arguments.parse_args()
    failed = 0
    for path in given.scripts or sorted(SCRIPTS.glob("*.txt")):
        found = complaints(path, given.port, given.server)
        print(f"{path.name}: {'ok' if not found else f'{len(found)} otherwise'}")
        for complaint in found:
            print(complaint)
        failed += bool(found)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
