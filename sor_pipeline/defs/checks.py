"""Each expectation of the ownership document as an asset check.

Belongs here: the specs, and their results as read from `audit.finding`. Does not: evaluating
anything (the check step does; Great Expectations is never imported here).

The checks sit on `canonical.<entity>`: that is what is checked before it is published.
"""

import json
import re
from collections.abc import Iterator

import dagster as dg
import sqlalchemy as sa

from sor_pipeline.check.suite import Expected, expectations
from sor_pipeline.defs import keys
from sor_pipeline.ownership.document import Ownership
from sor_pipeline.ownership.entity import Severity
from sor_pipeline.tables import Tables

SEVERITIES = {
    Severity.warn: dg.AssetCheckSeverity.WARN,
    Severity.hold: dg.AssetCheckSeverity.ERROR,
    Severity.block: dg.AssetCheckSeverity.ERROR,
}
CONSEQUENCES = {
    Severity.warn: "where it fails, that is reported",
    Severity.hold: "where it fails, the last good value stays published",
    Severity.block: "where it fails, nothing is published",
}
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_]")


def check_specs(ownership: Ownership, entity: str) -> list[dg.AssetCheckSpec]:
    """One per expectation; blocking where its severity is `block`."""
    return [
        dg.AssetCheckSpec(
            check_name(expected),
            asset=keys.canonical(entity),
            blocking=expected.severity is Severity.block,
            description=f"{expected.description} ({expected.severity}: {CONSEQUENCES[expected.severity]}).",
            metadata={"declared in": expected.where, "severity": expected.severity.value},
        )
        for expected in expectations(ownership, entity)
    ]


def check_name(expected: Expected) -> str:
    """Dagster's names have no dots; ours have no two underscores: the two go back and forth."""
    return _NOT_IN_NAMES.sub("_", expected.name.replace(".", "__"))


def check_results(
    connection: sa.Connection, tables: Tables, ownership: Ownership, entity: str
) -> Iterator[dg.AssetCheckResult]:
    """Grain: one result per expectation of the entity, as its last check found it."""
    finding = tables.finding
    rows = connection.execute(sa.select(finding).where(finding.c.entity == entity)).fetchall()
    found = {row.expectation: row for row in rows}
    for expected in expectations(ownership, entity):
        row = found.get(expected.name)
        yield dg.AssetCheckResult(
            asset_key=keys.canonical(entity),
            check_name=check_name(expected),
            passed=bool(row is not None and row.passed),
            severity=SEVERITIES[expected.severity],
            description=(row.message or None) if row is not None else "not evaluated in this run",
            metadata=_details(row) if row is not None else {},
        )


def _details(row: sa.Row[tuple[object, ...]]) -> dict[str, dg.MetadataValue]:
    """Counts and ids, never values."""
    details: dict[str, dg.MetadataValue] = {
        "checked": dg.MetadataValue.int(int(row.checked or 0)),
        "failed": dg.MetadataValue.int(int(row.failed or 0)),
    }
    failing = json.loads(row.sample or "[]")
    if failing:
        details["failing ids"] = dg.MetadataValue.json(failing)
    if row.rows_query:
        details["all failing rows"] = dg.MetadataValue.md(f"```sql\n{row.rows_query}\n```")
    return details
