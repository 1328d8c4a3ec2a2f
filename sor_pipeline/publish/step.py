"""Publish: candidates that passed become the conformed tables, all in one transaction.

Reads: identity.affected, canonical.*, audit.*, identity.<entity>, identity.id, identity.move, staged.*, landing.batch,
steward.acceptance
Writes: conformed.* (but for corrections), audit.touched, identity.affected (emptied); then the file of conformed tables
Raises: PublicationBlocked when an expectation of severity `block` failed, or too many ids would change (`churn`)

Where nothing differs nothing is published and no number is used. The file is made from the
committed tables whenever its account of publications is not theirs, so a run that was killed
in between is taken up by the next one, blocked or not (`file`).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from sor_pipeline.engine import postgres_access
from sor_pipeline.engine.base import Rows
from sor_pipeline.errors import PublicationBlocked
from sor_pipeline.publish import file, gate
from sor_pipeline.publish.aliases import write_aliases
from sor_pipeline.publish.candidate import affected, held_fields
from sor_pipeline.publish.changes import cell_changes, entity_changes
from sor_pipeline.publish.churn import churn_faults
from sor_pipeline.publish.conflicts import close_abandoned, write_conflicts
from sor_pipeline.publish.crosswalk import key_difference, records
from sor_pipeline.publish.difference import ENTERS, difference, write_entities
from sor_pipeline.publish.episodes import episodes
from sor_pipeline.publish.history import write_history
from sor_pipeline.publish.measures import write_measures
from sor_pipeline.run import Outcome, Run
from sor_pipeline.tables import Tables

_MUCH = 0.1
"""The share of entities that is much to look at again."""
NOTHING = {"published": 0, "created": 0, "changed": 0, "retired": 0, "conflicts": 0}


def run(run: Run, _scope: str = "") -> Outcome:
    """Publish what is pending; counts: published (0 or 1), created, changed (cells), retired, conflicts (open)."""
    with run.engine.begin() as connection:
        blocked = (*gate.faults(connection, run.tables), *churn_faults(run, connection))
        with postgres_access.kept(connection, str(run.tables.publication.schema)):
            counts = NOTHING if blocked else _publish(run, connection)
    exported = file.export(run)
    if blocked:
        raise PublicationBlocked(*blocked)
    return Outcome({**counts, "exported": int(exported)})


def _publish(run: Run, connection: sa.Connection) -> dict[str, int]:
    tables = run.tables
    number = run.pending(connection)
    last = _last(connection, tables)
    new_document = last is not None and last.fingerprint != run.ownership.fingerprint
    at = run.now if last is None else max(run.now, last.published_at)
    if last is not None and _packs(connection, tables, number):
        run.engine.pack(connection)
    counts = [_publish_entity(run, connection, entity, number, at, new_document) for entity in run.ownership.entities]
    totals = {name: sum(count[name] for count in counts) for name in counts[0]}
    nothing = not any(totals.values()) and not new_document
    if new_document:
        close_abandoned(connection, tables, number)
    elif last is not None and not nothing:
        file.note_touched(connection, tables, number)
    connection.execute(sa.delete(tables.affected))
    if nothing:
        return NOTHING
    conflict = tables.conflict
    summary = {
        "created": totals["created"],
        "changed": totals["changed"],
        "retired": totals["retired"],
        "conflicts": _count(connection, conflict, conflict.c.closed_in.is_(None)),
    }
    connection.execute(
        sa.insert(tables.publication).values(
            publication=number, published_at=at, fingerprint=run.ownership.fingerprint, **summary
        )
    )
    write_measures(run.engine, connection, tables, number, new_document=new_document)
    return {"published": 1, **summary}


def _packs(connection: sa.Connection, tables: Tables, number: int) -> bool:
    """Now and then, and where so much changes that packing costs no more than the change."""
    affected = _count(connection, tables.affected, sa.true())
    published = sum(_count(connection, table, sa.true()) for table in tables.conformed.values())
    return number % file.KEPT == 0 or affected >= published * _MUCH


def _publish_entity(
    run: Run, connection: sa.Connection, entity: str, number: int, at: datetime, new_document: bool
) -> dict[str, int]:
    """Publish one entity's differences; returns counts, also of rows that are no change of a value."""
    tables, engine = run.tables, run.engine
    held = frozenset(connection.execute(held_fields(tables, entity)).scalars().all())
    looked_at = engine.materialise(connection, "publish_looked_at", affected(tables, entity))
    live = engine.materialise(connection, "publish_record", records(tables, entity, looked_at))
    rows = engine.materialise(connection, "publish_difference", difference(tables, entity, held, live, looked_at))
    changed = _insert(connection, tables.change, cell_changes(tables, entity, rows, number, new_document))
    _insert(connection, tables.change, entity_changes(entity, rows, number))
    went = _insert(connection, tables.identity_change, episodes(tables, entity, number))
    write_history(connection, tables, entity, rows, number, at)
    write_entities(engine, connection, tables, entity, rows)
    return {
        "created": _count(connection, rows, rows.c._kind.in_(ENTERS)),
        "changed": changed,
        "retired": _count(connection, rows, rows.c._kind == "retired"),
        "lineage": _count(connection, rows, rows.c._kind == "lineage"),
        "keys": _write_keys(run, connection, entity, live, looked_at),
        "episodes": went,
        "aliases": write_aliases(engine, connection, tables, entity),
        "conflicts": write_conflicts(engine, connection, tables, entity, number, looked_at),
    }


def _write_keys(run: Run, connection: sa.Connection, entity: str, live: sa.Table, looked_at: sa.Table) -> int:
    keys, ident = run.tables.keys[entity], f"{entity}_id"
    rows = run.engine.materialise(connection, "publish_key", key_difference(run.tables, entity, live, looked_at))
    gone = sa.exists().where(rows.c.source == keys.c.source, rows.c.source_key == keys.c.source_key).correlate(keys)
    connection.execute(sa.delete(keys).where(gone))
    _insert(connection, keys, sa.select(rows).where(rows.c[ident].is_not(None)))
    return _count(connection, rows, sa.true())


def _insert(connection: sa.Connection, table: sa.Table, rows: Rows) -> int:
    names = [column.name for column in rows.selected_columns]
    return connection.execute(sa.insert(table).from_select(names, rows)).rowcount


def _count(connection: sa.Connection, table: sa.FromClause, condition: sa.ColumnElement[bool]) -> int:
    return int(connection.execute(sa.select(sa.func.count()).select_from(table).where(condition)).scalar_one())


def _last(connection: sa.Connection, tables: Tables) -> sa.Row[*tuple[Any, ...]] | None:
    """The last publication's row."""
    table = tables.publication
    rows = connection.execute(sa.select(table).order_by(table.c.publication.desc()).limit(1)).fetchall()
    return rows[0] if rows else None
