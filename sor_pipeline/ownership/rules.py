"""Who decides a field's value: owner, exceptions, fallback, take-rules, staleness, blanks.

Belongs here: the words of the rules. What they do to rows is `resolve`'s business.
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field as Attr

from sor_pipeline.ownership.base import Duration, Name, Noun


class Take(StrEnum):
    """How a field that nobody masters picks among the systems in `among`."""

    latest = "latest"
    earliest = "earliest"
    most_common = "most_common"
    longest = "longest"
    max = "max"
    min = "min"
    all = "all"


class Blank(StrEnum):
    """What a blank means in a cell that held a value before."""

    clears = "clears"
    ignored = "ignored"


class OwnershipException(Noun):
    """A written condition under which another system owns the field instead."""

    when: str = Attr(description="condition over the entity's fields, e.g. `country in ('DE', 'AT')`")
    owner: Name
    reason: str = Attr(min_length=1, description="why; shown wherever the rule decides")


class Ruled(Noun):
    """The rule block that a field and a group share."""

    owner: Name | None = Attr(None, description="system of record; else the group's, else the entity's")
    fallback: tuple[Name, ...] = Attr((), description="systems asked in order where the owner never had a value")
    exceptions: tuple[OwnershipException, ...] = ()
    stale_after: Duration | None = Attr(
        None, description="owner's value counts as never once older than this, if a fallback has one"
    )
