"""Whom a record is compared with: those that share a blocking value which not too many others have.

Belongs here: blocking values of records (`identity.<entity>__block`), candidate pairs, and the reach of a
change. Does not: what a pair is worth.

A value with more holders than the rule allows brings nobody together. When it crosses that limit, in
either direction, all its holders are looked at again: pairs come and go without a record having changed.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl
import sqlalchemy as sa

from sor_pipeline.engine.base import Rows, Union
from sor_pipeline.identify.similar.crowded import MANY, rules
from sor_pipeline.identify.similar.features import features
from sor_pipeline.identify.similar.plan import Plan
from sor_pipeline.identify.similar.records import fetched, texts
from sor_pipeline.identify.work import Work, same_record, same_token

CHUNK = 250_000
"""Records whose texts are in memory at once."""
_JOIN = "\x1f"


def numbered(work: Work, name: str, records: sa.FromClause) -> sa.Table:
    """Grain: one record (node, source, source_key), numbered in the order of records: a pair's left is the smaller."""
    order = (sa.collate(records.c.source, "C"), sa.collate(records.c.source_key, "C"))
    node = (sa.func.row_number().over(order_by=order) - 1).label("node")
    return work.keep(name, sa.select(node, records.c.source, records.c.source_key))


def chunks(work: Work, plan: Plan, members: sa.Table) -> Iterator[pl.DataFrame]:
    """Features of the members that live, some at a time."""
    for start in range(0, work.count(members), CHUNK):
        some = sa.select(members).where(members.c.node >= start, members.c.node < start + CHUNK).subquery("some")
        select = texts(work.tables, work.entity, plan.fields, some)
        raw = fetched(work.run.engine, work.connection, select)
        yield features(raw.sort("node"), plan)


def tokens(frame: pl.DataFrame, plan: Plan) -> pl.DataFrame:
    """Grain: one record and blocking rule that it has all columns of (source, source_key, rule, token)."""
    parts = []
    for rule, block in rules(plan).items():
        token = pl.concat_str(
            [pl.col(column) for column in block.columns], separator=_JOIN
        )  # null where one of them is
        named = frame.select("source", "source_key", pl.lit(rule).alias("rule"), token.alias("token"))
        parts.append(named.drop_nulls("token"))
    return pl.concat(parts)


def put(work: Work, rows: pl.DataFrame) -> None:
    """Add blocking values."""
    if rows.height:
        data = work.run.engine.scan_arrow(work.connection, "similar_block", rows.to_arrow())
        names = [column.name for column in work.tables.block[work.entity].columns]
        select = sa.select(*(sa.cast(data.c[name], sa.Text) for name in names))
        work.connection.execute(sa.insert(work.tables.block[work.entity]).from_select(names, select))


def crossed(work: Work, changed: sa.Table, old: sa.Table, most: int) -> sa.Table:
    """Grain: one record (source, source_key) that holds a value which crossed its limit by this change."""
    block = work.tables.block[work.entity]
    new = sa.select(block).where(sa.exists().where(same_record(block, changed))).subquery("new")
    moved = work.keep("block_moved", sa.union(sa.select(old.c.rule, old.c.token), sa.select(new.c.rule, new.c.token)))
    after = (
        sa.select(block.c.rule, block.c.token, sa.func.count().label("n"))
        .where(sa.exists().where(same_token(block, moved)))
        .group_by(block.c.rule, block.c.token)
        .subquery("after")
    )
    gone = (
        sa.select(old.c.rule, old.c.token, sa.func.count().label("n"))
        .group_by(old.c.rule, old.c.token)
        .subquery("gone")
    )
    come = (
        sa.select(new.c.rule, new.c.token, sa.func.count().label("n"))
        .group_by(new.c.rule, new.c.token)
        .subquery("come")
    )
    joined = moved.outerjoin(after, same_token(moved, after)).outerjoin(gone, same_token(moved, gone))
    joined = joined.outerjoin(come, same_token(moved, come))
    now = sa.func.coalesce(after.c.n, 0)
    before = now - sa.func.coalesce(come.c.n, 0) + sa.func.coalesce(gone.c.n, 0)
    over = work.keep(
        "block_crossed",
        sa.select(moved.c.rule, moved.c.token)
        .select_from(joined)
        .where(sa.or_(*((now > limit) != (before > limit) for limit in (most, most * MANY)))),
    )
    holders = sa.select(block.c.source, block.c.source_key).where(sa.exists().where(same_token(block, over)))
    return work.keep("block_reached", holders.distinct())


def trusted(work: Work, most: int, among: sa.Table | None = None) -> sa.Table:
    """Grain: one blocking value that brings its n holders together (hub, rule, token, n); `among`: one holds it."""
    block = work.tables.block[work.entity]
    counted = sa.select(block.c.rule, block.c.token, sa.func.count().label("n")).where(
        ~block.c.rule.startswith("own:", autoescape=True)
    )
    if among is not None:
        theirs = work.keep(
            "block_theirs",
            sa.select(block.c.rule, block.c.token).where(sa.exists().where(same_record(block, among))).distinct(),
        )
        counted = counted.where(sa.exists().where(same_token(block, theirs)))
    held = counted.group_by(block.c.rule, block.c.token).having(sa.func.count().between(2, most)).subquery("held")
    return work.keep("hubs", sa.select((sa.func.row_number().over() - 1).label("hub"), held))


def holders(work: Work, hubs: sa.Table) -> Rows:
    """Grain: one record and trusted value that it holds (source, source_key, hub, rule)."""
    block = work.tables.block[work.entity]
    return sa.select(block.c.source, block.c.source_key, hubs.c.hub, hubs.c.rule).where(same_token(block, hubs))


def candidates(work: Work, held: sa.Table, touched: sa.Table | None = None) -> Rows:
    """Grain: one pair of members that share a trusted value (left, right), left the smaller node.

    `held`: node, source, hub; `touched`: nodes of which one must be in the pair. Two records of a
    source that has one record per entity are never a pair.
    """
    one, other = held.alias("one"), held.alias("other")
    joined = one.join(other, sa.and_(one.c.hub == other.c.hub, one.c.node < other.c.node))
    select = sa.select(one.c.node.label("left"), other.c.node.label("right")).select_from(joined)
    alone = [name for name, source in work.run.ownership.sources_of(work.entity).items() if source.unique]
    if alone:
        select = select.where(~sa.and_(one.c.source == other.c.source, one.c.source.in_(alone)))
    if touched is not None:
        nodes = sa.select(touched.c.node)
        select = select.where(sa.or_(one.c.node.in_(nodes), other.c.node.in_(nodes)))
    return select.group_by(one.c.node, other.c.node)


def live(work: Work) -> Rows | Union:
    """Grain: one live record (source, source_key)."""
    parts = []
    for source in work.run.ownership.sources_of(work.entity):
        staged = work.tables.staged[source]
        parts.append(
            sa.select(sa.literal(source, sa.Text).label("source"), staged.c._key.label("source_key")).where(
                staged.c._deleted_at.is_(None)
            )
        )
    return sa.union_all(*parts) if len(parts) > 1 else parts[0]
