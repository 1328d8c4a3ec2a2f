"""The tests' own server: found without asking, survives a crash, leaves nothing behind."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from sor_pipeline_tests.postgres_server import (
    BINARIES,
    URL,
    NoServer,
    OwnServer,
    PostgresServer,
    found,
    obtain,
    without,
)

root = pytest.mark.skipif(os.geteuid() != 0, reason="PostgreSQL refuses nobody but root")


@pytest.fixture
def own() -> Iterator[OwnServer]:
    binaries = found({})
    if not binaries:
        without(NoServer("no binaries"), os.environ)
    server = OwnServer(binaries[0])
    yield server
    server.stop()


def ask(url: str, statement: str) -> object:
    engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
    with engine.begin() as connection:
        result = connection.exec_driver_sql(statement)
        return result.scalar() if result.returns_rows else None


def test_under_ci_a_missing_server_is_a_failure_and_elsewhere_a_skip() -> None:
    with pytest.raises(pytest.fail.Exception, match="nothing here"):
        without(NoServer("nothing here"), {"CI": "1"})
    with pytest.raises(pytest.skip.Exception, match="nothing here"):
        without(NoServer("nothing here"), {})


def test_binaries_that_do_not_work_are_named(tmp_path: Path) -> None:
    (tmp_path / "initdb").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "initdb").chmod(0o755)
    with pytest.raises(NoServer, match=str(tmp_path)):
        obtain({BINARIES: str(tmp_path)})


def test_a_server_that_is_named_is_used_and_left_running(own: OwnServer) -> None:
    named = obtain({URL: own.url_of("postgres").replace("+psycopg", "")})
    with named.database() as url:
        assert ask(url, "SELECT 1") == 1
    named.stop()
    assert PostgresServer(own.url_of("postgres")).version >= 15


def test_what_was_committed_survives_a_crash_and_databases_are_copies_and_go(own: OwnServer) -> None:
    with own.database() as url:
        ask(url, "CREATE TABLE kept AS SELECT 7 AS n")
        own.restart(signal.SIGQUIT)
        assert ask(url, "SELECT n FROM kept") == 7
        with own.database(template=url) as copy:
            assert ask(copy, "SELECT n FROM kept") == 7
            assert ask(copy, "SHOW timezone") == "UTC"
    assert ask(own.url_of("postgres"), "SELECT count(*) FROM pg_database WHERE datname LIKE 'sor_test%%'") == 0


def test_nothing_is_left_of_a_server_that_stopped() -> None:
    binaries = found({})
    if not binaries:
        without(NoServer("no binaries"), os.environ)
    server = OwnServer(binaries[0])
    folder = server.folder
    server.stop()
    assert not folder.exists()


@root
def test_an_installation_that_only_root_may_read_is_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OwnServer, "_may_run", lambda *_: False)
    server = OwnServer(found({})[0])
    assert (server.folder / "installed").exists()
    assert server.version >= 15
    server.stop()
