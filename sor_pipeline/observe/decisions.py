"""What people decided about identity, and whether it still holds: the select behind `sor decisions`.

Belongs here: telling the ledger. Does not: what is in force (`ledger`), adding to it (`steward`).
"""

from __future__ import annotations

import sqlalchemy as sa

from sor_pipeline.engine.base import Rows
from sor_pipeline.ledger import PAIR, in_force
from sor_pipeline.tables import Tables


def ledger(tables: Tables, entity: str | None, everything: bool) -> Rows:
    """Grain: one decision, newest first, those in force only unless `everything`.

    `state` is in force, overruled (by a newer word on the pair), withdrawn, or withdrawal; `until` the
    entry that ended it; `pending` whether its first run is still to come.
    """
    table = tables.decision
    force = in_force(tables).subquery("force")
    taken = table.alias("taken")
    withdrawn = sa.select(sa.func.min(taken.c.decision)).where(taken.c.withdraws == table.c.decision).scalar_subquery()
    newest = sa.select(force.c.decision).where(*(force.c[n] == table.c[n] for n in PAIR)).scalar_subquery()
    published = sa.select(sa.func.coalesce(sa.func.max(tables.publication.c.publication), 0)).scalar_subquery()
    state = sa.case(
        (table.c.kind == "withdraw", "withdrawal"), (withdrawn.is_not(None), "withdrawn"),
        (newest == table.c.decision, "in force"), else_="overruled",
    )  # fmt: skip
    rows = sa.select(
        table.c.decision, table.c.entity, table.c.kind, *(table.c[name] for name in PAIR[1:]), table.c.withdraws,
        table.c.by, table.c.at, table.c.reason, table.c.evidence, table.c.weight, state.label("state"),
        sa.case((table.c.kind == "withdraw", sa.null()), (withdrawn.is_not(None), withdrawn),
                (newest != table.c.decision, newest)).label("until"),
        (table.c["_publication"] > published).label("pending"),
    ).order_by(table.c.decision.desc())  # fmt: skip
    if entity is not None:
        rows = rows.where(table.c.entity == entity)
    return rows if everything else rows.where(state == "in force")
