"""What training looks at: a bounded number of candidate pairs, of random pairs, and how common values are.

Belongs here: choosing pairs so that the same records always give the same ones. Does not: learning from them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import sqlalchemy as sa

from sor_pipeline.identify.decided import in_force
from sor_pipeline.identify.similar import backend, blocks
from sor_pipeline.identify.similar.crowded import crowds, without
from sor_pipeline.identify.similar.features import features
from sor_pipeline.identify.similar.learning import Patterns
from sor_pipeline.identify.similar.levels import Comparison
from sor_pipeline.identify.similar.plan import Plan, rule_of
from sor_pipeline.identify.similar.records import fetched, texts
from sor_pipeline.identify.work import Work

PAIRS_PER_RULE = 40_000
RANDOM_PAIRS = 500_000
RANDOM_RECORDS = 50_000
OWN = frozenset({"email", "phone", "date"})
"""Kinds whose values are somebody's own: two holders are one or related, so only what many hold is common."""


@dataclass(frozen=True)
class Sample:
    """`shares`: as in `identity.frequency`, without its fingerprint."""

    records: int
    pairs: int
    labels: int
    patterns: Patterns
    random: dict[str, list[float | None]]
    random_pairs: float
    shares: pl.DataFrame


def presupposed(plan: Plan) -> npt.NDArray[np.bool_]:
    """[rule, comparison]: whether what the rule demands is what is compared."""
    return np.array([[part.name in block.parts for part in plan.parts] for block in plan.blocks], dtype=bool)


def sample(work: Work, plan: Plan, settings: dict[str, Any], said: tuple[Comparison, ...]) -> Sample:
    """Reads every record once, for its blocking values; learns from a bounded choice of pairs."""
    rule = rule_of(work.spec)
    assert rule is not None
    members = blocks.numbered(work, "similar_member", blocks.live(work).subquery("live"))
    count = work.count(members)
    shares = _renewed(work, plan, said, members, rule.max_records)
    pairs = _chosen(work, members, rule.max_records)
    labels = _labels(work, members)
    together = pl.concat([pairs.select("left", "right"), labels.select("left", "right")]).unique(maintain_order=True)
    nodes = pl.concat([together["left"], together["right"]]).unique().sort()
    crowd = crowds(work.connection, work.run.engine, work.tables, work.entity, plan, rule.max_records)
    frame = without(_features(work, plan, members, nodes), plan, crowd)
    with backend.opened(settings, frame, work.run.settings.home) as splink:
        names = [f"gamma_{one.name}" for one in said]
        agreed = pl.concat(
            [*(some.select("left", "right", *names) for some in splink.scored(together)), _nothing(names)]
        )
    frame = without(_anybody(work, plan, members, count), plan, crowd)
    size = frame.height
    with backend.opened(settings, frame, work.run.settings.home) as splink:
        random: dict[str, list[float | None]] = {one.name: [None] * len(one.speaking) for one in said}
        if size > 1:
            random = splink.random_agreement(RANDOM_PAIRS)
    sampled = min(size * (size - 1) / 2, RANDOM_PAIRS)
    patterns = _patterns(agreed, pairs, labels, said)
    return Sample(count, together.height, labels.height, patterns, random, sampled, shares)


def _renewed(work: Work, plan: Plan, said: tuple[Comparison, ...], members: sa.Table, most: int) -> pl.DataFrame:
    """Writes all blocking values; returns the shares of common values."""
    work.connection.execute(sa.delete(work.tables.block[work.entity]))
    counted: list[pl.DataFrame] = []
    columns = {one.frequent: most if one.part.kind in OWN else 1 for one in said if one.frequent}
    for frame in blocks.chunks(work, plan, members):
        blocks.put(work, blocks.tokens(frame, plan))
        for column in columns:
            held = frame.select(pl.lit(column).alias("field"), pl.col(column).alias("value")).drop_nulls("value")
            counted.append(held.group_by("field", "value").len("n"))
    schema = {"field": pl.String, "value": pl.String, "n": pl.UInt32}
    whole = pl.concat([*counted, pl.DataFrame(schema=schema)]).group_by("field", "value").agg(pl.col("n").sum())
    share = (pl.col("n") / pl.col("n").sum().over("field")).round_sig_figs(6).alias("share")
    common = pl.col("n") > pl.col("field").replace_strict(columns, default=1, return_dtype=pl.Int64)
    return whole.with_columns(share).filter(common).select("field", "value", "share").sort("field", "value")


