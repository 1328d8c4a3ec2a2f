"""One run at a time in a database, and no word of a run that lost its place.

Belongs here: the advisory lock, who holds it, and the fence. Does not: what a run does.

The lock is its session's: the server gives it away as soon as that connection is gone, even where the run lives on. So
each holder draws a token, and every transaction of a run first looks whether its token is still the newest, and keeps
the next holder from drawing one until it has ended. Whoever lost the lock can then write nothing more.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TypeAlias

import sqlalchemy as sa

from sor_pipeline.errors import EngineError, Fault

_ROOM = 5_459_794
"""The first of the two numbers of every lock: one that nobody else in the database is likely to use."""
_SETTLING = _ROOM + 1
_DRAWING = _ROOM + 2
_WHOLE = 0
_LEASE = "warehouse"
Tokens: TypeAlias = dict[str, int]
"""By lease the token that must be the newest: of the whole, and of the part that is worked on."""
_PAUSE = 0.2
_LOST = (EngineError, sa.exc.DBAPIError, sa.exc.PendingRollbackError)
"""How a session speaks that is gone, at first and from then on: with it its locks are gone too."""


@contextmanager
def held(connection: sa.Connection, lease: sa.Table, wait: float, where: str, part: str = "") -> Iterator[None]:
    """The lock, for as long as `connection` (autocommit) keeps it. Raises EngineError (`run-in-progress`).

    With a `part`: that part's lock, and the whole's together with others that hold parts.
    """
    deadline = time.monotonic() + wait
    while not _taken(connection, part):
        if time.monotonic() >= deadline:
            raise EngineError(
                Fault("run-in-progress", where, "another run is at work in this database", _holder(connection, lease),
                      "one run at a time", "wait until it has ended")
            )  # fmt: skip
        time.sleep(_PAUSE)
    try:
        yield
    finally:
        with suppress(*_LOST):
            connection.execute(sa.select(sa.func.pg_advisory_unlock_all()))


def _taken(connection: sa.Connection, part: str) -> bool:
    """All or nothing."""
    if not part:
        return bool(connection.execute(sa.select(sa.func.pg_try_advisory_lock(_ROOM, _WHOLE))).scalar_one())
    own = sa.func.pg_try_advisory_lock(_ROOM, sa.func.hashtext(sa.literal(part, sa.Text)))
    if not connection.execute(sa.select(sa.func.pg_try_advisory_lock_shared(_ROOM, _WHOLE))).scalar_one():
        return False
    if not connection.execute(sa.select(own)).scalar_one():
        connection.execute(sa.select(sa.func.pg_advisory_unlock_all()))
        return False
    return True


@contextmanager
def settling(connection: sa.Connection, where: str) -> Iterator[None]:
    """One at a time among those who hold parts; waits. `connection`: the one that keeps the lock.

    Raises EngineError (`warehouse-unavailable`) where that session is gone.
    """
    try:
        connection.execute(sa.select(sa.func.pg_advisory_lock(_SETTLING, _WHOLE)))
    except sa.exc.PendingRollbackError as error:
        raise EngineError(
            Fault("warehouse-unavailable", where, "the session that keeps this run's place is gone", "no connection",
                  "one that lasts as long as the run", "run again; nothing half-done is published")
        ) from error  # fmt: skip
    try:
        yield
    finally:
        with suppress(*_LOST):
            connection.execute(sa.select(sa.func.pg_advisory_unlock(_SETTLING, _WHOLE)))


def tokens(connection: sa.Connection, lease: sa.Table, who: str, part: str) -> Tokens:
    """A new token for what is held; who holds a part goes by the whole's last one, until the whole is held again."""
    if not part:
        return {_LEASE: _drawn(connection, lease, who, _LEASE)}
    whole = connection.execute(sa.select(lease.c.token).where(lease.c.lease == _LEASE)).scalar()
    name = f"part {part}"
    return {
        _LEASE: int(whole) if whole else _drawn(connection, lease, who, _LEASE),
        name: _drawn(connection, lease, who, name),
    }


def _drawn(connection: sa.Connection, lease: sa.Table, who: str, name: str) -> int:
    """A new token for the holder. Waits until no transaction of the holder before is open."""
    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_DRAWING, _number(name))))
    now = sa.func.timezone("UTC", sa.func.now())
    mine = lease.c.lease == name
    token = int(connection.execute(sa.select(lease.c.token).where(mine)).scalar() or 0) + 1
    if token == 1:
        connection.execute(sa.insert(lease).values(lease=name, token=token, who=who, since=now))
    else:
        connection.execute(sa.update(lease).where(mine).values(token=token, who=who, since=now))
    return token


def fence(connection: sa.Connection, lease: sa.Table, tokens: Tokens, where: str) -> None:
    """Nobody else draws a token before this transaction ends. Raises EngineError (`lease-lost`) where somebody has."""
    shared = (sa.func.pg_advisory_xact_lock_shared(_DRAWING, _number(name)) for name in sorted(tokens))
    connection.execute(sa.select(*shared))  # on its own: what a statement sees is settled before it waits
    mine = sa.select(lease.c.lease, lease.c.token, lease.c.who).where(lease.c.lease.in_(tokens))
    rows = {row.lease: row for row in connection.execute(mine)}
    lost = [rows.get(name) for name, token in tokens.items() if name not in rows or rows[name].token != token]
    if lost:
        raise EngineError(
            Fault("lease-lost", where, "this run lost its connection to the server, and another run took its place",
                  str(lost[0].who) if lost[0] else "nobody", "the run that holds the warehouse",
                  "nothing that this run still had to write was written; the other run takes it up")
        )  # fmt: skip


def _number(name: str) -> int:
    """Of a lease, for the server's locks: 31 bits."""
    return zlib.crc32(name.encode()) >> 1


def _holder(connection: sa.Connection, lease: sa.Table) -> str:
    """The newest token's: whoever was before has let go since, or holds another part."""
    try:
        row = connection.execute(sa.select(lease.c.who, lease.c.since).order_by(lease.c.since.desc())).first()
    except (EngineError, sa.exc.ProgrammingError):
        row = None
    return f"{row.who}, since {row.since:%Y-%m-%d %H:%M:%S} UTC" if row else "a run that is just starting"
