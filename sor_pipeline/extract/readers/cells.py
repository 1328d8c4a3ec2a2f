"""What a database's driver gives, as text.

Belongs here: one column of a block of rows, and the names of types. Does not: values that Arrow holds as they are
(`typed.text_of`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

import pyarrow as pa

from sor_pipeline.extract.readers.typed import text_of


def column_of(values: Sequence[Any]) -> pa.Array:
    """As Arrow where that holds each value by itself, else value by value.

    A value's text must not depend on its neighbours: Arrow gives decimals one scale and objects one set of keys.
    """
    try:
        column = pa.array(values)
    except (pa.ArrowException, OverflowError, ValueError, TypeError):
        return pa.array(map(_text, values), pa.string())
    if pa.types.is_binary(column.type):
        return column
    return text_of(column) if _plain(column.type) else pa.array(map(_text, values), pa.string())


def type_name(described: Sequence[Any]) -> str:
    """The type in a cursor's description (PEP 249), by the driver's word, without a length; '' where it has none."""
    kind = getattr(described, "type_display", None) or described[1]
    return "" if kind is None else str(kind).partition("(")[0]


def _plain(kind: pa.DataType) -> bool:
    types = pa.types
    if types.is_floating(kind) or types.is_integer(kind) or types.is_boolean(kind) or types.is_null(kind):
        return True
    return bool(types.is_string(kind) or types.is_timestamp(kind) or types.is_date(kind) or types.is_time(kind))


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, bytes | memoryview):
        return bytes(value).decode("utf-8", "backslashreplace")
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
    try:
        column = pa.array([value])
        text: str | None = text_of(column)[0].as_py() if _texts(column.type) else str(value)
    except pa.ArrowException:
        text = str(value)
    return text


def _texts(kind: pa.DataType) -> bool:
    return _plain(kind) or bool(pa.types.is_decimal(kind))
