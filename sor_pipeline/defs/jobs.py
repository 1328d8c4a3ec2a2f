"""What can be started by name: the whole flow, and one system with all that follows from it.

Belongs here: which assets a job holds. Does not: when it is started (`schedules`, `sensors`).
"""

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition  # has no public name

from sor_pipeline import flow
from sor_pipeline.defs import keys
from sor_pipeline.ownership.document import Ownership, system_of

WHOLE_FLOW = "whole_flow"
PUBLISHES = {"sor/publishes": "conformed"}
"""Run tag of every job that publishes: `dagster.yaml` lets one of them run at a time."""


def whole_flow() -> UnresolvedAssetJobDefinition:
    """Every source, every entity, every system."""
    return dg.define_asset_job(
        WHOLE_FLOW,
        selection=dg.AssetSelection.all(),
        description=f"{', '.join(step.name for step in flow.STEPS)}, the marts: everything.".capitalize(),
        tags=PUBLISHES,
    )


def system_flows(ownership: Ownership) -> list[UnresolvedAssetJobDefinition]:
    """Per system with a source: its sources, and all that follows. The others' sources are not looked at."""
    return [_system_flow(ownership, system) for system in ownership.systems if _sources(ownership, system)]


def _sources(ownership: Ownership, system: str) -> list[str]:
    return [name for name in ownership.sources if system_of(name) == system]


def _system_flow(ownership: Ownership, system: str) -> UnresolvedAssetJobDefinition:
    sources = _sources(ownership, system)
    follows = [key(entity) for entity in ownership.entities for key in (keys.identity, keys.canonical, keys.conformed)]
    follows += [keys.corrections(other) for other in keys.corrected_systems(ownership)]
    follows += [keys.deliveries(other) for other in keys.delivered_systems(ownership)]
    follows += [keys.published_together(), keys.cases(), keys.observed()]
    chosen = [key(source) for source in sources for key in (keys.landed, keys.staged)]
    title = ownership.systems[system].title or system
    return dg.define_asset_job(
        f"flow_of_{system}",
        selection=dg.AssetSelection.assets(*chosen, *follows),
        description=f"{title}: its extracts, and all that follows from them for every entity.",
        tags={**PUBLISHES, "sor/system": system},
    )
