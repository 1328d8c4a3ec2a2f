"""Every command and reader on a PostgreSQL warehouse says what it says on the files: the same state, asked twice."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sqlalchemy as sa

from sor_pipeline.access import grants
from sor_pipeline.engine import renewal
from sor_pipeline.errors import EngineError, MartsFailed, SettingsError
from sor_pipeline.flow import emptied, opened, reading
from sor_pipeline.observe.marts import build as marts
from sor_pipeline.observe.marts import server
from sor_pipeline.ownership.lint import load_checked
from sor_pipeline.run import Run
from sor_pipeline.settings import Settings
from sor_pipeline.tables import MARTS, MARTS_BUILDING
from sor_pipeline.terminal.demo import FOLDER
from sor_pipeline_tests.postgres_server import PostgresServer
from sor_pipeline_tests.test_cli import Answer, sor

DOCS = Path(__file__).parents[1] / "docs"
CLOCK = re.compile(r'"(at|started_at|ended_at|since)": "(?!2026-03)[^"]+"')


@dataclass(frozen=True)
class Side:
    """One warehouse and its state folder."""

    home: Path
    url: str

    @property
    def settings(self) -> Settings:
        document = self.home / FOLDER / "ownership.yaml"
        read = Settings.read({}, ownership=document, home=self.home)
        return replace(read, warehouse_url=self.url) if self.url else read

    def sor(self, *words: str | Path) -> Answer:
        """What the command says, its folder and the clock left out."""
        told = [str(word).replace("{side}", self.home.name) for word in words]
        with pytest.MonkeyPatch.context() as patch:
            for name in ("SOR_OWNERSHIP", "SOR_HOME", "SOR_EXTRACTS", "SOR_WAREHOUSE_URL"):
                patch.delenv(name, raising=False)
            if self.url:
                patch.setenv("SOR_WAREHOUSE_URL", self.url)
            patch.setenv("COLUMNS", "100")
            patch.chdir(self.home)
            answer = sor("--home", self.home, "--ownership", self.settings.ownership, *told)
        texts = [one.replace(str(self.home), "HOME") for one in (answer.out, answer.err)]
        said = [CLOCK.sub(r'"\1": "-"', text.replace(f"../{self.home.name}.", "../HOME.")) for text in texts]
        return Answer(answer.code, *said)

    @contextmanager
    def tables(self) -> Iterator[sa.Connection]:
        engine = sa.create_engine(self.url)
        try:
            with engine.connect() as connection:
                yield connection
        finally:
            engine.dispose()

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        with self.tables() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(sql)]

    def tell(self, *statements: str) -> None:
        with self.tables() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)
            connection.commit()


@dataclass(frozen=True)
class Twins:
    """The same state as files and on a server."""

    files: Side
    server: Side

    def same(self, *words: str | Path, code: int = 0) -> Answer:
        """Asked of both, with the same answer."""
        first, second = self.files.sor(*words), self.server.sor(*words)
        assert (second.code, second.err) == (first.code, first.err)
        assert second.out == first.out
        assert second.code == code, second.err
        return second


@pytest.fixture(scope="module")
def twins(played: Path, postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twins]:
    """The played demo, and every row of it in a database."""
    folder = tmp_path_factory.mktemp("twins")
    with postgres.database() as url:
        made = Twins(Side(folder / "files", ""), Side(folder / "server", url))
        for side in (made.files, made.server):
            shutil.copytree(played, side.home)
        for file in ("warehouse.duckdb", "conformed.duckdb"):
            (made.server.home / file).unlink()
        ownership = load_checked(made.files.settings.ownership)
        with reading(ownership, made.files.settings) as one, opened(ownership, made.server.settings) as other:
            for name, table in one.tables.metadata.tables.items():
                if name != other.tables.lease.fullname:
                    _copy(one, other, table, other.tables.metadata.tables[name])
        yield made


def _copy(one: Run, other: Run, table: sa.Table, target: sa.Table) -> None:
    with one.engine.begin() as connection:
        rows = one.engine.fetch(connection, sa.select(table))
    with other.engine.begin() as connection:
        connection.execute(sa.delete(target))
        if rows.num_rows:
            held = other.engine.scan_arrow(connection, "copied", rows)
            names = list(target.columns.keys())
            connection.execute(sa.insert(target).from_select(names, sa.select(*(held.c[name] for name in names))))


@pytest.fixture(scope="module")
def changing(twins: Twins, postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Twins]:
    """A copy of both, for what decides and runs."""
    folder = tmp_path_factory.mktemp("changing")
    with postgres.database(template=twins.server.url) as url:
        made = Twins(Side(folder / "files", ""), Side(folder / "server", url))
        shutil.copytree(twins.files.home, made.files.home)
        shutil.copytree(twins.server.home, made.server.home)
        yield made


@pytest.fixture(scope="module")
def someone(twins: Twins) -> dict[str, Any]:
    """A contact about whom systems disagree."""
    found: dict[str, Any] = twins.files.sor("conflicts", "--entity", "contact", "--json").data[0]
    return found


# --- whoever only looks ---------------------------------------------------------------------------

LOOKS = (
    "version", "check --json", "status --json", "conflicts --json", "conflicts --entity contact --limit 500 --json",
    "conflicts --field email", "corrections --json", "corrections hubspot", "suggest --json", "suggest --entity account",
    "decisions --all --json", "cases --json", "cases --kind held", "override list --all --json", "target list --json",
    "deliver --plan --json", "review --limit 5 --json",
)  # fmt: skip


@pytest.mark.parametrize("words", LOOKS)
def test_who_looks_sees_the_same(twins: Twins, words: str) -> None:
    assert twins.same(*words.split()).out


def test_status_names_the_place_to_read(twins: Twins) -> None:
    said = " ".join(twins.server.sor("status").out.split())
    assert "Read it in schema conformed of the database" in said
    assert "conformed.duckdb" not in said


def test_why_a_cell_is_so(twins: Twins, someone: dict[str, Any]) -> None:
    id_, key = someone["entity_id"], someone["source_key"]
    for words in ((id_,), (key,), (id_, someone["field"]), (id_, someone["field"], "--json")):
        assert twins.same("why", "contact", *words).out
    twins.same("why", "contact", "nobody", code=1)


def test_why_records_are_linked(twins: Twins) -> None:
    with duckdb.connect(str(twins.files.home / "conformed.duckdb"), read_only=True) as con:
        found = "SELECT list(source || ':' || source_key ORDER BY ALL) FROM contact_key GROUP BY contact_id"
        records = con.execute(f"{found} HAVING count(*) > 2 ORDER BY contact_id LIMIT 1").fetchall()[0][0]
    for words in (records[:1], [records[0], records[-1]], [records[0], records[-1], "--json"]):
        assert twins.same("why-linked", *words).out


@pytest.mark.parametrize("words", ["as-of 1999-01-01", "as-of soon", "case zzzz", "withdraw 99 --reason x",
                                   "override end 9 --reason x", "accept shrink:hubspot.contacts:zz --reason x"])  # fmt: skip
def test_what_does_not_exist_is_said_alike(twins: Twins, words: str) -> None:
    assert "[" in twins.same(*words.split(), code=1).err


def test_the_scorecard_is_the_same_page(twins: Twins) -> None:
    twins.same("report", "--json")
    pages = [(side.home / "reports" / "scorecard.html").read_text() for side in (twins.files, twins.server)]
    told, queries = zip(*(page.split('<section id="queries">') for page in pages), strict=True)
    assert told[0] == told[1]
    assert queries[0].count("<pre") == queries[1].count("<pre")
    assert "conformed.duckdb" not in pages[1]


def test_the_past_is_a_file_of_the_same_rows(twins: Twins) -> None:
    for asked in ("2", "2026-03-03"):
        twins.same("as-of", asked, "-o", "../{side}.duckdb", "--force", "--json")
        with duckdb.connect() as con:
            con.execute(f"ATTACH '{twins.files.home}.duckdb' AS a (READ_ONLY)")
            con.execute(f"ATTACH '{twins.server.home}.duckdb' AS b (READ_ONLY)")
            names = [
                row[0]
                for row in con.execute("SELECT table_name FROM duckdb_tables() WHERE database_name = 'a'").fetchall()
            ]
            assert "contact" in names
            for name in names:
                assert _difference(con, f"a.{name}", f"b.{name}") == 0, name


def test_an_export_is_the_same_parquet(twins: Twins) -> None:
    twins.same("export", "parquet", "--json")
    files = sorted(path.name for path in (twins.files.home / "parquet").glob("*.parquet"))
    assert files == sorted(path.name for path in (twins.server.home / "parquet").glob("*.parquet"))
    with duckdb.connect() as con:
        for name in files:
            a, b = (f"read_parquet('{side.home}/parquet/{name}')" for side in (twins.files, twins.server))
            assert con.execute(f"DESCRIBE FROM {a}").fetchall() == con.execute(f"DESCRIBE FROM {b}").fetchall(), name
            assert _difference(con, a, b) == 0, name


def _difference(con: duckdb.DuckDBPyConnection, a: str, b: str) -> Any:
    rows = f"(FROM {a} EXCEPT ALL FROM {b}) UNION ALL (FROM {b} EXCEPT ALL FROM {a})"
    return con.execute(f"SELECT count(*) FROM ({rows})").fetchall()[0][0]


def test_the_dictionary_is_written(twins: Twins) -> None:
    pytest.importorskip("material")
    twins.same("docs", "-o", "dictionary", "--json")


def test_grants_are_for_servers(twins: Twins) -> None:
    assert twins.files.sor("grants").code == 2
    assert "CREATE ROLE" in twins.server.sor("grants", "--prefix", "looked_at_").out
    assert twins.server.sor("grants", "--check", "--prefix", "looked_at_").code == 1


# --- whoever decides ------------------------------------------------------------------------------


def test_decisions_overrides_and_cases_are_taken_and_the_next_run_obeys(
    changing: Twins, someone: dict[str, Any]
) -> None:
    same, id_ = changing.same, someone["entity_id"]
    keys = same("why", "contact", id_, "--json").out
    assert keys
    with duckdb.connect(str(changing.files.home / "conformed.duckdb"), read_only=True) as con:
        listed = "SELECT source || ':' || source_key, contact_id FROM contact_key ORDER BY contact_id, 1"
        records = con.execute(listed).fetchall()
        held = "SELECT contact_id FROM contact_key GROUP BY 1 HAVING count(*) > 2 ORDER BY 1 LIMIT 1"
        cluster = con.execute(held).fetchall()[0][0]
    mine = [record for record, of in records if of == cluster]
    other = next(record for record, of in records if of != cluster and record.startswith("mailchimp"))
    by = ("--by", "ann", "--json")
    same("link", mine[0], other, "--reason", "the same", *by)
    same("unlink", mine[0], mine[-1], "--reason", "another", *by)
    same("withdraw", "1", "--reason", "in error", *by)
    same("link", mine[0], "hubspot.contacts:none", "--reason", "x", *by, code=1)
    same("decisions", "--all", "--json")
    same("override", "set", "contact", id_, "job_title", "Chief", "--until", "date:2030-01-01", "--reason", "said", *by)
    same("override", "set", "contact", id_, "phone", "no", "--until", "verified", "--reason", "said", *by, code=1)
    same("override", "set", "contact", id_, "stage", "--clear", "--until", "owner_changes", "--reason", "said", *by)
    same("override", "end", "2", "--reason", "settled", *by)
    assert len(same("override", "list", "--all", "--json").data["overrides"]) == 2
    case = same("cases", "--json").data[0]["case_id"]
    same("case", case, "assign", "bob", "--reason", "his", *by)
    same("case", case, "comment", "looked at", *by)
    same("case", case, "close", "--reason", "settled", *by)
    events = same("case", case, "--json").data["events"]
    assert [event["kind"] for event in events[-3:]] == ["assign", "comment", "close"]
    for side in (changing.files, changing.server):
        ran = side.sor("run", "--as-of", "2026-03-20T01:00:00")
        assert ran.code == 0, ran.err
    assert "schema conformed of the database" in " ".join(ran.out.split())
    why = same("why", "contact", id_, "job_title", "--json")
    assert '"decision"' in why.out
    same("conflicts", "--limit", "1000", "--json")
    same("corrections", "--limit", "1000", "--json")


def test_a_model_learned_on_either_is_the_same(changing: Twins, tmp_path: Path) -> None:
    for side in (changing.files, changing.server):
        text = side.settings.ownership.read_text()
        ruled = re.sub(
            r"(  contact:\n(?:.*\n)*?    match:\n)", r"\1      - similar: [full_name, email, phone]\n", text, count=1
        )
        assert ruled != text
        side.settings.ownership.write_text(ruled)
    trained = changing.same("match", "train", "contact", "--json")
    assert trained.data
    truth = changing.files.home / "truth.csv"
    with duckdb.connect(str(changing.files.home / "conformed.duckdb"), read_only=True) as con:
        rows = "SELECT source, source_key AS key, contact_id AS cluster FROM contact_key"
        con.execute(f"COPY ({rows}) TO '{truth}' (HEADER)")
    scores = changing.same("match", "score", "--truth", truth, "--json").data
    assert scores


# --- marts ----------------------------------------------------------------------------------------

needs_dbt = pytest.mark.skipif(not marts.installed(adapter="postgres"), reason="dbt is not installed")


def hands(side: Side) -> Run:
    return marts.hands(load_checked(side.settings.ownership), side.settings)


@needs_dbt
def test_the_marts_hold_what_they_hold_on_files(twins: Twins, postgres: PostgresServer) -> None:
    """All models and tests, as a user with a password, of which nothing is written down."""
    secret = "s3cret_of_the_marts"
    name = f"builder_{os.getpid()}"
    postgres.tell(f"CREATE ROLE {name} SUPERUSER LOGIN PASSWORD '{secret}'")
    try:
        url = sa.make_url(twins.server.url).set(username=name, password=secret)
        side = replace(twins.server, url=url.render_as_string(hide_password=False))
        built = side.sor("marts", "--json")
    finally:
        twins.server.tell(f"REASSIGN OWNED BY {name} TO CURRENT_USER")
        postgres.tell(f"DROP ROLE {name}")
    assert built.code == 0, built.err
    on_files = twins.files.sor("marts", "--json")
    assert built.data["results"] == on_files.data["results"]
    assert built.data["results"]["model"] == {"success": 20}
    written = [path for path in side.home.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
    assert written == []
    assert twins.server.ask("SELECT nspname FROM pg_namespace WHERE nspname ~ '^marts'") == [("marts",)]
    with duckdb.connect(str(twins.files.home / "marts.duckdb"), read_only=True) as con:
        names = [row[0] for row in con.execute("SELECT table_name FROM duckdb_tables() ORDER BY 1").fetchall()]
        listed = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'marts' ORDER BY 1"
        assert [row[0] for row in twins.server.ask(listed)] == names
        for table in names:
            here = con.execute(f'SELECT * FROM "{table}"').fetchall()
            there = twins.server.ask(f'SELECT * FROM marts."{table}"')
            assert _told(here) == _told(there), table
    comment = "SELECT col_description('marts.dim_contact'::regclass, 1), obj_description('marts.dim_contact'::regclass)"
    assert all(twins.server.ask(comment)[0])


def _told(rows: list[tuple[Any, ...]]) -> list[str]:
    """Rows in an order of their own; 0 and 0.00 are one number."""
    return sorted(str([str(cell.normalize() if isinstance(cell, Decimal) else cell) for cell in row]) for row in rows)


OVERTAKING = (
    "UPDATE conformed.publication SET publication = publication + 1 "
    "WHERE publication = (SELECT max(publication) FROM conformed.publication)",
    "UPDATE conformed.correction SET state = 'refused' WHERE ctid = (SELECT min(ctid) FROM conformed.correction)",
)
"""What a run does in the middle of a build."""


def _beside(run: Run, rows: int, *, afresh: bool = False, part: bool = False, more: str = "") -> None:
    """A build without dbt: two tables, made as dbt would."""
    with server.beside(run, afresh=afresh, part=part, wait=0), run.engine.begin() as connection:
        for statement in (
            f"CREATE TABLE IF NOT EXISTS marts_building.a AS SELECT i AS id, 'x' || i AS t FROM generate_series(1, {rows}) i",
            f"CREATE TABLE IF NOT EXISTS marts_building.b AS SELECT {rows} AS rows, 1.5::float8 AS old, NULL::date AS new",
            more,
        ):
            if statement:
                connection.exec_driver_sql(statement)


@pytest.fixture
def side(twins: Twins, postgres: PostgresServer) -> Iterator[Side]:
    """The server's side alone, in a database of the test's own, without marts."""
    with postgres.database(template=twins.server.url) as url:
        made = Side(twins.server.home, url)
        made.tell("DROP SCHEMA IF EXISTS marts CASCADE", "DROP SCHEMA IF EXISTS marts_building CASCADE")
        yield made


def test_a_build_changes_rows_and_keeps_tables_rights_and_readers(side: Side) -> None:
    run = hands(side)
    _beside(run, 3)
    reader = f"reader_{os.getpid()}"
    side.tell(
        f"CREATE ROLE {reader}", f"GRANT USAGE ON SCHEMA marts TO {reader}", f"GRANT SELECT ON marts.a TO {reader}"
    )
    try:
        before = side.ask("SELECT 'marts.a'::regclass::oid")
        with side.tables() as old:
            old.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            assert old.exec_driver_sql("SELECT count(*) FROM marts.a").scalar_one() == 3
            side.tell("UPDATE marts.a SET t = 'spoilt' WHERE id = 2")
            _beside(run, 5)
            assert old.exec_driver_sql("SELECT count(*) FROM marts.a").scalar_one() == 3
            assert old.exec_driver_sql("SELECT rows FROM marts.b").scalar_one() == 3
        assert side.ask("SELECT * FROM marts.a ORDER BY id") == [(i, f"x{i}") for i in range(1, 6)]
        assert side.ask("SELECT rows FROM marts.b") == [(5,)]
        assert side.ask("SELECT 'marts.a'::regclass::oid") == before
        assert side.ask(f"SELECT has_table_privilege('{reader}', 'marts.a', 'SELECT')") == [(True,)]
        _beside(run, 5, afresh=True)
        assert side.ask("SELECT 'marts.a'::regclass::oid") != before
    finally:
        side.tell(f"DROP OWNED BY {reader}", f"DROP ROLE {reader}")


def test_another_shape_rows_twice_and_models_that_are_gone(side: Side) -> None:
    run = hands(side)
    _beside(run, 2, more="CREATE TABLE marts_building.c AS SELECT 1 AS one")
    side.tell("CREATE TABLE marts.mine AS SELECT 1 AS one")
    _beside(
        run,
        2,
        more="ALTER TABLE marts_building.a ADD COLUMN u date; INSERT INTO marts_building.b SELECT * FROM marts_building.b",
    )
    listed = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'marts' ORDER BY 1"
    assert side.ask(listed) == [("a",), ("b",), ("mine",)]
    assert side.ask("SELECT count(u), count(*) FROM marts.a") == [(0, 2)]
    assert side.ask("SELECT rows FROM marts.b") == [(2,), (2,)]
    with pytest.raises(EngineError) as raised:
        _beside(run, 2, more="CREATE TABLE marts_building.mine AS SELECT 2 AS one")
    assert raised.value.faults[0].code == "table-not-ours"
    assert side.ask("SELECT one FROM marts.mine") == [(1,)]
    with run.engine.begin() as connection:
        renewal.withdrawn(connection, MARTS)
    assert side.ask(listed) == [("mine",)]


def test_a_part_is_built_of_the_rest_as_it_was(side: Side) -> None:
    run = hands(side)
    _beside(run, 4)
    _beside(run, 9, part=True, more="DELETE FROM marts_building.a WHERE id > 2")
    assert side.ask("SELECT count(*) FROM marts.a") == [(2,)]
    assert side.ask("SELECT rows FROM marts.b") == [(4,)]


def test_what_goes_wrong_leaves_the_last_marts(side: Side) -> None:
    run = hands(side)
    _beside(run, 3)
    with pytest.raises(RuntimeError), server.beside(run, afresh=False, part=False, wait=0):
        raise RuntimeError
    with pytest.raises(MartsFailed) as busy, server.beside(run, afresh=False, part=False, wait=0):
        _beside(hands(side), 1)
    for overtaking in OVERTAKING:
        with pytest.raises(MartsFailed) as late, server.beside(run, afresh=False, part=False, wait=0):
            side.tell(overtaking)
        assert late.value.faults[0].code == "marts-overtaken"
    assert busy.value.faults[0].code == "marts-in-progress"
    assert side.ask("SELECT count(*) FROM marts.a") == [(3,)]


def test_a_publication_in_between_is_built_again(side: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[int] = []

    def overtaken(run: Run, **_: bool) -> marts.Built:
        tries.append(1)
        with server.beside(run, afresh=False, part=False, wait=0):
            if len(tries) < 3:
                side.tell(OVERTAKING[0])
        return marts.Built({}, (), False, None)

    monkeypatch.setattr(marts, "_built", overtaken)
    assert marts.build(hands(side)).file is None
    assert len(tries) == 3


def test_nothing_published_and_the_connection_dbt_is_told(side: Side, postgres_url: str) -> None:
    empty = hands(replace(side, url=postgres_url))
    with pytest.raises(SettingsError) as raised, marts.building(empty, empty.settings.dbt, ""):
        pass
    assert raised.value.faults[0].code == "nothing-to-build-of"
    told = server.environment(sa.make_url("postgresql+psycopg://u:p%40ss@db:6543/w?sslmode=require"))
    assert {key: told[key] for key in ("PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGDATABASE", "PGSSLMODE")} == {
        "PGHOST": "db", "PGPORT": "6543", "PGUSER": "u", "PGPASSWORD": "p@ss", "PGDATABASE": "w", "PGSSLMODE": "require",
    }  # fmt: skip
    socket = server.environment(sa.make_url("postgresql+psycopg://u@/w?host=/run/pg"))
    assert socket["PGHOST"] == "/run/pg"
    assert "PGPASSWORD" not in socket


def test_an_analyst_reads_new_marts_too(side: Side) -> None:
    """Rights of managed roles follow tables that a build makes anew."""
    run = hands(side)
    _beside(run, 3)
    manifest = {
        "nodes": {
            "m": {
                "resource_type": "model",
                "name": "a",
                "columns": {"id": {"meta": {}}, "t": {"meta": {"personal": True}}},
            }
        }
    }
    target = side.home / "dbt" / "target"
    kept = target.with_name("target_kept")
    if target.exists():
        target.rename(kept)
    target.mkdir(parents=True)
    (target / "manifest.json").write_text(json.dumps(manifest))
    prefix = f"m{os.getpid()}_"
    try:
        assert side.sor("grants", "--apply", "--prefix", prefix).code == 0
        _beside(run, 3, afresh=True)
        may = f"SELECT has_column_privilege('{prefix}analyst', 'marts.a', 'id', 'SELECT'), has_column_privilege('{prefix}analyst', 'marts.a', 't', 'SELECT')"
        assert side.ask(may) == [(False, False)]
        grants.follow(run, lambda _: None)
        assert side.ask(may) == [(True, False)]
        assert side.sor("grants", "--check", "--prefix", prefix).code == 0
    finally:
        shutil.rmtree(target)
        if kept.exists():
            kept.rename(target)
        for (role,) in side.ask(f"SELECT rolname FROM pg_roles WHERE starts_with(rolname, '{prefix}')"):
            side.tell(f"REASSIGN OWNED BY {role} TO CURRENT_USER", f"DROP OWNED BY {role}", f"DROP ROLE {role}")


def test_emptying_takes_the_marts_along(side: Side, tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(side.home / FOLDER, home / FOLDER)
    alone = Side(home, side.url)
    _beside(hands(alone), 3)
    side.tell("CREATE TABLE marts.mine AS SELECT 1 AS one")
    emptied(load_checked(alone.settings.ownership), alone.settings)
    assert side.ask("SELECT table_name FROM information_schema.tables WHERE table_schema ~ '^marts'") == [("mine",)]
    assert side.ask(f"SELECT to_regnamespace('conformed'), to_regnamespace('{MARTS_BUILDING}')") == [(None, None)]


# --- an analyst's own tools -----------------------------------------------------------------------


def blocks(kind: str) -> list[str]:
    return re.findall(
        rf"^```{kind}\n(.*?)^```", (DOCS / "postgresql.md").read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )


@pytest.mark.skipif(shutil.which("psql") is None, reason="psql is not installed")
def test_psql_shows_tables_comments_and_rows(twins: Twins) -> None:
    url = sa.make_url(twins.server.url).set(drivername="postgresql").render_as_string(hide_password=False)

    def psql(*commands: str) -> str:
        told = [word for command in commands for word in ("-c", command)]
        done = subprocess.run(
            ["psql", "-X", "-A", "-v", "ON_ERROR_STOP=1", url, *told], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    shown = psql(r"\d+ conformed.contact")
    assert "stable id" in shown
    assert "e-mail" in shown or "email" in shown
    assert "contact_history" in psql(r"\dt conformed.*")
    queries = [query for query in blocks("sql") if "conformed." in query or "marts." in query]
    assert queries
    for query in queries:
        if "marts." not in query:
            assert "(0 rows)" not in psql(query), query


@pytest.mark.parametrize("number", range(len(blocks("python"))))
def test_every_snippet_of_the_page_runs(twins: Twins, number: int) -> None:
    snippet = blocks("python")[number]
    for library in re.findall(r"^import (\w+)", snippet, re.MULTILINE):
        pytest.importorskip(library)
    address = "postgresql+psycopg://ann:password@db.example:5432/sor"
    assert address in snippet
    names: dict[str, Any] = {}
    exec(compile(snippet.replace(address, twins.server.url), "postgresql.md", "exec"), names)
    made = [value for value in names.values() if hasattr(value, "shape")]
    assert made
    assert all(value.shape[0] for value in made)
    names["engine"].dispose()
