"""Conflicts across publications: opened, brought up to date, closed.

Belongs here: the comparison of the present disagreements with those that are open.
Does not: finding disagreements (`resolve`).

A conflict about a held cell stays as it was published, like the cell. One of an entity that is
not published is not shown.
"""

from __future__ import annotations

import sqlalchemy as sa

from sor_pipeline.engine.base import Engine, Rows
from sor_pipeline.tables import NO_FIELD, Tables

_CLAIM = ("entity_id", "field", "source", "source_key")
_FACTS = ("kind", "system", "owner", "claimed", "canonical")


def conflict_difference(tables: Tables, entity: str, number: int, looked_at: sa.Table) -> Rows:
    """Grain: one disagreement, of an entity of `looked_at`, that opens, changes or closes; once entities are written.

    Columns as `conformed.conflict`: `closed_in` is `number` where it closes.
    """
    still_open = tables.conflict.c.closed_in.is_(None)
    before = _shown(tables, entity, tables.conflict, looked_at, still_open).subquery("before")
    present = tables.conformed[entity].c[f"{entity}_id"]
    published = tables.open_conflict.c.entity_id.in_(sa.select(present))
    after = _shown(tables, entity, tables.open_conflict, looked_at, published).subquery("after")
    same = sa.and_(*(before.c[name] == after.c[name] for name in _CLAIM))
    gone = after.c.entity_id.is_(None)
    return (
        sa.select(
            sa.literal(entity, sa.Text).label("entity"),
            *(sa.func.coalesce(after.c[name], before.c[name]).label(name) for name in _CLAIM),
            sa.func.coalesce(before.c.opened_in, number).label("opened_in"),
            *(sa.case((gone, before.c[name]), else_=after.c[name]).label(name) for name in _FACTS),
            sa.case((gone, sa.literal(number, sa.BigInteger))).label("closed_in"),
        )
        .select_from(before.join(after, same, full=True))
        .where(sa.or_(gone, *(before.c[n].is_distinct_from(after.c[n]) for n in ("entity_id", *_FACTS))))
    )


def _shown(
    tables: Tables, entity: str, conflict: sa.Table, looked_at: sa.Table, condition: sa.ColumnElement[bool]
) -> Rows:
    """Disagreements of entities of `looked_at`, without those about held cells of published entities."""
    held = tables.held
    present = tables.conformed[entity].c[f"{entity}_id"]
    frozen = (
        sa.exists()
        .where(
            held.c.entity == entity,
            held.c.entity_id == conflict.c.entity_id,
            sa.or_(held.c.field == conflict.c.field, held.c.field == NO_FIELD),
            held.c.entity_id.in_(sa.select(present)),
        )
        .correlate(conflict)
    )
    return (
        sa.select(conflict)
        .join(looked_at, looked_at.c.entity_id == conflict.c.entity_id)
        .where(conflict.c.entity == entity, condition, sa.not_(frozen))
    )


def write_conflicts(
    engine: Engine, connection: sa.Connection, tables: Tables, entity: str, number: int, looked_at: sa.Table
) -> int:
    """Bring `conformed.conflict` up to date for entities of `looked_at`; returns the number of rows touched."""
    rows = engine.materialise(connection, "publish_conflict", conflict_difference(tables, entity, number, looked_at))
    return engine.replace(connection, tables.conflict, rows, ["entity", *_CLAIM, "opened_in"])


def close_abandoned(connection: sa.Connection, tables: Tables, number: int) -> None:
    """Close what is open about entities that the document no longer has."""
    table = tables.conflict
    abandoned = table.c.entity.not_in(list(tables.ownership.entities))
    connection.execute(sa.update(table).where(table.c.closed_in.is_(None), abandoned).values(closed_in=number))
