"""Whether writing back comes to an end: no cell that our own corrections would change for ever.

Belongs here: circles of columns, words that our writing would change, texts that do not come back as they were
written. Does not: `take` fields (`ruling`), mappings that lose information (`writing`); what only data can show is
played by `sor simulate`.

A correction carries a value from a column of the system that decides a field to a column of one that accepts it. So
the document draws arrows between columns; conditions draw some more, from the columns that they read. Values can go
round for ever only along a circle of these arrows that more than one field takes part in.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from sor_pipeline.errors import OwnershipError
from sor_pipeline.ownership.document import system_of
from sor_pipeline.ownership.entity import Field
from sor_pipeline.ownership.expressions import parse
from sor_pipeline.ownership.fieldtypes import Stored
from sor_pipeline.ownership.inversion import inverts
from sor_pipeline.ownership.lint.notebook import Notebook, Path
from sor_pipeline.ownership.source import Mapping

Column = tuple[str, str]
"""A source and a column of it."""


class Arrow(NamedTuple):
    """What is read at `start` is written to `end` for the sake of `field`; or steers what is written."""

    start: Column
    end: Column
    field: str
    certain: bool
    steers: bool
    path: Path


def check_converging(book: Notebook) -> None:
    """written-in-circles, written-over, stale-written-back, written-as-nothing, codes-do-not-return."""
    if not book.sources_settled():
        return
    arrows: list[Arrow] = []
    for entity in book.ownership.entities:
        arrows += _arrows(book, entity)
    circled = _circles(book, arrows)
    for path, source, field, declared, mapping in _writable(book):
        if (source, mapping.columns[0]) not in circled:
            _spoken_over(book, path, source, field, mapping)
        _grown_stale(book, path, source, field)
        _comes_back(book, path, source, field, declared, mapping)


def _writable(book: Notebook) -> Iterator[tuple[Path, str, str, Field, Mapping]]:
    """Path of the acceptance, source, field, its declaration and mapping: where corrections are really written."""
    for path, name, source in book.sources():
        fields = book.ownership.entities[source.entity].fields
        for position, field in enumerate(source.accepts):
            certain = book.gaps.whole("sources", name, "fields", field) and field in fields
            if certain and field in source.fields and book.decided_as_written(source.entity, field):
                mapping = source.fields[field]
                if inverts(fields[field], mapping) is None:
                    yield (*path, "accepts", position), name, field, fields[field], mapping


def _deciders(book: Notebook, entity: str, field: str) -> dict[str, bool]:
    """The systems whose word may be the field's value; and whether it always is."""
    rule = book.ownership.rule_of(entity, field)
    named = [rule.owner, *(exception.owner for exception in rule.exceptions), *rule.fallback, *rule.among]
    return {system: system == rule.owner and not rule.exceptions for system in dict.fromkeys(named) if system}


def _said_at(book: Notebook, entity: str, field: str) -> Iterator[tuple[Column, bool]]:
    """The columns that may decide the field, and whether they always do."""
    deciders = _deciders(book, entity, field)
    for name, source in book.ownership.sources_of(entity).items():
        if system_of(name) in deciders and field in source.fields:
            for column in source.fields[field].columns:
                yield (name, column), deciders[system_of(name)]


def _arrows(book: Notebook, entity: str) -> Iterator[Arrow]:
    read = {field: _read_by(book, entity, field) for field in book.ownership.entities[entity].fields}
    for path, target, field, _, mapping in _writable(book):
        if book.ownership.sources[target].entity != entity:
            continue
        end = (target, mapping.columns[0])
        for start, certain in _said_at(book, entity, field):
            if system_of(start[0]) != system_of(target):
                yield Arrow(start, end, field, certain, False, path)
        for condition in read[field]:
            for start, _ in _said_at(book, entity, condition):
                yield Arrow(start, end, field, False, True, path)


def _read_by(book: Notebook, entity: str, field: str) -> frozenset[str]:
    """The fields that the conditions of the field's rule read."""
    found: set[str] = set()
    for exception in book.ownership.rule_of(entity, field).exceptions:
        try:
            found |= parse(exception.when, book.ownership.entities[entity].fields).fields
        except OwnershipError:  # told by `conditions`
            continue
    return frozenset(found)


