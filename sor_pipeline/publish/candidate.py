"""What would be published: the canonical rows of affected entities, with holds applied.

Belongs here: the choice between a canonical cell and its last good published value.
Does not: the comparison with what is published (`difference`).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import sqlalchemy as sa

from sor_pipeline.engine.base import Rows
from sor_pipeline.tables import NO_FIELD, Tables, cell

HELD = "hold"
"""The rule of a cell that keeps its last good published value."""
LINEAGE = ("system", "key", "rule", "since")


def affected(tables: Tables, entity: str) -> Rows:
    """Grain: one entity to look at; columns entity_id, cause."""
    table = tables.affected
    return (
        sa.select(table.c.entity_id, sa.func.min(table.c.cause).label("cause"))
        .where(table.c.entity == entity)
        .group_by(table.c.entity_id)
    )


def beside(table: sa.Table, ids: sa.FromClause, ident: str) -> sa.Subquery:
    """The rows of a table about the entities in `ids`: few, so that joins need not read all."""
    rows = sa.select(table).where(table.c[ident].in_(sa.select(ids.c.entity_id)))
    return rows.subquery(f"{table.schema}_{table.name}")


def held_fields(tables: Tables, entity: str) -> Rows:
    """Grain: one field of which some affected entity's cell is held (NO_FIELD: a whole row)."""
    held = tables.held
    ids = sa.select(tables.affected.c.entity_id).where(tables.affected.c.entity == entity)
    return sa.select(held.c.field).where(held.c.entity == entity, held.c.entity_id.in_(ids)).distinct()


def candidate(tables: Tables, entity: str, held: Collection[str], looked_at: sa.FromClause) -> Rows:
    """Grain: one affected entity that is not held as a whole; key entity_id.

    `_cause` is why it was looked at, `_exists` false where no canonical row is left; per field
    its value and `__system`, `__key`, `__rule`, `__since`. `held` lists the fields (and NO_FIELD)
    of which some cell is held: only for these the published row is read. `looked_at` holds `affected`.
    """
    row = beside(tables.canonical[entity], looked_at, "entity_id")
    joined: sa.FromClause = looked_at.outerjoin(row, row.c.entity_id == looked_at.c.entity_id)
    columns: list[sa.ColumnElement[Any]] = [
        looked_at.c.entity_id,
        looked_at.c.cause.label("_cause"),
        row.c.entity_id.is_not(None).label("_exists"),
    ]
    if not held:
        for name in tables.ownership.entities[entity].fields:
            columns += _canonical(row, name)
        return sa.select(*columns).select_from(joined)
    flags = _flags(tables, entity, held).subquery("flags")
    ident = f"{entity}_id"
    value = beside(tables.conformed[entity], looked_at, ident)
    source = beside(tables.sources[entity], looked_at, ident)
    joined = (
        joined.outerjoin(flags, flags.c.entity_id == looked_at.c.entity_id)
        .outerjoin(value, value.c[ident] == looked_at.c.entity_id)
        .outerjoin(source, source.c[ident] == looked_at.c.entity_id)
    )
    for name in tables.ownership.entities[entity].fields:
        columns += (
            _unless_held(row, value, source, flags.c[_flag(name)], name) if name in held else _canonical(row, name)
        )
    whole = sa.and_(row.c.entity_id.is_not(None), flags.c[_flag(NO_FIELD)]) if NO_FIELD in held else sa.false()
    return sa.select(*columns).select_from(joined).where(sa.not_(sa.func.coalesce(whole, sa.false())))


def _flag(field: str) -> str:
    return f"held__{field}"


def _flags(tables: Tables, entity: str, held: Collection[str]) -> Rows:
    """Grain: one entity of which something is held; per field in `held` whether it is."""
    table = tables.held
    flags = (sa.func.bool_or(table.c.field == name).label(_flag(name)) for name in sorted(held))
    return sa.select(table.c.entity_id, *flags).where(table.c.entity == entity).group_by(table.c.entity_id)


def _canonical(row: sa.FromClause, name: str) -> list[sa.ColumnElement[Any]]:
    now = cell(row, name)
    return [
        now.value.label(name),
        now.system.label(f"{name}__system"),
        now.key.label(f"{name}__key"),
        now.rule.label(f"{name}__rule"),
        now.since.label(f"{name}__since"),
    ]


def _unless_held(
    row: sa.FromClause, value: sa.FromClause, source: sa.FromClause, flag: sa.ColumnElement[bool], name: str
) -> list[sa.ColumnElement[Any]]:
    """A held cell that was never published has no good value to keep: null."""
    now = cell(row, name)
    return [
        sa.case((flag, value.c[name]), else_=now.value).label(name),
        sa.case((flag, source.c[f"{name}_system"]), else_=now.system).label(f"{name}__system"),
        sa.case((flag, source.c[f"{name}_key"]), else_=now.key).label(f"{name}__key"),
        sa.case((flag, sa.literal(HELD, sa.Text)), else_=now.rule).label(f"{name}__rule"),
        sa.case((flag, source.c[f"{name}_since"]), else_=now.since).label(f"{name}__since"),
    ]
