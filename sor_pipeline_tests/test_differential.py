"""One company, three ways to work it out: DuckDB, PostgreSQL and a small model in plain Python.

`SOR_WORLDS=200` compares so many random worlds. The model knows the rules of simple worlds (`reference_model`);
the demo, whose document needs every type and rule, is compared between the engines, and its resolution with
the reference.
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, given, settings

from sor_pipeline.engine.open import open_engine
from sor_pipeline.flow import opened
from sor_pipeline.ownership.lint import load_checked
from sor_pipeline.settings import Settings
from sor_pipeline.tables import ClaimState, Tables
from sor_pipeline.terminal.demo import FOLDER, play
from sor_pipeline.terminal.paper import Paper
from sor_pipeline_tests import reference
from sor_pipeline_tests.flow_world import DOCUMENT, FIRST, HEADERS, Site, World, worlds
from sor_pipeline_tests.postgres_server import PostgresServer
from sor_pipeline_tests.reference_model import Model

CONTACTS, DAYS, SEED = 40, 2, 7
WORLDS = int(os.environ.get("SOR_WORLDS", "10"))
LAW = settings(
    max_examples=WORLDS,
    deadline=None,
    phases=[phase for phase in Phase if phase is not Phase.shrink],  # a world that differs is small, a run is not fast
    suppress_health_check=list(HealthCheck),
)
SOURCES = {"accounts": "crm.accounts", "contacts": "crm.contacts", "members": "mail.members"}
LINEAGE = ("system", "key", "rule", "since")
CORRECTED = ("entity_id", "observed", "wanted", "owner", "rule", "state", "closed_in")
COMPARED = ("staged", "identity", "canonical", "outbound", "conformed")
"""Schemas whose every row must be the same on every engine."""
Told = dict[str, list[tuple[Any, ...]]]


@pytest.fixture(scope="module")
def prepared(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database in the document's shape, to be copied."""
    with postgres.database() as url:
        site = on(url, tmp_path_factory.mktemp("prepared"))
        with opened(site.document, site.settings, FIRST):
            pass
        yield url


def on(url: str, folder: Path) -> Site:
    site = Site(folder)
    site.settings = replace(site.settings, warehouse_url=url)
    return site


@given(world=worlds())
@LAW
def test_duckdb_postgresql_and_the_model_tell_the_same(world: World, postgres: PostgresServer, prepared: str) -> None:
    with tempfile.TemporaryDirectory() as folder, postgres.database(template=prepared) as url:
        file, server, model = Site(Path(folder) / "duckdb"), on(url, Path(folder) / "postgresql"), Model(DOCUMENT)
        for day in range(len(world.days)):
            for site in (file, server):
                site.deliver_day(world, day)
                site.run(day)
            hear(model, world, day)
            model.run(FIRST + timedelta(days=day))
            expected = model_told(model)
            for site in (file, server):
                same(told(site), expected, f"{site.settings.warehouse_url} and the model after day {day}")
        same(everything(server), everything(file), "PostgreSQL and DuckDB")


def hear(model: Model, world: World, day: int) -> None:
    for stream in HEADERS:
        rows = world.days[day][stream]
        if rows is not None:
            model.deliver(SOURCES[stream], FIRST + timedelta(days=day), rows)


def same(one: Told, other: Told, what: str) -> None:
    """Equal, or only the rows that are not."""
    apart = {name: _apart(one.get(name, []), other.get(name, [])) for name in {*one, *other}}
    assert not {name: rows for name, rows in apart.items() if rows}, what


def _apart(one: list[tuple[Any, ...]], other: list[tuple[Any, ...]]) -> tuple[list[str], list[str]] | None:
    left, right = Counter(map(repr, one)), Counter(map(repr, other))
    return None if left == right else (sorted((left - right).elements()), sorted((right - left).elements()))