def _circles(book: Notebook, arrows: list[Arrow]) -> set[Column]:
    """Each circle once, at the first acceptance in it; returns the columns in circles."""
    leaving: dict[Column, list[Arrow]] = {}
    for arrow in arrows:
        leaving.setdefault(arrow.start, []).append(arrow)
    told: set[Column] = set()
    for arrow in arrows:
        ring = _ring(leaving, arrow)
        if not ring or told & {one.end for one in ring}:
            continue
        told |= {one.end for one in ring}
        places = " → ".join(_shown(one.start) for one in ring) + f" → {_shown(ring[-1].end)}"
        fields = ", ".join(f"`{name}`" for name in dict.fromkeys(one.field for one in ring))
        what = f"corrections of {fields} go round in a circle of columns: no value would ever come to rest"
        todo = "remove one of the fields from `accepts`, or map it to a column of its own"
        told_of = (ring[0].path, what, places, "columns that feed no column that feeds them", todo)
        if all(one.certain for one in ring):
            book.error("written-in-circles", *told_of)
        else:
            book.warn("written-in-circles", *told_of)
    return told


def _ring(leaving: dict[Column, list[Arrow]], first: Arrow) -> list[Arrow]:
    """The shortest circle from an arrow back to its start that more than one field, or a condition, is part of."""
    trails = [[first]]
    seen = {(first.end, first.field)}
    while trails:
        trail = trails.pop(0)
        if trail[-1].end == first.start and (len({one.field for one in trail}) > 1 or any(one.steers for one in trail)):
            return trail
        for arrow in leaving.get(trail[-1].end, []):
            if (arrow.end, arrow.field) not in seen:
                seen.add((arrow.end, arrow.field))
                trails.append([*trail, arrow])
    return []


def _shown(column: Column) -> str:
    return f"{column[0]}.{column[1]}"


def _spoken_over(book: Notebook, path: Path, source: str, field: str, mapping: Mapping) -> None:
    """The column that is written says something else too, and its system's word counts for that."""
    spec = book.ownership.sources[source]
    for other, read in spec.fields.items():
        shared = other != field and set(read.columns) & set(mapping.columns)
        if not shared or not book.gaps.whole("sources", source, "fields", other) or other in spec.accepts:
            continue
        known = other in book.ownership.entities[spec.entity].fields
        if known and system_of(source) in _deciders(book, spec.entity, other):
            column = mapping.columns[0]
            what = f"`{source}` accepts `{field}` in a column that also says `{other}`, for which its word counts"
            found = f"{source}.{column} → `{other}`"
            todo = f"map `{other}` to another column, or remove `{field}` from `accepts`"
            book.warn("written-over", path, what, found, "a column that says one thing", todo)


def _grown_stale(book: Notebook, path: Path, source: str, field: str) -> None:
    """Our writing looks newer than the owner's value: only where a target acknowledges do we know it for ours."""
    entity, system = book.ownership.sources[source].entity, system_of(source)
    rule = book.ownership.rule_of(entity, field)
    target = book.ownership.systems[system].target if system in book.ownership.systems else None
    acknowledges = target is not None and target.live
    if rule.stale_after and system in rule.fallback and not acknowledges:
        what = f"`{field}` gives way to a newer value of `{system}`, and is written to it: our own writing is newer"
        found = f"{rule.owner} → {source} → {rule.owner} is stale → {source}"
        todo = f"remove it from `accepts`, or give `{system}` a live `target`, which tells our writing from its own"
        book.warn("stale-written-back", path, what, found, "deliveries that are acknowledged", todo)


def _comes_back(book: Notebook, path: Path, source: str, field: str, declared: Field, mapping: Mapping) -> None:
    """What is written is read again as it was meant: every code, every text of a truth value, every choice."""
    read = {theirs.strip(): ours for theirs, ours in mapping.codes.items()}
    for theirs, ours in mapping.codes.items():
        if read[theirs.strip()] != ours:
            what = f"`{source}` writes `{ours}` of `{field}` as a code that it reads as something else"
            found = f"`{ours}` → `{theirs}` → `{read[theirs.strip()]}`"
            book.error("codes-do-not-return", path, what, found, "one code for each", "remove one of the codes")
    written = () if mapping.codes else _texts(declared, mapping)
    words = (*book.ownership.placeholders.get(declared.type, ()), *declared.placeholders)
    nothing = {word.strip().casefold() for word in words}
    for text in written:
        if text.strip().casefold() in nothing:
            what = f"`{field}` is written to `{source}` as a text that means nothing when it is read again"
            todo = f"give it a code in the mapping of `{source}`, or take it off the placeholders"
            book.error("written-as-nothing", path, what, f"`{text}`", "a text that means a value", todo)


def _texts(declared: Field, mapping: Mapping) -> tuple[str, ...]:
    """Texts that are certainly written some day: those of a choice and of truth values."""
    if isinstance(declared.of, tuple):
        return declared.of
    if declared.kind.stored is Stored.boolean:
        return (*mapping.true_texts[:1], *mapping.false_texts[:1])
    return ()
