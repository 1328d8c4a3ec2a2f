"""Corrections: in the target's own words, never to the owner, and applying them leaves nothing to correct."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping as Texts
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sor_pipeline.correct import outbox
from sor_pipeline.correct.inverse import text_of
from sor_pipeline.correct.step import run as correct
from sor_pipeline.flow import opened
from sor_pipeline.ownership.entity import Field
from sor_pipeline.ownership.inversion import inverts
from sor_pipeline.ownership.source import Mapping
from sor_pipeline.publish.step import run as publish
from sor_pipeline.run import Run
from sor_pipeline.stage.readings import Reader
from sor_pipeline.tables import stored_type
from sor_pipeline_tests.flow_world import FIRST, HEADERS, Site
from sor_pipeline_tests.published_world import (
    Cell,
    State,
    cell,
    copied,
    document,
    everything,
    fill,
    hands,
    on_day,
    put,
    rows_of,
)

SEEN = datetime(2026, 7, 1, 15, 4, 5)
TRUTH = {
    "email": cell("ann@a.test"),
    "name": cell('Ann O\'Neil, "Dr"'),
    "opted_in": cell(True, "mail"),
    "stage": cell("customer"),
    "mrr": cell(Decimal("12.50"), "bill"),
    "born": cell(date(1990, 2, 28)),
    "seen": cell(SEEN),
    "account": cell("k1"),
}
STALE = {
    "email": "old@a.test", "name": "Ann Onymous", "opted_in": "false", "stage": "L", "mrr": "9,99",
    "born": "01.01.1970", "seen": "01/01/2026 01:00:00 AM +0000", "account": "c9",
}  # fmt: skip
WANTED = {
    "email": "ann@a.test", "name": "Ann O'Neil, \"Dr\"", "stage": "C", "mrr": "12,5",
    "born": "28.02.1990", "seen": "07/01/2026 03:04:05 PM +0000", "account": "c1",
}  # fmt: skip
RECORDS = {
    ("crm.contacts", "1"): ("a1", True),
    ("mail.members", "m1"): ("a1", True),
    ("crm.accounts", "A"): ("k1", True),
    ("mail.companies", "c2"): ("k1", True),
    ("mail.companies", "c1"): ("k1", True),
    ("mail.companies", "c9"): ("k2", True),
}
ACCOUNTS = {("account", i): {"title": cell(f"Account {i}")} for i in ("k1", "k2")}


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return hands(tmp_path_factory.mktemp("correct") / "empty")


@pytest.fixture
def world(empty: Run, tmp_path: Path) -> Run:
    return copied(empty, tmp_path / "home")


def state(held: frozenset[tuple[str, str, str]] = frozenset(), **cells: Cell) -> State:
    return State({**ACCOUNTS, ("contact", "a1"): {**TRUTH, **cells}}, RECORDS, {}, held)


def says(run: Run, source: str, key: str, texts: Texts[str, str | None], cleared: tuple[str, ...] = ()) -> None:
    """The target's record as staging would read these texts (the real reader of each field)."""
    table, spec = run.tables.staged[source], run.ownership.sources[source]
    fields = run.ownership.entities[spec.entity].fields
    values: dict[str, Any] = {"_batch": "b1", "_row": 1}
    with run.engine.begin() as connection:
        values["_publication"] = run.pending(connection)
        for name, text in texts.items():
            reading = Reader(run.ownership, fields[name], spec.fields[name]).read(pl.Series([text], dtype=pl.String))
            values[name] = reading.value[0]
            if fields[name].kind.folds:
                values[f"{name}__cmp"] = (reading.compare if reading.compare is not None else reading.value)[0]
            values |= {f"{name}__state": 2 if name in cleared else reading.said[0] or 0, f"{name}__raw": text}
        values = {name: value for name, value in values.items() if name in table.c}
        connection.execute(sa.update(table).where(table.c._key == key).values(**values))


def told(
    run: Run, now: State, texts: Texts[str, str | None], day: int = 0, system: str = "mail", **how: Any
) -> dict[str, int]:
    """Put a state and a target's words, publish, correct."""
    run = on_day(run, day)
    put(run, now, list(now.rows))
    source, key = {"mail": ("mail.members", "m1"), "crm": ("crm.contacts", "1")}[system]
    says(run, source, key, texts, **how)
    publish(run, "")
    return correct(run, system).counts


