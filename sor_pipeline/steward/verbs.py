"""What people do with a case: give it away, say something, close it.

Belongs here: refusing what cannot be meant, and writing it down with who did it. Does not: what opens and closes
cases by themselves (`casebook`), who is told (`notices`).

Reads: `steward.case`. Writes: `steward.case`, `steward.case_event`. Raises: DecisionRefused.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from sor_pipeline.errors import DecisionRefused, Fault
from sor_pipeline.ownership.stewards import CaseKind
from sor_pipeline.run import Run
from sor_pipeline.steward.events import add, told
from sor_pipeline.steward.signature import signed

Found = sa.Row[*tuple[Any, ...]]
OF_PAIRS = (CaseKind.review, CaseKind.not_unique, CaseKind.too_large)
"""Kinds that only a word about records settles."""
RETRIED = (CaseKind.broken, CaseKind.refused_correction)
"""Kinds after which something can be tried again."""


class Outcome(StrEnum):
    """How a person closes a case."""

    done = "done"
    accepted = "accepted"
    retry = "retry"


def found(run: Run, connection: sa.Connection, name: str) -> Found:
    """The case of this number, or of the only one that begins so. Raises DecisionRefused."""
    case = run.tables.case
    like = case.c.case_id.startswith(name, autoescape=True)
    rows = connection.execute(sa.select(case).where(like).order_by(case.c.case_id).limit(3)).fetchall() if name else []
    if len(rows) != 1:
        ids = ", ".join(row.case_id for row in rows)
        raise DecisionRefused(
            Fault("unknown-case", name, "there is no such case" if not rows else "several cases begin so", ids or name,
                  "the number of one", "see their numbers with `sor cases`")
        )  # fmt: skip
    return rows[0]


def assign(run: Run, name: str, to: str, by: str, words: str) -> str:
    """Give an open case to a steward; its deadline and its place in the path stay. Returns its number."""
    if not to.strip():
        raise _blank("to", "a steward", "name who is to have it")
    with run.engine.begin() as connection:
        one = _open(run, connection, name)
        connection.execute(sa.update(run.tables.case).where(_is(run, one)).values(steward=to))
        _tell(run, connection, one, "assign", by, words or None, to)
    return str(one.case_id)


def comment(run: Run, name: str, by: str, words: str) -> str:
    """Say something to a case, open or closed. Returns its number."""
    if not words.strip():
        raise _blank("words", "some words", "say something")
    with run.engine.begin() as connection:
        one = found(run, connection, name)
        _tell(run, connection, one, "comment", by, words)
    return str(one.case_id)


def close(run: Run, name: str, outcome: Outcome, by: str, reason: str) -> str:
    """Close an open case; it stays closed as long as what it is about stands. Returns its number.

    Raises DecisionRefused for a case about records, which a decision settles, and for a retry of what has none.
    """
    signed(by, reason)
    with run.engine.begin() as connection:
        one = _open(run, connection, name)
        _may_close(one, outcome)
        number = run.published(connection)
        values = {"closed_in": number, "outcome": outcome.value, "gone_in": None}
        connection.execute(sa.update(run.tables.case).where(_is(run, one)).values(**values))
        _tell(run, connection, one, "close", by, f"{outcome.value}: {reason}")
    return str(one.case_id)


def _may_close(one: Found, outcome: Outcome) -> None:
    if one.kind in OF_PAIRS:
        pair = f"{one.left_source}:{one.left_key} {one.right_source}:{one.right_key} --reason ..."
        raise DecisionRefused(
            Fault("case-needs-decision", one.case_id, "only a word about the two records closes this case",
                  one.kind, "a link or an unlink", f"sor review {one.entity}, or sor link (or unlink) {pair}")
        )  # fmt: skip
    if outcome is Outcome.retry and one.kind not in RETRIED:
        raise DecisionRefused(
            Fault("nothing-to-retry", one.case_id, f"nothing of a case of kind {one.kind} can be tried again", "retry",
                  "done or accepted", "close it with --outcome done, or accepted where it is to stay so")
        )  # fmt: skip


def _open(run: Run, connection: sa.Connection, name: str) -> Found:
    one = found(run, connection, name)
    if one.closed_in is not None:
        raise DecisionRefused(
            Fault("case-closed", one.case_id, "this case is closed", f"{one.outcome}, in publication {one.closed_in}",
                  "an open case", "it opens again by itself when what it is about comes back")
        )  # fmt: skip
    return one


def _is(run: Run, one: Found) -> sa.ColumnElement[bool]:
    return run.tables.case.c.case_id == str(one.case_id)


def _tell(
    run: Run, connection: sa.Connection, one: Found, kind: str, by: str, words: str | None, to: str | None = None
) -> None:
    case = run.tables.case
    whom = None if to is None else sa.literal(to, sa.Text)
    add(run, connection, sa.select(case.c.case_id, *told(kind, whom, words)).where(_is(run, one)), by)


def _blank(option: str, expected: str, todo: str) -> DecisionRefused:
    return DecisionRefused(Fault("blank-word", option, f"{option} is blank", "a blank", expected, todo))
