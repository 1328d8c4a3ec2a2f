"""A DuckDB file of tables as they were: made beside, put in place by one rename, for people to open.

Belongs here: making the file. Does not: what the tables hold (`observe`). It needs no warehouse of
this kind: rows come as Arrow.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

import duckdb
import pyarrow as pa
import sqlalchemy as sa
from duckdb_sqlalchemy import Dialect

from sor_pipeline.engine import quoting
from sor_pipeline.engine.duckdb_file import BUILDING, speaking
from sor_pipeline.engine.files import put_in_place


def write_snapshot(target: Path, tables: Iterable[tuple[sa.Table, pa.Table]]) -> None:
    """Each table, its comments and its rows (columns by name) in the default schema of the file `target`.

    Raises EngineError where the disk refuses; `target` is then what it was.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with speaking(target), tempfile.TemporaryDirectory(prefix=BUILDING, dir=target.parent) as folder:
        fresh = Path(folder) / target.name
        with duckdb.connect(str(fresh)) as connection:
            for table, rows in tables:
                _put(connection, table, rows)
        target.with_name(target.name + ".wal").unlink(missing_ok=True)
        put_in_place(fresh, target)


def _put(connection: duckdb.DuckDBPyConnection, table: sa.Table, rows: pa.Table) -> None:
    dialect = Dialect()
    copy = table.to_metadata(sa.MetaData(), schema="main")
    connection.execute(str(sa.schema.CreateTable(copy).compile(dialect=dialect)))
    connection.register("rows_of_table", rows)
    names = [column.name for column in copy.columns]
    given = sa.table("rows_of_table", *(sa.column(name) for name in names))
    insert = sa.insert(copy).from_select(names, sa.select(*(given.c[name] for name in names)))
    connection.execute(str(insert.compile(dialect=dialect)))
    connection.unregister("rows_of_table")
    connection.execute(quoting.comment(dialect, copy))
    for column in copy.columns:
        if column.comment:
            connection.execute(quoting.comment(dialect, copy, column))
