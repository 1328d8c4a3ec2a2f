"""Readers: one delivery in, chunks of text out.

Belongs here: what every reader gives (`Chunk`, `Reader`) and which reads what (`reader_of`). A reader for an API fits
in beside the others. Does not: where chunks go (`landing`), whether a delivery is new (`registry`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

import pyarrow as pa

from sor_pipeline.extract import refusals
from sor_pipeline.extract.deliveries import Delivery
from sor_pipeline.ownership.source import Extract

ROW = "_row"
REJECTS = pa.schema([(ROW, pa.int64()), ("raw", pa.string()), ("reason", pa.string())])
MOST_COLUMNS = 10_000


class Reason(StrEnum):
    """Why a single row is rejected."""

    ragged = "ragged"
    nul_byte = "nul-byte"
    undecodable = "undecodable"
    stray_quote = "stray-quote"
    not_json = "not-json"
    not_an_object = "not-an-object"
    duplicate_key = "duplicate-key"


@dataclass(frozen=True)
class Chunk:
    """Some rows of a delivery, in order.

    `rows`: `_row` (int64, 1-based number in the delivery, bad rows counted) and every delivered column as text.
    `rejects`: as `REJECTS`; `raw` is the row as delivered, undecodable bytes as `\\xNN`.
    `types`: column: type, where the delivery has types; the first chunk says it. `position`: up to where a cursor
    reads, in the words of `positions`; the first chunk says it, '' where there is no cursor.
    """

    rows: pa.Table
    rejects: pa.Table
    types: Mapping[str, str] = field(default_factory=dict)
    position: str = ""

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(name for name in self.rows.column_names if name != ROW)

    def reasons(self) -> Counter[str]:
        return Counter({item["values"]: item["counts"] for item in self.rejects["reason"].value_counts().to_pylist()})


class Reader(Protocol):
    """Reads one kind of delivery.

    `fixed_header`: the first chunk has every column that will come (it may have no rows).
    """

    fixed_header: bool

    def read(self, delivery: Delivery, extract: Extract) -> Iterator[Chunk]:
        """The delivery's rows. Raises ExtractRefused where the delivery as a whole cannot be read."""
        ...


def rejects_of(rows: Sequence[int], raws: Sequence[str], reasons: Sequence[str]) -> pa.Table:
    """Rejected rows: their numbers, their text as delivered, why."""
    columns = [pa.array(rows, pa.int64()), pa.array(raws, pa.string()), pa.array(reasons, pa.string())]
    return pa.table(columns, schema=REJECTS)


def checked_header(where: str, names: Sequence[str]) -> tuple[str, ...]:
    """The header if every column has a name of its own. Raises ExtractRefused."""
    blank = [str(place) for place, name in enumerate(names, 1) if not name or name.isspace()]
    if blank:
        raise refusals.missing_header(where, f"column {', '.join(blank[:20])} of {len(names)}")
    folded = Counter(name.casefold() for name in names)
    if len(folded) < len(names):
        raise refusals.duplicate_header(where, sorted({name for name in names if folded[name.casefold()] > 1})[:20])
    if ROW in folded:
        raise refusals.reserved_header(where, ROW)
    if any("\0" in name for name in names):
        raise refusals.bad_header(where, "a NUL byte in a name")
    if len(names) > MOST_COLUMNS:
        raise refusals.bad_header(where, f"{len(names):,} columns")
    return tuple(names)


def has_column(columns: Sequence[str], name: str) -> bool:
    """Whether a name leads to a delivered column; a dotted one may lead into a column of JSON."""
    steps = name.split(".")
    return any(".".join(steps[:end]) in columns for end in range(1, len(steps) + 1))


_SUFFIXES = {
    "csv": (".csv", ".txt"),
    "tsv": (".tsv", ".tab"),
    "jsonl": (".jsonl", ".ndjson"),
    "json": (".json",),
    "parquet": (".parquet", ".pq"),
    "excel": (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods"),
}


def format_of(delivery: Delivery, extract: Extract) -> str:
    """The declared format, else what the suffix says; `.gz` and `.zst` are looked through. Raises ExtractRefused."""
    if extract.format:
        return extract.format
    suffixes = [suffix.lower() for suffix in delivery.file.suffixes if suffix.lower() not in (".gz", ".zst")]
    kind = next((name for name, ends in _SUFFIXES.items() if suffixes and suffixes[-1] in ends), None)
    if kind is None:
        raise refusals.unknown_format(delivery.name, suffixes[-1] if suffixes else "no suffix")
    return kind


def reader_of(delivery: Delivery, extract: Extract) -> Reader:
    """The reader for a delivery; each is imported when it is needed. Raises ExtractRefused."""
    if delivery.path is None:
        from sor_pipeline.extract.readers.database import DatabaseReader

        return DatabaseReader()
    match format_of(delivery, extract):
        case "csv" | "tsv" as kind:
            from sor_pipeline.extract.readers.delimited import DelimitedReader

            return DelimitedReader("\t" if kind == "tsv" else ",")
        case "jsonl":
            from sor_pipeline.extract.readers.jsons import LinesReader

            return LinesReader()
        case "json":
            from sor_pipeline.extract.readers.jsons import DocumentReader

            return DocumentReader()
        case "parquet":
            from sor_pipeline.extract.readers.typed import ParquetReader

            return ParquetReader()
        case _:
            from sor_pipeline.extract.readers.excel import ExcelReader

            return ExcelReader()
