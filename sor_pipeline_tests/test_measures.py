"""What is published about the data: counts that can be counted again, and a file that never lags behind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sor_pipeline import flow
from sor_pipeline.observe.step import run as observe
from sor_pipeline.ownership.document import Ownership
from sor_pipeline.ownership.lint import read
from sor_pipeline.publish.measures import ownership_rows, roles_of
from sor_pipeline.publish.step import run as publish
from sor_pipeline.run import Run
from sor_pipeline.tables import ACCOUNT, ClaimState, Tables, grain
from sor_pipeline.tables.measured import COUNTED, ROLES
from sor_pipeline_tests.flow_world import DOCUMENT, HEADERS, Site, worlds
from sor_pipeline_tests.published_world import (
    State,
    cell,
    copied,
    document,
    fill,
    hands,
    hands_again,
    on_day,
    put,
    rows_of,
)

MEASURES = ("finding", "claims", "delivery", "ownership", "correction")


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return hands(tmp_path_factory.mktemp("measures") / "empty")


@pytest.fixture
def world(empty: Run, tmp_path: Path) -> Run:
    return copied(empty, tmp_path / "home")


def in_file(run: Run, table: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(run.settings.conformed), read_only=True) as connection:
        return connection.execute(f'SELECT * FROM conformed."{table}" ORDER BY ALL').fetchall()


def in_warehouse(run: Run, table: sa.Table) -> list[tuple[Any, ...]]:
    with run.engine.begin() as connection:
        rows = connection.execute(sa.select(table)).fetchall()
    return sorted((tuple(row) for row in rows), key=str)


def put_names(run: Run, *names: str) -> None:
    rows = {("contact", f"c{n}"): {"name": cell(name, key=str(n))} for n, name in enumerate(names)}
    put(run, State(rows=rows, records={("crm.contacts", str(n)): (f"c{n}", True) for n in range(len(names))}), rows)


# --- ownership as a table ----------------------------------------------------------------------


def test_the_document_as_a_table_says_what_the_rules_say() -> None:
    ownership = document()
    rows = {(row["entity"], row["field"], row["system"]): row for row in ownership_rows(ownership)}
    assert set(ROLES) | {"entity", "field", "system"} == set(next(iter(rows.values())))
    for entity, spec in ownership.entities.items():
        for field in spec.fields:
            owners = [s for s in ownership.systems if rows.get((entity, field, s), {}).get("owns")]
            assert owners == [ownership.rule_of(entity, field).owner]
    assert rows["contact", "opted_in", "crm"]["corrected"]
    assert rows["contact", "seen", "mail"]["fallback"]
    assert ("contact", "name", "bill") not in rows  # it has no part in it


def test_every_role_of_the_demo_document_is_somebodys() -> None:
    ownership = read(Path(flow.__file__).parent / "demo" / "ownership.yaml").ownership
    assert ownership is not None
    counted = Counter(name for row in ownership_rows(ownership) for name in ROLES if row[name])
    assert set(counted) == set(ROLES)
    assert roles_of(ownership, "contact", "opted_in", "hubspot") == {
        "owns": False, "exception": True, "fallback": True, "taken_from": False, "contributes": True, "corrected": True,
        "reflected": False,
    }  # fmt: skip
    assert roles_of(ownership, "account", "open_tickets", "hubspot")["reflected"]


def test_ownership_is_replaced_with_the_document_and_only_then(world: Run) -> None:
    put_names(world, "Ann")
    publish(world)
    first = in_file(world, "ownership")
    assert len(first) == len(ownership_rows(world.ownership))
    put_names(world, "Ann", "Bob")
    publish(on_day(world, 1))
    assert in_file(world, "ownership") == first
    entities = world.ownership.model_dump(mode="json", by_alias=True, exclude_unset=True)["entities"]
    entities["contact"]["fields"]["name"]["owner"] = "mail"
    changed = hands(world.settings.home, document(entities=entities))
    publish(on_day(changed, 2))
    said = {row[:3]: row[3] for row in in_file(changed, "ownership")}
    assert said["contact", "name", "mail"] is True
    assert not said["contact", "name", "crm"]


# --- claims, findings, deliveries ---------------------------------------------------------------


@given(
    states=st.lists(
        st.tuples(st.sampled_from(list(ClaimState)), st.sampled_from(list(ClaimState)), st.booleans()), max_size=12
    )
)
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_claims_are_counted_by_state(empty: Run, tmp_path_factory: pytest.TempPathFactory, states: list[Any]) -> None:
    world = copied(empty, tmp_path_factory.mktemp("claims"))
    put_names(world, "Ann")
    staged = world.tables.staged["mail.members"]
    with world.engine.begin() as connection:
        fill(connection, staged, (
            {"_key": str(n), "_deleted_at": None if lives else world.now, "name__state": int(name), "email__state": int(email)}
            for n, (name, email, lives) in enumerate(states)
        ))  # fmt: skip
    publish(world)
    found = {(row[2], row[3]): row[5:] for row in in_file(world, "claims")}
    living = [one for one in states if one[2]]
    for position, field in enumerate(("name", "email")):
        counted = Counter(one[position] for one in living)
        expected = (counted[ClaimState.value], counted[ClaimState.cleared], counted[ClaimState.placeholder])
        assert found[field, "mail.members"] == (len(living), *expected)
    mapped = {(f, s) for s, spec in world.ownership.sources.items() for f in spec.fields}
    assert set(found) == mapped
    assert list(COUNTED) == ["records", "values", "cleared", "placeholders"]


def test_nothing_is_measured_where_nothing_is_published(world: Run) -> None:
    put_names(world, "Ann")
    publish(world)
    before = {name: in_file(world, name) for name in MEASURES}
    put_names(world, "Ann")
    assert publish(on_day(world, 1)).counts["published"] == 0
    assert {name: in_file(world, name) for name in MEASURES} == before


def test_findings_are_kept_per_publication_without_values(world: Run) -> None:
    put_names(world, "Ann")
    finding = world.tables.finding
    rows = [
        {"entity": "contact", "expectation": "email.required", "field": "email", "severity": "warn", "passed": False,
         "checked": 3, "failed": 2, "sample": "[]", "message": "ann@hidden.example"},
        {"entity": "gone_from_the_document", "expectation": "x", "passed": True},
    ]  # fmt: skip
    with world.engine.begin() as connection:
        fill(connection, finding, rows)
    publish(world)
    with world.engine.begin() as connection:
        fill(connection, finding, [{**rows[0], "passed": True, "failed": 0}])
    put_names(world, "Ann", "Bob")
    publish(on_day(world, 1))
    expected = [
        (1, "contact", "email.required", "email", "warn", False, 3, 2),
        (2, "contact", "email.required", "email", "warn", True, 3, 0),
    ]
    assert in_file(world, "finding") == expected


def test_deliveries_are_those_of_the_account(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.put("accounts", 0, HEADERS["accounts"], [{"id": "p", "name": "Ann"}])
    site.put(
        "contacts", 0, HEADERS["contacts"], [{"id": "1", "email": "a@x.example"}, {"id": "1", "email": "b@x.example"}]
    )
    site.run(1)
    site.put("contacts", 1, HEADERS["contacts"], [{"id": "1", "email": "c@x.example"}])
    site.run(2)
    found = site.query(
        "SELECT source, as_of::DATE::VARCHAR, rows, read, publication FROM conformed.delivery ORDER BY ALL"
    )
    assert found == [
        ("crm.accounts", "2026-03-01", 1, 1, 1),
        ("crm.contacts", "2026-03-01", 2, 2, 1),
        ("crm.contacts", "2026-03-02", 1, 1, 2),
    ]
    parts = site.query(f"SELECT sum(read), sum({' + '.join(ACCOUNT[1:-1])}) FROM conformed.delivery")
    assert parts[0][0] == parts[0][1] == 4


@given(world=worlds())
@settings(max_examples=4, deadline=None)
def test_the_file_has_what_is_committed_in_every_measure(tmp_path_factory: pytest.TempPathFactory, world: Any) -> None:
    site = Site(tmp_path_factory.mktemp("site"))
    for day in range(len(world.days)):
        site.deliver_day(world, day)
        site.run(day + 1)
    if not site.settings.conformed.exists():
        return
    with flow.reading(DOCUMENT, site.settings) as run:
        for table in measures(run.tables):
            assert sorted(in_file(run, table.name), key=str) == in_warehouse(run, table), table.name
        with run.engine.begin() as connection:
            known = connection.execute(sa.select(run.tables.correction)).fetchall()
    shown = run.tables.published_correction.columns.keys()
    assert len(known) == len(site.query("SELECT * FROM conformed.correction"))
    kept = [column.name for column in run.tables.correction.columns]
    assert [name for name in kept if name not in shown] == [
        "reverts",
        "became",
        "form",
        "observed_at",
        "observed_since",
    ]
    assert shown == [name for name in kept if name in shown]


def measures(tables: Tables) -> Iterator[sa.Table]:
    yield from (
        table for table in tables.metadata.sorted_tables if table.schema == "conformed" and table.name in MEASURES
    )


def test_every_measure_has_a_grain_and_comments(world: Run) -> None:
    for table in measures(world.tables):
        assert grain(table), table.name
        assert all(column.comment for column in table.columns), table.name


@pytest.mark.parametrize("name", MEASURES)
def test_no_entity_can_take_their_names(name: str, tmp_path: Path) -> None:
    text = f"""
