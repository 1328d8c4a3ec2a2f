"""A delivered file as UTF-8 bytes: decompressed, decoded, without byte order mark.

Belongs here: compression and encodings. Does not: rows and columns.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa

from sor_pipeline.extract import refusals

_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_STEP = 1 << 20


def _marked(error: UnicodeError) -> tuple[str, int]:
    """A lone surrogate for what cannot be decoded: invalid as UTF-8, so that its row is found and rejected."""
    assert isinstance(error, UnicodeDecodeError)
    return "\udcff", error.end


codecs.register_error("sor_pipeline.marked", _marked)


class Content:
    """`read(size)` gives about that many bytes of UTF-8; b'' at the end.

    Bytes of a declared UTF-8 file pass unchanged, valid or not. In other encodings what cannot be decoded becomes
    invalid UTF-8. Raises ExtractRefused: truncated, damaged, wrong-encoding.
    """

    def __init__(self, where: str, raw: pa.NativeFile, encoding: str, compression: str | None) -> None:
        self._where, self._raw, self._compression = where, raw, compression
        self._start = True
        try:
            self._encoding = codecs.lookup(encoding).name
            utf8 = self._encoding in ("utf-8", "utf-8-sig", "ascii")
            self._decoder = None if utf8 else codecs.getincrementaldecoder(encoding)("sor_pipeline.marked")
        except LookupError as error:
            raise refusals.wrong_encoding(where, "no such encoding", encoding) from error

    def read(self, size: int) -> bytes:
        while True:
            data = self._bytes(size)
            text = self._decoded(data)
            if self._start and text:
                self._start = False
                text = self._unmarked(text)
            if text or not data:
                return text

    def _bytes(self, size: int) -> bytes:
        try:
            return bytes(self._raw.read(size))
        except OSError as error:
            if self._compression is None:
                raise
            if "truncated" in str(error).lower():
                raise refusals.truncated(self._where, f"the {self._compression} stream ends early") from error
            raise refusals.damaged(self._where, str(error), f"a whole {self._compression} stream") from error

    def _decoded(self, data: bytes) -> bytes:
        if self._decoder is None:
            return data
        try:
            return self._decoder.decode(data, final=not data).encode("utf-8", "surrogatepass")
        except UnicodeError as error:
            raise refusals.wrong_encoding(self._where, str(error), self._encoding) from error

    def _unmarked(self, text: bytes) -> bytes:
        if self._decoder is None and text.startswith(_UTF16_MARKS):
            raise refusals.wrong_encoding(self._where, "the mark of UTF-16", self._encoding)
        return text.removeprefix(codecs.BOM_UTF8)


@contextmanager
def opened(where: str, path: Path, encoding: str) -> Iterator[Content]:
    """The content of a file; gzip and zstd are known by their first bytes, whatever the name says."""
    with path.open("rb") as file:
        first = file.read(4)
    compression = next((kind for magic, kind in _MAGIC.items() if first.startswith(magic)), None)
    with pa.input_stream(str(path), compression=compression, buffer_size=_STEP) as raw:
        yield Content(where, raw, encoding, compression)
