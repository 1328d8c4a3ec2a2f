"""Assets per source: what landed, and what it means once staged.

Belongs here: the ops of `extract` and `stage`, and the checks that are about a source.
Does not: expectations about entities (`checks`).

A source's own faults (a refused delivery, a snapshot that shrank) fail its checks and stop nobody
else; rows that are unaccounted for fail the op, and with it everything downstream.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import dagster as dg

from sor_pipeline import flow
from sor_pipeline.defs import columns, figures, keys
from sor_pipeline.defs.workplace import STEPS, Workplace, faults_in_words
from sor_pipeline.errors import Unbalanced
from sor_pipeline.ownership.document import Ownership, system_of
from sor_pipeline.run import Run
from sor_pipeline.tables import Tables, staged_name

ACCEPTED = "deliveries_accepted"
CONTINUES = "source_not_stopped"
BALANCED = "rows_accounted_for"

Yielded = Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]


def freshness(every: timedelta | None) -> dg.FreshnessPolicy | None:
    """Warned of when a quarter late, failed when a whole turn was missed."""
    return dg.FreshnessPolicy.time_window(fail_window=every * 2, warn_window=every * 1.25) if every else None


def source_assets(ownership: Ownership, tables: Tables, pool: str | None = keys.POOL) -> list[dg.AssetsDefinition]:
    """`landed` of every source, then `staged` of every source; no `pool`: as many at once as there are processes."""
    landing = [_landed(ownership, source, pool) for source in ownership.sources]
    return landing + [_staged(ownership, tables, source, pool) for source in ownership.sources]


def _landed(ownership: Ownership, source: str, pool: str | None) -> dg.AssetsDefinition:
    spec, system, key = ownership.sources[source], system_of(source), keys.landed(source)
    title, way = keys.title_of_source(ownership, source), spec.extract
    delivered = ", ".join(f"`{glob}`" for glob in way.files) or (f"table `{way.table}`" if way.table else "a query")
    asset = dg.AssetSpec(
        key,
        group_name=keys.GROUPS["extract"],
        description=f"{title}, exactly as received from {delivered} ({way.mode}). {spec.description}".strip(),
        owners=keys.owners_of_system(ownership, system),
        kinds={system, keys.delivered_as(spec)},
        tags={"sor/system": system},
        freshness_policy=freshness(way.every),
        metadata={"dagster/column_schema": columns.landed_schema(ownership, source), "source": source},
    )
    accepted = dg.AssetCheckSpec(ACCEPTED, asset=key, description="No delivery of the source is refused now.")

    @dg.multi_asset(specs=[asset], check_specs=[accepted], name=f"extract__{staged_name(source)}", pool=pool)
    def extract(context: dg.AssetExecutionContext, workplace: dg.ResourceParam[Workplace]) -> Yielded:
        with workplace.opened(context, source) as run:
            with run.engine.begin() as connection:
                before = set(figures.batches(connection, run.tables, source))
            done = flow.one_step(run, STEPS["extract"], source)
            with run.engine.begin() as connection:
                fresh = [batch for batch in figures.batches(connection, run.tables, source) if batch not in before]
                refused = figures.refusals(connection, run.tables, source)
                header, newest = figures.newest_batch(connection, run.tables, source)
        if fresh:
            context.instance.add_run_tags(context.run.run_id, {f"sor/{source}": _few(fresh)})
        outcome = done.outcome
        yield dg.MaterializeResult(
            asset_key=key,
            metadata={
                **figures.counts(outcome, done.seconds),
                **newest,
                "new batches": _few(fresh) or "none",
                "faults": faults_in_words(outcome.faults),
                "dagster/column_schema": columns.landed_schema(ownership, source, header),
            },
        )
        yield dg.AssetCheckResult(
            asset_key=key,
            check_name=ACCEPTED,
            passed=not refused and not outcome.counts.get("failed"),
            metadata={
                "refused": len(refused),
                "deliveries": "; ".join(refused[:20]) or "none",
                "faults": faults_in_words(outcome.faults),
            },
        )

    return extract


def _staged(ownership: Ownership, tables: Tables, source: str, pool: str | None) -> dg.AssetsDefinition:
    spec, key = ownership.sources[source], keys.staged(source)
    title = keys.title_of_source(ownership, source)
    asset = dg.AssetSpec(
        key,
        deps=[keys.landed(source)],
        group_name=keys.GROUPS["stage"],
        description=f"Current records of {title}, mapped to the fields of {spec.entity}, "
        "typed and standardised. Every field also has its state (value, never, cleared, placeholder) and since when.",
        owners=keys.owners_of_system(ownership, system_of(source)),
        kinds={"duckdb"},
        tags={"sor/system": system_of(source), "sor/entity": spec.entity},
        metadata={
            "dagster/column_schema": columns.staged_schema(ownership, tables, source),
            "dagster/column_lineage": columns.staged_lineage(ownership, source),
            "dagster/table_name": f"staged.{staged_name(source)}",
        },
    )
    sum_holds = "read = new + unchanged + superseded + duplicate + rejected, batch by batch"
    nobody_waits = "No batch waits for a person to accept it, as one that shrank too much does."
    checks = [
        dg.AssetCheckSpec(BALANCED, asset=key, blocking=True, description=sum_holds),
        dg.AssetCheckSpec(CONTINUES, asset=key, description=nobody_waits),
    ]

    @dg.multi_asset(specs=[asset], check_specs=checks, name=f"stage__{staged_name(source)}", pool=pool)
    def stage(context: dg.AssetExecutionContext, workplace: dg.ResourceParam[Workplace]) -> Yielded:
        try:
            with workplace.opened(context, source) as run:
                results = list(_stage(run, ownership, source))
        except dg.Failure as error:
            if isinstance(error.__cause__, Unbalanced):
                yield dg.AssetCheckResult(
                    asset_key=key, check_name=BALANCED, passed=False, description=str(error.description)
                )
            raise
        yield from results

    return stage


def _stage(run: Run, ownership: Ownership, source: str) -> Yielded:
    """Stage the source; its materialisation and the results of its checks."""
    key, entity, table = keys.staged(source), ownership.sources[source].entity, run.tables.staged[source]
    done = flow.one_step(run, STEPS["stage"], source)
    outcome = done.outcome
    with run.engine.begin() as connection:
        number, read, wrong = figures.balance(connection, run.tables, source)
        shown: dict[str, Any] = {
            "dagster/row_count": figures.row_count(connection, table),
            "live records": figures.row_count(connection, table, table.c["_deleted_at"].is_(None)),
            "sample": figures.sample(connection, ownership, entity, table, ownership.sources[source].fields),
        }
    yield dg.MaterializeResult(
        asset_key=key,
        metadata={
            **figures.counts(outcome, done.seconds),
            **shown,
            "faults": faults_in_words(outcome.faults),
            "dagster/column_lineage": columns.staged_lineage(ownership, source),
        },
    )
    balance: dict[str, Any] = {"batches": number, "rows read": read, "wrong": ", ".join(wrong) or "none"}
    yield dg.AssetCheckResult(asset_key=key, check_name=BALANCED, passed=not wrong, metadata=balance)
    stopped = [fault for fault in outcome.faults if not fault.warning]
    yield dg.AssetCheckResult(
        asset_key=key, check_name=CONTINUES, passed=not stopped, metadata={"faults": faults_in_words(outcome.faults)}
    )


def _few(batches: list[str]) -> str:
    """Batch ids for a tag: the newest three, and how many more."""
    more = f" and {len(batches) - 3} more" if len(batches) > 3 else ""
    return ", ".join(batches[-3:]) + more
