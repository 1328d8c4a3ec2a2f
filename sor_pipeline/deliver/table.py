"""A table in a database that the tool's team reads: one row per correction, merged by key.

Belongs here: that table and its rows. Does not: what the team makes of them; writing into a tool's own tables.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from sor_pipeline.deliver.connector import Answer, Halted, Held, Record, Unsure, Write
from sor_pipeline.deliver.secrets import Secret

_KEYS = ("source", "source_key", "field")


def inbox(name: str) -> sa.Table:
    """The table: key source, source_key, field; `column` is the tool's own name, texts are the tool's own."""
    *schema, table = name.rsplit(".", 1)
    texts = ("property", "observed", "wanted", "idempotency_key")
    return sa.Table(
        table,
        sa.MetaData(),
        *(sa.Column(key, sa.String(400), primary_key=True) for key in _KEYS),
        *(sa.Column(text, sa.Text) for text in texts),
        sa.Column("proposed_in", sa.BigInteger),
        sa.Column("sent_at", sa.DateTime),
        schema=schema[0] if schema else None,
    )


class Inbox:
    """The corrections of one source in that table."""

    limit = 1000
    reads = True

    def __init__(self, secret: Secret, name: str, now: datetime) -> None:
        self._engine = _engine(secret)
        self._table = inbox(name)
        self._now = now

    def read(self, records: Sequence[Record]) -> dict[str, Held]:
        """What the tool would hold if the team had done what the table says, as far as we know."""
        table = self._table
        keys = [record.key for record in records]
        rows: dict[tuple[str, str, int], str] = {}
        try:
            with self._engine.begin() as connection:
                table.create(connection, checkfirst=True)
                asked = sa.select(table).where(table.c.source == records[0].source, table.c.source_key.in_(keys))
                for row in connection.execute(asked).fetchall():
                    rows[row.source_key, row.field, row.proposed_in] = row.wanted
        except sa.exc.SQLAlchemyError as error:
            raise Halted(type(error).__name__) from None
        return {record.key: Held({w.name: self._known(rows, record, w) for w in record.writes}) for record in records}

    @staticmethod
    def _known(rows: dict[tuple[str, str, int], str], record: Record, write: Write) -> str | None:
        return rows.get((record.key, write.field, write.proposed_in), write.observed)

    def write(self, records: Sequence[Record], held: Mapping[str, Held]) -> dict[str, Answer]:  # noqa: ARG002 (a merge needs no condition)
        table = self._table
        rows = [self._row(record, write) for record in records for write in record.writes]
        gone = sa.delete(table).where(*(table.c[key] == sa.bindparam(f"the_{key}") for key in _KEYS))
        try:
            with self._engine.begin() as connection:
                connection.execute(gone, [{f"the_{key}": row[key] for key in _KEYS} for row in rows])
                connection.execute(sa.insert(table), rows)
        except sa.exc.SQLAlchemyError as error:
            raise Unsure(type(error).__name__) from None
        return {record.key: Answer("accepted", "merged") for record in records}

    def _row(self, record: Record, write: Write) -> dict[str, Any]:
        return {
            "source": record.source,
            "source_key": record.key,
            "field": write.field,
            "property": write.name,
            "observed": write.observed,
            "wanted": write.wanted,
            "idempotency_key": record.only([write]).idempotency_key,
            "proposed_in": write.proposed_in,
            "sent_at": self._now,
        }


def _engine(secret: Secret) -> sa.Engine:
    """Raises Halted for a URL that names no database that can be opened here; its text is in no message."""
    try:
        return sa.create_engine(secret.reveal(), poolclass=sa.pool.NullPool, hide_parameters=True)
    except (sa.exc.ArgumentError, ImportError) as error:
        raise Halted(type(error).__name__) from None
