"""The breaker: a cell that its target undid too often is no longer written.

Belongs here: when a cell breaks, what is kept of its history, and how it is tried again. Does not: what counts as
undone (`receipts`), the case about it (`steward`).

A person ends it by closing the case with the outcome `retry`; what the field's target no longer accepts is over too.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from sor_pipeline.correct.touched import RETRY
from sor_pipeline.correct.wanted import OPEN, Target
from sor_pipeline.engine.base import Rows
from sor_pipeline.ownership.document import system_of
from sor_pipeline.run import Run

CELL = ("source", "source_key", "field")
_TOLD = ("state", "owner", "rule")
_NUMBERS = ("proposed_in", "closed_in")


def tried_again(run: Run, connection: sa.Connection, target: Target, number: int) -> int:
    """End what a person, or the document, has ended; the count of a cell starts anew. Returns how many."""
    broken, correction, case = run.tables.broken, run.tables.correction, run.tables.case
    same = sa.and_(*(case.c[name] == broken.c[name] for name in CELL))
    asked = sa.exists().where(
        same, case.c.kind == "broken", case.c.outcome == RETRY, case.c.closed_in >= broken.c.since
    )
    over = sa.or_(asked.correlate(broken), broken.c.field.not_in(list(target.fields)))
    standing = sa.and_(broken.c.source == target.source, broken.c.ended_in.is_(None))
    ended = run.engine.materialise(
        connection, "correct_ended", sa.select(*(broken.c[name] for name in CELL)).where(standing, over)
    )
    if not connection.execute(sa.select(sa.func.count()).select_from(ended)).scalar_one():
        return 0
    for table, values in ((correction, {"reverts": 0, "became": None}), (broken, {"ended_in": number})):
        at = sa.exists().where(*(ended.c[name] == table.c[name] for name in CELL)).correlate(table)
        still = [table.c.ended_in.is_(None)] if table is broken else []
        connection.execute(sa.update(table).where(at, *still).values(**values))
    return int(connection.execute(sa.select(sa.func.count()).select_from(ended)).scalar_one())


def breaking(target: Target, moves: sa.Table, number: int) -> Rows:
    """Grain: one cell that breaks in publication `number`; columns as `outbound.broken`, without `ended_in`.

    `moves`: the corrections whose state changes in it.
    """
    limit = target.tables.ownership.reverts_of(system_of(target.source))
    told = _history(target, moves).subquery("told")
    over = sa.and_(moves.c.reverts >= limit, moves.c.state.in_(("reverted", "altered")))
    return (
        sa.select(
            *(moves.c[name] for name in CELL),
            moves.c.reverts,
            sa.literal(number, sa.BigInteger).label("since"),
            told.c.history,
        )
        .join(told, sa.and_(*(told.c[name] == moves.c[name] for name in CELL)))
        .where(over)
    )


def _history(target: Target, moves: sa.Table) -> Rows:
    """Grain: one cell of `moves`; column history: JSON of all its corrections, oldest first."""
    table = target.tables.correction
    cells = sa.exists().where(*(moves.c[name] == table.c[name] for name in CELL)).correlate(table)
    parts: list[sa.ColumnElement[Any]] = []
    for name in _NUMBERS:
        parts += [sa.literal(f'"{name}":'), sa.func.coalesce(sa.cast(table.c[name], sa.Text), "null"), sa.literal(",")]
    for name in _TOLD:
        parts += [sa.literal(f'"{name}":"'), sa.func.coalesce(table.c[name], ""), sa.literal('",')]
    one = sa.func.concat("{", *parts[:-1], '"}')
    joined = sa.func.aggregate_strings(one, ",").aggregate_order_by(table.c.proposed_in)
    return (
        sa.select(*(table.c[name] for name in CELL), sa.func.concat("[", joined, "]").label("history"))
        .where(table.c.source == target.source, cells)
        .group_by(*(table.c[name] for name in CELL))
    )


def standing(target: Target) -> Rows:
    """Grain: one cell (source_key, field) of the target that is broken."""
    broken = target.tables.broken
    return sa.select(broken.c.source_key, broken.c.field).where(
        broken.c.source == target.source, broken.c.ended_in.is_(None)
    )


def withdrawn(target: Target) -> sa.ColumnElement[bool]:
    """Which corrections are open although their cell is broken."""
    table, broken = target.tables.correction, target.tables.broken
    at = sa.exists().where(broken.c.ended_in.is_(None), *(broken.c[name] == table.c[name] for name in CELL))
    return sa.and_(table.c.source == target.source, table.c.state.in_(OPEN), at.correlate(table))
