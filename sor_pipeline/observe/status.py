"""What ran, what is published, what is late, refused or blocked: the selects behind `sor status`."""

from __future__ import annotations

import sqlalchemy as sa

from sor_pipeline.engine.base import Rows
from sor_pipeline.tables import NO_FIELD, Tables


def runs(tables: Tables) -> Rows:
    """Grain: one run, newest first."""
    table = tables.run
    return sa.select(
        table.c.run, table.c.started_at, table.c.ended_at, table.c.state, table.c.publication, table.c.message
    ).order_by(table.c.run.desc())


def versions(tables: Tables) -> Rows:
    """Grain: one version that the state was made in or brought to, newest first."""
    return sa.select(tables.version).order_by(tables.version.c.version.desc())


def publications(tables: Tables) -> Rows:
    """Grain: one publication, newest first."""
    table = tables.publication
    return sa.select(table).order_by(table.c.publication.desc())


def sources(tables: Tables) -> Rows:
    """Grain: one source that ever delivered: batches, rows read and rejected, newest as_of, present refusals."""
    batch, account, refusal = tables.batch, tables.account, tables.refusal
    rows = (
        sa.select(
            account.c.source,
            sa.func.sum(account.c.read).label("read"),
            sa.func.sum(account.c.rejected).label("rejected"),
        )
        .group_by(account.c.source)
        .subquery("rows")
    )
    landed = (
        sa.select(batch.c.source, sa.func.count().label("batches"), sa.func.max(batch.c.as_of).label("newest"))
        .group_by(batch.c.source)
        .subquery("landed")
    )
    refused = (
        sa.select(refusal.c.source, sa.func.count().label("refused")).group_by(refusal.c.source).subquery("refused")
    )
    known = sa.union(sa.select(batch.c.source), sa.select(refusal.c.source)).subquery("known")
    return (
        sa.select(
            known.c.source,
            sa.func.coalesce(landed.c.batches, 0).label("batches"),
            landed.c.newest,
            sa.func.coalesce(rows.c.read, 0).label("read"),
            sa.func.coalesce(rows.c.rejected, 0).label("rejected"),
            sa.func.coalesce(refused.c.refused, 0).label("refused"),
        )
        .select_from(known)
        .outerjoin(landed, landed.c.source == known.c.source)
        .outerjoin(rows, rows.c.source == known.c.source)
        .outerjoin(refused, refused.c.source == known.c.source)
        .order_by(known.c.source)
    )


def refusals(tables: Tables) -> Rows:
    """Grain: one delivery that is refused now."""
    table = tables.refusal
    return sa.select(table.c.source, table.c.delivered_as, table.c.code, table.c.message).order_by(
        table.c.source, table.c.delivered_as
    )


def entities(tables: Tables) -> Rows:
    """Grain: one entity: published rows and source records behind them."""
    parts = [
        sa.select(
            sa.literal(name, sa.Text).label("entity"),
            sa.select(sa.func.count()).select_from(tables.conformed[name]).scalar_subquery().label("rows"),
            sa.select(sa.func.count()).select_from(tables.keys[name]).scalar_subquery().label("records"),
        )
        for name in tables.ownership.entities
    ]
    united = sa.union_all(*parts).subquery("counted")
    return sa.select(united)


def findings(tables: Tables) -> Rows:
    """Grain: one expectation that does not hold; blocking ones first."""
    table = tables.finding
    weight = sa.case((table.c.severity == "block", 0), (table.c.severity == "hold", 1), else_=2)
    return (
        sa.select(
            table.c.entity, table.c.expectation, table.c.severity, table.c.failed, table.c.checked, table.c.message
        )
        .where(sa.not_(table.c.passed))
        .order_by(weight, table.c.failed.desc(), table.c.entity, table.c.expectation)
    )


def unaccounted(tables: Tables) -> Rows:
    """One number: rows read that ended in no counted place; anything but 0 is a fault of ours."""
    account = tables.account
    ended = account.c.new + account.c.unchanged + account.c.superseded + account.c.duplicate + account.c.rejected
    return sa.select(sa.func.coalesce(sa.func.sum(sa.func.abs(account.c.read - ended)), 0).label("unaccounted"))


def changes(tables: Tables) -> Rows:
    """Grain: entity, kind and field of the last publication's changes, with their number."""
    change, publication = tables.change, tables.publication
    last = sa.select(sa.func.max(publication.c.publication)).scalar_subquery()
    field = sa.func.nullif(change.c.field, NO_FIELD).label("field")
    return (
        sa.select(change.c.entity, change.c.kind, field, sa.func.count().label("changes"))
        .where(change.c.publication == last)
        .group_by(change.c.entity, change.c.kind, change.c.field)
        .order_by(sa.func.count().desc(), change.c.entity, change.c.kind, change.c.field)
    )
