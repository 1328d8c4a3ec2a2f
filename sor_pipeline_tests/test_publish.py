"""Publishing: conformed = candidates, history and changes tell how it came about, and no kill leaves a trace."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sor_pipeline.errors import PublicationBlocked
from sor_pipeline.publish.step import run as publish
from sor_pipeline.run import Outcome, Run
from sor_pipeline_tests.published_world import (
    DAY_ONE,
    Cell,
    State,
    cell,
    copied,
    document,
    everything,
    fill,
    hands,
    hands_again,
    on_day,
    put,
    rows_of,
)

IDS = ("a1", "b2", "c3")
KEYS = (("crm.contacts", "1"), ("crm.contacts", "2"), ("mail.members", "1"), ("mail.members", "x|y"))
VALUES: dict[str, list[Any]] = {
    "email": ["ann@a.test", "bob@b.test"],
    "name": ["Ann", "ann", "O'Neil %s"],
    "opted_in": [True, False],
    "mrr": [Decimal("1.50"), Decimal("-0.01")],
    "born": [date(1999, 12, 31)],
    "seen": [datetime(2026, 1, 2, 3, 4, 5, 120000)],
    "account": ["k1", "k2"],
}


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return hands(tmp_path_factory.mktemp("publish") / "empty")


@pytest.fixture
def world(empty: Run, tmp_path: Path) -> Run:
    return copied(empty, tmp_path / "home")


def one(*ids: str, **cells: Cell) -> dict[tuple[str, str], dict[str, Cell]]:
    return {("contact", i): cells for i in ids}


def publish_state(run: Run, state: State, *ids: str, cause: str = "claim") -> Outcome:
    put(run, state, [("contact", i) for i in ids or IDS], cause)
    return publish(run, "")


def changes(run: Run, publication: int) -> list[tuple[Any, ...]]:
    return sorted(
        (r["entity_id"], r["field"], r["kind"], r["old"], r["new"], r["cause"], r["system"])
        for r in rows_of(run, run.tables.change)
        if r["publication"] == publication
    )


def test_the_first_publication_has_one_change_per_entity(world: Run) -> None:
    records = {("crm.contacts", "1"): ("a1", True), ("mail.members", "1"): ("a1", True)}
    state = State(one("a1", "b2", email=cell("ann@a.test"), mrr=cell(Decimal("2.50"), "bill")), records)
    outcome = publish_state(world, state)
    assert outcome.counts == {
        "published": 1, "created": 2, "changed": 0, "retired": 0, "conflicts": 0, "exported": 1,
    }  # fmt: skip
    assert changes(world, 1) == [(i, "", "created", None, None, "claim", None) for i in ("a1", "b2")]
    assert [(r["contact_id"], r["email"], r["mrr"]) for r in rows_of(world, world.tables.conformed["contact"])] == [
        ("a1", "ann@a.test", Decimal("2.50")),
        ("b2", "ann@a.test", Decimal("2.50")),
    ]
    keys = rows_of(world, world.tables.keys["contact"])
    assert [(r["source"], r["source_key"], r["system"], r["contact_id"]) for r in keys] == [
        ("crm.contacts", "1", "crm", "a1"),
        ("mail.members", "1", "mail", "a1"),
    ]


def test_the_file_has_every_table_with_its_comments(world: Run) -> None:
    publish_state(world, State(one("a1", email=cell("ann@a.test"))))
    with duckdb.connect(str(world.settings.conformed), read_only=True) as reader:
        assert reader.sql("select contact_id, email from conformed.contact").fetchall() == [("a1", "ann@a.test")]
        comments = dict(reader.sql("select table_name, comment from duckdb_tables()").fetchall())
        column = "select comment from duckdb_columns() where table_name = 'contact' and column_name = 'email'"
        assert reader.sql(column).fetchall() == [("email (email; owner: crm; personal)",)]
    expected = {t.name for t in world.tables.metadata.sorted_tables if t.schema == "conformed"}
    assert comments.keys() == expected
    assert all(comments.values())
    assert comments["contact"] == "One row per person that we know."


def test_nothing_to_publish_uses_no_number(world: Run) -> None:
    assert publish(world, "").counts["published"] == 0
    assert not world.settings.conformed.exists()
    state = State(one("a1", email=cell("ann@a.test")))
    publish_state(world, state)
    before = world.settings.conformed.stat().st_mtime_ns
    again = publish_state(on_day(world, 1), state)
    assert (again.counts["published"], again.counts["exported"]) == (0, 0)
    assert world.settings.conformed.stat().st_mtime_ns == before
    assert rows_of(world, world.tables.affected) == []
    assert len(rows_of(world, world.tables.publication)) == 1


def test_lineage_alone_is_no_change_but_is_published(world: Run) -> None:
    publish_state(world, State(one("a1", name=cell("Ann"))))
    outcome = publish_state(on_day(world, 1), State(one("a1", name=cell("Ann", key="7", day=1))))
    assert outcome.counts["published"] == 1
    assert changes(world, 2) == []
    (says,) = rows_of(world, world.tables.sources["contact"])
    assert (says["name_key"], says["name_since"].day) == ("7", 2)
    assert len(rows_of(world, world.tables.history["contact"])) == 1


@pytest.mark.parametrize(
    ("after", "records", "cause", "expected"),
    [
        (cell("Bob", day=1), {}, "claim", "claim"),
        (cell(None, day=1), {}, "claim", "claim"),
        (cell("Bob"), {}, "rule", "rule"),
        (cell("Bob", "mail", "1"), {("mail.members", "1"): ("a1", True)}, "identity", "identity"),
        (cell("Bob", "mail", "1"), {("crm.contacts", "1"): ("a1", False)}, "claim", "deletion"),
        (cell("Bob", "mail", "1"), {("crm.contacts", "1"): ("b2", True)}, "identity", "identity"),
        (cell("Bob", "mail", "1"), {}, "staleness", "rule"),
        (cell("Bob", "mail", "1"), {}, "claim", "claim"),
        (Cell(), {("crm.contacts", "1"): ("a1", False)}, "claim", "deletion"),
    ],
)
def test_the_cause_of_a_change(
    world: Run, after: Cell, records: dict[tuple[str, str], tuple[str, bool]], cause: str, expected: str
) -> None:
    known = {("crm.contacts", "1"): ("a1", True)}
    publish_state(world, State(one("a1", "b2", name=cell("Ann")), known))
    state = State({**one("b2", name=cell("Ann")), **one("a1", name=after)}, {**known, **records})
    publish_state(on_day(world, 1), state, cause=cause)
    assert changes(world, 2) == [("a1", "name", "changed", "Ann", after.value, expected, after.system)]


def test_a_reference_that_leads_elsewhere(world: Run) -> None:
    publish_state(world, State(one("a1", account=cell("k1"))))
    publish_state(on_day(world, 1), State(one("a1", account=cell("k2"))), cause="identity")
    assert changes(world, 2) == [("a1", "account", "changed", "k1", "k2", "reference", "crm")]


def test_another_document_is_published_and_named_as_cause(world: Run) -> None:
    publish_state(world, State(one("a1", name=cell("Ann"))))
    other = replace(on_day(world, 1), ownership=document(title="other"))
    outcome = publish_state(other, State(one("a1", name=cell("Bob"))), cause="rule")
    assert changes(world, 2) == [("a1", "name", "changed", "Ann", "Bob", "rule", "crm")]
    assert outcome.counts["changed"] == 1
    third = replace(on_day(world, 2), ownership=document(title="third"))
    assert publish(third, "").counts["published"] == 1
    fingerprints = [r["fingerprint"] for r in rows_of(world, world.tables.publication)]
    assert len(set(fingerprints)) == 3


def test_a_merge_a_split_and_a_return(world: Run) -> None:
    apart = {("crm.contacts", "1"): ("a1", True), ("crm.contacts", "2"): ("b2", True)}
    both = one("a1", "b2", name=cell("Ann"))
    publish_state(world, State(both, apart))
    together = dict.fromkeys(apart, ("a1", True))
    publish_state(on_day(world, 1), State(one("a1", name=cell("Ann")), together), cause="identity")
    assert changes(world, 2) == [("b2", "", "retired", None, None, "identity", None)]
    publish_state(on_day(world, 2), State(both, apart), cause="identity")
    assert changes(world, 3) == [("b2", "", "revived", None, None, "identity", None)]
    versions = [(r["from_publication"], r["to_publication"]) for r in rows_of(world, world.tables.history["contact"])
                if r["contact_id"] == "b2"]  # fmt: skip
    assert versions == [(1, 2), (3, None)]
    publish_state(on_day(world, 3), State({}, {key: (i, False) for key, (i, _) in apart.items()}))
    assert [row[2:6:3] for row in changes(world, 4)] == [("retired", "deletion")] * 2
    assert rows_of(world, world.tables.keys["contact"]) == []


def test_held_cells_and_rows_keep_their_last_good_value(world: Run) -> None:
    publish_state(world, State(one("a1", "b2", name=cell("Ann"), mrr=cell(Decimal("1.00"), "bill"))))
    bad = one(*IDS, name=cell("Bad", day=1), mrr=cell(Decimal("9.00"), "bill", day=1))
    held = frozenset({("contact", "a1", "name"), ("contact", "b2", ""), ("contact", "c3", "")})
    publish_state(on_day(world, 1), State(bad, held=held))
    now = {r["contact_id"]: (r["name"], r["mrr"]) for r in rows_of(world, world.tables.conformed["contact"])}
    assert now == {"a1": ("Ann", Decimal("9.00")), "b2": ("Ann", Decimal("1.00"))}
    says = {
        r["contact_id"]: (r["name_rule"], r["name_since"].day) for r in rows_of(world, world.tables.sources["contact"])
    }
    assert says == {"a1": ("hold", 1), "b2": ("owner", 1)}
    publish_state(on_day(world, 2), State(bad), cause="release")
    assert changes(world, 3) == [
        ("a1", "name", "changed", "Ann", "Bad", "release", "crm"),
        ("b2", "mrr", "changed", "1.00", "9.00", "claim", "bill"),
        ("b2", "name", "changed", "Ann", "Bad", "claim", "crm"),
        ("c3", "", "created", None, None, "release", None),
    ]


def test_conflicts_open_change_and_close(world: Run) -> None:
    rows, key = one("a1", name=cell("Ann")), ("contact", "a1", "name", "mail.members", "1")
    for day, conflicts in enumerate([{key: "Anna"}, {key: "Anne"}, {}, {key: "Anne"}]):
        publish_state(on_day(world, day), State(rows, conflicts=conflicts))
    rowlike = [(r["opened_in"], r["closed_in"], r["claimed"]) for r in rows_of(world, world.tables.conflict)]
    assert rowlike == [(1, 3, "Anne"), (4, None, "Anne")]
    assert [r["conflicts"] for r in rows_of(world, world.tables.publication)] == [1, 1, 0, 1]


def test_conflicts_of_held_cells_stay_and_of_unpublished_rows_do_not_show(world: Run) -> None:
    key, other = ("contact", "a1", "name", "mail.members", "1"), ("contact", "c3", "name", "mail.members", "2")
    publish_state(world, State(one("a1", name=cell("Ann")), conflicts={key: "Anna"}))
    held = frozenset({("contact", "a1", "name"), ("contact", "c3", "")})
    publish_state(on_day(world, 1), State(one("a1", "c3", name=cell("Bad")), conflicts={other: "z"}, held=held))
    assert [(r["entity_id"], r["closed_in"]) for r in rows_of(world, world.tables.conflict)] == [("a1", None)]


def test_a_blocking_finding_publishes_nothing_and_leaves_what_is_pending(world: Run) -> None:
    state = State(one("a1", name=cell("Ann")))
    put(world, state, [("contact", "a1")])
    finding = {
        "entity": "contact",
        "expectation": "name.x",
        "severity": "block",
        "passed": False,
        "failed": 1,
        "checked": 1,
    }
    with world.engine.begin() as connection:
        fill(connection, world.tables.finding, [finding, {**finding, "expectation": "warned", "severity": "warn"}])
    with pytest.raises(PublicationBlocked) as blocked:
        publish(world, "")
    assert [fault.where for fault in blocked.value.faults] == ["contact: name.x"]
    assert len(rows_of(world, world.tables.affected)) == 1
    assert not world.settings.conformed.exists()
    with world.engine.begin() as connection:
        fill(connection, world.tables.finding, [])
    assert publish(world, "").counts["created"] == 1


def test_a_clock_that_runs_backwards_does_not_turn_history_round(world: Run) -> None:
    publish_state(on_day(world, 5), State(one("a1", name=cell("Ann"))))
    publish_state(world, State(one("a1", name=cell("Bob", day=1))))
    assert all(
        r["valid_to"] is None or r["valid_from"] <= r["valid_to"]
        for r in rows_of(world, world.tables.history["contact"])
    )


@pytest.mark.parametrize("damage", ["missing", "older", "rubbish"])
def test_a_file_that_is_not_the_last_publication_is_made_again(world: Run, damage: str) -> None:
    target = world.settings.conformed
    publish_state(world, State(one("a1", name=cell("Ann"))))
    old = target.read_bytes()
    publish_state(on_day(world, 1), State(one("a1", name=cell("Bob", day=1))))
    if damage == "missing":
        target.unlink()
    else:
        target.write_bytes(old if damage == "older" else b"not a database" * 999)
    assert publish(on_day(world, 2), "").counts == {
        "published": 0, "created": 0, "changed": 0, "retired": 0, "conflicts": 0, "exported": 1,
    }  # fmt: skip
    with duckdb.connect(str(target), read_only=True) as reader:
        assert reader.sql("select name from conformed.contact").fetchall() == [("Bob",)]


def test_a_small_publication_renews_the_file_and_a_damaged_one_is_made_anew(world: Run) -> None:
    stales = []
    export = world.engine.export

    def noted(tables: Any, target: Path, stale: Any = None) -> None:
        stales.append(stale is not None)
        export(tables, target, stale)

    world.engine.export = noted  # type: ignore[method-assign]
    for day, name in enumerate(["Ann", "Bob", "Cid", "Dan"]):
        if day == 3:
            with duckdb.connect(str(world.settings.conformed)) as vandal:
                vandal.execute("delete from contact where contact_id = 'b2'")
        rows = one("a1", name=cell(name, day=day)) | one("b2", name=cell("Same"))
        publish_state(on_day(world, day), State(rows), *(IDS if day == 0 else ("a1",)))
        assert_file_is_warehouse(world)
    assert stales == [False, True, True, True]
    with duckdb.connect(str(world.settings.conformed), read_only=True) as reader:
        assert reader.sql("select count(*) from duckdb_columns() where comment is not null").fetchall()[0][0] > 40


@st.composite
def states(draw: st.DrawFn) -> State:
    ids = draw(st.sets(st.sampled_from(IDS)))
    rows: dict[tuple[str, str], dict[str, Cell]] = {}
    for i in sorted(ids):
        cells = {}
        for name, values in VALUES.items():
            value = draw(st.sampled_from([None, *values]))
            cells[name] = cell(value, draw(st.sampled_from(["crm", "mail"]))) if value is not None else Cell()
        rows["contact", i] = cells
    records = {
        key: (draw(st.sampled_from(sorted(ids))), draw(st.booleans())) for key in KEYS if ids and draw(st.booleans())
    }
    known = [("contact", i, f, s, k) for i in sorted(ids) for f in ("name", "mrr") for s, k in KEYS[:2]]
    conflicts = draw(st.dictionaries(st.sampled_from(known), st.sampled_from(["p", "q"]), max_size=3)) if known else {}
    held = draw(
        st.frozensets(
            st.tuples(st.just("contact"), st.sampled_from(IDS), st.sampled_from(["", "name", "mrr"])), max_size=2
        )
    )
    return State(rows, records, conflicts, held)


def held_model(state: State, before: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """What must be published: id -> field -> value."""
    after = {}
    for (_, i), cells in state.rows.items():
        if ("contact", i, "") in state.held:
            if i in before:
                after[i] = before[i]
            continue
        good = before.get(i, {})
        after[i] = {f: good.get(f) if ("contact", i, f) in state.held else cells.get(f, Cell()).value for f in VALUES}
    return after


@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
@given(sequence=st.lists(states(), min_size=2, max_size=3), every=st.booleans())
def test_any_sequence_of_candidates(
    empty: Run, tmp_path_factory: pytest.TempPathFactory, sequence: list[State], every: bool
) -> None:
    run = copied(empty, tmp_path_factory.mktemp("any"))
    try:
        past: list[dict[str, dict[str, Any]]] = [{}]
        for day, state in enumerate(sequence):
            outcome = publish_state(on_day(run, day if every else 0), state)
            model = held_model(state, past[-1])
            assert table_of(rows_of(run, run.tables.conformed["contact"])) == model
            crosswalk = {k: i for k, (i, alive) in state.records.items() if alive and i in model}
            assert {
                (r["source"], r["source_key"]): r["contact_id"] for r in rows_of(run, run.tables.keys["contact"])
            } == crosswalk
            assert_open_conflicts(run, state, model)
            if outcome.counts["published"]:
                past.append(model)
            assert_file_is_warehouse(run)
        for number, then in enumerate(past):
            assert as_of(run, number) == then
        assert replayed(run, len(past) - 1) == {i: spelled(v) for i, v in past[-1].items()}
        totals = rows_of(run, run.tables.publication)
        assert sum(r["created"] - r["retired"] for r in totals) == len(past[-1])
        cells = [r for r in rows_of(run, run.tables.change) if r["field"]]
        assert sum(r["changed"] for r in totals) == len(cells)
    finally:
        shutil.rmtree(run.settings.home)


def assert_open_conflicts(run: Run, state: State, model: dict[str, dict[str, Any]]) -> None:
    """Free cells show exactly the present conflicts; nothing is open about what is not published."""
    free = lambda i, f: not {("contact", i, f), ("contact", i, "")} & state.held  # noqa: E731
    open_now = {
        ("contact", r["entity_id"], r["field"], r["source"], r["source_key"]): r["claimed"]
        for r in rows_of(run, run.tables.conflict)
        if r["closed_in"] is None
    }
    assert {k[1] for k in open_now} <= model.keys()
    expected = {k: v for k, v in state.conflicts.items() if k[1] in model and free(k[1], k[2])}
    assert {k: v for k, v in open_now.items() if free(k[1], k[2])} == expected


def table_of(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    assert len({r["contact_id"] for r in rows}) == len(rows)
    return {r["contact_id"]: {f: r[f] for f in VALUES} for r in rows}


def as_of(run: Run, number: int) -> dict[str, dict[str, Any]]:
    rows = rows_of(run, run.tables.history["contact"])
    return table_of(
        [
            r
            for r in rows
            if r["from_publication"] <= number and (r["to_publication"] is None or r["to_publication"] > number)
        ]
    )


def spelled(values: dict[str, Any]) -> dict[str, str | None]:
    words = {True: "true", False: "false"}
    return {
        f: words[v] if isinstance(v, bool) else None if v is None else str(v).removesuffix("0000")
        for f, v in values.items()
    }


def replayed(run: Run, last: int) -> dict[str, dict[str, str | None]]:
    """The present table from the account of changes: an entity enters as its version of that publication."""
    state: dict[str, dict[str, str | None]] = {}
    feed = rows_of(run, run.tables.change)
    for number in range(1, last + 1):
        entered = as_of(run, number)
        for row in sorted((r for r in feed if r["publication"] == number), key=lambda r: str(r["field"])):
            i = row["entity_id"]
            if row["kind"] in ("created", "revived"):
                assert i not in state
                state[i] = spelled(entered[i])
            elif row["kind"] == "retired":
                del state[i]
            else:
                assert state[i][row["field"]] == row["old"] != row["new"]
                state[i][row["field"]] = row["new"]
    return state


def assert_file_is_warehouse(run: Run) -> None:
    committed = everything(run, "conformed")
    with duckdb.connect() as reader:
        if not run.settings.conformed.exists():
            assert committed["conformed.publication"] == []
            return
        reader.execute(f"attach '{run.settings.conformed}' as f (read_only)")
        for table in (t for t in run.tables.metadata.sorted_tables if t.schema == "conformed"):
            names = [c.name for c in table.columns]
            there = reader.sql(f'select * from f.main."{table.name}"').fetchall()
            assert sorted(map(str, there)) == sorted(str(tuple(r[n] for n in names)) for r in committed[table.fullname])


class Killed(BaseException):
    """Not an Exception, so that nothing can be tempted to handle it."""


@contextmanager
def killed_at(run: Run, statement: int) -> Iterator[list[int]]:
    """Raise before the n-th statement that the warehouse is asked to run; yields the running count."""
    count = [0]

    def strike(*_: Any) -> None:
        count[0] += 1
        if count[0] == statement:
            raise Killed

    engine = run.engine._engine  # type: ignore[attr-defined]
    sa.event.listen(engine, "before_cursor_execute", strike)
    try:
        yield count
    finally:
        sa.event.remove(engine, "before_cursor_execute", strike)


def _kill_scene(empty: Run, folder: Path) -> tuple[Run, bytes]:
    """Published once, with a second state waiting."""
    run = copied(empty, folder)
    records = {("crm.contacts", "1"): ("a1", True), ("crm.contacts", "2"): ("b2", True)}
    key = ("contact", "a1", "name", "mail.members", "1")
    publish_state(run, State(one("a1", "b2", name=cell("Ann")), records, {key: "Anna"}))
    moved = {("crm.contacts", "1"): ("a1", True), ("crm.contacts", "2"): ("c3", True)}
    rows = {**one("a1", name=cell("Bob", day=1)), **one("c3", name=cell("New"))}
    put(on_day(run, 1), State(rows, moved, {}, frozenset({("contact", "c3", "mrr")})), [("contact", i) for i in IDS])
    return on_day(run, 1), run.settings.conformed.read_bytes()


def _readable(run: Run) -> list[tuple[Any, ...]]:
    with duckdb.connect() as reader:
        reader.execute(f"attach '{run.settings.conformed}' as f (read_only)")
        number = reader.sql("select max(publication) from f.main.publication").fetchall()[0][0]
        return [(number,), *reader.sql("select contact_id, name from f.main.contact order by 1").fetchall()]


STRIDE = int(os.environ.get("SOR_KILL_STRIDE", "13"))
"""Every how many statements the run is killed once; 1 tries them all."""
WHOLE = ([(1,), ("a1", "Ann"), ("b2", "Ann")], [(2,), ("a1", "Bob"), ("c3", "New")])


def test_killed_before_any_statement(empty: Run, tmp_path: Path) -> None:
    scene, _ = _kill_scene(empty, tmp_path / "scene")
    undisturbed = copied(scene, tmp_path / "undisturbed")
    with killed_at(undisturbed, -1) as count:
        publish(undisturbed, "")
    expected = everything(undisturbed, "conformed", "identity", "audit")
    assert _readable(undisturbed) == WHOLE[1]
    for statement in range(1, count[0] + 1, STRIDE):
        run = copied(scene, tmp_path / f"kill{statement}")
        with killed_at(run, statement), pytest.raises(Killed):
            publish(run, "")
        assert _readable(run) in WHOLE
        publish(hands_again(run, run.settings.home), "")
        assert everything(run, "conformed", "identity", "audit") == expected, statement
        assert _readable(run) == WHOLE[1]
        assert not list(run.settings.home.glob(".publishing*"))
        shutil.rmtree(run.settings.home)


@pytest.mark.parametrize("where", ["export", "replace"])
def test_killed_between_commit_and_file(
    empty: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    run, _ = _kill_scene(empty, tmp_path / "scene")

    def strike(*_: Any, **__: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(run.engine if where == "export" else Path, where, strike)
        with pytest.raises(Killed):
            publish(run, "")
    assert _readable(run) == WHOLE[0]
    left = run.settings.home / ".publishing-left"
    left.mkdir()
    (left / "conformed.duckdb").write_bytes(b"half")
    assert publish(run, "").counts == {
        "published": 0, "created": 0, "changed": 0, "retired": 0, "conflicts": 0, "exported": 1,
    }  # fmt: skip
    assert _readable(run) == WHOLE[1]
    assert not left.exists()
    assert rows_of(run, run.tables.publication)[1]["published_at"] > DAY_ONE


def test_a_blocked_run_still_mends_a_killed_export(empty: Run, tmp_path: Path) -> None:
    run, old = _kill_scene(empty, tmp_path / "scene")
    publish(run, "")
    run.settings.conformed.write_bytes(old)
    with run.engine.begin() as connection:
        fill(
            connection,
            run.tables.finding,
            [{"entity": "contact", "expectation": "x", "severity": "block", "failed": 1}],
        )
    with pytest.raises(PublicationBlocked):
        publish(run, "")
    assert _readable(run) == WHOLE[1]


def test_readers_keep_what_they_opened(empty: Run, tmp_path: Path) -> None:
    run, _ = _kill_scene(empty, tmp_path / "scene")
    with duckdb.connect() as reader:
        reader.execute(f"attach '{run.settings.conformed}' as f (read_only)")
        publish(run, "")
        assert reader.sql("select max(publication) from f.main.publication").fetchall() == [(1,)]
        assert reader.sql("select count(*) from f.main.change").fetchall() == [(2,)]
    assert _readable(run) == WHOLE[1]
