"""Every migration, in order, as data.

Belongs here: the list. Does not: the work of any of them (a file each), nor when they run (`state`).

Migration n makes version n of n - 1; version 1 is what stood before states had a version. A migration names
tables and columns as they were when it was written, never by `tables`, which moves on; it works on a state in
which some of its work is done already, and it never asks the document, which may be another one by now.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa

from sor_pipeline.migrate.cases_gone import cases_gone


@dataclass(frozen=True)
class Migration:
    """One step between two versions; `work` is done inside the connection's transaction."""

    number: int
    words: str
    work: Callable[[sa.Connection], None]


MIGRATIONS: tuple[Migration, ...] = (
    Migration(2, "closed cases say when what they were about was gone", cases_gone),
)  # fmt: skip
