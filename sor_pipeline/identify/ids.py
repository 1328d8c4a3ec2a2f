"""What a cluster is called: ids that survive re-runs, merges and splits, and the registry of all ids ever given.

Belongs here: the assignment of ids to components, births, retirements, revivals. What is left without an id
takes back a retired one: that from which its records went (`identity.move`), or that one of them founded.
Does not: how components come about (`clusters`).

An id goes to the component with which it shares most records, pair after pair in the order
(most shared records, oldest id, least id, most unchanged records, smallest record), each id and
each component once: iterated mutual best gives exactly this order's greedy matching.
"""

from __future__ import annotations

import sqlalchemy as sa

from sor_pipeline.identify.work import Work


def named(work: Work, clustered: sa.Table, clusters: sa.Table) -> sa.Table:
    """Grain: one component (component, entity_id). Brings the registry to what it says.

    `clustered`: one row per member (source, source_key, old_id, fresh, component);
    `clusters`: one row per id that may have lost its records (entity_id).
    """
    shared = work.keep("shared", overlaps(work, clustered))
    given = _inherited(work, shared)
    _returned(work, clustered, given)
    _refounded(work, clustered, given)
    _born(work, clustered, given)
    _registered(work, shared, given, clusters)
    return given


def overlaps(work: Work, clustered: sa.Table) -> sa.Select[object]:
    """Grain: one component and former id that share live records (component, entity_id, records, unchanged, born)."""
    registry = work.tables.id
    records = (
        sa.select(
            clustered.c.component,
            clustered.c.old_id.label("entity_id"),
            sa.func.count().label("records"),
            sa.func.sum(sa.case((clustered.c.fresh, 0), else_=1)).label("unchanged"),
        )
        .where(clustered.c.old_id.is_not(None))
        .group_by(clustered.c.component, clustered.c.old_id)
        .subquery("records")
    )
    known = sa.and_(registry.c.entity == work.entity, registry.c.entity_id == records.c.entity_id)
    return sa.select(records, registry.c.born).select_from(records.outerjoin(registry, known))


def _inherited(work: Work, shared: sa.Table) -> sa.Table:
    """Grain: one component that keeps an id (component, entity_id)."""
    lone_component = sa.select(shared.c.component).group_by(shared.c.component).having(sa.func.count() == 1)
    lone_id = sa.select(shared.c.entity_id).group_by(shared.c.entity_id).having(sa.func.count() == 1)
    given = work.keep(
        "given",
        sa.select(shared.c.component, shared.c.entity_id).where(
            shared.c.component.in_(lone_component), shared.c.entity_id.in_(lone_id)
        ),
    )
    turn, rest = 0, work.keep("rest_0", _unsettled(shared, given))
    while work.count(rest):
        _give(work, given, mutual_best(rest))
        turn += 1
        rest = work.keep(f"rest_{turn}", _unsettled(rest, given))
    return given


def mutual_best(pairs: sa.FromClause) -> sa.Select[tuple[int, str]]:
    """Grain: one component and id (component, entity_id) that each prefer the other to all else in `pairs`."""
    most = pairs.c.records.desc()
    oldest = (pairs.c.born.asc().nulls_last(), sa.collate(pairs.c.entity_id, "C"))
    ranked = sa.select(
        pairs.c.component,
        pairs.c.entity_id,
        sa.func.row_number().over(partition_by=pairs.c.component, order_by=(most, *oldest)).label("its"),
        sa.func.row_number()
        .over(partition_by=pairs.c.entity_id, order_by=(most, pairs.c.unchanged.desc(), pairs.c.component))
        .label("theirs"),
    ).subquery("ranked")
    return sa.select(ranked.c.component, ranked.c.entity_id).where(ranked.c.its == 1, ranked.c.theirs == 1)


def _unsettled(pairs: sa.FromClause, given: sa.Table) -> sa.Select[object]:
    return sa.select(pairs).where(
        pairs.c.component.not_in(sa.select(given.c.component)), pairs.c.entity_id.not_in(sa.select(given.c.entity_id))
    )


def _give(work: Work, given: sa.Table, rows: sa.Select[tuple[int, str]]) -> None:
    work.connection.execute(sa.insert(given).from_select(["component", "entity_id"], rows))


def digest(entity: str, rows: sa.FromClause, again: int = 0) -> sa.ColumnElement[str]:
    """The id that a record founds: 16 hex digits; `again` counts up while the id is another cluster's."""
    bar = sa.literal("|", sa.Text)
    text = sa.literal(f"{entity}|", sa.Text) + rows.c.source + bar + rows.c.source_key
    if again:
        text = text + sa.literal(f"|{again}", sa.Text)
    return sa.func.substr(sa.func.md5(text), 1, 16, type_=sa.Text)


def _returned(work: Work, clustered: sa.Table, given: sa.Table) -> None:
    """A cluster without an id takes back the retired one that most of its records went from."""
    move, registry = work.tables.move, work.tables.id
    went = (
        sa.select(
            clustered.c.component,
            move.c.from_id.label("entity_id"),
            sa.func.count(sa.distinct(clustered.c.node)).label("records"),
            sa.func.max(move.c.publication).label("unchanged"),
        )
        .where(
            move.c.entity == work.entity,
            move.c.source == clustered.c.source,
            move.c.source_key == clustered.c.source_key,
            move.c.to_id == clustered.c.old_id,
            clustered.c.component.not_in(sa.select(given.c.component)),
        )
        .group_by(clustered.c.component, move.c.from_id)
        .subquery("went")
    )
    retired = sa.select(went, registry.c.born).where(
        registry.c.entity == work.entity,
        registry.c.entity_id == went.c.entity_id,
        registry.c.retired.is_not(None),
        went.c.entity_id.not_in(sa.select(given.c.entity_id)),
    )
    if work.any(retired):
        _give(work, given, sa.select(work.keep("returned", mutual_best(retired.subquery("retired")))))


