"""What the checks of applications share: the server's port, the unpacked packages, a place for files."""

import os
import pathlib

import pymysql
import pytest


@pytest.fixture(scope="module")
def port():
    return int(os.environ["CONFORMANCE_PORT"])


@pytest.fixture(scope="module")
def packages():
    """The root below which the application's packages are unpacked."""
    return pathlib.Path(os.environ["CONFORMANCE_SOURCE"])


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("application")


@pytest.fixture(scope="module")
def cursor(port):
    with pymysql.connect(host="127.0.0.1", port=port, user="root", autocommit=True) as connection:
        with connection.cursor() as cursor:
            yield cursor
