"""The file of conformed tables: made again where it is not the last publication, as cheaply as is safe.

Belongs here: whether the file must be made, and which rows of it may be others.
Does not: making it (`engine`).
"""

from __future__ import annotations

import pyarrow as pa
import sqlalchemy as sa

from sor_pipeline.engine.base import Stale
from sor_pipeline.run import Run
from sor_pipeline.tables import Tables

KEPT = 20
"""For so many publications `audit.touched` is kept; as often the file is written whole, which packs it."""


def note_touched(connection: sa.Connection, tables: Tables, number: int) -> None:
    """Keep which entities publication `number` looked at; before `identity.affected` is emptied."""
    affected, touched = tables.affected, tables.touched
    looked_at = sa.select(sa.literal(number, sa.BigInteger), affected.c.entity, affected.c.entity_id).distinct()
    connection.execute(sa.delete(touched).where(touched.c.publication <= number - KEPT))
    connection.execute(sa.insert(touched).from_select(["publication", "entity", "entity_id"], looked_at))


def export(run: Run) -> bool:
    """Make the file where its account of publications is not the committed one; says whether it was made."""
    publication = run.tables.publication
    with run.engine.begin() as connection:
        committed = run.engine.fetch(connection, sa.select(publication).order_by(publication.c.publication))
    exported = run.engine.exported(publication, run.settings.conformed)
    if committed.num_rows == 0 or committed.equals(exported):
        return False
    conformed = [table for table in run.tables.metadata.sorted_tables if table.schema == publication.schema]
    run.engine.export(conformed, run.settings.conformed, _stale(run.tables, committed, exported))
    return True


def _stale(tables: Tables, committed: pa.Table, exported: pa.Table | None) -> Stale | None:
    """The rows that publications after those of the file may have changed; None where that is not known.

    It is known for a file that is an earlier state of these tables, made under the same document.
    """
    if exported is None or exported.num_rows == 0 or not committed.slice(0, exported.num_rows).equals(exported):
        return None
    newer = committed.slice(exported.num_rows)
    documents = {*newer["fingerprint"].to_pylist(), exported["fingerprint"][-1].as_py()}
    last, number = exported.num_rows, committed.num_rows
    if len(documents) > 1 or number - last >= KEPT or number // KEPT != last // KEPT:
        return None
    return _after(tables, last)


def _after(tables: Tables, last: int) -> Stale:
    """Rows of publications after `last`, and of the entities that these looked at."""
    kinds = (tables.conformed, tables.sources, tables.keys, tables.history)
    entity_of = {table.name: entity for kind in kinds for entity, table in kind.items()}
    aliases = {table.name: entity for entity, table in tables.alias.items()}
    touched = tables.touched

    def stale(table: sa.Table) -> sa.ColumnElement[bool]:
        entity = entity_of.get(table.name)
        ids = sa.select(touched.c.entity_id).where(touched.c.publication > last)
        renamed = aliases.get(table.name)
        if renamed is not None:
            mine = ids.where(touched.c.entity == renamed)
            return sa.or_(table.c.alias_id.in_(mine), table.c[f"{renamed}_id"].in_(mine))
        if entity is not None:
            return table.c[f"{entity}_id"].in_(ids.where(touched.c.entity == entity))
        if table.name == tables.conflict.name:
            return table.c.entity_id.in_(ids)
        if "publication" not in table.c:  # ownership changes with the document only, corrections are `observe`'s
            return sa.false()
        return table.c.publication > last

    return stale
