"""What happened to cases: adding to `steward.case_event`.

Belongs here: numbering and writing events. Does not: what happens (`casebook`, `routes`, `notices`, `verbs`).
"""

from __future__ import annotations

import sqlalchemy as sa

from sor_pipeline.engine.base import Expression, Rows
from sor_pipeline.run import Run

_TOLD = ("kind", "to", "words", "about")


def add(run: Run, connection: sa.Connection, rows: Rows, by: str = "sor") -> int:
    """Add one event per row (case_id, kind, to, words, about; one per case); returns how many."""
    event = run.tables.case_event
    fresh = run.engine.materialise(connection, "case_happened", rows)
    last = (
        sa.select(event.c.case_id, sa.func.max(event.c.number).label("last"))
        .where(event.c.case_id.in_(sa.select(fresh.c.case_id)))
        .group_by(event.c.case_id)
        .subquery("last")
    )
    numbered = sa.select(
        fresh.c.case_id,
        (sa.func.coalesce(last.c.last, 0) + 1).label("number"),
        sa.literal(run.now, sa.DateTime).label("at"),
        sa.literal(by, sa.Text).label("by"),
        *(fresh.c[name] for name in _TOLD),
    ).select_from(fresh.outerjoin(last, last.c.case_id == fresh.c.case_id))
    names = [column.name for column in numbered.selected_columns]
    return connection.execute(sa.insert(event).from_select(names, numbered)).rowcount


def told(kind: str | Expression, to: Expression | None, words: str | Expression | None = None) -> list[Expression]:
    """The columns of an event beside its case."""
    nothing = sa.cast(sa.null(), sa.Text)
    return [
        (sa.literal(kind, sa.Text) if isinstance(kind, str) else kind).label("kind"),
        (nothing if to is None else to).label("to"),
        (sa.literal(words, sa.Text) if words is None or isinstance(words, str) else words).label("words"),
        sa.cast(sa.null(), sa.BigInteger).label("about"),
    ]


def close_told(run: Run, connection: sa.Connection) -> int:
    """Tell of every case that is closed and was not told so; returns how many."""
    case, event = run.tables.case, run.tables.case_event
    opened = sa.func.max(sa.case((event.c.kind.in_(("open", "reopen")), event.c.number)))
    closed = sa.func.max(sa.case((event.c.kind == "close", event.c.number)))
    lives = sa.select(event.c.case_id).group_by(event.c.case_id).having(opened > sa.func.coalesce(closed, 0))
    rows = sa.select(case.c.case_id, *told("close", None, case.c.outcome)).where(
        case.c.closed_in.is_not(None), case.c.case_id.in_(lives)
    )
    return add(run, connection, rows)
