"""What a change means for entities: those to be resolved again.

Belongs here: which records changed, and the account of ids that gained, lost or changed records. Does not:
which records are clustered again (`reach`).
"""

from __future__ import annotations

import sqlalchemy as sa

from sor_pipeline.identify.tokens import records
from sor_pipeline.identify.work import Work, same_record


def fresh(work: Work) -> sa.Select[object]:
    """Grain: one record, live or deleted, that changed since the last publication (source, source_key, live)."""
    everyone = records(work).subquery("everyone")
    return sa.select(everyone.c.source, everyone.c.source_key, everyone.c.live).where(everyone.c.fresh)


def report(work: Work, placed: sa.Table, gone: sa.Table) -> None:
    """Add to `identity.affected` what must be resolved again.

    `placed`: one row per record whose id is new (source, source_key, old_id, entity_id). A re-keyed
    record's old and new entity have the cause `identity`, which stands above any other; the entity
    of a changed record has the cause `claim`, which stands below any other. So has a retired id: its
    records may have been deleted while the document did not have the entity.
    """
    affected, known, registry = work.tables.affected, work.identity, work.tables.id
    moved = sa.and_(placed.c.old_id.is_not(None), placed.c.old_id != placed.c.entity_id)
    rekeyed = sa.union(
        sa.select(placed.c.old_id.label("entity_id")).where(moved),
        sa.select(placed.c.entity_id).where(moved),
        sa.select(gone.c.entity_id),
    ).subquery("rekeyed")
    work.put(affected, work.keep("rekeyed", _cause(work, rekeyed, "identity")), "entity", "entity_id")
    changed = fresh(work).subquery("changed")
    retired = sa.select(registry.c.entity_id).where(
        registry.c.entity == work.entity, registry.c.retired == work.pending
    )
    claimed = sa.union(sa.select(known.c.entity_id).where(same_record(known, changed)), retired).subquery("claimed")
    there = sa.select(affected.c.entity_id).where(affected.c.entity == work.entity)
    rows = _cause(work, claimed, "claim").where(claimed.c.entity_id.not_in(there))
    work.connection.execute(sa.insert(affected).from_select(["entity", "entity_id", "cause"], rows))


def _cause(work: Work, ids: sa.FromClause, cause: str) -> sa.Select[object]:
    return sa.select(
        sa.literal(work.entity, sa.Text).label("entity"), ids.c.entity_id, sa.literal(cause, sa.Text).label("cause")
    )