def open_now(run: Run) -> dict[str, tuple[str | None, str]]:
    return {
        r["field"]: (r["observed"], r["wanted"])
        for r in rows_of(run, run.tables.correction)
        if r["state"] == "proposed"
    }


def states_of(run: Run, field: str) -> list[tuple[int, str, int | None]]:
    rows = [r for r in rows_of(run, run.tables.correction) if r["field"] == field]
    return sorted((r["proposed_in"], r["state"], r["closed_in"]) for r in rows)


def files(run: Run) -> dict[str, bytes]:
    return {
        str(p.relative_to(run.settings.outbox)): p.read_bytes() for p in run.settings.outbox.rglob("*") if p.is_file()
    }


def test_corrections_are_in_the_targets_own_words(world: Run) -> None:
    counts = told(world, state(), STALE)
    assert open_now(world) == {name: (STALE[name], WANTED[name]) for name in WANTED}
    assert (counts["proposed"], counts["open"], counts["inexpressible"]) == (7, 7, 0)
    columns = {
        r["field"]: (r["column"], r["owner"], r["rule"], r["system"]) for r in rows_of(world, world.tables.correction)
    }
    assert columns["email"] == ("Email Address", "crm", "owner", "mail")
    assert columns["mrr"] == ("MRR", "bill", "owner", "mail")


def test_numbers_and_truth_in_the_other_targets_words(world: Run) -> None:
    told(world, state(), {"opted_in": "N", "mrr": "999", "email": "ann@a.test"}, system="crm")
    assert open_now(world) == {"opted_in": ("N", "Y"), "mrr": ("999", "1250")}


def test_the_files_hold_the_open_corrections(world: Run) -> None:
    told(world, state(), STALE)
    assert files(world).keys() == {"mail/1-mail.members.jsonl", "mail/1-mail.members.csv"}
    lines = [
        json.loads(line) for line in (world.settings.outbox / "mail/1-mail.members.jsonl").read_text().splitlines()
    ]
    with (world.settings.outbox / "mail/1-mail.members.csv").open(newline="") as file:
        assert list(csv.DictReader(file)) == lines
    assert [line["field"] for line in lines] == sorted(WANTED)
    assert list(lines[0]) == list(outbox.COLUMNS)
    assert {line["field"]: line["wanted"] for line in lines} == WANTED


def test_applied_corrections_leave_none(world: Run) -> None:
    told(world, state(), STALE)
    counts = told(world, state(), {**STALE, **WANTED, "opted_in": "true"}, 1)
    assert (counts["open"], counts["confirmed"], counts["proposed"]) == (0, 7, 0)
    again = told(
        world, state(name=cell('Ann O\'Neil, "Dr"', key="2", day=2)), {**STALE, **WANTED, "opted_in": "true"}, 2
    )
    assert (again["open"], again["proposed"], again["superseded"]) == (0, 0, 0)
    assert files(world)["mail/2-mail.members.jsonl"] == b""


def test_another_spelling_of_the_same_value_is_agreement(world: Run) -> None:
    same = {**WANTED, "email": "ANN@A.test", "mrr": "12,495", "account": "c2", "opted_in": "true"}
    assert told(world, state(), same)["open"] == 0


def test_running_again_changes_nothing_and_mends_files(world: Run) -> None:
    told(world, state(), STALE)
    tables, outbox_files = everything(world, "outbound"), files(world)
    for path in world.settings.outbox.rglob("*.csv"):
        path.unlink()
    assert correct(world, "mail").counts["open"] == 7
    assert (everything(world, "outbound"), files(world)) == (tables, outbox_files)


