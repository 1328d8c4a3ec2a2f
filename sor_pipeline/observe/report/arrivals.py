"""What each source delivered, and when last."""

from __future__ import annotations

import sqlalchemy as sa

from sor_pipeline.engine.base import Rows
from sor_pipeline.observe.report.question import Question
from sor_pipeline.tables import Tables

DELIVERIES = 30
"""Of each source, the newest."""


def questions(tables: Tables) -> tuple[Question, ...]:
    return (
        Question(
            "freshness",
            "source: batches, rows, those that could not be used, and its newest as_of",
            _sources(tables),
        ),
        Question("deliveries", "batch, the newest of each source", _batches(tables)),
        Question("refused", "source and reason of deliveries that are refused now", _refused(tables)),
    )


def _sources(tables: Tables) -> Rows:
    table = tables.published_delivery
    bad = sa.func.sum(table.c.bad_rows + table.c.rejected)
    return (
        sa.select(
            table.c.source, sa.func.count().label("batches"), sa.func.max(table.c.as_of).label("newest"),
            sa.cast(sa.func.sum(table.c.rows), sa.BigInteger).label("rows"),
            sa.cast(bad, sa.BigInteger).label("unusable"),
        )
        .group_by(table.c.source)
        .order_by(table.c.source)
    )  # fmt: skip


def _batches(tables: Tables) -> Rows:
    table = tables.published_delivery
    place = sa.func.row_number().over(
        partition_by=table.c.source, order_by=(table.c.as_of.desc(), table.c.batch.desc())
    )
    ranked = sa.select(table.c.source, table.c.as_of, table.c.rows, table.c.batch, place.label("place")).subquery(
        "ranked"
    )
    newest = sa.select(ranked.c.source, ranked.c.as_of, ranked.c.rows).where(ranked.c.place <= DELIVERIES)
    return newest.order_by(ranked.c.source, ranked.c.as_of, ranked.c.batch)


def _refused(tables: Tables) -> Rows:
    refusal = tables.refusal
    number, oldest = sa.func.count().label("deliveries"), sa.func.min(refusal.c.refused_at).label("since")
    groups = (refusal.c.source, refusal.c.code)
    return sa.select(*groups, number, oldest).group_by(*groups).order_by(*groups)
