"""The ledger of people's decisions, read: which of them are in force.

Belongs here: the one select that says so, below the steps, because `steward` adds to the ledger, `identify`
obeys it and `observe` tells it, and steps never import each other. Does not: what any of them makes of it.
"""

from __future__ import annotations

import sqlalchemy as sa

from sor_pipeline.engine.base import Rows
from sor_pipeline.tables import Tables

RECORDS = ("left_source", "left_key", "right_source", "right_key")
"""The columns that name two records of one entity."""
PAIR = ("entity", *RECORDS)
"""The same across entities."""
_SAID = ("decision", "kind", "by", "at", "reason")


def in_force(tables: Tables) -> Rows:
    """Grain: one pair of records with a word in force: its newest link or unlink that nobody has withdrawn.

    Columns: those of PAIR, decision (its number), kind (link or unlink), by, at, reason.
    """
    ledger = tables.decision
    withdrawal = ledger.alias("withdrawal")
    pair = [ledger.c[name] for name in PAIR]
    standing = (
        sa.select(
            *pair, *(ledger.c[name] for name in _SAID),
            sa.func.max(ledger.c.decision).over(partition_by=pair).label("newest"),
        )
        .where(ledger.c.kind != "withdraw", ~sa.exists().where(withdrawal.c.withdraws == ledger.c.decision))
        .subquery("standing")
    )  # fmt: skip
    named = [standing.c[name] for name in (*PAIR, *_SAID)]
    return sa.select(*named).where(standing.c.decision == standing.c.newest)
