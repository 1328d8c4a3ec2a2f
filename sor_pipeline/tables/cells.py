"""The columns of one field: a claim in a staged table, a cell in a canonical one.

Belongs here: how a field's columns are called. Does not: whole tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import sqlalchemy as sa

from sor_pipeline.engine.base import Expression

NO_FIELD = ""
"""Stands for "the whole row" where a field is part of a key."""


class ClaimState(IntEnum):
    """What a record says about a field."""

    never = 0
    value = 1
    cleared = 2
    placeholder = 3


@dataclass(frozen=True)
class Claim:
    """The columns of one field in `staged.<source>`; `compare` is `value` where the type does not fold.

    `raw` (the delivered text) is kept only for fields to which corrections may be written.
    """

    value: Expression
    compare: Expression
    state: Expression
    since: Expression
    raw: Expression | None


@dataclass(frozen=True)
class Cell:
    """The columns of one field in `canonical.<entity>`: value and lineage."""

    value: Expression
    compare: Expression
    system: Expression
    source: Expression
    key: Expression
    rule: Expression
    since: Expression


def claim(selectable: sa.FromClause, field: str) -> Claim:
    """The claim columns of `field` in a staged table or in a select shaped like one."""
    columns = selectable.c
    return Claim(
        value=columns[field],
        compare=columns.get(f"{field}__cmp", columns[field]),
        state=columns[f"{field}__state"],
        since=columns[f"{field}__since"],
        raw=columns.get(f"{field}__raw"),
    )


def cell(selectable: sa.FromClause, field: str) -> Cell:
    """The cell columns of `field` in a canonical table or in a select shaped like one."""
    columns = selectable.c
    return Cell(
        value=columns[field],
        compare=columns.get(f"{field}__cmp", columns[field]),
        system=columns[f"{field}__system"],
        source=columns[f"{field}__source"],
        key=columns[f"{field}__key"],
        rule=columns[f"{field}__rule"],
        since=columns[f"{field}__since"],
    )


def link_column(column: str) -> str:
    """Where stage keeps the text of a source column that links to another record."""
    return f"_link__{column}"


def staged_name(source: str) -> str:
    """`hubspot.contacts` is staged in `staged.hubspot__contacts`."""
    return source.replace(".", "__")
