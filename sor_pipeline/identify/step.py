"""The step itself: changed records in, ids and affected entities out, in one transaction."""

from __future__ import annotations

import sqlalchemy as sa

from sor_pipeline.identify.affected import Reach, everything, fresh, report, rules_differ, touched
from sor_pipeline.identify.clusters import clustered
from sor_pipeline.identify.ids import named
from sor_pipeline.identify.work import Work, same_record
from sor_pipeline.run import Outcome, Run


def run(run: Run, entity: str) -> Outcome:
    """Identify the entity's records.

    Counts: looked_at and rekeyed (records) by this pass; born and retired (ids) since the last publication.
    """
    with run.engine.begin() as connection:
        work = Work(run, connection, entity, run.pending(connection))
        anew = rules_differ(work)
        if not anew and not work.count(fresh(work).subquery("fresh")):
            return Outcome({"looked_at": 0, "rekeyed": 0, **_ids_since(work)})
        reach = everything(work) if anew else touched(work)
        looked_at = work.count(reach.members)
        run.progress(f"identify {entity}: {looked_at:,} records")
        together = clustered(work, reach)
        placed = work.keep("placed", placements(together, named(work, together, reach.clusters)))
        rekeyed = _write(work, reach, placed)
        report(work, placed, reach.gone)
        return Outcome({"looked_at": looked_at, "rekeyed": rekeyed, **_ids_since(work)})


def placements(together: sa.Table, given: sa.Table) -> sa.Select[object]:
    """Grain: one clustered record whose id is new (source, source_key, old_id, entity_id)."""
    return sa.select(together.c.source, together.c.source_key, together.c.old_id, given.c.entity_id).where(
        together.c.component == given.c.component, together.c.old_id.is_distinct_from(given.c.entity_id)
    )


def _write(work: Work, reach: Reach, placed: sa.Table) -> int:
    """Put the records whose id is new, drop those that are no longer staged; returns how many had another id."""
    known = work.identity
    if reach.whole:
        work.connection.execute(
            sa.delete(known).where(sa.exists().where(same_record(known, reach.gone)).correlate(known))
        )
    pending = sa.literal(work.pending, sa.BigInteger).label("_publication")
    rows = sa.select(placed.c.source, placed.c.source_key, placed.c.entity_id, pending).subquery("rows")
    work.put(known, rows, "source", "source_key")
    return work.count(sa.select(placed).where(placed.c.old_id.is_not(None)).subquery("moved"))


def _ids_since(work: Work) -> dict[str, int]:
    registry = work.tables.id
    mine = sa.select(registry).where(registry.c.entity == work.entity)
    return {
        "born": work.count(mine.where(registry.c.born == work.pending, registry.c.retired.is_(None)).subquery("born")),
        "retired": work.count(mine.where(registry.c.retired == work.pending).subquery("retired")),
    }