def test_receipts(world: Run) -> None:
    only = {**WANTED, "opted_in": "true"}
    told(world, state(), {**only, "name": "Old", "email": "old@a.test", "stage": "L", "born": "01.01.1970"})
    moved = state(email=cell("new@a.test", day=1), stage=cell("lead", day=1))
    told(world, moved, {**only, "name": "Other", "email": "old@a.test", "stage": "L", "born": "01.01.1970"}, 1)
    assert states_of(world, "name") == [(1, "altered", 2), (2, "proposed", None)]
    assert states_of(world, "email") == [(1, "superseded", 2), (2, "proposed", None)]
    assert states_of(world, "stage") == [(1, "superseded", 2)]
    assert states_of(world, "born") == [(1, "proposed", None)]
    told(world, moved, {**only, "name": WANTED["name"], "email": "new@a.test", "stage": "L"}, 2)
    last = rows_of(world, world.tables.publication)[-1]["publication"]
    assert states_of(world, "name")[-1] == (2, "confirmed", last)
    assert states_of(world, "born") == [(1, "confirmed", last)]
    told(world, moved, {**only, "name": "Other", "email": "new@a.test", "stage": "L"}, 3)
    assert [s[1] for s in states_of(world, "name")] == ["altered", "reverted"]
    assert open_now(world) == {}  # a correction is named by its publication, and there was no other since
    moved.rows[("account", "k1")] = {"title": cell("Another")}
    told(world, moved, {**only, "name": "Other", "email": "new@a.test", "stage": "L"}, 4)
    assert [s[1] for s in states_of(world, "name")] == ["altered", "reverted", "proposed"]
    assert open_now(world) == {"name": ("Other", WANTED["name"])}


def test_never_to_the_owner(world: Run) -> None:
    told(world, state(email=cell("crm@a.test", "crm")), {"email": "other@a.test"}, system="crm")
    assert "email" not in open_now(world)
    fallback = cell("mail@a.test", "mail", rule="fallback")
    told(world, state(email=fallback), {"email": None}, 1, system="crm")
    assert "email" not in open_now(world)


def test_no_blank_unless_the_owner_cleared(world: Run) -> None:
    nobody, cleared = Cell(), cell(None)
    told(
        world,
        state(email=nobody, name=cleared, born=cleared, stage=cleared),
        {**WANTED, "opted_in": "true", "stage": ""},
    )
    assert open_now(world) == {"name": (WANTED["name"], ""), "born": (WANTED["born"], "")}
    empty_now = {**WANTED, "opted_in": "true", "name": "", "born": None, "stage": ""}
    told(world, state(email=nobody, name=cleared, born=cleared, stage=cleared), empty_now, 1, cleared=("name",))
    assert open_now(world) == {}


def test_blanks_placeholders_and_unreadable_texts_do_not_agree(world: Run) -> None:
    texts = {**WANTED, "opted_in": "true", "name": None, "email": "n/a", "born": "28.02.1990"}
    now = state()
    put(world, now, list(now.rows))
    says(world, "mail.members", "m1", texts)
    staged, reject = world.tables.staged["mail.members"], world.tables.reject
    with world.engine.begin() as connection:
        connection.execute(sa.update(staged).values(born__raw="31.02.1990"))
        fill(
            connection,
            reject,
            [{"source": "mail.members", "batch": "b1", "row": 1, "field": "born", "source_key": "m1"}],
        )
    publish(world, "")
    correct(world, "mail")
    assert open_now(world) == {
        "name": (None, WANTED["name"]), "email": ("n/a", WANTED["email"]), "born": ("31.02.1990", WANTED["born"]),
    }  # fmt: skip


def test_held_cells_and_rows_are_left_alone(world: Run) -> None:
    told(world, state(), {**WANTED, "opted_in": "true"})
    bad = state(frozenset({("contact", "a1", "name")}), name=cell("Bad", day=1), email=cell("new@a.test", day=1))
    told(world, bad, {**WANTED, "opted_in": "true"}, 1)
    assert open_now(world) == {"email": (WANTED["email"], "new@a.test")}
    worse = state(frozenset({("contact", "a1", "")}), name=cell("Bad", day=1), email=cell("worse@a.test", day=2))
    told(world, worse, {**WANTED, "opted_in": "true"}, 2)
    assert open_now(world) == {"email": (WANTED["email"], "new@a.test")}
    told(world, replace(worse, held=frozenset()), {**WANTED, "opted_in": "true"}, 3)
    assert open_now(world).keys() == {"email", "name"}
    assert states_of(world, "email")[0][1] == "superseded"


