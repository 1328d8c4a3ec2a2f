"""CSV and its relatives: any delimiter, quote, escape and encoding that was declared; nothing is guessed.

Belongs here: cells of delimited text. Does not: where rows end (`rowends`), encodings (`content`).

pyarrow parses, `rowends` counts: per block, rows parsed + rows rejected must be the rows that were counted before.
Every column is read as text, the empty cell as ''. A blank line is a row only where there is one column.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
from pyarrow import csv

from sor_pipeline.errors import ExtractRefused
from sor_pipeline.extract import refusals
from sor_pipeline.extract.deliveries import Delivery
from sor_pipeline.extract.readers import ROW, Chunk, Reason, checked_header, rejects_of
from sor_pipeline.extract.readers.content import Content, opened
from sor_pipeline.extract.readers.rowends import BLOCK, Block, Dialect, Mask, blocks
from sor_pipeline.ownership.source import Extract

_MARK = b"\xef\xbb\xbf"


class DelimitedReader:
    """Reads delimited text; `delimiter` is used where the extract names none."""

    fixed_header = True

    def __init__(self, delimiter: str, block: int = BLOCK) -> None:
        self._delimiter, self._block = delimiter, block

    def read(self, delivery: Delivery, extract: Extract) -> Iterator[Chunk]:
        dialect = self._dialect(delivery.name, extract)
        with opened(delivery.name, delivery.file, extract.encoding) as content:
            yield from _Rows(delivery.name, dialect).chunks(content, extract.header_row - 1, self._block)

    def _dialect(self, where: str, extract: Extract) -> Dialect:
        """Raises ExtractRefused."""
        escape = extract.escape if extract.escape != extract.quote else None
        signs = {"delimiter": extract.delimiter or self._delimiter, "quote": extract.quote, "escape": escape}
        for word, sign in signs.items():
            if sign and (not sign.isascii() or sign in "\r\n\0"):
                raise refusals.unknown_dialect(where, f"this {word} cannot be used", repr(sign))
        if len({sign for sign in signs.values() if sign}) < sum(map(bool, signs.values())):
            raise refusals.unknown_dialect(where, "delimiter, quote and escape must differ", repr(signs))
        codes = {word: ord(sign) if sign else None for word, sign in signs.items()}
        return Dialect(codes["delimiter"] or 0, codes["quote"], codes["escape"])


class _Rows:
    """One file on its way through the parser."""

    def __init__(self, where: str, dialect: Dialect) -> None:
        self._where, self._dialect = where, dialect
        self._columns: tuple[str, ...] = ()
        self._count = 0

    def chunks(self, content: Content, skip: int, size: int) -> Iterator[Chunk]:
        header = True
        for block in blocks(self._where, content, self._dialect, skip, size):
            if header:
                self._columns = self._header(block)
                yield Chunk(self._parsed(b"")[0].append_column(ROW, pa.array([], pa.int64())), rejects_of([], [], []))
            yield self._chunk(block, first=int(header))
            header = False
        if header:
            raise refusals.missing_header(self._where, "no line at the place of the header")

    def _header(self, block: Block) -> tuple[str, ...]:
        if 0 in block.bad:
            raise refusals.bad_header(self._where, block.bad[0])
        line = block.data[: block.stops[0]]
        if not line:
            raise refusals.missing_header(self._where, "a blank line")
        names = [str(place) for place in range(line.count(self._dialect.delimiter) + 1)]
        cells = csv.read_csv(
            pa.BufferReader(line + b"\n"),
            csv.ReadOptions(autogenerate_column_names=True, use_threads=False, block_size=len(line) + 2),
            self._parse_options([]),
            _as_text([f"f{name}" for name in names]),
        )
        return checked_header(self._where, [str(column[0].as_py()) for column in cells.columns])

    def _chunk(self, block: Block, first: int) -> Chunk:
        """Rows of the block from `first` on."""
        blank = (block.starts == block.stops) & (len(self._columns) > 1)
        blank[:first] = True
        sound = ~blank
        sound[list(block.bad)] = False
        numbers = np.cumsum(~blank) + self._count
        kept = np.flatnonzero(sound)
        rows, ragged = self._parsed(_joined(block, sound))
        reasons = {row: reason for row, reason in block.bad.items() if not blank[row]}
        reasons |= {int(kept[place]): Reason.ragged for place in ragged}
        read = rows.num_rows + len(ragged)
        if read != len(kept):
            raise refusals.row_count_differs(self._where, self._count + read, self._count + len(kept))
        if block.ends_open and reasons.get(len(block) - 1) == Reason.ragged:
            raise refusals.truncated(self._where, "the last row is cut off")
        self._count = int(numbers[-1])
        good = np.delete(numbers[kept], ragged)
        bad = sorted(reasons)
        places, raws = numbers[bad].tolist() if bad else [], [block.raw(row) for row in bad]
        rejects = rejects_of(places, raws, [reasons[row] for row in bad])
        return Chunk(rows.append_column(ROW, pa.array(good, pa.int64())), rejects)

    def _parsed(self, data: bytes) -> tuple[pa.Table, list[int]]:
        """The sound rows, and the places (from 0) of those with another number of cells."""
        ragged: list[int] = []
        if not data:
            return pa.table({name: pa.array([], pa.string()) for name in self._columns}), ragged
        if data.startswith(_MARK):
            data = _MARK + data  # pyarrow takes one away, and this one is data
        options = csv.ReadOptions(column_names=self._columns, use_threads=False, block_size=len(data) + 1)
        try:
            rows = csv.read_csv(pa.BufferReader(data), options, self._parse_options(ragged), _as_text(self._columns))
        except pa.ArrowException as error:
            raise self._damaged(error) from error
        return rows, ragged

    def _parse_options(self, ragged: list[int]) -> csv.ParseOptions:
        def note(row: csv.InvalidRow) -> str:
            ragged.append(row.number - 1)
            return "skip"

        return csv.ParseOptions(
            delimiter=chr(self._dialect.delimiter),
            quote_char=chr(self._dialect.quote) if self._dialect.quote is not None else False,
            escape_char=chr(self._dialect.escape) if self._dialect.escape is not None else False,
            newlines_in_values=True,
            ignore_empty_lines=False,
            invalid_row_handler=note,
        )

    def _damaged(self, error: pa.ArrowException) -> ExtractRefused:
        """pyarrow's own words may hold cells, so only their kind is told."""
        found = f"{type(error).__name__} after data row {self._count:,}"
        return refusals.damaged(self._where, found, "rows of the declared dialect")


def _as_text(columns: Sequence[str]) -> csv.ConvertOptions:
    """No types, no nulls. Bytes that are no UTF-8 were sorted out before."""
    types = dict.fromkeys(columns, pa.string())
    return csv.ConvertOptions(column_types=types, strings_can_be_null=False, null_values=[], check_utf8=False)


def _joined(block: Block, sound: Mask) -> bytes:
    """The bytes of the sound rows with their line ends."""
    if sound.all():
        return block.data
    ends = np.append(block.starts[1:], len(block.data))
    edges = np.flatnonzero(np.diff(np.concatenate(([0], sound.astype(np.int8), [0]))))
    return b"".join(block.data[block.starts[a] : ends[b - 1]] for a, b in edges.reshape(-1, 2).tolist())
