"""Overrides: a person's word about one cell stands before every rule, until its end condition holds."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from sor_pipeline.errors import DecisionRefused
from sor_pipeline.flow import Passage, opened, pass_through
from sor_pipeline.ownership.document import Ownership
from sor_pipeline.run import Run
from sor_pipeline.steward.overrides import Until, end_condition, end_override
from sor_pipeline.terminal.cell import read_value
from sor_pipeline.terminal.overriding import debt_of, say_set, show_overrides
from sor_pipeline.terminal.paper import Paper
from sor_pipeline.terminal.reports import show_why
from sor_pipeline_tests.flow_world import DOCUMENT, FIRST, HEADERS, QUICK, Site, World, worlds

_SPEC = DOCUMENT.model_dump(mode="json", by_alias=True)
_SPEC["entities"]["contact"]["fields"]["email"]["personal"] = True
_SPEC["entities"]["contact"]["groups"] = {"who": {}}
for _name in ("name", "country"):
    _SPEC["entities"]["contact"]["fields"][_name]["group"] = "who"
WITH_GROUP = Ownership.model_validate(_SPEC)
ALL = tuple(str(number) for number in range(1, 17))
PINE, QUARTZ = {"id": "p", "name": "Pine"}, {"id": "q", "name": "Quartz"}
Say = tuple[str, str | None, str, str]


class Company(Site):
    """A site to which single records are delivered, and words said; contact N has the e-mail nN@x.example."""

    def contacts(self, day: int, **changed: dict[str, str]) -> None:
        """All contacts; `n3={...}` says what is other about number 3."""
        plain = {"name": "Ann", "country": "US", "account": "p", "opted_in": "true", "seen": "1"}
        rows = [{"id": n, "email": f"n{n}@x.example", **plain, **changed.get(f"n{n}", {})} for n in ALL]
        self.put("contacts", day, HEADERS["contacts"], rows)

    def members(self, day: int, **changed: dict[str, str]) -> None:
        stamp = (FIRST + timedelta(days=day)).isoformat(sep=" ")
        plain = {"name": "Anne", "opted_in": "false", "seen": "2", "gone": "0", "at": stamp}
        rows = [
            {"id": f"m{n}", "crm_id": n, "email": f"n{n}@x.example", **plain, **changed.get(f"n{n}", {})} for n in ALL
        ]
        self.put("members", day, HEADERS["members"], rows)

    def say(self, *words: Say, day: int = 0) -> None:
        with opened(self.document, self.settings, FIRST + timedelta(days=day)) as hands:
            for field, value, until, name in words:
                say_set(hands, Paper(machine=True), "contact", name, field, value, until, "jo", "because")

    def cells(self, field: str) -> dict[str, tuple[Any, ...]]:
        """Per contact of the CRM: value, system, key and rule of a published cell."""
        rows = self.query(
            f"SELECT k.source_key, c.{field}, s.{field}_system, s.{field}_key, s.{field}_rule FROM conformed.contact c "
            "JOIN conformed.contact_source s USING (contact_id) JOIN conformed.contact_key k USING (contact_id) "
            "WHERE k.source = 'crm.contacts'"
        )
        return {row[0]: row[1:] for row in rows}

    def causes(self, number: int) -> set[tuple[Any, ...]]:
        return set(self.query(f"SELECT field, cause, system FROM conformed.change WHERE publication = {number}"))

    def open_conflicts(self, field: str, contact: str) -> list[tuple[Any, ...]]:
        return self.query(
            "SELECT f.source, f.kind, f.owner, f.claimed FROM conformed.conflict f JOIN conformed.contact_key k "
            f"ON k.contact_id = f.entity_id WHERE k.source = 'crm.contacts' AND k.source_key = '{contact}' "
            f"AND f.field = '{field}' AND f.closed_in IS NULL ORDER BY 1"
        )


def ledger(run: Run) -> list[Any]:
    with run.engine.begin() as connection:
        return list(
            connection.execute(sa.select(run.tables.override).order_by(run.tables.override.c.number)).fetchall()
        )


@pytest.fixture(scope="module")
def after_the_first(tmp_path_factory: pytest.TempPathFactory) -> Company:
    company = Company(tmp_path_factory.mktemp("company"), WITH_GROUP)
    company.put("accounts", 0, HEADERS["accounts"], [PINE, QUARTZ])
    company.contacts(0)
    company.members(0)
    company.run(0)
    company.say(
        ("name", "Anna", "verified", "crm.contacts:1"),
        ("email", "new@x.example", "verified", "crm.contacts:2"),
        ("name", None, "verified", "crm.contacts:3"),
        ("country", "Germany", "verified", "crm.contacts:4"),
        ("account", "crm.accounts:q", "verified", "crm.contacts:5"),
        ("seen", "41", "verified", "crm.contacts:6"),
        ("name", "Bobby", "verified", "crm.contacts:8"),
        ("name", "Robert", "verified", "crm.contacts:7"),
        ("name", "Nina", "verified", "mail.members:m9"),
        ("name", "Tess", "date:2026-03-12", "crm.contacts:10"),
        ("name", "Elva", "owner_changes", "crm.contacts:11"),
        ("name", "Twyla", "owner_changes", "crm.contacts:12"),
        ("name", "Thea", "owner_agrees", "crm.contacts:13"),
        ("name", "Fay", "date:2026-12-31", "crm.contacts:14"),
        ("name", "Fern", "verified", "crm.contacts:15"),
        ("name", "Sixta", "verified", "crm.contacts:16"),
        ("name", "Siri", "verified", "mail.members:m16"),
    )
    company.contacts(1, n11={"name": " ANN"})
    passage = company.run(1)
    company.counts = {(d.step, d.scope): d.outcome.counts for d in passage.done}  # type: ignore[attr-defined]
    return company


@pytest.fixture(scope="module")
def days(after_the_first: Company) -> dict[int, dict[str, dict[str, tuple[Any, ...]]]]:
    """Day: field: contact: cell; and under 0 the corrections and conflicts of day 1."""
    company = after_the_first

    def now() -> dict[str, dict[str, tuple[Any, ...]]]:
        return {field: company.cells(field) for field in ("name", "email", "country", "account", "seen", "opted_in")}

    told = {1: now(), 0: {"corrections": {row[1] + row[2]: row for row in company.corrections()}}}
    with opened(company.document, company.settings, FIRST + timedelta(days=1)) as hands:
        number = next(row.number for row in ledger(hands) if row.value == "Fern")
        end_override(hands, number, "jo", "enough", verified=True)
    company.put("accounts", 2, HEADERS["accounts"], [PINE])
    moved = {"n8": {"email": "n7@x.example"}, "n11": {"name": "Elvira"}, "n12": {"name": ""}}
    company.contacts(2, **moved, n13={"name": "THEA"}, n14={"name": "Fay"})
    company.members(2, n9={"gone": "1"}, n8={"gone": "1"})
    with opened(company.document, company.settings, FIRST + timedelta(days=2)) as hands:
        pass_through(hands, tuple(step for step in QUICK if step.name in ("extract", "stage", "identify", "resolve")))
    company.run(2)
    told[2] = now()
    company.put("accounts", 3, HEADERS["accounts"], [PINE, QUARTZ])
    company.contacts(3, n11={"name": "Elvira"}, n12={"name": ""}, n13={"name": "THEA"}, n14={"name": "Fay"})
    company.members(3)
    company.run(11)
    told[11] = now()
    company.run(12)
    told[12] = now()
    return told


OWN = ("Ann", "crm", "owner")


def short(cell: tuple[Any, ...]) -> tuple[Any, ...]:
    return (cell[0], cell[1], cell[3])


def test_it_stands_before_every_rule_and_says_so(after_the_first: Company, days: Any) -> None:
    assert days[1]["name"]["1"] == ("Anna", "steward", "1", "decision")
    assert short(days[1]["country"]["1"]) == ("US", "crm", "owner"), "of a group in lock-step only the cell"
    assert days[1]["seen"]["6"][::3] == (41, "decision"), "where a take decides"
    changed = {row for row in after_the_first.causes(2) if row[1] == "decision"}
    assert {("name", "decision", "steward"), ("account", "decision", "steward")} <= changed


def test_only_the_entities_concerned_are_resolved(after_the_first: Company) -> None:
    counts = after_the_first.counts  # type: ignore[attr-defined]
    assert counts["resolve", "account"]["affected"] == 0
    assert counts["resolve", "contact"]["affected"] == 16


def test_everybody_who_disagrees_is_told_the_owner_included(days: Any) -> None:
    proposed = days[0]["corrections"]
    assert proposed["2email"][3:] == ("n2@x.example", "new@x.example")
    assert proposed["m2email"][3:] == ("n2@x.example", "new@x.example")
    assert proposed["m3name"][3:] == ("Anne", ""), "an emptied cell is emptied everywhere"


def test_a_conflict_lists_the_owners_claim(after_the_first: Company, days: Any) -> None:
    told = after_the_first.open_conflicts("email", "2")
    assert told == [(source, "differs", "steward", "n2@x.example") for source in ("crm.contacts", "mail.members")]
    kinds = {row[1:3] for row in after_the_first.open_conflicts("name", "3")}
    assert kinds == {("differs", "steward")}


def test_conditions_see_it(days: Any) -> None:
    """`opted_in` is the mailer's, but in Germany the CRM's."""
    assert days[1]["opted_in"]["1"][::3] == (False, "owner")
    assert days[1]["opted_in"]["4"][::3] == (True, "exception")


def test_a_reference_follows_the_record_that_it_names(after_the_first: Company, days: Any) -> None:
    quartz = after_the_first.query("SELECT account_id FROM conformed.account WHERE name = 'Quartz'")[0][0]
    assert [short(days[day]["account"]["5"])[::2] for day in (1, 11)] == [(quartz, "decision")] * 2
    assert days[2]["account"]["5"][3] == "owner", "its account was deleted"


def test_it_survives_merges_and_splits(days: Any) -> None:
    assert [days[1]["name"][n][0] for n in "78"] == ["Robert", "Bobby"]
    assert days[2]["name"]["7"] == days[2]["name"]["8"] == ("Robert", "steward", days[1]["name"]["7"][2], "decision")
    assert [days[11]["name"][n][0] for n in "78"] == ["Robert", "Bobby"]


def test_it_rests_while_its_record_is_deleted(days: Any) -> None:
    assert [short(days[day]["name"]["9"]) for day in (1, 2, 11)] == [
        ("Nina", "steward", "decision"), OWN, ("Nina", "steward", "decision"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("contact", "cells"),
    [
        ("10", ["Tess", "Tess", "Tess", "Ann"]),
        ("11", ["Elva", "Elvira", "Elvira", "Elvira"]),
        ("12", ["Twyla", None, None, None]),
        ("13", ["Thea", "THEA", "THEA", "THEA"]),
        ("14", ["Fay", "Fay", "Fay", "Fay"]),
        ("15", ["Fern", "Ann", "Ann", "Ann"]),
        ("16", ["Siri", "Siri", "Siri", "Siri"]),
    ],
)
def test_it_ends_when_its_condition_holds(days: Any, contact: str, cells: list[str | None]) -> None:
    assert [days[day]["name"][contact][0] for day in (1, 2, 11, 12)] == cells
    assert days[12]["name"][contact][3] == ("decision" if contact == "16" else "owner")


def test_the_ledger_says_how_each_ended(
    after_the_first: Company, days: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with opened(after_the_first.document, after_the_first.settings, FIRST + timedelta(days=12)) as hands:
        rows = ledger(hands)
        values = {row.number: row.value for row in rows if row.kind == "set"}
        capsys.readouterr()
        show_overrides(hands, Paper(), True, 50)
        show_overrides(hands, Paper(machine=True), False, 50)
        show_why(hands, Paper(), "contact", "crm.contacts:1".partition(":")[2], "name")
    told = capsys.readouterr().out
    assert {values[row.ends]: (row.outcome, row.by) for row in rows if row.kind == "end"} == {
        "Tess": ("date", "sor"), "Elva": ("owner_changed", "sor"), "Twyla": ("owner_changed", "sor"),
        "Thea": ("owner_agreed", "sor"), "Fay": ("redundant", "sor"), "Fern": ("verified", "jo"), "Sixta": ("replaced", "jo"),
    }  # fmt: skip
    assert "new@x.example" not in told
    assert "(personal)" in told
    assert "Debt: 10 overrides" in told
    assert "what jo decided on 2026-03-01 (because), override 1" in " ".join(told.split())


def test_why_of_a_cell_that_somebody_cleared_says_so(
    after_the_first: Company, days: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with opened(after_the_first.document, after_the_first.settings, FIRST + timedelta(days=12)) as hands:
        show_why(hands, Paper(), "contact", "3", "name")
    told = " ".join(capsys.readouterr().out.split())
    assert "name is what jo decided" in told
    assert "Nobody who may speak has a value" not in told


def test_a_blank_is_told_how_a_choice_is_cleared() -> None:
    spec = {
        "systems": {"crm": {}},
        "entities": {"deal": {"owner": "crm", "fields": {"stage": {"type": "choice", "of": ["won"]}}}},
    }
    run: Any = SimpleNamespace(ownership=Ownership.model_validate(spec))
    nothing: Any = None
    with pytest.raises(DecisionRefused) as raised:
        read_value(run, nothing, "deal", nothing, "stage", " ")
    assert raised.value.faults[0].expected == "--clear empties the cell"


@pytest.fixture(scope="module")
def hands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    company = Company(tmp_path_factory.mktemp("refusing"), WITH_GROUP)
    company.put("accounts", 0, HEADERS["accounts"], [PINE])
    company.contacts(0)
    company.run(0)
    with opened(company.document, company.settings, FIRST) as run:
        yield run


@pytest.mark.parametrize(
    ("field", "value", "until", "name", "code"),
    [
        ("email", "secret at home", "verified", "crm.contacts:1", "value-refused"),
        ("seen", "many", "verified", "crm.contacts:1", "value-refused"),
        ("name", "N/A", "verified", "crm.contacts:1", "value-refused"),
        ("name", " ", "verified", "crm.contacts:1", "value-refused"),
        ("name", "Anna", "some day", "crm.contacts:1", "bad-until"),
        ("name", "Anna", "date:2026-02-30", "crm.contacts:1", "bad-until"),
        ("name", "Anna", "date:2026-02-20", "crm.contacts:1", "bad-until"),
        ("name", "Anna", "verified:now", "crm.contacts:1", "bad-until"),
        ("name", "Anna", "verified", "crm.contacts:77", "unknown-record"),
        ("name", "Anna", "verified", "crm.accounts:p", "two-entities"),
        ("name", "Anna", "verified", "nobody", "unknown-name"),
        ("seen", "41", "owner_changes", "crm.contacts:1", "until-never"),
        ("account", "crm.accounts:p", "owner_changes", "crm.contacts:1", "until-never"),
        ("account", "crm.accounts:z", "verified", "crm.contacts:1", "unknown-record"),
        ("name", "Ann", "verified", "crm.contacts:1", "override-redundant"),
        ("name", "ANN", "owner_agrees", "crm.contacts:1", "override-redundant"),
    ],
)
def test_what_cannot_be_meant_is_refused(hands: Run, field: str, value: str, until: str, name: str, code: str) -> None:
    with pytest.raises(DecisionRefused) as raised:
        say_set(hands, Paper(machine=True), "contact", name, field, value, until, "jo", "because")
    assert [fault.code for fault in raised.value.faults] == [code]
    assert "secret" not in str(raised.value)
    assert ledger(hands) == []


def test_what_is_over_does_not_end_again(hands: Run) -> None:
    with pytest.raises(DecisionRefused) as raised:
        end_override(hands, 9, "jo", "no")
    assert raised.value.faults[0].code == "unknown-override"


def test_what_a_person_ended_is_over(after_the_first: Company, days: Any) -> None:
    company = after_the_first
    with opened(company.document, company.settings, FIRST + timedelta(days=12)) as hands:
        before = ledger(hands)
        number = next(row.number for row in before if row.value == "Fern")
        with pytest.raises(DecisionRefused) as raised:
            end_override(hands, number, "jo", "once more")
        assert ledger(hands) == before
    assert raised.value.faults[0].code == "override-over"


def test_end_conditions_read() -> None:
    today = date(2026, 3, 1)
    assert end_condition("date:2026-03-01", today).day == today
    assert str(end_condition("owner_agrees", today)) == Until.owner_agrees == "owner_agrees"


def test_the_debt_is_counted() -> None:
    rows = [
        {"entity": "contact", "field": "name", "by": by, "until": until, "state": "in force", "age_days": age}
        for by, until, age in (("jo", "verified", 3), ("jo", "date:2026-03-01", 100), ("al", "verified", 7))
    ]
    debt = debt_of(rows)
    assert (debt["in_force"], debt["oldest_days"], debt["median_days"], debt["older_than_90_days"]) == (3, 100, 7, 1)
    assert (debt["by_author"], debt["by_end"]) == ({"jo": 2, "al": 1}, {"verified": 2, "date": 1})


# the law: what was done day by day is what a rebuild from the same inputs and the same ledger gives

WORDS = st.tuples(
    st.sampled_from([
        ("name", "Zoe"), ("name", "Ann"), ("name", None), ("email", "c@y.example"), ("email", "z@z.example"),
        ("country", "DE"), ("seen", "7"), ("account", "crm.accounts:q"), ("opted_in", "true"),
    ]),
    st.sampled_from(["verified", "owner_changes", "owner_agrees", "date:2026-03-11"]),
    st.sampled_from(["crm.contacts:1", "crm.contacts:2", "mail.members:x", "mail.members:y"]),
)  # fmt: skip
SPOKEN = st.lists(st.tuples(st.integers(0, 1), WORDS), min_size=1, max_size=4)


@settings(max_examples=3, deadline=None)
@given(world=worlds(days=2), spoken=SPOKEN, last=st.sampled_from([9, 12]))
def test_day_by_day_equals_a_rebuild_with_the_same_ledger(world: World, spoken: list[Any], last: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        daily, once = Company(Path(folder) / "daily"), Company(Path(folder) / "once")
        for day in range(2):
            daily.deliver_day(world, day)
            once.deliver_day(world, day)
            _run(daily, 9, [word for when, word in spoken if when == day])
        _run(daily, last, [])
        again, rows = _run(daily, last, [])
        with opened(once.document, once.settings, FIRST + timedelta(days=last)) as run:
            if rows:
                with run.engine.begin() as connection:
                    connection.execute(sa.insert(run.tables.override), [row._asdict() for row in rows])
            pass_through(run, QUICK)
        assert once.told() == daily.told()
        assert again.state == "unchanged"


def _run(company: Company, day: int, words: list[Any]) -> tuple[Passage, list[Any]]:
    """One run, then the words that can be meant; gives the run and the ledger."""
    with opened(company.document, company.settings, FIRST + timedelta(days=day)) as run:
        passage = pass_through(run, QUICK)
        for (field, value), until, name in words:
            try:
                say_set(run, Paper(machine=True), "contact", name, field, value, until, "jo", "because")
            except DecisionRefused:
                continue
        return passage, ledger(run)


def test_the_same_on_postgresql(tmp_path: Path, postgres_url: str) -> None:
    company = Company(tmp_path, WITH_GROUP)
    company.settings = dataclasses.replace(company.settings, warehouse_url=postgres_url)
    company.put("accounts", 0, HEADERS["accounts"], [PINE, QUARTZ])
    company.contacts(0)
    words = [
        (("name", "Anna"), "verified", "crm.contacts:1"), (("account", "crm.accounts:q"), "owner_agrees", "crm.contacts:2"),
        (("seen", "41"), "date:2026-12-31", "crm.contacts:3"), (("name", "Elva"), "owner_changes", "crm.contacts:4"),
        (("opted_in", "false"), "verified", "crm.contacts:5"), (("name", None), "owner_agrees", "crm.contacts:6"),
    ]  # fmt: skip
    _run(company, 0, words)
    company.contacts(1, n4={"name": "Elvira"}, n6={"name": ""})
    passage, rows = _run(company, 1, [])
    assert passage.count("publish", "changed") == 6
    assert {row.outcome for row in rows if row.kind == "end"} == {"owner_changed", "owner_agreed"}
    with opened(company.document, company.settings, FIRST) as run, run.engine.begin() as connection:
        contact = run.tables.conformed["contact"]
        told = connection.execute(sa.select(contact.c.name, contact.c.seen).order_by(contact.c.email)).fetchall()
    assert {("Anna", 1), ("Ann", 41), ("Elvira", 1), (None, 1)} <= {tuple(row) for row in told}
