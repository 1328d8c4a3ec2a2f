"""Correct: what one system must change to agree with what is published, in its own words.

Reads: conformed.*, canonical.*, staged.<source> and staged.reject, identity.*, audit.held, outbound.attempt,
  steward.case
Writes: outbound.correction, outbound.broken, outbound.state, outbound.wait; the files of the outbox
Raises: nothing of its own

Only what changed since the source was last compared is compared again (`touched`); all of it where
the document changed. Run again for the same publication it changes nothing, and makes files that
are missing.
"""

from __future__ import annotations

from collections import Counter

import sqlalchemy as sa

from sor_pipeline.correct import breaker, outbox
from sor_pipeline.correct.receipts import closed_just_now, judged, key_columns, proposals, unanswered
from sor_pipeline.correct.touched import due_by, touched
from sor_pipeline.correct.wanted import OPEN, Target, cells
from sor_pipeline.echoes import any_delivered, echoes, nothing_delivered
from sor_pipeline.engine.base import Union
from sor_pipeline.ownership.document import system_of
from sor_pipeline.run import Outcome, Run

STATES = ("confirmed", "superseded", "altered", "reverted")


def run(run: Run, system: str) -> Outcome:
    """Corrections of the system's sources; counts: proposed (new), the states of earlier ones, broken (cells that are
    no longer written from now on), open, inexpressible."""
    counts: Counter[str] = Counter(dict.fromkeys(("proposed", *STATES, "broken", "open", "inexpressible"), 0))
    targets = {source: target for source in run.ownership.sources if (target := Target(run.tables, source)).fields}
    counts["superseded"] += _withdraw(run, list(targets))
    for source, target in targets.items():
        if system_of(source) == system:
            counts.update(_correct(run, target))
    return Outcome(dict(counts))


def _correct(run: Run, target: Target) -> dict[str, int]:
    with run.engine.begin() as connection:
        number = run.published(connection)
        if number == 0:
            return {}
        counts = _compare(run, connection, target, number)
        still_open = run.engine.fetch(connection, outbox.open_corrections(run.tables, target.source))
        ever = _count(connection, run.tables.correction, run.tables.correction.c.source == target.source)
    if ever:
        outbox.write(run.settings.outbox, target.source, number, still_open, _spreadsheet_safe(run, target.source))
    return {**counts, "open": still_open.num_rows}


def _spreadsheet_safe(run: Run, source: str) -> bool:
    target = run.ownership.systems[system_of(source)].target
    return bool(target and target.spreadsheet_safe)


def _compare(run: Run, connection: sa.Connection, target: Target, number: int) -> dict[str, int]:
    """Judge earlier corrections and propose new ones, as of publication `number`."""
    engine, table = run.engine, run.tables.correction
    breaker.tried_again(run, connection, target, number)
    since, due = _since(run, connection, target), connection.execute(due_by(target)).scalar()
    among = None if since is None else engine.materialise(connection, "correct_record", touched(target, since, due))
    compared = engine.materialise(connection, "correct_cell", cells(target, among))
    moves = engine.materialise(connection, "correct_judged", judged(target, compared, number, among, due))
    engine.replace(connection, table, moves, key_columns(target))
    broken = _break(run, connection, target, moves, number)
    free = engine.materialise(connection, "correct_unanswered", unanswered(target, compared))
    written_before = connection.execute(any_delivered(run.tables, target.source)).scalar_one()
    keys = sa.select(free.c.source_key)
    echo = echoes(run.tables, target.source, keys) if written_before else nothing_delivered(run.tables, target.source)
    fresh = engine.materialise(connection, "correct_proposal", proposals(target, free, number, echo))
    engine.replace(connection, table, fresh, key_columns(target))
    _wait(run, connection, target, among, _waiting(compared, free, number))
    state = run.tables.correction_state
    connection.execute(sa.delete(state).where(state.c.source == target.source))
    connection.execute(sa.insert(state).values(source=target.source, corrected_to=number))
    return {
        "proposed": _count(connection, fresh, sa.true()),
        "inexpressible": _count(connection, compared, compared.c.verdict == "inexpressible"),
        "broken": broken,
        **{name: _count(connection, moves, moves.c.state == name) for name in STATES},
    }


def _break(run: Run, connection: sa.Connection, target: Target, moves: sa.Table, number: int) -> int:
    """Cells that were undone too often are no longer written; returns how many."""
    fresh = run.engine.materialise(connection, "correct_broken", breaker.breaking(target, moves, number))
    broken = _count(connection, fresh, sa.true())
    if broken:
        run.engine.replace(connection, run.tables.broken, fresh, breaker.CELL)
        stop = sa.update(run.tables.correction).where(breaker.withdrawn(target))
        connection.execute(stop.values(state="superseded", closed_in=number))
    return broken


def _waiting(compared: sa.Table, free: sa.Table, number: int) -> Union:
    """Grain: one record that disagrees with a value on hold, or of which a cell must wait for the next publication."""
    return sa.union(
        sa.select(compared.c.source_key).where(compared.c.verdict == "waits"),
        sa.select(free.c.source_key).where(closed_just_now(free, number)),
    )


def _wait(run: Run, connection: sa.Connection, target: Target, among: sa.FromClause | None, waiting: Union) -> None:
    """Keep which of the compared records must be compared again."""
    table, waits = run.tables.correction_wait, waiting.subquery("waits")
    again = sa.true() if among is None else table.c.source_key.in_(sa.select(among.c.source_key))
    connection.execute(sa.delete(table).where(table.c.source == target.source, again))
    rows = sa.select(sa.literal(target.source, sa.Text), waits.c.source_key)
    connection.execute(sa.insert(table).from_select(["source", "source_key"], rows))


def _withdraw(run: Run, targets: list[str]) -> int:
    """What is open at sources that may not be written to (any more, or at all) is wanted no more; returns how many."""
    table, state = run.tables.correction, run.tables.correction_state
    elsewhere = table.c.source.not_in(targets)
    with run.engine.begin() as connection:
        number = run.published(connection)
        stray = sa.and_(elsewhere, table.c.state.in_((*OPEN, "refused")))
        withdrawn = _count(connection, table, stray)
        connection.execute(sa.update(table).where(stray).values(state="superseded", closed_in=number))
        for kept in (state, run.tables.correction_wait):
            connection.execute(sa.delete(kept).where(kept.c.source.not_in(targets)))
        closed = sa.select(table.c.source).distinct().where(elsewhere, table.c.closed_in == number)
        files = {
            source: run.engine.fetch(connection, outbox.open_corrections(run.tables, source))
            for source in connection.execute(closed).scalars().all()
        }
    for source, nothing in files.items():
        outbox.write(run.settings.outbox, source, number, nothing)
    return withdrawn


def _since(run: Run, connection: sa.Connection, target: Target) -> int | None:
    """The publication up to which the source was compared under this document; None: never."""
    state, publication = run.tables.correction_state, run.tables.publication
    known = sa.select(state.c.corrected_to, publication.c.fingerprint).join(
        publication, publication.c.publication == state.c.corrected_to
    )
    rows = connection.execute(known.where(state.c.source == target.source)).fetchall()
    same = [row.corrected_to for row in rows if row.fingerprint == run.ownership.fingerprint]
    return same[0] if same else None


def _count(connection: sa.Connection, table: sa.FromClause, condition: sa.ColumnElement[bool]) -> int:
    return int(connection.execute(sa.select(sa.func.count()).select_from(table).where(condition)).scalar_one())
