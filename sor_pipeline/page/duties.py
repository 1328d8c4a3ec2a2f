"""Who must act: what waits, for whom, and where on the page it is explained.

Belongs here: the list at the top of the page. Does not: any number of its own; all are read off the answers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from sor_pipeline.observe.report.disagreement import GAP
from sor_pipeline.ownership.document import Ownership, system_of
from sor_pipeline.page.trends import Answers

_WEIGHTS = {"blocked": 0, "refused_extract": 0, "conflict": 2}
"""Of kinds of case; the others wait for a decision."""
OPEN = ("proposed", "delivered")
"""States of a correction that its system has not answered yet."""


@dataclass(frozen=True)
class Duty:
    """`weight`: 0 stops data, 1 waits for a decision, 2 is worth mending."""

    weight: int
    who: str
    what: str
    number: int
    query: str
    section: str


def duties(ownership: Ownership, answers: Answers, late: frozenset[str]) -> list[Duty]:
    """The heaviest first."""
    found = [
        *_refused(ownership, answers), *_late(ownership, late), *_failing(ownership, answers),
        *_cases(ownership, answers), *_corrections(ownership, answers), *_gaps(ownership, answers),
    ]  # fmt: skip
    return sorted(found, key=lambda duty: (duty.weight, -duty.number, duty.what))


def steward_of_system(ownership: Ownership, system: str) -> str:
    spec = ownership.systems.get(system)
    return (spec.steward if spec else None) or f"whoever runs {title_of(ownership, system)}"


def steward_of_entity(ownership: Ownership, entity: str) -> str:
    kind = ownership.entities.get(entity)
    return (kind.steward or steward_of_system(ownership, kind.owner)) if kind else "nobody named"


def title_of(ownership: Ownership, system: str) -> str:
    """What people call the system; a correction may be about one that the document no longer has."""
    spec = ownership.systems.get(system)
    return (spec.title if spec else "") or system


def _refused(ownership: Ownership, answers: Answers) -> Iterator[Duty]:
    for row in answers["refused"].rows:
        who = steward_of_system(ownership, system_of(row["source"]))
        yield Duty(
            0, who, f"{row['source']}: delivery refused ({row['code']})", row["deliveries"], "refused", "freshness"
        )


def _late(ownership: Ownership, late: frozenset[str]) -> Iterator[Duty]:
    for source in sorted(late):
        who = steward_of_system(ownership, system_of(source))
        yield Duty(0, who, f"{source}: the next delivery is overdue", 1, "freshness", "freshness")


def _failing(ownership: Ownership, answers: Answers) -> Iterator[Duty]:
    weights = {"block": 0, "hold": 1}
    for row in answers["quality"].rows:
        if not row["expectation"].startswith("freshness."):
            who, weight = steward_of_entity(ownership, row["entity"]), weights.get(row["severity"], 2)
            what = f"{row['entity']}: {row['expectation']} does not hold ({row['severity']})"
            yield Duty(weight, who, what, row["failed"], "quality", "quality")


def _cases(ownership: Ownership, answers: Answers) -> Iterator[Duty]:
    words = {"review": "records that may be the same", "not_unique": "records that must not be the same",
             "too_large": "records that are too many to be the same"}  # fmt: skip
    for row in answers["cases-by-steward"].rows:
        entity, spec = row["entity"] or "everything", ownership.stewards.get(row["steward"] or "")
        who = (spec.title if spec else "") or row["steward"] or steward_of_entity(ownership, entity)
        due = f", the first due {row['next_due']:%Y-%m-%d}" if row["next_due"] else ""
        what = f"{entity}: {words.get(row['kind'], row['kind'].replace('_', ' '))}{due}"
        yield Duty(_WEIGHTS.get(row["kind"], 1), who, what, row["open"], "cases-by-steward", "cases")


def _corrections(ownership: Ownership, answers: Answers) -> Iterator[Duty]:
    waiting: dict[str, int] = defaultdict(int)
    for row in answers["corrections"].rows:
        waiting[row["system"]] += row["corrections"] if row["state"] in OPEN else 0
    for system, number in waiting.items():
        if number:
            what = f"{title_of(ownership, system)}: corrections wait to be applied"
            yield Duty(1, steward_of_system(ownership, system), what, number, "corrections", "corrections")


def _gaps(ownership: Ownership, answers: Answers) -> Iterator[Duty]:
    missing: dict[str, int] = defaultdict(int)
    for row in answers["conflicts-by-pair"].rows:
        missing[row["owner"] or ""] += row["open"] if row["kind"] == GAP else 0
    for system, number in missing.items():
        if system and number:
            what = f"{title_of(ownership, system)}: values known elsewhere never reached it, their owner"
            yield Duty(2, steward_of_system(ownership, system), what, number, "conflicts-by-pair", "conflicts")
