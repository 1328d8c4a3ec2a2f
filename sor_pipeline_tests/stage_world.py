"""A source whose batches are landed by hand: what staging starts from.

Belongs here: writing landing files in the form that extract gives them, running stage, reading back.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

from sor_pipeline.engine.duckdb import DuckDBEngine
from sor_pipeline.ownership.document import Ownership
from sor_pipeline.run import Outcome, Run
from sor_pipeline.settings import Settings
from sor_pipeline.stage.step import run as stage
from sor_pipeline.tables import SCHEMAS, Tables

SOURCE = "crm.contacts"
DAY_ONE = datetime(2026, 3, 1, 6)
FIELDS: dict[str, Any] = {
    "name": {"type": "name"},
    "email": {"type": "email", "personal": True},
    "note": {"type": "text", "blank": "ignored"},
    "mrr": {"type": "decimal"},
}


def day(number: int) -> datetime:
    return DAY_ONE + timedelta(days=number - 1)


def document(
    mode: str = "snapshot",
    *,
    fields: Mapping[str, Any] = FIELDS,
    mapping: Mapping[str, Any] | None = None,
    extract: Mapping[str, Any] | None = None,
    **source: Any,
) -> Ownership:
    """One system, one entity `contact`, one source that maps every field to the column of its name."""
    spec = {
        "entity": "contact",
        "key": "id",
        "extract": {"files": "contacts*.csv", "mode": mode, **(extract or {})},
        "fields": {name: name for name in fields} if mapping is None else mapping,
        **source,
    }
    match = [{"linked": {f"{SOURCE}.boss": SOURCE}}] if source.get("accepts") else []
    return Ownership.model_validate(
        {
            "systems": {"crm": {}},
            "entities": {"contact": {"owner": "crm", "fields": fields, "match": match}},
            "sources": {SOURCE: spec},
        }
    )


class World:
    """A warehouse in a folder and the batches that landed in it."""

    def __init__(self, home: Path, ownership: Ownership) -> None:
        self.home = home
        self.engine = DuckDBEngine(home / "warehouse.duckdb", [home])
        self.now = day(30)
        self.use(ownership)

    def use(self, ownership: Ownership) -> None:
        self.tables = Tables(ownership)
        settings = Settings(self.home / "ownership.yaml", self.home, "", self.home)
        self.run = Run(ownership, self.engine, self.tables, settings, self.now)
        self.engine.create(self.tables.metadata, SCHEMAS)

    def land(
        self,
        as_of: datetime | int,
        rows: Sequence[Mapping[str, str | None]],
        *,
        columns: Sequence[str] | None = None,
        tag: str = "0",
        bad: Sequence[str] = (),
    ) -> str:
        """Land rows of text as one batch; `bad` are raw rows that could not be read, numbered after the others."""
        at = day(as_of) if isinstance(as_of, int) else as_of
        names = list(columns if columns is not None else dict.fromkeys(name for row in rows for name in row))
        batch = f"{at:%Y%m%dT%H%M%S}-{tag:0>12}"
        folder = self.home / "landing" / SOURCE
        folder.mkdir(parents=True, exist_ok=True)
        data = {"_row": pa.array(range(1, len(rows) + 1), pa.int64())}
        data |= {name: pa.array([row.get(name) for row in rows], pa.string()) for name in names}
        pq.write_table(pa.table(data), folder / f"{batch}.parquet")
        if bad:
            numbers = range(len(rows) + 1, len(rows) + len(bad) + 1)
            rejects = {"_row": pa.array(numbers, pa.int64()), "raw": list(bad), "reason": ["ragged-row"] * len(bad)}
            pq.write_table(pa.table(rejects), folder / f"{batch}.rejects.parquet")
        values = {
            "source": SOURCE,
            "batch": batch,
            "as_of": at,
            "columns": json.dumps(names),
            "rows": len(rows),
            "bad_rows": len(bad),
        }
        with self.engine.begin() as connection:
            connection.execute(sa.insert(self.tables.batch).values(values))
        return batch

    def stage(self) -> Outcome:
        return stage(self.run, SOURCE)

    def rows(self, table: sa.Table | None = None) -> list[dict[str, Any]]:
        """All rows, in the order of their first columns."""
        chosen = self.tables.staged[SOURCE] if table is None else table
        with self.engine.begin() as connection:
            found = [dict(row) for row in connection.execute(sa.select(chosen)).mappings()]
        return sorted(found, key=lambda row: tuple(str(row[name]) for name in list(row)[:4]))

    def record(self, key: str) -> dict[str, Any]:
        return next(row for row in self.rows() if row["_key"] == key)

    def account(self, batch: str) -> tuple[int, ...]:
        """read, new, unchanged, superseded, duplicate, rejected, deleted."""
        row = next(row for row in self.rows(self.tables.account) if row["batch"] == batch)
        return tuple(
            row[part] for part in ("read", "new", "unchanged", "superseded", "duplicate", "rejected", "deleted")
        )

    def publish(self) -> None:
        """Pretend that everything pending went out."""
        with self.engine.begin() as connection:
            number = self.run.pending(connection)
            connection.execute(sa.insert(self.tables.publication).values(publication=number))

    def accept(self, subject: str) -> None:
        with self.engine.begin() as connection:
            connection.execute(sa.insert(self.tables.acceptance).values(subject=subject, by="pat"))

    def reset(self) -> None:
        """As if nothing had ever landed."""
        shutil.rmtree(self.home / "landing", ignore_errors=True)
        tables = self.tables
        emptied = (
            tables.batch,
            tables.account,
            tables.reject,
            tables.source_state,
            tables.publication,
            tables.staged[SOURCE],
        )
        with self.engine.begin() as connection:
            for table in emptied:
                connection.execute(sa.delete(table))
