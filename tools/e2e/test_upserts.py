"""Statements that insert or change many rows that others have too."""

import random
import threading

import pymysql

CLIENTS = 8
STATEMENTS = 40
ROWS = 2_000
ROWS_EACH = 300


def test_statements_through_the_same_rows_in_the_same_order_do_not_deadlock(cluster):
    """InnoDB locks row by row and never deadlocks here; Aquifer asks for the locks of many rows at once."""
    writer = cluster.writer()
    columns = "(id INT PRIMARY KEY, code CHAR(8) UNIQUE, n INT NOT NULL)"
    writer.execute("CREATE DATABASE app", f"CREATE TABLE app.t {columns}", f"CREATE TABLE app.other {columns}")
    values = ", ".join(f"({row}, 'c{row}', 0)" for row in range(0, ROWS, 2))
    writer.execute(f"INSERT INTO app.t VALUES {values}", f"INSERT INTO app.other VALUES {values}")
    kinds = (
        "INSERT INTO app.t VALUES {} ON DUPLICATE KEY UPDATE n = n + 1",
        "INSERT IGNORE INTO app.other VALUES {}",
        "INSERT INTO app.t VALUES {} ON DUPLICATE KEY UPDATE n = n + 1",
        "REPLACE INTO app.other VALUES {}",
    )
    upserted, errors = [], []

    def client(number):
        choose = random.Random(number)
        with writer.connect() as connection, connection.cursor() as cursor:
            for turn in range(STATEMENTS):
                first = choose.randrange(ROWS - ROWS_EACH)
                values = ", ".join(f"({row}, 'c{row}', 1)" for row in range(first, first + ROWS_EACH))
                sql = kinds[(turn + number) % len(kinds)].format(values)
                try:
                    cursor.execute(sql)
                except pymysql.MySQLError as error:
                    return errors.append((sql[:30], error))
                if "app.t" in sql:
                    upserted.append(ROWS_EACH)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert len(upserted) == CLIENTS * STATEMENTS / 2
    for table in "t", "other":
        (count, codes), = writer.query(f"SELECT COUNT(*), COUNT(DISTINCT code) FROM app.{table}")
        assert count == codes <= ROWS
    assert writer.query("SELECT SUM(n) FROM app.t") == ((sum(upserted),),)


def test_warnings_come_in_the_order_of_the_rows(cluster):
    writer = cluster.writer()
    with writer.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE app")
        cursor.execute("CREATE TABLE app.t (id INT PRIMARY KEY, n TINYINT, CHECK (n < 100))")
        cursor.execute("INSERT INTO app.t VALUES (1, 1), (3, 3)")
        cursor.execute("INSERT IGNORE INTO app.t VALUES (1, 300), (2, -300), (3, 5), (4, 300), (5, 'x'), (1, 1)")
        cursor.execute("SHOW WARNINGS")
        found = [(code, message.split("'")[1]) for _, code, message in cursor.fetchall()]
        assert found == [(1264, "n"), (3819, "t_chk_1"), (1264, "n"), (1062, "3"), (1264, "n"), (3819, "t_chk_1"),
                         (1366, "x"), (1062, "1")]
