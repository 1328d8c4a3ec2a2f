"""`take: all`: every distinct value that the listed systems give, as one JSON array.

Belongs here: the one rule that no single record decides.
"""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa

from sor_pipeline.engine.base import Rows
from sor_pipeline.resolve.units import Unit
from sor_pipeline.resolve.words import only_echoes
from sor_pipeline.tables import ClaimState


def gathered(unit: Unit, words: Mapping[str, sa.FromClause], *, lists: bool) -> Rows:
    """Grain: one entity for which a listed system has a value; columns entity_id, gathered, since.

    `lists` says that the values are lists themselves: their items are gathered.
    """
    name = unit.fields[0]
    said = sa.union_all(
        *(
            sa.select(
                rows.c.entity_id,
                (_items(rows.c[name]) if lists else sa.cast(sa.func.to_json(rows.c[name]), sa.Text)).label("item"),
                rows.c[f"{name}__since"].label("since"),
            ).where(rows.c[f"{name}__state"] == int(ClaimState.value), *_own(rows, unit))
            for system, rows in words.items()
            if system in unit.rule.among
        )
    ).subquery("said")
    distinct = (
        sa.select(said.c.entity_id, said.c.item, sa.func.max(said.c.since).label("since"))
        .group_by(said.c.entity_id, said.c.item)
        .subquery("distinct_items")
    )
    items = sa.func.aggregate_strings(distinct.c.item, ",").aggregate_order_by(distinct.c.item)
    return sa.select(
        distinct.c.entity_id,
        sa.func.concat("[", items, "]").label("gathered"),
        sa.func.max(distinct.c.since).label("since"),
    ).group_by(distinct.c.entity_id)


def _own(rows: sa.FromClause, unit: Unit) -> list[sa.ColumnElement[bool]]:
    """Our own writing read back is nobody's value."""
    echo = only_echoes(rows, unit)
    return [] if echo is None else [sa.not_(echo)]


def _items(array: sa.ColumnElement[str]) -> sa.ColumnElement[str]:
    """Each item of a JSON array, as JSON."""
    return sa.cast(sa.func.unnest(sa.func.json_extract(array, "$[*]")), sa.Text)
