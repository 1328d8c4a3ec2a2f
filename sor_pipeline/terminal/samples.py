"""The first rows of files, through the readers of extract, with the settings that they turn out to need.

Belongs here: trying settings (delimiter, encoding, header row, records, sheet) until a file reads. Does not: which
files belong together (`survey`).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import python_calamine as calamine

from sor_pipeline.errors import ExtractRefused
from sor_pipeline.extract import refusals
from sor_pipeline.extract.deliveries import Delivery, time_in
from sor_pipeline.extract.readers import ROW, format_of, reader_of
from sor_pipeline.extract.readers.content import opened
from sor_pipeline.ownership.scaffold.sample import Part
from sor_pipeline.ownership.source import Extract
from sor_pipeline.terminal.sniff import sniffed

ROWS = 1_000
_EPOCH = datetime(1970, 1, 1)
Settings = dict[str, str | int]
_HEADER_ROWS = range(2, 9)
_DEEPEST = 3


@dataclass(frozen=True)
class Sample:
    """A file's first rows and the settings that it was read with; `sheet` is '' outside workbooks."""

    part: Part
    settings: Settings
    sheet: str = ""


@dataclass(frozen=True)
class Unreadable:
    file: str
    why: str


def samples(folder: Path, names: list[str]) -> tuple[list[Sample], list[Unreadable]]:
    """Samples of the files of one stream, in the order of their names, and those that cannot be read."""
    taken: list[Sample] = []
    refused: list[Unreadable] = []
    encodings = Counter[str]()
    for name in names:
        try:
            taken.extend(_sampled(name, folder / name, encodings))
        except ExtractRefused as refusal:
            fault = refusal.faults[0]
            refused.append(Unreadable(name, f"{fault.what} ({fault.code}{f': {fault.found}' if fault.found else ''})"))
        except OSError as error:
            refused.append(Unreadable(name, f"cannot be opened ({type(error).__name__})"))
    if len(encodings) == 1 and taken:  # plain ASCII is of every encoding: what the others need holds for all
        taken = [_in_encoding(sample, next(iter(encodings))) for sample in taken]
    return taken, refused


def _in_encoding(sample: Sample, encoding: str) -> Sample:
    settings = {**sample.settings, "encoding": encoding} if "encoding" in sample.settings else sample.settings
    return replace(sample, settings=settings)


def _sampled(name: str, path: Path, encodings: Counter[str]) -> Iterator[Sample]:
    delivery = Delivery(name, time_in(name) or _EPOCH, path)
    kind = format_of(delivery, _extract(name, {}))
    match kind:
        case "csv" | "tsv":
            yield _delimited(delivery, encodings)
        case "json":
            yield _document(delivery)
        case "excel":
            yield from _sheets(delivery)
        case _:
            yield Sample(_part(delivery, {}), {})


def _extract(name: str, settings: Settings) -> Extract:
    return Extract.model_validate({"files": [name], **settings})


def _part(delivery: Delivery, settings: Settings) -> Part:
    """Raises ExtractRefused."""
    cells: dict[str, tuple[str, ...]] = {}
    rows, bad, cut = 0, 0, False
    extract = _extract(delivery.name, settings)
    for chunk in reader_of(delivery, extract).read(delivery, extract):
        table = chunk.rows.slice(0, ROWS - rows)
        cut = cut or table.num_rows < chunk.rows.num_rows
        for column in chunk.columns:
            texts = tuple((text or "").strip() for text in table[column].to_pylist())
            cells[column] = cells.get(column, ("",) * rows) + texts
        rows, bad = rows + table.num_rows, bad + chunk.rejects.num_rows
        cells = {column: texts + ("",) * (rows - len(texts)) for column, texts in cells.items()}
        if rows >= ROWS:
            break
    cells.pop(ROW, None)
    if bad > rows:
        raise _refused("bad-rows", delivery.name, "most rows do not fit the header", f"{bad:,} of {bad + rows:,}")
    return Part(delivery.name, cells, rows, cut or rows >= ROWS, time_in(delivery.name))


