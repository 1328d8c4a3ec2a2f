"""Where landed files lie: a folder, or an object store.

Belongs here: putting a file there whole, listing, and giving it as a local path. Stands below the steps, because
`extract` writes landed files and `stage` reads them. Does not: what is in a file (`extract.landing`).

In a folder a file is put by one rename; in an object store by one upload, which such stores show whole or not at all.
What is read of an object store is fetched once into `settings.landing`, a cache below the state folder, checked
against the checksum noted when it was landed, and kept until the cache outgrows CACHE_BYTES.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from sor_pipeline.engine.files import put_in_place
from sor_pipeline.errors import EngineError, Fault, SettingsError, SourceStopped
from sor_pipeline.settings import Settings

CACHE_BYTES = 10 << 30
"""Of all sources together, when extract begins; a run keeps what it reads."""
_FETCHING = ".fetching-"


class Store(Protocol):
    """The landed files of one source. `folder` is where they are written, and read from."""

    folder: Path

    def names(self) -> set[str]:
        """Names of the files that lie there; unfinished ones do not count."""
        ...

    def put(self, fresh: Path, name: str) -> None:
        """Put a file that was written in `folder` in its place, whole and lasting."""
        ...

    def local(self, name: str, checksum: str = "") -> Path | None:
        """The file as a local path; None where it is gone.

        Raises SourceStopped where what is fetched is not what was put.
        """
        ...

    def place(self, name: str) -> str:
        """Where the file lies, for messages."""
        ...


def store_of(settings: Settings, source: str) -> Store:
    """The store that SOR_LANDING names, for one source. Raises SettingsError where it cannot be used."""
    folder = settings.landing / source
    if settings.landing_url is None:
        return FolderStore(folder)
    filesystem, root = _filesystem(settings.landing_url)
    return ObjectStore(folder, filesystem, f"{root.rstrip('/')}/{source}", _shown(settings.landing_url))


class FolderStore:
    """A folder of this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def names(self) -> set[str]:
        return {path.name for path in self.folder.glob("*") if not path.name.startswith(".")}

    def put(self, fresh: Path, name: str) -> None:
        put_in_place(fresh, self.folder / name)

    def local(self, name: str, checksum: str = "") -> Path | None:  # noqa: ARG002 (read in place, page by page)
        path = self.folder / name
        return path if path.exists() else None

    def place(self, name: str) -> str:
        return str(self.folder / name)


class ObjectStore:
    """A prefix in whatever fsspec reaches; `folder` is the local cache of it."""

    def __init__(self, folder: Path, filesystem: Any, prefix: str, shown: str) -> None:
        self.folder = folder
        self._filesystem, self._prefix, self._shown = filesystem, prefix, shown

    def names(self) -> set[str]:
        with self._speaking("list"):
            self._filesystem.invalidate_cache()
            try:
                found = self._filesystem.ls(self._prefix, detail=False)
            except FileNotFoundError:
                return set()
        names = {str(path).rstrip("/").rpartition("/")[2] for path in found}
        return {name for name in names if name and not name.startswith(".")}

    def put(self, fresh: Path, name: str) -> None:
        """Uploaded, its size asked back, and only then taken into the cache."""
        target = f"{self._prefix}/{name}"
        with self._speaking("write"):
            self._filesystem.makedirs(self._prefix, exist_ok=True)
            self._filesystem.put_file(str(fresh), target)
            self._filesystem.invalidate_cache()
            there = int(self._filesystem.info(target)["size"])
        if there != fresh.stat().st_size:
            raise self._failed("write", f"{there:,} bytes of {fresh.stat().st_size:,} arrived")
        put_in_place(fresh, self.folder / name)

    def local(self, name: str, checksum: str = "") -> Path | None:
        path = self.folder / name
        if path.exists():
            os.utime(path)
            return path
        self.folder.mkdir(parents=True, exist_ok=True)
        fetched = self.folder / f"{_FETCHING}{os.getpid()}"
        try:
            with self._speaking("read"):
                self._filesystem.get_file(f"{self._prefix}/{name}", str(fetched))
            if checksum and checksum_of(fetched) != checksum:
                raise self._altered(name)
            put_in_place(fetched, path)
        except FileNotFoundError:
            return None
        finally:
            fetched.unlink(missing_ok=True)
        return path

    def place(self, name: str) -> str:
        return f"{self._shown}/{self.folder.name}/{name}"

    def _altered(self, name: str) -> SourceStopped:
        return SourceStopped(
            Fault("landing-altered", self.place(name), "a landed file is not what was landed", "another SHA-256",
                  "landed files that nobody changes", "restore it; staged records are unchanged")
        )  # fmt: skip

    @contextmanager
    def _speaking(self, verb: str) -> Iterator[None]:
        """Every store has errors of its own; their texts may hold what must not be told."""
        try:
            yield
        except FileNotFoundError:
            raise
        except Exception as error:
            raise self._failed(verb, type(error).__name__) from None

    def _failed(self, verb: str, found: str) -> EngineError:
        what, expected = f"the landing cannot be {_PAST[verb]}", "a store that answers"
        todo = "see SOR_LANDING and the store's credentials in the environment, run again; nothing half-done is kept"
        return EngineError(Fault("landing-unreachable", self._shown, what, found, expected, todo))


_PAST = {"list": "listed", "write": "written", "read": "read"}


def trim(store: Store, keep: int) -> None:
    """Let go of what the cache of an object store has not read for longest; a landing in a folder is never touched."""
    if not isinstance(store, ObjectStore):
        return
    files = [(path.stat(), path) for path in store.folder.glob("*.parquet")]
    size = sum(stat.st_size for stat, _ in files)
    for stat, path in sorted(files, key=lambda item: item[0].st_mtime_ns):
        if size <= keep:
            return
        path.unlink(missing_ok=True)
        size -= stat.st_size


def checksum_of(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@cache
def _filesystem(url: str) -> tuple[Any, str]:
    from fsspec.core import url_to_fs  # type: ignore[import-untyped]

    try:
        filesystem, root = url_to_fs(url)
    except ImportError as error:
        raise _unusable(url, str(error).splitlines()[0], "install the fsspec package of that scheme") from error
    except Exception as error:
        todo = "correct SOR_LANDING, for example `s3://bucket/prefix`, and the store's credentials in the environment"
        raise _unusable(url, type(error).__name__, todo) from None
    return filesystem, str(root)


def _unusable(url: str, found: str, todo: str) -> SettingsError:
    expected = "a folder, or a URL that fsspec opens"
    return SettingsError(
        Fault("unusable-landing", "SOR_LANDING", f"{_shown(url)} cannot be used", found, expected, todo)
    )


def _shown(url: str) -> str:
    """The URL without what may be secret in it."""
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path.partition('?')[0]}".rstrip("/")
