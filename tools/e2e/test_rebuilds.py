"""ALTER TABLE that writes all rows anew while others write: right, unique, killable, and gone after a crash."""

import contextlib
import time

import pymysql
import pytest

import harness
from test_builds import ROWS, Writes, begin_build, large, state_of  # noqa: F401 (large is a fixture)
from test_dropped import until_stored

ALTER = "ALTER TABLE d.t MODIFY id BIGINT NOT NULL, MODIFY n VARCHAR(20) NOT NULL, ADD COLUMN extra INT NOT NULL DEFAULT 7 AFTER id"


class Mirrored(Writes):
    """Clients that do the same to `d.t` and to `d.mirror`; no `n` comes twice."""

    def change(self, cursor, pick, own, fresh):
        row, action = pick.choice(own), pick.randrange(4)
        n, pad = next(fresh), str(pick.random())
        for table in ("t", "mirror"):
            if action == 0:
                cursor.execute("UPDATE d.%s SET n = %d WHERE id = %d" % (table, n, row))
            elif action == 1:
                cursor.execute("UPDATE d.%s SET pad = SHA2('%s', 512) WHERE id = %d" % (table, pad, row))
            elif action == 2:
                cursor.execute("UPDATE d.%s SET id = %d WHERE id = %d" % (table, ROWS + n, row))
            else:
                # Away and back; or there, if it has gone for good.
                cursor.execute("DELETE FROM d.%s WHERE id = %d" % (table, row))
                cursor.execute("INSERT INTO d.%s (id, n, pad) VALUES (%d, %d, '%s')" % (table, row, n, pad))


@pytest.fixture
def mirrored(large):
    large.execute("CREATE TABLE d.mirror (id INT PRIMARY KEY, n INT NOT NULL, pad VARCHAR(200) NOT NULL)")
    large.execute("INSERT INTO d.mirror SELECT id, n, pad FROM d.t")
    return large


