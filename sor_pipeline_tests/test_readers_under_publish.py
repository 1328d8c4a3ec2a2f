"""People read while publications happen: nobody waits, nobody sees half of one.

Every publication changes every row of every entity to the same new number, and how many contacts there are, so
that any mixture of two shows. `SOR_PUBLISHES=200` is the long form; it prints its figures (`-s`).

A snapshot is a transaction in REPEATABLE READ, or one statement elsewhere. Several statements in READ COMMITTED or
autocommit may see two publications: that is declared (docs/guarantees.md), counted, and no fault.
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from sor_pipeline.engine.open import open_engine
from sor_pipeline.publish import step
from sor_pipeline.run import Run
from sor_pipeline.settings import Settings
from sor_pipeline.tables import SCHEMAS, Tables
from sor_pipeline_tests.postgres_server import PostgresServer
from sor_pipeline_tests.published_world import DAY_ONE, Cell, State, document, on_day, put

PUBLISHES = int(os.environ.get("SOR_PUBLISHES", "20"))
CONTACTS, ACCOUNTS = 60, 10
MODES = ("AUTOCOMMIT", "READ COMMITTED", "REPEATABLE READ")
NEVER_EMPTY = ("contact", "contact_source", "contact_key", "contact_history", "account", "account_source", "account_key",
               "account_history", "publication", "change", "conflict")  # fmt: skip
_STUCK = 60.0
_PAUSE = 0.02
"""Readers are threads of the publisher's process: without a breath they would take its processor."""


def contacts_in(number: int) -> int:
    """Some come and go with every publication."""
    return CONTACTS + number % 3


def state(number: int) -> State:
    """Everything says `number`."""

    def says(value: Any, system: str, key: str) -> Cell:
        return Cell(value, system, key, "owner", DAY_ONE + timedelta(days=number))

    rows: dict[tuple[str, str], dict[str, Cell]] = {}
    records: dict[tuple[str, str], tuple[str, bool]] = {}
    for one in range(ACCOUNTS):
        rows["account", f"a{one}"] = {"title": says(f"Title {number}", "crm", str(one))}
        records["crm.accounts", str(one)] = (f"a{one}", True)
    for one in range(CONTACTS + 2):
        alive = one < contacts_in(number)
        records["crm.contacts", str(one)] = (f"c{one}", alive)
        if alive:
            rows["contact", f"c{one}"] = {
                "name": says(f"Name {number}", "crm", str(one)), "mrr": says(Decimal(number), "bill", str(one)),
            }  # fmt: skip
    conflicts = {("contact", f"c{one}", "name", "mail.members", str(one)): f"Other {number}" for one in range(20)}
    return State(rows, records, conflicts)


class Publisher:
    """A warehouse on the server in which publication after publication is made."""

    def __init__(self, url: str, folder: Path, number: int = 0) -> None:
        self.url = url
        self.tables = Tables(document())
        settings = Settings(folder / "o.yaml", folder, url, folder)
        self.run = Run(self.tables.ownership, open_engine(url, [folder]), self.tables, settings, DAY_ONE)
        self.number = number
        self.longest = 0.0

    def prepare(self) -> None:
        """The candidates of the next publication."""
        self.number += 1
        ids = {(kind, one) for of in (state(self.number - 1), state(self.number)) for kind, one in of.rows}
        put(on_day(self.run, self.number), state(self.number), ids)

    def publish(self) -> None:
        began = time.monotonic()
        outcome = step.run(on_day(self.run, self.number))
        self.longest = max(self.longest, time.monotonic() - began)
        assert outcome.counts["published"] == 1
        assert outcome.counts["changed"] + outcome.counts["created"] >= CONTACTS

    @contextmanager
    def reader(self, mode: str) -> Iterator[sa.Connection]:
        """Somebody else's connection; a tenth of a second of waiting for a lock is an error."""
        engine = sa.create_engine(self.url, poolclass=sa.pool.NullPool, isolation_level=mode)  # type: ignore[arg-type]
        with engine.connect() as connection:
            connection.exec_driver_sql("SET lock_timeout = '100ms'")
            connection.commit()
            yield connection
        engine.dispose()


