"""Views: what clients see of them, who may change rows through them, and how statements on them are explained."""

import json
import threading

import harness
import pymysql
import pytest

SETUP = [
    "CREATE DATABASE base", "CREATE DATABASE shown",
    "CREATE TABLE base.t (id INT PRIMARY KEY, a INT NOT NULL DEFAULT 1, name VARCHAR(20))",
    "CREATE TABLE base.u (uid INT PRIMARY KEY, tid INT)",
    "INSERT INTO base.t VALUES (1, 10, 'one'), (2, 20, 'two'), (3, 30, 'three')",
    "INSERT INTO base.u VALUES (1, 1), (2, 3)",
    "CREATE VIEW shown.v AS SELECT id, a AS x, name FROM base.t WHERE a < 100 WITH CHECK OPTION",
    "CREATE VIEW shown.j AS SELECT t.id, t.name, u.uid FROM base.t JOIN base.u ON u.tid = t.id",
    "CREATE VIEW shown.sums AS SELECT a, COUNT(*) AS n FROM base.t GROUP BY a",
    "CREATE ALGORITHM = TEMPTABLE VIEW shown.copied AS SELECT * FROM base.t",
    "CREATE VIEW shown.outside AS SELECT t.id, u.uid FROM base.t LEFT JOIN base.u ON u.tid = t.id",
]


def code_of(cursor, statement):
    with pytest.raises(pymysql.err.MySQLError) as caught:
        cursor.execute(statement)
    return caught.value.args[0]


def test_columns_of_views_say_where_they_are_from(cluster):
    writer = cluster.writer()
    writer.execute(*SETUP)
    with writer.connect(database="shown") as connection, connection.cursor() as cursor:
        cursor.execute("SELECT w.id, x + 1 AS y, d.name FROM v w JOIN (SELECT id, name FROM base.t) d USING (id)")
        fields = [(field.name, field.table_name, field.org_table, field.db.decode()) for field in cursor._result.fields]
        assert fields == [("id", "w", "v", "shown"), ("y", "", "", ""), ("name", "d", "t", "base")]
    rows = writer.query("SELECT table_name, is_updatable, check_option FROM information_schema.views "
                        "WHERE table_schema = 'shown' ORDER BY table_name")
    assert rows == (("copied", "NO", "NONE"), ("j", "YES", "NONE"), ("outside", "NO", "NONE"),
                    ("sums", "NO", "NONE"), ("v", "YES", "CASCADED"))


def test_changes_through_views_need_privileges_on_the_views_alone(cluster):
    writer = cluster.writer()
    writer.execute(*SETUP, "CREATE USER ann IDENTIFIED BY 'x'", "GRANT SELECT, INSERT, UPDATE, DELETE ON shown.* TO ann")
    ann = pymysql.connect(
        host="127.0.0.1", port=writer.port, user="ann", password="x", database="shown", autocommit=True)
    with ann, ann.cursor() as cursor:
        assert cursor.execute("UPDATE v SET x = x + 1 WHERE id = 1") == 1
        assert cursor.execute("UPDATE j SET name = 'joined' WHERE uid = 2") == 1
        assert cursor.execute("INSERT INTO v VALUES (4, 4, 'four')") == 1
        assert cursor.execute("DELETE FROM v WHERE id = 2") == 1
        assert code_of(cursor, "INSERT INTO v VALUES (5, 100, 'five')") == 1369
        assert code_of(cursor, "UPDATE base.t SET a = 1") == 1142
        assert code_of(cursor, "UPDATE j JOIN base.t ON t.id = j.id SET j.name = 'x'") == 1142
    assert writer.query("SELECT * FROM base.t ORDER BY id") == ((1, 11, "one"), (3, 30, "joined"), (4, 4, "four"))


def test_files_are_loaded_through_views(cluster, tmp_path):
    writer = cluster.writer()
    writer.execute(*SETUP, "SET GLOBAL local_infile = 1")
    (tmp_path / "good").write_text("7\t70\tseven\n8\t80\teight\n")
    (tmp_path / "bad").write_text("9\t90\tnine\n10\t100\tten\n")
    with writer.connect(database="shown", local_infile=True) as connection, connection.cursor() as cursor:
        assert cursor.execute(f"LOAD DATA LOCAL INFILE '{tmp_path}/good' INTO TABLE v") == 2
        # LOCAL goes on behind what it cannot load.
        assert cursor.execute(f"LOAD DATA LOCAL INFILE '{tmp_path}/bad' INTO TABLE v") == 1
        cursor.execute("SHOW WARNINGS")
        assert [row[1] for row in cursor.fetchall()] == [1369]
        assert code_of(cursor, f"LOAD DATA LOCAL INFILE '{tmp_path}/good' INTO TABLE sums") == 1288
        assert code_of(cursor, f"LOAD DATA LOCAL INFILE '{tmp_path}/good' INTO TABLE j") == 1221
    assert writer.query("SELECT COUNT(*), MAX(id) FROM base.t") == ((6, 9),)


def test_what_another_connection_runs_is_explained(cluster):
    writer = cluster.writer()
    writer.execute(*SETUP)
    holder = writer.connect(database="shown")
    waiter = writer.connect(database="shown")
    with holder.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT * FROM v WHERE id = 1 FOR UPDATE")
    statement = "UPDATE v SET name = 'waited' WHERE id = 1"

    def wait():
        with waiter.cursor() as cursor:
            cursor.execute(statement)

    thread = threading.Thread(target=wait)
    thread.start()
    running = "SELECT COUNT(*) FROM information_schema.processlist WHERE info = %s"
    harness.wait_until(lambda: writer.query(running, (statement,)) == ((1,),), 20, "the statement waits")
    ((document,),) = writer.query(f"EXPLAIN FORMAT=JSON FOR CONNECTION {waiter.thread_id()}")
    table = json.loads(document)["query_block"]["table"]
    assert (table["update"], table["table_name"], table["access_type"], table["key"]) == (True, "t", "const", "PRIMARY")
    holder.rollback()
    thread.join()
    with holder.cursor() as cursor:
        assert cursor.execute(f"EXPLAIN FOR CONNECTION {waiter.thread_id()}") == 0
        assert code_of(cursor, "EXPLAIN FOR CONNECTION 999999") == 1094
        assert code_of(cursor, f"EXPLAIN FOR CONNECTION {holder.thread_id()}") == 3012
    assert writer.query("SELECT name FROM base.t WHERE id = 1") == (("waited",),)
