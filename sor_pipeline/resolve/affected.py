"""Entities that must be resolved again although none of their own records changed.

Belongs here: the three causes that only the rules know (the document changed, a reference leads
elsewhere, time passed). The others come from `identify`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import sqlalchemy as sa

from sor_pipeline.engine.base import Rows, Union
from sor_pipeline.tables import ClaimState, Tables, claim


def living_ids(tables: Tables, entity: str) -> Rows:
    """Grain: one live entity: what a changed document affects."""
    known = tables.id
    return sa.select(known.c.entity_id).where(known.c.entity == entity, known.c.retired.is_(None))


def led_elsewhere(tables: Tables, entity: str, pending: int) -> Iterator[Rows]:
    """Grain: one record that refers to a record that came, went or has another entity since the last publication."""
    for source, spec in tables.ownership.sources_of(entity).items():
        staged, identity = tables.staged[source], tables.identity[entity]
        for name in spec.fields:
            target, referred = (
                tables.ownership.entities[entity].fields[name].to,
                tables.ownership.referred_source(source, name),
            )
            if target is None or referred is None:
                continue
            moved = elsewhere(tables, target, referred, pending).subquery("moved")
            yield (
                sa.select(identity.c.entity_id)
                .join(staged, sa.and_(identity.c.source == source, identity.c.source_key == staged.c._key))
                .join(moved, moved.c.source_key == staged.c[name])
                .where(staged.c._deleted_at.is_(None), claim(staged, name).state == int(ClaimState.value))
            )


def elsewhere(tables: Tables, entity: str, source: str, pending: int) -> Union:
    """Grain: one record of `source` that leads elsewhere: of another entity, deleted, or not yet in the crosswalk."""
    staged, identity, keys = tables.staged[source], tables.identity[entity], tables.keys[entity]
    rekeyed = sa.select(identity.c.source_key).where(identity.c.source == source, identity.c._publication == pending)
    published = sa.exists().where(keys.c.source == source, keys.c.source_key == staged.c._key).correlate(staged)
    turned = sa.select(staged.c._key).where(
        staged.c._publication == pending, sa.or_(staged.c._deleted_at.is_not(None), sa.not_(published))
    )
    return sa.union(rekeyed, turned)


def grown_stale(tables: Tables, entity: str, since: datetime, now: datetime) -> Iterator[Rows]:
    """Grain: one record whose value crossed its `stale_after` between two resolves."""
    ownership = tables.ownership
    for source, spec in ownership.sources_of(entity).items():
        staged, identity = tables.staged[source], tables.identity[entity]
        for name in spec.fields:
            after = ownership.rule_of(entity, name).stale_after
            if after is None:
                continue
            says = claim(staged, name)
            earliest, latest = sa.cast(since - after, sa.DateTime), sa.cast(now - after, sa.DateTime)
            yield (
                sa.select(identity.c.entity_id)
                .join(staged, sa.and_(identity.c.source == source, identity.c.source_key == staged.c._key))
                .where(staged.c._deleted_at.is_(None), says.since >= earliest, says.since < latest)
            )
