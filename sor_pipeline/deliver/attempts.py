"""The account of what was sent: attempts, and the corrections that they settle.

Belongs here: writing both down. Does not: what is sent, or how an answer is judged.

An attempt is written as `unknown` in a transaction of its own before anything is sent; what came of it
replaces the word. Killed in between, it stays unknown, and the next delivery reads before it writes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from sor_pipeline.deliver.connector import Record, Result, Write
from sor_pipeline.deliver.plan import CELL, as_table
from sor_pipeline.run import Run

STATES = {"accepted": "delivered", "refused": "refused", "superseded": "superseded"}
"""What an outcome makes of a correction; the others leave it proposed."""
KEY = (*CELL, "attempt")


@dataclass(frozen=True)
class Settled:
    """What came of one write."""

    record: Record
    write: Write
    result: Result
    status: str = ""
    message: str = ""


def begun(run: Run, system: str, records: Sequence[Record]) -> None:
    """Every write of the records is an attempt whose outcome is not known."""
    rows = [_row(run, system, Settled(record, write, "unknown")) for record in records for write in record.writes]
    if rows:
        with run.engine.begin() as connection:
            _put(run, connection, rows)


def settled(run: Run, system: str, outcomes: Iterable[Settled]) -> None:
    """The outcomes, and what they make of the corrections, in one transaction."""
    listed = list(outcomes)
    if not listed:
        return
    table = run.tables.correction
    with run.engine.begin() as connection:
        _put(run, connection, [_row(run, system, one) for one in listed])
        number = run.published(connection)
        for result, state in STATES.items():
            rows = [dict(zip(CELL, _cell(one), strict=True)) for one in listed if one.result == result]
            if not rows:
                continue
            these = run.engine.scan_arrow(connection, f"deliver_{state}", as_table(rows, table))
            same = sa.and_(*(these.c[name] == table.c[name] for name in CELL))
            closed = None if state == "delivered" else number
            connection.execute(
                sa.update(table)
                .where(sa.exists().where(same).correlate(table), table.c.state == "proposed")
                .values(state=state, closed_in=closed)
            )


def _cell(one: Settled) -> tuple[Any, ...]:
    return one.record.source, one.record.key, one.write.field, one.write.proposed_in


def _row(run: Run, system: str, one: Settled) -> dict[str, Any]:
    return {
        **dict(zip(CELL, _cell(one), strict=True)),
        "attempt": one.write.attempt,
        "system": system,
        "at": run.now,
        "idempotency_key": one.record.idempotency_key,
        "outcome": one.result,
        "status": one.status,
        "message": one.message,
    }


def _put(run: Run, connection: sa.Connection, rows: list[dict[str, Any]]) -> None:
    table = run.tables.attempt
    fresh = run.engine.scan_arrow(connection, "deliver_attempt", as_table(rows, table))
    run.engine.replace(connection, table, fresh, KEY)
