"""Fixtures of the end-to-end tests."""

import pytest

import harness


@pytest.fixture
def cluster(tmp_path):
    with harness.Cluster(tmp_path / "cluster") as cluster:
        yield cluster


@pytest.fixture(scope="session")
def mariadb_port(tmp_path_factory):
    with harness.mariadb(tmp_path_factory.mktemp("peer")) as port:
        yield port
