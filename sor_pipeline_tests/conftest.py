"""The demo company, played once for all tests that look at what became of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sor_pipeline.demo.play import Demo
from sor_pipeline.flow import reading
from sor_pipeline.ownership.lint import load_checked
from sor_pipeline.run import Run
from sor_pipeline.settings import Settings
from sor_pipeline.terminal.demo import FOLDER, play
from sor_pipeline.terminal.paper import Paper

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
