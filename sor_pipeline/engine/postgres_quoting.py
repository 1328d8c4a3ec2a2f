"""The server's statements that are made from text: quoting of names and of the few literals that take no parameter.

Belongs here: statements that SQLAlchemy has no construct for, or none that takes parameters. Does not: any select.
"""

from __future__ import annotations

from sqlalchemy.engine import Dialect

from sor_pipeline.engine.postgres_spelling import READ_AS
from sor_pipeline.engine.quoting import name, setting


def settings(values: dict[str, str]) -> str:
    """Several at once, in one trip to the server."""
    return "; ".join(f"SET {key} = {value}" for key, value in values.items())


def temporary(dialect: Dialect, table: str, select: str) -> str:
    """A table of a compiled select's rows, gone with the transaction; takes the select's parameters."""
    called = dialect.identifier_preparer.quote_identifier(table)  # as the driver wants it beside parameters
    return f"CREATE TEMPORARY TABLE {called} ON COMMIT DROP AS {select}"


def drop_temporary(dialect: Dialect, table: str) -> str:
    return f"DROP TABLE IF EXISTS pg_temp.{name(dialect, table)}"


def analyze(dialect: Dialect, *table: str) -> str:
    return f"ANALYZE {name(dialect, *table)}"


def analyze_lasting(dialect: Dialect, *table: str) -> str:
    """Looked at closely, for people ask it too; not at all where somebody else is about to, or holds it up."""
    closely, back = (setting("LOCAL default_statistics_target", value) for value in ("100", "10"))
    return f"{closely}; ANALYZE (SKIP_LOCKED) {name(dialect, *table)}; {back}"


def copy_out(select: str) -> str:
    return f"COPY ({select}) TO STDOUT (FORMAT csv)"


def copy_in(dialect: Dialect, table: str, columns: list[str]) -> str:
    listed = ", ".join(name(dialect, column) for column in columns)
    return f"COPY pg_temp.{name(dialect, table)} ({listed}) FROM STDIN (FORMAT csv)"


def read_as() -> str:
    """The session's own function behind TRY_CAST: a text as another type and back, null where it does not read."""
    return (
        f"CREATE OR REPLACE FUNCTION pg_temp.{READ_AS}(value text, kind text) RETURNS text LANGUAGE plpgsql AS $$ "
        "DECLARE said text; BEGIN "
        "EXECUTE format('SELECT CAST(CAST($1 AS %s) AS text)', kind) INTO said USING value; RETURN said; "
        "EXCEPTION WHEN OTHERS THEN RETURN NULL; END $$"
    )
