"""The schemas of Zabbix, Roundcube and PowerDNS load, are shown back by mariadb-dump, and load again the same.

Zabbix comes twice: as it is, and without its four triggers, so that its tables are tried where there are none.
"""

import gzip
import re
import subprocess

import pytest

SCHEMAS = {
    "zabbix": [f"usr/share/zabbix-server-mysql/{name}.sql.gz" for name in ("schema", "images", "data")],
    "zabbix_tables": [f"usr/share/zabbix-server-mysql/{name}.sql.gz" for name in ("schema", "images", "data")],
    "roundcube": ["usr/share/roundcube/SQL/mysql.initial.sql"],
    "powerdns": ["usr/share/pdns-backend-mysql/schema/schema.mysql.sql",
                 "usr/share/pdns-backend-mysql/schema/enable-foreign-keys.mysql.sql"],
}
# Which schema must have how many tables.
TABLES = {"zabbix": 173, "zabbix_tables": 173, "roundcube": 17, "powerdns": 7}


def client(port, program, *arguments, script=None):
    done = subprocess.run(
        [program, "--no-defaults", "-h", "127.0.0.1", "-P", str(port), "-u", "root",
         "--default-character-set=utf8mb4", *arguments], input=script, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def dump(port, database):
    """The database as statements, without what a dump says of itself."""
    options = ["--single-transaction", "--skip-dump-date", "--skip-comments", "--order-by-primary", "--hex-blob"]
    return client(port, "mariadb-dump", *options, database)


def create(port, database):
    client(port, "mariadb", "-e", f"CREATE DATABASE {database} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")


@pytest.mark.parametrize("name", SCHEMAS)
def test_schema_loads_and_survives_a_dump(port, packages, cursor, name):
    create(port, name)
    create(port, f"{name}_again")
    for path in SCHEMAS[name]:
        script = (packages / path).read_bytes()
        script = gzip.decompress(script) if path.endswith(".gz") else script
        if name == "zabbix_tables":
            script = re.sub(rb"^DELIMITER \$\$.*?^DELIMITER ;$", b"", script, flags=re.M | re.S)
        client(port, "mariadb", name, script=script)
    cursor.execute("SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = %s", (name,))
    assert cursor.fetchone() == (TABLES[name],)
    first = dump(port, name)
    client(port, "mariadb", f"{name}_again", script=first)
    assert dump(port, f"{name}_again") == first
