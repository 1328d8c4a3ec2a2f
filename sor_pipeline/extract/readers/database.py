"""Tables and queries of any database that SQLAlchemy reaches.

Belongs here: the fetch, in parts, from a server-side cursor where the driver has one. Does not: drivers (the URL
names one, the user installs it), the spelling of values (`typed`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from sor_pipeline import settings
from sor_pipeline.extract import refusals
from sor_pipeline.extract.deliveries import Delivery
from sor_pipeline.extract.readers import Chunk, checked_header
from sor_pipeline.extract.readers.typed import text_of, typed_chunk
from sor_pipeline.ownership.source import Extract

_ROWS = 50_000
_COLON = re.compile(r"(?<!\\):")


class DatabaseReader:
    fixed_header = True

    def read(self, delivery: Delivery, extract: Extract) -> Iterator[Chunk]:
        try:
            url = settings.expanded(extract.url or "")
            engine = sa.create_engine(url, poolclass=sa.pool.NullPool, hide_parameters=True)
            with engine.connect().execution_options(stream_results=True, yield_per=_ROWS) as connection:
                yield from self._rows(delivery.name, connection.execute(_select(extract)))
        except (sa.exc.SQLAlchemyError, ImportError) as error:
            raise refusals.query_failed(delivery.name, _said(error)) from error

    def _rows(self, where: str, result: sa.CursorResult[Any]) -> Iterator[Chunk]:
        names = list(checked_header(where, list(result.keys())))
        yield typed_chunk(pa.table({name: pa.array([], pa.string()) for name in names}), 1)
        seen = 0
        for part in result.partitions():
            yield typed_chunk(pa.table([_column(values) for values in zip(*part, strict=True)], names=names), seen + 1)
            seen += len(part)


def _select(extract: Extract) -> sa.Executable:
    if extract.table:
        schema, _, name = extract.table.rpartition(".")
        return sa.select(sa.literal_column("*")).select_from(sa.table(name, schema=schema or None))
    return sa.text(_COLON.sub(r"\\:", extract.query or ""))


def _column(values: Sequence[Any]) -> pa.Array:
    """As Arrow where all values are of one kind, else value by value (a dynamically typed database)."""
    try:
        column = pa.array(values)
    except (pa.ArrowException, OverflowError, ValueError):
        return pa.array(map(_text, values), pa.string())
    return column if pa.types.is_binary(column.type) else text_of(column)


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bytes | memoryview):
        return bytes(value).decode("utf-8", "backslashreplace")
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
    try:
        text: str | None = text_of(pa.array([value]))[0].as_py()
    except pa.ArrowException:
        text = str(value)
    return text


def _said(error: Exception) -> str:
    """The kind of error and the database's code: its message may quote values, the URL holds a password."""
    cause = getattr(error, "orig", None) or error
    code = getattr(cause, "sqlstate", None) or getattr(cause, "sqlite_errorname", None) or ""
    return f"{type(cause).__name__} {code}".strip()
