"""Runs random transactions on a server and writes down what each saw: a history for `aquifer-history`.

Sessions are processes and threads with connections of their own. Each transaction appends to lists, writes
registers and reads both, by key and by condition; some only read. Every value is written once. A session that loses
its connection connects again and goes on: what was being committed is `info`, everything else `fail`. At the end
every key is read once more (`final`). With a second port, further sessions read there: on a reader node.
"""

import argparse
import itertools
import multiprocessing
import random
import sys
import threading
import time

import MySQLdb

SCHEMA = (
    "CREATE DATABASE IF NOT EXISTS history",
    "CREATE TABLE IF NOT EXISTS history.list (id BIGINT PRIMARY KEY, part BIGINT NOT NULL, v LONGTEXT NOT NULL,"
    " KEY (part))",
    "CREATE TABLE IF NOT EXISTS history.register (id BIGINT PRIMARY KEY, v BIGINT NOT NULL)",
)
# Keys in use at a time, and for how many transactions of a session; keys with the same `part` are read together.
WINDOW_KEYS = 8
WINDOW_TXNS = 40
PART_KEYS = 4
CONNECTION_LOST = (2002, 2003, 2006, 2013, 2055, 1053, 1927)
SESSIONS_A_PROCESS = 4
PATIENCE_S = 120


