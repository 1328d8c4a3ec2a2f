"""The step itself: changed records in, ids and affected entities out, in one transaction."""

from __future__ import annotations

import sqlalchemy as sa

from sor_pipeline.identify.affected import fresh, report
from sor_pipeline.identify.cases import may_have_cases, write_cases
from sor_pipeline.identify.clusters import clustered
from sor_pipeline.identify.decided import pending
from sor_pipeline.identify.edges import edges_of
from sor_pipeline.identify.guards import by_reason
from sor_pipeline.identify.ids import named
from sor_pipeline.identify.moves import write_moves
from sor_pipeline.identify.reach import Reach, everything, note_distrust, touched
from sor_pipeline.identify.refused import by_record, looked_at, write_refused
from sor_pipeline.identify.similar.pairs import reached, untrained, write_pairs
from sor_pipeline.identify.state import remember, rules_differ
from sor_pipeline.identify.work import Work, same_record
from sor_pipeline.run import Outcome, Run


def run(run: Run, entity: str) -> Outcome:
    """Identify the entity's records.

    Counts: looked_at and rekeyed (records) by this pass; born and retired (ids) since the last publication;
    distrusted (tokens that link nobody now), in all and per rule and reason; cases (open now).
    """
    with run.engine.begin() as connection:
        work = Work(run, connection, entity, run.pending(connection))
        anew = rules_differ(work)
        if not anew and not work.count(fresh(work).subquery("fresh")) and not work.count(pending(work).subquery("new")):
            counts = {"looked_at": 0, "rekeyed": 0, **_ids_since(work), **_standing(work)}
            return Outcome(counts, untrained(work))
        faults = write_pairs(work, anew)
        reach = everything(work) if anew else touched(work, reached(work))
        looked = work.count(reach.members)
        run.progress(f"identify {entity}: {looked:,} records")
        rekeyed = _identify(work, reach, anew=anew)
        remember(work)
        return Outcome({"looked_at": looked, "rekeyed": rekeyed, **_ids_since(work), **_standing(work)}, faults)


def _identify(work: Work, reach: Reach, *, anew: bool) -> int:
    """Cluster and name what is in reach; returns how many records had another id."""
    edges = edges_of(work, reach)
    if reach.whole:
        note_distrust(work, edges.judgement, None)
    scope = looked_at(work, reach)
    together, cuts = clustered(work, reach, edges)
    placed = work.keep("placed", placements(together, named(work, together, reach.clusters)))
    rekeyed = write_moves(work, placed, together, edges, anew=anew)
    _write(work, reach, placed)
    write_refused(work, reach, scope, by_record(work, reach, "refused", cuts.refused))
    if cuts.stopped.num_rows or may_have_cases(work):
        write_cases(work, scope, by_record(work, reach, "stopped", cuts.stopped), whole=reach.whole)
    report(work, placed, reach.gone)
    return rekeyed


def placements(together: sa.Table, given: sa.Table) -> sa.Select[object]:
    """Grain: one clustered record whose id is new (source, source_key, old_id, entity_id)."""
    return sa.select(together.c.source, together.c.source_key, together.c.old_id, given.c.entity_id).where(
        together.c.component == given.c.component, together.c.old_id.is_distinct_from(given.c.entity_id)
    )


def _write(work: Work, reach: Reach, placed: sa.Table) -> None:
    """Put the records whose id is new, drop those that are no longer staged."""
    known = work.identity
    if reach.whole:
        work.connection.execute(
            sa.delete(known).where(sa.exists().where(same_record(known, reach.gone)).correlate(known))
        )
    pending_number = sa.literal(work.pending, sa.BigInteger).label("_publication")
    rows = sa.select(placed.c.source, placed.c.source_key, placed.c.entity_id, pending_number).subquery("rows")
    work.put(known, rows, "source", "source_key")


def _ids_since(work: Work) -> dict[str, int]:
    registry = work.tables.id
    mine = sa.select(registry).where(registry.c.entity == work.entity)
    return {
        "born": work.count(mine.where(registry.c.born == work.pending, registry.c.retired.is_(None)).subquery("born")),
        "retired": work.count(mine.where(registry.c.retired == work.pending).subquery("retired")),
    }


def _standing(work: Work) -> dict[str, int]:
    """How things stand, whichever pass brought them there."""
    case = work.tables.case
    rows = work.connection.execute(by_reason(work.tables, work.entity)).fetchall()
    reasons = {f"distrusted {row.rule} {row.reason}": int(row.tokens) for row in rows}
    pairs = sa.and_(case.c.entity == work.entity, case.c.left_source.is_not(None))
    waiting = sa.select(case.c.case_id).where(pairs, case.c.closed_in.is_(None))
    return {"distrusted": sum(reasons.values()), **reasons, "cases": work.count(waiting.subquery("waiting"))}