def _refounded(work: Work, clustered: sa.Table, given: sa.Table) -> None:
    """A cluster without an id takes back a retired one that a record of it founded: a merge undone leaves no trace."""
    registry = work.tables.id
    founder = (
        sa.select(clustered.c.component, digest(work.entity, clustered).label("entity_id"))
        .where(clustered.c.old_id.is_not(None), clustered.c.component.not_in(sa.select(given.c.component)))
        .subquery("founder")
    )
    order = (registry.c.born, sa.collate(registry.c.entity_id, "C"))
    candidates = (
        sa.select(
            founder.c.component,
            founder.c.entity_id,
            sa.func.row_number().over(partition_by=founder.c.component, order_by=order).label("rank"),
        )
        .where(
            registry.c.entity == work.entity,
            registry.c.entity_id == founder.c.entity_id,
            registry.c.retired.is_not(None),
            founder.c.entity_id.not_in(sa.select(given.c.entity_id)),
        )
        .subquery("candidates")
    )
    back = sa.select(candidates.c.component, candidates.c.entity_id).where(candidates.c.rank == 1)
    _give(work, given, sa.select(work.keep("refounded", back)))


def _born(work: Work, clustered: sa.Table, given: sa.Table) -> None:
    """Clusters that are left are named after their smallest record."""
    registry = work.tables.id
    again = 0
    while True:
        nameless = sa.and_(
            clustered.c.node == clustered.c.component, clustered.c.component.not_in(sa.select(given.c.component))
        )
        named = sa.select(clustered.c.component, digest(work.entity, clustered, again).label("entity_id")).where(
            nameless
        )
        wanted = work.keep(f"wanted_{again}", named)
        if not work.count(wanted):
            return
        alive = sa.select(registry.c.entity_id).where(registry.c.entity == work.entity, registry.c.retired.is_(None))
        free = (
            sa.select(sa.func.min(wanted.c.component).label("component"), wanted.c.entity_id)
            .where(wanted.c.entity_id.not_in(alive), wanted.c.entity_id.not_in(sa.select(given.c.entity_id)))
            .group_by(wanted.c.entity_id)
        )
        _give(work, given, sa.select(work.keep(f"free_{again}", free)))
        again += 1


def _registered(work: Work, shared: sa.Table, given: sa.Table, clusters: sa.Table) -> None:
    """Births, revivals and retirements, written to the registry; nothing else of it is touched."""
    registry = work.tables.id
    mine, nothing = registry.c.entity == work.entity, sa.cast(sa.null(), sa.BigInteger)
    entity, nobody = sa.literal(work.entity, sa.Text).label("entity"), sa.cast(sa.null(), sa.Text)
    heir = heirs(shared, given).subquery("heir")
    born = sa.select(
        entity,
        given.c.entity_id,
        sa.literal(work.pending, sa.BigInteger).label("born"),
        nothing.label("retired"),
        nobody.label("merged_into"),
    ).where(given.c.entity_id.not_in(sa.select(registry.c.entity_id).where(mine)))
    revived = sa.select(entity, registry.c.entity_id, registry.c.born, nothing, nobody).where(
        mine, registry.c.retired.is_not(None), registry.c.entity_id.in_(sa.select(given.c.entity_id))
    )
    news = sa.or_(registry.c.retired.is_(None), sa.and_(registry.c.merged_into.is_(None), heir.c.heir.is_not(None)))
    retired = (
        sa.select(
            entity,
            registry.c.entity_id,
            registry.c.born,
            sa.func.coalesce(registry.c.retired, work.pending),
            sa.func.coalesce(registry.c.merged_into, heir.c.heir),
        )
        .select_from(registry.outerjoin(heir, heir.c.entity_id == registry.c.entity_id))
        .where(mine, news)
        .where(
            registry.c.entity_id.in_(sa.select(clusters.c.entity_id)),
            registry.c.entity_id.not_in(sa.select(given.c.entity_id)),
        )
    )
    work.put(registry, work.keep("registered", sa.union_all(born, revived, retired)), "entity", "entity_id")


def heirs(shared: sa.Table, given: sa.Table) -> sa.Select[tuple[str, str]]:
    """Grain: one former id that no component keeps (entity_id, heir): the id that most of its live records have now."""
    rank = sa.func.row_number().over(
        partition_by=shared.c.entity_id, order_by=(shared.c.records.desc(), sa.collate(given.c.entity_id, "C"))
    )
    ranked = (
        sa.select(shared.c.entity_id, given.c.entity_id.label("heir"), rank.label("rank"))
        .where(shared.c.component == given.c.component, shared.c.entity_id.not_in(sa.select(given.c.entity_id)))
        .subquery("ranked")
    )
    return sa.select(ranked.c.entity_id, ranked.c.heir).where(ranked.c.rank == 1)
