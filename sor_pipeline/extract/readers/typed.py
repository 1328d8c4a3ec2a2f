"""Deliveries that carry types (Parquet, and what databases and Excel give): every value as its plain text.

Belongs here: the one spelling of typed values as text (`text_of`) and the Parquet reader. Does not: reading text
as a type (`stage`).

Spelling: `12` for 12.0, `12.5`, `1.10` (decimals keep their scale), `true`, `2024-01-05`, `2024-01-05 12:00:00`
(with `Z` where a zone was given: the instant in UTC), bytes as the text they encode, nested values as compact JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import parquet

from sor_pipeline.extract import refusals
from sor_pipeline.extract.deliveries import Delivery
from sor_pipeline.extract.readers import ROW, Chunk, Reason, checked_header, rejects_of
from sor_pipeline.ownership.source import Extract

ROWS = 65_536
_EXACT = float(2**53)


class ParquetReader:
    fixed_header = True

    def read(self, delivery: Delivery, extract: Extract) -> Iterator[Chunk]:  # noqa: ARG002
        try:
            yield from self._read(delivery)
        except (pa.ArrowException, OSError) as error:
            reason = str(error).splitlines()[0] if isinstance(error, pa.ArrowInvalid) else type(error).__name__
            raise refusals.damaged(delivery.name, reason, "a whole Parquet file") from error

    def _read(self, delivery: Delivery) -> Iterator[Chunk]:
        with parquet.ParquetFile(delivery.file) as file:
            names = checked_header(delivery.name, file.schema_arrow.names)
            types = {field.name: str(field.type) for field in file.schema_arrow}
            yield replace(typed_chunk(file.schema_arrow.empty_table(), 1), types=types)
            seen = 0
            for batch in file.iter_batches(batch_size=ROWS):
                yield typed_chunk(pa.table(batch.columns, names=list(names)), seen + 1)
                seen += batch.num_rows
            if seen != file.metadata.num_rows:
                raise refusals.row_count_differs(delivery.name, seen, file.metadata.num_rows)


def typed_chunk(table: pa.Table, first: int) -> Chunk:
    """A table of any types as a chunk whose first row is number `first`. Rejects rows with NUL or undecodable bytes."""
    texts: dict[str, pa.Array] = {}
    bad: dict[int, Reason] = {}
    for name in table.column_names:
        column = table[name].combine_chunks()
        texts[name], undecodable = _decoded(column) if _holds_bytes(column.type) else (text_of(column), [])
        bad |= dict.fromkeys(undecodable, Reason.undecodable)
        bad |= dict.fromkeys(pc.indices_nonzero(pc.match_substring(texts[name], "\0")).to_pylist(), Reason.nul_byte)
    rows = pa.table(texts).append_column(ROW, pa.array(range(first, first + table.num_rows), pa.int64()))
    places = sorted(bad)
    lost = table.take(pa.array(places, pa.int64())).to_pylist()
    raws = [json.dumps(row, ensure_ascii=False, default=repr) for row in lost]
    if bad:
        rows = rows.take(pa.array([row for row in range(table.num_rows) if row not in bad], pa.int64()))
    return Chunk(rows, rejects_of([first + place for place in places], raws, [bad[place] for place in places]))


def text_of(column: pa.Array) -> pa.Array:
    """The values as text, null where they are null."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return text_of(column.dictionary_decode())
    if pa.types.is_nested(kind):
        return _json(column)
    if pa.types.is_floating(kind):
        return _floats(column)
    if pa.types.is_decimal128(kind):
        return pl.from_arrow(column).cast(pl.String).to_arrow().cast(pa.string())
    if pa.types.is_timestamp(kind) or pa.types.is_time(kind):
        if getattr(kind, "tz", None):
            column = column.cast(pa.timestamp(kind.unit, "UTC"))
        return pc.replace_substring_regex(column.cast(pa.string()), r"\.0+(Z?)$", r"\1")
    return column.cast(pa.string())


def _holds_bytes(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind))


def _decoded(column: pa.Array) -> tuple[pa.Array, list[int]]:
    """The bytes as text, and the rows whose bytes are none; one by one only where some are not."""
    try:
        return column.cast(pa.binary()).cast(pa.string()), []
    except pa.ArrowInvalid:
        texts: list[str | None] = [_text(value) for value in column.to_pylist()]
        lost = [row for row, text in enumerate(texts) if text is None and column[row].is_valid]
        return pa.array(texts, pa.string()), lost


def _text(value: bytes | None) -> str | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return None


def _floats(column: pa.Array) -> pa.Array:
    """Whole numbers without `.0`: many tools store whole numbers as floats."""
    wide = column.cast(pa.float64())
    whole = pc.fill_null(pc.and_(pc.equal(pc.floor(wide), wide), pc.less(pc.abs(wide), _EXACT)), False)
    integers = pc.if_else(whole, wide, None).cast(pa.int64()).cast(pa.string())
    texts = pl.from_arrow(column).cast(pl.String).to_arrow().cast(pa.string())
    return pc.if_else(whole, integers, texts)


def _json(column: pa.Array) -> pa.Array:
    """Compact JSON, keys in their order."""
    wrapped = pl.DataFrame({"v": pl.from_arrow(column)}).select(pl.struct("v").struct.json_encode()).to_series()
    texts = wrapped.str.slice(5).str.head(-1).to_arrow().cast(pa.string())  # without {"v": and }
    return pc.if_else(column.is_null(), None, texts)
