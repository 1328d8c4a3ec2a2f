"""Who plays which part for a field, read off the document once.

Belongs here: the questions that several pages and the picture ask. Does not: wording.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property

from sor_pipeline.ownership.document import Ownership, Rule, system_of
from sor_pipeline.ownership.source import Mapping
from sor_pipeline.ownership.summary import Summary


@dataclass(frozen=True)
class Roles:
    """One field's systems. `origins` and `accepting` are sources; all in the document's order."""

    rule: Rule
    origins: dict[str, Mapping] = field(default_factory=dict)
    accepting: tuple[str, ...] = ()
    reflected: tuple[str, ...] = ()
    summary: Summary | None = None

    @property
    def masters(self) -> tuple[str, ...]:
        """Systems whose word can be the canonical value by owning it: the owner, and owners by exception."""
        named = [self.rule.owner] if self.rule.owner else []
        return tuple(dict.fromkeys([*named, *(exception.owner for exception in self.rule.exceptions)]))

    @property
    def corrected(self) -> tuple[str, ...]:
        """Systems that are told to change their value."""
        return tuple(dict.fromkeys(system_of(source) for source in self.accepting))


@dataclass(frozen=True)
class Book:
    """The document with its roles worked out; `fields[entity][field]`."""

    ownership: Ownership

    @cached_property
    def fields(self) -> dict[str, dict[str, Roles]]:
        origins: dict[tuple[str, str], dict[str, Mapping]] = defaultdict(dict)
        for source, spec in self.ownership.sources.items():
            for name, mapping in spec.fields.items():
                origins[spec.entity, name][source] = mapping
        return {
            entity: {name: self._roles(entity, name, origins[entity, name]) for name in spec.fields}
            for entity, spec in self.ownership.entities.items()
        }

    def _roles(self, entity: str, name: str, origins: dict[str, Mapping]) -> Roles:
        accepting = tuple(source for source in origins if name in self.ownership.sources[source].accepts)
        spec = self.ownership.entities[entity].fields[name]
        return Roles(self.ownership.rule_of(entity, name), origins, accepting, spec.reflect_in, spec.summary)

    @cached_property
    def owned(self) -> dict[str, dict[str, list[str]]]:
        """System -> entity -> fields that it masters."""
        return self._by_system("masters")

    @cached_property
    def corrected(self) -> dict[str, dict[str, list[str]]]:
        """System -> entity -> fields that it is corrected in."""
        return self._by_system("corrected")

    def _by_system(self, part: str) -> dict[str, dict[str, list[str]]]:
        found: dict[str, dict[str, list[str]]] = {system: {} for system in self.ownership.systems}
        for entity, fields in self.fields.items():
            for name, roles in fields.items():
                for system in getattr(roles, part):
                    found.setdefault(system, {}).setdefault(entity, []).append(name)
        return found

    @cached_property
    def delivered(self) -> dict[str, dict[str, int]]:
        """System -> entity -> number of fields that it delivers."""
        mapped: dict[str, dict[str, set[str]]] = {system: {} for system in self.ownership.systems}
        for source, spec in self.ownership.sources.items():
            mapped.setdefault(system_of(source), {}).setdefault(spec.entity, set()).update(spec.fields)
        return {system: {entity: len(names) for entity, names in of.items()} for system, of in mapped.items()}

    @cached_property
    def references(self) -> dict[str, list[tuple[str, str]]]:
        """Entity -> the (entity, field) that refer to it."""
        found: dict[str, list[tuple[str, str]]] = {entity: [] for entity in self.ownership.entities}
        for entity, spec in self.ownership.entities.items():
            for name, declared in spec.fields.items():
                if declared.to:
                    found.setdefault(declared.to, []).append((entity, name))
        return found
