"""What is decided together: a field alone, or a group of fields in lock-step; and in which order.

Belongs here: the document's rules of one entity, arranged for the selects. No SQL.
"""

from __future__ import annotations

from dataclasses import dataclass
from graphlib import TopologicalSorter

from sor_pipeline.ownership.document import Ownership, Rule
from sor_pipeline.ownership.expressions import Condition, parse


@dataclass(frozen=True)
class Unit:
    """Fields taken from one record; `conditions` are those of `rule.exceptions`, parsed, in order."""

    name: str
    fields: tuple[str, ...]
    rule: Rule
    conditions: tuple[Condition, ...]

    @property
    def reads(self) -> frozenset[str]:
        """Fields whose canonical values the conditions look at."""
        return frozenset(field for condition in self.conditions for field in condition.fields)


def units(ownership: Ownership, entity: str) -> tuple[Unit, ...]:
    """The entity's units in the document's order; a group stands where its first field does."""
    kind = ownership.entities[entity]
    members: dict[str, list[str]] = {}
    for name, field in kind.fields.items():
        grouped = field.group is not None and field.take is None
        members.setdefault(f"{field.group} (group)" if grouped else name, []).append(name)
    made = []
    for name, fields in members.items():
        rule = ownership.rule_of(entity, fields[0])
        conditions = tuple(parse(exception.when, kind.fields) for exception in rule.exceptions)
        made.append(Unit(name, tuple(fields), rule, conditions))
    return tuple(made)


def levels(parts: tuple[Unit, ...]) -> list[tuple[Unit, ...]]:
    """Units in layers: every condition of a layer reads only fields of the layers before it.

    Raises graphlib.CycleError for conditions that read each other, which the linter refuses.
    """
    home = {field: unit.name for unit in parts for field in unit.fields}
    sorter = TopologicalSorter({unit.name: {home[field] for field in unit.reads} for unit in parts})
    sorter.prepare()
    by_name = {unit.name: unit for unit in parts}
    layers = []
    while sorter.is_active():
        ready = sorter.get_ready()
        layers.append(tuple(by_name[name] for name in by_name if name in ready))
        sorter.done(*ready)
    return layers
