"""Deliveries that a target acknowledged, as far as they bear on what holds.

Belongs here: which entities an acknowledgement makes worth another look, and the echoes of one source's records.
Does not: what an echo is (`echoes`), what a rule makes of it (`words`, `verdicts`).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import sqlalchemy as sa

from sor_pipeline.echoes import Echoes, any_delivered, echoes
from sor_pipeline.engine.base import Rows
from sor_pipeline.run import Run
from sor_pipeline.tables import Tables


def acknowledged(tables: Tables, entity: str, since: datetime) -> Iterator[Rows]:
    """Grain: one delivery accepted since the last resolve: what its record says may be our own writing now."""
    attempt, identity = tables.attempt, tables.identity[entity]
    for source, spec in tables.ownership.sources_of(entity).items():
        if spec.accepts:
            record = sa.and_(identity.c.source == source, identity.c.source_key == attempt.c.source_key)
            yield (
                sa.select(identity.c.entity_id)
                .join(attempt, record)
                .where(attempt.c.source == source, attempt.c.outcome == "accepted", attempt.c.at >= since)
            )


def echoes_of(
    run: Run, connection: sa.Connection, source: str, known: sa.FromClause, *, everybody: bool
) -> Echoes | None:
    """The echoes among the source's records of `known`; None where it never acknowledged anything."""
    if not run.ownership.sources[source].accepts:
        return None
    if not connection.execute(any_delivered(run.tables, source)).scalar_one():
        return None
    keys = None if everybody else sa.select(known.c.source_key).where(known.c.source == source)
    return echoes(run.tables, source, keys)
