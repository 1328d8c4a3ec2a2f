"""Sources and mappings that cannot do what they say.

Belongs here: codes, formats, zones, modes, patterns, settings that do nothing.
Does not: whether a mapping can be written back (`writing`).
"""

from __future__ import annotations

import codecs
import re
from zoneinfo import ZoneInfo

from sor_pipeline.ownership.entity import Field
from sor_pipeline.ownership.fieldtypes import Stored
from sor_pipeline.ownership.inversion import EPOCHS, directives
from sor_pipeline.ownership.lint.names import once
from sor_pipeline.ownership.lint.notebook import Notebook, Path
from sor_pipeline.ownership.source import Mapping, Mode, Source
from sor_pipeline.ownership.suggest import did_you_mean, one_of

_DIRECTIVES = frozenset("aAbBdfHIjmMpSyYzZ")
_TIMES = (Stored.date, Stored.timestamp)
_NUMBERS = (Stored.integer, Stored.decimal)
_NOT_IN_ENGINES = re.compile(r"\(\?(?:[=!>(#]|<[=!])|\\[1-9]|(?<!\\)[*+?}]\+")


def check_mapping(book: Notebook) -> None:
    """code-outside-choice, bad-format, unknown-zone, bad-pattern, bad-range, mode faults, setting-without-effect, …"""
    for path, _, name, declared in book.fields():
        _declaration(book, path, name, declared)
    for path, _, source in book.sources():
        _delivery(book, path, source)
    for path, name, field, source_name, mapping in book.mappings():
        if not book.gaps.whole("entities", book.ownership.sources[source_name].entity, "fields", name):
            continue
        _codes(book, path, name, field, mapping)
        _time(book, path, field, mapping)
        _booleans(book, path, mapping)
        _effect(book, path, field, mapping)


def _declaration(book: Notebook, path: Path, name: str, declared: Field) -> None:
    if declared.pattern is not None:
        _pattern(book, (*path, "pattern"), declared.pattern)
    if declared.min is not None and declared.max is not None and declared.min > declared.max:
        found = f"min {declared.min:g}, max {declared.max:g}"
        book.error(
            "bad-range",
            (*path, "min"),
            f"no value of `{name}` can be in its range",
            found,
            "min at most max",
            "swap them",
        )
    if isinstance(declared.of, tuple):
        once(book, declared.of, (*path, "of"))
    stored, kind = declared.kind.stored, declared.type
    useless = {
        "of": declared.of is not None and kind not in ("choice", "list"),
        "to": declared.to is not None and kind != "ref",
        "region": declared.region is not None and kind not in ("phone", "subdivision", "postal_code", "list"),
        "scale": "scale" in declared.model_fields_set and kind != "decimal",
        "tolerance": declared.tolerance > 0 and stored not in _NUMBERS,
        "min": declared.min is not None and stored not in _NUMBERS,
        "max": declared.max is not None and stored not in _NUMBERS,
        "pattern": declared.pattern is not None and stored is not Stored.text,
    }
    for setting, does_nothing in useless.items():
        if does_nothing:
            _without_effect(book, (*path, setting), setting, f"a field of type {kind}")


def _without_effect(book: Notebook, path: Path, setting: str, at: str) -> None:
    what = f"`{setting}` does nothing at {at}"
    book.warn("setting-without-effect", path, what, f"`{setting}`", "", "remove it, or correct the type")


def _pattern(book: Notebook, path: Path, pattern: str) -> None:
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        book.error(
            "bad-pattern",
            path,
            "not a regular expression",
            f"`{pattern[:60]}`: {error}",
            "a regular expression",
            "correct it",
        )
        return
    if _NOT_IN_ENGINES.search(pattern):
        what = "the pattern uses what engines do not know: look-around, back-references, possessive or atomic parts"
        book.error("bad-pattern", path, what, f"`{pattern[:60]}`", "a plain regular expression", "say it without them")


def _delivery(book: Notebook, path: Path, source: Source) -> None:
    extract = source.extract
    timed = source.changed_at is not None or not book.gaps.whole(*path, "changed_at")
    if extract.mode is Mode.changes and not timed and book.gaps.whole(*path, "extract"):
        what = "a source of changes says nowhere when a row changed: the time of the batch is taken"
        book.warn(
            "changes-without-time",
            path,
            what,
            "no `changed_at`",
            "a column",
            "add `changed_at: <column>` if there is one",
        )
    if extract.mode is Mode.events and extract.deleted:
        what = "events only add: nothing is ever deleted"
        todo = "remove `deleted`, or use `mode: changes`"
        book.error("events-deleted", (*path, "extract", "deleted"), what, "`deleted`", "no `deleted`", todo)
    try:
        codecs.lookup(extract.encoding)
    except (LookupError, ValueError):
        found, todo = f"`{extract.encoding[:60]}`", "use the name that Python gives it, as `utf-8`, `cp1252`, `utf-16`"
        book.error(
            "unknown-encoding",
            (*path, "extract", "encoding"),
            "there is no such encoding",
            found,
            "a text encoding",
            todo,
        )
    _zone(book, (*path, "changed_at_zone"), source.changed_at_zone)
    if source.changed_at_format is not None:
        _format(book, (*path, "changed_at_format"), source.changed_at_format)
        if not timed:
            _without_effect(book, (*path, "changed_at_format"), "changed_at_format", "a source without `changed_at`")


