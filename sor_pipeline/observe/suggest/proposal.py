"""Which system the evidence speaks for. Pure arithmetic: no database, no values.

The rule, in this order:
1. Only systems that fill at least half as much as the one that fills most are candidates.
2. Where at least `ENOUGH` entities could be compared, the one that most often has the value of most systems
   is proposed: by the lower end of the 95 % interval of its share (E. B. Wilson, 1927), so that few
   comparisons never beat many. It is `clear` where that end lies above the other candidates' shares.
3. Elsewhere nothing tells who is right, and the present owner is kept, unless `INSISTING` or more corrections
   ended at another system and most of them did not stick (people there insist): then that one is proposed.
   All of this is `weak`. For a field that nobody owns there is no proposal then: nothing tells who should.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import sqrt
from typing import Any

ENOUGH = 20
"""Entities that must have been compared before agreement says anything."""
INSISTING = 5
"""Corrections that must have ended before a system can be said to insist."""
_HALF = 0.5
_Z = 1.96


@dataclass(frozen=True)
class Witness:
    """What is known of one system about one field; see `asked.said` and `asked.corrected`."""

    system: str
    records: int
    filled: int
    newest: datetime | None
    compared: int = 0
    agrees: int = 0
    corrected: int = 0
    stuck: int = 0

    @property
    def fill(self) -> float:
        """Share of its records that have a value."""
        return self.filled / self.records if self.records else 0.0

    @property
    def agreement(self) -> float | None:
        """Share of the compared entities on which it has the value of most systems."""
        return self.agrees / self.compared if self.compared else None

    @property
    def at_least(self) -> float:
        """Lower end of the interval of its agreement."""
        return interval(self.agrees, self.compared)[0]

    @property
    def insists(self) -> float:
        """Share of the corrections to it that did not stick."""
        return 1 - self.stuck / self.corrected if self.corrected else 0.0


@dataclass(frozen=True)
class Proposal:
    """`owner` is None where no system has anything to say; `strength` is clear, likely or weak."""

    owner: str | None
    fallback: tuple[str, ...] = ()
    strength: str = "weak"
    reasons: tuple[str, ...] = field(default_factory=tuple)


def witnesses(said: Sequence[Mapping[str, Any]], corrected: Sequence[Mapping[str, Any]]) -> list[Witness]:
    """The answers of `asked`, put together per system."""
    ended = {row["system"]: row for row in corrected}
    return [
        Witness(
            row["system"], int(row["records"]), int(row["filled"]), row["newest"],
            int(row["compared"]), int(row["agrees"]),
            int(ended[row["system"]]["corrected"]) if row["system"] in ended else 0,
            int(ended[row["system"]]["stuck"]) if row["system"] in ended else 0,
        )
        for row in said
    ]  # fmt: skip


def interval(hits: int, of: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson's score); (0, 1) where nothing was counted."""
    if of == 0:
        return 0.0, 1.0
    share, square = hits / of, _Z * _Z
    centre = share + square / (2 * of)
    spread = _Z * sqrt(share * (1 - share) / of + square / (4 * of * of))
    whole = 1 + square / of
    return max((centre - spread) / whole, 0.0), min((centre + spread) / whole, 1.0)


def propose(known: Sequence[Witness], owner: str | None = None) -> Proposal:
    """The system that the evidence speaks for, with the reasons in words; `owner` is the present one."""
    speaking = [one for one in known if one.filled]
    if not speaking:
        return Proposal(None, reasons=("no system has a value",))
    fullest = max(one.fill for one in speaking)
    candidates = [one for one in speaking if one.fill >= fullest * _HALF]
    compared = [one for one in candidates if one.compared >= ENOUGH]
    if len(compared) > 1:
        best = max(compared, key=lambda one: (one.at_least, one.fill, one.system))
        others = [one for one in compared if one is not best]
        clear = all(best.at_least > (one.agreement or 0.0) for one in others)
        reasons = _of_majority(best, others)
        strength = "clear" if clear else "likely"
    else:
        named = _untold(candidates, owner)
        if named is None:
            return Proposal(None, reasons=("nobody owns it, and nothing tells who should",))
        best, why = named
        reasons = (
            "too few entities have three systems that speak about them: nobody can be outvoted",
            why,
            *_of_one(best),
        )
        strength = "weak"
    rest = sorted(
        (one for one in speaking if one is not best), key=lambda one: (-(one.agreement or 0.0), -one.fill, one.system)
    )
    fallback = tuple(one.system for one in rest) if best.fill < 1 else ()
    return Proposal(best.system, fallback, strength, (*reasons, *_on_left_out(speaking, candidates)))


def _untold(candidates: Sequence[Witness], owner: str | None) -> tuple[Witness, str] | None:
    """Whom to name where agreement says nothing, and why."""
    stubborn = [one for one in candidates if one.corrected >= INSISTING and one.insists > _HALF]
    if stubborn:
        best = max(stubborn, key=lambda one: (one.insists, one.corrected, one.system))
        return best, f"people at {best.system} insist: most corrections to it did not stick"
    present = [one for one in candidates if one.system == owner]
    if present:
        return present[0], "nothing speaks against the present owner"
    if owner is None:
        return None
    best = max(candidates, key=lambda one: (one.fill, str(one.newest or ""), one.system))
    return best, "the present owner fills less than half as much"


def _of_majority(best: Witness, others: Sequence[Witness]) -> tuple[str, ...]:
    rivals = ", ".join(f"{one.system} on {(one.agreement or 0.0):.1%}" for one in others)
    return (
        f"has the value of most systems on {(best.agreement or 0.0):.1%} of {best.compared:,} entities ({rivals})",
        *_of_one(best),
    )


def _of_one(best: Witness) -> tuple[str, ...]:
    words = [f"fills {best.fill:.1%} of {best.records:,} records"]
    if best.newest:
        words.append(f"last changed a value on {best.newest:%Y-%m-%d}")
    if best.corrected:
        words.append(f"kept {best.stuck:,} of {best.corrected:,} corrections")
    return tuple(words)


def _on_left_out(speaking: Sequence[Witness], candidates: Sequence[Witness]) -> tuple[str, ...]:
    thin = [one.system for one in speaking if one not in candidates]
    return (f"left out, because they fill less than half as much: {', '.join(thin)}",) if thin else ()
