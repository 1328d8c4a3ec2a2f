"""Landed files as rows for a server, which cannot read them where they lie.

Belongs here: uniting Parquet files of one shape, block by block. Does not: loading (`postgres_load`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

LANDED_FILE = "_landed_file"
_ROWS = 10_000


def shape_of(files: Sequence[Path]) -> pa.Schema:
    """The columns of all files by name, and `_landed_file`."""
    united = pa.unify_schemas([pq.read_schema(file) for file in files], promote_options="permissive")
    return united.remove_metadata().append(pa.field(LANDED_FILE, pa.string()))


def rows_of(files: Sequence[Path]) -> Iterator[pa.RecordBatch]:
    """Their rows in that shape."""
    schema = shape_of(files)
    for file in files:
        with pq.ParquetFile(file) as parquet:
            for batch in parquet.iter_batches(batch_size=_ROWS):
                yield _shaped(batch, schema, str(file))


def _shaped(batch: pa.RecordBatch, schema: pa.Schema, file: str) -> pa.RecordBatch:
    columns = dict(zip(batch.schema.names, batch.columns, strict=True))
    columns[LANDED_FILE] = pa.repeat(file, len(batch))
    arrays = [
        columns[field.name].cast(field.type) if field.name in columns else pa.nulls(len(batch), field.type)
        for field in schema
    ]
    return pa.record_batch(arrays, schema=schema)
