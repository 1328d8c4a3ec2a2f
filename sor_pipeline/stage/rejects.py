"""Rows and cells that could not be taken, with the reason.

Belongs here: collecting refusals of cells, writing `staged.reject`, wording them as faults.
Does not: deciding that something is refused (`cells`, `readings`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import polars as pl
import sqlalchemy as sa

from sor_pipeline.errors import Fault
from sor_pipeline.stage.staging import Load, Staging
from sor_pipeline.tables import NO_FIELD

REFUSED = {
    "batch": pl.String,
    "row": pl.Int64,
    "field": pl.String,
    "source_key": pl.String,
    "column": pl.String,
    "raw": pl.String,
    "reason": pl.String,
}
_GRAIN = ["batch", "row", "field"]


@dataclass
class Refusals:
    """Refused cells of one load, as they are met."""

    frames: list[pl.DataFrame] = field(default_factory=list)

    def note(self, cells: pl.DataFrame) -> None:
        if not cells.is_empty():
            self.frames.append(cells.select(*REFUSED))

    def of(self, load: Load) -> pl.DataFrame:
        """One row per refused cell of the load's own batches, however often it was read."""
        frame = pl.concat(self.frames) if self.frames else pl.DataFrame(schema=REFUSED)
        return frame.filter(pl.col("batch").is_in(list(load.names))).unique(_GRAIN, maintain_order=True)


def save(connection: sa.Connection, staging: Staging, load: Load, arrived: sa.Table, refused: pl.DataFrame) -> None:
    """Replace what `staged.reject` holds of the load's batches."""
    table = staging.run.tables.reject
    pending = sa.literal(staging.run.pending(connection), sa.BigInteger)
    connection.execute(sa.delete(table).where(table.c.source == staging.source, table.c.batch.in_(load.names)))
    names = ["source", *REFUSED, "_publication"]
    source = sa.literal(staging.source)
    rows = _rejected_rows(staging, arrived)
    connection.execute(sa.insert(table).from_select(names, sa.select(source, *rows.c, pending)))
    for unread in _unread_rows(connection, staging, load):
        connection.execute(sa.insert(table).from_select(names, sa.select(source, *unread.c, pending)))
    if not refused.is_empty():
        cells = staging.run.engine.scan_arrow(connection, "stage_refused", refused.to_arrow())
        connection.execute(
            sa.insert(table).from_select(names, sa.select(source, *(cells.c[n] for n in REFUSED), pending))
        )


def _rejected_rows(staging: Staging, arrived: sa.Table) -> sa.Subquery:
    """One row per landed row that is no record."""
    columns = sa.literal(", ".join(staging.spec.key))
    return (
        sa.select(
            arrived.c["_batch"],
            arrived.c["_row"],
            sa.literal(NO_FIELD),
            sa.func.nullif(arrived.c["_key"], ""),
            columns,
            sa.cast(sa.null(), sa.Text),
            arrived.c["_reason"],
        )
        .where(arrived.c["_reason"].is_not(None))
        .subquery("stage_no_records")
    )


def _unread_rows(connection: sa.Connection, staging: Staging, load: Load) -> list[sa.Subquery]:
    """Per batch with rows that extract could not read, one row per such row."""
    found = []
    for batch in load.batches:
        path = staging.rejects_file(batch)
        if batch.bad_rows and path is not None:
            unread = staging.run.engine.scan_parquet(connection, [path])
            nothing = sa.cast(sa.null(), sa.Text)
            select = sa.select(
                sa.literal(batch.name),
                unread.c["_row"],
                sa.literal(NO_FIELD),
                nothing,
                nothing.label("c"),
                unread.c["raw"],
                unread.c["reason"],
            )
            found.append(select.subquery("stage_unread"))
    return found


def faults(staging: Staging, refused: pl.DataFrame) -> tuple[Fault, ...]:
    """One per field and reason, with how many and where to look; never a value."""
    groups = refused.group_by("field", "reason", maintain_order=True).agg(
        pl.len().alias("cells"), pl.col("batch").first(), pl.col("row").first(), pl.col("column").first()
    )
    return tuple(
        Fault(
            "cells-refused",
            f"{staging.source} {group['batch']}",
            f"{group['cells']} cells of {group['field']} were refused: {group['reason']}",
            found=f"for example row {group['row']}, column {group['column']}",
            todo="see staged.reject; the field keeps what the record said before",
            warning=True,
        )
        for group in groups.sort("field", "reason").to_dicts()
    )
