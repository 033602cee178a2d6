"""The suites: where their source is, what they need, how they are told of the server, how they are run."""

import dataclasses
import json
import os
import pathlib
import sys

import pymysql

import sources

SUPPORT = pathlib.Path(__file__).resolve().parent / "support"


@dataclasses.dataclass
class Setting:
    """What a suite is prepared for."""

    source: pathlib.Path
    port: int
    scratch: pathlib.Path
    only: str | None

    def execute(self, *statements):
        with pymysql.connect(host="127.0.0.1", port=self.port, user="root", autocommit=True) as connection:
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)

    def pytest(self, *arguments):
        """A run of pytest."""
        results = self.scratch / "results.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={results}", *arguments]
        if self.only:
            command += ["-k", self.only]
        return Run(command, self.source, {}, results)

    def unittest(self, command, env, directory=None):
        """A run whose results support/recorder.py writes."""
        results = self.scratch / "results.jsonl"
        own = {"CONFORMANCE_RESULTS": str(results), "CONFORMANCE_PORT": str(self.port)}
        if self.only:
            own["CONFORMANCE_ONLY"] = self.only
        return Run(command, directory or self.source, {**own, **env}, results)


@dataclasses.dataclass
class Run:
    """How a suite is started, and where its results will be."""

    command: list
    directory: pathlib.Path
    env: dict
    results: pathlib.Path


@dataclasses.dataclass
class Suite:
    """A suite. `goal` is the least share of MariaDB's passes that must pass on Aquifer."""

    name: str
    prepare: object
    distribution: str = ""
    debian: str = ""
    requirements: tuple = ()
    goal: float = 0.98


def pymysql_suite(setting):
    """PyMySQL's tests are in the package, of this version in its source distribution."""
    setting.execute("CREATE DATABASE test1", "CREATE DATABASE test2")
    server = {"host": "127.0.0.1", "port": setting.port, "user": "root", "passwd": "", "use_unicode": True}
    databases = [{**server, "db": "test1", "local_infile": True}, {**server, "db": "test2"}]
    (setting.source / "pymysql/tests/databases.json").write_text(json.dumps(databases))
    return setting.pytest("pymysql/tests")


def mysqlclient_suite(setting):
    setting.execute("CREATE DATABASE test")
    (setting.source / "tests/conformance.cnf").write_text(
        f"[MySQLdb-tests]\nhost = 127.0.0.1\nport = {setting.port}\nuser = root\ndatabase = test\n"
        "default-character-set = utf8mb4\n"
    )
    run = setting.pytest("tests")
    # Beside the tests, so that the package that is installed is the one that is tested.
    run.env["TESTDB"] = "conformance.cnf"
    return run


def peewee_suite(setting):
    setting.execute("CREATE DATABASE peewee_test")
    env = {
        "PEEWEE_TEST_BACKEND": "mysql", "PEEWEE_MYSQL_HOST": "127.0.0.1", "PEEWEE_MYSQL_USER": "root",
        "PEEWEE_MYSQL_PORT": str(setting.port), "PYTHONPATH": str(setting.source),
    }
    return setting.unittest([sys.executable, SUPPORT / "recorder.py", "tests"], env)


def sqlalchemy_suite(setting):
    setting.execute("CREATE DATABASE test", "CREATE DATABASE test_schema")
    return setting.pytest(
        "test/dialect/mysql", "test/dialect/test_suite.py",
        "--dburi", f"mysql+pymysql://root@127.0.0.1:{setting.port}/test?charset=utf8mb4",
        "--maxfail=1000000", "--requirements", "test.requirements:DefaultRequirements",
    )


DJANGO_LABELS = (
    "basic", "backends", "transactions", "select_for_update", "introspection", "lookup", "ordering",
    "aggregation", "annotations", "expressions",
)


def django_suite(setting):
    work = setting.source.parents[2]
    path = [str(setting.source), str(SUPPORT), str(sources.packages("django", work))]
    command = [sys.executable, "runtests.py", "--settings=conformance_django", "--noinput", "--parallel=1",
               *DJANGO_LABELS]
    if setting.only:
        command += ["-k", setting.only]
    return setting.unittest(command, {"PYTHONPATH": os.pathsep.join(path)}, setting.source / "tests")


SUITES = {
    suite.name: suite
    for suite in (
        Suite("pymysql", pymysql_suite, "PyMySQL==0.10.1"),
        Suite("mysqlclient", mysqlclient_suite, "mysqlclient==2.2.6"),
        Suite("peewee", peewee_suite, debian="peewee"),
        Suite("sqlalchemy", sqlalchemy_suite, "SQLAlchemy==2.0.36"),
        Suite("django", django_suite, "Django==5.1.4",
              requirements=("asgiref==3.8.1", "sqlparse==0.5.3", "jinja2==3.1.4", "tblib==3.0.0")),
    )
}
