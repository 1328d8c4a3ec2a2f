"""The warehouse on a PostgreSQL server (15 or newer).

Belongs here: the driver, sessions, transactions. Does not: the tables' shape (`postgres_shape`), rows in and out
(`postgres_load`), who may work (`postgres_lock`), what is said when it fails (`postgres_errors`).

What is published is read in place: `replace` is one MERGE of the rows that differ, so readers never wait for a
publication nor it for them, and whoever began to read goes on reading what was there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import psycopg
import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.dialects import registry
from sqlalchemy.engine import ExceptionContext

from sor_pipeline.engine import postgres_load, postgres_lock, postgres_quoting, postgres_statistics, shape
from sor_pipeline.engine.base import Rows, Stale, Union
from sor_pipeline.engine.merge import Merge
from sor_pipeline.engine.postgres_errors import refused
from sor_pipeline.engine.postgres_parquet import rows_of, shape_of, with_paths
from sor_pipeline.engine.postgres_shape import PostgresForm, refuse_long_names, short
from sor_pipeline.engine.postgres_spelling import CAN_ASK
from sor_pipeline.engine.renewal import patiently
from sor_pipeline.errors import EngineError, Fault

OLDEST = 15
"""The first release with MERGE."""
_SESSION = {
    "application_name": "'sor_pipeline'",
    "timezone": "'UTC'",
    "datestyle": "'ISO, YMD'",
    "search_path": "''",
    "client_min_messages": "warning",
    "jit": "off",  # wide statements take seconds to compile and a moment to run
    "work_mem": "'64MB'",
    "temp_buffers": "'64MB'",
    "default_transaction_isolation": "'read committed'",  # in others the fence would not see who took its place
    "default_statistics_target": "10",  # of temporary tables, which are analysed as they are made
    "idle_session_timeout": "0",  # between two statements a run may compute for minutes
    "idle_in_transaction_session_timeout": "0",
}
_LOOKING = {"default_transaction_read_only": "on"}
_ALIVE = {
    "keepalives": 1,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "connect_timeout": 15,
}
registry.register("postgresql.sor", "sor_pipeline.engine.postgres_spelling", "Dialect")


class PostgresEngine:
    """The warehouse in one database; `url` may name any driver or none."""

    name = "postgresql"
    served = True

    def __init__(self, url: str) -> None:
        self._url = sa.make_url(url)
        shown = self._url.set(drivername="postgresql").difference_update_query(["password", "sslpassword"])
        self.where = shown.render_as_string(hide_password=True)
        self._engine = self._made("postgresql+sor", poolclass=sa.pool.QueuePool, pool_pre_ping=True)
        postgres_statistics.keep(self._engine)
        self._dialect = self._engine.dialect
        self._held = 0
        self._lease: tuple[sa.Table, postgres_lock.Tokens] | None = None
        self._keeping: sa.Connection | None = None
        self._made_here: WeakKeyDictionary[sa.Connection, set[str]] = WeakKeyDictionary()
        self._scans: WeakKeyDictionary[sa.Connection, dict[tuple[Path, ...], sa.Table]] = WeakKeyDictionary()

    def _made(self, driver: str, **how: Any) -> sa.Engine:
        made = sa.create_engine(
            self._url.set(drivername=driver),
            connect_args={**_ALIVE, "client_encoding": "utf8", "prepare_threshold": None},
            use_native_hstore=False,
            hide_parameters=True,
            execution_options={"preserve_rowcount": True},
            **how,
        )
        sa.event.listen(made, "connect", self._begun)
        sa.event.listen(made, "handle_error", self._scrubbed)
        return made

    def _looking_only(self, driver: psycopg.Connection[Any], _record: object) -> None:
        driver.execute(postgres_quoting.settings(_LOOKING).encode())
        driver.commit()

    def _begun(self, driver: psycopg.Connection[Any], _record: object) -> None:
        """A new session: of a server that is good enough, and set as we need it."""
        version, encoding = driver.info.server_version, driver.info.parameter_status("server_encoding")
        if version < OLDEST * 10_000 or encoding != "UTF8":
            found = f"PostgreSQL {version // 10_000} with encoding {encoding}"
            raise EngineError(
                Fault("postgresql-unfit", self.where, "this database cannot hold the warehouse", found,
                      f"PostgreSQL >= {OLDEST} with encoding UTF8", "name another database")
            )  # fmt: skip
        driver.execute(postgres_quoting.settings(_SESSION).encode())
        if version < CAN_ASK * 10_000:
            driver.execute(postgres_quoting.read_as().encode())
        driver.commit()

    def _scrubbed(self, context: ExceptionContext) -> Exception | None:
        error = context.original_exception
        return refused(error, self.where) if isinstance(error, psycopg.Error) else None

    @contextmanager
    def begin(self) -> Iterator[sa.Connection]:
        """One transaction; of a run that holds the warehouse only while it does."""
        try:
            with self._engine.begin() as connection:
                if self._lease is not None:
                    postgres_lock.fence(connection, *self._lease, self.where)
                yield connection
        finally:
            if not self._held:
                self._engine.dispose()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keeps connections for the next transaction."""
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1
            if not self._held:
                self._engine.dispose()

    @contextmanager
    def alone(self, lease: sa.Table, who: str, wait: float, part: str = "") -> Iterator[None]:
        with (
            self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection,
            postgres_lock.held(connection, lease, wait, self.where, part),
        ):
            self._keeping = connection
            try:
                with self.settling():
                    with self._engine.begin() as fresh:
                        there = sa.inspect(fresh).has_table(lease.name, lease.schema)
                    if not there:  # one of another release stays as it is until the state is looked at
                        self.create(lease.to_metadata(sa.MetaData()).metadata, [str(lease.schema)])
                    with self._engine.begin() as fresh:
                        tokens = postgres_lock.tokens(fresh, lease, who, part)
                self._lease = (lease, tokens)
                yield
            finally:
                self._lease = self._keeping = None

    @contextmanager
    def settling(self) -> Iterator[None]:
        assert self._keeping is not None, "only within `alone`"
        with postgres_lock.settling(self._keeping, self.where):
            yield

    def clear(self, schemas: Sequence[str]) -> None:
        with self.begin() as connection:
            for schema in schemas:
                connection.execute(sa.schema.DropSchema(schema, cascade=True, if_exists=True))

    def create(self, metadata: sa.MetaData, schemas: Sequence[str], moment: shape.Moment = lambda _: "now") -> None:
        """Schemas, tables, columns, comments and indexes as in `metadata`; locks nothing that is so already.

        Raises EngineError for names that the server would cut, and where a reader keeps a table for longer than
        `renewal.PATIENCE`: nobody else could read it while this waits.
        """
        refuse_long_names(metadata)
        form = PostgresForm(self._dialect, schemas)
        with self.begin() as connection:
            patiently(connection)
            shape.bring(form, connection, metadata, schemas, moment)
            form.finish(connection, metadata)

    def scan_parquet(self, connection: sa.Connection, files: Sequence[Path]) -> sa.FromClause:
        """Loaded once per transaction, however often it is asked for."""
        known = self._scans.setdefault(connection, {})
        if tuple(files) not in known:
            name = f"landed_{len(known)}"
            known[tuple(files)] = self._load(connection, name, shape_of(files), rows_of(files))
        return with_paths(known[tuple(files)], files)

    def scan_arrow(self, connection: sa.Connection, name: str, data: pa.Table) -> sa.FromClause:
        return self._load(connection, short(name), data.schema, postgres_load.batches_of(data))

    def _load(
        self, connection: sa.Connection, name: str, schema: pa.Schema, batches: Iterable[pa.RecordBatch]
    ) -> sa.Table:
        """A temporary table of these rows."""
        table = sa.Table(
            name, sa.MetaData(), *(sa.Column(one.name, postgres_load.column_type(one.type)) for one in schema),
            prefixes=["TEMPORARY"], postgresql_on_commit="DROP",
        )  # fmt: skip
        self._make_room(connection, name)
        connection.execute(sa.schema.CreateTable(table))
        statement = postgres_quoting.copy_in(self._dialect, name, schema.names)
        with self._speaking():
            postgres_load.copy_in(self._driver(connection), statement, batches, name)
        shape.tell(connection, postgres_quoting.analyze(self._dialect, "pg_temp", name))
        return table

    def materialise(self, connection: sa.Connection, name: str, select: Rows | Union) -> sa.Table:
        """Analysed at once: nobody else would, and plans over tables of unknown size are bad ones."""
        called = short(name)
        table = sa.CreateTableAs(select, called, temporary=True).table
        statement, parameters = self._compiled(select)
        self._make_room(connection, called)
        connection.exec_driver_sql(postgres_quoting.temporary(self._dialect, called, statement), parameters)
        shape.tell(connection, postgres_quoting.analyze(self._dialect, "pg_temp", called))
        return table

    def _make_room(self, connection: sa.Connection, name: str) -> None:
        """Drop what the transaction made under this name before."""
        here = self._made_here.setdefault(connection, set())
        if name in here:
            shape.tell(connection, postgres_quoting.drop_temporary(self._dialect, name))
        here.add(name)

    def fetch(self, connection: sa.Connection, select: sa.Executable) -> pa.Table:
        statement, parameters = self._compiled(select)
        driver = self._driver(connection)
        with self._speaking():
            whole = psycopg.ClientCursor(driver).mogrify(statement.encode(), parameters)
            return postgres_load.copy_out(driver, whole)

    def replace(self, connection: sa.Connection, target: sa.Table, rows: sa.FromClause, on: Iterable[str]) -> int:
        """MERGE where `on` names a row, which it must for MERGE; into an empty table a plain INSERT."""
        keys = list(on)
        names = [column.name for column in target.columns if column.name in rows.c]
        grain = {column.name for column in target.columns if column.info.get("key")}
        if connection.execute(sa.select(sa.literal(1)).select_from(target).limit(1)).first() is not None:
            if grain and grain <= set(keys):
                return connection.execute(Merge(target, rows, keys)).rowcount
            same = sa.and_(*(target.c[key] == rows.c[key] for key in keys))
            connection.execute(sa.delete(target).where(sa.exists().where(same).correlate(target)))
        insert = sa.insert(target).from_select(names, sa.select(*(rows.c[name] for name in names)))
        return connection.execute(insert).rowcount

    def pack(self, connection: sa.Connection) -> None:
        """The server's own housekeeping does that."""

    @contextmanager
    def lend(self) -> Iterator[sa.Engine]:
        """Reads only: what a library asks of the server changes nothing there."""
        lent = self._made(
            "postgresql+psycopg",
            poolclass=sa.pool.StaticPool,
            isolation_level="AUTOCOMMIT",
            skip_autocommit_rollback=True,
        )
        sa.event.listen(lent, "connect", self._looking_only)
        try:
            yield lent
        finally:
            lent.dispose()

    def export(self, tables: Sequence[sa.Table], target: Path, stale: Stale | None = None) -> None:
        """What is published is read in place."""

    def exported(self, table: sa.Table, target: Path) -> pa.Table | None:  # noqa: ARG002 (read in place)
        keys = [column for column in table.columns if column.info.get("key")]
        try:
            with self.begin() as connection:
                return self.fetch(connection, sa.select(table).order_by(*keys))
        except sa.exc.ProgrammingError:
            return None

    def close(self) -> None:
        self._engine.dispose()

    def _compiled(self, select: sa.Executable) -> tuple[str, dict[str, Any]]:
        compiled = select.compile(dialect=self._dialect, compile_kwargs={"render_postcompile": True})  # type: ignore[attr-defined]
        return str(compiled), dict(compiled.construct_params())

    @contextmanager
    def _speaking(self) -> Iterator[None]:
        """For what the driver is asked without SQLAlchemy."""
        try:
            yield
        except psycopg.Error as error:
            raise refused(error, self.where) from error

    def _driver(self, connection: sa.Connection) -> psycopg.Connection[Any]:
        return connection.connection.driver_connection  # type: ignore[return-value]
