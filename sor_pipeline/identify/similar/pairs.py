"""Pairs worth a look: brought up to date for what changed, scored by the model in force.

Belongs here: which pairs are written anew, their verdict. Does not: what they do to clusters (`identify.clusters`).
"""

from __future__ import annotations

import polars as pl
import sqlalchemy as sa

from sor_pipeline.errors import Fault
from sor_pipeline.identify.affected import fresh
from sor_pipeline.identify.similar import backend, blocks
from sor_pipeline.identify.similar.comparing import comparisons
from sor_pipeline.identify.similar.crowded import crowds, without
from sor_pipeline.identify.similar.features import features
from sor_pipeline.identify.similar.levels import Comparison
from sor_pipeline.identify.similar.model import Model, in_force, was_trained, with_shares
from sor_pipeline.identify.similar.plan import Plan, plan_of, rule_of
from sor_pipeline.identify.similar.records import fetched, texts
from sor_pipeline.identify.similar.vetoes import carried, veto
from sor_pipeline.identify.work import Work, same_record
from sor_pipeline.ownership.matching import Similar

_SIDES = ("left_source", "left_key", "right_source", "right_key")
_REACHED = "similar_reached"


def write_pairs(work: Work, everything: bool) -> tuple[Fault, ...]:
    """Bring `identity.<entity>__pair` to what the rule, the model and the live records say.

    `everything`: all pairs anew; else those of records that changed since the last publication, and of
    records that hold a blocking value which thereby crossed its limit. Afterwards `reached` names the
    records of which a pair came, went or changed. Returns a warning where the rule has no model.
    """
    rule, plan = rule_of(work.spec), plan_of(work.spec)
    if rule is None or plan is None:
        _cleared(work)
        return ()
    model = in_force(work.connection, work.tables, work.entity)
    if model is None:
        _cleared(work)
        return untrained(work)
    touched = _all(work, plan) if everything else _changed(work, plan, rule.max_records)
    members, found = _candidates(work, touched, rule.max_records, everything)
    rows = _scored(work, rule, plan, model, members, found)
    _replaced(work, None if everything else touched, _named(work, members, rows))
    return ()


def reached(_: Work) -> sa.Table:
    """Grain: one record (source, source_key) of which the last `write_pairs` of this transaction changed a pair."""
    columns = [sa.Column("source", sa.Text), sa.Column("source_key", sa.Text)]
    return sa.Table(f"identify_{_REACHED}", sa.MetaData(), *columns, prefixes=["TEMPORARY"])


def untrained(work: Work) -> tuple[Fault, ...]:
    """A warning as long as the entity has a similarity rule without a model that fits it."""
    if rule_of(work.spec) is None or in_force(work.connection, work.tables, work.entity) is not None:
        return ()
    todo = f"run `sor match train {work.entity}`: it learns from the records that are there"
    if was_trained(work.connection, work.tables, work.entity):
        what, found = "the similarity rule compares other fields than its model", "a model of other fields"
    else:
        what, found = "the similarity rule has no model yet, so it links nobody", "no model"
    return (
        Fault("no-model", f"entities.{work.entity}.match", what, found, "a model of these fields", todo, warning=True),
    )


def _cleared(work: Work) -> None:
    """No pairs and no blocking values; costs nothing where there are none."""
    pair, block = work.tables.pair[work.entity], work.tables.block[work.entity]
    if work.connection.execute(sa.select(pair.c.verdict).limit(1)).first() is None:
        work.keep(_REACHED, _ends(pair))
    else:
        _replaced(work, None, work.keep("similar_result", sa.select(pair).where(sa.false())))
    if work.connection.execute(sa.select(block.c.rule).limit(1)).first() is not None:
        work.connection.execute(sa.delete(block))


def _ends(pair: sa.FromClause) -> sa.CompoundSelect[tuple[str, str]]:
    """Grain: one record that is in a pair (source, source_key)."""
    left = sa.select(pair.c.left_source.label("source"), pair.c.left_key.label("source_key"))
    return sa.union(left, sa.select(pair.c.right_source, pair.c.right_key))


