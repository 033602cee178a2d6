"""A flipped bit in any object or local file: an error that names it, or the right rows; never wrong ones."""

import contextlib
import os
import pathlib
import random
import shutil
import subprocess

import pymysql
import pytest

import harness

ROWS = 4_000
SEED = 20


def fill(cluster):
    """A stopped cluster with flushed tables, several links and a checkpoint; returns the right checksums."""
    writer = cluster.writer(arguments=["--memtable-bytes", "200000"])
    writer.execute(
        "CREATE DATABASE app",
        "CREATE TABLE app.t (id INT PRIMARY KEY, k INT, v VARCHAR(200), KEY (k))",
    )
    with contextlib.closing(writer.connect()) as connection, connection.cursor() as cursor:
        for start in range(0, ROWS, 200):
            values = ", ".join(f"({i}, {i % 97}, '{'v' * (i % 180)}{i}')" for i in range(start, start + 200))
            cursor.execute(f"INSERT INTO app.t VALUES {values}")
    # Rows written last stay in links and in the commit log.
    writer.execute("UPDATE app.t SET k = k + 1 WHERE id < 50")
    sums = checksums(writer)
    harness.wait_until(lambda: sst_files(cluster), 30, "a flushed table")
    assert writer.stop() == 0, writer.output()
    return sums


def checksums(node):
    with contextlib.closing(node.connect()) as connection:
        return harness.table_checksums(connection, "app")


def files_below(folder):
    return sorted(path for path in pathlib.Path(folder).rglob("*") if path.is_file() and path.stat().st_size)


def sst_files(cluster):
    return files_below(pathlib.Path(cluster.store) / "sst")


def flip_bit(path, rng, bytes_max=None):
    offset = rng.randrange(bytes_max or used_bytes(path))
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ (1 << rng.randrange(8))]))
    return offset


def used_bytes(path):
    """Preallocated files are mostly zeros: flip where something was written."""
    data = path.read_bytes()
    return len(data.rstrip(b"\0")) or len(data)


def names_the_damage(text, path):
    return path.name in text or path.parent.name in text


def read_with(cluster, role, local, expected, damaged):
    """Either the right rows, or an error that names the object; returns which."""
    node = cluster.start(role, local, ready=False)
    try:
        try:
            node.wait_ready(20)
        except AssertionError:
            output = node.output()
            assert not node.running(), f"{role} hangs with a damaged {damaged}:\n{output}"
            assert node.popen.returncode == 1, output
            assert names_the_damage(output, damaged), f"{damaged} is not named in:\n{output}"
            return "refused"
        try:
            found = checksums(node)
        except pymysql.err.MySQLError as error:
            assert names_the_damage(str(error), damaged), f"{damaged} is not named in: {error}"
            return "error"
        assert found == expected, f"wrong rows with a damaged {damaged}"
        return "healed"
    finally:
        if node.running():
            node.kill()


@pytest.mark.parametrize("role", ["writer", "reader"])
def test_flipped_bit_in_an_object_is_an_error_or_harmless(cluster, role, tmp_path):
    expected = fill(cluster)
    pristine = tmp_path / "pristine"
    shutil.copytree(cluster.base, pristine)
    rng = random.Random(SEED)
    outcomes = {}
    objects = [path.relative_to(cluster.store) for path in files_below(cluster.store)]
    chosen = objects if len(objects) <= 24 else sorted(rng.sample(objects, 24))
    for name in chosen:
        shutil.rmtree(cluster.store)
        shutil.copytree(pristine / "store", cluster.store)
        shutil.rmtree(cluster.local("fresh"), ignore_errors=True)
        damaged = pathlib.Path(cluster.store) / name
        flip_bit(damaged, rng)
        verified = verify(cluster)
        assert verified.returncode == 1 and str(name) in verified.stderr, verified.stderr
        outcomes[str(name)] = read_with(cluster, role, "fresh", expected, damaged)
    print(outcomes)
    assert any(outcome != "healed" for outcome in outcomes.values()), "no flip was noticed by a node"


def test_flipped_bits_in_the_rows_of_all_tables_are_an_error_that_names_one(cluster):
    expected = fill(cluster)
    rng = random.Random(SEED)
    for path in sst_files(cluster):
        # Data blocks come first in a table; what is at its end may not be read at all.
        flip_bit(path, rng, path.stat().st_size // 2)
    folder = pathlib.Path(cluster.store) / "sst"
    assert read_with(cluster, "reader", "fresh", expected, folder) in ("error", "refused")


def test_sound_store_is_verified_without_complaint(cluster):
    fill(cluster)
    verified = verify(cluster)
    assert verified.returncode == 0, verified.stderr
    assert " 0 damaged" in verified.stdout, verified.stdout


def verify(cluster):
    return subprocess.run([harness.BINARY, "verify", "--store", cluster.store], capture_output=True, text=True,
                          timeout=60)


def test_flipped_bit_in_a_local_file_is_noticed_or_heals(cluster, tmp_path):
    expected = fill(cluster)
    # One more start fills the disk cache.
    warm = cluster.writer()
    assert checksums(warm) == expected
    assert warm.stop() == 0
    pristine = tmp_path / "pristine"
    shutil.copytree(cluster.base, pristine)
    rng = random.Random(SEED)
    outcomes = {}
    for name in [path.relative_to(cluster.local("writer")) for path in files_below(cluster.local("writer"))]:
        for folder in (cluster.base,):
            for child in folder.iterdir():
                if child.is_dir():
                    shutil.rmtree(child)
            for child in pristine.iterdir():
                if child.is_dir():
                    shutil.copytree(child, folder / child.name)
        damaged = cluster.local("writer") / name
        flip_bit(damaged, rng)
        outcomes[str(name)] = read_with(cluster, "writer", "writer", expected, damaged)
    print(outcomes)


def test_damaged_disk_cache_heals_from_the_store(cluster):
    expected = fill(cluster)
    warm = cluster.writer()
    assert checksums(warm) == expected
    assert warm.stop() == 0
    cache_files = [path for path in files_below(cluster.local("writer")) if "cache" in str(path.relative_to(cluster.base))]
    assert cache_files, files_below(cluster.local("writer"))
    for path in cache_files:
        data = bytearray(path.read_bytes())
        for offset in range(0, used_bytes(path), 512):
            data[offset] ^= 0x10
        with open(path, "r+b") as file:
            file.write(data)
            os.fsync(file.fileno())
    again = cluster.writer()
    assert checksums(again) == expected
