"""The check step, with the real Great Expectations on a real DuckDB file; canonical rows are filled in directly."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from sor_pipeline.check.bind import volume_bounds
from sor_pipeline.check.step import run as check
from sor_pipeline.check.suite import expectations
from sor_pipeline.engine.duckdb import DuckDBEngine
from sor_pipeline.ownership.document import Ownership
from sor_pipeline.run import Outcome, Run
from sor_pipeline.settings import Settings
from sor_pipeline.tables import SCHEMAS, Tables

NOW = datetime(2024, 5, 10, 6)
SECRET = "ada.lovelace@secret.example"


@pytest.fixture(scope="session", autouse=True)
def _great_expectations() -> None:
    """Imported once: it takes several seconds."""
    __import__("great_expectations")


def document(fields: Mapping[str, Any], **entity: Any) -> Ownership:
    """Entities `order` (the names are reserved words on purpose) and `account`, fed by the CRM."""
    mapping = {name: name for name in fields}
    extract = {"files": "*.csv", "every": "day"}
    return Ownership.model_validate(
        {
            "systems": {"crm": {}},
            "entities": {
                "order": {"owner": "crm", "fields": dict(fields), **entity},
                "account": {"owner": "crm", "fields": {"name": {"type": "name"}}},
            },
            "sources": {
                "crm.orders": {"entity": "order", "extract": extract, "key": "id", "fields": mapping},
                "crm.accounts": {
                    "entity": "account",
                    "extract": {"files": "*.csv"},
                    "key": "id",
                    "fields": {"name": "name"},
                },
            },
        }
    )


class World:
    """A warehouse with canonical rows, and what the check said about them."""

    def __init__(self, home: Path, ownership: Ownership) -> None:
        settings = Settings(home / "o.yaml", home, f"duckdb:///{home / 'w.duckdb'}", home)
        self.engine = DuckDBEngine(home / "w.duckdb")
        self.run = Run(ownership, self.engine, Tables(ownership), settings, NOW)
        self.engine.create(self.run.tables.metadata, SCHEMAS)

    def declare(self, ownership: Ownership) -> None:
        self.run = replace(self.run, ownership=ownership, tables=Tables(ownership))
        self.engine.create(self.run.tables.metadata, SCHEMAS)

    def put(self, entity: str, rows: Mapping[str, Mapping[str, Any]], *, affected: bool = True) -> None:
        """Replace the canonical rows of an entity."""
        table = self.run.tables.canonical[entity]
        with self.engine.begin() as connection:
            connection.execute(sa.delete(table))
            for entity_id, cells in rows.items():
                connection.execute(sa.insert(table).values(entity_id=entity_id, _publication=1, **cells))
        self.affect(entity, *rows) if affected else None

    def affect(self, entity: str, *ids: str) -> None:
        with self.engine.begin() as connection:
            for entity_id in ids:
                connection.execute(
                    sa.insert(self.run.tables.affected).values(entity=entity, entity_id=entity_id, cause="claim")
                )

    def insert(self, table: sa.Table, **values: Any) -> None:
        with self.engine.begin() as connection:
            connection.execute(sa.insert(table).values(**values))

    def published(self) -> None:
        """As publish leaves things: nothing is affected any more."""
        with self.engine.begin() as connection:
            connection.execute(sa.delete(self.run.tables.affected))

    def forget(self) -> None:
        """The next check asks Great Expectations again."""
        with self.engine.begin() as connection:
            connection.execute(sa.delete(self.run.tables.judged))

    def check(self, entity: str = "order") -> Outcome:
        return check(self.run, entity)

    def rows(self, table: sa.Table) -> list[dict[str, Any]]:
        with self.engine.begin() as connection:
            return [dict(row) for row in connection.execute(sa.select(table)).mappings()]

    def findings(self) -> dict[str, dict[str, Any]]:
        return {row["expectation"]: row for row in self.rows(self.run.tables.finding)}

    def finding(self, name: str) -> dict[str, Any]:
        return self.findings()[name]

    def held(self) -> set[tuple[str, str]]:
        return {(row["entity_id"], row["field"]) for row in self.rows(self.run.tables.held)}

    def affected(self) -> set[tuple[str, str]]:
        return {(row["entity_id"], row["cause"]) for row in self.rows(self.run.tables.affected)}


Make = Callable[..., World]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    worlds: list[World] = []

    def made(fields: Mapping[str, Any], **entity: Any) -> World:
        worlds.append(World(tmp_path / str(len(worlds)), document(fields, **entity)))
        return worlds[-1]

    yield made
    for world in worlds:
        world.engine.close()


DERIVED = {
    "required": ({"type": "integer", "required": True}, [1], [None]),
    "unique": ({"type": "integer", "unique": True}, [1, 2, None, None], [7, 7, 7]),
    "of": ({"type": "choice", "of": ["lead", "it's: 100%"]}, ["lead", "it's: 100%", None], ["Lead", ""]),
    "pattern": (
        {"type": "text", "pattern": r"a\d{2}|b:%x"},
        ["a12", "b:%x", None],
        ["xa12", "a123", "b:%xx", "a12\nq", ""],
    ),
    "range": ({"type": "decimal", "min": -1.5, "max": 10}, ["-1.50", "10", None], ["-1.51", "10.01"]),
    "type": ({"type": "phone"}, ["+13155550123", None], ["13155550123", "+1315555x"]),
    "ref": ({"type": "ref", "to": "account"}, ["a1", None], ["gone", "A1"]),
}


@pytest.mark.parametrize(("rule", "severity"), [*((rule, "hold") for rule in DERIVED), ("of", "warn"), ("of", "block")])
def test_derived_rule_passes_and_fails(make: Make, rule: str, severity: str) -> None:
    spec, good, bad = DERIVED[rule]
    declared = "warn" if rule == "type" else severity
    world = make({"at": {**spec, "severity": {rule: severity}}} if rule != "type" else {"at": spec})
    world.put("account", {"a1": {"name": "Acme"}}, affected=False)
    rows = {f"good{i}": {"at": value} for i, value in enumerate(good)}
    world.put("order", rows)
    world.check()
    assert world.finding(f"at.{rule}")["passed"]
    assert world.finding(f"at.{rule}")["failed"] == 0
    assert world.held() == set()

    wrong = {f"bad{i}": {"at": value} for i, value in enumerate(bad)}
    world.put("order", {**rows, **wrong})
    outcome = world.check()
    found = world.finding(f"at.{rule}")
    assert (found["passed"], found["failed"], found["severity"], found["field"]) == (False, len(bad), declared, "at")
    assert json.loads(found["sample"]) == sorted(wrong)
    assert world.held() == ({(entity_id, "at") for entity_id in wrong} if declared == "hold" else set())
    assert outcome.counts["failed"] == sum(not row["passed"] for row in world.findings().values())
    with world.engine.begin() as connection:  # what the finding says can be run as it stands
        returned = connection.exec_driver_sql(found["rows_query"]).mappings().all()
    assert {row["entity_id"] for row in returned} == set(wrong)
    asked_again = world.findings()
    world.forget()
    world.check()
    assert world.findings() == asked_again, "Great Expectations says the same"


def test_unique_holds_all_that_share_the_value_and_releases_them_together(make: Make) -> None:
    world = make({"email": {"type": "email", "unique": True, "severity": {"unique": "hold"}}})
    world.put("order", {"e1": {"email": "a@x.org"}, "e2": {"email": "a@x.org"}, "e3": {"email": "b@x.org"}})
    world.check()
    assert world.held() == {("e1", "email"), ("e2", "email")}
    world.published()
    world.put(
        "order", {"e1": {"email": "a@x.org"}, "e2": {"email": "c@x.org"}, "e3": {"email": "b@x.org"}}, affected=False
    )
    world.affect("order", "e2")
    assert world.check().counts["released"] == 2
    assert world.held() == set()
    assert world.affected() == {("e2", "claim"), ("e1", "release")}
    again = world.affected()
    assert world.check().counts["released"] == 0
    assert world.affected() == again


def test_a_cell_is_released_though_another_of_the_same_row_is_still_held(make: Make) -> None:
    held = {"required": True, "severity": {"required": "hold"}}
    world = make({"a": {"type": "integer", **held}, "b": {"type": "integer", **held}})
    world.put("order", {"e1": {"a": None, "b": None}})
    world.check()
    assert world.held() == {("e1", "a"), ("e1", "b")}
    world.published()
    world.put("order", {"e1": {"a": 1, "b": None}}, affected=False)
    world.affect("account", "x")
    world.declare(document({"a": {"type": "integer", **held}, "b": {"type": "integer", "max": 5, **held}}))
    world.check()
    assert world.held() == {("e1", "b")}
    assert ("e1", "release") in world.affected()


def test_held_ids_are_complete_and_samples_short(make: Make) -> None:
    world = make({"n": {"type": "integer", "max": 10, "severity": {"range": "hold"}}})
    table = world.run.tables.canonical["order"]
    numbers = sa.func.range(5000).table_valued("range")
    identifier = sa.func.lpad(sa.cast(numbers.c.range, sa.Text), 16, "0")
    with world.engine.begin() as connection:
        rows = sa.select(identifier, sa.literal(1), sa.cast(numbers.c.range, sa.BigInteger))
        connection.execute(sa.insert(table).from_select(["entity_id", "_publication", "n"], rows))
    world.affect("order", "0" * 16)
    assert world.check().counts == {"expectations": 5, "failed": 2, "held": 4989, "released": 0}
    found = world.finding("n.range")
    assert (found["checked"], found["failed"]) == (5000, 4989)
    assert len(json.loads(found["sample"])) == 20
    assert "4,989 of 5,000" in found["message"]


BETWEEN, MATCH = "expect_column_values_to_be_between", "expect_column_values_to_match_regex"
ROWS = "unexpected_rows_expectation"
OWN: dict[str, tuple[dict[str, Any], bool, set[str]]] = {
    "holds": ({"expect": BETWEEN, "field": "n", "with": {"min_value": 0, "max_value": 9}}, True, set()),
    "between": ({"expect": BETWEEN, "field": "n", "with": {"max_value": 2}}, False, {"e3"}),
    "mostly": ({"expect": BETWEEN, "field": "n", "with": {"max_value": 2, "mostly": 0.5}}, True, set()),
    "searches": ({"expect": MATCH, "field": "code", "with": {"regex": r"^A|z$"}}, False, {"e2"}),
    "does not": (
        {"expect": "expect_column_values_to_not_match_regex", "field": "code", "with": {"regex": "[0-9]{2}"}},
        False, {"e1"},
    ),
    "any of": (
        {"expect": "expect_column_values_to_match_regex_list", "field": "code", "with": {"regex_list": ["^A", "^b"]}},
        False, {"e3"},
    ),
    "condition": (
        {"expect": BETWEEN, "field": "n",
         "with": {"max_value": 0, "row_condition": 'col("code") == "A12"', "condition_parser": "great_expectations"}},
        False, {"e1"},
    ),
    "rows": (
        {"expect": ROWS,
         "with": {"unexpected_rows_query": "SELECT entity_id FROM {batch} WHERE n > 1 AND code <> 'x{{}}'"}},
        False, {"e2", "e3"},
    ),
    "pair": (
        {"expect": "expect_column_pair_values_a_to_be_greater_than_b", "with": {"column_A": "m", "column_B": "n"}},
        False, {"e2", "e3"},
    ),
    "compound": (
        {"expect": "expect_compound_columns_to_be_unique", "with": {"column_list": ["group", "m"]}},
        False, {"e1", "e3"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", OWN)
def test_users_own_expectation(make: Make, case: str) -> None:
    own, passes, wrong = OWN[case]
    fields: dict[str, Any] = {name: {"type": "integer"} for name in ("n", "m", "group")}
    world = make({**fields, "code": {"type": "text"}}, expectations=[{**own, "severity": "hold"}])
    rows = {
        "e1": {"n": 1, "m": 2, "group": 1, "code": "A12"},
        "e2": {"n": 2, "m": 1, "group": 1, "code": "b3"},
        "e3": {"n": 3, "m": 2, "group": 1, "code": "3z"},
    }
    world.put("order", rows)
    world.affect("order", "e9")  # would be held if the failing rows were not known
    assert world.check().faults == ()
    field = own.get("field", "")
    found = world.finding(f"{field}.{own['expect']}" if field else own["expect"])
    assert (found["passed"], found["failed"]) == (passes, len(wrong))
    assert world.held() == {(entity_id, field) for entity_id in wrong}


def test_hold_about_the_whole_table_holds_what_would_change_until_it_holds(make: Make) -> None:
    mean = {"expect": "expect_column_mean_to_be_between", "field": "n", "with": {"max_value": 5}, "severity": "hold"}
    world = make({"n": {"type": "integer"}}, expectations=[mean])
    world.put("order", {"e1": {"n": 1}, "e2": {"n": 2}}, affected=False)
    world.put("order", {"e1": {"n": 1}, "e2": {"n": 99}}, affected=False)
    world.affect("order", "e2", "retired")
    world.check()
    assert world.finding("n.expect_column_mean_to_be_between")["failed"] == 1
    assert world.held() == {("e2", "n"), ("retired", "n")}
    world.published()
    world.affect("order", "e1")
    world.check()
    assert world.held() == {("e1", "n"), ("e2", "n"), ("retired", "n")}
    before = world.rows(world.run.tables.held)
    world.check()
    assert sorted(map(str, world.rows(world.run.tables.held))) == sorted(map(str, before))
    world.put("order", {"e1": {"n": 1}, "e2": {"n": 3}}, affected=False)
    world.published()
    world.affect("order", "e2")
    assert world.check().counts["released"] == 3
    assert world.affected() == {("e2", "claim"), ("e1", "release"), ("retired", "release")}


BROKEN = {
    "unknown": ({"expect": "expect_column_values_to_be_betwen", "field": "n"}, f"did you mean `{BETWEEN}`?"),
    "misspelt": ({"expect": "expect_column_values_to_be_in_set", "field": "n", "with": {"value_sett": [1]}}, "sett"),
    "missing argument": ({"expect": "expect_column_pair_values_to_be_equal", "with": {"column_A": "n"}}, "column_B"),
    "no such column": ({"expect": "expect_column_values_to_be_unique", "field": "nope"}, 'The column "nope"'),
    "not on SQL": ({"expect": "expect_column_values_to_be_dateutil_parseable", "field": "text"}, "No provider found"),
    "bad query": ({"expect": ROWS, "with": {"unexpected_rows_query": "SELECT nope FROM {batch}"}}, "Binder Error"),
    "value in the error": (
        {"expect": ROWS,
         "with": {"unexpected_rows_query": "SELECT * FROM {batch} WHERE CAST(text AS INTEGER) > 1"}},
        "Conversion",
    ),
    "bad regex": ({"expect": MATCH, "field": "text", "with": {"regex": "(["}}, ""),
}  # fmt: skip


@pytest.mark.parametrize(
    ("case", "severity"), [*((case, "hold") for case in BROKEN), ("unknown", "warn"), ("value in the error", "block")]
)
def test_broken_expectation_is_reported_as_broken_and_hurts_no_other(
    make: Make, case: str, severity: str, capfd: Any
) -> None:
    own, says = BROKEN[case]
    fields = {
        "n": {"type": "integer", "required": True, "max": 1, "severity": {"range": "warn"}},
        "text": {"type": "text", "personal": True},
    }
    world = make(fields, expectations=[{**own, "severity": severity}])
    world.put("order", {"e1": {"n": 1, "text": SECRET}, "e2": {"n": 2, "text": SECRET}})
    (fault,) = world.check().faults
    assert fault.code == "expectation-broken"
    assert fault.where == "entities.order.expectations.0"
    assert own["expect"] in fault.what
    assert says in fault.found
    assert SECRET not in str(fault)
    assert fault.warning is (severity != "block")
    name = f"{own['field']}.{own['expect']}" if "field" in own else own["expect"]
    found = world.finding(name)
    assert (found["passed"], found["failed"], found["checked"], found["severity"]) == (False, 1, 0, severity)
    assert found["message"].startswith("broken: ")
    assert world.finding("n.required")["passed"]
    assert world.finding("n.range")["failed"] == 1
    held = {(entity_id, own.get("field", "")) for entity_id in ("e1", "e2")} if severity == "hold" else set()
    assert world.held() == held
    assert not leaks(world, SECRET)
    written = capfd.readouterr()
    assert SECRET not in written.out + written.err
    assert written.out + written.err == ""


def test_same_expectation_twice_has_two_names(make: Make) -> None:
    own = [{"expect": BETWEEN, "field": "n", "with": {"max_value": most}} for most in (1, 5)]
    world = make({"n": {"type": "integer"}}, expectations=own)
    world.put("order", {"e1": {"n": 3}})
    world.check()
    name = "n.expect_column_values_to_be_between"
    assert (world.finding(name)["passed"], world.finding(f"{name}.2")["passed"]) == (False, True)


def leaks(world: World, value: str) -> bool:
    """Whether the value stands anywhere in the findings or holds."""
    rows = world.rows(world.run.tables.finding) + world.rows(world.run.tables.held)
    return any(value in str(cell) for row in rows for cell in row.values())


def test_personal_values_are_nowhere_in_findings(make: Make, capfd: Any) -> None:
    own = [
        {
            "expect": MATCH,
            "field": "email",
            "with": {"regex": "^x"},
            "severity": "hold",
        },
        {"expect": "expect_column_max_to_be_between", "field": "email", "with": {"max_value": "b"}},
        {"expect": "expect_column_distinct_values_to_be_in_set", "field": "email", "with": {"value_set": ["x"]}},
        {"expect": "expect_column_most_common_value_to_be_in_set", "field": "email", "with": {"value_set": ["x"]}},
        {"expect": ROWS, "with": {"unexpected_rows_query": "SELECT * FROM {batch}"}},
    ]
    email = {"type": "email", "personal": True, "unique": True, "pattern": "x.*", "severity": {"pattern": "block"}}
    world = make({"email": email}, expectations=own)
    world.put("order", {"e1": {"email": SECRET}, "e2": {"email": SECRET}})
    outcome = world.check()
    assert sum(not row["passed"] for row in world.findings().values()) >= 6
    assert world.finding("email.pattern")["severity"] == "block"
    assert not leaks(world, SECRET)
    assert SECRET not in "".join(map(str, outcome.faults)) + "".join(capfd.readouterr())


def test_volume_drift(make: Make) -> None:
    world = make({"n": {"type": "integer"}}, max_drift=0.4, drift_severity="block")
    world.put("order", {f"e{i}": {"n": i} for i in range(3)})
    world.check()
    assert world.finding("volume")["passed"], "before the first publication nothing drifts"
    for i in range(10):
        world.insert(world.run.tables.conformed["order"], order_id=f"e{i}", n=i)
    world.check()
    found = world.finding("volume")
    assert (found["passed"], found["failed"], found["checked"], found["severity"]) == (False, 1, 3, "block")
    world.put("order", {f"e{i}": {"n": i} for i in range(6)})
    world.check()
    assert world.finding("volume")["passed"]


@pytest.mark.parametrize(
    ("published", "drift", "bounds"),
    [(0, 0.5, (0, None)), (1, 0.5, (0, 2)), (10, 0.1, (9, 11)), (10, 3.0, (0, 40)), (3, 0.5, (1, 5))],
)
def test_volume_bounds(published: int, drift: float, bounds: tuple[int, int | None]) -> None:
    assert tuple(volume_bounds(published, drift).values()) == bounds


def test_freshness_counts_from_the_newest_batch_and_needs_no_other_change(make: Make) -> None:
    world = make({"n": {"type": "integer"}})
    world.put("order", {"e1": {"n": 1}})
    world.check()
    name = "freshness.crm.orders"
    assert not world.finding(name)["passed"], "never delivered"
    for age in (timedelta(days=9), timedelta(days=2)):
        world.insert(world.run.tables.batch, source="crm.orders", batch=f"b{age.days}", as_of=NOW - age)
    world.published()
    assert world.check().counts["expectations"] == 3
    assert world.finding(name)["passed"]
    world.run = replace(world.run, now=NOW + timedelta(seconds=1))
    world.check()
    found = world.finding(name)
    assert (found["passed"], found["severity"], found["failed"]) == (False, "warn", 1)
    assert len(world.findings()) == len(expectations(world.run.ownership, "order")), "the others stand"


def test_rejected_cells_of_this_publication_are_counted(make: Make) -> None:
    world = make({"n": {"type": "integer"}, "name": {"type": "name"}})
    tables = world.run.tables
    for row, (field, publication) in enumerate([("n", 1), ("n", 1), ("n", 0), ("", 1)]):
        key = f"k{row}"
        world.insert(
            tables.reject,
            source="crm.orders",
            batch="b",
            row=row,
            field=field,
            source_key=key,
            raw=SECRET,
            _publication=publication,
        )
        world.insert(tables.identity["order"], source="crm.orders", source_key=key, entity_id=f"e{row}", _publication=1)
    world.insert(tables.account, source="crm.orders", batch="b", read=50, _publication=1)
    world.put("order", {"e1": {"n": 1}})
    world.check()
    found = world.finding("n.rejected")
    assert (found["passed"], found["failed"], found["checked"], found["severity"]) == (False, 2, 50, "warn")
    assert json.loads(found["sample"]) == ["e0", "e1"]
    assert not leaks(world, SECRET)
    assert "name.rejected" not in world.findings()


def test_placeholders_among_the_live_claims_are_counted_by_field(make: Make) -> None:
    world = make({"n": {"type": "integer"}, "name": {"type": "name", "personal": True}})
    tables = world.run.tables
    told = [(3, 3, None), (3, 1, None), (1, 1, None), (3, 3, NOW)]  # the last record is deleted
    for row, (n, name, deleted) in enumerate(told):
        key = f"k{row}"
        states = {"n__state": n, "name__state": name, "name": SECRET, "_deleted_at": deleted}
        world.insert(tables.staged["crm.orders"], _key=key, _publication=1, **states)
        world.insert(tables.identity["order"], source="crm.orders", source_key=key, entity_id=f"e{row}", _publication=1)
    world.put("order", {"e1": {"n": 1}})
    world.check()
    found = world.finding("placeholders")
    assert (found["passed"], found["failed"], found["checked"], found["severity"]) == (False, 3, 6, "warn")
    assert found["message"] == "3 of 6 claims are placeholders and count as never set: n 2, name 1"
    assert json.loads(found["sample"]) == ["e0", "e1"]
    assert not leaks(world, SECRET)
    with world.engine.begin() as connection:
        connection.execute(sa.update(tables.staged["crm.orders"]).values(n__state=1, name__state=1))
    world.check()
    assert (world.finding("placeholders")["passed"], world.finding("placeholders")["checked"]) == (True, 6)


def test_nothing_changed_checks_nothing_again(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    ownership = {"n": {"type": "integer", "max": 1}, "account": {"type": "ref", "to": "account"}}
    world = make(ownership)
    world.put("account", {"a1": {"name": "Acme"}})
    world.put("order", {"e1": {"n": 2, "account": "a1"}})
    world.check()
    world.published()
    calls: list[str] = []
    from sor_pipeline.check import step

    for name in ("validate", "remembered"):
        does = getattr(step, name)
        monkeypatch.setattr(step, name, lambda *of, name=name, does=does: calls.append(name) or does(*of))
    world.check()
    assert calls == []
    assert world.finding("n.range")["failed"] == 1
    world.affect("account", "a1")
    world.check()
    assert calls == ["remembered"], "a reference may dangle now"
    world.published()
    world.declare(document({**ownership, "n": {"type": "integer", "max": 2}}))
    world.check()
    assert calls == ["remembered", "remembered", "validate"], "the document asks for something else"
    assert world.finding("n.range")["failed"] == 0


def test_expectation_that_left_the_document_leaves_findings_and_holds(make: Make) -> None:
    world = make({"n": {"type": "integer", "max": 1, "severity": {"range": "hold"}}})
    world.put("order", {"e1": {"n": 2}})
    world.check()
    world.published()
    world.declare(document({"n": {"type": "integer"}}))
    world.check()
    assert "n.range" not in world.findings()
    assert world.held() == set()
    assert world.affected() == {("e1", "release")}


def test_checking_twice_ends_in_the_same_tables(make: Make) -> None:
    world = make({"n": {"type": "integer", "max": 1, "unique": True, "severity": {"range": "hold", "unique": "hold"}}})
    world.put("order", {"e1": {"n": 2}, "e2": {"n": 2}, "e3": {"n": None}})
    world.check()
    tables = (world.run.tables.finding, world.run.tables.held, world.run.tables.affected)
    before = [sorted(map(str, world.rows(table))) for table in tables]
    world.check()
    assert [sorted(map(str, world.rows(table))) for table in tables] == before


def test_nothing_is_left_behind(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = tmp_path / "cwd"
    here.mkdir()
    monkeypatch.chdir(here)
    world = make({"n": {"type": "integer", "max": 1, "unique": True}})
    world.put("order", {"e1": {"n": 2}, "e2": {"n": 2}})
    catalogue = sa.text("select database_name, schema_name, table_name from duckdb_tables() order by all")
    with world.engine.begin() as connection:
        before = connection.execute(catalogue).fetchall()
    world.check()
    with world.engine.begin() as connection:
        assert connection.execute(catalogue).fetchall() == before
    assert list(here.iterdir()) == []


def test_empty_entity_passes(make: Make) -> None:
    world = make({"n": {"type": "integer", "required": True, "unique": True, "max": 1}})
    world.check()
    assert [row["expectation"] for row in world.findings().values() if not row["passed"]] == ["freshness.crm.orders"]


def test_names_are_unique_and_cover_the_document() -> None:
    fields = {name: spec for name, (spec, _, _) in DERIVED.items()}
    named = [expected.name for expected in expectations(document(fields), "order")]
    assert len(named) == len(set(named))
    assert {f"{rule}.{rule}" for rule in DERIVED} <= set(named)


def test_listing_and_stepping_import_no_great_expectations() -> None:
    """Whoever lists checks (a code location) must not pay for the import, nor a run with nothing to check."""
    program = (
        "import sys, sor_pipeline.check.step, sor_pipeline.check.suite; assert 'great_expectations' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[1])
