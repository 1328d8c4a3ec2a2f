"""What is published, and what each publication changed."""

from __future__ import annotations

import sqlalchemy as sa

from sor_pipeline.engine.base import Rows
from sor_pipeline.observe.report.question import Question, last, recent
from sor_pipeline.observe.status import entities
from sor_pipeline.tables import Tables

RUNS = 8


def questions(tables: Tables) -> tuple[Question, ...]:
    return (
        Question("publications", "publication: what it changed, and the conflicts open after it", _each(tables)),
        Question("changes", "entity, field, kind and cause of what the last publication changed", _changes(tables)),
        Question("moves", "entity and kind of merge or split of the last publication", _moves(tables)),
        Question("entities", "entity: published rows, and the records behind them", entities(tables)),
        Question("runs", "run, the newest first", _runs(tables)),
    )


def _each(tables: Tables) -> Rows:
    table = tables.publication
    names = ("publication", "published_at", "created", "changed", "retired", "conflicts")
    return sa.select(*(table.c[name] for name in names)).where(recent(tables)).order_by(table.c.publication)


def _changes(tables: Tables) -> Rows:
    change, number = tables.change, sa.func.count().label("changes")
    groups = (change.c.entity, change.c.field, change.c.kind, change.c.cause)
    mine = sa.select(*groups, number).where(change.c.publication == last(tables)).group_by(*groups)
    return mine.order_by(number.desc(), *groups)


def _moves(tables: Tables) -> Rows:
    moved = tables.identity_change
    return (
        sa.select(
            moved.c.entity, moved.c.kind, sa.func.count().label("pairs"),
            sa.cast(sa.func.sum(moved.c.records), sa.BigInteger).label("records"),
        )
        .where(moved.c.publication == last(tables))
        .group_by(moved.c.entity, moved.c.kind)
        .order_by(moved.c.entity, moved.c.kind)
    )  # fmt: skip


def _runs(tables: Tables) -> Rows:
    table = tables.run
    names = ("run", "started_at", "ended_at", "state", "publication")
    return sa.select(*(table.c[name] for name in names)).order_by(table.c.run.desc()).limit(RUNS)
