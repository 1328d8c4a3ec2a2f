"""Resolution against the reference model: random worlds, random rules, real DuckDB."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from sor_pipeline.engine.duckdb import DuckDBEngine
from sor_pipeline.ownership.document import Ownership
from sor_pipeline.resolve.step import run as resolve_step
from sor_pipeline.run import Run
from sor_pipeline.settings import Settings
from sor_pipeline.tables import SCHEMAS, ClaimState, Tables
from sor_pipeline_tests import reference
from sor_pipeline_tests.reference import Cell, Record

NOW = datetime(2026, 3, 10)
SYSTEMS = ("crm", "mail", "desk")
SOURCES = ("crm.contacts", "crm.leads", "mail.members", "desk.users")
FIELDS: dict[str, dict[str, Any]] = {
    "email": {"type": "email"},
    "nick": {"type": "text", "fallback": ["desk", "mail"]},
    "phone": {"type": "phone", "owner": "desk", "fallback": ["crm"], "stale_after": "30 days"},
    "country": {"type": "country", "owner": "desk"},
    "opted": {
        "type": "boolean",
        "owner": "mail",
        "exceptions": [{"when": "country = 'DE'", "owner": "crm", "reason": "law"}],
    },
    "street": {"type": "text", "group": "address"},
    "city": {"type": "text", "group": "address"},
    "score": {"type": "decimal", "take": "max"},
    "seats": {"type": "integer", "take": "min", "among": ["mail", "desk"], "tolerance": 1},
    "bio": {"type": "text", "take": "longest"},
    "tier": {"type": "choice", "of": ["a", "b"], "take": "most_common"},
    "seen": {"type": "date", "take": "latest"},
    "tags": {"type": "text", "take": "all"},
    "since": {
        "type": "timestamp",
        "owner": "mail",
        "exceptions": [{"when": "opted", "owner": "desk", "reason": "asked there"}],
    },
}
MAPPED = {
    "crm.contacts": [n for n in FIELDS if n != "phone"],
    "crm.leads": ["email", "nick", "phone", "opted", "city"],
    "mail.members": list(FIELDS),
    "desk.users": [n for n in FIELDS if n != "email"],
}


def document(groups: dict[str, Any] | None = None) -> Ownership:
    return Ownership.model_validate(
        {
            "systems": {name: {} for name in SYSTEMS},
            "entities": {
                "contact": {
                    "owner": "crm",
                    "fields": FIELDS,
                    "groups": groups or {"address": {"owner": "mail", "fallback": ["crm"]}},
                }
            },
            "sources": {
                name: {
                    "entity": "contact",
                    "extract": {"files": f"{name}.csv"},
                    "key": "id",
                    "fields": {f: f for f in MAPPED[name]},
                }
                for name in SOURCES
            },
        }
    )


DOCUMENT = document()
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "email": st.sampled_from(["a@x.example", "b@x.example"]),
    "nick": st.sampled_from(["Bo", "bo", "Cy"]),
    "phone": st.sampled_from(["+4930123456", "+13155550123"]),
    "country": st.sampled_from(["DE", "US"]),
    "opted": st.booleans(),
    "street": st.sampled_from(["Elm 1", "Oak 2"]),
    "city": st.sampled_from(["Ulm", "ulm", "Bonn"]),
    "score": st.sampled_from([Decimal("1.00"), Decimal("2.50")]),
    "seats": st.integers(1, 4),
    "bio": st.sampled_from(["x", "yy", "zz"]),
    "tier": st.sampled_from(["a", "b"]),
    "seen": st.dates(datetime(2026, 1, 1).date(), datetime(2026, 1, 3).date()),
    "tags": st.sampled_from(["red", 'bl"ue', "é"]),
    "since": st.sampled_from([datetime(2026, 1, 1), datetime(2026, 2, 1, 12, 30)]),
}
TIMES = st.sampled_from([datetime(2026, 1, 1), datetime(2026, 2, 20), datetime(2026, 3, 1)])


@st.composite
def records(draw: st.DrawFn) -> list[Record]:
    made = []
    for number in range(draw(st.integers(0, 7))):
        source = draw(st.sampled_from(SOURCES))
        claims = {}
        for name in MAPPED[source]:
            state = draw(st.sampled_from(["value", "value", "never", "cleared", "placeholder"]))
            claims[name] = (state, draw(VALUES[name]) if state == "value" else None, draw(TIMES))
        entity_id = draw(st.sampled_from(["e1", "e2"]))
        made.append(Record(source, f"k{number}", entity_id, draw(TIMES), claims, draw(st.integers(0, 9)) == 0))
    return made


class World:
    """A warehouse whose staged and identity tables hold exactly the given records."""

    def __init__(self, folder: Path, ownership: Ownership = DOCUMENT) -> None:
        self.tables = Tables(ownership)
        self.engine = DuckDBEngine(folder / "warehouse.duckdb")
        self.engine.create(self.tables.metadata, SCHEMAS)
        place = Settings.read({}, ownership=folder / "o.yaml", home=folder)
        self.run = Run(ownership, self.engine, self.tables, place, NOW)

    def put(self, made: list[Record], affected: set[str] | None = None) -> None:
        """Replace the world; `affected` defaults to every entity there is or was."""
        tables = self.tables
        with self.engine.begin() as connection:
            before = {row[0] for row in connection.execute(sa.select(tables.id.c.entity_id)).fetchall()}
            for table in (*tables.staged.values(), tables.identity["contact"], tables.id, tables.affected):
                connection.execute(sa.delete(table))
            for source in SOURCES:
                rows = [self._staged(r) for r in made if r.source == source]
                if rows:
                    connection.execute(sa.insert(tables.staged[source]), rows)
            identity = [
                {"source": r.source, "source_key": r.key, "entity_id": r.entity_id, "_publication": 1} for r in made
            ]
            if identity:
                connection.execute(sa.insert(tables.identity["contact"]), identity)
            alive = {r.entity_id for r in made if not r.deleted}
            ids = before | {r.entity_id for r in made}
            for entity_id in sorted(ids):
                retired = None if entity_id in alive else 1
                connection.execute(
                    sa.insert(tables.id).values(entity="contact", entity_id=entity_id, born=1, retired=retired)
                )
            for entity_id in sorted(ids if affected is None else affected):
                connection.execute(
                    sa.insert(tables.affected).values(entity="contact", entity_id=entity_id, cause="claim")
                )

    def _staged(self, record: Record) -> dict[str, Any]:
        row: dict[str, Any] = {
            "_key": record.key, "_changed_at": record.changed_at, "_publication": 1,
            "_deleted_at": NOW if record.deleted else None,
        }  # fmt: skip
        for name in MAPPED[record.source]:
            state, value, since = record.claim(name)
            row |= {name: value, f"{name}__state": int(ClaimState[state]), f"{name}__since": since}
            if f"{name}__cmp" in self.tables.staged[record.source].c:
                row[f"{name}__cmp"] = reference.compare(value)
        return row

    def cells(self) -> dict[str, dict[str, Cell]]:
        table = self.tables.canonical["contact"]
        with self.engine.begin() as connection:
            rows = connection.execute(sa.select(table)).mappings().fetchall()
        return {
            row["entity_id"]: {
                name: Cell(
                    row[name], *(row[f"{name}__{part}"] for part in ("system", "source", "key", "rule", "since"))
                )
                for name in FIELDS
            }
            for row in rows
        }

    def conflicts(self) -> set[tuple[str, ...]]:
        table = self.tables.open_conflict
        columns = (table.c.entity_id, table.c.field, table.c.source, table.c.source_key, table.c.kind)
        with self.engine.begin() as connection:
            rows = [tuple(row) for row in connection.execute(sa.select(*columns)).fetchall()]
        assert len(rows) == len(set(rows))
        return set(rows)


@contextmanager
def world(folder: Path) -> Iterator[World]:
    made = World(folder)
    yield made
    made.engine.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("resolve")) as made:
        yield made


@settings(max_examples=60, deadline=None)
@given(made=records())
def test_every_cell_is_what_the_rules_say(shared: World, made: list[Record]) -> None:
    shared.put(made)
    resolve_step(shared.run, "contact")
    expected = reference.resolve(DOCUMENT, "contact", made, NOW)
    assert shared.cells() == expected
    assert shared.conflicts() == reference.conflicts(DOCUMENT, "contact", made, expected)


@settings(max_examples=25, deadline=None)
@given(before=records(), after=records())
def test_only_the_affected_are_touched_and_the_result_is_that_of_a_rebuild(
    shared: World, before: list[Record], after: list[Record]
) -> None:
    shared.put(before)
    resolve_step(shared.run, "contact")
    kept = [r for r in before if r.entity_id == "e1"] + [r for r in after if r.entity_id == "e2"]
    kept = list({(r.source, r.key): r for r in kept}.values())
    shared.put(
        kept,
        affected={"e2"}
        | (
            {"e1"}
            if {r.key for r in kept if r.entity_id == "e1"} != {r.key for r in before if r.entity_id == "e1"}
            else set()
        ),
    )
    resolve_step(shared.run, "contact")
    expected = reference.resolve(DOCUMENT, "contact", kept, NOW)
    assert shared.cells() == expected
    assert shared.conflicts() == reference.conflicts(DOCUMENT, "contact", kept, expected)


def test_a_second_resolve_writes_nothing(shared: World) -> None:
    made = [Record("crm.contacts", "k", "e1", NOW, {"email": ("value", "a@x.example", NOW)})]
    shared.put(made)
    resolve_step(shared.run, "contact")
    again = resolve_step(shared.run, "contact")
    assert (again.counts["written"], again.counts["dropped"]) == (0, 0)


def test_a_value_that_grows_stale_gives_way_when_its_time_comes(tmp_path: Path) -> None:
    with world(tmp_path) as made:
        long_ago, lately = NOW - timedelta(days=29), NOW - timedelta(days=1)
        made.put(
            [
                Record("desk.users", "d", "e1", long_ago, {"phone": ("value", "+4930123456", long_ago)}),
                Record("crm.leads", "c", "e1", lately, {"phone": ("value", "+13155550123", lately)}),
            ]
        )
        resolve_step(made.run, "contact")
        assert made.cells()["e1"]["phone"].rule == "owner"
        with made.engine.begin() as connection:
            connection.execute(sa.delete(made.tables.affected))
        later = Run(made.run.ownership, made.engine, made.tables, made.run.settings, NOW + timedelta(days=2))
        assert resolve_step(later, "contact").counts["affected"] == 1
        assert made.cells()["e1"]["phone"].rule == "stale_owner"
        assert made.cells()["e1"]["phone"].value == "+13155550123"


def test_an_arrow_table_of_the_canonical_rows_has_the_stored_types(shared: World) -> None:
    with shared.engine.begin() as connection:
        schema = shared.engine.fetch(connection, sa.select(shared.tables.canonical["contact"])).schema
    assert pa.types.is_decimal(schema.field("score").type)
    assert pa.types.is_timestamp(schema.field("since").type)
