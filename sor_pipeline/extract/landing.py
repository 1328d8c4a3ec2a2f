"""Landed files: Parquet that is written once and never changed.

Belongs here: the files of a source and the facts inside them. Does not: the tables that list them (`registry`), where
they lie (`stores`).

A file is written under a name of its own (`.landing-…`) and put in its place whole; only then is it registered. Its
metadata holds everything that `landing.batch` says, so a kill between rename and registration loses nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from types import TracebackType

import pyarrow as pa
from pyarrow import parquet

from sor_pipeline.extract.readers import REJECTS, ROW, Chunk
from sor_pipeline.stores import Store, checksum_of

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
    types: dict[str, str] = field(default_factory=dict)
    position: str = ""
    unplaced: int = 0
    checksum: str = ""

    @classmethod
    def named(cls, source: str, as_of: datetime, delivered_as: str, content: str, written: Writing) -> Batch:
        name = f"{as_of:%Y%m%dT%H%M%S}-{content[:12]}"
        facts = cls(source, name, as_of, delivered_as, content, written.columns, written.rows, written.bad_rows)
        return replace(facts, types=written.types, position=written.position, unplaced=written.unplaced)

    def as_json(self) -> str:
        facts = {**vars(self), "as_of": self.as_of.isoformat(), "columns": list(self.columns)}
        return json.dumps(facts, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> Batch:
        facts = json.loads(text)
        return cls(**{**facts, "as_of": datetime.fromisoformat(facts["as_of"]), "columns": tuple(facts["columns"])})


def batch_file(batch: str) -> str:
    """The name of a landed file."""
    return f"{batch}.parquet"


def landed(store: Store) -> dict[str, str]:
    """Batch: name of its file, for all files that lie in the landing of a source, without those of rejected rows."""
    names = sorted(name for name in store.names() if name.endswith(".parquet") and not name.endswith(_REJECTS))
    return {name.removesuffix(".parquet"): name for name in names}


def facts_of(path: Path | None) -> Batch | None:
    """What a landed file says of itself; None where it is none of ours, damaged, or gone again."""
    if path is None:
        return None
    try:
        metadata = parquet.read_metadata(path).metadata or {}
        batch = Batch.from_json(metadata[METADATA.encode()])
    except (pa.ArrowException, OSError, KeyError, TypeError, ValueError):
        return None
    return replace(batch, checksum=checksum_of(path)) if path.name == batch_file(batch.batch) else None


def swept(folder: Path) -> None:
    """Without the remains of runs that were killed while they wrote."""
    for path in folder.glob(f"{_UNFINISHED}*"):
        path.unlink(missing_ok=True)


class Writing:
    """One batch being written. As a context manager it leaves nothing behind unless `finish` was called.

    Columns may join while chunks come (JSON): a part is begun for each wider header, and parts are put together at
    the end. `content` is a digest of what was landed, without the columns `aside`, for deliveries that have no bytes
    of their own.
    """

    def __init__(self, store: Store, *, digested: bool = False, aside: frozenset[str] = frozenset()) -> None:
        folder = store.folder
        folder.mkdir(parents=True, exist_ok=True)
        self.columns: tuple[str, ...] = ()
        self.rows = self.bad_rows = self.unplaced = 0
        self.types: dict[str, str] = {}
        self.position = ""
        self.reasons: Counter[str] = Counter()
        self._store, self._folder, self._digested, self._aside = store, folder, digested, aside
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
            if self._digested:
                self._digest_rows(table)
        if chunk.rejects.num_rows:
            self._rejects = self._rejects or parquet.ParquetWriter(self._path("rejects"), REJECTS, compression="zstd")
            self._rejects.write_table(chunk.rejects)
            self.reasons += chunk.reasons()
        self.rows += chunk.rows.num_rows
        self.bad_rows += chunk.rejects.num_rows
        self.types |= chunk.types
        self.position = chunk.position or self.position

    def _digest_rows(self, table: pa.Table) -> None:
        """Of the content alone: where each row stood in the read is none."""
        aside = [name for name in table.column_names if name == ROW or name in self._aside]
        for batch in table.drop_columns(aside).combine_chunks().to_batches():
            self._digest.update(batch.serialize())

    def finish(self, batch: Batch) -> Batch:
        """Put the batch in its place, rejected rows first, so that it is never without its own. With its checksum."""
        whole = self._whole()
        whole.add_key_value_metadata({METADATA: batch.as_json()})
        whole.close()
        if self._rejects:
            self._rejects.close()
            self._store.put(self._path("rejects"), f"{batch.batch}{_REJECTS}")
        fresh = self._parts[-1][0]
        checksum = checksum_of(fresh)
        self._store.put(fresh, batch_file(batch.batch))
        return replace(batch, checksum=checksum)

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
