"""Sources in databases: tables as Airbyte, Fivetran and dlt land them, read by cursor, whole, and in doubt."""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sor_pipeline.engine.open import open_engine
from sor_pipeline.errors import DecisionRefused, SchemaDrifted
from sor_pipeline.extract.landing import Writing
from sor_pipeline.extract.positions import Position, UnusableCursor
from sor_pipeline.extract.readers.cells import column_of
from sor_pipeline.extract.registry import Registry
from sor_pipeline.ownership.document import Ownership
from sor_pipeline.ownership.lint import read as read_document
from sor_pipeline.ownership.source import Extract
from sor_pipeline.run import Outcome, Run
from sor_pipeline.settings import Settings
from sor_pipeline.stage.step import run as stage
from sor_pipeline.steward.acceptances import accept
from sor_pipeline.tables import SCHEMAS, Tables
from sor_pipeline.terminal.scaffold import draft_from_database
from sor_pipeline.terminal.tables import without_password
from sor_pipeline_tests.extract_world import NOW, SOURCE, World, cells, codes, document

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
FIELDS = {"email": "email", "phone": "phone"}


class Database:
    """A database somebody else's loader fills; every `tell` commits."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine = sa.create_engine(url, poolclass=sa.pool.NullPool)

    def tell(self, *statements: str, **values: Any) -> None:
        with self.engine.begin() as connection:
            for statement in statements:
                connection.execute(sa.text(statement), values)


@pytest.fixture
def database(postgres_url: str) -> Database:
    """A real PostgreSQL with a schema per loader."""
    database = Database(postgres_url)
    database.tell("create schema airbyte", "create schema fivetran", "create schema dlt")
    return database


def ownership(
    url: str, *, fields: dict[str, Any] | None = None, changed_at: str | None = None, **extract: Any
) -> Ownership:
    made = document(fields=FIELDS if fields is None else fields, url=url, **extract)
    source = made.sources[SOURCE].model_copy(update={"changed_at": changed_at})
    return made.model_copy(update={"sources": {SOURCE: source}})


class Company(World):
    """Extract and stage, each call one run at its own time."""

    def go(self, at: datetime = NOW, made: Ownership | None = None) -> Outcome:
        run = replace(self.run, ownership=made or self.run.ownership, now=at)
        with self.run.engine.held():
            landed = self.land(made, now=at)
            self.staging = stage(run, SOURCE)
        return landed

    def rows_of_staged(self) -> list[dict[str, Any]]:
        """Everything that is staged but where it was landed."""
        with self.run.engine.begin() as connection:
            rows = connection.execute(sa.select(self.run.tables.staged[SOURCE])).fetchall()
        aside = {"_as_of", "_batch", "_row"}
        return sorted(
            ({k: v for k, v in row._mapping.items() if k not in aside} for row in rows), key=lambda r: r["_key"]
        )

    def staged(self) -> dict[str, tuple[Any, ...]]:
        """Per live key: the values."""
        with self.run.engine.begin() as connection:
            table = self.run.tables.staged[SOURCE]
            rows = connection.execute(sa.select(table).where(table.c["_deleted_at"].is_(None))).fetchall()
        return {row._mapping["_key"]: (row.email, row.phone) for row in rows}


def company(tmp_path: Path, made: Ownership) -> Company:
    world = Company.made(tmp_path, made)
    assert isinstance(world, Company)
    return world


AIRBYTE = """create table airbyte.contacts (
  _airbyte_raw_id varchar not null, _airbyte_extracted_at timestamptz not null, _airbyte_meta jsonb not null,
  _airbyte_generation_id bigint, id bigint, email varchar, phone varchar, _ab_cdc_deleted_at varchar)"""


def synced(
    database: Database, key: int, email: str | None, at: datetime, phone: str = "1", gone: str | None = None
) -> None:
    """As Airbyte's deduplicating sync leaves it: one row per key, all bookkeeping new."""
    database.tell(
        "delete from airbyte.contacts where id = :id",
        "insert into airbyte.contacts values (:raw, :at, '{\"changes\": []}', 1, :id, :email, :phone, :gone)",
        id=key, email=email, phone=phone, at=at.replace(tzinfo=UTC), raw=str(uuid.uuid4()), gone=gone,
    )  # fmt: skip


