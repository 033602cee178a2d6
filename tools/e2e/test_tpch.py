"""The queries of TPC-H get the answers of MariaDB on a small database."""

import pathlib
import sys

import harness

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "perf"))

import servers  # noqa: E402
import tpch  # noqa: E402
import tpch_data  # noqa: E402
import tpch_queries  # noqa: E402

SCALE = 0.005


def test_queries_of_tpch_get_the_answers_of_mariadb(cluster, tmp_path):
    tpch_data.Generator(SCALE, seed=7).write(tmp_path / "data")
    # A small memtable: most rows are in tables, some in memory.
    writer = cluster.writer(arguments=["--memtable-bytes=2097152"])
    with harness.mariadb(tmp_path) as port:
        sides = servers.Server("aquifer", writer.port, None), servers.Server("mariadb", port, None)
        for side in sides:
            tpch.load(side, tmp_path / "data")
        empty = 0
        for number in tpch_queries.QUERIES:
            sql = tpch_queries.text(number, SCALE)
            ours, theirs = (tpch.run(side, sql, 1) for side in sides)
            assert ours.get("rows") == theirs["rows"], f"query {number}: {ours}, {theirs}"
            empty += not theirs["rows"]
        # Answers without rows would show little.
        assert empty <= 3
