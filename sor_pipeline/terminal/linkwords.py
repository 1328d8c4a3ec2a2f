"""Rules, guards and edges in words that a steward reads.

Belongs here: wording. Does not: finding out (`observe`), laying out (`linkage`, `review`).
"""

from __future__ import annotations

from collections.abc import Sequence

from sor_pipeline.observe.cases import At
from sor_pipeline.observe.linkage import Apart, Tie
from sor_pipeline.ownership.document import Ownership
from sor_pipeline.ownership.entity import Entity

KINDS = {
    "review": "similar, but not surely the same",
    "not_unique": "would join two records of a source that says unique",
    "too_large": "would make more records than max_size",
}
"""Kinds of case."""


def at(record: At) -> str:
    """A record as people name it."""
    return f"{record[0]}:{record[1]}"


def titled(spec: Entity, field: str) -> str:
    """A field as people call it."""
    return (spec.fields[field].title if field in spec.fields else "") or field.replace("_", " ")


def listed(words: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else list(words))


def counted(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def fields_of(rule: str) -> list[str]:
    """The fields that a rule `same:<fields>` names."""
    return rule.removeprefix("same:").split("+") if rule.startswith("same:") else []


def what(spec: Entity, rule: str) -> str:
    """A rule's name as a thing: `the same email and phone`."""
    if rule.startswith("same:"):
        return f"the same {listed([titled(spec, name) for name in fields_of(rule)])}"
    if rule.startswith("linked:"):
        return f"the key in {rule.removeprefix('linked:')}"
    return "similarity" if rule == "similar" else rule


def personal(spec: Entity, rule: str) -> bool:
    """Whether what the rule's records have in common is somebody's personal value."""
    return any(name in spec.fields and spec.fields[name].personal for name in fields_of(rule))


def tied(spec: Entity, tie: Tie, start: At, end: At, values: bool = False) -> str:
    """One edge in words, from `start` to `end`; a personal value is said with `values` only."""
    if tie.rule.startswith("decision"):
        return f"{tie.rule} links them ({tie.said})"
    if tie.rule == "similar":
        return f"similar enough: {likely(tie.probability, tie.weight)}"
    if tie.rule.startswith("linked:"):
        column = tie.rule.removeprefix("linked:")
        if tie.token in (at(start), at(end)):
            holder, named = (end, start) if tie.token == at(start) else (start, end)
            return f"{at(holder)} names {at(named)} in its column {column.removeprefix(f'{holder[0]}.')}"
        return f"both name {tie.token} in {column}"
    said = f" ({tie.token})" if values or not personal(spec, tie.rule) else ""
    others = f"; {counted(tie.holders, 'record')} hold it" if tie.holders > 2 else ""
    return f"both hold {what(spec, tie.rule)}{said}{others}"


def held(spec: Entity, tie: Tie, values: bool = False) -> str:
    """A tie among many records in words."""
    if len(tie.ends) == 2:
        return tied(spec, tie, *tie.ends, values=values)
    if tie.rule.startswith("linked:"):
        return f"{len(tie.ends)} records name {tie.token} in {tie.rule.removeprefix('linked:')}, or are it"
    said = f" ({tie.token})" if values or not personal(spec, tie.rule) else ""
    return f"{len(tie.ends)} records hold {what(spec, tie.rule)}{said}"


def likely(probability: float | None, weight: float | None) -> str:
    """A score in words."""
    words = [f"probability {certain(probability)}"] if probability is not None else []
    words += [f"weight {weight:+.1f}"] if weight is not None else []
    return ", ".join(words) or "no score"


def certain(probability: float) -> str:
    """A probability; nothing is ever certain."""
    if probability > 0.999:
        return ">0.999"
    return "<0.001" if probability < 0.001 else f"{probability:.3f}"


def kept_apart(spec: Entity, one: Apart) -> str:
    """Why an edge does not join its two records."""
    if one.guard == "decision":
        return f"{one.rule} keeps {at(one.ends[0])} and {at(one.ends[1])} apart ({one.detail})"
    both = f"{at(one.ends[0])} and {at(one.ends[1])}"
    if one.guard == "review":
        veto = f"; not linked by itself: {one.detail}" if one.detail else ""
        return f"{both} are similar ({likely(one.probability, one.weight)}) and wait for sor review{veto}"
    because = {
        "unlink": f"it would join what a decision keeps apart ({one.detail})",
        "unique": f"it would join two records of a source that says `unique: true` ({one.detail})",
        "max_size": f"the {spec.title or 'entity'} would have more records than max_size ({one.detail})",
    }
    return f"{both} are tied by {what(spec, one.rule)}, but {because.get(one.guard, one.guard)}"


DISTRUST = {
    "role-mailbox": "a mailbox that a role reads, not a person",
    "mail-provider": "the domain of a mail provider, nobody's own",
    "placeholder": "a stand-in for nothing",
    "digest-of-nothing": "the digest of an empty cell",
    "masked": "masked",
    "trivial-number": "a number that means nothing",
    "max_records": "shared by too many records",
    "strangers": "shared by records that agree in nothing else",
}


def distrusted(spec: Entity, tie: Tie, values: bool = False) -> str:
    """Why what two records have in common links nobody."""
    said = f" ({tie.token})" if values or not personal(spec, tie.rule) else ""
    why = DISTRUST.get(tie.distrust or "", tie.distrust)
    return f"both hold {what(spec, tie.rule)}{said}, but it is {why} ({counted(tie.holders, 'record')} hold it)"


def system_title(ownership: Ownership, source: str) -> str:
    """The tool behind a source, as the document calls it."""
    name = source.split(".", 1)[0]
    return ownership.systems[name].title or name if name in ownership.systems else name
