"""`sor review` at a terminal or behind a pipe: which cases, who asks, what is said at the end.

Belongs here: the glue between cases and the conversation. Does not: the conversation itself (`review`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from sor_pipeline.flow import BRIEFLY, opened
from sor_pipeline.run import Run
from sor_pipeline.terminal.linkwords import counted
from sor_pipeline.terminal.paper import Paper
from sor_pipeline.terminal.review import Review, Waiting, as_data, gathered


def sit(run: Run, paper: Paper, entity: str | None, limit: int, mask: bool, by: str) -> None:
    """Show the open cases (as JSON with a machine), ask about each, sum up."""
    waiting, total = _cases(run, entity, limit, mask)
    paper.data([as_data(one) for one in waiting])
    if paper.machine:
        return
    if not waiting:
        paper.say(f"No open cases{f' about {entity}' if entity else ''}: nothing waits for a person.")
        return
    more = f" (the strongest {len(waiting)} of {total:,}; --limit for more)" if total > len(waiting) else ""
    paper.prose(f"{counted(total, 'open case')}{more}. What you decide is written at once; the next run obeys.")

    @contextmanager
    def hands() -> Iterator[Run]:
        with opened(run.ownership, run.settings, datetime.now(UTC), wait=BRIEFLY, existing=True) as fresh:
            yield fresh

    review = Review(run, paper, hands, asked, by, waiting)
    review.walk()
    _sum_up(review, total)


def asked(prompt: str) -> str | None:
    """A line from whoever sits there; None when there is nobody, or no more."""
    try:
        return input(prompt)
    except (EOFError, KeyboardInterrupt):
        return None


def _cases(run: Run, entity: str | None, limit: int, mask: bool) -> tuple[list[Waiting], int]:
    waiting: list[Waiting] = []
    total = 0
    for name in (entity,) if entity else run.ownership.entities:
        some, number = gathered(run, name, limit, mask)
        waiting += some
        total += number
    return waiting[:limit], total


def _sum_up(review: Review, total: int) -> None:
    number = len(review.decided)
    left = total - len({position for position, _ in review.decided})
    taken = f"{counted(number, 'decision')} taken{'' if number else '; nothing changes'}."
    review.paper.say(f"\n{taken} {counted(left, 'case')} still open.")
    if number:
        review.paper.prose("Next: sor run obeys them; sor decisions lists them; sor withdraw takes one back.")
