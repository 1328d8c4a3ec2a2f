"""Who decides what no rule can, how they are told, and to whom a case goes next.

Belongs here: stewards, the path of escalation, and from when on something is a case. Does not: cases
themselves (`steward`), the stewards that a system or an entity names (they stand there).
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum

from pydantic import Field as Attr

from sor_pipeline.ownership.base import Duration, Name, Noun

STEWARD = "steward"
"""Stands where a system would: a person said it. No system may be called so."""


class CaseKind(StrEnum):
    """What a case is about."""

    review = "review"
    not_unique = "not_unique"
    too_large = "too_large"
    conflict = "conflict"
    held = "held"
    refused_extract = "refused_extract"
    broken = "broken"
    refused_correction = "refused_correction"
    blocked = "blocked"
    expired_override = "expired_override"
    unsent = "unsent"


ABOUT: dict[CaseKind, frozenset[str]] = {
    CaseKind.review: frozenset({"entity"}),
    CaseKind.not_unique: frozenset({"entity"}),
    CaseKind.too_large: frozenset({"entity"}),
    CaseKind.conflict: frozenset({"entity", "field", "system"}),
    CaseKind.held: frozenset({"entity", "field"}),
    CaseKind.refused_extract: frozenset({"entity", "system"}),
    CaseKind.broken: frozenset({"entity", "field", "system"}),
    CaseKind.refused_correction: frozenset({"entity", "field", "system"}),
    CaseKind.blocked: frozenset({"entity", "field"}),
    CaseKind.expired_override: frozenset({"entity", "field"}),
    CaseKind.unsent: frozenset({"entity", "system"}),
}
"""What a case of each kind names, so that a route can ask for it."""


class Steward(Noun):
    """A person or a team that cases go to."""

    title: str = ""
    description: str = ""
    notify: tuple[str, ...] = Attr((), description="Apprise URLs; `${NAME}` is taken from the environment")


class Escalation(Noun):
    """One route: the first that fits a case says who has it, and for how long. What it does not name fits any."""

    kinds: tuple[CaseKind, ...] = ()
    entity: Name | None = None
    field: Name | None = None
    system: Name | None = None
    to: tuple[Name, ...] = Attr(min_length=1, description="stewards: the first has it, the next when it is overdue")
    within: Duration | None = Attr(None, description="how long each of them has; default: no deadline")


class ConflictLimits(Noun):
    """From when on the conflicts of one field between two systems are a case: the first that is reached."""

    after: Duration | None = Attr(timedelta(days=30), description="one of them is open for longer")
    number: int | None = Attr(None, ge=1, description="as many are open")
    share: float | None = Attr(None, gt=0, le=1, description="as many of the system's values of the field")


class UnsentLimits(Noun):
    """From when on corrections that a system has not taken are a case."""

    after: Duration = Attr(timedelta(days=7), description="one of them is proposed for longer")


class CaseLimits(Noun):
    """From when on something is a case; what is not listed is one at once."""

    conflict: ConflictLimits = ConflictLimits()
    unsent: UnsentLimits = UnsentLimits()
