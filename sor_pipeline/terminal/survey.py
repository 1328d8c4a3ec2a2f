"""What lies in a folder of extracts: every file's header and first rows, grouped into streams.

Belongs here: names of files, which of them are one stream, samples of what they hold. Does not: what it means
(`ownership.scaffold`), how a file is read (`terminal.samples`).
"""

from __future__ import annotations

import glob
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from sor_pipeline.extract.deliveries import UNFINISHED
from sor_pipeline.ownership.scaffold.names import free, snake
from sor_pipeline.ownership.scaffold.nested import opened
from sor_pipeline.ownership.scaffold.sample import Stream
from sor_pipeline.ownership.scaffold.words import ENTITIES, SHORT, VENDORS, words
from sor_pipeline.terminal.samples import Sample, samples

_DAY = r"(?:19|20)\d\d(?P<s>[-_.]?)(?:0[1-9]|1[0-2])(?:(?P=s)(?:0[1-9]|[12]\d|3[01]))?"
_CLOCK = r"(?:[T_ -]?\d{2}[-_:.]?\d{2}(?:[-_:.]?\d{2})?Z?)?"
_DATED = re.compile(rf"(?<!\d){_DAY}{_CLOCK}(?!\d)")
_NUMBERED = re.compile(r"(?<=[-_. ])\d+(?=\.)|(?<=[-_. ]part)[-_]?\d+(?=\.)")
_NOT_EXTRACTS = (
    ".yaml",
    ".yml",
    ".md",
    ".py",
    ".sql",
    ".toml",
    ".lock",
    ".html",
    ".pdf",
    ".png",
    ".jpg",
    ".log",
    ".duckdb",
    ".wal",
)
_ENDS = words("csv tsv tab txt json jsonl ndjson parquet pq xlsx xlsm xlsb xls ods gz zst")
_OTHERWISE = "delimiter, encoding or place of the header differ from those of the newest file"
_FEWEST = 3
_KEPT_PARTS = 6


@dataclass(frozen=True)
class Survey:
    """The streams by name, and what could not be taken up, one line each; neither names the folder itself."""

    streams: tuple[Stream, ...]
    notes: tuple[str, ...]


def surveyed(folder: Path) -> Survey:
    """Every file below `folder` but hidden ones and manifests. Raises nothing for what is in the files."""
    notes: list[str] = []
    groups: dict[str, list[str]] = defaultdict(list)
    for name in _names(folder):
        lower = name.lower()
        if lower.endswith(UNFINISHED):
            notes.append(f"{name}: still being written, by its name")
        elif not lower.endswith(_NOT_EXTRACTS):
            groups[_DATED.sub("*", name)].append(name)
    streams: list[Stream] = []
    systems = _Systems(folder, groups)
    for pattern, names in _numbered(groups).items():
        system, stream = systems.of(pattern)
        streams.extend(_streams(folder, pattern, names, system, stream, notes))
    return Survey(tuple(_told_apart(streams)), tuple(notes))


def _names(folder: Path) -> list[str]:
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    shown = (path for path in found if not any(part.startswith(".") for part in path.parts))
    return sorted(path.as_posix() for path in shown if not path.name.endswith("manifest.json"))


def _numbered(groups: dict[str, list[str]]) -> dict[str, list[str]]:
    """Patterns of names as globs; names that differ in their last number too are parts of one stream."""
    alike: dict[str, list[str]] = defaultdict(list)
    for pattern in groups:
        alike[_NUMBERED.sub("*", pattern)].append(pattern)
    merged: dict[str, list[str]] = {}
    for wide, patterns in alike.items():
        together = len(patterns) > 1 and wide not in patterns
        chosen = {wide: patterns} if together else {pattern: [pattern] for pattern in patterns}
        for pattern, parts in chosen.items():
            merged[re.sub(r"\*(?:[-_. ]?\*)+", "*", pattern)] = sorted(name for part in parts for name in groups[part])
    return dict(sorted(merged.items()))


