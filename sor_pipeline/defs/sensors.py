"""When the flow starts because something was delivered.

Belongs here: noticing new, changed and removed files. Does not: opening them (`extract`).

The cursor holds, per source, a digest over (name, size, modification time) of its files and the
newest modification time, so it stays small however many files there are.
"""

import hashlib
import json
import time
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg

from sor_pipeline.defs.jobs import WHOLE_FLOW
from sor_pipeline.errors import ExtractRefused
from sor_pipeline.extract.deliveries import Delivery, found
from sor_pipeline.ownership.document import Ownership
from sor_pipeline.settings import Settings

SETTLED_SECONDS = 5
"""A file younger than this may still be growing: the next look decides."""
LOOK_SECONDS = 30
_NAMED = 10

Seen = dict[str, tuple[str, int]]
"""Per source: digest of its listing, newest modification time (ns)."""


def new_files(ownership: Ownership, settings: Settings) -> dg.SensorDefinition:
    """The sensor over the globs of all sources that come as files. Switched off until somebody switches it on."""

    @dg.sensor(
        name="new_files",
        job_name=WHOLE_FLOW,
        minimum_interval_seconds=LOOK_SECONDS,
        description=f"Starts the whole flow when files below {settings.extracts} are new, changed or gone.",
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        before = _read(context.cursor)
        listing = listed(ownership, settings.extracts)
        now = {source: _seen(deliveries) for source, deliveries in listing.items()}
        changed = [source for source in now if now[source] != before.get(source, _seen([]))]
        if not changed:
            return dg.SensorResult(skip_reason="No file is new.")
        newest = max(modified for _, modified in now.values())
        if time.time_ns() - newest < SETTLED_SECONDS * 1_000_000_000:
            return dg.SensorResult(skip_reason="A file was written a moment ago and may still be growing.")
        names = [
            one.name
            for source in changed
            for one in listing[source]
            if (one.modified_ns or 0) > before.get(source, ("", -1))[1]
        ]
        cursor = json.dumps(now, sort_keys=True)
        request = dg.RunRequest(
            run_key=hashlib.sha256(cursor.encode()).hexdigest()[:16],
            tags={"sor/sources": ", ".join(changed[:_NAMED]), "sor/files": _few(names)},
        )
        return dg.SensorResult(run_requests=[request], cursor=cursor)

    return sensor


def listed(ownership: Ownership, folder: Path) -> dict[str, list[Delivery]]:
    """Per source that comes as files: its deliveries now. What is refused by its name alone is not listed."""
    listing: dict[str, list[Delivery]] = {}
    for name, source in ownership.sources.items():
        if source.extract.files:
            try:
                listing[name] = found(folder, source.extract, datetime.now(UTC).replace(tzinfo=None))[0]
            except ExtractRefused:
                listing[name] = []
    return listing


def _seen(deliveries: list[Delivery]) -> tuple[str, int]:
    words = json.dumps(sorted((one.name, one.size, one.modified_ns) for one in deliveries))
    return hashlib.sha256(words.encode()).hexdigest()[:16], max((one.modified_ns or 0 for one in deliveries), default=0)


def _read(cursor: str | None) -> Seen:
    """A cursor that cannot be read counts as none: at worst the flow runs once too often."""
    try:
        known = json.loads(cursor or "{}")
        return {source: (str(digest), int(modified)) for source, (digest, modified) in known.items()}
    except (ValueError, TypeError, AttributeError):
        return {}


def _few(names: list[str]) -> str:
    if not names:
        return "removed or replaced by older ones"
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
