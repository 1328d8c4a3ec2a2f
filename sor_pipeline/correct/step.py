"""Correct: what one system must change to agree with what is published, in its own words.

Reads: conformed.*, canonical.*, staged.<source> and staged.reject, identity.*, audit.held
Writes: outbound.correction, outbound.state, outbound.wait; the files of the outbox
Raises: nothing of its own

Only what changed since the source was last compared is compared again (`touched`); all of it where
the document changed. Run again for the same publication it changes nothing, and makes files that
are missing.
"""

from __future__ import annotations

from collections import Counter

import sqlalchemy as sa

from sor_pipeline.correct import outbox
from sor_pipeline.correct.receipts import judged, key_columns, proposals
from sor_pipeline.correct.wanted import OPEN, Target, cells, touched
from sor_pipeline.ownership.document import system_of
from sor_pipeline.run import Outcome, Run

STATES = ("confirmed", "superseded", "altered", "reverted")


def run(run: Run, system: str) -> Outcome:
    """Corrections of the system's sources; counts: proposed (new), the states of earlier ones, open, inexpressible."""
    counts: Counter[str] = Counter(dict.fromkeys(("proposed", *STATES, "open", "inexpressible"), 0))
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
        outbox.write(run.settings.outbox, target.source, number, still_open)
    return {**counts, "open": still_open.num_rows}


def _compare(run: Run, connection: sa.Connection, target: Target, number: int) -> dict[str, int]:
    """Judge earlier corrections and propose new ones, as of publication `number`."""
    engine, table = run.engine, run.tables.correction
    since = _since(run, connection, target)
    among = None if since is None else engine.materialise(connection, "correct_record", touched(target, since))
    compared = engine.materialise(connection, "correct_cell", cells(target, among))
    moves = engine.materialise(connection, "correct_judged", judged(target, compared, number, among))
    engine.replace(connection, table, moves, key_columns(target))
    fresh = engine.materialise(connection, "correct_proposal", proposals(target, compared, number))
    engine.replace(connection, table, fresh, key_columns(target))
    _wait(run, connection, target, compared, among)
    state = run.tables.correction_state
    connection.execute(sa.delete(state).where(state.c.source == target.source))
    connection.execute(sa.insert(state).values(source=target.source, corrected_to=number))
    return {
        "proposed": _count(connection, fresh, sa.true()),
        "inexpressible": _count(connection, compared, compared.c.verdict == "inexpressible"),
        **{name: _count(connection, moves, moves.c.state == name) for name in STATES},
    }


def _wait(run: Run, connection: sa.Connection, target: Target, compared: sa.Table, among: sa.FromClause | None) -> None:
    """Keep which of the compared records disagree with a value on hold."""
    table = run.tables.correction_wait
    again = sa.true() if among is None else table.c.source_key.in_(sa.select(among.c.source_key))
    connection.execute(sa.delete(table).where(table.c.source == target.source, again))
    waits = sa.select(sa.literal(target.source, sa.Text), compared.c.source_key).where(compared.c.verdict == "waits")
    connection.execute(sa.insert(table).from_select(["source", "source_key"], waits.distinct()))


def _withdraw(run: Run, targets: list[str]) -> int:
    """What is open at sources that may not be written to (any more, or at all) is wanted no more; returns how many."""
    table, state = run.tables.correction, run.tables.correction_state
    elsewhere = table.c.source.not_in(targets)
    with run.engine.begin() as connection:
        number = run.published(connection)
        stray = sa.and_(elsewhere, table.c.state.in_(OPEN))
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
