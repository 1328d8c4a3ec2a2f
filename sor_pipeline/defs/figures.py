"""Numbers and samples that assets show: selects over the warehouse, one small function each.

Belongs here: what is read only to be shown. Values of personal fields, and the keys of records
(which may be personal), are never read. Does not: schema and lineage (`columns`).
"""

import json
from collections.abc import Iterable
from typing import Any

import dagster as dg
import sqlalchemy as sa

from sor_pipeline.ownership.document import Ownership, personal_fields
from sor_pipeline.run import Outcome
from sor_pipeline.tables import Tables, grain

SAMPLE_ROWS = 5
TOP_CONFLICTS = 10
PARTS = ("new", "unchanged", "superseded", "duplicate", "rejected")


def counts(outcome: Outcome, seconds: float) -> dict[str, Any]:
    """A step's account, each count a number that Dagster plots over time."""
    return {**outcome.counts, "seconds": round(seconds, 3)}


def batches(connection: sa.Connection, tables: Tables, source: str) -> list[str]:
    """Batches of the source, oldest first."""
    batch = tables.batch
    found = sa.select(batch.c.batch).where(batch.c.source == source).order_by(batch.c.as_of, batch.c.batch)
    return list(connection.execute(found).scalars().all())


def newest_batch(connection: sa.Connection, tables: Tables, source: str) -> tuple[list[str], dict[str, Any]]:
    """Header of the newest batch; metadata: when and as what it came, and how many rows landed in all."""
    batch = tables.batch
    mine = batch.c.source == source
    newest = sa.select(batch).where(mine).order_by(batch.c.as_of.desc(), batch.c.batch.desc()).limit(1)
    landed = connection.execute(sa.select(sa.func.coalesce(sa.func.sum(batch.c.rows), 0)).where(mine)).scalar_one()
    said: dict[str, Any] = {"dagster/row_count": int(landed)}
    header: list[str] = []
    for row in connection.execute(newest).fetchall():
        header = json.loads(row.columns)
        said |= {"newest batch": row.batch, "as of": str(row.as_of), "delivered as": row.delivered_as}
    return header, said


def refusals(connection: sa.Connection, tables: Tables, source: str) -> list[str]:
    """Deliveries of the source that are refused now, each with the reason's code."""
    refusal = tables.refusal
    mine = sa.select(refusal.c.delivered_as, refusal.c.code).where(refusal.c.source == source)
    rows = connection.execute(mine.order_by(refusal.c.delivered_as)).fetchall()
    return [f"{row.delivered_as}: {row.code}" for row in rows]


def balance(connection: sa.Connection, tables: Tables, source: str) -> tuple[int, int, list[str]]:
    """Of the source's batches: how many are accounted for, rows read, and those whose sum does not hold."""
    account = tables.account
    mine, accounted = account.c.source == source, sum((account.c[name] for name in PARTS), sa.literal(0))
    totals = sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(account.c.read), 0)).where(mine)
    wrong = sa.select(account.c.batch).where(mine, account.c.read != accounted).order_by(account.c.batch)
    number, read = connection.execute(totals).one()
    return int(number), int(read), list(connection.execute(wrong).scalars().all())


def row_count(connection: sa.Connection, table: sa.Table, *conditions: sa.ColumnElement[bool]) -> int:
    return int(connection.execute(sa.select(sa.func.count()).select_from(table).where(*conditions)).scalar_one())


def sample(
    connection: sa.Connection, ownership: Ownership, entity: str, table: sa.Table, shown: Iterable[str]
) -> dg.TableMetadataValue:
    """The first rows of a table in the order of its grain: the columns `shown`, without personal fields."""
    personal = personal_fields(ownership.entities[entity].fields)
    columns = [table.c[name] for name in shown if name not in personal]
    records: list[dg.TableRecord] = []
    if columns:
        rows = connection.execute(sa.select(*columns).order_by(*grain(table)).limit(SAMPLE_ROWS)).mappings().all()
        records = [dg.TableRecord({name: _plain(value) for name, value in row.items()}) for row in rows]
    schema = dg.TableSchema([dg.TableColumn(column.name, str(column.type).lower()) for column in columns])
    return dg.MetadataValue.table(records, schema)


def _plain(value: object) -> str | int | float | bool | None:
    return value if value is None or isinstance(value, (bool, int, float)) else str(value)[:200]


def open_cases(connection: sa.Connection, tables: Tables) -> dg.MarkdownMetadataValue:
    """Open cases by kind and steward, most first."""
    case, number = tables.case, sa.func.count().label("number")
    groups = (case.c.kind, case.c.entity, case.c.steward)
    still = sa.select(*groups, number).where(case.c.closed_in.is_(None)).group_by(*groups)
    found = connection.execute(still.order_by(number.desc(), *(sa.nulls_last(one) for one in groups))).fetchall()
    lines = ["| kind | entity | steward | open |", "|---|---|---|---|"]
    for row in found[:TOP_CONFLICTS]:
        lines.append(f"| {row.kind} | {row.entity or ''} | {row.steward or 'nobody yet'} | {row.number} |")
    return dg.MetadataValue.md("\n".join(lines) if found else "none")


def conflicts(connection: sa.Connection, tables: Tables, entity: str) -> tuple[int, dg.MarkdownMetadataValue]:
    """Claims that disagree now: how many, and by field and pair of systems, most first."""
    conflict, number = tables.open_conflict, sa.func.count().label("number")
    groups = (conflict.c.field, conflict.c.kind, conflict.c.system, conflict.c.owner)
    mine = sa.select(*groups, number).where(conflict.c.entity == entity).group_by(*groups)
    found = connection.execute(mine.order_by(number.desc(), *groups)).fetchall()
    lines = ["| field | kind | claimed by | owner | open |", "|---|---|---|---|---|"]
    for row in found[:TOP_CONFLICTS]:
        lines.append(f"| {row.field} | {row.kind} | {row.system} | {row.owner} | {row.number} |")
    return sum(row.number for row in found), dg.MetadataValue.md("\n".join(lines) if found else "none")
