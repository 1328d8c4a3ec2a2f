"""Steward: what no rule settles reaches a person in time.

Reads: conformed.conflict, audit.held, audit.finding, landing.refusal, landing.batch, outbound.*, steward.override,
    identity.affected, staged.* (whether records live)
Writes: steward.case, steward.case_event
Raises: nothing of its own; a notice that cannot be sent is a fault of its outcome

Runs also after a publication that was blocked: that is when somebody must act. Run again, it changes nothing.
"""

from __future__ import annotations

import sqlalchemy as sa

from sor_pipeline.run import Outcome, Run
from sor_pipeline.steward.casebook import bring
from sor_pipeline.steward.events import close_told
from sor_pipeline.steward.notices import notify
from sor_pipeline.steward.routes import escalate, hand_over
from sor_pipeline.steward.wanted import wanted


def run(run: Run, _scope: str = "") -> Outcome:
    """Cases brought to what there is to look at, handed over, and told.

    Counts: opened, reopened, closed, escalated, overdue, open, notified, unnotified.
    """
    case = run.tables.case
    with run.engine.begin() as connection:
        number = run.published(connection)
        there = run.engine.materialise(connection, "case_there", wanted(run))
        bring(run, connection, there, number)
        counts = hand_over(run, connection)
        counts["closed"] = close_told(run, connection)
        counts |= escalate(run, connection)
        still = sa.select(sa.func.count()).select_from(case).where(case.c.closed_in.is_(None))
        counts["open"] = int(connection.execute(still).scalar_one())
    told, faults = notify(run)
    return Outcome({**counts, **told}, faults)
