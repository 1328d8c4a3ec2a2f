"""Clusters under constraints: people's links and unlinks, unique sources, size limits; refused edges and cases."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import networkx as nx
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from sor_pipeline.engine.base import Engine
from sor_pipeline.engine.open import open_engine
from sor_pipeline.identify.constrained import constrained
from sor_pipeline.identify.work import Work
from sor_pipeline.tables import SCHEMAS
from sor_pipeline_tests.identity_world import (
    LINKED,
    MATCH,
    SAME_EMAIL,
    Record,
    Warehouse,
    partition,
    rec,
    strangers,
    tables_of,
    tokens_of,
)

relaxed = settings(
    max_examples=14, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True,
    phases=(Phase.explicit, Phase.generate),
)  # fmt: skip
ALL = [*MATCH, {"same": ["name"], "max_records": 3}]
Pairs = dict[tuple[str, str], tuple[float, str]]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = open_engine(f"duckdb:///{tmp_path_factory.mktemp('decided') / 'warehouse.duckdb'}")
    with engine.held():
        engine.create(tables_of(json.dumps(MATCH), "abc").metadata, SCHEMAS)
        yield engine
    engine.close()


@pytest.fixture
def warehouse(engine: Engine, tmp_path: Path) -> Warehouse:
    warehouse = Warehouse(engine, tmp_path)
    warehouse.clear()
    return warehouse


# Similarity is put in by hand: what it says is another test's business.


@dataclass
class Similarity:
    """Stands in for the similarity step: `pairs` are what it would find between live records."""

    pairs: Pairs = field(default_factory=dict)

    def write(self, work: Work, everything: bool) -> tuple[()]:
        table = work.tables.pair[work.entity]
        live = set()
        for source in work.run.ownership.sources_of(work.entity):
            staged = work.tables.staged[source]
            keys = work.connection.execute(sa.select(staged.c._key).where(staged.c._deleted_at.is_(None))).scalars()
            live |= {source[0] + key for key in keys.all()}
        before = {
            (row.left_source[0] + row.left_key, row.right_source[0] + row.right_key): (row.weight, row.verdict)
            for row in work.connection.execute(sa.select(table)).fetchall()
        }
        now = {pair: said for pair, said in self.pairs.items() if set(pair) <= live}
        work.connection.execute(sa.delete(table))
        for (left, right), (weight, verdict) in now.items():
            work.connection.execute(
                sa.insert(table).values(
                    left_source=f"{left[0]}.people", left_key=left[1:], right_source=f"{right[0]}.people",
                    right_key=right[1:], weight=weight, probability=0.9, levels='{"name": "exact"}', verdict=verdict,
                    _publication=work.pending,
                )
            )  # fmt: skip
        changed = {at for pair in before.keys() | now.keys() if before.get(pair) != now.get(pair) for at in pair}
        self.reached = work.keep("similar_stub", _listed(work, changed))
        return ()


def _listed(work: Work, ats: set[str]) -> sa.Select[object]:
    known = [
        sa.select(sa.literal(f"{at[0]}.people").label("source"), sa.literal(at[1:]).label("source_key")) for at in ats
    ]
    none = sa.select(sa.literal("").label("source"), sa.literal("").label("source_key")).where(sa.false())
    return sa.union_all(none, *known)  # type: ignore[return-value]


@pytest.fixture
def similarity(monkeypatch: pytest.MonkeyPatch) -> Similarity:
    similarity = Similarity()
    monkeypatch.setattr("sor_pipeline.identify.step.write_pairs", similarity.write)
    monkeypatch.setattr("sor_pipeline.identify.step.reached", lambda _: similarity.reached)
    return similarity


# The reference: networkx, and Kruskal in plain Python.

At = tuple[str, str]
Edge = tuple[int, float, At, At, str]


def edges_of(
    records: list[Record], pairs: Pairs, links: dict[frozenset[At], int], rules: list[dict], size: int
) -> list[Edge]:
    """From the strongest to the weakest: (class, -weight, left, right, rule)."""
    live = {record.at: record for record in records}
    order = {"link": 1000 + rules.index(LINKED), "email": 2000 + rules.index(SAME_EMAIL)}
    most = {"email": 4, "name+phone": 3, "link": 20, "name": 3}
    order["name+phone"], order["name"] = 2001, 2003
    names = {"email": "same:email", "name+phone": "same:name+phone", "name": "same:name"}
    holders: dict[tuple[str, ...], set[At]] = {}
    for record in records:
        for token in [*tokens_of(record), *([("name", record.name.lower())] if record.name else [])]:
            holders.setdefault(token, set()).add(record.at)
    found: set[Edge] = set()
    for token, who in holders.items():
        kind = token[0]
        named = kind == "link" and tuple(token[2:]) in who
        crowd = [sum(1 for s, _ in who if kind == "link" or s == source) for source in {s for s, _ in who}]
        if not named and (
            max(crowd) > min(most[kind], size) or len(who) > size or contradicted(token, who, list(live.values()))
        ):
            continue
        rule = names.get(kind, f"linked:{token[1]}.{'a_id' if token[1][0] == 'b' else 'c_id'}")
        for left, right in itertools.combinations(sorted(who), 2):
            if len(who) <= size or tuple(token[2:]) in (left, right):
                found.add((order[kind], 0.0, left, right, rule))
    for (left_at, right_at), (weight, verdict) in pairs.items():
        left, right = ((f"{at[0]}.people", at[1:]) for at in (left_at, right_at))
        if verdict == "accept" and left in live and right in live:
            found.add((3000, -weight, left, right, "similar"))
    for pair, number in links.items():
        left, right = sorted(pair)
        if left in live and right in live:
            found.add((0, 0.0, left, right, f"decision {number}"))
    return sorted(found)


def contradicted(token: tuple[str, ...], who: set[At], live: list[Record]) -> bool:
    """Of e-mails as in `strangers`; of names by three e-mails and three telephone numbers."""
    if token[0] == "name":
        emails = [r.email for r in live if r.at in who and r.email]
        phones = [r.phone for r in live if r.at in who and r.phone]
        return len(set(emails)) >= 3 and len(set(phones)) >= 3
    return strangers(token, who, live)


def kruskal(
    nodes: set[At], edges: list[Edge], apart: dict[frozenset[At], int], unique: str, size: int
) -> tuple[set[frozenset[At]], set[tuple[At, At, str, str]]]:
    """Clusters, and refused edges (left, right, rule, guard): components by networkx, broken ones edge by edge."""
    graph = nx.Graph()
    graph.add_nodes_from(nodes)
    graph.add_edges_from((left, right) for _, _, left, right, _ in edges)
    clusters: set[frozenset[At]] = set()
    refused: set[tuple[At, At, str, str]] = set()
    for part in nx.connected_components(graph):
        if objection(part, set(), apart, unique, size) is None:
            clusters.add(frozenset(part))
            continue
        of = {node: {node} for node in part}
        for _, _, left, right, rule in edges:
            if left not in part or of[left] is of[right]:
                continue
            guard = objection(of[left], of[right], apart, unique, size)
            if guard is not None:
                refused.add((left, right, rule, guard))
                continue
            both = of[left] | of[right]
            of |= dict.fromkeys(both, both)
        clusters |= {frozenset(members) for members in of.values()}
    return clusters, refused


def objection(one: set[At], other: set[At], apart: dict[frozenset[At], int], unique: str, size: int) -> str | None:
    together = one | other
    if any(pair <= together for pair in apart):
        return "unlink"
    sources = [source for source, _ in together if source[0] in unique]
    if len(sources) != len(set(sources)):
        return "unique"
    return "max_size" if len(together) > size else None


values = st.sampled_from
some_record = st.builds(
    Record,
    source=values(["a.people", "b.people", "c.people"]),
    key=values("1234"),
    email=values([None, *(f"{name}@e.com" for name in "uvwx")]),
    name=values([None, "Ann", "Bob", "Cy"]),
    phone=values([None, "+1", "+2", "+3"]),
    link=values([None, None, "1", "2", "9"]),
    deleted=values([False, False, False, True]),
)
an_at = st.builds(lambda source, key: source + key, values("abc"), values("1234"))
a_pair = st.tuples(an_at, an_at).filter(lambda pair: pair[0] != pair[1]).map(lambda pair: tuple(sorted(pair)))
an_act = st.one_of(
    st.tuples(st.just("stage"), st.lists(some_record, min_size=1, max_size=8, unique_by=lambda record: record.at)),
    st.tuples(values(["link", "unlink"]), a_pair),
    st.tuples(st.just("withdraw"), st.integers(0, 5)),
    st.tuples(
        st.just("similar"),
        st.dictionaries(a_pair, st.tuples(values([3.0, 7.5]), values(["accept", "review"])), max_size=4),
    ),
)


@settings(relaxed, max_examples=400)
@given(count=st.integers(1, 9), size=st.integers(2, 6), data=st.data())
def test_constrained_components_equal_kruskal(count: int, size: int, data: st.DataObject) -> None:
    nodes = [("abc"[number % 3], str(number)) for number in range(count)]
    number = st.integers(0, count - 1)
    two = st.tuples(number, number).filter(lambda pair: pair[0] < pair[1]) if count > 1 else st.nothing()
    edges = data.draw(st.lists(two, max_size=20)) if count > 1 else []
    cut = data.draw(st.sets(two, max_size=5)) if count > 1 else set()
    ranked = [(rank, 0.0, nodes[left], nodes[right], str(rank)) for rank, (left, right) in enumerate(edges)]
    apart = {frozenset((nodes[left], nodes[right])): 7 for left, right in cut}
    unique = data.draw(values(["", "a", "ab"]))
    decided = [(left, right, 7) for left, right in sorted(cut)]
    sources = {place: source for place, (source, _) in enumerate(nodes) if source in unique}
    labels, refusals = constrained(range(count), edges, decided, sources, size)
    parts: dict[int, set[At]] = {}
    for place, label in labels.items():
        assert label <= place
        parts.setdefault(label, set()).add(nodes[place])
    expected, refused = kruskal(set(nodes), ranked, apart, unique, size)
    assert {frozenset(part) for part in parts.values()} == expected
    assert {(*ranked[r.edge][2:], r.guard) for r in refusals} == refused


@relaxed
@given(
    acts=st.lists(st.tuples(an_act, st.booleans()), min_size=2, max_size=7),
    unique=values(["", "a", "bc"]),
    size=values([3, 5, 50]),
)
def test_clusters_equal_the_reference_whatever_came_in_whatever_order(
    warehouse: Warehouse, similarity: Similarity, acts: list[tuple], unique: str, size: int
) -> None:
    """Each pass looks at what changed only; the reference at everything: so incremental equals full."""
    warehouse.clear()
    warehouse.match, warehouse.unique, warehouse.max_size = ALL, unique, size
    similarity.pairs = {}
    now: dict[At, Record] = {}
    standing: dict[frozenset[At], list[tuple[int, str]]] = {}
    for (kind, what), publish in acts:
        if kind == "stage":
            now |= {record.at: record for record in what}
            warehouse.stage(*what)
        elif kind == "similar":
            similarity.pairs = what
        elif kind == "withdraw":
            taken = [(pair, entry) for pair, entries in standing.items() for entry in entries]
            if taken:
                pair, entry = taken[what % len(taken)]
                warehouse.withdraw(entry[0])
                standing[pair].remove(entry)
        else:
            pair = frozenset((f"{at[0]}.people", at[1:]) for at in what)
            standing.setdefault(pair, []).append((warehouse.decide(kind, *what), kind))
        if kind == "similar":  # as if a record had changed: similarity runs with the step
            warehouse.stage(*list(now.values())[:1])
        warehouse.identify()
        equals_reference(warehouse, similarity, now, standing)
        if publish:
            warehouse.publish()
    told = (warehouse.rows(warehouse.tables.identity["contact"]), warehouse.refused(), warehouse.cases())
    with warehouse.engine.begin() as connection:
        connection.execute(sa.delete(warehouse.tables.identity_state))
    warehouse.identify()
    again = (warehouse.rows(warehouse.tables.identity["contact"]), warehouse.refused(), warehouse.cases())
    assert again == told, "everything looked at again is what it was"


def equals_reference(
    warehouse: Warehouse,
    similarity: Similarity,
    now: dict[At, Record],
    standing: dict[frozenset[At], list[tuple[int, str]]],
) -> None:
    live = [record for record in now.values() if not record.deleted]
    ruling = {pair: max(entries) for pair, entries in standing.items() if entries}
    links = {pair: number for pair, (number, kind) in ruling.items() if kind == "link"}
    apart = {pair: number for pair, (number, kind) in ruling.items() if kind == "unlink"}
    edges = edges_of(live, similarity.pairs, links, ALL, warehouse.max_size)
    clusters, refused = kruskal({record.at for record in live}, edges, apart, warehouse.unique, warehouse.max_size)
    assert partition(warehouse, live) == clusters
    assert {(left, right, rule, guard) for left, right, rule, guard, _ in warehouse.refused()} == {
        (left[0][0] + left[1], right[0][0] + right[1], rule, guard) for left, right, rule, guard in refused
    }
    of = {at: part for part in clusters for at in part}
    waiting = {
        pair for pair, (_, verdict) in similarity.pairs.items()
        if verdict == "review" and (ends := [(f"{at[0]}.people", at[1:]) for at in pair])
        and all(end in of for end in ends) and of[ends[0]] != of[ends[1]] and frozenset(ends) not in ruling
    }  # fmt: skip
    assert {case[:2] for case in warehouse.cases() if case[2] == "review"} == waiting
    guards = {guard for *_, guard in refused}
    kinds = {kind for *_, kind in warehouse.cases()} - {"review"}
    assert kinds == {{"unique": "not_unique", "max_size": "too_large"}[guard] for guard in guards - {"unlink"}}


def test_an_unlink_cuts_the_weakest_edge_first(warehouse: Warehouse) -> None:
    ann, bob = rec("a1", "x@e.com"), rec("c1", "y@e.com", name="N", phone="+1")
    between = rec("b1", "x@e.com", name="N", phone="+1")
    warehouse.identify(ann, between, bob)
    warehouse.publish()
    assert len(set(warehouse.ids().values())) == 1
    warehouse.decide("unlink", "a1", "c1")
    warehouse.identify()
    ids = warehouse.ids()
    assert ids["a1"] == ids["b1"] != ids["c1"], "same e-mail stands before same name and phone in the document"
    assert warehouse.refused() == {("b1", "c1", "same:name+phone", "unlink", "decision 1")}
    assert warehouse.cases() == {}, "what a person decided needs no person"
    assert {cause for *_, cause in warehouse.moves()} == {"decision 1"}


def test_one_that_is_cut_off_does_not_cut_the_others_off(warehouse: Warehouse) -> None:
    """The least holder is the hub of the star that the plain case works with."""
    warehouse.identify(*(rec(at, "x@e.com") for at in ("a1", "b1", "c1", "c2")))
    for other in ("b1", "c1", "c2"):
        warehouse.decide("unlink", "a1", other)
    warehouse.identify()
    ids = warehouse.ids()
    assert ids["b1"] == ids["c1"] == ids["c2"] != ids["a1"]


def test_the_newest_decision_on_a_pair_rules_and_withdrawal_brings_back_the_one_before(warehouse: Warehouse) -> None:
    warehouse.identify(rec("a1", "x@e.com"), rec("b1", "x@e.com"), rec("c1"))
    apart = warehouse.decide("unlink", "a1", "b1")
    warehouse.identify()
    assert len(set(warehouse.ids().values())) == 3
    link = warehouse.decide("link", "a1", "b1")
    warehouse.identify()
    assert warehouse.ids()["a1"] == warehouse.ids()["b1"]
    warehouse.withdraw(link)
    warehouse.identify()
    assert warehouse.ids()["a1"] != warehouse.ids()["b1"]
    warehouse.withdraw(apart)
    warehouse.identify()
    assert warehouse.ids()["a1"] == warehouse.ids()["b1"]


def test_two_records_of_a_unique_source_are_a_case_until_they_differ(warehouse: Warehouse) -> None:
    warehouse.unique = "a"
    twins = [rec("a1", "x@e.com"), rec("a2", "x@e.com"), rec("b1", "x@e.com")]
    warehouse.identify(*twins)
    ids = warehouse.ids()
    assert ids["a1"] == ids["b1"] != ids["a2"]
    assert warehouse.cases() == {("a1", "a2", "not_unique"): None}
    warehouse.publish()
    warehouse.identify(replace(twins[1], email="y@e.com"))
    assert warehouse.cases() == {}
    assert warehouse.cases(closed=True) == {("a1", "a2", "not_unique"): "gone"}
    warehouse.publish()
    warehouse.identify(twins[1])
    assert warehouse.cases() == {("a1", "a2", "not_unique"): None}, "what comes back is the same case, open again"


def test_a_deleted_record_of_a_unique_source_stands_in_nobodys_way(warehouse: Warehouse) -> None:
    warehouse.unique = "a"
    warehouse.identify(rec("a1", "x@e.com"), rec("a2", "x@e.com"))
    warehouse.publish()
    warehouse.identify(rec("a1", "x@e.com", deleted=True), rec("b1", "x@e.com"))
    ids = warehouse.ids()
    assert ids["a2"] == ids["b1"]
    assert warehouse.refused() == set()


def test_too_large_is_one_case_with_its_size(warehouse: Warehouse) -> None:
    warehouse.max_size = 3
    warehouse.identify(
        rec("a1", "x@e.com", name="N", phone="+1"), rec("b1", "x@e.com"), rec("c1", "x@e.com"),
        rec("a2", "y@e.com", name="N", phone="+1"), rec("b2", "y@e.com"),
    )  # fmt: skip
    assert sorted(len(part) for part in partition(warehouse, [rec(at) for at in ("a1", "a2", "b1", "b2", "c1")])) == [
        2,
        3,
    ]
    assert list(warehouse.cases()) == [("a1", "a2", "too_large")]
    (row,) = warehouse.rows(warehouse.tables.case)
    assert '{"records": 5, "max_size": 3, "refused": 1}' in row


def test_review_pairs_are_cases_that_close_with_what_became_of_them(
    warehouse: Warehouse, similarity: Similarity
) -> None:
    similarity.pairs = {("a1", "b1"): (4.0, "review"), ("a2", "b2"): (4.0, "review"), ("a3", "b3"): (4.0, "review")}
    warehouse.identify(*(rec(f"{source}{key}") for source in "ab" for key in "123"))
    assert warehouse.cases().keys() == {("a1", "b1", "review"), ("a2", "b2", "review"), ("a3", "b3", "review")}
    warehouse.publish()
    warehouse.decide("link", "a1", "b1")
    warehouse.decide("unlink", "a2", "b2")
    warehouse.identify(rec("a3", deleted=True))
    assert warehouse.cases() == {}
    assert warehouse.cases(closed=True) == {
        ("a1", "b1", "review"): "linked", ("a2", "b2", "review"): "unlinked", ("a3", "b3", "review"): "gone",
    }  # fmt: skip


def test_evidence_is_json_and_tells_levels_not_values(warehouse: Warehouse, similarity: Similarity) -> None:
    similarity.pairs = {("a1", "b1"): (4.0, "review")}
    warehouse.identify(rec("a1", "secret@e.com"), rec("b1", "secret2@e.com"))
    (row,) = warehouse.rows(warehouse.tables.case)
    evidence = next(json.loads(str(cell)) for cell in row if str(cell).startswith("{"))
    assert evidence == {"probability": 0.9, "levels": {"name": "exact"}, "veto": None}


def test_a_decision_about_unknown_or_deleted_records_waits_for_them(warehouse: Warehouse) -> None:
    warehouse.identify(rec("a1"))
    warehouse.decide("link", "a1", "b1")
    warehouse.identify()
    warehouse.publish()
    warehouse.identify(rec("b1"))
    assert warehouse.ids()["a1"] == warehouse.ids()["b1"]


def test_a_linked_crowd_larger_than_an_entity_may_be_costs_no_clique(warehouse: Warehouse) -> None:
    warehouse.max_size = 5
    warehouse.identify(rec("a0"), *(rec(f"b{key}", link="0") for key in range(300)))
    assert len(warehouse.refused()) == 296
    assert [kind for *_, kind in warehouse.cases()] == ["too_large"]