def model_told(model: Model) -> Told:
    answer: Told = {}
    for entity, rows in model.cells.items():
        answer[entity] = [(one, *(cell.value for cell in cells.values())) for one, cells in rows.items()]
        answer[f"{entity}_source"] = [
            (one, *(part for c in cells.values() for part in (c.system, c.key, c.rule, c.since)))
            for one, cells in rows.items()
        ]
        answer[f"{entity}_key"] = [
            (*place, one) for place, one in model.keys.items() if model.ownership.sources[place[0]].entity == entity
        ]
    answer["conflict"] = [tuple(one.__dict__.values()) for one in model.conflicts]
    answer["change"] = list(model.changes)
    answer["correction"] = [(*key, *(one[name] for name in CORRECTED)) for key, one in model.corrections.items()]
    return {name: sorted(rows, key=repr) for name, rows in answer.items()}


def told(site: Site) -> Told:
    """What the warehouse says, in the model's words."""
    with connected(site.settings) as connection:
        return {name: rows_of(connection, select) for name, select in _selects(tables_of(site)).items()}


def everything(site: Site) -> Told:
    with connected(site.settings) as connection:
        return {
            table.fullname: rows_of(connection, sa.select(table))
            for table in tables_of(site).metadata.sorted_tables
            if table.schema in COMPARED
        }


def tables_of(site: Site) -> Tables:
    return _TABLES.setdefault(id(site.document), Tables(site.document))


_TABLES: dict[int, Tables] = {}


def _selects(tables: Tables) -> dict[str, sa.Select[Any]]:
    selects: dict[str, sa.Select[Any]] = {}
    for entity, spec in tables.ownership.entities.items():
        ident, sources, keys = f"{entity}_id", tables.sources[entity], tables.keys[entity]
        selects[entity] = sa.select(tables.conformed[entity])
        parts = [sources.c[f"{name}_{part}"] for name in spec.fields for part in LINEAGE]
        selects[f"{entity}_source"] = sa.select(sources.c[ident], *parts)
        selects[f"{entity}_key"] = sa.select(keys.c.source, keys.c.source_key, keys.c[ident])
    named = (
        "entity",
        "entity_id",
        "field",
        "source",
        "source_key",
        "opened_in",
        "kind",
        "owner",
        "claimed",
        "canonical",
        "closed_in",
    )
    selects["conflict"] = sa.select(*(tables.conflict.c[name] for name in named))
    named = ("publication", "entity", "entity_id", "field", "kind", "old", "new", "system")
    selects["change"] = sa.select(*(tables.change.c[name] for name in named))
    named = ("source", "source_key", "field", "proposed_in", *CORRECTED)
    selects["correction"] = sa.select(*(tables.correction.c[name] for name in named))
    return selects


def rows_of(connection: sa.Connection, select: sa.Select[Any]) -> list[tuple[Any, ...]]:
    return sorted((tuple(row) for row in connection.execute(select).fetchall()), key=repr)


@contextmanager
def connected(settings: Settings) -> Iterator[sa.Connection]:
    engine = open_engine(settings.warehouse_url, [settings.home])
    with engine.begin() as connection:
        yield connection
    engine.close()


# the demo


@pytest.fixture(scope="module")
def demos(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Settings]]:
    """The demo company, played on both engines."""
    with postgres.database() as url:
        yield {
            "duckdb": _played(tmp_path_factory.mktemp("file"), None),
            "postgresql": _played(tmp_path_factory.mktemp("server"), url),
        }


def _played(home: Path, url: str | None) -> Settings:
    play(home / "home", Paper(machine=True), contacts=CONTACTS, days=DAYS, seed=SEED, warehouse=url)
    settings = Settings.read({}, ownership=home / "home" / FOLDER / "ownership.yaml", home=home / "home")
    return replace(settings, warehouse_url=url) if url else settings


def test_the_demo_tells_the_same_on_both_engines(demos: dict[str, Settings]) -> None:
    tables = Tables(load_checked(demos["duckdb"].ownership))
    listed = [table for table in tables.metadata.sorted_tables if table.schema in COMPARED]
    answers: dict[str, Told] = {}
    for name, settings_of in demos.items():
        with connected(settings_of) as connection:
            answers[name] = {table.fullname: rows_of(connection, sa.select(table)) for table in listed}
    assert sum(map(len, answers["duckdb"].values())) > 3_000
    same(answers["postgresql"], answers["duckdb"], "PostgreSQL and DuckDB")


