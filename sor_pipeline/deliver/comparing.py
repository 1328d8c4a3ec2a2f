"""Whether two texts of one property say the same: the extract's spelling and the interface's may differ.

Belongs here: spellings of blanks, numbers, truth values and moments. Does not: any rule about people's values:
letters, case and inner spaces count.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from sor_pipeline.ownership.fieldtypes import Stored

_TRUE, _FALSE = frozenset({"true", "1", "yes", "y", "t"}), frozenset({"false", "0", "no", "n", "f"})
_ZONE = re.compile(r"([+-]\d{2})(\d{2})$")
_EPOCH = re.compile(r"-?\d{9,14}")


def text_of(value: Any) -> str | None:
    """A JSON value as text; null stays None, mappings and lists as their items say."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{Decimal(repr(value)):f}"
    if isinstance(value, list):
        return ";".join(text_of(item) or "" for item in value)
    return str(value)


def same(one: str | None, other: str | None, stored: Stored = Stored.text) -> bool:
    """Whether both texts say the same value of a type; a blank is the same as nothing."""
    left, right = (one or "").strip(), (other or "").strip()
    if left == right:
        return True
    if not left or not right:
        return False
    match stored:
        case Stored.decimal | Stored.integer:
            return _equal(_number(left), _number(right))
        case Stored.boolean:
            return any(left.lower() in words and right.lower() in words for words in (_TRUE, _FALSE))
        case Stored.date | Stored.timestamp:
            return _equal(_moment(left), _moment(right))
        case _:
            return False


def kept_otherwise(now: str | None, wanted: str) -> bool:
    """Whether `now` is what a tool may make of `wanted`: cut off, or in another case."""
    return bool(now) and (wanted.strip().casefold().startswith(str(now).strip().casefold()))


def json_value(text: str, stored: Stored) -> str | int | float | bool | None:
    """`text` as JSON: a number or a truth value where the type is one and the text spells it; a blank is null."""
    if text == "":
        return None
    if stored is Stored.boolean and text in ("true", "false"):
        return text == "true"
    number = _number(text) if stored in (Stored.decimal, Stored.integer) else None
    if number is None:
        return text
    if number == number.to_integral_value():
        return int(number)
    return float(number) if Decimal(repr(float(number))) == number else text


def _equal(one: Any, other: Any) -> bool:
    return one is not None and other is not None and bool(one == other)


def _number(text: str) -> Decimal | None:
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _moment(text: str) -> datetime | None:
    """A moment in UTC: ISO 8601, or seconds or thousandths since 1970."""
    if _EPOCH.fullmatch(text):
        seconds = int(text) / (1000 if len(text.lstrip("-")) > 11 else 1)
        return datetime.fromtimestamp(seconds, UTC)
    try:
        moment = datetime.fromisoformat(_ZONE.sub(r"\1:\2", text.replace("Z", "+00:00")))
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
