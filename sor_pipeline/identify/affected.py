"""What a change touches: before clustering the records to cluster again, after it the entities to resolve again.

Belongs here: the reach of changed records over old and new tokens. Does not: the clustering.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from sor_pipeline.identify.guards import limits, linking
from sor_pipeline.identify.tokens import records, tokens
from sor_pipeline.identify.work import Work, same_record, same_token


@dataclass(frozen=True)
class Reach:
    """What is clustered again.

    `members`: one row per live record of the touched clusters (node, source, source_key, old_id, fresh);
    node counts from 0 in the order of (source, source_key), old_id is null for a record never seen.
    `clusters`: one row per entity id that may lose or regain records (entity_id).
    `gone`: one row per record that is no longer staged at all (source, source_key, entity_id).
    `whole`: the members are all live records.
    """

    members: sa.Table
    clusters: sa.Table
    gone: sa.Table
    whole: bool


def rules_differ(work: Work) -> bool:
    """True until the entity has been resolved with the document in force: every record is looked at again."""
    state = work.tables.canonical_state
    known = sa.select(state.c.fingerprint).where(state.c.entity == work.entity)
    return work.connection.execute(known).scalar_one_or_none() != work.run.ownership.fingerprint


def fresh(work: Work) -> sa.Select[object]:
    """Grain: one record, live or deleted, that changed since the last publication (source, source_key, live)."""
    everyone = records(work).subquery("everyone")
    return sa.select(everyone.c.source, everyone.c.source_key, everyone.c.live).where(everyone.c.fresh)


def everything(work: Work) -> Reach:
    """All records, all tokens made anew."""
    known = work.identity
    staged = work.keep("record", records(work))
    work.connection.execute(sa.delete(work.token))
    _insert_tokens(work, tokens(work, fresh_only=False).subquery("made"))
    live = (
        sa.select(staged.c.source, staged.c.source_key, known.c.entity_id.label("old_id"), staged.c.fresh)
        .select_from(staged.outerjoin(known, same_record(staged, known)))
        .where(staged.c.live)
    )
    clusters = work.keep("cluster", sa.select(known.c.entity_id).distinct())
    gone = work.keep(
        "gone",
        sa.select(known.c.source, known.c.source_key, known.c.entity_id).where(
            ~sa.exists().where(same_record(known, staged))
        ),
    )
    return Reach(_numbered(work, live), clusters, gone, whole=True)


def touched(work: Work) -> Reach:
    """The clusters of changed records, and all that their old and new tokens lead to, or led to."""
    known = work.identity
    everyone = records(work).subquery("everyone")
    changed = work.keep("changed", fresh(work))
    holders = _holders(work, changed)
    of_changed = sa.select(known.c.entity_id).where(sa.exists().where(same_record(known, changed)))
    of_holders = sa.select(known.c.entity_id).where(sa.exists().where(same_record(known, holders)))
    clusters = work.keep("cluster", sa.union(of_changed, of_holders))
    scope = work.keep(
        "scope",
        sa.select(known.c.source, known.c.source_key, known.c.entity_id).where(
            known.c.entity_id.in_(sa.select(clusters.c.entity_id))
        ),
    )
    seen = sa.select(
        everyone.c.source, everyone.c.source_key, scope.c.entity_id.label("old_id"), everyone.c.fresh
    ).where(same_record(everyone, scope), everyone.c.live)
    unseen = sa.select(
        changed.c.source, changed.c.source_key, sa.cast(sa.null(), sa.Text).label("old_id"), sa.true().label("fresh")
    ).where(changed.c.live, ~sa.exists().where(same_record(scope, changed)))
    gone = work.keep("gone", sa.select(scope).where(sa.false()))
    return Reach(_numbered(work, sa.union_all(seen, unseen)), clusters, gone, whole=False)


def _holders(work: Work, changed: sa.Table) -> sa.Table:
    """Grain: one unchanged record (source, source_key) that shares, or shared, a trusted token with a changed one.

    Puts the new tokens of changed records in place of their old ones. A token too common before
    and after leads nowhere; one that crosses its limit leads to all its holders.
    """
    token, most = work.token, limits(work)
    old = work.keep("old_token", sa.select(token).where(sa.exists().where(same_record(token, changed))))
    new = work.keep("new_token", tokens(work, fresh_only=True))
    moved = work.keep("moved", sa.union(sa.select(old.c.rule, old.c.token), sa.select(new.c.rule, new.c.token)))
    others = work.keep(
        "other_token",
        sa.select(token).where(
            sa.exists().where(same_token(token, moved)), ~sa.exists().where(same_record(token, changed))
        ),
    )
    before = sa.union_all(sa.select(others), sa.select(old)).subquery("before")
    after = sa.union_all(sa.select(others), sa.select(new)).subquery("after")
    trusted = work.keep("trusted", sa.union(linking(before, most), linking(after, most)))
    work.connection.execute(sa.delete(token).where(sa.exists().where(same_record(token, changed)).correlate(token)))
    _insert_tokens(work, new)
    led = (
        sa.select(others.c.source, others.c.source_key).distinct().where(sa.exists().where(same_token(others, trusted)))
    )
    return work.keep("holder", led)


def _insert_tokens(work: Work, rows: sa.FromClause) -> None:
    names = [column.name for column in work.token.columns]
    work.connection.execute(sa.insert(work.token).from_select(names, sa.select(*(rows.c[name] for name in names))))


def _numbered(work: Work, live: sa.Select[object] | sa.CompoundSelect[object]) -> sa.Table:
    """Numbers follow the order of records, so that a component's least number is its smallest record."""
    rows = live.subquery("live")
    order = (sa.collate(rows.c.source, "C"), sa.collate(rows.c.source_key, "C"))
    node = sa.func.row_number().over(order_by=order) - 1
    return work.keep(
        "member", sa.select(node.label("node"), rows.c.source, rows.c.source_key, rows.c.old_id, rows.c.fresh)
    )


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
