"""What commands may write to, what they may empty, and what is no text: nothing of a state is ever overwritten."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from filelock import FileLock

from sor_pipeline.cli import BUSY, USAGE
from sor_pipeline.engine.duckdb import DuckDBEngine
from sor_pipeline.errors import EngineError
from sor_pipeline_tests.test_cli import sor

PROTECTED = ("warehouse.duckdb", "conformed.duckdb", "run.lock", "landing/x.duckdb", "outbox/x.html", "new.duckdb")


def flat(text: str) -> str:
    """A framed message as one line."""
    return " ".join(re.sub("[│╭╮╰╯─]", " ", text).split())


@pytest.mark.parametrize("command", [("as-of", "2026-03-02"), ("report",)], ids=lambda command: command[0])
@pytest.mark.parametrize("name", PROTECTED)
@pytest.mark.parametrize("force", [(), ("--force",)], ids=["plain", "force"])
def test_no_output_goes_into_the_state(
    played: Path, command: tuple[str, ...], name: str, force: tuple[str, ...]
) -> None:
    file = played / name
    before = file.read_bytes() if file.is_file() else None
    refused = sor("--home", played, *command, "--output", file, *force)
    assert refused.code == USAGE
    assert "lies in the state folder" in flat(refused.err)
    assert (file.read_bytes() if file.is_file() else None) == before


@pytest.mark.parametrize("command", [("as-of", "2026-03-02"), ("report",)], ids=lambda command: command[0])
def test_a_file_that_is_there_is_overwritten_only_by_force(
    played: Path, tmp_path: Path, command: tuple[str, ...]
) -> None:
    file = tmp_path / "mine"
    file.write_text("mine")
    refused = sor("--home", played, *command, "--output", file)
    assert refused.code == USAGE
    assert "--force" in refused.err
    assert file.read_text() == "mine"
    assert sor("--home", played, *command, "--output", file, "--force").code == 0
    assert file.stat().st_size > 1000


def test_what_cannot_be_a_file_is_refused_before_any_work(played: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for output in (tmp_path, tmp_path / "file" / "below"):
        refused = sor("--home", played, "report", "--output", output)
        assert refused.code == USAGE
        assert "--output" in refused.err


def test_a_link_into_the_state_is_the_state(played: Path, tmp_path: Path) -> None:
    (tmp_path / "innocent").symlink_to(played / "warehouse.duckdb")
    before = (played / "warehouse.duckdb").read_bytes()
    assert sor("--home", played, "as-of", "2026-03-02", "--output", tmp_path / "innocent", "--force").code == USAGE
    assert (played / "warehouse.duckdb").read_bytes() == before


def test_the_demo_empties_no_folder_in_which_a_run_is_at_work(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "demo").mkdir(parents=True)
    (home / "precious").write_text("mine")
    with FileLock(home / "run.lock"):
        refused = sor("--home", home, "demo")
    assert refused.code == BUSY
    assert "another run is at work" in refused.err
    assert (home / "precious").read_text() == "mine"


def test_what_is_no_text_is_refused_with_words(tmp_path: Path) -> None:
    refused = sor("--home", tmp_path, "why", "contact", "\udcff")
    assert refused.code == USAGE
    assert "not text in UTF-8" in refused.err


def test_a_damaged_warehouse_says_so(tmp_path: Path) -> None:
    file = tmp_path / "warehouse.duckdb"
    file.write_bytes(b"no database" * 1000)
    with pytest.raises(EngineError) as caught, DuckDBEngine(file).begin():
        pass
    (fault,) = caught.value.faults
    assert fault.code == "warehouse-damaged"
    assert "restore" in fault.todo
