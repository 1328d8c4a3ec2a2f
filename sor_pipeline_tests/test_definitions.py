"""The Dagster shell: what it shows is the document's, what it does is the flow's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa

from sor_pipeline import flow
from sor_pipeline.check.suite import expectations
from sor_pipeline.definitions import build_defs
from sor_pipeline.defs import keys
from sor_pipeline.defs.cases import HOLDS, IN_TIME, TOLD
from sor_pipeline.defs.checks import check_name
from sor_pipeline.defs.columns import canonical_lineage, rules_in_words
from sor_pipeline.defs.deliveries import SENT, TAKEN, severity
from sor_pipeline.defs.jobs import WHOLE_FLOW
from sor_pipeline.defs.retention import FORGET, forget_before
from sor_pipeline.defs.schedules import cron
from sor_pipeline.defs.sources import ACCEPTED, BALANCED, CONTINUES
from sor_pipeline.defs.workplace import NOW_TAG, Workplace, reported
from sor_pipeline.errors import EngineError, Fault, OwnershipError, SourceStopped
from sor_pipeline.ownership.lint import load_checked
from sor_pipeline.run import Run
from sor_pipeline.settings import Settings

DOCUMENT = """
every: 6 hours
systems:
  crm:  {title: The CRM, role: record, steward: revops@acme.example}
  mail: {title: Mailer, role: engagement, steward: Marketing, target: {kind: files}}
entities:
  contact:
    owner: crm
    steward: data@acme.example
    match:
      - same: [email]
    fields:
      email: {type: email, required: true, unique: true, personal: true, severity: {required: hold}}
      full_name: {type: name, personal: true, fallback: [mail]}
      stage: {type: choice, of: [lead, customer]}
      account: {type: ref, to: account}
      opted_in:
        type: boolean
        owner: mail
        exceptions:
          - {when: "stage = 'lead'", owner: crm, reason: leads opt in by form}
  account:
    owner: crm
    fields:
      name: {type: name, required: true, severity: {required: block}}
      country: {type: country, description: Where it is.}
sources:
  crm.accounts:
    entity: account
    extract: {files: "crm/accounts-*.csv", mode: snapshot, every: day}
    key: id
    fields: {name: name, country: country}
  crm.contacts:
    entity: contact
    extract: {files: "crm/contacts-*.csv", mode: snapshot, every: day}
    key: id
    changed_at: modified
    fields:
      email: email
      full_name: {join: [first, last]}
      stage: {from: stage, codes: {Lead: lead, Customer: customer}}
      account: {from: account_id, refers_to: crm.accounts}
      opted_in: opt_in
    accepts: [email, opted_in]
  mail.members:
    entity: contact
    extract: {files: "mail/members-*.csv", mode: snapshot}
    key: id
    fields: {email: email, full_name: name, opted_in: subscribed}
    accepts: [full_name]
"""

ACCOUNTS = "id,name,country\na1,Larch Ltd,GB\na2,Birch GmbH,DE\n"
CONTACTS = """id,email,first,last,stage,account_id,opt_in,modified
c1,ann.hidden@larch.example,Ann,Hiddenname,Lead,a1,true,2024-01-01T00:00:00Z
c2,bob.hidden@birch.example,Bob,Hiddenname,Customer,a2,true,2024-01-01T00:00:00Z
"""
MEMBERS = """id,email,name,subscribed
m1,Ann.Hidden@larch.example,Anna Hiddenname,false
m2,bob.hidden@birch.example,Bob Hiddenname,false
"""
NOW = datetime(2024, 1, 2, 6)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A document and two days of nothing: extracts are written by the tests."""
    (tmp_path / "ownership.yaml").write_text(DOCUMENT)
    return at_home(tmp_path, "home")


def at_home(folder: Path, name: str) -> Settings:
    return Settings.read({}, ownership=folder / "ownership.yaml", home=folder / name, extracts=folder)


def deliver(settings: Settings, name: str, text: str) -> Path:
    path = settings.extracts / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    old = datetime(2024, 1, 1).timestamp() + len(text)
    os.utime(path, (old, old))
    return path


