"""The rights that the roles are to have on what is there, and the masked views.

Belongs here: roles, schemas and columns put together. Does not: what they have now (`present`), nor statements
(`plan`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum

from sor_pipeline.access.holding import READ, Holds, held
from sor_pipeline.access.masks import Mask
from sor_pipeline.access.roles import MASKED, MASKS, PUBLISHER, ROLES, How, Role
from sor_pipeline.tables import MARTS, Tables

Place = tuple[str, ...]
"""`(schema,)`, `(schema, table)` or `(schema, table, column)`; `(database,)` for a right on it."""
Columns = Mapping[tuple[str, str], tuple[str, ...]]
"""(schema, table) and its columns, as the catalogue has them."""
ROWS = ("SELECT", "INSERT", "UPDATE", "DELETE")


class Kind(IntEnum):
    """What a right is about, in the order in which they are given."""

    role = 0
    member = 1
    database = 2
    schema = 3
    owner = 4
    table = 5
    column = 6
    later = 7


@dataclass(frozen=True, order=True)
class Right:
    """One right of one role (prefixed, or PUBLIC). `later`: on tables that the publisher will make in a schema."""

    kind: Kind
    place: Place
    role: str
    word: str = ""


@dataclass(frozen=True)
class Wanted:
    rights: frozenset[Right]
    masks: tuple[Mask, ...]


def wanted(
    tables: Tables, there: Columns, masks: list[Mask], marts: Mapping[str, tuple[str, ...]], database: str, prefix: str
) -> Wanted:
    """All rights on the tables that are `there`; `marts`: table and its columns that are declared not personal."""
    present = [mask for mask in masks if (mask.schema.removesuffix(MASKED), mask.name) in there]
    plain = _plain(tables, there) | {(MARTS, table): columns for table, columns in marts.items()}
    schemas = {schema for schema, _ in there}
    rights: set[Right] = set()
    for role in ROLES:
        rights |= set(_of_role(role, there, plain, schemas, database, prefix))
    readers = {schema: [f"{prefix}{role.name}" for role in ROLES if _looks(role, schema)] for schema in READ}
    for mask in present:
        rights |= set(_of_mask(mask, readers[mask.schema.removesuffix(MASKED)], tables, there, prefix))
    return Wanted(frozenset(rights), tuple(present))


def _looks(role: Role, schema: str) -> bool:
    return (schema, How.plain) in role.reach


def _plain(tables: Tables, there: Columns) -> dict[tuple[str, str], tuple[str, ...]]:
    """The columns that hold nothing personal in any row."""
    answer = {}
    for table in tables.metadata.sorted_tables:
        where = (str(table.schema), table.name)
        if where[0] in READ and where in there:
            columns = held(tables, table)
            shown = (name for name, one in columns.items() if one.holds is Holds.plain)
            answer[where] = tuple(name for name in shown if name in there[where])
    return answer


def _of_role(
    role: Role, there: Columns, plain: Columns, schemas: set[str], database: str, prefix: str
) -> Iterator[Right]:
    name = f"{prefix}{role.name}"
    yield Right(Kind.role, (), name)
    for other in role.within:
        yield Right(Kind.member, (f"{prefix}{other}",), name)
    for word in role.database:
        yield Right(Kind.database, (database,), name, word)
    for place, how in role.reach:
        schema, _, only = place.partition(".")
        if schema in schemas:
            yield from _reached(name, how, schema, [w for w in there if w[0] == schema and only in ("", w[1])], plain)
        if schema in schemas and how in (How.work, How.whole) and not only:
            yield from (Right(Kind.later, (schema,), name, word) for word in _words(how))


def _reached(role: str, how: How, schema: str, tables: list[tuple[str, str]], plain: Columns) -> Iterator[Right]:
    """One schema's rights; how far `masks` reads into it, its views say (`_of_mask`)."""
    if how is How.own:
        yield from (Right(Kind.owner, place, role) for place in [(schema,), *tables])
        return
    yield Right(Kind.schema, (schema,), role, "USAGE")
    for where in tables:
        if how is How.plain:
            shown = plain.get(where, ())
            yield from (Right(Kind.column, (*where, column), role, "SELECT") for column in shown)
        elif how is not How.enter:
            yield from (Right(Kind.table, where, role, word) for word in _words(how))


def _words(how: How) -> tuple[str, ...]:
    return ROWS if how is How.work else ("SELECT",)


def _of_mask(mask: Mask, readers: list[str], tables: Tables, there: Columns, prefix: str) -> Iterator[Right]:
    """The view's owner, what that owner must read for it, and its readers."""
    publisher, masks, where = f"{prefix}{PUBLISHER}", f"{prefix}{MASKS}", (mask.schema, mask.name)
    yield Right(Kind.owner, (mask.schema,), publisher)
    yield Right(Kind.owner, where, masks if mask.lent else publisher)
    if mask.lent:
        yield Right(Kind.schema, (mask.schema,), masks, "CREATE")
        yield Right(Kind.schema, (mask.schema,), masks, "USAGE")
        base = (mask.schema.removesuffix(MASKED), mask.name)
        columns = held(tables, tables.metadata.tables[".".join(base)])
        for name, one in columns.items():
            if one.holds is not Holds.hidden and name in there[base]:
                yield Right(Kind.column, (*base, name), masks, "SELECT")
    for reader in readers:
        yield Right(Kind.schema, (mask.schema,), reader, "USAGE")
        yield Right(Kind.table, where, reader, "SELECT")
