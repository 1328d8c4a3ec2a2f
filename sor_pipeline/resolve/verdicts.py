"""Which system decides: the document's rules as one CASE per unit.

Belongs here: owner, exception, fallback, staleness and take-rules. Does not: joins, lineage columns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import reduce

import sqlalchemy as sa

from sor_pipeline.engine.base import Expression
from sor_pipeline.ownership.rules import Take
from sor_pipeline.resolve.units import Unit
from sor_pipeline.resolve.words import SPEAKS, only_echoes
from sor_pipeline.tables import ClaimState


@dataclass(frozen=True)
class Word:
    """What one system says about one unit: columns of `words`, null where it has no record.

    A group's `since` is when the last of its fields changed. `own_value`: a value that is not our own writing read
    back: only such a one is a word beside the owner's.
    """

    system: str
    speaks: sa.ColumnElement[bool]
    has_value: sa.ColumnElement[bool]
    own_value: sa.ColumnElement[bool]
    value: Expression
    compare: Expression
    since: Expression


@dataclass(frozen=True)
class Verdict:
    """One way in which a unit can be decided; `code` stands for it in the CASE."""

    code: int
    system: str
    rule: str


class Verdicts:
    """The verdicts of one unit, numbered as they are used, and the CASE that picks one."""

    def __init__(
        self, unit: Unit, words: Mapping[str, Word], canonical: Mapping[str, Expression], now: datetime
    ) -> None:
        self.unit = unit
        self.words = words
        self.now = now
        self.known: dict[tuple[str, str], Verdict] = {}
        self.case = self._take() if unit.rule.take else self._owned(canonical)

    def _code(self, system: str, rule: str) -> Expression:
        verdict = self.known.setdefault((system, rule), Verdict(len(self.known) + 1, system, rule))
        return sa.literal(verdict.code, sa.SmallInteger)

    def _owned(self, canonical: Mapping[str, Expression]) -> Expression:
        """The first exception that holds names the owner instead; nobody listed: null."""
        rule = self.unit.rule
        asked = [
            (condition.to_clause(canonical), self._chain(exception.owner, "exception"))
            for condition, exception in zip(self.unit.conditions, rule.exceptions, strict=True)
        ]
        ordinary = self._chain(str(rule.owner), "owner")
        return sa.case(*asked, else_=ordinary) if asked else ordinary

    def _chain(self, owner: str, rule: str) -> Expression:
        """The owner; where it never had a value, the fallbacks; where its value is stale, a newer one of theirs."""
        nobody = sa.cast(None, sa.SmallInteger)
        first = self.words.get(owner)
        others = [self.words[system] for system in self.unit.rule.fallback if system in self.words and system != owner]
        if first is None:
            whens = [(other.own_value, self._code(other.system, "fallback")) for other in others]
            return sa.case(*whens, else_=nobody) if whens else nobody
        silent = sa.not_(sa.func.coalesce(first.speaks, sa.false()))
        stale = self._stale(first)
        whens = [(first.speaks if stale is None else sa.and_(first.speaks, sa.not_(stale)), self._code(owner, rule))]
        whens += [(sa.and_(silent, other.own_value), self._code(other.system, "fallback")) for other in others]
        if stale is not None:
            newer = [(sa.and_(other.own_value, other.since > first.since), other) for other in others]
            whens += [(sa.and_(stale, is_newer), self._code(other.system, "stale_owner")) for is_newer, other in newer]
            whens.append((first.speaks, self._code(owner, rule)))
        return sa.case(*whens, else_=nobody)

    def _stale(self, owner: Word) -> sa.ColumnElement[bool] | None:
        """Only a value grows stale; a clearing stands."""
        after = self.unit.rule.stale_after
        if after is None:
            return None
        return sa.func.coalesce(
            sa.and_(owner.has_value, owner.since < sa.cast(self.now - after, sa.DateTime)), sa.false()
        )

    def _take(self) -> Expression:
        """The system whose value ranks highest; ties go to the one that `among` lists first."""
        rivals = [self.words[system] for system in self.unit.rule.among if system in self.words]
        if not rivals or self.unit.rule.take == Take.all:
            return sa.cast(None, sa.SmallInteger)
        score, best = _RANKINGS[Take(str(self.unit.rule.take))]
        scores = [sa.case((rival.own_value, score(rival, rivals))) for rival in rivals]
        top = best(*scores) if len(scores) > 1 else scores[0]
        whens = [(mine == top, self._code(rival.system, "take")) for rival, mine in zip(rivals, scores, strict=True)]
        return sa.case(*whens, else_=sa.cast(None, sa.SmallInteger))


def _agreeing(rival: Word, rivals: Sequence[Word]) -> Expression:
    votes = [sa.case((sa.and_(other.own_value, other.compare == rival.compare), 1), else_=0) for other in rivals]
    return reduce(lambda left, right: left + right, votes)


_RANKINGS: dict[Take, tuple[Callable[[Word, Sequence[Word]], Expression], Callable[..., Expression]]] = {
    Take.latest: (lambda rival, _: rival.since, sa.func.greatest),
    Take.earliest: (lambda rival, _: rival.since, sa.func.least),
    Take.longest: (lambda rival, _: sa.func.length(sa.cast(rival.value, sa.Text)), sa.func.greatest),
    Take.max: (lambda rival, _: rival.value, sa.func.greatest),
    Take.min: (lambda rival, _: rival.value, sa.func.least),
    Take.most_common: (_agreeing, sa.func.greatest),
}


def word(rows: sa.FromClause, prefix: str, system: str, unit: Unit) -> Word:
    """The word of `system` about `unit`, from columns of `rows` named `<prefix><column>`."""
    handle = unit.fields[0]
    compare, speaks = f"{prefix}{handle}__cmp", f"{prefix}{handle}__speaks"
    states = [rows.c[f"{prefix}{name}__state"] for name in unit.fields]
    spoken = [
        sa.case((state != int(ClaimState.never), rows.c[f"{prefix}{name}__since"]))
        for name, state in zip(unit.fields, states, strict=True)
    ]
    has_value = sa.or_(*(state == int(ClaimState.value) for state in states))
    echo = only_echoes(rows, unit, prefix)
    return Word(
        system=system,
        speaks=rows.c[speaks] if speaks in rows.c else sa.or_(*(state.in_(SPEAKS) for state in states)),
        has_value=has_value,
        own_value=has_value if echo is None else sa.and_(has_value, sa.not_(echo)),
        value=rows.c[f"{prefix}{handle}"],
        compare=rows.c[compare] if compare in rows.c else rows.c[f"{prefix}{handle}"],
        since=sa.func.greatest(*spoken) if len(spoken) > 1 else rows.c[f"{prefix}{handle}__since"],
    )
