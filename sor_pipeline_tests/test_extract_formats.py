"""JSON, Parquet, Excel and databases: values land as the text they have, nothing is guessed."""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sor_pipeline.extract.deliveries import Delivery
from sor_pipeline.extract.readers import ROW
from sor_pipeline.extract.readers.jsons import DocumentReader, LinesReader
from sor_pipeline.ownership.source import Extract
from sor_pipeline_tests.extract_world import SOURCE, World, cells, codes, document

LINES = b"""{"id": "001", "n": 1.10, "big": 12345678901234567890, "e": 1e3, "z": -0, "t": true, "nil": null, "s": ""}

{"id": "2", "new": {"b": 1.50, "a": [1, "x", null, {"q": "\\"1.0"}]}, "t": "\\u00e9\\u2028"}\r
"""


def test_json_lines_keep_every_digit(tmp_path: Path) -> None:
    world = World.made(tmp_path, document(files="*.jsonl"))
    world.put("a.jsonl", LINES)
    assert codes(world.land()) == []
    first, second = world.table().to_pylist()
    texts = {"id": "001", "n": "1.10", "big": "12345678901234567890", "e": "1e3", "z": "-0", "t": "true"}
    assert first == {ROW: 1, **texts, "nil": None, "s": "", "new": None}
    assert second["new"] == '{"b":1.50,"a":[1,"x",null,{"q":"\\"1.0"}]}'
    assert (second["t"], second["s"], second[ROW]) == ("é\u2028", None, 2)


def test_json_lines_reject_bad_rows_by_reason(tmp_path: Path) -> None:
    lines = [b'{"id":1}', b'{"id":', b"[1]", b'{"id":1,"id":2}', b'{"id":"\\u0000"}', b'{"id":"\xff"}']
    lines += [b'{"id":"\\ud800"}', b'{"id":NaN}', b'{"id":2}{"id":3}', b"[" * 100_000, b'{"id":"\\\\u0000"}']
    world = World.made(tmp_path, document(files="*.jsonl", limits={"bad_rows": 0.9}))
    world.put("a.jsonl", b"\n".join(lines) + b"\n")
    assert codes(world.land()) == []
    assert world.table().to_pylist() == [{ROW: 1, "id": "1"}, {ROW: 11, "id": "\\u0000"}]
    reasons = [
        "not-json",
        "not-an-object",
        "duplicate-key",
        "nul-byte",
        "undecodable",
        "undecodable",
        *["not-json"] * 3,
    ]
    assert [row["reason"] for row in world.rejects()] == reasons


def test_columns_may_join_late(tmp_path: Path) -> None:
    delivery = Delivery("x", datetime(2024, 1, 1), tmp_path / "x.jsonl")
    delivery.file.write_text("".join(f'{{"id": {i}, "c{i // 100}": {i}}}\n' for i in range(500)))
    chunks = list(LinesReader(block=700).read(delivery, Extract.model_validate({"files": "x"})))
    assert len(chunks) > 5
    world = World.made(tmp_path, document(files="*.jsonl"))
    world.put("x.jsonl", delivery.file.read_bytes())
    world.land()
    assert world.table().column_names == [ROW, "id", "c0", "c1", "c2", "c3", "c4"]
    assert [row.count(None) for row in cells(world.table())] == [4] * 500


def test_wider_parts_are_put_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sor_pipeline.extract.readers.jsons.LinesReader.__init__.__defaults__", (700,))
    world = World.made(tmp_path, document(files="*.jsonl"))
    world.put("x.jsonl", "".join(f'{{"id": {i}, "c{i // 100}": {i}}}\n' for i in range(500)))
    world.land()
    table = world.table()
    assert table.column_names == [ROW, "id", "c0", "c1", "c2", "c3", "c4"]
    assert table[ROW].to_pylist() == list(range(1, 501))
    assert [value for row in cells(table) for value in row[1:] if value] == [str(i) for i in range(500)]
    assert len(list(world.landing.iterdir())) == 1


