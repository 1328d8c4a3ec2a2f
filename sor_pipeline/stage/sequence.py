"""The fold of several observations of one key, as windows over their sequence.

Belongs here: putting observations in order, dropping repetitions, and the claim that a sequence
ends with. Does not: keys with one new observation (`fold`).
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from sor_pipeline.engine.base import Rows
from sor_pipeline.ownership.source import Mode
from sor_pipeline.stage.observations import said_column
from sor_pipeline.stage.staging import Staging
from sor_pipeline.tables import ClaimState, claim, link_column

NUMBER, LAST = "_number", "_last"
_ORDER = ("_staged", "_changed_at", "_as_of", "_batch", "_row")
_ROW = ("_key", "_changed_at", "_as_of", "_batch", "_row", "_digest")
Expression = sa.ColumnElement[Any]


def versions(
    connection: sa.Connection, staging: Staging, observed: sa.Table, several: sa.Table, base: sa.FromClause
) -> sa.Table:
    """One row per version of a key in `several`, `_number` in order: the record of `base`, then what was observed.

    A row that repeats the digest of the row before it is no version. `_last` numbers the newest.
    """
    keys = sa.select(several.c["_key"])
    rows = sa.union_all(_observations(staging, observed, keys), _staged_records(staging, base, keys)).subquery("rows")
    order = [rows.c[name] for name in _ORDER]
    numbered = sa.select(
        *rows.c,
        sa.func.row_number().over(partition_by=rows.c["_key"], order_by=order).label(NUMBER),
        sa.func.lag(rows.c["_digest"]).over(partition_by=rows.c["_key"], order_by=order).label("_before"),
    ).subquery("numbered")
    news = numbered.c["_before"].is_distinct_from(numbered.c["_digest"])
    kept = sa.select(*(c for c in numbered.c if c.name != "_before")).where(news).subquery("kept")
    last = sa.func.max(kept.c[NUMBER]).over(partition_by=kept.c["_key"]).label(LAST)
    return staging.run.engine.materialise(connection, "stage_versions", sa.select(*kept.c, last))


def _observations(staging: Staging, observed: sa.Table, keys: Rows) -> Rows:
    columns: list[Expression] = [observed.c[name] for name in _ROW]
    columns += [sa.literal(1).label("_staged"), observed.c["_flagged"], observed.c["_changed_at"].label("_flag_at")]
    columns += [observed.c[link_column(name)] for name in staging.links]
    for field, kind in staging.fields.items():
        columns += [observed.c[field], observed.c[said_column(field)], observed.c["_changed_at"].label(f"{field}__at")]
        columns += [observed.c[f"{field}__cmp"]] if kind.kind.folds else []
        columns += [observed.c[f"{field}__raw"]] if staging.keeps_raw(field) else []
    return sa.select(*columns).where(observed.c["_key"].in_(keys))


def _staged_records(staging: Staging, staged: sa.FromClause, keys: Rows) -> Rows:
    """The staged record as its key's first observation: it says its claims, each at its own time."""
    flagged = staged.c["_deleted_at"].is_not(None) if staging.mode is Mode.changes else sa.false()
    columns: list[Expression] = [staged.c[name] for name in _ROW]
    columns += [sa.literal(0).label("_staged"), flagged.label("_flagged"), staged.c["_deleted_at"].label("_flag_at")]
    columns += [staged.c[link_column(name)] for name in staging.links]
    for field in staging.fields:
        said = claim(staged, field)
        columns += [said.value, said.state.label(said_column(field)), said.since.label(f"{field}__at")]
        columns += [said.compare] if staging.fields[field].kind.folds else []
        columns += [said.raw] if said.raw is not None else []
    return sa.select(*columns).where(staged.c["_key"].in_(keys))


def folded_sequences(staging: Staging, rows: sa.Table) -> Rows:
    """One record per key of `rows` (see `versions`), in the shape of the staged table without `_publication`."""
    ends = _ends(staging, rows)
    newest = rows.c[NUMBER] == rows.c[LAST]
    columns: list[Expression] = [rows.c["_key"]]
    columns += [sa.func.max(sa.case((newest, rows.c[name]))).label(name) for name in _ROW[1:]]
    columns.append(_deleted_at(rows).label("_deleted_at"))
    marks = _marks(staging, rows)
    for name in staging.links:
        link = link_column(name)
        columns.append(
            sa.func.nullif(sa.func.max(sa.case((rows.c[NUMBER] == marks.c[link], rows.c[link]))), "").label(link)
        )
    for number, (field, spec) in enumerate(staging.fields.items()):
        at_end = rows.c[NUMBER] == ends.c[f"last_{number}"]
        columns.append(_only(rows.c[field], at_end, boolean=spec.kind.stored == "boolean").label(field))
        if spec.kind.folds:
            columns.append(_only(rows.c[f"{field}__cmp"], at_end).label(f"{field}__cmp"))
        columns.append(sa.func.max(ends.c[f"state_{number}"]).label(f"{field}__state"))
        columns.append(sa.func.max(ends.c[f"since_{number}"]).label(f"{field}__since"))
        if staging.keeps_raw(field):
            raw = f"{field}__raw"
            columns.append(_only(rows.c[raw], rows.c[NUMBER] == marks.c[raw]).label(raw))
    joined = rows.join(ends, ends.c["_key"] == rows.c["_key"]).join(marks, marks.c["_key"] == rows.c["_key"])
    return sa.select(*columns).select_from(joined).group_by(rows.c["_key"])


