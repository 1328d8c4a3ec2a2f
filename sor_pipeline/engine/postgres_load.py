"""Rows in and out of the server, over Arrow, inside the caller's transaction.

Belongs here: COPY as CSV, which Arrow writes and reads in parallel, and the types on both sides. Does not: which rows.

An empty text is quoted and a null is not, on both sides, so the two stay apart.
"""

from __future__ import annotations

import io
import re
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from pyarrow import csv

from sor_pipeline.engine import postgres_quoting
from sor_pipeline.errors import EngineError, Fault

Driver = psycopg.Connection[tuple[Any, ...]]
_ROWS = 10_000
"""Rows written at once."""
_BLOCK, _LARGEST = 1 << 20, (1 << 31) - 1
"""Bytes that the CSV reader parses at a time, and the most that it can: a row must fit."""
_OUT: dict[int, pa.DataType] = {
    16: pa.bool_(), 20: pa.int64(), 21: pa.int16(), 23: pa.int32(), 700: pa.float32(), 701: pa.float64(),
    1082: pa.date32(), 1114: pa.timestamp("us"), 25: pa.string(), 1043: pa.string(),
}  # fmt: skip
_NUMERIC = 1700
_INTEGER = re.compile(r"-?\d+")


def column_type(kind: pa.DataType) -> sa.types.TypeEngine[Any]:
    """The server's type for an Arrow type."""
    if pa.types.is_boolean(kind):
        return sa.Boolean()
    if kind in (pa.int8(), pa.int16(), pa.uint8()):
        return sa.SmallInteger()
    if kind in (pa.int32(), pa.uint16()):
        return sa.Integer()
    if pa.types.is_unsigned_integer(kind) and kind.bit_width > 32:
        return sa.Numeric(20, 0)
    if pa.types.is_integer(kind):
        return sa.BigInteger()
    if pa.types.is_floating(kind):
        return sa.Double()
    if pa.types.is_decimal(kind):
        return sa.Numeric(kind.precision, kind.scale)
    if pa.types.is_date(kind):
        return sa.Date()
    if pa.types.is_timestamp(kind):
        return sa.DateTime()
    return sa.Text()


def copy_in(driver: Driver, statement: str, batches: Iterable[pa.RecordBatch], table: str) -> None:
    """Put the batches through a COPY. Raises EngineError for a text that a server cannot hold."""
    with (
        closing(_ahead(_written(batches, table))) as blocks,
        driver.cursor() as cursor,
        cursor.copy(statement.encode()) as copy,
    ):
        for block in blocks:
            copy.write(block)


def _written(batches: Iterable[pa.RecordBatch], table: str) -> Iterator[pa.Buffer]:
    options = csv.WriteOptions(include_header=False)
    for batch in batches:
        written = pa.BufferOutputStream()
        csv.write_csv(_plain(batch, table), written, options)
        yield written.getvalue()


def _ahead(blocks: Iterator[pa.Buffer]) -> Generator[pa.Buffer]:
    """The next block is made while the server takes this one."""
    with ThreadPoolExecutor(1) as beside:
        coming = beside.submit(next, blocks, None)
        while (block := coming.result()) is not None:
            coming = beside.submit(next, blocks, None)
            yield block


def batches_of(data: pa.Table) -> Iterable[pa.RecordBatch]:
    yield from data.to_batches(max_chunksize=_ROWS)


def _plain(batch: pa.RecordBatch, table: str) -> pa.RecordBatch:
    """Types that the CSV writer knows."""
    columns = []
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        plain = column.cast(pa.string()) if not _writable(column.type) else column
        if pa.types.is_string(plain.type) or pa.types.is_large_string(plain.type):
            _refuse_nul(plain, table, name)
        columns.append(plain)
    return pa.record_batch(columns, names=batch.schema.names)


def _writable(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_primitive(kind)
        or pa.types.is_decimal128(kind)
        or pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_null(kind)
    )


def _refuse_nul(column: pa.Array, table: str, name: str) -> None:
    """Looked for in the bytes: no other character's UTF-8 holds a zero."""
    data = column.buffers()[2]
    if data is not None and b"\0" in memoryview(data).tobytes() and pc.any(pc.match_substring(column, "\0")).as_py():
        raise EngineError(
            Fault("text-with-nul", f"{table}.{name}", "a text holds a NUL character; PostgreSQL has none",
                  "NUL", "text without it", "have it taken out where the text comes from")
        )  # fmt: skip


def copy_out(driver: Driver, select: str) -> pa.Table:
    """The rows of a select without parameters."""
    described = _described(driver, select)
    names, kinds = [name for name, _ in described], [kind for _, kind in described]
    written = io.BytesIO()
    with driver.cursor() as cursor, cursor.copy(postgres_quoting.copy_out(select).encode()) as copy:
        for block in copy:
            written.write(block)
    schema = pa.schema([(name, kind or pa.string()) for name, kind in zip(names, kinds, strict=True)])
    if not written.tell():
        empty = pa.schema([(name, kind or pa.int64()) for name, kind in zip(names, kinds, strict=True)])
        return empty.empty_table()
    table = _parsed(written.getbuffer(), schema)
    read = zip(table.columns, kinds, strict=True)
    whole = [_number(column) if kind is None else column for column, kind in read]
    return pa.table(whole, names=names)


def _parsed(data: memoryview, schema: pa.Schema) -> pa.Table:
    try:
        return _read(data, schema, _BLOCK)
    except pa.ArrowInvalid:  # a row longer than a block
        return _read(data, schema, min(len(data), _LARGEST))


def _read(data: memoryview, schema: pa.Schema, block: int) -> pa.Table:
    places = [str(number) for number in range(len(schema))]
    return csv.read_csv(
        pa.py_buffer(data),
        read_options=csv.ReadOptions(column_names=places, block_size=block),
        parse_options=csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=len(schema) > 1),
        convert_options=csv.ConvertOptions(
            column_types=dict(zip(places, schema.types, strict=True)), true_values=["t"], false_values=["f"],
            null_values=[""], strings_can_be_null=True, quoted_strings_can_be_null=False,
            timestamp_parsers=[csv.ISO8601],
        ),
    )  # fmt: skip


def _number(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """A numeric without a declared scale, such as a sum of integers: an integer where every value is one."""
    try:
        return texts.cast(pa.int64())
    except pa.ArrowInvalid:
        return texts.cast(pa.float64())


def _described(driver: Driver, select: str) -> list[tuple[str, pa.DataType | None]]:
    """Names and Arrow types of a select's columns, without running it; None for a number of no declared scale."""
    connection = driver.pgconn
    driver.execute("")  # begins the transaction
    prepared = connection.prepare(b"", select.encode())
    if prepared.status != psycopg.pq.ExecStatus.COMMAND_OK:
        raise psycopg.errors.error_from_result(prepared)
    described = connection.describe_prepared(b"")
    return [
        ((described.fname(place) or b"").decode(), _kind(described.ftype(place), described.fmod(place)))
        for place in range(described.nfields)
    ]


def _kind(oid: int, modifier: int) -> pa.DataType | None:
    if oid != _NUMERIC:
        return _OUT.get(oid, pa.string())
    if modifier < 0:
        return None
    precision, scale = ((modifier - 4) >> 16) & 0xFFFF, (modifier - 4) & 0xFFFF
    return pa.decimal128(precision, scale)