def _zone(book: Notebook, path: Path, zone: str) -> None:
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError):  # KeyError: ZoneInfoNotFoundError
        found, todo = f"`{zone[:60]}`", "use a name like `Europe/Berlin` or `UTC`"
        book.error("unknown-zone", path, "there is no such time zone", found, "a name of the IANA list", todo)


def _format(book: Notebook, path: Path, form: str) -> None:
    if form in EPOCHS:
        return
    letters = directives(form)
    unknown = sorted(set(letters) - _DIRECTIVES)
    if unknown or re.search(r"(?<!%)(%%)*%$", form):
        found = f"`%{unknown[0]}`" if unknown else "a single `%` at the end"
        expected = f"one of %{', %'.join(sorted(_DIRECTIVES))}"
        book.error(
            "bad-format",
            path,
            "the format has a directive that is not known",
            found,
            expected,
            "write the parts singly",
        )
    elif len(letters) != len(set(letters)):
        book.error(
            "bad-format", path, "the format has a directive twice", f"`{form[:60]}`", "each part once", "remove one"
        )
    elif not set(letters) & {"Y", "y"}:
        expected = f"%Y, or {' or '.join(EPOCHS)}"
        book.error(
            "bad-format",
            path,
            "the format has no year",
            f"`{form[:60]}`",
            expected,
            "write it as strptime does: `%Y-%m-%d`",
        )
    elif "I" in letters and "p" not in letters:
        book.error(
            "bad-format",
            path,
            "the format does not say which half of the day",
            "`%I` without `%p`",
            "`%H`, or both",
            "use `%H`",
        )


def _codes(book: Notebook, path: Path, name: str, field: Field, mapping: Mapping) -> None:
    if field.type != "choice" or not isinstance(field.of, tuple):
        return
    said = [((*path, "codes", code), ours) for code, ours in mapping.codes.items()]
    if mapping.constant is not None and not mapping.codes:
        said.append(((*path, "constant"), mapping.constant))
    for where, ours in said:
        if ours not in field.of:
            what = f"`{ours[:60]}` is none of the codes of `{name}`"
            todo = did_you_mean(ours, field.of, "add it to `of`, or map it to one of them")
            book.error("code-outside-choice", where, what, f"`{ours[:60]}`", one_of(field.of), todo)


def _time(book: Notebook, path: Path, field: Field, mapping: Mapping) -> None:
    if field.kind.stored in _TIMES and mapping.format is not None:
        _format(book, (*path, "format"), mapping.format)
    _zone(book, (*path, "zone"), mapping.zone)


def _booleans(book: Notebook, path: Path, mapping: Mapping) -> None:
    both = [text for text in mapping.true_texts if text in mapping.false_texts]
    if both:
        what = "the same text means true and false"
        book.error(
            "text-of-both",
            (*path, "false_texts"),
            what,
            f"`{both[0][:60]}`",
            "each text once",
            "remove it from one of the lists",
        )


def _effect(book: Notebook, path: Path, field: Field, mapping: Mapping) -> None:
    stored = field.kind.stored
    if field.type == "list":
        return
    given = mapping.model_fields_set
    useless = {
        "format": "format" in given and stored not in _TIMES,
        "zone": "zone" in given and stored is not Stored.timestamp,
        "decimal_mark": "decimal_mark" in given and stored not in _NUMBERS,
        "scale_by": mapping.scale_by is not None and stored not in _NUMBERS,
        "true_texts": bool(mapping.true_texts) and stored is not Stored.boolean,
        "false_texts": bool(mapping.false_texts) and stored is not Stored.boolean,
        "separator_in": mapping.separator_in is not None,
        "separator": "separator" in given and not mapping.join,
        "refers_to": mapping.refers_to is not None and field.type != "ref",
    }
    for setting, does_nothing in useless.items():
        if does_nothing:
            _without_effect(book, (*path, setting), setting, f"a field of type {field.type}")
