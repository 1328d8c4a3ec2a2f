"""Rule `decision`: a person's word about one cell, which stands before every other rule.

Belongs here: which overrides speak about which entity, and what a cell is with them. Does not: their ends
(`ending`), adding to the ledger (`steward`).

An override hangs on a record: it follows that record through merges and splits, and rests while the record is
deleted or the field is declared otherwise. Of several about one cell the newest speaks. One that says what the
rules say anyway does not speak.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from sor_pipeline.engine.base import Expression, Rows
from sor_pipeline.ledger import DECISION, overrides_in_force, reads_as
from sor_pipeline.ownership.entity import Field
from sor_pipeline.ownership.stewards import STEWARD
from sor_pipeline.resolve.affected import elsewhere
from sor_pipeline.run import Run
from sor_pipeline.tables import Tables, stored_type

_TOLD = ("number", "field", "value", "compare", "at")


@dataclass(frozen=True)
class Overrides:
    """Those that speak about an entity's cells: one `wide` row per overridden entity, for each of `fields` its
    `__over` (number), `__over_value` (text), `__over_cmp`, `__over_at`."""

    fields: tuple[str, ...]
    wide: sa.FromClause

    def columns(self) -> list[Expression]:
        return [column for column in self.wide.c if column.name != "entity_id"]


def overrides(run: Run, connection: sa.Connection, entity: str) -> Overrides | None:
    """None where no override of the entity is in force."""
    tables, fields = run.tables, _in_question(run.tables, connection, entity)
    if not fields:
        return None
    parts = [_of_source(tables, entity, fields, source) for source in tables.ownership.sources_of(entity)]
    living = sa.union_all(*parts).subquery("living")
    newest = sa.select(living, _rank(living).label("_rank")).subquery("newest")
    ruling = run.engine.materialise(connection, f"override_{entity}", sa.select(newest).where(newest.c._rank == 1))
    wide = run.engine.materialise(connection, f"overrides_{entity}", _wide(ruling, fields))
    return Overrides(fields, wide)


def _in_question(tables: Tables, connection: sa.Connection, entity: str) -> tuple[str, ...]:
    """Fields of which an override is in force, in the document's order."""
    force = overrides_in_force(tables).subquery("force")
    rows = connection.execute(sa.select(force.c.field).where(force.c.entity == entity).distinct())
    named = set(rows.scalars().all())
    return tuple(name for name in tables.ownership.entities[entity].fields if name in named)


def _rank(living: sa.FromClause) -> Expression:
    return sa.func.row_number().over(partition_by=(living.c.entity_id, living.c.field), order_by=living.c.number.desc())


def _of_source(tables: Tables, entity: str, fields: tuple[str, ...], source: str) -> Rows:
    """Grain: one override that hangs on a live record of the source: entity_id and _TOLD; a reference as entity id."""
    spec = tables.ownership.entities[entity].fields
    force = overrides_in_force(tables).subquery("force")
    staged, known = tables.staged[source], tables.identity[entity]
    origin: sa.FromClause = force.join(
        known, sa.and_(known.c.source == force.c.source, known.c.source_key == force.c.source_key)
    ).join(staged, staged.c._key == force.c.source_key)
    value: Expression = force.c.value
    reads = [sa.and_(force.c.field == name, force.c.type == reads_as(spec[name])) for name in fields]
    for name in fields:
        target = spec[name].to
        if target is not None:
            led = referred(tables, target).subquery(f"{name}__led")
            origin = origin.outerjoin(led, sa.and_(force.c.field == name, led.c.record == force.c.value))
            value = sa.case((force.c.field == name, led.c.entity_id), else_=value)
            reads = [sa.and_(one, sa.or_(force.c.field != name, force.c.value.is_(None), led.c.entity_id.is_not(None)))
                     for one in reads]  # fmt: skip
    told = [value.label("value") if name == "value" else force.c[name] for name in _TOLD]
    return (
        sa.select(known.c.entity_id, *told)
        .select_from(origin)
        .where(force.c.entity == entity, force.c.source == source, staged.c._deleted_at.is_(None), sa.or_(*reads))
    )


