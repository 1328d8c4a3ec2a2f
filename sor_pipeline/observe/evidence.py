"""What is known about two records at this moment, as a decision keeps it: rules, levels and weights, no values.

Belongs here: the evidence of one pair. Does not: deciding (`steward`), words (`terminal`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from sor_pipeline.observe.cases import At, places
from sor_pipeline.observe.linkage import Linkage, linkage
from sor_pipeline.run import Run


@dataclass(frozen=True)
class Seen:
    """`evidence` is JSON-able and holds no personal value; `sides` are entity id and number of records, left and right.

    A record that no run has identified yet has the side None. `weight` is similarity's; None where it says nothing.
    `clash`: a source that says `unique: true` and of which both entities hold a record.
    """

    evidence: dict[str, Any]
    weight: float | None
    sides: tuple[tuple[str, int] | None, tuple[str, int] | None]
    clash: str | None = None

    @property
    def together(self) -> bool:
        """Whether the two are one entity now."""
        left, right = self.sides
        return left is not None and right is not None and left[0] == right[0]


def seen(run: Run, connection: sa.Connection, entity: str, left: At, right: At) -> Seen:
    """The edges between the two, trusted or not, what keeps them apart, and the entities that they are in."""
    rows = connection.execute(places(run.tables, entity, (left, right))).fetchall()
    placed = {(row.source, row.source_key): (str(row.entity_id), int(row.records)) for row in rows}
    ids = sorted({entity_id for entity_id, _ in placed.values()})
    found = linkage(run, connection, entity, ids)
    ends = {left, right}
    evidence: dict[str, Any] = {
        "entities": sorted({place[0] for place in placed.values()}),
        "edges": [
            {"rule": tie.rule, "holders": tie.holders, "distrust": tie.distrust}
            for tie in found.ties
            if tie.token is not None and ends <= set(tie.ends)
        ],
        "apart": [
            {"rule": one.rule, "guard": one.guard} for one in found.apart if ends == set(one.ends)
        ],
    }  # fmt: skip
    similar = _similar(run, connection, entity, left, right)
    if similar:
        evidence["similar"] = similar
    weight = similar.get("weight")
    return Seen(evidence, weight, (placed.get(left), placed.get(right)), _clash(run, entity, found, ids))


def _clash(run: Run, entity: str, found: Linkage, ids: list[str]) -> str | None:
    held = [{at[0] for at in found.of(entity_id)} for entity_id in ids]
    shared = set.intersection(*held) if len(held) == 2 else set()
    unique = [name for name, source in run.ownership.sources_of(entity).items() if source.unique and name in shared]
    return unique[0] if unique else None


def _similar(run: Run, connection: sa.Connection, entity: str, left: At, right: At) -> dict[str, Any]:
    """What similarity says about the pair; empty where it found nothing worth a look."""
    pair = run.tables.pair[entity]
    rows = connection.execute(
        sa.select(pair).where(
            pair.c.left_source == left[0], pair.c.left_key == left[1],
            pair.c.right_source == right[0], pair.c.right_key == right[1],
        )
    ).fetchall()  # fmt: skip
    if not rows:
        return {}
    row = rows[0]
    return {
        "weight": row.weight, "probability": row.probability, "verdict": row.verdict, "veto": row.veto,
        "levels": json.loads(row.levels) if row.levels else {},
    }  # fmt: skip
