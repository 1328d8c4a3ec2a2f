"""The step itself: affected entities in, canonical rows and conflicts out, in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import sqlalchemy as sa

from sor_pipeline.engine.base import Rows
from sor_pipeline.ledger import DECISION
from sor_pipeline.ownership.rules import Take
from sor_pipeline.ownership.summary import RULE
from sor_pipeline.resolve.acknowledged import acknowledged, echoes_of
from sor_pipeline.resolve.affected import grown_stale, led_elsewhere, living_ids
from sor_pipeline.resolve.cells import cells
from sor_pipeline.resolve.claims import affected_ids, claims, records
from sor_pipeline.resolve.conflicts import conflicts
from sor_pipeline.resolve.ending import end_due, end_redundant
from sor_pipeline.resolve.gathered import gathered
from sor_pipeline.resolve.overrides import newly_said, overrides, refers_elsewhere
from sor_pipeline.resolve.said import said_by
from sor_pipeline.resolve.summaries import counted_anew, summaries
from sor_pipeline.resolve.units import units
from sor_pipeline.run import Outcome, Run


def run(run: Run, entity: str) -> Outcome:
    """Resolve the entity's affected ids. Counts: affected, written, dropped, conflicts."""
    with run.engine.begin() as connection:
        pending = run.pending(connection)
        end_due(run, connection, entity, pending)
        _affect(run, connection, entity, pending)
        affected, everybody = _how_many(run, connection, entity)
        if not affected:
            _remember(run, connection, entity)
            return Outcome({"affected": 0, "written": 0, "dropped": 0, "conflicts": 0})
        run.progress(f"resolve {entity}: {affected:,} affected")
        known = _known(run, connection, entity, everybody)
        said = _claimed(run, connection, entity, known, everybody)
        written, dropped, held = _write_cells(run, connection, entity, pending, known, said, everybody=everybody)
        disagreeing = _write_conflicts(run, connection, entity, said, held)
        _remember(run, connection, entity)
    return Outcome({"affected": affected, "written": written, "dropped": dropped, "conflicts": disagreeing})


def _how_many(run: Run, connection: sa.Connection, entity: str) -> tuple[int, bool]:
    """How many ids are affected, and whether that is everybody."""
    ids = affected_ids(run.tables, entity)
    affected = connection.execute(sa.select(sa.func.count()).select_from(ids.subquery())).scalar_one()
    living = run.tables.id
    untouched = sa.exists().where(living.c.entity == entity, living.c.retired.is_(None), living.c.entity_id.not_in(ids))
    return affected, bool(affected) and not connection.execute(sa.select(untouched)).scalar_one()


def _affect(run: Run, connection: sa.Connection, entity: str, pending: int) -> None:
    """Add to `identity.affected` what only the rules know."""
    tables, state = run.tables, run.tables.canonical_state
    last = connection.execute(
        sa.select(state.c.fingerprint, state.c.resolved_at).where(state.c.entity == entity)
    ).fetchall()
    if not last or last[0].fingerprint != run.ownership.fingerprint:
        _add(run, connection, entity, "rule", [living_ids(tables, entity)])
        return
    _add(run, connection, entity, DECISION, [newly_said(tables, entity, pending)])
    _add(run, connection, entity, "reference", led_elsewhere(tables, entity, pending))
    _add(run, connection, entity, "reference", refers_elsewhere(run, connection, entity, pending))
    _add(run, connection, entity, "claim", acknowledged(tables, entity, last[0].resolved_at))
    _add(run, connection, entity, "staleness", grown_stale(tables, entity, last[0].resolved_at, run.now))
    _add(run, connection, entity, RULE, counted_anew(tables, entity, last[0].resolved_at, run.now))


def _add(run: Run, connection: sa.Connection, entity: str, cause: str, selects: Iterable[Rows]) -> None:
    affected = run.tables.affected
    for select in selects:
        found = select.subquery("found")
        connection.execute(
            sa.insert(affected).from_select(
                ["entity", "entity_id", "cause"],
                sa.select(sa.literal(entity, sa.Text), found.c.entity_id, sa.literal(cause, sa.Text))
                .distinct()
                .where(found.c.entity_id.not_in(affected_ids(run.tables, entity))),
            )
        )


def _known(run: Run, connection: sa.Connection, entity: str, everybody: bool) -> sa.Table:
    """`records`; where everybody is affected, the table of all of them as it is."""
    if everybody:
        return run.tables.identity[entity]
    return run.engine.materialise(connection, f"known_{entity}", records(run.tables, entity))


