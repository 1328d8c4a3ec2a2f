"""What the steps ask of a warehouse, beyond plain SQLAlchemy Core.

Belongs here: the protocol. An engine's own file holds its driver and its tricks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import pyarrow as pa
import sqlalchemy as sa

Stale: TypeAlias = Callable[[sa.Table], sa.ColumnElement[bool] | None]
"""A condition on a table's rows, None for no row at all; given a copy of the table, the same on the copy's."""
Rows: TypeAlias = sa.Select[*tuple[Any, ...]]
"""A select whose columns depend on the document."""
Union: TypeAlias = sa.CompoundSelect[*tuple[Any, ...]]
"""Several such selects under one header."""
Expression: TypeAlias = sa.ColumnElement[Any]
"""A column, or anything computed from columns."""


class Engine(Protocol):
    """A warehouse. Every method that takes a connection works inside that connection's transaction."""

    name: str
    served: bool
    """Whether a server holds it, for many at once and wherever they are; else a file in the state folder does."""

    def begin(self) -> AbstractContextManager[sa.Connection]:
        """One transaction: commits when the block ends, rolls back when it raises."""
        ...

    def held(self) -> AbstractContextManager[None]:
        """Keep open what `begin` opens, for the many transactions of one run."""
        ...

    def alone(self, lease: sa.Table, who: str, wait: float, part: str = "") -> AbstractContextManager[None]:
        """Nobody else's run works on the warehouse, and no transaction of this one counts once somebody else's does.

        `lease` (columns lease, token, who, since) tells the others who holds it; `create` need not have made it.
        With a `part` (the one source that the work is about) only work on that part, and on the whole, is kept out.
        Raises EngineError (`run-in-progress`) where another run holds it for longer than `wait` seconds.
        Engines whose files the state folder's own lock guards do nothing.
        """
        ...

    def settling(self) -> AbstractContextManager[None]:
        """Within `alone`: nobody else brings tables to shape meanwhile, who works on another part either.

        Engines that have one writer at a time anyway do nothing.
        """
        ...

    def clear(self, schemas: Sequence[str]) -> None:
        """Drop these schemas with all that is in them. Engines whose file is deleted instead do nothing."""
        ...

    def create(
        self, metadata: sa.MetaData, schemas: Sequence[str], moment: Callable[[sa.Connection], str] = lambda _: "now"
    ) -> None:
        """Schemas, tables and columns as in `metadata`.

        Tables whose `info` has `keeps` (the columns by which one of their kind is known) lose nothing: columns
        and whole tables that are no longer in `metadata` stay, with a comment since which `moment`.
        """
        ...

    def scan_parquet(self, connection: sa.Connection, files: Sequence[Path]) -> sa.FromClause:
        """A relation over Parquet files of one shape, united by column name; columns as in the files.

        Adds `_landed_file` (text), the path of the file that a row came from.
        """
        ...

    def scan_arrow(self, connection: sa.Connection, name: str, data: pa.Table) -> sa.FromClause:
        """A relation over an Arrow table, readable under `name` until the connection closes."""
        ...

    def materialise(self, connection: sa.Connection, name: str, select: Rows | Union) -> sa.Table:
        """The select's rows in a temporary table `name` (replaced if there), gone with the connection."""
        ...

    def fetch(self, connection: sa.Connection, select: sa.Executable) -> pa.Table:
        """The select's rows as an Arrow table."""
        ...

    def replace(self, connection: sa.Connection, target: sa.Table, rows: sa.FromClause, on: Iterable[str]) -> int:
        """Put `rows` (columns by name) into `target` in place of its rows that are equal in the `on` columns.

        Returns the number of rows put.
        """
        ...

    def pack(self, connection: sa.Connection) -> None:
        """Let the commit, or what follows it, clear away what deleting left behind: it may read and write whole tables.

        Engines that do this by themselves do nothing.
        """
        ...

    def lend(self) -> AbstractContextManager[sa.Engine]:
        """A SQLAlchemy engine for a library that opens its connections itself: autocommit, confined as `begin` is.

        Sees what is committed. Inside the block no `begin` may be open.
        """
        ...

    def export(self, tables: Sequence[sa.Table], target: Path, stale: Stale | None = None) -> None:
        """Make `target` hold copies of the committed tables, atomically for whoever reads it; also of what
        `create` kept beside them.

        `stale` says which rows of a table may be other ones in `target`; None: all, and the tables' shape too.
        Engines whose published tables are read in place do nothing.
        """
        ...

    def exported(self, table: sa.Table, target: Path) -> pa.Table | None:
        """The rows of one table as `target` holds them, in the order of the table's grain.

        None where there is no such file, or it does not hold the table in its present shape.
        Engines whose published tables are read in place give the committed rows.
        """
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...
