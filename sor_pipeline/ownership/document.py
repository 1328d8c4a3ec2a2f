"""The whole document, and the questions that steps ask of it.

Belongs here: the root model and look-ups over it (who owns what, which sources feed what).
Does not: reading YAML (`load`), finding faults (`lint`).
"""

from __future__ import annotations

import hashlib
from enum import StrEnum

from pydantic import Field as Attr

from sor_pipeline.ownership.base import Duration, Name, Noun, SourceName
from sor_pipeline.ownership.entity import Entity, Field
from sor_pipeline.ownership.rules import OwnershipException, Ruled
from sor_pipeline.ownership.source import Source

RULES_VERSION = 1
"""Goes up when the package makes something else of the same document and the same texts: then all is made again."""


class Role(StrEnum):
    """`record` masters some data; `engagement` is where interaction happens."""

    record = "record"
    engagement = "engagement"


class System(Noun):
    """A tool."""

    title: str = ""
    role: Role = Role.record
    description: str = ""
    steward: str | None = None


class Ownership(Noun):
    """The ownership document: systems, entities, sources."""

    title: str = ""
    systems: dict[Name, System] = Attr(min_length=1)
    entities: dict[Name, Entity] = Attr(min_length=1)
    sources: dict[SourceName, Source] = Attr(default_factory=dict)
    placeholders: dict[str, tuple[str, ...]] = Attr(
        default_factory=dict, description="per field type, texts that count as never set"
    )
    every: Duration | None = Attr(None, description="how often the whole flow runs")

    @property
    def fingerprint(self) -> str:
        """Changes when any rule changes: a reason to resolve everything again."""
        return hashlib.sha256(f"{RULES_VERSION}\n{self.model_dump_json()}".encode()).hexdigest()[:16]

    def source_fingerprint(self, source: str) -> str:
        """Changes when what staging makes of this source's rows changes: a reason to stage it again."""
        spec = self.sources[source]
        fields = self.entities[spec.entity].fields
        parts = [str(RULES_VERSION), spec.model_dump_json(exclude={"accepts", "title", "description", "unique"})]
        parts += [fields[name].model_dump_json(exclude={"title", "description"}) for name in spec.fields]
        parts += [str(sorted(self.placeholders.items())), str([name in spec.accepts for name in spec.fields])]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

    def sources_of(self, entity: str) -> dict[str, Source]:
        """Sources that feed the entity, in the document's order."""
        return {name: source for name, source in self.sources.items() if source.entity == entity}

    def systems_of(self, entity: str) -> tuple[str, ...]:
        """Systems that feed the entity, in the order in which `systems` lists them."""
        feeding = {system_of(name) for name in self.sources_of(entity)}
        return tuple(name for name in self.systems if name in feeding)

    def mapping_systems(self, entity: str, field: str) -> tuple[str, ...]:
        """Systems with a source that maps the field, in the order in which `systems` lists them."""
        mapping = {system_of(name) for name, source in self.sources_of(entity).items() if field in source.fields}
        return tuple(name for name in self.systems if name in mapping)

    def rule_of(self, entity: str, field: str) -> Rule:
        """The rule in force for a field: its own words, else its group's, else the entity's owner."""
        kind = self.entities[entity]
        spec = kind.fields[field]
        group = kind.groups.get(spec.group) if spec.group else None
        words: tuple[Ruled, ...] = (spec, group) if group else (spec,)
        owner = next((word.owner for word in words if word.owner), kind.owner)
        return Rule(
            owner=None if spec.take else owner,
            exceptions=next((word.exceptions for word in words if word.exceptions), ()),
            fallback=next((word.fallback for word in words if word.fallback), ()),
            stale_after=next((word.stale_after for word in words if word.stale_after), None),
            take=spec.take,
            among=spec.among or self.mapping_systems(entity, field) if spec.take else (),
        )

    def referred_source(self, source: str, field: str) -> str | None:
        """The source whose key a ref field's text holds: as mapped, else the system's own one of that entity."""
        spec = self.sources[source]
        explicit = spec.fields[field].refers_to
        if explicit:
            return explicit
        target = self.entities[spec.entity].fields[field].to
        own = [n for n, s in self.sources.items() if s.entity == target and system_of(n) == system_of(source)]
        return own[0] if len(own) == 1 else None


class Rule(Noun):
    """The rule in force for one field of one entity; `owner` is None where `take` decides."""

    owner: str | None
    exceptions: tuple[OwnershipException, ...]
    fallback: tuple[str, ...]
    stale_after: Duration | None
    take: str | None
    among: tuple[str, ...]


def system_of(source: str) -> str:
    """`hubspot.contacts` belongs to `hubspot`."""
    return source.split(".", 1)[0]


def personal_fields(fields: dict[str, Field]) -> frozenset[str]:
    """Names of the fields whose values must stay out of messages and metadata."""
    return frozenset(name for name, field in fields.items() if field.personal)
