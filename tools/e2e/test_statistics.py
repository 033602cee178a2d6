"""Statistics: counts of rows from tables and memory, samples by ANALYZE TABLE, and plans that follow them."""

import contextlib

import pytest

import harness

ROWS = 60_000
GROUPS = 40


@pytest.fixture
def writer(cluster):
    # A small memtable, so that most rows are in tables.
    node = cluster.writer(arguments=["--memtable-bytes=1048576"])
    node.execute("CREATE DATABASE app", "CREATE TABLE app.t (id INT PRIMARY KEY, g INT, u INT, v VARCHAR(100), "
                 "KEY (g), KEY (u))")
    with contextlib.closing(node.connect(database="app")) as connection, connection.cursor() as cursor:
        for start in range(0, ROWS, 10_000):
            rows = [(i, i % GROUPS, i // 3, f"{i:080}") for i in range(start, start + 10_000)]
            cursor.executemany("INSERT INTO t VALUES (%s, %s, %s, %s)", rows)
    return node


def near(found, wanted):
    return wanted / 1.5 < found < wanted * 1.5


def key_of(node, sql):
    """The index that EXPLAIN names."""
    return node.query(f"EXPLAIN {sql}")[0][6]


def cardinalities(node):
    return {row[2]: row[6] for row in node.query("SHOW INDEX FROM app.t")}


def test_analyze_makes_counts_and_cardinalities_near(writer):
    assert writer.query("ANALYZE TABLE app.t") == (("app.t", "analyze", "status", "OK"),)
    found = cardinalities(writer)
    assert near(found["PRIMARY"], ROWS) and near(found["g"], GROUPS) and near(found["u"], ROWS // 3), found
    assert near(writer.query("SELECT table_rows FROM information_schema.tables WHERE table_name = 't'")[0][0], ROWS)
    status = writer.query("SHOW TABLE STATUS FROM app LIKE 't'")
    assert near(status[0][4], ROWS), status


def test_plans_follow_ranges_and_samples(writer):
    writer.query("ANALYZE TABLE app.t")
    assert key_of(writer, "SELECT * FROM app.t WHERE u BETWEEN 5 AND 20") == "u"
    # Nearly all rows: reading them in order of the primary key costs less.
    assert key_of(writer, "SELECT * FROM app.t WHERE u > 100") is None
    assert key_of(writer, "SELECT u FROM app.t WHERE u > 100") == "u"
    # A value of g is in 1,500 rows, one of u in three.
    assert key_of(writer, "SELECT * FROM app.t WHERE g = 3 AND u = 7") == "u"


def test_reader_samples_for_itself(writer, cluster):
    reader = cluster.reader()
    lsn = writer.visible_lsn()
    harness.wait_until(lambda: reader.visible_lsn() >= lsn, 30, "the rows on the reader")
    reader.query("ANALYZE TABLE app.t")
    assert near(cardinalities(reader)["g"], GROUPS)


def test_explain_analyze_counts_the_rows_of_each_operator(writer):
    text = writer.query("EXPLAIN ANALYZE SELECT g, COUNT(*) FROM app.t WHERE id < 4000 GROUP BY g")[0][0]
    lines = text.splitlines()
    assert f"rows={GROUPS} loops=1)" in next(line for line in lines if "Group aggregate" in line)
    assert "rows=4000 loops=1)" in next(line for line in lines if "range scan on t using PRIMARY" in line)
    # A join whose inner side is begun for each row.
    text = writer.query("EXPLAIN ANALYZE SELECT b.v FROM app.t a JOIN app.t b ON b.id = a.u + 1 "
                        "WHERE a.id IN (3, 6, 9)")[0][0]
    assert "rows=1 loops=3)" in next(line for line in text.splitlines() if "on b using PRIMARY" in line)
