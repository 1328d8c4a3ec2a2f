"""What each system says: of its several records of one entity, the first that says something.

Belongs here: the choice between records of one system (newest `changed_at` first, then smallest
source key; a group in lock-step). Does not: the choice between systems (`cells`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from sor_pipeline.engine.base import Expression, Rows, Union
from sor_pipeline.ownership.document import system_of
from sor_pipeline.resolve.units import Unit
from sor_pipeline.tables import ClaimState, Tables, stored_type

SPEAKS = (int(ClaimState.value), int(ClaimState.cleared))
_BEHIND = 1_000_000_000
"""More than one entity has records."""


def sources_of(tables: Tables, entity: str, system: str) -> list[str]:
    """The system's sources of the entity, in the document's order."""
    return [name for name in tables.ownership.sources_of(entity) if system_of(name) == system]


def crowded(tables: Tables, entity: str, system: str, identity: sa.FromClause) -> Rows:
    """Grain: one affected entity of which the system has more than one record (live or not); `identity`: `records`."""
    return (
        sa.select(identity.c.entity_id)
        .where(identity.c.source.in_(sources_of(tables, entity, system)))
        .group_by(identity.c.entity_id)
        .having(sa.func.count() > 1)
    )


def words(
    tables: Tables,
    entity: str,
    system: str,
    units: Sequence[Unit],
    several: sa.FromClause | None,
    said: Mapping[str, sa.FromClause],
) -> Rows | Union:
    """Grain: one affected entity of which the system has a live record; key entity_id.

    Per field value, `__cmp`, `__state`, `__since` and per unit, under its first field's name,
    `__speaks`, `__source`, `__key` of the record that speaks. `several` holds `crowded` ids; None
    where no entity is crowded: then one `_key`, and `_source` if the system has several, stand for
    all units, and the states say who speaks. `said` holds each source's `claims`.
    """
    stack = _stack(tables, entity, system, said)
    if several is None:
        return _plainly(tables, entity, system, stack.subquery("alone"))
    alone = stack.where(sa.not_(_has_several(stack, several))).subquery("alone")
    among = stack.where(_has_several(stack, several)).subquery("among")
    return sa.union_all(_only_record(alone, units), _first_to_speak(among, units))


def _has_several(stack: Rows, several: sa.FromClause) -> sa.ColumnElement[bool]:
    return stack.selected_columns.entity_id.in_(sa.select(several.c.entity_id))


def _stack(tables: Tables, entity: str, system: str, claimed: Mapping[str, sa.FromClause]) -> Rows:
    """The claims of all sources of the system under one header; a field that a source lacks is never set."""
    fields = tables.ownership.entities[entity].fields
    parts = []
    for source in sources_of(tables, entity, system):
        said = claimed[source]
        columns: list[Expression] = [said.c[name] for name in ("entity_id", "_source", "_key", "_changed_at")]
        for name, field in fields.items():
            shapes: list[tuple[str, sa.types.TypeEngine[Any]]] = [(name, stored_type(field))]
            shapes += [(f"{name}__cmp", sa.Text())] if field.kind.folds else []
            shapes += [(f"{name}__state", sa.SmallInteger()), (f"{name}__since", sa.DateTime())]
            echoed = any(f"{name}__echo" in claimed[other].c for other in sources_of(tables, entity, system))
            shapes += [(f"{name}__echo", sa.Boolean())] if echoed else []
            for column, kind in shapes:
                blank = int(ClaimState.never) if column == f"{name}__state" else None
                columns.append(said.c[column] if column in said.c else sa.cast(blank, kind).label(column))
        parts.append(sa.select(*columns))
    united = sa.union_all(*parts).subquery("stack") if len(parts) > 1 else parts[0].subquery("stack")
    return sa.select(united)


def _speaks(rows: sa.FromClause, unit: Unit) -> sa.ColumnElement[bool]:
    return sa.or_(*(rows.c[f"{name}__state"].in_(SPEAKS) for name in unit.fields))


def _value_columns(rows: sa.FromClause, name: str) -> list[str]:
    optional = [column for column in (f"{name}__cmp", f"{name}__echo") if column in rows.c]
    return [name, *optional, f"{name}__state", f"{name}__since"]


def only_echoes(rows: sa.FromClause, unit: Unit, prefix: str = "") -> sa.ColumnElement[bool] | None:
    """Whether all that the record says about the unit is our own writing; None where none of it can be."""
    if not any(f"{prefix}{name}__echo" in rows.c for name in unit.fields):
        return None
    own = []
    for name in unit.fields:
        speaks, echo = rows.c[f"{prefix}{name}__state"].in_(SPEAKS), rows.c.get(f"{prefix}{name}__echo", sa.false())
        own.append(sa.and_(sa.func.coalesce(speaks, sa.false()), sa.not_(sa.func.coalesce(echo, sa.false()))))
    some = sa.or_(*(rows.c[f"{prefix}{name}__state"].in_(SPEAKS) for name in unit.fields))
    return sa.and_(sa.func.coalesce(some, sa.false()), sa.not_(sa.or_(*own)))


def _plainly(tables: Tables, entity: str, system: str, alone: sa.FromClause) -> Rows:
    """As `_only_record`, without what can be said after the join: a join costs what it carries."""
    names = ["_source"] if len(sources_of(tables, entity, system)) > 1 else []
    names += [column for name in tables.ownership.entities[entity].fields for column in _value_columns(alone, name)]
    return sa.select(*(alone.c[name] for name in ("entity_id", "_key", *names)))


def _only_record(alone: sa.FromClause, units: Sequence[Unit]) -> Rows:
    columns: list[Expression] = [alone.c.entity_id]
    for unit in units:
        handle = unit.fields[0]
        columns += [
            _speaks(alone, unit).label(f"{handle}__speaks"),
            alone.c._source.label(f"{handle}__source"),
            alone.c._key.label(f"{handle}__key"),
        ]
        columns += [alone.c[column] for name in unit.fields for column in _value_columns(alone, name)]
    return sa.select(*columns)


def _first_to_speak(among: sa.FromClause, units: Sequence[Unit]) -> Rows:
    """Two passes: number the records of each entity, then take per unit the smallest number that speaks.

    Our own writing read back speaks only where no record has a word of its own.
    """
    order = sa.func.row_number().over(
        partition_by=among.c.entity_id,
        order_by=(among.c._changed_at.desc().nulls_last(), among.c._key, among.c._source),
    )
    ranked = sa.select(among, order.label("_rank")).subquery("ranked")
    places = {unit.fields[0]: _place(ranked, unit) for unit in units}
    first = {
        unit.fields[0]: sa.func.min(sa.case((_speaks(ranked, unit), places[unit.fields[0]]))).over(
            partition_by=ranked.c.entity_id
        )
        for unit in units
    }
    moved = [place.label(f"{handle}__place") for handle, place in places.items() if place is not ranked.c._rank]
    chosen = sa.select(
        ranked, *moved, *(first[unit.fields[0]].label(f"{unit.fields[0]}__first") for unit in units)
    ).subquery("chosen")

    def taken(handle: str, column: str, label: str) -> Expression:
        place = chosen.c.get(f"{handle}__place", chosen.c._rank)
        at_first = place == sa.func.coalesce(chosen.c[f"{handle}__first"], 1)
        one = sa.func.bool_or if isinstance(chosen.c[column].type, sa.Boolean) else sa.func.max
        return one(sa.case((at_first, chosen.c[column]))).label(label)

    columns: list[Expression] = [chosen.c.entity_id]
    for unit in units:
        handle = unit.fields[0]
        columns.append(sa.func.bool_or(chosen.c[f"{handle}__first"].is_not(None)).label(f"{handle}__speaks"))
        columns += [taken(handle, "_source", f"{handle}__source"), taken(handle, "_key", f"{handle}__key")]
        columns += [taken(handle, column, column) for name in unit.fields for column in _value_columns(ranked, name)]
    return sa.select(*columns).group_by(chosen.c.entity_id)


def _place(ranked: sa.FromClause, unit: Unit) -> Expression:
    """The record's number; behind all that have a word of their own where it only repeats ours."""
    echo = only_echoes(ranked, unit)
    return ranked.c._rank if echo is None else ranked.c._rank + sa.case((echo, _BEHIND), else_=0)