class _Systems:
    """Which system and stream a pattern belongs to."""

    def __init__(self, folder: Path, patterns: dict[str, list[str]]) -> None:
        self._home = snake(folder.resolve().name or "files", 24, "system")
        self._shared: dict[str, str] = {}
        by_folder: dict[str, set[str]] = defaultdict(set)
        for pattern in patterns:
            path = PurePosixPath(pattern)
            by_folder[str(path.parent)].add(_stem(path))
        for place, stems in by_folder.items():
            first = {stem.split("_")[0] for stem in stems}
            several = len(stems) >= _FEWEST and all("_" in stem for stem in stems)
            if several and len(first) == 1 and not first & set(ENTITIES):
                self._shared[place] = first.pop()

    def of(self, pattern: str) -> tuple[str, str]:
        path = PurePosixPath(pattern)
        folders = [part for part in path.parts[:-1] if part.strip("*-_. ")]
        said = _stem(path).split("_")
        if not folders and len(said) > 1 and SHORT.get(said[0], said[0]) in VENDORS:
            return SHORT.get(said[0], said[0]), snake(_without_noise("_".join(said[1:])), 34, "stream")
        system = snake(folders[0], 24, "system") if folders else self._home
        system = SHORT.get(system, system)
        if len(said) > 1 and {SHORT.get(said[0], said[0]), said[0]} & {system, self._shared.get(str(path.parent), "")}:
            said = said[1:]
        name = "_".join([*(snake(part, 20) for part in folders[1:]), *said])
        return system, snake(_without_noise(name), 34, "stream")


def _stem(path: PurePosixPath) -> str:
    parts = path.name.split(".")
    while len(parts) > 1 and parts[-1].lower() in _ENDS:
        parts.pop()
    return snake(".".join(parts).replace("*", " "), 60, "stream")


def _without_noise(name: str) -> str:
    """`contact_data` is `contact`."""
    for end in ("_data", "_export", "_exports", "_extract", "_report", "_dump"):
        if name.endswith(end) and len(name) > len(end):
            return name.removesuffix(end)
    return name


def _streams(
    folder: Path, pattern: str, names: list[str], system: str, stream: str, notes: list[str]
) -> Iterator[Stream]:
    """One stream, or one per sheet, of the files that a pattern matches."""
    files = glob.escape(pattern).replace("[*]", "*") if len(names) > 1 or "*" in pattern else glob.escape(names[0])
    taken, refused = samples(folder, names)
    if not taken:
        notes.extend(f"{one.file}: {one.why}" for one in refused)
        return
    sheets = sorted({sample.sheet for sample in taken})
    for sheet in sheets:
        chosen = [sample for sample in taken if sample.sheet == sheet]
        name = stream if len(sheets) == 1 else snake(f"{stream}_{sheet}", 34)
        settings = chosen[-1].settings
        alike = [sample for sample in chosen if sample.settings == settings]
        other = [sample.part.file for sample in chosen if sample.settings != settings]
        bad = (*((one.file, one.why) for one in refused), *((file, _OTHERWISE) for file in other))
        notes.extend(f"{file}: {why}" for file, why in bad)
        yield _stream(system, name, files, settings, alike, bad)


def _stream(
    system: str,
    name: str,
    files: str,
    settings: dict[str, str | int],
    alike: list[Sample],
    bad: tuple[tuple[str, str], ...],
) -> Stream:
    parts = [sample.part for sample in alike]
    if len(parts) > 2 * _KEPT_PARTS:
        parts = [*parts[:_KEPT_PARTS], *parts[-_KEPT_PARTS:]]
    return Stream(system, name, files, settings, opened(tuple(parts)), bad)


def _told_apart(streams: list[Stream]) -> list[Stream]:
    """Names used once; no file in two streams: the wider glob takes in a narrower one of the same columns."""
    kept: list[Stream] = []
    for stream in sorted(streams, key=lambda one: (len(one.glob), one.glob, one.name)):
        wider = next((n for n, other in enumerate(kept) if _covers(other, stream)), None)
        if wider is None:
            name = free(stream.stream, {other.stream for other in kept if other.system == stream.system}, 34)
            kept.append(replace(stream, stream=name))
        elif {c.name for c in kept[wider].columns} & {c.name for c in stream.columns}:
            parts = tuple(sorted((*kept[wider].parts, *stream.parts), key=lambda part: part.file))
            also = f"takes in {stream.glob}, which the glob matches too"
            kept[wider] = replace(kept[wider], parts=parts, remarks=(*kept[wider].remarks, also))
        else:
            kept[wider] = replace(kept[wider], glob=kept[wider].glob.replace("*", "[0-9]*", 1))
            kept.append(stream)
    return sorted(kept, key=lambda stream: stream.name)


def _covers(wide: Stream, narrow: Stream) -> bool:
    """Whether a glob matches the other's files; sheets of one workbook share theirs."""
    if wide.glob == narrow.glob or "*" not in wide.glob:
        return False
    return any(fnmatchcase(part.file, wide.glob) for part in narrow.parts)
