"""Values that should be one record's own and are held by a crowd: they mean "unknown", whatever they look like.

Belongs here: which values of e-mail, phone, id and street are held by more records than the rule allows, and
their absence from what is compared. Does not: the same for whom a record is compared with (`blocks`).

A value counts as one rule of blocking values, its own or a watched one (`own:<column>`), so that a record is
looked at again when one of its values becomes a crowd's, or ceases to be.
"""

from __future__ import annotations

import polars as pl
import sqlalchemy as sa

from sor_pipeline.engine.base import Engine
from sor_pipeline.identify.similar.plan import Block, Plan
from sor_pipeline.identify.similar.records import fetched
from sor_pipeline.tables import Tables

_OWN = {
    "email": ("v", ("v", "whole", "digits", "local")),
    "phone": ("tail", ("v", "tail")),
    "id": ("v", ("v",)),
    "address": ("street", ("street", "number")),
    "date": ("v", ("v", "turned", "year")),
}
"""Kind of part -> the column whose holders are counted, and the columns that say nothing when they are too many."""
MANY = 20
"""Days are shared by chance: only so many times as many holders as of anything else are a crowd."""


def watched(plan: Plan) -> dict[str, str]:
    """Column -> the rule of `identity.<entity>__block` under which its holders are counted."""
    columns = [f"{part.name}__{_OWN[part.kind][0]}" for part in plan.parts if part.kind in _OWN]
    alone = {block.columns: str(number) for number, block in enumerate(plan.blocks)}
    return {column: alone.get((column,), f"own:{column}") for column in columns}


def rules(plan: Plan) -> dict[str, Block]:
    """Every rule of `identity.<entity>__block`: those that bring together, by number, and those only watched."""
    numbered = {str(number): block for number, block in enumerate(plan.blocks)}
    only = {rule: Block((column,), frozenset()) for column, rule in watched(plan).items() if rule not in numbered}
    return numbered | only


def crowds(
    connection: sa.Connection, engine: Engine, tables: Tables, entity: str, plan: Plan, most: int,
    members: sa.FromClause | None = None,
) -> pl.DataFrame:  # fmt: skip
    """Grain: one value that a crowd holds, more than `most` records (rule, token); `members`: one of these holds it."""
    block = tables.block[entity]
    mine = block.c.rule.in_(sorted(watched(plan).values()))
    counted = sa.select(block.c.rule, block.c.token).where(mine)
    if members is not None:
        held = block.alias("held")
        same = sa.and_(held.c.source == members.c.source, held.c.source_key == members.c.source_key)
        theirs = sa.select(held.c.rule, held.c.token).where(same).distinct().subquery("theirs")
        counted = counted.where(
            sa.exists().where(theirs.c.rule == block.c.rule, theirs.c.token == block.c.token).correlate(block)
        )
    kinds = watched(plan)
    days = [kinds[f"{part.name}__v"] for part in plan.parts if part.kind == "date"]
    limit = sa.case((block.c.rule.in_(days), most * MANY), else_=most)
    grouped = counted.group_by(block.c.rule, block.c.token).having(sa.func.count() > sa.func.max(limit))
    return fetched(engine, connection, grouped)


def without(frame: pl.DataFrame, plan: Plan, crowd: pl.DataFrame) -> pl.DataFrame:
    """Features without the values of crowds."""
    if not crowd.height:
        return frame
    for part in plan.parts:
        if part.kind not in _OWN:
            continue
        counted, silent = _OWN[part.kind]
        column = f"{part.name}__{counted}"
        tokens = crowd.filter(pl.col("rule") == watched(plan)[column])["token"]
        keep = ~pl.col(column).is_in(tokens.implode()).fill_null(value=False)
        frame = frame.with_columns(pl.when(keep).then(pl.col(f"{part.name}__{end}")) for end in silent)
    return frame
