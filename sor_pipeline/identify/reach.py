"""Which records are clustered again, so that clustering them alone gives what clustering all would give.

Belongs here: the reach of changed records, pairs and decisions over whatever joins or joined two records.
Does not: the clustering, or what it means for entities (`affected`).

A cluster that was cut is recomputed together with those it was cut from: which edge was refused depends on
all of them. So the reach crosses refused edges, however many in a row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import sqlalchemy as sa

from sor_pipeline.identify.affected import fresh
from sor_pipeline.identify.components import components
from sor_pipeline.identify.decided import PAIR, ends, in_force, pending
from sor_pipeline.identify.guards import Judged, judged
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


def touched(work: Work, repaired: sa.FromClause) -> Reach:
    """The clusters of changed records, and all that their old and new edges lead to, or led to.

    `repaired`: records of which a pair came, went or changed (source, source_key).
    """
    known = work.identity
    everyone = records(work).subquery("everyone")
    changed = work.keep("changed", fresh(work))
    began = work.keep("began", _began(work, changed, repaired))
    of_began = sa.select(known.c.entity_id).where(sa.exists().where(same_record(known, began))).distinct()
    clusters = _across(work, work.keep("first_cluster", of_began))
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


def _began(work: Work, changed: sa.Table, repaired: sa.FromClause) -> sa.CompoundSelect[Any]:
    """Grain: one record (source, source_key) that changed, or that an edge of a change leads to."""
    holders = _holders(work, changed)
    decided = pending(work).subquery("decided")
    parts: list[Any] = [
        sa.select(holders.c.source, holders.c.source_key),
        ends(decided),
    ]
    links = in_force(work).subquery("in_force")
    linked = sa.select(links).where(links.c.kind == "link").subquery("linked")
    pair = work.tables.pair[work.entity]
    accepted = sa.select(*(pair.c[name] for name in PAIR)).where(pair.c.verdict == "accept").subquery("accepted")
    both = sa.union(
        sa.select(changed.c.source, changed.c.source_key), sa.select(repaired.c.source, repaired.c.source_key)
    )
    moved = work.keep("moved_record", both)
    parts.append(sa.select(moved))
    parts += [side for rows in (linked, accepted) for side in _other_ends(rows, moved)]
    return sa.union(*parts)


def _other_ends(pairs: sa.FromClause, some: sa.FromClause) -> tuple[sa.Select[Any], sa.Select[Any]]:
    """Grain: one record that is paired with one of `some`."""
    right_is = sa.and_(pairs.c.right_source == some.c.source, pairs.c.right_key == some.c.source_key)
    left_is = sa.and_(pairs.c.left_source == some.c.source, pairs.c.left_key == some.c.source_key)
    return (
        sa.select(pairs.c.left_source.label("source"), pairs.c.left_key.label("source_key")).where(right_is),
        sa.select(pairs.c.right_source.label("source"), pairs.c.right_key.label("source_key")).where(left_is),
    )


def _across(work: Work, first: sa.Table) -> sa.Table:
    """Grain: one entity id (entity_id) of `first`, or cut off from one of these over any number of refused edges."""
    known, refused = work.identity, work.tables.refused[work.entity]
    left, right = known.alias("left_record"), known.alias("right_record")
    cuts = (
        sa.select(left.c.entity_id.label("one"), right.c.entity_id.label("other"))
        .distinct()
        .where(
            left.c.source == refused.c.left_source,
            left.c.source_key == refused.c.left_key,
            right.c.source == refused.c.right_source,
            right.c.source_key == refused.c.right_key,
        )
    )
    found = work.run.engine.fetch(work.connection, cuts)
    if not found.num_rows:
        return first
    begun = work.run.engine.fetch(work.connection, sa.select(first.c.entity_id))
    one, other, start = (
        column.to_numpy(zero_copy_only=False).astype(str)
        for column in (found.column("one"), found.column("other"), begun.column("entity_id"))
    )
    ids, number = np.unique(np.concatenate([one, other, start]), return_inverse=True)
    label = components(ids.size, number[: one.size], number[one.size : 2 * one.size])
    reached = np.isin(label, label[number[2 * one.size :]])
    rows = work.run.engine.scan_arrow(work.connection, "identify_reached", pa.table({"entity_id": ids[reached]}))
    return work.keep("cluster", sa.select(sa.cast(rows.c.entity_id, sa.Text).label("entity_id")))


def _holders(work: Work, changed: sa.Table) -> sa.Table:
    """Grain: one unchanged record (source, source_key) that shares, or shared, a trusted token with a changed one.

    Puts the new tokens of changed records in place of their old ones. A token too common before
    and after leads nowhere; one that crosses its limit leads to all its holders.
    """
    token = work.token
    old = work.keep("old_token", sa.select(token).where(sa.exists().where(same_record(token, changed))))
    new = work.keep("new_token", tokens(work, fresh_only=True))
    moved = work.keep("moved", sa.union(sa.select(old.c.rule, old.c.token), sa.select(new.c.rule, new.c.token)))
    others = work.keep(
        "other_token",
        sa.select(token).where(
            sa.exists().where(same_token(token, moved)), ~sa.exists().where(same_record(token, changed))
        ),
    )
    after = judged(work, "after", work.keep("after", sa.union_all(sa.select(others), sa.select(new))))
    trusting = [_tokens_of(after)]
    if work.any(sa.select(others)):
        before = judged(work, "before", work.keep("before", sa.union_all(sa.select(others), sa.select(old))))
        trusting.append(_tokens_of(before))
    trusted = work.keep("trusted", sa.union(*trusting))
    work.connection.execute(sa.delete(token).where(sa.exists().where(same_record(token, changed)).correlate(token)))
    _insert_tokens(work, new)
    note_distrust(work, after, moved)
    led = (
        sa.select(others.c.source, others.c.source_key).distinct().where(sa.exists().where(same_token(others, trusted)))
    )
    return work.keep("holder", led)


def note_distrust(work: Work, judgement: Judged, moved: sa.FromClause | None) -> None:
    """Bring `identity.<entity>__distrusted` to what is said of the tokens in `moved` (None: of all there are)."""
    table, rows = work.tables.distrusted[work.entity], judgement.distrusted
    stale = sa.true() if moved is None else sa.exists().where(same_token(table, moved)).correlate(table)
    work.connection.execute(sa.delete(table).where(stale))
    names = ["rule", "token", "reason", "records"]
    work.connection.execute(sa.insert(table).from_select(names, sa.select(*(rows.c[name] for name in names))))


def _tokens_of(judgement: Judged) -> sa.Select[Any]:
    linking = judgement.linking().subquery("linking")
    return sa.select(linking.c.rule, linking.c.token)


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
