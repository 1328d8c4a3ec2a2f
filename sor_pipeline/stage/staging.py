"""What all parts of this step know about the source that they stage.

Belongs here: `Staging`, the batches' registry rows. Does not: any select over rows of data.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path

import pyarrow.parquet as pq
import sqlalchemy as sa

from sor_pipeline.errors import Fault, SourceStopped
from sor_pipeline.ownership.entity import Field
from sor_pipeline.ownership.source import Mapping, Mode, Source
from sor_pipeline.run import Run
from sor_pipeline.stores import Store, store_of


@dataclass(frozen=True)
class Batch:
    """One row of `landing.batch`: `rows` landed, `bad_rows` that could not be read."""

    name: str
    as_of: datetime
    rows: int
    bad_rows: int
    checksum: str = ""


@dataclass(frozen=True)
class Load:
    """Batches that are staged together in one transaction, in (as_of, batch) order."""

    batches: tuple[Batch, ...]

    @property
    def as_of(self) -> datetime:
        return self.batches[-1].as_of

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(batch.name for batch in self.batches)

    @property
    def whole(self) -> bool:
        """Whether every row could be read: only then does absence prove anything."""
        return not any(batch.bad_rows for batch in self.batches)


@dataclass(frozen=True)
class Staging:
    """One source being staged."""

    run: Run
    source: str

    @property
    def spec(self) -> Source:
        return self.run.ownership.sources[self.source]

    @property
    def mode(self) -> Mode:
        return self.spec.extract.mode

    @property
    def mappings(self) -> dict[str, Mapping]:
        """Field -> mapping, for all fields that the source maps."""
        return dict(self.spec.fields)

    @cached_property
    def fields(self) -> dict[str, Field]:
        fields = self.run.ownership.entities[self.spec.entity].fields
        return {name: fields[name] for name in self.spec.fields}

    @property
    def table(self) -> sa.Table:
        return self.run.tables.staged[self.source]

    @cached_property
    def links(self) -> tuple[str, ...]:
        """Columns that hold another record's key."""
        return self.run.tables.linked_columns(self.source)

    @cached_property
    def fingerprint(self) -> str:
        """Of all that decides what staging makes of a row; which columns link is said by the entity."""
        return "|".join((self.run.ownership.source_fingerprint(self.source), *self.links))

    def keeps_raw(self, field: str) -> bool:
        return field in self.spec.accepts

    @cached_property
    def _store(self) -> Store:
        return store_of(self.run.settings, self.source)

    def file(self, batch: Batch) -> Path:
        """The landed rows of the batch. Raises SourceStopped where they are gone."""
        return self._landed(batch, f"{batch.name}.parquet", batch.checksum)

    def rejects_file(self, batch: Batch) -> Path | None:
        """Rows that could not be read; None where there is no such file."""
        return self._store.local(f"{batch.name}.rejects.parquet")

    def columns_of(self, batch: Batch) -> frozenset[str]:
        """The columns that the batch has."""
        return frozenset(pq.read_schema(self.file(batch)).names)

    def _landed(self, batch: Batch, name: str, checksum: str) -> Path:
        path = self._store.local(name, checksum)
        if path is None:
            raise SourceStopped(
                Fault(
                    "landing-lost",
                    f"{self.source} {batch.name}",
                    "a landed batch is not where it was landed",
                    "no file",
                    self._store.place(name),
                    "restore the landing; staged records are unchanged",
                )
            )
        return path


def registered(connection: sa.Connection, staging: Staging) -> list[Batch]:
    """All batches of the source, in (as_of, batch) order."""
    batch = staging.run.tables.batch
    select = (
        sa.select(batch.c.batch, batch.c.as_of, batch.c.rows, sa.func.coalesce(batch.c.bad_rows, 0), batch.c.checksum)
        .where(batch.c.source == staging.source)
        .order_by(batch.c.as_of, batch.c.batch)
    )
    return [Batch(*row[:-1], row[-1] or "") for row in connection.execute(select).fetchall()]


def accounted(connection: sa.Connection, staging: Staging) -> frozenset[str]:
    """Names of the batches that are staged."""
    account = staging.run.tables.account
    rows = connection.execute(sa.select(account.c.batch).where(account.c.source == staging.source)).fetchall()
    return frozenset(name for (name,) in rows)


@dataclass(frozen=True)
class SourceState:
    """What the staged records were made with; `as_of` of the newest batch among them."""

    fingerprint: str | None = None
    as_of: datetime | None = None


def state_of(connection: sa.Connection, staging: Staging) -> SourceState:
    table = staging.run.tables.source_state
    rows = connection.execute(
        sa.select(table.c.fingerprint, table.c.as_of).where(table.c.source == staging.source)
    ).fetchall()
    return SourceState(*rows[0]) if rows else SourceState()


def remember(connection: sa.Connection, staging: Staging, as_of: datetime) -> None:
    """Note that everything up to `as_of` is staged with the present mapping; never goes back in time."""
    table = staging.run.tables.source_state
    newest = max(as_of, state_of(connection, staging).as_of or as_of)
    connection.execute(sa.delete(table).where(table.c.source == staging.source))
    connection.execute(sa.insert(table).values(source=staging.source, fingerprint=staging.fingerprint, as_of=newest))
