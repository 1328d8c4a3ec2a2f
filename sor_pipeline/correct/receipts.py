"""What became of earlier corrections, judged from what the target says now.

Belongs here: the states of a correction. Does not: the comparison itself (`wanted`).

An open correction is `confirmed` when the target has the wanted text, or another that means the
same; `superseded` when something else is wanted by now, or nothing; `altered` when the target
has a text that is neither the observed nor the wanted one. A confirmed one is `reverted` when
the target has the observed text again. What still disagrees then and has no open correction is
proposed anew.
"""

from __future__ import annotations

import sqlalchemy as sa

from sor_pipeline.correct.wanted import OPEN, Target
from sor_pipeline.engine.base import Rows
from sor_pipeline.ownership.document import system_of
from sor_pipeline.tables import grain

_CELL = ("source_key", "field")


def judged(target: Target, cells: sa.Table, number: int, among: sa.FromClause | None) -> Rows:
    """Grain: one correction whose state changes in publication `number`; columns as `outbound.correction`.

    Only those of records `among` the compared ones (`cells` are theirs); None: all were compared.
    """
    table = target.tables.correction
    same = sa.and_(*(cells.c[name] == table.c[name] for name in _CELL))
    unlike = sa.or_(cells.c.verdict != "differs", cells.c.wanted.is_distinct_from(table.c.wanted))
    verdict = sa.case(
        (cells.c.source_key.is_(None), "superseded"),
        (sa.func.coalesce(cells.c.raw, "") == table.c.wanted, "confirmed"),
        (cells.c.verdict.in_(("held", "waits")), None),
        (sa.and_(cells.c.verdict == "agrees", cells.c.wanted == table.c.wanted), "confirmed"),
        (unlike, "superseded"),
        (cells.c.raw.is_distinct_from(table.c.observed), "altered"),
    )
    latest = sa.select(*(table.c[n] for n in _CELL), sa.func.max(table.c.proposed_in).label("proposed_in"))
    last = latest.where(table.c.source == target.source).group_by(*(table.c[n] for n in _CELL)).subquery("last")
    back = sa.and_(
        table.c.state == "confirmed",
        sa.not_(unlike),
        cells.c.raw.is_not_distinct_from(table.c.observed),
        table.c.proposed_in == last.c.proposed_in,
    )
    state = sa.case((table.c.state.in_(OPEN), verdict), (back, "reverted"))
    compared = sa.true() if among is None else table.c.source_key.in_(sa.select(among.c.source_key))
    kept = [column for column in table.columns if column.name not in ("state", "closed_in")]
    moves = (
        sa.select(*kept, state.label("state"), sa.literal(number, sa.BigInteger).label("closed_in"))
        .select_from(
            table.join(last, sa.and_(*(last.c[name] == table.c[name] for name in _CELL))).outerjoin(cells, same)
        )
        .where(table.c.source == target.source, table.c.state.in_((*OPEN, "confirmed")), compared)
        .subquery("moves")
    )
    return sa.select(moves).where(moves.c.state.is_not(None))


def proposals(target: Target, cells: sa.Table, number: int) -> Rows:
    """Grain: one disagreement about which no correction is open; columns as `outbound.correction`."""
    table = target.tables.correction
    named = {name: target.column(name) for name in target.fields}
    column = sa.case(*((cells.c.field == name, sa.literal(theirs, sa.Text)) for name, theirs in named.items()))
    pending = (
        sa.exists()
        .where(
            table.c.source == target.source,
            table.c.state.in_(OPEN),
            *(table.c[name] == cells.c[name] for name in _CELL),
        )
        .correlate(cells)
    )
    return sa.select(
        sa.literal(target.source, sa.Text).label("source"),
        cells.c.source_key,
        cells.c.field,
        sa.literal(number, sa.BigInteger).label("proposed_in"),
        sa.literal(system_of(target.source), sa.Text).label("system"),
        column.label("column"),
        sa.literal(target.entity, sa.Text).label("entity"),
        cells.c.entity_id,
        cells.c.raw.label("observed"),
        cells.c.wanted,
        cells.c.owner,
        cells.c.rule,
        sa.literal("proposed", sa.Text).label("state"),
    ).where(cells.c.verdict == "differs", sa.not_(pending))


def key_columns(target: Target) -> list[str]:
    """The grain of `outbound.correction`."""
    return [column.name for column in grain(target.tables.correction)]
