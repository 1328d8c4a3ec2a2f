"""What similarity says about two records, in words and as a chart.

Belongs here: wording comparison levels and weights, saving the chart. Does not: scoring (`identify.similar`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from sor_pipeline.errors import DecisionRefused, Fault
from sor_pipeline.observe.cases import At
from sor_pipeline.ownership.matching import Similar
from sor_pipeline.run import Run
from sor_pipeline.terminal.linkwords import certain, likely
from sor_pipeline.terminal.paper import Paper

if TYPE_CHECKING:
    from sor_pipeline.identify.similar.explaining import Explanation

Worth = Mapping[tuple[str, str], float]
"""Comparison and level: log2 of how much likelier the same than two others agree so."""


@dataclass(frozen=True)
class Scored:
    """Two records scored now, whether or not anything ever compared them."""

    told: Explanation
    rule: Similar

    @property
    def words(self) -> list[str]:
        """A line per comparison, then where the sum starts."""
        start = f"two records at random ({self.told.prior:+.1f})"
        return [*(str(line) for line in self.told.lines), start]

    def why_not(self) -> str:
        """Why similarity does not link the two."""
        told, rule = self.told, self.rule
        score = likely(told.probability, told.weight)
        if told.veto and told.probability >= rule.accept:
            return f"similar ({score}), but not linked by itself: {told.veto}"
        if told.verdict == "review":
            return f"similar ({score}), but links from {certain(rule.accept)} only"
        if told.verdict == "none":
            return (
                f"not similar enough: {score}; reviewed from {certain(rule.review)}, linked from {certain(rule.accept)}"
            )
        return f"similar enough now ({score}): the next run (sor run) compares them"

    def as_data(self) -> dict[str, Any]:
        told = self.told
        levels = [{"name": n.name, "level": n.level, "weight": n.weight, "rarity": n.rarity} for n in told.lines]
        return {
            "probability": told.probability, "weight": told.weight, "prior": told.prior, "verdict": told.verdict,
            "veto": told.veto, "levels": levels,
        }  # fmt: skip


def rule_of(run: Run, entity: str) -> Similar | None:
    """The entity's similarity rule."""
    return next((rule for rule in run.ownership.entities[entity].match if isinstance(rule, Similar)), None)


def scored(run: Run, connection: sa.Connection, entity: str, ends: tuple[At, At]) -> Scored | None:
    """The two records scored by the model in force; None without a rule or a model."""
    rule = rule_of(run, entity)
    if rule is None:
        return None
    from sor_pipeline.identify.similar.explaining import explain

    told = explain(run, connection, entity, *ends)
    return None if told is None else Scored(told, rule)


def worth(run: Run, connection: sa.Connection, entity: str) -> Worth:
    """What each level is worth to the model in force; empty without one."""
    if rule_of(run, entity) is None:
        return {}
    from sor_pipeline.identify.similar.model import in_force

    model = in_force(connection, run.tables, entity)
    found: dict[tuple[str, str], float] = {}
    for comparison in model.settings["comparisons"] if model else ():
        for level in comparison["comparison_levels"]:
            m, u = level.get("m_probability"), level.get("u_probability")
            if isinstance(m, float) and isinstance(u, float) and m and u:
                found[comparison["output_column_name"], level["label_for_charts"]] = math.log2(m / u)
    return found


def levels_in_words(levels: str | None, its_worth: Worth) -> list[str]:
    """A line per comparison: `email: one letter off (+7.1)`; what says nothing comes last, in one line."""
    said: dict[str, str] = json.loads(levels) if levels else {}
    silent = [name for name, level in said.items() if level in ("missing", "not comparable")]
    lines = []
    for name, level in said.items():
        if name not in silent:
            weight = its_worth.get((name, level))
            lines.append(f"{name.replace('_', ' ')}: {level}" + ("" if weight is None else f" ({weight:+.1f})"))
    missing = ", ".join(name.replace("_", " ") for name in silent)
    return [*lines, f"missing at one of them, says nothing: {missing}"] if silent else lines


def suitable(target: Path) -> bool:
    """Whether a chart can be saved under this name."""
    return target.suffix in (".html", ".json")


def save_chart(paper: Paper, score: Scored | None, target: Path) -> None:
    """Save the waterfall of the two records: a page that needs no network, or the Vega-Lite specification.

    Raises DecisionRefused where similarity has nothing to say about them.
    """
    if score is None:
        raise DecisionRefused(
            Fault("no-score", str(target), "similarity says nothing about these two: there is no chart",
                  "no `similar` rule in the document, or no model of it", "a trained model",
                  "write a `similar` rule, run `sor match train`, then ask again")
        )  # fmt: skip
    chart = json.dumps(score.told.chart, ensure_ascii=False) if target.suffix == ".json" else score.told.page
    target.write_text(chart, encoding="utf-8")
    paper.say(f"\nWaterfall chart: {target}")