@pytest.mark.parametrize(
    ("name", "data", "code"),
    [
        ("a.jsonl", b'{"id":1}\n{"id":2', "truncated"),
        ("a.jsonl", b"", "empty-file"),
        ("a.jsonl", b'{"x":1}\n', "missing-key"),
        ("a.jsonl", b'{"id":1,"":2}\n', "missing-header"),
        ("a.jsonl", b'{"id":1,"Id":2}\n', "duplicate-header"),
        ("a.json", b'[{"id":1},{"id"', "truncated"),
        ("a.json", b'[{"id":1},{"id":"x', "truncated"),
        ("a.json", b'{"id":1}\n{"id":2}\n', "damaged"),
        ("a.json", b'{"id":1}', "missing-records"),
        ("a.json", b'[{"id":1,"id":2}]', "damaged"),
        ("a.json", b'[{"id":"\\u0000"}]', "damaged"),
        ("a.json", b'[{"id":"\xff"}]', "wrong-encoding"),
        ("a.json", b"[" * 100_000, "damaged"),
        ("a.json", b"[1]", "missing-key"),
        ("a.parquet", b"PAR1 nonsense PAR1", "damaged"),
        ("a.xlsx", b"nonsense", "damaged"),
        ("a.docx", b"nonsense", "unknown-format"),
        ("a", b"nonsense", "unknown-format"),
    ],
)
def test_refusals(tmp_path: Path, name: str, data: bytes, code: str) -> None:
    world = World.made(tmp_path, document(files="a*", limits={"bad_rows": 1}))
    world.put(name, data)
    outcome = world.land()
    assert codes(outcome) == [code]
    assert [row["code"] for row in world.rows("refusal")] == [code]
    assert list(world.landing.glob("*")) == []


def test_json_document_with_a_record_path(tmp_path: Path) -> None:
    world = World.made(tmp_path, document(files="*.json", records="data.contacts", limits={"bad_rows": 0.5}))
    world.put("a-2024-01-01.json", '{"data": {"contacts": [{"id": 1.0, "p": {"x": 1}}, 7]}}')
    world.put("b-2024-01-02.json", '{"data": {"contacts": []}}')
    world.put("c-2024-01-03.json", '{"data": {"contact": []}}')
    assert codes(world.land()) == ["missing-records"]
    first, second = (batch["batch"] for batch in world.batches())
    assert cells(world.table(first)) == [["1.0", '{"x":1}']]
    assert world.rejects(first) == [{ROW: 2, "raw": "7", "reason": "not-an-object"}]
    assert (world.table(second).num_rows, world.table(second).column_names) == (0, [ROW, "id"])


SIMPLE = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=6)
VALUE = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), SIMPLE),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(SIMPLE, inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=100, deadline=None)
@given(rows=st.lists(st.fixed_dictionaries({"id": VALUE, "a": VALUE}), max_size=5), block=st.integers(1, 60))
def test_any_json_lands_as_its_text(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], block: int
) -> None:
    def text(value: Any) -> str | None:
        return (
            value
            if value is None or isinstance(value, str)
            else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        )

    path = tmp_path_factory.mktemp("json") / "x"
    expected = [[text(row["id"]), text(row["a"])] for row in rows]
    for reader, data in ((LinesReader(block), "\n".join(map(json.dumps, rows))), (DocumentReader(), json.dumps(rows))):
        path.write_text(data)
        delivery = Delivery("x", datetime(2024, 1, 1), path)
        chunks = list(reader.read(delivery, Extract.model_validate({"files": "x"})))
        tables = [chunk.rows.select(["id", "a"]) for chunk in chunks if chunk.rows.num_rows]
        assert [row for table in tables for row in cells(table)] == expected
        assert sum(chunk.rejects.num_rows for chunk in chunks) == 0


def test_parquet_values_as_plain_text(tmp_path: Path) -> None:
    moment = datetime(2024, 1, 5, 12, 30, tzinfo=UTC)
    table = pa.table({
        "id": pa.array([1, None], pa.int32()),
        "float": pa.array([12.0, 12345678901.25]),
        "price": pa.array([Decimal("1.10"), Decimal("0.01")], pa.decimal128(10, 2)),
        "flag": pa.array([True, None]),
        "day": pa.array([date(2024, 1, 5), None]),
        "at": pa.array([moment, moment.replace(microsecond=500)], pa.timestamp("us", "America/New_York")),
        "local": pa.array([datetime(2024, 1, 5, 12, 30), None], pa.timestamp("ns")),
        "nested": pa.array([{"b": 1, "a": ["x", None]}, None]),
        "items": pa.array([[1, 2], []]),
        "bytes": pa.array([b"caf\xc3\xa9", b""], pa.binary()),
        "code": pa.array(["x", None]).dictionary_encode(),
        "wide": pa.array(["", "é"], pa.large_string()),
    })  # fmt: skip
    world = World.made(tmp_path, document(files="*.parquet"))
    (tmp_path / "in").mkdir(exist_ok=True)
    pq.write_table(table, world.folder / "a.parquet")
    assert codes(world.land()) == []
    local, nested = "2024-01-05 12:30:00", '{"b":1,"a":["x",null]}'
    assert cells(world.table()) == [
        ["1", "12", "1.10", "true", "2024-01-05", "2024-01-05 12:30:00Z", local, nested, "[1,2]", "café", "x", ""],
        [None, "12345678901.25", "0.01", None, None, "2024-01-05 12:30:00.000500Z", None, None, "[]", "", None, "é"],
    ]


