"""How an op gets to work: the warehouse opened for one unit of work, and errors in Dagster's terms.

Belongs here: the resource `workplace`, the run's logical time, what is worth a retry.
Does not: what is done with it.

An op opens the warehouse, works, and closes it; nothing is kept open between ops. While another
run holds the state folder an op waits for it; then it asks Dagster for a retry.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import dagster as dg

from sor_pipeline import flow
from sor_pipeline.errors import EngineError, Fault, SorError
from sor_pipeline.ownership.document import Ownership
from sor_pipeline.run import Run
from sor_pipeline.settings import Settings

STEPS = {step.name: step for step in flow.STEPS}
PASSING = ("run-in-progress", "warehouse-unavailable")
"""Faults that go away by themselves: somebody else is at work. All others need a person."""
NOW_TAG = "sor/now"
"""Run tag with the logical time of a run (ISO 8601, UTC), for whoever repeats a day; default: the run's start."""
RETRIES = 3
RETRY_AFTER = 20


@dataclass(frozen=True)
class Workplace:
    """The resource that every op asks for; `wait` in seconds, for another run to end."""

    ownership: Ownership
    settings: Settings
    wait: float = 900

    @contextmanager
    def opened(self, context: dg.AssetExecutionContext, part: str = "") -> Iterator[Run]:
        """The warehouse for one unit of work; `part`: the one source that it is about, so that others may go on.

        Raises RetryRequested where the warehouse is held by somebody else, Failure (without retry)
        for every other SorError.
        """
        now, say = logical_time(context), context.log.info
        with reported(), flow.opened(self.ownership, self.settings, now, say, self.wait, part=part) as run:
            yield run


@contextmanager
def reported() -> Iterator[None]:
    """What is wrong, as Dagster is to show it; only what passes by itself is tried again."""
    try:
        yield
    except EngineError as error:
        if any(fault.code in PASSING for fault in error.faults):
            raise dg.RetryRequested(max_retries=RETRIES, seconds_to_wait=RETRY_AFTER) from error
        raise failure(error) from error
    except SorError as error:
        raise failure(error) from error
    except OSError as error:
        raise dg.RetryRequested(max_retries=RETRIES, seconds_to_wait=RETRY_AFTER) from error


def failure(error: SorError) -> dg.Failure:
    """A failure that says what to do, and that no retry helps."""
    return dg.Failure(str(error), metadata={"faults": faults_in_words(error.faults)}, allow_retries=False)


def faults_in_words(faults: tuple[Fault, ...]) -> dg.MarkdownMetadataValue:
    """One line per fault; long lists are cut, the log has them whole."""
    lines = [
        f"- **{fault.code}** {fault.where}: {fault.what}" + (f". Do: {fault.todo}" if fault.todo else "")
        for fault in faults[:50]
    ]
    more = [f"- and {len(faults) - 50} more"] if len(faults) > 50 else []
    return dg.MetadataValue.md("\n".join(lines + more) or "none")


def logical_time(context: dg.AssetExecutionContext) -> datetime:
    """One time for all ops of a run (UTC, no zone): from its tag, else when it started."""
    tag = context.run.tags.get(NOW_TAG)
    if tag:
        moment = datetime.fromisoformat(tag)
        return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    record = context.instance.get_run_record_by_id(context.run.run_id)
    started = record.start_time if record and record.start_time else datetime.now(UTC).timestamp()
    return datetime.fromtimestamp(int(started), UTC).replace(tzinfo=None)
