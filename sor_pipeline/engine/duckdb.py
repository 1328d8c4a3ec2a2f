"""The embedded engine: one private DuckDB file, opened per transaction.

Belongs here: DuckDB's driver, settings and tricks. A file has one writing process and any other
open connection blocks it, so nothing is kept open between steps, and what people read is another
file (`export`).
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa
from packaging.version import Version
from sqlalchemy.engine import Dialect

from sor_pipeline.engine import quoting, shape
from sor_pipeline.engine.base import Rows, Stale, Union
from sor_pipeline.engine.duckdb_file import BUILDING, born, refused, speaking
from sor_pipeline.engine.duckdb_shape import DuckDBForm
from sor_pipeline.engine.files import put_in_place
from sor_pipeline.errors import EngineError, Fault

OLDEST = "1.5.6"
"""Older releases lose committed rows on a full disk (1.4) or can corrupt strings (1.5.1)."""
_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}
_NO_PACKING, _PACKING = "0", "100"
"""A checkpoint may merge row groups that lost rows, which writes up to four whole ones for a few new rows."""


class DuckDBEngine:
    """The warehouse in one file; `readable` are the folders that it may touch besides its own."""

    name = "duckdb"
    served = False

    def __init__(self, path: Path, readable: Sequence[Path] = (), wait: float = 60.0) -> None:
        if Version(duckdb.__version__) < Version(OLDEST):
            raise EngineError(
                Fault(
                    "duckdb-too-old",
                    "",
                    "this DuckDB can lose data",
                    duckdb.__version__,
                    f">= {OLDEST}",
                    "upgrade duckdb",
                )
            )
        self.path = path
        self._wait = wait
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._folders = [str(folder) for folder in (path.parent, *readable)]
        self._engine = sa.create_engine(
            f"duckdb:///{path}",
            poolclass=sa.pool.NullPool,
            connect_args={"config": {**_CONFIG, "preserve_insertion_order": "false", "max_vacuum_tasks": _NO_PACKING}},
        )
        self._dialect: Dialect = self._engine.dialect
        self._form = DuckDBForm(self._dialect)

    @contextmanager
    def begin(self) -> Iterator[sa.Connection]:
        """One transaction on a connection of its own, confined to the folders that were named."""
        connection = self._connect()
        try:
            with speaking(self.path), connection.begin():
                yield connection
        finally:
            connection.close()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Opening the file costs 15 ms and closing it a checkpoint; while it is held, neither is paid again."""
        connection = self._connect()
        try:
            yield
        finally:
            connection.close()

    @contextmanager
    def alone(self, lease: sa.Table, who: str, wait: float, part: str = "") -> Iterator[None]:  # noqa: ARG002
        """The state folder's own lock does that: a file has one writer."""
        yield

    @contextmanager
    def settling(self) -> Iterator[None]:
        """A file has one writer."""
        yield

    def clear(self, schemas: Sequence[str]) -> None:
        """The file goes with the state folder."""

    def pack(self, connection: sa.Connection) -> None:
        """From now on checkpoints merge row groups, until the file is closed."""
        connection.exec_driver_sql(quoting.setting("max_vacuum_tasks", _PACKING))

    @contextmanager
    def lend(self) -> Iterator[sa.Engine]:
        """All connections of the lent engine are one: DuckDB would refuse a second with other settings."""
        with self._connect() as connection:
            driver = connection.connection.dbapi_connection
            lent = sa.create_engine(
                self._engine.url,
                creator=lambda: driver,
                poolclass=sa.pool.StaticPool,
                isolation_level="AUTOCOMMIT",
                skip_autocommit_rollback=True,
            )
            yield lent

    def _connect(self) -> sa.Connection:
        """Waits for another process that holds the file, then says who holds it."""
        born(self.path)
        deadline = time.monotonic() + self._wait
        while True:
            try:
                connection = self._engine.connect()
                break
            except sa.exc.DBAPIError as error:
                if "lock" not in str(error.orig).lower() or time.monotonic() > deadline:
                    raise refused(self.path, error) from error
                time.sleep(0.2)
        confined = sa.select(sa.func.current_setting("enable_external_access"))
        if connection.execute(confined).scalar_one():
            connection.exec_driver_sql(quoting.setting("allowed_directories", quoting.text_list(self._folders)))
            connection.exec_driver_sql(quoting.setting("enable_external_access", "false"))
        connection.commit()
        return connection

    def create(self, metadata: sa.MetaData, schemas: Sequence[str], moment: shape.Moment = lambda _: "now") -> None:
        """Schemas, tables, columns as in `metadata`; a column whose type changed holds what reads as the new type."""
        with self.begin() as connection:
            shape.bring(self._form, connection, metadata, schemas, moment)

    def scan_parquet(self, connection: sa.Connection, files: Sequence[Path]) -> sa.FromClause:  # noqa: ARG002 (others load first)
        """A relation over Parquet files, united by name, with `_landed_file`."""
        columns = list(dict.fromkeys(name for file in files for name in pq.read_schema(file).names))
        paths: sa.ColumnClause[Any] = sa.literal_column(quoting.text_list([str(file) for file in files]))
        scan = sa.func.read_parquet(paths, sa.text("union_by_name = true"), sa.text("filename = '_landed_file'"))
        return scan.table_valued(*(sa.column(name, sa.Text) for name in [*columns, "_landed_file"]), name="landed")

    def scan_arrow(self, connection: sa.Connection, name: str, data: pa.Table) -> sa.FromClause:
        self._driver(connection).register(name, data)
        return sa.table(name, *(sa.column(column) for column in data.column_names))

    def materialise(self, connection: sa.Connection, name: str, select: Rows | Union) -> sa.Table:
        connection.exec_driver_sql(quoting.drop_temporary(self._dialect, name))
        create = sa.CreateTableAs(select, name, temporary=True)
        connection.execute(create)
        return create.table

    def fetch(self, connection: sa.Connection, select: sa.Executable) -> pa.Table:
        return connection.execute(select, execution_options={"duckdb_arrow": True}).arrow  # type: ignore[attr-defined]

    def replace(self, connection: sa.Connection, target: sa.Table, rows: sa.FromClause, on: Iterable[str]) -> int:
        """DELETE then INSERT: ten times as fast as MERGE here, and atomic in the transaction."""
        keys = list(on)
        same = sa.and_(*(target.c[key] == rows.c[key] for key in keys))
        connection.execute(sa.delete(target).where(sa.exists().where(same).correlate(target)))
        names = [column.name for column in target.columns if column.name in rows.c]
        insert = sa.insert(target).from_select(names, sa.select(*(rows.c[name] for name in names)))
        return connection.execute(insert).rowcount

    def export(self, tables: Sequence[sa.Table], target: Path, stale: Stale | None = None) -> None:
        """Build a new file beside `target`, verify it, put it in place by one rename.

        Readers that have the old file open keep it, whole; new readers see only the new one. With
        `stale` the new file starts as a copy of the old one, in which only those rows are replaced;
        if that does not come out whole, it is built anew.
        """
        try:
            with speaking(target):
                self._export(tables, target, stale)
        except (EngineError, sa.exc.DBAPIError):
            if stale is None:
                raise
            with speaking(target):
                self._export(tables, target, None)

    def _export(self, tables: Sequence[sa.Table], target: Path, stale: Stale | None) -> None:
        """The warehouse is held all the while: nobody else publishes, or clears away what is being built."""
        target.parent.mkdir(parents=True, exist_ok=True)
        connection = self._connect()
        try:
            for left_over in target.parent.glob(f"{BUILDING}*"):
                shutil.rmtree(left_over, ignore_errors=True)
            with tempfile.TemporaryDirectory(prefix=BUILDING, dir=target.parent) as folder:
                fresh = Path(folder) / target.name
                if stale is not None:
                    shutil.copyfile(target, fresh)
                with connection.begin():
                    whole = shape.kept(self._form, connection, tables)
                    connection.exec_driver_sql(quoting.attach(self._dialect, str(fresh), "fresh"))
                    if stale is None:
                        self._copy(connection, whole)
                    else:
                        self._renew(connection, whole[: len(tables)], stale)
                    self._verify(connection, whole)
                self._driver(connection).execute(quoting.detach(self._dialect, "fresh"))
                target.with_name(target.name + ".wal").unlink(missing_ok=True)
                put_in_place(fresh, target)
        finally:
            connection.close()

    def _renew(self, connection: sa.Connection, tables: Sequence[sa.Table], stale: Stale) -> None:
        for table in tables:
            copy = table.to_metadata(sa.MetaData(), schema="fresh.main")
            old, new = stale(copy), stale(table)
            if old is None or new is None:
                continue
            keys = [column for column in table.columns if column.info.get("key")]
            connection.execute(sa.delete(copy).where(old))
            rows = sa.select(table).where(new).order_by(*keys)
            connection.execute(sa.insert(copy).from_select([column.name for column in table.columns], rows))

    def exported(self, table: sa.Table, target: Path) -> pa.Table | None:
        """Attached to an instance of its own: one that has an older file of this name open would give that one."""
        if not target.exists():
            return None
        copy = table.to_metadata(sa.MetaData(), schema="published.main")
        keys = [column for column in copy.columns if column.info.get("key")]
        with duckdb.connect(config=_CONFIG) as reader:
            try:
                reader.execute(quoting.attach(self._dialect, str(target), "published", read_only=True))
                return reader.execute(
                    str(sa.select(copy).order_by(*keys).compile(dialect=self._dialect))
                ).to_arrow_table()
            except duckdb.Error:
                return None

    def _copy(self, connection: sa.Connection, tables: Sequence[sa.Table]) -> None:
        """In the file the tables stand in its default schema, so that `conformed.contact` is unambiguous.

        (A file `conformed.duckdb` is the catalogue `conformed`; a schema of that name inside it would clash.)
        """
        for table in tables:
            copy = table.to_metadata(sa.MetaData(), schema="fresh.main")
            connection.execute(sa.schema.CreateTable(copy))
            connection.exec_driver_sql(quoting.copy_rows(self._dialect, table, copy))
            connection.exec_driver_sql(quoting.comment(self._dialect, copy))
            for column in copy.columns:
                if column.comment:
                    connection.exec_driver_sql(quoting.comment(self._dialect, copy, column))

    def _verify(self, connection: sa.Connection, tables: Sequence[sa.Table]) -> None:
        for table in tables:
            copy = sa.table(table.name, schema="fresh.main")
            counts = [connection.execute(sa.select(sa.func.count()).select_from(t)).scalar_one() for t in (table, copy)]
            if counts[0] != counts[1]:
                raise EngineError(
                    Fault("export-differs", f"{table.schema}.{table.name}", "the published copy is not whole",
                          f"{counts[1]} rows", f"{counts[0]} rows", "check the disk, then run again")
                )  # fmt: skip

    def close(self) -> None:
        self._engine.dispose()

    def _driver(self, connection: sa.Connection) -> duckdb.DuckDBPyConnection:
        return connection.connection.driver_connection  # type: ignore[return-value]
