"""Where systems disagree, and whether it gets better.

A conflict is a *gap* where the owner has nothing to say to a claim, else a disagreement.
"""

from __future__ import annotations

import sqlalchemy as sa

from sor_pipeline.engine.base import Expression, Rows
from sor_pipeline.observe.disagreements import by_field as by_pair
from sor_pipeline.observe.report.question import WINDOW, Question, last, recent
from sor_pipeline.tables import Tables

GAP = "missing_at_owner"
TOP = 12
"""Fields that are shown; a company has a handful that need a rule."""


def questions(tables: Tables) -> tuple[Question, ...]:
    return (
        Question("conflicts-by-field", "field: what disagrees now, gaps, and how often it ever did", _by_field(tables)),
        Question("conflicts-by-pair", "field, owner, other system and kind of open conflict", by_pair(tables)),
        Question("conflicts-trend", "publication and kind of conflict: open after it", _by_kind(tables)),
        Question("conflicts-trend-by-field", "publication and field: disagreements open after it", _trend(tables)),
    )


def _by_field(tables: Tables) -> Rows:
    """Grain: one field that ever conflicted; the worst first."""
    conflict = tables.conflict
    is_open, gap = conflict.c.closed_in.is_(None), conflict.c.kind == GAP
    disagree = sa.func.count().filter(is_open, ~gap).label("disagree")
    gaps = sa.func.count().filter(is_open, gap).label("gaps")
    ever = sa.func.count().label("ever")
    return (
        sa.select(
            conflict.c.entity, conflict.c.field, disagree, gaps, ever,
            sa.func.min(conflict.c.opened_in).filter(is_open).label("since"),
        )
        .group_by(conflict.c.entity, conflict.c.field)
        .order_by(disagree.desc(), gaps.desc(), ever.desc(), conflict.c.entity, conflict.c.field)
    )  # fmt: skip


def _events(tables: Tables, groups: tuple[Expression, ...], *wanted: Expression) -> sa.Subquery:
    """Grain: groups and publication: by how many the open conflicts changed.

    What happened before the window counts as its beginning: then a trend costs the same after a year.
    """
    conflict = tables.conflict
    begin = last(tables) - (WINDOW - 1)

    def counted(column: Expression, number: Expression) -> Rows:
        at = sa.func.greatest(column, begin).label("at")
        rows = sa.select(*groups, at, number.label("by")).where(column.is_not(None), *wanted)
        return rows.group_by(*groups, at)

    opened = counted(conflict.c.opened_in, sa.func.count())
    closed = counted(conflict.c.closed_in, -sa.func.count())
    return sa.union_all(opened, closed).subquery("event")


def _summed(tables: Tables, event: sa.Subquery, groups: tuple[str, ...]) -> Rows:
    publication = tables.publication
    number = sa.cast(sa.func.sum(event.c.by), sa.BigInteger).label("open")
    names = [event.c[name] for name in groups]
    return (
        sa.select(publication.c.publication, *names, number)
        .join(event, event.c.at <= publication.c.publication)
        .where(recent(tables))
        .group_by(publication.c.publication, *names)
        .order_by(publication.c.publication, *names)
    )


def _by_kind(tables: Tables) -> Rows:
    return _summed(tables, _events(tables, (tables.conflict.c.kind,)), ("kind",))


def _trend(tables: Tables) -> Rows:
    conflict = tables.conflict
    event = _events(tables, (conflict.c.entity, conflict.c.field), conflict.c.kind != GAP)
    return _summed(tables, event, ("entity", "field"))
