"""Cases: what no rule settles is opened once, handed over, escalated, closed when it is gone, and opened again."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from sor_pipeline import cli
from sor_pipeline.errors import DecisionRefused, PublicationBlocked
from sor_pipeline.flow import STEPS, opened, pass_through
from sor_pipeline.observe.cases import by_kind, waiting
from sor_pipeline.ownership.document import Ownership
from sor_pipeline.ownership.lint import lint
from sor_pipeline.run import Outcome, Run
from sor_pipeline.settings import Settings
from sor_pipeline.steward import step, verbs
from sor_pipeline.terminal.casework import show_cases
from sor_pipeline.terminal.paper import Paper
from sor_pipeline_tests.flow_world import DOCUMENT

NOW = datetime(2026, 3, 1, 12)
DAY = timedelta(days=1)
SPEC = {
    "stewards": {"ops": {"title": "Operations"}, "sales": {}, "boss": {}},
    "escalation": [
        {"kinds": ["conflict"], "entity": "contact", "field": "name", "to": ["sales", "boss"], "within": "2 days"},
        {"kinds": ["conflict", "broken"], "to": ["ops", "sales", "boss"], "within": "1 day"},
        {"system": "mail", "to": ["ops"]},
    ],
    "cases": {"conflict": {"after": "3 days", "number": 4}},
}


def document(**changes: Any) -> Ownership:
    spec = DOCUMENT.model_dump(mode="json", by_alias=True) | SPEC | changes
    spec["systems"] = {"crm": {"steward": "ops"}, "mail": {}}
    spec["entities"]["account"]["steward"] = "Ann, of accounts"
    return Ownership.model_validate(spec)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    place = Settings.read({}, ownership=tmp_path / "ownership.yaml", home=tmp_path / "home", extracts=tmp_path)
    with opened(document(), place, NOW) as hands:
        write(hands, hands.tables.publication, publication=1, published_at=NOW)
        yield hands


def write(run: Run, table: sa.Table, **values: Any) -> None:
    with run.engine.begin() as connection:
        connection.execute(sa.insert(table).values(**values))


def empty(run: Run, table: sa.Table) -> None:
    with run.engine.begin() as connection:
        connection.execute(sa.delete(table))


def conflict(run: Run, field: str = "name", number: int = 1, entity: str = "contact") -> None:
    for one in range(number):
        write(run, run.tables.conflict, entity=entity, entity_id=f"e{one}", field=field, source="mail.members",
              source_key=str(one), opened_in=1, kind="differs", system="mail", owner="crm")  # fmt: skip


def at(run: Run, moment: datetime) -> Outcome:
    return step.run(dataclasses.replace(run, now=moment))


def cases(run: Run) -> list[dict[str, Any]]:
    with run.engine.begin() as connection:
        rows = connection.execute(sa.select(run.tables.case).order_by(run.tables.case.c.kind, run.tables.case.c.field))
        return [dict(row) for row in rows.mappings().fetchall()]


def events(run: Run) -> list[tuple[Any, ...]]:
    table = run.tables.case_event
    with run.engine.begin() as connection:
        return [tuple(row) for row in connection.execute(
            sa.select(table.c.kind, table.c.to, table.c.by).order_by(table.c.case_id, table.c.number)
        ).fetchall()]  # fmt: skip


# when something is a case


def test_a_conflict_is_a_case_when_it_is_old_or_when_there_are_many(run: Run) -> None:
    conflict(run, "name", 2)
    conflict(run, "email", 4)
    assert at(run, NOW + 2 * DAY).counts["open"] == 1
    assert [one["field"] for one in cases(run)] == ["email"]
    assert at(run, NOW + 3 * DAY).counts["opened"] == 1
    told = {(one["field"], one["system"], one["rule"], json.loads(one["evidence"])["open"]) for one in cases(run)}
    assert told == {("email", "mail", "crm", 4), ("name", "mail", "crm", 2)}


def test_a_share_of_what_the_system_says(tmp_path: Path) -> None:
    place = Settings.read({}, ownership=tmp_path / "ownership.yaml", home=tmp_path / "home", extracts=tmp_path)
    limits = {"conflict": {"after": None, "share": 0.5}}
    with opened(document(cases=limits), place, NOW) as hands:
        write(hands, hands.tables.publication, publication=1, published_at=NOW)
        for field, said in (("name", 4), ("email", 5)):
            conflict(hands, field, 2)
            write(hands, hands.tables.published_claims, publication=1, entity="contact", field=field,
                  source="mail.members", system="mail", records=said, values=said)  # fmt: skip
        assert at(hands, NOW + 99 * DAY).counts["opened"] == 1
        assert [one["field"] for one in cases(hands)] == ["name"]


def everything(run: Run) -> None:
    """One of each kind that the step makes."""
    tables = run.tables
    conflict(run, "name", 4)
    write(run, tables.held, entity="contact", entity_id="e1", field="country", expectation="country.of")
    write(run, tables.finding, entity="account", expectation="name.required", field="name", severity="block",
          passed=False, failed=3, checked=9)  # fmt: skip
    write(run, tables.refusal, source="crm.contacts", delivered_as="a.csv", code="duplicate-header")
    write(run, tables.batch, source="mail.members", batch="b1", as_of=NOW)
    write(run, tables.broken, source="mail.members", source_key="x", field="name", reverts=2, since=1, history="[1]")
    for state, key, proposed in (("refused", "x", 1), ("refused", "y", 1), ("proposed", "y", 2), ("proposed", "z", 1)):
        write(run, tables.correction, source="mail.members", source_key=key, field="email", proposed_in=proposed,
              system="mail", column="email", entity="contact", state=state)  # fmt: skip
    word = {"entity": "contact", "field": "name", "source": "crm.contacts", "source_key": "1"}
    write(run, tables.override, number=1, kind="set", type="name", until="date", **word)
    write(run, tables.override, number=2, kind="end", ends=1, by="sor", outcome="date", **word)
    write(run, tables.override, number=3, kind="set", type="name", until="date", **word | {"source_key": "9"})


def test_every_kind_is_routed_and_says_what_it_is_about(run: Run) -> None:
    everything(run)
    assert at(run, NOW + 8 * DAY).counts["opened"] == 10
    told = {
        (one["kind"], one["rule"]): (one["entity"], one["field"], one["system"], one["source"], one["steward"])
        for one in cases(run)
    }
    assert told == {
        ("conflict", "crm"): ("contact", "name", "mail", None, "sales"),
        ("held", "country.of"): ("contact", "country", None, None, "ops"),
        ("blocked", "name.required"): ("account", "name", None, None, "Ann, of accounts"),
        ("refused_extract", "duplicate-header"): ("contact", None, "crm", "crm.contacts", "ops"),
        ("refused_extract", "not-staged"): ("contact", None, "mail", "mail.members", "ops"),
        ("broken", None): ("contact", "name", "mail", "mail.members", "ops"),
        ("refused_correction", None): ("contact", "email", "mail", "mail.members", "ops"),
        ("unsent", "waiting"): ("contact", None, "mail", "mail.members", "ops"),
        ("expired_override", "date"): ("contact", "name", None, "crm.contacts", "ops"),
        ("expired_override", "resting"): ("contact", "name", None, "crm.contacts", "ops"),
    }  # fmt: skip
    for one in cases(run):
        assert isinstance(json.loads(one["evidence"]), dict)


def test_the_same_on_postgresql(tmp_path: Path, postgres_url: str) -> None:
    variables = {"SOR_WAREHOUSE_URL": postgres_url}
    place = Settings.read(variables, ownership=tmp_path / "ownership.yaml", home=tmp_path / "home", extracts=tmp_path)
    with opened(document(), place, NOW) as hands:
        write(hands, hands.tables.publication, publication=1, published_at=NOW)
        everything(hands)
        assert at(hands, NOW + 8 * DAY).counts["opened"] == 10
        assert at(hands, NOW + 12 * DAY).counts["escalated"] == 2
        for table in (hands.tables.conflict, hands.tables.held):
            empty(hands, table)
        assert at(hands, NOW + 12 * DAY).counts["closed"] == 2
        case_id = next(one["case_id"] for one in cases(hands) if one["kind"] == "broken")
        verbs.close(hands, case_id, verbs.Outcome.retry, "jo", "why")


def test_run_again_it_changes_nothing(run: Run) -> None:
    everything(run)
    at(run, NOW)
    before = (cases(run), events(run))
    counts = at(run, NOW).counts
    assert (cases(run), events(run)) == before
    assert not any(counts[name] for name in ("opened", "reopened", "closed", "escalated", "notified"))


def test_a_publication_that_stops_for_its_ids_is_a_case(run: Run) -> None:
    write(run, run.tables.affected, entity="contact", entity_id="e1", cause="identity")
    at(run, NOW)
    assert [(one["kind"], one["rule"], one["entity"]) for one in cases(run)] == [("blocked", "churn", "contact")]


def test_it_runs_after_a_publication_that_was_blocked(run: Run) -> None:
    def blocked(_run: Run, _scope: str) -> Outcome:
        raise PublicationBlocked

    steps = tuple(
        dataclasses.replace(one, run=blocked) if one.name == "publish" else one
        for one in STEPS
        if one.name in ("publish", "correct", "steward", "observe")
    )
    write(
        run,
        run.tables.finding,
        entity="account",
        expectation="name.required",
        field="name",
        severity="block",
        passed=False,
    )
    passage = pass_through(run, steps)
    assert (passage.state, [one.step for one in passage.done]) == ("blocked", ["publish", "steward"])
    assert [one["kind"] for one in cases(run)] == ["blocked"]


# gone, back, closed by a person


def test_a_case_closes_when_what_it_is_about_is_gone_and_opens_again_under_its_own_number(run: Run) -> None:
    conflict(run, number=4)
    at(run, NOW)
    first = cases(run)[0]
    empty(run, run.tables.conflict)
    assert at(run, NOW + DAY).counts["closed"] == 1
    assert (cases(run)[0]["outcome"], cases(run)[0]["gone_in"]) == ("gone", 1)
    conflict(run, number=4)
    assert at(run, NOW + 2 * DAY).counts["reopened"] == 1
    again = cases(run)[0]
    assert (again["case_id"], again["closed_in"], again["outcome"], again["due_at"]) == (
        first["case_id"], None, None, NOW + 4 * DAY,
    )  # fmt: skip
    assert [kind for kind, *_ in events(run)] == ["open", "close", "reopen"]


def test_what_a_person_closed_stays_closed_until_it_was_gone(run: Run) -> None:
    conflict(run, number=4)
    at(run, NOW)
    verbs.close(run, cases(run)[0]["case_id"], verbs.Outcome.accepted, "jo", "so be it")
    conflict(run, number=2)
    assert at(run, NOW + 9 * DAY).counts["open"] == 0
    empty(run, run.tables.conflict)
    at(run, NOW + 10 * DAY)
    assert (cases(run)[0]["outcome"], cases(run)[0]["gone_in"]) == ("accepted", 1)
    conflict(run, number=4)
    assert at(run, NOW + 11 * DAY).counts["reopened"] == 1
    assert [event[::2] for event in events(run)] == [("open", "sor"), ("close", "jo"), ("reopen", "sor")]


def test_a_retry_is_what_the_breaker_reads(run: Run) -> None:
    everything(run)
    at(run, NOW)
    broken = next(one for one in cases(run) if one["kind"] == "broken")
    verbs.close(run, broken["case_id"][:6], verbs.Outcome.retry, "jo", "the tool was mended")
    now = next(one for one in cases(run) if one["kind"] == "broken")
    assert (now["outcome"], now["closed_in"], now["source"], now["source_key"], now["field"]) == (
        "retry",
        1,
        "mail.members",
        "x",
        "name",
    )


# hands


def test_overdue_cases_go_along_the_path_and_stay_with_the_last(run: Run) -> None:
    conflict(run, "email", 4)
    counts = [at(run, NOW + hours * timedelta(hours=1)).counts for hours in (0, 24, 25, 49, 50, 75, 999)]
    assert [one["escalated"] for one in counts] == [0, 0, 1, 0, 1, 0, 0]
    assert [one["overdue"] for one in counts] == [0, 0, 0, 0, 0, 1, 1]
    assert [event[:2] for event in events(run)] == [("open", "ops"), ("escalate", "sales"), ("escalate", "boss")]
    assert (cases(run)[0]["level"], cases(run)[0]["steward"]) == (2, "boss")


def test_an_assigned_case_keeps_its_deadline_and_escalates_all_the_same(run: Run) -> None:
    conflict(run, "email", 4)
    at(run, NOW)
    verbs.assign(run, cases(run)[0]["case_id"], "jo", "ann", "knows it")
    assert (cases(run)[0]["steward"], cases(run)[0]["due_at"]) == ("jo", NOW + DAY)
    at(run, NOW + 2 * DAY)
    assert cases(run)[0]["steward"] == "sales"
    assert events(run) == [("open", "ops", "sor"), ("assign", "jo", "ann"), ("escalate", "sales", "sor")]


def test_what_cannot_be_meant_is_refused(run: Run) -> None:
    conflict(run, number=4)
    at(run, NOW)
    case_id = cases(run)[0]["case_id"]
    pair = {"case_id": "pair", "entity": "contact", "kind": "review", "opened_in": 1, "left_source": "crm.contacts", "left_key": "1",
                "right_source": "mail.members", "right_key": "x"}  # fmt: skip
    write(run, run.tables.case, **pair)
    close, done = verbs.close, verbs.Outcome.done
    for code, call in {
        "unknown-case": lambda: close(run, "nope", done, "jo", "why"),
        "unsigned-decision": lambda: close(run, case_id, done, "jo", " "),
        "nothing-to-retry": lambda: close(run, case_id, verbs.Outcome.retry, "jo", "why"),
        "case-needs-decision": lambda: close(run, "pair", done, "jo", "why"),
        "blank-word": lambda: verbs.assign(run, case_id, " ", "jo", ""),
    }.items():
        with pytest.raises(DecisionRefused) as raised:
            call()
        assert raised.value.faults[0].code == code
    close(run, case_id, done, "jo", "why")
    with pytest.raises(DecisionRefused) as raised:
        verbs.assign(run, case_id, "al", "jo", "")
    assert raised.value.faults[0].code == "case-closed"


def test_cases_about_records_are_routed_and_reviewed_as_before(run: Run) -> None:
    pair = {"case_id": "pair", "entity": "contact", "kind": "review", "opened_in": 1, "left_source": "crm.contacts", "left_key": "1",
                "right_source": "mail.members", "right_key": "x", "rule": "similar"}  # fmt: skip
    write(run, run.tables.case, **pair)
    everything(run)
    at(run, NOW)
    assert next(one for one in cases(run) if one["kind"] == "review")["steward"] == "ops"
    with run.engine.begin() as connection:
        assert [row.case_id for row in connection.execute(waiting(run.tables, "contact")).fetchall()] == ["pair"]
        assert [row.open for row in connection.execute(by_kind(run.tables)).fetchall()] == [1]


# the law: a case is open exactly while it is wanted, whoever was killed in between


@settings(max_examples=6, deadline=None)
@given(days=st.lists(st.sets(st.sampled_from(["name", "email", "country"])), min_size=1, max_size=5))
def test_open_is_what_there_is_to_look_at(tmp_path_factory: pytest.TempPathFactory, days: list[set[str]]) -> None:
    folder = tmp_path_factory.mktemp("law")
    place = Settings.read({}, ownership=folder / "ownership.yaml", home=folder / "home", extracts=folder)
    with opened(document(), place, NOW) as hands:
        write(hands, hands.tables.publication, publication=1, published_at=NOW)
        for number, fields in enumerate(days):
            empty(hands, hands.tables.conflict)
            for field in fields:
                conflict(hands, field, 4)
            for _ in range(2):
                at(hands, NOW + number * timedelta(hours=1))
            assert {one["field"] for one in cases(hands) if one["closed_in"] is None} == fields
        assert len(cases(hands)) == len({field for fields in days for field in fields})


# the document, the command line


def test_routes_that_can_never_fit_are_faults() -> None:
    routes = [
        {"kinds": ["conflict"], "to": ["ops", "nobody"]},
        {"kinds": ["conflict"], "entity": "contact", "to": ["ops"]},
        {"kinds": ["refused_extract"], "field": "email", "to": ["ops"]},
        {"entity": "account", "system": "mail", "to": ["ops"]},
        {"entity": "contact", "field": "nope", "to": ["ops", "ops"]},
    ]
    codes = {(fault.where, fault.code) for fault in lint(document(escalation=routes)) if "escalation" in fault.where}
    assert codes == {
        ("escalation.0.to.1", "unknown-steward"), ("escalation.1", "route-after-all"), ("escalation.2", "route-never-fits"),
        ("escalation.3", "route-never-fits"), ("escalation.4.field", "unknown-field"), ("escalation.4.to.1", "repeated-steward"),
    }  # fmt: skip
    spec = document().model_dump(mode="json", by_alias=True)
    spec["systems"]["steward"] = {}
    assert "reserved-system" in {fault.code for fault in lint(Ownership.model_validate(spec))}
    assert document().fingerprint == document(escalation=[], stewards={}).fingerprint


def test_the_commands(run: Run) -> None:
    import yaml

    conflict(run, number=4)
    at(run, NOW)
    case_id = cases(run)[0]["case_id"]
    place = run.settings
    place.ownership.write_text(yaml.safe_dump(_plain(place.ownership.parent)), encoding="utf-8")
    run.engine.close()

    def sor(*words: str) -> Any:
        found = CliRunner().invoke(cli.app, ["--ownership", str(place.ownership), "--home", str(place.home), *words])
        assert found.exception is None or isinstance(found.exception, SystemExit), found.exception
        return found

    assert "sales" in sor("cases").output
    assert json.loads(sor("cases", "--steward", "boss", "--json").stdout) == []
    assert "Next: sor conflicts --entity contact --field name" in sor("case", case_id).output
    assert sor("case", case_id, "assign").exit_code == 2
    assert sor("case", case_id, "--reason", "done with it").exit_code == 2, "a verb that was forgotten is told"


def _plain(_folder: Path) -> dict[str, Any]:
    return document().model_dump(mode="json", by_alias=True, exclude_defaults=True)


def test_a_conflict_about_a_field_that_nobody_owns_names_nobody(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    for one in range(4):
        write(run, run.tables.conflict, entity="contact", entity_id=f"e{one}", field="name", source="mail.members",
              source_key=str(one), opened_in=1, kind="differs", system="mail")  # fmt: skip
    at(run, NOW)
    show_cases(run, Paper(), None, None, False, 10)
    told = " ".join(capsys.readouterr().out.split())
    assert "contact.name," in told
    assert "None" not in told
    assert "against" not in told


def test_a_refused_correction_says_what_the_tool_said(run: Run) -> None:
    everything(run)
    for number, outcome, status in ((1, "failed", "429"), (2, "refused", "invalid_option")):
        write(run, run.tables.attempt, source="mail.members", source_key="x", field="email", proposed_in=1,
              attempt=number, system="mail", at=NOW, outcome=outcome, status=status)  # fmt: skip
    at(run, NOW + 8 * DAY)
    (one,) = (one for one in cases(run) if one["kind"] == "refused_correction")
    assert json.loads(one["evidence"]) == {"proposed_in": 1, "status": "invalid_option"}
