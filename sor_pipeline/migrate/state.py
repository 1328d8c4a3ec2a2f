"""The version of a state: read, refused, brought up.

Belongs here: when migrations run, and what is said about it. Does not: the migrations (`numbered`).
"""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa

from sor_pipeline import __version__
from sor_pipeline.errors import Fault, SettingsError
from sor_pipeline.migrate.frozen import present_tables
from sor_pipeline.migrate.numbered import MIGRATIONS, Migration
from sor_pipeline.run import Run
from sor_pipeline.tables import SCHEMAS, VERSION, Tables

FIRST = 1
"""The version of a state that has none: what was made before states had versions."""


def version_of(connection: sa.Connection, tables: Tables) -> int | None:
    """The state's version; None where there is no state yet."""
    table, lease = tables.version, tables.lease  # the lease is taken before anything is known of the state
    there = {name for name in present_tables(connection) if name[0] in SCHEMAS} - {(lease.schema, lease.name)}
    if (table.schema, table.name) not in there:
        return FIRST if there else None
    newest = connection.execute(sa.select(sa.func.max(table.c.version))).scalar_one()
    return int(newest or FIRST)


def anything(run: Run) -> bool:
    """Whether there is a state, or anything else where a state would be."""
    with run.engine.begin() as connection:
        return version_of(connection, run.tables) is not None


def found(run: Run) -> int:
    """The version of the state before anything is done to it; a new state is noted as one of this release.

    Raises SettingsError (`state-too-new`), and nothing is touched.
    """
    with run.engine.begin() as connection:
        version = version_of(connection, run.tables)
        if version is None:
            _note(run, connection, VERSION)
    if version is not None and version > VERSION:
        raise _too_new(run, version)
    return VERSION if version is None else version


def bring(
    run: Run, version: int, notice: Callable[[str], None], migrations: tuple[Migration, ...] = MIGRATIONS
) -> None:
    """Bring a state of `version` to this release's in one transaction, after saying so through `notice`."""
    due = [migration for migration in migrations if migration.number > version]
    if not due:
        return
    to = due[-1].number
    words = "; ".join(migration.words for migration in due)
    notice(f"this state was made by an older release: bringing it from version {version} to {to} ({words})")
    with run.engine.begin() as connection:
        for migration in due:
            migration.work(connection)
            _note(run, connection, migration.number)
    notice(f"the state is of version {to} now")


def refuse_other(run: Run) -> None:
    """For looking only. Raises SettingsError for a state of a newer release, or of an older one (`state-older`)."""
    with run.engine.begin() as connection:
        version = version_of(connection, run.tables)
    if version is None or version == VERSION:
        return
    if version > VERSION:
        raise _too_new(run, version)
    raise SettingsError(
        Fault("state-older", _where(run), "an older release made this state", f"version {version}",
              f"version {VERSION}", "run `sor run` first: it brings the state up; make a backup before")
    )  # fmt: skip


def _too_new(run: Run, version: int) -> SettingsError:
    return SettingsError(
        Fault("state-too-new", _where(run), "a newer release made this state", f"version {version}",
              f"at most version {VERSION}, the one of release {__version__}",
              "use that release or a later one, or restore the backup from before it")
    )  # fmt: skip


def _where(run: Run) -> str:
    return str(run.settings.home)


def _note(run: Run, connection: sa.Connection, version: int) -> None:
    """Write down a version; makes the table where a state has none yet."""
    table = run.tables.version
    connection.execute(sa.schema.CreateSchema(str(table.schema), if_not_exists=True))
    connection.execute(sa.schema.CreateTable(table, if_not_exists=True))
    connection.execute(sa.insert(table).values(version=version, at=run.now, release=__version__))