def _chosen(work: Work, members: sa.Table, most: int) -> pl.DataFrame:
    """Grain: one candidate pair and rule (left, right, rule, whole), of values chosen by digest, so many per rule.

    `whole`: for how many pairs of all records it stands; 0 where an earlier rule finds the pair too.
    """
    hubs = blocks.trusted(work, most)
    size = hubs.c.n * (hubs.c.n - 1) / 2
    order = (sa.func.md5(hubs.c.rule + sa.literal(":", sa.Text) + hubs.c.token), hubs.c.token)
    running = sa.func.sum(size).over(partition_by=hubs.c.rule, order_by=order, rows=(None, 0))
    ranked = sa.select(hubs, size.label("size"), running.label("running")).subquery("ranked")
    some = work.keep("some_hubs", sa.select(ranked).where(ranked.c.running - ranked.c.size < PAIRS_PER_RULE))
    rates = sa.select(hubs.c.rule, sa.func.sum(size).label("size")).group_by(hubs.c.rule)
    taken = sa.select(some.c.rule, sa.func.sum(some.c.size).label("taken")).group_by(some.c.rule)
    engine, connection = work.run.engine, work.connection
    rate = fetched(engine, connection, rates).join(fetched(engine, connection, taken), on="rule")
    held = _held(work, members, some)
    pairs = work.keep("some_pairs", blocks.candidates(work, held))
    everywhere = _held(work, members, hubs, pairs)
    sampled = fetched(engine, connection, _of_rules(pairs, held))
    first = fetched(engine, connection, _of_rules(pairs, everywhere)).with_columns(pl.col("rule").cast(pl.Int64))
    first = first.group_by("left", "right").agg(pl.col("rule").min().alias("first"))
    scale = rate.select(
        pl.col("rule").cast(pl.Int64),
        (pl.col("size").cast(pl.Float64) / pl.col("taken").cast(pl.Float64)).alias("scale"),
    )
    rows = sampled.with_columns(pl.col("rule").cast(pl.Int64)).join(first, on=["left", "right"]).join(scale, on="rule")
    stands = pl.when(pl.col("rule") == pl.col("first")).then(pl.col("scale")).otherwise(0.0).alias("whole")
    return rows.select("left", "right", "rule", stands).sort("left", "right", "rule")


def _held(work: Work, members: sa.Table, hubs: sa.Table, pairs: sa.Table | None = None) -> sa.Table:
    """Grain: one member and trusted value (node, source, hub, rule); `pairs`: only of members in these."""
    rows = blocks.holders(work, hubs).subquery("rows")
    select = sa.select(members.c.node, members.c.source, rows.c.hub, rows.c.rule).where(
        members.c.source == rows.c.source, members.c.source_key == rows.c.source_key
    )
    if pairs is not None:
        select = select.where(members.c.node.in_(sa.union(sa.select(pairs.c.left), sa.select(pairs.c.right))))
    return work.keep("held_by_pairs" if pairs is not None else "held_by_some", select)


def _of_rules(pairs: sa.Table, held: sa.Table) -> sa.Select[Any]:
    """Grain: one pair and rule that finds it (left, right, rule)."""
    one, other = held.alias("one"), held.alias("other")
    return (
        sa.select(pairs.c.left, pairs.c.right, one.c.rule)
        .where(one.c.node == pairs.c.left, other.c.node == pairs.c.right, one.c.hub == other.c.hub)
        .distinct()
    )


