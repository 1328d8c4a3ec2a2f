"""Selects over landed batches.

Belongs here: one relation over many files, the narrow select (which rows, which key, which content)
and the wide one (all mapped texts). Does not: what is done with them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from sor_pipeline.engine.base import Rows
from sor_pipeline.stage.cells import Cells
from sor_pipeline.stage.staging import Batch, Staging

ROW = ("_batch", "_as_of", "_row", "_key", "_digest")
"""Columns that name an arrived row, and its content."""
CHANGED = "_changed"
FLAGGED = "_flagged"
Columns = Callable[[Cells], list[sa.ColumnElement[Any]]]


def text_column(field: str) -> str:
    """Where the wide select keeps the text of a field."""
    return f"{field}__text"


def narrow(connection: sa.Connection, staging: Staging, batches: Sequence[Batch], name: str) -> sa.Subquery:
    """One row per landed row: `_batch, _as_of, _row, _key, _digest, _reason` (null where it is a record)."""

    def columns(cells: Cells) -> list[sa.ColumnElement[Any]]:
        return [cells.key().label("_key"), cells.digest().label("_digest"), cells.rejection().label("_reason")]

    return _union(connection, staging, batches, columns, name)


def presences(connection: sa.Connection, staging: Staging, batches: Sequence[Batch], name: str) -> sa.Subquery:
    """One row per landed row: `_batch, _as_of, _row, _key, _reason`; reads no other column than the key's."""

    def columns(cells: Cells) -> list[sa.ColumnElement[Any]]:
        return [cells.key().label("_key"), cells.rejection().label("_reason")]

    return _union(connection, staging, batches, columns, name)


def timed(connection: sa.Connection, staging: Staging, batches: Sequence[Batch], name: str) -> sa.Subquery:
    """As `narrow`, with `_changed`: text of the time at which the row says that it changed (null: it does not say)."""

    def columns(cells: Cells) -> list[sa.ColumnElement[Any]]:
        changed = sa.func.nullif(cells.changed(), "") if cells.changed() is not None else _nothing()
        return [
            cells.key().label("_key"), cells.digest().label("_digest"), cells.rejection().label("_reason"), changed.label(CHANGED),
        ]  # fmt: skip

    return _union(connection, staging, batches, columns, name)


def wide(connection: sa.Connection, staging: Staging, batches: Sequence[Batch], name: str) -> sa.Subquery:
    """One row per landed row: `_batch, _row`, `_changed`, `_flagged`, links and `<field>__text`."""

    def columns(cells: Cells) -> list[sa.ColumnElement[Any]]:
        changed = cells.changed()
        found: list[sa.ColumnElement[Any]] = [
            (_nothing() if changed is None else changed).label(CHANGED),
            cells.flagged().label(FLAGGED),
        ]
        for column in staging.links:
            link = cells.link(column)
            found.append((_nothing() if link is None else link).label(f"_link__{column}"))
        for field, mapping in staging.mappings.items():
            text = cells.mapped(mapping)
            found.append((_nothing() if text is None else text).label(text_column(field)))
        return found

    return _union(connection, staging, batches, columns, name)


def _nothing() -> sa.ColumnElement[str]:
    return sa.cast(sa.null(), sa.Text)


def _union(
    connection: sa.Connection, staging: Staging, batches: Sequence[Batch], columns: Columns, name: str
) -> sa.Subquery:
    """One scan per set of columns: a cell means the same in every file of a scan."""
    by_shape: dict[frozenset[str], list[Batch]] = {}
    for batch in batches:
        by_shape.setdefault(staging.columns_of(batch), []).append(batch)
    selects = [
        _select(connection, staging, alike, shape, columns, f"{name}_{number}")
        for number, (shape, alike) in enumerate(by_shape.items())
    ]
    return (selects[0] if len(selects) == 1 else sa.union_all(*selects)).subquery(name)


def _select(
    connection: sa.Connection,
    staging: Staging,
    batches: list[Batch],
    shape: frozenset[str],
    columns: Columns,
    name: str,
) -> Rows:
    landed = staging.run.engine.scan_parquet(connection, [staging.file(batch) for batch in batches]).alias(
        f"{name}_landed"
    )
    named = staging.run.engine.scan_arrow(connection, f"{name}_batches", _names(staging, batches)).alias(
        f"{name}_named"
    )
    row = sa.type_coerce(landed.c["_row"], sa.BigInteger)
    return (
        sa.select(named.c["_batch"], named.c["_as_of"], row.label("_row"), *columns(Cells(staging, landed, shape)))
        .select_from(landed)
        .join(named, named.c["_file"] == landed.c["filename"])
    )


def _names(staging: Staging, batches: list[Batch]) -> pa.Table:
    return pa.table(
        {
            "_file": pa.array([str(staging.file(batch)) for batch in batches], pa.string()),
            "_batch": pa.array([batch.name for batch in batches], pa.string()),
            "_as_of": pa.array([batch.as_of for batch in batches], pa.timestamp("us")),
        }
    )
