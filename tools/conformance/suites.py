"""The suites: where their source is, what they need, how they are told of the server, how they are run."""

import dataclasses
import json
import os
import pathlib
import sys

import pymysql

import drivers
import sources

APPLICATIONS = pathlib.Path(__file__).resolve().parent / "applications"
E2E = pathlib.Path(__file__).resolve().parents[1] / "e2e"
SUPPORT = pathlib.Path(__file__).resolve().parent / "support"


@dataclasses.dataclass
class Setting:
    """What a suite is prepared for."""

    source: pathlib.Path
    port: int
    scratch: pathlib.Path
    only: str | None

    @property
    def work(self):
        """Where all suites keep what they fetched and built."""
        return self.scratch.parent

    def execute(self, *statements):
        with pymysql.connect(host="127.0.0.1", port=self.port, user="root", autocommit=True) as connection:
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)

    def run(self, command, env, results):
        """A run of a program that writes its own results."""
        return Run(command, self.source, env, results)

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
    """A suite. `goal` is the least share of MariaDB's passes that must pass on Aquifer.

    Its source is a PyPI `distribution`, a `debian` source package, a `crate`, an `npm` package, or binary packages of Debian that are
    `unpacked`; without any it is in this folder. It needs `requirements` from PyPI, `modules` from npm and `programs` from Debian.
    """

    name: str
    prepare: object
    distribution: str = ""
    debian: str = ""
    crate: str = ""
    npm: str = ""
    unpacked: tuple = ()
    requirements: tuple = ()
    modules: tuple = ()
    programs: tuple = ()
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
    path = [str(setting.source), str(SUPPORT), str(sources.packages("django", setting.work))]
    command = [sys.executable, "runtests.py", "--settings=conformance_django", "--noinput", "--parallel=1",
               *DJANGO_LABELS]
    if setting.only:
        command += ["-k", setting.only]
    return setting.unittest(command, {"PYTHONPATH": os.pathsep.join(path)}, setting.source / "tests")


def application(name):
    """A suite of our own checks of somebody else's program."""

    def prepare(setting):
        run = setting.pytest(f"--rootdir={APPLICATIONS}", APPLICATIONS / f"test_{name}.py")
        path = [str(APPLICATIONS), str(E2E), str(sources.packages(name, setting.work))]
        run.env.update(CONFORMANCE_PORT=str(setting.port), CONFORMANCE_SOURCE=str(setting.source),
                       PYTHONPATH=os.pathsep.join(path))
        return run

    return prepare


PHP = ("php8.2-cli", "php8.2-mysql", "php8.2-mbstring", "php8.2-xml", "php8.2-curl")
PHPMYADMIN = (
    "phpmyadmin", "php-composer-ca-bundle", "php-fig-http-message-util", "php-getallheaders", "php-google-recaptcha",
    "php-mariadb-mysql-kbs", "php-nikic-fast-route", "php-phpmyadmin-motranslator", "php-phpmyadmin-shapefile",
    "php-phpmyadmin-sql-parser", "php-psr-cache", "php-psr-container", "php-psr-http-factory", "php-psr-http-message",
    "php-psr-log", "php-slim-psr7", "php-symfony-cache", "php-symfony-cache-contracts", "php-symfony-config",
    "php-symfony-dependency-injection", "php-symfony-deprecation-contracts", "php-symfony-expression-language",
    "php-symfony-filesystem", "php-symfony-polyfill-php80", "php-symfony-service-contracts", "php-symfony-var-exporter",
    "php-twig", "php-twig-i18n-extension", "php-webmozart-assert",
)

# What the tests of mysql for Node ask for.
NODE_MODULES = (
    "bignumber.js@9.0.0", "readable-stream@2.3.7", "safe-buffer@5.1.2", "sqlstring@2.3.1", "after@0.8.2",
    "seedrandom@3.0.5", "timezone-mock@0.0.7", "urun@0.0.8", "utest@0.0.8",
)

SUITES = {
    suite.name: suite
    for suite in (
        Suite("pymysql", pymysql_suite, "PyMySQL==0.10.1"),
        Suite("mysqlclient", mysqlclient_suite, "mysqlclient==2.2.6"),
        Suite("peewee", peewee_suite, debian="peewee"),
        Suite("sqlalchemy", sqlalchemy_suite, "SQLAlchemy==2.0.36"),
        Suite("django", django_suite, "Django==5.1.4",
              requirements=("asgiref==3.8.1", "sqlparse==0.5.3", "jinja2==3.1.4", "tblib==3.0.0")),
        Suite("pdo", drivers.pdo_suite, debian="php8.2", programs=("php8.2-cli", "php8.2-mysql")),
        Suite("mysql_node", drivers.node_suite("mysql_node"), debian="node-mysql", programs=("nodejs",),
              modules=NODE_MODULES),
        # The last version whose package has its tests.
        Suite("mysql2_old", drivers.node_suite("mysql2_old"), npm="mysql2@0.15.8", programs=("nodejs",), modules=(
            "bn.js@2.0.0", "cardinal@0.4.4", "double-ended-queue@2.0.0-0", "named-placeholders@0.1.3",
            "readable-stream@1.0.33", "urun@0.0.8", "utest@0.0.8")),
        Suite("mysql2", drivers.mysql2_suite, programs=("nodejs",), modules=("mysql2@3.11.5",), goal=1.0),
        Suite("mysql_async", drivers.mysql_async_suite, crate="mysql_async==0.34.2"),
        Suite("sqlx", drivers.sqlx_suite, crate="sqlx==0.8.2"),
        Suite("wordpress", application("wordpress"), programs=PHP, goal=1.0,
              unpacked=("wordpress", "wordpress-theme-twentytwentythree", "php-getid3")),
        Suite("phpmyadmin", application("phpmyadmin"), programs=PHP, unpacked=PHPMYADMIN),
        Suite("schemas", application("schemas"), goal=1.0,
              unpacked=("zabbix-server-mysql", "roundcube-core", "pdns-backend-mysql")),
        Suite("tools", application("tools"), unpacked=("prometheus-mysqld-exporter",), requirements=("mycli==1.29.2",)),
    )
}
