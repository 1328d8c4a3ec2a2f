"""Values with parts: JSON and lists.

Belongs here: one canonical writing of each, so that equal content is equal text.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import polars as pl

from sor_pipeline.ownership.fieldtypes import Stored
from sor_pipeline.stage.blanks import BLANKS
from sor_pipeline.stage.standard.result import Standard, UnreadableError, over_distinct

Items = Callable[[pl.Series], Standard]
"""Reads item texts; an item that counts as nothing comes back without value and without reason."""


def documents(raw: pl.Series) -> Standard:
    return over_distinct(raw, lambda text: _written(_parsed(text)), pl.String)


def lists(raw: pl.Series, separator: str | None, stored: Stored, items: Items) -> Standard:
    """JSON arrays of distinct sorted item values; blank items are left out; an empty list has no value."""
    split = over_distinct(raw, lambda text: _split(text, separator), pl.List(pl.String))
    distinct = split.value.explode(empty_as_null=True).drop_nulls().unique()
    read = items(distinct)
    value_of = dict(zip(distinct, read.value, strict=True))
    refusal_of = dict(zip(distinct, read.reason, strict=True))

    def join(text: str) -> str:
        members = _split(text, separator)
        refused = next((refusal_of[item] for item in members if refusal_of[item]), None)
        if refused:
            raise UnreadableError(refused)
        values = {value_of[item] for item in members} - {None}
        return "[" + ",".join(_item(value, stored) for value in sorted(values, key=_order(stored))) + "]"

    return over_distinct(raw, join, pl.String)


def _order(stored: Stored) -> Callable[[Any], Any]:
    return (lambda value: Decimal(str(value))) if stored is Stored.decimal else (lambda value: value)


def _item(value: object, stored: Stored) -> str:
    """Numbers and booleans as JSON has them, everything else as text."""
    if stored in (Stored.decimal, Stored.integer):
        return str(value)
    return json.dumps(value if isinstance(value, bool) else str(value), ensure_ascii=False)


def _split(text: str, separator: str | None) -> list[str]:
    if separator is not None:
        return [item for part in text.split(separator) if (item := part.strip(BLANKS))]
    parsed = _parsed(text)
    if not isinstance(parsed, list):
        raise UnreadableError("not-a-list")
    parts = (item if isinstance(item, str) else _written(item) for item in parsed if item is not None)
    return [item for part in parts if (item := part.strip(BLANKS))]


def _parsed(text: str) -> object:
    try:
        return json.loads(text, parse_constant=_refuse, parse_float=_finite, object_pairs_hook=_object)
    except (ValueError, RecursionError):
        raise UnreadableError("not-json") from None


def _refuse(_: str) -> object:
    raise UnreadableError("not-json")


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise UnreadableError("not-json")
    return number


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise UnreadableError("not-json")
    return found


def _written(parsed: object) -> str:
    try:
        text = json.dumps(parsed, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        text.encode("utf-8")
    except (ValueError, RecursionError):
        raise UnreadableError("not-json") from None
    return text
