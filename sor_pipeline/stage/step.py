"""Stage: what landed becomes one current, typed record per source key.

Belongs here: which batches, in which order, in which transactions. A load (all batches of one as_of;
for sources without presence, as many as fit) is one transaction: killed anywhere and started again,
the tables end the same. Does not: any rule about rows.

Reads:  `landing.batch` and the landed files, `staged.*`, `steward.acceptance`.
Writes: `staged.<source>`, `staged.reject`, `staged.source_state`, `audit.account`.
Raises: Unbalanced where rows are unaccounted for; SourceStopped where a landed file is lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby

import sqlalchemy as sa

from sor_pipeline.errors import Fault
from sor_pipeline.ownership.source import Mode
from sor_pipeline.run import Outcome, Run
from sor_pipeline.stage import accounting, arrivals, deletions, late, rejects, restage
from sor_pipeline.stage.fold import GONE, Folded, fold
from sor_pipeline.stage.observations import nothing_observed, observe
from sor_pipeline.stage.staging import Batch, Load, Staging, accounted, registered, remember, state_of

LOAD_ROWS = 1_000_000
"""Batches of `changes` and `events` sources are staged together up to this many rows."""


@dataclass
class _Progress:
    """What was done so far."""

    counts: Counter[str] = field(default_factory=Counter)
    faults: list[Fault] = field(default_factory=list)


def run(run: Run, source: str) -> Outcome:
    """Stage every batch of the source that is landed and has no account yet.

    Counts: the columns of `audit.account` summed over these batches, `batches`, `rejected_cells`.
    Faults: warnings for refused cells; `snapshot-shrank` where the source is stopped.
    """
    staging, progress = Staging(run, source), _Progress()
    with run.engine.begin() as connection:
        _restage(connection, staging, progress)
        done = accounted(connection, staging)
        waiting = [batch for batch in registered(connection, staging) if batch.name not in done]
        newest = state_of(connection, staging).as_of
    for load in loads(staging, waiting, newest):
        run.progress(f"stage {source} {load.names[-1]}")
        with run.engine.begin() as connection:
            stopped = _stage(connection, staging, load, progress, guarded=True)
        if stopped:
            break
    return Outcome(dict(progress.counts), tuple(progress.faults))


def _restage(connection: sa.Connection, staging: Staging, progress: _Progress) -> None:
    """Where the mapping changed, stage all that was staged again."""
    state, done = state_of(connection, staging), accounted(connection, staging)
    if state.as_of is None or state.fingerprint == staging.fingerprint:
        return
    staging.run.progress(f"stage {staging.source} again: its mapping changed")
    before = restage.set_aside(connection, staging)
    for load in loads(staging, [batch for batch in registered(connection, staging) if batch.name in done], None):
        _stage(connection, staging, load, progress, guarded=False)
    restage.compare(connection, staging, before, state.as_of)


def loads(staging: Staging, batches: Iterable[Batch], newest: datetime | None) -> Iterator[Load]:
    """Batches in (as_of, batch) order, together where they may be: never late ones with others."""
    gathered: tuple[Batch, ...] = ()
    for as_of, together in groupby(batches, key=lambda batch: batch.as_of):
        more = tuple(together)
        late_now = newest is not None and as_of <= newest
        late_before = bool(gathered) and newest is not None and gathered[0].as_of <= newest
        full = sum(batch.rows for batch in (*gathered, *more)) > LOAD_ROWS
        if gathered and (staging.mode is Mode.snapshot or full or late_now != late_before):
            yield Load(gathered)
            gathered = ()
        gathered += more
    if gathered:
        yield Load(gathered)


def _stage(connection: sa.Connection, staging: Staging, load: Load, progress: _Progress, *, guarded: bool) -> bool:
    """Stage one load; True if it was stopped instead."""
    newest = state_of(connection, staging).as_of
    is_late = late.is_late(load, newest)
    done = accounted(connection, staging)
    before = [batch for batch in registered(connection, staging) if batch.name in done and batch.name not in load.names]
    arrived = arrivals.arrived(connection, staging, load)
    if guarded and staging.mode is Mode.snapshot and not is_late:
        fault = deletions.shrunk(connection, staging, load, arrived)
        if fault:
            progress.faults.append(fault)
            return True
    fresh = arrivals.fresh(connection, staging, arrived)
    refusals = rejects.Refusals()
    observed = nothing_observed(connection, staging)
    observe(connection, staging, fresh, load.batches, observed, refusals)
    late.observe_late(connection, staging, load, observed, before, newest, refusals)
    folded = fold(connection, staging, observed)
    deleted = _delete(connection, staging, load, arrived, folded, before, is_late=is_late)
    refused = refusals.of(load)
    rejects.save(connection, staging, load, arrived, refused)
    progress.counts.update(accounting.account(connection, staging, load, arrived, fresh, folded, deleted))
    progress.counts.update(batches=len(load.batches), rejected_cells=len(refused))
    progress.faults.extend(rejects.faults(staging, refused))
    progress.faults.extend(filter(None, [deletions.torn(staging, load)]))
    remember(connection, staging, load.as_of)
    return False


def _delete(
    connection: sa.Connection,
    staging: Staging,
    load: Load,
    arrived: sa.Table,
    folded: Folded,
    before: list[Batch],
    *,
    is_late: bool,
) -> int:
    """Number of records that this load deleted."""
    if staging.mode is Mode.snapshot and not is_late:
        return deletions.mark_missing(connection, staging, load, arrived)
    if staging.mode is Mode.snapshot:
        deletions.mark_by_presence(connection, staging, load, arrived, before)
        return 0
    gone = sa.select(sa.func.count()).select_from(folded.records).where(folded.records.c[GONE].is_(True))
    return int(connection.execute(gone).scalar_one())
