"""Entities that must be resolved again although none of their own records changed.

Belongs here: the three causes that only the rules know (the document changed, a reference leads
elsewhere, time passed). The others come from `identify`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import sqlalchemy as sa

from sor_pipeline.engine.base import Rows
from sor_pipeline.tables import ClaimState, Tables, claim


def everybody(tables: Tables, entity: str) -> Rows:
    """Grain: one live entity: what a changed document affects."""
    known = tables.id
    return sa.select(known.c.entity_id).where(known.c.entity == entity, known.c.retired.is_(None))


def led_elsewhere(tables: Tables, entity: str, pending: int) -> Iterator[Rows]:
    """Grain: one record that refers to a record whose entity is new or another since the last publication."""
    for source, spec in tables.ownership.sources_of(entity).items():
        staged, identity = tables.staged[source], tables.identity[entity]
        for name in spec.fields:
            target, referred = (
                tables.ownership.entities[entity].fields[name].to,
                tables.ownership.referred_source(source, name),
            )
            if target is None or referred is None:
                continue
            moved = tables.identity[target].alias("moved")
            yield (
                sa.select(identity.c.entity_id)
                .join(staged, sa.and_(identity.c.source == source, identity.c.source_key == staged.c._key))
                .join(
                    moved,
                    sa.and_(
                        moved.c.source == referred,
                        moved.c.source_key == staged.c[name],
                        moved.c._publication == pending,
                    ),
                )
                .where(staged.c._deleted_at.is_(None), claim(staged, name).state == int(ClaimState.value))
            )


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
