"""The same binary on an S3 store."""

import contextlib

import pytest

import harness
import ledger as ledger_module
from ledger import Ledger, acknowledged_pairs, stored_pairs


@pytest.fixture
def s3(tmp_path):
    with harness.moto(tmp_path / "moto") as (endpoint, env):
        yield endpoint, env


def s3_cluster(base, s3, prefix="db", style=("--s3-path-style",)):
    endpoint, env = s3
    return harness.Cluster(base, f"s3://aquifer/{prefix}", ["--s3-endpoint", endpoint, *style], env)


def test_writer_and_reader_share_an_s3_store(tmp_path, s3):
    with s3_cluster(tmp_path / "c", s3) as cluster:
        writer = cluster.writer(arguments=["--memtable-bytes", "200000"])
        writer.execute("CREATE DATABASE sbtest")
        options = ("--tables=2", "--table-size=2000")
        assert harness.sysbench("oltp_read_write", "prepare", writer.port, *options)[0] == 0
        status, output = harness.sysbench(
            "oltp_read_write", "run", writer.port, *options, "--threads=4", "--time=3")
        assert status == 0, output
        reader = cluster.reader()
        lsn = writer.visible_lsn()
        harness.wait_until(lambda: reader.visible_lsn() >= lsn, 60, "the reader")
        with contextlib.closing(writer.connect()) as w, contextlib.closing(reader.connect()) as r:
            expected = harness.table_checksums(w)
            assert harness.table_checksums(r) == expected
        assert writer.stop() == 0, writer.output()
        cluster.delete_local("writer")
        writer = cluster.writer()
        with contextlib.closing(writer.connect()) as w:
            assert harness.table_checksums(w) == expected


def test_acknowledged_transactions_survive_a_kill_on_s3(tmp_path, s3):
    with s3_cluster(tmp_path / "c", s3) as cluster:
        writer = cluster.writer()
        writer.execute(*ledger_module.SCHEMA)
        ledger = Ledger(workers=2)
        for _ in range(2):
            before = ledger.total()
            ledger.start(writer.port)
            harness.wait_until(lambda: ledger.total() >= before + 50, 60, "fifty acknowledged transactions")
            writer.kill()
            ledger.stop()
            writer = cluster.writer()
        assert acknowledged_pairs(ledger) <= stored_pairs(writer)


def test_bucket_that_does_not_exist_is_one_clear_line(tmp_path, s3):
    endpoint, env = s3
    cluster = harness.Cluster(tmp_path / "c", "s3://nobody/db", ["--s3-endpoint", endpoint, "--s3-path-style"], env)
    node = cluster.start("writer", ready=False)
    harness.wait_until(lambda: not node.running(), 60, "the end of the writer")
    assert node.popen.returncode == 1
    assert "nobody" in node.output(), node.output()
