"""Tables and queries of any database that SQLAlchemy reaches.

Belongs here: the fetch: in one snapshot of the database, sorted by key, in blocks from a server-side cursor where the
driver has one. Does not: drivers (the URL names one, the user installs it), the spelling of values (`cells`),
sessions and their errors (`sessions`), which rows were seen before (`overlap`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from sor_pipeline.extract import refusals
from sor_pipeline.extract.deliveries import Delivery
from sor_pipeline.extract.positions import Position, UnusableCursor
from sor_pipeline.extract.readers import Chunk, checked_header
from sor_pipeline.extract.readers.cells import column_of, type_name
from sor_pipeline.extract.readers.sessions import session
from sor_pipeline.extract.readers.typed import typed_chunk
from sor_pipeline.ownership.source import Extract

ROWS = 20_000
"""Rows in memory at once."""
_COLON = re.compile(r"(?<!\\):")
_BOUND: dict[str, sa.types.TypeEngine[Any]] = {
    "zoned": sa.DateTime(timezone=True),
    "naive": sa.DateTime(),
    "date": sa.Date(),
    "text": sa.Text(),
}


class DatabaseReader:
    fixed_header = True

    def read(self, delivery: Delivery, extract: Extract) -> Iterator[Chunk]:
        with session(delivery.name, extract) as connection:
            yield from _Fetch(connection, delivery, extract).chunks()


@dataclass(frozen=True)
class _Fetch:
    """One table or query being read."""

    connection: sa.Connection
    delivery: Delivery
    extract: Extract

    def chunks(self) -> Iterator[Chunk]:
        header, types = self._header()
        newest = self._newest(header)
        reached = newest.reached(self._before(), self.delivery.as_of) if newest else self._before()
        columns: dict[str, pa.Array] = {name: pa.array([], pa.string()) for name in header}
        yield replace(typed_chunk(pa.table(columns), 1), types=types, position=str(reached or ""))
        select = self._rows(header, newest)
        result = self.connection.execute(select, execution_options={"stream_results": True, "yield_per": ROWS})
        seen = 0
        for part in result.partitions():
            arrays = [column_of(values) for values in zip(*part, strict=True)]
            yield typed_chunk(pa.table(arrays, names=list(header)), seen + 1)
            seen += len(part)

    def _header(self) -> tuple[tuple[str, ...], dict[str, str]]:
        """A query is asked as it is written: inside another one, a name that it gives twice would be changed."""
        head = self._text() if self.extract.query else _all(self._relation()).limit(0)
        result = self.connection.execute(head, execution_options={"stream_results": True})
        names = checked_header(self.delivery.name, list(result.keys()))
        described = result.cursor.description if result.cursor else ()
        types = {name: type_name(column) for name, column in zip(names, described or (), strict=False)}
        result.close()
        return names, {name: kind for name, kind in types.items() if kind}

    def _before(self) -> Position | None:
        return Position.read(self.delivery.since) if self.delivery.since else None

    def _newest(self, header: tuple[str, ...]) -> Position | None:
        """The cursor's greatest value; asked before the rows, so that none behind it is missed."""
        name = self.extract.cursor
        if not name:
            return None
        if name not in header:
            raise refusals.missing_cursor(self.delivery.name, name, header)
        greatest: sa.ColumnElement[Any] = sa.func.max(sa.column(name))
        value = self.connection.execute(sa.select(greatest).select_from(self._relation())).scalar_one()
        try:
            return None if value is None else Position.of(value)
        except UnusableCursor as error:
            raise refusals.unusable_cursor(self.delivery.name, name, str(error)) from error

    def _rows(self, header: tuple[str, ...], newest: Position | None) -> sa.Executable:
        select = _all(self._relation()).order_by(*(sa.column(name) for name in self._order(header)))
        before = self._before()
        if self.extract.cursor and before and newest and before.kind == newest.kind:
            cursor: sa.ColumnClause[Any] = sa.column(self.extract.cursor)
            try:
                bound = before.back(self.extract.overlap)
            except UnusableCursor as error:
                raise refusals.unusable_cursor(self.delivery.name, self.extract.cursor, str(error)) from error
            select = select.where(sa.or_(cursor >= _literal(bound), cursor.is_(None)))
        return select

    def _order(self, header: tuple[str, ...]) -> tuple[str, ...]:
        """Deterministic: the same content gives the same landed file."""
        wanted = dict.fromkeys((*self.delivery.order, *([self.extract.cursor] if self.extract.cursor else [])))
        return tuple(name for name in wanted if name in header)

    def _relation(self) -> sa.FromClause:
        if self.extract.table:
            schema, _, name = self.extract.table.rpartition(".")
            return sa.table(name, schema=schema or None)
        named = [*self.delivery.order, *([self.extract.cursor] if self.extract.cursor else [])]
        return self._text().columns(*(sa.column(name) for name in named)).subquery("delivered")

    def _text(self) -> sa.TextClause:
        return sa.text(_COLON.sub(r"\\:", self.extract.query or "").strip().rstrip(";"))


def _all(relation: sa.FromClause) -> sa.Select[Any]:
    return sa.select(sa.literal_column("*")).select_from(relation)


def _literal(bound: Position) -> sa.ColumnElement[Any]:
    if bound.kind == "number":
        whole = bound.value == int(bound.value) and abs(bound.value) < 2**63
        return sa.literal(int(bound.value), sa.BigInteger()) if whole else sa.literal(bound.value, sa.Numeric())
    return sa.literal(bound.value, _BOUND[bound.kind])