def deliver_all(settings: Settings) -> None:
    deliver(settings, "crm/accounts-20240101.csv", ACCOUNTS)
    deliver(settings, "crm/contacts-20240101.csv", CONTACTS)
    deliver(settings, "mail/members-20240101.csv", MEMBERS)


def run_job(
    settings: Settings, instance: dg.DagsterInstance, job: str = WHOLE_FLOW, now: datetime = NOW
) -> dg.ExecuteInProcessResult:
    resolved = build_defs(settings).resolve_job_def(job)
    return resolved.execute_in_process(instance=instance, raise_on_error=False, tags={NOW_TAG: now.isoformat()})


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


def rows(settings: Settings, schema: str) -> dict[str, list[tuple[object, ...]]]:
    """All rows of all tables of a schema, in order."""
    with flow.opened(load_checked(settings.ownership), settings, NOW) as run:
        return {table.name: _rows(run, table) for table in run.tables.metadata.sorted_tables if table.schema == schema}


def _rows(run: Run, table: sa.Table) -> list[tuple[object, ...]]:
    with run.engine.begin() as connection:
        return sorted((tuple(row) for row in connection.execute(sa.select(table)).fetchall()), key=repr)


# --- what the document says --------------------------------------------------------------------


def specs_of(settings: Settings) -> dict[dg.AssetKey, dg.AssetSpec]:
    return {spec.key: spec for spec in build_defs(settings).resolve_all_asset_specs()}


def test_every_step_of_the_flow_is_drawn_in_its_order(settings: Settings) -> None:
    specs = specs_of(settings)
    groups = [*dict.fromkeys(keys.GROUPS[step.name] for step in flow.STEPS), keys.REPORT]
    assert groups == sorted(groups)
    assert {spec.group_name for spec in specs.values()} == set(groups)
    for spec in specs.values():
        for dep in spec.deps:
            assert str(specs[dep.asset_key].group_name) < str(spec.group_name), (dep, spec.key)
    words = " ".join(groups)
    assert all(step.name in words for step in flow.STEPS)


def test_leaf_names_are_unique(settings: Settings) -> None:
    leaves = [key.path[-1] for key in specs_of(settings)]
    assert len(leaves) == len(set(leaves))


def test_one_asset_per_source_entity_and_accepting_system(settings: Settings) -> None:
    ownership = load_checked(settings.ownership)
    expected = {key(source) for source in ownership.sources for key in (keys.landed, keys.staged)}
    expected |= {
        key(entity) for entity in ownership.entities for key in (keys.identity, keys.canonical, keys.conformed)
    }
    expected |= {keys.corrections("crm"), keys.corrections("mail"), keys.published_together(), keys.observed()}
    expected |= {keys.deliveries("mail"), keys.cases(), keys.SCORECARD}
    assert set(specs_of(settings)) == expected


def test_every_expectation_is_an_asset_check(settings: Settings) -> None:
    ownership = load_checked(settings.ownership)
    found = {(key.asset_key, key.name) for key in build_defs(settings).resolve_asset_graph().asset_check_keys}
    expected = {
        (keys.canonical(entity), check_name(one))
        for entity in ownership.entities
        for one in expectations(ownership, entity)
    }
    expected |= {(keys.landed(source), ACCEPTED) for source in ownership.sources}
    expected |= {(keys.staged(source), name) for source in ownership.sources for name in (BALANCED, CONTINUES)}
    expected |= {(keys.deliveries("mail"), name) for name in (SENT, TAKEN)}
    expected |= {(keys.cases(), name) for name in (IN_TIME, HOLDS, TOLD)}
    assert found == expected


def test_owners_kinds_and_words_come_from_the_document(settings: Settings) -> None:
    specs = specs_of(settings)
    assert specs[keys.landed("crm.contacts")].owners == ["revops@acme.example"]
    assert specs[keys.landed("mail.members")].owners == ["team:Marketing"]
    assert specs[keys.conformed("contact")].owners == ["data@acme.example"]
    assert specs[keys.conformed("account")].owners == ["revops@acme.example"]
    assert specs[keys.landed("crm.contacts")].kinds == {"crm", "csv"}
    assert "The CRM" in str(specs[keys.corrections("crm")].description)


