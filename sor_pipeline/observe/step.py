"""Observe: what is known only once the corrections are: they become readable beside the conformed tables.

Reads: outbound.correction
Writes: conformed.correction; then the file of conformed tables, where it lacks any of it
Raises: nothing of its own

Corrections are made after the publication that they are about, so they reach the published tables a
step later. What the file lacks is found by comparing it with what is committed, so a run that was
killed in between is taken up by the next one.
"""

from __future__ import annotations

import polars as pl
import pyarrow as pa
import sqlalchemy as sa

from sor_pipeline.engine.base import Rows, Stale
from sor_pipeline.run import Outcome, Run
from sor_pipeline.tables import Tables, grain


def run(run: Run, _scope: str = "") -> Outcome:
    """Publish what became of corrections; counts: corrections (that are others now), exported (0 or 1)."""
    moved = publish_corrections(run)
    return Outcome({"corrections": moved, "exported": int(renew_file(run))})


def publish_corrections(run: Run) -> int:
    """Bring `conformed.correction` to what `outbound.correction` holds; returns how many rows are others now."""
    published = run.tables.published_correction
    with run.engine.begin() as connection:
        gone = connection.execute(sa.delete(published).where(_withdrawn(run.tables))).rowcount
        rows = run.engine.materialise(connection, "observe_correction", moved_corrections(run.tables))
        put = run.engine.replace(connection, published, rows, [column.name for column in grain(published)])
    return put + max(gone, 0)


def moved_corrections(tables: Tables) -> Rows:
    """Grain: one correction that is not published as it is now; columns as `conformed.correction`."""
    correction, published = tables.correction, tables.published_correction
    names = published.columns.keys()
    now, before = (sa.select(*(table.c[name] for name in names)) for table in (correction, published))
    return sa.select(sa.except_(now, before).subquery("moved"))


def _withdrawn(tables: Tables) -> sa.ColumnElement[bool]:
    correction, published = tables.correction, tables.published_correction
    same = (correction.c[column.name] == published.c[column.name] for column in grain(published))
    return sa.not_(sa.exists().where(*same).correlate(published))


def renew_file(run: Run) -> bool:
    """Make the file of conformed tables show the committed corrections; says whether it had to be made.

    Before the first publication there is no file, and `publish` makes it whole.
    """
    table = run.tables.published_correction
    if run.engine.exported(run.tables.publication, run.settings.conformed) is None:
        return False
    with run.engine.begin() as connection:
        committed = run.engine.fetch(connection, sa.select(table).order_by(*grain(table)))
    exported = run.engine.exported(table, run.settings.conformed)
    if exported is not None and committed.equals(exported):
        return False
    conformed = [one for one in run.tables.metadata.sorted_tables if one.schema == table.schema]
    run.engine.export(conformed, run.settings.conformed, None if exported is None else _stale(committed, exported))
    return True


def _stale(committed: pa.Table, exported: pa.Table) -> Stale:
    """Only corrections, and of these the publications of which one is another: few numbers name them all."""
    both = pl.concat([pl.DataFrame(committed), pl.DataFrame(exported)])
    numbers = both.unique(keep="none")["proposed_in"].unique().to_list()

    def stale(table: sa.Table) -> sa.ColumnElement[bool] | None:
        return table.c.proposed_in.in_(numbers) if "proposed_in" in table.c else None

    return stale