def test_the_demo_is_resolved_as_the_reference_resolves_it(
    demos: dict[str, Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the staged records and who is who, every cell and every disagreement of every entity.

    But for summaries, which the reference does not know.
    """
    ownership = load_checked(demos["postgresql"].ownership)
    tables, apart, seen = Tables(ownership), {}, 0
    with connected(demos["postgresql"]) as connection:
        last = connection.execute(sa.select(sa.func.max(tables.canonical_state.c.resolved_at))).scalar_one()
        for entity, spec in ownership.entities.items():
            known = {name for name, one in spec.fields.items() if one.summary is None}
            records, folded, dangling = staged_records(connection, tables, entity)
            monkeypatch.setattr(reference, "compare", lambda value, forms=folded: forms.get(value, value))
            expected = reference.resolve(ownership, entity, records, last)
            disagreeing = reference.conflicts(ownership, entity, records, expected) | dangling
            cells = {(i, n, str(c)) for i, row in expected.items() for n, c in row.items() if n in known}
            found = {(i, n, str(c)) for i, n, c in canonical_cells(connection, tables, entity) if n in known}
            open_now = {row for row in open_conflicts(connection, tables, entity) if row[1] in known}
            apart[entity] = (
                sorted(cells ^ found)[:5] + sorted({row for row in disagreeing if row[1] in known} ^ open_now)[:5]
            )
            seen += len(found)
    assert seen > 1_000
    assert not {entity: rows for entity, rows in apart.items() if rows}


def staged_records(
    connection: sa.Connection, tables: Tables, entity: str
) -> tuple[list[reference.Record], dict[Any, Any], set[tuple[str, ...]]]:
    """What each live record says, with the comparable form of each text that has one, and dangling references."""
    ownership, records, folded, dangling = tables.ownership, [], {}, set()
    fields = ownership.entities[entity].fields
    known = identities(connection, tables)
    for source in ownership.sources_of(entity):
        mapped = ownership.sources[source].fields
        for row in connection.execute(sa.select(tables.staged[source])).mappings().fetchall():
            place, claims = (source, row["_key"]), {}
            if row["_deleted_at"] is not None:
                continue
            for name in mapped:
                state = ClaimState(row[f"{name}__state"] or 0).name
                value = row[name] if state == "value" else None
                if value is not None and f"{name}__cmp" in row:
                    folded[value] = row[f"{name}__cmp"]
                if fields[name].to and value is not None:
                    value = known.get((str(ownership.referred_source(source, name)), value))
                    if value is None:
                        state = "never"
                        dangling.add((known[place], name, *place, "dangling_reference"))
                claims[name] = (state, value, row[f"{name}__since"])
            records.append(reference.Record(*place, known[place], row["_changed_at"], claims))
    return records, folded, dangling


def identities(connection: sa.Connection, tables: Tables) -> dict[tuple[str, str], str]:
    """The entity of every live record."""
    found = {}
    for source, spec in tables.ownership.sources.items():
        staged, identity = tables.staged[source], tables.identity[spec.entity]
        here = sa.and_(identity.c.source == source, identity.c.source_key == staged.c._key)
        rows = sa.select(staged.c._key, identity.c.entity_id).join(identity, here).where(staged.c._deleted_at.is_(None))
        found |= {(source, key): entity_id for key, entity_id in connection.execute(rows).fetchall()}
    return found


def canonical_cells(
    connection: sa.Connection, tables: Tables, entity: str
) -> Iterator[tuple[str, str, reference.Cell]]:
    parts = ("system", "source", "key", "rule", "since")
    for row in connection.execute(sa.select(tables.canonical[entity])).mappings().fetchall():
        for name in tables.ownership.entities[entity].fields:
            yield row["entity_id"], name, reference.Cell(row[name], *(row[f"{name}__{part}"] for part in parts))


def open_conflicts(connection: sa.Connection, tables: Tables, entity: str) -> list[tuple[str, ...]]:
    table = tables.open_conflict
    named = (table.c.entity_id, table.c.field, table.c.source, table.c.source_key, table.c.kind)
    return [tuple(row) for row in connection.execute(sa.select(*named).where(table.c.entity == entity)).fetchall()]
