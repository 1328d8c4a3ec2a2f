"""What the embedded engine's catalogue says of its tables.

Belongs here: asking it. Does not: what is to change (`shape`).
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect

from sor_pipeline.engine.shape import Catalogue, Kept, Present

_SPELLED = {"TEXT": "VARCHAR", "TIMESTAMP WITHOUT TIME ZONE": "TIMESTAMP"}


class DuckDBForm:
    """The private file's tables have no comments but those that say what is kept."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect

    def schemas(self, connection: sa.Connection) -> set[str]:  # noqa: ARG002 (making one anew costs nothing)
        return set()

    def catalogue(self, connection: sa.Connection) -> Catalogue:
        names = ("database_name", "schema_name", "table_name", "column_name", "data_type", "comment")
        listed = sa.func.duckdb_columns().table_valued(*(sa.column(name, sa.Text) for name in names)).c
        columns = (listed.schema_name, listed.table_name, listed.column_name, listed.data_type, listed.comment)
        here = sa.select(*columns).where(listed.database_name == sa.func.current_database())
        found: Catalogue = {}
        for schema, table, column, kind, comment in connection.execute(here).fetchall():
            found.setdefault((schema, table), {})[column] = Present(kind, comment)
        return found

    def kept(self, connection: sa.Connection) -> Kept:
        names = ("database_name", "schema_name", "table_name", "comment")
        listed = sa.func.duckdb_tables().table_valued(*(sa.column(name, sa.Text) for name in names)).c
        here = sa.select(listed.schema_name, listed.table_name, listed.comment)
        rows = connection.execute(here.where(listed.database_name == sa.func.current_database())).fetchall()
        return {(schema, table): comment for schema, table, comment in rows}

    def kind(self, column: sa.Column[Any]) -> str:
        """The type as DuckDB's catalogue spells it."""
        spelled = column.type.compile(self.dialect).upper().replace(", ", ",").replace("NUMERIC", "DECIMAL")
        return _SPELLED.get(spelled, spelled)

    def retyping(self, connection: sa.Connection) -> None:
        """TRY_CAST is its own."""
