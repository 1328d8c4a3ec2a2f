"""Assets per entity: identity, canonical, conformed; made by one op, under one lock.

Belongs here: the ops of `identify`, `resolve`, `check` and `publish`. Does not: the checks' specs (`checks`).

Why one op: what is staged is taken up by the next identify and resolve *before* a publication
(design: pending rows). Ops of their own could be started one by one, or be interleaved with
another run's staging, and a publication in between would leave rows behind. So whatever is
clicked, everything that is staged goes through all four steps, for all entities; that costs
only what changed.

Write, audit, publish: canonical rows are written, their checks reported, and `conformed` is
materialised only if the publication was not blocked. A blocked one fails the op, after the steps that are always
done (stewards hear of it).
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import dagster as dg
import sqlalchemy as sa

from sor_pipeline import flow
from sor_pipeline.defs import columns, figures, keys
from sor_pipeline.defs.checks import check_results, check_specs
from sor_pipeline.defs.sources import Yielded, freshness
from sor_pipeline.defs.workplace import STEPS, Workplace, faults_in_words
from sor_pipeline.ownership.document import Ownership
from sor_pipeline.run import Run
from sor_pipeline.tables import Tables

ONE_OP = tuple(STEPS[name] for name in ("identify", "resolve", "check", "publish"))
ALWAYS = tuple(step for step in flow.STEPS if step.always)
"""Done also where nothing is published: their own assets come behind it, and would be skipped."""
PUBLICATION_TAG = "sor/publication"
BLOCKED = "publication-blocked"


def publication_assets(ownership: Ownership, tables: Tables, every: timedelta | None) -> dg.AssetsDefinition:
    """The one op; `every`: how often the whole flow runs."""
    specs = [spec for entity in ownership.entities for spec in _specs(ownership, tables, entity, every)]
    specs.append(_account_spec(ownership, tables))
    checks = [spec for entity in ownership.entities for spec in check_specs(ownership, entity)]

    @dg.multi_asset(specs=specs, check_specs=checks, name="identify_to_publish", pool=keys.POOL)
    def identify_to_publish(context: dg.AssetExecutionContext, workplace: dg.ResourceParam[Workplace]) -> Yielded:
        with workplace.opened(context) as run:
            passage = flow.pass_through(run, ONE_OP)
            if passage.state == "blocked":
                for step in ALWAYS:
                    flow.one_step(run, step, "")
            with run.engine.begin() as connection:
                results: list[Any] = [_identified(run, connection, entity, passage) for entity in ownership.entities]
                results += [
                    one for entity in ownership.entities for one in _candidate(run, connection, entity, passage)
                ]
                published = [_published(run, connection, entity, passage) for entity in ownership.entities]
                published.append(_accounted(run, connection))
        yield from results
        if passage.state == "blocked":
            faults = tuple(fault for fault in passage.faults if fault.code == BLOCKED)
            raise dg.Failure(
                f"Nothing is published: {len(faults)} expectation(s) block. "
                f"Publication {passage.publication} stays readable.\n" + "\n".join(str(fault) for fault in faults),
                metadata={"faults": faults_in_words(faults)},
                allow_retries=False,
            )
        context.instance.add_run_tags(context.run.run_id, {PUBLICATION_TAG: f"{passage.publication} ({passage.state})"})
        yield from published

    return identify_to_publish


def _specs(ownership: Ownership, tables: Tables, entity: str, every: timedelta | None) -> Iterator[dg.AssetSpec]:
    kind = ownership.entities[entity]
    title, owners, tags = kind.title or entity, keys.owners_of_entity(ownership, entity), {"sor/entity": entity}
    referred = dict.fromkeys(field.to for field in kind.fields.values() if field.to and field.to != entity)
    yield dg.AssetSpec(
        keys.identity(entity),
        deps=[keys.staged(source) for source in ownership.sources_of(entity)],
        group_name=keys.GROUPS["identify"],
        description=f"Which records are the same {title}, under ids that survive re-runs, merges and splits.",
        owners=owners,
        kinds={"duckdb"},
        tags=tags,
        metadata={
            "dagster/column_schema": columns.table_schema(tables.identity[entity]),
            "dagster/table_name": f"identity.{entity}",
        },
    )
    yield dg.AssetSpec(
        keys.canonical(entity),
        deps=[keys.identity(entity), *(keys.identity(other) for other in referred)],
        group_name=keys.GROUPS["resolve"],
        description=f"One row per live {title}: every field has its owner's value, with its lineage. "
        "Checked before it is published.",
        owners=owners,
        kinds={"duckdb"},
        tags=tags,
        metadata={
            "rules": dg.MetadataValue.md(columns.rules_in_words(ownership, entity)),
            "dagster/column_schema": columns.canonical_schema(ownership, tables, entity),
            "dagster/column_lineage": columns.canonical_lineage(ownership, entity),
            "dagster/table_name": f"canonical.{entity}",
        },
    )
    yield dg.AssetSpec(
        keys.conformed(entity),
        deps=[keys.canonical(entity)],
        group_name=keys.GROUPS["publish"],
        description=f"{kind.description or f'One row per {title}.'} Published: read `conformed.{entity}`; "
        f"`{entity}_source` says who says so, `{entity}_key` every system's key, `{entity}_history` all versions.",
        owners=owners,
        kinds={"duckdb", "table"},
        tags=tags,
        freshness_policy=freshness(every),
        metadata={
            "dagster/column_schema": columns.conformed_schema(ownership, tables, entity),
            "dagster/column_lineage": columns.conformed_lineage(ownership, entity),
            "dagster/table_name": f"conformed.{entity}",
        },
    )


def _account_spec(ownership: Ownership, tables: Tables) -> dg.AssetSpec:
    """What is published with all entities in one."""
    table = tables.publication
    return dg.AssetSpec(
        keys.published_together(),
        deps=[keys.canonical(entity) for entity in ownership.entities],
        group_name=keys.GROUPS["publish"],
        description=f"{table.comment} Published with it: `conflict` and `change`, and what is measured: `finding`, "
        "`claims`, `delivery`, `ownership`.",
        kinds={"duckdb", "table"},
        metadata={
            "dagster/column_schema": columns.table_schema(table),
            "dagster/table_name": f"{table.schema}.{table.name}",
        },
    )


def _identified(run: Run, connection: sa.Connection, entity: str, passage: flow.Passage) -> dg.MaterializeResult[None]:
    """What identify made of the entity."""
    rows = figures.row_count(connection, run.tables.identity[entity])
    return dg.MaterializeResult(
        asset_key=keys.identity(entity),
        metadata={**_account(passage, "identify", entity), "dagster/row_count": rows},
    )


def _candidate(run: Run, connection: sa.Connection, entity: str, passage: flow.Passage) -> Yielded:
    """What resolve made of the entity, and what the check found."""
    tables, ownership = run.tables, run.ownership
    canonical = tables.canonical[entity]
    open_now, by_pair = figures.conflicts(connection, tables, entity)
    shown = ["entity_id", *ownership.entities[entity].fields]
    yield dg.MaterializeResult(
        asset_key=keys.canonical(entity),
        metadata={
            **_account(passage, "resolve", entity),
            "dagster/row_count": figures.row_count(connection, canonical),
            "open conflicts": open_now,
            "conflicts by field": by_pair,
            "sample": figures.sample(connection, ownership, entity, canonical, shown),
            "dagster/column_lineage": columns.canonical_lineage(ownership, entity),
        },
    )
    yield from check_results(connection, tables, ownership, entity)


def _published(run: Run, connection: sa.Connection, entity: str, passage: flow.Passage) -> dg.MaterializeResult[None]:
    ownership, table = run.ownership, run.tables.conformed[entity]
    shown = [f"{entity}_id", *ownership.entities[entity].fields]
    return dg.MaterializeResult(
        asset_key=keys.conformed(entity),
        metadata={
            "state": passage.state,
            "publication": passage.publication,
            "dagster/row_count": figures.row_count(connection, table),
            "sample": figures.sample(connection, ownership, entity, table, shown),
            "dagster/column_lineage": columns.conformed_lineage(ownership, entity),
            **({} if run.engine.served else {"dagster/uri": str(run.settings.conformed)}),
        },
    )


def _account(passage: flow.Passage, step: str, scope: str) -> dict[str, Any]:
    """Counts, seconds and faults of one step for one scope."""
    done = next(one for one in passage.done if (one.step, one.scope) == (step, scope))
    return {**figures.counts(done.outcome, done.seconds), "faults": faults_in_words(done.outcome.faults)}


def _accounted(run: Run, connection: sa.Connection) -> dg.MaterializeResult[None]:
    """How many publications there are, and what is open after the last."""
    publication, conflict = run.tables.publication, run.tables.conflict
    return dg.MaterializeResult(
        asset_key=keys.published_together(),
        metadata={
            "dagster/row_count": figures.row_count(connection, publication),
            "open conflicts": figures.row_count(connection, conflict, conflict.c.closed_in.is_(None)),
        },
    )
