"""Delimited text: every cell lands exactly, and whatever a parser would change is rejected or refused."""

from __future__ import annotations

import csv
import gzip
import io
import json
import tempfile
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from sor_pipeline.errors import ExtractRefused
from sor_pipeline.extract.deliveries import Delivery
from sor_pipeline.extract.readers import ROW
from sor_pipeline.extract.readers.delimited import DelimitedReader
from sor_pipeline.ownership.source import Extract
from sor_pipeline_tests.extract_world import World, cells, codes, document

SHARED = Path(__file__).parents[2] / "shared" / "bad_input"


def read(
    data: bytes, block: int = 8 << 20, **extract: object
) -> tuple[list[list[str]], pa.Table, list[dict[str, object]]]:
    """Header and rows, the rows as a table, the rejects."""
    with tempfile.NamedTemporaryFile(suffix=".csv") as file:
        file.write(data)
        file.flush()
        delivery = Delivery("x.csv", datetime(2024, 1, 1), Path(file.name))
        chunks = list(DelimitedReader(",", block).read(delivery, Extract.model_validate({"files": "x", **extract})))
    table = pa.concat_tables(chunk.rows for chunk in chunks)
    rejects = [row for chunk in chunks for row in chunk.rejects.to_pylist()]
    assert len(set(table[ROW].to_pylist()) | {row[ROW] for row in rejects}) == table.num_rows + len(rejects)
    return [list(chunks[0].columns), *cells(table)], table, rejects


def refusal(data: bytes, **extract: object) -> str:
    with pytest.raises(ExtractRefused) as caught:
        read(data, **extract)
    return caught.value.faults[0].code


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_cells_are_as_delivered(end: bytes) -> None:
    lines = [b"id,a,b", b'00501,1.10,""', b' x ,"a,""b"""," "', b"NA,null,-", b'"","' + end + b'",2']
    rows, table, rejects = read(end.join(lines))
    assert rows[1:] == [["00501", "1.10", ""], [" x ", 'a,"b"', " "], ["NA", "null", "-"], ["", end.decode(), "2"]]
    assert table[ROW].to_pylist() == [1, 2, 3, 4]
    assert rejects == []


def test_bad_rows_are_rejected_by_reason_with_their_number_and_text() -> None:
    data = b'a,b\n1,2\n3\n\n4,5,6\n7,x\0y\n8,caf\xe9\n9,"in "quoted" text"\n10,5" pipe\n"11","ok"x\n12,"two\nlines"\n'
    rows, table, rejects = read(data)
    assert rows[1:] == [["1", "2"], ["10", '5" pipe'], ["12", "two\nlines"]]
    assert table[ROW].to_pylist() == [1, 7, 9]
    assert [(row["_row"], row["reason"], row["raw"]) for row in rejects] == [
        (2, "ragged", "3"), (3, "ragged", "4,5,6"), (4, "nul-byte", "7,x\0y"), (5, "undecodable", "8,caf\\xe9"),
        (6, "stray-quote", '9,"in "quoted" text"'), (8, "stray-quote", '"11","ok"x'),
    ]  # fmt: skip


@pytest.mark.parametrize("block", [1, 2, 3, 7, 1000])
def test_blocks_do_not_matter(block: int) -> None:
    data = b'a,b\r\n"1\r\n\r\n,",2\r\n3\r\n\r\n"x""y",\r\n"",""\r\n4,"bad"x\r\n5,6'
    assert read(data, block)[0] == read(data)[0]
    assert read(data, block)[2] == read(data)[2]
    assert len(read(data)[0]) == 5


def test_blank_lines_are_rows_only_of_one_column() -> None:
    assert read(b"a\n1\n\n2\n\n")[0] == [["a"], ["1"], [""], ["2"], [""]]
    assert read(b"a,b\n1,1\n\n2,2\n\n")[0] == [["a", "b"], ["1", "1"], ["2", "2"]]


def test_header_only_is_a_snapshot_of_nothing() -> None:
    assert read(b"a,b")[0] == read(b"a,b\r\n")[0] == [["a", "b"]]


def test_header_row_and_title_lines() -> None:
    data = b'Export of "all, contacts\n\nid;name\n1;"a;b"\n'
    assert read(data, header_row=3, delimiter=";")[0] == [["id", "name"], ["1", "a;b"]]
    assert refusal(data, header_row=2) == "missing-header"
    assert refusal(data, header_row=9) == "missing-header"


