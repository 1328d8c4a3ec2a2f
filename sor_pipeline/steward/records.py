"""A record as people name it: `<source>:<key>`.

Belongs here: reading such a name, and whether there is such a record. Does not: what is decided about it (`decisions`).
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from sor_pipeline.errors import DecisionRefused, Fault
from sor_pipeline.ownership.document import Ownership, system_of
from sor_pipeline.ownership.suggest import did_you_mean, one_of
from sor_pipeline.run import Run

SHAPE = "<source>:<key>, e.g. hubspot.contacts:123"


@dataclass(frozen=True, order=True)
class Record:
    """One record by its source and source key; ordered as the tables order them."""

    source: str
    key: str

    def __str__(self) -> str:
        return f"{self.source}:{self.key}"


def named(ownership: Ownership, text: str) -> Record:
    """The record that `text` names: the source's name ends at the first colon, the rest is the key as it is.

    Raises DecisionRefused where the text has no such shape, or the document no such source.
    """
    source, colon, key = text.partition(":")
    if not colon or not source or not key:
        raise DecisionRefused(Fault("record-name", "", "this does not name a record", f"`{text}`", SHAPE,
                                    "write the source, a colon, and the record's own key"))  # fmt: skip
    if source not in ownership.sources:
        own = [name for name in ownership.sources if system_of(name) == source]
        todo = f"{source} is a system; did you mean `{own[0]}`?" if own else did_you_mean(
            source, ownership.sources, "name a source as the document does"
        )  # fmt: skip
        raise DecisionRefused(
            Fault("unknown-source", str(text), "the document has no such source", f"`{source}`",
                  one_of(own or ownership.sources), todo)
        )  # fmt: skip
    return Record(source, key)


def entity_of(run: Run, connection: sa.Connection, record: Record) -> str:
    """The kind of thing that the record is about.

    Raises DecisionRefused where the source has no live record of this key.
    """
    entity = run.ownership.sources[record.source].entity
    staged = run.tables.staged[record.source]
    found = connection.execute(sa.select(staged.c["_deleted_at"]).where(staged.c["_key"] == record.key)).fetchall()
    if not found:
        raise DecisionRefused(
            Fault("unknown-record", str(record), f"{record.source} has no record of this key", f"`{record.key}`",
                  "the key of a record that was delivered", _elsewhere(run, connection, entity, record))
        )  # fmt: skip
    if found[0][0] is not None:
        raise DecisionRefused(
            Fault("deleted-record", str(record), f"this record of {record.source} is deleted",
                  f"deleted {found[0][0]:%Y-%m-%d}", "a live record",
                  "name a record that lives; a deleted one takes no part in matching")
        )  # fmt: skip
    return entity


def _elsewhere(run: Run, connection: sa.Connection, entity: str, record: Record) -> str:
    """Where else there is a record of this key."""
    known = run.tables.identity[entity]
    rows = connection.execute(
        sa.select(known.c.source).where(known.c.source_key == record.key).order_by(known.c.source).limit(3)
    ).fetchall()
    names = " or ".join(f"`{row.source}:{record.key}`" for row in rows)
    return f"did you mean {names}?" if names else f"look a record up with `sor why {entity} <key>`"
