"""A cell as people name it, and a value as they type it: what `sor override set` needs to know.

Belongs here: which entity and record are meant, what owns the cell and says what, and reading a value exactly as
staging reads it. Does not: writing anything down (`steward`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl
import sqlalchemy as sa

from sor_pipeline.errors import DecisionRefused, Fault
from sor_pipeline.observe import why
from sor_pipeline.ownership.document import system_of
from sor_pipeline.ownership.entity import Field
from sor_pipeline.ownership.source import Mapping
from sor_pipeline.resolve.ending import owners_word, spoken
from sor_pipeline.run import Run
from sor_pipeline.stage.readings import PLACEHOLDER, VALUE, Reader
from sor_pipeline.steward.records import Record, entity_of, named
from sor_pipeline.tables import cell


@dataclass(frozen=True)
class Read:
    """A value as the tables hold it, and its comparable form where the type folds."""

    value: str
    compare: str | None


@dataclass(frozen=True)
class Place:
    """A cell: its entity's id, the record that a word about it hangs on, its value now as text and by which rule."""

    entity_id: str
    record: Record
    value: str | None
    rule: str | None
    system: str | None


def place(run: Run, connection: sa.Connection, entity: str, name: str, field: str) -> Place:
    """The cell that `name` (an id, a key, or <source>:<key>) means.

    The record is the one that is named, else the one that speaks for the cell, else the smallest of the owner's
    system, else the smallest. Raises DecisionRefused where nothing, or more than one thing, is meant.
    """
    entity_id, record = _meant(run, connection, entity, name)
    row = run.tables.canonical[entity]
    holds = cell(row, field)
    parts = (sa.cast(holds.value, sa.Text).label("value"), holds.system.label("system"), holds.source.label("source"),
             holds.key.label("key"), holds.rule.label("rule"))  # fmt: skip
    rows = connection.execute(sa.select(*parts).where(row.c.entity_id == entity_id)).fetchall()
    now = rows[0] if rows else None
    if record is None and now is not None and now.source is not None:
        record = Record(now.source, now.key)
    owner = run.ownership.rule_of(entity, field).owner
    record = record or smallest(run, connection, entity, entity_id, owner)
    if now is None:
        return Place(entity_id, record, None, None, None)
    return Place(entity_id, record, now.value, now.rule, now.system)


def _meant(run: Run, connection: sa.Connection, entity: str, name: str) -> tuple[str, Record | None]:
    known = run.tables.identity[entity]
    if name.partition(":")[0] in run.ownership.sources:
        record = named(run.ownership, name)
        own = entity_of(run, connection, record)
        if own != entity:
            raise DecisionRefused(Fault("two-entities", name, f"this is a record of {own}", own, entity,
                                        f"name a record of {entity}, or write {own}"))  # fmt: skip
        at = sa.and_(known.c.source == record.source, known.c.source_key == record.key)
        ids = [row.entity_id for row in connection.execute(sa.select(known.c.entity_id).where(at)).fetchall()]
    else:
        record = None
        ids = list(connection.execute(why.found(run.tables, entity, name)).scalars().all())
    if len(ids) != 1:
        raise DecisionRefused(
            Fault("unknown-name" if not ids else "ambiguous-name", name, f"this names {len(ids)} {entity}s, not one",
                  ", ".join(ids[:5]) or "none", "an id, or <source>:<key> of a live record",
                  "write the record as <source>:<key>" if ids else f"look it up with `sor why {entity} <key>`")
        )  # fmt: skip
    return ids[0], record


def smallest(run: Run, connection: sa.Connection, entity: str, entity_id: str, owner: str | None) -> Record:
    """The entity's smallest live record, of the system `owner` if it has one. Raises DecisionRefused without any."""
    known, found = run.tables.identity[entity], []
    for source in run.ownership.sources_of(entity):
        staged = run.tables.staged[source]
        mine = sa.and_(known.c.source == source, known.c.source_key == staged.c._key)
        keys = sa.select(sa.func.min(staged.c._key)).select_from(staged.join(known, mine))
        least = connection.execute(
            keys.where(known.c.entity_id == entity_id, staged.c._deleted_at.is_(None))
        ).scalar_one()
        found += [Record(source, least)] if least is not None else []
    if not found:
        raise DecisionRefused(Fault("unknown-name", entity_id, f"this {entity} has no live record", "none",
                                    "a live one", "an override hangs on a record"))  # fmt: skip
    return min(found, key=lambda record: (system_of(record.source) != owner, record))


