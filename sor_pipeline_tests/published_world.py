"""A small company whose canonical tables are written directly: what publish and correct start from.

Belongs here: the document, the hands of a run in a folder, and putting a state into the tables.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from sor_pipeline.engine.duckdb import DuckDBEngine
from sor_pipeline.ownership.document import Ownership, system_of
from sor_pipeline.run import Run
from sor_pipeline.settings import Settings
from sor_pipeline.tables import SCHEMAS, Tables

DAY_ONE = datetime(2026, 3, 1, 6)
DOCUMENT: dict[str, Any] = {
    "systems": {"crm": {}, "mail": {"role": "engagement"}, "bill": {}},
    "entities": {
        "account": {"owner": "crm", "fields": {"title": {"type": "name"}}},
        "contact": {
            "owner": "crm",
            "title": "person that we know",
            "fields": {
                "email": {"type": "email", "personal": True},
                "name": {"type": "name"},
                "opted_in": {"type": "boolean", "owner": "mail"},
                "stage": {"type": "choice", "of": ["lead", "customer", "lost"]},
                "mrr": {"type": "decimal", "owner": "bill", "tolerance": 0.01},
                "born": {"type": "date"},
                "seen": {"type": "timestamp", "fallback": ["mail"]},
                "account": {"type": "ref", "to": "account"},
            },
        },
    },
    "sources": {
        "crm.accounts": {"entity": "account", "extract": {"files": "a.csv"}, "key": "id", "fields": {"title": "title"}},
        "mail.companies": {"entity": "account", "extract": {"files": "c.csv"}, "key": "id", "fields": {"title": "t"}},
        "crm.contacts": {
            "entity": "contact",
            "extract": {"files": "crm*.csv"},
            "key": "id",
            "fields": {
                "email": "Email", "name": "Name", "stage": "Stage", "born": "Born", "seen": "Seen", "account": "Firm",
                "opted_in": {"from": "OptIn", "true_texts": ["Y"], "false_texts": ["N"]},
                "mrr": {"from": "Cents", "scale_by": "0.01"},
            },
            "accepts": ["opted_in", "mrr", "email"],
        },
        "mail.members": {
            "entity": "contact",
            "extract": {"files": "mail*.csv"},
            "key": "id",
            "fields": {
                "email": "Email Address", "name": "NAME", "opted_in": "subscribed",
                "stage": {"from": "Tag", "codes": {"L": "lead", "C": "customer"}},
                "born": {"from": "Birthday", "format": "%d.%m.%Y"},
                "seen": {"from": "Last seen", "format": "%m/%d/%Y %I:%M:%S %p %z"},
                "account": {"from": "Company", "refers_to": "mail.companies"},
                "mrr": {"from": "MRR", "decimal_mark": ","},
            },
            "accepts": ["email", "name", "stage", "born", "seen", "account", "mrr", "opted_in"],
        },
    },
}  # fmt: skip


@dataclass(frozen=True)
class Cell:
    value: Any = None
    system: str | None = None
    key: str | None = None
    rule: str | None = None
    since: datetime | None = None

    @property
    def compare(self) -> Any:
        return self.value.casefold() if isinstance(self.value, str) else self.value


@dataclass(frozen=True)
class State:
    """Canonical rows (entity, id) -> field -> cell; records (source, key) -> (id, alive); the rest as in the tables."""

    rows: dict[tuple[str, str], dict[str, Cell]] = field(default_factory=dict)
    records: dict[tuple[str, str], tuple[str, bool]] = field(default_factory=dict)
    conflicts: dict[tuple[str, str, str, str, str], str] = field(default_factory=dict)
    held: frozenset[tuple[str, str, str]] = frozenset()


def document(**changes: Any) -> Ownership:
    return Ownership.model_validate({**DOCUMENT, **changes})


def hands(folder: Path, ownership: Ownership | None = None) -> Run:
    """A run in `folder`, its tables there; `now` is the first day."""
    folder.mkdir(parents=True, exist_ok=True)
    ownership = ownership or document()
    tables = Tables(ownership)
    engine = DuckDBEngine(folder / "warehouse.duckdb")
    engine.create(tables.metadata, SCHEMAS)
    settings = Settings(folder / "o.yaml", folder, f"duckdb:///{folder / 'warehouse.duckdb'}", folder)
    return Run(ownership, engine, tables, settings, DAY_ONE)


def copied(template: Run, folder: Path) -> Run:
    """A run on a copy of another's state folder."""
    shutil.copytree(template.settings.home, folder, dirs_exist_ok=True)
    return hands_again(template, folder)