@pytest.fixture(scope="module")
def published(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database with one publication, to be copied."""
    with postgres.database() as url:
        one = Publisher(url, tmp_path_factory.mktemp("published"))
        one.run.engine.create(one.tables.metadata, SCHEMAS)
        one.prepare()
        one.publish()
        one.run.engine.close()
        yield url


@pytest.fixture
def publisher(postgres: PostgresServer, published: str, tmp_path: Path) -> Iterator[Publisher]:
    with postgres.database(template=published) as url:
        one = Publisher(url, tmp_path, number=1)
        with one.run.engine.held():
            yield one
        one.run.engine.close()


@dataclass
class Tally:
    """What the readers of one mode met."""

    reads: int = 0
    snapshots: int = 0
    errors: list[str] = field(default_factory=list)
    empties: list[str] = field(default_factory=list)
    mixes: list[str] = field(default_factory=list)
    two_versions: int = 0
    longest: float = 0.0
    seen: set[int] = field(default_factory=set)


def read_once(connection: sa.Connection, tables: Tables, mode: str, tally: Tally) -> None:
    """All conformed tables, one statement each, in one transaction where the mode has any."""
    versions: set[int] = set()
    for table in (one for one in tables.metadata.sorted_tables if one.schema == "conformed"):
        began = time.monotonic()
        rows = [dict(row._mapping) for row in connection.execute(sa.select(table)).fetchall()]
        tally.longest = max(tally.longest, time.monotonic() - began)
        tally.reads += 1
        if not rows and table.name in NEVER_EMPTY:
            tally.empties.append(table.name)
        shown = shows(table.name, rows)
        if len(shown) > 1:
            tally.mixes.append(f"{table.name}: {sorted(shown)}")
        versions |= shown
    connection.commit()
    tally.snapshots += 1
    tally.seen |= versions
    if len(versions) > 1 and mode == "REPEATABLE READ":
        tally.mixes.append(f"{mode}: {sorted(versions)}")
    tally.two_versions += len(versions) > 1


def shows(name: str, rows: list[dict[str, Any]]) -> set[int]:
    """The publications that the rows of a table are from: one, if nothing is wrong."""
    current = [row for row in rows if row.get("to_publication") is None and row.get("closed_in") is None]
    if name in ("contact", "contact_history"):
        shown = {int(row["mrr"]) for row in current} | {int(row["name"].split()[1]) for row in current}
        return shown | ({-1} if any(contacts_in(number) != len(current) for number in shown) else set())
    if name in ("account", "account_history"):
        return {int(row["title"].split()[1]) for row in current}
    if name in ("contact_source", "account_source"):
        told = "mrr_since" if name == "contact_source" else "title_since"
        return {(row[told] - DAY_ONE).days for row in rows}
    if name == "conflict":
        return {int(row["claimed"].split()[1]) for row in current}
    if name in ("publication", "change"):
        return {max(row["publication"] for row in rows)} if rows else set()
    return set()


class Readers:
    """One reader per mode, reading until told to stop."""

    def __init__(self, publisher: Publisher) -> None:
        self.tallies = {mode: Tally() for mode in MODES}
        self._publisher, self._done = publisher, threading.Event()
        self._threads = [threading.Thread(target=self._read, args=(mode,), daemon=True) for mode in MODES]

    def _read(self, mode: str) -> None:
        tally = self.tallies[mode]
        try:
            with self._publisher.reader(mode) as connection:
                while not self._done.is_set():
                    read_once(connection, self._publisher.tables, mode, tally)
                    self._done.wait(_PAUSE)
        except Exception as error:
            tally.errors.append(f"{type(error).__name__}: {error}")

    def __enter__(self) -> Readers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join(_STUCK)


class Waits:
    """How often any session of the database was seen waiting for a lock, asked every few milliseconds; and who for what."""

    def __init__(self, url: str) -> None:
        self._engine = sa.create_engine(url, poolclass=sa.pool.NullPool, isolation_level="AUTOCOMMIT")
        self._done, self.looks, self.waiting = threading.Event(), 0, Counter[tuple[str, ...]]()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def _look(self) -> None:
        asked = (
            "SELECT backend_type, wait_event, left(query, 60) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        with self._engine.connect() as connection:
            while not self._done.wait(0.01):
                self.waiting.update(tuple(row) for row in connection.exec_driver_sql(asked).fetchall())
                self.looks += 1

    def __enter__(self) -> Waits:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join(_STUCK)
        self._engine.dispose()


def test_publications_under_concurrent_readers(publisher: Publisher) -> None:
    publisher.longest = 0.0
    with Waits(publisher.url) as waits, Readers(publisher) as readers:
        for _ in range(PUBLISHES):
            publisher.prepare()
            publisher.publish()
    for mode, tally in readers.tallies.items():
        print(
            f"{mode}: {tally.reads} reads of tables, {tally.snapshots} rounds, {len(tally.errors)} errors, {len(tally.empties)}"
            f" empty, {len(tally.mixes)} mixes, {tally.two_versions} rounds over two publications, longest read {tally.longest:.3f} s"
        )
    print(
        f"{PUBLISHES} publications, longest {publisher.longest:.3f} s; waiting for locks: {dict(waits.waiting)} in {waits.looks} looks"
    )
    for tally in readers.tallies.values():
        assert (tally.errors, tally.empties, tally.mixes) == ([], [], [])
        assert tally.snapshots
        assert len(tally.seen) > 1
    assert readers.tallies["REPEATABLE READ"].two_versions == 0
    assert (dict(waits.waiting), waits.looks > 10) == ({}, True)


def test_a_long_reader_never_delays_a_publication(publisher: Publisher) -> None:
    """Nor does the publication change what the long reader sees."""
    with publisher.reader("REPEATABLE READ") as connection:
        before = Tally()
        for table in publisher.tables.conformed.values():
            connection.execute(sa.select(table)).fetchall()
        for _ in range(3):
            publisher.prepare()
            in_time(publisher.publish)
        read_once(connection, publisher.tables, "REPEATABLE READ", before)
        assert (before.seen, before.mixes, before.empties) == ({1}, [], [])
        after = Tally()
        read_once(connection, publisher.tables, "REPEATABLE READ", after)
        assert after.seen == {4}


def in_time(work: Callable[[], None]) -> None:
    """Fails where the work still waits after a while; meanwhile the caller holds what it may wait for."""
    problems: list[BaseException] = []

    def working() -> None:
        try:
            work()
        except BaseException as error:
            problems.append(error)

    thread = threading.Thread(target=working, daemon=True)
    thread.start()
    thread.join(_STUCK)
    assert not thread.is_alive()
    assert not problems


@pytest.mark.parametrize("mode", MODES)
def test_a_publication_in_progress_never_delays_a_reader(
    publisher: Publisher, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stops just before it commits, with every table written."""
    written, go_on = threading.Event(), threading.Event()
    measures = step.write_measures

    def stopping(*given: Any, **named: Any) -> None:
        measures(*given, **named)
        written.set()
        assert go_on.wait(_STUCK)

    monkeypatch.setattr(step, "write_measures", stopping)
    publisher.prepare()
    thread = threading.Thread(target=publisher.publish, daemon=True)
    thread.start()
    assert written.wait(_STUCK)
    tally = Tally()
    try:
        with publisher.reader(mode) as connection:
            read_once(connection, publisher.tables, mode, tally)
    finally:
        go_on.set()
        thread.join(_STUCK)
    assert (tally.seen, tally.empties, tally.mixes) == ({1}, [], [])
    with publisher.reader(mode) as connection:
        read_once(connection, publisher.tables, mode, tally)
    assert tally.seen == {1, 2}
