"""Refusals that are believed only once the tool has shown that it understands us.

Belongs here: what is kept back of a conversation in which nothing was taken yet. Does not: settling, sending.

A wrong path or a wrong kind of record in the document looks like a tool that has none of the records, or refuses
every request with the same bare HTTP code. Believed, it would refuse every correction for good.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from sor_pipeline.deliver.attempts import Settled

MANY = 10
"""Records that are refused alike, none taken, after which it is not about records."""
MISSING = "record-missing"
_FROM_READING = frozenset({"already", "verified", "kept-otherwise", "moved-on", MISSING})
"""Statuses of outcomes that followed from reading alone: they do not show that writing works."""


@dataclass
class Doubts:
    """Of one conversation about one source. `reads`: the tool has shown one of the records; `writes`: it took one,
    or refused one with a code of its own."""

    reads: bool = False
    writes: bool = False
    _kept: list[Settled] = field(default_factory=list)

    def sifted(self, outcomes: Iterable[Settled]) -> list[Settled]:
        """What can be settled now: the outcomes without those in doubt, and what is in doubt no more."""
        listed = list(outcomes)
        for one in listed:
            self.reads = self.reads or (one.status != MISSING and one.status in _FROM_READING)
            self.writes = self.writes or self._understood(one)
        self.reads = self.reads or self.writes
        self._kept += [one for one in listed if _doubtful(one)]
        believed = [one for one in self._kept if self._believed(one)]
        self._kept = [one for one in self._kept if not self._believed(one)]
        return [one for one in listed if not _doubtful(one)] + believed

    def alike(self) -> str:
        """The status with which so many records were refused that none of them is believed; blank: none."""
        records: dict[str, set[str]] = {}
        for one in self._kept:
            records.setdefault(one.status, set()).add(one.record.key)
        return next((status for status, keys in records.items() if len(keys) >= MANY), "")

    def dropped(self) -> list[Settled]:
        """What was kept back as certainly not applied: it is tried again by the next delivery."""
        kept, self._kept = self._kept, []
        return [replace(one, result="failed") for one in kept]

    def taken(self) -> list[Settled]:
        """What was kept back as the tool said it: too few to doubt it."""
        kept, self._kept = self._kept, []
        return kept

    def _believed(self, one: Settled) -> bool:
        return self.reads if one.status == MISSING else self.writes

    def _understood(self, one: Settled) -> bool:
        if one.result == "refused":
            return not _doubtful(one)
        return one.result == "accepted" and one.status not in _FROM_READING


def _doubtful(one: Settled) -> bool:
    return one.result == "refused" and (one.status == MISSING or one.status.isdigit())
