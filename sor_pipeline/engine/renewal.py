"""A server's tables of one schema made like those of another, for readers in one moment.

Belongs here: comparing two schemas that share a server, and putting what differs in place. Does not: who made the
tables, or what they hold. Tables of the same shape only have rows deleted and inserted: nobody who reads waits, nor
is waited for, and rights on them stay. A table of another shape is dropped and made: that waits for its readers, a
minute at most.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect

from sor_pipeline.engine import rights_quoting, shape
from sor_pipeline.engine.base import Expression
from sor_pipeline.errors import EngineError, Fault

_ROOM = 5_459_797
"""Beside the numbers of `postgres_lock`."""
_PAUSE = 0.2
PATIENCE = "60s"
"""For readers of a table that has to go: new ones queue behind whoever waits for them."""
_NOTE = re.compile(r"^put there by sor: (.*)")


def only_one(connection: sa.Connection, schema: str, wait: float) -> bool:
    """Whether nobody else renews the schema until the connection's transaction ends; waits for that, in seconds."""
    own = sa.func.pg_try_advisory_xact_lock(_ROOM, sa.func.hashtext(sa.literal(schema, sa.Text)))
    deadline = time.monotonic() + wait
    while not connection.execute(sa.select(own)).scalar_one():
        if time.monotonic() >= deadline:
            return False
        time.sleep(_PAUSE)
    return True


def emptied(connection: sa.Connection, schema: str) -> None:
    """The schema, with nothing in it."""
    removed(connection, schema)
    connection.execute(sa.schema.CreateSchema(schema))


def removed(connection: sa.Connection, schema: str) -> None:
    connection.execute(sa.schema.DropSchema(schema, cascade=True, if_exists=True))


def put_there(connection: sa.Connection, schema: str) -> set[str]:
    """Names of the tables that `renew` put into the schema."""
    said = connection.execute(
        sa.select(sa.func.obj_description(sa.func.to_regnamespace(schema), sa.literal("pg_namespace")))
    ).scalar_one()
    found = _NOTE.match(said or "")
    return set(found[1].split(", ")) if found else set()


def patiently(connection: sa.Connection) -> None:
    """Until the transaction ends, wait for a lock no longer than PATIENCE; then EngineError (`warehouse-failed`)."""
    connection.execute(sa.select(sa.func.set_config("lock_timeout", PATIENCE, sa.true())))


def lent(connection: sa.Connection, source: str, working: str) -> None:
    """Copies in the schema `working` of what an earlier renewal put into `source`."""
    for table in _ours(connection, source).values():
        copy = table.to_metadata(sa.MetaData(), schema=working)
        copy.create(connection)
        _insert(connection, table, copy)


def withdrawn(connection: sa.Connection, schema: str) -> None:
    """What renewals put into the schema is gone; all else in it stays."""
    for table in _ours(connection, schema).values():
        connection.execute(sa.schema.DropTable(table))
    if put_there(connection, schema):
        _note(connection, schema, ())


def renew(connection: sa.Connection, made: str, target: str, *, whole: bool = False) -> None:
    """Every table of `made`, under its name, with its rows and comments in `target`; the transaction is the caller's.

    What an earlier renewal put there and is no longer made goes. `whole`: tables are made anew, whatever is there.
    Raises EngineError (`table-not-ours`) where somebody else's table has a name that is needed.
    """
    fresh, there = _tables(connection, made), _tables(connection, target)
    ours = put_there(connection, target)
    foreign = sorted(fresh.keys() & there.keys() - ours)
    if foreign:
        raise EngineError(
            *(Fault("table-not-ours", f"{target}.{name}", "a table that sor did not make has this name", "",
                    "no such table", "rename or drop it, then build again") for name in foreign)
        )  # fmt: skip
    patiently(connection)
    connection.execute(sa.schema.CreateSchema(target, if_not_exists=True))
    for name, table in there.items():
        if name in ours and (name not in fresh or whole or not _alike(connection.dialect, table, fresh[name])):
            connection.execute(sa.schema.DropTable(table))
    for name, table in fresh.items():
        kept = there.get(name)
        if kept is None or whole or not _alike(connection.dialect, kept, table):
            kept = table.to_metadata(sa.MetaData(), schema=target)
            kept.create(connection)
            _insert(connection, table, kept)
        else:
            _differences(connection, table, kept)
            _comments(connection, table, kept)
    if ours != set(fresh):
        _note(connection, target, fresh)


def _note(connection: sa.Connection, schema: str, names: Iterable[str]) -> None:
    words = f"put there by sor: {', '.join(sorted(names))}" if names else ""
    shape.tell(connection, rights_quoting.noted(connection.dialect, "SCHEMA", (schema,), words))


def _ours(connection: sa.Connection, schema: str) -> dict[str, sa.Table]:
    names = put_there(connection, schema)
    return {name: table for name, table in _tables(connection, schema).items() if name in names} if names else {}


def _tables(connection: sa.Connection, schema: str) -> dict[str, sa.Table]:
    found = sa.MetaData()
    found.reflect(connection, schema=schema, resolve_fks=False)
    return {table.name: table for table in found.tables.values() if table.schema == schema}


def _alike(dialect: Dialect, one: sa.Table, other: sa.Table) -> bool:
    """Whether both have the same columns; text is in binary order in whatever we make."""
    shapes = [[(column.name, column.type.compile(dialect)) for column in table.columns] for table in (one, other)]
    return shapes[0] == shapes[1]


def _insert(connection: sa.Connection, source: sa.Table, target: sa.Table) -> None:
    connection.execute(sa.insert(target).from_select(list(target.columns.keys()), sa.select(source)))


def _differences(connection: sa.Connection, source: sa.Table, target: sa.Table) -> None:
    """Rows are told apart by their text, whole."""
    new, old = source.alias("sor__new"), target.alias("sor__old")  # no column is called so
    same = _digest(new) == _digest(old)
    stale = ~sa.exists(sa.select(sa.literal(1)).select_from(new).where(same))
    connection.execute(sa.delete(old).where(stale))  # type: ignore[arg-type]
    missing = sa.select(new).where(~sa.exists(sa.select(sa.literal(1)).select_from(old).where(same)))
    connection.execute(sa.insert(target).from_select(list(target.columns.keys()), missing))
    counts = [connection.execute(sa.select(sa.func.count()).select_from(one)).scalar_one() for one in (source, target)]
    if counts[0] != counts[1]:  # the same row several times
        connection.execute(sa.delete(target))
        _insert(connection, source, target)


def _digest(rows: Any) -> Expression:
    return sa.func.md5(sa.cast(rows.table_valued(), sa.Text))


def _comments(connection: sa.Connection, source: sa.Table, target: sa.Table) -> None:
    copy = source.to_metadata(sa.MetaData(), schema=str(target.schema))
    if (copy.comment or None) != (target.comment or None):
        connection.execute(sa.schema.SetTableComment(copy))
    for column, before in zip(copy.columns, target.columns, strict=True):
        if (column.comment or None) != (before.comment or None):
            connection.execute(sa.schema.SetColumnComment(column))
