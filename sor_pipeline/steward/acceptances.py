"""A person accepts by name what a guard stopped: `shrink:<source>:<batch>`."""

from __future__ import annotations

import sqlalchemy as sa

from sor_pipeline.run import Run


def accept(run: Run, subject: str, by: str, reason: str) -> bool:
    """Write an acceptance down, once; False when it was there already."""
    table = run.tables.acceptance
    with run.engine.begin() as connection:
        if connection.execute(sa.select(table.c.subject).where(table.c.subject == subject)).fetchall():
            return False
        connection.execute(sa.insert(table).values(subject=subject, by=by, reason=reason, at=run.now))
    return True
