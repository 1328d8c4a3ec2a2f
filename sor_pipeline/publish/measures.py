"""What a publication says about the data besides the data: findings, claims, deliveries, ownership.

Belongs here: filling the tables of `tables.measured`, within the publication's transaction and only when something
is published. Does not: corrections, which are known later (`observe`).

Claims are counted in one scan of each staged table's states, whatever changed: a count of what did
not change could not be told from one that was never made.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from sor_pipeline.engine.base import Engine, Rows
from sor_pipeline.ownership.document import Ownership, system_of
from sor_pipeline.tables import ACCOUNT, ClaimState, Tables, claim
from sor_pipeline.tables.measured import ROLES


def write_measures(
    engine: Engine, connection: sa.Connection, tables: Tables, number: int, *, new_document: bool
) -> None:
    """Everything that is measured for publication `number`; `new_document`: also what hangs on the document alone."""
    _insert(connection, tables.published_finding, findings(tables, number))
    for source, spec in tables.ownership.sources.items():
        if spec.fields:
            _insert(connection, tables.published_claims, claims(tables, source, number))
    if new_document:
        recounted = engine.materialise(connection, "publish_recounted", recounted_deliveries(tables))
        engine.replace(connection, tables.published_delivery, recounted, ["source", "batch"])
    _insert(connection, tables.published_delivery, new_deliveries(tables, number))
    written = connection.execute(sa.select(sa.func.count()).select_from(tables.published_ownership)).scalar_one()
    if new_document or not written:
        connection.execute(sa.delete(tables.published_ownership))
        connection.execute(sa.insert(tables.published_ownership), ownership_rows(tables.ownership))


def findings(tables: Tables, number: int) -> Rows:
    """Grain: one expectation of the document's entities, as last checked; columns as `conformed.finding`."""
    finding = tables.finding
    kept = ("entity", "expectation", "field", "severity", "passed", "checked", "failed")
    return sa.select(sa.literal(number, sa.BigInteger).label("publication"), *(finding.c[name] for name in kept)).where(
        finding.c.entity.in_(list(tables.ownership.entities))
    )


def claims(tables: Tables, source: str, number: int) -> Rows:
    """Grain: one field that the source maps; columns as `conformed.claims`. One scan of the source's live records."""
    spec, staged = tables.ownership.sources[source], tables.staged[source]
    states = {"values": ClaimState.value, "cleared": ClaimState.cleared, "placeholders": ClaimState.placeholder}
    counts = [
        sa.func.count().filter(claim(staged, name).state == int(state)).label(f"{name}__{kind}")
        for name in spec.fields
        for kind, state in states.items()
    ]
    scanned = (
        sa.select(sa.func.count().label("records"), *counts).where(staged.c._deleted_at.is_(None)).subquery("scanned")
    )
    listed = sa.values(sa.column("field", sa.Text), name="listed").data([(name,) for name in spec.fields])

    def of_field(kind: str) -> sa.ColumnElement[Any]:
        return sa.case(*((listed.c.field == name, scanned.c[f"{name}__{kind}"]) for name in spec.fields))

    return sa.select(
        sa.literal(number, sa.BigInteger).label("publication"),
        sa.literal(spec.entity, sa.Text).label("entity"),
        sa.cast(listed.c.field, sa.Text).label("field"),
        sa.literal(source, sa.Text).label("source"),
        sa.literal(system_of(source), sa.Text).label("system"),
        scanned.c.records,
        *(of_field(kind).label(kind) for kind in states),
    ).select_from(scanned.join(listed, sa.true()))


def new_deliveries(tables: Tables, number: int) -> Rows:
    """Grain: one staged batch that no publication knew yet; columns as `conformed.delivery`."""
    known = tables.published_delivery
    batch = tables.batch
    seen = sa.exists().where(known.c.source == batch.c.source, known.c.batch == batch.c.batch).correlate(batch)
    rows = _deliveries(tables, sa.literal(number, sa.BigInteger))
    return rows.where(sa.not_(seen), batch.c.source.in_(list(tables.ownership.sources)))


def recounted_deliveries(tables: Tables) -> Rows:
    """Grain: one known batch that was staged again and counted otherwise; it keeps its publication."""
    known, batch, account = tables.published_delivery, tables.batch, tables.account
    same = sa.and_(known.c.source == batch.c.source, known.c.batch == batch.c.batch)
    differs = sa.or_(*(known.c[name].is_distinct_from(account.c[name]) for name in ACCOUNT))
    return _deliveries(tables, known.c.publication).join(known, same).where(differs)


def _deliveries(tables: Tables, publication: sa.ColumnElement[Any]) -> Rows:
    batch, account = tables.batch, tables.account
    counted = sa.and_(account.c.source == batch.c.source, account.c.batch == batch.c.batch)
    system = sa.func.split_part(batch.c.source, ".", 1)
    return sa.select(
        batch.c.source,
        batch.c.batch,
        system.label("system"),
        batch.c.as_of,
        batch.c.rows,
        sa.func.coalesce(batch.c.bad_rows, 0).label("bad_rows"),
        *(account.c[name] for name in ACCOUNT),
        publication.label("publication"),
    ).join_from(batch, account, counted)


def ownership_rows(ownership: Ownership) -> list[dict[str, Any]]:
    """Grain: entity, field and system that has a part in it; columns as `conformed.ownership`."""
    return [
        {"entity": entity, "field": field, "system": system, **roles}
        for entity, spec in ownership.entities.items()
        for field in spec.fields
        for system in ownership.systems
        if any((roles := roles_of(ownership, entity, field, system)).values())
    ]


def roles_of(ownership: Ownership, entity: str, field: str, system: str) -> dict[str, bool]:
    """What the system is to the field: every role of `tables.measured.ROLES`, yes or no."""
    rule = ownership.rule_of(entity, field)
    accepting = [
        name
        for name, source in ownership.sources_of(entity).items()
        if field in source.accepts and system_of(name) == system
    ]
    roles = {
        "owns": rule.owner == system,
        "exception": any(one.owner == system for one in rule.exceptions),
        "fallback": system in rule.fallback,
        "taken_from": system in rule.among,
        "contributes": system in ownership.mapping_systems(entity, field),
        "corrected": bool(accepting),
        "reflected": system in ownership.entities[entity].fields[field].reflect_in,
    }
    return {name: roles[name] for name in ROLES}


def _insert(connection: sa.Connection, table: sa.Table, rows: Rows) -> None:
    names = [column.name for column in rows.selected_columns]
    connection.execute(sa.insert(table).from_select(names, rows))
