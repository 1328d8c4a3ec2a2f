"""Great Expectations' own queries, kept and asked again: a run that changed little does not import it.

Belongs here: what is kept of its verdicts (`audit.judged`), and results made from that. Does not:
judging anything for the first time (`validate`).

Importing it costs more than all else in a run of a few changes. It stays the judge: of every
expectation whose meaning does not depend on the rows (`lasting`) its query for failing rows is kept,
as text, once its number of rows was the number that it counted itself. While the expectation is
declared as it was, over columns of the same type, under the same release, the query says what it
would say. If one expectation of the entity has no such query, it judges all of them again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import version

import sqlalchemy as sa

from sor_pipeline.check.suite import VOLUME, Expected
from sor_pipeline.check.validate import Result, failing_rows
from sor_pipeline.run import Run

_ROWS = ""
"""Stands among the names of expectations for the table itself."""


def remembered(
    run: Run, connection: sa.Connection, declared: Sequence[Expected], ready: Sequence[Expected]
) -> list[Result] | None:
    """Results in the order of `ready` (`declared`, bound); None where Great Expectations must be asked."""
    queries = _queries(run, connection, declared)
    asked = [one for one in ready if one.rule != VOLUME]
    if not ready or any(one.name not in queries for one in asked):
        return None
    table = run.tables.canonical[ready[0].entity]
    failing = {one.name: failing_rows(queries[one.name]) for one in asked}
    counts = [sa.select(sa.literal(_ROWS, sa.Text), sa.func.count()).select_from(table)]
    counts += [
        sa.select(sa.literal(name, sa.Text), sa.func.count()).select_from(rows) for name, rows in failing.items()
    ]
    found = {str(name): int(number) for name, number in connection.execute(sa.union_all(*counts)).fetchall()}
    return [_result(one, found, failing) for one in ready]


def remember(
    run: Run, connection: sa.Connection, entity: str, declared: Sequence[Expected], results: Sequence[Result]
) -> None:
    """Keep the queries of these results in place of what was kept of the entity."""
    judged, digests = run.tables.judged, _digests(run, declared)
    connection.execute(sa.delete(judged).where(judged.c.entity == entity))
    rows = [
        {"entity": entity, "expectation": name, "declared": digests[name], "failing": one.query}
        for one in results
        for name in [one.expected.name]
        if one.query and name in digests
    ]
    if rows:
        connection.execute(sa.insert(judged), rows)


def _queries(run: Run, connection: sa.Connection, declared: Sequence[Expected]) -> dict[str, str]:
    """By name of expectation, the query that still holds."""
    if not declared:
        return {}
    judged, digests = run.tables.judged, _digests(run, declared)
    kept = sa.select(judged.c.expectation, judged.c.declared, judged.c.failing).where(
        judged.c.entity == declared[0].entity
    )
    rows = connection.execute(kept).fetchall()
    return {row.expectation: row.failing for row in rows if digests.get(row.expectation) == row.declared}


def _digests(run: Run, declared: Sequence[Expected]) -> dict[str, str]:
    """By name, what must not have changed: the declaration, the type of its column, who judged it."""
    judge = version("great_expectations")
    fields = {one.name: run.tables.canonical[one.entity].columns.get(one.field) for one in declared}
    kinds = {name: "" if column is None else str(column.type) for name, column in fields.items()}
    return {one.name: f"{one.digest} {kinds[one.name]} {judge} {run.engine.name}".strip() for one in declared}


def _result(expected: Expected, found: Mapping[str, int], failing: Mapping[str, sa.FromClause]) -> Result:
    rows = found[_ROWS]
    if expected.rule == VOLUME:
        least, most = expected.arguments["min_value"], expected.arguments["max_value"]
        passed = (least is None or rows >= least) and (most is None or rows <= most)
        return Result(expected, passed, rows, int(not passed))
    failed = found[expected.name]
    wrong = sa.select(failing[expected.name].c.entity_id) if failed else None
    return Result(expected, not failed, rows, failed, rows=wrong)
