"""The only place where SQL is made from text: quoting of names and of the few literals that take no parameter.

Belongs here: statements that SQLAlchemy has no construct for. Does not: any select.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Dialect


def name(dialect: Dialect, *parts: str) -> str:
    """A dotted name, every part quoted, for a statement that is told as it stands: a per cent sign is one."""
    quoted = ".".join(dialect.identifier_preparer.quote_identifier(part) for part in parts)
    return quoted.replace("%%", "%") if dialect.paramstyle in ("format", "pyformat") else quoted


def of(dialect: Dialect, table: sa.Table) -> str:
    """A table's full name; its schema may be `database.schema`."""
    return name(dialect, *str(table.schema).split("."), table.name)


def text(value: str) -> str:
    """A string literal, for settings and file names only: data travels as tables or parameters."""
    return "'" + value.replace("'", "''") + "'"


def setting(key: str, value: str) -> str:
    return f"SET {key} = {value}"


def text_list(values: list[str]) -> str:
    return "[" + ", ".join(map(text, values)) + "]"


def attach(dialect: Dialect, path: str, alias: str, *, read_only: bool = False) -> str:
    return f"ATTACH {text(path)} AS {name(dialect, alias)}" + (" (READ_ONLY)" if read_only else "")


def detach(dialect: Dialect, alias: str) -> str:
    return f"DETACH {name(dialect, alias)}"


def add_column(dialect: Dialect, table: sa.Table, column: sa.Column[object]) -> str:
    kind = column.type.compile(dialect)
    return f"ALTER TABLE {of(dialect, table)} ADD COLUMN {name(dialect, column.name)} {kind}"


def alter_column(dialect: Dialect, table: sa.Table, column: sa.Column[object], *instead: str) -> str:
    """Change a column's type; values that do not read as the new type become null.

    Its values come from itself, or from the first of the columns `instead` that has one.
    """
    kind, named = column.type.compile(dialect), name(dialect, column.name)
    read = (sa.try_cast(sa.column(other), column.type) for other in instead or (column.name,))
    values = ", ".join(str(one.compile(dialect=dialect)) for one in read)
    return f"ALTER TABLE {of(dialect, table)} ALTER COLUMN {named} TYPE {kind} USING COALESCE({values})"


def drop_column(dialect: Dialect, table: sa.Table, column: str) -> str:
    return f"ALTER TABLE {of(dialect, table)} DROP COLUMN {name(dialect, column)}"


def drop_temporary(dialect: Dialect, table: str) -> str:
    return f"DROP TABLE IF EXISTS temp.{name(dialect, table)}"


def copy_rows(dialect: Dialect, source: sa.Table, target: sa.Table) -> str:
    """All rows of a table into its like, in the order of its grain."""
    columns = ", ".join(name(dialect, column.name) for column in source.columns)
    order = ", ".join(name(dialect, column.name) for column in source.columns if column.info.get("key"))
    select = f"SELECT {columns} FROM {of(dialect, source)}"
    return f"INSERT INTO {of(dialect, target)} ({columns}) {select}" + (f" ORDER BY {order}" if order else "")


def comment(dialect: Dialect, table: sa.Table, column: sa.Column[object] | None = None) -> str:
    """COMMENT ON TABLE or COLUMN; DuckDB takes no parameter here."""
    if column is None:
        return f"COMMENT ON TABLE {of(dialect, table)} IS {text(table.comment or '')}"
    return f"COMMENT ON COLUMN {of(dialect, table)}.{name(dialect, column.name)} IS {text(column.comment or '')}"
