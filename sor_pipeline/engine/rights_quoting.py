"""Statements about roles and rights, which take no parameters: every name quoted, every word from a closed list.

Belongs here: GRANT, REVOKE, roles, owners, views, and what is noted on a schema or view. Does not: which ones
(`access`).
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.engine import Dialect

from sor_pipeline.engine.quoting import name, text

PUBLIC = "PUBLIC"
_KINDS = ("DATABASE", "SCHEMA", "TABLE")


def role(dialect: Dialect, role: str) -> str:
    return f"CREATE ROLE {name(dialect, role)} NOLOGIN"


def member(dialect: Dialect, of: str, role: str, *, give: bool) -> str:
    verb, to = ("GRANT", "TO") if give else ("REVOKE", "FROM")
    return f"{verb} {name(dialect, of)} {to} {name(dialect, role)}"


def right(
    dialect: Dialect, words: Sequence[str], kind: str, place: Sequence[str], role: str, columns: Sequence[str] = (),
    *, give: bool,
) -> str:  # fmt: skip
    """GRANT or REVOKE of the privileges `words` on a database, schema or table, or on columns of a table."""
    if kind not in _KINDS:
        raise ValueError(kind)
    listed = f" ({', '.join(name(dialect, column) for column in columns)})" if columns else ""
    what = ", ".join(f"{word}{listed}" for word in words)
    verb, to = ("GRANT", "TO") if give else ("REVOKE", "FROM")
    return f"{verb} {what} ON {kind} {name(dialect, *place)} {to} {_who(dialect, role)}"


def by_default(dialect: Dialect, words: Sequence[str], owner: str, schema: str, role: str, *, give: bool) -> str:
    """What `role` may do with tables that `owner` will make in the schema."""
    verb, to = ("GRANT", "TO") if give else ("REVOKE", "FROM")
    return (
        f"ALTER DEFAULT PRIVILEGES FOR ROLE {name(dialect, owner)} IN SCHEMA {name(dialect, schema)} "
        f"{verb} {', '.join(words)} ON TABLES {to} {_who(dialect, role)}"
    )


def owner(dialect: Dialect, kind: str, place: Sequence[str], role: str) -> str:
    """Give a schema or table (also a view) to a role."""
    if kind not in _KINDS:
        raise ValueError(kind)
    return f"ALTER {kind} {name(dialect, *place)} OWNER TO {name(dialect, role)}"


def schema(dialect: Dialect, schema: str) -> str:
    return f"CREATE SCHEMA IF NOT EXISTS {name(dialect, schema)}"


def view(dialect: Dialect, place: Sequence[str], select: str, *, invoker: bool) -> str:
    """A view that keeps its reader's conditions behind its own, with its reader's rights or its owner's."""
    options = f"security_invoker = {'true' if invoker else 'false'}, security_barrier = true"
    return f"CREATE VIEW {name(dialect, *place)} WITH ({options}) AS {select}"


def no_view(dialect: Dialect, place: Sequence[str]) -> str:
    return f"DROP VIEW IF EXISTS {name(dialect, *place)}"


def noted(dialect: Dialect, kind: str, place: Sequence[str], words: str) -> str:
    """COMMENT ON a schema or view."""
    if kind not in ("SCHEMA", "VIEW"):
        raise ValueError(kind)
    return f"COMMENT ON {kind} {name(dialect, *place)} IS {text(words)}"


def _who(dialect: Dialect, role: str) -> str:
    return PUBLIC if role == PUBLIC else name(dialect, role)