def _all(work: Work, plan: Plan) -> sa.Table:
    """All live records touched, all blocking values made anew."""
    work.connection.execute(sa.delete(work.tables.block[work.entity]))
    members = blocks.numbered(work, "similar_member", blocks.live(work).subquery("live"))
    for frame in blocks.chunks(work, plan, members):
        blocks.put(work, blocks.tokens(frame, plan))
    return members


def _changed(work: Work, plan: Plan, most: int) -> sa.Table:
    """Changed records, live or deleted, with new blocking values in place of old ones, and those that these reach."""
    block = work.tables.block[work.entity]
    changed = work.keep("similar_changed", fresh(work))
    old = work.keep("block_old", sa.select(block).where(sa.exists().where(same_record(block, changed))))
    work.connection.execute(sa.delete(block).where(sa.exists().where(same_record(block, changed)).correlate(block)))
    alive = sa.select(changed.c.source, changed.c.source_key).where(changed.c.live).subquery("alive")
    members = blocks.numbered(work, "similar_fresh", alive)
    for frame in blocks.chunks(work, plan, members):
        blocks.put(work, blocks.tokens(frame, plan))
    further = blocks.crossed(work, changed, old, most)
    both = sa.union(
        sa.select(changed.c.source, changed.c.source_key), sa.select(further.c.source, further.c.source_key)
    )
    return work.keep("similar_touched", both)


def _candidates(work: Work, touched: sa.Table, most: int, everything: bool) -> tuple[sa.Table, pl.DataFrame]:
    """Members (node, source, source_key) and their candidate pairs (left, right), of which one at least is touched."""
    hubs = blocks.trusted(work, most, None if everything else touched)
    held = work.keep("similar_held", blocks.holders(work, hubs))
    members = touched
    if not everything:
        members = blocks.numbered(
            work, "similar_member", sa.select(held.c.source, held.c.source_key).distinct().subquery("holding")
        )
    holding = work.keep(
        "similar_holding",
        sa.select(members.c.node, members.c.source, held.c.hub).where(same_record(members, held)),
    )
    among = None
    if not everything:
        among = work.keep("similar_among", sa.select(members.c.node).where(same_record(members, touched)))
    return members, fetched(work.run.engine, work.connection, blocks.candidates(work, holding, among))


def _scored(
    work: Work, rule: Similar, plan: Plan, model: Model, members: sa.Table, found: pl.DataFrame
) -> pl.DataFrame:
    """Grain: one pair worth a look (left, right, weight, probability, levels, verdict, veto)."""
    said = comparisons(plan)
    parts = [_rows(said, _no_scores(said), rule, model.records)]
    settings = {**model.settings, "additional_columns_to_retain": list(carried(said))}
    ordered = found.sort("left", "right")
    for start in range(0, ordered.height, backend.PAIRS_AT_ONCE):
        some = ordered.slice(start, backend.PAIRS_AT_ONCE)
        frame = _features(work, rule, plan, model, _needed(work, members, some))
        with backend.opened(settings, frame, work.run.settings.home) as splink:
            parts += [_rows(said, scored, rule, model.records) for scored in splink.scored(some, rule.review)]
    return pl.concat(parts)


def _features(work: Work, rule: Similar, plan: Plan, model: Model, needed: sa.FromClause) -> pl.DataFrame:
    """What is compared of the records that are needed, with how common it is."""
    engine, connection = work.run.engine, work.connection
    raw = fetched(engine, connection, texts(work.tables, work.entity, plan.fields, needed))
    crowd = crowds(connection, engine, work.tables, work.entity, plan, rule.max_records, needed)
    frame = without(features(raw.sort("node"), plan), plan, crowd)
    return with_shares(connection, engine, work.tables, model, frame).drop("source", "source_key")


def _needed(work: Work, members: sa.Table, found: pl.DataFrame) -> sa.FromClause:
    nodes = pl.concat([found["left"], found["right"]]).unique()
    table = work.run.engine.scan_arrow(work.connection, "similar_needed", nodes.to_frame("node").to_arrow())
    return sa.select(members).where(members.c.node.in_(sa.select(table.c.node))).subquery("needed")


