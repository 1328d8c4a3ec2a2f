"""Rounds of extract, resolve, correct, and what has not come to rest after two of them.

Belongs here: the rounds and the report. Does not: the models, the copy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

import polars as pl
import sqlalchemy as sa

from sor_pipeline.correct.wanted import OPEN
from sor_pipeline.engine.base import Rows
from sor_pipeline.errors import Fault, SettingsError
from sor_pipeline.flow import STEPS, pass_through
from sor_pipeline.ownership.document import Ownership
from sor_pipeline.run import Run
from sor_pipeline.simulate.copy import copied
from sor_pipeline.simulate.extracts import delivered, say
from sor_pipeline.simulate.models import Model, stored

PLAYED = ("identify", "resolve", "publish", "correct")
"""Steps of a round; what is on hold stays so, for expectations are not asked again."""
SETTLED_BY = 2
"""Rounds in which everything must come to rest."""
_TOLD = ("system", "source", "source_key", "field", "proposed_in", "entity", "rule", "observed", "wanted")


@dataclass(frozen=True)
class Round:
    """One round: corrections told to the targets, open ones after it, conformed cells that changed, cells broken."""

    number: int
    told: int
    open: int
    changed: int
    broken: int
    state: str


@dataclass(frozen=True)
class Restless:
    """Cells of one field and system, by one rule, that had not come to rest after SETTLED_BY rounds.

    `what`: `correction` (still open, or proposed anew), `canonical` (its value or presence went on changing).
    """

    what: str
    entity: str
    field: str
    system: str
    rule: str
    cells: int
    example: str


@dataclass(frozen=True)
class Played:
    """What became of `rounds`; empty `restless`: everything came to rest."""

    rounds: tuple[Round, ...]
    restless: tuple[Restless, ...]


def models_of(ownership: Ownership, told: Mapping[str, str]) -> dict[str, Model]:
    """System: model. Raises SettingsError for names that there are not."""
    faults = []
    for system, model in told.items():
        if system not in ownership.systems:
            faults.append(_unknown("unknown-system", system, ", ".join(ownership.systems)))
        if model not in list(Model):
            faults.append(_unknown("unknown-model", model, ", ".join(Model)))
    if faults:
        raise SettingsError(*faults)
    return {system: Model(model) for system, model in told.items()}


def _unknown(code: str, name: str, known: str) -> Fault:
    return Fault(code, "", "`--target` names what there is not", f"`{name}`", known, "write --target <system>=<model>")


def simulate(run: Run, rounds: int, models: Mapping[str, Model]) -> Played:
    """Play `rounds` rounds on a copy of the state that `run` has hands on, a day each."""
    played: list[Round] = []
    restless: list[pl.DataFrame] = []
    steps = tuple(step for step in STEPS if step.name in PLAYED)
    with copied(run, run.now) as copy:
        before = _open(copy).clear()
        for number in range(1, rounds + 1):
            run.progress(f"round {number}")
            today = replace(copy, now=copy.now + timedelta(days=number))
            told = _open(today).filter(pl.col("state") == "proposed")
            delivered(today, told)
            say(replace(today, now=today.now + timedelta(hours=1)), stored(told, before, dict(models)))
            passage = pass_through(replace(today, now=today.now + timedelta(hours=2)), steps)
            left = _open(today)
            changed = passage.count("publish", "changed") + passage.count("publish", "created")
            broken = passage.count("correct", "broken")
            played.append(Round(number, told.height, left.height, changed, broken, passage.state))
            if number >= SETTLED_BY:
                restless.append(_of_corrections(left))
            if number > SETTLED_BY and passage.state == "published":
                restless.append(_of_canonical(today, passage.publication))
            before = told
    return Played(tuple(played), _grouped(restless))


def _fetched(run: Run, select: Rows) -> pl.DataFrame:
    with run.engine.begin() as connection:
        return pl.DataFrame(pl.from_arrow(run.engine.fetch(connection, select)))


def _open(run: Run) -> pl.DataFrame:
    """Corrections that are open now."""
    table = run.tables.correction
    return _fetched(run, sa.select(*(table.c[name] for name in _TOLD), table.c.state).where(table.c.state.in_(OPEN)))


def _of_corrections(left: pl.DataFrame) -> pl.DataFrame:
    place = pl.concat_str(["source", "source_key"], separator=" ")
    return left.select(
        what=pl.lit("correction"), entity="entity", field="field", system="system", rule="rule", cell=place
    )


def _of_canonical(run: Run, publication: int) -> pl.DataFrame:
    change = run.tables.change
    names = ("entity", "entity_id", "field", "system", "cause")
    rows = _fetched(run, sa.select(*(change.c[name] for name in names)).where(change.c.publication == publication))
    return rows.select(
        what=pl.lit("canonical"), entity="entity", field="field", system="system", rule="cause", cell="entity_id"
    )


def _grouped(found: list[pl.DataFrame]) -> tuple[Restless, ...]:
    if not found:
        return ()
    every = pl.concat(found, how="vertical_relaxed").with_columns(pl.all().cast(pl.String).fill_null(""))
    groups = (
        every.group_by("what", "entity", "field", "system", "rule")
        .agg(cells=pl.col("cell").n_unique(), example=pl.col("cell").min())
        .sort("cells", "what", "entity", "field", "system", "rule", descending=[True, *[False] * 5])
    )
    return tuple(Restless(**row) for row in groups.iter_rows(named=True))
