"""What a similarity rule compares, and for which pairs: read from the document alone.

Belongs here: the meaning of fields by type and name, comparisons as data, the blocking rules that follow
from them. Does not: levels of agreement (`levels`), values (`features`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from sor_pipeline.ownership.entity import Entity, Field
from sor_pipeline.ownership.matching import Compared, Similar

NAMES = "_names"
"""Column of `features`: given and family name, whichever order they were typed in."""

COMPARABLE = frozenset(
    {"text", "name", "email", "phone", "url", "domain", "country", "subdivision", "postal_code", "currency",
     "decimal", "integer", "boolean", "date", "choice", "ref"}
)  # fmt: skip
"""Field types that similarity can compare."""
PLACES = frozenset({"street", "city", "postal"})
PERSONAL = frozenset({"given", "family", "person"})
_BY_TYPE = {
    "email": "email", "phone": "phone", "url": "domain", "domain": "domain", "postal_code": "postal", "date": "date",
    "decimal": "number", "integer": "number", "ref": "ref",
}  # fmt: skip
_BY_WORD = (
    ("mark", {"sex", "gender", "salutation", "prefix", "suffix", "generation", "honorific"}),
    ("given", {"first", "given", "fore", "firstname", "forename", "givenname", "vorname", "prenom"}),
    ("family", {"last", "family", "sur", "lastname", "surname", "familyname", "nachname"}),
    ("company", {"company", "organisation", "organization", "org", "firm", "business", "employer", "firma", "account"}),
    ("city", {"city", "town", "suburb", "locality", "place", "municipality"}),
    ("street", {"street", "address", "addr", "line", "road", "address1", "address2"}),
    ("person", {"full", "display", "person", "contact", "fullname"}),
)  # fmt: skip
_COMPANY_SIGNS = frozenset({"domain", "url"})


@dataclass(frozen=True)
class Part:
    """One comparison: `fields` in the document's order with what each is (`kinds`)."""

    name: str
    kind: str
    fields: tuple[str, ...]
    kinds: tuple[str, ...]
    common: bool = True
    tolerance: float = 0.0

    def of(self, kind: str) -> tuple[str, ...]:
        return tuple(field for field, its in zip(self.fields, self.kinds, strict=True) if its == kind)


@dataclass(frozen=True)
class Block:
    """One blocking rule: columns of `features` that must all be equal, and the parts that this presupposes."""

    columns: tuple[str, ...]
    parts: frozenset[str]


@dataclass(frozen=True)
class Plan:
    """`fields`: all fields that are read."""

    parts: tuple[Part, ...]
    blocks: tuple[Block, ...]

    @property
    def fields(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(field for part in self.parts for field in part.fields))

    def first(self, *kinds: str) -> Part | None:
        return next((part for part in self.parts if part.kind in kinds), None)


def rule_of(spec: Entity) -> Similar | None:
    """The entity's similarity rule; the linter allows one."""
    return next((rule for rule in spec.match if isinstance(rule, Similar)), None)


def plan_of(spec: Entity) -> Plan | None:
    """What the entity's rule asks for; None where there is none."""
    rule = rule_of(spec)
    if rule is None:
        return None
    parts = _parts(spec, rule)
    return Plan(parts, _listed(parts, rule) if rule.block else derived(parts))


def kind_of(name: str, declared: Field, spec: Entity, told: Compared = Compared()) -> str:  # noqa: B008 (frozen)
    """What a field's values are: as told, else by its type, else by the words of its name."""
    if told.meaning is not None:
        return told.meaning.value
    if declared.unique and declared.type in ("text", "integer", "choice"):
        return "id"
    if declared.type in _BY_TYPE:
        return _BY_TYPE[declared.type]
    words = set(re.split(r"[_0-9]+", name)) | {name}
    meant = next((kind for kind, signs in _BY_WORD if words & signs), "")
    if declared.type == "name":
        firm = any(other.type in _COMPANY_SIGNS for other in spec.fields.values())
        return meant if meant in (*PERSONAL, "company", "city") else "company" if firm else "person"
    if meant == "mark":
        return meant
    if declared.type != "text":
        return "exact"
    return meant if meant in ("given", "family", "company", "city", "street") else "text"


