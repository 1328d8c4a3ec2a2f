"""What was guessed, ready to be written: plain nouns.

Belongs here: the draft as data. Does not: guessing (`assemble`), YAML (`writing`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sor_pipeline.ownership.scaffold.keys import Change, Deletion, Delivery, Key
from sor_pipeline.ownership.scaffold.links import Link
from sor_pipeline.ownership.scaffold.sample import Column, Kind, Stream


@dataclass
class MappingGuess:
    """A column mapped to a field: why to this one, why of this kind; `link` where it holds another record's key."""

    column: Column
    kind: Kind
    why: str
    kind_why: str
    link: Link | None = None


@dataclass
class SourceGuess:
    """A source; `left` are the columns that no field takes: why, and their names."""

    stream: Stream
    entity: str
    entity_why: str
    key: Key
    change: Change | None
    deletion: Deletion | None
    delivery: Delivery
    links: tuple[Link, ...]
    fields: dict[str, MappingGuess] = field(default_factory=dict)
    left: dict[str, list[str]] = field(default_factory=dict)


@dataclass
class FieldGuess:
    """A field of an entity; `owner` only where it differs from the entity's."""

    kind: Kind
    why: str
    to: str | None = None
    personal: bool = False
    owner: str | None = None
    fallback: tuple[str, ...] = ()
    take: str | None = None


@dataclass
class EntityGuess:
    owner: str
    owner_why: str
    same: list[tuple[str, str]]
    linked: list[tuple[str, str, str]]
    fields: dict[str, FieldGuess]


@dataclass
class Guesses:
    """The whole draft; `remarks` are lines for its head."""

    systems: dict[str, str]
    entities: dict[str, EntityGuess]
    sources: dict[str, SourceGuess]
    every: str = ""
    remarks: list[str] = field(default_factory=list)
