"""Interleavings of sessions: the same steps on Aquifer and on InnoDB, with the same outcomes or a stated reason."""

import pathlib
import sys

import pytest

import harness

FOLDER = pathlib.Path(__file__).parent.parent / "interleave"
sys.path.insert(0, str(FOLDER))

import interleave  # noqa: E402

SCRIPTS = sorted(interleave.SCRIPTS.glob("*.txt"))


@pytest.fixture(scope="module")
def writer_port(tmp_path_factory):
    with harness.Cluster(tmp_path_factory.mktemp("interleave") / "cluster") as cluster:
        yield cluster.writer().port


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_interleaving_on_aquifer_goes_as_the_script_says(script, writer_port):
    found = interleave.complaints(script, writer_port, "aquifer")
    assert not found, "\n".join(found)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_interleaving_on_innodb_goes_as_the_script_says(script, mariadb_port):
    found = interleave.complaints(script, mariadb_port, "innodb")
    assert not found, "\n".join(found)


def test_runner_notices_an_outcome_that_differs(tmp_path, mariadb_port):
    script = tmp_path / "wrong.txt"
    script.write_text(
        "== wrong\nsetup CREATE TABLE t (id INT PRIMARY KEY)\nA SELECT * FROM t\n> 1\n"
        "== wrong_wait\nsetup CREATE TABLE t (id INT PRIMARY KEY)\nA SELECT * FROM t\n> waits\n"
    )
    found = interleave.complaints(script, mariadb_port, "innodb")
    assert len(found) == 2 and "expected '1', got 'none'" in found[0] and "got 'none'" in found[1], found
