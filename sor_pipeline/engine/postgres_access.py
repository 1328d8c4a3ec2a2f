"""That a publication leaves grants, policies and options of the published tables as they were.

Belongs here: a digest of them at the start of a transaction and at its end. Does not: what they ought to be (`access`).

What somebody else changes meanwhile is theirs to change and holds up nothing; only what this transaction did itself
is refused. It is known by the catalogue rows that it wrote, and by the exclusive lock that altering or dropping takes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from sor_pipeline.errors import EngineError, Fault

_SERVER = "postgresql"
_RELATIONS = ("r", "p", "v", "m", "f")
_EXCLUSIVE = "AccessExclusiveLock"


def _catalogue(name: str, *columns: str) -> sa.TableClause:
    return sa.table(name, *(sa.column(column) for column in columns), schema="pg_catalog")


_CLASS = _catalogue(
    "pg_class", "oid", "relname", "relnamespace", "relkind", "relowner", "relacl", "reloptions", "relrowsecurity",
    "relforcerowsecurity", "xmin",
)  # fmt: skip
_NAMESPACE = _catalogue("pg_namespace", "oid", "nspname", "nspowner", "nspacl", "xmin")
_ATTRIBUTE = _catalogue("pg_attribute", "attrelid", "attname", "attacl", "attoptions", "xmin")
_POLICY = _catalogue(
    "pg_policy", "polrelid", "polname", "polcmd", "polpermissive", "polroles", "polqual", "polwithcheck", "xmin"
)  # fmt: skip
_LOCKS = _catalogue("pg_locks", "pid", "relation", "mode")


class _Xid(sa.types.UserDefinedType[int]):
    """The number of a transaction as rows bear it."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "xid"


@contextmanager
def kept(connection: sa.Connection, schema: str) -> Iterator[None]:
    """What the block does to rows may not touch who may read them.

    Raises EngineError (`access-changed`) at the block's end, so that nothing is committed, where this transaction
    altered grants, owners, policies or options in `schema`. Inside, a policy that would hide rows from the
    publisher is an error, not a smaller table. Engines without roles have nothing to keep.
    """
    if connection.dialect.name != _SERVER:
        yield
        return
    connection.execute(sa.select(sa.func.set_config("row_security", "off", True)))
    before, tables = digest(connection, schema), _oids(connection, schema)
    yield
    if digest(connection, schema) != before and _ours(connection, schema, tables):
        raise EngineError(
            Fault("access-changed", schema, "this publication would have altered who may read the tables",
                  "grants, owners, policies or options of before are not those of after", "the same",
                  "nothing is published; report it, with what runs inside the publication (triggers, event triggers)")
        )  # fmt: skip


def digest(connection: sa.Connection, schema: str) -> str:
    """Of grants, owners, policies and options of the schema, its tables and their columns."""
    lines = (repr(tuple(row)) for select in _told(schema) for row in connection.execute(select).fetchall())
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def _oids(connection: sa.Connection, schema: str) -> list[int]:
    return list(connection.execute(sa.select(_CLASS.c.oid).select_from(_tables(schema))).scalars())


def _told(schema: str) -> tuple[sa.Select[Any], ...]:
    tables = _tables(schema)
    columns, policies = tables.join(_ATTRIBUTE, _ATTRIBUTE.c.attrelid == _CLASS.c.oid), _policies(tables)
    return (
        sa.select(_NAMESPACE.c.nspowner, _text(_NAMESPACE.c.nspacl)).where(_NAMESPACE.c.nspname == schema),
        sa.select(
            _CLASS.c.oid, _CLASS.c.relname, _CLASS.c.relowner, _text(_CLASS.c.relacl), _text(_CLASS.c.reloptions),
            _CLASS.c.relrowsecurity, _CLASS.c.relforcerowsecurity,
        ).select_from(tables),
        sa.select(_CLASS.c.oid, _ATTRIBUTE.c.attname, _text(_ATTRIBUTE.c.attacl), _text(_ATTRIBUTE.c.attoptions))
        .select_from(columns)
        .where(sa.or_(_ATTRIBUTE.c.attacl.is_not(None), _ATTRIBUTE.c.attoptions.is_not(None))),
        sa.select(
            _POLICY.c.polrelid, _POLICY.c.polname, _POLICY.c.polcmd, _POLICY.c.polpermissive, _text(_POLICY.c.polroles),
            sa.func.pg_get_expr(_POLICY.c.polqual, _POLICY.c.polrelid).label("shown"),
            sa.func.pg_get_expr(_POLICY.c.polwithcheck, _POLICY.c.polrelid).label("written"),
        ).select_from(policies),
    )  # fmt: skip


def _text(column: sa.ColumnElement[Any]) -> sa.ColumnElement[str]:
    return sa.cast(column, sa.Text)


def _ours(connection: sa.Connection, schema: str, before: list[int]) -> bool:
    """Whether this transaction itself wrote a row of the catalogue about the schema, or altered or dropped in it.

    `before`: its tables when the transaction began.
    """
    mine = sa.cast(sa.func.pg_current_xact_id_if_assigned(), _Xid)
    tables = _tables(schema)
    columns = tables.join(_ATTRIBUTE, _ATTRIBUTE.c.attrelid == _CLASS.c.oid)
    locked = sa.and_(
        _LOCKS.c.pid == sa.func.pg_backend_pid(), _LOCKS.c.mode == _EXCLUSIVE, _LOCKS.c.relation.in_(before)
    )
    written = (
        sa.select(_NAMESPACE.c.oid).where(_NAMESPACE.c.nspname == schema, _NAMESPACE.c.xmin == mine),
        sa.select(_CLASS.c.oid).select_from(tables).where(_CLASS.c.xmin == mine),
        sa.select(_CLASS.c.oid).select_from(columns).where(_ATTRIBUTE.c.xmin == mine),
        sa.select(_CLASS.c.oid).select_from(_policies(tables)).where(_POLICY.c.xmin == mine),
        sa.select(_LOCKS.c.relation).where(locked),
    )
    return any(connection.execute(select.limit(1)).first() is not None for select in written)


def _tables(schema: str) -> sa.FromClause:
    return sa.join(
        _CLASS,
        _NAMESPACE,
        sa.and_(
            _CLASS.c.relnamespace == _NAMESPACE.c.oid,
            _NAMESPACE.c.nspname == schema,
            _CLASS.c.relkind.in_(_RELATIONS),
        ),
    )


def _policies(tables: sa.FromClause) -> sa.FromClause:
    return sa.join(tables, _POLICY, _POLICY.c.polrelid == _CLASS.c.oid)
