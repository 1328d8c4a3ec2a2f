"""Where systems disagree and what they must correct: the selects behind `sor conflicts` and `sor corrections`."""

from __future__ import annotations

import sqlalchemy as sa

from sor_pipeline.engine.base import Rows
from sor_pipeline.tables import Tables


def by_field(tables: Tables) -> Rows:
    """Grain: field and pair of systems with open conflicts, the most first: the handful that need a rule."""
    conflict = tables.conflict
    return (
        sa.select(
            conflict.c.entity,
            conflict.c.field,
            conflict.c.owner,
            conflict.c.system,
            conflict.c.kind,
            sa.func.count().label("open"),
            sa.func.min(conflict.c.opened_in).label("since_publication"),
        )
        .where(conflict.c.closed_in.is_(None))
        .group_by(conflict.c.entity, conflict.c.field, conflict.c.owner, conflict.c.system, conflict.c.kind)
        .order_by(
            sa.func.count().desc(),
            conflict.c.entity,
            conflict.c.field,
            conflict.c.owner,
            conflict.c.system,
            conflict.c.kind,
        )
    )


def each(tables: Tables, entity: str | None, field: str | None) -> Rows:
    """Grain: one open conflict, the longest open first."""
    conflict = tables.conflict
    wanted: list[sa.ColumnElement[bool]] = [conflict.c.closed_in.is_(None)]
    wanted += [conflict.c.entity == entity] if entity else []
    wanted += [conflict.c.field == field] if field else []
    return (
        sa.select(
            conflict.c.entity,
            conflict.c.entity_id,
            conflict.c.field,
            conflict.c.owner,
            conflict.c.canonical,
            conflict.c.system,
            conflict.c.source_key,
            conflict.c.claimed,
            conflict.c.kind,
            conflict.c.opened_in,
        )
        .where(*wanted)
        .order_by(
            conflict.c.opened_in, conflict.c.entity, conflict.c.field, conflict.c.entity_id, conflict.c.source_key
        )
    )


def corrections(tables: Tables, system: str | None) -> Rows:
    """Grain: one open correction."""
    correction = tables.correction
    wanted = [correction.c.closed_in.is_(None)] + ([correction.c.system == system] if system else [])
    return (
        sa.select(
            correction.c.system,
            correction.c.source,
            correction.c.source_key,
            correction.c.column,
            correction.c.observed,
            correction.c.wanted,
            correction.c.owner,
            correction.c.state,
            correction.c.proposed_in,
        )
        .where(*wanted)
        .order_by(correction.c.system, correction.c.source, correction.c.source_key, correction.c.column)
    )
