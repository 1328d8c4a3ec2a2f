"""Correct: what one system must change to agree with what is published, in its own words.

Reads: conformed.*, canonical.*, staged.<source> and staged.reject, identity.*, audit.held
Writes: outbound.correction, outbound.state; the files of the outbox
Raises: nothing of its own

Only what changed since the source was last compared is compared again, and what has an open
correction; all of it where the document changed. Run again for the same publication it changes
nothing, and makes files that are missing.
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
    for source, spec in run.ownership.sources.items():
        if spec.accepts and system_of(source) == system:
            counts.update(_correct(run, Target(run.tables, source)))
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
    if not target.fields:
        return _withdraw(connection, target, number)
    since = _since(run, connection, target)
    among = None if since is None else engine.materialise(connection, "correct_record", touched(target, since))
    compared = engine.materialise(connection, "correct_cell", cells(target, among))
    moves = engine.materialise(connection, "correct_judged", judged(target, compared, number))
    engine.replace(connection, table, moves, key_columns(target))
    fresh = engine.materialise(connection, "correct_proposal", proposals(target, compared, number))
    engine.replace(connection, table, fresh, key_columns(target))
    state = run.tables.correction_state
    connection.execute(sa.delete(state).where(state.c.source == target.source))
    connection.execute(sa.insert(state).values(source=target.source, corrected_to=number))
    return {
        "proposed": _count(connection, fresh, sa.true()),
        "inexpressible": _count(connection, compared, compared.c.verdict == "inexpressible"),
        **{name: _count(connection, moves, moves.c.state == name) for name in STATES},
    }


def _withdraw(connection: sa.Connection, target: Target, number: int) -> dict[str, int]:
    """The source accepts nothing that can be written: what is open is wanted no more."""
    table = target.tables.correction
    is_open = sa.and_(table.c.source == target.source, table.c.state.in_(OPEN))
    withdrawn = _count(connection, table, is_open)
    connection.execute(sa.update(table).where(is_open).values(state="superseded", closed_in=number))
    return {"superseded": withdrawn}


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
