"""The planner knows of tables that just grew.

Belongs here: ANALYZE after statements that put many rows into a table. Does not: temporary tables that are made of
rows, and analysed as they are made (`postgres`).

The server's own housekeeping looks once a minute. A run that fills a table and reads it a second later would be planned
as if the table were empty: nested loops over everything, thousands of times slower.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from sor_pipeline.engine import postgres_quoting, shape
from sor_pipeline.engine.merge import Merge

_MANY = 200
"""Rows that are worth it; over fewer any plan will do."""
_SHARE = 0.1
"""Of what the table held when it was looked at last."""
_CLASS = sa.table(
    "pg_class", sa.column("relname", sa.Text), sa.column("relnamespace"), sa.column("reltuples", sa.Float),
    schema="pg_catalog",
)  # fmt: skip
_NAMESPACE = sa.table("pg_namespace", sa.column("oid"), sa.column("nspname", sa.Text), schema="pg_catalog")


def keep(engine: sa.Engine) -> None:
    """From now on, for all that the engine is asked."""
    sa.event.listen(engine, "after_cursor_execute", _written)


def _written(
    connection: sa.Connection, cursor: Any, _statement: str, _parameters: Any, context: Any, _many: bool
) -> None:
    if cursor.rowcount < _MANY:
        return
    table = _target(getattr(context.compiled, "statement", None))
    if table is None:
        return
    if table.schema is None:
        shape.tell(connection, postgres_quoting.analyze(connection.dialect, "pg_temp", table.name))
    elif cursor.rowcount >= _SHARE * _known(connection, table):
        shape.tell(connection, postgres_quoting.analyze_lasting(connection.dialect, table.schema, table.name))


def _target(statement: Any) -> sa.Table | None:
    if isinstance(statement, Merge):
        return statement.target
    table = statement.table if isinstance(statement, sa.Insert | sa.Update) else None
    return table if isinstance(table, sa.Table) else None


def _known(connection: sa.Connection, table: sa.Table) -> float:
    """Rows when it was analysed last; -1 where it never was."""
    held = (
        sa.select(_CLASS.c.reltuples)
        .join(_NAMESPACE, _NAMESPACE.c.oid == _CLASS.c.relnamespace)
        .where(_NAMESPACE.c.nspname == str(table.schema), _CLASS.c.relname == table.name)
    )
    return float(connection.execute(held).scalar() or 0)
