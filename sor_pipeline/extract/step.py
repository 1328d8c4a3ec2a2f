"""The step: every delivery of one source is landed, recognised or refused.

Reads, writes, raises: see the package. Belongs here: the order of things. Does not: how a file is read or kept.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

import pyarrow as pa

from sor_pipeline.errors import ExtractRefused, Fault, SettingsError
from sor_pipeline.extract import refusals
from sor_pipeline.extract.deliveries import Delivery, found
from sor_pipeline.extract.landing import Batch, Writing, batch_file, facts_of, landed, swept
from sor_pipeline.extract.readers import ROW, Chunk, format_of, reader_of, rejects_of
from sor_pipeline.extract.registry import Registry
from sor_pipeline.ownership.source import Mode, Source
from sor_pipeline.run import Outcome, Run

_REPORT_ROWS = 500_000


def run(run: Run, source: str) -> Outcome:
    """Land what was delivered for `source`.

    Counts: `delivered` = `landed` + `repeated` (unchanged ones too) + `refused`; `rows` and `bad_rows` of what was
    landed now. Faults: one per refusal; warnings for mapped columns that a delivery lacks.
    """
    return _Landing(run, source).outcome()


class _Landing:
    """One source in one run."""

    def __init__(self, run: Run, source: str) -> None:
        self._run, self._source = run, source
        self._spec = run.ownership.sources[source]
        self._folder = run.settings.landing / source
        self._registry = Registry(run, source)
        self._counts = Counter(dict.fromkeys(("delivered", "landed", "repeated", "refused", "rows", "bad_rows"), 0))
        self._faults: list[Fault] = []
        self._lacking: dict[tuple[str, ...], Fault] = {}

    def outcome(self) -> Outcome:
        self._recover()
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
        return Outcome(dict(self._counts), (*self._faults, *self._lacking.values()))

    def _recover(self) -> None:
        """Bring the registry in line with the landed files, which alone are never rebuilt."""
        swept(self._folder)
        present = {path.stem: path for path in landed(self._folder)}
        for name, path in present.items():
            if name not in self._registry.batches:
                self._adopt(facts_of(path), path.name)
        for name in self._registry.batches.keys() - present.keys():
            self._registry.forget(name)
            self._faults.append(
                Fault(
                    "landing-missing",
                    f"{self._source}/{name}",
                    "a landed file is gone",
                    "no file",
                    str(batch_file(self._folder, name)),
                    "restore it, or deliver its extract again: it will be landed anew",
                )
            )

    def _adopt(self, batch: Batch | None, name: str) -> None:
        if batch is not None and batch.source == self._source:
            self._registry.register(batch)
        else:
            self._faults.append(
                Fault(
                    "foreign-file",
                    f"{self._source}/{name}",
                    "a file in landing that was not landed by this source",
                    expected="only what extract wrote",
                    todo="move it away",
                    warning=True,
                )
            )

    def _take(self, delivery: Delivery) -> None:
        if self._registry.knows(delivery):
            self._counts["repeated"] += 1
            return
        content: str | None = None
        try:
            if delivery.path is not None:
                if not delivery.size and not self._quiet(delivery):
                    raise refusals.empty(delivery.name)
                content = _digest(delivery)
            self._land(delivery, content)
        except (ExtractRefused, SettingsError) as refusal:
            self._refuse(delivery.name, delivery, content, refusal.faults)

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
            with Writing(self._folder, digested=delivery.path is None) as writing:
                self._read(delivery, writing)
                content = content or writing.content
                same = self._registry.repeated(delivery, content) if delivery.path is None else None
                if same is None:
                    self._keep(delivery, content, writing)
                    return
        self._counts["repeated"] += 1
        self._registry.delivered(delivery, str(content), same.batch)

    def _keep(self, delivery: Delivery, content: str, writing: Writing) -> None:
        self._check(delivery, content, writing)
        batch = Batch.named(self._source, delivery.as_of, delivery.name, content, writing)
        writing.finish(batch)
        self._registry.register(batch)
        self._registry.delivered(delivery, content, batch.batch)
        self._counts.update(landed=1, rows=batch.rows, bad_rows=batch.bad_rows)
        self._warn_of_lacking(delivery, batch.columns)

    def _read(self, delivery: Delivery, writing: Writing) -> None:
        reader = reader_of(delivery, self._spec.extract)
        reported = 0
        for chunk in _readable(delivery, reader.read(delivery, self._spec.extract)):
            if reader.fixed_header and not writing.columns:
                _require_key(delivery, self._spec, chunk.columns)
            writing.add(chunk)
            if writing.rows - reported >= _REPORT_ROWS:
                reported = writing.rows
                self._run.progress(f"extract {self._source}: {delivery.name}, {reported:,} rows")
        if not (writing.rows or writing.bad_rows or writing.columns):
            writing.add(_nothing(self._spec.key))
        _require_key(delivery, self._spec, writing.columns)

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

    def _warn_of_lacking(self, delivery: Delivery, columns: tuple[str, ...]) -> None:
        """One warning per set of lacking columns, naming the newest delivery."""
        lacking = tuple(dict.fromkeys(name for name in _mapped(self._spec) if not _has(columns, name)))
        if lacking:
            self._lacking[lacking] = Fault(
                "mapped-column-missing",
                f"{self._source}: {delivery.name}",
                "columns that the document maps are not delivered",
                ", ".join(lacking),
                "every mapped column",
                "correct the mapping or the delivery; until then they count as not observed",
                warning=True,
            )


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
    missing = [name for name in spec.key if not _has(columns, name)]
    if missing:
        raise refusals.missing_key(delivery.name, missing, columns)


def _has(columns: tuple[str, ...], name: str) -> bool:
    """A dotted name may lead into a column of JSON."""
    steps = name.split(".")
    return any(".".join(steps[:end]) in columns for end in range(1, len(steps) + 1))


def _mapped(spec: Source) -> list[str]:
    named = [column for mapping in spec.fields.values() for column in mapping.columns]
    return [*named, *([spec.changed_at] if spec.changed_at else []), *spec.only, *spec.extract.deleted]
