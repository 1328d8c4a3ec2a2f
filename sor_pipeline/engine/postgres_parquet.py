"""Landed files as rows for a server, which cannot read them where they lie.

Belongs here: uniting Parquet files of one shape, block by block. Does not: loading (`postgres_load`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

LANDED_FILE = "_landed_file"
_NUMBER = "_landed_number"
"""Which of the files a row is of: a path with every row would double what is sent."""
_ROWS = 10_000


def shape_of(files: Sequence[Path]) -> pa.Schema:
    """The columns of all files by name, and the number of a row's file."""
    united = pa.unify_schemas([pq.read_schema(file) for file in files], promote_options="permissive")
    return united.remove_metadata().append(pa.field(_NUMBER, pa.int32()))


def rows_of(files: Sequence[Path]) -> Iterator[pa.RecordBatch]:
    """Their rows in that shape."""
    schema = shape_of(files)
    for number, file in enumerate(files):
        with pq.ParquetFile(file) as parquet:
            for batch in parquet.iter_batches(batch_size=_ROWS):
                yield _shaped(batch, schema, number)


def with_paths(loaded: sa.Table, files: Sequence[Path]) -> sa.FromClause:
    """The loaded rows with `_landed_file`, the path of each one's file."""
    named = [(number, str(file)) for number, file in enumerate(files)]
    paths = sa.values(sa.column("number", sa.Integer), sa.column("path", sa.Text), name="paths").data(named)
    columns = [column for column in loaded.columns if column.name != _NUMBER]
    beside = loaded.join(paths, paths.c.number == loaded.c[_NUMBER])
    return sa.select(*columns, paths.c.path.label(LANDED_FILE)).select_from(beside).subquery("landed")


def _shaped(batch: pa.RecordBatch, schema: pa.Schema, number: int) -> pa.RecordBatch:
    columns = dict(zip(batch.schema.names, batch.columns, strict=True))
    columns[_NUMBER] = pa.repeat(pa.scalar(number, pa.int32()), len(batch))
    arrays = [
        columns[field.name].cast(field.type) if field.name in columns else pa.nulls(len(batch), field.type)
        for field in schema
    ]
    return pa.record_batch(arrays, schema=schema)
