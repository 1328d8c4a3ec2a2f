"""Where checks write down what they find.

Belongs here: faults with their line, and the questions that several checks ask of the document.
Does not: any check.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from sor_pipeline.errors import Fault
from sor_pipeline.ownership.document import Ownership, system_of
from sor_pipeline.ownership.entity import Entity, Field
from sor_pipeline.ownership.places import Places, Step
from sor_pipeline.ownership.rules import Ruled
from sor_pipeline.ownership.source import Mapping, Source
from sor_pipeline.ownership.suggest import did_you_mean, one_of

Path = tuple[Step, ...]


@dataclass
class Notebook:
    """The document, its places, and the faults found so far."""

    ownership: Ownership
    places: Places
    faults: list[Fault] = field(default_factory=list)

    def error(self, code: str, path: Path, what: str, found: str = "", expected: str = "", todo: str = "") -> None:
        self.faults.append(Fault(code, self.places.at(*path), what, found, expected, todo))

    def warn(self, code: str, path: Path, what: str, found: str = "", expected: str = "", todo: str = "") -> None:
        self.faults.append(Fault(code, self.places.at(*path), what, found, expected, todo, warning=True))

    def known(self, noun: str, name: str, names: Iterable[str], path: Path) -> bool:
        """Whether `names` has `name`; writes `unknown-<noun>` where it does not."""
        names = list(names)
        if name in names:
            return True
        todo = did_you_mean(name, names, f"write down that {noun}, or name another")
        self.error(f"unknown-{noun}", path, f"there is no {noun} `{name}`", f"`{name}`", one_of(names), todo)
        return False

    def entities(self) -> Iterator[tuple[Path, str, Entity]]:
        for name, entity in self.ownership.entities.items():
            yield ("entities", name), name, entity

    def fields(self) -> Iterator[tuple[Path, str, str, Field]]:
        """Path, entity, field, its declaration."""
        for path, entity, spec in self.entities():
            for name, declared in spec.fields.items():
                yield (*path, "fields", name), entity, name, declared

    def ruled(self) -> Iterator[tuple[Path, str, tuple[str, ...], Ruled]]:
        """Everything that may carry a rule: path, entity, the fields that the rule is for, the rule's words."""
        for path, entity, field_name, declared in self.fields():
            yield path, entity, (field_name,), declared
        for path, entity, spec in self.entities():
            for name, group in spec.groups.items():
                yield (*path, "groups", name), entity, members(spec, name), group

    def sources(self) -> Iterator[tuple[Path, str, Source]]:
        for name, source in self.ownership.sources.items():
            yield ("sources", name), name, source

    def mappings(self) -> Iterator[tuple[Path, str, Field, str, Mapping]]:
        """Mappings of fields that exist: path, field, its declaration, source, mapping."""
        for path, source, spec in self.sources():
            entity = self.ownership.entities.get(spec.entity)
            for name, mapping in spec.fields.items():
                if entity and name in entity.fields:
                    yield (*path, "fields", name), name, entity.fields[name], source, mapping

    def clear(self, entity: str) -> bool:
        """Whether the entity has sources and all their names are known: else what they lack follows from that fault."""
        sources = self.ownership.sources_of(entity)
        fields = self.ownership.entities[entity].fields
        return (
            bool(sources)
            and all(system_of(name) in self.ownership.systems for name in sources)
            and all(name in fields for source in sources.values() for name in source.fields)
            and all(source.entity in self.ownership.entities for source in self.ownership.sources.values())
        )

    def feeds(self, system: str, entity: str) -> bool:
        """Whether the system has a source of the entity."""
        return any(system_of(name) == system for name in self.ownership.sources_of(entity))


def members(entity: Entity, group: str) -> tuple[str, ...]:
    """The fields of a group."""
    return tuple(name for name, declared in entity.fields.items() if declared.group == group)
