"""The whole document, and the questions that steps ask of it.

Belongs here: the root model and look-ups over it (who owns what, which sources feed what).
Does not: reading YAML (`load`), finding faults (`lint`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from enum import StrEnum
from graphlib import TopologicalSorter
from typing import Any

from pydantic import Field as Attr
from pydantic import model_validator

from sor_pipeline.ownership.base import Duration, Name, Noun, SourceName
from sor_pipeline.ownership.entity import Entity, Field
from sor_pipeline.ownership.inversion import inverts
from sor_pipeline.ownership.rules import OwnershipException, Ruled
from sor_pipeline.ownership.source import Source
from sor_pipeline.ownership.stewards import CaseLimits, Escalation, Steward
from sor_pipeline.ownership.summary import RULE as SUMMARY
from sor_pipeline.ownership.target import REVERTS, Target

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
    target: Target | None = Attr(None, description="where corrections are delivered to; without: files in the outbox")


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
    stewards: dict[Name, Steward] = Attr(default_factory=dict, description="who decides what no rule can")
    escalation: tuple[Escalation, ...] = Attr((), description="routes of cases; the first that fits")
    cases: CaseLimits = Attr(CaseLimits(), description="from when on something is a case")

    @model_validator(mode="after")
    def _what_reflects_accepts(self) -> Ownership:
        """A system that shows a field read-only takes corrections of it, whether or not its `accepts` says so."""
        for name, source in self.sources.items():
            more = tuple(self._shown_in(name, source))
            if more:
                self.sources[name] = source.model_copy(update={"accepts": (*source.accepts, *more)})
        return self

    def _shown_in(self, name: str, source: Source) -> Iterator[str]:
        """Fields of the source that its system shows, that can be written to it and are not accepted already."""
        kind = self.entities.get(source.entity)
        for field, spec in kind.fields.items() if kind else ():
            if system_of(name) not in spec.reflect_in or field in source.accepts or field not in source.fields:
                continue
            owner = self.rule_of(source.entity, field).owner
            if owner != system_of(name) and inverts(spec, source.fields[field]) is None:
                yield field

    @property
    def fingerprint(self) -> str:
        """Changes when any rule changes: a reason to resolve everything again.

        To whom a case goes, or whether and where corrections are delivered, is none.
        """
        delivery = {"__all__": {"target"}}
        told: dict[str, Any] = {"systems": delivery, "sources": delivery}
        told |= dict.fromkeys(("stewards", "escalation", "cases"), True)
        rules = self.model_dump_json(exclude=told)
        return hashlib.sha256(f"{RULES_VERSION}\n{rules}".encode()).hexdigest()[:16]

    def source_fingerprint(self, source: str) -> str:
        """Changes when what staging makes of this source's rows changes: a reason to stage it again."""
        spec = self.sources[source]
        fields = self.entities[spec.entity].fields
        aside: dict[str, Any] = dict.fromkeys(("accepts", "title", "description", "unique", "target"), True)
        aside["extract"] = {"cursor", "overlap", "timeout", "drift"}
        parts = [str(RULES_VERSION), spec.model_dump_json(exclude=aside)]
        parts += [fields[name].model_dump_json(exclude={"title", "description"}) for name in spec.fields]
        parts += [str(sorted(self.placeholders.items())), str([name in spec.accepts for name in spec.fields])]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]

    def sources_of(self, entity: str) -> dict[str, Source]:
        """Sources that feed the entity, in the document's order."""
        return {name: source for name, source in self.sources.items() if source.entity == entity}

    def way(self, entity: str, field: str) -> tuple[str, ...]:
        """The entities over which a summary's rows lead to `entity`: the counted one first, `entity` not among them.

        Ends where a name is no ref; the linter refuses that.
        """
        summary = self.entities[entity].fields[field].summary
        found = [summary.of] if summary else []
        for name in summary.path[:-1] if summary else ():
            spec = self.entities[found[-1]].fields.get(name) if found[-1] in self.entities else None
            if spec is None or spec.to is None:
                break
            found.append(spec.to)
        return tuple(found)

    def in_order(self) -> tuple[str, ...]:
        """The entities, each after those that its summaries count over; else in the document's order.

        Raises graphlib.CycleError for summaries in a circle, which the linter refuses.
        """
        needs = {
            name: [e for e in self.entities if any(e in self.way(name, field) for field in spec.fields)]
            for name, spec in self.entities.items()
        }
        if not any(needs.values()):
            return tuple(self.entities)
        return tuple(TopologicalSorter(needs).static_order())

    def systems_of(self, entity: str) -> tuple[str, ...]:
        """Systems that feed the entity, in the order in which `systems` lists them."""
        feeding = {system_of(name) for name in self.sources_of(entity)}
        return tuple(name for name in self.systems if name in feeding)

    def mapping_systems(self, entity: str, field: str) -> tuple[str, ...]:
        """Systems with a source that maps the field, in the order in which `systems` lists them."""
        mapping = {system_of(name) for name, source in self.sources_of(entity).items() if field in source.fields}
        return tuple(name for name in self.systems if name in mapping)

    def _asked(self, entity: str, field: str) -> tuple[str, ...]:
        """Whom `take` asks where the document does not say: all that map the field, and do not merely show it."""
        shown = self.entities[entity].fields[field].reflect_in
        return tuple(system for system in self.mapping_systems(entity, field) if system not in shown)

    def rule_of(self, entity: str, field: str) -> Rule:
        """The rule in force for a field: its own words, else its group's, else the entity's owner."""
        kind = self.entities[entity]
        spec = kind.fields[field]
        group = kind.groups.get(spec.group) if spec.group else None
        words: tuple[Ruled, ...] = (spec, group) if group else (spec,)
        if spec.summary:
            return Rule(owner=None, exceptions=(), fallback=(), stale_after=None, take=SUMMARY, among=())
        owner = next((word.owner for word in words if word.owner), kind.owner)
        return Rule(
            owner=None if spec.take else owner,
            exceptions=next((word.exceptions for word in words if word.exceptions), ()),
            fallback=next((word.fallback for word in words if word.fallback), ()),
            stale_after=next((word.stale_after for word in words if word.stale_after), None),
            take=spec.take,
            among=spec.among or self._asked(entity, field) if spec.take else (),
        )

    def reverts_of(self, system: str) -> int:
        """How often a target may undo a cell before it is no longer written."""
        target = self.systems[system].target
        return target.reverts if target else REVERTS

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
