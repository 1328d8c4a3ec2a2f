"""Where checks write down what they find.

Belongs here: faults with their line, and the questions that several checks ask of the document.
Does not: any check.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

from sor_pipeline.errors import Fault
from sor_pipeline.ownership.document import Ownership, system_of
from sor_pipeline.ownership.entity import Entity, Field
from sor_pipeline.ownership.gaps import Gaps
from sor_pipeline.ownership.places import Places, Step
from sor_pipeline.ownership.rules import Ruled
from sor_pipeline.ownership.source import Mapping, Source
from sor_pipeline.ownership.suggest import did_you_mean, one_of

Path = tuple[Step, ...]


@dataclass
class Notebook:
    """The document, its places, what of it could not be read (`gaps`), and the faults found so far.

    Nothing is written of a noun (field, group, mapping, rule of matching, delivery) that has gaps: it might be
    false of what was meant. A check that reads more than the noun it writes of asks the gaps itself.
    """

    ownership: Ownership
    places: Places
    gaps: Gaps = field(default_factory=Gaps)
    faults: list[Fault] = field(default_factory=list)

    def error(self, code: str, path: Path, what: str, found: str = "", expected: str = "", todo: str = "") -> None:
        if self._sound(path):
            self.faults.append(Fault(code, self.places.at(*path), what, found, expected, todo))

    def warn(self, code: str, path: Path, what: str, found: str = "", expected: str = "", todo: str = "") -> None:
        if self._sound(path):
            self.faults.append(Fault(code, self.places.at(*path), what, found, expected, todo, warning=True))

    def _sound(self, path: Path) -> bool:
        """Whether the noun around the path has no gaps; of entities, sources and systems only the name counts."""
        if len(path) < 3:
            return self.gaps.stands(*path)
        return self.gaps.whole(*path[: _NOUNS.get((str(path[0]), str(path[2])), len(path))])

    def known(self, noun: str, name: str, names: Collection[str], path: Path) -> bool:
        """Whether `names` has `name`; writes `unknown-<noun>` where it is certain that it does not."""
        if name in names:
            return True
        if self.gaps.stands(*path) and self._settled(noun, name, names):
            todo = did_you_mean(name, names, f"write down that {noun}, or name another")
            what = f"there is no {noun} `{name}`"
            where = self.places.at(*path)
            self.faults.append(Fault(f"unknown-{noun}", where, what, f"`{name}`", one_of(names), todo))
        return False

    def _settled(self, noun: str, name: str, names: Collection[str]) -> bool:
        """Whether what declares `names` is read as it was meant, as far as `name` is concerned."""
        scopes: list[Path] = [("systems",), ("sources",), ("entities",)]
        for path, _, spec in self.entities():
            scopes += [(*path, "fields")] if names is spec.fields else []
            scopes += [(*path, "groups")] if names is spec.groups else []
        apart: dict[str, Path] = {"system": scopes[0], "source": scopes[1], "entity": scopes[2]}
        declares = ("stewards",) if noun == "steward" else apart.get(noun, scopes[-1])
        return noun == "type" or self.gaps.settled(declares, name)

    def declared(self, name: str, scope: Path, names: Collection[str]) -> bool:
        """Whether the name is there, or was meant to be."""
        return name in names or not self.gaps.settled(scope, name)

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

    def sources_settled(self) -> bool:
        """Whether it is certain which sources there are, and which entity each feeds."""
        return (
            self.gaps.listed("sources")
            and not self.gaps.left_out("sources")
            and all(self.gaps.settled(("sources", name), "entity") for name in self.ownership.sources)
            and all(source.entity in self.ownership.entities for source in self.ownership.sources.values())
        )

    def clear(self, entity: str) -> bool:
        """Whether the entity has sources and all their names are known: else what they lack follows from that fault."""
        sources = self.ownership.sources_of(entity)
        fields = self.ownership.entities[entity].fields
        scope = ("entities", entity, "fields")
        return (
            bool(sources)
            and all(system_of(name) in self.ownership.systems for name in sources)
            and all(self.declared(name, scope, fields) for source in sources.values() for name in source.fields)
            and self.sources_settled()
        )

    def mapped_as_written(self, entity: str, names: Iterable[str]) -> bool:
        """Whether it is certain which sources of the entity map the fields."""
        sources = self.ownership.sources_of(entity)
        return all(self.gaps.settled(("sources", source, "fields"), name) for source in sources for name in names)

    def decided_as_written(self, entity: str, name: str) -> bool:
        """Whether all words of the rule of a field could be read: its own, its group's, the entity's owner."""
        group = self.ownership.entities[entity].fields[name].group
        above: Path = ("entities", entity)
        return (
            self.gaps.whole(*above, "fields", name)
            and (group is None or self.gaps.whole(*above, "groups", group))
            and self.gaps.whole(*above, "owner")
        )

    def feeds(self, system: str, entity: str) -> bool:
        """Whether the system has a source of the entity."""
        return any(system_of(name) == system for name in self.ownership.sources_of(entity))


_NOUNS = {
    ("entities", "fields"): 4, ("entities", "groups"): 4, ("entities", "match"): 3,
    ("sources", "fields"): 4, ("sources", "extract"): 3,
}  # fmt: skip
"""How long the path of a noun is that lies at such a place."""


def members(entity: Entity, group: str) -> tuple[str, ...]:
    """The fields of a group."""
    return tuple(name for name, declared in entity.fields.items() if declared.group == group)
