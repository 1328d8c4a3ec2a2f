"""What holds: one row per entity, every cell decided by its rule, with lineage.

Belongs here: joining the systems' words and reading the deciding one. Layer by layer, so that a
condition sees the canonical values of the fields it names. Does not: the rules (`verdicts`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

import sqlalchemy as sa

from sor_pipeline.engine.base import Expression, Rows
from sor_pipeline.ownership.summary import RULE
from sor_pipeline.resolve.claims import affected_ids
from sor_pipeline.resolve.overrides import Overrides, lineage, speaks, wanted
from sor_pipeline.resolve.units import Unit, levels
from sor_pipeline.resolve.verdicts import Verdicts, word
from sor_pipeline.resolve.words import sources_of
from sor_pipeline.tables import Tables, stored_type


def cells(
    tables: Tables,
    entity: str,
    units: tuple[Unit, ...],
    words: Mapping[str, sa.FromClause],
    gathered: Mapping[str, sa.FromClause],
    now: datetime,
    *,
    everybody: bool = False,
    people: Overrides | None = None,
) -> Rows:
    """Grain: one affected live entity; key entity_id; columns as in `canonical.<entity>`.

    `words` holds each system's `words`; `gathered` the rows of each `take: all` field; `people` what people say.
    """
    prefixes = {system: f"_{number}_" for number, system in enumerate(words)}
    rows: sa.FromClause = _joined(_alive(tables, entity, everybody), words, prefixes, gathered, people)
    decided: dict[str, Verdicts] = {}
    for layer in levels(units):
        columns: list[Expression] = []
        for unit in layer:
            says = {system: word(rows, prefix, system, unit) for system, prefix in prefixes.items()}
            verdicts = Verdicts(unit, says, {name: rows.c[name] for name in unit.reads}, now)
            decided[unit.name] = verdicts
            columns.append(verdicts.case.label(f"{unit.fields[0]}__verdict"))
        rows = sa.select(*_passed(rows), *columns).subquery()
        values = [
            column
            for unit in layer
            for name in unit.fields
            for column in _decided(tables, entity, rows, decided[unit.name], name, prefixes)
        ]
        rows = sa.select(*_passed(rows), *values).subquery()
    return _with_lineage(tables, entity, units, rows, decided, prefixes)


def _passed(rows: sa.FromClause) -> list[Expression]:
    return list(rows.columns)


def _alive(tables: Tables, entity: str, everybody: bool) -> sa.FromClause:
    """Grain: one affected live entity."""
    known = tables.id
    living = sa.select(known.c.entity_id).where(known.c.entity == entity, known.c.retired.is_(None))
    return (living if everybody else living.where(known.c.entity_id.in_(affected_ids(tables, entity)))).subquery(
        "alive"
    )


def _joined(
    alive: sa.FromClause,
    words: Mapping[str, sa.FromClause],
    prefixes: Mapping[str, str],
    gathered: Mapping[str, sa.FromClause],
    people: Overrides | None,
) -> sa.FromClause:
    """Grain: one affected live entity, beside it each system's words, and people's."""
    origin: sa.FromClause = alive
    columns: list[Expression] = [alive.c.entity_id]
    for system, said in words.items():
        origin = origin.outerjoin(said, said.c.entity_id == alive.c.entity_id)
        columns += [
            column.label(f"{prefixes[system]}{column.name}") for column in said.columns if column.name != "entity_id"
        ]
    for name, all_values in gathered.items():
        origin = origin.outerjoin(all_values, all_values.c.entity_id == alive.c.entity_id)
        columns += [all_values.c.gathered.label(f"{name}__all"), all_values.c.since.label(f"{name}__all_since")]
    if people is not None:
        origin = origin.outerjoin(people.wide, people.wide.c.entity_id == alive.c.entity_id)
        columns += people.columns()
    return sa.select(*columns).select_from(origin).subquery("joined")


def _pick(rows: sa.FromClause, verdicts: Verdicts, prefixes: Mapping[str, str], column: str) -> Expression:
    """The deciding system's `column`."""
    return _of_deciding(rows, verdicts, lambda system: rows.c[f"{prefixes[system]}{column}"])


