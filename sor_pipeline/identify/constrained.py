"""Clusters where not everything that links may be joined: the strongest edges first.

Belongs here: the algorithm for one component, over numbers. Does not: where edges come from (`edges`),
finding the components that need it (`clusters`).

Edges are taken from the strongest to the weakest, as by Kruskal; one that would join two records that must
stay apart, two live records of a `unique` source, or more than `max_size` records is refused. Clusters only
grow, so an edge once refused stays refused, and the edges between two clusters are exactly the refused ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Refusal:
    """The edge at this place of the list was refused by `guard` (unlink, unique, max_size) for `detail`."""

    edge: int
    guard: str
    detail: str


@dataclass
class _Cluster:
    members: set[int]
    sources: set[str]
    apart: dict[int, int] = field(default_factory=dict)
    """Nodes that must not join, and the decision that says so."""


def constrained(
    nodes: Iterable[int],
    edges: Sequence[tuple[int, int]],
    apart: Iterable[tuple[int, int, int]],
    unique: Mapping[int, str],
    max_size: int,
) -> tuple[dict[int, int], list[Refusal]]:
    """The least node of every node's cluster, and the refused edges.

    `edges` from strongest to weakest; `apart`: two nodes and the decision that keeps them so;
    `unique`: the source of every node whose source is unique.
    """
    clusters = {node: _Cluster({node}, {unique[node]} if node in unique else set()) for node in nodes}
    root = {node: node for node in clusters}
    for left, right, decision in apart:
        for one, other in ((left, right), (right, left)):
            known = clusters[one].apart.get(other, decision)
            clusters[one].apart[other] = min(known, decision)
    refusals = []
    for place, (left, right) in enumerate(edges):
        one, other = _root(root, left), _root(root, right)
        if one == other:
            continue
        reason = _against(clusters[one], clusters[other], max_size)
        if reason is not None:
            refusals.append(Refusal(place, *reason))
            continue
        _join(root, clusters, one, other)
    labels = {node: _root(root, node) for node in root}
    least: dict[int, int] = {}
    for node in sorted(labels):
        least.setdefault(labels[node], node)
    return {node: least[found] for node, found in labels.items()}, refusals


def _root(root: dict[int, int], node: int) -> int:
    while root[node] != node:
        root[node] = root[root[node]]
        node = root[node]
    return node


def _against(one: _Cluster, other: _Cluster, max_size: int) -> tuple[str, str] | None:
    """Why the two may not be one: people's word before the document's."""
    decisions = [one.apart[node] for node in one.apart.keys() & other.members]
    if decisions:
        return "unlink", f"decision {min(decisions)}"
    both = one.sources & other.sources
    if both:
        return "unique", min(both)
    if len(one.members) + len(other.members) > max_size:
        return "max_size", str(max_size)
    return None


def _join(root: dict[int, int], clusters: dict[int, _Cluster], one: int, other: int) -> None:
    large, small = (one, other) if len(clusters[one].members) >= len(clusters[other].members) else (other, one)
    root[small] = large
    kept, gone = clusters[large], clusters.pop(small)
    kept.members |= gone.members
    kept.sources |= gone.sources
    for node, decision in gone.apart.items():
        kept.apart[node] = min(kept.apart.get(node, decision), decision)
