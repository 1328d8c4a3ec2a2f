"""When the flow starts by the clock: the document's `every` as a cron line.

Belongs here: durations as schedules. Does not: reacting to files (`sensors`).
"""

from datetime import timedelta

import dagster as dg

from sor_pipeline.defs.jobs import WHOLE_FLOW
from sor_pipeline.ownership.document import Ownership

MINUTE, HOUR, DAY, WEEK, MONTH = 60, 3600, 86400, 604800, 2592000
AT_HOUR = 5
"""Daily and rarer runs start at five (UTC): after the nightly exports, before the day's work."""


def rhythm(ownership: Ownership) -> timedelta | None:
    """How often the whole flow is due: as the document says, else as often as its most frequent source."""
    rhythms = [source.extract.every for source in ownership.sources.values() if source.extract.every]
    return ownership.every or min(rhythms, default=None)


def schedules(ownership: Ownership) -> list[dg.ScheduleDefinition]:
    """One for the whole flow, where the document names a rhythm. Switched off until somebody switches it on."""
    every = rhythm(ownership)
    if every is None:
        return []
    return [
        dg.ScheduleDefinition(
            name=f"{WHOLE_FLOW}_by_the_clock",
            job_name=WHOLE_FLOW,
            cron_schedule=cron(every),
            execution_timezone="UTC",
            description=f"The whole flow, every {every}, as the ownership document says.",
        )
    ]


def cron(every: timedelta) -> str:
    """The cron line that starts at least as often as `every`, at even intervals where a calendar allows."""
    seconds = int(every.total_seconds())
    if seconds < HOUR:
        return f"*/{_divisor(max(seconds // MINUTE, 1), 60)} * * * *" if seconds >= 2 * MINUTE else "* * * * *"
    if seconds < DAY:
        hours = _divisor(seconds // HOUR, 24)
        return f"0 */{hours} * * *" if hours > 1 else "0 * * * *"
    if seconds < WEEK:
        return f"0 {AT_HOUR} * * *"
    return f"0 {AT_HOUR} * * 1" if seconds < MONTH else f"0 {AT_HOUR} 1 * *"


def _divisor(number: int, whole: int) -> int:
    """The largest divisor of `whole` that is at most `number`."""
    return max(n for n in range(1, number + 1) if whole % n == 0)
