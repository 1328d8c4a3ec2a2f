"""Where rows of delimited text end, found without parsing it.

Belongs here: the second, independent look at the bytes. It cuts a stream into blocks at row ends, counts rows, and
points at rows that a parser would silently change (a quote in the wrong place, a NUL byte, undecodable bytes).
Does not: cells (`delimited`).

The rules: a quote opens only at the start of a cell; inside, a doubled quote stands for one; after it closes, a
delimiter or a row end must follow, else the quote is *stray*. LF, CR LF and CR end a row outside quotes. The byte
after an escape means nothing. Everything is done on whole arrays of positions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from sor_pipeline.extract import refusals
from sor_pipeline.extract.readers import Reason
from sor_pipeline.extract.readers.content import Content

BLOCK = 8 << 20
LONGEST_ROW = 256 << 20
_LF, _CR = 10, 13

Positions = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Dialect:
    """Single bytes; None where the dialect has none."""

    delimiter: int
    quote: int | None
    escape: int | None


@dataclass(frozen=True)
class Block:
    """Whole rows: row i is `data[starts[i]:stops[i]]`, without its line end; `bad` rows must not be parsed."""

    data: bytes
    starts: Positions
    stops: Positions
    bad: dict[int, Reason] = field(default_factory=dict)
    ends_open: bool = False  # the last row of the delivery has no line end

    def __len__(self) -> int:
        return len(self.starts)

    def raw(self, row: int) -> str:
        return self.data[self.starts[row] : self.stops[row]].decode("utf-8", "backslashreplace")


def blocks(where: str, content: Content, dialect: Dialect, skip: int, size: int = BLOCK) -> Iterator[Block]:
    """The content in blocks of whole rows, beginning after `skip` lines. Raises ExtractRefused."""
    rest = _skipped(content, skip, size)
    rows, ended = 0, False
    while not ended:
        data = content.read(max(size, len(rest)))
        ended = not data
        rest += data
        ends, stray, opened = _scan(rest, dialect, ended)
        if ended and opened:
            raise refusals.unterminated_quote(where, rows + len(ends))
        if ended and rest and (not len(ends) or ends[-1] < len(rest)):
            ends = np.append(ends, len(rest))
        if not len(ends) and len(rest) > LONGEST_ROW:
            raise refusals.row_too_long(where, rows, LONGEST_ROW)
        if len(ends):
            block = _block(rest[: ends[-1]], ends, stray[stray < ends[-1]])
            rows += len(block)
            rest = rest[ends[-1] :]
            yield block


def _skipped(content: Content, lines: int, size: int) -> bytes:
    rest = b""
    while lines:
        _, found, after = rest.partition(b"\n")
        if found:
            rest, lines = after, lines - 1
        elif data := content.read(size):
            rest += data
        else:
            return b""
    return rest


def _scan(data: bytes, dialect: Dialect, ended: bool) -> tuple[Positions, Positions, bool]:
    """Ends of rows (after their line ends), positions of stray quotes, and whether the data ends inside quotes."""
    view = np.frombuffer(data, np.uint8)
    neutral = _escaped(view, dialect.escape)
    ends = _at(view, _LF, neutral)
    if b"\r" in data:
        returns = _at(view, _CR, neutral)
        following = np.append(view, 0)[returns + 1]
        lone = (following != _LF) & ((returns < len(view) - 1) | ended)
        ends = np.union1d(ends, returns[lone])
    nothing = np.empty(0, np.int64)
    quotes = nothing if dialect.quote is None else _at(view, dialect.quote, neutral)
    if not len(quotes):
        return ends + 1, nothing, False
    first = np.flatnonzero(np.diff(quotes, prepend=-2) > 1)
    begin, length = quotes[first], np.diff(np.append(first, len(quotes)))
    before, inside, at_start = _states(view, begin, length, dialect, neutral)
    after = begin + length
    closes = np.where(before, length % 2 == 1, at_start & (length % 2 == 0))
    loose = ~_ends_cell(view, after, dialect) & (after < len(view))
    token = np.searchsorted(begin, ends, "right") - 1
    outside = (token < 0) | ~inside[token]
    return ends[outside] + 1, begin[closes & loose], bool(inside[-1])


def _states(
    view: npt.NDArray[np.uint8], begin: Positions, length: Positions, dialect: Dialect, neutral: Mask | None
) -> tuple[Mask, Mask, Mask]:
    """Per run of quotes: whether it lies inside quotes, whether what follows does, and whether it starts a cell.

    An odd run at the start of a cell toggles; any other odd run leaves us outside; an even run changes nothing.
    So the state is the parity of toggles since the last run of the second kind.
    """
    previous = np.maximum(begin - 1, 0)
    separates = np.isin(view[previous], (dialect.delimiter, _LF, _CR))
    if neutral is not None:
        separates &= ~neutral[previous]
    at_start = (begin == 0) | separates
    odd = length % 2 == 1
    toggles = np.cumsum(odd & at_start)
    settled = np.maximum.accumulate(np.where(odd & ~at_start, toggles, 0))
    inside = (toggles - settled) % 2 == 1
    before = np.concatenate(([False], inside[:-1]))
    return before, inside, at_start


def _ends_cell(view: npt.NDArray[np.uint8], after: Positions, dialect: Dialect) -> Mask:
    following = view[np.minimum(after, len(view) - 1)]
    return np.isin(following, (dialect.delimiter, _LF, _CR))


def _at(view: npt.NDArray[np.uint8], byte: int, neutral: Mask | None) -> Positions:
    places = np.flatnonzero(view == byte)
    return places if neutral is None else places[~neutral[places]]


def _escaped(view: npt.NDArray[np.uint8], escape: int | None) -> Mask | None:
    """Which bytes follow an escape that is not itself escaped."""
    if escape is None:
        return None
    neutral = np.zeros(len(view) + 1, np.bool_)
    places = np.flatnonzero(view == escape)
    run = np.cumsum(np.diff(places, prepend=-2) > 1)
    begin = places[np.searchsorted(run, run)]
    neutral[places[(places - begin) % 2 == 0] + 1] = True
    return neutral[:-1]


def _block(data: bytes, ends: Positions, stray: Positions) -> Block:
    starts = np.concatenate(([0], ends[:-1]))
    view = np.frombuffer(data, np.uint8)
    feed = (view[ends - 1] == _LF).astype(np.int64)
    stops = ends - feed
    stops -= (stops > starts) & (view[np.maximum(stops - 1, 0)] == _CR)
    bad = dict.fromkeys(_rows_at(ends, stray), Reason.stray_quote)
    if not _decodes(data):
        bad |= dict.fromkeys(_undecodable(data, starts, stops), Reason.undecodable)
    if b"\0" in data:
        bad |= dict.fromkeys(_rows_at(ends, np.flatnonzero(view == 0)), Reason.nul_byte)
    return Block(data, starts, stops, bad, ends_open=bool(view[-1] not in (_LF, _CR)))


def _rows_at(ends: Positions, places: Positions) -> list[int]:
    rows: list[int] = np.unique(np.searchsorted(ends, places, "right")).tolist()
    return rows


def _undecodable(data: bytes, starts: Positions, stops: Positions) -> list[int]:
    """Only rows with bytes beyond ASCII, and only of a block that is known to hold a bad one, are tried one by one."""
    beyond = np.flatnonzero(np.frombuffer(data, np.uint8) > 127)
    rows = np.unique(np.searchsorted(starts, beyond, "right") - 1).tolist()
    return [row for row in rows if not _decodes(data[starts[row] : stops[row]])]


def _decodes(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
