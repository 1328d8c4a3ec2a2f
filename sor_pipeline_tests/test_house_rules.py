"""The house's own rules, held by reading its files."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[1]
PACKAGE = HOUSE / "sor_pipeline"
FILES = sorted(PACKAGE.rglob("*.py"))
SQL = re.compile(
    r"\b(select\s.+\sfrom|insert\s+into|update\s+\S+\s+set|delete\s+from|create\s+(temp|temporary\s+)?table|drop\s+table|alter\s+table)\b",
    re.IGNORECASE | re.DOTALL,
)


def relative(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def docstrings(tree: ast.AST) -> set[int]:
    """Positions of docstrings: they may talk about SQL."""
    found = set()
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            for item in body:
                if isinstance(item, ast.Expr) and isinstance(item.value, ast.Constant):
                    found.add(id(item.value))
    return found


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_sql_is_made_from_text_in_one_module_only(path: Path) -> None:
    if relative(path) in ("engine/quoting.py", "engine/postgres_quoting.py"):
        return
    tree = ast.parse(path.read_text(encoding="utf-8"))
    spared = docstrings(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            text = "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in spared:
            text = node.value
        else:
            continue
        assert not SQL.search(text), f"{relative(path)}:{node.lineno}: SQL as text: {text[:80]!r}"


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_every_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), f"{relative(path)} has no docstring"


@pytest.mark.parametrize("path", FILES, ids=relative)
def test_files_and_functions_stay_small(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 300, f"{relative(path)} holds more than one idea"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno
            assert length <= 60, f"{relative(path)}:{node.lineno} {node.name} is {length} lines long"


@pytest.mark.parametrize(
    "step", ["extract", "stage", "identify", "resolve", "check", "publish", "correct", "deliver", "steward", "observe"]
)
def test_a_step_says_what_it_reads_and_writes(step: str) -> None:
    pages = [PACKAGE / step / name for name in ("__init__.py", "step.py")]
    words = " ".join(ast.get_docstring(ast.parse(p.read_text(encoding="utf-8"))) or "" for p in pages if p.exists())
    assert "Reads" in words
    assert "Writes" in words


def test_nobody_grows_a_drawer_for_everything() -> None:
    drawers = {"common", "utils", "util", "helpers", "misc"}
    assert not [relative(path) for path in FILES if drawers & set(path.relative_to(PACKAGE).with_suffix("").parts)]


def test_the_top_level_is_fixed() -> None:
    allowed = {
        "pyproject.toml", "README.md", "sor_pipeline", "sor_pipeline_tests", "workspace.yaml", "dbt_project", "Makefile",
        "uv.lock", "LICENSE", "CHANGELOG.md", "DECISIONS.md", "benchmarks", "docs", "deploy",
    }  # fmt: skip
    extra = {path.name for path in HOUSE.iterdir() if not path.name.startswith(".")} - allowed
    assert not extra


def test_heavy_libraries_are_imported_where_they_are_used_only() -> None:
    heavy = {"great_expectations", "dbt", "splink"}
    for path in FILES:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not heavy & {name.split(".")[0] for name in names}, relative(path)
