"""A backup as deploy/README.md makes it, between two runs, and put back elsewhere: it goes on as the original does."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sqlalchemy as sa

from sor_pipeline_tests.postgres_server import OwnServer, PostgresServer
from sor_pipeline_tests.test_cli import DOCUMENT, Answer, sor

HEADER = "id,email,city\n"
TABLES = ("contact", "contact_source", "contact_key", "change", "conflict", "correction")


class Place:
    """A document, its extracts and its state folder, below one folder."""

    def __init__(self, folder: Path, warehouse: str | None) -> None:
        self.folder, self.warehouse = folder, warehouse

    def sor(self, patch: pytest.MonkeyPatch, *words: str) -> Answer:
        with patch.context() as environment:
            if self.warehouse:
                environment.setenv("SOR_WAREHOUSE_URL", self.warehouse)
            return sor(*words, "--ownership", self.folder / "ownership.yaml", "--home", self.folder / ".sor")

    def put(self, day: int, crm: str, desk: str) -> None:
        for system, rows in (("crm", crm), ("desk", desk)):
            (self.folder / system).mkdir(exist_ok=True)
            (self.folder / system / f"2026-03-0{day}.csv").write_text(HEADER + rows, encoding="utf-8")

    def published(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every row of the tables that people read."""
        told: dict[str, list[tuple[Any, ...]]] = {}
        for table in TABLES:
            query = f"SELECT * FROM conformed.{table}"
            if self.warehouse:
                engine = sa.create_engine(self.warehouse, poolclass=sa.pool.NullPool)
                with engine.connect() as connection:
                    rows = [tuple(row) for row in connection.exec_driver_sql(query).fetchall()]
            else:
                with duckdb.connect(str(self.folder / ".sor/conformed.duckdb"), read_only=True) as file:
                    rows = file.sql(query).fetchall()
            told[table] = sorted(rows, key=repr)
        return told


def dumped(server: PostgresServer, one: str, other: str, file: Path) -> None:
    """The words of deploy/README.md, between two databases of the same server."""
    if not isinstance(server, OwnServer):
        pytest.skip("pg_dump of a server that is not ours")
    plain = [sa.make_url(url).set(drivername="postgresql").render_as_string(False) for url in (one, other)]
    for words in (
        [server.binary("pg_dump"), "--format=custom", "--file", file, plain[0]],
        [server.binary("pg_restore"), "--exit-on-error", "--dbname", plain[1], file],
    ):
        subprocess.run(words, check=True, capture_output=True)


@pytest.mark.parametrize("kind", ["duckdb", "postgresql"])
def test_what_is_restored_goes_on_as_if_nothing_had_been(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    new: Callable[[], str | None] = request.getfixturevalue("fresh_database") if kind == "postgresql" else lambda: None
    place = Place(tmp_path / "here", new())
    place.folder.mkdir()
    (place.folder / "ownership.yaml").write_text(
        DOCUMENT.replace(", severity: {required: block}", ""), encoding="utf-8"
    )
    place.put(1, "1,ann@x.example,Oslo\n2,bo@x.example,Bern\n", "u1,ann@x.example,Rome\nu2,bob@x.example,Bonn\n")
    day = ("run", "--json", "--as-of")
    assert place.sor(monkeypatch, *day, "2026-03-01T01:00:00").code == 0
    assert place.sor(monkeypatch, "link", "crm.contacts:2", "desk.users:u2", "--reason", "same person").code == 0

    other = Place(tmp_path / "there", new())
    if place.warehouse and other.warehouse:
        dumped(request.getfixturevalue("postgres"), place.warehouse, other.warehouse, tmp_path / "sor.dump")
    shutil.copytree(place.folder, other.folder)
    shown = ("status", "--json")
    assert other.sor(monkeypatch, *shown).data == place.sor(monkeypatch, *shown).data

    for one in (place, other):
        one.put(2, "1,ann@x.example,Oslo\n2,bo@x.example,Basel\n", "u1,ann@x.example,Rome\nu2,bob@x.example,Bonn\n")
        answer = one.sor(monkeypatch, *day, "2026-03-02T01:00:00")
        assert (answer.code, answer.data["state"]) == (0, "published"), answer.err
        decided = one.sor(monkeypatch, "decisions", "--json").data
        assert [decision["reason"] for decision in decided] == ["same person"]
    assert other.published() == place.published()
    assert len(place.published()["contact"]) == 2
