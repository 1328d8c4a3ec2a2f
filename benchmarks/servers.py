"""Where a benchmark's warehouse is: the state folder's file, a server that is named, or one that is started.

Belongs here: getting one, a copy of it, what its processes have used, and a plain COPY. Does not: measuring a run
(`whole_run`).
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa
from pyarrow import csv

sys.path.append(str(Path(__file__).parents[1]))
from sor_pipeline_tests.postgres_server import OwnServer, PostgresServer, found

DURABLE = {
    "fsync": "on", "full_page_writes": "on", "shared_buffers": "512MB", "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
}  # fmt: skip
"""As a server that is meant: what is committed is on the disk."""
_BLOCK = 1 << 20


@contextmanager
def warehouse(engine: str, url: str = "") -> Iterator[str]:
    """A warehouse's URL for `Settings`; empty: the file in the state folder."""
    if engine == "duckdb" or url:
        yield url
        return
    server = OwnServer(found(os.environ)[0], DURABLE)
    try:
        with server.database() as fresh:
            yield fresh
    finally:
        server.stop()


@contextmanager
def copied(url: str) -> Iterator[str]:
    """A copy of the database, which nobody uses meanwhile; its user must be allowed to make one."""
    with PostgresServer(url).database(template=url) as copy:
        yield copy


def server_cpu(url: str) -> float:
    """Processor seconds of a server on this machine so far: its first process, those alive, and those that ended."""
    data = _told(url, "SHOW data_directory")
    try:
        first = int((Path(data) / "postmaster.pid").read_text().split()[0])
        ticks = 0
        for stat in Path("/proc").glob("[0-9]*/stat"):
            fields = stat.read_text().rsplit(")", 1)[1].split()
            if first in (int(stat.parent.name), int(fields[1])):
                ticks += sum(int(one) for one in fields[11:15])
    except (OSError, ValueError):
        return 0.0
    return ticks / os.sysconf("SC_CLK_TCK")


def _told(url: str, statement: str) -> str:
    plain = sa.make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(plain) as connection:
        return str(connection.execute(statement.encode()).fetchone()[0])  # type: ignore[index]


def plain_copy(connection: sa.Connection, files: list[Path]) -> tuple[int, float]:
    """Rows and seconds of a plain COPY of these files' rows, written as CSV before, into a temporary table."""
    data = pa.concat_tables([pq.read_table(file) for file in files], promote_options="permissive")
    written = BytesIO()
    csv.write_csv(data, written, csv.WriteOptions(include_header=False))
    view = written.getbuffer()
    columns = ", ".join(f'"{name}" text' for name in data.column_names)
    connection.exec_driver_sql(f"CREATE TEMPORARY TABLE plainly ({columns}) ON COMMIT DROP")
    driver = connection.connection.driver_connection
    began = time.perf_counter()
    with driver.cursor() as cursor, cursor.copy("COPY pg_temp.plainly FROM STDIN (FORMAT csv)") as copy:  # type: ignore[union-attr]
        for start in range(0, len(view), _BLOCK):
            copy.write(view[start : start + _BLOCK])
    return data.num_rows, time.perf_counter() - began
