"""`sor review`: open cases one by one, two records side by side, and the steward's word.

Belongs here: the conversation. Does not: writing decisions (`steward`), the table of two records (`sides`).

The warehouse is open only while cases are read and while a decision is written: a review that lies
open over lunch blocks no run. Each decision is written at once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from rich.markup import escape

from sor_pipeline.errors import SorError
from sor_pipeline.observe import cases
from sor_pipeline.observe.cases import At
from sor_pipeline.run import Run
from sor_pipeline.steward.decisions import Kind, withdraw
from sor_pipeline.steward.records import Record
from sor_pipeline.terminal import sides
from sor_pipeline.terminal.decisions import take
from sor_pipeline.terminal.linkwords import KINDS, at, counted, likely, what
from sor_pipeline.terminal.paper import Paper
from sor_pipeline.terminal.similarity import levels_in_words, worth

KEYS = "[bold]y[/] same  [bold]n[/] different  [bold]s[/] skip  [bold]u[/] undo  [bold]q[/] quit  [bold]?[/] help"
HELP = """\
y   they are the same: links them (sor link)
n   they are two: keeps them apart for good (sor unlink)
s   skip: nothing is written, the case stays open
u   undo: takes the last decision of this review back and shows its case again
q   quit: what was decided is written already
A reason may follow y or n:  y confirmed by phone"""
DEFAULT_REASON = {Kind.link: "reviewed: same", Kind.unlink: "reviewed: different"}
Opened = Callable[[], AbstractContextManager[Run]]
"""Hands that may write, for as long as the block lasts."""


@dataclass(frozen=True)
class Waiting:
    """One open case with its two records, ready to be shown."""

    case: Mapping[str, Any]
    ends: tuple[At, At]
    fields: list[dict[str, Any]]
    places: tuple[tuple[str, int] | None, tuple[str, int] | None]
    levels: list[str]


def gathered(run: Run, entity: str, limit: int, mask: bool) -> tuple[list[Waiting], int]:
    """The strongest open cases of the entity, and how many there are in all."""
    spec = run.ownership.entities[entity]
    with run.engine.begin() as connection:
        rows = connection.execute(cases.waiting(run.tables, entity).limit(limit)).mappings().fetchall()
        if not rows:
            return [], 0
        total = sum(
            row.open for row in connection.execute(cases.by_kind(run.tables)).fetchall() if row.entity == entity
        )
        pairs = [((row["left_source"], row["left_key"]), (row["right_source"], row["right_key"])) for row in rows]
        wanted = sorted({end for ends in pairs for end in ends})
        its_worth = worth(run, connection, entity)
        said = sides.records(run, connection, wanted)
        placed = {
            (row.source, row.source_key): (str(row.entity_id), int(row.records))
            for row in connection.execute(cases.places(run.tables, entity, wanted)).fetchall()
        }
    return [
        Waiting(
            dict(row),
            ends,
            sides.compared(spec, said.get(ends[0], {}), said.get(ends[1], {}), mask),
            (placed.get(ends[0]), placed.get(ends[1])),
            levels_in_words(row["levels"], its_worth),
        )
        for row, ends in zip(rows, pairs, strict=True)
    ], total


def as_data(waiting: Waiting) -> dict[str, Any]:
    """A case as JSON."""
    case = waiting.case
    return {
        "case_id": case["case_id"], "entity": case["entity"], "kind": case["kind"], "rule": case["rule"],
        "left": at(waiting.ends[0]), "right": at(waiting.ends[1]), "weight": case["weight"],
        "probability": case["probability"], "veto": case["veto"], "evidence": json.loads(case["evidence"] or "{}"),
        "levels": waiting.levels, "opened_in": case["opened_in"], "fields": waiting.fields,
        "sides": [None if p is None else {"entity_id": p[0], "records": p[1]} for p in waiting.places],
    }  # fmt: skip


@dataclass
class Review:
    """One sitting. `ask` gives the steward's next line, None when nobody answers any more."""

    run: Run
    paper: Paper
    opened: Opened
    ask: Callable[[str], str | None]
    by: str
    waiting: list[Waiting]
    decided: list[tuple[int, int]] = field(default_factory=list)

    def walk(self) -> None:
        """Case after case until the last, or until the steward stops."""
        position = 0
        while True:
            if position < len(self.waiting):
                self._show(position)
            elif not self.decided:
                break
            else:
                self.paper.say("That was the last case. [bold]u[/] undo the last decision  [bold]q[/] quit")
            moved = self._answer(position)
            if moved is None:
                break
            position = moved

    def _answer(self, position: int) -> int | None:
        """Ask until an answer leads to a case; None ends the review."""
        while True:
            line = self.ask("> ")
            letter, _, reason = (line or "q").strip().partition(" ")
            letter = letter.lower()
            over = position >= len(self.waiting)
            if letter in ("q", "quit"):
                return None
            if letter in ("u", "undo"):
                back = self._undo()
                if back is not None:
                    return back
            elif over:
                return None
            elif letter in ("s", "skip"):
                return position + 1
            elif letter in ("y", "yes", "n", "no"):
                kind = Kind.link if letter[0] == "y" else Kind.unlink
                if self._decide(position, kind, reason.strip()):
                    return position + 1
            else:
                self.paper.say(HELP)

    def _decide(self, position: int, kind: Kind, reason: str) -> bool:
        one, other = (Record(*end) for end in self.waiting[position].ends)
        try:
            with self.opened() as hands:
                taken = take(hands, kind, one, other, self.by, reason or DEFAULT_REASON[kind])
        except SorError as error:
            self.paper.faults(error.faults)
            self.paper.say("[yellow]Nothing was written.[/yellow] Answer again, or s to skip.")
            return False
        self.decided.append((position, taken.decision.number))
        said = "linked" if kind is Kind.link else "kept apart"
        self.paper.say(f"[green]{said}[/green]: decision {taken.decision.number}")
        return True

    def _undo(self) -> int | None:
        if not self.decided:
            self.paper.say("Nothing to undo in this review. Older decisions: sor decisions, sor withdraw")
            return None
        position, number = self.decided[-1]
        try:
            with self.opened() as hands:
                withdraw(hands, number, self.by, "undone in review")
        except SorError as error:
            self.paper.faults(error.faults)
            return None
        self.decided.pop()
        self.paper.say(f"[yellow]withdrawn[/yellow]: decision {number}")
        return position

    def _show(self, position: int) -> None:
        waiting = self.waiting[position]
        case, entity = waiting.case, waiting.case["entity"]
        spec = self.run.ownership.entities[entity]
        score = likely(case["probability"], case["weight"])
        heading = f"Case {position + 1} of {len(self.waiting)}: {entity}, {KINDS.get(case['kind'], case['kind'])}"
        self.paper.console.print()
        self.paper.say(f"[bold]{escape(heading)}[/bold]")
        sides.show(self.run, self.paper, entity, waiting.ends, waiting.fields)
        edge = f"What ties them: {what(spec, case['rule'])}" + (f" ({score})" if score != "no score" else "")
        self.paper.prose(edge)
        if case["veto"]:
            self.paper.prose(f"Not linked by itself: {case['veto']}")
        for line in (*waiting.levels, *guarded(case["kind"], case["evidence"])):
            self.paper.prose(line, "  ", "    ")
        self.paper.prose(_places(entity, waiting))
        self.paper.say(KEYS)


def guarded(kind: str, evidence: str | None) -> list[str]:
    """What a guard noted with the case, a line each."""
    said = json.loads(evidence or "{}")
    if kind == "not_unique" and "unique" in said:
        return [f"both sides hold a record of {said['unique']}, which says `unique: true`"]
    if kind == "too_large" and "records" in said:
        return [f"{said['records']} records hang together, max_size is {said.get('max_size')}"]
    return []


def _places(entity: str, waiting: Waiting) -> str:
    left, right = waiting.places
    if left is None or right is None:
        return f"Not yet identified as any {entity}."
    if left[0] == right[0]:
        return f"Both are {entity} {left[0]} ({counted(left[1], 'record')})."
    sizes = [counted(place[1], "record") for place in (left, right)]
    return f"Now {entity} {left[0]} ({sizes[0]}) and {entity} {right[0]} ({sizes[1]})."
