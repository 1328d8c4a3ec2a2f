"""Everything that waits for a person: the selects behind `sor cases` and `sor case`.

Belongs here: cases of all kinds, whose they are and what happened to them. Does not: the two records of a pair
(`cases`), opening and closing (`steward`, `identify`).
"""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from sor_pipeline.engine.base import Rows
from sor_pipeline.tables import Tables


def waiting(tables: Tables, now: datetime) -> Rows:
    """Grain: one open case, the most urgent first; `overdue` whether its deadline is over."""
    case = tables.case
    late = sa.func.coalesce(case.c.due_at < sa.literal(now, sa.DateTime), sa.false()).label("overdue")
    told = ("case_id", "kind", "entity", "field", "system", "source", "source_key", "rule", "evidence", "steward",
            "due_at", "level", "opened_in")  # fmt: skip
    return (
        sa.select(*(case.c[name] for name in told), late)
        .where(case.c.closed_in.is_(None))
        .order_by(late.desc(), case.c.due_at.asc().nulls_last(), case.c.kind, case.c.entity, case.c.case_id)
    )


def chosen(rows: Rows, steward: str | None, kind: str | None, overdue: bool) -> Rows:
    """Of `waiting`: those of one steward, of one kind, those whose deadline is over."""
    columns = rows.selected_columns
    if steward is not None:
        rows = rows.where(columns.steward == steward)
    if kind is not None:
        rows = rows.where(columns.kind == kind)
    return rows.where(columns.overdue) if overdue else rows


def events(tables: Tables, case_id: str) -> Rows:
    """Grain: one thing that happened to the case, oldest first."""
    event = tables.case_event
    told = ("number", "at", "by", "kind", "to", "words")
    return sa.select(*(event.c[name] for name in told)).where(event.c.case_id == case_id).order_by(event.c.number)


def by_steward(tables: Tables) -> Rows:
    """Grain: one steward (null: nobody), entity and kind of open case: their number, the next deadline."""
    case = tables.case
    return (
        sa.select(
            case.c.steward,
            case.c.entity,
            case.c.kind,
            sa.func.count().label("open"),
            sa.func.min(case.c.due_at).label("next_due"),
        )
        .where(case.c.closed_in.is_(None))
        .group_by(case.c.steward, case.c.entity, case.c.kind)
        .order_by(sa.func.min(case.c.due_at).asc().nulls_last(), case.c.steward, case.c.entity, case.c.kind)
    )