def airbyte(database: Database, **extract: Any) -> Ownership:
    usual = {
        "table": "airbyte.contacts",
        "mode": "changes",
        "cursor": "_airbyte_extracted_at",
        "deleted": "_ab_cdc_deleted_at",
    }
    return ownership(database.url, **{**usual, **extract})


def test_a_table_of_airbyte(tmp_path: Path, database: Database) -> None:
    database.tell(AIRBYTE)
    for key in range(1, 6):
        synced(database, key, f"p{key}@acme.example", NOW - 3 * HOUR + key * MINUTE)
    world = company(tmp_path, airbyte(database))
    first = world.go(NOW)
    assert (first.counts["landed"], first.counts["rows"], first.faults) == (1, 5, ())
    synced(database, 2, "new@acme.example", NOW + MINUTE)
    synced(database, 3, None, NOW + MINUTE, gone="2024-06-01T12:00:30Z")
    synced(database, 6, "late@acme.example", NOW - 3 * HOUR)  # committed late, behind the newest: within the overlap
    second = world.go(NOW + HOUR)
    assert (second.counts["rows"], second.counts["seen_before"], second.faults) == (3, 3, ())
    assert sorted(world.staged()) == ["1", "2", "4", "5", "6"]
    assert world.staged()["2"] == ("new@acme.example", "1")
    third = world.go(NOW + 2 * HOUR)
    assert (third.counts["landed"], third.counts["repeated"]) == (0, 1)
    account = world.rows("account")
    assert [(row["read"], row["new"], row["unchanged"]) for row in sorted(account, key=lambda row: row["batch"])] == [
        (5, 5, 0),
        (3, 3, 0),
    ]


def test_any_warehouse(tmp_path: Path, database: Database, engine_url: str) -> None:
    """The same source read into DuckDB and into PostgreSQL."""
    database.tell(AIRBYTE)
    for key in range(1, 4):
        synced(database, key, f"p{key}@acme.example", NOW - key * MINUTE)
    made = airbyte(database)
    settings = replace(Settings.read({}, ownership=tmp_path / "o.yaml", home=tmp_path), warehouse_url=engine_url)
    engine = open_engine(engine_url, settings.readable)
    tables = Tables(made)
    engine.create(tables.metadata, SCHEMAS)
    world = Company(tmp_path, Run(made, engine, tables, settings, NOW))
    world.go(NOW)
    synced(database, 2, None, NOW + MINUTE, gone="2024-06-01")
    synced(database, 4, "p4@acme.example", NOW + MINUTE)
    assert world.go(NOW + HOUR).counts["rows"] == 2
    assert sorted(world.staged()) == ["1", "3", "4"]
    assert sum(row["read"] for row in world.rows("account")) == 5
    engine.close()


def test_a_resync_is_no_news(tmp_path: Path, database: Database) -> None:
    """Everything loaded again: new bookkeeping, the same records; it is read once and then behind us."""
    database.tell(AIRBYTE)
    for key in range(1, 6):
        synced(database, key, f"p{key}@acme.example", NOW - MINUTE)
    world = company(tmp_path, airbyte(database))
    world.go(NOW)
    before = world.rows_of_staged()
    for key in range(1, 6):
        synced(database, key, f"p{key}@acme.example", NOW + DAY)
    again = world.go(NOW + 2 * DAY)
    assert (again.counts["landed"], again.counts["rows"], again.counts["seen_before"]) == (1, 0, 5)
    world.go(NOW + 2 * DAY + HOUR)  # lands them once more, beside their new place in the cursor: unchanged
    assert world.go(NOW + 2 * DAY + 2 * HOUR).counts["landed"] == 0
    assert world.rows_of_staged() == before
    whole = company(tmp_path / "whole", airbyte(database, cursor=None))
    whole.go(NOW)
    for key in range(1, 6):
        synced(database, key, f"p{key}@acme.example", NOW + 3 * DAY)
    assert whole.go(NOW + 4 * DAY).counts["repeated"] == 1


