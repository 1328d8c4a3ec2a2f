"""The churn gate: a publication that would retire or re-key many ids waits until a person accepts exactly it.

Belongs here: counting the ids, the name under which the change is accepted. Does not: other gates (`gate`).

An id counts that is published now and from which records went to another id: merged away, split, or moved.
Births and deletions do not count.
"""

from __future__ import annotations

import hashlib
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from sor_pipeline.errors import Fault
from sor_pipeline.run import Run

FLOOR = 25
"""Fewer ids never stop a publication: one per cent of a small company is nobody."""


def churn_faults(run: Run, connection: sa.Connection) -> tuple[Fault, ...]:
    """One fault per entity of which too many ids would change and nobody has accepted it. Names no values."""
    found = (_fault(run, connection, entity) for entity in run.ownership.entities)
    return tuple(fault for fault in found if fault is not None)


def _fault(run: Run, connection: sa.Connection, entity: str) -> Fault | None:
    tables, present = run.tables, run.tables.conformed[entity]
    went = leaving(run, connection, entity).subquery("went")
    ids = int(connection.execute(sa.select(sa.func.count(sa.distinct(went.c.from_id)))).scalar_one())
    if ids < FLOOR:
        return None
    existing = int(connection.execute(sa.select(sa.func.count()).select_from(present)).scalar_one())
    most = run.ownership.entities[entity].max_churn
    if ids <= existing * most:
        return None
    subject = f"churn:{entity}:{digest(run, connection, entity)}"
    acceptance = tables.acceptance
    if connection.execute(sa.select(acceptance.c.subject).where(acceptance.c.subject == subject)).first() is not None:
        return None
    return Fault(
        "identity-churn",
        entity,
        "the publication would retire or re-key more ids than `max_churn` allows",
        f"{ids:,} of {existing:,} ids ({ids / existing:.1%}); {_causes(connection, went)}{_document(run, connection)}",
        f"at most {most:.1%} of the ids, or fewer than {FLOOR}",
        f"look at identity.move; then `sor accept {subject} --by NAME --reason WHY` and run again, or take back what "
        "caused it; the last publication stays readable",
    )


def leaving(run: Run, connection: sa.Connection, entity: str) -> sa.Select[Any]:
    """Grain: one record that would go from an id that is published now (source, source_key, from_id, to_id, cause)."""
    move, present = run.tables.move, run.tables.conformed[entity]
    return sa.select(move.c.source, move.c.source_key, move.c.from_id, move.c.to_id, move.c.cause).where(
        move.c.publication == run.pending(connection),
        move.c.entity == entity,
        move.c.from_id.in_(sa.select(present.c[f"{entity}_id"])),
    )


def digest(run: Run, connection: sa.Connection, entity: str) -> str:
    """12 hex digits of who would go where: another change has another name."""
    rows = leaving(run, connection, entity).subquery("rows")
    names = ("source", "source_key", "from_id", "to_id")
    ordered = sa.select(*(rows.c[name] for name in names)).order_by(*(sa.collate(rows.c[name], "C") for name in names))
    found = run.engine.fetch(connection, ordered)
    columns = [found.column(name).cast(pa.string()).combine_chunks() for name in names]
    lines = pc.binary_join_element_wise(*columns, "\x1f")
    (whole,) = pc.binary_join(pa.ListArray.from_arrays([0, len(lines)], lines), "\n")
    return hashlib.sha256(whole.as_py().encode()).hexdigest()[:12]


def _causes(connection: sa.Connection, went: sa.FromClause) -> str:
    ids = sa.func.count(sa.distinct(went.c.from_id)).label("ids")
    told = sa.select(went.c.cause, ids).group_by(went.c.cause).order_by(ids.desc(), went.c.cause)
    return ", ".join(f"{row.cause}: {row.ids:,}" for row in connection.execute(told.limit(5)).fetchall())


def _document(run: Run, connection: sa.Connection) -> str:
    """The usual cause of so much: the rules are others."""
    table = run.tables.publication
    last = connection.execute(
        sa.select(table.c.fingerprint).order_by(table.c.publication.desc()).limit(1)
    ).scalar_one_or_none()
    changed = last is not None and last != run.ownership.fingerprint
    return "; the ownership document changed since the last publication" if changed else ""