def same_as_mirror(node, indexes=()):
    """The rows of both tables, and what each index finds, at one snapshot."""
    with contextlib.closing(node.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
        sums = "SELECT COUNT(*), SUM(id), SUM(n + 0), BIT_XOR(CRC32(CONCAT_WS('|', id, n, pad))) FROM d.%s"
        cursor.execute(sums % "mirror")
        mirror = cursor.fetchall()
        cursor.execute(sums % "t IGNORE INDEX (by_n)" if indexes else sums % "t")
        assert cursor.fetchall() == mirror
        for index, condition in indexes:
            cursor.execute(sums % ("t FORCE INDEX (%s) WHERE %s" % (index, condition)))
            assert cursor.fetchall() == mirror, index
        return mirror[0][0]


def type_of(node, column):
    return node.query(
        "SELECT COLUMN_TYPE FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = 'd' AND TABLE_NAME = 't' AND COLUMN_NAME = %s",
        (column,))[0][0]


def test_types_change_while_others_write(cluster, mirrored):
    reader = cluster.reader()
    mirrored.execute("ALTER TABLE d.t ADD UNIQUE INDEX by_n (n), ADD INDEX by_pad (pad)")
    indexes = [("by_n", "n >= '0'"), ("by_pad", "pad >= ''")]
    writes = Mirrored(mirrored)
    try:
        harness.wait_until(lambda: writes.commits > 100, 30, "writes")
        session, thread, outcome = begin_build(mirrored, ALTER)
        harness.wait_until(lambda: outcome or state_of(mirrored, session).startswith("copying rows:"), 30, "progress")
        assert not outcome, outcome
        before = writes.commits
        # Nobody sees the new definition yet.
        assert type_of(mirrored, "id") == "int"
        thread.join(120)
        during = writes.commits - before
        print(f"{during} commits while rows were copied, the slowest took {writes.slowest_s * 1000:.0f} ms")
        assert outcome == [(0,)]
        assert during > 0
        assert (type_of(mirrored, "id"), type_of(mirrored, "n")) == ("bigint", "varchar(20)")
        same_as_mirror(mirrored, indexes)
        lsn = mirrored.visible_lsn()
        harness.wait_until(lambda: reader.visible_lsn() >= lsn, 30, "the reader")
        same_as_mirror(reader, indexes)
    finally:
        writes.stop()
    rows = same_as_mirror(mirrored, indexes)
    assert mirrored.query("SELECT COUNT(*), SUM(extra) FROM d.t") == ((rows, 7 * rows),)
    with pytest.raises(pymysql.err.IntegrityError) as refused:
        mirrored.execute("INSERT INTO d.t (id, n, pad) SELECT -1, n, '' FROM d.t WHERE id = 10")
    assert refused.value.args[0] == 1062
    # The old rows go, and a restart finds the new ones.
    assert mirrored.stop() == 0
    mirrored = cluster.writer(arguments=["--memtable-bytes", str(8 << 20)])
    same_as_mirror(mirrored, indexes)
    until_stored(cluster, 6 * ROWS)
    same_as_mirror(mirrored, indexes)


def test_number_of_rows_and_warnings_are_told(large):
    with contextlib.closing(large.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("SET sql_mode = ''")
        assert cursor.execute("ALTER TABLE d.t MODIFY n SMALLINT NOT NULL, MODIFY pad VARBINARY(10) NOT NULL") == ROWS
        assert cursor.execute("SHOW WARNINGS") > 0
        assert cursor.fetchone()[1] in (1264, 1265)
        cursor.execute("SELECT MAX(n), MAX(LENGTH(pad)), COUNT(*) FROM d.t")
        assert cursor.fetchall() == ((32767, 10, ROWS),)


def test_a_value_that_does_not_fit_ends_it_and_changes_nothing(large):
    before = large.query("SELECT COUNT(*), SUM(n), BIT_XOR(CRC32(pad)) FROM d.t")
    with pytest.raises(pymysql.err.MySQLError) as refused:
        large.execute("ALTER TABLE d.t MODIFY n SMALLINT NOT NULL")
    assert refused.value.args[0] == 1264, refused.value
    assert type_of(large, "n") == "int"
    large.execute("ALTER TABLE d.t MODIFY pad VARCHAR(200)", "UPDATE d.t SET pad = NULL WHERE id = %d" % (ROWS - 1))
    with pytest.raises(pymysql.err.MySQLError) as refused:
        large.execute("ALTER TABLE d.t MODIFY pad VARCHAR(200) NOT NULL")
    assert refused.value.args[0] == 1138, refused.value
    large.execute("UPDATE d.t SET pad = SHA2(%d, 512) WHERE id = %d" % (ROWS - 1, ROWS - 1))
    large.execute("ALTER TABLE d.t MODIFY pad VARCHAR(200) NOT NULL")
    assert large.query("SELECT COUNT(*), SUM(n) FROM d.t") == (before[0][:2],)


def test_a_value_that_comes_meanwhile_and_does_not_fit_ends_it_and_not_the_writer(large):
    large.execute("UPDATE d.t SET n = id % 1000")
    session, thread, outcome = begin_build(large, "ALTER TABLE d.t MODIFY n SMALLINT NOT NULL")
    harness.wait_until(lambda: outcome or state_of(large, session).startswith("copying rows:"), 30, "progress")
    assert not outcome, outcome
    large.execute("INSERT INTO d.t VALUES (-5, 70000, 'large')")
    thread.join(60)
    assert outcome[0][0] == 1264, outcome
    assert large.query("SELECT n FROM d.t WHERE id = -5") == ((70000,),)
    large.execute("UPDATE d.t SET n = 70001 WHERE id = -5", "DELETE FROM d.t WHERE id = -5")
    large.execute("ALTER TABLE d.t MODIFY n SMALLINT NOT NULL")
    assert large.query("SELECT COUNT(*), MAX(n) FROM d.t") == ((ROWS, 999),)


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_rows_that_become_equal_are_found(large, when):
    large.execute(
        "ALTER TABLE d.t MODIFY pad VARCHAR(200) COLLATE utf8mb4_bin NOT NULL", "ALTER TABLE d.t ADD UNIQUE INDEX by_pad (pad)",
        "UPDATE d.t SET pad = 'Equal' WHERE id = 77")
    second = "UPDATE d.t SET pad = 'equal' WHERE id = %d" % (ROWS - 3)
    alter = "ALTER TABLE d.t MODIFY pad VARCHAR(200) COLLATE utf8mb4_0900_ai_ci NOT NULL, MODIFY id BIGINT NOT NULL"
    if when == "before":
        large.execute(second)
    session, thread, outcome = begin_build(large, alter)
    if when == "meanwhile":
        harness.wait_until(lambda: outcome or state_of(large, session).startswith("copying rows:"), 30, "progress")
        assert not outcome, outcome
        large.execute(second)
    thread.join(60)
    assert outcome[0][0] == 1062 and outcome[0][1].lower() == "duplicate entry 'equal' for key 't.by_pad'", outcome
    assert type_of(large, "id") == "int"
    large.execute("DELETE FROM d.t WHERE id = 77", alter)
    assert large.query("SELECT id FROM d.t WHERE pad = 'EQUAL'") == ((ROWS - 3,),)


def test_killed_while_rows_are_copied_it_leaves_the_table_as_it_was(cluster, mirrored):
    writes = Mirrored(mirrored)
    try:
        session, thread, outcome = begin_build(mirrored, ALTER)
        harness.wait_until(lambda: outcome or state_of(mirrored, session).startswith("copying rows:"), 30, "progress")
        mirrored.execute("KILL QUERY %d" % session)
        thread.join(30)
        assert outcome == [(1317, "Query execution was interrupted")]
        assert type_of(mirrored, "id") == "int"
        same_as_mirror(mirrored)
        # Others may define it at once.
        mirrored.execute("ALTER TABLE d.t ADD COLUMN more INT", "ALTER TABLE d.t DROP COLUMN more")
    finally:
        writes.stop()
    same_as_mirror(mirrored)


def test_a_crash_while_rows_are_copied_leaves_the_table_as_it_was(cluster, mirrored):
    for wait_s in (0.1, 0.5):
        session, thread, outcome = begin_build(mirrored, ALTER)
        harness.wait_until(lambda: outcome or state_of(mirrored, session).startswith("copying rows:"), 30, "progress")
        for table in ("t", "mirror"):
            mirrored.execute("UPDATE d.%s SET pad = SHA2(n, 256) WHERE id < 1000" % table)
        time.sleep(wait_s)
        mirrored.kill()
        thread.join(30)
        mirrored = cluster.writer(arguments=["--memtable-bytes", str(8 << 20)])
        if outcome == [(0,)]:
            mirrored.execute("ALTER TABLE d.t MODIFY id INT NOT NULL, MODIFY n INT NOT NULL, DROP COLUMN extra")
        assert type_of(mirrored, "id") == "int"
        same_as_mirror(mirrored)
    mirrored.execute(ALTER)
    same_as_mirror(mirrored)
    # Nothing of the attempts is left.
    until_stored(cluster, 3 * ROWS)


def test_an_old_snapshot_does_not_read_the_new_rows(large):
    with contextlib.closing(large.connect()) as old, old.cursor() as cursor:
        cursor.execute("CREATE TABLE d.other (id INT PRIMARY KEY)")
        cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
        large.execute("ALTER TABLE d.t MODIFY n BIGINT NOT NULL")
        with pytest.raises(pymysql.err.MySQLError) as refused:
            cursor.execute("SELECT COUNT(*) FROM d.t")
        assert refused.value.args[0] == 1412
        cursor.execute("ROLLBACK")
        cursor.execute("SELECT COUNT(*) FROM d.t")
        assert cursor.fetchall() == ((ROWS,),)


def test_a_table_without_a_primary_key_is_copied_beside_writes_too(large):
    large.execute("CREATE TABLE d.bare (n INT, pad VARCHAR(200), KEY by_n (n))", "INSERT INTO d.bare SELECT n, pad FROM d.t")

    def insert(cursor, turn):
        cursor.execute("INSERT INTO d.bare VALUES (-%d, 'new')" % (turn + 10))
        cursor.execute("DELETE FROM d.bare WHERE n = -%d" % turn)

    with harness.repeating(large, insert):
        large.execute("ALTER TABLE d.bare MODIFY n BIGINT, MODIFY pad TEXT")
    assert large.query("SELECT COUNT(*), COUNT(pad), MAX(n) FROM d.bare WHERE n >= 0") == large.query(
        "SELECT COUNT(*), COUNT(pad), MAX(n) FROM d.t")
    assert large.query("SELECT COUNT(*) FROM d.bare WHERE n < 0")[0][0] <= 11


def test_foreign_keys_hold_while_rows_are_copied(large):
    large.execute(
        "CREATE TABLE d.child (id INT PRIMARY KEY, parent INT NOT NULL, note VARCHAR(20) NOT NULL, KEY (parent), "
        "FOREIGN KEY (parent) REFERENCES d.t (id) ON UPDATE CASCADE ON DELETE CASCADE)",
        "INSERT INTO d.child SELECT id, id, CONCAT('child of ', n) FROM d.t",
    )
    refused = []

    def change(cursor, turn):
        cursor.execute("UPDATE d.t SET id = id + %d WHERE id = %d" % (2 * ROWS, 2 * turn))
        cursor.execute("DELETE FROM d.t WHERE id = %d" % (2 * turn + 1))
        with pytest.raises(pymysql.err.IntegrityError) as error:
            cursor.execute("INSERT INTO d.child VALUES (-1, %d, 'orphan')" % (2 * turn + 1))
        refused.append(error.value.args[0])

    with harness.repeating(large, change):
        for table, column in (("child", "note"), ("t", "pad")):
            before = len(refused)
            session, thread, outcome = begin_build(large, "ALTER TABLE d.%s MODIFY %s TEXT NOT NULL" % (table, column))
            harness.wait_until(lambda: outcome or state_of(large, session).startswith("copying rows:"), 30, "progress")
            assert not outcome, outcome
            thread.join(120)
            assert outcome == [(0,)]
            assert len(refused) > before
    assert set(refused) == {1452}
    rows = large.query("SELECT COUNT(*) FROM d.t")
    assert rows[0][0] < ROWS
    assert large.query("SELECT COUNT(*) FROM d.child") == rows
    joined = "SELECT COUNT(*) FROM d.t JOIN d.child ON parent = t.id WHERE note = CONCAT('child of ', n)"
    assert large.query(joined) == rows
    assert large.query(joined + " AND child.id + %d = parent" % (2 * ROWS))[0][0] > 0