def test_header_with_quotes_and_newlines() -> None:
    assert read(b'"a,b","c\nd"," e "\n1,2,3\n')[0][0] == ["a,b", "c\nd", " e "]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"id,a,a\n1,2,3\n", "duplicate-header"),
        (b"id,Email,email\n1,2,3\n", "duplicate-header"),
        (b"id,,a\n1,2,3\n", "missing-header"),
        (b"id, \n1,2\n", "missing-header"),
        (b"\nid,a\n", "missing-header"),
        (b"id,_row\n1,2\n", "reserved-header"),
        (b"id,a\0\n1,2\n", "bad-header"),
        (b"id,caf\xe9\n1,2\n", "bad-header"),
        (b'id,"a"b\n1,2\n', "bad-header"),
        (b'id,a\n1,2\n3,"x\n4,5\n', "unterminated-quote"),
        (b'id,a\n1,2\n3,"', "unterminated-quote"),
        (b"id,a\n1,2\n3", "truncated"),
        ("id,a\n1,2\n".encode("utf-16"), "wrong-encoding"),
    ],
)
def test_refusals(data: bytes, code: str) -> None:
    assert refusal(data) == code


def test_messages_hold_no_cells() -> None:
    with pytest.raises(ExtractRefused) as caught:
        read(b'id,a\n1,2\n3,"secret@example.com\n')
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "latin-1", "cp1252", "utf-8-sig", "shift_jis"])
def test_encodings(encoding: str) -> None:
    text = 'id,a\r\n1,"é,\n"\r\n' if encoding != "shift_jis" else 'id,a\r\n1,"表,\n"\r\n'
    for block in (1, 3, 1000):
        assert read(text.encode(encoding), block, encoding=encoding)[0][1] == ["1", text.split('"')[1]]


def test_undecodable_in_other_encodings() -> None:
    rows, _, rejects = read(b"id,a\n1,\x81\n2,\x80\n", encoding="cp1252")
    assert rows[1:] == [["2", "€"]]
    assert [(row["_row"], row["reason"]) for row in rejects] == [(1, "undecodable")]
    assert refusal(b"id\n1\n", encoding="klingon") == "wrong-encoding"


def test_byte_order_mark_is_taken_off_once_and_data_keeps_its_own() -> None:
    mark = b"\xef\xbb\xbf"
    rows = read(mark + b"id,a\n" + mark + b"1,2\n" + mark + mark + b"3,4\n", block=4)[0]
    assert rows == [["id", "a"], ["\ufeff1", "2"], ["\ufeff\ufeff3", "4"]]


def test_no_quoting_and_escapes() -> None:
    assert read(b'a,b\n"x,2"\n', quote="")[0][1] == ['"x', '2"']
    assert read(b'a\tb\n5" x\t"y\n', quote="", delimiter="\t")[0][1] == ['5" x', '"y']
    assert read(b'a,b\nx\\,y,"q\\"r"\n\\\nz,\\\\\n', escape="\\")[0][1:] == [["x,y", 'q"r'], ["\nz", "\\"]]
    assert read(b"a|b\n'x|''y''|'|2\n", quote="'", delimiter="|")[0][1] == ["x|'y'|", "2"]


@pytest.mark.parametrize("bad", [{"delimiter": "¦"}, {"delimiter": '"'}, {"quote": "\n"}])
def test_unusable_dialects_are_refused(bad: dict[str, str]) -> None:
    assert refusal(b"a,b\n1,2\n", **bad) == "unknown-dialect"


def test_long_cells() -> None:
    long = "x," * 600_000 + "\n"
    rows = read(f'a,b\n1,"{long}"\n2,3\n'.encode(), block=4096)[0]
    assert rows[1:] == [["1", long], ["2", "3"]]