def _only(value: Expression, where: sa.ColumnElement[bool], *, boolean: bool = False) -> Expression:
    """The value of the one row where it holds."""
    one = sa.case((where, value))
    return sa.func.bool_or(one) if boolean else sa.func.max(one)


def _deleted_at(rows: sa.Table) -> Expression:
    """When the flagged rows began that end the sequence; null where its end is not flagged."""
    flagged = rows.c["_flagged"].is_(True)
    live = sa.select(rows.c["_key"], sa.func.max(rows.c[NUMBER]).label(NUMBER)).where(~flagged).group_by(rows.c["_key"])
    live_rows = live.subquery("live")
    number = (
        sa.select(live_rows.c[NUMBER]).where(live_rows.c["_key"] == rows.c["_key"]).correlate(rows).scalar_subquery()
    )
    return sa.func.min(sa.case((sa.and_(flagged, rows.c[NUMBER] > sa.func.coalesce(number, 0)), rows.c["_flag_at"])))


def _marks(staging: Staging, rows: sa.Table) -> sa.Subquery:
    """One row per key: for links and delivered texts, the number of the newest row that has one."""
    names = [link_column(name) for name in staging.links]
    names += [f"{field}__raw" for field in staging.fields if staging.keeps_raw(field)]
    newest = [sa.func.max(sa.case((rows.c[name].is_not(None), rows.c[NUMBER]))).label(name) for name in names]
    return sa.select(rows.c["_key"], *newest).group_by(rows.c["_key"]).subquery("marks")


def _ends(staging: Staging, rows: sa.Table) -> sa.Subquery:
    """One row per key: `last_<n>` (row of the last claim), `state_<n>`, `since_<n>` of the n-th field."""
    ends = _claim_ends(staging, rows)
    columns: list[Expression] = [ends.c["_key"]]
    for number in range(len(staging.fields)):
        mine = ends.c["field"] == number
        columns += [
            sa.func.max(sa.case((mine, ends.c[part]))).label(f"{part}_{number}") for part in ("last", "state", "since")
        ]
    return sa.select(*columns).group_by(ends.c["_key"]).subquery("ends")


def _claim_ends(staging: Staging, rows: sa.Table) -> sa.Subquery:
    """One row per key and field: number and state of its last claim, and when claims equal to it began."""
    claims = _claims(staging, rows)
    holds = sa.case((claims.c["said"].in_((int(ClaimState.value), int(ClaimState.cleared))), 1), else_=0)
    so_far = sa.func.max(holds).over(partition_by=[claims.c["_key"], claims.c["field"]], order_by=claims.c[NUMBER])
    held = sa.select(*claims.c, so_far.label("held")).subquery("held")
    cleared = sa.and_(held.c["said"] == 0, held.c["held"] == 1)
    state = sa.case((cleared, int(ClaimState.cleared)), else_=held.c["said"])
    said = sa.select(*held.c, state.label("state")).subquery("said")
    form = sa.func.concat(sa.cast(said.c["state"], sa.Text), ":", sa.func.coalesce(said.c["form"], ""))
    formed = sa.select(
        *(said.c[name] for name in ("_key", "field", NUMBER, "at", "state")), form.label("form")
    ).subquery("formed")
    mine = [formed.c["_key"], formed.c["field"]]
    before = sa.func.lag(formed.c["form"]).over(partition_by=mine, order_by=formed.c[NUMBER])
    compared = sa.select(
        *formed.c, before.label("before"), sa.func.max(formed.c[NUMBER]).over(partition_by=mine).label("last")
    ).subquery("compared")
    began = sa.case((compared.c["before"].is_distinct_from(compared.c["form"]), compared.c["at"]))
    ending = sa.case((compared.c[NUMBER] == compared.c["last"], compared.c["state"]))
    return (
        sa.select(
            compared.c["_key"],
            compared.c["field"],
            sa.func.max(compared.c["last"]).label("last"),
            sa.func.max(ending).label("state"),
            sa.func.max(began).label("since"),
        )
        .group_by(compared.c["_key"], compared.c["field"])
        .subquery("claim_ends")
    )


def _claims(staging: Staging, rows: sa.Table) -> sa.Subquery:
    """One row per key, field and version that says something; a first version that says nothing says never."""
    selects = []
    for number, (field, spec) in enumerate(staging.fields.items()):
        cell = rows.c[said_column(field)]
        said = sa.case((rows.c[NUMBER] == 1, sa.func.coalesce(cell, 0)), else_=cell)
        form = sa.cast(rows.c[f"{field}__cmp" if spec.kind.folds else field], sa.Text)
        selects.append(
            sa.select(
                rows.c["_key"],
                rows.c[NUMBER],
                sa.literal(number).label("field"),
                said.label("said"),
                rows.c[f"{field}__at"].label("at"),
                form.label("form"),
            ).where(said.is_not(None))
        )
    return sa.union_all(*selects).subquery("claims")
