"""Masked views: every table that a role reads without being trusted with personal values, under its own name.

Belongs here: the selects, and who they run as. Does not: which columns are which (`holding`), nor making them (`plan`).

A table in which every column is either shown or not (`contact`, its history) is read with the reader's own rights:
the view names only columns that he may read anyway, and the table's row-level policies are his. A table in which it
depends on the row (`change`, `conflict`) is read with the rights of the role `masks`, which owns nothing else: the
table's policies hold for that role, and as long as none admits it, its views are empty. `security_barrier` keeps
conditions of the reader behind the mask. What is masked is null.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Dialect

from sor_pipeline.access.holding import (
    READ,
    Held,
    Holds,
    held,
    mixed,
    open_fields,
    open_sources,
    open_systems,
    references,
)
from sor_pipeline.access.roles import MASKED
from sor_pipeline.engine.base import Expression, Rows
from sor_pipeline.ownership.document import Ownership
from sor_pipeline.tables import Tables

_PERSON = "steward"
"""Stands for a system where a person decided: the key beside it is the number of the override."""
_AT = "@"
"""A key that holds it is taken for an e-mail address, whatever the document says of its column."""


@dataclass(frozen=True)
class Mask:
    """One view. `lent`: it runs with the rights of `masks`, else with its reader's. `select` is compiled."""

    schema: str
    name: str
    select: str
    lent: bool

    @property
    def digest(self) -> str:
        """Another one, another view."""
        return hashlib.sha256(f"{self.lent}{self.select}".encode()).hexdigest()[:16]


def masks(tables: Tables, dialect: Dialect) -> list[Mask]:
    """A view per table of the readable schemas that holds anything masked or hidden; for `conformed` one per table."""
    made = []
    for table in tables.metadata.sorted_tables:
        columns = held(tables, table)
        plain = all(one.holds is Holds.plain for one in columns.values())
        if table.schema not in READ or table.schema == "audit" or (plain and table.schema != "conformed"):
            continue
        select = _masked(tables.ownership, table, columns)
        text = str(select.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
        made.append(Mask(f"{table.schema}{MASKED}", table.name, text, mixed(columns)))
    return made


def _masked(ownership: Ownership, table: sa.Table, columns: dict[str, Held]) -> Rows:
    return sa.select(*(_cell(ownership, table, name, one).label(name) for name, one in columns.items()))


def _cell(ownership: Ownership, table: sa.Table, name: str, one: Held) -> Expression:
    column = table.c[name]
    nothing = sa.cast(sa.null(), column.type)
    if one.holds is Holds.plain:
        return column
    if one.holds is Holds.hidden:
        return nothing
    shown = (
        _shown_key(ownership, table, one.by, column)
        if one.holds is Holds.key
        else _shown_value(ownership, table, column)
    )
    return sa.case((shown, column), else_=nothing)


def _shown_key(ownership: Ownership, table: sa.Table, by: str, column: Expression) -> sa.ColumnElement[bool]:
    shown = [*open_systems(ownership), _PERSON] if by.endswith("_system") else open_sources(ownership)
    return sa.and_(_among(table.c[by], shown), sa.func.strpos(column, _AT) == 0)


def _shown_value(ownership: Ownership, table: sa.Table, column: Expression) -> sa.ColumnElement[bool]:
    """By the row's field; the text of a reference is a key."""
    named, address = references(ownership), sa.func.strpos(column, _AT) > 0
    by_entity = (
        sa.and_(
            table.c.entity == entity,
            _among(table.c.field, fields),
            sa.not_(sa.and_(_among(table.c.field, named[entity]), address)),
        )
        for entity, fields in open_fields(ownership).items()
    )
    return sa.or_(sa.false(), *by_entity)


def _among(column: Expression, names: list[str]) -> sa.ColumnElement[bool]:
    return sa.or_(sa.false(), *(column == name for name in names))
