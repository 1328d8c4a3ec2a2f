"""The embedded engine's file: how it comes into being, and what is said when it refuses.

Belongs here: the file as a thing on a disk. Does not: what is in it (`duckdb`).
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import sqlalchemy as sa

from sor_pipeline.errors import EngineError, Fault

BUILDING = ".publishing-"
"""Folders in which a file is being made; those of killed runs are cleared away with the next export."""
_DISK = (duckdb.OperationalError, duckdb.FatalException)
"""What DuckDB raises about disk and memory; faults of data and of SQL are others."""
_NEW: dict[str, str | bool | int | float | list[str]] = {"storage_compatibility_version": "latest"}
"""Nobody else reads the private file, and the newest form of it is written a quarter faster."""


def born(path: Path) -> None:
    """An empty database at `path` if there is nothing: whole or not at all, for DuckDB refuses a half-made one."""
    if path.exists():
        return
    with speaking(path), tempfile.TemporaryDirectory(prefix=BUILDING, dir=path.parent) as folder:
        fresh = Path(folder) / path.name
        duckdb.connect(str(fresh), config=_NEW).close()
        path.with_name(path.name + ".wal").unlink(missing_ok=True)  # of a file that is gone: not this one's
        try:
            os.link(fresh, path)  # unlike a rename it never replaces what another process made meanwhile
        except OSError:
            if not path.exists():
                fresh.rename(path)


@contextmanager
def speaking(path: Path) -> Iterator[None]:
    """Raises EngineError where the database that works on `path` raises of disk or memory."""
    try:
        yield
    except sa.exc.DBAPIError as error:
        if isinstance(error.orig, _DISK):
            raise _failed(path, error.orig) from error
        raise
    except _DISK as error:
        raise _failed(path, error) from error


def _failed(path: Path, error: BaseException) -> EngineError:
    return EngineError(
        Fault("warehouse-failed", str(path), "the database cannot go on", str(error).splitlines()[0],
              "room on the disk, and files that can be read and written",
              "see to that, then run again: nothing half-done is published, nothing done is lost")
    )  # fmt: skip


def refused(path: Path, error: sa.exc.DBAPIError) -> EngineError:
    """The file cannot be opened."""
    reason = str(error.orig).splitlines()[0]
    if "not a valid DuckDB database" in reason:
        return EngineError(
            Fault("warehouse-damaged", str(path), "the warehouse file is no database any more", reason,
                  "a DuckDB file", "move the file away and restore a copy of it: ids and people's decisions are in it")
        )  # fmt: skip
    return EngineError(
        Fault("warehouse-unavailable", str(path), "the warehouse file cannot be opened", reason,
              "a DuckDB file that nobody else has open", "wait for the other process, or close it")
    )  # fmt: skip
