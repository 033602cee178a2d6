"""What is no longer needed goes from the store, what is needed stays; the tools say what a store holds."""

import contextlib
import os
import pathlib
import shutil
import subprocess
import time

import harness

HOUR_S = 3600
SMALL = ("--memtable-bytes", "200000", "--publish-interval-ms", "5")
COLLECT_NOW = ("--collection-interval-s", "1", "--retention-s", "1")


def files_below(folder):
    return [path for path in pathlib.Path(folder).rglob("*") if path.is_file() and ".aquifer-tmp" not in str(path)]


def age(store, seconds):
    """As if everything in a directory store had been written earlier."""
    for path in files_below(store):
        before = path.stat().st_mtime - seconds
        os.utime(path, (before, before))


def rewrite_all(node, rounds):
    with contextlib.closing(node.connect()) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE IF NOT EXISTS app")
        cursor.execute("CREATE TABLE IF NOT EXISTS app.t (id INT PRIMARY KEY, round INT, v TEXT)")
        for turn in rounds:
            for row in range(60):
                cursor.execute("REPLACE INTO app.t VALUES (%s, %s, %s)", (row, turn, os.urandom(3000).hex()))


def checksum(node):
    with contextlib.closing(node.connect()) as connection:
        return harness.table_checksums(connection, "app")


