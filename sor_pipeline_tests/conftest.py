"""What many tests share: the demo company, played once; a PostgreSQL server, started once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from sor_pipeline.demo.play import Demo
from sor_pipeline.flow import reading
from sor_pipeline.ownership.lint import load_checked
from sor_pipeline.run import Run
from sor_pipeline.settings import Settings
from sor_pipeline.terminal.demo import FOLDER, play
from sor_pipeline.terminal.paper import Paper
from sor_pipeline_tests import postgres_server
from sor_pipeline_tests.fake_targets import SECRET
from sor_pipeline_tests.postgres_server import NoServer, PostgresServer

CONTACTS, DAYS, SEED = 150, 5, 7


@pytest.fixture(scope="session")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state folder that `sor demo` leaves behind."""
    home = tmp_path_factory.mktemp("demo") / "home"
    play(home, Paper(machine=True), contacts=CONTACTS, days=DAYS, seed=SEED)
    return home


@pytest.fixture
def demo_run(played: Path) -> Iterator[Run]:
    """Hands on the played demo, for looking only."""
    settings = Settings.read({}, ownership=played / FOLDER / "ownership.yaml", home=played)
    with reading(load_checked(settings.ownership), settings) as run:
        yield run


@pytest.fixture(scope="session")
def demo_company(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """The same company, for asking what is right."""
    return Demo(tmp_path_factory.mktemp("company"), seed=SEED, contacts=CONTACTS, days=DAYS)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A running PostgreSQL; see `postgres_server`. Where none can be had, its tests fail under CI=1, else skip."""
    try:
        server = postgres_server.obtain()
    except NoServer as error:
        postgres_server.without(error, os.environ)
    yield server
    server.stop()


@pytest.fixture
def fresh_database(postgres: PostgresServer) -> Iterator[Callable[[], str]]:
    """Each call gives the URL of a new empty database, dropped after the test."""
    with ExitStack() as databases:
        yield lambda: databases.enter_context(postgres.database())


@pytest.fixture
def postgres_url(fresh_database: Callable[[], str]) -> str:
    """A new empty PostgreSQL database."""
    return fresh_database()


@pytest.fixture(params=["duckdb", "postgresql"])
def engine_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A new empty warehouse of every kind in turn."""
    if request.param == "duckdb":
        return f"duckdb:///{tmp_path / 'warehouse.duckdb'}"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def tool_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """The secret of the fake tools, and nothing in the environment that would keep deliveries from them."""
    monkeypatch.setenv("TOOL_TOKEN", SECRET)
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "SOR_STOP_DELIVERY"):
        monkeypatch.delenv(name, raising=False)
