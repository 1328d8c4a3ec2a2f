"""Getting to work: a state folder and its warehouse, for a run or for somebody who only looks.

Belongs here: who may be at work at the same time, and whose state it is. Does not: any work of a step, the steps'
order (`flow`).
"""

from __future__ import annotations

import getpass
import os
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa
from filelock import FileLock, Timeout

from sor_pipeline.access import grants
from sor_pipeline.engine import renewal
from sor_pipeline.engine.open import open_engine
from sor_pipeline.errors import EngineError, Fault, SettingsError
from sor_pipeline.migrate import state
from sor_pipeline.observe import belonging
from sor_pipeline.ownership.document import Ownership
from sor_pipeline.run import Run
from sor_pipeline.settings import Settings
from sor_pipeline.tables import MARTS, MARTS_BUILDING, SCHEMAS, VERSION, Tables

BRIEFLY = 5.0
"""Seconds that somebody who only looks waits for a run to let go of the warehouse."""
LOCK, HOLDER = "run.lock", "run.holder"
"""What a run holds, and who it is, for others to read."""
_PROBING = 0.3
"""Who looks holds the lock for a moment, to see whether a run does: no reason to refuse one."""


@contextmanager
def opened(
    ownership: Ownership,
    settings: Settings,
    now: datetime | None = None,
    progress: Callable[[str], None] = lambda _: None,
    wait: float = 0,
    existing: bool = False,
    notice: Callable[[str], None] | None = None,
    part: str = "",
) -> Iterator[Run]:
    """A run's hands: warehouse opened and brought to the document's shape; alone in its state folder.

    On a server also alone in the database; with a `part` (the one source that is worked on) others may work
    there on other parts.

    An older release's state is brought up first, which `notice` is told (where there is none, `progress`).
    Raises EngineError when another run holds the folder for longer than `wait` seconds, SettingsError
    where the folder must be `existing` and nothing has run in it, or its state is another document's or a
    newer release's.
    """
    if existing:
        _something_ran(ownership, settings)
    with nullcontext() if part and served(settings) else alone(settings, wait):
        tables = Tables(ownership)
        engine = open_engine(settings.warehouse_url, settings.readable)
        moment = (now or datetime.now(UTC)).replace(tzinfo=None, microsecond=0)
        with engine.held(), engine.alone(tables.lease, _who(), wait, part):
            run = Run(ownership, engine, tables, settings, moment, progress)
            with engine.settling():
                version = state.found(run)
                if version == VERSION:  # an older state has them, and keeps its shape until it is brought up
                    engine.create(belonging.tables_of(run), SCHEMAS)
                belonging.refuse_another(run)
                grants.step_aside(run)
                state.bring(run, version, notice or progress)
                engine.create(tables.metadata, SCHEMAS, lambda connection: f"publication {run.pending(connection)}")
                grants.renew(run, notice or progress)
                belonging.note(run)
            yield run


@contextmanager
def alone(settings: Settings, wait: float = 0) -> Iterator[None]:
    """Nobody else's run is in the state folder. Raises EngineError when one is for longer than `wait` seconds."""
    settings.home.mkdir(parents=True, exist_ok=True)
    lock = FileLock(settings.home / LOCK, timeout=max(wait, _PROBING))
    try:
        lock.acquire()
    except Timeout as error:
        raise _in_progress(settings) from error
    holder = settings.home / HOLDER
    try:
        holder.write_text(f"{_who()}, since {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC\n", encoding="utf-8")
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def emptied(ownership: Ownership, settings: Settings) -> None:
    """The state folder without its state, and the server's schemas gone where they are this document's.

    Raises EngineError where a run is at work there, SettingsError where the schemas hold anything else.
    """
    with alone(settings):
        if served(settings):
            _cleared(ownership, settings)
        for path in settings.home.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            elif path.name != LOCK:
                path.unlink()


def _cleared(ownership: Ownership, settings: Settings) -> None:
    engine, tables = open_engine(settings.warehouse_url), Tables(ownership)
    run = Run(ownership, engine, tables, settings, datetime.now(UTC).replace(tzinfo=None, microsecond=0))
    with engine.held():
        if not state.anything(run):
            return
        belonging.refuse_any_other(run)
        with engine.alone(tables.lease, _who(), 0):
            with engine.begin() as connection:
                renewal.withdrawn(connection, MARTS)
            engine.clear((*SCHEMAS, MARTS_BUILDING))


def served(settings: Settings) -> bool:
    """Whether a server holds the warehouse: then the state folder says little about it."""
    return sa.make_url(settings.warehouse_url).get_backend_name() != "duckdb"


def _who() -> str:
    """Who holds a server's warehouse, for others to read."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user} on {socket.gethostname()}, process {os.getpid()}"


@contextmanager
def reading(ownership: Ownership, settings: Settings, notice: Callable[[str], None] = lambda _: None) -> Iterator[Run]:
    """The same hands for looking only: takes no lock, creates nothing.

    Where a run is at work, `notice` is told so at once and the run is waited for, briefly.
    Raises SettingsError where nothing has run yet, or not with the document as it is now, or with another
    one; EngineError where a run holds the warehouse for longer.
    """
    _something_ran(ownership, settings)
    engine = open_engine(settings.warehouse_url, settings.readable, BRIEFLY)
    lock = settings.home / LOCK
    if not engine.served and lock.exists() and _held(lock):
        notice(f"a run is at work in this state folder; waiting up to {BRIEFLY:.0f} seconds for it to pause")
    run = Run(ownership, engine, Tables(ownership), settings, datetime.now(UTC).replace(tzinfo=None, microsecond=0))
    try:
        state.refuse_other(run)
        belonging.refuse_another(run)
        yield run
    except sa.exc.ProgrammingError as error:  # a table or a column is not there
        raise SettingsError(
            Fault("document-changed", str(settings.ownership), "the document names what the warehouse has not got yet",
                  "", "the document of the last run", "run `sor run` first")
        ) from error  # fmt: skip
    except EngineError as error:
        if not engine.served and lock.exists() and _held(lock):
            raise _in_progress(settings) from error
        raise


def _something_ran(ownership: Ownership, settings: Settings) -> None:
    where = str(settings.home)
    if served(settings):
        engine = open_engine(settings.warehouse_url)
        there = state.anything(Run(ownership, engine, Tables(ownership), settings, datetime.now(UTC)))
        where = f"{where} and its database"
    else:
        there = settings.home.is_dir() and any(settings.home.iterdir())
    if not there:
        raise SettingsError(
            Fault("nothing-ran", where, "there is no state here yet", "no warehouse",
                  "the state folder of a run", "run `sor run` first, or name the folder with --home or SOR_HOME")
        )  # fmt: skip


def _held(lock: Path) -> bool:
    """Whether a run holds the lock now."""
    probe = FileLock(lock, timeout=0)
    try:
        probe.acquire()
    except Timeout:
        return True
    probe.release()
    return False


def _in_progress(settings: Settings) -> EngineError:
    try:
        holder = (settings.home / HOLDER).read_text(encoding="utf-8").strip()
    except OSError:
        holder = ""
    return EngineError(
        Fault("run-in-progress", str(settings.home), "another run is at work in this state folder",
              holder or "its run.lock is held", "one run at a time", "wait until it has ended")
    )  # fmt: skip