def test_freshness_and_schedule_follow_every(settings: Settings) -> None:
    specs = specs_of(settings)
    assert specs[keys.landed("crm.contacts")].freshness_policy == dg.FreshnessPolicy.time_window(
        timedelta(days=2), timedelta(hours=30)
    )
    assert specs[keys.landed("mail.members")].freshness_policy is None
    assert specs[keys.conformed("contact")].freshness_policy is not None
    schedules = {one.job_name: one for one in build_defs(settings).get_repository_def().schedule_defs}
    assert set(schedules) == {WHOLE_FLOW, FORGET}
    assert all(one.default_status is dg.DefaultScheduleStatus.STOPPED for one in schedules.values())
    schedule = schedules[WHOLE_FLOW]
    assert schedule.cron_schedule == "0 */6 * * *"
    moment = datetime(2024, 1, 1, 6, tzinfo=UTC)
    data = schedule.evaluate_tick(dg.build_schedule_context(scheduled_execution_time=moment))
    assert len(data.run_requests or []) == 1


@pytest.mark.parametrize(
    ("every", "expected"),
    [
        (timedelta(minutes=1), "* * * * *"),
        (timedelta(minutes=7), "*/6 * * * *"),
        (timedelta(minutes=15), "*/15 * * * *"),
        (timedelta(minutes=59), "*/30 * * * *"),
        (timedelta(hours=1), "0 * * * *"),
        (timedelta(hours=5), "0 */4 * * *"),
        (timedelta(days=1), "0 5 * * *"),
        (timedelta(days=3), "0 5 * * *"),
        (timedelta(weeks=1), "0 5 * * 1"),
        (timedelta(days=30), "0 5 1 * *"),
        (timedelta(days=365), "0 5 1 * *"),
    ],
)
def test_a_duration_as_a_cron_line(every: timedelta, expected: str) -> None:
    assert cron(every) == expected


def test_lineage_names_only_sources_that_can_speak(settings: Settings) -> None:
    lineage = canonical_lineage(load_checked(settings.ownership), "contact").deps_by_column
    crm, mail = keys.staged("crm.contacts"), keys.staged("mail.members")
    assert {dep.asset_key for dep in lineage["email"]} == {crm}
    assert {dep.asset_key for dep in lineage["full_name"]} == {crm, mail}
    assert {dep.asset_key for dep in lineage["opted_in"]} == {mail, crm}
    assert "when `stage = 'lead'` (leads opt in by form)" in rules_in_words(load_checked(settings.ownership), "contact")


def test_column_schema_is_the_tables(settings: Settings) -> None:
    metadata = specs_of(settings)[keys.conformed("contact")].metadata
    schema = metadata["dagster/column_schema"]
    columns = {column.name: column for column in schema.columns}
    assert list(columns) == ["contact_id", "email", "full_name", "stage", "account", "opted_in"]
    assert columns["email"].tags == {"personal": ""}
    assert not columns["email"].constraints.nullable
    assert not columns["email"].constraints.unique, "only warned of"


def test_the_system_job_holds_its_sources_and_all_that_follows(settings: Settings) -> None:
    job = build_defs(settings).resolve_job_def("flow_of_mail")
    chosen = set(job.asset_layer.executable_asset_keys) & set(job.asset_layer.selected_asset_keys)
    assert keys.staged("mail.members") in chosen
    assert keys.staged("crm.contacts") not in chosen
    assert {keys.conformed("account"), keys.conformed("contact"), keys.corrections("crm")} <= chosen
    assert {keys.deliveries("mail"), keys.cases(), keys.observed()} <= chosen


def test_every_op_is_in_the_pool_and_runs_in_process(settings: Settings) -> None:
    job = build_defs(settings).resolve_job_def(WHOLE_FLOW)
    assert {node.definition.pool for node in job.nodes if isinstance(node.definition, dg.OpDefinition)} == {keys.POOL}
    assert job.executor_def.name == "in_process"
    asked = build_defs(replace(settings, processes=4)).resolve_job_def(WHOLE_FLOW)
    assert asked.executor_def.name == "in_process", "a DuckDB file has one writer"