def _claimed(
    run: Run, connection: sa.Connection, entity: str, known: sa.Table, everybody: bool
) -> dict[str, sa.FromClause]:
    """Each source's `claims`: few are read once and kept, all of them are read where they are needed."""
    selects = {
        source: claims(run.tables, source, known, echoes_of(run, connection, source, known, everybody=everybody))
        for source in run.ownership.sources_of(entity)
    }
    if everybody:
        return {source: select.subquery(source.replace(".", "_")) for source, select in selects.items()}
    return {
        source: run.engine.materialise(connection, f"claims_{number}", select)
        for number, (source, select) in enumerate(selects.items())
    }


def _write_cells(
    run: Run,
    connection: sa.Connection,
    entity: str,
    pending: int,
    known: sa.Table,
    claimed: Mapping[str, sa.FromClause],
    *,
    everybody: bool,
) -> tuple[int, int, sa.Table]:
    """Replace canonical rows of which a value or its lineage differs; drop those of entities without a live record.

    Returns how many of each, and a table of the present rows of affected entities (or of all).
    """
    tables, canonical = run.tables, run.tables.canonical[entity]
    parts, fields = units(run.ownership, entity), run.ownership.entities[entity].fields
    said = {
        system: said_by(run, connection, entity, system, parts, known, claimed)
        for system in run.ownership.systems_of(entity)
    }
    lists = {
        name: gathered(unit, said, lists=fields[name].type == "list").subquery(f"all_{name}")
        for unit in parts
        for name in unit.fields
        if unit.rule.take == Take.all
    }
    lists |= {name: select.subquery(f"all_{name}") for name, select in summaries(tables, entity, run.now).items()}
    taken = overrides(run, connection, entity)
    select = cells(tables, entity, parts, said, lists, run.now, everybody=everybody, people=taken)
    numbered = sa.literal(pending, sa.BigInteger).label("_publication")
    names = [*select.selected_columns.keys(), "_publication"]
    if not connection.execute(sa.select(sa.exists().select_from(canonical))).scalar_one():
        insert = sa.insert(canonical).from_select(names, select.add_columns(numbered))
        written = connection.execute(insert).rowcount
        end_redundant(run, connection, taken, canonical, pending)
        return written, 0, canonical
    resolved = run.engine.materialise(connection, f"resolved_{entity}", select)
    end_redundant(run, connection, taken, resolved, pending)
    stale = canonical.c.entity_id.in_(affected_ids(tables, entity))
    gone = sa.delete(canonical).where(stale, canonical.c.entity_id.not_in(sa.select(resolved.c.entity_id)))
    dropped = connection.execute(gone).rowcount
    # As a column the wide comparison stays out of the join, which reads only what is affected.
    same = sa.and_(*(canonical.c[name].is_not_distinct_from(resolved.c[name]) for name in names[1:-1]))
    beside = sa.select(resolved.c.entity_id, same.label("same"))
    compared = run.engine.materialise(
        connection, f"compared_{entity}", beside.join(canonical, canonical.c.entity_id == resolved.c.entity_id)
    )
    unchanged = sa.select(compared.c.entity_id).where(compared.c.same)
    changed = sa.select(resolved, numbered).where(resolved.c.entity_id.not_in(unchanged))
    return run.engine.replace(connection, canonical, changed.subquery("changed"), ["entity_id"]), dropped, resolved


def _write_conflicts(
    run: Run, connection: sa.Connection, entity: str, said: Mapping[str, sa.FromClause], held: sa.Table
) -> int:
    tables, target = run.tables, run.tables.open_conflict
    connection.execute(
        sa.delete(target).where(target.c.entity == entity, target.c.entity_id.in_(affected_ids(tables, entity)))
    )
    found = 0
    for source, claimed in said.items():
        select = conflicts(tables, source, claimed, held)
        if select is not None:
            columns = [column.name for column in select.selected_columns]
            found += connection.execute(sa.insert(target).from_select(columns, select)).rowcount
    return found


def _remember(run: Run, connection: sa.Connection, entity: str) -> None:
    """What the document no longer has is forgotten: should it come back, all of it is looked at again."""
    state = run.tables.canonical_state
    strays = state.c.entity.not_in(list(run.ownership.entities))
    connection.execute(sa.delete(state).where(sa.or_(state.c.entity == entity, strays)))
    connection.execute(
        sa.insert(state).values(entity=entity, fingerprint=run.ownership.fingerprint, resolved_at=run.now)
    )