def _parts(spec: Entity, rule: Similar) -> tuple[Part, ...]:
    """Fields of one place are one comparison, whether they were listed together or side by side."""
    parts: list[Part] = []
    loose: list[str] = []
    for name, listed, told in rule.items():
        members = listed or tuple(n for n, declared in spec.fields.items() if declared.group == name)
        if listed or (members and name not in spec.fields):
            kinds = tuple(_place(member, spec.fields[member], spec) for member in members if member in spec.fields)
            parts.append(Part(name, "address", tuple(m for m in members if m in spec.fields), kinds, told.common))
        elif name in spec.fields:
            declared = spec.fields[name]
            kind = kind_of(name, declared, spec, told)
            if kind in PLACES:
                loose.append(name)
            else:
                parts.append(Part(name, kind, (name,), (kind,), told.common, declared.tolerance))
    if loose:
        kinds = tuple(_place(name, spec.fields[name], spec) for name in loose)
        parts.append(Part("_".join(loose)[:40].strip("_"), "address", tuple(loose), kinds))
    return tuple(parts)


def _place(name: str, declared: Field, spec: Entity) -> str:
    """In an address everything that is neither a code nor a town is a line of the street; regions say too little."""
    kind = kind_of(name, declared, spec)
    if kind in PLACES:
        return kind
    return "street" if declared.type in ("text", "name") and kind in ("text", "person", "company") else "region"


def _listed(parts: tuple[Part, ...], rule: Similar) -> tuple[Block, ...]:
    """The document's own blocking rules."""
    by_field = {field: (part, kind) for part in parts for field, kind in zip(part.fields, part.kinds, strict=True)}
    blocks = []
    for names in rule.block:
        known = [by_field[name] for name in names if name in by_field]
        columns = tuple(block_column(part, kind) for part, kind in known)
        if columns:
            blocks.append(Block(tuple(dict.fromkeys(columns)), frozenset(part.name for part, _ in known)))
    return tuple(blocks)


def block_column(part: Part, kind: str) -> str:
    """The column in which equal values bring two records together."""
    ends = {
        "phone": "tail",
        "company": "core",
        "person": "sorted",
        "street": "street",
        "city": "city",
        "postal": "postal",
    }
    return f"{part.name}__{ends.get(kind, 'v')}"


def derived(parts: tuple[Part, ...]) -> tuple[Block, ...]:
    """Enough rules that two records of one entity meet although one or two fields are wrong or missing."""
    found: list[Block] = []

    def add(*columns: tuple[Part, str]) -> None:
        block = Block(tuple(f"{part.name}__{end}" for part, end in columns), frozenset(p.name for p, _ in columns))
        if block not in found:
            found.append(block)

    for part in parts:
        for end in _ALONE.get(part.kind, ()):
            add((part, end))
    given, family = _one(parts, "given"), _one(parts, "family")
    if given and family:
        found.append(Block((NAMES,), frozenset({given.name, family.name})))
    for who, end in _people(parts):
        for other, theirs in _corroboration(parts):
            add((who, end), (other, theirs))
    for place in (part for part in parts if part.kind == "address"):
        if place.of("postal") and place.of("street"):
            add((place, "postal"), (place, "number"))
        for other in parts:
            if other.kind == "date" and place.of("postal"):
                add((other, "v"), (place, "postal"))
    if not found:
        for part in parts:
            add((part, "v" if part.kind != "address" else part.kinds[0]))
    return tuple(found)


_ALONE: dict[str, tuple[str, ...]] = {
    "email": ("v", "whole"), "phone": ("tail",), "id": ("v",), "person": ("sorted",), "company": ("core",),
    "domain": ("v",), "date": ("v",), "address": ("street",), "family": ("v",),
}  # fmt: skip
"""Columns that bring records together by themselves; frequent values are left out by their number of holders."""


def _one(parts: Iterable[Part], kind: str) -> Part | None:
    return next((part for part in parts if part.kind == kind), None)


def _people(parts: tuple[Part, ...]) -> list[tuple[Part, str]]:
    ends = {"given": "v", "family": "v", "person": "last", "company": "head"}
    return [(part, ends[part.kind]) for part in parts if part.kind in ends]


def _corroboration(parts: tuple[Part, ...]) -> list[tuple[Part, str]]:
    """What makes a name alone rare enough to be looked at."""
    found = [(part, "v") for part in parts if part.kind == "date"]
    for place in (part for part in parts if part.kind == "address"):
        found += [(place, kind) for kind in ("postal", "city") if place.of(kind)]
    return found
