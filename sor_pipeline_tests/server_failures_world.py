"""A small day on a server, and everything that can happen between a run and its server.

A point is a moment at which a run talks to the server: every SQL statement, COPY and block of one, every statement
that is only described, and every COMMIT, before it is sent and when its answer is on the way. `Points` counts them
and lets a test strike at one; the product knows nothing of them.

Belongs here: the points, what they are struck with, and all that a server holds. Does not: what must be true then
(`test_postgres_failures`).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import select
import shutil
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from psycopg.generators import execute

from sor_pipeline.engine import postgres_load
from sor_pipeline.engine.postgres_spelling import Dialect
from sor_pipeline.errors import EngineError
from sor_pipeline.flow import opened, pass_through
from sor_pipeline.ownership.document import Ownership
from sor_pipeline.run import Run
from sor_pipeline.settings import Settings
from sor_pipeline_tests import kill_world
from sor_pipeline_tests.kill_world import DAYS, FIRST, QUICK
from sor_pipeline_tests.postgres_server import PostgresServer

DECLARED: dict[str, Any] = {
    "systems": {"crm": {}, "mail": {}},
    "entities": {
        "contact": {
            "owner": "crm",
            "match": [{"linked": {"mail.members.crm_id": "crm.contacts"}}, {"same": ["email"]}],
            "fields": {
                "email": {"type": "email", "personal": True},
                "name": {"type": "name", "fallback": ["mail"], "personal": True},
                "opted_in": {"type": "boolean", "owner": "mail"},
            },
        },
    },
    "sources": {
        "crm.contacts": {
            "entity": "contact", "key": "id", "fields": {n: n for n in ("email", "name")},
            "extract": {"files": "contacts-*.csv", "mode": "snapshot", "max_shrink": 1, "limits": {"bad_rows": 0.5}},
        },
        "mail.members": {
            "entity": "contact", "key": "id", "changed_at": "at", "fields": {n: n for n in ("email", "name", "opted_in")},
            "extract": {"files": "members-*.csv", "mode": "changes", "deleted": {"gone": ["1"]}},
            "accepts": ["email", "name"],
        },
    },
}  # fmt: skip
"""The world of `kill_world` without its accounts: every statement counts here."""
DOCUMENT = Ownership.model_validate(DECLARED)
WAIT = 20.0
"""Seconds that a run waits for the one before to be gone: a server may notice that later than we do."""
NOBODYS = ("audit.run", "audit.lease")
"""Tables that tell of the runs themselves, by the wall's clock."""
CORRECTIONS = "conformed.correction"
GONE = 5.0
"""Seconds in which a session that is told to end has ended."""


@dataclass(frozen=True)
class Point:
    """`kind` is sql, copy, block, describe, commit or committed; `pid` the server process that is talked to."""

    number: int
    kind: str
    text: str
    pid: int
    driver: Any = field(compare=False, repr=False)

    @property
    def name(self) -> tuple[str, str]:
        """The same for the same statement with other literals."""
        return self.kind, re.sub(r"'(?:[^']|'')*'", "'…'", self.text)


Strike = Callable[[Point], None]


class Points:
    """Points of this process while `struck` is open, counted from 1."""

    def __init__(self) -> None:
        self._strike: Strike | None = None
        self._count, self._quiet = 0, False

    @contextlib.contextmanager
    def struck(self, strike: Strike) -> Iterator[None]:
        self._strike, self._count = strike, 0
        try:
            yield
        finally:
            self._strike = None

    def reached(self, kind: str, text: str, driver: Any) -> None:
        if self._strike is None or self._quiet:
            return
        self._count, self._quiet = self._count + 1, True
        try:
            self._strike(Point(self._count, kind, " ".join(text.split()), driver.pgconn.backend_pid, driver))
        finally:
            self._quiet = False


@contextlib.contextmanager
def installed() -> Iterator[Points]:
    points = Points()
    plainly = {"copy": psycopg.Cursor.copy, "write": psycopg.Copy.write, "described": postgres_load._described}

    def statement(connection: Any, cursor: Any, text: str, *_: Any) -> None:
        if "psycopg" in type(cursor).__module__:
            points.reached("sql", text, cursor.connection)

    def copy(cursor: Any, text: Any, *args: Any, **kwargs: Any) -> Any:
        points.reached("copy", text.decode() if isinstance(text, bytes) else str(text), cursor.connection)
        return plainly["copy"](cursor, text, *args, **kwargs)

    def write(copying: Any, block: Any) -> Any:
        points.reached("block", "", copying.connection)
        return plainly["write"](copying, block)

    def described(driver: Any, text: str) -> Any:
        points.reached("describe", text, driver)
        return plainly["described"](driver, text)

    def do_commit(_dialect: Any, proxied: Any) -> None:
        driver = proxied.driver_connection
        points.reached("commit", "", driver)
        if driver.pgconn.transaction_status == psycopg.pq.TransactionStatus.IDLE:
            return
        driver.pgconn.send_query(b"COMMIT")
        select.select([driver.pgconn.socket], [], [], WAIT)
        points.reached("committed", "", driver)
        for result in driver.wait(execute(driver.pgconn)):
            if result.status != psycopg.pq.ExecStatus.COMMAND_OK:
                raise psycopg.errors.error_from_result(result)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(psycopg.Cursor, "copy", copy)
        patch.setattr(psycopg.Copy, "write", write)
        patch.setattr(postgres_load, "_described", described)
        patch.setattr(Dialect, "do_commit", do_commit, raising=False)
        sa.event.listen(sa.engine.Engine, "before_cursor_execute", statement)
        try:
            yield points
        finally:
            sa.event.remove(sa.engine.Engine, "before_cursor_execute", statement)


