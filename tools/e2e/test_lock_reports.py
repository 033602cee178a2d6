"""What the server shows of transactions and locks."""

import contextlib
import threading

import pymysql
import pytest

import harness


def prepare(writer):
    writer.execute("CREATE DATABASE app", "CREATE TABLE app.t (id INT PRIMARY KEY, v INT)",
                   "INSERT INTO app.t VALUES (1, 10), (2, 20), (3, 30)")


def test_waits_are_shown_with_their_blockers(cluster):
    writer = cluster.writer()
    prepare(writer)
    with contextlib.closing(writer.connect()) as holder, contextlib.closing(writer.connect()) as waiter:
        holder.cursor().execute("SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE")
        holder.cursor().execute("BEGIN")
        holder.cursor().execute("UPDATE app.t SET v = 11 WHERE id = 1")
        holder.cursor().execute("SELECT * FROM app.t WHERE id >= 2")
        update = threading.Thread(
            target=lambda: waiter.cursor().execute("UPDATE app.t SET v = 12 WHERE id = 1"), daemon=True)
        update.start()

        def waiting():
            return writer.query(
                "SELECT trx_mysql_thread_id, trx_query FROM information_schema.INNODB_TRX WHERE trx_state = 'LOCK WAIT'")

        rows = harness.wait_until(waiting, 30, "a transaction that waits")
        assert rows == ((waiter.thread_id(), "UPDATE app.t SET v = 12 WHERE id = 1"),)
        rows = writer.query("SELECT REQUESTING_THREAD_ID, BLOCKING_THREAD_ID FROM performance_schema.data_lock_waits")
        assert rows == ((waiter.thread_id(), holder.thread_id()),)
        rows = writer.query(
            "SELECT trx_isolation_level, trx_rows_modified FROM information_schema.innodb_trx WHERE trx_mysql_thread_id = %s",
            (holder.thread_id(),))
        assert rows == (("SERIALIZABLE", 1),)
        rows = writer.query(
            "SELECT THREAD_ID, OBJECT_SCHEMA, OBJECT_NAME, INDEX_NAME, LOCK_MODE, LOCK_STATUS"
            " FROM performance_schema.data_locks ORDER BY LOCK_STATUS, LOCK_MODE")
        own, other = holder.thread_id(), waiter.thread_id()
        assert (own, "app", "t", "PRIMARY", "X,REC_NOT_GAP", "GRANTED") in rows
        assert (other, "app", "t", "PRIMARY", "X,REC_NOT_GAP", "WAITING") in rows
        assert (own, "app", "t", "PRIMARY", "S,GAP", "GRANTED") in rows
        assert sum(row[4] == "S,REC_NOT_GAP" for row in rows) == 2
        holder.cursor().execute("COMMIT")
        update.join(30)
    assert writer.query("SELECT COUNT(*) FROM performance_schema.data_locks") == ((0,),)


def test_latest_deadlock_is_in_the_engine_status(cluster):
    writer = cluster.writer()
    prepare(writer)
    with contextlib.closing(writer.connect()) as first, contextlib.closing(writer.connect()) as second:
        for connection, own in ((first, 1), (second, 2)):
            connection.cursor().execute("BEGIN")
            connection.cursor().execute("UPDATE app.t SET v = 0 WHERE id = %s", (own,))
        blocked = threading.Thread(
            target=lambda: first.cursor().execute("UPDATE app.t SET v = 0 WHERE id = 2"), daemon=True)
        blocked.start()
        harness.wait_until(
            lambda: writer.query("SELECT * FROM performance_schema.data_lock_waits"), 30, "a transaction that waits")
        with pytest.raises(pymysql.err.OperationalError) as raised:
            second.cursor().execute("UPDATE app.t SET v = 0 WHERE id = 1")
        assert raised.value.args[0] == 1213
        blocked.join(30)
    status = writer.query("SHOW ENGINE INNODB STATUS")[0][2]
    assert "LATEST DETECTED DEADLOCK" in status and "WE ROLL BACK TRANSACTION (1)" in status, status
    assert "Deadlocks since the start 1" in status, status
