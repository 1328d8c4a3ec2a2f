"""The manual tells the truth: commands, options, files, documents, queries and snippets are tried; every message is explained."""

from __future__ import annotations

import ast
import contextlib
import re
import shlex
from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pytest
import typer
import yaml
from typer.core import TyperGroup
from typer.testing import CliRunner

from sor_pipeline import cli
from sor_pipeline.ownership.lint import read

HOUSE = Path(__file__).parents[1]
DOCS = HOUSE / "docs"
PAGES = {path.name: path.read_text(encoding="utf-8") for path in sorted(DOCS.glob("*.md"))}
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)
WHOLE = typer.main.get_command(cli.app)


class Block(NamedTuple):
    page: str
    kind: str
    body: str
    number: int


BLOCKS = [
    Block(page, kind, body, number)
    for page, text in PAGES.items()
    for number, (kind, body) in enumerate(BLOCK.findall(text), 1)
]


def blocks(*kinds: str, page: str | None = None) -> list[Any]:
    chosen = [block for block in BLOCKS if block.kind in kinds and page in (None, block.page)]
    return [pytest.param(block, id=f"{block.page}-{block.number}") for block in chosen]


def prose(page: str) -> str:
    return BLOCK.sub("", PAGES[page])


# links and names


def anchors(page: str) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", re.sub(r"[`*]", "", title).lower()) for title in titles]
    return {title.replace(" ", "-") for title in plain} | set(re.findall(r'<a id="([^"]+)"', PAGES[page]))


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        file, _, anchor = target.partition("#")
        assert "://" not in target
        assert not file or file in PAGES, target
        assert not anchor or anchor in anchors(file or page), target


def test_the_front_page_leads_to_every_page() -> None:
    assert set(re.findall(r"\]\((\w+\.md)\)", PAGES["index.md"])) == set(PAGES) - {"index.md"}


def test_pages_stay_short() -> None:
    long = {"reference.md", "troubleshooting.md"}
    assert {page for page, text in PAGES.items() if text.count("\n") > 260} <= long


def test_files_of_the_repository_that_are_named_exist() -> None:
    for page in PAGES:
        for name in re.findall(r"`((?:sor_pipeline|benchmarks|docs)/[\w./-]+)`", prose(page)):
            assert (HOUSE / name).exists(), (page, name)


def test_the_words_are_those_of_the_design() -> None:
    assert {"system", "claim", "owner", "conflict", "correction", "case"} <= set(
        re.findall(r"^\| (\w+)", PAGES["index.md"], re.MULTILINE)
    )


# commands


def typed(quoted: bool = True) -> Iterator[tuple[str, str]]:
    """Page and command: those in blocks, which are typed as they stand, and with `quoted` those in the text too."""
    for page, text in PAGES.items():
        for kind, body in BLOCK.findall(text):
            for line in body.splitlines():
                shown = line.strip().removeprefix("$ ") if kind == "console" and line.startswith("$ ") else ""
                shown = line.strip() if kind == "sh" else shown
                found = re.search(r"(?:^|/| )(sor [a-z].*)", shown)
                if found:
                    yield page, re.split(r" >>| \|\|", found[1])[0]
        for named in re.findall(r"`(sor [a-z][^`]*)`", prose(page)) if quoted else ():
            yield page, named


WHOLE_LINES = set(typed(quoted=False))


@pytest.mark.parametrize(("page", "line"), sorted(set(typed())))
def test_every_command_exists_with_its_options(page: str, line: str) -> None:
    words = shlex.split(line.replace("<", "").replace(">", ""))[1:]
    command: Any = WHOLE
    options = {name for parameter in WHOLE.params for name in parameter.opts}
    while isinstance(command, TyperGroup):
        word = next(word for word in words if not word.startswith("-"))
        assert word in command.commands, line
        command = command.commands[word]
        words = words[words.index(word) + 1 :]
    options |= {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    assert {word.partition("=")[0] for word in words if word.startswith("-")} <= options, line
    required = sum(one.required for one in command.params if one.param_type_name == "argument")
    if (page, line) in WHOLE_LINES:
        assert len([word for word in words if not word.startswith("-")]) >= required


def test_exit_codes_are_those_of_the_command() -> None:
    codes = {int(code) for code in re.findall(r"^\| (\d) \|", PAGES["operations.md"], re.MULTILINE)}
    assert codes == {0, cli.FAULTS, cli.USAGE, cli.BLOCKED, cli.UNAVAILABLE, cli.BUSY}


# documents

BASE_FIELDS = {"name": {"type": "name"}, "country": {"type": "country"}}
SYSTEMS = ("crm", "billing", "helpdesk")


def completed(written: dict[str, Any]) -> dict[str, Any]:
    """The piece of an entity, or of its fields, put into a whole document that delivers every field everywhere."""
    entity = written if {"fields", "groups", "match"} & written.keys() else {"fields": written}
    compared = {"first_name": {}, "last_name": {}, "email": {"type": "email"}, "phone": {"type": "phone"},
                "street": {}, "city": {}, "postal_code": {}} if "match" in entity else {}  # fmt: skip
    fields = {**BASE_FIELDS, **compared, **entity.get("fields", {})}
    mapped = {
        name: {"from": name, **({"separator_in": ","} if spec.get("type") == "list" else {})}
        for name, spec in fields.items()
    }
    shown_in = {system: [n for n, spec in fields.items() if system in spec.get("reflect_in", ())] for system in SYSTEMS}
    streams = {"crm": "contacts", "billing": "customers", "helpdesk": "users"}
    return {
        "systems": {system: {} for system in SYSTEMS},
        "entities": {"contact": {"owner": "crm", "match": [{"same": ["name"]}], **entity, "fields": fields}},
        "sources": {
            f"{system}.{stream}": {
                "entity": "contact", "key": "id", "extract": {"files": "x.csv"}, "fields": mapped, "accepts": shown_in[system],
            }
            for system, stream in streams.items()
        },
    }  # fmt: skip


@pytest.mark.parametrize("block", blocks("yaml"))
def test_every_document_shown_has_no_fault(block: Block, tmp_path: Path) -> None:
    written = yaml.safe_load(block.body)
    whole = written if "systems" in written else completed(written)
    (tmp_path / "ownership.yaml").write_text(yaml.safe_dump(whole, sort_keys=False), encoding="utf-8")
    faults = [str(fault) for fault in read(tmp_path / "ownership.yaml").faults]
    assert faults == []


# what is read elsewhere


@pytest.fixture
def clone(played: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which `.sor` is the state of the played demo."""
    (tmp_path / ".sor").symlink_to(played, target_is_directory=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("block", blocks("sql", page="reading.md"))
def test_every_query_runs(block: Block, clone: Path) -> None:
    attached = "ATTACH" in block.body
    with contextlib.closing(
        duckdb.connect() if attached else duckdb.connect(".sor/conformed.duckdb", read_only=True)
    ) as con:
        rows = con.execute(block.body).fetchall()
    assert rows or "78002211" in block.body


def test_the_past_is_what_was_published_then(clone: Path) -> None:
    """The one line of the page, for the day of each publication: as many rows as were created and not yet retired."""
    query = next(block.body for block in BLOCKS if block.page == "reading.md" and "_history" in block.body)
    with contextlib.closing(duckdb.connect(".sor/conformed.duckdb", read_only=True)) as con:
        days = con.execute("SELECT published_at FROM publication ORDER BY 1").fetchall()
        counts = []
        for (moment,) in days:
            day_after = str(moment.date() + timedelta(days=1))
            counts.append(len(con.execute(query.replace("2026-03-04", day_after)).fetchall()))
        now = con.execute("SELECT count(*) FROM contact").fetchall()[0][0]
    assert counts[-1] == now
    assert len(set(counts)) > 1


@pytest.mark.parametrize("block", blocks("python", page="reading.md"))
def test_every_snippet_runs(block: Block, clone: Path) -> None:
    for library in re.findall(r"^import (\w+)", block.body, re.MULTILINE):
        pytest.importorskip(library)
    if ".df()" in block.body:
        pytest.importorskip("pandas")
    if '"parquet/' in block.body:
        export = ["export", "parquet", "--ownership", ".sor/demo/ownership.yaml"]
        assert CliRunner().invoke(cli.app, export).exit_code == 0
    names: dict[str, Any] = {}
    exec(compile(block.body, block.page, "exec"), names)
    made = [value for value in names.values() if hasattr(value, "shape")]
    assert made
    assert all(value.shape[0] for value in made)
    if "con" in names:
        names["con"].close()
    if "engine" in names:
        names["engine"].dispose()


def test_the_past_of_all_entities_as_a_file(clone: Path) -> None:
    line = next(line for page, line in typed() if page == "reading.md" and "as-of" in line)
    with contextlib.closing(duckdb.connect(".sor/conformed.duckdb", read_only=True)) as con:
        (moment,) = con.execute("SELECT min(published_at) FROM publication").fetchall()[0]
    words = shlex.split(line.replace("2026-03-03", f"'{moment}'"))[1:]
    done = CliRunner().invoke(cli.app, [*words, "--ownership", ".sor/demo/ownership.yaml"])
    assert done.exit_code == 0, done.output
    with contextlib.closing(duckdb.connect("past.duckdb", read_only=True)) as con:
        assert con.execute("SELECT count(*) FROM contact").fetchall()[0][0] > 0


def test_the_query_for_duckdb_s_command_line(clone: Path) -> None:
    shell = next(block.body for block in BLOCKS if block.page == "reading.md" and block.body.startswith("duckdb "))
    words = shlex.split(shell)
    assert words[:2] == ["duckdb", "-readonly"]
    with contextlib.closing(duckdb.connect(words[2], read_only=True)) as con:
        assert len(con.execute(words[words.index("-c") + 1]).fetchall()) == 3


def test_the_connection_string_for_business_intelligence(clone: Path) -> None:
    sa = pytest.importorskip("sqlalchemy")
    shown = re.findall(r"`(duckdb:///[^`]+)`", PAGES["reading.md"])
    assert len(shown) == 1
    engine = sa.create_engine(shown[0].replace("/absolute/path", str(Path.cwd())))
    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM conformed.contact")).fetchall()[0][0] > 0
        with pytest.raises(sa.exc.DBAPIError):
            connection.execute(sa.text("CREATE TABLE x (a INTEGER)"))
    engine.dispose()


def test_the_tables_listed_are_those_published(clone: Path) -> None:
    section = PAGES["reading.md"].split("## What is in it")[1].split("\n## ")[0]
    named = set(re.findall(r"^\| `(\w+)`", section, re.MULTILINE))
    with contextlib.closing(duckdb.connect(".sor/conformed.duckdb", read_only=True)) as con:
        there = {name for (name,) in con.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
    others = {"account", "deal", "employee", "subscription", "ticket", "interaction", "product_usage"}
    ends = ("", "_source", "_key", "_alias", "_history")
    assert named <= there
    assert there - named <= {f"{entity}{end}" for entity in others for end in ends}


# quick start


@pytest.fixture
def exports() -> Path:
    folder = HOUSE.parent / "shared" / "extracts"
    if not folder.exists():
        pytest.skip("no shared extracts here")
    return folder


def test_the_quick_start_works_as_written(exports: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    wanted = re.findall(
        r"^  (\w+)/(\w+\.csv)$",
        next(b.body for b in BLOCKS if b.kind == "text" and b.page == "quickstart.md"),
        re.MULTILINE,
    )
    assert len(wanted) == 5
    for tool, name in wanted:
        (tmp_path / "acme" / tool).mkdir(parents=True, exist_ok=True)
        (tmp_path / "acme" / tool / name).write_bytes((exports / tool / name).read_bytes())
    monkeypatch.chdir(tmp_path / "acme")
    for page, line in typed():
        if (
            (page, line) in WHOLE_LINES
            and page == "quickstart.md"
            and line.split()[1] in ("init", "check", "run", "status", "conflicts")
        ):
            done = CliRunner().invoke(cli.app, shlex.split(line)[1:])
            assert done.exit_code == 0, (line, done.output)
            if line == "sor check":
                shown = re.search(r"^\$ sor check\n(.+)$", PAGES[page], re.MULTILINE)
                assert shown
                assert shown[1] in done.output
    assert Path(".sor/conformed.duckdb").exists()


# every message is explained


@cache
def functions() -> list[tuple[Path, ast.AST]]:
    """Every node of the package's source, with its file."""
    files = sorted((HOUSE / "sor_pipeline").rglob("*.py"))
    return [(path, node) for path in files for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))]


def carriers() -> dict[str, int]:
    """Functions and records that are handed a code: name -> its position among the arguments of a call."""
    found = {"Fault": 0}
    for _, node in functions():
        if isinstance(node, ast.FunctionDef):
            names = [argument.arg for argument in node.args.args if argument.arg not in ("self", "cls")]
            if "code" in names:
                found[node.name] = names.index("code")
        elif isinstance(node, ast.ClassDef):
            parts = [
                one.target.id
                for one in node.body
                if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name)
            ]
            if "code" in parts:
                found[node.name] = parts.index("code")
    return found


def texts(node: ast.AST) -> Iterator[str]:
    """Every constant text that an expression may be: `"a" if x else "b"` is two."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from texts(node.body)
        yield from texts(node.orelse)


def raised() -> dict[str, str]:
    """Code of every fault that the package can word -> where."""
    codes: dict[str, str] = {}
    known = carriers()
    nouns: set[str] = set()
    for path, node in functions():
        if isinstance(node, ast.Assign) and any(isinstance(one, ast.Name) and one.id == "code" for one in node.targets):
            codes |= dict.fromkeys(texts(node.value), f"{path.name}:{node.lineno}")
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name in known:
            given = node.args[known[name] : known[name] + 1] + [k.value for k in node.keywords if k.arg == "code"]
            codes |= {text: f"{path.name}:{node.lineno}" for one in given for text in texts(one)}
        if name == "known" and node.args:
            nouns |= set(texts(node.args[0]))
    return codes | {f"unknown-{noun}": "notebook.py" for noun in nouns}


RAISED = set(raised())
EXPLAINED = re.findall(r"^\| `([a-z0-9-]+)` \|", PAGES.get("troubleshooting.md", ""), re.MULTILINE)


def test_codes_are_found_in_the_source() -> None:
    assert {"duplicate-header", "condition-type", "unknown-system", "yaml-syntax", "publication-blocked"} <= RAISED
    assert len(RAISED) > 100
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", code) for code in RAISED)


def test_every_message_is_explained() -> None:
    assert sorted(RAISED - set(EXPLAINED)) == []


def test_no_explanation_is_stale() -> None:
    assert sorted(set(EXPLAINED) - RAISED) == []
    assert len(EXPLAINED) == len(set(EXPLAINED))


# the manual as a site


def test_the_manual_can_be_rendered(tmp_path: Path) -> None:
    pytest.importorskip("material")
    from sor_pipeline.dictionary.manual import main

    main([str(DOCS), str(tmp_path / "site")])
    assert (tmp_path / "site" / "quickstart.html").exists()
    assert "Troubleshooting" in (tmp_path / "site" / "index.html").read_text(encoding="utf-8")
