"""The delimiter and encoding of a text, guessed for a draft, where they are then written down for good.

Belongs here: this one guess; nowhere else does the package look at bytes to find out what they might mean.
Does not: reading rows (`extract.readers`).
"""

from __future__ import annotations

import codecs
import csv
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from sor_pipeline.extract.readers.content import opened

DELIMITERS = (",", ";", "\t", "|")
_LOOKED_AT = 1 << 18
_LINES = 200
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True)
class Dialect:
    """`delimiter` is '' where no line has any; `ascii`: the encoding may be any that contains ASCII."""

    delimiter: str
    encoding: str
    ascii: bool
    columns: int


def sniffed(name: str, path: Path) -> Dialect | None:
    """The likeliest dialect of a file; None where its bytes are no text. Raises ExtractRefused, OSError."""
    data = _first_bytes(name, path)
    encoding = _encoding(data)
    if encoding is None:
        return None
    text = data.decode(encoding, "ignore").lstrip("\ufeff")
    lines = text.splitlines(keepends=True)
    whole = "".join(lines[:_LINES] if len(data) < _LOOKED_AT else lines[:-1][:_LINES])
    scored = [(*_score(whole, sign), -place, sign) for place, sign in enumerate(DELIMITERS)]
    share, width, _, sign = max(scored)
    found = sign if share > 0 and width > 1 else ""
    return Dialect(found, encoding, data.isascii(), width if found else 1)


def _first_bytes(name: str, path: Path) -> bytes:
    """Decompressed, as they are: every byte is a character of Latin-1."""
    with opened(name, path, "latin-1") as content:
        data = b""
        while len(data) < _LOOKED_AT and (more := content.read(_LOOKED_AT)):
            data += more
    return data.decode().encode("latin-1")[:_LOOKED_AT]


def _encoding(data: bytes) -> str | None:
    if data.startswith(_UTF16):
        return "utf-16"
    if b"\0" in data:
        return None
    try:
        codecs.getincrementaldecoder("utf-8")().decode(data, final=len(data) < _LOOKED_AT)
    except UnicodeDecodeError:
        control = sum(byte < 32 and byte not in (9, 10, 13) for byte in data)
        return None if control * 50 > len(data) else "latin-1"
    return "utf-8"


def _score(text: str, delimiter: str) -> tuple[float, int]:
    """Share of the rows that have the commonest number of cells, and that number; (0, 1) where it is one cell."""
    try:
        widths = Counter(len(row) for row in csv.reader(text.splitlines(keepends=True), delimiter=delimiter) if row)
    except csv.Error:
        return 0.0, 1
    width, rows = max(widths.items(), key=lambda item: (item[1], item[0]), default=(1, 0))
    return (round(rows / widths.total(), 2), width) if width > 1 else (0.0, 1)
