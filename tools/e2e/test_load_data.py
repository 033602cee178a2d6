"""LOAD DATA: the client's file becomes rows, as on MariaDB; the node's own files are out of reach."""

import contextlib

import pymysql
import pytest

SETUP = [
    "SET GLOBAL local_infile = 1", "DROP DATABASE IF EXISTS app", "CREATE DATABASE app COLLATE utf8mb4_general_ci",
    "USE app", "SET sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION'",
    "CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR(20), v DOUBLE)",
    "CREATE TABLE a (id INT AUTO_INCREMENT PRIMARY KEY, x INT NOT NULL, z INT DEFAULT 5, b BLOB)",
]

FILES = {
    "plain": b"1\tone\t1.5\n2\t\\N\t\\N\n3\tth\\tree\t7\n",
    "csv": 'id,name,v\r\n4,"a,b",1\r\n5,"q""q"\r\n6,"é",3,extra\r\n'.encode(),
    "again": b"1\tdup\t9\n10\tnew\t9\n",
    "latin1": "7\té\t1\n".encode("latin1"),
    "pairs": b"20,30\n21,31",
    "many": b"".join(b"%d\tname%d\t%d.5\n" % (i, i, i) for i in range(1000, 21000)),
    "bytes": b"1\t\xff\\0\xfe\n",
}

STATEMENTS = [
    "LOAD DATA LOCAL INFILE '{plain}' INTO TABLE t",
    "LOAD DATA LOCAL INFILE '{csv}' INTO TABLE t FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '\"' "
    "LINES TERMINATED BY '\\r\\n' IGNORE 1 LINES",
    "LOAD DATA LOCAL INFILE '{again}' INTO TABLE t",
    "LOAD DATA LOCAL INFILE '{again}' REPLACE INTO TABLE t",
    "LOAD DATA LOCAL INFILE '{latin1}' INTO TABLE t CHARACTER SET latin1",
    "LOAD DATA LOCAL INFILE '{pairs}' INTO TABLE t FIELDS TERMINATED BY 0x2C (id, @n) "
    "SET name = CONCAT('n', @n + 1), v = @n * 2",
    "LOAD DATA LOCAL INFILE '{pairs}' INTO TABLE a FIELDS TERMINATED BY ',' (x, z)",
    "LOAD DATA LOCAL INFILE '{pairs}' INTO TABLE a LINES STARTING BY '2' (x)",
    "LOAD DATA LOCAL INFILE '{bytes}' INTO TABLE a (x, b)",
    "LOAD DATA LOCAL INFILE '{many}' INTO TABLE t",
    "LOAD DATA LOCAL INFILE '{plain}' INTO TABLE nowhere",
    "LOAD DATA LOCAL INFILE '{plain}' INTO TABLE t CHARACTER SET nothing",
    "LOAD DATA LOCAL INFILE '/no/such/file' INTO TABLE t",
]

QUERIES = [
    "SELECT * FROM t WHERE id < 1000 ORDER BY id", "SELECT COUNT(*), SUM(v), MAX(name) FROM t",
    "SELECT x, z, HEX(b) FROM a ORDER BY id", "SELECT @n",
]


def connect(port):
    return pymysql.connect(host="127.0.0.1", port=port, user="root", autocommit=True, local_infile=True)


def answers(port, files):
    with contextlib.closing(connect(port)) as connection, connection.cursor() as cursor:
        for statement in SETUP:
            cursor.execute(statement)
        out = []
        for statement in STATEMENTS + QUERIES:
            try:
                cursor.execute(statement.format(**files))
                info = cursor._result.message or b""
                answer = (cursor.fetchall(), info[info.find(b"Records"):] if b"Records" in info else b"")
            except pymysql.err.MySQLError as error:
                answer = error.args[0]
            out.append((statement, answer))
        return out


@pytest.fixture
def files(tmp_path):
    for name, content in FILES.items():
        (tmp_path / name).write_bytes(content)
    return {name: tmp_path / name for name in FILES}


def test_files_of_the_client_give_the_rows_that_mariadb_has(cluster, mariadb_port, files):
    assert answers(cluster.writer().port, files) == answers(mariadb_port, files)


