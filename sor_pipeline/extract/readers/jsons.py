"""JSON lines and JSON documents: every value as the text it was delivered in.

Belongs here: JSON. Does not: dotted paths into nested values (`stage` follows them).

Strings land as their content, numbers in the digits delivered (`1.10`, `1e3`, twenty digits), true, false; null and
a missing key as null; objects and arrays as compact JSON, keys in their order. No vectorised reader keeps the digits
(DuckDB, polars and pyarrow go through doubles), so rows are parsed by the standard library, a block at a time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sor_pipeline.extract import refusals
from sor_pipeline.extract.deliveries import Delivery
from sor_pipeline.extract.readers import ROW, Chunk, Reason, checked_header, rejects_of
from sor_pipeline.extract.readers.content import Content, opened
from sor_pipeline.extract.readers.rowends import LONGEST_ROW
from sor_pipeline.ownership.source import Extract

_BLOCK = 8 << 20
_ROWS = 50_000
_NUMBER = "\0"
"""Put before the digits of a number: no other text can begin so, because rows with NUL are rejected before."""
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
_NESTED_NUMBER = re.compile(r'"\\u0000([^"]*)"')
_Record = dict[str, Any]


class _DuplicateKeyError(ValueError):
    pass


def _once(pairs: list[tuple[str, Any]]) -> _Record:
    record = dict(pairs)
    if len(record) < len(pairs):
        raise _DuplicateKeyError("a key twice in one object")
    return record


def _no_constant(text: str) -> None:
    raise ValueError(f"{text} is not JSON")


_parse = json.JSONDecoder(
    parse_float=_NUMBER.__add__, parse_int=_NUMBER.__add__, parse_constant=_no_constant, object_pairs_hook=_once
).decode


class LinesReader:
    """One object per line; blank lines are no rows."""

    fixed_header = False

    def __init__(self, block: int = _BLOCK) -> None:
        self._block = block

    def read(self, delivery: Delivery, extract: Extract) -> Iterator[Chunk]:
        seen = 0
        with opened(delivery.name, delivery.file, extract.encoding) as content:
            for lines, ends_open in self._lines(delivery.name, content):
                records = list(map(_record, lines))
                if ends_open and records and records[-1] is Reason.not_json:
                    raise refusals.truncated(delivery.name, "the last line is cut off")
                yield _chunk(delivery.name, records, seen + 1, lambda row, lines=lines: _shown(lines[row]))  # type: ignore[misc]
                seen += len(lines)

    def _lines(self, where: str, content: Content) -> Iterator[tuple[list[bytes], bool]]:
        """Lines that are not blank, some at a time; True with those whose last one has no line end."""
        rest, ended = b"", False
        while not ended:
            data = content.read(max(self._block, len(rest)))
            ended = not data
            whole, _, rest = (rest + data).rpartition(b"\n") if not ended else (rest, b"", b"")
            if len(rest) > LONGEST_ROW:
                raise refusals.row_too_long(where, 0, LONGEST_ROW)
            yield [line for line in whole.split(b"\n") if not line.isspace() and line], ended and bool(whole)


class DocumentReader:
    """One document; its records are the list at `records`, or the document itself. Held in memory whole."""

    fixed_header = False

    def read(self, delivery: Delivery, extract: Extract) -> Iterator[Chunk]:
        with opened(delivery.name, delivery.file, extract.encoding) as content:
            data = b"".join(iter(lambda: content.read(_BLOCK), b""))
        records = _at(delivery.name, _document(delivery.name, data, extract.encoding), extract.records)
        for start in range(0, len(records), _ROWS):
            part = records[start : start + _ROWS]
            kept = [item if type(item) is dict else Reason.not_an_object for item in part]
            yield _chunk(delivery.name, kept, start + 1, lambda row, part=part: _compact(part[row]))  # type: ignore[misc]


def _record(line: bytes) -> _Record | Reason:
    try:
        text = line.decode()
        if "\\u" in text and (_NUL.search(text) or not _whole(text)):
            return Reason.nul_byte if _NUL.search(text) else Reason.undecodable
        value = _parse(text)
    except UnicodeDecodeError:
        return Reason.undecodable
    except _DuplicateKeyError:
        return Reason.duplicate_key
    except (ValueError, RecursionError):
        return Reason.nul_byte if b"\0" in line else Reason.not_json
    return value if type(value) is dict else Reason.not_an_object


def _whole(text: str) -> bool:
    """Whether no escape stands for half a character (a lone surrogate), which is no text."""
    if "\\ud" not in text.lower():
        return True
    try:
        json.dumps(json.loads(text), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    except (ValueError, RecursionError):
        pass  # the caller finds what is wrong with it
    return True


def _document(where: str, data: bytes, encoding: str) -> Any:
    """Raises ExtractRefused: a document is whole or not, it has no rows to reject."""
    try:
        text = data.decode()
        if _NUL.search(text) or not _whole(text):
            raise refusals.damaged(
                where, "an escape that stands for no character", "JSON without NUL and half characters"
            )
        return _parse(text)
    except UnicodeDecodeError as error:
        raise refusals.wrong_encoding(where, f"byte {error.start:,}", encoding) from error
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}: {error.msg}"
        if error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated"):
            raise refusals.truncated(where, place) from error
        raise refusals.damaged(where, place, "one JSON document (one object per line is `format: jsonl`)") from error
    except (ValueError, RecursionError) as error:
        raise refusals.damaged(where, str(error), "one JSON document") from error


def _at(where: str, document: Any, path: str | None) -> list[Any]:
    found = document
    for step in path.split(".") if path else ():
        if type(found) is not dict or step not in found:
            raise refusals.missing_records(where, f"no `{step}`", path)
        found = found[step]
    if type(found) is not list:
        raise refusals.missing_records(where, "an object" if type(found) is dict else "a single value", path)
    return found


def _chunk(where: str, records: Sequence[_Record | Reason], first: int, raw: Callable[[int], str]) -> Chunk:
    good = [record for record in records if type(record) is dict]
    names = checked_header(where, list(dict.fromkeys(chain.from_iterable(good))))
    numbers = [first + row for row, record in enumerate(records) if type(record) is dict]
    columns = {name: _texts([record.get(name) for record in good]) for name in names}
    bad = {row: record for row, record in enumerate(records) if isinstance(record, Reason)}
    rejects = rejects_of([first + row for row in bad], [raw(row) for row in bad], list(bad.values()))
    return Chunk(pa.table({**columns, ROW: pa.array(numbers, pa.int64())}), rejects)


def _shown(line: bytes) -> str:
    return line.removesuffix(b"\r").decode("utf-8", "backslashreplace")


def _texts(values: list[Any]) -> pa.Array:
    """Strings and numbers in one go; the rest, if there is any, value by value."""
    try:
        texts = pa.array(values, pa.string())
    except (pa.ArrowTypeError, pa.ArrowInvalid):
        plain = (value if value is None or type(value) is str else _compact(value) for value in values)
        texts = pa.array(list(plain), pa.string())
    return pc.utf8_ltrim(texts, _NUMBER)


def _compact(value: Any) -> str:
    return _NESTED_NUMBER.sub(r"\1", json.dumps(value, ensure_ascii=False, separators=(",", ":")))
