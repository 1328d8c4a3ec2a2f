"""Fills into expectations what only the warehouse knows: row counts, and the tables that they name.

Belongs here: arguments that depend on tables. Does not: running anything but the count of published rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import sqlalchemy as sa

from sor_pipeline.check.suite import ROWS_QUERY, VOLUME, Expected
from sor_pipeline.run import Run

_QUERY = "unexpected_rows_query"


def bound(run: Run, connection: sa.Connection, expected: Sequence[Expected]) -> list[Expected]:
    """The expectations that Great Expectations runs, ready for it."""
    return [_bound(run, connection, one) for one in expected if one.type]


def _bound(run: Run, connection: sa.Connection, expected: Expected) -> Expected:
    checked = run.tables.canonical[expected.entity]
    if expected.rule == VOLUME:
        published = connection.execute(
            sa.select(sa.func.count()).select_from(run.tables.conformed[expected.entity])
        ).scalar_one()
        return replace(expected, arguments=volume_bounds(published, float(expected.arguments["max_drift"])))
    if expected.rule == "ref":
        query = dangling(checked, run.tables.canonical[expected.arguments["to"]], expected.field)
        return replace(expected, arguments={_QUERY: str(query.compile(dialect=connection.dialect))})
    if expected.type == ROWS_QUERY and isinstance(expected.arguments.get(_QUERY), str):
        # Great Expectations would put the table's name unquoted, and `order` is a good name for an entity.
        name = connection.dialect.identifier_preparer.format_table(checked)
        return replace(
            expected, arguments={**expected.arguments, _QUERY: expected.arguments[_QUERY].replace("{batch}", name)}
        )
    return expected


def volume_bounds(published: int, max_drift: float) -> dict[str, int | None]:
    """Row counts that are no drift; anything before the first publication."""
    if not published:
        return {"min_value": 0, "max_value": None}
    low, high = math.floor(published * (1 - max_drift)), math.ceil(published * (1 + max_drift))
    return {"min_value": max(low, 0), "max_value": high}


def dangling(checked: sa.Table, target: sa.Table, field: str) -> sa.Select[str]:
    """One row per checked row whose reference has no live target (canonical rows are live entities)."""
    row, live = checked.alias("checked"), target.alias("live")
    found = sa.exists().where(live.c.entity_id == row.c[field])
    return sa.select(row.c.entity_id).where(row.c[field].is_not(None), ~found)
