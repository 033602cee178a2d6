"""Temporary tables: who sees them, when they go, and what transactions do to them."""

import contextlib

import pymysql
import pytest


def rows(cursor, sql):
    cursor.execute(sql)
    return cursor.fetchall()


def code_of(cursor, sql):
    with pytest.raises(pymysql.err.MySQLError) as refused:
        cursor.execute(sql)
    return refused.value.args[0]


@pytest.fixture
def writer(cluster):
    node = cluster.writer()
    node.execute("CREATE DATABASE app", "CREATE TABLE app.t (id INT PRIMARY KEY)", "INSERT INTO app.t VALUES (1), (2)")
    return node


def reset(connection):
    connection._execute_command(0x1F, "")
    connection._read_ok_packet()


def test_temporary_table_hides_the_stored_one_in_its_session_only(writer):
    with contextlib.closing(writer.connect(database="app")) as a, contextlib.closing(writer.connect(database="app")) as b:
        with a.cursor() as one, b.cursor() as other:
            # Both sessions have a plan of this text in the cache.
            assert rows(one, "SELECT id FROM t") == rows(other, "SELECT id FROM t") == ((1,), (2,))
            one.execute("CREATE TEMPORARY TABLE t (id VARCHAR(10))")
            one.execute("INSERT INTO t VALUES ('mine')")
            assert rows(one, "SELECT id FROM t") == (("mine",),)
            assert rows(other, "SELECT id FROM t") == ((1,), (2,))
            other.execute("CREATE TEMPORARY TABLE t (id FLOAT)")
            assert rows(other, "SELECT id FROM t") == ()
            assert rows(one, "SELECT id FROM t") == (("mine",),)
            assert rows(one, "SHOW TABLES") == (("t",),)
            assert rows(one, "SELECT DATA_TYPE FROM information_schema.COLUMNS WHERE TABLE_NAME = 't'") == (("int",),)
            assert rows(one, "SHOW CREATE TABLE t")[0][1].startswith("CREATE TEMPORARY TABLE `t` (\n  `id` varchar(10)")
            assert rows(one, "DESCRIBE t") == (("id", "varchar(10)", "YES", "", None, ""),)
            one.execute("DROP TABLE t")
            assert rows(one, "SELECT id FROM t") == ((1,), (2,))


def test_temporary_table_ends_with_its_session(writer):
    with contextlib.closing(writer.connect(database="app")) as connection, connection.cursor() as cursor:
        for end in (lambda: reset(connection), lambda: connection.select_db("app")):
            cursor.execute("CREATE TEMPORARY TABLE IF NOT EXISTS own (id INT)")
            end()
        assert rows(cursor, "SELECT * FROM own") == (), "only a reset ends it"
        reset(connection)
        assert code_of(cursor, "SELECT * FROM app.own") == 1146
        cursor.execute("CREATE TEMPORARY TABLE app.own (id INT)")
    with contextlib.closing(writer.connect(database="app")) as connection, connection.cursor() as cursor:
        assert code_of(cursor, "SELECT * FROM own") == 1146


def test_rows_roll_back_and_definitions_stay(writer):
    with contextlib.closing(writer.connect(database="app")) as connection, connection.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("INSERT INTO t VALUES (3)")
        cursor.execute("CREATE TEMPORARY TABLE n (id INT AUTO_INCREMENT PRIMARY KEY, v INT UNIQUE)")
        cursor.execute("CREATE TEMPORARY TABLE copy SELECT * FROM t")
        cursor.execute("INSERT INTO n (v) VALUES (1), (2)")
        cursor.execute("SAVEPOINT s")
        cursor.execute("UPDATE n SET v = 7 WHERE id = 1")
        cursor.execute("DELETE FROM n WHERE id = 2")
        cursor.execute("ROLLBACK TO s")
        assert rows(cursor, "SELECT * FROM n") == ((1, 1), (2, 2))
        assert code_of(cursor, "INSERT INTO n (v) VALUES (9), (1)") == 1062
        assert rows(cursor, "SELECT * FROM n WHERE v IN (2, 9)") == ((2, 2),)
        cursor.execute("ROLLBACK")
        assert rows(cursor, "SELECT * FROM n") == ()
        assert rows(cursor, "SELECT * FROM copy") == ((1,), (2,), (3,))
        assert rows(cursor, "SELECT * FROM t") == ((1,), (2,)), "creating it has not committed"
        cursor.execute("BEGIN")
        cursor.execute("INSERT INTO t VALUES (4)")
        cursor.execute("ALTER TABLE n ADD COLUMN w INT DEFAULT 5")
        cursor.execute("ROLLBACK")
        assert rows(cursor, "SELECT * FROM t WHERE id = 4") == ((4,),), "ALTER TABLE has committed"