def test_the_time_of_loading_is_no_time_of_change(tmp_path: Path, database: Database) -> None:
    database.tell(
        "create table fivetran.lead (id text primary key, email text, phone text, _fivetran_synced timestamptz)",
        "insert into fivetran.lead values ('a', 'a@acme.example', '1', '2024-06-01 10:00+00')",
    )
    taken = ownership(database.url, table="fivetran.lead", mode="snapshot", changed_at="_fivetran_synced")
    assert codes(World.made(tmp_path, taken).land(), warnings=True) == ["loading-as-change"]


def test_a_table_of_fivetran(tmp_path: Path, database: Database) -> None:
    database.tell(
        """create table fivetran.contact (id text primary key, email text, phone text, _fivetran_deleted boolean,
           _fivetran_synced timestamptz)""",
        "insert into fivetran.contact values ('a', 'a@acme.example', '1', false, '2024-06-01 10:00+00'), "
        "('b', 'b@acme.example', '2', false, '2024-06-01 10:00+00')",
    )
    silent = ownership(database.url, table="fivetran.contact", mode="changes", cursor="_fivetran_synced")
    assert codes(World.made(tmp_path / "silent", silent).land(), warnings=True) == ["deletion-unread"]
    spoken = ownership(
        database.url, table="fivetran.contact", mode="changes", cursor="_fivetran_synced", deleted="_fivetran_deleted"
    )
    world = company(tmp_path, spoken)
    assert world.go(NOW).faults == ()
    database.tell(
        "update fivetran.contact set _fivetran_deleted = true, _fivetran_synced = '2024-06-01 13:00+00' where id = 'a'"
    )
    world.go(NOW + 2 * HOUR)
    assert world.staged() == {"b": ("b@acme.example", "2")}
    database.tell(
        "update fivetran.contact set _fivetran_deleted = false, _fivetran_synced = '2024-06-01 15:00+00' where id = 'a'"
    )
    world.go(NOW + 4 * HOUR)
    assert sorted(world.staged()) == ["a", "b"]


def test_tables_of_dlt(tmp_path: Path, database: Database) -> None:
    """Its load ids are texts of seconds since 1970."""
    database.tell(
        "create table dlt.contacts (id bigint, email text, phone text, _dlt_load_id text not null, _dlt_id text not null)",
        "insert into dlt.contacts values (1, 'a@acme.example', '1', '1717236000.123', 'x1'), "
        "(2, 'b@acme.example', '2', '1717239600.5', 'x2')",
    )
    world = company(tmp_path, ownership(database.url, table="dlt.contacts", mode="changes", cursor="_dlt_load_id"))
    world.go(NOW)
    database.tell("insert into dlt.contacts values (3, 'c@acme.example', '3', '1717243300.25', 'x3')")
    outcome = world.go(NOW + HOUR)
    assert (outcome.counts["rows"], outcome.counts["seen_before"]) == (1, 1)
    assert sorted(world.staged()) == ["1", "2", "3"]


def test_events_are_appended_by_number(tmp_path: Path, database: Database) -> None:
    database.tell("create table dlt.event (id bigint primary key, email text, phone text)")
    database.tell("insert into dlt.event select n, 'p' || n || '@acme.example', n::text from generate_series(1, 10) n")
    made = ownership(database.url, table="dlt.event", mode="events", cursor="id", overlap="3")
    world = company(tmp_path, made)
    world.go(NOW)
    database.tell("insert into dlt.event values (11, 'p11@acme.example', '11'), (12, 'p12@acme.example', '12')")
    outcome = world.go(NOW + HOUR)
    assert (outcome.counts["rows"], outcome.counts["seen_before"]) == (2, 4)
    assert len(world.staged()) == 12
    assert sum(row["read"] for row in world.rows("account")) == 12


def test_rows_without_a_cursor_are_read_every_time_and_told(tmp_path: Path, database: Database) -> None:
    database.tell(
        "create table dlt.c (id int, email text, phone text, updated_at timestamp)",
        "insert into dlt.c values (1, 'a@acme.example', '1', null), (2, 'b@acme.example', '2', '2024-06-01 11:00')",
    )
    world = company(tmp_path, ownership(database.url, table="dlt.c", mode="changes", cursor="updated_at"))
    assert codes(world.go(NOW), warnings=True) == ["cursor-empty"]
    database.tell("insert into dlt.c values (3, 'c@acme.example', '3', null)")
    database.tell("update dlt.c set updated_at = '2024-06-04' where id = 2")
    second = world.go(NOW + 3 * DAY)
    assert (second.counts["rows"], second.counts["seen_before"]) == (2, 1)
    assert "2 rows" in second.faults[0].found
    database.tell("update dlt.c set phone = '9' where id = 1")
    third = world.go(NOW + 4 * DAY)
    assert (third.counts["rows"], world.staged()["1"]) == (1, ("a@acme.example", "9"))
    assert codes(world.go(NOW + 5 * DAY), warnings=True) == ["cursor-empty"]
    assert sum(row["read"] for row in world.rows("account")) == 5


