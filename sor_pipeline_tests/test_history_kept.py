"""An edit of the document loses nothing that was published: the history keeps what it held."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from sor_pipeline.ownership.document import Ownership
from sor_pipeline_tests.flow_world import Site
from sor_pipeline_tests.test_regressions import document, rows, source


def made(*entities: str, **fields: dict[str, Any]) -> Ownership:
    kinds = {"contact": {"owner": "crm", "fields": fields}}
    sources = {"crm.contacts": source("contact", "contacts", *fields)}
    if "account" in entities:
        kinds["account"] = {"owner": "crm", "fields": {"name": {}}}
        sources["crm.accounts"] = source("account", "accounts", "name")
    return document(kinds, sources)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path, made("account", name={}, code={}))
    site.put("contacts", 0, *rows("id,name,code", "1,Ann,007", "2,Bob,B-2"))
    site.put("accounts", 0, *rows("id,name", "p,Acme"))
    site.run(0)
    return site


def columns(site: Site, table: str) -> list[str]:
    return [row[0] for row in site.query(f"SELECT column_name FROM duckdb_columns() WHERE table_name = '{table}'")]


def comment(site: Site, column: str, table: str = "contact_history") -> str:
    found = site.query(
        f"SELECT comment FROM duckdb_columns() WHERE table_name = '{table}' AND column_name = '{column}'"
    )
    return str(found[0][0])


def test_a_removed_field_stays_in_the_history(site: Site) -> None:
    site.document = made("account", name={})
    site.run(1)
    assert columns(site, "contact") == ["contact_id", "name"]
    assert "code_system" not in columns(site, "contact_source")
    assert site.query("SELECT name, code FROM conformed.contact_history ORDER BY name") == [
        ("Ann", "007"),
        ("Bob", "B-2"),
    ]
    assert comment(site, "code") == "no longer in the document since publication 2"


def test_what_is_kept_is_in_every_later_file(site: Site) -> None:
    """Whether the file is renewed row by row or written whole."""
    site.document = made("account", name={})
    site.run(1)
    site.put("contacts", 2, *rows("id,name,code", "1,Anna,x", "2,Bob,y"))
    site.run(2)
    renewed = site.everything()
    assert ("Ann", "007", False) in site.query(
        "SELECT name, code, to_publication IS NULL FROM conformed.contact_history"
    )
    assert ("Anna", None, True) in site.query(
        "SELECT name, code, to_publication IS NULL FROM conformed.contact_history"
    )
    site.settings.conformed.unlink()
    site.run(3)
    assert site.everything() == renewed
    assert comment(site, "code") == "no longer in the document since publication 2"


def test_a_field_that_comes_back_finds_what_it_was(site: Site) -> None:
    site.document = made("account", name={})
    site.run(1)
    site.document = made("account", name={}, code={})
    site.run(2)
    assert set(site.query("SELECT name, code FROM conformed.contact_history")) >= {("Ann", "007"), ("Bob", "B-2")}
    assert "no longer" not in comment(site, "code")
    site.document = made("account", name={})
    site.run(3)
    assert comment(site, "code") == "no longer in the document since publication 4"


def test_a_type_that_cannot_read_what_was_published_leaves_it_beside(site: Site) -> None:
    site.document = made("account", name={}, code={"type": "integer"})
    site.run(1)
    told = site.query(
        "SELECT name, code, code__was_text FROM conformed.contact_history WHERE from_publication = 1 ORDER BY name"
    )
    assert told == [("Ann", 7, "007"), ("Bob", None, "B-2")]
    assert comment(site, "code__was_text") == "code as it was published before publication 2 changed its type"
    assert "code__was_text" not in columns(site, "contact")
    site.document = made("account", name={}, code={})
    site.run(2)
    first = site.query("SELECT name, code FROM conformed.contact_history WHERE from_publication = 1 ORDER BY name")
    assert first == [("Ann", "007"), ("Bob", "B-2")]


def test_a_type_that_reads_everything_keeps_nothing_beside(site: Site) -> None:
    site.put("contacts", 1, *rows("id,name,code", "1,Ann,1", "2,Bob,2"))
    site.document = made("account", name={}, code={"type": "integer"})
    site.run(1)
    kept = [name for name in columns(site, "contact_history") if "__was_" in name]
    site.document = made("account", name={}, code={"type": "decimal", "scale": 2})
    site.run(2)
    assert kept == ["code__was_text"]
    assert [name for name in columns(site, "contact_history") if "__was_" in name] == kept
    assert Decimal("1.00") in [row[0] for row in site.query("SELECT code FROM conformed.contact_history")]


CASES = [
    ("date", "text", ["2026-01-02", ""], None),
    ("text", "date", ["2026-01-02", ""], None),
    ("text", "date", ["2026-01-02", "soon"], "soon"),
    ("timestamp", "date", ["2026-01-02T03:04:05Z", ""], "2026-01-02 03:04:05"),
    ("decimal", "integer", ["1.50", "2"], "1.50"),
    ("boolean", "integer", ["true", "false"], None),
]


def test_only_what_would_be_lost_is_kept(tmp_path: Path) -> None:
    site = Site(tmp_path, made(**{f"f{n}": {"type": case[0]} for n, case in enumerate(CASES)}))
    lines = [",".join([str(row), *(case[2][row] for case in CASES)]) for row in (0, 1)]
    site.put("contacts", 0, *rows(",".join(["id", *(f"f{n}" for n in range(len(CASES)))]), *lines))
    site.run(0)
    site.document = made(**{f"f{n}": {"type": case[1]} for n, case in enumerate(CASES)})
    site.run(1)
    beside = {name[:2]: name for name in columns(site, "contact_history") if "__was_" in name}
    assert set(beside) == {f"f{n}" for n, case in enumerate(CASES) if case[3]}
    for n, case in enumerate(CASES):
        if case[3]:
            told = site.query(f"SELECT {beside[f'f{n}']} FROM conformed.contact_history")
            assert case[3] in [str(row[0]) for row in told]


def test_the_history_of_a_removed_entity_stays(site: Site) -> None:
    site.document = made(name={}, code={})
    site.run(1)
    tables = {row[0] for row in site.query("SELECT table_name FROM duckdb_tables() WHERE database_name = 'conformed'")}
    assert "account" not in tables
    assert site.query("SELECT name FROM conformed.account_history") == [("Acme",)]
    site.put("contacts", 2, *rows("id,name,code", "1,Anna,007", "2,Bob,B-2"))
    site.run(2)
    assert site.query("SELECT name FROM conformed.account_history") == [("Acme",)]
    about = "SELECT comment FROM duckdb_tables() WHERE table_name = 'account_history'"
    assert site.query(about) == [("no longer in the document since publication 2",)]
    site.document = made("account", name={}, code={})
    site.run(3)
    assert {row[0] for row in site.query("SELECT name FROM conformed.account_history")} == {"Acme"}
    assert "no longer" not in site.query(about)[0][0]
    site.document = made(name={}, code={})
    site.run(4)
    assert site.query(about) == [("no longer in the document since publication 5",)]


def test_nothing_is_kept_twice_by_opening_again(site: Site) -> None:
    site.document = made("account", name={}, code={"type": "date"})
    for day in (1, 2, 3):
        site.run(day)
    with duckdb.connect(str(site.settings.home / "warehouse.duckdb"), read_only=True) as connection:
        names = [row[0] for row in connection.execute("DESCRIBE conformed.contact_history").fetchall()]
    assert sorted(name for name in names if name.startswith("code")) == ["code", "code__was_text"]
