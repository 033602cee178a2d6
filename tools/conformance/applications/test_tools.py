"""Tools that speak to a server: backup and restore, the exporter of metrics, a client for the terminal."""

import contextlib
import re
import subprocess
import sys
import urllib.request

import pytest

import harness

TABLES = """
CREATE DATABASE shop CHARACTER SET utf8mb4;
USE shop;
CREATE TABLE customer (id INT UNSIGNED AUTO_INCREMENT PRIMARY KEY, name VARCHAR(80) NOT NULL, joined DATETIME(3) NOT NULL,
  notes TEXT, photo MEDIUMBLOB, level ENUM('new', 'old'), marks SET('a', 'b'), flags BIT(9), UNIQUE KEY by_name (name));
CREATE TABLE sale (id BIGINT PRIMARY KEY, customer INT UNSIGNED NOT NULL, amount DECIMAL(12, 2), paid DATE, weight DOUBLE,
  total DECIMAL(14, 2) AS (amount * 2) STORED, details JSON, KEY (paid, amount),
  CONSTRAINT who FOREIGN KEY (customer) REFERENCES customer (id) ON DELETE CASCADE);
INSERT INTO customer VALUES (1, 'Ada', '2020-01-02 03:04:05.678', 'a ''quoted'' \\\\ text', X'00FF0A0D1A', 'old', 'a,b', b'101'),
  (2, 'žluťoučký 🐎', '1999-12-31 23:59:59', NULL, '', NULL, '', NULL);
INSERT INTO sale (id, customer, amount, paid, weight, details) VALUES (10, 1, 12.50, '2021-05-06', 1e-7, '{"a": [1, null]}'),
  (11, 2, NULL, NULL, NULL, NULL);
CREATE VIEW big AS SELECT name, SUM(amount) AS sum FROM customer JOIN sale ON sale.customer = customer.id GROUP BY name;
"""
CONNECT = ("-h", "127.0.0.1", "-u", "root")


@pytest.fixture(scope="module")
def shop(port):
    subprocess.run(["mariadb", "--no-defaults", "--default-character-set=utf8mb4", *CONNECT, "-P", str(port)],
                   input=TABLES, text=True, check=True)


def run(command, **options):
    done = subprocess.run([str(part) for part in command], capture_output=True, timeout=120, encoding="utf-8",
                          errors="surrogateescape", **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("options", [
    ["--single-transaction"], ["--lock-all-tables", "--complete-insert"], ["--skip-extended-insert", "--hex-blob"],
    ["--single-transaction", "--routines", "--triggers", "--events"], ["--no-data"], ["--opt", "--tz-utc", "--replace"],
    ["--compatible=ansi"],
])
def test_dump_restores_to_the_same_dump(port, shop, cursor, options):
    common = ["--no-defaults", *CONNECT, "-P", port, "--default-character-set=utf8mb4"]
    dump = lambda database: run(["mariadb-dump", *common, "--skip-comments", *options, database])
    first = dump("shop")
    cursor.execute("DROP DATABASE IF EXISTS restored")
    cursor.execute("CREATE DATABASE restored CHARACTER SET utf8mb4")
    run(["mariadb", *common, "restored"], input=first)
    assert dump("restored") == first.replace("`shop`.", "`restored`.")


def test_dump_of_all_databases_with_users(port, shop):
    text = run(["mariadb-dump", "--no-defaults", *CONNECT, "-P", port, "--all-databases", "--single-transaction",
                "--flush-privileges"])
    assert "CREATE TABLE `customer`" in text and "Dump completed" in text


def test_dump_as_tabs_and_import(port, shop, cursor, scratch):
    run(["mariadb-dump", "--no-defaults", *CONNECT, "-P", port, "--xml", "shop"])
    path = scratch / "customer_2.txt"
    path.write_text("7\tEve\t2022-02-02 00:00:00\n")
    cursor.execute("CREATE TABLE shop.customer_2 (id INT PRIMARY KEY, name VARCHAR(20), joined DATETIME)")
    run(["mariadb-import", "--no-defaults", *CONNECT, "-P", port, "--local", "shop", path])
    cursor.execute("SELECT name FROM shop.customer_2")
    assert cursor.fetchall() == (("Eve",),)
    cursor.execute("DROP TABLE shop.customer_2")


@pytest.mark.parametrize("command, expected", [
    (["mariadb-admin", "status"], "Uptime"), (["mariadb-admin", "ping"], "alive"),
    (["mariadb-admin", "extended-status"], "Threads_connected"), (["mariadb-admin", "variables"], "max_allowed_packet"),
    (["mariadb-admin", "processlist"], "processlist"), (["mariadb-show", "shop"], "customer"),
    (["mariadb-show", "shop", "customer"], "joined"), (["mariadb-show", "--status", "shop"], "InnoDB"),
    (["mariadb-check", "--check", "shop"], "OK"), (["mariadb-check", "--analyze", "shop"], "shop.sale"),
    (["mariadb-check", "--optimize", "shop"], "shop.sale"),
])
def test_program_of_the_client_package_runs(port, shop, command, expected):
    program, *arguments = command
    assert expected in run([program, "--no-defaults", *CONNECT, "-P", port, *arguments])


def test_exporter_scrapes_without_an_error(port, packages, scratch):
    config = scratch / "exporter.cnf"
    config.write_text(f"[client]\nuser = root\npassword = none\nhost = 127.0.0.1\nport = {port}\n")
    own = harness.free_port()
    exporter = harness.Process(
        "exporter", [packages / "usr/bin/prometheus-mysqld-exporter", f"--config.my-cnf={config}",
                     f"--web.listen-address=127.0.0.1:{own}"],
        scratch / "exporter.log", env={"DATA_SOURCE_NAME": f"root:@(127.0.0.1:{port})/"})
    try:
        def scrape():
            assert exporter.running(), exporter.output()
            with contextlib.suppress(OSError):
                return urllib.request.urlopen(f"http://127.0.0.1:{own}/metrics", timeout=30).read().decode()
        text = harness.wait_until(scrape, 30, "the exporter")
    finally:
        exporter.kill()
    collectors = re.findall(r'^mysql_exporter_collector_duration_seconds\{collector="collect\.([^"]+)"\}', text, re.M)
    assert {"global_status", "global_variables", "slave_status", "info_schema.innodb_cmp"} <= set(collectors)
    assert "\nmysql_up 1" in text and "\nmysql_exporter_last_scrape_error 0" in text, exporter.output()
    assert "mysql_global_status_threads_connected " in text and "mysql_global_variables_max_connections " in text


@pytest.mark.parametrize("statement, expected", [
    ("SELECT name FROM customer ORDER BY id", "Ada"), ("SHOW TABLES", "sale"), ("DESCRIBE sale", "details"),
])
def test_mycli_runs_a_statement(port, shop, scratch, statement, expected):
    """mycli also reads the schema for its completion, databases, users and functions."""
    program = "from mycli.main import cli; cli()"
    text = run([sys.executable, "-c", program, "--host", "127.0.0.1", "--port", port, "--user", "root", "--password", "",
                "--myclirc", scratch / "myclirc", "--table", "--execute", statement, "shop"],
               env={"HOME": str(scratch), "PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path)})
    assert expected in text