def test_ties_at_the_edge_are_found(tmp_path: Path, database: Database) -> None:
    database.tell("create table dlt.c (id int, email text, phone text, seen date)")
    database.tell("insert into dlt.c values (1, 'a@acme.example', '1', '2024-05-31')")
    made = ownership(database.url, table="dlt.c", mode="changes", cursor="seen", overlap="0")
    world = company(tmp_path, made)
    world.go(NOW)
    database.tell("insert into dlt.c values (2, 'b@acme.example', '2', '2024-05-31')")
    assert world.go(NOW + HOUR).counts["rows"] == 1
    assert sorted(world.staged()) == ["1", "2"]


def test_a_row_from_the_future_hides_nobody(tmp_path: Path, database: Database) -> None:
    database.tell(
        "create table dlt.c (id int, email text, phone text, at timestamptz)",
        "insert into dlt.c values (1, 'a@acme.example', '1', '2999-01-01')",
    )
    world = company(tmp_path, ownership(database.url, table="dlt.c", mode="changes", cursor="at"))
    world.go(NOW)
    database.tell("insert into dlt.c values (2, 'b@acme.example', '2', '2024-06-01 12:30+00')")
    assert world.go(NOW + HOUR).counts["rows"] == 1
    assert sorted(world.staged()) == ["1", "2"]


def test_a_cursor_of_another_type_reads_whole(tmp_path: Path, database: Database) -> None:
    database.tell("create table dlt.c (id int, email text, phone text, v int)")
    database.tell("insert into dlt.c values (1, 'a@acme.example', '1', 7), (2, 'b@acme.example', '2', 5)")
    world = company(tmp_path, ownership(database.url, table="dlt.c", mode="changes", cursor="v"))
    world.go(NOW)
    database.tell(
        "alter table dlt.c alter v type timestamp using timestamp '2024-06-01 10:00' + v * interval '1 minute'"
    )
    outcome = world.go(NOW + HOUR)
    assert codes(outcome, warnings=True) == ["schema-drift"]
    assert world.batches()[-1]["position"].startswith("naive ")
    assert (outcome.counts["rows"], sorted(world.staged())) == (2, ["1", "2"])


