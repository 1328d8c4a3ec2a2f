"""Frames of text as files in the formats that tools export; the same frame gives the same bytes.

Belongs here: CSV, JSON lines, JSON, Parquet, Excel, their compression. Does not: what is in them.
"""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from sor_pipeline.demo.tools.stream import Stream

TITLE_LINES = ("Larkspur Tools: territory plan", "Ask revenue operations before you sort this sheet.")
_EPOCH = (1980, 1, 1, 0, 0, 0)


def write(path: Path, stream: Stream, shown: pl.DataFrame) -> None:
    """Writes `shown` (the tool's columns, all text) in the stream's format, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_name(path.name + ".part")
    half.write_bytes(content(path.name, stream, shown))
    half.replace(path)


def content(name: str, stream: Stream, shown: pl.DataFrame) -> bytes:
    """The bytes of the file called `name`."""
    plain_name = name.removesuffix(".gz").removesuffix(".zst")
    kind = plain_name.rsplit(".", 1)[1]
    makers = {"csv": _csv, "jsonl": _json_lines, "json": _json, "parquet": _parquet, "xlsx": _excel}
    body = makers[kind](stream, shown)
    if name.endswith(".gz"):
        return gzip.compress(body, mtime=0)
    if name.endswith(".zst"):
        return _zstd(body)
    return body


def _zstd(body: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as out:
        out.write(body)
    return bytes(sink.getvalue().to_pybytes())


def _csv(stream: Stream, shown: pl.DataFrame) -> bytes:
    # Null, not empty text: an empty text would be written as a pair of quotes.
    blank = shown.with_columns(pl.when(pl.all() != "").then(pl.all()))
    return blank.write_csv(separator=stream.delimiter).encode(stream.encoding)


def _typed(stream: Stream, shown: pl.DataFrame) -> pl.DataFrame:
    """Cells of the types that the format has; blank is null, except in `merge_fields`."""
    kinds = stream.typed or {}
    casts = {
        "int": lambda c: c.cast(pl.Int64, strict=False),
        "float": lambda c: c.cast(pl.Float64, strict=False),
        "date": lambda c: c.str.to_date("%Y-%m-%d", strict=False),
        "bool": lambda c: c == "true",
        "json": lambda c: c.str.json_decode(pl.List(pl.String)),
    }
    texts = [n for n in shown.columns if n not in kinds and not n.startswith("merge_fields.")]
    return shown.with_columns(
        *(pl.when(pl.col(n) != "").then(pl.col(n)).alias(n) for n in texts),
        *(casts[kind](pl.col(n)) for n, kind in kinds.items()),
    )


def _nested(frame: pl.DataFrame) -> pl.DataFrame:
    """`a.b` and `a.c` become one object `a`."""
    heads = list(dict.fromkeys(name.split(".", 1)[0] for name in frame.columns))
    inside = {head: [n for n in frame.columns if n.startswith(f"{head}.")] for head in heads}
    return frame.select(
        pl.struct(pl.col(n).alias(n.split(".", 1)[1]) for n in inside[head]).alias(head)
        if inside[head]
        else pl.col(head)
        for head in heads
    )


def _json_lines(stream: Stream, shown: pl.DataFrame) -> bytes:
    if shown.is_empty():
        return b""
    out = io.BytesIO()
    _nested(_typed(stream, shown)).write_ndjson(out)
    return out.getvalue()


def _json(stream: Stream, shown: pl.DataFrame) -> bytes:
    rows = _json_lines(stream, shown).rstrip(b"\n").replace(b"\n", b",\n")
    return b'{"%s":[\n%s\n],"count":%d,"next_page":null}\n' % (str(stream.records).encode(), rows, shown.height)


def _parquet(stream: Stream, shown: pl.DataFrame) -> bytes:
    out = io.BytesIO()
    pq.write_table(_typed(stream, shown).to_arrow(compat_level=pl.CompatLevel.oldest()), out)
    return out.getvalue()


def _excel(stream: Stream, shown: pl.DataFrame) -> bytes:
    """One sheet `Plan`: title lines, header, rows; numbers as numbers. Written by hand for the sake of equal bytes."""
    numbers = {name for name, kind in (stream.typed or {}).items() if kind == "int"}
    top = "".join(f'<row r="{n}">{_text_cell("A", n, line)}</row>' for n, line in enumerate(TITLE_LINES, 1))
    header_row = len(TITLE_LINES) + 1
    letters = {name: chr(ord("A") + n) for n, name in enumerate(shown.columns)}
    top += f'<row r="{header_row}">' + "".join(_text_cell(letters[n], header_row, n) for n in shown.columns) + "</row>"
    rows = shown.select(pl.int_range(header_row + 1, header_row + 1 + pl.len()).cast(pl.String).alias("_row"), pl.all())
    cells = [_cell(name, letters[name], name in numbers) for name in shown.columns]
    body = (
        rows.select(
            pl.concat_str(pl.lit('<row r="'), "_row", pl.lit('">'), *cells, pl.lit("</row>")).str.join("")
        ).item()
        or ""
    )
    return _workbook(f'<worksheet xmlns="{_MAIN}"><sheetData>{top}{body}</sheetData></worksheet>')


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _text_cell(letter: str, row: int, text: str) -> str:
    return f'<c r="{letter}{row}" t="inlineStr"><is><t>{_escaped(text)}</t></is></c>'


def _cell(name: str, letter: str, number: bool) -> pl.Expr:
    text = pl.col(name).str.replace_all("&", "&amp;", literal=True).str.replace_all("<", "&lt;", literal=True)
    kind, before, after = ("", "<v>", "</v>") if number else (' t="inlineStr"', "<is><t>", "</t></is>")
    whole = pl.concat_str(pl.lit(f'<c r="{letter}'), "_row", pl.lit(f'"{kind}>{before}'), text, pl.lit(f"{after}</c>"))
    return pl.when(pl.col(name) == "").then(pl.lit("")).otherwise(whole)


_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_TYPES = "http://schemas.openxmlformats.org/package/2006/content-types"
_SHEETS = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_PACKAGE = "application/vnd.openxmlformats-package.relationships+xml"
_PARTS = {
    "[Content_Types].xml": (
        f'<Types xmlns="{_TYPES}"><Default Extension="rels" ContentType="{_PACKAGE}"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{_SHEETS}.sheet.main+xml"/>'
        f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{_SHEETS}.worksheet+xml"/></Types>'
    ),
    "_rels/.rels": (
        f'<Relationships xmlns="{_RELATIONS}"><Relationship Id="rId1" Type="{_OFFICE}/officeDocument"'
        ' Target="xl/workbook.xml"/></Relationships>'
    ),
    "xl/workbook.xml": (
        f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><sheets>'
        '<sheet name="Plan" sheetId="1" r:id="rId1"/></sheets></workbook>'
    ),
    "xl/_rels/workbook.xml.rels": (
        f'<Relationships xmlns="{_RELATIONS}"><Relationship Id="rId1" Type="{_OFFICE}/worksheet"'
        ' Target="worksheets/sheet1.xml"/></Relationships>'
    ),
}


def _workbook(sheet: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in {**_PARTS, "xl/worksheets/sheet1.xml": sheet}.items():
            whole = '<?xml version="1.0" encoding="UTF-8"?>' + text
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), whole, zipfile.ZIP_DEFLATED)
    return out.getvalue()
