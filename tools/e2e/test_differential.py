"""Generated statements get the same answers as from MariaDB, but for differences whose reason is known."""

import pathlib
import sys

import harness

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "differential"))

import differential  # noqa: E402

STATEMENTS = 200_000
SEED = 20_000


def test_generated_statements_get_the_answers_of_mariadb(cluster, tmp_path):
    writer = cluster.writer()
    shown = []
    with harness.mariadb(tmp_path) as port:
        sides = [differential.Side("aquifer", writer.port), differential.Side("mariadb", port)]
        found, known, done = differential.compare(
            sides, STATEMENTS, SEED, lambda seed, setup, statement, what, answers: shown.append((seed, what, statement)))
    assert done == STATEMENTS
    assert not found, f"{found}; {shown[:5]}"
    # The known ones are few: the comparison compares.
    assert sum(known.values()) < STATEMENTS // 50, known
