"""Versions: what was published of each entity, from when to when.

Belongs here: ending and beginning versions. Does not: single cells (`changes`).
"""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from sor_pipeline.publish.difference import VERSIONS
from sor_pipeline.tables import Tables


def write_history(
    connection: sa.Connection, tables: Tables, entity: str, rows: sa.Table, number: int, at: datetime
) -> None:
    """End the current version of entities that changed or retired; begin one for those that are (again) there."""
    table, ident = tables.history[entity], f"{entity}_id"
    ended = sa.select(rows.c.entity_id).where(rows.c._kind.in_(("changed", "retired")))
    connection.execute(
        sa.update(table)
        .where(table.c.to_publication.is_(None), table.c[ident].in_(ended))
        .values(to_publication=number, valid_to=at)
    )
    fields = list(tables.ownership.entities[entity].fields)
    begun = sa.select(
        rows.c.entity_id,
        sa.literal(number, sa.BigInteger),
        sa.literal(at, sa.DateTime),
        *(rows.c[name] for name in fields),
    ).where(rows.c._kind.in_(VERSIONS))
    connection.execute(sa.insert(table).from_select([ident, "from_publication", "valid_from", *fields], begun))
