"""Connected components: who is the same entity, given who shares a token.

Belongs here: edges and the algorithm over them. Does not: what a cluster is called (`ids`).

The algorithm runs in process, over two columns of numbers, on every engine alike: hooking every
root to its smallest neighbour, then pointer jumping, all in arrays. It also is where pairs from
similarity join the edges and where a person's `unlink` cuts a component, both to come.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import sqlalchemy as sa

from sor_pipeline.identify.affected import Reach
from sor_pipeline.identify.guards import limits, linking
from sor_pipeline.identify.work import Work, same_record, same_token

Numbers = npt.NDArray[np.int64]


def clustered(work: Work, reach: Reach) -> sa.Table:
    """Grain: one member (node, source, source_key, old_id, fresh, component); component is its cluster's least node."""
    members = reach.members
    if not work.spec.match:
        return work.keep("clustered", sa.select(members, members.c.node.label("component")))
    pairs = work.run.engine.fetch(work.connection, edges(work, reach))
    left, right = (pairs.column(name).to_numpy().astype(np.int64, copy=False) for name in ("node", "least"))
    label = components(work.count(members), left, right)
    moved = np.flatnonzero(label != np.arange(label.size))
    found = pa.table({"node": moved, "component": label[moved]})
    labels = work.run.engine.scan_arrow(work.connection, "identify_label", found)
    component = sa.func.coalesce(labels.c.component, members.c.node, type_=sa.BigInteger).label("component")
    return work.keep(
        "clustered",
        sa.select(members, component).select_from(members.outerjoin(labels, members.c.node == labels.c.node)),
    )


def edges(work: Work, reach: Reach) -> sa.Select[tuple[int, int]]:
    """Grain: one member and trusted token (node, least): `least` is the token's least holder.

    A token is trusted or not by all its holders, so where the members are not all records, the
    others who hold one of their tokens are counted too (node null).
    """
    members, token = reach.members, work.token
    together = token.join(members, same_record(token, members))
    holding = sa.select(token, members.c.node).select_from(together)
    if not reach.whole:
        held = work.keep("held", sa.select(token.c.rule, token.c.token).distinct().select_from(together))
        everyone = token.outerjoin(members, same_record(token, members))
        holding = (
            sa.select(token, members.c.node).select_from(everyone).where(sa.exists().where(same_token(token, held)))
        )
    holders = work.keep("holders", holding)
    least = sa.func.min(holders.c.node).label("least")
    hubs = work.keep("hub", linking(holders, limits(work)).add_columns(least))
    return sa.select(holders.c.node, hubs.c.least).where(same_token(holders, hubs), holders.c.node != hubs.c.least)


def components(count: int, left: Numbers, right: Numbers) -> Numbers:
    """The least node of every node's component; nodes are 0 to count - 1, edges join left[i] and right[i]."""
    label = np.arange(count, dtype=np.int64)
    while True:
        one, other = label[left], label[right]
        apart = one != other
        if not apart.any():
            return label
        left, right, one, other = left[apart], right[apart], one[apart], other[apart]
        np.minimum.at(label, np.maximum(one, other), np.minimum(one, other))
        label = _flattened(label)


def _flattened(label: Numbers) -> Numbers:
    """Every node points at its root."""
    while True:
        further = label[label]
        if np.array_equal(further, label):
            return label
        label = further
