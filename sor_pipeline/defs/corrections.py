"""Assets per system: what it must change to agree with what is published.

Belongs here: the op of `correct`. Does not: delivering corrections to the system.
"""

import dagster as dg

from sor_pipeline import flow
from sor_pipeline.defs import columns, figures, keys
from sor_pipeline.defs.workplace import STEPS, Workplace, faults_in_words
from sor_pipeline.ownership.document import Ownership, system_of
from sor_pipeline.tables import Tables

OPEN = ("proposed", "delivered")
"""States of a correction that the system has not answered yet."""


def correction_assets(ownership: Ownership, tables: Tables) -> list[dg.AssetsDefinition]:
    """One asset per system of which a source accepts corrections."""
    return [_corrections(ownership, tables, system) for system in keys.corrected_systems(ownership)]


def _corrections(ownership: Ownership, tables: Tables, system: str) -> dg.AssetsDefinition:
    accepting = {
        name: source for name, source in ownership.sources.items() if source.accepts and system_of(name) == system
    }
    title = ownership.systems[system].title or system
    written = "; ".join(f"{name}: {', '.join(source.accepts)}" for name, source in accepting.items())

    @dg.asset(
        key=keys.corrections(system),
        deps=[keys.conformed(entity) for entity in dict.fromkeys(source.entity for source in accepting.values())],
        group_name=keys.GROUPS["correct"],
        description=f"What {title} must change to agree, in its own columns and codes ({written}).",
        owners=keys.owners_of_system(ownership, system),
        kinds={system, "csv", "jsonl"},
        tags={"sor/system": system},
        metadata={
            "dagster/column_schema": columns.table_schema(tables.correction),
            "dagster/table_name": "outbound.correction",
        },
        pool=keys.POOL,
        op_tags={"sor/system": system},
    )
    def correct(
        context: dg.AssetExecutionContext, workplace: dg.ResourceParam[Workplace]
    ) -> dg.MaterializeResult[None]:
        with workplace.opened(context) as run:
            done = flow.one_step(run, STEPS["correct"], system)
            table = run.tables.correction
            waiting = table.c.source.in_(list(accepting)) & table.c.state.in_(OPEN)
            with run.engine.begin() as connection:
                number = figures.row_count(connection, table, waiting)
        return dg.MaterializeResult(
            metadata={
                **figures.counts(done.outcome, done.seconds),
                "dagster/row_count": number,
                "outbox": dg.MetadataValue.path(str(workplace.settings.outbox / system)),
                "faults": faults_in_words(done.outcome.faults),
            }
        )

    return correct
