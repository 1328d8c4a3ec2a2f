"""The README tells the truth: its commands, options, files, tests, variables and codes exist, its document is one."""

from __future__ import annotations

import re
import shlex
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.core import TyperGroup
from typer.testing import CliRunner

from sor_pipeline import cli, settings
from sor_pipeline.flow import STEPS
from sor_pipeline.ownership.lint import read

HOUSE = Path(__file__).parents[1]
README = (HOUSE / "README.md").read_text(encoding="utf-8")
BLOCKS = [(kind, body) for kind, body in re.findall(r"^ *```(\w+)\n(.*?)^ *```", README, re.DOTALL | re.MULTILINE)]
PROSE = re.sub(r"^ *```.*?^ *```", "", README, flags=re.DOTALL | re.MULTILINE)
QUOTED = re.findall(r"`([^`\n]+)`", PROSE)
MADE_BY_RUNNING = (".sor", ".venv", "crm/", "helpdesk/", "ownership.yaml", "conformed.duckdb", "warehouse.duckdb")


def typed() -> list[str]:
    """What a reader is asked to type: `sh` blocks, lines behind a prompt, and commands in the text."""
    lines = [line for kind, body in BLOCKS if kind == "sh" for line in body.splitlines()]
    lines += [
        line.strip()[2:]
        for kind, body in BLOCKS
        if kind == "console"
        for line in body.splitlines()
        if line.strip().startswith("$ ")
    ]
    lines += [text for text in QUOTED if re.match(r"(\w+=\S+ )*(sor|make) \S", text)]
    return [line.strip() for line in lines if line.strip()]


SOR = sorted({line for line in typed() if line.startswith("sor ")})
WHOLE = typer.main.get_command(cli.app)
assert isinstance(WHOLE, TyperGroup)


def options(command: Any) -> set[str]:
    """Of a command, or of all in a group."""
    if isinstance(command, TyperGroup) and command is not WHOLE:
        return set().union(*(options(one) for one in command.commands.values()))
    return {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}


@pytest.mark.parametrize("line", SOR)
def test_every_command_shown_exists_with_its_options(line: str) -> None:
    name, *rest = shlex.split(line.replace("<", "").replace(">", ""))[1:]
    assert isinstance(WHOLE, TyperGroup)
    assert name in WHOLE.commands
    assert CliRunner().invoke(cli.app, [name, "--help"]).exit_code == 0
    known = options(WHOLE.commands[name]) | options(WHOLE)
    assert {word.partition("=")[0] for word in rest if word.startswith("-")} <= known


def test_the_table_of_commands_is_complete() -> None:
    assert isinstance(WHOLE, TyperGroup)
    rows = {
        row: names
        for row in PROSE.splitlines()
        for names in [re.findall(r"`sor ([\w-]+)", row)]
        if row.startswith("| `sor ")
    }
    assert {name for names in rows.values() for name in names} == set(WHOLE.commands)
    for row, names in rows.items():
        known = {option for name in names for option in options(WHOLE.commands[name])}
        assert set(re.findall(r"`(--[\w-]+)`", row)) <= known, row


def test_options_in_the_text_exist() -> None:
    assert isinstance(WHOLE, TyperGroup)
    known = options(WHOLE).union(*(options(command) for command in WHOLE.commands.values()))
    assert {text for text in QUOTED if re.fullmatch(r"--[\w-]+", text)} <= known


def test_the_first_commands_are_the_two() -> None:
    assert typed()[:2] == ["make demo", "make test"]


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^(\w+):", (HOUSE / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    asked = {match for line in typed() for match in re.findall(r"\bmake (\w+)", line)}
    assert {"demo", "test", "ui"} <= asked <= targets


def test_files_and_folders_named_exist() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", PROSE) if "://" not in link]
    suffixed = [text for text in QUOTED if re.fullmatch(r"[\w./-]+\.(py|yaml|toml|md|lock)|[\w.-]+/[\w./-]*", text)]
    for name in (*links, *suffixed):
        if not name.startswith(MADE_BY_RUNNING):
            assert (HOUSE / name).exists() or (HOUSE / "sor_pipeline_tests" / name).exists(), name


def test_the_folders_of_the_package_are_all_named() -> None:
    about = PROSE.split("## The package")[1]
    folders = {path.parent.name for path in (HOUSE / "sor_pipeline").glob("*/__init__.py")}
    assert folders <= set(re.findall(r"`(\w+)`", about))


def test_the_picture_is_the_flow() -> None:
    picture = next(body for kind, body in BLOCKS if kind == "mermaid")
    order = re.findall(r"--> (\w+)", picture)
    assert order[: len(STEPS)] == [step.name for step in STEPS]
    for one, following in pairwise(STEPS):
        written = re.search(rf"^ *{one.name} -- (\w+) --> {following.name}$", picture, re.MULTILINE)
        assert written
        assert written[1] in {name.split(".")[0] for name in one.writes}
    for step in STEPS:
        assert f"| {step.name} | {step.promise} |" in PROSE


def test_the_document_shown_has_no_fault(tmp_path: Path) -> None:
    shown = [body for kind, body in BLOCKS if kind == "yaml"]
    assert len(shown) == 1
    (tmp_path / "ownership.yaml").write_text(shown[0], encoding="utf-8")
    assert [str(fault) for fault in read(tmp_path / "ownership.yaml").faults] == []


def test_the_python_shown_compiles() -> None:
    shown = [body for kind, body in BLOCKS if kind == "python"]
    assert shown
    for body in shown:
        compile(body, "README.md", "exec")


def test_variables_and_exit_codes() -> None:
    assert settings.__doc__
    assert set(re.findall(r"`(SOR_\w+)`", PROSE)) == set(re.findall(r"`(SOR_\w+)`", settings.__doc__))
    codes = {int(code) for code in re.findall(r"^\| (\d) \|", PROSE, re.MULTILINE)}
    assert codes == {0, cli.FAULTS, cli.USAGE, cli.BLOCKED, cli.UNAVAILABLE, cli.BUSY}


def test_it_stays_readable() -> None:
    assert README.count("\n") <= 300
