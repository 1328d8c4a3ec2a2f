"""The last asset of the flow: what became of corrections, where the data is read.

Belongs here: the op of `observe`. Does not: marts, which are made of it (`dbt`).
"""

import dagster as dg

from sor_pipeline import flow
from sor_pipeline.defs import columns, figures, keys
from sor_pipeline.defs.workplace import STEPS, Workplace, faults_in_words
from sor_pipeline.ownership.document import Ownership
from sor_pipeline.tables import Tables


def observation_asset(ownership: Ownership, tables: Tables) -> dg.AssetsDefinition:
    """One asset, behind everything that is published and every system's corrections."""
    table = tables.published_correction
    upstream = [keys.conformed(entity) for entity in ownership.entities]
    upstream += [keys.corrections(system) for system in keys.corrected_systems(ownership)]
    upstream += [keys.deliveries(system) for system in keys.delivered_systems(ownership)]
    upstream.append(keys.cases())

    @dg.asset(
        key=keys.observed(),
        deps=upstream,
        group_name=keys.GROUPS["observe"],
        description=f"{table.comment} Brought up to date after each system was compared.",
        kinds={"duckdb", "table"},
        metadata={
            "dagster/column_schema": columns.table_schema(table),
            "dagster/table_name": f"{table.schema}.{table.name}",
        },
        pool=keys.POOL,
    )
    def observe(
        context: dg.AssetExecutionContext, workplace: dg.ResourceParam[Workplace]
    ) -> dg.MaterializeResult[None]:
        with workplace.opened(context) as run:
            done = flow.one_step(run, STEPS["observe"], "")
            with run.engine.begin() as connection:
                rows = figures.row_count(connection, run.tables.published_correction)
        counted = figures.counts(done.outcome, done.seconds)
        return dg.MaterializeResult(
            metadata={**counted, "dagster/row_count": rows, "faults": faults_in_words(done.outcome.faults)}
        )

    return observe
