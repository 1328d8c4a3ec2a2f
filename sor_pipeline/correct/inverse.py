"""A canonical value in the target's own representation: its mapping read backwards, as SQL expressions.

Belongs here: numbers, truth values, codes. Days and instants are `moments`; which mappings can be
read backwards at all is the ownership document's business (`ownership.inversion`).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from sor_pipeline.correct import moments
from sor_pipeline.ownership.entity import Field
from sor_pipeline.ownership.fieldtypes import Stored
from sor_pipeline.ownership.source import Mapping

_TRUE = frozenset({"true", "t", "yes", "y", "1", "on"})
_DIGITS = 9


def text_of(field: Field, mapping: Mapping, value: sa.ColumnElement[Any]) -> sa.ColumnElement[str] | None:
    """The target's text for `value`; null where it has none (a code that it does not list).

    None where no value of the mapping can be written.
    """
    text = _plain(field, mapping, value)
    if text is None or not mapping.codes:
        return text
    return sa.case(
        *((text == _our_code(field, ours), sa.literal(theirs, sa.Text)) for theirs, ours in mapping.codes.items())
    )


def _our_code(field: Field, ours: str) -> str:
    if field.kind.stored is Stored.boolean:
        return "true" if ours.strip().lower() in _TRUE else "false"
    return ours


def _plain(field: Field, mapping: Mapping, value: sa.ColumnElement[Any]) -> sa.ColumnElement[str] | None:
    match field.kind.stored:
        case Stored.decimal | Stored.integer:
            return _number(mapping, field, value)
        case Stored.boolean:
            return _truth(mapping, value)
        case Stored.date:
            return moments.day(value, mapping.format)
        case Stored.timestamp:
            return moments.instant(value, mapping.format, mapping.zone)
        case _:
            return sa.cast(value, sa.Text)


def _truth(mapping: Mapping, value: sa.ColumnElement[Any]) -> sa.ColumnElement[str]:
    coded = bool(mapping.codes)
    true = mapping.true_texts[0] if mapping.true_texts and not coded else "true"
    false = mapping.false_texts[0] if mapping.false_texts and not coded else "false"
    return sa.case((value.is_(True), sa.literal(true, sa.Text)), (value.is_(False), sa.literal(false, sa.Text)))


def _number(mapping: Mapping, field: Field, value: sa.ColumnElement[Any]) -> sa.ColumnElement[str] | None:
    """Without zeros that say nothing: `12.5`, `1250`."""
    if mapping.scale_by is not None:
        factor = 1 / Decimal(str(mapping.scale_by))
        if factor != round(factor, _DIGITS):
            return None
        exact = sa.cast(value, sa.Numeric(19, field.scale if field.kind.stored is Stored.decimal else 0))
        value = exact * sa.cast(sa.literal(f"{factor:f}", sa.Text), sa.Numeric(19, _DIGITS))
    text = sa.cast(value, sa.Text)
    short = sa.case((text.like("%.%"), sa.func.rtrim(sa.func.rtrim(text, "0"), ".")), else_=text)
    return short if mapping.decimal_mark == "." else sa.func.replace(short, ".", mapping.decimal_mark)
