"""In how many processes a run works, and what may happen at once.

Belongs here: the executor, the pools and the picture, chosen by the warehouse. Does not: the lock that holds
whatever Dagster does (`flow.opened`).

A DuckDB file has one writing process: every op is in one pool, and a run is one process. PostgreSQL takes several:
there extract and stage of different sources may run at once, each in a process of its own; identify to publish
stays one op, alone.
"""

import dagster as dg

from sor_pipeline import flow
from sor_pipeline.defs import keys
from sor_pipeline.settings import Settings

PRELOADED = ["dagster", "sqlalchemy", "pydantic", "sqlglot"]
"""Loaded once for all processes of a run. What starts threads as it loads must not be among them: these are forked."""


def several(settings: Settings) -> bool:
    """Whether sources may be worked on at once."""
    return settings.processes > 1 and flow.served(settings)


def executor(settings: Settings) -> dg.ExecutorDefinition:
    """In process, unless several processes are asked for and the warehouse takes them."""
    if not several(settings):
        return dg.in_process_executor
    chosen = {"max_concurrent": settings.processes, "start_method": {"forkserver": {"preload_modules": PRELOADED}}}
    return dg.multiprocess_executor.configured(chosen, name="several_processes")


def stored(settings: Settings, assets: list[dg.AssetsDefinition]) -> list[dg.AssetsDefinition]:
    """The assets, told as of the warehouse that there is: those of a file are drawn with DuckDB's picture."""
    if not flow.served(settings):
        return assets

    def told(spec: dg.AssetSpec) -> dg.AssetSpec:
        kinds = {"postgres" if kind == "duckdb" else kind for kind in spec.kinds}
        return spec.replace_attributes(kinds=kinds)

    return [one for one in dg.map_asset_specs(told, assets) if isinstance(one, dg.AssetsDefinition)]


def pool_of_sources(settings: Settings) -> str | None:
    """None: as many at once as the executor starts."""
    return None if several(settings) else keys.POOL
