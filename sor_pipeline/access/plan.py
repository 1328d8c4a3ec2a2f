"""From rights that are missing and rights that are too many to statements, in the order in which they can be given.

Belongs here: grouping, order, and the comment above each group. Does not: running them (`grants`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from sqlalchemy.engine import Dialect

from sor_pipeline.access.masks import Mask
from sor_pipeline.access.roles import MASKED, PUBLISHER, ROLES
from sor_pipeline.access.wanted import Kind, Right
from sor_pipeline.engine import rights_quoting as quoting

_TITLES = {
    Kind.role: "roles: nobody logs in with them; put people and tools in",
    Kind.member: "roles within roles",
    Kind.database: "the database",
    Kind.schema: "schemas",
    Kind.owner: "who owns what: to alter a table is its owner's alone",
    Kind.table: "tables",
    Kind.column: "columns that hold no personal value",
    Kind.later: "tables that later runs make",
}


@dataclass(frozen=True)
class Statement:
    """One statement and the heading under which it stands."""

    heading: str
    text: str


def taken(dialect: Dialect, excess: Iterable[Right], prefix: str) -> Iterator[Statement]:
    """REVOKE what is not in the description; an owner is not taken away but given to another (`given`)."""
    publisher = f"{prefix}{PUBLISHER}"
    for kind, place, role, words, columns in _grouped(excess):
        heading = "not in the description: taken away"
        if kind is Kind.member:
            yield Statement(heading, quoting.member(dialect, place[0], role, give=False))
        elif kind is Kind.later:
            yield Statement(heading, quoting.by_default(dialect, words, publisher, place[0], role, give=False))
        elif kind in (Kind.database, Kind.schema, Kind.table, Kind.column):
            yield Statement(heading, quoting.right(dialect, words, _spelled(kind), place, role, columns, give=False))


def given(dialect: Dialect, missing: Iterable[Right], masks: Iterable[Mask], prefix: str) -> Iterator[Statement]:
    """What makes the description true; views are made before anybody is given them."""
    rights = list(missing)
    before = [right for right in rights if right.kind <= Kind.database]
    yield from _give(dialect, before, prefix)
    yield from masked(dialect, masks, prefix)
    yield from _give(dialect, [right for right in rights if right.kind > Kind.database], prefix)


def masked(dialect: Dialect, masks: Iterable[Mask], prefix: str) -> Iterator[Statement]:
    """The views, each noted with what it was made from."""
    heading = "masked views: what is personal is null"
    for schema in sorted({mask.schema for mask in masks}):
        yield Statement(heading, quoting.schema(dialect, schema))
    for mask in masks:
        place = (mask.schema, mask.name)
        yield Statement(heading, quoting.no_view(dialect, place))
        yield Statement(heading, quoting.view(dialect, place, mask.select, invoker=not mask.lent))
        whose = f"as the role {prefix}masks" if mask.lent else "with its reader's rights"
        base = f"{mask.schema.removesuffix(MASKED)}.{mask.name}"
        words = f"{base} without personal values, read {whose} [sor grants {mask.digest}]"
        yield Statement(heading, quoting.noted(dialect, "VIEW", place, words))


def _give(dialect: Dialect, rights: Iterable[Right], prefix: str) -> Iterator[Statement]:
    publisher = f"{prefix}{PUBLISHER}"
    purpose = {f"{prefix}{role.name}": role.words for role in ROLES}
    for kind, place, role, words, columns in _grouped(rights):
        heading = _TITLES[kind]
        if kind is Kind.role:
            yield Statement(f"{role}: {purpose.get(role, '')}", quoting.role(dialect, role))
        elif kind is Kind.member:
            yield Statement(heading, quoting.member(dialect, place[0], role, give=True))
        elif kind is Kind.owner:
            yield Statement(heading, quoting.owner(dialect, "SCHEMA" if len(place) == 1 else "TABLE", place, role))
        elif kind is Kind.later:
            yield Statement(heading, quoting.by_default(dialect, words, publisher, place[0], role, give=True))
        else:
            yield Statement(heading, quoting.right(dialect, words, _spelled(kind), place, role, columns, give=True))


def _grouped(rights: Iterable[Right]) -> Iterator[tuple[Kind, tuple[str, ...], str, list[str], list[str]]]:
    """One entry per statement: columns of one table together, words on one place together."""

    def where(right: Right) -> tuple[Kind, tuple[str, ...], str]:
        return right.kind, right.place[:2] if right.kind is Kind.column else right.place, right.role

    for (kind, place, role), group in groupby(sorted(rights, key=where), key=where):
        same = list(group)
        words = sorted({right.word for right in same if right.word})
        if kind is Kind.column:  # a table's columns may be under different words
            for word in words:
                yield kind, place, role, [word], sorted(right.place[2] for right in same if right.word == word)
        else:
            yield kind, place, role, words, []


def _spelled(kind: Kind) -> str:
    return {Kind.database: "DATABASE", Kind.schema: "SCHEMA"}.get(kind, "TABLE")
