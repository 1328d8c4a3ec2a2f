"""What similarity says about two records: level by level, with what each is worth.

Belongs here: one pair, scored whether or not anything ever brought the two together. Does not: wording for
the terminal. Values of fields marked `personal` are in no answer and in no chart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl
import sqlalchemy as sa

from sor_pipeline.identify.similar import backend
from sor_pipeline.identify.similar.comparing import comparisons
from sor_pipeline.identify.similar.crowded import crowds, without
from sor_pipeline.identify.similar.features import features
from sor_pipeline.identify.similar.levels import Comparison
from sor_pipeline.identify.similar.model import in_force, with_shares
from sor_pipeline.identify.similar.plan import Part, plan_of, rule_of
from sor_pipeline.identify.similar.records import fetched, texts
from sor_pipeline.identify.similar.vetoes import carried, veto
from sor_pipeline.ownership.document import personal_fields
from sor_pipeline.run import Run

At = tuple[str, str]
"""A record: source and source key."""


@dataclass(frozen=True)
class Line:
    """One comparison: the level at which the two agree, its weight (log2 of a Bayes factor), and how much of that
    is because the value is rarer (above 0) or more common (below) than most."""

    name: str
    level: str
    weight: float
    rarity: float

    def __str__(self) -> str:
        if self.level in ("missing", "not comparable"):
            return f"{self.name.replace('_', ' ')}: {self.level}, says nothing"
        rare = "" if abs(self.rarity) < 0.5 else ", rare" if self.rarity > 0 else ", common"
        return f"{self.name.replace('_', ' ')}: {self.level}{rare} ({self.weight:+.1f})"


@dataclass(frozen=True)
class Explanation:
    """Two records scored now. `weight` = `prior` + the lines' weights, in bits; `verdict` is accept, review or none.

    `chart`: Splink's waterfall as a Vega-Lite specification; `page`: the same as HTML that needs no network.
    """

    probability: float
    weight: float
    prior: float
    lines: tuple[Line, ...]
    verdict: str
    veto: str | None
    chart: dict[str, Any]
    page: str


def explain(run: Run, connection: sa.Connection, entity: str, left: At, right: At) -> Explanation | None:
    """The account of two live records; None where there is no rule, no model in force, or not both records."""
    tables, spec = run.tables, run.ownership.entities[entity]
    rule, plan, model = rule_of(spec), plan_of(spec), in_force(connection, run.tables, entity)
    if rule is None or plan is None or model is None:
        return None
    members = _two(left, right)
    frame = fetched(run.engine, connection, texts(tables, entity, plan.fields, members)).sort("node")
    if frame.height < 2:
        return None
    crowd = crowds(connection, run.engine, tables, entity, plan, rule.max_records, members)
    frame = without(features(frame, plan), plan, crowd)
    said = comparisons(plan)
    known = with_shares(connection, run.engine, tables, model, frame).drop("source", "source_key")
    settings = {**model.settings, "additional_columns_to_retain": list(carried(said))}
    with backend.opened(settings, known, run.settings.home) as splink:
        scored = next(splink.scored(pl.DataFrame({"left": [0], "right": [1]}))).with_columns(veto(said, model.records))
        record = scored.to_dicts()[0]
        chart, page = splink.waterfall(_discreet(record, said, personal_fields(spec.fields)))
    lines = tuple(_line(one, record) for one in said)
    verdict = "none" if record["probability"] < rule.review else "review"
    if record["probability"] >= rule.accept and record["veto"] is None:
        verdict = "accept"
    prior = record["weight"] - sum(line.weight for line in lines)
    return Explanation(record["probability"], record["weight"], prior, lines, verdict, record["veto"], chart, page)


def _two(*ends: At) -> sa.FromClause:
    """Grain: one of the two records (node, source, source_key), the smaller first."""
    named = [
        sa.select(
            sa.literal(number, sa.BigInteger).label("node"),
            sa.literal(source, sa.Text).label("source"),
            sa.literal(key, sa.Text).label("source_key"),
        )
        for number, (source, key) in enumerate(sorted(ends))
    ]
    return sa.union_all(*named).subquery("two")


def _line(one: Comparison, record: dict[str, Any]) -> Line:
    gamma = record[f"gamma_{one.name}"]
    rarity = float(record.get(f"mw_tf_adj_{one.name}") or 0.0)
    weight = float(record[f"mw_{one.name}"]) + rarity
    level = "missing" if gamma < 0 else one.speaking[len(one.speaking) - 1 - gamma].label
    return Line(one.name, level, round(weight, 6), round(rarity, 6))


def _discreet(record: dict[str, Any], said: tuple[Comparison, ...], personal: frozenset[str]) -> dict[str, Any]:
    """The record for the chart, without values of personal fields."""
    hidden = {one.name for one in said if _personal(one.part, personal)}
    return {
        name: "" if name.rsplit("__", 1)[0] in hidden and not name.startswith(("gamma_", "mw_", "tf_")) else value
        for name, value in record.items()
    }


def _personal(part: Part, personal: frozenset[str]) -> bool:
    return bool(personal.intersection(part.fields))
