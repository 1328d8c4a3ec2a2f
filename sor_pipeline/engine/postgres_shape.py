"""What the server's catalogue says of our tables, and what they have there besides columns.

Belongs here: asking the catalogue, comments, indexes, names that a server would cut. Does not: what is to change
(`shape`). Nothing is told to the server that is so already: `ALTER TABLE` waits for every reader.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect

from sor_pipeline.engine import postgres_quoting, quoting, shape
from sor_pipeline.engine.shape import GONE, WAS, Catalogue, Kept, Present
from sor_pipeline.errors import EngineError, Fault

LONGEST = 63
"""Bytes of a name; a server cuts the rest off and takes two names for one."""
_SPELLED = {
    "text": "VARCHAR", "character varying": "VARCHAR", "timestamp without time zone": "TIMESTAMP",
    "double precision": "DOUBLE",
}  # fmt: skip
_NAMESPACE = sa.table("pg_namespace", sa.column("oid"), sa.column("nspname", sa.Text), schema="pg_catalog")
_CLASS = sa.table(
    "pg_class", sa.column("oid"), sa.column("relname", sa.Text), sa.column("relnamespace"),
    sa.column("relkind", sa.Text), schema="pg_catalog",
)  # fmt: skip
_ATTRIBUTE = sa.table(
    "pg_attribute", sa.column("attrelid"), sa.column("attname", sa.Text), sa.column("attnum", sa.Integer),
    sa.column("attisdropped", sa.Boolean), sa.column("atttypid"), sa.column("atttypmod"), schema="pg_catalog",
)  # fmt: skip


class PostgresForm:
    """The catalogue of one database; only `schemas` of it are ours."""

    def __init__(self, dialect: Dialect, schemas: Sequence[str]) -> None:
        self.dialect = dialect
        self._ours = list(schemas)

    def schemas(self, connection: sa.Connection) -> set[str]:
        return set(connection.execute(sa.select(_NAMESPACE.c.nspname)).scalars())

    def catalogue(self, connection: sa.Connection) -> Catalogue:
        found: Catalogue = {}
        for schema, table, column, kind, comment in self._columns(connection):
            kept = comment if comment and (comment.startswith(GONE) or WAS in comment) else None
            found.setdefault((schema, table), {})[column] = Present(_called(kind), kept)
        return found

    def kept(self, connection: sa.Connection) -> Kept:
        return {name: said for name, said in self._tables(connection).items() if said and said.startswith(GONE)}

    def kind(self, column: sa.Column[Any]) -> str:
        return _called(column.type.compile(self.dialect).split(" COLLATE ")[0].lower())

    def retyping(self, connection: sa.Connection) -> None:
        shape.tell(connection, postgres_quoting.read_as())

    def finish(self, connection: sa.Connection, metadata: sa.MetaData) -> None:
        """Comments and indexes as in `metadata`."""
        told = {(schema, table, column): said for schema, table, column, _, said in self._columns(connection)}
        tables = self._tables(connection)
        indexes = self._relations(connection, "i")
        for table in metadata.sorted_tables:
            if tables.get((table.schema, table.name)) != (table.comment or None):
                shape.tell(connection, quoting.comment(self.dialect, table))
            for column in table.columns:
                if told.get((str(table.schema), table.name, column.name)) != (column.comment or None):
                    shape.tell(connection, quoting.comment(self.dialect, table, column))
            index = _index(table)
            if index is not None and (table.schema, index.name) not in indexes:
                connection.execute(sa.schema.CreateIndex(index))

    def _columns(self, connection: sa.Connection) -> list[tuple[str, str, str, str, str | None]]:
        """Schema, table, column, type, comment of every column of ours."""
        listed = (
            sa.select(
                _NAMESPACE.c.nspname, _CLASS.c.relname, _ATTRIBUTE.c.attname,
                sa.func.format_type(_ATTRIBUTE.c.atttypid, _ATTRIBUTE.c.atttypmod),
                sa.func.col_description(_CLASS.c.oid, _ATTRIBUTE.c.attnum),
            )
            .select_from(_CLASS)
            .join(_NAMESPACE, _NAMESPACE.c.oid == _CLASS.c.relnamespace)
            .join(_ATTRIBUTE, _ATTRIBUTE.c.attrelid == _CLASS.c.oid)
            .where(
                _NAMESPACE.c.nspname.in_(self._ours), _CLASS.c.relkind.in_(("r", "p")),
                _ATTRIBUTE.c.attnum > 0, ~_ATTRIBUTE.c.attisdropped,
            )
            .order_by(_CLASS.c.oid, _ATTRIBUTE.c.attnum)
        )  # fmt: skip
        return [(row[0], row[1], row[2], row[3], row[4]) for row in connection.execute(listed)]

    def _tables(self, connection: sa.Connection) -> Kept:
        listed = (
            sa.select(_NAMESPACE.c.nspname, _CLASS.c.relname, sa.func.obj_description(_CLASS.c.oid, "pg_class"))
            .join(_NAMESPACE, _NAMESPACE.c.oid == _CLASS.c.relnamespace)
            .where(_NAMESPACE.c.nspname.in_(self._ours), _CLASS.c.relkind.in_(("r", "p")))
        )
        return {(schema, table): said for schema, table, said in connection.execute(listed)}

    def _relations(self, connection: sa.Connection, kind: str) -> set[tuple[str | None, str]]:
        listed = (
            sa.select(_NAMESPACE.c.nspname, _CLASS.c.relname)
            .join(_NAMESPACE, _NAMESPACE.c.oid == _CLASS.c.relnamespace)
            .where(_NAMESPACE.c.nspname.in_(self._ours), _CLASS.c.relkind == kind)
        )
        return {(schema, name) for schema, name in connection.execute(listed)}


def refuse_long_names(metadata: sa.MetaData) -> None:
    """Raises EngineError (`name-too-long`) for names that the server would cut, all of them at once."""
    names = [(f"{table.schema}.{table.name}", table.name) for table in metadata.sorted_tables]
    names += [(f"{t.schema}.{t.name}", column.name) for t in metadata.sorted_tables for column in t.columns]
    faults = [
        Fault("name-too-long", where, "PostgreSQL cuts names at 63 bytes; this one is longer", name,
              f"at most {LONGEST} bytes; it has {len(name.encode())}",
              "give the entity, field or source a shorter name")
        for where, name in names if len(name.encode()) > LONGEST
    ]  # fmt: skip
    if faults:
        raise EngineError(*faults)


def short(name: str) -> str:
    """The name, or where it is too long, its beginning and a digest of all of it."""
    if len(name.encode()) <= LONGEST:
        return name
    digest = hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()[:10]
    return f"{name.encode()[: LONGEST - 11].decode(errors='ignore')}_{digest}"


def _index(table: sa.Table) -> sa.Index | None:
    """By the columns of the grain that are surely short; unique where that is all of them."""
    copy = table.to_metadata(sa.MetaData())
    keys = [column for column in copy.columns if column.info.get("key")]
    brief = [column for column in keys if not column.info.get("long")]
    return sa.Index(short(f"{table.name}__grain"), *brief, unique=brief == keys) if brief else None


def _called(kind: str) -> str:
    kind = kind.replace(", ", ",")
    return _SPELLED.get(kind, kind.upper().replace("NUMERIC", "DECIMAL"))
