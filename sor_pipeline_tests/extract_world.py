"""A small company with one source, for tests of extract: files in, landed tables out."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

from sor_pipeline.engine.open import open_engine
from sor_pipeline.extract import run as extract
from sor_pipeline.ownership.document import Ownership
from sor_pipeline.run import Outcome, Run
from sor_pipeline.settings import Settings
from sor_pipeline.tables import SCHEMAS, Tables

SOURCE = "crm.contacts"
NOW = datetime(2024, 6, 1, 12)


def document(key: str | list[str] = "id", fields: dict[str, Any] | None = None, **extract: Any) -> Ownership:
    extract = extract or {"files": "*.csv"}
    source = {"entity": "contact", "extract": extract, "key": key, "fields": fields or {}}
    contact = {"owner": "crm", "fields": {"email": {"type": "email"}, "phone": {"type": "text"}}}
    return Ownership.model_validate(
        {"systems": {"crm": {}}, "entities": {"contact": contact}, "sources": {SOURCE: source}}
    )


@dataclass
class World:
    """`folder` holds the extracts; every `land` is one run."""

    folder: Path
    run: Run

    @classmethod
    def made(cls, path: Path, ownership: Ownership) -> World:
        settings = Settings.read({}, ownership=path / "in" / "ownership.yaml", home=path / "home")
        (path / "in").mkdir(parents=True, exist_ok=True)
        engine = open_engine(settings.warehouse_url, [settings.home, settings.extracts])
        tables = Tables(ownership)
        engine.create(tables.metadata, SCHEMAS)
        return cls(path / "in", Run(ownership, engine, tables, settings, NOW))

    def put(self, name: str, data: bytes | str, modified: datetime | None = None) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        if modified:
            os.utime(path, (modified.timestamp(), modified.timestamp()))
        return path

    def land(self, ownership: Ownership | None = None, **changes: Any) -> Outcome:
        run = replace(self.run, ownership=ownership or self.run.ownership, **changes)
        return extract(run, SOURCE)

    def rows(self, table: str) -> list[dict[str, Any]]:
        chosen = getattr(self.run.tables, table)
        with self.run.engine.begin() as connection:
            result = connection.execute(sa.select(chosen)).fetchall()
        return [dict(row._mapping) for row in result]

    def batches(self) -> list[dict[str, Any]]:
        return sorted(self.rows("batch"), key=lambda row: (row["as_of"], row["batch"]))

    @property
    def landing(self) -> Path:
        return self.run.settings.landing / SOURCE

    def table(self, batch: str | None = None) -> pa.Table:
        """The landed rows of a batch, or of the only one."""
        name = batch or self.batches()[-1]["batch"]
        return pq.read_table(self.landing / f"{name}.parquet")

    def rejects(self, batch: str | None = None) -> list[dict[str, Any]]:
        name = batch or self.batches()[-1]["batch"]
        path = self.landing / f"{name}.rejects.parquet"
        return pq.read_table(path).to_pylist() if path.exists() else []


def cells(table: pa.Table) -> list[list[str | None]]:
    """Rows without `_row`, in order."""
    columns = [table[name].to_pylist() for name in table.column_names if name != "_row"]
    return [list(row) for row in zip(*columns, strict=True)]


def codes(outcome: Outcome, *, warnings: bool = False) -> list[str]:
    return [fault.code for fault in outcome.faults if fault.warning == warnings]