def test_a_row_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sor_pipeline.extract.readers.rowends.LONGEST_ROW", 5000)
    data = b'a,b\n1,"' + b"x,y\n" * 5000
    with pytest.raises(ExtractRefused) as caught:
        read(data, block=1000)
    assert caught.value.faults[0].code == "row-too-long"


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_compressed(tmp_path: Path, suffix: str) -> None:
    data = b"id,a\n" + b"".join(b"%d,x%d\n" % (i, i * i) for i in range(50_000))
    packed = gzip.compress(data) if suffix == ".gz" else zstandard.compress(data)
    world = World.made(tmp_path, document(files="*.csv*"))
    world.put(f"a-2024-01-01.csv{suffix}", packed)
    world.put("b-2024-01-02.csv.gz", data)  # a browser has unpacked it
    world.put(f"c-2024-01-03.csv{suffix}", packed[: len(packed) // 2])
    world.put(f"d-2024-01-04.csv{suffix}", packed[:-3])
    outcome = world.land()
    assert [batch["rows"] for batch in world.batches()] == [50_000, 50_000]
    assert codes(outcome) == ["truncated", "truncated"]


def test_damaged_gzip(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(b"id,a\n" + b"1,2\n" * 1000))
    packed[-6] ^= 1
    world = World.made(tmp_path, document(files="*.csv.gz"))
    world.put("a.csv.gz", bytes(packed))
    assert codes(world.land()) == ["damaged"]


TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8)
ALPHABET = st.text(st.sampled_from(list("ab,;\t|\"'\\\r\n \ufeffé")), max_size=6)


@st.composite
def tables(draw: st.DrawFn) -> list[list[str]]:
    width = draw(st.integers(1, 4))
    cell = st.one_of(ALPHABET, TEXT)
    return draw(st.lists(st.lists(cell, min_size=width, max_size=width), max_size=6))


@settings(max_examples=250, deadline=None)
@given(
    tables(), st.sampled_from([",", ";", "\t", "|"]), st.sampled_from(['"', "'"]), st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL, csv.QUOTE_NONNUMERIC]), st.sampled_from([None, "\\", "double"]),
    st.sampled_from(["utf-8", "utf-16", "utf-8-sig"]), st.integers(1, 40),
)  # fmt: skip
def test_any_table_in_any_dialect_lands_cell_for_cell(
    table: list[list[str]],
    delimiter: str,
    quote: str,
    end: str,
    quoting: int,
    escape: str | None,
    encoding: str,
    block: int,
) -> None:
    width = len(table[0]) if table else 2
    escaping = "\\" if escape else None
    if any("\r" in cell for row in table for cell in row):
        quoting = csv.QUOTE_ALL  # the writer of older Pythons leaves a lone CR unquoted
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, quotechar=quote, lineterminator=end, quoting=quoting,
                        escapechar=escaping, doublequote=escape != "\\")  # type: ignore[call-overload]  # fmt: skip
    writer.writerows([[f"c{i}" for i in range(width)], *table])
    data = text.getvalue().encode(encoding)
    rows, _, rejects = read(data, block, delimiter=delimiter, quote=quote, escape=escaping, encoding=encoding)
    assert rejects == []
    assert rows[1:] == table


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=60).map(lambda body: b"a,b\n" + body), st.integers(1, 20))
def test_any_bytes_land_or_are_refused_by_name(data: bytes, block: int) -> None:
    try:
        rows, _, rejects = read(data, block)
    except ExtractRefused as refused:
        assert refused.faults[0].code in {"unterminated-quote", "truncated"}  # noqa: PT017
    else:
        assert (rows, rejects) == (read(data)[0], read(data)[2])


@settings(max_examples=250, deadline=None)
@given(st.text(st.sampled_from(list('",\n\rx\\ ')), max_size=30), st.sampled_from([None, "\\"]), st.integers(1, 9))
def test_rows_are_counted_as_they_are_parsed(body: str, escape: str | None, block: int) -> None:
    """The two looks at the bytes agree on every nest of quotes: no `row-count-differs`, at any block size."""
    data = ("a,b\n" + body).encode()
    try:
        rows, _, rejects = read(data, block, escape=escape)
    except ExtractRefused as refused:
        assert refused.faults[0].code in {"unterminated-quote", "truncated"}  # noqa: PT017
    else:
        assert (rows, rejects) == (read(data, escape=escape)[0], read(data, escape=escape)[2])


@pytest.mark.skipif(not SHARED.exists(), reason="no shared inputs beside this clone")
def test_csv_spectrum() -> None:
    for path in sorted((SHARED / "csv-spectrum" / "csvs").glob("*.csv")):
        data = path.read_bytes()
        if path.stem.endswith("_crlf"):  # a check-out may have turned its line ends into LF
            data = data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        rows = read(data)[0]
        expected = json.loads((SHARED / "csv-spectrum" / "json" / f"{path.stem}.json").read_text())
        read_in = [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]
        if path.stem == "location_coordinates":  # the expectation masks the phone number that the file shows
            read_in, expected = read_in[0], {**expected, "Contact Phone Number": read_in[0]["Contact Phone Number"]}
        assert read_in == expected, path.name


@pytest.mark.skipif(not SHARED.exists(), reason="no shared inputs beside this clone")
def test_naughty_strings() -> None:
    texts = json.loads((SHARED / "blns" / "blns.json").read_text())
    data = io.StringIO(newline="")
    csv.writer(data).writerows([["id", "text"], *([str(i), text] for i, text in enumerate(texts))])
    rows, _, rejects = read(data.getvalue().encode(), block=500)
    kept = [text for text in texts if "\0" not in text]
    assert [row[1] for row in rows[1:]] == kept
    assert len(rejects) == len(texts) - len(kept)
