"""What systems were told to correct, what became of it, and how long it took."""

from __future__ import annotations

import sqlalchemy as sa

from sor_pipeline.engine.base import Rows
from sor_pipeline.observe.report.question import Question, recent
from sor_pipeline.tables import Tables

_A_DAY = 86400


def questions(tables: Tables) -> tuple[Question, ...]:
    return (
        Question("corrections", "system, field and state of corrections, with their number", _by_state(tables)),
        Question("corrections-trend", "publication: corrections proposed, agreed, ended otherwise", _trend(tables)),
        Question("corrections-time", "system: corrections that it took, and days until it agreed", _days(tables)),
        Question(
            "corrections-publications",
            "publications that a correction took to agree, with their number",
            _publications(tables),
        ),
    )


def _by_state(tables: Tables) -> Rows:
    table, number = tables.published_correction, sa.func.count().label("corrections")
    groups = (table.c.system, table.c.entity, table.c.field, table.c.state)
    return sa.select(*groups, number).group_by(*groups).order_by(*groups)


def _trend(tables: Tables) -> Rows:
    correction, publication = tables.published_correction, tables.publication
    confirmed = correction.c.state == "confirmed"

    def counted(*condition: sa.ColumnElement[bool]) -> sa.ScalarSelect[int]:
        return sa.select(sa.func.count()).select_from(correction).where(*condition).scalar_subquery()

    closed = correction.c.closed_in == publication.c.publication
    return (
        sa.select(
            publication.c.publication,
            counted(correction.c.proposed_in == publication.c.publication).label("proposed"),
            counted(closed, confirmed).label("agreed"),
            counted(closed, ~confirmed).label("ended_otherwise"),
        )
        .where(recent(tables))
        .order_by(publication.c.publication)
    )


def _days(tables: Tables) -> Rows:
    correction, publication = tables.published_correction, tables.publication
    began, ended = publication.alias("began"), publication.alias("ended")
    days = sa.extract("epoch", ended.c.published_at - began.c.published_at) / _A_DAY
    return (
        sa.select(
            correction.c.system,
            sa.func.count().label("agreed"),
            sa.func.percentile_cont(0.5).within_group(days).label("median_days"),
            sa.func.max(days).label("longest_days"),
        )
        .join(began, began.c.publication == correction.c.proposed_in)
        .join(ended, ended.c.publication == correction.c.closed_in)
        .where(correction.c.state == "confirmed")
        .group_by(correction.c.system)
        .order_by(correction.c.system)
    )


def _publications(tables: Tables) -> Rows:
    table = tables.published_correction
    took = (table.c.closed_in - table.c.proposed_in).label("publications")
    number = sa.func.count().label("corrections")
    return sa.select(took, number).where(table.c.state == "confirmed").group_by(took).order_by(took)
