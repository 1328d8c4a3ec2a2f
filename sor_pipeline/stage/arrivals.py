"""Which rows of a load are records, and which of those say anything new.

Belongs here: the temporary tables `arrived` and `fresh`. The content of a row is compared by its
digest, so that rows that repeat what is staged are never read further.
"""

from __future__ import annotations

import sqlalchemy as sa

from sor_pipeline.engine.base import Rows
from sor_pipeline.stage import landed
from sor_pipeline.stage.staging import Load, Staging


def arrived(connection: sa.Connection, staging: Staging, load: Load) -> sa.Table:
    """One row per landed row of the load: `landed.ROW` and `_reason`, null where it is a record."""
    rows = landed.Landed(connection, staging, load.batches).arrivals()
    return staging.run.engine.materialise(connection, "stage_arrived", sa.select(*rows.c))


def fresh(connection: sa.Connection, staging: Staging, arrivals: sa.Table) -> sa.Table:
    """One row (`landed.ROW`) per record of a key of which any row differs from what is staged, or is older than it."""
    rows = sa.select(*(arrivals.c[name] for name in landed.ROW)).where(arrivals.c["_reason"].is_(None))
    select = rows.where(arrivals.c["_key"].in_(_differing(staging, arrivals)))
    return staging.run.engine.materialise(connection, "stage_fresh", select)


def _differing(staging: Staging, arrivals: sa.Table) -> Rows:
    """Keys with a row that is not the later repetition of the staged record."""
    staged = staging.table
    repeats = sa.and_(
        staged.c["_key"] == arrivals.c["_key"],
        staged.c["_digest"] == arrivals.c["_digest"],
        _later(arrivals, staged),
    )
    return sa.select(arrivals.c["_key"]).where(
        arrivals.c["_reason"].is_(None), ~sa.exists().where(repeats).correlate(arrivals)
    )


def _later(one: sa.FromClause, other: sa.FromClause) -> sa.ColumnElement[bool]:
    """By (as_of, batch, row). Equal digests have equal times of change, or fall back on as_of: these three decide."""
    same_time = one.c["_as_of"] == other.c["_as_of"]
    same_batch = sa.and_(same_time, one.c["_batch"] == other.c["_batch"])
    return sa.or_(
        one.c["_as_of"] > other.c["_as_of"],
        sa.and_(same_time, one.c["_batch"] > other.c["_batch"]),
        sa.and_(same_batch, one.c["_row"] > other.c["_row"]),
    )
