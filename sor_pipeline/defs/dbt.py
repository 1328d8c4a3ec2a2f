"""The dbt models as assets behind the published tables, with dbt's tests as their checks.

Belongs here: which asset a dbt resource is, and the one op that runs dbt. Does not: building (`observe.marts`).

dbt is loaded only where its project was laid out and parsed ahead (`sor marts`, or `sor marts --prepare`): then
its manifest is read, and dbt itself runs in a process of its own when the op does.
"""

import json
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from sor_pipeline.access.grants import follow
from sor_pipeline.defs import keys
from sor_pipeline.defs.workplace import Workplace, reported
from sor_pipeline.observe.marts import build, project
from sor_pipeline.ownership.document import Ownership
from sor_pipeline.settings import Settings
from sor_pipeline.tables import Tables

if TYPE_CHECKING:
    from dagster_dbt import DagsterDbtTranslator

OP = "dbt_marts"
_log = logging.getLogger(__name__)


def mart_assets(ownership: Ownership, settings: Settings, tables: Tables) -> list[dg.AssetsDefinition]:
    """The models, in one definition; none where dbt is not installed or its project not parsed for this document."""
    missing = _missing(ownership, settings)
    if missing:
        _log.info("no dbt marts: %s", missing)
        return []
    return [_marts(settings, tables)]


@contextmanager
def told(variables: Mapping[str, str]) -> Iterator[None]:
    """Environment variables for dbt, which reads its profile in this process too; as they were afterwards."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _missing(ownership: Ownership, settings: Settings) -> str:
    if not build.installed(dagster=True, adapter=build.adapter(settings)):
        return "dbt is not installed; install sor-pipeline[dbt]"
    if build.parsed_for(settings) != ownership.fingerprint:
        return "dbt has not parsed them for this document; run `sor marts --prepare`"
    return ""


def _marts(settings: Settings, tables: Tables) -> dg.AssetsDefinition:
    from dagster_dbt import DbtCliResource, dbt_assets

    folder = settings.dbt
    manifest = json.loads((folder / "target" / "manifest.json").read_text(encoding="utf-8"))

    @dbt_assets(manifest=manifest, dagster_dbt_translator=_translator(tables), name=OP, pool=keys.DBT_POOL)  # type: ignore[untyped-decorator]
    def dbt_marts(context: dg.AssetExecutionContext, workplace: dg.ResourceParam[Workplace]) -> Iterator[Any]:
        run = build.hands(workplace.ownership, workplace.settings, context.log.info)
        with reported():
            laid_out, digest = project.lay_out(run.ownership, run.settings)
            with (
                told(build.environment(run)),
                build.building(run, laid_out, digest, part=context.is_subset, wait=workplace.wait),
            ):
                dbt = DbtCliResource(
                    project_dir=str(laid_out),
                    profiles_dir=str(laid_out),
                    target=run.engine.name,
                    dbt_executable=str(Path(sys.executable).with_name("dbt")),
                )
                target = laid_out / project.BUILD / "target"
                yield from dbt.cli(["build"], context=context, target_path=target).stream().fetch_column_metadata()
            follow(run, context.log.info)

    marts: dg.AssetsDefinition = dbt_marts
    return marts


def _translator(tables: Tables) -> "DagsterDbtTranslator":
    """Which asset a dbt resource is: a source is what publishes it, a model stands in the group of marts."""
    from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings

    class Translator(DagsterDbtTranslator):  # type: ignore[misc]
        def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
            name = dbt_resource_props["name"]
            return of_source[name] if dbt_resource_props["resource_type"] == "source" else keys.mart(name)

        def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str | None:
            return keys.MARTS if dbt_resource_props["resource_type"] == "model" else None

    of_source = sources_as_assets(tables)
    return Translator(
        DagsterDbtTranslatorSettings(enable_duplicate_source_asset_keys=True, enable_source_tests_as_checks=True)
    )


def sources_as_assets(tables: Tables) -> dict[str, dg.AssetKey]:
    """By name of conformed table the asset that makes it.

    An entity's tables are the entity's asset, corrections are what `observe` makes; what is published with all
    entities in one (conflicts, changes, measures) belongs to the account of publications.
    """
    published = [table for table in tables.metadata.tables.values() if table.schema == "conformed"]
    kinds = (tables.conformed, tables.sources, tables.keys, tables.alias, tables.history)
    found = {table.name: keys.published_together() for table in published}
    found |= {table.name: keys.conformed(entity) for kind in kinds for entity, table in kind.items()}
    return {str(name): key for name, key in (found | {tables.published_correction.name: keys.observed()}).items()}
