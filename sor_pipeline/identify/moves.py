"""Which records went from one entity to another since the last publication, and what made them go.

Belongs here: `identity.move`. Does not: what is published of it (`publish`), who goes where (`ids`).

The cause, the first that holds:
1. records that were of two entities are one: the strongest edge between them, by its rule's name
   (`same:email`, `linked:<source.column>`, `similar`, `decision 7`);
2. `decision <number>`: the newest entry of the ledger about a record of the entity that it left;
3. `rule`: the document or the similarity model is another;
4. `deletion`: a record of the entity that it left was deleted;
5. `claim`: the records say something else now.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from sor_pipeline.identify.affected import fresh
from sor_pipeline.identify.decided import ends, pending
from sor_pipeline.identify.edges import Edges, every
from sor_pipeline.identify.work import Work, same_record


def write_moves(work: Work, placed: sa.Table, together: sa.Table, edges: Edges, *, anew: bool) -> int:
    """Note the records of `placed` that had another id. Read before `identity.<entity>` is written; returns how many.

    `placed`: one row per record whose id is new (source, source_key, old_id, entity_id); `together`: the clusters.
    """
    gone = work.keep(
        "went",
        sa.select(placed, together.c.component)
        .join(together, same_record(placed, together))
        .where(placed.c.old_id.is_not(None)),
    )
    rekeyed = work.count(gone)
    if rekeyed:
        _note(work, work.keep("caused", _caused(work, gone, together, edges, anew=anew)))
    return rekeyed


def _caused(work: Work, gone: sa.Table, together: sa.Table, edges: Edges, *, anew: bool) -> sa.Select[Any]:
    """Grain: one record that went (source, source_key, from_id, to_id, cause)."""
    joined = work.keep("joined_by", _joined_by(work, gone, together, edges))
    decided = _decided(work).subquery("decided")
    deleted = _deleted(work).subquery("deleted")
    number = sa.literal("decision ", sa.Text) + sa.cast(decided.c.decision, sa.Text)
    otherwise = sa.case(
        (decided.c.decision.is_not(None), number),
        (sa.literal(anew, sa.Boolean), "rule"),
        (deleted.c.entity_id.is_not(None), "deletion"),
        else_="claim",
    )
    return sa.select(
        gone.c.source,
        gone.c.source_key,
        gone.c.old_id.label("from_id"),
        gone.c.entity_id.label("to_id"),
        sa.func.coalesce(joined.c.rule, otherwise).label("cause"),
    ).select_from(
        gone.outerjoin(joined, sa.and_(joined.c.component == gone.c.component, joined.c.old_id == gone.c.old_id))
        .outerjoin(decided, decided.c.entity_id == gone.c.old_id)
        .outerjoin(deleted, deleted.c.entity_id == gone.c.old_id)
    )


def _joined_by(work: Work, gone: sa.Table, together: sa.Table, edges: Edges) -> sa.Select[Any]:
    """Grain: one component and former id that joined others there (component, old_id, rule)."""
    there = sa.select(gone.c.component)
    nodes = work.keep("of_mixed", sa.select(together.c.node).where(together.c.component.in_(there)))
    edge = work.keep("mixed_edge", every(work, edges, nodes))
    one, other = together.alias("one"), together.alias("other")
    crossing = (
        sa.select(edge, one.c.component, one.c.old_id.label("left_id"), other.c.old_id.label("right_id"))
        .where(
            one.c.node == edge.c.left,
            other.c.node == edge.c.right,
            one.c.component == other.c.component,
            one.c.old_id.is_distinct_from(other.c.old_id),
        )
        .subquery("crossing")
    )
    sides = sa.union_all(
        *(
            sa.select(crossing.c.component, side.label("old_id"), *(crossing.c[n] for n in _BY)).where(
                side.is_not(None)
            )
            for side in (crossing.c.left_id, crossing.c.right_id)
        )
    ).subquery("sides")
    order = (
        sides.c.strength,
        sides.c.weight.desc().nulls_last(),
        sides.c.left,
        sides.c.right,
        sa.collate(sides.c.rule, "C"),
    )
    place = sa.func.row_number().over(partition_by=(sides.c.component, sides.c.old_id), order_by=order).label("place")
    first = sa.select(sides, place).subquery("first")
    return sa.select(first.c.component, first.c.old_id, first.c.rule).where(first.c.place == 1)


_BY = ("left", "right", "rule", "strength", "weight")


def _decided(work: Work) -> sa.Select[Any]:
    """Grain: one entity of a record that a new entry of the ledger is about (entity_id, decision)."""
    known, table = work.identity, pending(work).subquery("pending")
    of = ends(table).subquery("of")
    newest = (
        sa.select(sa.func.max(table.c.decision))
        .where(
            sa.or_(
                sa.and_(table.c.left_source == known.c.source, table.c.left_key == known.c.source_key),
                sa.and_(table.c.right_source == known.c.source, table.c.right_key == known.c.source_key),
            )
        )
        .correlate(known)
        .scalar_subquery()
    )
    about = sa.select(known.c.entity_id, newest.label("decision")).join(of, same_record(known, of)).subquery("about")
    return sa.select(about.c.entity_id, sa.func.max(about.c.decision).label("decision")).group_by(about.c.entity_id)


def _deleted(work: Work) -> sa.Select[Any]:
    """Grain: one entity of which a record was deleted (entity_id)."""
    known, changed = work.identity, fresh(work).subquery("changed")
    return sa.select(known.c.entity_id).join(changed, same_record(known, changed)).where(~changed.c.live).distinct()


def _note(work: Work, caused: sa.Table) -> None:
    """A record keeps the id that it went from first; one that came back did not go. Ids unpublished do not count."""
    move, registry = work.tables.move, work.tables.id
    mine = sa.and_(move.c.publication == work.pending, move.c.entity == work.entity)
    before = work.keep("moved_before", sa.select(move).where(mine))
    from_id = sa.func.coalesce(before.c.from_id, caused.c.from_id)
    rows = work.keep(
        "noted",
        sa.select(
            sa.literal(work.pending, sa.BigInteger).label("publication"),
            sa.literal(work.entity, sa.Text).label("entity"),
            caused.c.source,
            caused.c.source_key,
            from_id.label("from_id"),
            caused.c.to_id,
            caused.c.cause,
        ).select_from(caused.outerjoin(before, same_record(before, caused))),
    )
    unborn = sa.select(registry.c.entity_id).where(registry.c.entity == work.entity, registry.c.born == work.pending)
    work.connection.execute(sa.delete(move).where(mine, sa.exists().where(same_record(move, rows)).correlate(move)))
    kept = sa.select(rows).where(rows.c.from_id != rows.c.to_id, rows.c.from_id.not_in(unborn))
    names = [column.name for column in move.columns]
    listed = kept.with_only_columns(*(rows.c[name] for name in names))
    work.connection.execute(sa.insert(move).from_select(names, listed))
