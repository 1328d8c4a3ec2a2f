"""Summaries: a cell counted together from canonical rows of other entities that refer to this one.

Belongs here: the counting, and which entities must be counted again. Does not: the words of a summary
(`ownership.summary`). Entities are resolved after those that they count over (`Ownership.in_order`).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import sqlalchemy as sa

from sor_pipeline.engine.base import Expression, Rows
from sor_pipeline.ownership.expressions import parse
from sor_pipeline.ownership.summary import Aggregate, Summary
from sor_pipeline.resolve.claims import affected_ids
from sor_pipeline.tables import Tables

_EXACT = sa.Numeric(38, 9)


def summaries(tables: Tables, entity: str, now: datetime) -> dict[str, Rows]:
    """Per summary field. Grain: one affected live entity; columns entity_id, gathered (null: no rows), since."""
    return {
        name: _counted(tables, entity, name, field.summary, now)
        for name, field in tables.ownership.entities[entity].fields.items()
        if field.summary is not None
    }


def _counted(tables: Tables, entity: str, name: str, summary: Summary, now: datetime) -> Rows:
    known = tables.id
    alive = (
        sa.select(known.c.entity_id)
        .where(known.c.entity == entity, known.c.retired.is_(None), known.c.entity_id.in_(affected_ids(tables, entity)))
        .subquery(f"{name}__alive")
    )
    rows = _rows(tables, entity, name, summary, now).subquery(f"{name}__row")
    mine = sa.select(rows).where(rows.c.leads_to.in_(affected_ids(tables, entity)))
    grouped = _grouped(mine.subquery(f"{name}__mine"), summary).subquery(f"{name}__counted")
    value: Expression = sa.func.coalesce(grouped.c.value, 0) if summary.zero else grouped.c.value
    return sa.select(alive.c.entity_id, value.label("gathered"), grouped.c.since).select_from(
        alive.outerjoin(grouped, grouped.c.leads_to == alive.c.entity_id)
    )


def _rows(tables: Tables, entity: str, name: str, summary: Summary, now: datetime) -> Rows:
    """Grain: one row to be counted; columns leads_to (the entity), row, value, at, since."""
    row = tables.canonical[summary.of].alias(f"{name}__of")
    fields = tables.ownership.entities[summary.of].fields
    joined, leads_to = _to(tables, entity, name, summary, row)
    wanted: list[sa.ColumnElement[bool]] = [leads_to.is_not(None)]
    if summary.where is not None:
        wanted.append(parse(summary.where, fields).to_clause({field: row.c[field] for field in fields}))
    if summary.within is not None:
        wanted.append(_moment(row, summary) > sa.cast(now - summary.within, sa.DateTime))
    value: Expression = row.c[summary.field] if summary.field else sa.literal(1, sa.BigInteger)
    if summary.times:
        value = sa.cast(value, _EXACT) * sa.cast(row.c[summary.times], sa.Numeric(18, 0))
    at = _moment(row, summary) if summary.at else sa.cast(sa.null(), sa.DateTime)
    witness = summary.field or summary.path[0]
    return (
        sa.select(
            leads_to.label("leads_to"), row.c.entity_id.label("row"), value.label("value"), at.label("at"),
            row.c[f"{witness}__since"].label("since"),
        )
        .select_from(joined)
        .where(*wanted)
    )  # fmt: skip


def _moment(row: sa.FromClause, summary: Summary) -> Expression:
    return sa.cast(row.c[str(summary.at)], sa.DateTime)


def _to(
    tables: Tables, entity: str, name: str, summary: Summary, row: sa.FromClause
) -> tuple[sa.FromClause, Expression]:
    """The rows joined over the entities on their way, and the column that names where they lead."""
    joined: sa.FromClause = row
    here: sa.FromClause = row
    for step, over in zip(summary.path, tables.ownership.way(entity, name)[1:], strict=False):
        following = tables.canonical[over].alias(f"{name}__{over}")
        joined = joined.join(following, following.c.entity_id == here.c[step])
        here = following
    return joined, here.c[summary.path[-1]]


def _grouped(rows: sa.FromClause, summary: Summary) -> Rows:
    """Grain: one entity to which a row leads; columns leads_to, value, since."""
    if summary.aggregate is Aggregate.latest:
        newest = sa.func.row_number().over(
            partition_by=rows.c.leads_to, order_by=(rows.c.at.desc().nulls_last(), rows.c.row)
        )
        told = sa.select(rows.c.leads_to, rows.c.value, rows.c.since, newest.label("place")).where(
            rows.c.value.is_not(None)
        )
        first = told.subquery("told")
        return sa.select(first.c.leads_to, first.c.value, first.c.since).where(first.c.place == 1)
    how = {
        Aggregate.number: sa.func.count(),
        Aggregate.sum: sa.func.sum(rows.c.value),
        Aggregate.max: sa.func.max(rows.c.value),
        Aggregate.min: sa.func.min(rows.c.value),
    }
    since = sa.func.max(rows.c.since)
    return sa.select(rows.c.leads_to, how[summary.aggregate].label("value"), since.label("since")).group_by(
        rows.c.leads_to
    )


def counted_anew(tables: Tables, entity: str, since: datetime, now: datetime) -> Iterator[Rows]:
    """Grain: one entity to which a row leads, or led when it was published, that changed; or left its window of time.

    `since` is when the entity was last resolved. Rows on the way are those that `identity.affected` still names.
    """
    for name, field in tables.ownership.entities[entity].fields.items():
        if field.summary is None:
            continue
        way = tables.ownership.way(entity, name)
        for position, over in enumerate(way):
            step, beyond = (
                field.summary.path[position],
                list(zip(field.summary.path[position + 1 :], way[position + 1 :], strict=True)),
            )
            for origin, ident in ((tables.canonical[over], "entity_id"), (tables.conformed[over], f"{over}_id")):
                yield _led(tables, origin, ident, over, step, beyond)
        if field.summary.within is not None:
            yield _left(tables, entity, name, field.summary, since, now)


def _led(tables: Tables, origin: sa.Table, ident: str, over: str, step: str, beyond: list[tuple[str, str]]) -> Rows:
    joined: sa.FromClause = origin
    leads_to: Expression = origin.c[step]
    for number, (following, kind) in enumerate(beyond):
        via = tables.canonical[kind].alias(f"via_{number}")
        joined = joined.join(via, via.c.entity_id == leads_to)
        leads_to = via.c[following]
    return (
        sa.select(leads_to.label("entity_id"))
        .select_from(joined)
        .where(origin.c[ident].in_(affected_ids(tables, over)), leads_to.is_not(None))
    )


def _left(tables: Tables, entity: str, name: str, summary: Summary, since: datetime, now: datetime) -> Rows:
    """Rows that were young enough then and are not now."""
    assert summary.within is not None
    row = tables.canonical[summary.of].alias(f"{name}__of")
    joined, leads_to = _to(tables, entity, name, summary, row)
    at = _moment(row, summary)
    older, younger = (sa.cast(moment - summary.within, sa.DateTime) for moment in (since, now))
    return (
        sa.select(leads_to.label("entity_id"))
        .select_from(joined)
        .where(at > older, at <= younger, leads_to.is_not(None))
    )