@pytest.mark.parametrize("when", ["put", "register", "delivered"])
def test_killed_anywhere_it_goes_on(
    tmp_path: Path, database: Database, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.tell(AIRBYTE)
    synced(database, 1, "a@acme.example", NOW)
    world = company(tmp_path, airbyte(database))
    world.go(NOW)
    synced(database, 2, "b@acme.example", NOW + HOUR)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(
            *{"put": (Writing, "finish"), "register": (Registry, "register"), "delivered": (Registry, "delivered")}[
                when
            ],
            killed,
        )
        with pytest.raises(KeyboardInterrupt):
            world.land(now=NOW + HOUR)
    synced(database, 3, "c@acme.example", NOW + 2 * HOUR)
    world.go(NOW + 2 * HOUR)
    assert sorted(world.staged()) == ["1", "2", "3"]
    assert sum(row["read"] for row in world.rows("account")) == 3


def test_rows_of_one_key_are_kept_together(tmp_path: Path, database: Database) -> None:
    """A table with a row per version: leaving one out would make the other the last word."""
    database.tell("create table dlt.c (id int, email text, phone text, v int)")
    database.tell("insert into dlt.c values (1, 'old@acme.example', '1', 1), (1, 'new@acme.example', '1', 2)")
    made = ownership(database.url, table="dlt.c", mode="changes", cursor="v", overlap="5")
    world = company(tmp_path, made)
    for hours in range(3):
        world.go(NOW + hours * HOUR)
        assert world.staged() == {"1": ("new@acme.example", "1")}


def test_back_to_an_earlier_word(tmp_path: Path, database: Database) -> None:
    """A, B, A, all within the overlap: A is news again, because B was the last word."""
    database.tell(AIRBYTE)
    world = company(tmp_path, airbyte(database))
    for number, email in enumerate(("a@acme.example", "b@acme.example", "a@acme.example")):
        synced(database, 1, email, NOW + number * MINUTE)
        assert world.go(NOW + number * MINUTE).counts["rows"] == 1
        assert world.staged()["1"][0] == email


def test_values_do_not_depend_on_their_neighbours(tmp_path: Path, database: Database) -> None:
    database.tell(
        "create table dlt.t (id int, d numeric, j jsonb, a int[], u uuid, t timestamptz, b bytea, i interval, f float8)",
        """insert into dlt.t values
        (1, 1.5, '{"b": 1, "a": null}', '{1,2}', '00000000-0000-0000-0000-000000000001', '2024-01-01 01:00+01', 'x', '1 hour', 2),
        (2, 2.25, '{"c": "é"}', null, null, null, null, null, 0.1), (3, 10, '[1]', '{}', null, '9999-12-31 23:59:59.999+00', '', null, null)""",
    )
    world = World.made(tmp_path, document(table="dlt.t", url=database.url))
    assert world.land().faults == ()
    assert cells(world.table()) == [
        [
            "1",
            "1.5",
            '{"a":null,"b":1}',
            "[1,2]",
            "00000000-0000-0000-0000-000000000001",
            "2024-01-01 00:00:00Z",
            "x",
            "1:00:00",
            "2",
        ],
        ["2", "2.25", '{"c":"é"}', None, None, None, None, None, "0.1"],
        ["3", "10", "[1]", "[]", None, "9999-12-31 23:59:59.999000Z", "", None, None],
    ]
    assert json.loads(world.batches()[0]["types"])["j"] == "jsonb"


def test_columns_of_mixed_values() -> None:
    assert column_of([1, "a", None, 2.5]).to_pylist() == ["1", "a", None, "2.5"]
    assert column_of([Decimal("1.50"), Decimal("1E+3")]).to_pylist() == ["1.50", "1000"]


def test_one_moment_of_the_database(tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows committed after the greatest value was asked belong to the next read."""
    from sor_pipeline.extract.readers import database as reader

    database.tell(
        "create table dlt.c (id int, email text, phone text, v int)",
        "insert into dlt.c values (1, 'a@acme.example', '1', 1)",
    )
    original = reader._Fetch._rows

    def meanwhile(self: Any, *arguments: Any) -> Any:
        database.tell("insert into dlt.c values (2, 'b@acme.example', '2', 2)")
        return original(self, *arguments)

    world = company(tmp_path, ownership(database.url, table="dlt.c", mode="changes", cursor="v"))
    with monkeypatch.context() as patch:
        patch.setattr(reader._Fetch, "_rows", meanwhile)
        world.go(NOW)
    assert sorted(world.staged()) == ["1"]
    world.go(NOW + HOUR)
    assert sorted(world.staged()) == ["1", "2"]


def test_nothing_is_written_and_nothing_lasts_too_long(tmp_path: Path, database: Database) -> None:
    database.tell("create table dlt.c (id int)", "create table dlt.locked (id int)")
    writing = document(query="with gone as (delete from dlt.c returning id) select id from gone", url=database.url)
    assert codes(World.made(tmp_path / "w", writing).land()) == ["query-failed"]
    slow = Extract(query="select 1 as id, pg_sleep(20)", url=database.url, timeout=timedelta(seconds=0.2))  # type: ignore[arg-type]
    made = document(query="select 1", url=database.url)
    made = made.model_copy(update={"sources": {SOURCE: made.sources[SOURCE].model_copy(update={"extract": slow})}})
    began = time.monotonic()
    outcome = World.made(tmp_path / "s", made).land()
    assert (codes(outcome), time.monotonic() - began < 10) == (["query-failed"], True)
    assert "timeout" in outcome.faults[0].todo


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"url": "postgresql+psycopg://me:geheim@127.0.0.1:1/x"}, "database-unreachable"),
        ({"url": "postgresql+psycopg://me:geheim@127.0.0.1:notaport/x"}, "query-failed"),
        ({"table": "dlt.nowhere"}, "query-failed"),
        ({"cursor": "nix"}, "missing-cursor"),
        ({"cursor": "flag"}, "query-failed"),
        ({"cursor": "at", "overlap": "3"}, "unusable-cursor"),
        ({"cursor": "id", "overlap": "1 hour"}, "unusable-cursor"),
        ({"query": "select id, 1 / (id - id) as x from dlt.c", "table": None, "cursor": None}, "query-failed"),
        (
            {"query": "select cast('geheim' || id as int) as id from dlt.c", "table": None, "cursor": None},
            "query-failed",
        ),
    ],
)
def test_what_cannot_be_read_is_this_sources_fault_and_keeps_secrets(
    tmp_path: Path, database: Database, change: dict[str, Any], code: str
) -> None:
    database.tell("create table dlt.c (id int, email text, phone text, at timestamp, flag boolean)")
    database.tell("insert into dlt.c values (1, 'geheim@acme.example', '1', now(), true)")
    usual = {"table": "dlt.c", "mode": "changes", "cursor": "id", "url": database.url}
    made = ownership(**{**usual, **change})
    world = World.made(tmp_path, made)
    outcome = world.land()
    outcome = outcome if outcome.faults else world.land(now=NOW + HOUR)
    assert codes(outcome) == [code]
    assert "geheim" not in str(outcome.faults) + str(world.rows("refusal"))


def test_a_lost_connection(tmp_path: Path, database: Database) -> None:
    """Ended by the server in the middle: nothing landed, and the next run lands it all."""
    database.tell("create table dlt.c (id int, email text, phone text)")
    database.tell("insert into dlt.c select n, 'p' || n, '1' from generate_series(1, 60000) n")
    world = World.made(tmp_path, ownership(database.url, table="dlt.c"))
    count = 0

    def cut(text: str) -> None:
        nonlocal count
        count += 1
        if count == 1:
            database.tell(
                "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
            )

    from sor_pipeline.extract import step

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(step, "_REPORT_ROWS", 1)
        outcome = world.land(progress=cut)
    assert codes(outcome) == ["database-unreachable"]
    assert world.batches() == []
    assert world.land().counts["rows"] == 60000


def test_sqlite_and_duckdb_by_cursor(tmp_path: Path) -> None:
    for name, url in (
        ("sqlite", f"sqlite:///{tmp_path / 'crm.db'}"),
        ("duckdb", f"duckdb:///{tmp_path / 'crm.duckdb'}"),
    ):
        source = Database(url)
        source.tell("create table c (id integer, email varchar, phone varchar, updated_at varchar)")
        source.tell(
            "insert into c values (1, 'a@acme.example', '1', '2024-06-01 10:00:00'), (2, 'b@acme.example', '2', '2024-06-01 09:30:00')"
        )
        world = company(tmp_path / name, ownership(url, query="select * from c;", mode="changes", cursor="updated_at"))
        assert world.go(NOW).counts["rows"] == 2
        source.tell("insert into c values (3, 'c@acme.example', '3', '2024-06-01 09:45:00')")
        outcome = world.go(NOW + HOUR)
        assert (outcome.counts["rows"], outcome.counts["seen_before"], outcome.faults) == (1, 2, ())
        assert len(world.staged()) == 3


def test_the_document_says_what_goes_together() -> None:
    table = {"table": "t", "url": "sqlite://"}
    for wrong in (
        {"cursor": "v", **table},
        {"cursor": "v", "files": "*.csv", "mode": "changes"},
        {"overlap": "1 hour", **table},
        {"overlap": "soon", "cursor": "v", "mode": "changes", **table},
    ):
        with pytest.raises(ValueError, match=r"cursor|overlap|duration"):
            Extract.model_validate(wrong)
    assert (
        Extract.model_validate({**table, "cursor": "v", "mode": "changes", "overlap": "90 minutes"}).overlap
        == 90 * MINUTE
    )
    assert Extract.model_validate({**table, "cursor": "v", "mode": "changes", "overlap": 500}).overlap == 500


@given(st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)), st.timedeltas(timedelta(0), timedelta(days=400)))
def test_positions_go_back_and_sort(moment: datetime, overlap: timedelta) -> None:
    for value in (
        moment,
        moment.replace(tzinfo=UTC),
        moment.date(),
        moment.isoformat(),
        moment.isoformat(" ", "seconds"),
        f"{moment.isoformat()}Z",
    ):
        place = Position.of(value)
        assert Position.read(str(place)) == place
        back = place.back(overlap)
        assert back.value <= place.value
        assert place.reached(place, moment).value == place.value
    number = Position.of(int(moment.timestamp()))
    assert number.back(5).value == number.value - 5
    with pytest.raises(UnusableCursor):
        number.back(overlap + HOUR)


OPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(1, 4), st.integers(1, 3), st.sampled_from([0, 0, 5, 50, None])),
        st.tuples(st.just("drop"), st.integers(1, 4), st.just(0), st.sampled_from([0, 50])),
        st.tuples(st.just("run"), st.just(0), st.just(0), st.just(0)),
    ),
    min_size=4,
    max_size=12,
)


@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(OPS, st.lists(st.integers(1, 90), min_size=14, max_size=14))
def test_by_cursor_is_as_reading_whole(database: Database, ops: list[Any], minutes: list[int]) -> None:
    """Upserts, soft deletes, rows late by less than the overlap, rows without a cursor; runs at any moments."""
    database.tell("drop table if exists dlt.law")
    database.tell(
        "create table dlt.law (id int primary key, email text, phone text, gone boolean, at timestamptz, said timestamp)"
    )
    usual = {"table": "dlt.law", "mode": "changes", "deleted": "gone", "changed_at": "said"}
    with TemporaryDirectory() as folder:
        cursor = company(Path(folder) / "c", ownership(database.url, cursor="at", **usual))
        whole = company(Path(folder) / "w", ownership(database.url, **usual))
        now = NOW
        for (op, key, value, late), step in zip([*ops, ("run", 0, 0, 0)], [*minutes, 1], strict=False):
            now += step * MINUTE
            if op == "run":
                for world in (cursor, whole):
                    world.go(now)
                assert cursor.rows_of_staged() == whole.rows_of_staged()
                continue
            at = None if late is None else (now - late * MINUTE).replace(tzinfo=UTC)
            database.tell(
                "insert into dlt.law values (:id, :email, :phone, :gone, :at, :said) on conflict (id) do update set "
                "email = excluded.email, phone = excluded.phone, gone = excluded.gone, at = excluded.at, said = excluded.said",
                id=key, email=f"p{value}@acme.example", phone=str(value), gone=op == "drop", at=at, said=now,
            )  # fmt: skip
        assert sum(row["read"] for row in cursor.rows("account")) <= sum(row["read"] for row in whole.rows("account"))


# --- drift -------------------------------------------------------------------------------------------------------


def drifting(tmp_path: Path, drift: str) -> World:
    world = World.made(tmp_path, document(files="*.csv", drift=drift, fields={"email": "email"}))
    world.put("contacts-2024-01-05.csv", "id,email\n1,a@acme.example\n")
    world.land()
    world.put("contacts-2024-01-06.csv", "id,email,phone\n1,a@acme.example,1\n")
    return world


def test_drift_is_told_and_taken(tmp_path: Path) -> None:
    world = drifting(tmp_path, "accept")
    outcome = world.land()
    assert (codes(outcome), codes(outcome, warnings=True)) == ([], ["schema-drift"])
    assert outcome.faults[0].found == "added phone"
    assert len(world.batches()) == 2
    assert world.land().faults == ()


def test_drift_is_held_until_accepted_by_name(tmp_path: Path) -> None:
    world = drifting(tmp_path, "hold")
    for _ in range(2):
        outcome = world.land()
        assert codes(outcome) == ["schema-drift"]
        assert len(world.batches()) == 1
    name = outcome.faults[0].todo.partition("sor accept ")[2].partition("`")[0]
    with pytest.raises(DecisionRefused):
        accept(world.run, f"drift:{SOURCE}:000000000000", "pat", "read", {})
    accept(world.run, name, "pat", "phone is new", {})
    assert codes(world.land()) == []
    assert (len(world.batches()), world.rows("refusal")) == (2, [])
    world.put("contacts-2024-01-07.csv", "id,phone\n1,1\n")
    outcome = world.land()
    assert (codes(outcome), outcome.faults[0].found) == (["schema-drift"], "removed email")


def test_drift_stops_the_run(tmp_path: Path) -> None:
    world = drifting(tmp_path, "stop")
    with pytest.raises(SchemaDrifted):
        world.land()
    assert [row["code"] for row in world.rows("refusal")] == ["schema-drift"]
    assert len(world.batches()) == 1


def test_what_is_no_drift(tmp_path: Path) -> None:
    """Another order of columns; JSON without a key that others have; a delivery older than all; a loader's column."""
    world = World.made(tmp_path, document(files="*.*", drift="hold"))
    world.put("a-2024-01-05.csv", "id,email\n1,a@acme.example\n")
    world.put("a-2024-01-06.csv", "email,id,_dlt_id\na@acme.example,1,x\n")
    assert codes(world.land()) == []
    world.put("a-2024-01-01.csv", "id\n1\n")
    assert codes(world.land()) == []
    lines = World.made(tmp_path / "lines", document(files="*.jsonl", drift="hold", mode="changes"))
    lines.put("a-2024-01-05.jsonl", '{"id": 1, "email": "a"}\n')
    lines.put("a-2024-01-06.jsonl", '{"id": 1}\n')
    lines.put("a-2024-01-07.jsonl", '{"id": 1, "email": "a"}\n')
    assert codes(lines.land()) == []
    lines.put("a-2024-01-08.jsonl", '{"id": 1, "fax": "a"}\n')
    assert codes(lines.land()) == ["schema-drift"]


def test_a_retyped_column_of_a_database_is_held(tmp_path: Path, database: Database) -> None:
    database.tell(
        "create table dlt.c (id int, email text, phone text)", "insert into dlt.c values (1, 'a@acme.example', '1')"
    )
    world = World.made(tmp_path, ownership(database.url, table="dlt.c", drift="hold"))
    world.land()
    database.tell("alter table dlt.c alter phone type bigint using phone::bigint", "alter table dlt.c drop email")
    outcome = world.land(now=NOW + HOUR)
    assert outcome.faults[0].found == "removed email; retyped phone (text, now int8)"
    assert len(world.batches()) == 1


def test_a_draft_from_a_database(tmp_path: Path, database: Database) -> None:
    database.tell(
        "create schema hubspot",
        "create table hubspot.contacts (id bigint, email text, phone text, updated_at timestamp, _fivetran_synced timestamptz, _fivetran_deleted boolean)",
        "insert into hubspot.contacts select n, 'p' || n || '@acme.example', '+1 555 010' || n, now(), now(), false from generate_series(1, 50) n",
        "create table hubspot.companies (id bigint, name text, domain text)",
        "insert into hubspot.companies select n, 'Acme ' || n, 'acme' || n || '.example' from generate_series(1, 20) n",
        "create table hubspot._dlt_loads (load_id text)",
    )
    drafted = draft_from_database(database.url, "hubspot")
    (tmp_path / "ownership.yaml").write_text(drafted.text)
    read = read_document(tmp_path / "ownership.yaml")
    assert read.severity == 0, [str(fault) for fault in read.faults]
    assert read.ownership is not None
    sources = read.ownership.sources
    assert sorted(sources) == ["hubspot.companies", "hubspot.contacts"]
    extract = sources["hubspot.contacts"].extract
    assert (extract.table, extract.mode, extract.cursor) == ("hubspot.contacts", "changes", "_fivetran_synced")
    assert (sources["hubspot.contacts"].changed_at, list(extract.deleted)) == ("updated_at", ["_fivetran_deleted"])
    assert sources["hubspot.companies"].extract.mode == "snapshot"


def test_a_draft_holds_no_password() -> None:
    shown, notes = without_password("postgresql+psycopg://me:geheim@db/x")
    assert shown == "postgresql+psycopg://me:${DATABASE_PASSWORD}@db/x"
    assert "geheim" not in str(notes)
    kept = "postgresql+psycopg://me:${CRM_PASSWORD}@db/x"
    assert without_password(kept) == (kept, ())
