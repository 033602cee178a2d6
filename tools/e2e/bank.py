"""A bank whose money neither comes nor goes, whatever happens to the server."""

import contextlib
import random
import threading

import pymysql

ACCOUNTS = 1_000
BALANCE = 1_000
TOTAL = ACCOUNTS * BALANCE
LOST = (0, 2003, 2006, 2013, 1053)


def open_bank(node):
    node.execute(
        "CREATE DATABASE bank",
        "CREATE TABLE bank.account (id INT PRIMARY KEY, balance BIGINT NOT NULL, KEY (balance))",
        "INSERT INTO bank.account VALUES " + ", ".join(f"({number}, {BALANCE})" for number in range(ACCOUNTS)),
    )


class Clients:
    """Clients that move money until they are stopped; they connect again when the server has gone away."""

    def __init__(self, port, count):
        self.port = port
        self.moved = [0] * count
        self.gave_way = [0] * count
        self.failures = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(number,), daemon=True) for number in range(count)]
        for thread in self._threads:
            thread.start()

    def total(self):
        return sum(self.moved)

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join(120)
            assert not thread.is_alive(), "a bank client hangs"
        assert not self.failures, self.failures[:3]

    def _work(self, number):
        pick = random.Random(number)
        while not self._stop.is_set():
            try:
                with contextlib.closing(pymysql.connect(host="127.0.0.1", port=self.port, user="root",
                                                        read_timeout=60)) as connection:
                    while not self._stop.is_set():
                        self._transfer(connection, number, pick)
            except pymysql.err.MySQLError as error:
                if error.args[0] not in LOST:
                    self.failures.append(error)
                    return
                self._stop.wait(0.05)
            except OSError:
                self._stop.wait(0.05)

    def _transfer(self, connection, number, pick):
        source, target = pick.sample(range(ACCOUNTS), 2)
        amount = pick.randint(1, 10)
        try:
            with connection.cursor() as cursor:
                cursor.execute("BEGIN")
                if pick.random() < 0.5:
                    cursor.execute("SELECT balance FROM bank.account WHERE id = %s FOR UPDATE", (source,))
                    balance = cursor.fetchone()[0]
                    cursor.execute("UPDATE bank.account SET balance = %s WHERE id = %s", (balance - amount, source))
                else:
                    cursor.execute("UPDATE bank.account SET balance = balance - %s WHERE id = %s", (amount, source))
                cursor.execute("UPDATE bank.account SET balance = balance + %s WHERE id = %s", (amount, target))
                if pick.random() < 0.05:
                    connection.rollback()
                    return
                connection.commit()
            self.moved[number] += 1
        except pymysql.err.OperationalError as error:
            if error.args[0] not in (1213, 1205):
                raise
            self.gave_way[number] += 1
            connection.rollback()


class Auditors:
    """Watch that the sum never changes on a node, by the rows and by the index."""

    def __init__(self, ports):
        self.looks = 0
        self.wrong = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._watch, args=(port,), daemon=True) for port in ports]
        for thread in self._threads:
            thread.start()

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join(120)
        assert not self.wrong, self.wrong[:3]

    def _watch(self, port):
        while not self._stop.is_set():
            try:
                with contextlib.closing(pymysql.connect(host="127.0.0.1", port=port, user="root",
                                                        read_timeout=60)) as connection:
                    while not self._stop.is_set():
                        self._look(connection, port)
            except (pymysql.err.MySQLError, OSError) as error:
                if error.args[0] not in LOST and isinstance(error, pymysql.err.MySQLError):
                    self.wrong.append(error)
                    return
                self._stop.wait(0.05)

    def _look(self, connection, port):
        with connection.cursor() as cursor:
            cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
            cursor.execute("SELECT COUNT(*), SUM(balance) FROM bank.account")
            rows = cursor.fetchone()
            cursor.execute("SELECT COUNT(*), SUM(balance) FROM bank.account FORCE INDEX (balance) WHERE balance > -1000000")
            index = cursor.fetchone()
            cursor.execute("COMMIT")
        for seen in (rows, index):
            if (seen[0], int(seen[1] or 0)) != (ACCOUNTS, TOTAL):
                self.wrong.append((port, rows, index))
        self.looks += 1
