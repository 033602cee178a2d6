"""Privileges on tables and columns, and roles: granted on the writer, in force on every node."""

import contextlib

import pymysql
import pytest

from test_reader import wait_for_lsn


def as_app(node):
    return contextlib.closing(
        pymysql.connect(host="127.0.0.1", port=node.port, user="app", password="secret", autocommit=True))


def ask(connection, sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()


def refused(connection, sql):
    with pytest.raises(pymysql.err.MySQLError) as raised:
        ask(connection, sql)
    return raised.value.args


def prepare(writer):
    writer.execute(
        "CREATE DATABASE shop", "CREATE TABLE shop.goods (id INT PRIMARY KEY, name VARCHAR(20), price INT)",
        "CREATE TABLE shop.orders (id INT PRIMARY KEY)", "INSERT INTO shop.goods VALUES (1, 'pen', 2)",
        "CREATE USER app IDENTIFIED BY 'secret'", "GRANT SELECT (id, name), UPDATE (price) ON shop.goods TO app")


def check_columns(node):
    with as_app(node) as app:
        assert ask(app, "SELECT name FROM shop.goods WHERE id = 1") == (("pen",),)
        code, text = refused(app, "SELECT price FROM shop.goods")
        assert (code, text) == (
            1143, "SELECT command denied to user 'app'@'localhost' for column 'price' in table 'goods'")
        assert refused(app, "SELECT * FROM shop.orders")[0] == 1142
        assert ask(app, "SHOW TABLES FROM shop") == (("goods",),)
        columns = ask(app, "SELECT COLUMN_NAME, PRIVILEGES FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = 'shop'"
                           " ORDER BY ORDINAL_POSITION")
        assert columns == (("id", "select"), ("name", "select"), ("price", "update"))


def test_grants_on_columns_hold_on_writer_reader_and_after_a_restart(cluster):
    writer = cluster.writer()
    prepare(writer)
    reader = cluster.reader()
    wait_for_lsn(reader, writer.visible_lsn())
    check_columns(writer)
    check_columns(reader)
    with as_app(writer) as app:
        ask(app, "UPDATE shop.goods SET price = 3 WHERE id = 1")
        assert refused(app, "UPDATE shop.goods SET name = 'x'")[0] == 1143
    assert writer.stop() == 0
    writer = cluster.writer()
    check_columns(writer)
    assert writer.query("SELECT price FROM shop.goods") == ((3,),)


def test_grant_and_revoke_reach_open_sessions_of_a_reader(cluster):
    writer = cluster.writer()
    prepare(writer)
    reader = cluster.reader()
    wait_for_lsn(reader, writer.visible_lsn())
    with as_app(reader) as app:
        assert refused(app, "SELECT * FROM shop.orders")[0] == 1142
        writer.execute("GRANT SELECT ON shop.orders TO app")
        wait_for_lsn(reader, writer.visible_lsn())
        assert ask(app, "SELECT * FROM shop.orders") == ()
        ask(app, "BEGIN")
        assert ask(app, "SELECT * FROM shop.orders") == ()
        writer.execute("REVOKE SELECT ON shop.orders FROM app")
        wait_for_lsn(reader, writer.visible_lsn())
        assert refused(app, "SELECT * FROM shop.orders")[0] == 1142


def test_roles_are_made_active_on_a_reader(cluster):
    writer = cluster.writer()
    prepare(writer)
    writer.execute("CREATE ROLE ordering", "GRANT SELECT ON shop.orders TO ordering", "GRANT ordering TO app")
    reader = cluster.reader()
    wait_for_lsn(reader, writer.visible_lsn())
    with as_app(reader) as app:
        assert refused(app, "SELECT * FROM shop.orders")[0] == 1142
        ask(app, "SET ROLE ordering")
        assert ask(app, "SELECT CURRENT_ROLE()") == (("`ordering`@`%`",),)
        assert ask(app, "SELECT * FROM shop.orders") == ()
        assert refused(app, "SET DEFAULT ROLE ordering TO app")[0] == 1290
    with as_app(writer) as app:
        ask(app, "SET DEFAULT ROLE ordering TO app")
    wait_for_lsn(reader, writer.visible_lsn())
    with as_app(reader) as app:
        assert ask(app, "SELECT * FROM shop.orders") == ()
        writer.execute("DROP ROLE ordering")
        wait_for_lsn(reader, writer.visible_lsn())
        assert ask(app, "SELECT CURRENT_ROLE()") == (("NONE",),)
        assert refused(app, "SELECT * FROM shop.orders")[0] == 1142
