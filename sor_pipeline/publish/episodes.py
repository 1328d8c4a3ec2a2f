"""Merges and splits, told: `conformed.identity_change`.

Belongs here: records that went, counted per pair of ids. Does not: who went and why (`identify` noted it in
`identity.move`), where a retired id leads now (`aliases`).
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from sor_pipeline.tables import Tables


def episodes(tables: Tables, entity: str, number: int) -> sa.Select[Any]:
    """Grain: one pair of ids between which records went since the last publication; columns as the table.

    Read before `conformed.<entity>` is written: an id that is not there yet is new with this publication. Where
    several causes moved records between the same two ids, that of most records is told.
    """
    move, registry, present = tables.move, tables.id, tables.conformed[entity]
    mine = (
        sa.select(move.c.from_id, move.c.to_id, move.c.cause, sa.func.count().label("records"))
        .where(move.c.publication == number, move.c.entity == entity)
        .group_by(move.c.from_id, move.c.to_id, move.c.cause)
        .subquery("mine")
    )
    between = (mine.c.from_id, mine.c.to_id)
    order = (mine.c.records.desc(), sa.collate(mine.c.cause, "C"))
    ranked = sa.select(
        *between,
        mine.c.cause,
        sa.cast(sa.func.sum(mine.c.records).over(partition_by=between), sa.BigInteger).label("records"),
        sa.func.row_number().over(partition_by=between, order_by=order).label("place"),
    ).subquery("ranked")
    retired = sa.select(registry.c.entity_id).where(registry.c.entity == entity, registry.c.retired.is_not(None))
    kind = sa.case(
        (ranked.c.from_id.in_(retired), "merge"),
        (ranked.c.to_id.not_in(sa.select(present.c[f"{entity}_id"])), "split"),
        else_="move",
    )
    return sa.select(
        sa.literal(number, sa.BigInteger).label("publication"),
        sa.literal(entity, sa.Text).label("entity"),
        ranked.c.from_id,
        ranked.c.to_id,
        kind.label("kind"),
        ranked.c.records,
        ranked.c.cause,
    ).where(ranked.c.place == 1)