def run(*arguments):
    done = subprocess.run([harness.BINARY, *map(str, arguments)], capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout, done.stderr


def tables(cluster):
    return {path.name for path in files_below(pathlib.Path(cluster.store) / "sst")}


def test_replaced_tables_and_old_links_go_and_everything_needed_stays(cluster):
    writer = cluster.writer(arguments=SMALL)
    rewrite_all(writer, range(3))
    assert writer.stop() == 0
    old_tables = tables(cluster)
    assert old_tables
    age(cluster.store, HOUR_S)
    writer = cluster.writer(arguments=SMALL)
    rewrite_all(writer, range(3, 9))
    harness.wait_until(lambda: int(writer.status("Aquifer_frozen_memtable_bytes")) == 0, 60, "flushes")
    expected = checksum(writer)
    assert writer.stop() == 0
    age(cluster.store, HOUR_S)
    links_before = len(files_below(pathlib.Path(cluster.store) / "b/main/chain"))
    writer = cluster.writer(arguments=[*SMALL, *COLLECT_NOW])
    reader = cluster.reader()
    harness.wait_until(lambda: int(writer.status("Aquifer_collections")) >= 1, 60, "a collection")
    gone = old_tables - tables(cluster)
    print(f"{len(gone)} of {len(old_tables)} old tables deleted, {links_before} links before,"
          f" {writer.status('Aquifer_collected_objects')} objects deleted")
    assert int(writer.status("Aquifer_collected_objects")) > 0
    assert len(files_below(pathlib.Path(cluster.store) / "b/main/chain")) < links_before
    assert gone, "no table that had been replaced was deleted"
    rewrite_all(writer, [9])
    expected = checksum(writer)
    lsn = writer.visible_lsn()
    harness.wait_until(lambda: reader.visible_lsn() >= lsn, 60, "the reader")
    assert checksum(reader) == expected
    status, output, errors = run("verify", "--store", cluster.store)
    assert status == 0, output + errors
    writer.kill()
    cluster.delete_local("writer")
    assert checksum(cluster.writer()) == expected


def test_collecting_all_the_time_while_a_reader_follows_and_the_writer_is_killed(cluster):
    writer = cluster.writer(arguments=[*SMALL, *COLLECT_NOW])
    rewrite_all(writer, [0])
    reader = cluster.reader()
    for turn in range(1, 4):
        rewrite_all(writer, [turn])
        age(cluster.store, HOUR_S)
        time.sleep(1.5)
        expected = checksum(writer)
        writer.kill()
        writer = cluster.writer(arguments=[*SMALL, *COLLECT_NOW])
        assert checksum(writer) == expected
        lsn = writer.visible_lsn()
        harness.wait_until(lambda: reader.visible_lsn() >= lsn, 60, "the reader")
        assert checksum(reader) == expected
    assert writer.stop() == 0, writer.output()
    status, output, errors = run("verify", "--store", cluster.store)
    assert status == 0, output + errors


def test_pinned_state_is_served_after_everything_else_of_its_time_has_gone(cluster):
    writer = cluster.writer(arguments=SMALL)
    rewrite_all(writer, range(3))
    harness.wait_until(lambda: int(writer.status("Aquifer_publish_backlog_bytes")) == 0, 60, "publishing")
    expected = checksum(writer)
    store = ("--store", cluster.store)
    status, output, errors = run("pin", "before-audit", *store)
    assert status == 0 and "before-audit" in output, output + errors
    status, _, errors = run("pin", "before-audit", *store)
    assert status == 1 and "already" in errors
    pinned = tables(cluster)
    rewrite_all(writer, range(3, 9))
    harness.wait_until(lambda: int(writer.status("Aquifer_frozen_memtable_bytes")) == 0, 60, "flushes")
    assert writer.stop() == 0
    age(cluster.store, HOUR_S)
    writer = cluster.writer(arguments=[*SMALL, *COLLECT_NOW])
    rewrite_all(writer, [9])
    age(cluster.store, HOUR_S)
    harness.wait_until(lambda: int(writer.status("Aquifer_collected_objects")) > 0, 60, "a collection")
    status, output, errors = run("verify", *store)
    assert status == 0, output + errors
    status, output, _ = run("inspect", "pins", *store)
    assert status == 0 and "before-audit" in output, output
    reader = cluster.reader(arguments=["--pin", "before-audit"])
    assert checksum(reader) == expected
    rewrite_all(writer, [10])
    assert checksum(reader) == expected, "it follows nothing"
    assert reader.stop() == 0
    status, output, errors = run("unpin", "before-audit", *store)
    assert status == 0, errors
    rewrite_all(writer, [11])
    age(cluster.store, 2 * HOUR_S)
    harness.wait_until(lambda: pinned - tables(cluster), 60, "the collection of what only the pin kept")
    status, _, errors = run("unpin", "before-audit", *store)
    assert status == 1 and "no pin" in errors
    reader = cluster.start("reader", "late", arguments=["--pin", "before-audit"], ready=False)
    harness.wait_until(lambda: not reader.running(), 60, "the end of the reader")
    assert "no pin before-audit" in reader.output()


def test_verify_names_what_is_missing(cluster):
    writer = cluster.writer(arguments=SMALL)
    rewrite_all(writer, range(2))
    assert writer.stop() == 0
    assert run("verify", "--store", cluster.store)[0] == 0
    # Tables that only past states name are not missed.
    noticed = [name for name in tables(cluster) if lost_is_noticed(cluster, f"sst/{name}")]
    assert noticed
    chain = pathlib.Path(cluster.store) / "b/main/chain"
    last = max(path.name for path in files_below(chain))
    assert lost_is_noticed(cluster, f"b/main/chain/{last}")


def lost_is_noticed(cluster, key):
    path = pathlib.Path(cluster.store) / key
    kept = path.read_bytes()
    path.unlink()
    status, output, errors = run("verify", "--store", cluster.store)
    path.write_bytes(kept)
    return status == 1 and key in errors


def test_verify_reports_orphans_with_their_bytes_and_exits_well(cluster, tmp_path):
    writer = cluster.writer(arguments=SMALL)
    rewrite_all(writer, [0])
    assert writer.stop() == 0
    shutil.copytree(pathlib.Path(cluster.store) / "b", tmp_path / "b")
    before = tables(cluster)
    writer = cluster.writer(arguments=SMALL)
    rewrite_all(writer, [1])
    assert writer.stop() == 0
    new = tables(cluster) - before
    assert new
    # The chain as it was: what came later is an orphan now.
    shutil.rmtree(pathlib.Path(cluster.store) / "b")
    shutil.copytree(tmp_path / "b", pathlib.Path(cluster.store) / "b")
    status, output, errors = run("verify", "--store", cluster.store)
    assert status == 0, output + errors
    assert f"{len(new)} orphans" in output, output


def test_inspect_chain_prints_links_as_text(cluster):
    writer = cluster.writer(arguments=SMALL)
    rewrite_all(writer, [0])
    harness.wait_until(lambda: int(writer.status("Aquifer_sst_bytes")) > 0, 30, "a flush")
    assert writer.stop() == 0
    status, output, errors = run("inspect", "chain", "--store", cluster.store)
    assert status == 0, errors
    assert "branch main: links 1 to" in output and "checkpoint LSN" in output, output
    status, output, _ = run("inspect", "chain", "1", "--last", "1", "--store", cluster.store)
    lines = output.strip().splitlines()
    assert status == 0 and "takes over" in lines[-1] and len(lines) == 5, output
    status, _, errors = run("inspect", "nonsense", "--store", cluster.store)
    assert status == 1 and "chain" in errors


def test_storage_cost_is_a_bill(cluster):
    writer = cluster.writer()
    rewrite_all(writer, [0])
    rows = {row[0]: row[1:] for row in writer.query("SHOW AQUIFER STORAGE COST")}
    assert set(rows) == {"get", "put", "head", "delete", "list", "storage", "all"}
    requests, size, dollars, month = rows["put"]
    assert requests > 0 and size > 0 and float(dollars) > 0 and float(month) > 0
    assert rows["storage"][0] is None and rows["storage"][2] is None
    assert float(rows["all"][2]) >= float(dollars)
    reader = cluster.reader()
    rows = {row[0]: row[1:] for row in reader.query("SHOW AQUIFER STORAGE COST")}
    assert rows["put"][0] == 0 and rows["get"][0] > 0
