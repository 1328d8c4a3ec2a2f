"""THE PIPELINE ON ONE PAGE.

`STEPS` is the flow as data: what each step is for, what it runs per, what it reads and writes.
The command line walks it in order (`pass_through`); Dagster draws the same list as assets; the
README's picture is made from it. What a step does is in the folder of its name.

Belongs here: the list, and one pass over it. Does not: any work of a step.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

import sqlalchemy as sa
from filelock import FileLock, Timeout

from sor_pipeline.check.step import run as check
from sor_pipeline.correct.step import run as correct
from sor_pipeline.engine.open import open_engine
from sor_pipeline.errors import EngineError, Fault, PublicationBlocked, SettingsError, SorError, Unbalanced
from sor_pipeline.extract.step import run as extract
from sor_pipeline.identify.step import run as identify
from sor_pipeline.observe import belonging
from sor_pipeline.observe.runs import finish, start
from sor_pipeline.observe.step import run as observe
from sor_pipeline.ownership.document import Ownership
from sor_pipeline.publish.step import run as publish
from sor_pipeline.resolve.step import run as resolve
from sor_pipeline.run import Outcome, Run
from sor_pipeline.settings import Settings
from sor_pipeline.stage.step import run as stage
from sor_pipeline.tables import SCHEMAS, Tables

BRIEFLY = 5.0
"""Seconds that somebody who only looks waits for a run to let go of the warehouse."""
LOCK = "run.lock"
_PROBING = 0.3
"""Who looks holds the lock for a moment, to see whether a run does: no reason to refuse one."""


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

    def scopes(self, ownership: Ownership) -> tuple[str, ...]:
        """The names that the step runs for, in the document's order."""
        names = {
            Per.source: tuple(ownership.sources),
            Per.entity: tuple(ownership.entities),
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


@contextmanager
def opened(
    ownership: Ownership,
    settings: Settings,
    now: datetime | None = None,
    progress: Callable[[str], None] = lambda _: None,
    wait: float = 0,
    existing: bool = False,
) -> Iterator[Run]:
    """A run's hands: warehouse opened and brought to the document's shape; alone in its state folder.

    Raises EngineError when another run holds the folder for longer than `wait` seconds, SettingsError
    where the folder must be `existing` and nothing has run in it, or its state is another document's.
    """
    if existing:
        _something_ran(settings)
    with alone(settings, wait):
        tables = Tables(ownership)
        engine = open_engine(settings.warehouse_url, [settings.home, settings.extracts])
        moment = (now or datetime.now(UTC)).replace(tzinfo=None, microsecond=0)
        with engine.held():
            run = Run(ownership, engine, tables, settings, moment, progress)
            engine.create(belonging.tables_of(run), SCHEMAS)
            belonging.refuse_another(run)
            engine.create(tables.metadata, SCHEMAS, lambda connection: f"publication {run.pending(connection)}")
            belonging.note(run)
            yield run


@contextmanager
def alone(settings: Settings, wait: float = 0) -> Iterator[None]:
    """Nobody else's run is in the state folder. Raises EngineError when one is for longer than `wait` seconds."""
    settings.home.mkdir(parents=True, exist_ok=True)
    lock = FileLock(settings.home / LOCK, timeout=max(wait, _PROBING))
    try:
        lock.acquire()
    except Timeout as error:
        raise _in_progress(settings) from error
    try:
        yield
    finally:
        lock.release()


def emptied(settings: Settings) -> None:
    """The state folder without its state. Raises EngineError where a run is at work in it."""
    with alone(settings):
        for path in settings.home.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path.name != LOCK:
                path.unlink()


@contextmanager
def reading(ownership: Ownership, settings: Settings, notice: Callable[[str], None] = lambda _: None) -> Iterator[Run]:
    """The same hands for looking only: takes no lock, creates nothing.

    Where a run is at work, `notice` is told so at once and the run is waited for, briefly.
    Raises SettingsError where nothing has run yet, or not with the document as it is now, or with another
    one; EngineError where a run holds the warehouse for longer.
    """
    _something_ran(settings)
    engine = open_engine(settings.warehouse_url, [settings.home, settings.extracts], BRIEFLY)
    lock = settings.home / LOCK
    if lock.exists() and _held(lock):
        notice(f"a run is at work in this state folder; waiting up to {BRIEFLY:.0f} seconds for it to pause")
    run = Run(ownership, engine, Tables(ownership), settings, datetime.now(UTC).replace(tzinfo=None, microsecond=0))
    try:
        belonging.refuse_another(run)
        yield run
    except sa.exc.ProgrammingError as error:  # a table or a column is not there
        raise SettingsError(
            Fault("document-changed", str(settings.ownership), "the document names what the warehouse has not got yet",
                  "", "the document of the last run", "run `sor run` first")
        ) from error  # fmt: skip
    except EngineError as error:
        if lock.exists() and _held(lock):
            raise _in_progress(settings) from error
        raise


def _something_ran(settings: Settings) -> None:
    if not settings.home.is_dir() or not any(settings.home.iterdir()):
        raise SettingsError(
            Fault("nothing-ran", str(settings.home), "there is no state here yet", "no warehouse",
                  "the state folder of a run", "run `sor run` first, or name the folder with --home or SOR_HOME")
        )  # fmt: skip


def _held(lock: Path) -> bool:
    """Whether a run holds the lock now."""
    probe = FileLock(lock, timeout=0)
    try:
        probe.acquire()
    except Timeout:
        return True
    probe.release()
    return False


def _in_progress(settings: Settings) -> EngineError:
    return EngineError(
        Fault("run-in-progress", str(settings.home), "another run is at work in this state folder",
              "its run.lock is held", "one run at a time", "wait until it has ended")
    )  # fmt: skip


def one_step(run: Run, step: Step, scope: str) -> Done:
    """Run one step for one scope; what a source's own faults break stays with that source."""
    began = time.monotonic()
    try:
        outcome = step.run(run, scope)
    except (PublicationBlocked, EngineError, Unbalanced):
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
    except BaseException as error:
        message = f"{type(error).__name__}: {error}" if isinstance(error, SorError) else type(error).__name__
        raise
    finally:
        counts = {f"{one.step} {one.scope}".strip(): one.outcome.counts for one in done}
        publication = finish(run, number, state, counts, message)
    return Passage(number, state, publication, tuple(done))
