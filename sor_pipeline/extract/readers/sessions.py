"""A session in somebody else's database: read-only, one moment, bounded in time; and what its errors mean.

Belongs here: connecting, the snapshot, timeouts, the wording of what fails. Does not: what is read (`database`).

No message holds what the driver says: it may quote values (PostgreSQL's DETAIL), and the URL holds a password.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from sor_pipeline import settings
from sor_pipeline.errors import ExtractRefused
from sor_pipeline.extract import refusals
from sor_pipeline.ownership.source import Extract

CONNECT_SECONDS = 15
USUAL_TIMEOUT = timedelta(hours=1)
_UNREACHABLE = ("08", "53", "57P")
_HINTS = {
    "28": "the database refuses the login; correct the user or password of `url`",
    "3D": "there is no such database; correct `url`",
    "42501": "the user may not read it; grant it SELECT on what is read, and USAGE on its schema",
    "42": "correct `table`, `query` or `cursor`: a name is not there, or a word is wrong",
    "57014": "a statement took longer than `timeout`; raise it, or let an index serve `cursor`",
    "55P03": "somebody else holds a lock on it; it is tried again in the next run",
    "25006": "the query would write: an extract only reads",
    "40": "it is tried again in the next run",
    "22": "a value cannot be read as what it is declared; correct `query`, or cast it to text there",
}


@contextmanager
def session(where: str, extract: Extract) -> Iterator[sa.Connection]:
    """A connection that sees the database at one moment and writes nothing.

    Raises ExtractRefused (database-unreachable, query-failed), SettingsError for a variable that is not set.
    """
    url = settings.expanded(extract.url or "")
    try:
        engine = _engine(url)
        with engine.connect().execution_options(**_snapshot(engine.dialect.name)) as connection:
            _bounded(connection, extract.timeout or USUAL_TIMEOUT)
            yield connection
    except (sa.exc.SQLAlchemyError, ImportError, UnicodeError) as error:
        raise _refused(where, error) from None


def _engine(url: str) -> sa.Engine:
    try:
        parsed = sa.make_url(url)
    except ValueError as error:  # a port that is no number: the message would quote the URL
        raise sa.exc.ArgumentError(type(error).__name__) from None
    arguments: dict[str, Any] = {}
    if parsed.get_driver_name() in ("psycopg", "psycopg2", "pymysql", "mysqldb"):
        arguments["connect_timeout"] = CONNECT_SECONDS
    elif parsed.get_backend_name() == "duckdb" and parsed.database not in (None, "", ":memory:"):
        arguments["read_only"] = True
    return sa.create_engine(parsed, poolclass=sa.pool.NullPool, hide_parameters=True, connect_args=arguments)


def _snapshot(dialect: str) -> dict[str, Any]:
    if dialect == "postgresql":
        return {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    return {"isolation_level": "REPEATABLE READ"} if dialect in ("mysql", "mariadb") else {}


def _bounded(connection: sa.Connection, timeout: timedelta) -> None:
    """PostgreSQL ends a statement by itself; a lock is not waited for longer than a login."""
    if connection.dialect.name != "postgresql":
        return
    wanted = {
        "statement_timeout": str(int(timeout.total_seconds() * 1000)),
        "lock_timeout": str(CONNECT_SECONDS * 1000),
        "TimeZone": "UTC",
    }
    connection.execute(sa.select(*(sa.func.set_config(name, value, True) for name, value in wanted.items())))


def _refused(where: str, error: Exception) -> ExtractRefused:
    cause = getattr(error, "orig", None) or error
    state = str(getattr(cause, "sqlstate", None) or "")
    name = type(cause).__name__
    said = f"{name} {state or getattr(cause, 'sqlite_errorname', None) or ''}".strip()
    if isinstance(cause, ImportError):
        return refusals.query_failed(
            where, said, "install the driver that `url` names; for PostgreSQL, the extra `postgres`"
        )
    never_answered = hasattr(cause, "sqlstate") and not state and name == "OperationalError"
    hint = next((text for start, text in _HINTS.items() if state.startswith(start)), "")
    if state != "57014" and (state.startswith(_UNREACHABLE) or never_answered):
        return refusals.unreachable(where, said)
    return refusals.query_failed(where, said, hint)
