"""Queries kept of Great Expectations say what it says itself, whatever the rows hold, for as long as they may."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sor_pipeline.check import step
from sor_pipeline.check.suite import expectations, lasting
from sor_pipeline_tests.test_check import BETWEEN, MATCH, ROWS, World, document

FIELDS: dict[str, Any] = {
    "n": {"type": "integer", "required": True, "unique": True, "min": -1, "max": 2},
    "code": {"type": "text", "pattern": r"(?:a:b|%[x%]|it's|\d{2}::)", "unique": True},
    "stage": {"type": "choice", "of": ["lead", "it's: 100%", ":n", "%(n)s"], "severity": {"of": "hold"}},
    "phone": {"type": "phone"},
    "account": {"type": "ref", "to": "account"},
}
OWN: list[dict[str, Any]] = [
    {"expect": BETWEEN, "field": "n", "with": {"min_value": 0, "strict_min": True}, "severity": "hold"},
    {"expect": MATCH, "field": "code", "with": {"regex": "%|:b"}},
    {"expect": "expect_column_values_to_not_match_regex", "field": "code", "with": {"regex": "^i"}},
    {"expect": "expect_column_values_to_not_be_in_set", "field": "stage", "with": {"value_set": ["lead", ":n"]}},
    {"expect": "expect_column_values_to_be_null", "field": "phone"},
    {"expect": ROWS, "with": {"unexpected_rows_query": "SELECT entity_id FROM {batch} WHERE n > 1 OR stage = '%x'"}},
]
ROW = st.fixed_dictionaries(
    {
        "n": st.sampled_from([None, -2, -1, 0, 1, 2, 3]),
        "code": st.sampled_from([None, "", "a:b", "xa:b", "%x", "%%", "it's", "12::", "12:", "a:b\n"]),
        "stage": st.sampled_from([None, "", "lead", "Lead", "it's: 100%", ":n", "%(n)s", "%x"]),
        "phone": st.sampled_from([None, "+13155550123", "13155550123"]),
        "account": st.sampled_from([None, "a1", "gone"]),
    }
)
TABLE = st.lists(ROW, max_size=6)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(tmp_path_factory.mktemp("judged"), document(FIELDS, expectations=OWN, max_drift=0.2))
    made.put("account", {"a1": {"name": "Acme"}})
    for i in range(4):
        made.insert(made.run.tables.conformed["order"], order_id=f"e{i}", n=i)
    yield made
    made.engine.close()


def put(world: World, rows: list[dict[str, Any]]) -> None:
    world.put("order", {f"e{i}": row for i, row in enumerate(rows)}, affected=False)
    world.published()
    world.affect("order", "e0")


def said(world: World) -> tuple[dict[str, dict[str, Any]], set[tuple[str, str]]]:
    world.check()
    return world.findings(), world.held()


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(judged=TABLE, later=TABLE)
def test_kept_queries_find_what_great_expectations_finds(
    world: World, judged: list[dict[str, Any]], later: list[dict[str, Any]]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        world.forget()
        put(world, judged)
        said(world)
        put(world, later)
        does = step.validate
        patch.setattr(step, "validate", lambda *_: pytest.fail("Great Expectations was asked"))
        asked_again = said(world)
        patch.setattr(step, "validate", does)
        world.forget()
        put(world, later)
        assert said(world) == asked_again


def test_everything_here_is_asked_without_great_expectations(world: World) -> None:
    typed = [one for one in expectations(world.run.ownership, "order") if one.type and one.rule != "volume"]
    assert len(typed) == 14
    assert all(lasting(one) for one in typed)


@pytest.mark.parametrize(
    "own",
    [
        {"expect": BETWEEN, "field": "n", "with": {"max_value": 2, "mostly": 0.5}},
        {"expect": "expect_column_value_z_scores_to_be_less_than", "field": "n",
         "with": {"threshold": 1, "double_sided": True}},
        {"expect": "expect_column_mean_to_be_between", "field": "n", "with": {"max_value": 5}},
        {"expect": BETWEEN, "field": "n", "with": {"max_value": 0, "row_condition": 'col("n") > 1'}},
        {"expect": ROWS, "with": {"unexpected_rows_query": "SELECT count(*) AS c FROM {batch} HAVING count(*) > 5"}},
        {"expect": "expect_table_row_count_to_be_between", "with": {"max_value": 5}},
    ],
)  # fmt: skip
def test_what_depends_on_the_rows_is_judged_every_time(
    tmp_path: Path, own: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path, document({"n": {"type": "integer"}}, expectations=[own]))
    world.put("order", {f"e{i}": {"n": i} for i in range(4)})
    world.check()
    calls: list[int] = []
    does = step.validate
    monkeypatch.setattr(step, "validate", lambda *of: calls.append(1) or does(*of))
    world.check()
    assert calls == [1]
    world.engine.close()


def test_a_type_that_changed_is_judged_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fields: dict[str, Any] = {"n": {"type": "integer", "required": True}}
    world = World(tmp_path, document(fields))
    world.put("order", {"e1": {"n": 1}})
    world.check()
    world.declare(document({"n": {"type": "text", "required": True}}))
    calls: list[int] = []
    does = step.validate
    monkeypatch.setattr(step, "validate", lambda *of: calls.append(1) or does(*of))
    world.check()
    world.check()
    assert calls == [1]
    world.engine.close()


def test_a_later_run_does_not_import_it(tmp_path: Path) -> None:
    world = World(tmp_path, document(FIELDS))
    put(world, [{"n": 1}])
    world.check()
    world.engine.close()
    program = f"""
import sys
from pathlib import Path
from sor_pipeline_tests.test_check import World, document
from sor_pipeline_tests.test_judged import FIELDS
world = World(Path({str(tmp_path)!r}), document(FIELDS))
world.put("order", {{"e1": {{"n": 7}}}})
world.check()
assert world.finding("n.range")["failed"] == 1
assert "great_expectations" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[1])


def test_kept_rows_can_be_read_as_a_query(world: World) -> None:
    put(world, [{"n": 1, "code": "no:pe"}, {"n": 1, "code": "%x"}])
    for _ in range(2):
        world.check()
        found = world.finding("code.pattern")
        with world.engine.begin() as connection:
            rows = connection.exec_driver_sql(found["rows_query"]).mappings().all()
        assert [row["entity_id"] for row in rows] == ["e0"]
    with world.engine.begin() as connection:
        kept = connection.execute(sa.select(world.run.tables.judged)).fetchall()
    assert len(kept) == 14
