"""What migrations need of a catalogue: which tables and columns are there, and columns added to them.

Belongs here: looking, and adding a column. Does not: any migration.
"""

from __future__ import annotations

import sqlalchemy as sa

from sor_pipeline.engine import quoting

_CATALOGUE = "information_schema"


def present_tables(connection: sa.Connection) -> set[tuple[str, str]]:
    """(schema, table) of every table of this database that may be read."""
    listed = sa.table(
        "tables", sa.column("table_catalog"), sa.column("table_schema"), sa.column("table_name"), schema=_CATALOGUE
    )
    here = sa.select(listed.c.table_schema, listed.c.table_name).where(
        listed.c.table_catalog == sa.func.current_database()
    )
    return {(schema, table) for schema, table in connection.execute(here).fetchall()}


def present_columns(connection: sa.Connection, table: sa.Table) -> set[str]:
    """Names of the table's columns; empty where there is no such table."""
    listed = sa.table(
        "columns", *(sa.column(name) for name in ("table_catalog", "table_schema", "table_name", "column_name")),
        schema=_CATALOGUE,
    )  # fmt: skip
    here = sa.select(listed.c.column_name).where(
        listed.c.table_catalog == sa.func.current_database(),
        listed.c.table_schema == table.schema,
        listed.c.table_name == table.name,
    )
    return set(connection.execute(here).scalars())


def add_missing(connection: sa.Connection, table: sa.Table) -> bool:
    """Add to the table the columns that it lacks; False where there is no such table."""
    there = present_columns(connection, table)
    for column in table.columns:
        if there and column.name not in there:
            connection.exec_driver_sql(quoting.add_column(connection.dialect, table, column))
    return bool(there)
