"""What people said about cells, and whether it still holds: the select behind `sor override list`.

Belongs here: telling the ledger. Does not: what is in force (`ledger`), obeying it (`resolve`), adding to it
(`steward`).
"""

from __future__ import annotations

from datetime import date

import sqlalchemy as sa

from sor_pipeline.engine.base import Rows
from sor_pipeline.ledger import overrides_in_force, reads_as
from sor_pipeline.tables import Tables


def living(tables: Tables) -> Rows:
    """Grain: one override in force whose record lives and whose field reads as it did: number, entity_id."""
    force = overrides_in_force(tables).subquery("force")
    parts = []
    for source, spec in tables.ownership.sources.items():
        known, staged = tables.identity[spec.entity], tables.staged[source]
        fields = tables.ownership.entities[spec.entity].fields
        reads = [sa.and_(force.c.field == name, force.c.type == reads_as(field)) for name, field in fields.items()]
        parts.append(
            sa.select(force.c.number, known.c.entity_id)
            .join(known, sa.and_(known.c.source == force.c.source, known.c.source_key == force.c.source_key))
            .join(staged, staged.c._key == force.c.source_key)
            .where(
                force.c.source == source, force.c.entity == spec.entity, staged.c._deleted_at.is_(None), sa.or_(*reads)
            )
        )
    united = sa.union_all(*parts).subquery("living")
    return sa.select(united.c.number, united.c.entity_id)


def ledger(tables: Tables, today: date, everything: bool) -> Rows:
    """Grain: one override, newest first, those in force only unless `everything`.

    `state`: in force, next run (said, but no run has obeyed it yet), overdue (its day is over; the next run ends it),
    overruled (a newer one is about the same cell), resting (its record is deleted, or its field declared otherwise),
    else the outcome of its end, which `ended_by`, `ended_at` and `ended_why` tell.
    """
    table = tables.override
    end, lives = table.alias("ending"), living(tables).subquery("lives")
    rivals, theirs = table.alias("rivals"), living(tables).subquery("theirs")
    newer = sa.exists().where(
        theirs.c.entity_id == lives.c.entity_id, rivals.c.number == theirs.c.number,
        rivals.c.field == table.c.field, rivals.c.entity == table.c.entity, rivals.c.number > table.c.number,
    )  # fmt: skip
    published = sa.select(sa.func.coalesce(sa.func.max(tables.publication.c.publication), 0)).scalar_subquery()
    state = sa.case(
        (end.c.number.is_not(None), end.c.outcome),
        (lives.c.number.is_(None), "resting"),
        (newer.correlate(lives, table), "overruled"),
        (sa.func.coalesce(table.c.until_date < today, sa.false()), "overdue"),
        (table.c._publication > published, "next run"),
        else_="in force",
    )
    told = (
        "number",
        "entity",
        "field",
        "source",
        "source_key",
        "value",
        "until",
        "until_date",
        "owner",
        "by",
        "at",
        "reason",
    )
    rows = (
        sa.select(
            *(table.c[name] for name in told), lives.c.entity_id, state.label("state"), end.c.by.label("ended_by"),
            end.c.at.label("ended_at"), end.c.reason.label("ended_why"),
        )
        .select_from(
            table.outerjoin(end, end.c.ends == table.c.number).outerjoin(lives, lives.c.number == table.c.number)
        )
        .where(table.c.kind == "set")
        .order_by(table.c.number.desc())
    )  # fmt: skip
    return rows if everything else rows.where(end.c.number.is_(None))


def one(tables: Tables, number: int) -> Rows:
    """The override of this number: who said it, when and why, and until when it holds."""
    table = tables.override
    named = ("number", "by", "at", "reason", "until", "until_date")
    return sa.select(*(table.c[name] for name in named)).where(table.c.number == number)
