"""EXPLAIN ANALYZE tells which tiers have answered an operator's reads."""

import re

ROWS = 20_000


def reads(node, sql):
    (text,), = node.query(f"EXPLAIN ANALYZE {sql}")
    print(text)
    return {tier: int(count) for tier, count in re.findall(r"[ :] ?(\w+ cache|store requests) (\d+)", text)}


def test_reads_by_tier(cluster):
    writer = cluster.writer(arguments=("--memtable-bytes", "1048576"))
    writer.execute(
        "CREATE DATABASE app", "CREATE TABLE app.t (id INT PRIMARY KEY, pad VARCHAR(200) NOT NULL)",
        "SET cte_max_recursion_depth = 1000000",
        f"INSERT INTO app.t WITH RECURSIVE n (v) AS (SELECT 1 UNION ALL SELECT v + 1 FROM n WHERE v < {ROWS}) "
        "SELECT v, SHA2(v, 512) FROM n",
    )
    writer.stop()
    cluster.delete_local("writer")
    writer = cluster.writer()

    whole = "SELECT SUM(LENGTH(pad)) FROM app.t"
    first = reads(writer, whole)
    assert first["store requests"] > 0
    again = reads(writer, whole)
    assert again["block cache"] > 0
    assert "store requests" not in again, "everything is in memory now"

    point = "SELECT pad FROM app.t WHERE id = 7"
    reads(writer, point)
    assert reads(writer, point) == {"row cache": 1}
