"""Models: what agreement is worth for one entity, learned once and in force until somebody trains again.

Belongs here: the newest model of an entity, whether it fits the document, its frequencies; `train`.
Does not: learning itself (`learning`), scoring (`pairs`).

A model is frozen with the frequencies of common values, so that a pair's score is a pure function of the
two records and the model, but for values that a crowd holds (`crowded`): when they came changes nothing.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from typing import Any

import polars as pl
import sqlalchemy as sa

from sor_pipeline.identify.similar import backend, sampling
from sor_pipeline.identify.similar.comparing import comparisons
from sor_pipeline.identify.similar.features import RECIPES
from sor_pipeline.identify.similar.learning import Learned, learned
from sor_pipeline.identify.similar.levels import Comparison
from sor_pipeline.identify.similar.plan import plan_of, rule_of
from sor_pipeline.identify.work import Work
from sor_pipeline.run import Run
from sor_pipeline.tables import Tables

LEAST_SHARE = 0.00001
"""A value is never taken to be rarer than this: typing errors make everything look unique."""
FEW = 200
"""Fewer records than this teach little: expectations stand in for them, and `train` says so."""


@dataclass(frozen=True)
class Model:
    """`settings`: as Splink reads them; its frequencies stand in `identity.frequency`."""

    entity: str
    fingerprint: str
    records: int
    settings: dict[str, Any]


@dataclass(frozen=True)
class Trained:
    """What training did. `labels`: people's decisions that it learned from; `matches`: pairs of one entity there seem
    to be; `few`: it saw so few records that it mostly kept to what is usual."""

    entity: str
    fingerprint: str
    records: int
    pairs: int
    labels: int
    matches: int
    few: bool
    weights: dict[str, dict[str, float]]
    """Per comparison and level: log2 of how much more often records of one entity agree so than others."""


def in_force(connection: sa.Connection, tables: Tables, entity: str) -> Model | None:
    """The entity's newest model; None where none was trained, or for other comparisons than the document's."""
    model = tables.model
    newest = (
        sa.select(model.c.fingerprint, model.c.records, model.c.settings)
        .where(model.c.entity == entity)
        .order_by(model.c.trained_at.desc(), model.c.fingerprint)
        .limit(1)
    )
    row = connection.execute(newest).one_or_none()
    plan = plan_of(tables.ownership.entities[entity])
    if row is None or plan is None:
        return None
    if not row.fingerprint.startswith(f"{shape(comparisons(plan))}-"):
        return None
    return Model(entity, row.fingerprint, row.records, json.loads(row.settings))


def was_trained(connection: sa.Connection, tables: Tables, entity: str) -> bool:
    """Whether there is any model of the entity, fitting or not."""
    model = tables.model
    return (
        connection.execute(sa.select(model.c.fingerprint).where(model.c.entity == entity).limit(1)).first() is not None
    )


def model_fingerprint(work: Work) -> str | None:
    """What pairs depend on besides the records; None where nothing is compared."""
    if rule_of(work.spec) is None:
        return None
    model = in_force(work.connection, work.tables, work.entity)
    return model.fingerprint if model else None


def shape(said: tuple[Comparison, ...]) -> str:
    """What is compared and how, without anything learned: a model fits the comparisons that it was trained for."""
    told = [(one.name, one.part.common, one.missing, one.frequent, one.only_if) for one in said]
    levels = [(level.label, level.test, level.silent) for one in said for level in one.levels]
    return hashlib.sha256(repr((RECIPES, told, levels)).encode()).hexdigest()[:6]


def train(run: Run, entity: str) -> Trained | None:
    """Learn a model from the entity's live records and put it in force; None where the document has no `similar` rule.

    The same records, delivered in whatever order, and the same decisions give the same model.
    """
    spec = run.ownership.entities[entity]
    plan = plan_of(spec)
    if plan is None:
        return None
    with run.engine.begin() as connection:
        work = Work(run, connection, entity, run.pending(connection))
        said = comparisons(plan)
        settings = backend.settings_of(said, LEAST_SHARE)
        sample = sampling.sample(work, plan, settings, said)
        found = learned(
            said, sample.patterns, sampling.presupposed(plan), sample.random, sample.random_pairs, sample.records
        )
        settings = _filled(settings, found)
        shares = _shares(sample, said, found)
        fingerprint = f"{shape(said)}-{_digest(entity, settings, shares)}"
        _put(work, fingerprint, settings, shares, sample.records)
    return Trained(
        entity, fingerprint, sample.records, sample.pairs, sample.labels, round(found.matches), sample.records < FEW,
        {one.name: _weights(one, n, found) for n, one in enumerate(said)},
    )  # fmt: skip


def _weights(one: Comparison, number: int, found: Learned) -> dict[str, float]:
    values = zip(one.speaking, found.m[number], found.u[number], strict=True)
    return {level.label: round(math.log2(m / u), 2) for level, m, u in values}


def _filled(settings: dict[str, Any], found: Learned) -> dict[str, Any]:
    """Rounded, so that a sum in another order is no other model."""
    filled: dict[str, Any] = json.loads(json.dumps(settings))
    filled["probability_two_random_records_match"] = float(f"{found.prior:.6g}")
    for one, m, u in zip(filled["comparisons"], found.m, found.u, strict=True):
        levels = (level for level in one["comparison_levels"] if not level.get("is_null_level"))
        for level, its, random in zip(levels, m, u, strict=True):
            level["m_probability"], level["u_probability"] = float(f"{its:.6g}"), float(f"{random:.6g}")
    return filled


def _shares(sample: sampling.Sample, said: tuple[Comparison, ...], found: Learned) -> pl.DataFrame:
    """Grain: one column and common value (field, value, share); value empty: any other, where that is said."""
    usual = [
        (one.frequent, "", float(f"{min(found.u[n][0], max(1.0 / max(sample.records, 1), LEAST_SHARE)):.6g}"))
        for n, one in enumerate(said)
        if one.frequent and one.part.kind not in sampling.OWN
    ]
    rest = pl.DataFrame(usual, schema={"field": pl.String, "value": pl.String, "share": pl.Float64}, orient="row")
    return pl.concat([sample.shares, rest]).sort("field", "value")


def _digest(entity: str, settings: dict[str, Any], shares: pl.DataFrame) -> str:
    told = "\n".join((entity, json.dumps(settings, sort_keys=True), shares.write_csv()))
    return hashlib.sha256(told.encode()).hexdigest()[:10]


def _put(work: Work, fingerprint: str, settings: dict[str, Any], shares: pl.DataFrame, records: int) -> None:
    """The new model in force; frequencies of older ones are nobody's any more."""
    model, frequency, run = work.tables.model, work.tables.frequency, work.run
    # Training writes all blocking values anew: only a pass over everybody knows whom the old ones reached.
    state = work.tables.identity_state
    work.connection.execute(sa.delete(state).where(state.c.entity == work.entity))
    older = sa.select(model.c.fingerprint).where(model.c.entity == work.entity)
    work.connection.execute(sa.delete(frequency).where(frequency.c.fingerprint.in_(older)))
    same = sa.and_(model.c.entity == work.entity, model.c.fingerprint == fingerprint)
    work.connection.execute(sa.delete(model).where(same))
    work.connection.execute(
        sa.insert(model).values(
            entity=work.entity,
            fingerprint=fingerprint,
            trained_at=run.now,
            records=records,
            settings=json.dumps(settings),
        )
    )
    rows = run.engine.scan_arrow(work.connection, "similar_share", shares.to_arrow())
    columns = [rows.c.field, rows.c.value, rows.c.share]
    select = sa.select(sa.literal(fingerprint, sa.Text), *columns)
    work.connection.execute(sa.insert(frequency).from_select(["fingerprint", "field", "value", "share"], select))


def with_shares(
    connection: sa.Connection, engine: Any, tables: Tables, model: Model, frame: pl.DataFrame
) -> pl.DataFrame:
    """Adds `tf_<column>`, how common each record's value was in training, to features."""
    frequency = tables.frequency
    select = sa.select(frequency.c.field, frequency.c.value, frequency.c.share).where(
        frequency.c.fingerprint == model.fingerprint
    )
    shares = pl.from_arrow(engine.fetch(connection, select))
    assert isinstance(shares, pl.DataFrame)
    levels = (level for one in model.settings["comparisons"] for level in one["comparison_levels"])
    for column in dict.fromkeys(level["tf_adjustment_column"] for level in levels if "tf_adjustment_column" in level):
        its = shares.filter(pl.col("field") == column)
        usual = its.filter(pl.col("value") == "")["share"]
        its = its.filter(pl.col("value") != "").select("value", pl.col("share").alias(f"tf_{column}"))
        frame = frame.join(its, left_on=column, right_on="value", how="left", maintain_order="left")
        if usual.len():
            rest = pl.when(pl.col(column).is_not_null()).then(pl.lit(usual[0]))
            frame = frame.with_columns(pl.coalesce(f"tf_{column}", rest))
    return frame
