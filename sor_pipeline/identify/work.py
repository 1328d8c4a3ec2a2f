"""What the nouns of this step are given: the run, its connection, the entity.

Belongs here: nothing but hands. Does not: any select.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from sor_pipeline.ownership.entity import Entity
from sor_pipeline.run import Run
from sor_pipeline.tables import Tables


@dataclass(frozen=True)
class Work:
    """One entity's identification in one transaction; `pending` is the publication that its changes await."""

    run: Run
    connection: sa.Connection
    entity: str
    pending: int

    @property
    def tables(self) -> Tables:
        return self.run.tables

    @property
    def spec(self) -> Entity:
        return self.run.ownership.entities[self.entity]

    @property
    def identity(self) -> sa.Table:
        return self.tables.identity[self.entity]

    @property
    def token(self) -> sa.Table:
        return self.tables.token[self.entity]

    def keep(self, name: str, select: sa.Select[object] | sa.CompoundSelect[object]) -> sa.Table:
        """The select's rows, for as long as the transaction lasts."""
        return self.run.engine.materialise(self.connection, f"identify_{name}", select)

    def put(self, target: sa.Table, rows: sa.FromClause, *on: str) -> int:
        return self.run.engine.replace(self.connection, target, rows, on)

    def any(self, rows: sa.Select[Any]) -> bool:
        """Whether the select has a row: cheaper than making a table of none."""
        return self.connection.execute(rows.limit(1)).first() is not None

    def count(self, rows: sa.FromClause) -> int:
        return int(self.connection.execute(sa.select(sa.func.count()).select_from(rows)).scalar_one())


def same_record(left: sa.FromClause, right: sa.FromClause) -> sa.ColumnElement[bool]:
    return sa.and_(left.c.source == right.c.source, left.c.source_key == right.c.source_key)


def same_token(left: sa.FromClause, right: sa.FromClause) -> sa.ColumnElement[bool]:
    return sa.and_(left.c.rule == right.c.rule, left.c.token == right.c.token)


def own_token(source: sa.ColumnElement[str], key: sa.ColumnElement[str]) -> sa.ColumnElement[str]:
    """What a record is called by those who hold its key."""
    return source + sa.literal(":", sa.Text) + key