def test_load_rolls_back_with_its_transaction_and_on_an_error(cluster, files):
    with contextlib.closing(connect(cluster.writer().port)) as connection, connection.cursor() as cursor:
        for statement in SETUP:
            cursor.execute(statement)
        load = f"LOAD DATA LOCAL INFILE '{files['many']}' INTO TABLE t"
        cursor.execute("BEGIN")
        cursor.execute("INSERT INTO t (id) VALUES (1)")
        cursor.execute(load)
        cursor.execute("ROLLBACK")
        cursor.execute("BEGIN")
        cursor.execute("INSERT INTO t (id) VALUES (2)")
        cursor.execute("ALTER TABLE a ADD CONSTRAINT small CHECK (x < 2)")
        with pytest.raises(pymysql.err.MySQLError) as refused:
            cursor.execute(f"LOAD DATA LOCAL INFILE '{files['bytes']}' INTO TABLE a (x, z)")
        assert refused.value.args[0] == 1300
        cursor.execute("COMMIT")
        cursor.execute("SELECT id FROM t")
        assert cursor.fetchall() == ((2,),)
        cursor.execute("SELECT COUNT(*) FROM a")
        assert cursor.fetchall() == ((0,),)
        cursor.execute("CREATE TEMPORARY TABLE own LIKE t")
        cursor.execute(load.replace("TABLE t", "TABLE own"))
        cursor.execute("SELECT COUNT(*) FROM own")
        assert cursor.fetchall() == ((20000,),)


def test_what_is_not_allowed_is_refused(cluster, files):
    writer = cluster.writer()
    with contextlib.closing(connect(writer.port)) as connection, connection.cursor() as cursor:
        for statement in SETUP:
            cursor.execute(statement)
        for name in (files["plain"], "/etc/passwd", "/var/lib/aquifer-files/../../../etc/passwd", "relative"):
            with pytest.raises(pymysql.err.MySQLError) as refused:
                cursor.execute(f"LOAD DATA INFILE '{name}' INTO TABLE t")
            assert refused.value.args[0] == 1290
            with pytest.raises(pymysql.err.MySQLError) as refused:
                cursor.execute(f"SELECT 1 INTO OUTFILE '{name}.new'")
            assert refused.value.args[0] == 1290
        cursor.execute("SET GLOBAL local_infile = 0")
        with pytest.raises(pymysql.err.MySQLError) as refused:
            cursor.execute(f"LOAD DATA LOCAL INFILE '{files['plain']}' INTO TABLE t")
        assert refused.value.args[0] == 3948
        cursor.execute("SET GLOBAL local_infile = 1")
        cursor.execute("CREATE USER u")
        cursor.execute("GRANT SELECT ON app.* TO u")
    options = {"host": "127.0.0.1", "port": writer.port, "user": "u", "database": "app"}
    for local, code in ((True, 1142), (False, 3948)):
        with contextlib.closing(pymysql.connect(local_infile=local, **options)) as connection, connection.cursor() as own:
            with pytest.raises(pymysql.err.MySQLError) as refused:
                own.execute(f"LOAD DATA LOCAL INFILE '{files['plain']}' INTO TABLE t")
            assert refused.value.args[0] == code
            with pytest.raises(pymysql.err.MySQLError) as refused:
                own.execute("LOAD DATA INFILE '/var/lib/aquifer-files/x' INTO TABLE t")
            assert refused.value.args[0] == 1227


def test_client_that_leaves_amid_its_file_leaves_no_rows(cluster):
    writer = cluster.writer()
    with contextlib.closing(connect(writer.port)) as connection, connection.cursor() as cursor:
        for statement in SETUP:
            cursor.execute(statement)
        leaving = connect(writer.port)
        leaving._execute_command(0x03, "LOAD DATA LOCAL INFILE 'x' INTO TABLE app.t")
        packet = leaving._read_packet()
        assert packet.is_load_local_packet()
        leaving.write_packet(b"1\tone\t1\n2\ttwo\t2\n")
        leaving._force_close()
        cursor.execute("INSERT INTO t (id) VALUES (1)")
        cursor.execute("SELECT * FROM t")
        assert cursor.fetchall() == ((1, None, None),)
