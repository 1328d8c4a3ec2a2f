"""Many sends through each fake tool with faults, kills and people who edit: nothing twice, nothing lost, nothing
newer overwritten. `SOR_SENDS=1000` is the long form; the figures are printed (`pytest -s`)."""

from __future__ import annotations

import os
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from sor_pipeline.deliver import attempts as honest
from sor_pipeline.deliver import sending, table
from sor_pipeline.deliver.connector import Unsure
from sor_pipeline.run import Run
from sor_pipeline_tests import fake_targets as fakes
from sor_pipeline_tests.delivery_world import SOURCE, company, correct, delivered, document, later, states
from sor_pipeline_tests.published_world import rows_of

SENDS = int(os.environ.get("SOR_SENDS", "100"))
WAVES = max(SENDS // 40, 4)
MOST_RUNS = 40
FAULTS: tuple[tuple[str, float], ...] = (
    ("429", 0.04), ("423", 0.02), ("500", 0.05), ("drop", 0.05), ("500-after", 0.07), ("drop-after", 0.07), ("hang-after", 0.01),
)  # fmt: skip
READING: tuple[tuple[str, float], ...] = (("429", 0.03), ("500", 0.04), ("drop", 0.03))


class Killed(BaseException):
    """The process ends here."""


class Soak:
    """One tool, its records, and people who edit them."""

    def __init__(self, kind: str, fake: fakes.Fake, run: Run, seed: int) -> None:
        self.kind, self.fake, self.run = kind, fake, run
        self.chance = random.Random(seed)
        self.edited: dict[tuple[str, str], str] = {}
        self.wanted: dict[tuple[str, str], str] = {}
        self.missing: set[str] = set()
        self.seen: Counter[str] = Counter()
        fake.fault = self.fault
        fake.after_read = self.between

    def fault(self, writes: bool) -> str:
        draw = self.chance.random()
        for name, share in FAULTS if writes else READING:
            if draw < share:
                self.seen[name] += 1
                return name
            draw -= share
        return ""

    def wave(self, keys: list[str]) -> None:
        rows = []
        for key in keys:
            fields = ["email", "name"] if self.chance.random() < 0.3 else ["name"]
            there = self.chance.random() > 0.02
            if there:
                self.fake.store[key] = {field: f"old-{field}" for field in fields}
            else:
                self.missing.add(key)
            for field in fields:
                locks = 0 if self.kind == "hubspot" else 4
                wanted = self.chance.choices([f"new-{field}-{key}", "INVALID", "LOCKED", ""], [90, 3, locks, 3])[0]
                rows.append((key, field, f"old-{field}", wanted))
                self.wanted[key, field] = wanted
                if there and self.chance.random() < 0.05:
                    self.edit(key, field)
                elif there and self.chance.random() < 0.03 and wanted not in ("INVALID", "LOCKED"):
                    self.fake.store[key][field] = wanted
        correct(self.run, rows)

    def edit(self, key: str, field: str) -> None:
        self.seen["edits"] += 1
        self.edited[key, field] = self.fake.store[key][field] = f"person-{self.seen['edits']}"

    def between_runs(self) -> None:
        """People go on editing what is still open, whether our write has arrived already or not."""
        for (key, field), state in states(self.run).items():
            if state == "proposed" and key in self.fake.store and self.chance.random() < 0.03:
                self.edit(key, field)

    def between(self) -> None:
        """People also edit between our reading and our writing; only a tool with a condition of its own can tell."""
        if self.kind == "rest" and self.chance.random() < 0.05:
            self.edit_one_that_was_read()

    def edit_one_that_was_read(self) -> None:
        key = self.fake.calls[-1][1].rsplit("/", 1)[1]
        if key in self.fake.store:
            self.edit(key, self.chance.choice(list(self.fake.store[key])))

    def figures(self) -> dict[str, int]:
        told = states(self.run)
        store = self.fake.store
        newer = [cell for cell, value in self.edited.items() if store[cell[0]][cell[1]] != value]
        lost = [
            cell
            for cell, state in told.items()
            if state == "proposed"
            or (state == "delivered" and cell not in self.edited and not_there(store, cell, self.wanted[cell]))
            or (state == "refused" and self.wanted[cell] != "INVALID" and cell[0] not in self.missing)
            or (state == "superseded" and cell not in self.edited)
        ]
        return {
            "sends": len(told), "duplicates": sum(n - 1 for n in self.fake.applied.values()), "lost": len(lost),
            "overwritten": len(newer), **{f"state {name}": n for name, n in sorted(Counter(told.values()).items())},
        }  # fmt: skip


def not_there(store: dict[str, dict[str, Any]], cell: tuple[str, str], wanted: str) -> bool:
    return (store[cell[0]][cell[1]] or "") != wanted


def killing(monkeypatch: pytest.MonkeyPatch, chance: random.Random, seen: Counter[str]) -> None:
    """Now and then the process is killed: before sending, or between the answer and the record of it."""

    def begun(*given: Any) -> None:
        honest.begun(*given)
        if chance.random() < 0.02:
            seen["kills"] += 1
            raise Killed

    def settled(run: Run, system: str, outcomes: Any) -> None:
        listed = list(outcomes)
        if listed and chance.random() < 0.04:
            seen["kills"] += 1
            raise Killed
        honest.settled(run, system, listed)

    monkeypatch.setattr(sending, "begun", begun)
    monkeypatch.setattr(sending, "settled", settled)


def until_nothing_is_planned(run: Run, between_runs: Any) -> int:
    """Runs that it took."""
    for number in range(1, MOST_RUNS + 1):
        between_runs()
        try:
            outcome = delivered(later(run, number))
        except Killed:
            continue
        if not outcome.counts["planned"]:
            return number
    return MOST_RUNS


MAKERS: dict[str, Any] = {
    "hubspot": fakes.HubSpot, "salesforce": fakes.Salesforce, "zendesk": fakes.Zendesk, "stripe": fakes.Stripe, "rest": fakes.Rest,
}  # fmt: skip


pytestmark = pytest.mark.usefixtures("tool_token")


@pytest.mark.parametrize("kind", MAKERS)
def test_nothing_twice_nothing_lost_nothing_newer_overwritten(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    with fakes.serving(MAKERS[kind]()) as fake:
        run = company(tmp_path, document(kind, fake.url))
        soak = Soak(kind, fake, run, seed=list(MAKERS).index(kind))
        killing(monkeypatch, soak.chance, soak.seen)
        keys = [str(10_000 + n) for n in range(SENDS)]
        runs = 0
        for start in range(0, SENDS, -(-SENDS // WAVES)):
            soak.wave(keys[start : start + -(-SENDS // WAVES)])
            runs += until_nothing_is_planned(run, soak.between_runs)
        figures = soak.figures()
    print(f"\n{kind}: {figures} requests={len(fake.calls)} runs={runs} {dict(soak.seen)}")
    assert (figures["duplicates"], figures["lost"], figures["overwritten"]) == (0, 0, 0)
    assert set(fake.store) <= set(keys), "nothing was created"
    assert not {row["outcome"] for row in rows_of(run, run.tables.attempt)} & {"unknown"}


def test_a_table_gets_every_row_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{tmp_path / 'inbox.db'}"
    monkeypatch.setenv("INBOX_URL", url)
    chance, seen = random.Random(1), Counter[str]()
    run = company(tmp_path / "home", document("table", secret="INBOX_URL"))
    killing(monkeypatch, chance, seen)
    honest_write = table.Inbox.write

    def write(self: table.Inbox, *given: Any) -> Any:
        before, after = chance.random() < 0.2, chance.random() < 0.2
        if before:
            raise Unsure("OperationalError")
        said = honest_write(self, *given)
        if after:
            seen["after"] += 1
            raise Unsure("OperationalError")
        return said

    monkeypatch.setattr(table.Inbox, "write", write)
    wanted = {}
    for start in range(0, SENDS, -(-SENDS // WAVES)):
        keys = [f"k{n}" for n in range(start, min(start + -(-SENDS // WAVES), SENDS))]
        wanted |= {key: f"new-{key}" for key in keys}
        correct(run, [(key, "name", "old", wanted[key]) for key in keys])
        until_nothing_is_planned(run, lambda: None)
    inbox = table.inbox("inbox")
    with sa.create_engine(url).begin() as connection:
        rows = [tuple(row) for row in connection.execute(sa.select(inbox.c.source_key, inbox.c.wanted)).fetchall()]
    told = Counter(states(run).values())
    print(f"\ntable: sends={SENDS} rows={len(rows)} {dict(told)} {dict(seen)}")
    assert dict(rows) == wanted
    assert len(rows) == SENDS
    assert told == {"delivered": SENDS}


def test_files_are_handed_over_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = Counter[str]()
    run = company(tmp_path, document("files"))
    killing(monkeypatch, random.Random(2), seen)
    correct(run, [(f"k{n}", "name", "old", f"new-{n}") for n in range(SENDS)])
    folder = run.settings.outbox / "tool"
    folder.mkdir(parents=True)
    until_nothing = until_nothing_is_planned(run, lambda: (folder / f"1-{SOURCE}.csv").write_text("x"))
    told = Counter(states(run).values())
    print(f"\nfiles: sends={SENDS} runs={until_nothing} {dict(told)} {dict(seen)}")
    assert told == {"delivered": SENDS}