def _place(
    tables: Tables, entity: str, rows: sa.FromClause, verdicts: Verdicts, prefixes: Mapping[str, str], part: str
) -> Expression:
    """`source` or `key` of the deciding record: the unit's, or the only one of the system where none is crowded."""

    def of(system: str) -> Expression:
        names = (f"{prefixes[system]}{verdicts.unit.fields[0]}__{part}", f"{prefixes[system]}_{part}")
        carried = [rows.c[name] for name in names if name in rows.c]
        return carried[0] if carried else sa.literal(sources_of(tables, entity, system)[0], sa.Text)

    return _of_deciding(rows, verdicts, of)


def _of_deciding(rows: sa.FromClause, verdicts: Verdicts, of: Callable[[str], Expression]) -> Expression:
    """What `of` says of the deciding system; null where nobody decided."""
    verdict = rows.c[f"{verdicts.unit.fields[0]}__verdict"]
    by_system: dict[str, list[int]] = {}
    for way in verdicts.known.values():
        by_system.setdefault(way.system, []).append(way.code)
    whens = [(verdict.in_(codes), of(system)) for system, codes in by_system.items()]
    return sa.case(*whens) if whens else sa.null()


def _decided(
    tables: Tables, entity: str, rows: sa.FromClause, verdicts: Verdicts, name: str, prefixes: Mapping[str, str]
) -> list[Expression]:
    """The cell's value; where an override could speak, also whether it does (`<name>__spoke`)."""
    field = tables.ownership.entities[entity].fields[name]
    gathered = f"{name}__all" in rows.c
    ruled = rows.c[f"{name}__all"] if gathered else _pick(rows, verdicts, prefixes, name)
    rule = ruled if gathered else rows.c[f"{verdicts.unit.fields[0]}__verdict"]
    spoke = speaks(rows, name, field, ruled, rule)
    if spoke is None:
        return [ruled.label(name)]
    return [sa.case((spoke, wanted(rows, name, field)), else_=ruled).label(name), spoke.label(f"{name}__spoke")]


def _with_lineage(
    tables: Tables,
    entity: str,
    units: tuple[Unit, ...],
    rows: sa.FromClause,
    decided: Mapping[str, Verdicts],
    prefixes: Mapping[str, str],
) -> Rows:
    columns: list[Expression] = [rows.c.entity_id]
    for unit in units:
        verdicts, handle = decided[unit.name], unit.fields[0]
        verdict = rows.c[f"{handle}__verdict"]
        ways = verdicts.known.values()
        system = (
            sa.case(*((verdict == way.code, sa.literal(way.system, sa.Text)) for way in ways)) if ways else sa.null()
        )
        rule = sa.case(*((verdict == way.code, sa.literal(way.rule, sa.Text)) for way in ways)) if ways else sa.null()
        source, key = (_place(tables, entity, rows, verdicts, prefixes, part) for part in ("source", "key"))
        for name in unit.fields:
            field = tables.ownership.entities[entity].fields[name]
            gathered = f"{name}__all" in rows.c
            told_by = RULE if field.summary else "take"
            taken = sa.case((rows.c[f"{name}__all"].is_not(None), told_by)) if gathered else rule
            since = rows.c[f"{name}__all_since"] if gathered else _pick(rows, verdicts, prefixes, f"{name}__since")
            cell = {
                name: (rows.c[name], stored_type(field)),
                f"{name}__system": (system, sa.Text()),
                f"{name}__source": (source, sa.Text()),
                f"{name}__key": (key, sa.Text()),
                f"{name}__rule": (taken, sa.Text()),
                f"{name}__since": (since, sa.DateTime()),
            }
            if field.kind.folds:
                folded = sa.func.lower(rows.c[name]) if gathered else _pick(rows, verdicts, prefixes, f"{name}__cmp")
                cell[f"{name}__cmp"] = (folded, sa.Text())
            told = lineage(rows, name, cell)
            columns += [sa.cast(value, kind).label(label) for label, (value, kind) in told.items()]
    return sa.select(*columns)
