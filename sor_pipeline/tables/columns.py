"""Kinds of columns, and what every table has.

Belongs here: column types and the grain. Does not: any table.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from sor_pipeline.ownership.document import Ownership
from sor_pipeline.ownership.entity import Field
from sor_pipeline.ownership.fieldtypes import Stored


class Drawing:
    """Tables being drawn into one `MetaData` from one ownership document."""

    def __init__(self, ownership: Ownership) -> None:
        self.metadata = sa.MetaData()
        self.ownership = ownership

    def _table(self, schema: str, name: str, comment: str, *columns: sa.Column[Any]) -> sa.Table:
        return sa.Table(name, self.metadata, *columns, schema=schema, comment=comment)

    def _fields(self, entity: str) -> dict[str, Field]:
        return self.ownership.entities[entity].fields


def stored_type(field: Field) -> sa.types.TypeEngine[Any]:
    """The column type of a field's value."""
    types: dict[Stored, sa.types.TypeEngine[Any]] = {
        Stored.text: sa.Text(),
        Stored.decimal: sa.Numeric(18, field.scale),
        Stored.integer: sa.BigInteger(),
        Stored.boolean: sa.Boolean(),
        Stored.date: sa.Date(),
        Stored.timestamp: sa.DateTime(),
    }
    return types[field.kind.stored]


def text(name: str, comment: str | None = None) -> sa.Column[Any]:
    return sa.Column(name, sa.Text, comment=comment)


def key(name: str, comment: str | None = None, *, long: bool = False) -> sa.Column[Any]:
    """Part of the grain. Not a PRIMARY KEY: on DuckDB its index makes merges slow; a test holds uniqueness.

    `long`: may hold texts that no index of a server takes (from some 2,700 bytes on).
    """
    return sa.Column(name, sa.Text, nullable=False, comment=comment, info={"key": True, "long": long})


def key_count(name: str, comment: str | None = None) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger, nullable=False, comment=comment, info={"key": True})


def time(name: str, comment: str | None = None) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime, comment=comment)


def count(name: str, comment: str | None = None) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger, comment=comment)


def grain(table: sa.Table) -> tuple[sa.Column[Any], ...]:
    """The columns that name a row."""
    return tuple(column for column in table.columns if column.info.get("key"))
