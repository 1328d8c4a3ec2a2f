"""Whether anything may be sent to a system now.

Belongs here: reading the kill switch wherever it was turned: the environment, the state folder, the ledger.
Does not: turning it (`steward.switches`).
"""

from __future__ import annotations

import sqlalchemy as sa

from sor_pipeline.run import Run
from sor_pipeline.settings import delivery_stopped


def stopped(run: Run, system: str) -> str:
    """Where it is said that nothing may be sent to the system: `environment`, `file`, `ledger`; blank: nowhere."""
    return pulled(run, system) or _in_ledger(run, system)


def pulled(run: Run, system: str) -> str:
    """The same without asking the warehouse."""
    if delivery_stopped(system):
        return "environment"
    return "file" if (run.settings.stopped / system).exists() else ""


def _in_ledger(run: Run, system: str) -> str:
    table = run.tables.switch
    newest = sa.select(table.c.on).where(table.c.system == system).order_by(table.c.number.desc()).limit(1)
    with run.engine.begin() as connection:
        rows = connection.execute(newest).fetchall()
    return "ledger" if rows and not rows[0].on else ""