def owner_says(
    run: Run, connection: sa.Connection, entity: str, at: Place, field: str
) -> tuple[str | None, str | None]:
    """The system that owns the cell now (an exception's where one holds), and the comparable form of its word."""
    owner = run.ownership.rule_of(entity, field).owner
    if owner is None:
        return None, None
    owner = at.system if at.rule == "exception" else owner
    known = run.tables.identity[entity]
    one = sa.select(known.c.entity_id).where(known.c.entity_id == at.entity_id).distinct().subquery("one")
    if owner not in run.ownership.systems_of(entity):
        return owner, None
    word = owners_word(run, connection, entity, str(owner), one)
    said = connection.execute(sa.select(spoken(word, field).label("said"))).fetchall()
    return owner, said[0].said if said else None


def read_value(run: Run, connection: sa.Connection, entity: str, at: Place, field: str, text: str) -> Read:
    """`text` in the field's type, standardised as staging would.

    Raises DecisionRefused for what the type refuses; the text is not shown where the field is personal.
    """
    spec = run.ownership.entities[entity].fields[field]
    if spec.to is not None:
        return Read(_reference(run, connection, spec.to, text), None)
    if spec.type == "choice" and isinstance(spec.of, tuple) and text.strip() and text not in spec.of:
        raise _unreadable(spec, entity, field, text, "unlisted-code", f"one of {', '.join(spec.of)}")
    country = _country(run, connection, entity, at, field) if spec.type == "subdivision" else None
    mapping = Mapping.model_validate({"from": field})
    reading = Reader(run.ownership, spec, mapping).read(pl.Series([text]), country)
    said, reason = reading.said[0], reading.reason[0]
    if said != VALUE:
        why_not = reason or ("placeholder" if said == PLACEHOLDER else "blank")
        todo = "--clear empties the cell" if why_not in ("placeholder", "blank") else f"a value of type {spec.type}"
        raise _unreadable(spec, entity, field, text, why_not, todo)
    compare = reading.compare[0] if reading.compare is not None else reading.value[0]
    return Read(as_text(reading.value[0]), as_text(compare) if spec.kind.folds else None)


def as_text(value: Any) -> str:
    """As the engines cast the six stored types."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat(sep=" ") if isinstance(value, datetime) else str(value)


def _reference(run: Run, connection: sa.Connection, entity: str, name: str) -> str:
    """The record, <source>:<key>, by which a reference is kept: ids come and go."""
    entity_id, record = _meant(run, connection, entity, name)
    return str(record or smallest(run, connection, entity, entity_id, run.ownership.entities[entity].owner))


def _country(run: Run, connection: sa.Connection, entity: str, at: Place, field: str) -> pl.Series | None:
    """The entity's country, for a subdivision: of its own group, else its only one."""
    fields = run.ownership.entities[entity].fields
    named = [name for name, spec in fields.items() if spec.type == "country"]
    mine = [name for name in named if fields[field].group and fields[name].group == fields[field].group] or named
    if len(mine) != 1:
        return None
    row = run.tables.canonical[entity]
    found = connection.execute(sa.select(row.c[mine[0]]).where(row.c.entity_id == at.entity_id)).scalars().all()
    return pl.Series([found[0] if found else None], dtype=pl.String)


def _unreadable(spec: Field, entity: str, field: str, text: str, reason: str, expected: str) -> DecisionRefused:
    found = f"a text of {len(text)} characters" if spec.personal else f"`{text[:60]}`"
    return DecisionRefused(Fault("value-refused", f"{entity}.{field}", f"the value cannot be read: {reason}", found,
                                 expected, "write it as it would stand in an extract"))  # fmt: skip
