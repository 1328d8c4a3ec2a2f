"""Decisions: what is refused, what the ledger keeps, which word rules, and why records are linked or not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from sor_pipeline.errors import DecisionRefused
from sor_pipeline.flow import opened
from sor_pipeline.observe.decisions import in_force, ledger
from sor_pipeline.observe.linkage import Tie
from sor_pipeline.observe.path import path, spanning
from sor_pipeline.run import Run
from sor_pipeline.steward.acceptances import accept
from sor_pipeline.steward.decisions import Kind, decide, paired, ruling, withdraw
from sor_pipeline.steward.records import Record, named
from sor_pipeline_tests.people_world import ANN, CY, NOW, People


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("people")
    People(folder).run()
    return folder


@pytest.fixture
def people(ran: Path, tmp_path: Path) -> People:
    shutil.copytree(ran, tmp_path, dirs_exist_ok=True)
    return People(tmp_path)


@pytest.fixture
def run(people: People) -> Iterator[Run]:
    with opened(people.ownership, people.settings, NOW) as hands:
        yield hands


def word(run: Run, kind: Kind, pair: tuple[str, str] = CY, by: str = "jo", reason: str = "seen") -> int:
    one, other = (named(run.ownership, name) for name in pair)
    return decide(run, kind, one, other, by, reason, {"edges": []}, 1.5).number


def refused(code: str, *words: object) -> None:
    """`words` are a call; it must be refused with this code, and the fault must say what to do."""
    call, *arguments = words
    with pytest.raises(DecisionRefused) as raised:
        call(*arguments)  # type: ignore[operator]
    assert [
        (fault.code, bool(fault.what and fault.found and fault.expected and fault.todo))
        for fault in raised.value.faults
    ] == [(code, True)]


# ------------------------------------------------------------------------------------- the ledger


def test_a_decision_says_who_when_why_and_what_was_seen(run: Run, people: People) -> None:
    word(run, Kind.unlink, CY[::-1])
    row = people.ledger()[0]
    assert (row.decision, row.entity, row.kind, row.by, row.at, row.reason) == (
        1,
        "contact",
        "unlink",
        "jo",
        NOW,
        "seen",
    )
    assert (row.left_source, row.left_key, row.right_source, row.right_key) == (
        "crm.contacts",
        "3",
        "mail.members",
        "m2",
    )
    assert (json.loads(row.evidence), row.weight, row.withdraws, row._publication) == ({"edges": []}, 1.5, None, 2)


def test_numbers_count_up_and_nothing_is_ever_changed(run: Run, people: People) -> None:
    numbers = [
        word(run, Kind.link),
        withdraw(run, 1, "jo", "no").number,
        word(run, Kind.link),
        word(run, Kind.unlink, ANN),
    ]
    before = people.ledger()
    withdraw(run, 3, "jo", "no")
    assert numbers == [1, 2, 3, 4]
    assert people.ledger()[:4] == before
    assert (people.ledger()[1].withdraws, people.ledger()[1].kind) == (1, "withdraw")


def test_the_smaller_record_stands_on_the_left_by_code_points(run: Run) -> None:
    with run.engine.begin() as connection:
        for one, other in (ANN, ANN[::-1]):
            pair = paired(run, connection, named(run.ownership, one), named(run.ownership, other))
            assert (str(pair.left), str(pair.right)) == ANN
    assert sorted([Record("a", "é"), Record("a", "z"), Record("a", "Z")]) == [
        Record("a", "Z"),
        Record("a", "z"),
        Record("a", "é"),
    ]


WORDS = st.lists(
    st.sampled_from(["link", "unlink", "withdraw 1", "withdraw 2", "withdraw 3", "withdraw 5"]), max_size=10
)


@pytest.fixture(scope="module")
def bare(ran: Path) -> Iterator[Run]:
    people = People(ran)
    with opened(people.ownership, people.settings, NOW) as hands:
        yield hands


@settings(max_examples=40, deadline=None)
@given(words=WORDS)
def test_the_newest_word_that_nobody_withdrew_rules(bare: Run, words: list[str]) -> None:
    """Against the plainest reading: a list of entries. What is refused changes nothing."""
    with bare.engine.begin() as connection:
        connection.execute(sa.delete(bare.tables.decision))
    entries: list[tuple[str, int]] = []
    for text in words:
        gone = {number for kind, number in entries if kind == "withdraw"}
        standing = [n for n, (kind, _) in enumerate(entries, 1) if kind != "withdraw" and n not in gone]
        kind, _, target = text.partition(" ")
        try:
            if target:
                withdraw(bare, int(target), "jo", "no")
                entries.append(("withdraw", int(target)))
                assert int(target) in standing
            else:
                word(bare, Kind(kind))
                assert not standing or entries[standing[-1] - 1][0] != kind
                entries.append((kind, 0))
        except DecisionRefused:
            assert int(target) not in standing if target else entries[standing[-1] - 1][0] == kind
    gone = {number for kind, number in entries if kind == "withdraw"}
    standing = [n for n, (kind, _) in enumerate(entries, 1) if kind != "withdraw" and n not in gone]
    expected = [(standing[-1], entries[standing[-1] - 1][0])] if standing else []
    with bare.engine.begin() as connection:
        said = connection.execute(in_force(bare.tables)).fetchall()
        pair = paired(bare, connection, *(named(bare.ownership, name) for name in CY))
        one = ruling(bare, connection, pair)
        rows = connection.execute(ledger(bare.tables, None, True)).fetchall()
        connection.execute(sa.delete(bare.tables.decision))
    assert [(row.decision, row.kind) for row in said] == expected
    assert ([(one[0], one[1].value)] if one else []) == expected
    assert [row.decision for row in rows if row.state == "in force"] == [number for number, _ in expected]
    assert {row.decision for row in rows if row.state == "withdrawn"} == gone
    assert all((row.until is None) == (row.state in ("in force", "withdrawal")) for row in rows)


# ------------------------------------------------------------------------------------- what is refused


def test_names_of_records(run: Run) -> None:
    assert named(run.ownership, "mail.members:m:3 x") == Record("mail.members", "m:3 x")
    for text in ("", "foo", ":1", "crm.contacts:", "crm.contacts"):
        refused("record-name", named, run.ownership, text)
    for text, hint in (("crm.contcts:1", "crm.contacts"), ("desk:1", "desk.users")):
        refused("unknown-source", named, run.ownership, text)
        with pytest.raises(DecisionRefused, match=f"did you mean `{hint}`"):
            named(run.ownership, text)


def test_two_live_records_of_one_entity(run: Run) -> None:
    refused("same-record", word, run, Kind.link, (CY[0], CY[0]))
    refused("unknown-record", word, run, Kind.link, ("crm.contacts:99", CY[1]))
    refused("two-entities", word, run, Kind.link, ("crm.firms:1", CY[1]))
    refused("unique-source", word, run, Kind.link, ("mail.members:m1", "mail.members:m2"))
    with pytest.raises(DecisionRefused, match=r"did you mean `desk\.users:u1`"):
        word(run, Kind.link, ("crm.contacts:u1", CY[1]))
    assert word(run, Kind.unlink, ("mail.members:m1", "mail.members:m2")) == 1


def test_a_deleted_record_is_no_longer_decided_about_but_decisions_can_be_withdrawn(people: People) -> None:
    with opened(people.ownership, people.settings, NOW) as hands:
        word(hands, Kind.link)
    people.deliver(2, {"mail/members": "id,email,name\nm1,ann@x.example,Ann A\n"})
    people.run(2)
    with opened(people.ownership, people.settings, NOW) as hands:
        refused("deleted-record", word, hands, Kind.unlink)
        assert withdraw(hands, 1, "jo", "gone").number == 2


@pytest.mark.parametrize(("by", "reason"), [("", "x"), (" ", "x"), ("jo", ""), ("jo", "\t ")])
def test_a_decision_is_signed_and_reasoned(run: Run, people: People, by: str, reason: str) -> None:
    refused("unsigned-decision", word, run, Kind.link, CY, by, reason)
    assert people.ledger() == []


def test_what_is_said_already_is_refused_by_number(run: Run) -> None:
    word(run, Kind.unlink)
    with pytest.raises(DecisionRefused, match="decision 1 is in force"):
        word(run, Kind.unlink, CY[::-1])
    assert word(run, Kind.link) == 2
    with pytest.raises(DecisionRefused, match="decision 2 is in force"):
        word(run, Kind.link)


def test_withdrawals(run: Run) -> None:
    word(run, Kind.link)
    refused("unknown-decision", withdraw, run, 7, "jo", "x")
    refused("unsigned-decision", withdraw, run, 1, "jo", " ")
    withdraw(run, 1, "jo", "x")
    refused("withdrawn-already", withdraw, run, 1, "jo", "x")
    refused("not-withdrawable", withdraw, run, 2, "jo", "x")


def test_only_what_a_guard_can_have_named_is_accepted(run: Run) -> None:
    batch = run.tables.batch
    with run.engine.begin() as connection:
        name = connection.execute(sa.select(batch.c.batch).where(batch.c.source == "mail.members")).scalar_one()
    for subject in (
        "shirnk:mail.members:x", "shrink:mail.membres:x", "shrink:mail.members:x", f"shrink:crm.contacts:{name}",
        "churn:contcat:0123456789abcdef", "churn:contact:x", "churn:contact:", "", "shrink",
    ):  # fmt: skip
        refused("unknown-subject", accept, run, subject, "jo", "x", {})
    with pytest.raises(DecisionRefused, match=r"did you mean `mail\.members`"):
        accept(run, "shrink:mail.membres:x", "jo", "x", {})
    assert [accept(run, f"shrink:mail.members:{name}", "jo", "x", {}) for _ in range(2)] == [True, False]
    churning = {"contact": "0123456789ab"}
    refused("unknown-subject", accept, run, "churn:contact:ba9876543210", "jo", "x", churning)
    refused("unknown-subject", accept, run, "churn:firm:0123456789ab", "jo", "x", churning)
    refused("unsigned-decision", accept, run, "churn:contact:0123456789ab", "jo", " ", churning)
    assert accept(run, "churn:contact:0123456789ab", "jo", "x", churning)
    assert not accept(run, "churn:contact:0123456789ab", "jo", "x", {})


# ------------------------------------------------------------------------------------- the way


def tie(rule: str, *ends: str, weight: float | None = None, distrust: str | None = None) -> Tie:
    return Tie(rule, tuple(("s", end) for end in ends), weight=weight, distrust=distrust)


def way(ties: list[Tie], start: str, end: str) -> list[tuple[str, str]] | None:
    steps = path(ties, ("s", start), ("s", end))
    return None if steps is None else [(step.end[1], step.tie.rule) for step in steps]


def test_the_way_is_short_then_strong() -> None:
    ties = [
        tie("similar", "a", "d", weight=20.0), tie("same:email", "a", "b", "c"), tie("linked:x.y", "c", "d"),
        tie("decision 1", "b", "d"), tie("same:phone", "d", "e"), tie("similar", "d", "e", weight=3.0),
    ]  # fmt: skip
    assert way(ties, "a", "d") == [("d", "similar")]
    assert way(ties[1:], "a", "d") == [("b", "same:email"), ("d", "decision 1")]
    assert way(ties, "a", "e") == [("d", "similar"), ("e", "same:phone")]
    assert way(ties, "a", "a") == []
    assert way(ties, "a", "z") is None
    assert way([tie("same:email", "a", "b", distrust="role-mailbox")], "a", "b") is None


def test_a_value_that_many_share_costs_no_more_than_its_holders() -> None:
    many = [str(number) for number in range(20_000)]
    assert way([tie("same:email", *many), tie("same:phone", "19999", "x")], "0", "x") == [
        ("19999", "same:email"), ("x", "same:phone"),
    ]  # fmt: skip


def test_what_holds_an_entity_together_has_nothing_to_spare() -> None:
    ties = [tie("same:email", "a", "b"), tie("linked:x.y", "a", "b"), tie("similar", "b", "c", weight=9.0),
            tie("same:phone", "a", "b", "c"), tie("same:name", "c", "d", distrust="strangers")]  # fmt: skip
    assert [one.rule for one in spanning(ties)] == ["linked:x.y", "same:phone"]


@settings(max_examples=200, deadline=None)
@given(
    edges=st.lists(
        st.tuples(st.integers(0, 7), st.integers(0, 7), st.sampled_from(["decision 1", "linked:x", "same:y"])),
        max_size=14,
    )
)
def test_the_way_is_a_shortest_one(edges: list[tuple[int, int, str]]) -> None:
    import networkx as nx

    ties = [tie(rule, str(a), str(b)) for a, b, rule in edges if a != b]
    graph = nx.Graph([(str(a), str(b)) for a, b, _ in edges if a != b])
    graph.add_nodes_from(map(str, range(8)))
    found = way(ties, "0", "7")
    assert (found is not None) == nx.has_path(graph, "0", "7")
    if found is not None:
        assert len(found) == nx.shortest_path_length(graph, "0", "7")
    joined = nx.Graph([(a, b) for one in spanning(ties) for _, a in one.ends for _, b in one.ends])
    assert {frozenset(part) for part in nx.connected_components(joined)} == {
        frozenset(part) for part in nx.connected_components(graph) if len(part) > 1
    }


def test_the_clock_is_the_run_s(people: People) -> None:
    with opened(people.ownership, people.settings, datetime(2030, 1, 2, 3, 4, 5)) as hands:
        word(hands, Kind.link)
    assert people.ledger()[0].at == datetime(2030, 1, 2, 3, 4, 5)