def referred(tables: Tables, entity: str) -> Rows:
    """Grain: one live record of the entity: `record` (its name <source>:<key>) and entity_id."""
    known = tables.identity[entity]
    parts = [
        sa.select((known.c.source + sa.literal(":", sa.Text) + known.c.source_key).label("record"), known.c.entity_id)
        .join(tables.staged[source], tables.staged[source].c._key == known.c.source_key)
        .where(known.c.source == source, tables.staged[source].c._deleted_at.is_(None))
        for source in tables.ownership.sources_of(entity)
    ]
    united = sa.union_all(*parts).subquery("records")
    return sa.select(united.c.record, united.c.entity_id)


def _wide(ruling: sa.FromClause, fields: tuple[str, ...]) -> Rows:
    """Grain: one entity with an overridden cell."""
    columns: list[Expression] = []
    for name in fields:
        for label, column in (("over", "number"), ("over_value", "value"), ("over_cmp", "compare"), ("over_at", "at")):
            said = sa.case((ruling.c.field == name, ruling.c[column]))
            columns.append(sa.func.max(said, type_=ruling.c[column].type).label(f"{name}__{label}"))
    return sa.select(ruling.c.entity_id, *columns).group_by(ruling.c.entity_id)


def speaks(rows: sa.FromClause, name: str, field: Field, ruled: Expression, rule: Expression) -> Expression | None:
    """Whether an override decides the cell; None where none can. `ruled`: what the rules say, by `rule`."""
    if f"{name}__over" not in rows.c:
        return None
    same = sa.and_(rule.is_not(None), wanted(rows, name, field).is_not_distinct_from(ruled))
    return sa.and_(rows.c[f"{name}__over"].is_not(None), sa.not_(same))


def wanted(rows: sa.FromClause, name: str, field: Field) -> Expression:
    """The override's value in the field's type."""
    return sa.cast(rows.c[f"{name}__over_value"], stored_type(field))


def lineage(rows: sa.FromClause, name: str, ruled: dict[str, Any]) -> dict[str, Any]:
    """The cell's lineage (column: value and type) where the override may speak; as it is where none can."""
    if f"{name}__spoke" not in rows.c:
        return ruled
    said = {
        f"{name}__system": sa.literal(STEWARD, sa.Text),
        f"{name}__source": sa.cast(sa.null(), sa.Text),
        f"{name}__key": sa.cast(rows.c[f"{name}__over"], sa.Text),
        f"{name}__rule": sa.literal(DECISION, sa.Text),
        f"{name}__since": rows.c[f"{name}__over_at"],
        f"{name}__cmp": rows.c[f"{name}__over_cmp"],
    }
    spoke = rows.c[f"{name}__spoke"]
    return {
        label: (sa.case((spoke, said[label]), else_=value) if label in said else value, kind)
        for label, (value, kind) in ruled.items()
    }


def newly_said(tables: Tables, entity: str, pending: int) -> Rows:
    """Grain: one record about whose entity an override began or ended since the last publication."""
    ledger, known = tables.override, tables.identity[entity]
    record = sa.and_(known.c.source == ledger.c.source, known.c.source_key == ledger.c.source_key)
    return (
        sa.select(known.c.entity_id)
        .join(ledger, record)
        .where(ledger.c.entity == entity, ledger.c._publication == pending)
    )


def refers_elsewhere(run: Run, connection: sa.Connection, entity: str, pending: int) -> Iterator[Rows]:
    """Grain: one record with an override that refers to a record that came, went or has another entity now."""
    tables = run.tables
    ledger, known = tables.override, tables.identity[entity]
    record = sa.and_(known.c.source == ledger.c.source, known.c.source_key == ledger.c.source_key)
    for name in _in_question(tables, connection, entity):
        target = tables.ownership.entities[entity].fields[name].to
        for source in tables.ownership.sources_of(target) if target else ():
            moved = elsewhere(tables, str(target), source, pending).subquery("moved")
            named = ledger.c.value == sa.literal(f"{source}:", sa.Text) + moved.c.source_key
            yield (
                sa.select(known.c.entity_id)
                .join(ledger, record)
                .join(moved, named)
                .where(ledger.c.entity == entity, ledger.c.field == name)
            )
