"""The asset of cases: what a person must look at, and who is late.

Belongs here: the op of `steward`, and its checks, which warn: a case is work to do, not something broken.
Does not: opening, routing or telling anybody (`steward`).
"""

import dagster as dg
import sqlalchemy as sa

from sor_pipeline import flow
from sor_pipeline.defs import columns, figures, keys
from sor_pipeline.defs.sources import Yielded
from sor_pipeline.defs.workplace import STEPS, Workplace, faults_in_words
from sor_pipeline.ownership.document import Ownership
from sor_pipeline.run import Run
from sor_pipeline.tables import Tables

IN_TIME = "no_case_overdue"
HOLDS = "no_cell_broken"
TOLD = "everybody_told"


def case_asset(ownership: Ownership, tables: Tables) -> dg.AssetsDefinition:
    """One asset, behind all corrections and their deliveries."""
    key, table = keys.cases(), tables.case
    upstream = [keys.conformed(entity) for entity in ownership.entities]
    upstream += [keys.corrections(system) for system in keys.corrected_systems(ownership)]
    upstream += [keys.deliveries(system) for system in keys.delivered_systems(ownership)]
    asset = dg.AssetSpec(
        key,
        deps=upstream,
        group_name=keys.GROUPS["steward"],
        description=f"{table.comment} With a steward, a deadline and a path of escalation: see `sor cases`.",
        metadata={
            "dagster/column_schema": columns.table_schema(table),
            "dagster/table_name": f"{table.schema}.{table.name}",
        },
    )
    checks = [
        dg.AssetCheckSpec(IN_TIME, asset=key, description="No open case is past its deadline."),
        dg.AssetCheckSpec(HOLDS, asset=key, description="No tool undid a correction so often that it is given up."),
        dg.AssetCheckSpec(TOLD, asset=key, description="Whoever has a case could be told of it."),
    ]

    @dg.multi_asset(specs=[asset], check_specs=checks, name="steward", pool=keys.POOL)
    def steward(context: dg.AssetExecutionContext, workplace: dg.ResourceParam[Workplace]) -> Yielded:
        with workplace.opened(context) as run:
            done = flow.one_step(run, STEPS["steward"], "")
            with run.engine.begin() as connection:
                results = list(_results(run, connection, done))
        yield from results

    return steward


def _results(run: Run, connection: sa.Connection, done: flow.Done) -> Yielded:
    key, case, broken = keys.cases(), run.tables.case, run.tables.broken
    still = case.c.closed_in.is_(None)
    overdue = figures.row_count(connection, case, still, case.c.due_at < run.now)
    cells = figures.row_count(connection, broken, broken.c.ended_in.is_(None))
    faults = done.outcome.faults
    yield dg.MaterializeResult(
        asset_key=key,
        metadata={
            **figures.counts(done.outcome, done.seconds),
            "dagster/row_count": figures.row_count(connection, case),
            "open": figures.row_count(connection, case, still),
            "open cases": figures.open_cases(connection, run.tables),
            "faults": faults_in_words(faults),
        },
    )
    found = {IN_TIME: ("overdue", overdue), HOLDS: ("broken cells", cells), TOLD: ("not told", len(faults))}
    for check, (words, number) in found.items():
        yield dg.AssetCheckResult(
            asset_key=key,
            check_name=check,
            passed=not number,
            severity=dg.AssetCheckSeverity.WARN,
            metadata={words: number, "look": "`sor cases`"},
        )
