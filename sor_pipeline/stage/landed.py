"""Selects over landed batches.

Belongs here: one relation over many files, the narrow selects (which rows, which key, which content)
and the wide one (all mapped texts). Does not: what is done with them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pyarrow as pa
import sqlalchemy as sa

from sor_pipeline.engine.base import Expression, Rows
from sor_pipeline.stage.cells import Cells
from sor_pipeline.stage.staging import Batch, Staging
from sor_pipeline.tables import link_column

ROW = ("_batch", "_as_of", "_row", "_key", "_digest")
"""Columns that name an arrived row, and its content."""
CHANGED = "_changed"
FLAGGED = "_flagged"
Columns = Callable[[Cells], list[Expression]]


def text_column(field: str) -> str:
    """Where the wide select keeps the text of a field."""
    return f"{field}__text"


@dataclass(frozen=True)
class Landed:
    """The rows of some batches; with `places` (`_batch, _row`) only these, found without reading the others."""

    connection: sa.Connection
    staging: Staging
    batches: Sequence[Batch]
    places: sa.Table | None = None

    def arrivals(self) -> sa.Subquery:
        """One row per landed row: `ROW`, `_reason` (null where it is a record)."""
        return self._rows("arrivals", lambda cells: [_key(cells), _digest(cells), _reason(cells)])

    def presences(self) -> sa.Subquery:
        """One row per landed row: `_batch, _as_of, _row, _key, _reason`; reads few columns."""
        return self._rows("presences", lambda cells: [_key(cells), _reason(cells)])

    def history(self) -> sa.Subquery:
        """As `arrivals`, with `_changed`: what the row says of when it changed, null where it says nothing."""

        def columns(cells: Cells) -> list[Expression]:
            return [
                _key(cells),
                _digest(cells),
                _reason(cells),
                sa.func.nullif(_or_null(cells.changed()), "").label(CHANGED),
            ]

        return self._rows("history", columns)

    def texts(self) -> sa.Subquery:
        """One row per landed row: `_batch, _as_of, _row`, `_changed`, `_flagged`, links and `<field>__text`."""
        staging = self.staging

        def columns(cells: Cells) -> list[Expression]:
            links = [_or_null(cells.link(name)).label(link_column(name)) for name in staging.links]
            texts = [_or_null(cells.mapped(how)).label(text_column(field)) for field, how in staging.mappings.items()]
            return [_or_null(cells.changed()).label(CHANGED), cells.flagged().label(FLAGGED), *links, *texts]

        return self._rows("texts", columns)

    def _rows(self, name: str, columns: Columns) -> sa.Subquery:
        """One scan per set of columns: a cell means the same in every file of a scan."""
        by_shape: dict[frozenset[str], list[Batch]] = {}
        for batch in self.batches:
            by_shape.setdefault(self.staging.columns_of(batch), []).append(batch)
        selects = [
            self._scan(batches, shape, columns, f"stage_{name}_{number}")
            for number, (shape, batches) in enumerate(by_shape.items())
        ]
        return (selects[0] if len(selects) == 1 else sa.union_all(*selects)).subquery(f"stage_{name}")

    def _scan(self, batches: list[Batch], shape: frozenset[str], columns: Columns, name: str) -> Rows:
        staging, engine = self.staging, self.staging.run.engine
        landed = engine.scan_parquet(self.connection, [staging.file(batch) for batch in batches]).alias(f"{name}_rows")
        named = engine.scan_arrow(self.connection, f"{name}_files", _names(staging, batches)).alias(f"{name}_named")
        row = sa.type_coerce(landed.c["_row"], sa.BigInteger)
        if len(batches) == 1:
            as_of: Expression = sa.cast(sa.literal(batches[0].as_of.isoformat()), sa.DateTime)
            batch: Expression = sa.literal(batches[0].name)
            rows: sa.FromClause = landed
        else:
            as_of, batch = named.c["_as_of"], named.c["_batch"]
            rows = landed.join(named, named.c["_file"] == landed.c["_landed_file"])
        if self.places is not None:
            here = self.places.alias(f"{name}_places")
            rows = rows.join(here, sa.and_(here.c["_row"] == row, here.c["_batch"] == batch))
        shown = columns(Cells(staging, landed, shape))
        return sa.select(batch.label("_batch"), as_of.label("_as_of"), row.label("_row"), *shown).select_from(rows)


def _key(cells: Cells) -> Expression:
    return cells.key().label("_key")


def _digest(cells: Cells) -> Expression:
    return cells.digest().label("_digest")


def _reason(cells: Cells) -> Expression:
    return cells.rejection().label("_reason")


def _or_null(text: Expression | None) -> Expression:
    return sa.cast(sa.null(), sa.Text) if text is None else text


def _names(staging: Staging, batches: list[Batch]) -> pa.Table:
    return pa.table(
        {
            "_file": pa.array([str(staging.file(batch)) for batch in batches], pa.string()),
            "_batch": pa.array([batch.name for batch in batches], pa.string()),
            "_as_of": pa.array([batch.as_of for batch in batches], pa.timestamp("us")),
        }
    )
