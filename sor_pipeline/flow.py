"""THE PIPELINE ON ONE PAGE.

`STEPS` is the flow as data: what each step is for, what it runs per, what it reads and writes.
The command line walks it in order (`pass_through`); Dagster draws the same list as assets; the
README's picture is made from it. What a step does is in the folder of its name.

Belongs here: the list, and one pass over it. Does not: any work of a step.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from sor_pipeline.check.step import run as check
from sor_pipeline.correct.step import run as correct
from sor_pipeline.deliver.step import run as deliver
from sor_pipeline.errors import (
    EngineError,
    Fault,
    PublicationBlocked,
    SchemaDrifted,
    SettingsError,
    SorError,
    Unbalanced,
)
from sor_pipeline.extract.step import run as extract
from sor_pipeline.identify.step import run as identify
from sor_pipeline.observe.runs import finish, start
from sor_pipeline.observe.step import run as observe
from sor_pipeline.opening import BRIEFLY, LOCK, alone, emptied, opened, reading, served
from sor_pipeline.ownership.document import Ownership
from sor_pipeline.publish.step import run as publish
from sor_pipeline.resolve.step import run as resolve
from sor_pipeline.run import Outcome, Run
from sor_pipeline.stage.step import run as stage
from sor_pipeline.steward.step import run as steward

__all__ = [
    "BRIEFLY", "LOCK", "STEPS", "Done", "Passage", "Per", "Step",
    "alone", "emptied", "one_step", "opened", "pass_through", "reading", "served",
]  # fmt: skip


class Per(StrEnum):
    """What a step runs once for."""

    source = "source"
    entity = "entity"
    system = "system"
    all = "all"


@dataclass(frozen=True)
class Step:
    """One verb of the flow. `reads` and `writes` name tables or schemas of `tables`."""

    name: str
    per: Per
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    promise: str
    run: Callable[[Run, str], Outcome]
    always: bool = False
    """Runs also after a publication that was blocked."""

    def scopes(self, ownership: Ownership) -> tuple[str, ...]:
        """The names that the step runs for: the document's order, but each entity after those that it counts over."""
        names = {
            Per.source: tuple(ownership.sources),
            Per.entity: ownership.in_order(),
            Per.system: tuple(s for s in ownership.systems if any(n.startswith(f"{s}.") for n in ownership.sources)),
            Per.all: ("",),
        }
        return names[self.per]


STEPS: tuple[Step, ...] = (
    Step("extract", Per.source, ("files", "tables"), ("landing",),
         "exactly as received; the same content once; what is broken is refused by name", extract),
    Step("stage", Per.source, ("landing",), ("staged", "audit.account"),
         "typed and standardised; every row ends in one counted place", stage),
    Step("identify", Per.entity, ("staged",), ("identity",),
         "which records are the same thing, under ids that survive", identify),
    Step("resolve", Per.entity, ("staged", "identity"), ("canonical",),
         "every field has its owner's value, with lineage; every disagreement is on record", resolve),
    Step("check", Per.entity, ("canonical",), ("audit.finding", "audit.held"),
         "expectations derived from the document, and the user's own", check),
    Step("publish", Per.all, ("canonical", "audit"), ("conformed",),
         "all tables change in one atomic step or none does", publish),
    Step("correct", Per.system, ("staged", "canonical", "conformed"), ("outbound",),
         "what each system must change to agree, in its own words", correct),
    Step("deliver", Per.system, ("outbound.correction", "steward"), ("outbound.attempt",),
         "each correction reaches its tool at most once, and never over what is newer there", deliver),
    Step("steward", Per.all, ("conformed", "audit", "landing", "outbound"), ("steward.case",),
         "what no rule settles reaches a person in time", steward, always=True),
    Step("observe", Per.all, ("outbound",), ("conformed.correction",),
         "what became of corrections is read where the data is", observe),
)  # fmt: skip


@dataclass(frozen=True)
class Done:
    """One step done for one scope."""

    step: str
    scope: str
    outcome: Outcome
    seconds: float


@dataclass(frozen=True)
class Passage:
    """One run: `state` is published, unchanged or blocked; `publication` the one now readable."""

    run: int
    state: str
    publication: int
    done: tuple[Done, ...]

    @property
    def faults(self) -> tuple[Fault, ...]:
        return tuple(fault for one in self.done for fault in one.outcome.faults)

    def count(self, step: str, name: str) -> int:
        """A step's count over all its scopes."""
        return sum(one.outcome.counts.get(name, 0) for one in self.done if one.step == step)


def one_step(run: Run, step: Step, scope: str) -> Done:
    """Run one step for one scope; what a source's own faults break stays with that source.

    What is wrong with the warehouse, the settings or the books is everybody's, and ends the run.
    """
    began = time.monotonic()
    try:
        outcome = step.run(run, scope)
    except (PublicationBlocked, EngineError, SettingsError, Unbalanced, SchemaDrifted):
        raise
    except SorError as error:
        if step.per is not Per.source:
            raise
        outcome = Outcome({"failed": 1}, error.faults)
    return Done(step.name, scope, outcome, time.monotonic() - began)


def pass_through(run: Run, steps: tuple[Step, ...] = STEPS) -> Passage:
    """One pass over the steps, recorded in `audit.run`. A blocked publication ends it; nothing is lost:
    what is pending goes out with the first publication that passes."""
    number = start(run)
    done: list[Done] = []
    state = "failed"
    message = ""
    try:
        for step in steps:
            for scope in step.scopes(run.ownership):
                run.progress(f"{step.name} {scope}".strip())
                done.append(one_step(run, step, scope))
        state = "published" if sum(one.outcome.counts.get("published", 0) for one in done) else "unchanged"
    except PublicationBlocked as error:
        state, message = "blocked", str(error)
        done.append(Done("publish", "", Outcome({"published": 0}, error.faults), 0.0))
        done += [one_step(run, step, scope) for step in steps if step.always for scope in step.scopes(run.ownership)]
    except BaseException as error:
        message = f"{type(error).__name__}: {error}" if isinstance(error, SorError) else type(error).__name__
        raise
    finally:
        counts = {f"{one.step} {one.scope}".strip(): one.outcome.counts for one in done}
        publication = finish(run, number, state, counts, message)
    return Passage(number, state, publication, tuple(done))
