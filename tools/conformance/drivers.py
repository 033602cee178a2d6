"""The suites of drivers in other languages: PDO for PHP, mysql for Node, mysql_async and sqlx for Rust."""

import os
import pathlib
import shutil
import subprocess
import sys

import sources

SUPPORT = pathlib.Path(__file__).resolve().parent / "support"
HELPER = """[package]
name = "sqlx-test"
version = "0.0.0"
edition = "2021"
[dependencies]
anyhow = "1"
paste = "1"
sqlx = { path = "..", default-features = false }
"""


def pdo_suite(setting):
    """PHP's own runner on ext/pdo_mysql/tests, which also runs the tests that all PDO drivers share."""
    setting.execute("CREATE DATABASE test")
    results = setting.scratch / "results.xml"
    prefix = "PDO_MYSQL_TEST_"
    env = {
        f"{prefix}DSN": f"mysql:host=127.0.0.1;port={setting.port};dbname=test", f"{prefix}HOST": "127.0.0.1",
        f"{prefix}PORT": str(setting.port), f"{prefix}USER": "root", f"{prefix}PASS": "", f"{prefix}DB": "test",
        "TEST_PHP_JUNIT": str(results), "NO_INTERACTION": "1",
    }
    tests = setting.source / "ext/pdo_mysql/tests"
    chosen = sorted(tests.glob(f"*{setting.only}*.phpt")) if setting.only else [tests]
    return setting.run(["php8.2", "run-tests.php", "-p", shutil.which("php8.2"), "-q", *chosen], env, results)


def node_suite(name):
    """Each file of a driver's tests is a program of its own. These drivers know only the oldest kind of password."""

    def prepare(setting):
        shutil.copytree(sources.packages(name, setting.work) / "node_modules", setting.source / "node_modules",
                        dirs_exist_ok=True)
        env = {"MYSQL_HOST": "127.0.0.1", "MYSQL_PORT": str(setting.port), "MYSQL_USER": "node", "MYSQL_DATABASE": "test"}
        setting.execute("CREATE DATABASE test", "CREATE USER node IDENTIFIED WITH mysql_native_password",
                        "GRANT ALL ON *.* TO node WITH GRANT OPTION")
        return setting.unittest([sys.executable, SUPPORT / "programs.py", "node", "test/integration"], env)

    return prepare


def mysql2_suite(setting):
    """Programs of our own with a driver of today, which comes without its tests."""
    env = {"MYSQL_PORT": str(setting.port), "NODE_PATH": str(sources.packages("mysql2", setting.work) / "node_modules")}
    directory = SUPPORT.parent / "applications/mysql2"
    return setting.unittest([sys.executable, SUPPORT / "programs.py", "node", directory], env)


def mysql_async_suite(setting):
    """Tests run one after the other: many use the same table."""
    setting.execute("CREATE DATABASE test")
    return cargo(setting, ["--lib", "--tests"], f"mysql://root@127.0.0.1:{setting.port}/test")


def sqlx_suite(setting):
    """The tests of MySQL but one that needs gigabytes, with the helper crate that the published archive lacks."""
    setting.execute("CREATE DATABASE sqlx", "SET GLOBAL time_zone = '+00:00'")
    load(setting, "sqlx", setting.source / "tests/mysql/setup.sql")
    helper = setting.source / "sqlx-test"
    (helper / "src").mkdir(parents=True, exist_ok=True)
    shutil.copy(SUPPORT / "sqlx_test.rs", helper / "src/lib.rs")
    (helper / "Cargo.toml").write_text(HELPER)
    manifest = setting.source / "Cargo.toml"
    if "dev-dependencies.sqlx-test" not in manifest.read_text():
        manifest.write_text(manifest.read_text() + '\n[dev-dependencies.sqlx-test]\npath = "sqlx-test"\n')
    tests = [f"--test={name}" for name in ("mysql", "mysql-types", "mysql-describe", "mysql-error", "mysql-migrate",
                                           "mysql-test-attr", "mysql-derives")]
    features = "mysql,runtime-tokio,macros,migrate,derive,chrono,time,json,uuid,bigdecimal,rust_decimal"
    return cargo(setting, ["--no-default-features", f"--features={features}", *tests],
                 f"mysql://root@127.0.0.1:{setting.port}/sqlx")


def cargo(setting, arguments, url):
    """cargo outside the workspace, with a target directory of its own that later runs use again."""
    # The compiler that is installed, not the one that the authors pin.
    (setting.source / "rust-toolchain.toml").unlink(missing_ok=True)
    manifest = setting.source / "Cargo.toml"
    if "\n[workspace]\n" not in manifest.read_text():
        manifest.write_text(manifest.read_text() + "\n[workspace]\n")
    env = {
        "DATABASE_URL": url, "CARGO_HOME": str(setting.work / "archives/cargo"),
        "CARGO_TARGET_DIR": str(setting.work / "cargo-target"), "CARGO_PROFILE_DEV_DEBUG": "0", "RUST_BACKTRACE": "0",
        "RUSTFLAGS": "--cap-lints=allow",
    }
    command = ["cargo", "test", "--quiet", *arguments]
    subprocess.run([*command, "--no-run"], cwd=setting.source, env={**os.environ, **env}, check=True)
    return setting.unittest([sys.executable, SUPPORT / "cargo_tests.py", *command], env)


def load(setting, database, path):
    with open(path, "rb") as script:
        subprocess.run(["mariadb", "--no-defaults", "-h", "127.0.0.1", "-P", str(setting.port), "-u", "root", database],
                       stdin=script, check=True)
