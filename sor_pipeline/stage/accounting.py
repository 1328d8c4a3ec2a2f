"""The account of each batch: what became of every row.

Belongs here: the counts, and the proof that they balance. Does not: rejecting anything.

`read = new + unchanged + superseded + duplicate + rejected`, where a row is: rejected, if it is no
record; new, if the record now says something else because of it; unchanged, if it repeats what the
record said; superseded, if a later row of its key speaks instead; duplicate, if its own batch says
the same of its key before it, with nothing in between.
"""

from __future__ import annotations

import sqlalchemy as sa

from sor_pipeline.engine.base import Rows
from sor_pipeline.errors import Fault, Unbalanced
from sor_pipeline.stage.fold import NEWS, Folded
from sor_pipeline.stage.staging import Batch, Load, Staging
from sor_pipeline.tables import ACCOUNT

PARTS = ("new", "unchanged", "superseded", "duplicate", "rejected")
Account = dict[str, int]
Counts = dict[str, Account]


def account(
    connection: sa.Connection,
    staging: Staging,
    load: Load,
    arrivals: sa.Table,
    fresh: sa.Table,
    folded: Folded,
    deleted: int,
) -> Account:
    """Write `audit.account` of the load's batches; returns the sums.

    Raises Unbalanced where rows are unaccounted for.
    """
    counts: Counts = {batch.name: dict.fromkeys(ACCOUNT, 0) for batch in load.batches}
    for select in (_arrivals(arrivals), _repeats(arrivals, fresh), _fates(fresh, folded)):
        for row in connection.execute(select).mappings():
            for part in ACCOUNT:
                counts[row["batch"]][part] += int(row.get(part) or 0)
    for batch in load.batches:
        counts[batch.name]["rejected"] += batch.bad_rows
        counts[batch.name]["read"] += batch.bad_rows
        _balanced(staging, batch, counts[batch.name])
    counts[load.names[-1]]["deleted"] = deleted
    _write(connection, staging, counts)
    return {part: sum(mine[part] for mine in counts.values()) for part in ACCOUNT}


def _arrivals(arrivals: sa.Table) -> Rows:
    """One row per batch: `read`, `rejected`."""
    batch = arrivals.c["_batch"]
    rejected = sa.func.count(arrivals.c["_reason"]).label("rejected")
    return sa.select(batch.label("batch"), sa.func.count().label("read"), rejected).group_by(batch)


def _repeats(arrivals: sa.Table, fresh: sa.Table) -> Rows:
    """One row per batch: rows of keys of which every row repeats the staged record; a batch's first is `unchanged`."""
    batch, key = arrivals.c["_batch"], arrivals.c["_key"]
    known = sa.and_(arrivals.c["_reason"].is_(None), key.not_in(sa.select(fresh.c["_key"])))
    per_key = sa.select(batch, sa.func.count().label("rows")).where(known).group_by(batch, key).subquery("per_key")
    return sa.select(
        per_key.c["_batch"].label("batch"),
        sa.func.count().label("unchanged"),
        sa.func.sum(per_key.c["rows"] - 1).label("duplicate"),
    ).group_by(per_key.c["_batch"])


def _fates(fresh: sa.Table, folded: Folded) -> Rows:
    """One row per batch: what became of the fresh rows; one of a key without a record has no part: it was lost."""
    records, versions, twin = folded.records, folded.versions, fresh.alias("twin")
    final = sa.and_(records.c["_batch"] == fresh.c["_batch"], records.c["_row"] == fresh.c["_row"])
    same = (twin.c[name] == fresh.c[name] for name in ("_key", "_batch", "_digest"))
    twins = sa.exists().where(*same, twin.c["_row"] < fresh.c["_row"])
    superseded = []
    if versions is not None:
        version = sa.exists().where(*(versions.c[name] == fresh.c[name] for name in ("_key", "_batch", "_row")))
        superseded.append((version.correlate(fresh), "superseded"))
    fate = sa.case(
        (records.c["_key"].is_(None), sa.null()),
        (final, sa.case((records.c[NEWS].is_(True), "new"), else_="unchanged")),
        *superseded,
        (twins.correlate(fresh), "duplicate"),
        else_="unchanged",
    )
    joined = fresh.outerjoin(records, records.c["_key"] == fresh.c["_key"])
    fates = sa.select(fresh.c["_batch"].label("batch"), fate.label("fate")).select_from(joined).subquery("fates")
    parts = [sa.func.count().filter(fates.c["fate"] == part).label(part) for part in PARTS if part != "rejected"]
    return sa.select(fates.c["batch"], *parts).group_by(fates.c["batch"])


def _balanced(staging: Staging, batch: Batch, counts: Account) -> None:
    accounted, read = sum(counts[part] for part in PARTS), batch.rows + batch.bad_rows
    if not accounted == read == counts["read"]:
        raise Unbalanced(
            Fault(
                "rows-unaccounted",
                f"{staging.source} {batch.name}",
                "rows were lost or made up",
                f"{counts['read']} read, {accounted} accounted for ({counts})",
                f"{read} as landed",
                "restore the landed file; nothing was written",
            )
        )


def _write(connection: sa.Connection, staging: Staging, counts: Counts) -> None:
    table = staging.run.tables.account
    pending = staging.run.pending(connection)
    connection.execute(sa.delete(table).where(table.c.source == staging.source, table.c.batch.in_(list(counts))))
    rows = [{"source": staging.source, "batch": name, **mine, "_publication": pending} for name, mine in counts.items()]
    connection.execute(sa.insert(table), rows)