def _labels(work: Work, members: sa.Table) -> pl.DataFrame:
    """Grain: one pair of live records that a decision in force is about (left, right, label: 1 linked, 0 not)."""
    decided = in_force(work).subquery("decided")
    one, other = members.alias("one"), members.alias("other")
    said = sa.select(one.c.node.label("left"), other.c.node.label("right"), decided.c.kind).where(
        sa.and_(one.c.source == decided.c.left_source, one.c.source_key == decided.c.left_key),
        sa.and_(other.c.source == decided.c.right_source, other.c.source_key == decided.c.right_key),
    )
    label = (pl.col("kind") == "link").cast(pl.Int64).alias("label")
    rows = fetched(work.run.engine, work.connection, said)
    return rows.select(pl.col("left").cast(pl.Int64), pl.col("right").cast(pl.Int64), label).sort("left", "right")


def _features(work: Work, plan: Plan, members: sa.Table, nodes: pl.Series) -> pl.DataFrame:
    table = work.run.engine.scan_arrow(work.connection, "similar_node", nodes.to_frame("node").to_arrow())
    some = sa.select(members).where(members.c.node.in_(sa.select(table.c.node))).subquery("some")
    raw = fetched(work.run.engine, work.connection, texts(work.tables, work.entity, plan.fields, some))
    return features(raw.sort("node"), plan)


def _anybody(work: Work, plan: Plan, members: sa.Table, count: int) -> pl.DataFrame:
    """Records among which random pairs are made: all, or as many as are needed, chosen by digest."""
    digest = sa.func.md5(members.c.source + sa.literal(":", sa.Text) + members.c.source_key)
    some = sa.select(members)
    if count > RANDOM_RECORDS:
        some = some.order_by(digest, members.c.node).limit(RANDOM_RECORDS)
    raw = fetched(work.run.engine, work.connection, texts(work.tables, work.entity, plan.fields, some.subquery("some")))
    return features(raw.sort("node"), plan)


def _nothing(names: list[str]) -> pl.DataFrame:
    return pl.DataFrame(schema={"left": pl.Int64, "right": pl.Int64, **dict.fromkeys(names, pl.Int32)})


def _patterns(
    agreed: pl.DataFrame, pairs: pl.DataFrame, labels: pl.DataFrame, said: tuple[Comparison, ...]
) -> Patterns:
    """Counts equal rows, in an order of their own."""
    known = pairs.join(labels, on=["left", "right"], how="left")
    alone = labels.join(pairs, on=["left", "right"], how="anti").with_columns(
        pl.lit(-1, pl.Int64).alias("rule"), pl.lit(0.0).alias("whole")
    )
    rows = pl.concat([known, alone.select(known.columns)]).join(agreed, on=["left", "right"])
    levels = [
        pl.when(pl.col(f"gamma_{one.name}") < 0)
        .then(-1)
        .otherwise(len(one.speaking) - 1 - pl.col(f"gamma_{one.name}"))
        .cast(pl.Int64)
        .alias(one.name)
        for one in said
    ]
    names = [one.name for one in said]
    keyed = rows.select("rule", pl.col("label").fill_null(-1).cast(pl.Int64).alias("_label"), "whole", *levels)
    keys = ("rule", "_label", "whole", *names)
    counted = keyed.group_by(keys).agg(pl.len().alias("_pairs")).sort(keys)
    return Patterns(
        counted.select(names).to_numpy().astype(np.int64), counted["rule"].to_numpy().astype(np.int64),
        counted["_label"].to_numpy().astype(np.int64), counted["_pairs"].to_numpy().astype(np.float64),
        (counted["whole"] * counted["_pairs"]).to_numpy().astype(np.float64),
    )  # fmt: skip
