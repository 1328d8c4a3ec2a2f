"""The gate: what must not be published.

Belongs here: the findings that block. Does not: finding them (`check`).
"""

from __future__ import annotations

import sqlalchemy as sa

from sor_pipeline.engine.base import Rows
from sor_pipeline.errors import Fault
from sor_pipeline.ownership.entity import Severity
from sor_pipeline.tables import Tables

_NAMED = 20


def blocking(tables: Tables) -> Rows:
    """Grain: one current finding of severity `block` that failed, or could not be judged; of what the document has."""
    finding = tables.finding
    failed = sa.or_(finding.c.failed > 0, finding.c.passed.is_(False))
    return (
        sa.select(finding)
        .where(
            finding.c.severity == Severity.block.value, failed, finding.c.entity.in_(list(tables.ownership.entities))
        )
        .order_by(finding.c.entity, finding.c.expectation)
    )


def faults(connection: sa.Connection, tables: Tables) -> tuple[Fault, ...]:
    """Why nothing may be published now; empty where the gate is open. Names entities, never values."""
    rows = connection.execute(blocking(tables)).fetchall()
    return tuple(
        Fault(
            "publication-blocked",
            f"{row.entity}: {row.expectation}",
            row.message or "an expectation of severity `block` failed",
            f"{row.failed or 0} of {row.checked or 0} failed" + (f": {row.sample}" if row.sample else ""),
            "none fails",
            "correct the data or the rule, then run again; the last publication stays readable",
        )
        for row in rows[:_NAMED]
    )
