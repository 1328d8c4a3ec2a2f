"""The outbox: the open corrections of each target as files that its own tools can read.

Belongs here: `outbox/<system>/<publication>-<source>.jsonl` and `.csv`, same rows, same order.
Does not: deciding what is in them. Files of earlier publications are left as they are.
"""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pyarrow as pa
import sqlalchemy as sa

from sor_pipeline.correct.wanted import OPEN
from sor_pipeline.engine.base import Rows
from sor_pipeline.engine.files import put_in_place
from sor_pipeline.ownership.document import system_of
from sor_pipeline.tables import Tables

COLUMNS = (
    "system", "source", "source_key", "column", "observed", "wanted", "field", "entity", "entity_id", "owner", "rule",
)  # fmt: skip
_UNFINISHED = ".part"
_FORMULA = r"^([=+\-@\t\r])"
"""How a cell begins that a spreadsheet would calculate."""


def open_corrections(tables: Tables, source: str) -> Rows:
    """Grain: one open correction of the source, in the order of the files; columns `COLUMNS`."""
    table = tables.correction
    return (
        sa.select(*(table.c[name] for name in COLUMNS))
        .where(table.c.source == source, table.c.state.in_(OPEN))
        .order_by(table.c.source_key, table.c.field)
    )


def write(outbox: Path, source: str, publication: int, corrections: pa.Table, safe: bool = False) -> None:
    """Both files, each put in place whole; a file that says the same already is not touched.

    `safe`: in the CSV an apostrophe stands before cells that a spreadsheet would take for a formula.
    """
    folder = outbox / system_of(source)
    folder.mkdir(parents=True, exist_ok=True)
    for left_over in folder.glob(f".*-{source}.*{_UNFINISHED}"):
        left_over.unlink()
    frame = pl.DataFrame(corrections)
    name = f"{publication}-{source}"
    _put(folder / f"{name}.jsonl", frame.write_ndjson())
    shown = frame.with_columns(pl.col(pl.String).str.replace(_FORMULA, "'${1}")) if safe else frame
    _put(folder / f"{name}.csv", shown.write_csv())


def _put(path: Path, text: str) -> None:
    content = text.encode()
    if path.exists() and path.read_bytes() == content:
        return
    fresh = path.with_name(f".{path.name}{_UNFINISHED}")
    fresh.write_bytes(content)
    put_in_place(fresh, path)