def test_a_reference_to_what_the_target_does_not_know(world: Run) -> None:
    unknown = {k: v for k, v in RECORDS.items() if k[1] not in ("c1", "c2")}
    now = replace(state(), records=unknown)
    counts = told(world, now, {**WANTED, "opted_in": "true", "account": "c9"})
    assert (counts["open"], counts["inexpressible"]) == (0, 1)
    assert told(world, state(), {**WANTED, "opted_in": "true", "account": "c9"}, 1)["open"] == 1
    assert open_now(world) == {"account": ("c9", "c1")}


def test_an_unlisted_code_is_not_written(world: Run) -> None:
    counts = told(world, state(stage=cell("lost")), {**WANTED, "opted_in": "true"})
    assert (counts["open"], counts["inexpressible"]) == (0, 1)


def test_deleted_records_and_withdrawn_fields_are_wanted_no_more(world: Run) -> None:
    told(world, state(), STALE)
    spec = {n: s.model_dump(by_alias=True, exclude_defaults=True) for n, s in world.ownership.sources.items()}
    spec["mail.members"]["accepts"] = ["name", "email"]
    narrower = replace(world, ownership=document(sources=spec))
    narrower.tables.ownership = narrower.ownership
    publish(on_day(narrower, 1), "")
    correct(narrower, "mail")
    assert open_now(world).keys() == {"name", "email"}
    gone = replace(state(), records={**RECORDS, ("mail.members", "m1"): ("a1", False)})
    told(narrower, gone, STALE, 2)
    world.tables.ownership = world.ownership
    assert open_now(world) == {}
    assert {s[1] for s in states_of(world, "name")} == {"superseded"}


def test_nothing_before_the_first_publication(world: Run) -> None:
    put(world, state(), [])
    says(world, "mail.members", "m1", STALE)
    assert correct(world, "mail").counts["open"] == 0
    assert not world.settings.outbox.exists()


WRITTEN: list[tuple[dict[str, Any], dict[str, Any], st.SearchStrategy[Any]]] = [
    ({"type": "decimal"}, {}, st.decimals("-99999999", "99999999", places=2)),
    ({"type": "decimal"}, {"scale_by": "0.01"}, st.decimals("-99999999", "99999999", places=2)),
    ({"type": "decimal", "scale": 4}, {"scale_by": "1000", "decimal_mark": ","}, st.decimals(0, 99999, places=4)),
    ({"type": "integer"}, {}, st.integers(-(2**62), 2**62)),
    ({"type": "boolean"}, {"true_texts": ["Ja"], "false_texts": ["Nein"]}, st.booleans()),
    ({"type": "boolean"}, {"codes": {"subscribed": "true", "cleaned": "false"}}, st.booleans()),
    ({"type": "choice", "of": ["a", "b"]}, {"codes": {"1": "a", "0": "b"}}, st.sampled_from(["a", "b"])),
    ({"type": "date"}, {}, st.dates(date(1900, 1, 1), date(2100, 1, 1))),
    ({"type": "date"}, {"format": "%d/%m/%Y"}, st.dates(date(1900, 1, 1), date(2100, 1, 1))),
    ({"type": "date"}, {"format": "%B %d, %Y"}, st.dates(date(1900, 1, 1), date(2100, 1, 1))),
    ({"type": "date"}, {"format": "%Y-%j"}, st.dates(date(1900, 1, 1), date(2100, 1, 1))),
    ({"type": "timestamp"}, {}, st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1))),
    ({"type": "timestamp"}, {"zone": "Europe/Berlin"}, st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1))),
    ({"type": "timestamp"}, {"format": "epoch_ms"}, st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1))),
    ({"type": "timestamp"}, {"format": "epoch_s"}, st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1))),
    ({"type": "timestamp"}, {"format": "%Y-%m-%d %H:%M:%S", "zone": "Asia/Kolkata"},
     st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1))),
    ({"type": "timestamp"}, {"format": "%d %b %Y %I:%M:%S.%f %p %z", "zone": "Europe/Berlin"},
     st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1))),
]  # fmt: skip


