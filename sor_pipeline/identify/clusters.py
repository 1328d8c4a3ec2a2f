"""Who is the same entity: connected components, and of those that may not be whole, the parts.

Belongs here: finding the components that break a rule. Does not: the algorithms (`components`,
`constrained`), what a cluster is called (`ids`).

Most components break nothing: they are found in arrays, and only the others are walked through edge by edge.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import sqlalchemy as sa

from sor_pipeline.identify.components import Numbers, components
from sor_pipeline.identify.cuts import NOT_UNIQUE, Cuts, Limits, cut, no_cuts
from sor_pipeline.identify.edges import Edges, plain
from sor_pipeline.identify.reach import Reach
from sor_pipeline.identify.work import Work


def clustered(work: Work, reach: Reach, edges: Edges) -> tuple[sa.Table, Cuts]:
    """Grain: one member (node, source, source_key, old_id, fresh, component); component is its cluster's least node."""
    members = reach.members
    left, right = _numbers(work, plain(edges), "left", "right")
    label = components(work.count(members), left, right)
    limits = _limits(work, reach, edges)
    broken = _broken(label, limits)
    cuts = cut(work, edges, label, broken, limits) if broken.size else no_cuts()
    moved = np.flatnonzero(label != np.arange(label.size))
    found = pa.table({"node": moved, "component": label[moved]})
    labels = work.run.engine.scan_arrow(work.connection, "identify_label", found)
    component = sa.func.coalesce(labels.c.component, members.c.node, type_=sa.BigInteger).label("component")
    named = sa.select(members, component).select_from(members.outerjoin(labels, members.c.node == labels.c.node))
    return work.keep("clustered", named), cuts


def _numbers(work: Work, select: sa.Executable, *names: str) -> list[Numbers]:
    rows = work.run.engine.fetch(work.connection, select)
    return [rows.column(name).to_numpy().astype(np.int64, copy=False) for name in names]


def _limits(work: Work, reach: Reach, edges: Edges) -> Limits:
    left, right, decision = _numbers(work, sa.select(edges.apart), "left", "right", "decision")
    members = reach.members
    names = tuple(name for name, one in work.run.ownership.sources_of(work.entity).items() if one.unique)
    code = np.full(work.count(members) if names else 0, NOT_UNIQUE, dtype=np.int64)
    for place, name in enumerate(names):
        (nodes,) = _numbers(work, sa.select(members.c.node).where(members.c.source == name), "node")
        code[nodes] = place
    return Limits(names, code, (left, right, decision), work.spec.max_size)


def _broken(label: Numbers, limits: Limits) -> Numbers:
    """Components that hold what they may not."""
    broken = [np.flatnonzero(np.bincount(label, minlength=1) > limits.max_size)]
    node = np.flatnonzero(limits.source != NOT_UNIQUE)
    if node.size:
        places, counts = np.unique(np.stack([label[node], limits.source[node]]), axis=1, return_counts=True)
        broken.append(places[0][counts > 1])
    left, right, _ = limits.apart
    broken.append(label[left][label[left] == label[right]])
    return np.unique(np.concatenate(broken))
