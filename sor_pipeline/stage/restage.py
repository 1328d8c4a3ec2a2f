"""Staging anew after the document changed what a source's rows mean.

Belongs here: taking the staged records out of the way, and giving back `_publication` to those that
came out as they were. Does not: staging (`step`).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from sor_pipeline.stage.fold import PLACE
from sor_pipeline.stage.staging import Staging


def set_aside(connection: sa.Connection, staging: Staging) -> sa.Table:
    """Empty what staging wrote of the source; returns the records as they were."""
    tables, staged = staging.run.tables, staging.table
    before = staging.run.engine.materialise(connection, "stage_set_aside", sa.select(*staged.c))
    connection.execute(sa.delete(staged))
    for table in (tables.account, tables.reject, tables.source_state):
        connection.execute(sa.delete(table).where(table.c.source == staging.source))
    return before


def compare(connection: sa.Connection, staging: Staging, before: sa.Table, newest: datetime) -> None:
    """Records that say what they said keep their publication; records that no longer come out stay as deleted ones."""
    staged, pending = staging.table, staging.run.pending(connection)
    names = [column.name for column in staged.columns]
    same = [staged.c[name].is_not_distinct_from(before.c[name]) for name in names if name not in PLACE]
    connection.execute(sa.update(staged).where(*same).values(_publication=before.c["_publication"]))
    gone = before.c["_deleted_at"].is_(None)
    values: dict[str, sa.ColumnElement[Any]] = {name: before.c[name] for name in names}
    # Without a digest it is no observation: where the record is selected again, it is made anew.
    values["_digest"] = sa.cast(sa.null(), sa.Text)
    values["_deleted_at"] = sa.func.coalesce(before.c["_deleted_at"], sa.literal(newest, sa.DateTime))
    values["_publication"] = sa.case((gone, sa.literal(pending, sa.BigInteger)), else_=before.c["_publication"])
    lost = sa.select(*values.values()).where(before.c["_key"].not_in(sa.select(staged.c["_key"])))
    connection.execute(sa.insert(staged).from_select(list(values), lost))