def connect(port):
    """A connection, waiting while the server is away."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return MySQLdb.connect(host="127.0.0.1", port=port, user="root", db="history", connect_timeout=5,
                                   read_timeout=PATIENCE_S, autocommit=True)
        except MySQLdb.OperationalError as error:
            if error.args[0] not in CONNECTION_LOST or time.monotonic() > deadline:
                raise
        time.sleep(0.05)


class Session:
    """One session and the lines that it has recorded."""

    def __init__(self, number, port, options, seed, read_only):
        self.number, self.port, self.options, self.read_only = number, port, options, read_only
        self.random = random.Random(seed)
        self.values = itertools.count(number + 1, 100_000)
        self.connection = None
        self.lines = []
        self.count = 0

    def run(self, transactions):
        for self.count in range(transactions):
            self._transaction()
        self.close()

    def close(self):
        if self.connection is not None:
            self.connection.close()

    def _transaction(self):
        recorded, status = [], "fail"
        try:
            if self.connection is None:
                self.connection = connect(self.port)
                self._do(f"SET SESSION TRANSACTION ISOLATION LEVEL {self.options.level}")
                self._do("SET SESSION innodb_lock_wait_timeout = 2")
            self._do("BEGIN")
            for operation in self._plan():
                recorded.append(operation)
                recorded[-1] = operation(self)
            if self.random.random() < 0.03:
                self._do("ROLLBACK")
            else:
                status = "info"
                self._do("COMMIT")
                status = "ok"
        except MySQLdb.Error as error:
            if error.args[0] in CONNECTION_LOST:
                self.connection = None
            else:
                # A deadlock has rolled back, a time-out only its statement; a commit that is refused did nothing.
                status = "fail"
                self._give_up(error)
        recorded = [text for text in recorded if isinstance(text, str)]
        self.lines.append(" ".join([str(self.number), status, *recorded]))

    def _give_up(self, error):
        if error.args[0] not in (1213, 1205):
            raise error
        try:
            self._do("ROLLBACK")
        except MySQLdb.Error:
            self.connection = None

    def _do(self, sql):
        cursor = self.connection.cursor()
        try:
            cursor.execute(sql)
            return cursor.fetchall() if cursor.description else ()
        finally:
            cursor.close()

    def _plan(self):
        """The operations of a transaction, each a function that runs it and says what to record."""
        pick = self.random
        only_reads = self.read_only or pick.random() < 0.4
        kinds = [read_list, read_list, read_part, read_register]
        if not only_reads:
            kinds += [append, append, append, write_register]
        plan = [pick.choice(kinds) for _ in range(pick.randint(1, 5))]
        if not only_reads and pick.random() < 0.2:
            # A locking read sees the newest row, so it is only part of transactions that write.
            plan = [read_list_for_update, *plan, append]
        return plan

    def key(self):
        window = self.count // WINDOW_TXNS
        return window * WINDOW_KEYS + self.random.randrange(WINDOW_KEYS)


def _list(text):
    return text.decode() if isinstance(text, bytes) else text


def append(session):
    key, value = session.key(), next(session.values)
    part = key // PART_KEYS
    session._do(f"INSERT INTO list VALUES ({key}, {part}, '{value}')"
                f" ON DUPLICATE KEY UPDATE v = CONCAT(v, ',{value}')")
    return f"a:{key}:{value}"


def read_list(session, suffix=""):
    key = session.key()
    rows = session._do(f"SELECT v FROM list WHERE id = {key}{suffix}")
    return f"r:{key}:{_list(rows[0][0]) if rows else ''}"


def read_list_for_update(session):
    return read_list(session, " FOR UPDATE")


def read_part(session):
    part = session.key() // PART_KEYS
    rows = dict(session._do(f"SELECT id, v FROM list WHERE part = {part}"))
    keys = range(part * PART_KEYS, (part + 1) * PART_KEYS)
    return " ".join(f"R:{key}:{_list(rows.get(key, ''))}" for key in keys)


def write_register(session):
    key, value = session.key(), next(session.values)
    session._do(f"INSERT INTO register VALUES ({key}, {value}) ON DUPLICATE KEY UPDATE v = {value}")
    return f"w:{key}:{value}"


def read_register(session):
    key = session.key()
    rows = session._do(f"SELECT v FROM register WHERE id = {key}")
    return f"g:{key}:{rows[0][0] if rows else 'nil'}"


def _process(numbers, options, queue):
    """Runs some sessions, a thread each."""
    sessions = []
    for number in numbers:
        on_reader = number >= options.sessions
        port = options.reader if on_reader else options.writer
        sessions.append(Session(number, port, options, options.seed * 1_000 + number, on_reader))
    share = -(-options.transactions // options.sessions)
    failures = []

    def run(session):
        try:
            session.run(share)
        except Exception as error:
            failures.append(f"session {session.number}: {error!r}")

    threads = [threading.Thread(target=run, args=(session,)) for session in sessions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    queue.put(([session.lines for session in sessions], failures))


def _final_reads(options):
    connection = connect(options.writer)
    cursor = connection.cursor()
    cursor.execute("SELECT id, v FROM list ORDER BY id")
    lines = [f"999999 final r:{key}:{_list(value)}" for key, value in cursor.fetchall()]
    connection.close()
    return lines


def prepare(port):
    connection = MySQLdb.connect(host="127.0.0.1", port=port, user="root", autocommit=True)
    cursor = connection.cursor()
    cursor.execute("DROP DATABASE IF EXISTS history")
    for statement in SCHEMA:
        cursor.execute(statement)
    connection.close()


def record(options):
    """Runs everything and returns the history's lines."""
    numbers = list(range(options.sessions + (options.reader_sessions if options.reader else 0)))
    groups = [numbers[at:at + SESSIONS_A_PROCESS] for at in range(0, len(numbers), SESSIONS_A_PROCESS)]
    queue = multiprocessing.Queue()
    processes = [multiprocessing.Process(target=_process, args=(group, options, queue)) for group in groups]
    for process in processes:
        process.start()
    sessions = []
    for _ in processes:
        lines, failures = queue.get()
        assert not failures, failures
        sessions += lines
    for process in processes:
        process.join()
    # Sessions side by side, so that transactions of one time are near each other in the file.
    rounds = itertools.zip_longest(*sessions)
    return [line for lines in rounds for line in lines if line] + _final_reads(options)


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--writer", type=int, required=True, help="port")
    arguments.add_argument("--reader", type=int, help="port of a reader node")
    arguments.add_argument("--level", default="REPEATABLE READ")
    arguments.add_argument("--transactions", type=int, default=10_000)
    arguments.add_argument("--sessions", type=int, default=8)
    arguments.add_argument("--reader-sessions", type=int, default=2)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--out", required=True)
    arguments.add_argument("--prepared", action="store_true", help="the tables are there already")
    options = arguments.parse_args()
    if not options.prepared:
        prepare(options.writer)
    lines = record(options)
    with open(options.out, "w") as out:
        out.write("\n".join(lines) + "\n")
    print(f"{len(lines)} transactions in {options.out}")


if __name__ == "__main__":
    sys.exit(main())
