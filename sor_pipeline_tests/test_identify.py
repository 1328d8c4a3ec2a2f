"""Identity: clusters are connected components, ids last, only what a change touches is looked at.

Staged tables are filled directly: no other step takes part.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from sor_pipeline.engine.base import Engine
from sor_pipeline.engine.open import open_engine
from sor_pipeline.identify.components import components
from sor_pipeline.identify.guards import ORPHAN_LIMIT
from sor_pipeline.tables import SCHEMAS, ClaimState
from sor_pipeline_tests.identity_world import (
    LINKED,
    MATCH,
    SAME_EMAIL,
    Record,
    Warehouse,
    clusters,
    consistent,
    founded,
    partition,
    rec,
    tables_of,
)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = open_engine(f"duckdb:///{tmp_path_factory.mktemp('identify') / 'warehouse.duckdb'}")
    with engine.held():
        engine.create(tables_of(json.dumps(MATCH), "abc").metadata, SCHEMAS)
        yield engine
    engine.close()


@pytest.fixture
def warehouse(engine: Engine, tmp_path: Path) -> Warehouse:
    warehouse = Warehouse(engine, tmp_path)
    warehouse.clear()
    return warehouse


values = st.sampled_from
some_record = st.builds(
    Record,
    source=values(["a.people", "b.people", "c.people"]),
    key=values("123456"),
    email=values([None, *(f"{name}@e.com" for name in ("u", "v", "w", "x", "y", "z", "info"))]),
    name=values([None, "Ann", "ANN", "Bob|"]),
    phone=values([None, "+1", "|+1", "\\"]),
    link=values([None, None, "1", "2", "9"]),
    deleted=values([False, False, False, True]),
)
some_records = st.lists(some_record, max_size=16, unique_by=lambda record: record.at)
a_history = st.lists(some_records, min_size=1, max_size=3)
relaxed = settings(
    max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True,
    phases=(Phase.explicit, Phase.generate),
)  # fmt: skip


@relaxed
@given(history=a_history, published=st.lists(st.booleans(), min_size=3, max_size=3))
def test_clusters_are_connected_components_whatever_the_history(
    warehouse: Warehouse, history: list[list[Record]], published: list[bool]
) -> None:
    warehouse.clear()
    now: dict[tuple[str, str], Record] = {}
    for batch, publish in zip(history, published, strict=False):
        now |= {record.at: record for record in batch}
        warehouse.identify(*batch)
        seen = set(warehouse.ids())
        live = [record for record in now.values() if not record.deleted]
        assert partition(warehouse, live) == clusters(live)
        assert {r.source[0] + r.key for r in live} <= seen
        consistent(warehouse, live)
        warehouse.publish() if publish else warehouse.resolve()
    before = warehouse.all_state()
    warehouse.identify()
    assert warehouse.all_state() == before, "running again changes nothing"


@settings(relaxed, max_examples=4)
@given(records=some_records, order=st.randoms(use_true_random=False))
def test_ids_do_not_depend_on_the_order_of_records(warehouse: Warehouse, records: list[Record], order: object) -> None:
    results = []
    for _ in range(2):
        warehouse.clear()
        for record in records:
            warehouse.stage(record)
        warehouse.identify()
        results.append(warehouse.all_state())
        order.shuffle(records)  # type: ignore[attr-defined]
    assert results[0] == results[1]


@settings(relaxed, max_examples=300)
@given(count=st.integers(1, 30), data=st.data())
def test_components_equal_networkx(count: int, data: st.DataObject) -> None:
    pairs = data.draw(st.lists(st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)), max_size=40))
    graph = nx.Graph(pairs)
    graph.add_nodes_from(range(count))
    least = {node: min(part) for part in nx.connected_components(graph) for node in part}
    left, right = (np.array([pair[side] for pair in pairs], dtype=np.int64) for side in (0, 1))
    assert components(count, left, right).tolist() == [least[node] for node in range(count)]


@pytest.mark.parametrize("shape", ["path", "shuffled path", "star of stars", "comb"])
def test_components_of_long_thin_graphs(shape: str) -> None:
    count = 20_000
    nodes = np.random.default_rng(7).permutation(count) if shape != "path" else np.arange(count)
    parents = {"star of stars": lambda i: i // 10, "comb": lambda i: np.maximum(i - 2 + i % 2, 0)}.get(
        shape, lambda i: i - 1
    )
    child = np.arange(1, count)
    assert not components(count, nodes[child], nodes[parents(child)]).any()


def test_first_ids_are_named_after_the_smallest_record(warehouse: Warehouse) -> None:
    warehouse.identify(rec("b1", "x@e.com"), rec("a7", "x@e.com"), rec("a10", "x@e.com"), rec("c1"))
    assert warehouse.ids() == {"a7": founded("a10"), "a10": founded("a10"), "b1": founded("a10"), "c1": founded("c1")}
    assert warehouse.registry() == {founded("a10"): (1, None, None), founded("c1"): (1, None, None)}
    assert warehouse.affected() == {founded("a10"): "claim", founded("c1"): "claim"}


def test_merge_keeps_the_larger_cluster(warehouse: Warehouse) -> None:
    warehouse.identify(rec("a1", "x@e.com"), rec("b1", "y@e.com"), rec("c1", "y@e.com"))
    warehouse.publish()
    small, large = warehouse.ids()["a1"], warehouse.ids()["b1"]
    warehouse.identify(rec("a1", "y@e.com"))
    assert set(warehouse.ids().values()) == {large}
    assert warehouse.registry()[small] == (1, 2, large)
    assert warehouse.resolved(small) == large
    assert warehouse.affected() == {small: "identity", large: "identity"}


def test_merge_of_equals_keeps_the_oldest_id(warehouse: Warehouse) -> None:
    warehouse.identify(rec("c1", "y@e.com"))
    warehouse.publish()
    warehouse.identify(rec("a1", "x@e.com"))
    warehouse.publish()
    warehouse.identify(rec("a1", "y@e.com"))
    assert set(warehouse.ids().values()) == {founded("c1")}


def test_split_keeps_the_larger_part_and_a_merge_undone_restores_the_id(warehouse: Warehouse) -> None:
    warehouse.identify(
        rec("a1", "x@e.com"), rec("a0", "x@e.com"), rec("b1", "y@e.com"), rec("c1", "y@e.com"), rec("c2", "y@e.com")
    )
    warehouse.publish()
    before = warehouse.ids()
    warehouse.identify(rec("a1", "x@e.com", name="Ann", phone="+1"), rec("b1", "y@e.com", name="ann", phone="+1"))
    warehouse.publish()
    assert set(warehouse.ids().values()) == {before["b1"]}
    warehouse.identify(rec("a1", "x@e.com"))
    assert warehouse.ids() == before
    assert warehouse.registry() == {before["a1"]: (1, None, None), before["b1"]: (1, None, None)}
    assert warehouse.affected() == {before["a1"]: "identity", before["b1"]: "identity"}


def test_the_founder_that_leaves_gets_another_id(warehouse: Warehouse) -> None:
    warehouse.identify(rec("a1", "x@e.com"), rec("b1", "x@e.com"), rec("c1", "x@e.com"))
    warehouse.publish()
    for _ in range(2):
        warehouse.identify(rec("a1", "y@e.com"))
        warehouse.publish()
        assert warehouse.ids() == {"a1": founded("a1", "|1"), "b1": founded("a1"), "c1": founded("a1")}
        warehouse.identify(rec("a1", "x@e.com"))
        warehouse.publish()
        assert set(warehouse.ids().values()) == {founded("a1")}
        assert warehouse.resolved(founded("a1", "|1")) == founded("a1")


def test_retired_ids_resolve_through_chains_of_merges(warehouse: Warehouse) -> None:
    ones = [
        rec("a1", "x@e.com"),
        *(rec(f"b{i}", "y@e.com") for i in (1, 2)),
        *(rec(f"c{i}", "z@e.com") for i in (1, 2, 3)),
    ]
    warehouse.identify(*ones)
    warehouse.publish()
    first = warehouse.ids()
    warehouse.identify(rec("a1", "y@e.com"))
    warehouse.publish()
    warehouse.identify(rec("a1", "y@e.com", name="n", phone="p"), rec("c1", "z@e.com", name="n", phone="p"))
    assert warehouse.registry()[first["a1"]][2] == first["b1"]
    living = set(warehouse.ids().values())
    assert {warehouse.resolved(known) for known in first.values()} == living
    assert len(living) == 1


def test_deletion_of_a_bridge_splits_and_its_return_joins(warehouse: Warehouse) -> None:
    bridge = rec("b1", "x@e.com", link="1")
    warehouse.identify(rec("a1", "y@e.com"), bridge, rec("c1", "x@e.com"), rec("c2", "x@e.com"))
    warehouse.publish()
    whole = warehouse.ids()
    assert len(set(whole.values())) == 1
    warehouse.identify(replace(bridge, deleted=True))
    warehouse.publish()
    ids = warehouse.ids()
    assert ids["c1"] == ids["c2"] == whole["a1"]
    assert ids["a1"] != whole["a1"]
    assert ids["b1"] == whole["b1"], "a deleted record keeps its last id"
    warehouse.identify(bridge)
    assert warehouse.ids() == whole
    assert warehouse.registry()[ids["a1"]] == (2, 3, whole["a1"])


def test_last_record_deleted_retires_and_its_return_revives(warehouse: Warehouse) -> None:
    warehouse.identify(rec("a1", "x@e.com"), rec("b1"))
    warehouse.publish()
    known = warehouse.ids()["a1"]
    outcome = warehouse.identify(rec("a1", "x@e.com", deleted=True))
    assert outcome.counts["retired"] == 1
    assert warehouse.registry()[known] == (1, 2, None)
    assert warehouse.affected() == {known: "claim"}
    warehouse.publish()
    warehouse.identify(rec("a1", "other@e.com"))
    assert warehouse.ids()["a1"] == known
    assert warehouse.registry()[known] == (1, None, None)


def test_a_record_that_returns_elsewhere_leads_its_old_id_there(warehouse: Warehouse) -> None:
    warehouse.identify(rec("a1", "x@e.com"), rec("b1", "y@e.com"))
    warehouse.publish()
    first = warehouse.ids()
    warehouse.identify(rec("a1", "x@e.com", deleted=True))
    warehouse.publish()
    warehouse.identify(rec("a1", "y@e.com"), rec("c1", "y@e.com"))
    assert warehouse.resolved(first["a1"]) == warehouse.ids()["a1"] == warehouse.ids()["b1"]


def test_a_returning_record_does_not_take_the_id_from_those_who_stayed(warehouse: Warehouse) -> None:
    warehouse.identify(rec("a1", "x@e.com"), rec("b1", "x@e.com"))
    warehouse.publish()
    known = warehouse.ids()["b1"]
    warehouse.identify(rec("a1", "x@e.com", deleted=True))
    warehouse.publish()
    warehouse.identify(rec("a1"))
    assert warehouse.ids() == {"a1": founded("a1", "|1"), "b1": known}


def test_a_record_that_was_never_alive_is_no_entity(warehouse: Warehouse) -> None:
    warehouse.identify(rec("a1", "x@e.com", deleted=True))
    assert warehouse.ids() == warehouse.registry() == warehouse.affected() == {}


def test_nothing_else_is_touched(warehouse: Warehouse) -> None:
    warehouse.identify(
        rec("a1", "x@e.com"), rec("b1", "x@e.com"), rec("a2", "y@e.com"), rec("a3", "y@e.com"), rec("b2", "z@e.com")
    )
    warehouse.publish()
    outcome = warehouse.identify(rec("b2", "y@e.com"))
    assert outcome.counts["looked_at"] == 3
    rows = {row[0][0] + row[1]: row[3] for row in warehouse.rows(warehouse.tables.identity["contact"])}  # type: ignore[index, operator]
    assert rows == {"a1": 1, "b1": 1, "a2": 1, "a3": 1, "b2": 2}
    assert warehouse.registry()[founded("a1")] == (1, None, None)
    assert founded("a1") not in warehouse.affected()


def test_a_change_that_moves_nothing_is_a_claim(warehouse: Warehouse) -> None:
    warehouse.identify(rec("a1", "x@e.com"), rec("b1", "x@e.com"))
    warehouse.publish()
    warehouse.identify(rec("b1", "x@e.com", name="New"))
    assert warehouse.affected() == {founded("a1"): "claim"}
    assert {row[3] for row in warehouse.rows(warehouse.tables.identity["contact"])} == {1}


@pytest.mark.parametrize("target_first", [True, False])
def test_linked_keys_whichever_arrives_first(warehouse: Warehouse, target_first: bool) -> None:
    target, holder = rec("a1", "x@e.com"), rec("b5", "y@e.com", link="1")
    for record in (target, holder) if target_first else (holder, target):
        warehouse.identify(record)
        warehouse.publish()
    assert len(set(warehouse.ids().values())) == 1


def test_a_linked_key_is_not_that_of_another_source(warehouse: Warehouse) -> None:
    warehouse.identify(rec("a1"), rec("b1"), rec("c1"), rec("b2", link="1"), rec("c2", link="1"))
    ids = warehouse.ids()
    assert ids["a1"] == ids["b2"]
    assert ids["c1"] == ids["c2"]
    assert len({ids["a1"], ids["b1"], ids["c1"]}) == 3


def test_a_record_linked_to_itself_is_alone(warehouse: Warehouse) -> None:
    warehouse.identify(rec("c1", link="1"), rec("c2", link=""))
    assert len(set(warehouse.ids().values())) == 2
    assert len(warehouse.rows(warehouse.tables.token["contact"])) == 2


def test_many_holders_of_a_key_are_one_only_when_its_record_is_there(warehouse: Warehouse) -> None:
    holders = [rec(f"b{i}", link="0") for i in range(ORPHAN_LIMIT + 1)]
    warehouse.identify(*holders)
    warehouse.publish()
    assert len(set(warehouse.ids().values())) == len(holders)
    warehouse.identify(rec("a0"))
    warehouse.publish()
    assert len(set(warehouse.ids().values())) == 1
    warehouse.identify(rec("a0", deleted=True))
    assert len({known for at, known in warehouse.ids().items() if at != "a0"}) == len(holders)


@pytest.mark.parametrize("mailbox", ["info", "sales", "no-reply", "support+crm"])
def test_role_mailboxes_link_nobody(warehouse: Warehouse, mailbox: str) -> None:
    warehouse.identify(
        rec("a1", f"{mailbox}@e.com"), rec("b1", f"{mailbox}@e.com"), rec("b2", "ann@e.com"), rec("c2", "ann@e.com")
    )
    ids = warehouse.ids()
    assert ids["a1"] != ids["b1"]
    assert ids["b2"] == ids["c2"]


def test_placeholders_and_cleared_values_link_nobody(warehouse: Warehouse) -> None:
    warehouse.stage(rec("a1", "x@e.com"), rec("b1", "x@e.com"), rec("c1", "x@e.com"))
    with warehouse.engine.begin() as connection:
        for source, state in (("a.people", ClaimState.placeholder), ("b.people", ClaimState.cleared)):
            connection.execute(sa.update(warehouse.tables.staged[source]).values(email__state=int(state)))
    warehouse.identify()
    assert len(set(warehouse.ids().values())) == 3


def test_a_token_too_common_and_common_no_more(warehouse: Warehouse) -> None:
    crowd = [rec(f"c{key}", "x@e.com") for key in (1, 2, 3, 4)]
    warehouse.identify(*crowd)
    warehouse.publish()
    together = warehouse.ids()
    assert len(set(together.values())) == 1
    warehouse.identify(rec("c9", "x@e.com"))
    warehouse.publish()
    assert len(set(warehouse.ids().values())) == 5
    assert warehouse.identify(rec("c8", "x@e.com")).counts["looked_at"] == 1, "a crowd is not looked at for one more"
    warehouse.publish()
    warehouse.identify(rec("c9", "y@e.com"), rec("c8", deleted=True))
    ids = warehouse.ids()
    assert {at: ids[at] for at in together} == together


def test_same_over_several_fields_needs_all_and_does_not_confuse_them(warehouse: Warehouse) -> None:
    warehouse.identify(
        rec("a1", name="Ann", phone="+1"),
        rec("b1", name="ANN", phone="+1"),
        rec("c1", name="Ann"),
        rec("c2", phone="+1"),
        rec("a2", name="x|", phone="y"),
        rec("b2", name="x", phone="|y"),
        rec("a3", name="x\\", phone="|"),
        rec("b3", name="x\\|", phone=""),
    )
    parts = Counter(warehouse.ids().values())
    assert sorted(parts.values()) == [1, 1, 1, 1, 1, 1, 2]
    assert warehouse.ids()["a1"] == warehouse.ids()["b1"]


def test_keys_of_two_systems_that_happen_to_be_equal_are_not_the_same(warehouse: Warehouse) -> None:
    tables = warehouse.tables
    with warehouse.engine.begin() as connection:
        for source, key in (("a.deals", "1"), ("b.deals", "2"), ("b.deals", "3")):
            row = {
                "_key": key,
                "_publication": 1,
                "title": "T",
                "title__cmp": "t",
                "title__state": 1,
                "contact": "7",
                "contact__state": 1,
            }
            connection.execute(sa.insert(tables.staged[source]).values(**row))
    warehouse.identify(entity="deal")
    ids = {(source, key): known for source, key, known, _ in warehouse.rows(tables.identity["deal"])}
    assert ids["b.deals", "2"] == ids["b.deals", "3"] != ids["a.deals", "1"]
    assert warehouse.ids() == {}


def test_without_rules_every_record_is_its_own(warehouse: Warehouse) -> None:
    warehouse.match = []
    warehouse.identify(rec("a1", "x@e.com"), rec("b1", "x@e.com"))
    warehouse.publish()
    assert warehouse.ids() == {"a1": founded("a1"), "b1": founded("b1")}
    assert warehouse.rows(warehouse.tables.token["contact"]) == []
    warehouse.identify(rec("a1", deleted=True), rec("c1"))
    consistent(warehouse, [rec("b1"), rec("c1")])


def test_other_rules_look_at_everything_again(warehouse: Warehouse) -> None:
    warehouse.match = [LINKED]
    warehouse.identify(rec("a1", "x@e.com"), rec("b1", "x@e.com"))
    warehouse.publish()
    before = warehouse.ids()
    warehouse.match = MATCH
    warehouse.identify()
    assert set(warehouse.ids().values()) == {before["a1"]}
    warehouse.publish()
    warehouse.match = [LINKED]
    warehouse.identify()
    assert warehouse.ids() == before


def test_records_of_a_source_that_left_the_document_go(warehouse: Warehouse) -> None:
    warehouse.identify(rec("a1", "x@e.com"), rec("c1", "x@e.com"), rec("c2"))
    warehouse.publish()
    before = warehouse.ids()
    warehouse.sources, warehouse.match = "ab", [SAME_EMAIL]
    warehouse.identify()
    assert warehouse.ids() == {"a1": before["a1"]}
    assert warehouse.registry()[before["c2"]] == (1, 2, None)
    assert warehouse.affected() == {before["a1"]: "identity", before["c2"]: "identity"}


def test_killed_before_commit_leaves_nothing_and_the_next_run_ends_the_same(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, change = [rec("a1", "x@e.com"), rec("b1", "y@e.com"), rec("c1", "y@e.com")], rec("a1", "y@e.com")
    warehouse.identify(*start)
    warehouse.publish()
    warehouse.identify(change)
    undisturbed = warehouse.all_state()
    warehouse.clear()
    warehouse.identify(*start)
    warehouse.publish()
    before = warehouse.all_state()
    with monkeypatch.context() as patched:
        patched.setattr("sor_pipeline.identify.step.report", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            warehouse.identify(change)
    assert warehouse.all_state() == before
    warehouse.identify()
    assert warehouse.all_state() == undisturbed
    warehouse.identify()
    assert warehouse.all_state() == undisturbed
