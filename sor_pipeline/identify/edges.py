"""What joins two records, and what keeps them apart, by the numbers of the members.

Belongs here: edges from tokens, from similarity and from people's links; pairs that people unlinked; how
strong an edge is. Does not: what is made of them (`clusters`).

A token is written as a star for the plain case (each holder and the least one) and as a clique for the
constrained one: there a holder that is cut off must not cut the others off. Only a linked key with more
holders than an entity may have records stays a star, around the record whose key it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from sor_pipeline.identify.decided import in_force
from sor_pipeline.identify.guards import Judged, judged, linked_name, same_name
from sor_pipeline.identify.reach import Reach
from sor_pipeline.identify.work import Work, own_token, same_record, same_token
from sor_pipeline.ownership.matching import Linked, Same

SIMILAR = "similar"
_BY_DECISION, _BY_LINK, _BY_TOKEN, _BY_SIMILARITY = 0, 1_000, 2_000, 3_000


@dataclass(frozen=True)
class Edges:
    """Everything between the members of a reach.

    `holders`: one row per member and token (token columns, node; node is null for others who hold it).
    `judgement`: those tokens, judged. `accepted`: pairs that similarity accepts (left, right, weight).
    `links`, `apart`: pairs that people linked, or unlinked (left, right, decision). All pairs are of nodes, left
    the smaller.
    """

    holders: sa.Table
    judgement: Judged
    accepted: sa.Table
    links: sa.Table
    apart: sa.Table


def edges_of(work: Work, reach: Reach) -> Edges:
    """Read all that joins or parts the members."""
    holders = work.keep("holders", _holders(work, reach))
    pair = work.tables.pair[work.entity]
    accepted = sa.select(pair).where(pair.c.verdict == "accept").subquery("accepted_pair")
    decided = work.keep("in_force", in_force(work))
    links = sa.select(decided).where(decided.c.kind == "link").subquery("link")
    unlinks = sa.select(decided).where(decided.c.kind == "unlink").subquery("unlink")
    return Edges(
        holders,
        judged(work, "member", holders),
        work.keep("accepted", _between(reach.members, accepted, "weight")),
        work.keep("linked", _between(reach.members, links, "decision")),
        work.keep("apart", _between(reach.members, unlinks, "decision")),
    )


def _holders(work: Work, reach: Reach) -> sa.Select[Any]:
    """A token is trusted or not by all its holders, so others who hold one of the members' are counted too."""
    members, token = reach.members, work.token
    together = token.join(members, same_record(token, members))
    if reach.whole:
        return sa.select(token, members.c.node).select_from(together)
    held = work.keep("held", sa.select(token.c.rule, token.c.token).distinct().select_from(together))
    everyone = token.outerjoin(members, same_record(token, members))
    return sa.select(token, members.c.node).select_from(everyone).where(sa.exists().where(same_token(token, held)))


def _between(members: sa.Table, rows: sa.FromClause, *more: str) -> sa.Select[Any]:
    """Grain: one of `rows` whose records are both members (left, right, and the columns in `more`)."""
    left, right = members.alias("left_member"), members.alias("right_member")
    return sa.select(left.c.node.label("left"), right.c.node.label("right"), *(rows.c[name] for name in more)).where(
        left.c.source == rows.c.left_source,
        left.c.source_key == rows.c.left_key,
        right.c.source == rows.c.right_source,
        right.c.source_key == rows.c.right_key,
    )


def plain(edges: Edges) -> sa.CompoundSelect[Any]:
    """Grain: one edge (left, right), tokens as stars."""
    holders, hubs = edges.holders, edges.judgement.linking().subquery("hubs")
    stars = sa.select(hubs.c.least.label("left"), holders.c.node.label("right")).where(
        same_token(holders, hubs), holders.c.node != hubs.c.least
    )
    pairs = (sa.select(table.c.left, table.c.right) for table in (edges.accepted, edges.links))
    return sa.union_all(stars, *pairs)


def every(work: Work, edges: Edges, nodes: sa.FromClause) -> sa.CompoundSelect[Any]:
    """Grain: one edge between `nodes` (node) and its rule (left, right, rule, strength, weight), tokens as cliques.

    The less `strength`, the stronger: decisions, linked keys, equal values, similarity; rules in the document's
    order. `weight` is similarity's, null elsewhere.
    """
    nothing = sa.cast(sa.null(), sa.Double).label("weight")
    accepted, links = edges.accepted, edges.links
    chosen = sa.select(nodes.c.node)
    by_token = [
        sa.select(part.c.left, part.c.right, part.c.rule, _strength(work, part.c.rule).label("strength"), nothing)
        for part in (_cliques(work, edges, nodes).subquery("clique"), _crowds(work, edges, nodes).subquery("crowd"))
    ]
    number = sa.cast(links.c.decision, sa.Text)
    by_people = sa.select(
        links.c.left,
        links.c.right,
        (sa.literal("decision ", sa.Text) + number).label("rule"),
        sa.literal(_BY_DECISION, sa.BigInteger).label("strength"),
        nothing,
    ).where(links.c.left.in_(chosen))
    by_similarity = sa.select(
        accepted.c.left,
        accepted.c.right,
        sa.literal(SIMILAR, sa.Text).label("rule"),
        sa.literal(_BY_SIMILARITY, sa.BigInteger).label("strength"),
        accepted.c.weight,
    ).where(accepted.c.left.in_(chosen))
    return sa.union_all(*by_token, by_people, by_similarity)


def _strength(work: Work, rule: sa.ColumnElement[str]) -> sa.ColumnElement[int]:
    order: dict[str, int] = {}
    for place, one in enumerate(work.spec.match):
        if isinstance(one, Linked):
            order |= {linked_name(holder): _BY_LINK + place for holder in one.linked}
        elif isinstance(one, Same):
            order.setdefault(same_name(one), _BY_TOKEN + place)
    if not order:
        return sa.cast(sa.literal(_BY_TOKEN), sa.BigInteger)
    whens = ((rule == name, sa.cast(sa.literal(strength), sa.BigInteger)) for name, strength in order.items())
    return sa.case(*whens, else_=sa.cast(sa.literal(_BY_TOKEN), sa.BigInteger))


def _cliques(work: Work, edges: Edges, nodes: sa.FromClause) -> sa.Select[Any]:
    hubs = edges.judgement.linking().subquery("hubs")
    one, other = edges.holders.alias("one"), edges.holders.alias("other")
    joined = nodes.join(one, one.c.node == nodes.c.node).join(hubs, same_token(one, hubs))
    return (
        sa.select(one.c.node.label("left"), other.c.node.label("right"), one.c.rule)
        .select_from(joined.join(other, same_token(one, other)))
        .where(one.c.node < other.c.node, hubs.c.records <= work.spec.max_size)
        .distinct()
    )


def _crowds(work: Work, edges: Edges, nodes: sa.FromClause) -> sa.Select[Any]:
    hubs = edges.judgement.linking().subquery("hubs")
    one, centre = edges.holders.alias("one"), edges.holders.alias("centre")
    joined = nodes.join(one, one.c.node == nodes.c.node).join(hubs, same_token(one, hubs))
    return (
        sa.select(
            sa.func.least(one.c.node, centre.c.node).label("left"),
            sa.func.greatest(one.c.node, centre.c.node).label("right"),
            one.c.rule,
        )
        .select_from(joined.join(centre, same_token(one, centre)))
        .where(
            centre.c.token == own_token(centre.c.source, centre.c.source_key),
            one.c.node != centre.c.node,
            hubs.c.records > work.spec.max_size,
        )
        .distinct()
    )