# --- what strikes --------------------------------------------------------------------------------


class Hand:
    """Somebody else's session, of the server's owner."""

    def __init__(self, server: PostgresServer, url: str) -> None:
        self.url = url
        self.driver = psycopg.connect(plain(url), autocommit=True)
        self.struck: list[Point] = []

    def close(self) -> None:
        self.driver.close()

    def tell(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        cursor = self.driver.execute(statement.encode(), values or None)
        return cursor.fetchall() if cursor.description else []

    def drop(self, point: Point) -> None:
        """End the server process that is talked to; where a COMMIT has been answered, its answer is lost on the way."""
        self.struck.append(point)
        if point.kind == "committed":
            with socket.socket(fileno=os.dup(point.driver.pgconn.socket)) as wire:
                wire.recv(1 << 16, socket.MSG_DONTWAIT)
        self.tell("SELECT pg_terminate_backend(%s)", point.pid)
        assert select.select([point.driver.pgconn.socket], [], [], GONE)[0]

    def end(self, pid: int) -> None:
        self.tell("SELECT pg_terminate_backend(%s, %s)", pid, int(GONE * 1_000))

    def lock_holders(self) -> list[int]:
        """Sessions that hold a run's place."""
        held = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND classid = 5459794 AND granted"
        return [
            pid
            for (pid,) in self.tell(
                f"{held} AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            )
        ]


def plain(url: str) -> str:
    return sa.make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def at(wanted: int, strike: Strike) -> Strike:
    return lambda point: strike(point) if point.number == wanted else None


# --- what there is -------------------------------------------------------------------------------


def held_by(hand: Hand) -> dict[str, list[str]]:
    """All rows of all tables of the warehouse, as text, sorted; without those of NOBODYS."""
    listed = (
        "SELECT quote_ident(nspname) || '.' || quote_ident(relname) FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace"
        " WHERE relkind IN ('r', 'p') AND nspname !~ '^(pg_|information_schema|public$)' ORDER BY 1"
    )
    names = [name for (name,) in hand.tell(listed) if name not in NOBODYS]
    return _rows(hand, names)


def published_by(hand: Hand) -> dict[str, list[str]]:
    """The same of what people read, at one moment."""
    listed = "SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = 'conformed' ORDER BY 1"
    return _rows(hand, [f"conformed.{name}" for (name,) in hand.tell(listed)])


def _rows(hand: Hand, names: list[str]) -> dict[str, list[str]]:
    rows = "SELECT {0}, coalesce(array_agg(t::text ORDER BY t::text), '{{}}') FROM {1} t"
    parts = [rows.format("'" + name.replace('"', "") + "'", name) for name in names]
    return dict(hand.tell(" UNION ALL ".join(parts))) if parts else {}  # type: ignore[arg-type]


def files_of(home: Path) -> dict[str, str]:
    return {
        path.relative_to(home).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(home.rglob("*"))
        if path.is_file() and path.name != "run.lock"
    }


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    return [name for name in sorted({*one, *other}) if one.get(name) != other.get(name)]


@cache
def cells() -> tuple[str, ...]:
    """Every value of the extracts that could not be there by chance."""
    lines = (line for day in DAYS for text in day.values() for line in text.splitlines()[1:])
    values = {cell.strip() for line in lines for cell in line.split(",")}
    return tuple(sorted(v for v in values if len(v) > 2 and not re.fullmatch(r"true|false|broken|[\d: -]+", v)))


def told_values(error: BaseException) -> list[str]:
    """Values of the extracts in what an error says, or any that led to it."""
    said = everything_said(error)
    return [value for value in cells() if re.search(rf"\b{re.escape(value)}\b", said, re.IGNORECASE)]


def everything_said(error: BaseException) -> str:
    said, seen, known = [], [error], set()
    while seen:
        one = seen.pop()
        if id(one) in known:
            continue
        known.add(id(one))
        said += [str(one), repr(one)]
        seen += [other for other in (one.__cause__, one.__context__) if other is not None]
    return "\n".join(said)


# --- days ----------------------------------------------------------------------------------------


def settings(url: str, home: Path, extracts: Path) -> Settings:
    named = {"SOR_WAREHOUSE_URL": url}
    return Settings.read(named, ownership=extracts / "ownership.yaml", home=home, extracts=extracts)


def deliver(folder: Path) -> list[Path]:
    """As `kill_world` does, the document beside them."""
    folders = kill_world.deliver(folder)
    for one in folders:
        (one / "ownership.yaml").write_text(json.dumps(DECLARED))
    return folders


@contextlib.contextmanager
def hands(url: str, home: Path, extracts: Path, day: int, wait: float = WAIT) -> Iterator[Run]:
    with opened(DOCUMENT, settings(url, home, extracts), FIRST + timedelta(days=day), wait=wait) as run:
        yield run


def pass_day(url: str, home: Path, extracts: Path, day: int, steps: tuple[Any, ...] = QUICK) -> str:
    with hands(url, home, extracts, day) as run:
        return pass_through(run, steps).state


def failed(work: Callable[[], object]) -> EngineError | None:
    """The fault that the work ended with, if it did."""
    try:
        work()
    except EngineError as error:
        return error
    return None


def restore(home: Path, origin: Path) -> Path:
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(origin, home)
    return home


if __name__ == "__main__":  # url, home, extracts, day; says when it has everything imported, begins when it is told to
    print("ready", flush=True)
    sys.stdin.readline()
    pass_day(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
