"""The step: what is new lands once, what is broken is refused by name, and nothing is lost when it is killed."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sor_pipeline import stores
from sor_pipeline.extract import landing
from sor_pipeline.extract.deliveries import Delivery, time_in
from sor_pipeline.extract.readers import ROW, Chunk, rejects_of
from sor_pipeline.extract.registry import Registry
from sor_pipeline_tests.extract_world import SOURCE, World, cells, codes, document

A, B = b"id,email\n1,a@x.example\n", b"id,email\n1,b@x.example\n2,\n"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World.made(tmp_path, document(files="**/*.csv*"))


def test_a_batch_and_its_facts(world: World) -> None:
    world.put("crm/contacts-2024-01-05.csv", b"id,email\n1,x\n2\n" + b"3,\n" * 200)
    outcome = world.land()
    assert outcome.counts == {"delivered": 1, "landed": 1, "repeated": 0, "refused": 0, "rows": 201, "bad_rows": 1}
    batch = world.batches()[0]
    assert batch["batch"] == f"20240105T000000-{batch['content'][:12]}"
    assert batch["as_of"] == datetime(2024, 1, 5)
    assert (batch["rows"], batch["bad_rows"], batch["_publication"]) == (201, 1, 1)
    assert (json.loads(batch["columns"]), batch["delivered_as"]) == (["id", "email"], "crm/contacts-2024-01-05.csv")
    path = world.landing / f"{batch['batch']}.parquet"
    facts = json.loads(pq.read_metadata(path).metadata[b"sor"])
    assert facts.keys() == batch.keys() - {"_publication"}
    schema = pq.read_schema(path)
    assert [(field.name, field.type) for field in schema] == [
        (ROW, pa.int64()),
        ("id", pa.string()),
        ("email", pa.string()),
    ]
    assert world.rejects() == [{ROW: 2, "raw": "2", "reason": "ragged"}]
    with world.run.engine.begin() as connection:
        scan = world.run.engine.scan_parquet(connection, [path])
        assert scan.c.keys()[:3] == [ROW, "id", "email"]


def test_the_same_content_under_another_name(world: World) -> None:
    world.put("contacts-2024-01-05.csv", A)
    world.land()
    world.put("copy-of-contacts-2024-01-05.csv", A)
    outcome = world.land()
    assert (outcome.counts["landed"], outcome.counts["repeated"]) == (0, 2)
    assert len(world.batches()) == 1
    assert {row["batch"] for row in world.rows("delivery")} == {world.batches()[0]["batch"]}


def test_a_b_a_ends_as_a(world: World) -> None:
    for day, data in enumerate((A, B, A), 1):
        world.put(f"contacts-2024-01-0{day}.csv", data)
    assert world.land().counts["landed"] == 3
    contents = [batch["content"] for batch in world.batches()]
    assert contents[0] == contents[2] != contents[1]


def test_without_dates_the_newest_earlier_content_is_a_repeat(world: World) -> None:
    world.put("contacts.csv", A, datetime(2024, 1, 1))
    world.land()
    world.put("contacts.csv", A, datetime(2024, 1, 2))
    assert world.land().counts["repeated"] == 1
    world.put("again.csv", A, datetime(2024, 1, 3))
    assert world.land().counts["repeated"] == 2
    world.put("contacts.csv", B, datetime(2024, 1, 4))
    world.land()
    world.put("contacts.csv", A, datetime(2024, 1, 5))
    world.land()
    assert len(world.batches()) == 3


def test_unchanged_deliveries_are_not_read_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.put("contacts.csv", A)
    world.land()
    monkeypatch.setattr(Delivery, "digest", lambda self: pytest.fail("read again"))
    assert world.land().counts["repeated"] == 1


def test_refusals_stand_until_the_delivery_is_good(world: World) -> None:
    path = world.put("contacts-2024-01-05.csv", b'id,email\n1,"x\n')
    world.put("other-2024-01-06.csv", A)
    outcome = world.land()
    assert codes(outcome) == ["unterminated-quote"]
    assert outcome.counts["landed"] == outcome.counts["refused"] == 1
    assert [row["batch"] for row in world.rows("delivery") if row["delivered_as"] == path.name] == [None]
    assert codes(world.land(now=datetime(2024, 6, 2))) == ["unterminated-quote"]
    assert world.rows("refusal")[0]["refused_at"] == world.run.now
    world.put(path.name, A)
    assert codes(world.land()) == []
    assert world.rows("refusal") == []


def test_a_better_delivery_of_the_same_time_clears_the_refusal_but_a_part_does_not(world: World) -> None:
    bad = world.put("contacts-2024-01-05-part1.csv", b"")
    world.put("contacts-2024-01-05-part2.csv", A)
    world.land()
    assert [row["code"] for row in world.rows("refusal")] == ["empty-file"]
    bad.unlink()
    world.put("contacts-2024-01-05-whole.csv", B)
    world.land()
    assert world.rows("refusal") == []


def test_a_corrected_document_heals_a_refusal(world: World) -> None:
    world.put("contacts.csv", b"id;email\n1;x\n")
    assert codes(world.land()) == ["missing-key"]
    assert codes(world.land(document(files="*.csv", delimiter=";"))) == []
    assert cells(world.table()) == [["1", "x"]]


def test_unfinished_names(world: World) -> None:
    part = world.put("contacts-2024-01-05.csv.part", A)
    assert codes(world.land()) == ["unfinished-name"]
    part.rename(part.with_suffix(""))
    assert world.land().counts["landed"] == 1
    assert world.rows("refusal") == []


def test_a_file_that_grows_while_it_is_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    path = world.put("contacts.csv", A)
    digest = Delivery.digest

    def growing(self: Delivery) -> str:
        with path.open("ab") as file:
            file.write(b"2,x\n")
        return digest(self)

    monkeypatch.setattr(Delivery, "digest", growing)
    assert codes(world.land()) == ["still-growing"]
    assert list(world.landing.glob("*")) == []
    monkeypatch.undo()
    assert world.land().counts["landed"] == 1


def test_too_many_bad_rows(world: World) -> None:
    world.put("contacts.csv", b"id,email\n" + b"1,2\n" * 98 + b"3\n" * 2)
    outcome = world.land()
    assert codes(outcome) == ["too-many-bad-rows"]
    assert "2 of 100 rows: 2 ragged" in outcome.faults[0].found
    assert codes(world.land(document(files="*.csv", limits={"bad_rows": 0.02}))) == []


def test_header_only_lands(world: World) -> None:
    world.put("contacts.csv", b"id,email\n")
    assert world.land().counts["landed"] == 1
    assert world.table().num_rows == 0
    assert world.table().column_names == [ROW, "id", "email"]


def test_missing_columns_warn_unless_they_are_the_key(world: World) -> None:
    fields = {"email": "mail", "phone": "properties.phone"}
    world.put("a.csv", b"id,properties\n1,{}\n")
    outcome = world.land(document(files="*.csv", fields=fields))
    assert codes(outcome, warnings=True) == ["mapped-column-missing"]
    assert outcome.faults[0].found == "mail"
    world.put("b.csv", b"x,mail,properties\n1,,{}\n")
    assert codes(world.land(document(files="*.csv", fields=fields))) == ["missing-key"]


def test_nothing_delivered_yet(world: World) -> None:
    assert codes(world.land(), warnings=True) == ["no-delivery"]


@pytest.mark.parametrize("glob", ["../*.csv", "/etc/*.csv"])
def test_globs_stay_inside(world: World, glob: str) -> None:
    assert codes(world.land(document(files=glob))) == ["glob-outside"]


def test_hidden_files_and_folders_are_no_deliveries(world: World) -> None:
    world.put(".contacts.csv", A)
    world.put("._x/contacts.csv", A)
    (world.folder / "folder.csv").mkdir()
    assert world.land().counts["delivered"] == 0


@pytest.mark.parametrize("when", ["rejects", "rename", "register"])
def test_killed_anywhere_it_ends_in_the_same_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    ownership = document(files="*.csv", limits={"bad_rows": 0.5})
    whole, killed = World.made(tmp_path / "whole", ownership), World.made(tmp_path / "killed", ownership)
    for world in (whole, killed):
        world.put("contacts-2024-01-05.csv", B + b"3\n")
        world.put("contacts-2024-01-06.csv", A)
    whole.land()
    put = stores.put_in_place
    with monkeypatch.context() as patch:
        if when == "register":
            patch.setattr(Registry, "register", _killed)
        else:
            patch.setattr(stores, "put_in_place", _killed if when == "rejects" else _killed_after(put))
        patch.setattr(landing, "swept", lambda folder: None)  # a killed process does not clean up
        with pytest.raises(KeyboardInterrupt):
            killed.land()
    outcome = killed.land()
    assert codes(outcome) == []
    assert killed.batches() == whole.batches()
    assert {path.name for path in killed.landing.iterdir()} == {path.name for path in whole.landing.iterdir()}
    assert [killed.rejects(batch["batch"]) for batch in killed.batches()] == [
        whole.rejects(batch["batch"]) for batch in whole.batches()
    ]


def _killed(*_: object) -> None:
    raise KeyboardInterrupt


def _killed_after(put):  # type: ignore[no-untyped-def]
    def once(path: Path, target: Path) -> None:
        put(path, target)
        raise KeyboardInterrupt

    return once


def test_the_registry_is_rebuilt_from_the_files(tmp_path: Path, world: World) -> None:
    world.put("contacts-2024-01-05.csv", A)
    world.put("contacts-2024-01-06.csv", B)
    world.land()
    before = world.batches()
    world.run.engine.close()
    for path in (tmp_path / "home").glob("warehouse*"):
        path.unlink()
    fresh = World.made(tmp_path, document(files="**/*.csv*"))
    outcome = fresh.land()
    assert (outcome.counts["landed"], outcome.counts["repeated"]) == (0, 2)
    assert fresh.batches() == before


def test_lost_and_foreign_files(world: World) -> None:
    world.put("contacts-2024-01-05.csv", A)
    world.land()
    lost = world.landing / f"{world.batches()[0]['batch']}.parquet"
    before = pq.read_table(lost)
    lost.unlink()
    (world.landing / "mine.parquet").write_bytes(b"PAR1")
    outcome = world.land()
    assert codes(outcome) == ["landing-missing"]
    assert codes(outcome, warnings=True) == ["foreign-file"]
    assert pq.read_table(lost) == before
    assert len(world.batches()) == 1


def test_a_full_disk_is_not_the_deliverys_fault(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    world.put("contacts.csv", A)
    monkeypatch.setattr(stores, "put_in_place", full)
    with pytest.raises(OSError, match="No space"):
        world.land()
    assert list(world.landing.glob("*")) == []


def test_manifests(tmp_path: Path) -> None:
    world = World.made(tmp_path, document(files="*/*.csv", as_of="manifest"))
    world.put("one/a.csv", A)
    assert codes(world.land()) == ["bad-manifest"]
    world.put("one/manifest.json", '{"as_of": "2024-03-01T02:00:00+02:00", "files": {"a.csv": {"rows": 1}}}')
    world.put("two/a.csv", B)
    world.put("two/a.csv.manifest.json", '{"as_of": "2024-03-02", "rows": 3}')
    world.put("three/a.csv", B)
    world.put("three/manifest.json", "[]")
    outcome = world.land()
    assert codes(outcome) == ["bad-manifest", "manifest-differs"]
    assert [batch["as_of"] for batch in world.batches()] == [datetime(2024, 3, 1)]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("contacts-2024-01-05.csv", datetime(2024, 1, 5)),
        ("contacts_20240105.csv.gz", datetime(2024, 1, 5)),
        ("contacts-2024-01-05T06-30-15Z.csv", datetime(2024, 1, 5, 6, 30, 15)),
        ("contacts-20240105T0630.csv", datetime(2024, 1, 5, 6, 30)),
        ("contacts_20240105_063015.csv", datetime(2024, 1, 5, 6, 30, 15)),
        ("contacts-2024-01-05 06:30:15.csv", datetime(2024, 1, 5, 6, 30, 15)),
        ("contacts-2024-01-05-0001.csv", datetime(2024, 1, 5)),
        ("dt=2024-01-05/part-00000.csv", datetime(2024, 1, 5)),
        ("2023-01-01/contacts-2024-01-05.csv", datetime(2024, 1, 5)),
        ("contacts-2024-02-30.csv", None),
        ("contacts-1234567890123.csv", None),
        ("contacts.csv", None),
    ],
)
def test_time_in_a_name(name: str, expected: datetime | None) -> None:
    assert time_in(name) == expected


@given(
    st.datetimes(datetime(1990, 1, 1), datetime(2099, 1, 1)), st.sampled_from(["%Y%m%dT%H%M%SZ", "%Y-%m-%dT%H-%M-%S"])
)
def test_any_time_in_a_name(moment: datetime, spelling: str) -> None:
    assert time_in(f"crm/x-{moment.strftime(spelling)}.csv") == moment.replace(microsecond=0)


def test_written_columns_keep_their_order(tmp_path: Path) -> None:
    with landing.Writing(stores.FolderStore(tmp_path)) as writing:
        for number, names in enumerate((("b", "a"), ("a", "c"), ("b",)), 1):
            row = {**{name: [f"{name}{number}"] for name in names}, ROW: pa.array([number])}
            writing.add(Chunk(pa.table(row), rejects_of([], [], [])))
        batch = landing.Batch.named(SOURCE, datetime(2024, 1, 1), "x", writing.content, writing)
        batch = writing.finish(batch)
    path = tmp_path / landing.batch_file(batch.batch)
    table = pq.read_table(path)
    assert cells(table) == [["b1", "a1", None], [None, "a2", "c2"], ["b3", None, None]]
    assert landing.facts_of(path) == batch
