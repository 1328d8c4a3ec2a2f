"""One run, told in a few lines."""

from __future__ import annotations

from typing import Any

from sor_pipeline.flow import Passage, served
from sor_pipeline.settings import Settings
from sor_pipeline.terminal.paper import Paper, near

TOLD: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("extract", ("landed", "repeated", "refused")),
    ("stage", ("read", "new", "unchanged", "superseded", "duplicate", "rejected", "deleted")),
    ("identify", ("looked_at", "born", "rekeyed", "retired", "distrusted", "cases")),
    ("resolve", ("affected", "written", "dropped", "conflicts")),
    ("check", ("expectations", "failed", "held", "released")),
    ("publish", ("created", "changed", "retired", "conflicts")),
    ("correct", ("proposed", "confirmed", "altered", "reverted", "superseded", "inexpressible", "open")),
    ("deliver", ("planned", "dry_run", "accepted", "refused", "superseded", "failed", "unknown")),
    ("steward", ("opened", "reopened", "closed", "escalated", "overdue", "open", "notified", "unnotified")),
    ("observe", ("corrections",)),
)


def as_data(passage: Passage) -> dict[str, Any]:
    """The run as one JSON object: counts and seconds per step and scope, faults in words."""
    return {
        "run": passage.run,
        "state": passage.state,
        "publication": passage.publication,
        "steps": [
            {"step": one.step, "scope": one.scope, "seconds": round(one.seconds, 3), "counts": one.outcome.counts}
            for one in passage.done
        ],
        "faults": [str(fault) for fault in passage.faults],
    }


def tell(passage: Passage, settings: Settings, paper: Paper) -> None:
    """A table of the steps with what they counted, then every fault, then where to read on."""
    rows = []
    for step, names in TOLD:
        mine = [one for one in passage.done if one.step == step]
        known = {name for one in mine for name in one.outcome.counts}
        counts = [
            f"{passage.count(step, name):,} {name.replace('_', ' ')}"
            for name in names
            if name in known and passage.count(step, name)
        ]
        rows.append(
            {
                "step": step,
                "what": ", ".join(counts) or "nothing to do",
                "seconds": f"{sum(o.seconds for o in mine):.1f}",
            }
        )
    paper.table(f"Run {passage.run}: {passage.state}", rows, ("step", "what", "seconds"))
    paper.faults(passage.faults)
    if passage.publication:
        further = ", sor review" if passage.count("identify", "cases") else ""
        published = "schema conformed of the database" if served(settings) else near(settings.conformed)
        paper.say(f"Publication {passage.publication} is in {published}. Next: sor status, sor conflicts{further}")
