"""What holds records together, and what keeps them apart: the selects behind `sor why-linked`.

Belongs here: the ties among the records of a few entities. Does not: the way from one record to
another (`path`), words (`terminal`), judging which token is to be trusted (`identify` did).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import sqlalchemy as sa

from sor_pipeline.engine.base import Rows
from sor_pipeline.ledger import in_force
from sor_pipeline.observe.cases import At
from sor_pipeline.run import Run
from sor_pipeline.tables import Tables


@dataclass(frozen=True)
class Tie:
    """One thing that ties records together: a token that all `ends` hold, a similar pair, or a decision.

    `rule` is `same:<fields>`, `linked:<source.column>`, `similar` or `decision <number>`; `token` what
    is held in common (it may be personal); `holders` how many records hold it, here and elsewhere;
    `distrust` why it links nobody, None where it links;
    `weight` and `probability` are of similar pairs; `said` is who took a decision, when and why.
    """

    rule: str
    ends: tuple[At, ...]
    token: str | None = None
    holders: int = 2
    distrust: str | None = None
    weight: float | None = None
    probability: float | None = None
    said: str = ""

    @property
    def trusted(self) -> bool:
        return self.distrust is None

    @property
    def rank(self) -> float:
        """The smaller, the stronger: decisions, then linked, then same, then similar by weight."""
        for number, kind in enumerate(("decision", "linked:", "same:")):
            if self.rule.startswith(kind):
                return float(number)
        return 3 + 1 / (1 + max(self.weight or 0, 0))


@dataclass(frozen=True)
class Apart:
    """An edge that does not join: refused by a guard, waiting for review, or an unlink."""

    ends: tuple[At, At]
    rule: str
    guard: str
    detail: str = ""
    weight: float | None = None
    probability: float | None = None


@dataclass
class Linkage:
    """The records of some entities (`member`: record to entity id), what ties them, what keeps them apart."""

    member: dict[At, str]
    ties: list[Tie] = field(default_factory=list)
    apart: list[Apart] = field(default_factory=list)

    def of(self, entity_id: str) -> list[At]:
        """The records of one of them."""
        return [at for at, mine in self.member.items() if mine == entity_id]


def placed(tables: Tables, entity: str, at: At) -> Rows:
    """Grain: the record, where it was identified (entity_id)."""
    known = tables.identity[entity]
    return sa.select(known.c.entity_id).where(known.c.source == at[0], known.c.source_key == at[1])


def linkage(run: Run, connection: sa.Connection, entity: str, ids: Sequence[str]) -> Linkage:
    """Everything about the records of the entities `ids` and of none other."""
    known = run.tables.identity[entity]
    mine = sa.select(known).where(known.c.entity_id.in_(list(ids))).subquery("mine")
    rows = connection.execute(sa.select(mine).order_by(mine.c.source, mine.c.source_key)).fetchall()
    found = Linkage({(row.source, row.source_key): row.entity_id for row in rows})
    found.ties += _tokens(run, connection, entity, mine)
    for row in connection.execute(_among(run.tables.pair[entity], mine)).fetchall():
        ends = ((row.left_source, row.left_key), (row.right_source, row.right_key))
        if row.verdict == "accept":
            found.ties.append(Tie("similar", ends, weight=row.weight, probability=row.probability))
        else:
            found.apart.append(Apart(ends, "similar", "review", row.veto or "", row.weight, row.probability))
    for row in connection.execute(_among(run.tables.refused[entity], mine)).fetchall():
        ends = ((row.left_source, row.left_key), (row.right_source, row.right_key))
        found.apart.append(Apart(ends, row.rule, row.guard, row.detail or ""))
    _decided(run, connection, entity, mine, found)
    return found


def _tokens(run: Run, connection: sa.Connection, entity: str, mine: sa.FromClause) -> list[Tie]:
    """A tie per token that two of the records hold; holders are counted over all records."""
    token, distrusted = run.tables.token[entity], run.tables.distrusted[entity]
    here = sa.and_(token.c.source == mine.c.source, token.c.source_key == mine.c.source_key)
    held = run.engine.materialise(connection, "linkage_held", sa.select(token).join(mine, here))
    named = sa.exists().where(held.c.rule == token.c.rule, held.c.token == token.c.token)
    counted = (
        sa.select(token.c.rule, token.c.token, sa.func.count().label("holders"))
        .where(named)
        .group_by(token.c.rule, token.c.token)
        .having(sa.func.count() > 1)
        .subquery("counted")
    )
    same = sa.and_(held.c.rule == counted.c.rule, held.c.token == counted.c.token)
    bad = sa.and_(held.c.rule == distrusted.c.rule, held.c.token == distrusted.c.token)
    rows = connection.execute(
        sa.select(held.c.source, held.c.source_key, held.c.rule, held.c.token, counted.c.holders, distrusted.c.reason)
        .select_from(held.join(counted, same).outerjoin(distrusted, bad))
        .order_by(held.c.rule, held.c.token, held.c.source, held.c.source_key)
    ).fetchall()
    ends: dict[tuple[str, str, int, str | None], list[At]] = {}
    for row in rows:
        ends.setdefault((row.rule, row.token, row.holders, row.reason), []).append((row.source, row.source_key))
    return [
        Tie(rule, tuple(records), token, holders, reason)
        for (rule, token, holders, reason), records in ends.items()
        if len(records) > 1
    ]


def _among(pairs: sa.FromClause, mine: sa.FromClause) -> Rows:
    """Grain: one row of `pairs` both of whose records are among `mine`."""
    left, right = mine.alias("left_mine"), mine.alias("right_mine")
    return (
        sa.select(pairs)
        .join(left, sa.and_(left.c.source == pairs.c.left_source, left.c.source_key == pairs.c.left_key))
        .join(right, sa.and_(right.c.source == pairs.c.right_source, right.c.source_key == pairs.c.right_key))
        .order_by(pairs.c.left_source, pairs.c.left_key, pairs.c.right_source, pairs.c.right_key)
    )


def _decided(run: Run, connection: sa.Connection, entity: str, mine: sa.FromClause, found: Linkage) -> None:
    force = in_force(run.tables).subquery("force")
    rows = connection.execute(_among(force, mine).where(force.c.entity == entity)).fetchall()
    for row in rows:
        ends = ((row.left_source, row.left_key), (row.right_source, row.right_key))
        said = f"{row.by}, {row.at:%Y-%m-%d}: {row.reason}"
        if row.kind == "link":
            found.ties.append(Tie(f"decision {row.decision}", ends, said=said))
        else:
            found.apart.append(Apart(ends, f"decision {row.decision}", "decision", said))
