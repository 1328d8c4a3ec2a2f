"""The code location of Dagster, assembled explicitly.

Belongs here: reading the environment and the ownership document once, and putting `defs` together.
Does not: any definition.

`workspace.yaml` names `defs`, which is made when Dagster asks for it; importing this module reads nothing.
"""

import dagster as dg

from sor_pipeline.defs.cases import case_asset
from sor_pipeline.defs.corrections import correction_assets
from sor_pipeline.defs.dbt import mart_assets
from sor_pipeline.defs.deliveries import delivery_assets
from sor_pipeline.defs.execution import executor, pool_of_sources, stored
from sor_pipeline.defs.jobs import system_flows, whole_flow
from sor_pipeline.defs.observation import observation_asset
from sor_pipeline.defs.publication import publication_assets
from sor_pipeline.defs.report import report_assets
from sor_pipeline.defs.retention import retention_job, retention_schedule
from sor_pipeline.defs.schedules import rhythm, schedules
from sor_pipeline.defs.sensors import new_files
from sor_pipeline.defs.sources import source_assets
from sor_pipeline.defs.workplace import Workplace
from sor_pipeline.ownership.lint import load_checked
from sor_pipeline.settings import Settings
from sor_pipeline.tables import Tables


def build_defs(settings: Settings | None = None) -> dg.Definitions:
    """Everything that Dagster shows of one ownership document.

    Raises OwnershipError, with every fault of the document, where it is missing or contradicts itself.
    """
    settings = settings or Settings.read()
    ownership = load_checked(settings.ownership)
    tables = Tables(ownership)
    assets = [
        *source_assets(ownership, tables, pool_of_sources(settings)),
        publication_assets(ownership, tables, rhythm(ownership)),
        *correction_assets(ownership, tables),
        *delivery_assets(ownership, tables),
        case_asset(ownership, tables),
        observation_asset(ownership, tables),
        *report_assets(),
        *mart_assets(ownership, settings, tables),
    ]
    return dg.Definitions(
        assets=stored(settings, assets),
        jobs=[whole_flow(), *system_flows(ownership), retention_job()],
        schedules=[*schedules(ownership), retention_schedule()],
        sensors=[new_files(ownership, settings)],
        resources={"workplace": Workplace(ownership, settings)},
        executor=executor(settings),
    )


@dg.definitions
def defs() -> dg.Definitions:
    """What `dagster dev` loads."""
    return build_defs()
