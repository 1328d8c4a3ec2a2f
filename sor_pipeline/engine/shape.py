"""Bringing a warehouse's tables to the shape that the document has now, whatever engine it is.

Belongs here: schemas, tables, columns; what a history keeps of a shape that it had before. Does not: rows, how an
engine's catalogue is asked (`duckdb_shape`, `postgres_shape`).

A table whose `info` has `keeps` (the columns by which one of its kind is known) loses nothing: a column that
the document no longer has stays, a type that cannot read every value leaves the old column beside the new one
(`<column>__was_<type>`), and the whole table stays when its entity goes. All of it is for reading only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import sqlalchemy as sa
from sqlalchemy.engine import Dialect

from sor_pipeline.engine import quoting

Moment: TypeAlias = Callable[[sa.Connection], str]
"""What the comment of something that is kept calls the time since when: `publication 3`."""
GONE = "no longer in the document since "
"""How the comment of something kept begins."""
WAS = " as it was published before "
"""In the comment of a column that keeps what another one's new type could not hold."""
_CALLED = {"VARCHAR": "text", "BIGINT": "integer"}
_KINDS: dict[str, type[sa.types.TypeEngine[Any]]] = {
    "VARCHAR": sa.Text, "BIGINT": sa.BigInteger, "SMALLINT": sa.SmallInteger, "BOOLEAN": sa.Boolean,
    "DATE": sa.Date, "TIMESTAMP": sa.DateTime, "DOUBLE": sa.Double,
}  # fmt: skip


@dataclass(frozen=True)
class Present:
    """A column as the catalogue has it; `comment` only where it says that the column is kept, and why."""

    kind: str
    comment: str | None


Shape: TypeAlias = dict[str, Present]
Catalogue: TypeAlias = dict[tuple[str | None, str], Shape]
Kept: TypeAlias = dict[tuple[str | None, str], str | None]
"""Tables that are kept without being in the document, and what their comments say of that."""


class Form(Protocol):
    """How one engine's catalogue is asked and its tables are made. Types are called as DuckDB calls them."""

    dialect: Dialect

    def schemas(self, connection: sa.Connection) -> set[str]: ...

    def catalogue(self, connection: sa.Connection) -> Catalogue: ...

    def kept(self, connection: sa.Connection) -> Kept: ...

    def kind(self, column: sa.Column[Any]) -> str: ...

    def retyping(self, connection: sa.Connection) -> None:
        """Called before any type is changed."""
        ...


def tell(connection: sa.Connection, statement: str) -> None:
    """Run a statement as it stands: a per cent sign in a comment is no parameter."""
    connection.exec_driver_sql(statement, execution_options={"no_parameters": True})


def bring(form: Form, connection: sa.Connection, metadata: sa.MetaData, schemas: Sequence[str], moment: Moment) -> None:
    """Schemas, tables, columns as in `metadata`; changes nothing that is so already."""
    dialect = form.dialect
    for schema in sorted(set(schemas) - form.schemas(connection)):
        connection.execute(sa.schema.CreateSchema(schema, if_not_exists=True))
    present, told = form.catalogue(connection), form.kept(connection)
    for table in metadata.sorted_tables:
        if told.get((table.schema, table.name)):  # it was kept without being in the document, and is in it again
            told_so = quoting.comment(dialect, sa.Table(table.name, sa.MetaData(), schema=table.schema))
            tell(connection, told_so)
        shape = present.get((table.schema, table.name))
        if shape is None:
            connection.execute(sa.schema.CreateTable(table))
        elif table.info.get("keeps"):
            _alter_keeping(form, connection, table, shape, moment)
        else:
            _alter(form, connection, table, shape)
    for orphan in _orphans(metadata.sorted_tables, present):
        if not told.get((orphan.schema, orphan.name)):
            orphan.comment = f"{GONE}{moment(connection)}"
            tell(connection, quoting.comment(dialect, orphan))


def kept(form: Form, connection: sa.Connection, tables: Sequence[sa.Table]) -> list[sa.Table]:
    """The tables, with all that they keep; then those that are kept without being in the document."""
    present, told = form.catalogue(connection), form.kept(connection)
    whole = [_with(table, present[table.schema, table.name]) if table.info.get("keeps") else table for table in tables]
    for orphan in _orphans(tables, present):
        orphan.comment = told.get((orphan.schema, orphan.name))
        whole.append(orphan)
    return whole


