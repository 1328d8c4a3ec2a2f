"""Retired ids and the ids to use instead: `conformed.<entity>_alias`, for ever.

Belongs here: following each retired id to where it leads now. Does not: deciding which id takes over (`identify`).
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from sor_pipeline.engine.base import Engine
from sor_pipeline.tables import Tables


def write_aliases(engine: Engine, connection: sa.Connection, tables: Tables, entity: str) -> int:
    """Bring the aliases to what the registry says; returns the number of rows that differ.

    An id that came back is no alias any more. One that never was published (born and retired before the next
    publication) is none either.
    """
    table, ident = tables.alias[entity], f"{entity}_id"
    wanted = _followed(engine, connection, tables, entity)
    same = sa.and_(table.c.alias_id == wanted.c.alias_id, table.c[ident] == wanted.c.entity_id)
    stale = sa.select(table.c.alias_id).where(~sa.exists().where(same).correlate(table))
    fresh = sa.select(wanted).where(~sa.exists().where(same).correlate(wanted))
    gone = engine.materialise(connection, "publish_alias_gone", stale)
    come = engine.materialise(connection, "publish_alias_come", fresh)
    removed = connection.execute(sa.delete(table).where(table.c.alias_id.in_(sa.select(gone.c.alias_id)))).rowcount
    rows = sa.select(come.c.alias_id, come.c.entity_id, come.c.since)
    names = ["alias_id", ident, "since_publication"]
    added = connection.execute(sa.insert(table).from_select(names, rows)).rowcount
    return max(removed, 0) + max(added, 0)


def _followed(engine: Engine, connection: sa.Connection, tables: Tables, entity: str) -> sa.Table:
    """Grain: one retired id that another took over (alias_id, entity_id, since); every step halves the way."""
    registry = tables.id
    merged = sa.select(
        registry.c.entity_id.label("alias_id"),
        registry.c.merged_into.label("entity_id"),
        registry.c.retired.label("since"),
    ).where(
        registry.c.entity == entity,
        registry.c.retired.is_not(None),
        registry.c.merged_into.is_not(None),
        registry.c.born.is_distinct_from(registry.c.retired),
    )
    leads = engine.materialise(connection, "publish_leads", _all_leads(tables, entity))
    found = engine.materialise(connection, "publish_alias_0", merged)
    turn = 0
    while connection.execute(_further(found, leads).limit(1)).first() is not None:
        turn += 1
        onward = leads.alias("onward")
        to = sa.func.coalesce(onward.c.to_id, found.c.entity_id, type_=sa.Text).label("entity_id")
        step = sa.select(found.c.alias_id, to, found.c.since).select_from(
            found.outerjoin(onward, onward.c.from_id == found.c.entity_id)
        )
        found = engine.materialise(connection, f"publish_alias_{turn}", step)
        again = leads.alias("again")
        further = sa.select(
            leads.c.from_id, sa.func.coalesce(again.c.to_id, leads.c.to_id, type_=sa.Text).label("to_id")
        ).select_from(leads.outerjoin(again, again.c.from_id == leads.c.to_id))
        leads = engine.materialise(connection, f"publish_leads_{turn}", further)
    return found


def _all_leads(tables: Tables, entity: str) -> sa.Select[Any]:
    registry = tables.id
    return sa.select(registry.c.entity_id.label("from_id"), registry.c.merged_into.label("to_id")).where(
        registry.c.entity == entity, registry.c.retired.is_not(None), registry.c.merged_into.is_not(None)
    )


def _further(found: sa.Table, leads: sa.Table) -> sa.Select[Any]:
    return sa.select(found.c.alias_id).join(leads, leads.c.from_id == found.c.entity_id)
