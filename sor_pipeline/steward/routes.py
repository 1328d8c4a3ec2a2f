"""Whose a case is, until when, and who is next.

Belongs here: the document's routes as SQL, handing over what is new, and what is overdue. Does not: telling
anybody (`notices`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from sor_pipeline.engine.base import Expression
from sor_pipeline.ownership.document import Ownership
from sor_pipeline.ownership.stewards import ABOUT, CaseKind, Escalation
from sor_pipeline.run import Run
from sor_pipeline.steward.events import add, told

NOBODY = -1
"""The number of the route where none fits."""


def hand_over(run: Run, connection: sa.Connection) -> dict[str, int]:
    """Give every open case that nobody was given yet to the first of its route. Counts: opened, reopened."""
    case, event = run.tables.case, run.tables.case_event
    new = sa.and_(case.c.closed_in.is_(None), case.c.level.is_(None))
    seen = sa.exists().where(event.c.case_id == case.c.case_id).correlate(case)
    first = _first(run.ownership, case)
    kind = sa.case((seen, sa.literal("reopen", sa.Text)), else_=sa.literal("open", sa.Text))
    rows = run.engine.materialise(
        connection, "case_new",
        sa.select(case.c.case_id, *told(kind, first), _deadline(run, case).label("due_at")).where(new),
    )  # fmt: skip
    told_of = sa.select(*(rows.c[name] for name in ("case_id", "kind", "to", "words", "about")))
    opened = add(run, connection, told_of)
    if opened:
        _put(run, connection, rows, sa.literal(0, sa.BigInteger))
    again = sa.select(sa.func.count()).select_from(rows).where(rows.c.kind == "reopen")
    reopened = int(connection.execute(again).scalar_one())
    return {"opened": opened - reopened, "reopened": reopened}


def escalate(run: Run, connection: sa.Connection) -> dict[str, int]:
    """Give what is overdue to the next of its path. Counts: escalated, overdue (what is, and nobody is left)."""
    case, routes = run.tables.case, run.ownership.escalation
    overdue = sa.and_(case.c.closed_in.is_(None), case.c.due_at < sa.literal(run.now, sa.DateTime))
    escalated = 0
    if any(len(route.to) > 1 for route in routes):
        follows = [
            (sa.and_(_route(run.ownership, case) == number, case.c.level == level), sa.literal(name, sa.Text))
            for number, route in enumerate(routes)
            for level, name in enumerate(route.to[1:])
        ]
        heir = sa.case(*follows)
        rows = run.engine.materialise(
            connection, "case_overdue",
            sa.select(
                case.c.case_id, *told("escalate", heir, "overdue"), _deadline(run, case).label("due_at"), case.c.level
            ).where(overdue, heir.is_not(None)),
        )  # fmt: skip
        told_of = sa.select(*(rows.c[name] for name in ("case_id", "kind", "to", "words", "about")))
        escalated = add(run, connection, told_of)
        if escalated:
            _put(run, connection, rows, rows.c.level + 1)
    late = connection.execute(sa.select(sa.func.count()).select_from(case).where(overdue)).scalar_one()
    return {"escalated": escalated, "overdue": int(late)}


def _put(run: Run, connection: sa.Connection, rows: sa.Table, level: Expression) -> None:
    """Give the cases of `rows` (case_id, to, due_at) to whom they say."""
    case = run.tables.case
    given = {"steward": rows.c.to, "due_at": rows.c.due_at, "level": level}
    columns = [given.get(column.name, column).label(column.name) for column in case.columns]
    whole = sa.select(*columns).select_from(rows.join(case, case.c.case_id == rows.c.case_id))
    run.engine.replace(connection, case, run.engine.materialise(connection, "case_given", whole), ["case_id"])


def _fits(route: Escalation, case: sa.FromClause) -> sa.ColumnElement[bool]:
    kinds = route.kinds or tuple(CaseKind)
    asked = [(name, value) for name in ("entity", "field", "system") if (value := getattr(route, name)) is not None]
    named = {name for name, _ in asked}
    possible = [kind.value for kind in kinds if named <= ABOUT[kind]]
    return sa.and_(case.c.kind.in_(possible), *(case.c[name] == value for name, value in asked))


def _route(ownership: Ownership, case: sa.FromClause) -> Expression:
    """The number of the first route that fits."""
    whens = [(_fits(route, case), number) for number, route in enumerate(ownership.escalation)]
    return sa.case(*whens, else_=NOBODY) if whens else sa.literal(NOBODY)


def _first(ownership: Ownership, case: sa.FromClause) -> Expression:
    """The first of the route; without one the steward that the document names for the system, or the entity.

    A conflict is for who decides about the entity, not for the system that says otherwise.
    """
    routes = ownership.escalation
    given = [(_route(ownership, case) == number, route.to[0]) for number, route in enumerate(routes)]
    systems = [(name, spec.steward) for name, spec in ownership.systems.items()]
    else_ = sa.func.coalesce(
        sa.case((case.c.kind != CaseKind.conflict.value, _named(case.c.system, systems))),
        _named(case.c.entity, [(name, steward_of(ownership, name)) for name in ownership.entities]),
    )
    whens = [(condition, sa.literal(name, sa.Text)) for condition, name in given]
    return sa.cast(sa.case(*whens, else_=else_) if whens else else_, sa.Text)


def _named(column: Expression, names: Sequence[tuple[str, str | None]]) -> Expression:
    whens = [(column == name, sa.literal(who, sa.Text)) for name, who in names if who]
    return sa.case(*whens) if whens else sa.cast(sa.null(), sa.Text)


def steward_of(ownership: Ownership, entity: str) -> str | None:
    """Who decides about the entity: its steward, else its owner's."""
    spec = ownership.entities[entity]
    owner = ownership.systems.get(spec.owner)
    return spec.steward or (owner.steward if owner else None)


def _deadline(run: Run, case: sa.FromClause) -> Expression:
    """When the one who gets it now has to be done; null without a deadline."""
    whens: list[Any] = [
        (_route(run.ownership, case) == number, sa.literal(run.now + route.within, sa.DateTime))
        for number, route in enumerate(run.ownership.escalation)
        if route.within is not None
    ]
    return sa.cast(sa.case(*whens) if whens else sa.null(), sa.DateTime)
