"""What lies there to be landed: names, logical times, manifests.

Belongs here: globs, the time in a name, what a manifest promises. Does not: opening the content (`readers`),
what was landed before (`registry`).
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sor_pipeline.errors import ExtractRefused, Fault
from sor_pipeline.extract import refusals
from sor_pipeline.ownership.source import Extract

UNFINISHED = (
    ".part",
    ".partial",
    ".tmp",
    ".temp",
    ".crdownload",
    ".download",
    ".filepart",
    ".inprogress",
    ".uploading",
)
_MANIFEST = "manifest.json"
_DATE = r"(?P<y>(?:19|20)\d\d)(?P<s>[-_.]?)(?P<m>0[1-9]|1[0-2])(?P=s)(?P<d>0[1-9]|[12]\d|3[01])"
_SECONDS = r"[T_ -](?P<H>[01]\d|2[0-3])(?P<c>[-_:.]?)(?P<M>[0-5]\d)(?P=c)(?P<S>[0-5]\d)"
_MINUTES = r"T(?P<h>[01]\d|2[0-3])[-_:.]?(?P<n>[0-5]\d)"
_DATED = re.compile(rf"(?<!\d){_DATE}(?:(?:{_SECONDS}|{_MINUTES})Z?)?(?!\d)")


@dataclass(frozen=True)
class Promise:
    """What a manifest says of a file; None where it says nothing."""

    rows: int | None = None
    bytes: int | None = None
    sha256: str | None = None


@dataclass(frozen=True)
class Delivery:
    """One thing to land. `path` is None for a database; `dated`: `as_of` is the sender's word, not a file's age.

    For a database: `since`, the place up to which a cursor had read (`positions`; '' for the beginning), and
    `order`, the columns that its rows are sorted by.
    """

    name: str
    as_of: datetime
    path: Path | None = None
    dated: bool = False
    size: int | None = None
    modified_ns: int | None = None
    promise: Promise = Promise()
    since: str = ""
    order: tuple[str, ...] = ()

    @property
    def file(self) -> Path:
        assert self.path is not None, "a database has no file"
        return self.path

    def unchanged(self) -> bool:
        """Whether the file is still as it was when it was found."""
        if self.path is None:
            return True
        try:
            stat = self.path.stat()
        except FileNotFoundError:
            return False
        return (stat.st_size, stat.st_mtime_ns) == (self.size, self.modified_ns)

    def digest(self) -> str:
        """SHA-256 of the delivered bytes."""
        with self.file.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def found(folder: Path, extract: Extract, now: datetime) -> tuple[list[Delivery], list[Fault]]:
    """All deliveries of a source in the order of their logical time, and those refused for their name or manifest."""
    if not extract.files:
        return [Delivery(f"table:{extract.table}" if extract.table else "query", now.replace(microsecond=0))], []
    deliveries: list[Delivery] = []
    faulty: list[Fault] = []
    inside = [glob for glob in extract.files if not _leaves(glob)]
    faulty.extend(fault for glob in extract.files if _leaves(glob) for fault in refusals.outside(glob).faults)
    for path in sorted(set(_matches(folder, inside))):
        try:
            deliveries.append(_delivery(folder, path, extract))
        except ExtractRefused as refusal:
            faulty.extend(refusal.faults)
        except OSError as error:
            faulty.extend(refusals.unreadable(path.relative_to(folder).as_posix(), type(error).__name__).faults)
    return sorted(deliveries, key=lambda delivery: (delivery.as_of, delivery.name)), faulty


def time_in(name: str) -> datetime | None:
    """The last date in a relative name (`crm/2024-01-05/contacts.csv`, `x-20240105T063000Z.csv.gz`), read as UTC.

    A time counts if it has seconds, or follows a `T`: `-0001` after a date is a part number.
    """
    for match in reversed(list(_DATED.finditer(name))):
        part = match.groupdict()
        hour, minute = part["H"] or part["h"] or 0, part["M"] or part["n"] or 0
        try:
            return datetime(int(part["y"]), int(part["m"]), int(part["d"]), int(hour), int(minute), int(part["S"] or 0))
        except ValueError:
            continue
    return None


def _leaves(glob: str) -> bool:
    return Path(glob).is_absolute() or ".." in Path(glob).parts


def _matches(folder: Path, globs: list[str]) -> Iterator[Path]:
    """Files below the folder; hidden ones and manifests are not deliveries."""
    for glob in globs:
        for path in folder.glob(glob):
            hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
            if path.is_file() and not hidden and not path.name.endswith(_MANIFEST):
                yield path


def _delivery(folder: Path, path: Path, extract: Extract) -> Delivery:
    name = path.relative_to(folder).as_posix()
    if path.name.lower().endswith(UNFINISHED):
        raise refusals.unfinished(name)
    stat = path.stat()
    promise = Promise()
    said: datetime | None = None
    if extract.as_of == "manifest":
        said, promise = _promised(path, name)
    elif extract.as_of == "name":
        said = time_in(name)
    modified = datetime.fromtimestamp(stat.st_mtime_ns // 1_000_000_000, UTC).replace(tzinfo=None)
    return Delivery(name, said or modified, path, said is not None, stat.st_size, stat.st_mtime_ns, promise)


def _promised(path: Path, name: str) -> tuple[datetime, Promise]:
    """From `<file>.manifest.json` (`as_of`, `rows`, `bytes`, `sha256`), else the same per file under `files` of
    `manifest.json` in the folder, where `as_of` may also stand for all."""
    own = path.with_name(f"{path.name}.{_MANIFEST}")
    manifest = own if own.is_file() else path.with_name(_MANIFEST)
    try:
        words = json.loads(manifest.read_text("utf-8"))
        words = {**words, **words.get("files", {}).get(path.name, {})} if manifest != own else words
        said = datetime.fromisoformat(words["as_of"])
        rows, size, digest = words.get("rows"), words.get("bytes"), words.get("sha256")
        promise = Promise(_count(rows), _count(size), digest and str(digest).lower())
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise refusals.bad_manifest(name, f"{manifest.name}: {type(error).__name__}") from error
    utc = said.astimezone(UTC).replace(tzinfo=None) if said.tzinfo else said
    return utc.replace(microsecond=0), promise


def _count(said: object) -> int | None:
    return None if said is None else int(str(said))