def test_on_a_server_sources_are_worked_on_at_once_and_all_else_alone(settings: Settings) -> None:
    served = replace(settings, warehouse_url="postgresql+psycopg://sor@localhost/sor")
    one, several = (build_defs(replace(served, processes=n)).resolve_job_def(WHOLE_FLOW) for n in (1, 4))
    assert (one.executor_def.name, several.executor_def.name) == ("in_process", "several_processes")
    pools = {
        node.definition.name: node.definition.pool
        for node in several.nodes
        if isinstance(node.definition, dg.OpDefinition)
    }
    assert {pool for name, pool in pools.items() if name.startswith(("extract__", "stage__"))} == {None}
    kinds = set().union(*(spec.kinds for spec in specs_of(served).values()))
    assert "postgres" in kinds
    assert "duckdb" not in kinds
    assert {pool for name, pool in pools.items() if not name.startswith(("extract__", "stage__"))} == {keys.POOL}


def test_the_demo_document_loads() -> None:
    document = Path(flow.__file__).parent / "demo" / "ownership.yaml"
    if not document.exists():
        pytest.skip("no demo document")
    dg.Definitions.validate_loadable(build_defs(Settings.read({}, ownership=document)))


def test_a_broken_document_is_told_in_its_own_words(settings: Settings) -> None:
    settings.ownership.write_text(DOCUMENT.replace("owner: mail", "owner: mial"))
    with pytest.raises(OwnershipError, match=r"mial"):
        build_defs(settings)
    settings.ownership.unlink()
    with pytest.raises(OwnershipError, match=r"document-missing"):
        build_defs(settings)


# --- what runs ---------------------------------------------------------------------------------


