"""The conditions of exceptions: can they be read, can they hold, do they wait for each other?

Belongs here: everything about `when`. Does not: the language (`ownership.expressions`).
"""

from __future__ import annotations

import re

from sor_pipeline.errors import OwnershipError
from sor_pipeline.ownership.conditions import AllOf, AnyOf, Test
from sor_pipeline.ownership.expressions import Condition, parse
from sor_pipeline.ownership.lint.notebook import Notebook, Path
from sor_pipeline.ownership.rules import Ruled

Parsed = list[Condition | None]


def check_conditions(book: Notebook) -> None:
    """condition-*, unreachable-rule, condition-on-itself, cyclic-condition."""
    edges: dict[tuple[str, str], dict[str, Path]] = {}
    for path, entity, names, words in book.ruled():
        parsed = _parsed(book, path, entity, words)
        _reachable(book, path, entity, names, words, parsed)
        for position, condition in enumerate(parsed):
            if condition is not None:
                _read(book, (*path, "exceptions", position, "when"), entity, names, condition, edges)
    for entity in book.ownership.entities:
        _cycles(book, {name: reads for (of, name), reads in edges.items() if of == entity})


def _parsed(book: Notebook, path: Path, entity: str, words: Ruled) -> Parsed:
    fields = book.ownership.entities[entity].fields
    parsed: Parsed = []
    for position, exception in enumerate(words.exceptions):
        try:
            parsed.append(parse(exception.when, fields, book.places.at(*path, "exceptions", position, "when")))
        except OwnershipError as error:
            if _readable(book, entity, exception.when):
                book.faults += error.faults
            parsed.append(None)
    return parsed


def _readable(book: Notebook, entity: str, text: str) -> bool:
    """Whether all that the text may name is declared as it was meant."""
    fields = ("entities", entity, "fields")
    if not book.gaps.listed(*fields):
        return False
    return all(book.gaps.whole(*fields, word) for word in re.findall(r"\w+", text.casefold()))


def _reachable(book: Notebook, path: Path, entity: str, names: tuple[str, ...], words: Ruled, parsed: Parsed) -> None:
    base = book.ownership.rule_of(entity, names[0]).owner if names else None
    certain = all(book.decided_as_written(entity, name) for name in names)
    earlier: dict[object, int] = {}
    for position, (exception, condition) in enumerate(zip(words.exceptions, parsed, strict=True)):
        where = (*path, "exceptions", position)
        if condition is None:
            continue
        always = next((earlier[key] for key in (True, _key(condition.test)) if key in earlier), None)
        if always is not None:
            what = f"the exception can never speak: an earlier one (number {always + 1}) always holds where it does"
            _unreachable(book, where, what, f"`{condition.text[:60]}`", "a condition that is left over")
        elif condition.constant is False:
            _unreachable(
                book,
                where,
                "the exception's condition never holds",
                f"`{condition.text[:60]}`",
                "a condition that can hold",
            )
        elif condition.constant is True:
            what = "the exception always holds, so that the owner and the fallback never speak"
            _unreachable(
                book,
                where,
                what,
                f"`{condition.text[:60]}`",
                "a condition",
                f"write `owner: {exception.owner}` instead",
            )
        elif certain and exception.owner == base and all(later.owner == base for later in words.exceptions[position:]):
            _unreachable(
                book, where, "the exception names the system that owns the field anyway", f"`{base}`", "another system"
            )
        earlier.setdefault(True if condition.constant is True else _key(condition.test), position)


def _key(test: Test) -> object:
    """Equal for conditions that differ in the order of `and` and `or` only."""
    if isinstance(test, (AllOf, AnyOf)):
        return type(test).__name__, frozenset(_key(part) for part in test.tests)
    return test


def _unreachable(book: Notebook, path: Path, what: str, found: str, expected: str, todo: str = "remove it") -> None:
    book.error("unreachable-rule", path, what, found, expected, todo)


def _read(
    book: Notebook, path: Path, entity: str, names: tuple[str, ...], condition: Condition,
    edges: dict[tuple[str, str], dict[str, Path]],
) -> None:  # fmt: skip
    own = sorted(condition.fields & set(names))
    if own:
        what = "the condition reads a field that it decides"
        todo = "decide by a field that has another rule"
        book.error("condition-on-itself", path, what, f"`{own[0]}`", "other fields", todo)
    for name in names:
        reads = edges.setdefault((entity, name), {})
        for field in sorted(condition.fields - set(names)):
            reads.setdefault(field, path)


def _cycles(book: Notebook, edges: dict[str, dict[str, Path]]) -> None:
    """Writes each ring of conditions once, at the first condition in it."""
    told: set[str] = set()
    for start in edges:
        ring = _ring(edges, start)
        if not ring or told & set(ring):
            continue
        told |= set(ring)
        what = "conditions wait for each other"
        found = " → ".join([*ring, ring[0]])
        todo = "let one of them read a field that is not in the ring"
        book.error(
            "cyclic-condition", edges[ring[0]][ring[1 % len(ring)]], what, found, "conditions without a ring", todo
        )


def _ring(edges: dict[str, dict[str, Path]], start: str) -> list[str]:
    """The shortest ring of reading fields through `start`, or nothing."""
    trails = [[start]]
    seen: set[str] = set()
    while trails:
        trail = trails.pop(0)
        for field in edges.get(trail[-1], {}):
            if field == start:
                return trail
            if field not in seen:
                seen.add(field)
                trails.append([*trail, field])
    return []
