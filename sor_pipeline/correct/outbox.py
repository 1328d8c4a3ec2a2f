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
from sor_pipeline.engine.files import UNFINISHED, put_text
from sor_pipeline.ownership.document import system_of
from sor_pipeline.tables import Tables

COLUMNS = (
    "system", "source", "source_key", "column", "observed", "wanted", "field", "entity", "entity_id", "owner", "rule",
)  # fmt: skip
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
    for left_over in folder.glob(f".*-{source}.*{UNFINISHED}"):
        left_over.unlink()
    frame = pl.DataFrame(corrections)
    name = f"{publication}-{source}"
    put_text(folder / f"{name}.jsonl", frame.write_ndjson())
    shown = frame.with_columns(pl.col(pl.String).str.replace(_FORMULA, "'${1}")) if safe else frame
    put_text(folder / f"{name}.csv", shown.write_csv())