def test_parquet_rows_without_text_are_rejected(tmp_path: Path) -> None:
    world = World.made(tmp_path, document(files="*.parquet", limits={"bad_rows": 0.7}))
    pq.write_table(
        pa.table({"id": [b"1", b"\xff", b"3", None], "a": ["x", "y", "\0", "z"]}), world.folder / "a.parquet"
    )
    world.land()
    assert world.table().to_pylist() == [{"id": "1", "a": "x", ROW: 1}, {"id": None, "a": "z", ROW: 4}]
    assert [(row[ROW], row["reason"]) for row in world.rejects()] == [(2, "undecodable"), (3, "nul-byte")]


def test_excel(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append(["not this sheet"])
    sheet = book.create_sheet("Contacts")
    sheet.append(["Export"])
    sheet.append(["id", "when", "n", "flag", 2024])
    sheet.append(["00501", datetime(2024, 1, 5, 12, 30), 12, True, "x"])
    sheet.append([])
    sheet.append([7, date(2024, 1, 5), 12.5, None, None])
    sheet.cell(9, 9, "")
    world = World.made(tmp_path, document(files="*.xlsx", sheet="Contacts", header_row=2))
    book.save(world.folder / "a.xlsx")
    assert codes(world.land()) == []
    assert world.table().column_names == [ROW, "id", "when", "n", "flag", "2024"]
    assert cells(world.table()) == [
        ["00501", "2024-01-05 12:30:00", "12", "true", "x"], ["7", "2024-01-05", "12.5", "", ""],
    ]  # fmt: skip
    assert codes(world.land(document(files="*.xlsx", sheet="Nix"))) == []  # landed already, not read again
    (world.folder / "b.xlsx").write_bytes((world.folder / "a.xlsx").read_bytes()[:-1000])
    assert codes(world.land()) == ["damaged"]


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> sqlite3.Connection:
    monkeypatch.setenv("CRM_FILE", str(tmp_path / "crm.db"))
    connection = sqlite3.connect(tmp_path / "crm.db")
    connection.execute("create table contact (id integer, email text, score real, odd blob)")
    rows = [(1, "a@b.example", 1.5, "x"), (2, None, 2.0, 7), (3, "", None, b"y")]
    connection.executemany("insert into contact values (?, ?, ?, ?)", rows)
    connection.commit()
    return connection


def test_table_of_a_database(tmp_path: Path, database: sqlite3.Connection) -> None:
    world = World.made(tmp_path, document(table="contact", url="sqlite:///${CRM_FILE}"))
    assert world.land().counts["landed"] == 1
    assert cells(world.table()) == [["1", "a@b.example", "1.5", "x"], ["2", None, "2", "7"], ["3", "", None, "y"]]
    assert world.land().counts["repeated"] == 1
    database.execute("delete from contact where id = 2")
    database.commit()
    outcome = world.land(now=datetime(2024, 6, 2))
    assert (outcome.counts["landed"], outcome.counts["rows"]) == (1, 2)
    assert len(world.batches()) == 2


def test_query_of_a_database(tmp_path: Path, database: sqlite3.Connection) -> None:
    query = "select id, '12:30' as time, id || '%s :x' as odd from contact where id = 1"
    world = World.made(tmp_path, document(query=query, url="sqlite:///${CRM_FILE}"))
    world.land()
    assert world.table().to_pylist() == [{"id": "1", "time": "12:30", "odd": "1%s :x", ROW: 1}]


@pytest.mark.parametrize(
    ("extract", "code"),
    [
        ({"query": "select 1 as id, 2 as id", "url": "sqlite://"}, "duplicate-header"),
        ({"query": "select 1 as x", "url": "sqlite://"}, "missing-key"),
        ({"query": "select", "url": "sqlite://"}, "query-failed"),
        ({"table": "nix", "url": "sqlite://"}, "query-failed"),
        ({"table": "nix", "url": "sqlite://${SOR_TEST_NOT_SET}"}, "missing-variable"),
        ({"table": "nix", "url": "nodriver://me:secret@host/x"}, "query-failed"),
        ({"table": "nix", "url": "no url: secret"}, "query-failed"),
    ],
)
def test_databases_that_do_not_answer(tmp_path: Path, extract: dict[str, str], code: str) -> None:
    outcome = World.made(tmp_path, document(**extract)).land()
    assert codes(outcome) == [code]
    assert "secret" not in str(outcome.faults[0])
    assert outcome.counts["refused"] == 1, SOURCE
