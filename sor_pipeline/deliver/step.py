"""Deliver: send one system the corrections that it has not got, if it is live, permitted and not stopped.

Reads: outbound.correction, outbound.permit, steward.acceptance, steward.switch, staged.<source>, landing.batch
Writes: outbound.attempt, outbound.permit; the states delivered, refused and superseded of outbound.correction;
    the plan as a file of the outbox
Raises: nothing of its own; what stops a system is a fault of its outcome

Run again, killed anywhere or not, it sends only what is not known to have arrived, and reads before it writes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import polars as pl

from sor_pipeline.deliver import wording
from sor_pipeline.deliver.connector import Halted, Record, Stopped, Write
from sor_pipeline.deliver.connectors import connected
from sor_pipeline.deliver.plan import Plan, permitted, planned, written
from sor_pipeline.deliver.sending import Conversation
from sor_pipeline.deliver.switches import stopped
from sor_pipeline.errors import Fault, SettingsError
from sor_pipeline.ownership.target import Target
from sor_pipeline.run import Outcome, Run

if TYPE_CHECKING:
    from sor_pipeline.deliver.http import Pace

COUNTS = ("planned", "accepted", "refused", "superseded", "failed", "unknown")


def run(run: Run, system: str, pace: Pace | None = None) -> Outcome:
    """Corrections of the system's sources; counts: planned, and those settled by outcome. Nothing without a target."""
    target = run.ownership.systems[system].target
    if target is None:
        return Outcome({})
    plan = planned(run, system, target)
    counts: Counter[str] = Counter({**dict.fromkeys(COUNTS, 0), "planned": plan.rows.height})
    if not plan.rows.height:
        return Outcome(dict(counts))
    if not target.live or plan.over:
        written(run, plan, target.live)
    if not target.live:
        return Outcome({**counts, "dry_run": plan.rows.height})
    where = stopped(run, system)
    if where:
        return Outcome(dict(counts), (wording.halted(system, target, Stopped(where), plan.rows.height),))
    if plan.over and not permitted(run, plan):
        return Outcome(dict(counts), (wording.over_cap(plan, target),))
    faults = _sent(run, plan, target, counts, pace)
    return Outcome(dict(counts), faults)


def _sent(run: Run, plan: Plan, target: Target, counts: Counter[str], pace: Pace | None) -> tuple[Fault, ...]:
    """What halted the system, or nothing; `counts` get what was settled."""
    try:
        with connected(run, plan.system, target, plan.publication, pace) as connect:
            for (source,), rows in plan.rows.group_by("source", maintain_order=True):
                run.progress(f"deliver {source}")
                sleep = pace.sleep if pace else _sleep
                talk = Conversation(run, plan.system, connect(str(source)), sleep)
                try:
                    talk.send(_records(run, str(source), rows))
                finally:
                    counts.update(talk.counts)
    except Halted as halt:
        done = sum(counts[name] for name in ("accepted", "refused", "superseded"))
        return (wording.halted(plan.system, target, halt, plan.rows.height - done),)
    except SettingsError as error:
        return error.faults
    return ()


def _sleep(seconds: float) -> None:
    import time

    time.sleep(seconds)


def _records(run: Run, source: str, rows: pl.DataFrame) -> Iterator[Record]:
    """The rows of one source, put together by record; they are in that order already."""
    spec = run.ownership.sources[source]
    named = spec.target.fields if spec.target else {}
    fields = run.ownership.entities[spec.entity].fields
    writes: list[Write] = []
    key: str | None = None
    for row in rows.iter_rows(named=True):
        if key is not None and row["source_key"] != key:
            yield Record(source, key, tuple(writes))
            writes = []
        key = row["source_key"]
        field = fields[row["field"]]
        writes.append(_write(row, named.get(row["field"], row["column"]), field.kind.stored, field.personal))
    if key is not None:
        yield Record(source, key, tuple(writes))


def _write(row: dict[str, Any], name: str, stored: Any, personal: bool) -> Write:
    unsure = row["outcome"] == "unknown"
    return Write(
        field=row["field"],
        name=name,
        observed=row["observed"],
        wanted=row["wanted"],
        proposed_in=row["proposed_in"],
        attempt=row["attempts"] + (0 if unsure else 1),
        stored=stored,
        personal=personal,
        unsure=unsure,
    )
