"""States of older and newer releases: brought up whole or not at all, and never by somebody who only looks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sqlalchemy as sa

from sor_pipeline import __version__
from sor_pipeline.engine.open import open_engine
from sor_pipeline.errors import SettingsError
from sor_pipeline.flow import opened, reading
from sor_pipeline.migrate import state
from sor_pipeline.migrate.numbered import MIGRATIONS, Migration
from sor_pipeline.run import Run
from sor_pipeline.tables import VERSION, Tables
from sor_pipeline.terminal.paper import Paper
from sor_pipeline.terminal.reports import show_status
from sor_pipeline_tests.flow_world import DOCUMENT, FIRST, Site

FROZEN_1 = {
    "audit.document": {"title": "VARCHAR NOT NULL"},
    "landing.batch": {
        "source": "VARCHAR NOT NULL", "batch": "VARCHAR NOT NULL", "as_of": "TIMESTAMP", "delivered_as": "VARCHAR",
        "content": "VARCHAR", "columns": "VARCHAR", "rows": "BIGINT", "bad_rows": "BIGINT", "_publication": "BIGINT",
    },
    "identity.id": {
        "entity": "VARCHAR NOT NULL", "entity_id": "VARCHAR NOT NULL", "born": "BIGINT", "retired": "BIGINT", "merged_into": "VARCHAR",
    },
    "steward.case": {
        "case_id": "VARCHAR NOT NULL", "entity": "VARCHAR", "kind": "VARCHAR", "left_source": "VARCHAR", "left_key": "VARCHAR",
        "right_source": "VARCHAR", "right_key": "VARCHAR", "rule": "VARCHAR", "weight": "DOUBLE", "evidence": "VARCHAR",
        "opened_in": "BIGINT", "closed_in": "BIGINT", "outcome": "VARCHAR",
    },
}  # fmt: skip
"""What migrations touch or flow.opened reads, as the last release without versions made it."""
CASES = [
    ("c1", "contact", "review", "crm.contacts", "1", "mail.members", "x", "similar", 3.5, "{}", 1, None, None),
    ("c2", "contact", "too_large", "crm.contacts", "2", "mail.members", "y", "same:email", None, "{}", 1, 2, "gone"),
    ("c3", "contact", "review", "crm.contacts", "3", "mail.members", "z", "similar", 2.5, "{}", 1, 2, "linked"),
]


def put_old(connection: Any) -> None:
    """The frozen shape of version 1, with rows."""
    for table, columns in FROZEN_1.items():
        schema, name = table.split(".")
        connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')
        listed = ", ".join(f'"{column}" {kind}' for column, kind in columns.items())
        connection.execute(f'CREATE TABLE "{schema}"."{name}" ({listed})')
    connection.execute("INSERT INTO audit.document VALUES ('')")
    connection.execute("INSERT INTO landing.batch VALUES ('crm.contacts', 'b', '2026-01-01', 'f', 'c', '[]', 1, 0, 1)")
    connection.execute("INSERT INTO identity.id VALUES ('contact', 'e1', 1, NULL, NULL)")
    for case in CASES:
        marks = ", ".join("?" for _ in case)
        connection.execute(f'INSERT INTO steward."case" VALUES ({marks})', case)


def warehouse(site: Site) -> Path:
    return site.settings.home / "warehouse.duckdb"


@pytest.fixture
def old(tmp_path: Path) -> Site:
    """A site whose state the last release without versions left behind."""
    site = Site(tmp_path)
    site.settings.home.mkdir(parents=True)
    with duckdb.connect(str(warehouse(site))) as connection:
        put_old(connection)
    return site


def ask(site: Site, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(warehouse(site)), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def shape(site: Site) -> list[tuple[Any, ...]]:
    return ask(
        site,
        "SELECT schema_name, table_name, column_name, data_type FROM duckdb_columns() WHERE database_name = 'warehouse' ORDER BY ALL",
    )


def test_migrations_are_numbered_without_gaps_up_to_the_version() -> None:
    assert [migration.number for migration in MIGRATIONS] == list(range(2, VERSION + 1))
    assert all(migration.words for migration in MIGRATIONS)


def test_a_new_state_is_of_this_version(tmp_path: Path) -> None:
    site, told = Site(tmp_path), []
    with opened(DOCUMENT, site.settings, FIRST, notice=told.append):
        pass
    with opened(DOCUMENT, site.settings, FIRST, notice=told.append):
        pass
    assert ask(site, "SELECT * FROM audit.version") == [(VERSION, FIRST, __version__)]
    assert told == []


def test_a_state_that_was_killed_at_its_birth_is_still_of_this_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site(tmp_path)

    def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("sor_pipeline.engine.duckdb.DuckDBEngine.create", killed)
        with pytest.raises(KeyboardInterrupt), opened(DOCUMENT, site.settings, FIRST):
            pass
    told: list[str] = []
    with opened(DOCUMENT, site.settings, FIRST, notice=told.append):
        pass
    assert told == []
    assert ask(site, "SELECT version FROM audit.version") == [(VERSION,)]


def test_an_older_state_is_brought_up_with_its_rows(old: Site) -> None:
    told: list[str] = []
    with opened(DOCUMENT, old.settings, FIRST, notice=told.append):
        pass
    assert "version 1 to " in told[0]
    assert ask(
        old, 'SELECT case_id, kind, gone_in, level, opened_in, closed_in, outcome FROM steward."case" ORDER BY 1'
    ) == [
        ("c1", "review", None, None, 1, None, None),
        ("c2", "too_large", 2, None, 1, 2, "gone"),
        ("c3", "review", None, None, 1, 2, "linked"),
    ]
    assert ask(old, "SELECT version, release FROM audit.version") == [(n, __version__) for n in range(2, VERSION + 1)]
    told.clear()
    with opened(DOCUMENT, old.settings, FIRST, notice=told.append):
        pass
    assert told == []


def test_progress_is_told_where_nobody_takes_notice(old: Site) -> None:
    told: list[str] = []
    with opened(DOCUMENT, old.settings, FIRST, told.append):
        pass
    assert any("older release" in line for line in told)


def test_killed_in_the_middle_nothing_is_changed(old: Site) -> None:
    before, rows = shape(old), ask(old, 'SELECT * FROM steward."case" ORDER BY 1')

    def break_down(connection: sa.Connection) -> None:
        connection.execute(sa.delete(sa.table("case", schema="steward")))
        raise RuntimeError("killed")

    broken = (*MIGRATIONS, Migration(VERSION + 1, "never ends", break_down))
    with opened_only(old) as run, pytest.raises(RuntimeError):
        state.bring(run, 1, lambda _: None, broken)
    assert (shape(old), ask(old, 'SELECT * FROM steward."case" ORDER BY 1')) == (before, rows)
    with opened(DOCUMENT, old.settings, FIRST):
        pass
    assert ask(old, 'SELECT gone_in FROM steward."case" ORDER BY case_id') == [(None,), (2,), (None,)]


@contextmanager
def opened_only(site: Site) -> Iterator[Run]:
    """Hands that have created nothing: what reading gives, without its look at the version."""
    engine = open_engine(site.settings.warehouse_url, [site.settings.home])
    yield Run(DOCUMENT, engine, Tables(DOCUMENT), site.settings, FIRST)
    engine.close()


def test_a_migration_that_is_half_done_by_hand_is_completed(old: Site) -> None:
    with duckdb.connect(str(warehouse(old))) as connection:
        connection.execute('ALTER TABLE steward."case" ADD COLUMN gone_in BIGINT')
        connection.execute("""UPDATE steward."case" SET gone_in = 7 WHERE case_id = 'c2'""")
    with opened(DOCUMENT, old.settings, FIRST):
        pass
    assert ask(old, 'SELECT gone_in FROM steward."case" ORDER BY case_id') == [(None,), (7,), (None,)]


def test_a_newer_state_is_refused_and_untouched(tmp_path: Path) -> None:
    site = Site(tmp_path)
    with opened(DOCUMENT, site.settings, FIRST):
        pass
    with duckdb.connect(str(warehouse(site))) as connection:
        connection.execute("INSERT INTO audit.version VALUES (?, ?, '99')", [VERSION + 7, datetime(2030, 1, 1)])
        connection.execute("ALTER TABLE landing.batch ADD COLUMN of_tomorrow BIGINT")
    before = shape(site)
    for hands in (opened, reading):
        with pytest.raises(SettingsError) as refused, hands(DOCUMENT, site.settings):
            pass
        assert refused.value.faults[0].code == "state-too-new"
        assert str(VERSION + 7) in str(refused.value)
    assert shape(site) == before


def test_a_newer_state_on_a_server_is_untouched_too(tmp_path: Path, postgres_url: str) -> None:
    site = Site(tmp_path)
    site.settings = replace(site.settings, warehouse_url=postgres_url)
    with opened(DOCUMENT, site.settings, FIRST):
        pass
    columns = sa.text("SELECT table_schema, table_name, column_name FROM information_schema.columns ORDER BY 1, 2, 3")
    server = sa.create_engine(postgres_url, poolclass=sa.pool.NullPool)
    with server.begin() as connection:
        for table in ("audit.lease", "landing.batch"):
            connection.exec_driver_sql(f"ALTER TABLE {table} ADD COLUMN of_tomorrow BIGINT")
        connection.exec_driver_sql(f"INSERT INTO audit.version VALUES ({VERSION + 7}, '2030-01-01', '99')")
        before = connection.execute(columns).fetchall()
    with pytest.raises(SettingsError) as refused, opened(DOCUMENT, site.settings):
        pass
    assert refused.value.faults[0].code == "state-too-new"
    with server.begin() as connection:
        assert connection.execute(columns).fetchall() == before


def test_who_only_looks_at_an_older_state_is_told_to_run(old: Site) -> None:
    before = shape(old)
    with pytest.raises(SettingsError, match="sor run") as refused, reading(DOCUMENT, old.settings):
        pass
    assert refused.value.faults[0].code == "state-older"
    assert shape(old) == before


def test_another_documents_older_state_is_not_brought_up(old: Site) -> None:
    other = DOCUMENT.model_copy(update={"title": "another", "sources": {"x.y": DOCUMENT.sources["crm.accounts"]}})
    before = shape(old)
    with pytest.raises(SettingsError) as refused, opened(other, old.settings, FIRST):
        pass
    assert refused.value.faults[0].code == "wrong-state"
    assert shape(old) == before


def test_status_tells_the_version(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    site = Site(tmp_path)
    with opened(DOCUMENT, site.settings, FIRST):
        pass
    with reading(DOCUMENT, site.settings) as run:
        show_status(run, Paper(machine=True))
        show_status(run, Paper())
    told = capsys.readouterr().out
    assert f'"version": {VERSION}' in told
    assert f"State version {VERSION}" in told


def test_on_a_server_an_older_state_is_brought_up_whole_or_not_at_all(tmp_path: Path, postgres_url: str) -> None:
    site = Site(tmp_path)
    site.settings = replace(site.settings, warehouse_url=postgres_url)
    server = sa.create_engine(postgres_url, poolclass=sa.pool.NullPool)

    def ask_server(sql: str) -> list[tuple[Any, ...]]:
        with server.connect() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(sql)]

    class Told:
        """What duckdb's connections take, said to the server."""

        def execute(self, sql: str, values: Any = ()) -> None:
            with server.begin() as connection:
                said = sql.replace("DOUBLE", "DOUBLE PRECISION").replace("?", "%s")
                connection.exec_driver_sql(said, tuple(values))

    put_old(Told())
    with pytest.raises(SettingsError, match="state-older"), reading(DOCUMENT, site.settings):
        pass

    def break_down(_: sa.Connection) -> None:
        raise RuntimeError("killed")

    with opened_only(site) as run, pytest.raises(RuntimeError):
        state.bring(run, 1, lambda _: None, (*MIGRATIONS, Migration(VERSION + 1, "never ends", break_down)))
    columns = "SELECT count(*) FROM information_schema.columns WHERE table_name = 'case' AND column_name = 'gone_in'"
    assert ask_server(columns) == [(0,)]
    told: list[str] = []
    with opened(DOCUMENT, site.settings, FIRST, notice=told.append):
        pass
    assert "version 1 to " in told[0]
    assert ask_server('SELECT case_id, gone_in, outcome FROM steward."case" ORDER BY 1') == [
        ("c1", None, None),
        ("c2", 2, "gone"),
        ("c3", None, "linked"),
    ]
    with server.begin() as connection:
        connection.exec_driver_sql(f"INSERT INTO audit.version VALUES ({VERSION + 1}, now(), '99')")
    with pytest.raises(SettingsError, match="state-too-new"), opened(DOCUMENT, site.settings, FIRST):
        pass