systems: {{crm: {{}}}}
entities: {{{name}: {{owner: crm, fields: {{title: {{type: text}}}}}}}}
sources: {{crm.things: {{entity: {name}, extract: {{files: x.csv}}, key: id, fields: {{title: title}}}}}}
"""
    (tmp_path / "ownership.yaml").write_text(text)
    assert "reserved-entity" in {fault.code for fault in read(tmp_path / "ownership.yaml").faults}


# --- corrections --------------------------------------------------------------------------------


def correction(key: str, state: str = "proposed", number: int = 1, closed: int | None = None) -> dict[str, Any]:
    return {
        "source": "crm.contacts", "source_key": key, "field": "email", "proposed_in": number, "system": "crm", "column": "Email",
        "entity": "contact", "entity_id": "c0", "observed": "a", "wanted": "b", "owner": "mail", "rule": "owner", "state": state,
        "closed_in": closed,
    }  # fmt: skip


def propose(run: Run, *rows: dict[str, Any]) -> None:
    with run.engine.begin() as connection:
        fill(connection, run.tables.correction, rows)


def test_corrections_reach_the_file_with_every_state(world: Run) -> None:
    put_names(world, "Ann")
    publish(world)
    propose(world, correction("1"), correction("2"))
    assert observe(world).counts == {"corrections": 2, "exported": 1}
    assert observe(world).counts == {"corrections": 0, "exported": 0}
    propose(world, correction("1", "confirmed", closed=2), correction("2"), correction("2", number=2))
    assert observe(world).counts == {"corrections": 2, "exported": 1}
    assert [(row[1], row[3], row[12], row[13]) for row in in_file(world, "correction")] == [
        ("1", 1, "confirmed", 2), ("2", 1, "proposed", None), ("2", 2, "proposed", None),
    ]  # fmt: skip
    propose(world, correction("2", number=2))
    assert observe(world).counts["exported"] == 1
    assert len(in_file(world, "correction")) == 1


def test_before_the_first_publication_there_is_no_file_to_renew(world: Run) -> None:
    propose(world, correction("1"))
    assert observe(world).counts == {"corrections": 1, "exported": 0}
    assert not world.settings.conformed.exists()
    put_names(world, "Ann")
    publish(world)
    assert len(in_file(world, "correction")) == 1


def test_a_kill_between_the_table_and_the_file_is_mended(world: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    put_names(world, "Ann")
    publish(world)
    propose(world, correction("1"))

    def killed(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(type(world.engine), "export", killed)
        with pytest.raises(KeyboardInterrupt):
            observe(world)
    assert in_file(world, "correction") == []
    again = hands_again(world, world.settings.home)
    assert observe(again).counts == {"corrections": 0, "exported": 1}
    assert len(in_file(world, "correction")) == 1


def test_renewing_corrections_leaves_every_other_table_alone(world: Run) -> None:
    put_names(world, "Ann", "Bob")
    publish(world)
    names = [t.name for t in world.tables.metadata.sorted_tables if t.schema == "conformed" and t.name != "correction"]
    before = {name: in_file(world, name) for name in names}
    propose(world, correction("1"))
    observe(world)
    assert {name: in_file(world, name) for name in names} == before
    assert len(rows_of(world, world.tables.published_correction)) == 1


def test_a_file_of_an_older_package_gets_the_tables_that_it_lacks(world: Run) -> None:
    put_names(world, "Ann")
    publish(world)
    with duckdb.connect(str(world.settings.conformed)) as connection:
        for name in MEASURES:
            connection.execute(f"DROP TABLE {name}")
    observe(world)
    assert len(in_file(world, "ownership")) == len(ownership_rows(world.ownership))
    assert in_file(world, "correction") == []


def test_a_reader_keeps_what_it_opened(world: Run) -> None:
    put_names(world, "Ann")
    publish(world)
    with duckdb.connect() as reader:
        reader.execute(f"ATTACH '{world.settings.conformed}' AS was (READ_ONLY)")
        propose(world, correction("1"))
        assert observe(world).counts["exported"] == 1
        assert reader.execute("SELECT count(*) FROM was.correction").fetchall() == [(0,)]


def test_the_roles_are_a_fact_of_the_document_alone() -> None:
    again = Ownership.model_validate(document().model_dump(mode="json", by_alias=True))
    assert ownership_rows(again) == ownership_rows(document())
