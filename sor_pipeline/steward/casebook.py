"""Cases opened, taken up again and closed, by what there is to look at.

Belongs here: bringing `steward.case` to what is wanted, all kinds in one go. Does not: what is wanted (`wanted`),
whose a case is (`routes`), a person's word (`verbs`).

A case that a person closed stays closed as long as what it is about stands: only when that was gone and comes back
is it opened again, under its own id.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from sor_pipeline.engine.base import Expression
from sor_pipeline.run import Run
from sor_pipeline.steward.wanted import ABOUT, KINDS

GONE = "gone"
_BLANK_WHEN_OPENED = ("closed_in", "outcome", "gone_in", "steward", "due_at", "level")


def bring(run: Run, connection: sa.Connection, wanted: sa.Table, number: int) -> None:
    """Open, open again, update and close; `wanted` as the select of that name, `number` the last publication's."""
    case = run.tables.case
    mine = case.c.kind.in_([kind.value for kind in KINDS])
    anew = sa.or_(case.c.case_id.is_(None), sa.and_(case.c.closed_in.is_not(None), case.c.gone_in.is_not(None)))
    columns: list[Expression] = []
    for column in case.columns:
        columns.append(_column(column, wanted, anew, number).label(column.name))
    changed = sa.or_(anew, case.c.evidence.is_distinct_from(wanted.c.evidence))
    rows = sa.select(*columns).select_from(wanted.outerjoin(case, case.c.case_id == wanted.c.case_id)).where(changed)
    run.engine.replace(connection, case, run.engine.materialise(connection, "case_wanted", rows), ["case_id"])
    away = case.c.case_id.not_in(sa.select(wanted.c.case_id))
    closing = sa.and_(mine, away, case.c.closed_in.is_(None))
    connection.execute(sa.update(case).where(closing).values(closed_in=number, outcome=GONE, gone_in=number))
    settled = sa.and_(mine, away, case.c.closed_in.is_not(None), case.c.gone_in.is_(None))
    connection.execute(sa.update(case).where(settled).values(gone_in=number))


def _column(column: sa.Column[Any], wanted: sa.Table, anew: Expression, number: int) -> Expression:
    name = column.name
    if name in (*ABOUT, "case_id", "evidence"):
        return wanted.c[name]
    if name == "opened_in":
        return sa.case((anew, sa.literal(number, sa.BigInteger)), else_=column)
    if name in _BLANK_WHEN_OPENED:
        return sa.case((anew, sa.cast(sa.null(), column.type)), else_=column)
    return column