def _orphans(tables: Sequence[sa.Table], present: Catalogue) -> list[sa.Table]:
    """Tables of the kind of one that keeps, which the document no longer has."""
    known = {(table.schema, table.name) for table in tables}
    kinds = {(table.schema, table.info["keeps"]) for table in tables if table.info.get("keeps")}
    return [
        _with(sa.Table(name, sa.MetaData(), schema=schema), shape)
        for (schema, name), shape in sorted(present.items(), key=lambda item: str(item[0]))
        if (schema, name) not in known and any(schema == of and set(frame) <= set(shape) for of, frame in kinds)
    ]


def _with(table: sa.Table, shape: Shape) -> sa.Table:
    """A copy of the table that has all columns of `shape`, those that it lacks last."""
    whole = table.to_metadata(sa.MetaData())
    for name, column in shape.items():
        if name not in table.columns:
            whole.append_column(sa.Column(name, _type(column.kind), comment=column.comment))
    return whole


def _type(kind: str) -> sa.types.TypeEngine[Any]:
    exact = re.fullmatch(r"DECIMAL\((\d+),(\d+)\)", kind)
    return sa.Numeric(int(exact[1]), int(exact[2])) if exact else _KINDS[kind]()


def _alter(form: Form, connection: sa.Connection, table: sa.Table, shape: Shape) -> None:
    """Bring a table of an older document to the shape of this one."""
    dialect = form.dialect
    for column in table.columns:
        if column.name not in shape:
            tell(connection, quoting.add_column(dialect, table, column))
        elif shape[column.name].kind != form.kind(column):
            form.retyping(connection)
            tell(connection, quoting.alter_column(dialect, table, column))
    for name in shape.keys() - set(table.columns.keys()):
        tell(connection, quoting.drop_column(dialect, table, name))


def _alter_keeping(form: Form, connection: sa.Connection, table: sa.Table, shape: Shape, moment: Moment) -> None:
    """The same, but no value goes: columns stay, and what the new type cannot hold moves to a column beside."""
    dialect = form.dialect
    for column in table.columns:
        before = shape.get(column.name)
        if before is None:
            tell(connection, quoting.add_column(dialect, table, column))
            continue
        if before.kind != form.kind(column):
            _retype(form, connection, table, column, shape, moment)
        if before.comment:
            tell(connection, quoting.comment(dialect, table, _column(table, column.name, before.kind)))
    for name, before in shape.items():
        if name not in table.columns and not before.comment:
            gone = _column(table, name, before.kind, f"{GONE}{moment(connection)}")
            tell(connection, quoting.comment(dialect, table, gone))


def _retype(
    form: Form, connection: sa.Connection, table: sa.Table, column: sa.Column[Any], shape: Shape, moment: Moment
) -> None:
    """Give a column its new type; values that it had when it last was of that type come back."""
    dialect, before, now = form.dialect, shape[column.name].kind, form.kind(column)
    form.retyping(connection)
    old = _column(table, column.name, before)
    value = sa.column(column.name, old.type)
    read = sa.try_cast(value, column.type)
    lost = sa.select(sa.func.count()).select_from(table).where(sa.try_cast(read, old.type).is_distinct_from(value))
    if connection.execute(lost).scalar_one():
        comment = f"{column.name}{WAS}{moment(connection)} changed its type"
        beside = _column(table, _beside(column.name, before), before, comment)
        if beside.name not in shape:
            tell(connection, quoting.add_column(dialect, table, beside))
            tell(connection, quoting.comment(dialect, table, beside))
        tell(connection, quoting.alter_column(dialect, table, beside, beside.name, column.name))
    earlier = [_beside(column.name, now)] if _beside(column.name, now) in shape else []
    tell(connection, quoting.alter_column(dialect, table, column, *earlier, column.name))


def _beside(name: str, kind: str) -> str:
    called = _CALLED.get(kind, re.sub(r"\W+", "_", kind.lower()).strip("_"))
    return f"{name}__was_{called}"


def _column(table: sa.Table, name: str, kind: str, comment: str | None = None) -> sa.Column[Any]:
    """A column that the table has, or had, with that type."""
    column: sa.Column[Any] = sa.Column(name, _type(kind), comment=comment)
    sa.Table(table.name, sa.MetaData(), column, schema=table.schema)
    return column
