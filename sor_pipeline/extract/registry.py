"""What was landed, seen and refused: `landing.batch`, `landing.delivery`, `landing.refusal` of one source.

Belongs here: these tables, and whether a delivery is a repeat. Does not: files.
"""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa

from sor_pipeline.errors import Fault
from sor_pipeline.extract.deliveries import Delivery, time_in
from sor_pipeline.extract.landing import Batch
from sor_pipeline.run import Run


class Registry:
    """The registered facts of one source, read once per run and kept in step with the tables."""

    def __init__(self, run: Run, source: str) -> None:
        self._run, self._source = run, source
        self._present: set[str] = set()
        tables = run.tables
        with run.engine.begin() as connection:
            batches, seen, refused = (
                connection.execute(self._mine(table)).fetchall()
                for table in (tables.batch, tables.delivery, tables.refusal)
            )
        self.batches = {row.batch: _batch(row) for row in batches}
        self._seen = {row.delivered_as: row for row in seen}
        self._refused = {row.delivered_as for row in refused}

    def knows(self, delivery: Delivery) -> bool:
        """Whether the delivery was landed and has not been touched since."""
        seen = self._seen.get(delivery.name)
        if seen is None or delivery.path is None or seen.batch not in self.batches:
            return False
        return (seen.size, seen.modified_ns) == (delivery.size, delivery.modified_ns)

    def repeated(self, delivery: Delivery, content: str) -> Batch | None:
        """The batch that the delivery repeats.

        A dated delivery repeats only a batch of its own time (A, B, A must end as A); one without a date repeats
        the newest batch that is not later than itself.
        """
        earlier = [batch for batch in self.batches.values() if batch.as_of <= delivery.as_of]
        time = delivery.as_of if delivery.dated else max((batch.as_of for batch in earlier), default=None)
        same = (batch for batch in earlier if batch.as_of == time and batch.content == content)
        return next(same, None)

    def since(self) -> str:
        """Up to where a cursor had read; '' where nothing was."""
        return next((batch.position for batch in reversed(self.ordered()) if batch.position), "")

    def ordered(self) -> list[Batch]:
        """The batches in the order in which they count."""
        return sorted(self.batches.values(), key=lambda batch: (batch.as_of, batch.batch))

    def accepted(self, subject: str) -> bool:
        """Whether a person let it pass by name."""
        table = self._run.tables.acceptance
        with self._run.engine.begin() as connection:
            found = connection.execute(sa.select(table.c.subject).where(table.c.subject == subject)).fetchall()
        return bool(found)

    def forget(self, batch: str) -> None:
        """Treat a batch as never landed: its file is gone."""
        self.batches.pop(batch, None)

    def register(self, batch: Batch) -> None:
        """Enter a landed file."""
        table = self._run.tables.batch
        with self._run.engine.begin() as connection:
            connection.execute(self._without(table, table.c.batch == batch.batch))
            values = {**vars(batch), "columns": json.dumps(batch.columns, ensure_ascii=False)}
            values |= {"types": json.dumps(batch.types, ensure_ascii=False)}
            connection.execute(sa.insert(table).values(**values, _publication=self._run.pending(connection)))
        self.batches[batch.batch] = batch

    def delivered(self, delivery: Delivery, content: str, batch: str) -> None:
        """Enter a delivery that was landed or recognised; refusals that it makes good are cleared."""
        table = self._run.tables.refusal
        good = [name for name in self._refused if name == delivery.name or self._replaces(delivery, name)]
        with self._run.engine.begin() as connection:
            self._see(connection, delivery, content, batch)
            if good:
                connection.execute(self._without(table, table.c.delivered_as.in_(good)))
        for name in good:
            self._refused.discard(name)

    def refuse(self, name: str, delivery: Delivery | None, content: str | None, fault: Fault) -> None:
        """Enter a refusal; `refused_at` stays that of the first refusal of the same content."""
        table = self._run.tables.refusal
        with self._run.engine.begin() as connection:
            if delivery is not None:
                self._see(connection, delivery, content, None)
            where = sa.and_(table.c.source == self._source, table.c.delivered_as == name)
            before = connection.execute(sa.select(table).where(where)).fetchall()
            same = (row.refused_at for row in before if (row.content, row.code) == (content, fault.code))
            connection.execute(sa.delete(table).where(where))
            connection.execute(
                sa.insert(table).values(
                    source=self._source,
                    delivered_as=name,
                    content=content,
                    code=fault.code,
                    message=str(fault),
                    refused_at=next(same, self._run.now),
                )
            )
        self._refused.add(name)

    def see(self, present: set[str]) -> None:
        """Take note of what lies there. Unfinished names that are gone were renamed when they were whole."""
        self._present = present
        table = self._run.tables.refusal
        with self._run.engine.begin() as connection:
            gone = sa.and_(table.c.code == "unfinished-name", table.c.delivered_as.not_in(present))
            connection.execute(self._without(table, gone))

    def _replaces(self, delivery: Delivery, refused: str) -> bool:
        """A good delivery of the same time makes up for a refused one, unless that still lies beside it (a part)."""
        return delivery.dated and refused not in self._present and time_in(refused) == delivery.as_of

    def _see(self, connection: sa.Connection, delivery: Delivery, content: str | None, batch: str | None) -> None:
        table = self._run.tables.delivery
        connection.execute(self._without(table, table.c.delivered_as == delivery.name))
        connection.execute(
            sa.insert(table).values(
                source=self._source,
                delivered_as=delivery.name,
                size=delivery.size,
                modified_ns=delivery.modified_ns,
                content=content,
                batch=batch,
            )
        )

    def _mine(self, table: sa.Table) -> sa.Select[Any]:
        return sa.select(table).where(table.c.source == self._source)

    def _without(self, table: sa.Table, which: sa.ColumnElement[bool]) -> sa.Delete:
        return sa.delete(table).where(table.c.source == self._source, which)


def _batch(row: sa.Row[Any]) -> Batch:
    columns, types = tuple(json.loads(row.columns)), json.loads(row.types or "{}")
    facts = (row.source, row.batch, row.as_of, row.delivered_as, row.content, columns, row.rows, row.bad_rows)
    return Batch(*facts, types, row.position or "", row.unplaced or 0, row.checksum or "")