@dataclass
class Story:
    """One state folder through four runs; tables and the published file as they were after each."""

    settings: Settings
    instance: dg.DagsterInstance
    results: dict[str, dg.ExecuteInProcessResult] = field(default_factory=dict)
    conformed: dict[str, dict[str, list[tuple[object, ...]]]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    cases: dict[str, list[tuple[str, str, int | None]]] = field(default_factory=dict)

    def run(self, name: str, day: int) -> None:
        self.results[name] = run_job(self.settings, self.instance, now=NOW + timedelta(days=day))
        self.conformed[name] = rows(self.settings, "conformed")
        self.files[name] = self.settings.conformed.read_bytes()
        with (
            flow.reading(load_checked(self.settings.ownership), self.settings) as run,
            run.engine.begin() as connection,
        ):
            case = run.tables.case
            self.cases[name] = [
                tuple(row)
                for row in connection.execute(sa.select(case.c.kind, case.c.entity, case.c.closed_in)).fetchall()
            ]  # type: ignore[misc]

    def tags(self, name: str) -> dict[str, str]:
        run = self.instance.get_run_by_id(self.results[name].run_id)
        assert run is not None
        return dict(run.tags)

    def failed(self, name: str) -> dict[tuple[dg.AssetKey, str], dg.AssetCheckEvaluation]:
        evaluations = self.results[name].get_asset_check_evaluations()
        return {(one.asset_key, one.check_name): one for one in evaluations if not one.passed}

    def materialised(self, name: str) -> dict[dg.AssetKey, dg.AssetMaterialization]:
        events = self.results[name].get_asset_materialization_events()
        made = [event.step_materialization_data.materialization for event in events]
        return {one.asset_key: one for one in made}


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """All delivered, and one thing that is refused; a name that may not be missing is; all is well again."""
    folder = tmp_path_factory.mktemp("story")
    (folder / "ownership.yaml").write_text(DOCUMENT)
    settings = at_home(folder, "home")
    with dg.DagsterInstance.ephemeral() as ephemeral:
        told = Story(settings, ephemeral)
        deliver_all(settings)
        deliver(settings, "mail/members-20240102.csv", "id,id\n1,2\n")
        told.run("first", 0)
        deliver(settings, "crm/accounts-20240103.csv", "id,name,country\na1,,GB\na2,Birch AG,DE\n")
        told.run("blocked", 2)
        deliver(settings, "crm/accounts-20240104.csv", "id,name,country\na1,Larch plc,GB\na2,Birch AG,DE\n")
        told.run("healed", 3)
        yield told


def test_the_job_gives_the_tables_of_the_plain_flow(story: Story) -> None:
    assert story.results["healed"].success
    plain = at_home(story.settings.extracts, "plain")
    ownership = load_checked(plain.ownership)
    later = [plain.extracts / f"crm/accounts-2024010{day}.csv" for day in (3, 4)]
    hidden = [path.rename(path.with_suffix(".later")) for path in later]
    with flow.opened(ownership, plain, NOW) as run:
        flow.pass_through(run)
    assert rows(plain, "conformed") == story.conformed["first"]
    for path, name in zip(hidden, later, strict=True):
        path.rename(name)
    with flow.opened(ownership, plain, NOW + timedelta(days=3)) as run:
        flow.pass_through(run)
    for schema in ("staged", "identity", "canonical", "conformed", "outbound"):
        assert rows(story.settings, schema) == rows(plain, schema)
    assert len(story.conformed["healed"]["contact"]) == 2


def test_runs_carry_batches_and_publication(story: Story) -> None:
    first, blocked = story.tags("first"), story.tags("blocked")
    assert first["sor/crm.contacts"].startswith("20240101T000000-")
    assert first["sor/publication"] == "1 (published)"
    assert blocked["sor/crm.accounts"].startswith("20240103T000000-")
    assert "sor/crm.contacts" not in blocked
    assert "sor/publication" not in blocked
    assert story.tags("healed")["sor/publication"] == "2 (published)"


def test_metadata_has_rows_but_nothing_personal(story: Story) -> None:
    said: dict[dg.AssetKey, Any] = {key: made.metadata for key, made in story.materialised("first").items()}
    contact = said[keys.conformed("contact")]
    assert contact["dagster/row_count"].value == 2
    assert sorted(record.data["stage"] for record in contact["sample"].records) == ["customer", "lead"]
    assert "email" not in contact["sample"].records[0].data
    assert said[keys.staged("crm.contacts")]["live records"].value == 2
    assert said[keys.staged("crm.contacts")]["new"].value == 2
    assert said[keys.canonical("contact")]["open conflicts"].value >= 1
    schema: Any = said[keys.landed("crm.contacts")]["dagster/column_schema"].value
    assert [column.name for column in schema.columns] == CONTACTS.splitlines()[0].split(",")
    everything = " ".join(str(event) for result in story.results.values() for event in result.all_events)
    assert "hidden" not in everything.lower()


def test_a_refused_delivery_fails_its_check_and_nobody_else(story: Story) -> None:
    assert story.results["first"].success
    assert set(story.failed("first")) == {(keys.landed("mail.members"), ACCEPTED)}
    details = story.failed("first")[keys.landed("mail.members"), ACCEPTED].metadata
    assert "mail/members-20240102.csv" in str(details["deliveries"].value)
    assert len(story.conformed["first"]["contact"]) == 2


def test_a_blocked_publication_leaves_the_last_one_readable(story: Story) -> None:
    blocked = story.results["blocked"]
    assert not blocked.success
    assert story.conformed["blocked"] == story.conformed["first"]
    assert story.files["blocked"] == story.files["first"]
    materialised = set(story.materialised("blocked"))
    assert keys.canonical("account") in materialised
    assert not {keys.conformed("account"), keys.conformed("contact"), keys.corrections("crm")} & materialised
    assert story.failed("blocked")[keys.canonical("account"), "name__required"].blocking
    failures = blocked.get_step_failure_events()
    assert [event.step_key for event in failures] == ["identify_to_publish"]
    assert "Publication 1 stays readable" in str(failures[0].event_specific_data)
    assert {row[1] for row in story.conformed["healed"]["account"]} == {"Larch plc", "Birch AG"}


def test_stewards_hear_of_a_blocked_publication(story: Story) -> None:
    """The asset of cases is behind the op that failed, so Dagster skips it: its work is done by that op."""
    kinds = [kind for kind, _, closed in story.cases["blocked"] if closed is None]
    assert "blocked" in kinds
    assert keys.cases() not in story.materialised("blocked")
    assert keys.cases() in story.materialised("healed")
    assert not [kind for kind, _, closed in story.cases["healed"] if kind == "blocked" and closed is None]


def test_a_dry_run_is_told(story: Story) -> None:
    said = story.materialised("first")[keys.deliveries("mail")].metadata
    assert said["live"].value is False
    assert said["dry_run"].value == said["planned"].value > 0
    description = str(specs_of(story.settings)[keys.deliveries("mail")].description)
    assert "a dry run" in description


def test_only_what_needs_a_person_is_an_error() -> None:
    cap, switch = Fault("delivery-over-cap", "mail", "too much"), Fault("delivery-stopped", "mail", "stopped")
    assert severity(()) is dg.AssetCheckSeverity.WARN
    assert severity((switch,)) is dg.AssetCheckSeverity.WARN
    assert severity((switch, cap)) is dg.AssetCheckSeverity.ERROR


def test_a_delivery_over_the_cap_fails_its_check_and_stops_nobody(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    (tmp_path / "ownership.yaml").write_text(
        DOCUMENT.replace("{kind: files}", "{kind: files, live: true, max_rows: 0}")
    )
    settings = at_home(tmp_path, "home")
    deliver_all(settings)
    done = run_job(settings, instance)
    assert done.success
    failed = [one for one in done.get_asset_check_evaluations() if not one.passed]
    assert (keys.deliveries("mail"), SENT, dg.AssetCheckSeverity.ERROR) in [
        (one.asset_key, one.check_name, one.severity) for one in failed
    ]
    made = {event.asset_key for event in done.get_asset_materialization_events()}
    assert {keys.cases(), keys.observed()} <= made


def test_what_is_staged_alone_is_published_by_whatever_publishes_next(
    settings: Settings, instance: dg.DagsterInstance
) -> None:
    """A person clicks: stage the CRM, then run the mailer's flow. Accounts must not be left behind."""
    deliver_all(settings)
    definitions = build_defs(settings)
    clicked = [key(source) for source in ("crm.accounts", "crm.contacts") for key in (keys.landed, keys.staged)]
    workplace = Workplace(load_checked(settings.ownership), settings)
    done = dg.materialize(
        [definitions.get_assets_def(key) for key in clicked],
        instance=instance, resources={"workplace": workplace}, tags={NOW_TAG: NOW.isoformat()},
    )  # fmt: skip
    assert done.success
    assert run_job(settings, instance, "flow_of_mail").success
    published = rows(settings, "conformed")
    assert (len(published["account"]), len(published["contact"])) == (2, 2)


def test_an_op_waits_for_another_run(settings: Settings) -> None:
    deliver_all(settings)
    ownership = load_checked(settings.ownership)
    started, free = threading.Event(), threading.Event()

    def hold() -> None:
        with flow.opened(ownership, settings, NOW):
            started.set()
            free.wait(20)

    holder = threading.Thread(target=hold)
    holder.start()
    started.wait(20)
    with pytest.raises(EngineError, match="run-in-progress"), flow.opened(ownership, settings, NOW):
        pass
    threading.Timer(0.5, free.set).start()
    landing = build_defs(settings).get_assets_def(keys.landed("crm.accounts"))
    assert dg.materialize([landing], resources={"workplace": Workplace(ownership, settings)}).success
    holder.join()


# --- when it starts ----------------------------------------------------------------------------


def look(settings: Settings, cursor: str | None) -> Any:
    definitions = build_defs(settings)
    sensor = next(iter(definitions.get_repository_def().sensor_defs))
    with dg.DagsterInstance.ephemeral() as ephemeral:
        return sensor.evaluate_tick(dg.build_sensor_context(instance=ephemeral, cursor=cursor, definitions=definitions))


def test_the_sensor_sees_new_changed_and_removed_files_once(settings: Settings) -> None:
    assert not look(settings, None).run_requests
    deliver_all(settings)
    first = look(settings, None)
    assert [request.job_name or WHOLE_FLOW for request in first.run_requests] == [WHOLE_FLOW]
    assert "crm/contacts-20240101.csv" in first.run_requests[0].tags["sor/files"]
    assert not look(settings, first.cursor).run_requests
    deliver(
        settings, "crm/contacts-20240101.csv", CONTACTS + "c3,cid@x.example,Cid,C,Lead,a1,true,2024-01-01T00:00:00Z\n"
    )
    second = look(settings, first.cursor)
    assert second.run_requests[0].tags["sor/sources"] == "crm.contacts"
    assert second.run_requests[0].run_key != first.run_requests[0].run_key
    (settings.extracts / "mail/members-20240101.csv").unlink()
    assert look(settings, second.cursor).run_requests[0].tags["sor/sources"] == "mail.members"


def test_the_sensor_lets_a_young_file_settle(settings: Settings) -> None:
    deliver_all(settings)
    os.utime(settings.extracts / "mail/members-20240101.csv")
    seen = look(settings, None)
    assert not seen.run_requests
    assert "growing" in str(seen.skip_message)


@pytest.mark.parametrize("cursor", ["", "nonsense", "[]", '{"crm.contacts": 3}', '{"crm.contacts": ["x"]}', "null"])
def test_a_cursor_that_cannot_be_read_counts_as_none(settings: Settings, cursor: str) -> None:
    deliver_all(settings)
    assert len(look(settings, cursor).run_requests) == 1


# --- what goes wrong ---------------------------------------------------------------------------


def test_only_what_passes_by_itself_is_tried_again() -> None:
    fault = Fault("run-in-progress", "home", "another run is at work")
    with pytest.raises(dg.RetryRequested), reported():
        raise EngineError(fault)
    with pytest.raises(dg.RetryRequested), reported():
        raise OSError(28, "No space left on device")
    for error in (
        EngineError(Fault("duckdb-too-old", "", "too old")),
        SourceStopped(Fault("shrunk", "crm", "shrank", todo="accept it")),
    ):
        with pytest.raises(dg.Failure) as caught, reported():
            raise error
        assert caught.value.allow_retries is False
        assert error.faults[0].code in str(caught.value.description)


def test_old_runs_are_forgotten_but_those_that_last_made_an_asset(tmp_path: Path) -> None:
    @dg.asset
    def made() -> None: ...

    @dg.op
    def work() -> None: ...

    @dg.job
    def other() -> None:
        work()

    with dg.instance_for_test(temp_dir=str(tmp_path)) as instance:
        for _ in range(2):
            other.execute_in_process(instance=instance)
            dg.materialize([made], instance=instance)
        assert forget_before(instance, datetime.now(UTC) - timedelta(days=1)) == 0
        assert forget_before(instance, datetime.now(UTC) + timedelta(days=1)) == 3
        assert instance.get_runs_count() == 1
        assert instance.get_latest_materialization_event(made.key) is not None


# --- what is imported --------------------------------------------------------------------------

_FORBIDDING = """
import importlib.abc, sys
class Forbidden(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {names!r}:
            raise ImportError(f"{{name}} is forbidden here")
sys.meta_path.insert(0, Forbidden())
"""


def in_python(code: str, *forbidden: str) -> subprocess.CompletedProcess[str]:
    words = _FORBIDDING.format(names=set(forbidden)) + code
    return subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, timeout=120, check=False)


def test_the_core_runs_without_dagster(settings: Settings) -> None:
    deliver_all(settings)
    given = json.dumps([str(settings.ownership), str(settings.home), str(settings.extracts)])
    done = in_python(
        f"""
import importlib.util, json
from pathlib import Path
from typing import Any
from sor_pipeline import flow
from sor_pipeline.ownership.load import load
from sor_pipeline.settings import Settings
if importlib.util.find_spec("sor_pipeline.cli"):
    import sor_pipeline.cli
document, home, extracts = map(Path, json.loads({given!r}))
with flow.opened(load(document), Settings.read({{}}, ownership=document, home=home, extracts=extracts)) as run:
    print(flow.pass_through(run).state)
""",
        "dagster",
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("published")


def test_loading_the_definitions_imports_nothing_heavy_and_no_other_extra(settings: Settings) -> None:
    done = in_python(
        f"""
from pathlib import Path
from typing import Any
from sor_pipeline.definitions import build_defs
from sor_pipeline.settings import Settings
build_defs(Settings.read({{}}, ownership=Path({str(settings.ownership)!r}))).get_repository_def()
""",
        "great_expectations",
        "dagster_postgres",
        "psycopg",
        "httpx",
        "apprise",
    )
    assert done.returncode == 0, done.stderr
