"""The way from one record to another over what ties them: fewest steps, and the strongest among equals.

Belongs here: the algorithm over ties in memory. Does not: fetching them (`linkage`).
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

from sor_pipeline.observe.cases import At
from sor_pipeline.observe.linkage import Tie


@dataclass(frozen=True)
class Step:
    """One edge of the way."""

    start: At
    end: At
    tie: Tie


def path(ties: Sequence[Tie], start: At, end: At) -> list[Step] | None:
    """The steps from `start` to `end` over trusted ties; None where there is no way, empty where they are one.

    A tie that many records share is passed through once: whoever reaches it first reaches all its ends.
    """
    mine: dict[At, list[int]] = {}
    for number, tie in enumerate(ties):
        for at in tie.ends if tie.trusted else ():
            mine.setdefault(at, []).append(number)
    came: dict[At, Step | None] = {}
    used: set[int] = set()
    queue: list[tuple[int, float, At, At, int]] = [(0, 0.0, start, start, -1)]
    while queue:
        steps, weakness, at, before, by = heapq.heappop(queue)
        if at in came:
            continue
        came[at] = Step(before, at, ties[by]) if by >= 0 else None
        if at == end:
            return _back(came, end)
        for number in mine.get(at, ()):
            if number not in used:
                used.add(number)
                further = (other for other in ties[number].ends if other not in came)
                for other in further:
                    heapq.heappush(queue, (steps + 1, weakness + ties[number].rank, other, at, number))
    return None


def _back(came: dict[At, Step | None], end: At) -> list[Step]:
    way: list[Step] = []
    step = came[end]
    while step is not None:
        way.append(step)
        step = came[step.start]
    return way[::-1]


def spanning(ties: Sequence[Tie]) -> list[Tie]:
    """The ties that are needed to hold their records together, strongest first: the rest adds nothing."""
    root: dict[At, At] = {}

    def top(at: At) -> At:
        while root.setdefault(at, at) != at:
            root[at] = at = root[root[at]]
        return at

    kept: list[Tie] = []
    for tie in sorted((tie for tie in ties if tie.trusted), key=lambda tie: (tie.rank, tie.rule, tie.ends)):
        tops = {top(at) for at in tie.ends}
        if len(tops) > 1:
            kept.append(tie)
            first, *others = sorted(tops)
            root.update(dict.fromkeys(others, first))
    return kept
