"""An independent client that keeps the record of what was acknowledged.

Each transaction inserts two rows that belong together. After a crash the record says which transactions
must be there, and the pairs say whether one is there in part.
"""

import contextlib
import threading

import pymysql

SCHEMA = (
    "CREATE DATABASE IF NOT EXISTS ledger",
    "CREATE TABLE IF NOT EXISTS ledger.entry ("
    " worker INT NOT NULL, seq INT NOT NULL, part INT NOT NULL, note VARCHAR(40) NOT NULL,"
    " PRIMARY KEY (worker, seq, part), KEY by_note (note))",
)


class Ledger:
    """Workers that write pairs until they are stopped or the server goes away."""

    def __init__(self, workers=4):
        self.workers = workers
        self.acknowledged = [0] * workers
        self.attempted = [0] * workers
        self.order = []
        self.failures = []
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = []

    def start(self, port):
        self._stop.clear()
        self._threads = [
            threading.Thread(target=self._work, args=(worker, port), daemon=True) for worker in range(self.workers)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive(), "a ledger client hangs"

    def total(self):
        return sum(self.acknowledged)

    def _work(self, worker, port):
        try:
            connection = pymysql.connect(host="127.0.0.1", port=port, user="root", connect_timeout=5, read_timeout=20)
        except (pymysql.err.MySQLError, OSError):
            return
        with contextlib.suppress(Exception), contextlib.closing(connection):
            while not self._stop.is_set():
                self._write_pair(connection, worker)

    def _write_pair(self, connection, worker):
        seq = self.attempted[worker] + 1
        self.attempted[worker] = seq
        try:
            with connection.cursor() as cursor:
                cursor.execute("BEGIN")
                for part in (1, 2):
                    cursor.execute(
                        "INSERT INTO ledger.entry VALUES (%s, %s, %s, %s)", (worker, seq, part, f"{worker}-{seq}")
                    )
                cursor.execute("COMMIT")
        except pymysql.err.MySQLError as error:
            if error.args[0] not in (0, 2006, 2013):
                self.failures.append(error)
            raise
        with self._lock:
            self.order.append((worker, seq))
        self.acknowledged[worker] = seq


def stored_pairs(node):
    """(worker, seq) of all pairs on a node; fails when one is there in part or an index disagrees."""
    rows = node.query("SELECT worker, seq, part, note FROM ledger.entry")
    parts = {}
    for worker, seq, part, note in rows:
        assert note == f"{worker}-{seq}"
        parts.setdefault((worker, seq), set()).add(part)
    torn = {pair: have for pair, have in parts.items() if have != {1, 2}}
    assert not torn, f"transactions there in part: {torn}"
    indexed = node.query("SELECT COUNT(*) FROM ledger.entry FORCE INDEX (by_note) WHERE note >= ''")[0][0]
    assert indexed == len(rows), f"{indexed} entries in the index of {len(rows)} rows"
    return set(parts)


def acknowledged_pairs(ledger):
    return set(ledger.order)
