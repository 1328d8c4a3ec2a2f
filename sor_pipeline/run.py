"""One pass of the pipeline: what every step is given, and what it gives back.

Belongs here: `Run` (the hands of a step) and `Outcome` (its account). Does not: any step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa

from sor_pipeline.engine.base import Engine
from sor_pipeline.errors import Fault
from sor_pipeline.ownership.document import Ownership
from sor_pipeline.settings import Settings
from sor_pipeline.tables import Tables


@dataclass(frozen=True)
class Outcome:
    """What a step did: `counts` by name, and the `faults` that it met and survived."""

    counts: dict[str, int] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True)
class Run:
    """What a step works with. `now` is the run's logical time (UTC, no zone): the only clock of all steps."""

    ownership: Ownership
    engine: Engine
    tables: Tables
    settings: Settings
    now: datetime
    progress: Callable[[str], None] = lambda _: None

    def published(self, connection: sa.Connection) -> int:
        """Number of the last publication; 0 before the first."""
        table = self.tables.publication
        return int(connection.execute(sa.select(sa.func.coalesce(sa.func.max(table.c.publication), 0))).scalar_one())

    def pending(self, connection: sa.Connection) -> int:
        """Number of the publication that everything written now will appear in."""
        return self.published(connection) + 1
