"""What would be sent to a system: one list, for the dry run, for the caps and for sending.

Belongs here: the plan, its name (a digest), the caps, the permit of a plan that was accepted by name, its file.
Does not: sending.

A plan holds the corrections that are proposed and not yet delivered. What was sent to a tool that cannot be read,
and got no answer, is left out until an extract newer than the attempt shows what became of it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

import polars as pl
import pyarrow as pa
import sqlalchemy as sa

from sor_pipeline.engine.base import Rows
from sor_pipeline.engine.files import put_text
from sor_pipeline.ownership.document import system_of
from sor_pipeline.ownership.target import Target
from sor_pipeline.run import Run

CELL = ("source", "source_key", "field", "proposed_in")
FREE = 10
"""Records that a share of a small source never forbids."""
_NAMED = (*CELL, "wanted")


@dataclass(frozen=True)
class Plan:
    """Columns of `rows`: CELL, column, entity, entity_id, observed, wanted, attempts, outcome, at, permitted;
    ordered by CELL. `over` says in words which cap it exceeds; blank: none."""

    system: str
    publication: int
    rows: pl.DataFrame = field(repr=False)
    over: str = ""

    @property
    def name(self) -> str:
        """16 hex digits: the same for the same records, fields and wanted texts that nobody permitted yet."""
        fresh = self.rows.filter(~pl.col("permitted")) if self.over else self.rows
        text = fresh.select(_NAMED).write_ndjson()
        return hashlib.sha256(f"{self.system}\n{text}".encode()).hexdigest()[:16]

    @property
    def records(self) -> int:
        return self.rows.select("source", "source_key").n_unique() if self.rows.height else 0


def planned(run: Run, system: str, target: Target) -> Plan:
    """The plan as of the last publication."""
    with run.engine.begin() as connection:
        publication = run.published(connection)
        found = run.engine.fetch(connection, _open(run, system))
        rows = _sendable(run, connection, pl.DataFrame(found))
        over = _over(run, connection, rows, target)
    return Plan(system, publication, rows, over)


def permitted(run: Run, plan: Plan) -> bool:
    """Whether a plan over the caps was accepted by name; its corrections are permitted from then on, one by one,
    so that a delivery that was interrupted goes on."""
    table, subject = run.tables.permit, subject_of(plan)
    acceptance = run.tables.acceptance
    with run.engine.begin() as connection:
        accepted = connection.execute(sa.select(acceptance.c.subject).where(acceptance.c.subject == subject)).fetchall()
        if not accepted:
            return False
        fresh = plan.rows.filter(~pl.col("permitted")).select(
            *CELL, pl.lit(plan.system).alias("system"), pl.lit(plan.name).alias("plan")
        )
        rows = run.engine.scan_arrow(connection, "deliver_permit", fresh.to_arrow())
        run.engine.replace(connection, table, rows, CELL)
    return True


def subject_of(plan: Plan) -> str:
    """What `sor accept` takes."""
    return f"delivery:{plan.system}:{plan.name}"


def written(run: Run, plan: Plan, live: bool) -> None:
    """The plan as a file of the outbox, put in place whole; none for a plan without rows."""
    if not plan.rows.height:
        return
    folder = run.settings.outbox / plan.system
    folder.mkdir(parents=True, exist_ok=True)
    head = {"system": plan.system, "publication": plan.publication, "plan": plan.name, "live": live,
            "records": plan.records, "over": plan.over}  # fmt: skip
    rows = plan.rows.select(*CELL, "column", "entity", "entity_id", "observed", "wanted").write_json()
    put_text(folder / f"plan-{plan.publication}.json", f'{json.dumps(head)[:-1]}, "rows": {rows}}}\n')


def _open(run: Run, system: str) -> Rows:
    """Grain: one correction that is proposed, with its attempts so far and whether it is permitted."""
    correction, attempt, permit = run.tables.correction, run.tables.attempt, run.tables.permit
    counted = (
        sa.select(*(attempt.c[name] for name in CELL), sa.func.max(attempt.c.attempt).label("attempts"))
        .where(attempt.c.system == system)
        .group_by(*(attempt.c[name] for name in CELL))
        .subquery("counted")
    )
    joined = (
        correction.outerjoin(counted, _same(counted, correction))
        .outerjoin(attempt, sa.and_(_same(attempt, counted), attempt.c.attempt == counted.c.attempts))
        .outerjoin(permit, _same(permit, correction))
    )
    told = ("column", "entity", "entity_id", "observed", "wanted")
    return (
        sa.select(
            *(correction.c[name] for name in (*CELL, *told)),
            sa.func.coalesce(counted.c.attempts, 0).label("attempts"),
            attempt.c.outcome,
            attempt.c.at,
            permit.c.source.is_not(None).label("permitted"),
        )
        .select_from(joined)
        .where(correction.c.system == system, correction.c.state == "proposed")
        .order_by(*(correction.c[name] for name in CELL))
    )


def _same(one: sa.FromClause, other: sa.FromClause) -> sa.ColumnElement[bool]:
    return sa.and_(*(one.c[name] == other.c[name] for name in CELL))


def _sendable(run: Run, connection: sa.Connection, rows: pl.DataFrame) -> pl.DataFrame:
    """Without what waits for an extract: sent before, without an answer, to a tool that cannot be read."""
    if not rows.filter(pl.col("outcome") == "unknown").height:
        return rows
    blind = [source for source in rows["source"].unique().to_list() if _blind(run, source)]
    batch = run.tables.batch
    newest = sa.select(batch.c.source, sa.func.max(batch.c.as_of).label("seen")).where(batch.c.source.in_(blind))
    seen = pl.DataFrame(run.engine.fetch(connection, newest.group_by(batch.c.source)))
    joined = rows.join(seen, on="source", how="left", maintain_order="left")
    waits = (
        pl.col("source").is_in(blind)
        & (pl.col("outcome") == "unknown")
        & (pl.col("seen").is_null() | (pl.col("seen") <= pl.col("at")))
    )
    return joined.filter(~waits).drop("seen")


def _blind(run: Run, source: str) -> bool:
    """Whether the tool cannot say what it holds; handing a file over twice is the same as once."""
    target = run.ownership.systems[system_of(source)].target
    return target is None or (target.rest is not None and target.rest.read is None)


def _over(run: Run, connection: sa.Connection, rows: pl.DataFrame, target: Target) -> str:
    """In words, which cap the records that nobody permitted exceed."""
    fresh = rows.filter(~pl.col("permitted")).select("source", "source_key").unique()
    if fresh.height > target.max_rows:
        return f"{fresh.height:,} records, and max_rows is {target.max_rows:,}"
    counts: dict[str, Any] = dict(fresh.group_by("source").len().iter_rows())
    for source, count in counts.items():
        staged = run.tables.staged[source]
        alive = sa.select(sa.func.count()).select_from(staged).where(staged.c._deleted_at.is_(None))
        live = int(connection.execute(alive).scalar_one())
        if count > max(target.max_share * live, FREE):
            return f"{count:,} of {live:,} records of {source}, and max_share is {target.max_share:g}"
    return ""


def as_table(rows: list[dict[str, Any]], like: sa.Table) -> pa.Table:
    """Rows as Arrow, every column of `like` that they have in its type, even where all of it is null."""
    kinds = {sa.BigInteger: pa.int64(), sa.DateTime: pa.timestamp("us")}
    names = [column.name for column in like.columns if column.name in rows[0]]
    schema = pa.schema([(name, kinds.get(type(like.c[name].type), pa.string())) for name in names])
    return pa.Table.from_pylist([{name: row[name] for name in names} for row in rows], schema=schema)
