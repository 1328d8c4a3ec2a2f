"""The ledgers of people's words, read: which decisions and overrides are in force.

Belongs here: the selects that say so, below the steps, because `steward` adds to the ledgers, `identify` and
`resolve` obey them and `observe` tells them, and steps never import each other. Does not: what any makes of it.
"""

from __future__ import annotations

import sqlalchemy as sa

from sor_pipeline.engine.base import Rows
from sor_pipeline.ownership.entity import Field
from sor_pipeline.tables import Tables

DECISION = "decision"
"""The rule of a cell that an override decides, and the cause of changes that it brings."""

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


def overrides_in_force(tables: Tables) -> Rows:
    """Grain: one override that nothing has ended; columns as `steward.override`."""
    ledger = tables.override
    end = ledger.alias("ending")
    return sa.select(ledger).where(ledger.c.kind == "set", ~sa.exists().where(end.c.ends == ledger.c.number))


def reads_as(field: Field) -> str:
    """How the field's values are written down; an override that was taken under another declaration rests."""
    if field.type == "decimal":
        return f"decimal of {field.scale}"
    if field.type == "ref":
        return f"ref to {field.to}"
    return f"list of {field.of}" if field.type == "list" else field.type