def test_prepared_statement_follows_the_name(writer):
    with contextlib.closing(writer.connect(database="app")) as connection, connection.cursor() as cursor:
        cursor.execute("PREPARE q FROM 'SELECT COUNT(*) FROM t'")
        assert rows(cursor, "EXECUTE q") == ((2,),)
        cursor.execute("CREATE TEMPORARY TABLE t SELECT 1 AS x")
        assert rows(cursor, "EXECUTE q") == ((1,),)
        cursor.execute("DROP TEMPORARY TABLE t")
        assert rows(cursor, "EXECUTE q") == ((2,),)


def test_reader_has_temporary_tables_of_its_own(cluster, writer):
    reader = cluster.reader()
    with contextlib.closing(reader.connect(database="app")) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE r (id INT PRIMARY KEY, v INT, KEY (v))")
        cursor.execute("INSERT INTO r SELECT id, id * 10 FROM t")
        cursor.execute("UPDATE r SET v = v + 1 WHERE id = 2")
        assert rows(cursor, "SELECT r.id, v FROM r JOIN t ON t.id = r.id WHERE v = 21") == ((2, 21),)
        assert code_of(cursor, "INSERT INTO t SELECT id + 10 FROM r") == 1290
        assert code_of(cursor, "UPDATE r JOIN t ON t.id = r.id SET t.id = 5") == 1290
        cursor.execute("DROP TABLE r")


def test_account_needs_a_privilege_to_create_one_and_none_to_use_it(writer):
    writer.execute("CREATE USER u", "GRANT CREATE TEMPORARY TABLES ON app.* TO u", "CREATE USER v")
    options = {"host": "127.0.0.1", "port": writer.port, "autocommit": True}
    with contextlib.closing(pymysql.connect(user="u", **options)) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE app.own (id INT)")
        cursor.execute("INSERT INTO app.own VALUES (1)")
        cursor.execute("ALTER TABLE app.own ADD COLUMN v INT")
        assert rows(cursor, "SELECT * FROM app.own") == ((1, None),)
        assert code_of(cursor, "SELECT * FROM app.t") == 1142
        assert code_of(cursor, "CREATE TABLE app.stored (id INT)") == 1142
        cursor.execute("DROP TABLE app.own")
    with contextlib.closing(pymysql.connect(user="v", **options)) as connection, connection.cursor() as cursor:
        assert code_of(cursor, "CREATE TEMPORARY TABLE app.own (id INT)") == 1044


def test_table_beyond_the_memory_is_full(writer):
    with contextlib.closing(writer.connect(database="app")) as connection, connection.cursor() as cursor:
        cursor.execute("SET GLOBAL temptable_max_ram = 4194304")
        cursor.execute("CREATE TEMPORARY TABLE big (id INT AUTO_INCREMENT PRIMARY KEY, v LONGBLOB)")
        with pytest.raises(pymysql.err.MySQLError) as refused:
            for _ in range(10):
                cursor.execute("INSERT INTO big (v) VALUES (REPEAT('x', 1000000))")
        assert refused.value.args == (1114, "The table 'big' is full")
        assert 2 <= rows(cursor, "SELECT COUNT(*) FROM big")[0][0] <= 4
        cursor.execute("TRUNCATE TABLE big")
        cursor.execute("INSERT INTO big (v) VALUES (REPEAT('x', 1000000))")
