"""The kill switch of a system: nothing is sent to it until somebody turns it on again.

Belongs here: turning it, and its ledger. Does not: obeying it (`deliver`).

A stop is a file in the state folder first: a run that is at work holds the warehouse, and sees the file before its
next request. The ledger gets it as soon as it can.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from sor_pipeline.engine.base import Rows
from sor_pipeline.run import Run
from sor_pipeline.settings import Settings
from sor_pipeline.steward.signature import signed
from sor_pipeline.tables import Tables


def stop_now(settings: Settings, system: str, by: str, reason: str) -> None:
    """Nothing is sent to the system from here on, whoever is at work. Raises DecisionRefused without by or reason."""
    signed(by, reason)
    settings.stopped.mkdir(parents=True, exist_ok=True)
    at = datetime.now(UTC).replace(tzinfo=None, microsecond=0).isoformat()
    (settings.stopped / system).write_text(json.dumps({"by": by, "reason": reason, "at": at}), encoding="utf-8")


def stop(run: Run, system: str) -> int:
    """Enter a stop into the ledger, once; returns its number there."""
    said = _file(run.settings, system)
    with run.engine.begin() as connection:
        newest = connection.execute(newest_turns(run.tables).where(run.tables.switch.c.system == system)).fetchall()
        at = datetime.fromisoformat(said["at"]) if said else run.now
        if newest and not newest[0].on and newest[0].at >= at:
            return int(newest[0].number)
        return _append(run, connection, system, False, said.get("by", ""), at, said.get("reason", ""))


def start(run: Run, system: str, by: str, reason: str) -> int:
    """Turn it on again: the document rules. A stop that the ledger has not got yet is entered first."""
    signed(by, reason)
    if _file(run.settings, system):
        stop(run, system)
    with run.engine.begin() as connection:
        number = _append(run, connection, system, True, by, run.now, reason)
    (run.settings.stopped / system).unlink(missing_ok=True)
    return number


def newest_turns(tables: Tables) -> Rows:
    """Grain: one system whose switch was ever turned, with its newest turn."""
    table = tables.switch
    last = sa.select(table.c.system, sa.func.max(table.c.number).label("number")).group_by(table.c.system).subquery()
    return sa.select(table).join(last, last.c.number == table.c.number)


def _append(run: Run, connection: sa.Connection, system: str, on: bool, by: str, at: datetime, reason: str) -> int:
    table = run.tables.switch
    last = connection.execute(sa.select(sa.func.coalesce(sa.func.max(table.c.number), 0))).scalar_one()
    number = int(last) + 1
    connection.execute(sa.insert(table).values(number=number, system=system, on=on, by=by, at=at, reason=reason))
    return number


def _file(settings: Settings, system: str) -> dict[str, Any]:
    """What the file of a stop says; nothing where there is none. One that somebody made by hand may be empty."""
    path = settings.stopped / system
    if not path.exists():
        return {}
    made = datetime.fromtimestamp(path.stat().st_mtime, UTC).replace(tzinfo=None, microsecond=0).isoformat()
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        said = {}
    return {"by": "", "reason": "", "at": made} | (said if isinstance(said, dict) else {})
