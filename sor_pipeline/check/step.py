"""Checks one entity's canonical rows before they may be published.

Belongs here: when to check, and in which order. Does not: the expectations (`suite`), running them
(`validate`, `judged`, `counted`), writing them down (`findings`).

Reads: `canonical.*` (of the entity and of what it refers to), `identity.affected`, `identity.<entity>`,
`conformed.<entity>` (its number of rows), `landing.batch`, `staged.reject`, `audit.account`.
Writes: `audit.finding`, `audit.held`, `audit.judged`, `identity.affected` (cause release).
Raises: nothing of its own; a broken expectation is a fault of the Outcome, and publish blocks where it is told to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import sqlalchemy as sa

from sor_pipeline.check.bind import bound
from sor_pipeline.check.counted import counted
from sor_pipeline.check.findings import record, refresh
from sor_pipeline.check.judged import remember, remembered
from sor_pipeline.check.suite import Expected, expectations
from sor_pipeline.check.validate import Result, validate
from sor_pipeline.errors import Fault
from sor_pipeline.ownership.entity import Severity
from sor_pipeline.run import Outcome, Run


def run(run: Run, entity: str) -> Outcome:
    """Check the entity; where neither its rows nor its expectations changed, only what is about deliveries.

    Counts: expectations evaluated, failed, held (cells), released (ids).
    """
    expected = expectations(run.ownership, entity)
    with run.engine.begin() as connection:
        due = _due(run, connection, entity, expected)
        ready = bound(run, connection, expected) if due else []
        known = remembered(run, connection, expected, ready) if due else []
    if due:
        run.progress(f"{entity}: checking {len(ready)} expectations")
    results = validate(run.engine, run.tables.canonical[entity], ready) if known is None else known
    with run.engine.begin() as connection:
        if known is None:
            remember(run, connection, entity, expected, results)
        pending = run.pending(connection)
        results += counted(run, connection, expected, pending)
        counts = {"held": 0, "released": 0}
        if due:
            counts = record(run, connection, entity, _as_declared(expected, results), pending)
        else:
            refresh(run, connection, entity, results, pending)
    failed = sum(not one.passed for one in results)
    faults = tuple(_fault(one) for one in results if one.broken)
    return Outcome({"expectations": len(results), "failed": failed, **counts}, faults)


def _due(run: Run, connection: sa.Connection, entity: str, expected: Sequence[Expected]) -> bool:
    """Whether rows of the entity, or of an entity that it refers to, or its expectations changed."""
    affected, finding = run.tables.affected, run.tables.finding
    fields = run.ownership.entities[entity].fields.values()
    concerned = {entity, *(field.to for field in fields if field.to)}
    changed = sa.select(affected.c.entity_id).where(affected.c.entity.in_(concerned)).limit(1)
    if connection.execute(changed).first() is not None:
        return True
    last = sa.select(finding.c.expectation, finding.c.declared).where(finding.c.entity == entity)
    declared = {row.expectation: row.declared for row in connection.execute(last)}
    return declared != {one.name: one.digest for one in expected}


def _as_declared(expected: Sequence[Expected], results: Sequence[Result]) -> list[Result]:
    """Results in the document's order, with the expectation as declared instead of as bound to tables."""
    found = {one.expected.name: one for one in results}
    return [replace(result, expected=one) for one in expected if (result := found.get(one.name)) is not None]


def _fault(result: Result) -> Fault:
    expected = result.expected
    severe = expected.severity is Severity.block
    consequence = {
        Severity.warn: "nothing was checked by it, and publishing goes on",
        Severity.hold: f"{expected.entity} keeps what is published until it is right",
        Severity.block: "nothing is published until it is right",
    }[expected.severity]
    return Fault(
        "expectation-broken", expected.where,
        f"the expectation {expected.name} of {expected.entity} cannot be evaluated", result.broken,
        "an expectation of Great Expectations with arguments that fit the column",
        f"correct it in the document; {consequence}", warning=not severe,
    )  # fmt: skip
