"""What a person is shown of a running system: `aquifer inspect`, status variables, the warm start."""

import pathlib
import re

import harness
from test_collection import SMALL, rewrite_all, run

DOCUMENT = pathlib.Path(__file__).parents[2] / "core" / "docs" / "STATUS.md"


def test_inspect_levels_names_tables_and_their_keys(cluster):
    writer = cluster.writer(arguments=SMALL)
    rewrite_all(writer, range(3))
    assert writer.stop() == 0
    status, output, errors = run("inspect", "levels", "--store", cluster.store)
    assert status == 0, errors
    # Keys of the user's table by name, with values.
    assert re.search(r"app\.t\(\d+\)", output), output
    ids = re.findall(r"\b[0-9a-f]{32}\b", output)
    assert ids and "[=" in output, output
    assert {path.name for path in (pathlib.Path(cluster.store) / "sst").iterdir()} >= set(ids)
    status, output, errors = run("inspect", "sst", ids[0][:20], "--store", cluster.store)
    assert status == 0, errors
    assert ids[0] in output and "of branch main as of link" in output and "filter:" in output, output
    for words, text in [(["sst", "f" * 32], "no table"), (["sst", "xyz"], "not a table's id"), (["sst"], "which table")]:
        status, _, errors = run("inspect", *words, "--store", cluster.store)
        assert status == 1 and text in errors, errors


def test_inspect_cache_shows_file_and_rates(cluster, tmp_path):
    writer = cluster.writer(arguments=[*SMALL, "--block-cache-bytes", 1 << 20])
    rewrite_all(writer, range(3))
    assert writer.stop() == 0
    writer = cluster.writer(arguments=[*SMALL, "--block-cache-bytes", 1 << 20])
    for _ in range(3):
        writer.query("SELECT SUM(LENGTH(v)) FROM app.t")
        writer.query("SELECT v FROM app.t WHERE id = 7")
    writer.execute("CREATE USER asker IDENTIFIED BY 'hush'")
    secret = tmp_path / "secret"
    secret.write_text("hush\n")
    for login in [(), ("--user", "asker", "--password-file", secret), ("--user", "asker", "--password-file", secret)]:
        status, output, errors = run(
            "inspect", "cache", "--port", writer.port, "--local", cluster.local("writer"), *login)
        assert status == 0, errors
        assert "hit rate" in output and "disk cache: ON" in output and "segments of" in output, output
    status, _, errors = run("inspect", "cache", "--port", writer.port, "--user", "asker")
    assert status == 1 and "Access denied" in errors, errors
    assert writer.stop() == 0
    status, output, errors = run("inspect", "cache", "--local", cluster.local("writer"))
    assert status == 0 and "--port" in output, output + errors
    status, _, errors = run("inspect", "cache", "--local", tmp_path)
    assert status == 1 and "--local" in errors
    status, _, errors = run("inspect", "cache", "--port", harness.free_port())
    assert status == 1 and "no node answers" in errors


def test_status_variables_are_those_of_the_document(cluster):
    def names(node):
        return {name for name, _ in node.query("SHOW GLOBAL STATUS LIKE 'Aquifer%'")}

    documented = {"W": set(), "R": set()}
    for line in DOCUMENT.read_text().splitlines():
        cells = [cell.strip() for cell in line.split("|")]
        if len(cells) > 3 and "`Aquifer_" in cells[1]:
            for role in cells[2]:
                documented[role] |= set(re.findall(r"`(Aquifer_\w+)`", cells[1]))
    assert names(cluster.writer()) == documented["W"]
    assert names(cluster.reader()) == documented["R"]


def test_hot_blocks_are_fetched_in_the_background_after_a_restart(cluster):
    arguments = [*SMALL, "--disk-cache-bytes", 0, "--row-cache-bytes", 1 << 16]
    writer = cluster.writer(arguments=arguments)
    rewrite_all(writer, range(2))
    harness.wait_until(lambda: int(writer.status("Aquifer_frozen_memtable_bytes")) == 0, 60, "flushes")
    assert writer.stop() == 0
    # Rows come from blocks now, and what is asked for again is hot.
    writer = cluster.writer(arguments=arguments)
    for _ in range(4):
        for row in range(60):
            assert len(writer.query("SELECT v FROM app.t WHERE id = %s", (row,))) == 1
    cold = int(writer.status("Aquifer_store_fetches"))
    assert writer.stop() == 0
    assert (cluster.local("writer") / "hot.blocks").exists()
    warm = re.compile(r"(\d+) blocks of the last run's hot set are in memory")
    before = len(warm.findall(writer.output()))
    writer = cluster.writer(arguments=arguments)
    # Nobody asks for a row, and the blocks come.
    harness.wait_until(lambda: len(warm.findall(writer.output())) > before, 60, "the end of the warm start")
    brought = int(warm.findall(writer.output())[-1])
    assert brought > 10 and int(writer.status("Aquifer_block_cache_blocks")) >= brought
    fetches = int(writer.status("Aquifer_store_fetches"))
    for row in range(60):
        writer.query("SELECT v FROM app.t WHERE id = %s", (row,))
    assert int(writer.status("Aquifer_store_fetches")) - fetches < cold / 2
    assert writer.stop() == 0
