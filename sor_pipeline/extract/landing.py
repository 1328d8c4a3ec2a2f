"""Landed files: Parquet that is written once and never changed.

Belongs here: the files below `landing/<source>/` and the facts inside them. Does not: the tables that list them
(`registry`).

A file is written under a name of its own (`.landing-…`), made durable, and renamed; only then is it registered. Its
metadata holds everything that `landing.batch` says, so a kill between rename and registration loses nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType

import pyarrow as pa
from pyarrow import parquet

from sor_pipeline.extract.readers import REJECTS, ROW, Chunk

METADATA = "sor"
_UNFINISHED = ".landing-"
_REJECTS = ".rejects.parquet"


@dataclass(frozen=True)
class Batch:
    """A row of `landing.batch`, as read back or about to be written."""

    source: str
    batch: str
    as_of: datetime
    delivered_as: str
    content: str
    columns: tuple[str, ...]
    rows: int
    bad_rows: int

    @classmethod
    def named(cls, source: str, as_of: datetime, delivered_as: str, content: str, written: Writing) -> Batch:
        name = f"{as_of:%Y%m%dT%H%M%S}-{content[:12]}"
        return cls(source, name, as_of, delivered_as, content, written.columns, written.rows, written.bad_rows)

    def as_json(self) -> str:
        facts = {**vars(self), "as_of": self.as_of.isoformat(), "columns": list(self.columns)}
        return json.dumps(facts, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> Batch:
        facts = json.loads(text)
        return cls(**{**facts, "as_of": datetime.fromisoformat(facts["as_of"]), "columns": tuple(facts["columns"])})


def batch_file(folder: Path, batch: str) -> Path:
    return folder / f"{batch}.parquet"


def landed(folder: Path) -> Iterator[Path]:
    """Landed files of a source's folder, without those of rejected rows."""
    for path in sorted(folder.glob("*.parquet")):
        if not path.name.startswith(".") and not path.name.endswith(_REJECTS):
            yield path


def facts_of(path: Path) -> Batch | None:
    """What a landed file says of itself; None where it is none of ours or damaged."""
    try:
        metadata = parquet.read_metadata(path).metadata or {}
        batch = Batch.from_json(metadata[METADATA.encode()])
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError):
        return None
    return batch if path.name == f"{batch.batch}.parquet" else None


def swept(folder: Path) -> None:
    """Without the remains of runs that were killed while they wrote."""
    for path in folder.glob(f"{_UNFINISHED}*"):
        path.unlink(missing_ok=True)


class Writing:
    """One batch being written. As a context manager it leaves nothing behind unless `finish` was called.

    Columns may join while chunks come (JSON): a part is begun for each wider header, and parts are put together at
    the end. `content` is a digest of what was landed, for deliveries that have no bytes of their own.
    """

    def __init__(self, folder: Path, *, digested: bool = False) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.columns: tuple[str, ...] = ()
        self.rows = self.bad_rows = 0
        self.reasons: Counter[str] = Counter()
        self._folder, self._digested = folder, digested
        self._parts: list[tuple[Path, parquet.ParquetWriter]] = []
        self._rejects: parquet.ParquetWriter | None = None
        self._digest = hashlib.sha256()

    def __enter__(self) -> Writing:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for _, part in self._parts:
            part.close()
        if self._rejects:
            self._rejects.close()
        swept(self._folder)

    @property
    def content(self) -> str:
        return self._digest.hexdigest()

    def add(self, chunk: Chunk) -> None:
        joined = tuple(dict.fromkeys((*self.columns, *chunk.columns)))
        if joined != self.columns or not self._parts:
            self.columns = joined
            self._digest.update(json.dumps(joined).encode())
            self._begin()
        if chunk.rows.num_rows:
            table = self._widened(chunk.rows)
            self._parts[-1][1].write_table(table)
            for batch in table.combine_chunks().to_batches() if self._digested else ():
                self._digest.update(batch.serialize())
        if chunk.rejects.num_rows:
            self._rejects = self._rejects or parquet.ParquetWriter(self._path("rejects"), REJECTS, compression="zstd")
            self._rejects.write_table(chunk.rejects)
            self.reasons += chunk.reasons()
        self.rows += chunk.rows.num_rows
        self.bad_rows += chunk.rejects.num_rows

    def finish(self, batch: Batch) -> None:
        """Put the batch in its place: rejected rows first, so that a batch is never without its own."""
        whole = self._whole()
        whole.add_key_value_metadata({METADATA: batch.as_json()})
        whole.close()
        target = batch_file(self._folder, batch.batch)
        if self._rejects:
            self._rejects.close()
            _put(self._path("rejects"), target.with_suffix(_REJECTS))
        _put(self._parts[-1][0], target)

    def _whole(self) -> parquet.ParquetWriter:
        if len(self._parts) > 1:
            narrow = self._parts[:]
            self._begin()
            for path, part in narrow:
                part.close()
                with parquet.ParquetFile(path) as file:
                    for batch in file.iter_batches():
                        self._parts[-1][1].write_table(self._widened(pa.table(batch)))
        return self._parts[-1][1]

    def _begin(self) -> None:
        path = self._path(str(len(self._parts)))
        self._parts.append((path, parquet.ParquetWriter(path, self._schema(), compression="zstd")))

    def _schema(self) -> pa.Schema:
        return pa.schema([(ROW, pa.int64()), *((name, pa.string()) for name in self.columns)])

    def _widened(self, table: pa.Table) -> pa.Table:
        missing = [name for name in self.columns if name not in table.column_names]
        for name in missing:
            table = table.append_column(name, pa.nulls(table.num_rows, pa.string()))
        return table.select(self._schema().names).cast(self._schema())

    def _path(self, part: str) -> Path:
        return self._folder / f"{_UNFINISHED}{os.getpid()}-{part}"


def _put(path: Path, target: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
    path.replace(target)
