"""The record of runs: `audit.run`. Its clock is the wall's: it is about the machine, not the data."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime

import sqlalchemy as sa

from sor_pipeline.run import Run


def _wall_clock() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


def start(run: Run) -> int:
    """Open a run's record; one that is still `running` was killed and is closed as failed. Returns its number."""
    table = run.tables.run
    with run.engine.begin() as connection:
        connection.execute(
            sa.update(table)
            .where(table.c.state == "running")
            .values(state="failed", ended_at=_wall_clock(), message="killed")
        )
        number = int(connection.execute(sa.select(sa.func.coalesce(sa.func.max(table.c.run), 0) + 1)).scalar_one())
        connection.execute(sa.insert(table).values(run=number, started_at=_wall_clock(), state="running"))
    return number


def finish(run: Run, number: int, state: str, counts: Mapping[str, Mapping[str, int]], message: str) -> int:
    """Close a run's record. Returns the number of the publication that is now readable."""
    table = run.tables.run
    with run.engine.begin() as connection:
        publication = run.published(connection)
        connection.execute(
            sa.update(table)
            .where(table.c.run == number)
            .values(
                state=state,
                ended_at=_wall_clock(),
                message=message,
                counts=json.dumps(counts),
                publication=publication if state == "published" else None,
            )
        )
    return publication
