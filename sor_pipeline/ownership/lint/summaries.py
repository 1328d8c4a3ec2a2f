"""Summaries that lead nowhere, count what is no number, or go round in a circle.

Belongs here: `summary`. Does not: where its value is written to (`writing`), counting (`resolve`).
"""

from __future__ import annotations

from graphlib import CycleError

from sor_pipeline.errors import OwnershipError
from sor_pipeline.ownership.entity import Entity, Field
from sor_pipeline.ownership.expressions import parse
from sor_pipeline.ownership.fieldtypes import Stored
from sor_pipeline.ownership.lint.notebook import Notebook, Path
from sor_pipeline.ownership.suggest import one_of
from sor_pipeline.ownership.summary import Aggregate, Summary

_NUMBERS = (Stored.integer, Stored.decimal)
_TIMES = (Stored.date, Stored.timestamp)
_OTHER_RULES = ("owner", "fallback", "exceptions", "stale_after", "take", "among", "group")


def check_summaries(book: Notebook) -> None:
    """two-owners, unknown-entity, unknown-field, summary-path, summary-type, summary-circle, condition-*."""
    sound = True
    for path, entity, name, declared in book.fields():
        if declared.summary is None:
            continue
        here: Path = (*path, "summary")
        _only_rule(book, path, name, declared)
        of = declared.summary.of
        if book.known("entity", of, book.ownership.entities, (*here, "of")) and _leads(
            book, here, entity, declared.summary
        ):
            _counts(book, here, declared, declared.summary, book.ownership.entities[of])
        else:
            sound = False
    if sound:
        _no_circle(book)


def _only_rule(book: Notebook, path: Path, name: str, declared: Field) -> None:
    for word in _OTHER_RULES:
        if getattr(declared, word):
            book.error("two-owners", (*path, word), f"`{name}` is a summary, and no system says it",
                       f"`summary` and `{word}`", "one of the two", f"remove `{word}`, or `summary`")  # fmt: skip


def _leads(book: Notebook, path: Path, entity: str, summary: Summary) -> bool:
    """Whether each name of `by` is a ref, and the last one leads to `entity`."""
    here = summary.of
    for name in summary.path:
        fields = book.ownership.entities[here].fields
        if not book.known("field", name, fields, (*path, "by")):
            return False
        if not _whole(book, here, name):
            return False
        to = fields[name].to
        if to is None or to not in book.ownership.entities:
            refs = [field for field, spec in fields.items() if spec.to]
            expected = f"a ref: {one_of(refs)}" if refs else "a ref"
            what, found = f"`{name}` of `{here}` refers to nothing", f"type `{fields[name].type}`"
            book.error("summary-path", (*path, "by"), what, found, expected, "name ref fields that lead here")
            return False
        here = to
    if here != entity:
        book.error("summary-path", (*path, "by"), f"`{summary.by}` leads from `{summary.of}` to `{here}`", f"`{here}`",
                   f"`{entity}`", f"name the way to `{entity}`, such as `contact.account`")  # fmt: skip
    return here == entity


def _counts(book: Notebook, path: Path, declared: Field, summary: Summary, counted: Entity) -> None:
    kinds: dict[str, tuple[Stored, ...]] = {"at": _TIMES, "times": _NUMBERS}
    if summary.aggregate is Aggregate.sum:
        kinds["field"] = _NUMBERS
    for word in ("field", "times", "at"):
        name = getattr(summary, word)
        if name is None or not book.known("field", name, counted.fields, (*path, word)):
            continue
        if not _whole(book, summary.of, name):
            continue
        kind = counted.fields[name].kind.stored
        if kind not in kinds.get(word, tuple(Stored)):
            _type(book, (*path, word), f"`{name}` cannot be used as `{word}`", kind, kinds[word])
    if summary.where is not None and all(_whole(book, summary.of, name) for name in counted.fields):
        _condition(book, (*path, "where"), summary.where, counted)
    own = declared.kind.stored
    if summary.aggregate in (Aggregate.number, Aggregate.sum):
        if own not in _NUMBERS:
            _type(book, path, f"`{summary.aggregate}` gives a number", own, _NUMBERS)
    elif (
        summary.field in counted.fields
        and _whole(book, summary.of, str(summary.field))
        and own is not counted.fields[str(summary.field)].kind.stored
    ):
        wanted = (counted.fields[str(summary.field)].kind.stored,)
        _type(book, path, f"`{summary.aggregate}` gives what `{summary.field}` holds", own, wanted)


def _whole(book: Notebook, entity: str, field: str) -> bool:
    """Whether the field is read as it was meant."""
    return book.gaps.whole("entities", entity, "fields", field)


def _type(book: Notebook, path: Path, what: str, found: Stored, expected: tuple[Stored, ...]) -> None:
    kinds = " or ".join(kind.value for kind in expected)
    book.error("summary-type", path, what, found.value, kinds, "change the field's `type`, or name another field")


def _condition(book: Notebook, path: Path, text: str, counted: Entity) -> None:
    try:
        parse(text, counted.fields)
    except OwnershipError as error:
        for fault in error.faults:
            book.error(fault.code, path, fault.what, fault.found, fault.expected, fault.todo)


def _no_circle(book: Notebook) -> None:
    try:
        book.ownership.in_order()
    except CycleError as error:
        round_about = [str(name) for name in error.args[1]]
        for path, entity, name, declared in book.fields():
            if declared.summary and entity in round_about and set(book.ownership.way(entity, name)) & set(round_about):
                book.error("summary-circle", (*path, "summary"), "summaries count over each other in a circle",
                           " → ".join(round_about), "one way only", "remove one of them")  # fmt: skip
