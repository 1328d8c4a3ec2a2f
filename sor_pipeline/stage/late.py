"""Observations that arrive after later ones: their keys are folded again, from everything that landed.

Belongs here: which keys that concerns, and their history. Does not: the fold itself (`fold`).

A staged record stands at the place of the observation that made it; equal ones after it left it
alone. So only three things make a key late: a batch that is not newer than all staged ones and
differs; a time of change before the staged one; and a blank after a placeholder, because the staged
record no longer says whether there was a value before that.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import polars as pl
import sqlalchemy as sa

from sor_pipeline.engine.base import Rows
from sor_pipeline.stage import landed
from sor_pipeline.stage.observations import changed_at, observe, said_column
from sor_pipeline.stage.readings import BLANK
from sor_pipeline.stage.rejects import Refusals
from sor_pipeline.stage.staging import Batch, Load, Staging
from sor_pipeline.tables import ClaimState


def is_late(load: Load, newest: datetime | None) -> bool:
    """Whether a batch of the load is not newer than all staged ones."""
    return newest is not None and load.batches[0].as_of <= newest


def observe_late(
    connection: sa.Connection,
    staging: Staging,
    load: Load,
    observed: sa.Table,
    staged_batches: Sequence[Batch],
    newest: datetime | None,
    refusals: Refusals,
) -> None:
    """In `observed`, put the whole history of late keys in place of what the load says of them."""
    if newest is None:
        return
    engine = staging.run.engine
    late = engine.materialise(connection, "stage_late", _late_keys(staging, load, observed, newest))
    if not connection.execute(sa.select(sa.func.count()).select_from(late)).scalar_one():
        return
    batches = [*staged_batches, *load.batches]
    rows = _history(connection, staging, batches, late)
    connection.execute(sa.delete(observed).where(observed.c["_key"].in_(sa.select(late.c["_key"]))))
    observe(connection, staging, rows, batches, observed, refusals, again=True)


def _late_keys(staging: Staging, load: Load, observed: sa.Table, newest: datetime) -> Rows:
    staged = staging.table
    reasons = [observed.c["_changed_at"] < staged.c["_changed_at"]]
    if is_late(load, newest):
        reasons.append(sa.true())
    if staging.spec.changed_at is not None:
        # The staged row may have had no readable time of change: then its later repetitions stand at their own as_of.
        unsure = staged.c["_changed_at"] == staged.c["_as_of"]
        reasons.append(sa.and_(unsure, observed.c["_changed_at"] <= sa.literal(newest, sa.DateTime)))
    for field in staging.fields:
        was_placeholder = staged.c[f"{field}__state"] == int(ClaimState.placeholder)
        reasons.append(sa.and_(was_placeholder, observed.c[said_column(field)] == BLANK))
    return (
        sa.select(observed.c["_key"])
        .join(staged, staged.c["_key"] == observed.c["_key"])
        .where(sa.or_(*reasons))
        .distinct()
    )


def _history(connection: sa.Connection, staging: Staging, batches: Sequence[Batch], late: sa.Table) -> sa.Table:
    """All versions of the late keys (`landed.ROW`): rows in order, without those that repeat the one before."""
    engine = staging.run.engine
    present = landed.Landed(connection, staging, batches).presences()
    mine = present.c["_reason"].is_(None), present.c["_key"].in_(sa.select(late.c["_key"]))
    places = engine.materialise(
        connection, "stage_places", sa.select(present.c["_batch"], present.c["_row"]).where(*mine)
    )
    rows = landed.Landed(connection, staging, batches, places).history()
    history = engine.materialise(connection, "stage_history", sa.select(*rows.c))
    times = engine.scan_arrow(connection, "stage_times", _times(connection, staging, history).to_arrow()).alias("times")
    at = sa.func.coalesce(times.c["at"], history.c["_as_of"])
    order = [at, history.c["_as_of"], history.c["_batch"], history.c["_row"]]
    before = sa.func.lag(history.c["_digest"]).over(partition_by=history.c["_key"], order_by=order)
    ordered = (
        sa.select(*(history.c[name] for name in landed.ROW), before.label("_before"))
        .select_from(history.outerjoin(times, times.c["text"] == history.c[landed.CHANGED]))
        .subquery("ordered")
    )
    news = ordered.c["_before"].is_distinct_from(ordered.c["_digest"])
    return engine.materialise(
        connection, "stage_refold", sa.select(*(ordered.c[name] for name in landed.ROW)).where(news)
    )


def _times(connection: sa.Connection, staging: Staging, history: sa.Table) -> pl.DataFrame:
    """Per distinct text of a time of change (`text`), the time that it says (`at`), null where it cannot be read."""
    changed = history.c[landed.CHANGED]
    texts = pl.DataFrame(
        staging.run.engine.fetch(connection, sa.select(changed.label("text")).where(changed.is_not(None)).distinct())
    )
    text = texts["text"].cast(pl.String)
    return pl.DataFrame({"text": text, "at": changed_at(staging, text).value.cast(pl.Datetime("us"))})
