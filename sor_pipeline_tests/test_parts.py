"""Several processes at work on one server: on different sources at once, and never where they could harm each other.

Threads stand for processes: each has sessions of its own, and the locks are the sessions'.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import pytest
import sqlalchemy as sa

from sor_pipeline import flow
from sor_pipeline.errors import EngineError
from sor_pipeline.ownership.lint import load_checked
from sor_pipeline.run import Run
from sor_pipeline.settings import Settings
from sor_pipeline_tests.test_definitions import DOCUMENT

SOURCES = ("crm.accounts", "crm.contacts", "mail.members")
Opening = Callable[..., AbstractContextManager[Run]]


@pytest.fixture
def opening(tmp_path: Path, postgres_url: str) -> Opening:
    """`flow.opened` on one database; keywords as there."""
    (tmp_path / "ownership.yaml").write_text(DOCUMENT)
    given = {"SOR_WAREHOUSE_URL": postgres_url}
    settings = Settings.read(given, ownership=tmp_path / "ownership.yaml", home=tmp_path / "home", extracts=tmp_path)
    ownership = load_checked(settings.ownership)
    return lambda **how: flow.opened(ownership, settings, **how)


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as held:
        yield held


def refused(opening: Opening, **how: object) -> bool:
    return told(lambda: opening(**how)) == ["run-in-progress"]


def told(transaction: Callable[[], AbstractContextManager[object]]) -> list[str]:
    """Codes of the faults that entering gives; none where it works."""
    try:
        with transaction():
            return []
    except EngineError as error:
        return [fault.code for fault in error.faults]


def test_parts_are_worked_on_at_once_from_the_first_moment_of_a_database(opening: Opening) -> None:
    """All three are inside together, although the tables had to be made first; and a whole run waits for all."""
    together, inside = threading.Barrier(3, timeout=60), []

    def work(part: str) -> None:
        with opening(part=part, wait=60) as run:
            if part:
                together.wait()
            inside.append(part)
            with run.engine.begin() as connection:
                titles = connection.execute(sa.select(sa.func.count()).select_from(run.tables.document)).scalar_one()
                versions = connection.execute(sa.select(sa.func.count()).select_from(run.tables.version)).scalar_one()
            assert (titles, versions) == (1, 1)

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(work, part) for part in (*SOURCES, "")]:
            done.result(120)
    assert sorted(inside) == sorted((*SOURCES, ""))


def test_one_at_a_time_on_a_part_and_nobody_beside_a_whole_run(opening: Opening) -> None:
    with opening(part="crm.accounts"):
        assert refused(opening, part="crm.accounts")
        assert refused(opening)
        assert not refused(opening, part="crm.contacts")
    with opening():
        assert refused(opening, part="crm.accounts")
        assert refused(opening)
    assert not refused(opening, part="crm.accounts")


def writes(run: Run) -> bool:
    """Whether a transaction of the run still counts."""
    codes = told(run.engine.begin)
    assert codes in ([], ["lease-lost"])
    return not codes


def cut(run: Run, postgres_url: str) -> None:
    """The server ends the session that keeps the run's lock, as when a machine in between forgets it."""
    keeper = run.engine._keeping.connection.driver_connection.info.backend_pid  # type: ignore[attr-defined]
    admin = sa.create_engine(
        sa.make_url(postgres_url).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT"
    )
    with admin.connect() as connection:
        assert connection.exec_driver_sql(f"SELECT pg_terminate_backend({keeper}, 10000)").scalar_one()
    admin.dispose()


def test_who_lost_a_part_writes_nothing_more_once_another_has_it(
    opening: Opening, postgres_url: str, stack: ExitStack
) -> None:
    lost = stack.enter_context(opening(part="crm.accounts"))
    other = stack.enter_context(opening(part="mail.members"))
    assert writes(lost)
    cut(lost, postgres_url)
    with opening(part="crm.accounts", wait=5) as successor:
        assert writes(successor)
        assert not writes(lost)
        assert writes(other), "somebody else's part is none of its business"
    cut(other, postgres_url)
    with opening(wait=5) as whole:
        assert writes(whole)
        assert not writes(other), "a whole run ends all parts"
