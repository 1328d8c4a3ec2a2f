"""Each connector against a fake tool: request shapes, partial success, locks, limits, and what is written down of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from sor_pipeline_tests import fake_targets as fakes
from sor_pipeline_tests.delivery_world import (
    SOURCE,
    Clock,
    attempts,
    company,
    correct,
    delivered,
    document,
    filled,
    later,
    states,
)
from sor_pipeline_tests.published_world import rows_of

MAKERS: dict[str, Any] = {
    "hubspot": fakes.HubSpot, "salesforce": fakes.Salesforce, "zendesk": fakes.Zendesk, "stripe": fakes.Stripe,
    "rest": fakes.Rest,
}  # fmt: skip
HTTP = tuple(MAKERS)


pytestmark = pytest.mark.usefixtures("tool_token")


@pytest.fixture(params=HTTP)
def tool(request: pytest.FixtureRequest) -> Iterator[tuple[str, fakes.Fake]]:
    with fakes.serving(MAKERS[request.param]()) as fake:
        yield request.param, fake


def ident(kind: str, number: int) -> str:
    return str(1000 + number) if kind == "zendesk" else f"id{number}"


def test_corrections_arrive_and_are_delivered(tool: tuple[str, fakes.Fake], tmp_path: Path) -> None:
    kind, fake = tool
    a, b = ident(kind, 1), ident(kind, 2)
    filled(
        fake,
        {a: {"email": "old@a.test", "name": "Ann", "mrr": "9"}, b: {"email": "b@a.test", "name": "Bob", "mrr": "1"}},
    )
    run = company(tmp_path, document(kind, fake.url))
    correct(run, [(a, "email", "old@a.test", "new@a.test"), (a, "mrr", "9", "12.5"), (b, "name", "Bob", "")])
    counts = delivered(run).counts
    assert (counts["planned"], counts["accepted"], counts["failed"]) == (3, 3, 0)
    assert set(states(run).values()) == {"delivered"}
    assert {a: fake.store[a]["email"], b: fake.store[b]["name"] or ""} == {a: "new@a.test", b: ""}
    assert float(fake.store[a]["mrr"]) == 12.5
    assert len([one for one in fake.calls if fake.writes(one[0], one[1])]) == (1 if fake.limit > 1 else 2)
    assert [row[2:4] for row in attempts(run)] == [(1, "accepted")] * 3
    assert delivered(later(run)).counts["planned"] == 0


def test_what_moved_on_is_superseded_and_what_is_there_already_is_not_written(
    tool: tuple[str, fakes.Fake], tmp_path: Path
) -> None:
    kind, fake = tool
    a, b, c, gone = (ident(kind, n) for n in range(1, 5))
    filled(fake, {a: {"email": "person@a.test", "name": "Ann"}, b: {"email": "new@a.test"}, c: {"mrr": 10.0}})
    run = company(tmp_path, document(kind, fake.url))
    correct(run, [(a, "email", "old@a.test", "new@a.test"), (a, "name", "Ann", "Anna"), (b, "email", "x@a.test", "new@a.test"),
                  (c, "mrr", "10", "11"), (gone, "email", "x@a.test", "y@a.test")])  # fmt: skip
    counts = delivered(run).counts
    assert states(run) == {
        (a, "email"): "superseded", (a, "name"): "delivered", (b, "email"): "delivered", (c, "mrr"): "delivered",
        (gone, "email"): "refused",
    }  # fmt: skip
    assert fake.store[a] == {"email": "person@a.test", "name": "Anna"}
    assert fake.applied[b, "email", "new@a.test"] == 0
    assert (counts["superseded"], counts["accepted"], counts["refused"]) == (1, 3, 1)
    closed = {row["state"]: row["closed_in"] for row in rows_of(run, run.tables.correction)}
    assert closed == {"superseded": 1, "refused": 1, "delivered": None}


def test_a_bad_value_is_refused_alone(tool: tuple[str, fakes.Fake], tmp_path: Path) -> None:
    kind, fake = tool
    a, b = ident(kind, 1), ident(kind, 2)
    filled(fake, {a: {"email": "o@a.test", "name": "A"}, b: {"name": "B"}})
    run = company(tmp_path, document(kind, fake.url))
    correct(run, [(a, "email", "o@a.test", "n@a.test"), (a, "name", "A", "INVALID"), (b, "name", "B", "Bea")])
    delivered(run)
    assert states(run) == {(a, "email"): "delivered", (a, "name"): "refused", (b, "name"): "delivered"}
    row = next(one for one in rows_of(run, run.tables.attempt) if one["outcome"] == "refused")
    assert row["status"] in ("VALIDATION_ERROR", "INVALID_EMAIL_ADDRESS", "UserUpdateError", "email_invalid", "invalid")
    assert "INVALID" not in (row["message"] or "").replace(row["status"], "")


def test_a_lock_is_tried_again(tool: tuple[str, fakes.Fake], tmp_path: Path) -> None:
    kind, fake = tool
    if kind == "hubspot":
        pytest.skip("HubSpot has no locks")
    a = ident(kind, 1)
    filled(fake, {a: {"name": "A"}})
    run = company(tmp_path, document(kind, fake.url))
    correct(run, [(a, "name", "A", "LOCKED")])
    delivered(run)
    assert states(run) == {(a, "name"): "delivered"}
    assert [row[3] for row in attempts(run)] == ["failed", "accepted"]


FAULTS = ("429", "423", "425", "408", "500", "drop", "408-after", "500-after", "drop-after", "hang-after")


def test_a_fault_neither_loses_nor_repeats(tool: tuple[str, fakes.Fake], tmp_path: Path) -> None:
    kind, fake = tool
    keys = [ident(kind, number) for number in range(len(FAULTS))]
    filled(fake, {key: {"name": "A"} for key in keys})
    run = company(tmp_path, document(kind, fake.url))
    for key, fault in zip(keys, FAULTS, strict=True):
        faults = [fault]
        fake.fault = lambda writes, faults=faults: faults.pop() if writes and faults else ""
        correct(run, [(key, "name", "A", "Ann")])
        delivered(run)
        assert not faults
        assert (states(run)[key, "name"], fake.store[key]["name"]) == ("delivered", "Ann"), fault
    assert set(fake.applied.values()) == {1}


def test_retry_after_is_honoured_and_backing_off_grows(tool: tuple[str, fakes.Fake], tmp_path: Path) -> None:
    kind, fake = tool
    a = ident(kind, 1)
    filled(fake, {a: {"name": "A"}})
    faults = ["429", "429"]
    fake.retry_after = "17"
    fake.fault = lambda writes: faults.pop() if faults else ""
    run, clock = company(tmp_path, document(kind, fake.url)), Clock()
    correct(run, [(a, "name", "A", "Ann")])
    delivered(run, clock)
    assert states(run) == {(a, "name"): "delivered"}
    assert clock.now >= 34


def test_a_limit_of_the_day_stops_until_the_next_run(tool: tuple[str, fakes.Fake], tmp_path: Path) -> None:
    kind, fake = tool
    a = ident(kind, 1)
    filled(fake, {a: {"name": "A"}})
    fake.fault = lambda writes: "limit" if writes else ""
    run = company(tmp_path, document(kind, fake.url))
    correct(run, [(a, "name", "A", "Ann")])
    assert [fault.code for fault in delivered(run).faults] == ["delivery-limited"]
    assert states(run) == {(a, "name"): "proposed"}
    fake.fault = lambda writes: ""
    delivered(later(run))
    assert states(run) == {(a, "name"): "delivered"}


def test_a_secret_that_is_not_good_stops_the_system_and_names_the_variable(
    tool: tuple[str, fakes.Fake], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, fake = tool
    a = ident(kind, 1)
    filled(fake, {a: {"name": "A"}})
    run = company(tmp_path, document(kind, fake.url))
    correct(run, [(a, "name", "A", "Ann")])
    monkeypatch.setenv("TOOL_TOKEN", "another-secret")
    (fault,) = delivered(run).faults
    assert fault.code == "delivery-denied"
    assert "TOOL_TOKEN" in str(fault)
    assert "another-secret" not in str(fault)
    monkeypatch.delenv("TOOL_TOKEN")
    (fault,) = delivered(run).faults
    assert (fault.code, "set TOOL_TOKEN" in fault.todo) == ("delivery-denied", True)
    assert states(run) == {(a, "name"): "proposed"}


def test_a_redirection_is_never_followed(tool: tuple[str, fakes.Fake], tmp_path: Path) -> None:
    kind, fake = tool
    a = ident(kind, 1)
    filled(fake, {a: {"name": "A"}})
    fake.fault = lambda writes: "302"
    run = company(tmp_path, document(kind, fake.url))
    correct(run, [(a, "name", "A", "Ann")])
    assert [fault.code for fault in delivered(run).faults] == ["delivery-misdirected"]
    assert len(fake.calls) == 1


@pytest.mark.parametrize(
    ("stored", "wanted"), [(lambda v: str(v)[:3], "Annabelle"), (lambda v: str(v).lower(), "Annabelle")]
)
def test_a_tool_that_stores_something_else_is_delivered_once(
    tool: tuple[str, fakes.Fake], tmp_path: Path, stored: Any, wanted: str
) -> None:
    kind, fake = tool
    a, b = ident(kind, 1), ident(kind, 2)
    filled(fake, {a: {"name": "X"}, b: {"name": "Y"}})
    fake.kept_as = stored
    faults = ["drop-after"]
    fake.fault = lambda writes: faults.pop() if writes and faults else ""
    run = company(tmp_path, document(kind, fake.url))
    correct(run, [(a, "name", "X", wanted), (b, "name", "Y", wanted)])
    delivered(run)
    delivered(later(run))
    assert set(states(run).values()) == {"delivered"}
    assert set(fake.applied.values()) == {1}


def test_a_hundred_and_more_go_in_batches(tmp_path: Path) -> None:
    with fakes.serving(fakes.HubSpot()) as fake:
        filled(fake, {f"id{n}": {"name": "A"} for n in range(250)})
        run = company(tmp_path, document("hubspot", fake.url))
        correct(run, [(f"id{n}", "name", "A", f"B{n}") for n in range(250)])
        delivered(run)
        assert [len(call[2]["inputs"]) for call in fake.calls if call[1].endswith("update")] == [100, 100, 50]
        assert set(states(run).values()) == {"delivered"}


@pytest.mark.parametrize("kind", ["hubspot", "salesforce"])
@pytest.mark.parametrize("upsert", [False, True])
def test_records_are_found_by_a_property(kind: str, upsert: bool, tmp_path: Path) -> None:
    with fakes.serving(MAKERS[kind]()) as fake:
        filled(fake, {f"own{n}": {"ext": f"K {n}/ö", "name": "A"} for n in range(30)})
        run = company(tmp_path, document(kind, fake.url, {"id": "ext", "upsert": upsert}))
        correct(run, [(f"K {n}/ö", "name", "A", "B") for n in range(30)] + [("nobody", "name", "A", "B")])
        delivered(run)
        assert sorted(set(states(run).values())) == ["delivered", "refused"]
        assert {row["name"] for row in fake.store.values()} == {"B"}
        assert len(fake.store) == 30, "a correction never creates a record"
        writes = [call for call in fake.calls if fake.writes(call[0], call[1])]
        if kind == "hubspot":
            assert all(call[1].endswith("/batch/upsert" if upsert else "/batch/update") for call in writes)
        else:
            assert all(call[1].endswith("/Contact/ext" if upsert else "/sobjects") for call in writes)


def test_properties_may_have_other_names_and_lie_in_mappings(tmp_path: Path) -> None:
    with fakes.serving(fakes.Stripe()) as fake:
        filled(fake, {"cus_1": {"metadata.plan": "free"}})
        run = company(tmp_path, document("stripe", fake.url, {"fields": {"name": "metadata.plan"}}))
        correct(run, [("cus_1", "name", "free", "pro")])
        delivered(run)
        assert fake.store["cus_1"] == {"metadata.plan": "pro"}
        assert fake.calls[-1][2] == {"metadata[plan]": "pro"}
        assert len(fake.calls[-1][3]["idempotency-key"]) == 32


def test_a_ticket_that_somebody_changed_meanwhile_is_superseded(tmp_path: Path) -> None:
    with fakes.serving(fakes.Zendesk("tickets")) as fake:
        filled(fake, {"7": {"name": "A"}})
        fake.after_read = lambda: fake.store["7"].update(name="person", __edited=True)
        run = company(tmp_path, document("zendesk", fake.url, {"object": "tickets"}))
        correct(run, [("7", "name", "A", "B")])
        delivered(run)
        assert states(run) == {("7", "name"): "superseded"}
        assert fake.store["7"]["name"] == "person"


def test_an_etag_keeps_what_somebody_writes_between_reading_and_writing(tmp_path: Path) -> None:
    with fakes.serving(fakes.Rest()) as fake:
        filled(fake, {"1": {"name": "A"}})
        fake.after_read = lambda: fake.store["1"].update(name="person")
        run = company(tmp_path, document("rest", fake.url))
        correct(run, [("1", "name", "A", "B")])
        delivered(run)
        assert states(run) == {("1", "name"): "superseded"}
        assert fake.store["1"]["name"] == "person"


def test_a_job_that_was_killed_is_judged_by_reading(tmp_path: Path) -> None:
    with fakes.serving(fakes.Zendesk()) as fake:
        filled(fake, {"7": {"name": "A"}, "8": {"name": "A"}})
        fake.kill = True
        run = company(tmp_path, document("zendesk", fake.url))
        correct(run, [("7", "name", "A", "B"), ("8", "name", "A", "B")])
        delivered(run)
        assert set(states(run).values()) == {"delivered"}
        assert set(fake.applied.values()) == {1}


def test_a_batch_of_a_described_tool_reports_per_row(tmp_path: Path) -> None:
    class Many(fakes.Fake):
        def answer(self, method: str, path: str, query: Any, body: Any, headers: Any) -> fakes.Answer:
            said = []
            for one in body["rows"]:
                code = self.put(one["id"], one["set"])
                said.append({"key": one["id"], "ok": not code, "error": {"code": code.lower()}})
            return 200, {"done": said[:-1]}, {}

    rest = {"method": "POST", "path": "/bulk", "batch": 10, "body": {"rows": "{records}"}, "row": {"id": "{id}", "set": "{fields}"},
            "results": "done", "result_id": "key", "success": {"ok": True}}  # fmt: skip
    with fakes.serving(Many()) as fake:
        filled(fake, {key: {"name": "A"} for key in "123"})
        run = company(tmp_path, document("rest", fake.url, rest=rest))
        correct(run, [("1", "name", "A", "B"), ("2", "name", "A", "INVALID"), ("3", "name", "A", "B")])
        counts = delivered(run).counts
        assert states(run) == {("1", "name"): "delivered", ("2", "name"): "refused", ("3", "name"): "proposed"}
        assert counts["unknown"] == 1, "the tool said nothing about the last, and cannot be asked"
        assert delivered(later(run)).counts["planned"] == 0, "it waits for an extract"
        with run.engine.begin() as connection:
            seen = later(run, 2).now
            connection.execute(sa.insert(run.tables.batch).values(source=SOURCE, batch="b2", as_of=seen))
        assert delivered(later(run, 3)).counts["planned"] == 1, "the extract still says what was observed"
