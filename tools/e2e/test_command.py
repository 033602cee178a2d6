"""The `aquifer` command: what a new user meets first."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import time

import pymysql

import harness


def start_up(base, *arguments):
    port, reader_port = harness.free_port(), harness.free_port()
    process = harness.Process(
        "up", [harness.BINARY, "up", "--data", base / "data", "--port", port, "--reader-port", reader_port, *arguments],
        base / "up.log",
    )
    harness.wait_until(lambda: answers(port) and answers(reader_port) or not process.running(), 60, "aquifer up")
    assert process.running(), process.output()
    return process, port, reader_port


def answers(port, **login):
    with contextlib.suppress(pymysql.err.OperationalError):
        pymysql.connect(host="127.0.0.1", port=port, user="root", **login).close()
        return True
    return False


def run(port, sql, **login):
    with contextlib.closing(pymysql.connect(host="127.0.0.1", port=port, user="root", autocommit=True, **login)) as c:
        with c.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall()


def test_up_starts_a_writer_and_a_reader_and_says_so(tmp_path):
    process, port, reader_port = start_up(tmp_path)
    try:
        # Clients are answered a moment before the lines about it are complete.
        harness.wait_until(lambda: "Ctrl-C" in process.output(), 10, "the last line")
        output = process.output()
        assert f"127.0.0.1:{port}" in output and f"127.0.0.1:{reader_port}" in output
        assert str(tmp_path / "data") in output
        assert re.search(rf"mariadb .*-P ?{port}", output), output
        assert "root@localhost" in output and "without a password" in output
        run(port, "CREATE DATABASE app")
        harness.wait_until(lambda: ("app",) in run(reader_port, "SHOW DATABASES"), 10, "the database on the reader")
    finally:
        status = process.stop()
    assert status == 0, process.output()


def test_up_again_finds_the_data(tmp_path):
    process, port, _ = start_up(tmp_path)
    run(port, "CREATE DATABASE app")
    process.popen.send_signal(signal.SIGINT)
    assert process.popen.wait(30) == 0, process.output()
    process, port, _ = start_up(tmp_path)
    assert ("app",) in run(port, "SHOW DATABASES")
    assert process.stop() == 0


def test_root_password_file_sets_the_password(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("hush\n")
    port, reader_port = harness.free_port(), harness.free_port()
    process = harness.Process(
        "up", [harness.BINARY, "up", "--data", tmp_path / "data", "--port", port, "--reader-port", reader_port,
               "--root-password-file", secret], tmp_path / "up.log")
    try:
        harness.wait_until(lambda: answers(port, password="hush"), 60, "a login with the password")
        assert not answers(port)
    finally:
        process.kill()


def fails(arguments, words):
    done = subprocess.run([harness.BINARY, *map(str, arguments)], capture_output=True, text=True, timeout=60)
    text = done.stdout + done.stderr
    assert done.returncode == 1, text
    for word in words:
        assert word in text, text
    errors = [line for line in done.stderr.splitlines() if line]
    assert len(errors) == 1, text
    return text


def test_port_in_use_is_one_clear_line(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        fails(["up", "--data", tmp_path / "d", "--port", port, "--reader-port", harness.free_port()],
              [str(port), "--port"])


def test_unwritable_directory_is_one_clear_line(tmp_path):
    fails(["up", "--data", "/proc/aquifer", "--port", harness.free_port(), "--reader-port", harness.free_port()],
          ["/proc/aquifer", "--data"])


def test_store_of_a_newer_format_is_refused(cluster):
    writer = cluster.writer()
    assert writer.stop() == 0
    path = cluster.base / "store" / "cluster"
    raise_format_version(path)
    before = path.read_bytes()
    done = subprocess.run(
        [harness.BINARY, "writer", "--store", cluster.store, "--local", str(cluster.local("writer")),
         "--port", str(harness.free_port())], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "newer" in done.stderr and "version" in done.stderr, done.stderr
    assert path.read_bytes() == before


def raise_format_version(path):
    """Rewrites the envelope with version 999 and a right checksum, as a newer release would have."""
    data = bytearray(path.read_bytes())
    data[4:6] = (999).to_bytes(2, "little")
    crc = crc32c(bytes(data[:16]) + bytes(data[20:]))
    data[16:20] = crc.to_bytes(4, "little")
    path.chmod(0o644)
    path.write_bytes(data)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def test_unknown_option_names_the_help(tmp_path):
    done = subprocess.run([harness.BINARY, "up", "--nonsense"], capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    assert "--nonsense" in done.stderr and "--help" in done.stderr


def test_help_lists_every_command():
    done = subprocess.run([harness.BINARY, "--help"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    for word in ("up", "writer", "reader", "--data", "--store"):
        assert word in done.stdout, done.stdout
