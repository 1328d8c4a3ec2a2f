"""Export: Parquet files that say what they are, whole or not there."""

from __future__ import annotations

import hashlib
import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest

from sor_pipeline.errors import NeverPublished, SettingsError
from sor_pipeline.observe import parquet
from sor_pipeline.publish.step import run as publish
from sor_pipeline.run import Run
from sor_pipeline_tests.published_world import State, cell, hands, on_day, put
from sor_pipeline_tests.test_cli import sor

CONTACT = {
    "email": cell("ann@a.test"), "name": cell("O'Neil — 名"), "opted_in": cell(None), "mrr": cell(Decimal("-0.01")),
    "born": cell(date(1999, 12, 31)),
}  # fmt: skip


@pytest.fixture
def world(tmp_path: Path) -> Run:
    run = hands(tmp_path / "home")
    put(run, State(rows={("contact", "a1"): CONTACT}), [("contact", "a1")])
    publish(run, "")
    return run


def manifest(folder: Path) -> Any:
    return json.loads((folder / parquet.MANIFEST).read_text(encoding="utf-8"))


def test_the_manifest_is_true_of_every_file(played: Path, tmp_path: Path) -> None:
    answer = sor("--home", played, "export", tmp_path / "out", "--json")
    assert answer.code == 0, answer.err
    said = manifest(tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        parquet.MANIFEST, *(one["file"] for one in said["tables"].values())
    }  # fmt: skip
    with duckdb.connect(str(played / "conformed.duckdb"), read_only=True) as published:
        tables = dict(published.execute("SELECT table_name, comment FROM duckdb_tables()").fetchall())
        assert said["tables"].keys() == tables.keys()
        assert said["publication"] == published.execute("SELECT max(publication) FROM publication").fetchall()[0][0]
        for name, one in said["tables"].items():
            file = tmp_path / "out" / one["file"]
            assert hashlib.sha256(file.read_bytes()).hexdigest() == one["sha256"], name
            assert one["bytes"] == file.stat().st_size
            assert one["comment"] == (tables[name] or "")
            there = published.execute(f"SELECT * FROM {name}").fetchall()
            here = published.execute(f"SELECT * FROM read_parquet('{file}')").fetchall()
            assert sorted(map(str, here)) == sorted(map(str, there)), name
            assert one["rows"] == len(here) == pq.read_metadata(file).num_rows
            described = published.execute(
                f"SELECT column_name, comment FROM duckdb_columns() WHERE table_name = '{name}' ORDER BY column_index"
            ).fetchall()
            assert [(c["name"], c["comment"]) for c in one["columns"]] == [(n, c or "") for n, c in described]
            assert [c["type"] for c in one["columns"]] == [str(f.type) for f in pq.read_schema(file)]
    assert answer.data["rows"] == sum(one["rows"] for one in said["tables"].values())


def test_every_reader_reads_the_same_values(world: Run, tmp_path: Path) -> None:
    parquet.export(world, tmp_path / "out")
    file = tmp_path / "out" / "contact.parquet"
    for row in (
        pl.read_parquet(file).to_dicts()[0],
        pd.read_parquet(file, dtype_backend="pyarrow").to_dict("records")[0],
        pq.read_table(file).to_pylist()[0],
        duckdb.sql(f"SELECT * FROM read_parquet('{file}')").pl().to_dicts()[0],
    ):
        assert row["name"] == "O'Neil — 名"
        assert row["mrr"] == Decimal("-0.01")
        assert str(row["born"])[:10] == "1999-12-31"
        assert row["opted_in"] is None or row["opted_in"] is pd.NA
    schema = pq.read_schema(file)
    assert schema.metadata[b"comment"].startswith(b"One row per person that we know")
    assert b"owner: crm" in schema.field("email").metadata[b"comment"]


def test_an_export_again_gives_the_same_bytes(world: Run, tmp_path: Path) -> None:
    parquet.export(world, tmp_path / "one")
    parquet.export(world, tmp_path / "two")
    assert manifest(tmp_path / "one") == manifest(tmp_path / "two")


def test_an_earlier_export_is_replaced_whole(world: Run, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    parquet.export(world, out)
    with (out / "contact.parquet").open("rb") as reader:
        put(on_day(world, 1), State(), [("contact", "a1")])
        publish(on_day(world, 1), "")
        assert parquet.export(world, out).publication == 2
        assert pq.read_table(reader).num_rows == 1, "who reads keeps what was opened"
    assert manifest(out)["publication"] == 2
    assert pq.read_metadata(out / "contact.parquet").num_rows == 0
    assert [path.name for path in out.parent.iterdir()] == ["out"]


def test_a_failure_leaves_what_was_there(world: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    parquet.export(world, out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    write, written = pq.write_table, 0

    def full(*args: Any, **options: Any) -> None:
        nonlocal written
        written += 1
        if written > 3:
            raise OSError(28, "No space left on device")
        write(*args, **options)

    monkeypatch.setattr(parquet.pq, "write_table", full)
    with pytest.raises(OSError, match="No space"):
        parquet.export(world, out)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    with pytest.raises(OSError, match="No space"):
        parquet.export(world, tmp_path / "fresh")
    assert {path.name for path in tmp_path.iterdir()} == {"home", "out"}


def test_a_failed_rename_puts_the_old_export_back(world: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    parquet.export(world, out)
    rename = Path.rename

    def refusing(self: Path, target: Path) -> Path:
        if self.name == "fresh":
            raise OSError(5, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refusing)
    with pytest.raises(OSError, match="Input/output"):
        parquet.export(world, out)
    assert manifest(out)["publication"] == 1


@pytest.mark.parametrize("stranger", ["notes.txt", "manifest.json", "contact.parquet"])
def test_a_folder_that_holds_anything_else_is_refused(world: Run, tmp_path: Path, stranger: str) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / stranger).write_text('{"tables": 7}', encoding="utf-8")
    with pytest.raises(SettingsError, match="an export would replace what is here"):
        parquet.export(world, tmp_path / "mine")
    assert (tmp_path / "mine" / stranger).read_text(encoding="utf-8") == '{"tables": 7}'


def test_a_stranger_beside_an_export_is_not_lost(world: Run, tmp_path: Path) -> None:
    parquet.export(world, tmp_path / "out")
    (tmp_path / "out" / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"notes\.txt"):
        parquet.export(world, tmp_path / "out")
    assert (tmp_path / "out" / "notes.txt").exists()


def test_a_file_in_the_place_is_refused_and_an_empty_folder_is_taken(world: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    with pytest.raises(SettingsError):
        parquet.export(world, tmp_path / "file")
    (tmp_path / "empty").mkdir()
    assert parquet.export(world, tmp_path / "empty").rows > 0


def test_nothing_published_yet(tmp_path: Path) -> None:
    run = hands(tmp_path / "home")
    with pytest.raises(NeverPublished, match="nothing is published yet"):
        parquet.export(run, tmp_path / "out")
    assert {path.name for path in tmp_path.iterdir()} == {"home"}
