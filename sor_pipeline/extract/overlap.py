"""Rows that a cursor reads again: which of them say nothing new.

Belongs here: comparing what is read with what was landed, key by key. Does not: where a cursor begins (`positions`),
what a row means (`stage`).

A row is left out if the newest landed row of its key has the same content. What a loader adds to a row (`aside`) is no
content, so a re-sync of the same rows is no news. Only batches that may hold a row behind the cursor's bound are
looked at, and those after them; rows without a value of the cursor are compared from the first batch that has such.
What is not found there is landed once more, and is then `unchanged` at stage.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl
import pyarrow.compute as pc

from sor_pipeline.extract.deliveries import Delivery
from sor_pipeline.extract.landing import Batch
from sor_pipeline.extract.positions import Position, UnusableCursor
from sor_pipeline.extract.readers import ROW, Chunk
from sor_pipeline.ownership.loaders import BOOKKEEPING
from sor_pipeline.ownership.source import Source

_ORDER, _KEY, _ONE, _TWO = "sor:batch", "sor:key", "sor:one", "sor:two"


class Overlap:
    """What one read of a table leaves out.

    `batches` of the source in their order; `file` gives where a batch lies; `bound`: from where on rows are read,
    None where the table is read from its beginning. Chunks come sorted by key.
    """

    def __init__(
        self, spec: Source, batches: Sequence[Batch], file: Callable[[Batch], Path], bound: Position | None
    ) -> None:
        self._spec, self._batches, self._file, self._bound = spec, batches, file, bound
        self._aside = aside_of(spec)
        self._open_key: int | None = None

    def news(self, chunk: Chunk) -> Chunk:
        """The chunk without the rows that were landed already, as they are.

        Rows of a key that has several are kept together: which of them counts is for stage to say.
        """
        landed = self._landed_batches(chunk)
        if not landed or not chunk.rows.num_rows or not set(self._spec.key) <= set(chunk.columns):
            return chunk
        content = [name for name in chunk.columns if name not in self._aside]
        read = self._formed(pl.DataFrame(chunk.rows).lazy(), content).collect()
        scans = [self._scan(batch, number, content, read) for number, batch in enumerate(landed)]
        newest = pl.concat(scans).sort(_ORDER, ROW).unique(_KEY, keep="last", maintain_order=True).collect()
        known = read.join(newest, on=[_KEY, _ONE, _TWO], how="semi")
        several = pl.col(_KEY).is_duplicated() | pl.col(_KEY).eq_missing(pl.lit(self._open_key, pl.UInt64))
        again = read.filter(~several & pl.col(ROW).is_in(known[ROW].implode()))
        self._open_key = read[_KEY][-1]
        left_out = pc.is_in(chunk.rows[ROW], value_set=again[ROW].to_arrow())
        return replace(chunk, rows=chunk.rows.filter(pc.invert(left_out)))

    def unplaced(self, chunk: Chunk) -> int:
        """Rows without a value of the cursor."""
        cursor = self._spec.extract.cursor
        return int(chunk.rows[cursor].null_count) if cursor in chunk.columns else 0

    def _landed_batches(self, chunk: Chunk) -> list[Batch]:
        unplaced = self.unplaced(chunk) > 0
        reaching = (self._reaches(batch) or (unplaced and batch.unplaced > 0) for batch in self._batches)
        first = next((number for number, reaches in enumerate(reaching) if reaches), len(self._batches))
        return [batch for batch in self._batches[first:] if batch.rows]

    def _reaches(self, batch: Batch) -> bool:
        """Whether the batch may hold rows at the bound or behind it."""
        place = Position.read(batch.position) if batch.position else None
        if self._bound is None or place is None or place.kind != self._bound.kind:
            return self._bound is None
        return bool(place.value >= self._bound.value)

    def _scan(self, batch: Batch, number: int, content: list[str], read: pl.DataFrame) -> pl.LazyFrame:
        """Rows of the batch whose keys are read now; columns that it lacks are null, columns that are gone count."""
        file = self._file(batch)
        gone = [name for name in batch.columns if name not in content and name not in self._aside]
        scan = pl.scan_parquet(file, glob=False)
        first = self._spec.key[0]
        if first in batch.columns:
            scan = scan.filter(pl.col(first).is_in(read[first].unique().implode()))
        absent = [pl.lit(None, pl.String).alias(name) for name in content if name not in batch.columns]
        formed = self._formed(scan.with_columns(absent), content).with_columns(pl.lit(number).alias(_ORDER))
        if gone:
            filled = pl.any_horizontal(pl.col(name).is_not_null() for name in gone)
            formed = formed.with_columns(pl.when(filled).then(pl.lit(None)).otherwise(pl.col(_ONE)).alias(_ONE))
        return formed.select(_ORDER, ROW, _KEY, _ONE, _TWO)

    def _formed(self, rows: pl.LazyFrame, content: list[str]) -> pl.LazyFrame:
        """With the key in one column, and two digests of the content."""
        whole = pl.struct(content)
        return rows.with_columns(
            pl.struct(self._spec.key).hash(seed=1).alias(_KEY),
            whole.hash(seed=2).alias(_ONE),
            whole.hash(seed=3).alias(_TWO),
        )


def overlap_of(
    spec: Source, delivery: Delivery, batches: Sequence[Batch], file: Callable[[Batch], Path]
) -> Overlap | None:
    """For a delivery that is read by cursor; None for all others."""
    if delivery.path is not None or not spec.extract.cursor:
        return None
    try:
        bound = Position.read(delivery.since).back(spec.extract.overlap) if delivery.since else None
    except UnusableCursor:  # the reader refuses it, by name
        bound = None
    return Overlap(spec, batches, file, bound)


def aside_of(spec: Source) -> frozenset[str]:
    """Columns of loaders that nothing of the document reads as content."""
    read = {*spec.key, *spec.only, *spec.extract.deleted}
    read |= {column for mapping in spec.fields.values() for column in mapping.columns}
    return frozenset(BOOKKEEPING - read)