def _no_scores(said: tuple[Comparison, ...]) -> pl.DataFrame:
    """The columns of scored pairs that `_rows` reads, without a row."""
    told: dict[str, pl.DataType | type[pl.DataType]] = {
        "left": pl.Int64, "right": pl.Int64, "weight": pl.Float64, "probability": pl.Float64,
    }  # fmt: skip
    told |= {f"gamma_{one.name}": pl.Int32 for one in said}
    for column in carried(said):
        told |= {f"{column}_{side}": pl.Boolean if column.endswith("__known") else pl.String for side in "lr"}
    told |= {f"{one.name}__year_{side}": pl.String for one in said if one.part.kind == "date" for side in "lr"}
    told |= {f"tf_{one.frequent}_{side}": pl.Float64 for one in said if one.frequent for side in "lr"}
    return pl.DataFrame(schema=told)


def _rows(said: tuple[Comparison, ...], scored: pl.DataFrame, rule: Similar, records: int) -> pl.DataFrame:
    levels = pl.struct(*(label(one).alias(one.name) for one in said)).struct.json_encode()
    linked = (pl.col("probability") >= rule.accept) & pl.col("veto").is_null()
    stopped = pl.when(pl.col("probability") >= rule.accept).then(pl.col("veto"))
    return scored.with_columns(veto(said, records)).select(
        pl.col("left").cast(pl.Int64), pl.col("right").cast(pl.Int64), pl.col("weight").round(6),
        pl.col("probability").round(9), levels.alias("levels"),
        pl.when(linked).then(pl.lit("accept")).otherwise(pl.lit("review")).alias("verdict"), stopped.alias("veto"),
    )  # fmt: skip


def label(one: Comparison) -> pl.Expr:
    """The level of a scored pair in words."""
    words = {len(one.speaking) - 1 - n: level.label for n, level in enumerate(one.speaking)}
    return pl.col(f"gamma_{one.name}").replace_strict({**words, -1: "missing"}, return_dtype=pl.String)


def _named(work: Work, members: sa.Table, rows: pl.DataFrame) -> sa.Table:
    """The rows with their records' names instead of nodes."""
    data = work.run.engine.scan_arrow(work.connection, "similar_rows", rows.to_arrow())
    left, right = members.alias("left_member"), members.alias("right_member")
    told = [data.c[name] for name in ("weight", "probability", "levels", "verdict", "veto")]
    select = sa.select(
        left.c.source.label("left_source"), left.c.source_key.label("left_key"), right.c.source.label("right_source"),
        right.c.source_key.label("right_key"), *told,
    ).where(left.c.node == data.c.left, right.c.node == data.c.right)  # fmt: skip
    return work.keep("similar_result", select)


def _replaced(work: Work, touched: sa.Table | None, result: sa.Table) -> None:
    """Put `result` in place of all pairs of touched records (None: of all); what is as before stays as it is."""
    pair = work.tables.pair[work.entity]
    old = sa.select(pair)
    if touched is not None:
        left = sa.exists().where(pair.c.left_source == touched.c.source, pair.c.left_key == touched.c.source_key)
        right = sa.exists().where(pair.c.right_source == touched.c.source, pair.c.right_key == touched.c.source_key)
        old = old.where(sa.or_(left, right))
    before = work.keep("similar_before", old)
    said = ("weight", "probability", "levels", "verdict", "veto")
    same = sa.and_(*(before.c[name] == result.c[name] for name in _SIDES))
    equal = sa.and_(same, *(before.c[name].is_not_distinct_from(result.c[name]) for name in said))
    gone = work.keep("similar_gone", sa.select(before).where(~sa.exists().where(equal)))
    come = work.keep("similar_come", sa.select(result).where(~sa.exists().where(equal)))
    lost = sa.exists().where(*(pair.c[name] == gone.c[name] for name in _SIDES))
    work.connection.execute(sa.delete(pair).where(lost.correlate(pair)))
    names = [*_SIDES, *said]
    rows = sa.select(*(come.c[name] for name in names), sa.literal(work.pending, sa.BigInteger))
    work.connection.execute(sa.insert(pair).from_select([*names, "_publication"], rows))
    work.keep(_REACHED, sa.union(_ends(gone), _ends(come)))
