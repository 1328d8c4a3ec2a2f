"""Excel and OpenDocument sheets, through calamine.

Belongs here: sheets. Does not: the spelling of values (`typed`).

A cell's stored value lands, not its display format: a date as a date, 12.0 as `12`, an empty cell as ''. Rows in
which every cell is empty are no rows (sheets trail them); columns without name and content are no columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import python_calamine as calamine

from sor_pipeline.extract import refusals
from sor_pipeline.extract.deliveries import Delivery
from sor_pipeline.extract.readers import Chunk, checked_header
from sor_pipeline.extract.readers.typed import text_of, typed_chunk
from sor_pipeline.ownership.source import Extract

_ROWS = 50_000


class ExcelReader:
    fixed_header = True

    def read(self, delivery: Delivery, extract: Extract) -> Iterator[Chunk]:
        try:
            with calamine.CalamineWorkbook.from_path(delivery.file) as book:
                cells = self._sheet(delivery.name, book, extract.sheet).to_python(skip_empty_area=False)
        except (calamine.CalamineError, OSError, ValueError) as error:
            raise refusals.damaged(delivery.name, type(error).__name__, "a whole workbook without password") from error
        if len(cells) < extract.header_row:
            raise refusals.missing_header(delivery.name, f"{len(cells)} rows in the sheet")
        header = cells[extract.header_row - 1]
        body = [row for row in cells[extract.header_row :] if any(cell != "" for cell in row)]
        width = max(_width(header), max(map(_width, body), default=0))
        names = checked_header(delivery.name, [_texts([name])[0].as_py() for name in header[:width]])
        for start in range(0, max(len(body), 1), _ROWS):
            columns = list(zip(*body[start : start + _ROWS], strict=True)) or [()] * width
            yield typed_chunk(pa.table([_texts(columns[i]) for i in range(width)], names=list(names)), start + 1)

    def _sheet(self, where: str, book: calamine.CalamineWorkbook, sheet: str | None) -> calamine.CalamineSheet:
        if sheet is not None and sheet not in book.sheet_names:
            raise refusals.missing_sheet(where, sheet, book.sheet_names)
        return book.get_sheet_by_index(0) if sheet is None else book.get_sheet_by_name(sheet)


def _width(row: Sequence[Any]) -> int:
    """Cells up to the last that is not empty."""
    return next((place for place in range(len(row), 0, -1) if row[place - 1] != ""), 0)


def _texts(values: Sequence[Any]) -> pa.Array:
    """A column holds whatever was typed, so each kind of value is spelled by itself."""
    kinds = {type(value) for value in values} - {str}
    texts: list[str] = [value if type(value) is str else "" for value in values]
    for kind in kinds:
        places = [place for place, value in enumerate(values) if type(value) is kind]
        for place, text in zip(places, text_of(pa.array([values[place] for place in places])).to_pylist(), strict=True):
            texts[place] = text
    return pa.array(texts, pa.string())
