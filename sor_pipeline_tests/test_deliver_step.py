"""What is sent at all: dry run, caps and their acceptance, the kill switch, kills in between, secrets and values kept out."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from sor_pipeline.deliver import attempts as attempts_module
from sor_pipeline.deliver import plan as plans
from sor_pipeline.deliver import sending
from sor_pipeline.deliver.comparing import json_value, same
from sor_pipeline.deliver.connector import Record, Write
from sor_pipeline.deliver.secrets import Secret, code_of, scrubbed
from sor_pipeline.deliver.table import inbox
from sor_pipeline.errors import DecisionRefused
from sor_pipeline.ownership.fieldtypes import Stored
from sor_pipeline.ownership.lint import lint
from sor_pipeline.steward.acceptances import accept
from sor_pipeline.steward.switches import start, stop, stop_now
from sor_pipeline_tests import fake_targets as fakes
from sor_pipeline_tests.delivery_world import (
    SOURCE,
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

pytestmark = pytest.mark.usefixtures("tool_token")


def people(count: int) -> dict[str, dict[str, Any]]:
    return {f"id{n}": {"name": "A"} for n in range(count)}


def wanted(count: int) -> list[tuple[str, str, str, str]]:
    return [(f"id{n}", "name", "A", f"B{n}") for n in range(count)]


def test_a_dry_run_sends_nothing_and_writes_the_plan(tmp_path: Path) -> None:
    with fakes.serving(fakes.HubSpot()) as fake:
        run = company(tmp_path, document("hubspot", fake.url, live=False))
        correct(run, wanted(3))
        assert delivered(run).counts["dry_run"] == 3
        path = run.settings.outbox / "tool" / "plan-1.json"
        said = json.loads(path.read_text())
        first = path.stat().st_mtime_ns
        delivered(run)
        assert path.stat().st_mtime_ns == first
        assert (said["records"], said["live"], [row["wanted"] for row in said["rows"]]) == (
            3,
            False,
            ["B0", "B1", "B2"],
        )
        assert not fake.calls
        assert not attempts(run)
        assert set(states(run).values()) == {"proposed"}


@pytest.mark.parametrize("cap", [{"max_rows": 20}, {"max_share": 0.5}])
def test_a_plan_over_the_caps_goes_only_when_exactly_it_is_accepted(tmp_path: Path, cap: dict[str, Any]) -> None:
    with fakes.serving(fakes.HubSpot()) as fake:
        filled(fake, people(40))
        run = company(tmp_path, document("hubspot", fake.url, **cap))
        target = run.ownership.systems["tool"].target
        assert target is not None
        correct(run, wanted(30))
        (fault,) = delivered(run).faults
        name = plans.planned(run, "tool", target).name
        assert fault.code == "delivery-over-cap"
        assert f"delivery:tool:{name}" in fault.todo
        assert not fake.calls
        with pytest.raises(DecisionRefused):
            accept(run, "delivery:tool:0000", "me", "because", {}, {"tool": name})
        accept(run, f"delivery:tool:{name}", "me", "because", {}, {"tool": name})
        correct(run, [("id35", "name", "A", "B")])
        assert [fault.code for fault in delivered(run).faults] == ["delivery-over-cap"], "another plan by now"
        with run.engine.begin() as connection:
            connection.execute(sa.delete(run.tables.correction).where(run.tables.correction.c.source_key == "id35"))
        assert plans.planned(run, "tool", target).name == name
        assert delivered(run).counts["accepted"] == 30


def test_an_accepted_delivery_that_was_cut_off_goes_on(tmp_path: Path) -> None:
    with fakes.serving(fakes.HubSpot()) as fake:
        filled(fake, people(250))
        run = company(tmp_path, document("hubspot", fake.url, max_rows=200))
        correct(run, wanted(250))
        target = run.ownership.systems["tool"].target
        assert target is not None
        name = plans.planned(run, "tool", target).name
        accept(run, f"delivery:tool:{name}", "me", "because", {}, {"tool": name})
        calls: list[int] = []
        fake.fault = lambda writes: "401" if len(fake.calls) > 3 else ""
        assert [fault.code for fault in delivered(run).faults] == ["delivery-denied"]
        assert sorted(states(run).values()).count("delivered") == 100
        fake.fault = lambda writes: ""
        assert not calls
        correct(run, [(f"new{n}", "name", "A", "B") for n in range(5)])
        filled(fake, {f"new{n}": {"name": "A"} for n in range(5)})
        assert delivered(later(run)).counts["accepted"] == 155, "what was permitted, and a few that need no permit"


def test_few_records_of_a_small_source_are_never_over_the_share(tmp_path: Path) -> None:
    with fakes.serving(fakes.HubSpot()) as fake:
        filled(fake, people(10))
        run = company(tmp_path, document("hubspot", fake.url, max_share=0))
        correct(run, wanted(10))
        assert delivered(run).counts["accepted"] == 10


def test_the_switch_stops_and_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with fakes.serving(fakes.HubSpot()) as fake:
        filled(fake, people(3))
        run = company(tmp_path, document("hubspot", fake.url))
        correct(run, wanted(3))
        for value in ("tool", "all", "other, tool"):
            monkeypatch.setenv("SOR_STOP_DELIVERY", value)
            assert [fault.code for fault in delivered(run).faults] == ["delivery-stopped"]
        monkeypatch.setenv("SOR_STOP_DELIVERY", "crm")
        stop_now(run.settings, "tool", "me", "it broke")
        assert [fault.code for fault in delivered(run).faults] == ["delivery-stopped"]
        (run.settings.stopped / "tool").unlink()
        stop_now(run.settings, "tool", "me", "it broke")
        assert stop(run, "tool") == stop(run, "tool") == 1
        (run.settings.stopped / "tool").unlink()
        assert [fault.found for fault in delivered(run).faults] == ["ledger"], "the ledger remembers without the file"
        assert not fake.calls
        assert start(run, "tool", "me", "mended") == 2
        assert delivered(run).counts["accepted"] == 3
        rows = rows_of(run, run.tables.switch)
        assert [(r["number"], r["on"], r["by"], r["reason"]) for r in rows] == [
            (1, False, "me", "it broke"),
            (2, True, "me", "mended"),
        ]


def test_a_stop_that_no_run_could_enter_is_in_the_ledger_before_the_start(tmp_path: Path) -> None:
    run = company(tmp_path, document("files"))
    stop_now(run.settings, "tool", "night watch", "strange values")
    assert start(run, "tool", "me", "looked at") == 2
    assert [row["by"] for row in rows_of(run, run.tables.switch)] == ["night watch", "me"]


def test_the_switch_is_seen_between_two_batches(tmp_path: Path) -> None:
    with fakes.serving(fakes.HubSpot()) as fake:
        filled(fake, people(250))
        run = company(tmp_path, document("hubspot", fake.url))
        correct(run, wanted(250))

        def pulled(writes: bool) -> str:
            if writes and len(fake.calls) == 4:
                stop_now(run.settings, "tool", "me", "enough")
            return ""

        fake.fault = pulled
        (fault,) = delivered(run).faults
        assert fault.code == "delivery-stopped"
        assert sorted(states(run).values()).count("delivered") == 200
        assert "50 corrections wait" in fault.what


class Killed(BaseException):
    """What a kill looks like from inside."""


@pytest.mark.parametrize("when", ["before", "after", "recorded"])
@pytest.mark.parametrize("kind", ["hubspot", "stripe"])
def test_killed_in_between_nothing_is_sent_twice(
    tmp_path: Path, kind: str, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with fakes.serving(fakes.HubSpot() if kind == "hubspot" else fakes.Stripe()) as fake:
        filled(fake, people(3))
        run = company(tmp_path, document(kind, fake.url))
        correct(run, wanted(3))
        honest_begun, honest_settled = attempts_module.begun, attempts_module.settled

        def kill_begun(*given: Any) -> None:
            honest_begun(*given)
            if when == "before":
                raise Killed

        def kill_settled(run_: Any, system: str, outcomes: list[Any]) -> None:
            if outcomes and when == "after":
                raise Killed
            honest_settled(run_, system, outcomes)
            if outcomes and when == "recorded":
                raise Killed

        monkeypatch.setattr(sending, "begun", kill_begun)
        monkeypatch.setattr(sending, "settled", kill_settled)
        with pytest.raises(Killed):
            delivered(run)
        monkeypatch.setattr(sending, "begun", honest_begun)
        monkeypatch.setattr(sending, "settled", honest_settled)
        again = later(run)
        with again.engine.held():
            delivered(again)
        assert set(states(run).values()) == {"delivered"}
        assert {key: row["name"] for key, row in fake.store.items()} == {f"id{n}": f"B{n}" for n in range(3)}
        assert set(fake.applied.values()) == {1}
        assert "unknown" not in {row[3] for row in attempts(run)}


def test_a_tool_that_is_away_costs_nothing_but_another_run(tmp_path: Path) -> None:
    with fakes.serving(fakes.HubSpot()) as fake:
        url = fake.url
    run = company(tmp_path, document("hubspot", url))
    correct(run, wanted(2))
    (fault,) = delivered(run).faults
    assert (fault.code, fault.found) == ("delivery-unreachable", "ConnectError")
    assert set(states(run).values()) == {"proposed"}


@pytest.mark.parametrize(
    ("url", "more", "code"),
    [
        ("http://127.0.0.1:9", {"insecure": False}, "delivery-misdirected"),
        ("https://api.example", {"hosts": ["other.example"]}, "delivery-misdirected"),
        ("https://user:pass@api.example", {}, "delivery-misdirected"),
        ("ftp://api.example", {}, "delivery-misdirected"),
    ],
)
def test_only_hosts_that_are_named_are_asked(tmp_path: Path, url: str, more: dict[str, Any], code: str) -> None:
    ownership = document("hubspot", url)
    spec = ownership.systems["tool"].target
    assert spec is not None
    target = spec.model_copy(update={"insecure": False, **more})
    systems = {**ownership.systems, "tool": ownership.systems["tool"].model_copy(update={"target": target})}
    ownership = ownership.model_copy(update={"systems": systems})
    run = company(tmp_path, ownership)
    correct(run, wanted(1))
    assert [fault.code for fault in delivered(run).faults] == [code]
    assert "target-host" in {fault.code for fault in lint(ownership)}


def test_neither_secrets_nor_personal_values_are_written_down(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    for maker, kind in (
        (fakes.HubSpot, "hubspot"),
        (fakes.Salesforce, "salesforce"),
        (fakes.Zendesk, "zendesk"),
        (fakes.Stripe, "stripe"),
        (fakes.Rest, "rest"),
    ):
        with fakes.serving(maker()) as fake:
            filled(fake, {"77": {"email": "private.person@a.test", "name": "Ann"}})
            run = company(tmp_path / kind, document(kind, fake.url))
            correct(run, [("77", "email", "private.person@a.test", "INVALID"), ("77", "name", "Ann", "INVALID")])
            outcome = delivered(run)
            fake.fault = lambda writes: "401"
            correct(run, [("77", "mrr", "", "1")])
            outcome2 = delivered(run)
            written = repr(rows_of(run, run.tables.attempt)) + repr(outcome) + repr(outcome2)
            for hidden in ("private.person", fakes.SECRET):
                assert hidden not in written.replace("source_key", "")
    told = caplog.text + "".join(capfd.readouterr())
    assert fakes.SECRET not in told
    assert "private.person" not in told
    assert "api-usage" not in told


def test_a_secret_shows_itself_to_nobody() -> None:
    secret = Secret("TOOL_TOKEN", fakes.SECRET)
    assert fakes.SECRET not in f"{secret} {secret!r} {vars(secret).keys()}"


@given(st.text(min_size=4, max_size=40), st.text(min_size=4, max_size=40))
def test_a_message_never_repeats_what_was_told(observed: str, told: str) -> None:
    write = Write("name", "name", observed, told, 1, 1)
    record = Record(SOURCE, "key-1", (write,))
    said = scrubbed(f'the value {told} is not like {observed}: "{told}"', record)
    for value in (observed, told):
        if value.strip() and value.strip() not in "the value is not like : …":
            assert value not in said
    assert scrubbed(f"bad {told}", record.only([Write("e", "e", observed, told, 1, 1, personal=True)])) == ""


def test_a_code_is_a_word_or_nothing() -> None:
    assert code_of("INVALID_EMAIL_ADDRESS") == "INVALID_EMAIL_ADDRESS"
    assert code_of("ann@a.test") == ""
    assert code_of("x" * 61) == ""
    assert code_of({"a": 1}) == ""


def test_the_idempotency_key_names_record_fields_and_wanted_texts() -> None:
    one = Record(SOURCE, "1", (Write("a", "a", "x", "y", 1, 1), Write("b", "b", None, "z", 1, 1)))
    assert one.idempotency_key == one.only(one.writes[::-1]).idempotency_key
    others = [
        Record(SOURCE, "2", one.writes), one.only(one.writes[:1]),
        one.only([Write("a", "a", "x", "Y", 1, 1), one.writes[1]]), one.only([Write("a", "a", "x", "y", 2, 1), one.writes[1]]),
    ]  # fmt: skip
    assert len({record.idempotency_key for record in [one, *others]}) == 5
    observed_only = one.only([Write("a", "a", "other", "y", 1, 1), one.writes[1]])
    assert observed_only.idempotency_key == one.idempotency_key


@pytest.mark.parametrize(
    ("one", "other", "stored", "equal"),
    [
        (None, "", Stored.text, True), ("12.50", "12.5", Stored.decimal, True), ("12.50", "12.5", Stored.text, False),
        ("true", "Yes", Stored.boolean, True), ("false", "true", Stored.boolean, False), ("A", "a", Stored.text, False),
        ("2026-01-01T00:00:00.000+0000", "2026-01-01T00:00:00Z", Stored.timestamp, True),
        ("1767225600000", "2026-01-01", Stored.date, True), ("x", None, Stored.decimal, False), ("nan", "nan", Stored.decimal, True),
        ("1e400", "1e401", Stored.decimal, False),
    ],
)  # fmt: skip
def test_texts_that_say_the_same(one: str | None, other: str | None, stored: Stored, equal: bool) -> None:
    assert same(one, other, stored) is equal
    assert same(other, one, stored) is equal


@given(st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-(10**12), max_value=10**12))
def test_a_number_in_json_is_the_same_number(number: Any) -> None:
    value = json_value(str(number), Stored.decimal)
    assert same(json.dumps(value).strip('"'), str(number), Stored.decimal)


def test_a_blank_is_null_and_never_zero() -> None:
    assert json_value("", Stored.decimal) is None
    assert json_value("", Stored.text) is None
    assert json_value("true", Stored.text) == "true"
    assert json_value("NaN", Stored.decimal) == "NaN"


def test_files_are_handed_over_once_they_are_there(tmp_path: Path) -> None:
    run = company(tmp_path, document("files"))
    correct(run, wanted(2))
    assert delivered(run).counts["failed"] == 2
    folder = run.settings.outbox / "tool"
    folder.mkdir(parents=True)
    (folder / f"1-{SOURCE}.csv").write_text("x")
    assert delivered(later(run)).counts["accepted"] == 2
    assert set(states(run).values()) == {"delivered"}


def test_a_table_is_merged_by_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{tmp_path / 'inbox.db'}"
    monkeypatch.setenv("INBOX_URL", url)
    run = company(tmp_path / "home", document("table", secret="INBOX_URL"))
    correct(run, wanted(3))
    assert delivered(run).counts["accepted"] == 3
    with run.engine.begin() as connection:
        connection.execute(sa.update(run.tables.correction).values(state="superseded"))
        connection.execute(sa.delete(run.tables.staged[SOURCE]))
    correct(run, [("id1", "name", "A", "C")], proposed_in=2)
    assert delivered(later(run)).counts["accepted"] == 1
    assert delivered(later(run)).counts["planned"] == 0
    with sa.create_engine(url).begin() as connection:
        rows = connection.execute(sa.select(inbox("inbox").c["source_key", "wanted"]).order_by("source_key")).fetchall()
    assert [tuple(row) for row in rows] == [("id0", "B0"), ("id1", "C"), ("id2", "B2")]
    monkeypatch.setenv("INBOX_URL", "nonsense://u:hunter2@h/x")
    correct(run, [("id9", "name", "A", "C")])
    (fault,) = delivered(later(run)).faults
    assert fault.code == "delivery-unreachable"
    assert "hunter2" not in str(fault)


def test_where_it_is_delivered_makes_nothing_be_staged_or_resolved_again() -> None:
    one, other = document("hubspot", "http://a.test"), document("rest", "http://b.test", live=False, max_rows=3)
    assert one.fingerprint == other.fingerprint
    assert one.source_fingerprint(SOURCE) == other.source_fingerprint(SOURCE)


def faults_of(**target: Any) -> set[str]:
    base: dict[str, Any] = {"kind": "hubspot", "live": True, "secret": "X"}
    ownership = document("hubspot", "https://a.test")
    raw = ownership.model_dump(mode="json", by_alias=True, exclude_unset=True)
    raw["systems"]["tool"]["target"] = {**base, **target}
    return {
        fault.code
        for fault in lint(type(ownership).model_validate(raw))
        if fault.code.startswith(("target", "setting"))
    }


def test_lint_of_targets() -> None:
    assert faults_of() == set()
    assert faults_of(secret=None) == {"target-incomplete"}
    assert faults_of(kind="zendesk") == {"target-incomplete"}
    assert faults_of(kind="zendesk", live=False) == set()
    assert faults_of(auth="header") == {"target-incomplete"}
    assert faults_of(url="http://a.test") == {"target-host"}
    assert faults_of(url="http://a.test", insecure=True) == set()
    assert faults_of(url="https://a.test", hosts=["b.test"]) == {"target-host"}
    assert faults_of(url="https://${TOOL_HOST}") == {"target-host"}
    assert faults_of(url="https://${TOOL_HOST}", live=False) == set()
    assert faults_of(url="https://${TOOL_HOST}", hosts=["b.test"]) == set()
    assert faults_of(kind="rest", url="https://a.test") == {"target-rest"}
    assert faults_of(kind="rest", url="https://a.test", rest={"path": "/x/{who}"}) == {"target-rest"}
    assert faults_of(kind="rest", url="https://a.test", rest={"path": "/x/{id}", "batch": 5}) == {"target-rest"}
    assert faults_of(rest={"path": "/x"}) == {"setting-without-effect"}


def test_lint_of_sources_of_a_target() -> None:
    raw = document("hubspot", "https://a.test").model_dump(mode="json", by_alias=True, exclude_unset=True)
    model = type(document("files"))

    def codes(**changes: Any) -> set[str]:
        source = {**raw["sources"][SOURCE], **changes}
        changed = model.model_validate({**raw, "sources": {**raw["sources"], SOURCE: source}})
        return {fault.code for fault in lint(changed) if fault.code.startswith(("target", "setting"))}

    assert codes() == set()
    assert codes(target=None) == {"target-object"}
    assert codes(target=None, accepts=[]) == set()
    assert codes(key=["id", "mrr"]) >= {"target-key"}
    assert codes(target={"object": "contacts", "upsert": True}) == {"target-key"}
    assert codes(accepts=["email"], target={"object": "contacts", "fields": {"name": "n"}}) == {
        "setting-without-effect"
    }


def test_nothing_heavy_is_imported_for_a_plain_command() -> None:
    import subprocess
    import sys

    code = (
        "import sys, sor_pipeline.cli, sor_pipeline.flow; print([m for m in ('httpx', 'tenacity') if m in sys.modules])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said.strip() == "[]"


def test_a_spreadsheet_calculates_nothing_in_the_outbox(tmp_path: Path) -> None:
    import polars as pl

    from sor_pipeline.correct import outbox

    texts = ["=1+1", "+49", "-5", "@x", "\tx", "\rx", "plain", "'", "", None]
    rows = pl.DataFrame({"wanted": texts}).to_arrow()
    outbox.write(tmp_path, SOURCE, 1, rows, safe=True)
    outbox.write(tmp_path, SOURCE, 2, rows)
    safe, plain = (
        pl.read_csv(tmp_path / "tool" / f"{n}-{SOURCE}.csv", infer_schema=False)["wanted"].to_list() for n in (1, 2)
    )
    assert safe == ["'=1+1", "'+49", "'-5", "'@x", "'\tx", "'\rx", "plain", "'", "", None]
    assert plain == texts
    lines = (tmp_path / "tool" / f"1-{SOURCE}.jsonl").read_text().splitlines()
    assert [json.loads(line)["wanted"] for line in lines] == texts


def test_every_engine_delivers_alike(tmp_path: Path, engine_url: str) -> None:
    from sor_pipeline.engine.open import open_engine
    from sor_pipeline.run import Run
    from sor_pipeline.settings import Settings
    from sor_pipeline.tables import SCHEMAS, Tables
    from sor_pipeline_tests.published_world import DAY_ONE

    with fakes.serving(fakes.HubSpot()) as fake:
        filled(fake, people(120))
        fake.store["id7"]["name"] = "person"
        ownership = document("hubspot", fake.url, max_rows=100)
        tables = Tables(ownership)
        settings = Settings.read(
            {"SOR_WAREHOUSE_URL": engine_url}, ownership=tmp_path / "o.yaml", home=tmp_path / "home"
        )
        engine = open_engine(engine_url, [tmp_path])
        engine.create(tables.metadata, SCHEMAS)
        run = Run(ownership, engine, tables, settings, DAY_ONE)
        with engine.begin() as connection:
            connection.execute(sa.insert(tables.publication).values(publication=1, fingerprint=ownership.fingerprint))
        correct(run, wanted(120))
        target = ownership.systems["tool"].target
        assert target is not None
        assert [fault.code for fault in delivered(run).faults] == ["delivery-over-cap"]
        name = plans.planned(run, "tool", target).name
        accept(run, f"delivery:tool:{name}", "me", "because", {}, {"tool": name})
        faults = ["drop-after", "500"]
        fake.fault = lambda writes: faults.pop() if writes and faults else ""
        assert delivered(run).counts["accepted"] == 119
        assert states(run)["id7", "name"] == "superseded"
        stop_now(run.settings, "tool", "me", "enough")
        assert stop(run, "tool") == 1
        assert start(run, "tool", "me", "on") == 2
        engine.close()


@pytest.mark.parametrize("rest", [{"read": "/persons/{id}", "path": "/people/{id}"}, {"path": "/persons/{id}"}])
def test_a_wrong_path_refuses_nothing_for_good(tmp_path: Path, rest: dict[str, str]) -> None:
    described = {"body": {"data": "{fields}"}, "values": "data", "success": {"ok": True}, "error_code": "none", **rest}
    with fakes.serving(fakes.Rest()) as fake:
        honest = fake.answer

        def answer(method: str, path: str, query: Any, body: Any, headers: Any) -> Any:
            return honest(method, path, query, body, headers) if path.startswith("/people/") else (404, None, {})

        fake.answer = answer  # type: ignore[method-assign]
        filled(fake, people(30))
        run = company(tmp_path, document("rest", fake.url, rest=described))
        correct(run, wanted(30))
        (fault,) = delivered(run).faults
        assert (fault.code, len(fake.calls)) == ("delivery-doubted", 10)
        assert "30 corrections wait" in fault.what
        assert set(states(run).values()) == {"proposed"}
        assert {row[3] for row in attempts(run)} == {"failed"}
        good = replace(run, ownership=document("rest", fake.url))
        with good.engine.held():
            assert not delivered(later(good)).faults
        assert set(states(run).values()) == {"delivered"}


def test_a_few_records_that_are_gone_are_refused_as_before(tmp_path: Path) -> None:
    with fakes.serving(fakes.Rest()) as fake:
        filled(fake, {"id29": {"name": "A"}})
        run = company(tmp_path / "one", document("rest", fake.url))
        correct(run, [*wanted(5), ("id29", "name", "A", "B")])
        assert delivered(run).counts["refused"] == 5
        assert sorted(states(run).values()) == ["delivered", *["refused"] * 5]
        run = company(tmp_path / "other", document("rest", fake.url))
        correct(run, wanted(5))
        assert (delivered(run).counts["refused"], set(states(run).values())) == (5, {"refused"})


@pytest.mark.parametrize("status", [405, 415])
def test_a_request_that_is_never_taken_refuses_nothing(tmp_path: Path, status: int) -> None:
    with fakes.serving(fakes.Rest()) as fake:
        filled(fake, people(3))
        honest = fake.answer
        fake.answer = lambda method, *rest: honest(method, *rest) if method == "GET" else (status, {}, {})  # type: ignore[method-assign]
        run = company(tmp_path, document("rest", fake.url))
        correct(run, wanted(3))
        (fault,) = delivered(run).faults
        assert (fault.code, fault.found) == ("delivery-unreachable", str(status))
        assert set(states(run).values()) == {"proposed"}


@pytest.mark.parametrize("secret", ["sécret", "one\ntwo"])
def test_a_secret_that_no_header_can_hold_is_told_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    monkeypatch.setenv("TOOL_TOKEN", secret)
    run = company(tmp_path, document("hubspot", "http://127.0.0.1:9"))
    correct(run, wanted(1))
    (fault,) = delivered(run).faults
    assert (fault.code, fault.found) == ("delivery-denied", "unusable")
    assert "TOOL_TOKEN" in fault.what
    assert secret not in repr(fault)


def test_a_stop_names_its_system(tmp_path: Path) -> None:
    run = company(tmp_path, document("hubspot", "http://127.0.0.1:9"))
    correct(run, wanted(1))
    stop_now(run.settings, "tool", "me", "because")
    (fault,) = delivered(run).faults
    assert "sor target start tool" in fault.todo
