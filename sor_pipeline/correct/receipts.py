"""What became of earlier corrections, judged from what the target says now.

Belongs here: the states of a correction, how often its cell was undone. Does not: the comparison itself (`wanted`),
what follows from being undone (`breaker`).

An open correction is `confirmed` when the target has the wanted text, or another that means the
same; `superseded` when something else is wanted by now, or nothing; `altered` when the target
has a text that is neither the observed nor the wanted one, or once more the one that it made of
this wanted text before. A confirmed one is `reverted` when the target has the observed text again;
so is one that was accepted and has not shown in the extracts since. A refused one is `confirmed` or `superseded`
as soon as there is nothing left to refuse. What still disagrees then and
has no open correction is proposed anew, but for three: a broken cell; one that the target refused,
until something else is observed or wanted or a person says so; one that was closed in this very
publication, which waits for the next, for a correction is named by its publication.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from sor_pipeline.correct import breaker
from sor_pipeline.correct.touched import RETRY, overdue
from sor_pipeline.correct.wanted import OPEN, Target
from sor_pipeline.echoes import Echoes
from sor_pipeline.engine.base import Expression, Rows
from sor_pipeline.ownership.document import system_of
from sor_pipeline.tables import cell, grain

_CELL = ("source_key", "field")
_ANSWERED = ("confirmed", "altered", "reverted")


def judged(target: Target, cells: sa.Table, number: int, among: sa.FromClause | None, due: datetime | None) -> Rows:
    """Grain: one correction whose state changes in publication `number`; columns as `outbound.correction`.

    Only those of records `among` the compared ones (`cells` are theirs); None: all were compared. What the target
    accepted before `due` has had time to show.
    """
    table = target.tables.correction
    same = sa.and_(*(cells.c[name] == table.c[name] for name in _CELL))
    compared = sa.true() if among is None else table.c.source_key.in_(sa.select(among.c.source_key))
    last = _latest(target, compared).subquery("last")
    again = sa.func.coalesce(cells.c.raw == table.c.became, sa.false())
    state = _state(table, cells, last, again, sa.false() if due is None else _overdue(target, due))
    undone = sa.or_(state == "reverted", sa.and_(state == "altered", again))
    news = {
        "state": state,
        "closed_in": sa.literal(number, sa.BigInteger),
        "reverts": sa.func.coalesce(table.c.reverts, 0) + sa.case((undone, 1), else_=0),
        "became": sa.case((state == "altered", cells.c.raw), else_=table.c.became),
    }
    kept = [column for column in table.columns if column.name not in news]
    moves = (
        sa.select(*kept, *(value.label(name) for name, value in news.items()))
        .select_from(
            table.join(last, sa.and_(*(last.c[name] == table.c[name] for name in _CELL))).outerjoin(cells, same)
        )
        .where(table.c.source == target.source, table.c.state.in_((*OPEN, "confirmed", "refused")), compared)
        .subquery("moves")
    )
    return sa.select(moves).where(moves.c.state.is_not(None))


def _state(
    table: sa.Table, cells: sa.Table, last: sa.FromClause, again: sa.ColumnElement[bool], late: sa.ColumnElement[bool]
) -> Expression:
    """The state that a correction has now; null where it stays what it is."""
    unlike = sa.or_(cells.c.verdict != "differs", cells.c.wanted.is_distinct_from(table.c.wanted))
    settled: tuple[tuple[Any, str | None], ...] = (
        (cells.c.source_key.is_(None), "superseded"),
        (sa.func.coalesce(cells.c.raw, "") == table.c.wanted, "confirmed"),
        (cells.c.verdict.in_(("held", "waits")), None),
        (sa.and_(cells.c.verdict == "agrees", cells.c.wanted == table.c.wanted), "confirmed"),
        (unlike, "superseded"),
    )
    open_now = sa.case(
        *settled,
        (cells.c.raw.is_distinct_from(table.c.observed), "altered"),
        (late, sa.case((again, "altered"), else_="reverted")),
    )
    newest = table.c.proposed_in == last.c.proposed_in
    back = sa.and_(
        table.c.state == "confirmed",
        newest,
        sa.not_(unlike),
        cells.c.raw.is_not_distinct_from(table.c.observed),
    )
    refused = sa.and_(table.c.state == "refused", newest)
    return sa.case((table.c.state.in_(OPEN), open_now), (refused, sa.case(*settled)), (back, "reverted"))


def _overdue(target: Target, due: datetime) -> sa.ColumnElement[bool]:
    table = target.tables.correction
    late = overdue(target, due).subquery("late")
    return sa.and_(
        table.c.state == "delivered",
        sa.exists().where(*(late.c[name] == table.c[name] for name in _CELL)).correlate(table),
    )


def _latest(target: Target, among: sa.ColumnElement[bool]) -> Rows:
    """Grain: one cell of the target that was ever corrected: its newest correction."""
    table = target.tables.correction
    latest = sa.select(*(table.c[name] for name in _CELL), sa.func.max(table.c.proposed_in).label("proposed_in"))
    return latest.where(table.c.source == target.source, among).group_by(*(table.c[name] for name in _CELL))


def unanswered(target: Target, cells: sa.Table) -> Rows:
    """Grain: one disagreement about which no correction is open and that may be written; columns of `cells`, and
    `last_<column>` of its newest correction, null where it never had one.
    """
    table, case = target.tables.correction, target.tables.case
    mine = table.c.source_key.in_(sa.select(cells.c.source_key))
    newest = _latest(target, mine).subquery("newest")
    told = ("proposed_in", "state", "observed", "wanted", "reverts", "became", "closed_in")
    at = sa.and_(table.c.proposed_in == newest.c.proposed_in, *(table.c[name] == newest.c[name] for name in _CELL))
    last = (
        sa.select(*(table.c[name] for name in (*_CELL, *told)))
        .join(newest, at)
        .where(table.c.source == target.source)
        .subquery("last")
    )
    retried = sa.exists().where(
        case.c.kind == "refused_correction",
        case.c.outcome == RETRY,
        case.c.source == target.source,
        case.c.source_key == cells.c.source_key,
        case.c.field == cells.c.field,
        case.c.closed_in >= last.c.closed_in,
    )
    refused = sa.and_(
        last.c.state == "refused",
        last.c.wanted == cells.c.wanted,
        last.c.observed.is_not_distinct_from(cells.c.raw),
        sa.not_(retried.correlate(cells, last)),
    )
    shut = breaker.standing(target).subquery("shut")
    broken = sa.exists().where(*(shut.c[name] == cells.c[name] for name in _CELL)).correlate(cells)
    joined = cells.outerjoin(last, sa.and_(*(last.c[name] == cells.c[name] for name in _CELL)))
    return (
        sa.select(*cells.c, *(last.c[name].label(f"last_{name}") for name in told))
        .select_from(joined)
        .where(
            cells.c.verdict == "differs",
            sa.func.coalesce(last.c.state, "").not_in(OPEN),
            sa.not_(sa.func.coalesce(refused, sa.false())),
            sa.not_(broken),
        )
    )


def closed_just_now(free: sa.Table, number: int) -> sa.ColumnElement[bool]:
    """Of `unanswered`: whose correction of this very publication was answered."""
    return sa.and_(
        sa.func.coalesce(free.c.last_proposed_in == number, sa.false()),
        sa.func.coalesce(free.c.last_state, "").in_(_ANSWERED),
    )


def proposals(target: Target, free: sa.Table, number: int, echo: Echoes) -> Rows:
    """Grain: one of `unanswered` that is proposed in publication `number`; columns as `outbound.correction`."""
    named = {name: target.column(name) for name in target.fields}
    column = sa.case(*((free.c.field == name, sa.literal(theirs, sa.Text)) for name, theirs in named.items()))
    canonical = target.tables.canonical[target.entity]
    forms = {
        name: sa.cast(cell(canonical, name).compare, sa.Text) for name, field in target.fields.items() if not field.to
    }
    origin = free.join(echo.staged, echo.staged.c._key == free.c.source_key).join(
        canonical, canonical.c.entity_id == free.c.entity_id
    )

    def of_field(parts: Mapping[str, Expression]) -> Expression:
        return sa.case(*((free.c.field == name, part) for name, part in parts.items())) if parts else sa.null()

    values: dict[str, Any] = {
        "source": sa.literal(target.source, sa.Text),
        "source_key": free.c.source_key,
        "field": free.c.field,
        "proposed_in": sa.literal(number, sa.BigInteger),
        "system": sa.literal(system_of(target.source), sa.Text),
        "column": column,
        "entity": sa.literal(target.entity, sa.Text),
        "entity_id": free.c.entity_id,
        "observed": free.c.raw,
        "wanted": free.c.wanted,
        "owner": free.c.owner,
        "rule": free.c.rule,
        "state": sa.literal("proposed", sa.Text),
        "reverts": sa.func.coalesce(free.c.last_reverts, 0),
        "became": sa.case((free.c.last_wanted == free.c.wanted, free.c.last_became)),
        "form": sa.cast(of_field(forms), sa.Text),
        "observed_at": echo.changed_at,
        "observed_since": sa.cast(of_field({name: echo.since(name) for name in target.fields}), sa.DateTime),
    }
    return (
        sa.select(*(value.label(name) for name, value in values.items()))
        .select_from(echo.joined(origin))
        .where(sa.not_(closed_just_now(free, number)))
    )


def key_columns(target: Target) -> list[str]:
    """The grain of `outbound.correction`."""
    return [column.name for column in grain(target.tables.correction)]
