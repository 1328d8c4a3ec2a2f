"""Assets per system with a target: corrections brought into its tool.

Belongs here: the op of `deliver`, and the checks of what became of it. Does not: what is wanted (`corrections`).

What stops one system's delivery fails its check and stops nobody else. Checks warn where somebody stopped it on purpose
or the next run goes on by itself, and are errors where a person must do something first.
"""

from collections.abc import Iterable

import dagster as dg

from sor_pipeline import flow
from sor_pipeline.defs import columns, figures, keys
from sor_pipeline.defs.sources import Yielded
from sor_pipeline.defs.workplace import STEPS, Workplace, faults_in_words
from sor_pipeline.errors import Fault
from sor_pipeline.ownership.document import Ownership
from sor_pipeline.run import Outcome
from sor_pipeline.tables import Tables

SENT = "nothing_held_back"
TAKEN = "nothing_refused"
PATIENT = ("delivery-stopped", "delivery-limited")
"""Codes of what a person did on purpose, or what passes by itself."""


def delivery_assets(ownership: Ownership, tables: Tables) -> list[dg.AssetsDefinition]:
    """One asset per system whose corrections have a tool to go to."""
    return [_deliveries(ownership, tables, system) for system in keys.delivered_systems(ownership)]


def _deliveries(ownership: Ownership, tables: Tables, system: str) -> dg.AssetsDefinition:
    spec, key = ownership.systems[system], keys.deliveries(system)
    target = spec.target
    kind, live = (target.kind.value, target.live) if target else ("", False)
    way = "sent" if live else "**a dry run**: planned and written down, not sent, until the target is `live`"
    asset = dg.AssetSpec(
        key,
        deps=[keys.corrections(system)],
        group_name=keys.GROUPS["deliver"],
        description=f"Corrections of {spec.title or system} on their way into it ({kind}): {way}.",
        owners=keys.owners_of_system(ownership, system),
        kinds={system, kind},
        tags={"sor/system": system},
        metadata={
            "dagster/column_schema": columns.table_schema(tables.attempt),
            "dagster/table_name": "outbound.attempt",
            "live": live,
        },
    )
    checks = [
        dg.AssetCheckSpec(SENT, asset=key, description="No cap, no switch and no fault of the tool holds back."),
        dg.AssetCheckSpec(TAKEN, asset=key, description="The tool refused no correction in this run."),
    ]

    @dg.multi_asset(
        specs=[asset], check_specs=checks, name=f"deliver__{system}", pool=keys.POOL, op_tags={"sor/system": system}
    )
    def deliver(context: dg.AssetExecutionContext, workplace: dg.ResourceParam[Workplace]) -> Yielded:
        with workplace.opened(context) as run:
            done = flow.one_step(run, STEPS["deliver"], system)
        outcome = done.outcome
        yield dg.MaterializeResult(
            asset_key=key,
            metadata={
                **figures.counts(outcome, done.seconds),
                "live": live,
                "faults": faults_in_words(outcome.faults),
                "outbox": dg.MetadataValue.path(str(workplace.settings.outbox / system)),
            },
        )
        yield from _judged(key, outcome)

    return deliver


def _judged(key: dg.AssetKey, outcome: Outcome) -> Yielded:
    refused = outcome.counts.get("refused", 0)
    yield dg.AssetCheckResult(
        asset_key=key,
        check_name=SENT,
        passed=not outcome.faults,
        severity=severity(outcome.faults),
        metadata={"faults": faults_in_words(outcome.faults), "dry run": outcome.counts.get("dry_run", 0)},
    )
    yield dg.AssetCheckResult(
        asset_key=key,
        check_name=TAKEN,
        passed=not refused,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"refused": refused},
    )


def severity(faults: Iterable[Fault]) -> dg.AssetCheckSeverity:
    """An error as soon as one of them needs a person."""
    waits = all(fault.warning or fault.code in PATIENT for fault in faults)
    return dg.AssetCheckSeverity.WARN if waits else dg.AssetCheckSeverity.ERROR
