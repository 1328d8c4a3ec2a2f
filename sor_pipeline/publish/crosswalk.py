"""The crosswalk: which entity each live record is, by every system's own key.

Belongs here: the records of affected entities now and as published, and who moved.
Does not: deciding which records are the same (`identify`).
"""

from __future__ import annotations

import sqlalchemy as sa

from sor_pipeline.engine.base import Rows
from sor_pipeline.ownership.document import system_of
from sor_pipeline.tables import Tables


def records(tables: Tables, entity: str, looked_at: sa.Table) -> Rows:
    """Grain: one live record of an entity of `looked_at`; columns source, source_key, system, entity_id."""
    identity = tables.identity[entity]
    known = sa.select(identity.c.source, identity.c.source_key, identity.c.entity_id).join(
        looked_at, looked_at.c.entity_id == identity.c.entity_id
    )
    mine = known.cte("mine")
    parts = [_live(tables, source, mine) for source in tables.ownership.sources_of(entity)]
    if not parts:
        return sa.select(mine, sa.cast(None, sa.Text).label("system")).where(sa.false())
    every = sa.union_all(*parts).subquery("every_source")
    return sa.select(every)


def _live(tables: Tables, source: str, mine: sa.FromClause) -> Rows:
    staged = tables.staged[source]
    return (
        sa.select(
            mine.c.source, mine.c.source_key, sa.literal(system_of(source), sa.Text).label("system"), mine.c.entity_id
        )
        .join(staged, staged.c._key == mine.c.source_key)
        .where(mine.c.source == source, staged.c._deleted_at.is_(None))
    )


def published(tables: Tables, entity: str, looked_at: sa.Table) -> Rows:
    """Grain: one record that was published as one of an entity of `looked_at`; columns as `records`."""
    keys = tables.keys[entity]
    ident = keys.c[f"{entity}_id"]
    return sa.select(keys.c.source, keys.c.source_key, keys.c.system, ident.label("entity_id")).join(
        looked_at, looked_at.c.entity_id == ident
    )


def _side_by_side(before: sa.FromClause, after: sa.FromClause) -> sa.FromClause:
    same = sa.and_(before.c.source == after.c.source, before.c.source_key == after.c.source_key)
    return before.join(after, same, full=True)


def movements(tables: Tables, entity: str, live: sa.Table, looked_at: sa.Table) -> Rows:
    """Grain: one entity of `looked_at` whose records are not the published ones; `live` holds `records`.

    `_moved`: a record came from or went to another entity; `_joined`: a record is new;
    `_lost`: a record is deleted.
    """
    before = published(tables, entity, looked_at).subquery("before")
    pair = _side_by_side(before, live)
    moved = sa.and_(before.c.entity_id.is_not(None), live.c.entity_id.is_not(None))
    differ = before.c.entity_id.is_distinct_from(live.c.entity_id)
    left = sa.select(
        before.c.entity_id,
        moved.label("_moved"),
        sa.false().label("_joined"),
        live.c.entity_id.is_(None).label("_lost"),
    )
    entered = sa.select(
        live.c.entity_id,
        moved.label("_moved"),
        before.c.entity_id.is_(None).label("_joined"),
        sa.false().label("_lost"),
    )
    both = sa.union_all(
        left.select_from(pair).where(differ, before.c.entity_id.is_not(None)),
        entered.select_from(pair).where(differ, live.c.entity_id.is_not(None)),
    ).subquery("movement")
    flags = (sa.func.bool_or(both.c[name]).label(name) for name in ("_moved", "_joined", "_lost"))
    return sa.select(both.c.entity_id, *flags).group_by(both.c.entity_id)


def key_difference(tables: Tables, entity: str, live: sa.Table, looked_at: sa.Table) -> Rows:
    """Grain: one record whose crosswalk row must change, after `conformed.<entity>` has.

    `<entity>_id` is null where the row goes. Only records of published entities are in the crosswalk.
    """
    present = tables.conformed[entity]
    before = published(tables, entity, looked_at).subquery("before")
    after = sa.select(live).join(present, present.c[f"{entity}_id"] == live.c.entity_id).subquery("after")
    return (
        sa.select(
            sa.func.coalesce(after.c.source, before.c.source).label("source"),
            sa.func.coalesce(after.c.source_key, before.c.source_key).label("source_key"),
            after.c.system,
            after.c.entity_id.label(f"{entity}_id"),
        )
        .select_from(_side_by_side(before, after))
        .where(before.c.entity_id.is_distinct_from(after.c.entity_id))
    )