@pytest.mark.parametrize("case", range(len(WRITTEN)))
@settings(max_examples=2, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_what_is_written_is_read_back_as_the_same_value(empty: Run, case: int, data: st.DataObject) -> None:
    declared, mapped, strategy = WRITTEN[case]
    field, mapping = Field.model_validate(declared), Mapping.model_validate({"from": "c", **mapped})
    assert inverts(field, mapping) is None
    values = data.draw(st.lists(strategy, min_size=1, max_size=40))
    table = sa.Table(
        "value", sa.MetaData(), sa.Column("n", sa.Integer), sa.Column("v", stored_type(field)), prefixes=["TEMP"]
    )
    text = text_of(field, mapping, table.c.v)
    assert text is not None
    with empty.engine.begin() as connection:
        table.create(connection)
        connection.execute(sa.insert(table), [{"n": n, "v": v} for n, v in enumerate(values)])
        rows = connection.execute(sa.select(table.c.v, text).order_by(table.c.n)).fetchall()
        table.drop(connection)
    reading = Reader(empty.ownership, field, mapping).read(pl.Series([row[1] for row in rows], dtype=pl.String))
    for (value, written), read in zip(rows, reading.value, strict=True):
        if written is None:
            assert mapping.format in ("epoch_s", "epoch_ms", "%Y-%m-%d %H:%M:%S")
            assert value.microsecond
        else:
            assert (Decimal(read) if field.type == "decimal" else read) == value, written


@pytest.mark.parametrize("what", ["name", ""])
def test_what_was_on_hold_when_it_was_compared_is_compared_when_it_is_released(world: Run, what: str) -> None:
    """A release that changes no value leaves no mark on canonical rows, changes or staged records."""
    only = {**WANTED, "opted_in": "true"}
    told(world, state(), only)
    holding = state(frozenset({("contact", "a1", what)}))
    holding.rows[("account", "k1")] = {"title": cell("Another")}  # something is published
    assert told(world, holding, {**only, "name": "Ann Onymous"}, 1)["proposed"] == 0
    with world.engine.begin() as connection:
        connection.execute(sa.delete(world.tables.held))
    counts = correct(world, "mail").counts
    assert (counts["proposed"], open_now(world)) == (1, {"name": ("Ann Onymous", WANTED["name"])})
    assert correct(world, "mail").counts["proposed"] == 0


def test_what_waits_for_a_release_is_forgotten_when_it_agrees(world: Run) -> None:
    only = {**WANTED, "opted_in": "true"}
    holding = state(frozenset({("contact", "a1", "name")}))
    told(world, holding, {**only, "name": "Ann Onymous"})
    assert rows_of(world, world.tables.correction_wait) == [{"source": "mail.members", "source_key": "m1"}]
    told(world, holding, only, 1)
    assert rows_of(world, world.tables.correction_wait) == []


def test_whether_a_word_is_our_echo_depends_on_when_runs_were_made(tmp_path: Path) -> None:
    """The same extracts: seen day by day, mail was told what it says; seen at once, it said so by itself.

    So where the owner's record goes, both leave mail's word to the fallback: `outbound` is no input of resolve.
    """
    daily, at_once = Site(tmp_path / "daily"), Site(tmp_path / "at_once")
    contact = {"id": "1", "email": "a@x.example", "name": "Ann"}
    member = {"id": "x", "email": "a@x.example", "crm_id": "1", "gone": "0"}
    for site in (daily, at_once):
        for day, (mine, theirs) in enumerate([([contact], "Bob"), ([contact], "Ann"), ([], "Ann")]):
            site.put("contacts", day, HEADERS["contacts"], mine)
            at = (FIRST + timedelta(days=min(day, 1))).isoformat(sep=" ")
            site.put("members", day, HEADERS["members"], [{**member, "name": theirs, "at": at}])
            if site is daily:
                site.run(day)
    at_once.run(2)
    assert daily.told() == at_once.told()
    assert daily.query("SELECT name FROM conformed.contact") == [("Ann",)]
    assert daily.query("SELECT name_rule FROM conformed.contact_source") == [("fallback",)]
    assert _told_ever(daily) == [("mail.members", "name", "confirmed")]
    assert _told_ever(at_once) == []


def _told_ever(site: Site) -> list[tuple[str, str, str]]:
    with opened(site.document, site.settings) as run:
        return [(row["source"], row["field"], row["state"]) for row in rows_of(run, run.tables.correction)]
