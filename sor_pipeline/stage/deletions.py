"""Records that a snapshot no longer holds.

Belongs here: what is missing, what is back, the guard against a snapshot that shrank too much, and
late snapshots. Does not: deletion flags of `changes` sources (they are observations: `fold`).

Presence counts by as_of alone: a record is live if no whole snapshot came after the last one that
holds it; else it is deleted as of the first such. A snapshot with rows that could not be read proves
presence but not absence: the missing record may be among them.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import sqlalchemy as sa

from sor_pipeline.engine.base import Rows
from sor_pipeline.errors import Fault
from sor_pipeline.ownership.source import Mode
from sor_pipeline.stage import landed
from sor_pipeline.stage.staging import Batch, Load, Staging


def shrunk(connection: sa.Connection, staging: Staging, load: Load, arrivals: sa.Table) -> Fault | None:
    """What is wrong with a newest snapshot that lacks more than `max_shrink` of the live records, unless accepted."""
    if not load.whole:
        return None
    staged = staging.table
    live = staged.c["_deleted_at"].is_(None)
    present, missing = connection.execute(
        sa.select(sa.func.count(), sa.func.count().filter(staged.c["_key"].not_in(_present(arrivals)))).where(live)
    ).fetchall()[0]
    allowed = staging.spec.extract.max_shrink
    if not present or missing / present <= allowed or _accepted(connection, staging, load):
        return None
    subject = acceptance_subject(staging.source, load.names[-1])
    return Fault(
        "snapshot-shrank",
        f"{staging.source} {load.names[-1]}",
        "the snapshot lacks too many of the live records; the source is stopped",
        f"{missing} of {present} missing ({missing / present:.0%})",
        f"at most {allowed:.0%}",
        f"deliver the whole snapshot again, or accept `{subject}` if the records are really gone",
    )


def acceptance_subject(source: str, batch: str) -> str:
    """Under which name a person accepts a shrunk snapshot in `steward.acceptance`."""
    return f"shrink:{source}:{batch}"


def _accepted(connection: sa.Connection, staging: Staging, load: Load) -> bool:
    acceptance = staging.run.tables.acceptance
    subjects = [acceptance_subject(staging.source, name) for name in load.names]
    count = sa.select(sa.func.count()).select_from(acceptance).where(acceptance.c.subject.in_(subjects))
    return bool(connection.execute(count).scalar_one())


def _present(arrivals: sa.FromClause) -> Rows:
    return sa.select(arrivals.c["_key"]).where(arrivals.c["_reason"].is_(None))


def torn(staging: Staging, load: Load) -> Fault | None:
    """The warning that a snapshot deletes nothing because some of its rows could not be read."""
    if staging.mode is not Mode.snapshot or load.whole:
        return None
    return Fault(
        "snapshot-torn",
        f"{staging.source} {load.names[-1]}",
        "rows could not be read, so a record that is missing may be among them; nothing is deleted",
        f"{sum(batch.bad_rows for batch in load.batches)} bad rows",
        "a snapshot whose every row can be read",
        "deliver it again without them; the next whole snapshot deletes",
        warning=True,
    )


def mark_missing(connection: sa.Connection, staging: Staging, load: Load, arrivals: sa.Table) -> int:
    """Delete what the newest snapshot lacks, revive what it has again; returns the number newly deleted."""
    staged, pending = staging.table, staging.run.pending(connection)
    here = staged.c["_key"].in_(_present(arrivals))
    live = staged.c["_deleted_at"].is_(None)
    back = sa.update(staged).where(~live, here).values(_deleted_at=None, _publication=pending)
    connection.execute(back)
    if not load.whole:
        return 0
    missing = sa.and_(live, staged.c["_key"].not_in(_present(arrivals)))
    count: int = connection.execute(sa.select(sa.func.count()).where(missing)).scalar_one()
    if count:
        connection.execute(sa.update(staged).where(missing).values(_deleted_at=load.as_of, _publication=pending))
    return count


def mark_by_presence(
    connection: sa.Connection, staging: Staging, load: Load, arrivals: sa.Table, staged_batches: Sequence[Batch]
) -> None:
    """After a late snapshot: the fate of all records that it holds or that are deleted, from all snapshots."""
    engine, staged = staging.run.engine, staging.table
    batches = [*staged_batches, *load.batches]
    deleted = sa.select(staged.c["_key"]).where(staged.c["_deleted_at"].is_not(None))
    concerned = engine.materialise(connection, "stage_concerned", sa.union(deleted, _present(arrivals)))
    rows = landed.Landed(connection, staging, batches).presences()
    last = (
        sa.select(rows.c["_key"], sa.func.max(rows.c["_as_of"]).label("last"))
        .where(rows.c["_reason"].is_(None), rows.c["_key"].in_(sa.select(concerned.c["_key"])))
        .group_by(rows.c["_key"])
        .subquery("last")
    )
    torn = {batch.as_of for batch in batches if batch.bad_rows}
    times = sorted({batch.as_of for batch in batches} - torn)
    snapshots = engine.scan_arrow(
        connection, "stage_snapshots", pa.table({"as_of": pa.array(times, pa.timestamp("us"))})
    ).alias("snapshots")
    fates = engine.materialise(
        connection,
        "stage_fates",
        sa.select(last.c["_key"], sa.func.min(snapshots.c["as_of"]).label("deleted_at"))
        .select_from(last.outerjoin(snapshots, snapshots.c["as_of"] > last.c["last"]))
        .group_by(last.c["_key"]),
    )
    pending = staging.run.pending(connection)
    differs = sa.and_(
        staged.c["_key"] == fates.c["_key"], staged.c["_deleted_at"].is_distinct_from(fates.c["deleted_at"])
    )
    connection.execute(sa.update(staged).where(differs).values(_deleted_at=fates.c["deleted_at"], _publication=pending))