def hands_again(run: Run, folder: Path) -> Run:
    settings = Settings(folder / "o.yaml", folder, f"duckdb:///{folder / 'warehouse.duckdb'}", folder)
    return replace(run, engine=DuckDBEngine(folder / "warehouse.duckdb"), settings=settings)


def on_day(run: Run, day: int) -> Run:
    return replace(run, now=DAY_ONE + timedelta(days=day))


def fill(connection: sa.Connection, table: sa.Table, rows: Iterable[dict[str, Any]]) -> None:
    listed = list(rows)
    connection.execute(sa.delete(table))
    if listed:
        names = list(dict.fromkeys(name for row in listed for name in row))
        connection.execute(sa.insert(table), [{name: row.get(name) for name in names} for row in listed])


def put(run: Run, state: State, affected: Iterable[tuple[str, str]], cause: str = "claim") -> None:
    """Make the working tables say `state`; `affected` are (entity, id)."""
    tables, fields = run.tables, {name: spec.fields for name, spec in run.ownership.entities.items()}
    with run.engine.begin() as connection:
        pending = run.pending(connection)
        for entity, table in tables.canonical.items():
            fill(
                connection,
                table,
                (
                    {"entity_id": i, "_publication": pending, **_columns(cells, fields[entity])}
                    for (kind, i), cells in state.rows.items()
                    if kind == entity
                ),
            )
            own = {key: value for key, value in state.records.items() if run.ownership.sources[key[0]].entity == entity}
            fill(
                connection,
                tables.identity[entity],
                (
                    {"source": s, "source_key": k, "entity_id": i, "_publication": pending}
                    for (s, k), (i, _) in own.items()
                ),
            )
        for source, table in tables.staged.items():
            fill(
                connection,
                table,
                (
                    {"_key": k, "_deleted_at": None if alive else run.now, "_publication": pending}
                    for (s, k), (_, alive) in state.records.items()
                    if s == source
                ),
            )
        fill(
            connection,
            tables.open_conflict,
            (
                {
                    "entity": e, "entity_id": i, "field": f, "source": s, "source_key": k, "kind": "differs",
                    "system": system_of(s), "owner": "crm", "claimed": claimed, "canonical": "x",
                }
                for (e, i, f, s, k), claimed in state.conflicts.items()
            ),
        )  # fmt: skip
        fill(
            connection,
            tables.held,
            ({"entity": e, "entity_id": i, "field": f, "expectation": f"{f}.x"} for e, i, f in sorted(state.held)),
        )
        fill(
            connection,
            tables.affected,
            ({"entity": e, "entity_id": i, "cause": cause} for e, i in sorted(set(affected))),
        )


def _columns(cells: dict[str, Cell], fields: dict[str, Any]) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    for name, spec in fields.items():
        cell = cells.get(name, Cell())
        columns[name] = cell.value
        if spec.kind.folds:
            columns[f"{name}__cmp"] = cell.compare
        columns |= {f"{name}__system": cell.system, f"{name}__key": cell.key, f"{name}__rule": cell.rule}
        columns |= {f"{name}__source": f"{cell.system}.x" if cell.system else None, f"{name}__since": cell.since}
    return columns


def rows_of(run: Run, table: sa.Table) -> list[dict[str, Any]]:
    """All rows, in a fixed order."""
    return several(run, table)[0]


def several(run: Run, *tables: sa.Table) -> list[list[dict[str, Any]]]:
    """All rows of each table, in a fixed order, in one transaction."""
    with run.engine.begin() as connection:
        every = [connection.execute(sa.select(table)).fetchall() for table in tables]
    return [sorted((dict(row._mapping) for row in rows), key=str) for rows in every]


def everything(run: Run, *schemas: str) -> dict[str, list[dict[str, Any]]]:
    tables = [table for table in run.tables.metadata.sorted_tables if table.schema in schemas]
    return dict(zip((table.fullname for table in tables), several(run, *tables), strict=True))


def cell(value: Any, system: str = "crm", key: str = "1", rule: str = "owner", day: int = 0) -> Cell:
    return Cell(value, system, key, rule, DAY_ONE + timedelta(days=day))
