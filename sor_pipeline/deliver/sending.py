"""The conversation with one tool about the records of one source: read, compare, write, read again where unsure.

Belongs here: compare-and-set, what an answer means for a correction, when something is tried again.
Does not: requests (`http`), any tool's bodies, what is planned (`plan`).

Python goes over records here, one batch at a time: a tool takes some hundred per request, and far fewer
requests per second than anything else in this package.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sor_pipeline.deliver.attempts import Settled, begun, settled
from sor_pipeline.deliver.comparing import kept_otherwise, same
from sor_pipeline.deliver.connector import (
    Answer,
    BatchRefused,
    Connector,
    Doubted,
    Halted,
    Held,
    Record,
    Stopped,
    Unsure,
    Write,
)
from sor_pipeline.deliver.doubts import MISSING, Doubts
from sor_pipeline.deliver.secrets import scrubbed
from sor_pipeline.deliver.switches import pulled, stopped
from sor_pipeline.run import Run

ROUNDS = 4
"""How often one run tries a record that was locked, or whose write was certainly not applied."""
_SETTLING = 1.0
"""Seconds between a lost answer and reading what came of it."""


@dataclass
class Conversation:
    """With the tool of one system about one source. `counts` are corrections by outcome."""

    run: Run
    system: str
    connector: Connector
    sleep: Callable[[float], None]
    counts: Counter[str] = field(default_factory=Counter)
    _halt: Halted | None = None
    _doubts: Doubts = field(default_factory=Doubts)

    def send(self, records: Iterator[Record]) -> None:
        """All records, batch by batch. Raises Halted, with everything written down that is known."""
        batch: list[Record] = []
        try:
            for record in records:
                batch.append(record)
                if len(batch) == self.connector.limit:
                    self._batch(batch)
                    batch = []
            if batch:
                self._batch(batch)
        except Halted:
            self._write(self._doubts.dropped())
            raise
        self._write(self._doubts.taken())

    def _batch(self, records: list[Record]) -> None:
        self._switch(stopped(self.run, self.system))
        if self._halt:
            raise self._halt
        todo = records
        for round_ in range(ROUNDS):
            if round_:
                self.sleep(0.5 * 2.0**round_)
            held = self.connector.read(todo) if self.connector.reads else {}
            self._doubts.reads |= bool(held)
            todo = self._compared(todo, held)
            if not todo:
                return
            begun(self.run, self.system, todo)
            todo = self._judged(todo, self._asked(todo, held), last=round_ == ROUNDS - 1)
            if self._halt:
                raise self._halt
            if not todo:
                return

    def _compared(self, records: Sequence[Record], held: Mapping[str, Held]) -> list[Record]:
        """What is left to write: the tool still holds what was observed. The rest is settled without writing."""
        outcomes: list[Settled] = []
        todo: list[Record] = []
        for record in records:
            writes: list[Write] = []
            for write in record.writes:
                judged = _standing(record, write, held.get(record.key)) if self.connector.reads else None
                if judged:
                    outcomes.append(judged)
                    continue
                if write.unsure:
                    outcomes.append(Settled(record, write, "failed", "not-applied"))
                writes.append(_next(write))
            if writes:
                todo.append(record.only(writes))
        self._settle(outcomes)
        return todo

    def _asked(self, records: Sequence[Record], held: Mapping[str, Held]) -> dict[tuple[str, str], Answer]:
        """By key and field: what the tool said. A request that is refused whole is divided until the culprit is
        alone; a record that is refused is divided into its fields, so that a bad one takes no good one along."""
        self._switch(pulled(self.run, self.system))
        if self._halt:
            return _all(records, Answer("failed", "not-sent"))
        try:
            answers = self.connector.write(records, held)
        except BatchRefused as refused:
            if len(records) > 1:
                middle = len(records) // 2
                return {**self._asked(records[:middle], held), **self._asked(records[middle:], held)}
            answers = {records[0].key: Answer("refused", refused.status, scrubbed(refused.message, records[0]))}
        except Unsure as unsure:
            return _all(records, Answer("unknown", unsure.status))
        except Halted as halt:
            self._halt = halt
            return _all(records, Answer("failed", halt.status))
        said: dict[tuple[str, str], Answer] = {}
        for record in records:
            answer = answers.get(record.key, Answer("unknown", "no-answer"))
            if answer.result == "refused" and len(record.writes) > 1:
                for write in record.writes:
                    said |= self._asked([record.only([write])], held)
            else:
                said |= _all([record], answer)
        return said

    def _judged(
        self,
        records: Sequence[Record],
        answers: Mapping[tuple[str, str], Answer],
        last: bool,
    ) -> list[Record]:
        """Settle what is known; what is certainly not applied is for another round."""
        unsure = [r for r in records if any(answers[r.key, w.field].result == "unknown" for w in r.writes)]
        seen = self._seen(unsure)
        outcomes: list[Settled] = []
        todo: list[Record] = []
        for record in records:
            again: list[Write] = []
            for write in record.writes:
                one = _outcome(record, write, answers[record.key, write.field], seen)
                outcomes.append(one)
                if one.result == "failed" and one.status not in ("not-sent", "no-file") and not self._halt:
                    again.append(replace(write, attempt=write.attempt + 1))
            if again and not last:
                todo.append(record.only(again))
        self._settle(outcomes, {(r.key, w.field) for r in todo for w in r.writes})
        return todo

    def _seen(self, unsure: list[Record]) -> dict[str, Held] | None:
        """What the tool holds of them now; None where it cannot say."""
        if not unsure or not self.connector.reads:
            return None
        self.sleep(_SETTLING)
        try:
            return self.connector.read(unsure)
        except Halted as halt:
            self._halt = halt
            return None

    def _settle(self, outcomes: list[Settled], again: set[tuple[str, str]] | None = None) -> None:
        self._write(self._doubts.sifted(outcomes), again)
        alike = self._doubts.alike()
        if alike:
            raise Doubted(alike)

    def _write(self, outcomes: list[Settled], again: set[tuple[str, str]] | None = None) -> None:
        settled(self.run, self.system, outcomes)
        for one in outcomes:
            if (one.record.key, one.write.field) not in (again or set()) and one.status != "not-applied":
                self.counts[one.result] += 1

    def _switch(self, where: str) -> None:
        if where and not self._halt:
            self._halt = Stopped(where)


def _next(write: Write) -> Write:
    return replace(write, attempt=write.attempt + 1, unsure=False) if write.unsure else write


def _standing(record: Record, write: Write, there: Held | None) -> Settled | None:
    """What is settled by what the tool holds; None: it holds what was observed, so write."""
    if there is None:
        return Settled(record, write, "refused", MISSING)
    now = there.values.get(write.name)
    if same(now, write.wanted, write.stored):
        return Settled(record, write, "accepted", "verified" if write.unsure else "already")
    if same(now, write.observed, write.stored):
        return None
    if write.unsure and kept_otherwise(now, write.wanted):
        return Settled(record, write, "accepted", "kept-otherwise")
    return Settled(record, write, "superseded", "moved-on")


def _outcome(record: Record, write: Write, answer: Answer, seen: Mapping[str, Held] | None) -> Settled:
    """An answer as an outcome; where it is unknown, what the tool holds now decides."""
    if answer.result == "again":
        return Settled(record, write, "failed", answer.status, answer.message)
    if answer.result != "unknown" or seen is None:
        return Settled(record, write, answer.result, answer.status, answer.message)
    standing = _standing(record, replace(write, unsure=True), seen.get(record.key))
    return standing or Settled(record, write, "failed", answer.status)


def _all(records: Sequence[Record], answer: Answer) -> dict[tuple[str, str], Answer]:
    return {(record.key, write.field): answer for record in records for write in record.writes}
