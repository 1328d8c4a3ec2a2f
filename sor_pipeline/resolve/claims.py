"""What each live record says: staged rows with their entity, references turned into entity ids.

Belongs here: the one select that every rule starts from. Does not: any choice between records.
"""

from __future__ import annotations

import sqlalchemy as sa

from sor_pipeline.echoes import Echoes, nothing_delivered
from sor_pipeline.engine.base import Expression, Rows
from sor_pipeline.tables import ClaimState, Tables, claim


def affected_ids(tables: Tables, entity: str) -> Rows:
    """Grain: one entity id that must be resolved again."""
    affected = tables.affected
    return sa.select(affected.c.entity_id).where(affected.c.entity == entity)


def records(tables: Tables, entity: str) -> Rows:
    """Grain: one record, live or deleted, of an affected entity; columns source, source_key, entity_id."""
    known = tables.identity[entity]
    return sa.select(known.c.source, known.c.source_key, known.c.entity_id).where(
        known.c.entity_id.in_(affected_ids(tables, entity))
    )


def claims(tables: Tables, source: str, identity: sa.FromClause, echo: Echoes | None = None) -> Rows:
    """Grain: one live record of `source` among those of `identity` (see `records`); key (`_source`, `_key`).

    Columns: entity_id, _source, _key, _changed_at and, per mapped field, the claim columns; a ref
    field holds the entity id it points to, and in `<field>__ref` the key that it was delivered as.
    A reference to a record that is not known (yet), or is deleted, says nothing: its state is `never`.
    With `echo`, `<field>__echo` says of a field that may be written whether the claim is our own writing; times are
    those of before it then.
    """
    echo = echo or nothing_delivered(tables, source)
    entity = tables.ownership.sources[source].entity
    staged = tables.staged[source]
    columns: list[Expression] = [
        identity.c.entity_id,
        sa.literal(source, sa.Text).label("_source"),
        staged.c._key,
        echo.changed_at.label("_changed_at"),
    ]
    origin: sa.FromClause = staged.join(
        identity, sa.and_(identity.c.source == source, identity.c.source_key == staged.c._key)
    )
    for name in tables.ownership.sources[source].fields:
        referred = tables.ownership.referred_source(source, name)
        target = tables.ownership.entities[entity].fields[name].to
        if target is None or referred is None:
            columns += _plain(staged, name)
        else:
            known = _living(tables, target, referred).subquery(f"{name}__known")
            origin = origin.outerjoin(known, known.c.source_key == staged.c[name])
            columns += _reference(staged, known, name)
    if echo.fields:
        known_now = {f"{name}__since": echo.since(name) for name in echo.fields}
        columns = [known_now.get(column.name, column).label(column.name) for column in columns]
        columns += [echo.is_echo(name).label(f"{name}__echo") for name in echo.fields]
    return sa.select(*columns).select_from(echo.joined(origin)).where(staged.c._deleted_at.is_(None))


def _living(tables: Tables, entity: str, source: str) -> Rows:
    """Grain: one live record of `source` (source_key, entity_id)."""
    staged, known = tables.staged[source], tables.identity[entity]
    record = sa.and_(known.c.source == source, known.c.source_key == staged.c._key)
    return sa.select(known.c.source_key, known.c.entity_id).join(staged, record).where(staged.c._deleted_at.is_(None))


def _plain(staged: sa.Table, name: str) -> list[Expression]:
    folded = [staged.c[f"{name}__cmp"]] if f"{name}__cmp" in staged.c else []
    return [staged.c[name], *folded, staged.c[f"{name}__state"], staged.c[f"{name}__since"]]


def _reference(staged: sa.Table, known: sa.FromClause, name: str) -> list[Expression]:
    says = claim(staged, name)
    dangles = sa.and_(says.state == ClaimState.value, known.c.entity_id.is_(None))
    return [
        sa.case((says.state == ClaimState.value, known.c.entity_id)).label(name),
        sa.case((dangles, sa.literal(int(ClaimState.never))), else_=says.state).label(f"{name}__state"),
        says.since.label(f"{name}__since"),
        sa.case((says.state == ClaimState.value, says.value)).label(f"{name}__ref"),
    ]
