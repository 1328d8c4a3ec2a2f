"""The step: every delivery of one source is landed, recognised or refused.

Reads, writes, raises: see the package. Belongs here: the order of things. Does not: how a file is read or kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pyarrow as pa

from sor_pipeline.errors import ExtractRefused, Fault, SchemaDrifted, SettingsError
from sor_pipeline.extract import advice, refusals
from sor_pipeline.extract.deliveries import Delivery, found
from sor_pipeline.extract.drift import difference, judged, subject
from sor_pipeline.extract.landing import Batch, Writing, batch_file
from sor_pipeline.extract.overlap import aside_of, overlap_of
from sor_pipeline.extract.readers import ROW, Chunk, Reader, format_of, has_column, reader_of, rejects_of
from sor_pipeline.extract.recovering import recovered
from sor_pipeline.extract.registry import Registry
from sor_pipeline.ownership.source import Mode, Source
from sor_pipeline.run import Outcome, Run
from sor_pipeline.stores import CACHE_BYTES, store_of, trim

_REPORT_ROWS = 500_000


def run(run: Run, source: str) -> Outcome:
    """Land what was delivered for `source`.

    Counts: `delivered` = `landed` + `repeated` (unchanged ones too) + `refused`; `rows` and `bad_rows` of what was
    landed now, `seen_before` of what a cursor read again. Faults: one per refusal; warnings (`advice`, `drift`).
    Raises SchemaDrifted where a delivery's shape changed and the document says `stop`.
    """
    return _Landing(run, source).outcome()


class _Landing:
    """One source in one run."""

    def __init__(self, run: Run, source: str) -> None:
        self._run, self._source = run, source
        self._spec = run.ownership.sources[source]
        self._store = store_of(run.settings, source)
        self._registry = Registry(run, source)
        self._counts = Counter(dict.fromkeys(("delivered", "landed", "repeated", "refused", "rows", "bad_rows"), 0))
        self._faults: list[Fault] = []
        self._told: dict[tuple[str, str], Fault] = {}

    def outcome(self) -> Outcome:
        trim(self._store, CACHE_BYTES // max(1, len(self._run.ownership.sources)))
        self._faults += recovered(self._store, self._registry, self._source)
        deliveries, faulty = found(self._run.settings.extracts, self._spec.extract, self._run.now)
        self._counts["delivered"] = len(deliveries) + len(faulty)
        self._registry.see({*(delivery.name for delivery in deliveries), *(fault.where for fault in faulty)})
        for fault in faulty:
            self._refuse(fault.where, None, None, [fault])
        for delivery in deliveries:
            self._take(delivery)
        if not self._counts["delivered"] and not self._registry.batches:
            self._faults.append(
                Fault(
                    "no-delivery",
                    self._source,
                    "no file matches",
                    ", ".join(self._spec.extract.files),
                    "a first extract",
                    "deliver one, or correct `files` or SOR_EXTRACTS",
                    warning=True,
                )
            )
        return Outcome(dict(self._counts), (*self._faults, *self._told.values()))

    def _take(self, delivery: Delivery) -> None:
        if self._registry.knows(delivery):
            self._counts["repeated"] += 1
            return
        content: str | None = None
        try:
            if delivery.path is None:
                delivery = self._of_database(delivery)
            else:
                if not delivery.size and not self._quiet(delivery):
                    raise refusals.empty(delivery.name)
                content = _digest(delivery)
            self._land(delivery, content)
        except (ExtractRefused, SettingsError, SchemaDrifted) as refusal:
            self._refuse(delivery.name, delivery, content, refusal.faults)
            if isinstance(refusal, SchemaDrifted):
                raise

    def _of_database(self, delivery: Delivery) -> Delivery:
        """What is read now is newer than all that was read before, whatever the clocks say."""
        newest = max((batch.as_of for batch in self._registry.batches.values()), default=None)
        as_of = delivery.as_of if newest is None else max(delivery.as_of, newest + timedelta(seconds=1))
        since = self._registry.since() if self._spec.extract.cursor else ""
        return replace(delivery, as_of=as_of, since=since, order=self._spec.key)

    def _quiet(self, delivery: Delivery) -> bool:
        """A day without changes is a file of no JSON lines; a snapshot of nothing must say so in a header."""
        extract = self._spec.extract
        return extract.mode is not Mode.snapshot and format_of(delivery, extract) == "jsonl"

    def _refuse(self, name: str, delivery: Delivery | None, content: str | None, faults: Iterable[Fault]) -> None:
        self._counts["refused"] += 1
        for fault in faults:
            self._registry.refuse(name, delivery, content, fault)
            self._faults.append(fault)

    def _land(self, delivery: Delivery, content: str | None) -> None:
        same = self._registry.repeated(delivery, content) if content else None
        if same is None:
            with Writing(self._store, digested=delivery.path is None, aside=aside_of(self._spec)) as writing:
                self._read(delivery, writing)
                content = content or writing.content
                same = self._same(delivery, content, writing)
                if same is None:
                    self._keep(delivery, content, writing)
                    return
        self._counts["repeated"] += 1
        self._registry.delivered(delivery, str(content), same.batch)

    def _same(self, delivery: Delivery, content: str, writing: Writing) -> Batch | None:
        """The batch that says already all that a database says."""
        if delivery.path is not None:
            return None
        if not self._spec.extract.cursor:
            return self._registry.repeated(delivery, content)
        newest = self._registry.ordered()[-1:]
        nothing = not (writing.rows or writing.bad_rows) and writing.position == delivery.since
        return newest[0] if newest and nothing else None

    def _keep(self, delivery: Delivery, content: str, writing: Writing) -> None:
        self._check(delivery, content, writing)
        batch = writing.finish(Batch.named(self._source, delivery.as_of, delivery.name, content, writing))
        self._registry.register(batch)
        self._registry.delivered(delivery, content, batch.batch)
        self._counts.update(landed=1, rows=batch.rows, bad_rows=batch.bad_rows)
        self._tell(advice.lacking(self._source, self._spec, delivery.name, batch.columns))
        self._tell(advice.unread_deletion(self._source, self._spec, batch.columns))
        self._tell(advice.loading_as_change(self._source, self._spec))

    def _read(self, delivery: Delivery, writing: Writing) -> None:
        reader = reader_of(delivery, self._spec.extract)
        overlap = overlap_of(self._spec, delivery, self._registry.ordered(), self._file)
        reported = read = unplaced = 0
        for chunk in _readable(delivery, reader.read(delivery, self._spec.extract)):
            if reader.fixed_header and not writing.columns:
                _require_key(delivery, self._spec, chunk.columns)
                self._judge(delivery, chunk.columns, chunk.types, reader)
            news = overlap.news(chunk) if overlap else chunk
            writing.add(news)
            writing.unplaced += overlap.unplaced(news) if overlap else 0
            unplaced += overlap.unplaced(chunk) if overlap else 0
            read += chunk.rows.num_rows
            if read - reported >= _REPORT_ROWS:
                reported = read
                self._run.progress(f"extract {self._source}: {delivery.name}, {reported:,} rows")
        if not (writing.rows or writing.bad_rows or writing.columns):
            writing.add(_nothing(self._spec.key))
        _require_key(delivery, self._spec, writing.columns)
        if not reader.fixed_header:
            self._judge(delivery, writing.columns, writing.types, reader)
        if overlap:
            self._counts["seen_before"] += read - writing.rows
            self._tell(advice.unplaced(self._source, self._spec, unplaced))

    def _judge(self, delivery: Delivery, columns: tuple[str, ...], types: Mapping[str, str], reader: Reader) -> None:
        """Whether a delivery of another shape is taken. Raises ExtractRefused, SchemaDrifted."""
        batches, spec = self._registry.batches.values(), self._spec.extract
        other = difference(batches, delivery.as_of, columns, types, header=reader.fixed_header)
        if other:
            accepted = self._registry.accepted(subject(self._source, other))
            self._tell(judged(self._source, delivery.name, other, spec.drift, accepted=accepted))

    def _file(self, batch: Batch) -> Path:
        path = self._store.local(batch_file(batch.batch), batch.checksum)
        if path is None:
            raise refusals.gone(self._source, self._store.place(batch_file(batch.batch)))
        return path

    def _check(self, delivery: Delivery, content: str, writing: Writing) -> None:
        """Whether what was read may be kept. Raises ExtractRefused."""
        rows, promise, limit = writing.rows + writing.bad_rows, delivery.promise, self._spec.extract.limits.bad_rows
        if not delivery.unchanged():
            raise refusals.still_growing(delivery.name)
        promised = (
            ("rows", rows, promise.rows),
            ("bytes", delivery.size, promise.bytes),
            ("content", content, promise.sha256),
        )
        for what, seen, expected in promised:
            if expected is not None and seen != expected:
                raise refusals.broken_promise(delivery.name, what, seen, expected)
        if writing.bad_rows > limit * rows:
            reasons = ", ".join(f"{count:,} {reason}" for reason, count in sorted(writing.reasons.items()))
            raise refusals.too_many_bad_rows(delivery.name, writing.bad_rows, rows, limit, reasons)

    def _tell(self, fault: Fault | None) -> None:
        """One warning of a kind and finding, naming the newest delivery."""
        if fault is not None:
            self._told[fault.code, fault.found] = fault


def _digest(delivery: Delivery) -> str:
    try:
        return delivery.digest()
    except OSError as error:
        raise refusals.unreadable(delivery.name, type(error).__name__) from error


def _readable(delivery: Delivery, chunks: Iterator[Chunk]) -> Iterator[Chunk]:
    """The chunks; a disk that cannot be read is the delivery's fault, one that cannot be written (outside) is not."""
    try:
        yield from chunks
    except OSError as error:
        raise refusals.unreadable(delivery.name, type(error).__name__) from error


def _nothing(key: tuple[str, ...]) -> Chunk:
    """An empty list of records has no header: the key columns stand for it."""
    rows = pa.table({**{name: pa.array([], pa.string()) for name in key}, ROW: pa.array([], pa.int64())})
    return Chunk(rows, rejects_of([], [], []))


def _require_key(delivery: Delivery, spec: Source, columns: tuple[str, ...]) -> None:
    missing = [name for name in spec.key if not has_column(columns, name)]
    if missing:
        raise refusals.missing_key(delivery.name, missing, columns)
