"""A copy of a state, to play with.

Belongs here: every table into an embedded warehouse of its own. Does not: files of the landing or the outbox, which
no step that is played reads.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import sqlalchemy as sa

from sor_pipeline.flow import opened
from sor_pipeline.run import Run


@contextmanager
def copied(run: Run, now: datetime) -> Iterator[Run]:
    """Hands on a copy of all tables of `run`, in a folder that is gone afterwards; nothing of `run` is written."""
    with TemporaryDirectory(prefix="sor-simulate-") as folder:
        home = Path(folder) / "home"
        settings = replace(run.settings, home=home, warehouse_url=f"duckdb:///{home / 'warehouse.duckdb'}")
        with opened(run.ownership, settings, now) as hands:
            for name, table in run.tables.metadata.tables.items():
                _copy(run, hands, table, hands.tables.metadata.tables[name])
            yield hands


def _copy(run: Run, hands: Run, table: sa.Table, target: sa.Table) -> None:
    names = [column.name for column in table.columns]
    with run.engine.begin() as connection:
        rows = run.engine.fetch(connection, sa.select(*(table.c[name] for name in names)))
    with hands.engine.begin() as connection:
        connection.execute(sa.delete(target))
        if rows.num_rows:
            held = hands.engine.scan_arrow(connection, "copied", rows)
            connection.execute(sa.insert(target).from_select(names, sa.select(*(held.c[name] for name in names))))
