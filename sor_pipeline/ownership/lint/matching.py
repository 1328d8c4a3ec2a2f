"""Similarity rules: can what they name be compared, and is it enough to tell one entity from another?

Belongs here: everything about `similar`. Does not: `same` and `linked` (`names`), what a comparison does (`identify`).
"""

from __future__ import annotations

from sor_pipeline.ownership.entity import Entity
from sor_pipeline.ownership.lint.notebook import Notebook, Path, members
from sor_pipeline.ownership.matching import Similar

NOT_COMPARED = frozenset({"json", "list", "timestamp"})
"""Types whose values of two records say nothing about whether they are one: a moment is the tool's, not the thing's."""


def check_matching(book: Notebook) -> None:
    """unknown-field, not-comparable, compared-twice, two-similar-rules, block-not-compared, thin-similarity."""
    for path, _, spec in book.entities():
        seen = False
        for position, rule in enumerate(spec.match):
            if not isinstance(rule, Similar):
                continue
            below: Path = (*path, "match", position)
            if seen:
                what, todo = "the entity has two similarity rules", "join their fields in one list"
                book.error("two-similar-rules", below, what, "a second `similar`", "one", todo)
            seen = True
            _rule(book, below, spec, rule)


def _rule(book: Notebook, path: Path, spec: Entity, rule: Similar) -> None:
    compared: list[str] = []
    for at, name, listed in _items(rule):
        where = (*path, "similar", *at)
        named = listed if listed is not None else _fields(spec, name)
        if not named:
            book.known("field", name, [*spec.fields, *spec.groups], where)
            continue
        if listed is not None and name in spec.fields and name not in listed:
            what = f"`{name}` is a field, and here the label of other fields"
            book.error("compared-twice", where, what, f"`{name}`", "a label of its own", "name the label otherwise")
        for index, field in enumerate(named):
            place = (*where, index) if listed is not None else where
            if book.known("field", field, spec.fields, place):
                _field(book, place, spec, field, compared)
    _blocks(book, path, spec, rule, compared)
    if len(set(compared)) == 1:
        what = "similarity of one field says too little to tell one entity from another"
        todo = "list more fields, or write `same: [...]`"
        book.warn("thin-similarity", (*path, "similar"), what, f"`{compared[0]}` alone", "two fields or more", todo)


def _items(rule: Similar) -> list[tuple[Path, str, tuple[str, ...] | None]]:
    """Where an item stands below `similar`, its name, the fields it lists."""
    found: list[tuple[Path, str, tuple[str, ...] | None]] = []
    for position, item in enumerate(rule.similar):
        if isinstance(item, str):
            found.append(((position,), item, None))
            continue
        for name, detail in item.items():
            found.append(((position, name), name, detail if isinstance(detail, tuple) else None))
    return found


def _fields(spec: Entity, name: str) -> tuple[str, ...]:
    return (name,) if name in spec.fields else members(spec, name)


def _field(book: Notebook, path: Path, spec: Entity, field: str, compared: list[str]) -> None:
    declared = spec.fields[field]
    if declared.type in NOT_COMPARED:
        what = f"`{field}` cannot be compared"
        found, expected = f"type `{declared.type}`", "a name, text, number, date, code or reference"
        book.error("not-comparable", path, what, found, expected, "leave it out")
    if field in compared:
        what, todo = f"`{field}` is compared twice: it would count for two", "remove one of them"
        book.error("compared-twice", path, what, f"`{field}`", "each field once", todo)
    compared.append(field)


def _blocks(book: Notebook, path: Path, spec: Entity, rule: Similar, compared: list[str]) -> None:
    for position, names in enumerate(rule.block):
        for index, name in enumerate(names):
            where = (*path, "block", position, index)
            if book.known("field", name, spec.fields, where) and name not in compared:
                what = f"`block` names `{name}`, which is not compared"
                book.error(
                    "block-not-compared", where, what, f"`{name}`", "a field of `similar`", "add it to `similar`"
                )
