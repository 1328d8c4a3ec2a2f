"""Writes down what was found: findings, and the cells that keep their last good published value.

Belongs here: `audit.finding`, `audit.held`, and ids that are released. Does not: deciding what is wrong.

A `hold` whose failing rows are known holds those; one that is about the table, or that broke, holds
everything of the entity that this publication would change, and goes on holding it while it fails.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from sor_pipeline.check.suite import Expected
from sor_pipeline.check.validate import Result
from sor_pipeline.ownership.entity import Severity
from sor_pipeline.run import Run
from sor_pipeline.tables import NO_FIELD

SAMPLE = 20


def record(run: Run, connection: sa.Connection, entity: str, results: Sequence[Result], pending: int) -> dict[str, int]:
    """Replace all findings and holds of the entity; gives the numbers held and released."""
    held = run.tables.held
    before = run.engine.materialise(connection, "held_before", sa.select(held).where(held.c.entity == entity))
    connection.execute(sa.delete(held).where(held.c.entity == entity))
    holding = [one for one in results if not one.passed and one.expected.severity is Severity.hold]
    for one in holding:
        rows = _rows_to_hold(one, before)
        connection.execute(_hold(held, one.expected, rows, pending))
    released = _release(run, connection, entity, before)
    for one in holding:
        if one.rows is None:
            connection.execute(_hold(held, one.expected, _everything_affected(run, one.expected), pending))
    connection.execute(sa.delete(run.tables.finding).where(run.tables.finding.c.entity == entity))
    _write(run, connection, results, pending)
    count = sa.select(sa.func.count()).select_from(held).where(held.c.entity == entity)
    return {"held": connection.execute(count).scalar_one(), "released": released}


def refresh(run: Run, connection: sa.Connection, entity: str, results: Sequence[Result], pending: int) -> None:
    """Replace the findings of these results only; the others, and what is held, stand."""
    finding = run.tables.finding
    names = [one.expected.name for one in results]
    connection.execute(sa.delete(finding).where(finding.c.entity == entity, finding.c.expectation.in_(names)))
    _write(run, connection, results, pending)


def _rows_to_hold(result: Result, before: sa.Table) -> sa.Select[str]:
    if result.rows is not None:
        return result.rows
    return sa.select(before.c.entity_id).where(before.c.expectation == result.expected.name)


def _hold(held: sa.Table, expected: Expected, rows: sa.Select[str], pending: int) -> sa.Insert:
    failing = rows.subquery("failing")
    cells = sa.select(
        sa.literal(expected.entity), failing.c.entity_id, sa.literal(expected.field or NO_FIELD),
        sa.literal(expected.name), sa.literal(pending),
    ).distinct()  # fmt: skip
    return sa.insert(held).from_select(["entity", "entity_id", "field", "expectation", "_publication"], cells)


def _everything_affected(run: Run, expected: Expected) -> sa.Select[str]:
    affected, held = run.tables.affected, run.tables.held
    already = sa.exists().where(
        held.c.entity == expected.entity, held.c.entity_id == affected.c.entity_id, held.c.expectation == expected.name
    )
    return sa.select(affected.c.entity_id).where(affected.c.entity == expected.entity, ~already)


def _release(run: Run, connection: sa.Connection, entity: str, before: sa.Table) -> int:
    """Ids with a cell that was held and is not any more are to be published: into `identity.affected`."""
    held, affected = run.tables.held, run.tables.affected
    still = sa.exists().where(
        held.c.entity == entity,
        held.c.entity_id == before.c.entity_id,
        sa.or_(held.c.field == before.c.field, held.c.field == NO_FIELD),
    )
    known = sa.exists().where(affected.c.entity == entity, affected.c.entity_id == before.c.entity_id)
    free = sa.select(before.c.entity_id).where(~still).distinct()
    count = connection.execute(sa.select(sa.func.count()).select_from(free.subquery("free"))).scalar_one()
    rows = sa.select(sa.literal(entity), before.c.entity_id, sa.literal("release")).where(~still, ~known).distinct()
    connection.execute(sa.insert(affected).from_select(["entity", "entity_id", "cause"], rows))
    return int(count)


def _write(run: Run, connection: sa.Connection, results: Iterable[Result], pending: int) -> None:
    rows = [
        {
            "entity": one.expected.entity,
            "expectation": one.expected.name,
            "field": one.expected.field,
            "severity": one.expected.severity.value,
            "passed": one.passed,
            "checked": one.checked,
            "failed": one.failed,
            "message": message(one),
            "sample": _sample(connection, one),
            "rows_query": _rows_query(run, connection, one),
            "declared": one.expected.digest,
            "_publication": pending,
        }
        for one in results
    ]
    if rows:
        connection.execute(sa.insert(run.tables.finding), rows)


def message(result: Result) -> str:
    """One line for a person; never holds a value of a row."""
    if result.broken:
        return f"broken: {result.broken}"
    if result.passed or result.told:
        return result.told or result.expected.description
    if result.rows is None:
        return f"does not hold: {result.expected.description}"
    return f"does not hold for {result.failed:,} of {result.checked:,} rows: {result.expected.description}"


def _sample(connection: sa.Connection, result: Result) -> str:
    if result.rows is None:
        return "[]"
    failing = result.rows.subquery("failing")
    some = sa.select(failing.c.entity_id).distinct().order_by(failing.c.entity_id).limit(SAMPLE)
    return json.dumps(list(connection.execute(some).scalars()))


def _rows_query(run: Run, connection: sa.Connection, result: Result) -> str | None:
    """For a person to run: the failing rows, whole, with their lineage."""
    if result.rows is None:
        return None
    table = run.tables.canonical[result.expected.entity]
    query: sa.Select[Any] = (
        sa.select(sa.literal_column("*")).select_from(table).where(table.c.entity_id.in_(result.rows))
    )
    try:
        return str(query.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True}))
    except (sa.exc.CompileError, NotImplementedError):
        return None
