"""What people decided about pairs of records, as far as it holds now.

Belongs here: which decisions are in force, which are new.
Does not: writing them (`steward`), obeying them (`clusters`).
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from sor_pipeline import ledger
from sor_pipeline.identify.work import Work

PAIR = ledger.RECORDS


def in_force(work: Work) -> sa.Select[Any]:
    """Grain: one pair of the entity's records (`ledger.in_force`)."""
    rows = ledger.in_force(work.tables)
    return rows.where(rows.selected_columns.entity == work.entity)


def pending(work: Work) -> sa.Select[Any]:
    """Grain: one entry of the ledger that the last publication does not know (the pair's columns, kind, decision)."""
    table, taken = work.tables.decision, work.tables.decision.alias("taken")
    names = [sa.func.coalesce(taken.c[name], table.c[name]).label(name) for name in PAIR]
    return (
        sa.select(*names, table.c.kind, table.c.decision)
        .select_from(table.outerjoin(taken, taken.c.decision == table.c.withdraws))
        .where(table.c.entity == work.entity, table.c._publication == work.pending)
    )


def ends(rows: sa.FromClause) -> sa.CompoundSelect[Any]:
    """Grain: one record (source, source_key) that is on either side of `rows`."""
    return sa.union(
        sa.select(rows.c.left_source.label("source"), rows.c.left_key.label("source_key")),
        sa.select(rows.c.right_source, rows.c.right_key),
    )
