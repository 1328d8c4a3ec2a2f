"""Staging from landed Parquet: claims and their times, accounts, deletions, guards, restaging, kills."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from sor_pipeline.errors import SourceStopped, Unbalanced
from sor_pipeline.stage import accounting, observations, rejects
from sor_pipeline_tests.stage_world import FIELDS, SOURCE, World, day, document

NEVER, HELD, CLEARED, PLACEHOLDER = 0, 1, 2, 3


def row(
    key: str, name: str | None = "Ann", email: str | None = "ann@acme.example", **more: str | None
) -> dict[str, str | None]:
    return {"id": key, "name": name, "email": email, "note": "", "mrr": "1", **more}


def people(*keys: int) -> list[dict[str, str | None]]:
    return [row(str(key)) for key in keys]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, document())


def test_four_states_and_their_times(world: World) -> None:
    texts = ["", "Ann", " ANN ", "N/A", "", "Bob", ""]
    expected = [(NEVER, 1), (HELD, 2), (HELD, 2), (PLACEHOLDER, 4), (CLEARED, 5), (HELD, 6), (CLEARED, 7)]
    for number, (text, (state, since)) in enumerate(zip(texts, expected, strict=True), 1):
        world.land(number, [row("1", text)])
        world.stage()
        record = world.record("1")
        assert (record["name__state"], record["name__since"]) == (state, day(since)), number
        assert record["name"] == (text.strip() if state == HELD else None)


def test_an_ignored_blank_leaves_the_claim(world: World) -> None:
    for number, note in enumerate(["", "x", ""], 1):
        world.land(number, [row("1", note=note)])
        world.stage()
        record = world.record("1")
        expected = (NEVER, None, day(1)) if number == 1 else (HELD, "x", day(2))
        assert (record["note__state"], record["note"], record["note__since"]) == expected, number


def test_refused_cell_leaves_the_claim_and_is_kept_with_its_reason(world: World) -> None:
    world.land(1, [row("1")])
    batch = world.land(2, [row("1", email="ann at acme"), row("2", mrr="much")])
    outcome = world.stage()
    record = world.record("1")
    assert (record["email"], record["email__since"], record["_as_of"]) == ("ann@acme.example", day(1), day(2))
    assert world.record("2")["mrr__state"] == NEVER
    kept = [
        (r["batch"], r["row"], r["field"], r["source_key"], r["column"], r["raw"], r["reason"])
        for r in world.rows(world.tables.reject)
    ]
    assert kept == [
        (batch, 1, "email", "1", "email", "ann at acme", "not-an-email"),
        (batch, 2, "mrr", "2", "mrr", "much", "not-a-number"),
    ]
    assert outcome.counts["rejected_cells"] == 2
    assert {(fault.code, fault.warning) for fault in outcome.faults} == {("cells-refused", True)}
    assert not any("ann at acme" in str(fault) for fault in outcome.faults)


def test_account_balances(world: World) -> None:
    first = world.land(
        1, [row("1"), row("2"), row("2"), row("2", "Bob"), row(" "), row("3\x01"), row("4")], bad=["x;y"]
    )
    assert world.stage().counts["read"] == 8
    assert world.account(first) == (8, 3, 0, 1, 1, 3, 0)
    second = world.land(2, [row("1"), row("1"), row("2", "Bob"), row("4", " Ann")])
    world.stage()
    assert world.account(second) == (4, 1, 2, 0, 1, 0, 0)
    reasons = sorted(r["reason"] for r in world.rows(world.tables.reject))
    assert reasons == ["blank-key", "control-character-in-key", "ragged-row"]


def test_lost_rows_stop_the_run(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.land(1, people(1, 2))
    real: Callable[..., Any] = observations.observe
    monkeypatch.setattr(
        "sor_pipeline.stage.step.observe", lambda c, s, rows, *rest: real(c, s, keyless(c, rows), *rest)
    )
    with pytest.raises(Unbalanced, match="rows-unaccounted"):
        world.stage()
    assert world.rows() == []
    assert world.rows(world.tables.account) == []


def keyless(connection: sa.Connection, rows: sa.Table) -> sa.Table:
    """The rows, without those of key 2."""
    connection.execute(
        sa.CreateTableAs(sa.select(rows).where(rows.c["_key"] != "2"), "stage_forgotten", temporary=True)
    )
    return sa.table("stage_forgotten", *(sa.column(column.name) for column in rows.c))  # type: ignore[return-value]


def test_registered_rows_must_be_in_the_file(world: World) -> None:
    batch = world.land(1, people(1, 2))
    table = world.tables.batch
    with world.engine.begin() as connection:
        connection.execute(sa.update(table).where(table.c.batch == batch).values(rows=3))
    with pytest.raises(Unbalanced):
        world.stage()


def test_lost_landing_file_stops_the_source(world: World) -> None:
    batch = world.land(1, people(1))
    (world.home / "landing" / SOURCE / f"{batch}.parquet").unlink()
    with pytest.raises(SourceStopped, match="landing-lost"):
        world.stage()


def test_unchanged_rows_are_not_touched_and_only_news_is_pending(tmp_path: Path) -> None:
    world = World(tmp_path, document(changed_at="seen"))
    world.land(1, [row(key, seen="2026-02-01") for key in "123"])
    world.stage()
    world.publish()
    world.land(2, [row(key, name, seen="2026-02-01") for key, name in (("1", "Ann"), ("2", " Ann "), ("3", "Bob"))])
    world.stage()
    found = [(r["_key"], r["_as_of"], r["_publication"]) for r in world.rows()]
    assert found == [("1", day(1), 1), ("2", day(2), 1), ("3", day(2), 2)]


def test_time_of_change_alone_is_news_for_the_record_not_for_its_claims(tmp_path: Path) -> None:
    world = World(tmp_path, document(changed_at="seen"))
    for number, seen in ((1, "2026-02-01"), (2, "2026-02-05")):
        batch = world.land(number, [row("1", seen=seen)])
        world.stage()
        world.publish()
    record = world.record("1")
    assert (record["_changed_at"], record["name__since"], record["_publication"]) == (
        datetime(2026, 2, 5),
        datetime(2026, 2, 1),
        2,
    )
    assert world.account(batch)[1] == 1


def test_older_row_in_a_newer_batch_is_folded_where_it_belongs(tmp_path: Path) -> None:
    world = World(tmp_path, document(changed_at="seen"))
    world.land(1, [row("1", "Ann", seen="2026-02-05")])
    world.stage()
    batch = world.land(2, [row("1", "Bob", seen="2026-02-01")])
    world.stage()
    record = world.record("1")
    assert (record["name"], record["name__since"], record["_changed_at"]) == (
        "Ann",
        datetime(2026, 2, 5),
        datetime(2026, 2, 5),
    )
    assert world.account(batch)[3] == 1


def test_unreadable_time_of_change_falls_back_on_as_of(tmp_path: Path) -> None:
    world = World(tmp_path, document(changed_at="seen"))
    world.land(1, [row("1", seen="soon"), row("2", seen="")])
    world.stage()
    assert [r["_changed_at"] for r in world.rows()] == [day(1), day(1)]
    assert [(r["row"], r["field"], r["raw"]) for r in world.rows(world.tables.reject)] == [(1, "_changed_at", "soon")]


def test_missing_column_observes_nothing(world: World) -> None:
    world.land(1, [row("1", mrr="5")])
    world.land(2, [{"id": "1", "name": "Bob"}])
    world.land(3, [row("1", "Bob", mrr="")])
    world.stage()
    record = world.record("1")
    assert (record["email"], record["email__since"]) == ("ann@acme.example", day(1))
    assert (record["name__since"], record["mrr__state"], record["mrr__since"]) == (day(2), CLEARED, day(3))


def test_snapshot_deletes_and_revives(world: World) -> None:
    world.land(1, people(1, 2, 3, 4))
    gone = world.land(2, people(1, 2, 3))
    world.stage()
    assert world.record("4")["_deleted_at"] == day(2)
    assert (world.record("4")["name"], world.account(gone)[-1]) == ("Ann", 1)
    world.land(3, people(1, 2, 3))
    world.stage()
    assert world.record("4")["_deleted_at"] == day(2)
    world.publish()
    world.land(4, people(1, 2, 3, 4))
    world.stage()
    assert (world.record("4")["_deleted_at"], world.record("4")["_publication"]) == (None, 2)


def test_a_torn_snapshot_deletes_nothing(world: World) -> None:
    world.land(1, people(1, 2, 3, 4))
    world.land(2, people(1, 2, 3), bad=["4,half a row"])
    outcome = world.stage()
    assert world.record("4")["_deleted_at"] is None
    assert [fault.code for fault in outcome.faults if fault.code == "snapshot-torn"] == ["snapshot-torn"]
    world.land(4, people(1, 2, 3))
    world.stage()
    assert world.record("4")["_deleted_at"] == day(4)
    world.land(3, people(1, 2, 3, 4), bad=["?"])
    world.stage()
    assert world.record("4")["_deleted_at"] == day(4)


def test_late_snapshot(world: World) -> None:
    world.land(1, people(1, 2, 3, 4))
    world.land(5, people(1, 2, 3))
    world.stage()
    world.publish()
    late = world.land(3, [*people(1, 2), row("3", "Bob"), row("5"), row("4")])
    world.stage()
    assert {r["_key"]: r["_deleted_at"] for r in world.rows()} == {
        "1": None,
        "2": None,
        "3": None,
        "4": day(5),
        "5": day(5),
    }
    assert (world.record("3")["name"], world.record("3")["name__since"]) == ("Ann", day(5))
    world.land(4, people(1, 2, 3))
    world.stage()
    assert {r["_key"]: r["_deleted_at"] for r in world.rows() if r["_deleted_at"]} == {"4": day(4), "5": day(4)}
    assert world.account(late)[:4] == (5, 1, 3, 1)


def test_parts_of_one_snapshot(world: World) -> None:
    world.land(1, people(1, 2, 3, 4))
    world.stage()
    world.land(2, people(1, 2, 3), tag="a")
    world.stage()
    assert world.record("4")["_deleted_at"] == day(2)
    world.land(2, people(4), tag="b")
    world.stage()
    assert [r["_deleted_at"] for r in world.rows()] == [None] * 4


def test_shrunk_snapshot_stops_the_source_until_accepted(world: World) -> None:
    world.land(1, people(1, 2, 3, 4))
    batch = world.land(2, people(1, 2))
    world.land(3, people(1))
    outcome = world.stage()
    (fault,) = outcome.faults
    assert (fault.code, fault.warning, fault.found) == ("snapshot-shrank", False, "2 of 4 missing (50%)")
    assert f"shrink:{SOURCE}:{batch}" in fault.todo
    assert [r["_deleted_at"] for r in world.rows()] == [None] * 4
    world.accept(f"shrink:{SOURCE}:{batch}")
    assert [fault.code for fault in world.stage().faults] == ["snapshot-shrank"]
    assert [r["_deleted_at"] for r in world.rows()] == [None, None, day(2), day(2)]


def test_only_selected_rows_are_records(tmp_path: Path) -> None:
    world = World(tmp_path, document(only={"kind": ("person",)}))
    batch = world.land(1, [row("1", kind=" person"), row("2", kind="company"), row("3", kind=None)])
    world.stage()
    assert [r["_key"] for r in world.rows()] == ["1"]
    assert (world.account(batch)[5], {r["reason"] for r in world.rows(world.tables.reject)}) == (2, {"not-selected"})


def test_changes_carry_a_deletion_flag(tmp_path: Path) -> None:
    world = World(tmp_path, document("changes", extract={"deleted": "gone"}))
    world.land(1, [row("1", gone="false"), row("2", gone="")])
    world.stage()
    world.land(2, [row("1", None, None, mrr=None, gone="true")])
    batch = world.land(3, [row("1", None, None, mrr=None, gone="TRUE")])
    assert world.stage().counts["deleted"] == 1
    record = world.record("1")
    assert (record["_deleted_at"], record["name"], record["name__state"]) == (day(2), "Ann", HELD)
    assert (world.record("2")["_deleted_at"], world.account(batch)[-1]) == (None, 1)
    world.land(4, [row("1", "Bob", gone="")])
    world.stage()
    assert (world.record("1")["_deleted_at"], world.record("1")["name__since"]) == (None, day(4))


def test_mapping_of_every_kind(tmp_path: Path) -> None:
    fields = {
        n: {"type": t}
        for n, t in (("name", "name"), ("email", "email"), ("note", "text"), ("mrr", "decimal"), ("tags", "text"))
    }
    fields["stage"] = {"type": "choice", "of": ["lead", "won"]}  # type: ignore[dict-item]
    mapping = {
        "name": {"join": ["first", "last"]},
        "email": "properties.email",
        "note": {"constant": "imported"},
        "mrr": {"from": "properties.money.amount", "scale_by": 0.01},
        "tags": "properties.tags",
        "stage": {"from": "step", "codes": {"1": "lead", "2": "won"}},
    }
    world = World(tmp_path, document(fields=fields, mapping=mapping, key=["id", "part"]))
    document_text = '{"email": "A@acme.example", "money": {"amount": 1250}, "tags": ["x", 1]}'
    world.land(
        1,
        [
            {"id": "7", "part": " a", "first": "Ann ", "last": "Lee", "properties": document_text, "step": "2"},
            {"id": "8", "part": "b", "first": " ", "last": "Bo", "properties": "oops", "step": "9"},
            {"id": "9", "part": "", "first": "", "last": "", "properties": "", "step": ""},
        ],
    )
    world.stage()
    one, two = world.rows()
    assert (one["_key"], one["name"], one["email"], one["mrr"]) == (
        "7|a",
        "Ann Lee",
        "a@acme.example",
        Decimal("12.50"),
    )
    assert (one["tags"], one["note"], one["stage"]) == ('["x",1]', "imported", "won")
    assert (two["_key"], two["name"], two["email__state"], two["stage__state"]) == ("8|b", "Bo", NEVER, NEVER)
    reasons = {(r["field"], r["reason"]) for r in world.rows(world.tables.reject)}
    assert reasons == {
        ("email", "not-json"),
        ("mrr", "not-json"),
        ("tags", "not-json"),
        ("stage", "unlisted-code"),
        ("", "blank-key"),
    }


def test_links_and_delivered_texts_are_kept(tmp_path: Path) -> None:
    world = World(tmp_path, document(accepts=["email"]))
    world.land(1, [row("1", email=" Ann@Acme.example ", boss=" 9 ")])
    world.stage()
    assert (world.record("1")["_link__boss"], world.record("1")["email__raw"]) == ("9", " Ann@Acme.example ")
    world.land(2, [row("1", email="oops", boss="")])
    world.stage()
    record = world.record("1")
    assert (record["_link__boss"], record["email__raw"], record["email"]) == (None, "oops", "ann@acme.example")


def test_changed_mapping_stages_anew_and_keeps_what_is_the_same(world: World) -> None:
    world.land(
        1, [row("1", "Ann", alias="Ann"), row("2", "Bob", alias="Bobby"), row("3", alias="Ann"), row("4", alias="Ann")]
    )
    gone = world.land(2, [row("1", "Ann", alias="Ann"), row("2", "Bob", alias="Bobby"), row("3", "Cyd", alias="Ann")])
    world.stage()
    world.publish()
    world.use(document(mapping={**{name: name for name in FIELDS}, "name": "alias"}))
    world.stage()
    found = {r["_key"]: (r["name"], r["_publication"], r["_deleted_at"]) for r in world.rows()}
    assert found == {"1": ("Ann", 1, None), "2": ("Bobby", 2, None), "3": ("Ann", 2, None), "4": ("Ann", 1, day(2))}
    assert world.account(gone)[0] == 3
    before = world.rows()
    world.stage()
    assert world.rows() == before


def test_record_that_no_longer_comes_out_stays_as_deleted(world: World) -> None:
    world.land(1, [row("1", kind="a"), row("2", kind="b")])
    world.stage()
    world.publish()
    world.use(document(only={"kind": ("a",)}))
    world.stage()
    assert [(r["_key"], r["_deleted_at"], r["_publication"]) for r in world.rows()] == [
        ("1", None, 1),
        ("2", day(1), 2),
    ]


@pytest.mark.parametrize("place", ["account", "save"])
def test_killed_and_started_again(world: World, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    world.land(1, people(1, 2))
    world.stage()
    world.land(2, [row("1", "Bob", "oops"), row("3")])
    module = accounting if place == "account" else rejects
    world.accept(f"shrink:{SOURCE}:20260302T060000-000000000000")
    with monkeypatch.context() as patch:
        patch.setattr(module, place, kill)
        with pytest.raises(KeyboardInterrupt):
            world.stage()
    assert {r["_as_of"] for r in world.rows()} == {day(1)}
    world.stage()
    once = (world.rows(), world.rows(world.tables.reject), world.rows(world.tables.account))
    world.stage()
    assert (world.rows(), world.rows(world.tables.reject), world.rows(world.tables.account)) == once
    assert world.record("1")["name"] == "Bob"


def kill(*_: object) -> None:
    raise KeyboardInterrupt


def test_chunks_lose_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observations, "CHUNK", 7)
    world.land(1, people(*range(50)))
    world.stage()
    world.land(2, [row(str(n), "Bob" if n in (3, 49) else "Ann") for n in range(50)])
    assert world.stage().counts["new"] == 2
    assert sum(r["name"] == "Bob" for r in world.rows()) == 2


def test_digest_tells_neighbouring_cells_apart(world: World) -> None:
    world.land(1, [row("1", "Ann", note="x", email="")])
    world.stage()
    one = world.record("1")["_digest"]
    assert len(one) == len(hashlib.md5(b"").hexdigest())
    world.land(2, [row("1", "Ann", note="", email="x")])
    world.stage()
    assert world.record("1")["_digest"] != one


def test_empty_snapshot_as_first_delivery(world: World) -> None:
    batch = world.land(1, [], columns=["id", *FIELDS])
    assert world.stage().counts["batches"] == 1
    assert world.account(batch) == (0,) * 7
    assert pq.read_metadata(world.home / "landing" / SOURCE / f"{batch}.parquet").num_rows == 0