def _refused(code: str, name: str, what: str, found: str = "") -> ExtractRefused:
    return refusals.refused(code, name, what, found)


def _delimited(delivery: Delivery, encodings: Counter[str]) -> Sample:
    dialect = sniffed(delivery.name, delivery.file)
    if dialect is None:
        raise _refused("not-text", delivery.name, "its bytes are no text", "binary content")
    if not dialect.delimiter and delivery.file.suffix.lower() == ".txt":
        raise _refused("not-a-table", delivery.name, "it has lines, but no columns")
    settings: Settings = {"delimiter": dialect.delimiter or ",", "encoding": dialect.encoding}
    sample = _below_titles(delivery, settings)
    if not dialect.ascii:
        encodings[dialect.encoding] += 1
    return sample


def _below_titles(delivery: Delivery, settings: Settings) -> Sample:
    """With the header in line 1 or, where that is none, in the first line below it that is. Raises ExtractRefused."""
    try:
        return Sample(_part(delivery, settings), settings, str(settings.get("sheet", "")))
    except ExtractRefused as refusal:
        if refusal.faults[0].code not in ("missing-header", "duplicate-header", "bad-rows", "bad-header"):
            raise
        for row in _HEADER_ROWS:
            lower: Settings = {**settings, "header_row": row}
            try:
                part = _part(delivery, lower)
            except ExtractRefused:
                continue
            if part.rows and _looks_like_a_header(part):
                return Sample(part, lower, str(settings.get("sheet", "")))
        raise


def _looks_like_a_header(part: Part) -> bool:
    """Two columns at least, and no name that is a number."""
    return len(part.cells) > 1 and not any(name.strip().replace(".", "").isdigit() for name in part.cells)


def _document(delivery: Delivery) -> Sample:
    """A list, a list at some path, or one object per line under the wrong suffix. Raises ExtractRefused."""
    try:
        return Sample(_part(delivery, {}), {})
    except ExtractRefused as refusal:
        code = refusal.faults[0].code
        if code == "missing-records":
            path = _records(delivery)
            settings: Settings = {"records": path} if path else {}
        else:
            settings = {"format": "jsonl"} if code in ("damaged", "truncated") else {}
        if not settings:
            raise
        try:
            part = _part(delivery, settings)
        except ExtractRefused:
            raise refusal from None
        if not part.rows and code != "missing-records":
            raise
        return Sample(part, settings)


def _records(delivery: Delivery) -> str:
    """The path to the longest list of objects, or to the only list where all are empty; '' where there is none."""
    with opened(delivery.name, delivery.file, "utf-8") as content:
        document = json.loads(b"".join(iter(lambda: content.read(1 << 20), b"")))
    lists = list(_lists(document, ()))
    best = max(lists, key=lambda item: item[1], default=("", 0))
    return best[0]


def _lists(value: object, path: tuple[str, ...]) -> Iterator[tuple[str, int]]:
    if isinstance(value, list) and path and all(isinstance(item, dict) for item in value):
        yield ".".join(path), len(value)
    if isinstance(value, dict) and len(path) < _DEEPEST:
        for name, below in value.items():
            if name and "." not in name:
                yield from _lists(below, (*path, name))


def _sheets(delivery: Delivery) -> Iterator[Sample]:
    """Every sheet that has rows. Raises ExtractRefused where none has."""
    try:
        with calamine.CalamineWorkbook.from_path(delivery.file) as book:
            names = list(book.sheet_names)
    except (calamine.CalamineError, OSError, ValueError) as error:
        raise _refused("damaged", delivery.name, "no whole workbook", type(error).__name__) from error
    found = []
    first: ExtractRefused | None = None
    for name in names:
        try:
            found.append(_below_titles(delivery, {"sheet": name}))
        except ExtractRefused as refusal:
            first = first or refusal
    if not found:
        raise first or _refused("missing-sheet", delivery.name, "the workbook has no sheet")
    yield from found
