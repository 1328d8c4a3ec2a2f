"""Why a cell holds what it holds: the selects behind `sor why`."""

from __future__ import annotations

import sqlalchemy as sa

from sor_pipeline.engine.base import Rows
from sor_pipeline.ownership.document import system_of
from sor_pipeline.tables import Tables, cell, claim


def found(tables: Tables, entity: str, name: str) -> Rows:
    """Grain: one entity id that `name` may mean: an id (also a retired one), or any system's key of a record."""
    identity, known = tables.identity[entity], tables.id
    by_id = sa.select(known.c.entity_id).where(
        known.c.entity == entity, known.c.entity_id == name, known.c.retired.is_(None)
    )
    by_key = sa.select(identity.c.entity_id).where(identity.c.source_key == name)
    united = sa.union(by_id, _heirs(known, entity, name), by_key).subquery("meant")
    return sa.select(united.c.entity_id).order_by(united.c.entity_id)


def _heirs(known: sa.Table, entity: str, name: str) -> Rows:
    """Grain: one live id into which `name` was merged, however often."""
    mine = known.c.entity == entity
    heirs = sa.select(known.c.merged_into.label("entity_id")).where(mine, known.c.entity_id == name).cte("heirs", True)
    further = sa.select(known.c.merged_into).where(mine, known.c.entity_id == heirs.c.entity_id)
    heirs = heirs.union(further)
    living = sa.select(known.c.entity_id).where(mine, known.c.retired.is_(None))
    return sa.select(heirs.c.entity_id).where(heirs.c.entity_id.in_(living))


def cells(tables: Tables, entity: str, entity_id: str) -> Rows:
    """Grain: one field of the entity: its value and lineage."""
    row = tables.canonical[entity]
    parts = []
    for name in tables.ownership.entities[entity].fields:
        holds = cell(row, name)
        parts.append(
            sa.select(
                sa.literal(name, sa.Text).label("field"),
                sa.cast(holds.value, sa.Text).label("value"),
                holds.system.label("system"),
                holds.key.label("key"),
                holds.rule.label("rule"),
                holds.since.label("since"),
            ).where(row.c.entity_id == entity_id)
        )
    united = sa.union_all(*parts).subquery("cells")
    return sa.select(united)


def claims(tables: Tables, entity: str, entity_id: str) -> Rows:
    """Grain: one claim of one record of the entity, live or deleted."""
    identity = tables.identity[entity]
    parts = []
    for source, spec in tables.ownership.sources_of(entity).items():
        staged = tables.staged[source]
        mine = sa.and_(identity.c.source == source, identity.c.source_key == staged.c._key)
        for name in spec.fields:
            says = claim(staged, name)
            parts.append(
                sa.select(
                    sa.literal(name, sa.Text).label("field"),
                    sa.literal(system_of(source), sa.Text).label("system"),
                    sa.literal(source, sa.Text).label("source"),
                    staged.c._key.label("key"),
                    says.state.label("state"),
                    sa.cast(says.value, sa.Text).label("claimed"),
                    says.since.label("since"),
                    staged.c._deleted_at.label("deleted_at"),
                )
                .join_from(staged, identity, mine)
                .where(identity.c.entity_id == entity_id)
            )
    united = sa.union_all(*parts).subquery("claims")
    return sa.select(united).order_by(united.c.field, united.c.source, united.c.key)
