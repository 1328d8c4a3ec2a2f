"""What is said when the server refuses: never a value.

Belongs here: errors of the driver made into faults. A server puts values into DETAIL, CONTEXT and even the first line
(`invalid input syntax for type integer: "..."`), so of an error about data only its SQLSTATE and the names of
constraint, table and column are told. Does not: catching them (`postgres`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg
import sqlalchemy as sa

from sor_pipeline.errors import EngineError, Fault

_PLAIN = ("08", "25", "28", "3D", "3F", "40", "42", "53", "54", "55", "57", "58")
"""Classes whose first line names things and states, never data."""
_MISSING = ("42P01", "42703", "3F000")
_GONE = ("08", "57P0")
_AGAIN = "nothing half-done is published, nothing done is lost: run again"


@dataclass(frozen=True)
class _Kind:
    code: str
    what: str
    expected: str
    todo: str


_UNAVAILABLE = _Kind(
    "warehouse-unavailable",
    "the database server does not answer",
    "a server that accepts connections",
    f"see that it runs and can be reached; {_AGAIN}",
)
_UNADMITTED = _Kind(
    "warehouse-refused",
    "the database server does not let us in",
    "the database, user and password that SOR_WAREHOUSE_URL names",
    "correct the URL, or have the database made and the user admitted",
)
_UNADMITTING = (
    "authentication",
    "does not exist",
    "pg_hba",
    "not permitted to log in",
    "permission denied",
    "no password",
)
"""Words of what a server says at the door; it gives no SQLSTATE there."""
_UNSOUND = _Kind(
    "warehouse-failed",
    "the database server met a fault of its own",
    "a server whose disk and files are sound",
    f"have its log looked at; {_AGAIN}",
)
_ALONE = "nobody else writing to our schemas"
_KINDS: dict[str, _Kind] = {
    "57P03": _Kind(
        "warehouse-unavailable",
        "the database server is starting up or shutting down",
        "a server that accepts connections",
        "wait a moment, then run again",
    ),
    "53300": _Kind(
        "warehouse-unavailable",
        "the database server has no connection left",
        "a free connection",
        "wait, or raise max_connections",
    ),
    "28": _UNADMITTED,
    "3D000": _UNADMITTED,
    "42501": _Kind(
        "warehouse-forbidden",
        "the user may not do this in the database",
        "the rights of a role that runs the pipeline",
        "have them granted (see `sor grants`), then run again",
    ),
    "53100": _Kind("warehouse-failed", "the disk of the database server is full", "room on it", f"make room; {_AGAIN}"),
    "53": _Kind(
        "warehouse-failed", "the database server is short of something", "memory and locks", f"give it more; {_AGAIN}"
    ),
    "57014": _Kind(
        "warehouse-failed",
        "a statement was cancelled or took longer than it may",
        "a statement_timeout that a run can meet",
        f"raise the limit for this user; {_AGAIN}",
    ),
    "40P01": _Kind("warehouse-failed", "somebody else's transaction and ours waited for each other", _ALONE, _AGAIN),
    "40": _Kind("warehouse-failed", "somebody else's transaction got in the way", _ALONE, _AGAIN),
    "55P03": _Kind(
        "warehouse-failed",
        "somebody else had a table locked for too long",
        "nobody who reads or writes a table of ours for minutes while its shape changes",
        f"see who does in `pg_stat_activity`; {_AGAIN}",
    ),
    "58": _UNSOUND,
    "XX": _UNSOUND,
}
_OTHER = _Kind(
    "warehouse-failed", "the database refuses a statement", "one that its rules accept", f"see what it names; {_AGAIN}"
)


def refused(error: BaseException, where: str) -> Exception:
    """The error to raise instead of the driver's, which is stripped of values in place: it stays in tracebacks.

    `where` is the warehouse without its password. What asks for a table or column that is not there stays SQLAlchemy's
    ProgrammingError; all else is an EngineError.
    """
    state, found = _state(error), told(error)
    kind = _kind(error, state)
    _strip(error, found)
    if state in _MISSING:
        return sa.exc.ProgrammingError(None, None, error)
    return EngineError(Fault(kind.code, where, kind.what, found, kind.expected, kind.todo))


def told(error: BaseException) -> str:
    """What may be said of a driver's error: SQLSTATE, its name, what it is about."""
    diag = getattr(error, "diag", None)
    state = _state(error)
    if state is None:
        return _first_line(error)
    words = [f"SQLSTATE {state} ({_name(state)})"]
    if state.startswith(_PLAIN) and diag is not None and diag.message_primary:
        words.append(str(diag.message_primary))
    for label, part in (("constraint", "constraint_name"), ("schema", "schema_name"), ("table", "table_name"),
                        ("column", "column_name"), ("type", "datatype_name")):  # fmt: skip
        if value := getattr(diag, part, None):
            words.append(f"{label} {value}")
    return ", ".join(words)


def _state(error: BaseException) -> str | None:
    return getattr(error, "sqlstate", None)


def _name(state: str) -> str:
    try:
        return psycopg.errors.lookup(state).__name__
    except KeyError:
        return "unknown"


def _kind(error: BaseException, state: str | None) -> _Kind:
    if state is None and isinstance(error, psycopg.OperationalError):
        return _UNADMITTED if any(word in str(error) for word in _UNADMITTING) else _UNAVAILABLE
    if state is None:
        return _OTHER
    found = _KINDS.get(state) or next((kind for start, kind in _KINDS.items() if state.startswith(start)), None)
    return found or (_UNAVAILABLE if state.startswith(_GONE) else _OTHER)


def _first_line(error: BaseException) -> str:
    """Errors without a SQLSTATE: of the connection (which may be told), or of the driver itself about a value."""
    if isinstance(error, psycopg.OperationalError):
        return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return type(error).__name__


def _strip(error: Any, found: str) -> None:
    error.args = (found,)
