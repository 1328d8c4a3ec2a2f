"""Which mappings can be written backwards: from a canonical value to the source's own text.

Belongs here: the question, asked of the mapping alone. Does not: writing the text (`correct`).
"""

from __future__ import annotations

import re
from collections import Counter
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from sor_pipeline.ownership.entity import Field
from sor_pipeline.ownership.fieldtypes import Stored
from sor_pipeline.ownership.source import Mapping

EPOCHS = ("epoch_s", "epoch_ms")
_DIRECTIVE = re.compile(r"%(.)")
_DAY = ({"Y", "m", "d"}, {"Y", "b", "d"}, {"Y", "B", "d"}, {"Y", "j"})


def directives(form: str) -> list[str]:
    """The letters of a strptime format: `%Y-%m` has Y and m."""
    return [letter for letter in _DIRECTIVE.findall(form) if letter != "%"]


def inverts(field: Field, mapping: Mapping) -> str | None:
    """None where every value can be written back so that reading it gives the same value; else why not.

    It speaks of the mapping, not of one value: a value whose code the source does not list, or
    parts of a second under a format of whole seconds, are for the writer to leave out.
    """
    for reason in (_origin(mapping), _codes(mapping), _by_type(field, mapping)):
        if reason:
            return reason
    return None


def _origin(mapping: Mapping) -> str | None:
    if mapping.constant is not None:
        return "the value is a constant, not a column of the source"
    if mapping.join:
        return "several columns are joined, and nothing says where one ends"
    if "." in (mapping.from_ or ""):
        return "the value lies inside a column of JSON"
    return None


def _codes(mapping: Mapping) -> str | None:
    shared = [ours for ours, count in Counter(mapping.codes.values()).items() if count > 1]
    return f"several codes of the source mean `{shared[0]}`" if shared else None


def _by_type(field: Field, mapping: Mapping) -> str | None:
    if field.type == "list":
        return "the order and the repetitions of a list's items are not kept"
    stored = field.kind.stored
    if stored in (Stored.decimal, Stored.integer):
        return _scale(mapping)
    if stored is Stored.boolean and not mapping.codes and bool(mapping.true_texts) != bool(mapping.false_texts):
        known, other = ("true", "false") if mapping.true_texts else ("false", "true")
        return f"the mapping says how the source writes {known}, but not how it writes {other}"
    if stored is Stored.date:
        return _whole_day(mapping.format)
    if stored is Stored.timestamp:
        return _instant(mapping)
    return None


def _scale(mapping: Mapping) -> str | None:
    """Division by p/q of lowest terms ends after finitely many digits only where p has no factor but 2 and 5."""
    if mapping.scale_by is None:
        return None
    top = abs(Decimal(str(mapping.scale_by)).as_integer_ratio()[0])
    for factor in (2, 5):
        while top and top % factor == 0:
            top //= factor
    return None if top == 1 else f"dividing by {mapping.scale_by:g} has no exact result"


def _whole_day(form: str | None) -> str | None:
    if form is None or form in EPOCHS:
        return None
    letters = set(directives(form))
    if any(day <= letters for day in _DAY):
        return None
    if "y" in letters:
        return f"`{form}` writes the year without its century"
    return f"`{form}` does not name the whole day"


def _instant(mapping: Mapping) -> str | None:
    form = mapping.format
    if form is None or form in EPOCHS:
        return None
    reason = _whole_day(form)
    letters = set(directives(form))
    if reason:
        return reason
    if not ({"H", "M", "S"} <= letters or {"I", "p", "M", "S"} <= letters):
        return f"`{form}` does not name hour, minute and second"
    if not letters & {"z", "Z"} and _changes_clock(mapping.zone):
        return f"`{form}` names no zone, and in {mapping.zone} an hour of every year occurs twice"
    return None


def _changes_clock(zone: str) -> bool:
    """Whether the zone's offset differs between the months of a recent year."""
    try:
        offsets = {datetime(2024, month, 15, tzinfo=ZoneInfo(zone)).utcoffset() for month in range(1, 13)}
    except (KeyError, ValueError, OSError):  # no such zone: lint names it
        return False
    return len(offsets) > 1
