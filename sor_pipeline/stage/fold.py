"""One record out of all that was ever observed of it.

Belongs here: the fold of observations onto the staged record, in (changed_at, as_of, batch, row)
order, and the writing of what came out. Does not: late observations (`late`), missing records of
snapshots (`deletions`).

Two forms of one rule: a key with one new observation is a join (`_one`), a key with several is a
sequence (`sequence`). A claim is replaced by what a later cell says; a cell that says nothing leaves
it; a blank clears what held a value and is `never` otherwise; `since` is when equal claims began.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from sor_pipeline.engine.base import Rows
from sor_pipeline.ownership.source import Mode
from sor_pipeline.stage.observations import said_column
from sor_pipeline.stage.sequence import folded_sequences, versions
from sor_pipeline.stage.staging import Staging
from sor_pipeline.tables import ClaimState, claim, link_column

NEWS = "_news"
"""Whether the record changed in anything but its place in the landing."""
GONE = "_gone"
"""Whether the record was live and is deleted now."""
PLACE = ("_as_of", "_batch", "_row", "_digest", "_publication")
"""Columns that say where a record comes from, not what it says."""


@dataclass(frozen=True)
class Folded:
    """`records`: one per key that was observed, as staged, with NEWS and GONE; `versions`: the rows that made them,
    for keys that had several; None where no key had."""

    records: sa.Table
    versions: sa.Table | None


def fold(connection: sa.Connection, staging: Staging, observed: sa.Table) -> Folded:
    """Fold `observed` onto the staged records and write them; nothing else of the table is touched."""
    engine = staging.run.engine
    several = engine.materialise(connection, "stage_several", _several(observed))
    present = engine.materialise(connection, "stage_present", _present(staging, observed))
    once, sequences = _one(staging, observed, several, present), None
    records = once.subquery("records")
    if connection.execute(sa.select(sa.exists().select_from(several))).scalar_one():
        # Asked first: to plan sequences takes longer than to stage a few rows.
        sequences = versions(connection, staging, observed, several, base(observed, present))
        records = sa.union_all(once, folded_sequences(staging, sequences)).subquery("records")
    pending = staging.run.pending(connection)
    written = engine.materialise(connection, "stage_folded", _weighed(staging, records, present, pending))
    engine.replace(connection, staging.table, written, ["_key"])
    return Folded(written, sequences)


def _several(observed: sa.Table) -> Rows:
    """Keys with more than one new observation."""
    return sa.select(observed.c["_key"]).group_by(observed.c["_key"]).having(sa.func.count() > 1)


def _present(staging: Staging, observed: sa.Table) -> Rows:
    """The staged records of the observed keys; small where little is new, so that no join reads the whole table."""
    return sa.select(*staging.table.c).where(staging.table.c["_key"].in_(sa.select(observed.c["_key"])))


def base(observed: sa.Table, present: sa.Table) -> sa.Subquery:
    """The staged records that are folded onto: not those folded from nothing, or that have no digest."""
    again = sa.select(observed.c["_key"]).where(observed.c["_again"].is_(True))
    said = present.c["_digest"].is_not(None)
    return sa.select(*present.c).where(said, present.c["_key"].not_in(again)).subquery("base")


def _one(staging: Staging, observed: sa.Table, several: sa.Table, present: sa.Table) -> Rows:
    """One record per key that has one new observation."""
    staged = base(observed, present)
    columns: list[sa.ColumnElement[Any]] = [
        observed.c[name] for name in ("_key", "_changed_at", "_as_of", "_batch", "_row", "_digest")
    ]
    deleted_at = sa.func.coalesce(staged.c["_deleted_at"], observed.c["_changed_at"])
    columns.append(sa.case((observed.c["_flagged"].is_(True), deleted_at), else_=sa.null()).label("_deleted_at"))
    for name in staging.links:
        link = link_column(name)
        columns.append(sa.func.nullif(sa.func.coalesce(observed.c[link], staged.c[link]), "").label(link))
    for field in staging.fields:
        columns += _claim_of_one(staging, field, observed, staged)
    several_keys = sa.select(several.c["_key"])
    return (
        sa.select(*columns)
        .select_from(observed.outerjoin(staged, staged.c["_key"] == observed.c["_key"]))
        .where(observed.c["_key"].not_in(several_keys))
    )


def _claim_of_one(
    staging: Staging, field: str, observed: sa.Table, staged: sa.FromClause
) -> list[sa.ColumnElement[Any]]:
    before, said = claim(staged, field), observed.c[said_column(field)]
    silent, valued = said.is_(None), said == int(ClaimState.value)
    held = before.state.in_((int(ClaimState.value), int(ClaimState.cleared)))
    blank = sa.case((held, int(ClaimState.cleared)), else_=int(ClaimState.never))
    state = sa.case((silent, sa.func.coalesce(before.state, 0)), (said == 0, blank), else_=said)

    def of(name: str, old: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        return sa.case((silent, old), (valued, observed.c[name]), else_=sa.null())

    compare = f"{field}__cmp" if staging.fields[field].kind.folds else field
    kept = sa.and_(
        before.state == state,
        sa.or_(silent, said != int(ClaimState.value), before.compare == observed.c[compare]),
    )
    columns: list[sa.ColumnElement[Any]] = [of(field, before.value).label(field)]
    if staging.fields[field].kind.folds:
        columns.append(of(compare, before.compare).label(compare))
    columns.append(state.label(f"{field}__state"))
    columns.append(sa.case((kept, before.since), else_=observed.c["_changed_at"]).label(f"{field}__since"))
    if before.raw is not None:
        columns.append(sa.func.coalesce(observed.c[f"{field}__raw"], before.raw).label(f"{field}__raw"))
    return columns


def _weighed(staging: Staging, records: sa.Subquery, staged: sa.Table, pending: int) -> Rows:
    """The records with `_publication`: pending where they say something new, else as it was."""
    values = {name: records.c[name] for name in (c.name for c in staged.columns) if name != "_publication"}
    if staging.mode is not Mode.changes:
        values["_deleted_at"] = staged.c["_deleted_at"]
    differs = [values[name].is_distinct_from(staged.c[name]) for name in values if name not in PLACE]
    news = sa.or_(staged.c["_key"].is_(None), *differs)
    gone = sa.and_(values["_deleted_at"].is_not(None), staged.c["_deleted_at"].is_(None))
    publication = sa.case((news, sa.literal(pending, sa.BigInteger)), else_=staged.c["_publication"])
    return sa.select(
        *(value.label(name) for name, value in values.items()),
        publication.label("_publication"),
        news.label(NEWS),
        gone.label(GONE),
    ).select_from(records.outerjoin(staged, staged.c["_key"] == records.c["_key"]))
