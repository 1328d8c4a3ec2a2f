"""Roles on a real server: each connects and tries; what is personal is read by nobody who is not to read it."""

from __future__ import annotations

import csv
import dataclasses
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import yaml
from typer.testing import CliRunner, Result

from sor_pipeline import cli
from sor_pipeline.access import grants
from sor_pipeline.access.holding import READ, Holds, held, open_sources
from sor_pipeline.access.masks import masks
from sor_pipeline.access.roles import ROLES
from sor_pipeline.engine import postgres_access
from sor_pipeline.engine.open import open_engine
from sor_pipeline.errors import EngineError, SettingsError
from sor_pipeline.flow import STEPS, pass_through
from sor_pipeline.opening import opened
from sor_pipeline.ownership.document import Ownership
from sor_pipeline.publish import step
from sor_pipeline.run import Run
from sor_pipeline.settings import Settings
from sor_pipeline.tables import Tables
from sor_pipeline_tests.flow_world import FIRST
from sor_pipeline_tests.postgres_server import PostgresServer

SECRETS = (
    "ann@x.example",
    "ann2@x.example",
    "bob@x.example",
    "Ann Archer",
    "Ann Baker",
    "Bob Carter",
    "Bob Cutter",
    "+4930",
)
"""Values of personal fields, or the beginnings of them."""
QUICK = tuple(step for step in STEPS if step.name not in ("check", "deliver", "steward"))


def document(**changes: Any) -> Ownership:
    fields: dict[str, Any] = {
        "email": {"type": "email", "personal": True},
        "name": {"type": "name", "personal": True},
        "country": {"type": "country"},
        "stage": {"type": "choice", "of": ["lead", "customer"]},
    }
    fields.update(changes)
    return Ownership.model_validate(
        {
            "title": "grants",
            "systems": {"crm": {}, "mail": {}},
            "entities": {
                "contact": {"owner": "crm", "match": [{"same": ["email"]}], "max_churn": 1, "fields": {k: v for k, v in fields.items() if v}},
            },
            "sources": {
                "crm.contacts": {
                    "entity": "contact", "key": "id", "fields": {k: k for k, v in fields.items() if v},
                    "extract": {"files": "contacts-*.csv", "max_shrink": 1}, "accepts": ["email"],
                },
                "mail.members": {
                    "entity": "contact", "key": "email", "fields": {"email": "email", "name": "name", "country": "country"},
                    "extract": {"files": "members-*.csv", "max_shrink": 1}, "accepts": ["name", "country"],
                },
            },
        }
    )  # fmt: skip


DOCUMENT = document()


class Place:
    """One database on the server, with a state folder, and people who log in."""

    def __init__(self, server: PostgresServer, url: str, folder: Path, prefix: str) -> None:
        self.server, self.url, self.prefix = server, sa.make_url(url), prefix
        self.settings = Settings.read(
            {"SOR_WAREHOUSE_URL": url}, ownership=folder / "ownership.yaml", home=folder / "home", extracts=folder
        )
        self.people: list[str] = []

    def put(self, day: int, stream: str, rows: list[dict[str, str]]) -> None:
        name = f"{stream}-{(FIRST + timedelta(days=day)).date()}.csv"
        with (self.settings.extracts / name).open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)

    def run(self, day: int = 5, doc: Ownership = DOCUMENT, who: str | None = None, told: Any = None) -> str:
        url = self.url.set(username=who) if who else self.url
        settings = dataclasses.replace(self.settings, warehouse_url=url.render_as_string(hide_password=False))
        with opened(doc, settings, FIRST + timedelta(days=day), notice=told) as hands:
            return pass_through(hands, QUICK).state

    @contextmanager
    def hands(self, doc: Ownership = DOCUMENT) -> Iterator[tuple[Run, sa.Connection]]:
        with opened(doc, self.settings, FIRST) as run, run.engine.begin() as connection:
            yield run, connection

    def apply(self, doc: Ownership = DOCUMENT) -> list[str]:
        with self.hands(doc) as (run, connection):
            return [statement.text for statement in grants.apply(run, connection, self.prefix)]

    def person(self, *roles: str, name: str = "") -> str:
        """Somebody who logs in, put into roles."""
        who = name or f"{self.prefix}person_{len(self.people)}"
        self.people.append(who)
        self.tell(f'CREATE ROLE "{who}" LOGIN')
        for role in roles:
            self.tell(f'GRANT "{self.prefix}{role}" TO "{who}"')
        return who

    def tell(self, *statements: str, who: str | None = None) -> None:
        with self.connected(who) as connection:
            for statement in statements:
                connection.exec_driver_sql(statement, execution_options={"no_parameters": True})

    def ask(self, sql: str, who: str | None = None) -> list[tuple[Any, ...]]:
        with self.connected(who) as connection:
            return [tuple(row) for row in connection.exec_driver_sql(sql, execution_options={"no_parameters": True})]

    @contextmanager
    def connected(self, who: str | None = None) -> Iterator[sa.Connection]:
        url = self.url if who is None else self.url.set(username=who)
        engine = sa.create_engine(url, poolclass=sa.pool.NullPool)
        with engine.begin() as connection:
            yield connection

    def refused(self, who: str, *statements: str) -> None:
        """Each of the statements is denied."""
        with self.connected(who) as connection:
            for sql in statements:
                with pytest.raises(sa.exc.ProgrammingError) as error, connection.begin_nested():
                    connection.exec_driver_sql(sql, execution_options={"no_parameters": True})
                assert "denied" in str(error.value.orig), error.value


_COUNTER = iter(range(1000))


@pytest.fixture(scope="module")
def published(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A database in which two days were published, in which values changed and disagree; and its state folder."""
    folder = tmp_path_factory.mktemp("published")
    with postgres.database() as url:
        made = Place(postgres, url, folder, "none_")
        contacts = [
            {"id": "1", "email": "ann@x.example", "name": "Ann Archer", "country": "DE", "stage": "lead"},
            {"id": "2", "email": "bob@x.example", "name": "Bob Carter", "country": "US", "stage": "lead"},
        ]
        members = [
            {"email": "ann@x.example", "name": "Ann Baker", "country": "FR"},
            {"email": "bob@x.example", "name": "", "country": "US"},
        ]
        made.put(0, "contacts", contacts)
        made.put(0, "members", members)
        made.run(1)
        contacts[0] |= {"email": "ann2@x.example", "stage": "customer"}
        contacts[1] |= {"stage": "customer", "name": "Bob Cutter"}
        made.put(1, "contacts", contacts)
        made.run(2)
        yield str(sa.make_url(url).database), folder


@pytest.fixture
def place(postgres: PostgresServer, published: tuple[str, Path], tmp_path: Path) -> Iterator[Place]:
    """A copy of it, with a prefix of its own."""
    template, folder = published
    number = next(_COUNTER)
    name = f"{template}_{number}"
    postgres.tell(f"CREATE DATABASE {name} TEMPLATE {template}")
    shutil.copytree(folder, tmp_path / "site")
    made = Place(postgres, postgres.url_of(name), tmp_path / "site", f"t{number}_")
    yield made
    names = [f"{made.prefix}{role.name}" for role in ROLES] + made.people
    known = {name for (name,) in made.ask("SELECT rolname FROM pg_roles")}
    postgres.tell(f"DROP DATABASE {made.url.database} WITH (FORCE)")
    for role in [role for role in reversed(names) if role in known]:
        postgres.tell(f'DROP ROLE "{role}"')


# applying


def test_applied_once_there_is_nothing_left_to_apply(place: Place) -> None:
    assert place.apply()
    assert place.apply() == []
    with place.hands() as (run, connection):
        assert grants.check(run, connection, place.prefix) == ([], [])


def test_the_script_makes_the_same_as_applying(place: Place) -> None:
    with place.hands() as (run, connection):
        script = [statement.text for statement in grants.script(run, connection, place.prefix)]
    place.tell(*script)
    assert place.apply() == []
    with place.hands() as (run, connection):
        again = [statement.text for statement in grants.script(run, connection, place.prefix)]
    place.tell(*again)
    assert place.apply() == []


def test_what_was_changed_by_hand_is_told_and_mended(place: Place) -> None:
    place.apply()
    place.tell(
        f'GRANT SELECT ON conformed.contact TO "{place.prefix}analyst"',
        f'REVOKE SELECT ON conformed_masked.contact FROM "{place.prefix}analyst"',
        "GRANT SELECT ON conformed.change TO PUBLIC",
        'ALTER TABLE audit.run OWNER TO CURRENT_USER',
    )  # fmt: skip
    with place.hands() as (run, connection):
        statements, found = grants.check(run, connection, place.prefix)
    text = "\n".join(statement.text for statement in statements)
    assert 'REVOKE SELECT ON TABLE "conformed"."contact"' in text
    assert 'GRANT SELECT ON TABLE "conformed_masked"."contact"' in text
    assert "FROM PUBLIC" in text
    assert 'ALTER TABLE "audit"."run" OWNER' in text
    assert any("analyst reads" in one.what for one in found)
    place.apply()
    with place.hands() as (run, connection):
        assert grants.check(run, connection, place.prefix) == ([], [])


def test_rights_through_other_roles_are_found(place: Place) -> None:
    place.apply()
    place.tell(f'GRANT pg_read_all_data TO "{place.prefix}auditor"', f'ALTER ROLE "{place.prefix}loader" BYPASSRLS')
    with place.hands() as (run, connection):
        statements, found = grants.check(run, connection, place.prefix)
    assert statements == []
    assert {one.what.split()[0] for one in found} == {f"{place.prefix}auditor", f"{place.prefix}loader"}
    place.tell(f'REVOKE pg_read_all_data FROM "{place.prefix}auditor"')


def test_a_prefix_that_is_no_name_is_refused(place: Place) -> None:
    for prefix in ('x"; DROP SCHEMA conformed; --', "", "1x", "A", "x" * 41):
        with place.hands() as (run, connection), pytest.raises(SettingsError, match="bad-prefix"):
            grants.compare(run, connection, prefix)


# who may what


def tables_of(place: Place, pattern: str) -> list[str]:
    """All tables and views of the schemas that fit the pattern, quoted."""
    listed = f"""
        SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'v') AND n.nspname !~ '^(pg_|information)' AND n.nspname ~ '{pattern}'
    """
    return [name for (name,) in place.ask(listed)]


def test_an_analyst_reads_what_is_published_masked(place: Place) -> None:
    place.apply()
    ann = place.person("analyst")
    assert place.ask("SELECT country, stage FROM conformed.contact WHERE stage IS NOT NULL ORDER BY 1", ann) == [
        ("DE", "customer"),
        ("US", "customer"),
    ]
    assert place.ask(
        "SELECT email, name, country FROM conformed_masked.contact WHERE stage IS NOT NULL ORDER BY 3", ann
    ) == [
        (None, None, "DE"),
        (None, None, "US"),
    ]
    changes = place.ask("SELECT field, old, new FROM conformed_masked.change WHERE kind = 'changed' ORDER BY 1", ann)
    assert ("stage", "lead", "customer") in changes
    assert ("email", None, None) in changes
    assert {row[1:] for row in changes if row[0] in ("email", "name")} == {(None, None)}
    conflicts = place.ask("SELECT DISTINCT field, claimed, canonical FROM conformed_masked.conflict ORDER BY 1", ann)
    assert ("country", "FR", None) in conflicts
    assert ("name", None, None) in conflicts
    keys = place.ask("SELECT DISTINCT source, source_key FROM conformed_masked.contact_key ORDER BY 1, 2", ann)
    assert keys == [("crm.contacts", "1"), ("crm.contacts", "2"), ("mail.members", None)]
    closed = tables_of(place, "^(landing|staged|identity|canonical|audit|steward|outbound)")
    assert len(closed) > 30
    place.refused(ann, *(f"SELECT 1 FROM {table}" for table in closed))


def test_an_analyst_with_personal_reads_everything_published_and_nothing_else(place: Place) -> None:
    place.apply()
    bob = place.person("analyst_personal")
    assert place.ask("SELECT email FROM conformed.contact WHERE stage IS NOT NULL ORDER BY 1", bob) == [
        ("ann2@x.example",),
        ("bob@x.example",),
    ]
    assert place.ask("SELECT count(*) FROM conformed_masked.contact", bob) == [(3,)]
    place.refused(bob, "SELECT 1 FROM staged.crm__contacts")
    place.refused(bob, "DELETE FROM conformed.contact")


def test_of_marts_an_analyst_reads_what_is_described_and_not_personal(place: Place) -> None:
    place.tell(
        "CREATE SCHEMA marts",
        "CREATE TABLE marts.customer AS SELECT contact_id, email, country, stage FROM conformed.contact",
        "CREATE TABLE marts.unheard_of AS TABLE conformed.contact",
    )
    described = {"contact_id": {}, "country": {"meta": {}}, "email": {"config": {"meta": {"personal": True}}}}
    node = {"resource_type": "model", "name": "customer", "columns": described}
    manifest = place.settings.dbt / "target" / "manifest.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text(json.dumps({"nodes": {"model.sor.customer": node}}))
    place.apply()
    ann, bob = place.person("analyst"), place.person("analyst_personal")
    assert place.ask("SELECT count(contact_id), count(country) FROM marts.customer", ann) == [(3, 2)]
    place.refused(
        ann, "SELECT email FROM marts.customer", "SELECT stage FROM marts.customer", "SELECT 1 FROM marts.unheard_of"
    )
    assert place.ask("SELECT count(email) FROM marts.unheard_of", bob)
    pat = place.person("publisher")
    place.tell(f'SET ROLE "{place.prefix}publisher"; CREATE TABLE marts.tomorrow AS SELECT 1 AS n', who=pat)
    assert place.ask("SELECT n FROM marts.tomorrow", bob) == [(1,)]
    place.refused(ann, "SELECT n FROM marts.tomorrow")


def test_an_auditor_reads_what_was_done_without_values(place: Place) -> None:
    place.apply()
    eve = place.person("auditor")
    assert place.ask("SELECT state FROM audit.run ORDER BY run", eve)
    sent = place.ask("SELECT field, observed, wanted FROM outbound_masked.correction ORDER BY 1", eve)
    assert ("country", "FR", "DE") in sent
    assert {row[1:] for row in sent if row[0] in ("name", "email")} <= {(None, None)}
    assert place.ask('SELECT count(*) FROM steward_masked."case"', eve) == [(0,)]
    for table in ("staged.crm__contacts", "canonical.contact", "identity.contact", "landing.batch"):
        place.refused(eve, f"SELECT 1 FROM {table}")


def test_a_steward_has_nothing_but_the_door(place: Place) -> None:
    place.apply()
    sue = place.person("steward")
    tables = tables_of(place, ".")
    assert tables
    place.refused(sue, *(f"SELECT 1 FROM {table}" for table in tables))
    place.refused(sue, *(f"INSERT INTO {table} DEFAULT VALUES" for table in tables))


def test_a_loader_writes_what_it_loads_and_nothing_further(place: Place) -> None:
    place.apply()
    leo = place.person("loader")
    place.tell(
        "INSERT INTO landing.batch (source, batch) VALUES ('crm.contacts', 'x')",
        "DELETE FROM landing.batch WHERE batch = 'x'",
        who=leo,
    )
    place.tell(
        "UPDATE staged.crm__contacts SET country = country",
        "INSERT INTO audit.account (source, batch) VALUES ('s', 'b')",
        who=leo,
    )
    for table in (
        "conformed.contact",
        "canonical.contact",
        "identity.contact",
        "steward.decision",
        "audit.run",
        "outbound.correction",
    ):
        place.refused(leo, f"SELECT 1 FROM {table}")
    with pytest.raises(sa.exc.ProgrammingError, match="must be owner"):
        place.tell("DROP TABLE staged.crm__contacts", who=leo)


def test_a_publisher_runs_the_whole_pipeline_and_edits_of_the_document(place: Place) -> None:
    place.apply()
    pat = place.person("publisher")
    place.tell(f'ALTER ROLE "{pat}" SET role = "{place.prefix}publisher"')
    place.put(
        2,
        "contacts",
        [{"id": "3", "email": "cy@x.example", "name": "Cy", "country": "GB", "stage": "lead", "phone": "+4930123456"}],
    )
    told: list[str] = []
    edited = document(phone={"type": "phone", "region": "DE", "personal": True}, stage=None)
    assert place.run(3, edited, who=pat, told=told.append) == "published"
    assert any("rights" in line for line in told)
    ann, bob = place.person("analyst"), place.person("analyst_personal")
    assert place.ask("SELECT phone, country FROM conformed_masked.contact WHERE country = 'GB'", ann) == [(None, "GB")]
    place.refused(ann, "SELECT phone FROM conformed.contact")
    assert place.ask("SELECT phone FROM conformed.contact WHERE country = 'GB'", bob) == [("+4930123456",)]
    with place.hands(edited) as (run, connection):
        assert grants.check(run, connection, place.prefix) == ([], [])


def test_a_field_becomes_personal_with_the_next_run(place: Place) -> None:
    place.apply()
    ann = place.person("analyst")
    assert place.ask("SELECT country FROM conformed.contact", ann)
    place.run(4, document(country={"type": "country", "personal": True}))
    place.refused(ann, "SELECT country FROM conformed.contact")
    assert set(place.ask("SELECT country FROM conformed_masked.contact", ann)) == {(None,)}
    assert not place.ask("SELECT 1 FROM conformed_masked.conflict WHERE field = 'country' AND claimed IS NOT NULL", ann)


def test_a_run_that_is_killed_between_two_shapes_leaves_renewal_to_the_next(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.apply()
    ann = place.person("analyst")
    edited = document(country={"type": "country", "personal": True})

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(grants, "renew", killed)
        with pytest.raises(KeyboardInterrupt):
            place.run(4, edited)
    with pytest.raises(sa.exc.ProgrammingError):
        place.ask("SELECT 1 FROM conformed_masked.contact", ann)
    place.run(4, edited)
    assert set(place.ask("SELECT country FROM conformed_masked.contact", ann)) == {(None,)}


# nothing personal by any path

_PATHS = (
    "SELECT * FROM conformed.{table}",
    "SELECT t FROM conformed.{table} t",
    "SELECT row_to_json(t) FROM conformed.{table} t",
    "SELECT query_to_xml('SELECT * FROM conformed.{table}', true, false, '')",
    "COPY conformed.{table} TO STDOUT",
    "CREATE TEMP TABLE stolen AS TABLE conformed.{table}",
    "SELECT count(*) FROM conformed.{table} a JOIN conformed.{table} b USING ({column})",
    "SELECT 1 FROM conformed.{table} ORDER BY {column}",
    "SELECT 1 FROM conformed.{table} WHERE {column} LIKE 'a%'",
    "SELECT 1 FROM conformed.{table} GROUP BY {column}",
    "SELECT max({column}) FROM conformed.{table}",
    "UPDATE conformed.{table} SET {column} = {column} RETURNING {column}",
    "INSERT INTO conformed.{table} DEFAULT VALUES",
    "SELECT 1 FROM conformed.{table} FOR UPDATE",
    "CREATE INDEX ON conformed.{table} ({column})",
)  # fmt: skip
_CLOSED = (
    ("contact", "email"), ("contact", "name"), ("contact_history", "email"), ("change", "old"), ("change", "new"),
    ("conflict", "claimed"), ("conflict", "canonical"), ("conflict", "source_key"), ("contact_key", "source_key"),
    ("contact_source", "email_key"), ("correction", "observed"), ("correction", "wanted"), ("correction", "source_key"),
)  # fmt: skip


@pytest.mark.parametrize("role", ["analyst", "auditor"])
def test_personal_columns_are_closed_on_every_path(place: Place, role: str) -> None:
    place.apply()
    place.tell("ANALYZE")
    with place.connected(place.person(role)) as connection:
        for table, column in _CLOSED:
            for path in _PATHS:
                sql = path.format(table=table, column=column)
                with pytest.raises(sa.exc.DBAPIError) as error, connection.begin_nested():
                    connection.exec_driver_sql(sql, execution_options={"no_parameters": True})
                said = str(error.value.orig)
                closed = ("permission denied", "must be owner", "unsupported XML")  # not every server is built with it
                assert any(words in said for words in closed), (sql, said)
                assert not any(secret in str(error.value) for secret in SECRETS)


@pytest.mark.parametrize("role", ["analyst", "auditor", "steward", "loader"])
def test_statistics_tell_nothing_personal(place: Place, role: str) -> None:
    place.apply()
    place.tell(
        "ANALYZE",
        "CREATE STATISTICS conformed.linked (dependencies, mcv) ON email, country FROM conformed.contact",
        "ANALYZE conformed.contact",
    )
    assert any("ann2" in str(row) for row in place.ask("SELECT * FROM pg_stats WHERE schemaname = 'conformed'"))
    who = place.person(role)
    seen = (
        str(place.ask("SELECT * FROM pg_stats", who))
        + str(place.ask("SELECT * FROM pg_stats_ext", who))
        + str(place.ask("SELECT * FROM pg_stats_ext_exprs", who))
    )
    if role != "loader":  # who loads has the values in hand
        assert not any(secret in seen for secret in SECRETS)
    place.refused(who, "SELECT * FROM pg_statistic")
    place.refused(who, "SELECT * FROM pg_statistic_ext_data")


_READABLE = """
    SELECT format('SELECT string_agg(t::text, chr(10) ORDER BY t::text) FROM (SELECT %s FROM %I.%I) t',
                  string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum), n.nspname, c.relname)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'v')
      AND n.nspname ~ '^(landing|staged|identity|canonical|audit|steward|outbound|conformed|marts)'
      AND has_schema_privilege(n.oid, 'USAGE') AND has_column_privilege(c.oid, a.attnum, 'SELECT')
    GROUP BY n.nspname, c.relname ORDER BY n.nspname, c.relname
"""


def everything(place: Place, who: str | None = None) -> str:
    """All that a person can read of everything, as text."""
    with place.connected(who) as connection:
        plain = {"execution_options": {"no_parameters": True}}
        selects = [select for (select,) in connection.exec_driver_sql(_READABLE, **plain)]
        return "\n".join(str(connection.exec_driver_sql(select, **plain).scalar()) for select in selects)


@pytest.mark.parametrize("role", ["analyst", "auditor", "steward"])
def test_no_readable_cell_holds_a_personal_value(place: Place, role: str) -> None:
    place.apply()
    seen = everything(place, place.person(role))
    assert not [secret for secret in SECRETS if secret in seen]
    if role != "steward":
        assert "customer" in seen
        assert "crm.contacts" in seen


def test_conditions_of_the_reader_see_masked_values_only(place: Place) -> None:
    place.apply()
    ann = place.person("analyst")
    with place.connected(ann) as connection:
        heard: list[str] = []
        connection.connection.driver_connection.add_notice_handler(lambda said: heard.append(str(said.message_primary)))
        connection.exec_driver_sql(
            "CREATE FUNCTION pg_temp.leak(text) RETURNS boolean COST 0.0000001 LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'heard %', $1; RETURN true; END $$",
            execution_options={"no_parameters": True},
        )
        for view, column in _CLOSED:
            connection.exec_driver_sql(
                f"SELECT 1 FROM conformed_masked.{view} WHERE pg_temp.leak({column}::text)",
                execution_options={"no_parameters": True},
            ).fetchall()
            connection.exec_driver_sql(
                f"EXPLAIN SELECT 1 FROM conformed_masked.{view} WHERE pg_temp.leak({column}::text) AND {column}::text > 'a'",
                execution_options={"no_parameters": True},
            ).fetchall()
        assert heard
        assert not [line for line in heard if any(secret in line for secret in SECRETS)]
    for view, column in _CLOSED:
        with pytest.raises(sa.exc.DBAPIError) as error:
            place.ask(f"SELECT ({column} || 'x')::int, 1 / (SELECT 0) FROM conformed_masked.{view}", ann)
        assert not any(secret in str(error.value) for secret in SECRETS)


def test_keys_that_look_like_mail_are_masked_whatever_the_document_says(place: Place) -> None:
    place.apply()
    place.tell("INSERT INTO conformed.contact_key VALUES ('crm.contacts', 'odd@x.example', 'crm', 'e')")
    seen = everything(place, place.person("analyst"))
    assert "odd@x.example" not in seen


def test_sources_named_by_personal_columns_have_closed_keys() -> None:
    assert open_sources(DOCUMENT) == ["crm.contacts"]


def test_a_reference_is_as_open_as_the_keys_that_it_may_name(tmp_path: Path, postgres_url: str) -> None:
    """A correction of it, and a conflict about one that leads nowhere, hold a record's key."""
    raw = DOCUMENT.model_dump(by_alias=True, exclude_unset=True)
    raw["entities"]["team"] = {"owner": "crm", "fields": {"label": {"type": "name"}}}
    fields = raw["entities"]["contact"]["fields"]
    fields |= {"boss": {"type": "ref", "to": "contact"}, "team": {"type": "ref", "to": "team"}}
    raw["sources"]["crm.teams"] = {
        "entity": "team", "key": "id", "fields": {"label": "label"}, "extract": {"files": "teams.csv"},
    }  # fmt: skip
    raw["sources"]["crm.contacts"]["fields"] |= {"team": "team", "boss": "boss"}
    document = Ownership.model_validate(raw)
    settings = Settings.read({"SOR_WAREHOUSE_URL": postgres_url}, ownership=tmp_path / "o.yaml", home=tmp_path / "home")
    with opened(document, settings, FIRST) as run, run.engine.begin() as connection:
        for number, (field, claimed) in enumerate(
            [("team", "T1"), ("team", "t@x.example"), ("boss", "B1"), ("country", "a@b"), ("email", "ann@x.example")]
        ):
            told = {
                "entity": "contact",
                "entity_id": "e",
                "field": field,
                "source": "crm.contacts",
                "opened_in": number,
            }
            values = {**told, "source_key": str(number), "kind": "differs", "claimed": claimed}
            connection.execute(sa.insert(run.tables.conflict).values(**values))
        made = {
            mask.name: mask.select
            for mask in masks(run.tables, connection.dialect)
            if mask.schema == "conformed_masked"
        }
        seen = {row.claimed for row in connection.exec_driver_sql(made["conflict"].replace("%", "%%"))}
    assert seen == {"T1", "a@b", None}


def test_a_kept_column_of_history_is_shown_to_nobody_but_the_trusted(place: Place) -> None:
    place.apply()
    place.run(4, without_name())
    ann, bob = place.person("analyst"), place.person("analyst_personal")
    place.refused(ann, "SELECT name FROM conformed.contact_history")
    assert not [secret for secret in SECRETS if secret in everything(place, ann)]
    assert place.ask("SELECT DISTINCT name FROM conformed.contact_history WHERE name IS NOT NULL", bob)


def without_name() -> Ownership:
    raw = DOCUMENT.model_dump(by_alias=True, exclude_unset=True)
    raw["entities"]["contact"]["fields"].pop("name")
    for source in raw["sources"].values():
        source["fields"].pop("name")
        source["accepts"] = [field for field in source["accepts"] if field != "name"]
    return Ownership.model_validate(raw)


# the customer's own


def test_row_policies_hold_in_base_and_masked_tables_and_survive_publishes(place: Place) -> None:
    place.apply()
    ann = place.person("analyst")
    place.tell(
        "ALTER TABLE conformed.contact ENABLE ROW LEVEL SECURITY",
        f"""CREATE POLICY germany ON conformed.contact FOR SELECT TO "{place.prefix}analyst" USING (country = 'DE' AND email IS NOT NULL)""",
        "ALTER TABLE conformed.change ENABLE ROW LEVEL SECURITY",
        "CREATE ROLE t_bi", "GRANT USAGE ON SCHEMA conformed TO t_bi", "GRANT SELECT (country) ON conformed.contact TO t_bi",
        "ALTER TABLE conformed.contact SET (fillfactor = 70)",
    )  # fmt: skip
    try:
        pat = place.person("publisher")
        place.tell(f'ALTER ROLE "{pat}" SET role = "{place.prefix}publisher"')
        before = place.ask(
            "SELECT relacl::text, reloptions::text, relrowsecurity FROM pg_class WHERE oid = 'conformed.contact'::regclass"
        )
        place.put(
            3,
            "contacts",
            [
                {"id": "2", "email": "bob@x.example", "name": "Bob Carter", "country": "DE", "stage": "lead"},
                {"id": "4", "email": "dee@x.example", "name": "Dee", "country": "US", "stage": "lead"},
            ],
        )
        assert place.run(4, who=pat) == "published"
        assert place.ask("SELECT count(*) FROM conformed.contact") == [(3,)]
        for schema in ("conformed", "conformed_masked"):
            assert set(place.ask(f"SELECT country FROM {schema}.contact", ann)) == {("DE",)}
        assert place.ask("SELECT count(*) FROM conformed_masked.change", ann) == [(0,)], "no policy admits it: nothing"
        place.tell(
            f"""CREATE POLICY all_changes ON conformed.change FOR SELECT TO "{place.prefix}masks" USING (field = 'stage')"""
        )
        assert place.ask("SELECT DISTINCT field FROM conformed_masked.change", ann) == [("stage",)]
        after = place.ask(
            "SELECT relacl::text, reloptions::text, relrowsecurity FROM pg_class WHERE oid = 'conformed.contact'::regclass"
        )
        assert before == after
        assert place.ask("SELECT has_column_privilege('t_bi', 'conformed.contact', 'country', 'SELECT')") == [(True,)]
    finally:
        place.tell("DROP OWNED BY t_bi", "DROP ROLE t_bi")


def test_a_policy_forced_on_the_publisher_stops_the_publication_instead_of_halving_it(place: Place) -> None:
    place.apply()
    pat = place.person("publisher")
    place.tell(
        f'ALTER ROLE "{pat}" SET role = "{place.prefix}publisher"',
        "ALTER TABLE conformed.contact ENABLE ROW LEVEL SECURITY", "ALTER TABLE conformed.contact FORCE ROW LEVEL SECURITY",
    )  # fmt: skip
    place.put(3, "contacts", [{"id": "9", "email": "n@x.example", "name": "New", "country": "DE", "stage": "lead"}])
    with pytest.raises(EngineError, match="warehouse-forbidden"):
        place.run(4, who=pat)
    with place.hands() as (run, connection):
        assert any("forces" in one.what for one in grants.check(run, connection, place.prefix)[1])
    place.tell("ALTER TABLE conformed.contact NO FORCE ROW LEVEL SECURITY")
    assert place.run(4, who=pat) == "published"


# the guard inside a publication

_OURS = (
    "GRANT SELECT ON conformed.contact TO PUBLIC",
    "REVOKE ALL ON conformed.contact FROM {analyst}",
    "GRANT SELECT (email) ON conformed.contact TO PUBLIC",
    "GRANT USAGE ON SCHEMA conformed TO PUBLIC",
    "ALTER TABLE conformed.contact ENABLE ROW LEVEL SECURITY",
    "CREATE POLICY p ON conformed.contact USING (true)",
    "DROP POLICY old ON conformed.contact",
    "ALTER TABLE conformed.contact SET (fillfactor = 50)",
    "ALTER TABLE conformed.contact OWNER TO {analyst}",
    "DROP TABLE conformed.contact_alias CASCADE",
)


@contextmanager
def publishing(place: Place) -> Iterator[sa.Connection]:
    """A transaction guarded as a publication's is."""
    engine = open_engine(place.url.render_as_string(hide_password=False))
    with engine.held(), engine.begin() as connection, postgres_access.kept(connection, "conformed"):
        connection.exec_driver_sql("CREATE TEMPORARY TABLE one (n int); DROP TABLE one")  # as publications do
        connection.exec_driver_sql("UPDATE conformed.contact SET stage = stage")
        yield connection


def test_a_transaction_that_alters_access_itself_is_refused(place: Place) -> None:
    place.apply()
    place.tell("CREATE POLICY old ON conformed.contact USING (true)")
    before = everything(place)
    for statement in _OURS:
        with pytest.raises(EngineError, match="access-changed"), publishing(place) as connection:
            connection.exec_driver_sql(statement.format(analyst=f'"{place.prefix}analyst"'))
    assert everything(place) == before


def test_what_the_administrator_changes_meanwhile_holds_nothing_up(place: Place) -> None:
    place.apply()
    place.tell("CREATE POLICY old ON conformed.contact_alias USING (true)")
    others = (
        *_OURS[:4],
        "DROP POLICY old ON conformed.contact_alias",
        "CREATE POLICY p ON conformed.contact_alias USING (true)",
    )
    for statement in others:
        with publishing(place) as connection:
            place.tell(statement.format(analyst=f'"{place.prefix}analyst"'))
            connection.exec_driver_sql("UPDATE conformed.contact_source SET contact_id = contact_id")


def test_a_publication_is_guarded(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    publish = step._publish

    def meddled(run: Run, connection: sa.Connection) -> Any:
        counts = publish(run, connection)
        connection.exec_driver_sql("GRANT SELECT ON conformed.contact TO PUBLIC")
        return counts

    before = place.ask("SELECT max(publication) FROM conformed.publication")
    place.put(3, "contacts", [{"id": "7", "email": "n@x.example", "name": "New", "country": "DE", "stage": "lead"}])
    with monkeypatch.context() as patch:
        patch.setattr(step, "_publish", meddled)
        with pytest.raises(EngineError, match="access-changed"):
            place.run(4)
    assert place.ask("SELECT max(publication) FROM conformed.publication") == before
    assert place.run(4) == "published"


# the command


@pytest.fixture
def typed(place: Place, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """`sor grants` with options, on the database."""
    raw = DOCUMENT.model_dump(mode="json", by_alias=True, exclude_unset=True)
    place.settings.ownership.write_text(yaml.safe_dump(raw, sort_keys=False), encoding="utf-8")
    monkeypatch.setenv("SOR_WAREHOUSE_URL", place.url.render_as_string(hide_password=False))
    where = ["--ownership", str(place.settings.ownership), "--home", str(place.settings.home)]
    return lambda *options: CliRunner().invoke(cli.app, [*where, "grants", "--prefix", place.prefix, *options])


def test_the_command_prints_applies_and_checks(place: Place, typed: Callable[..., Result]) -> None:
    assert typed("--check").exit_code == cli.FAULTS
    printed = typed()
    assert printed.exit_code == 0, printed.output
    assert f"-- {place.prefix}analyst: reads what is published, personal values masked" in printed.stdout
    assert "COMMIT;" in printed.stdout
    assert typed("--check").exit_code == cli.FAULTS, "printing changed nothing"
    assert "statements in one transaction" in typed("--apply").stdout
    assert "Nothing to apply" in typed("--apply").stdout
    checked = typed("--check")
    assert (checked.exit_code, checked.stdout.strip()) == (0, "The rights are as described.")
    assert json.loads(typed("--check", "--json").stdout) == {"statements": [], "findings": []}


def test_the_command_on_a_file_says_what_to_do_instead(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raw = DOCUMENT.model_dump(mode="json", by_alias=True, exclude_unset=True)
    (tmp_path / "o.yaml").write_text(yaml.safe_dump(raw), encoding="utf-8")
    with pytest.raises(SystemExit) as ended:
        cli.main(["--ownership", str(tmp_path / "o.yaml"), "--home", str(tmp_path / "home"), "grants"])
    assert ended.value.code == cli.USAGE
    assert "file permissions" in capsys.readouterr().err
    assert not (tmp_path / "home").exists()


# the rest


def test_every_readable_text_column_was_judged() -> None:
    tables = Tables(DOCUMENT)
    meant = {("outbound", "attempt", "idempotency_key"), ("conformed", "contact", "email"), ("conformed", "contact", "name"),
             ("conformed", "contact_history", "email"), ("conformed", "contact_history", "name")}  # fmt: skip
    hidden = {
        (str(table.schema), table.name, name)
        for table in tables.metadata.sorted_tables if table.schema in READ
        for name, one in held(tables, table).items() if one.holds is Holds.hidden
    }  # fmt: skip
    assert hidden == meant, "name the new column in access/holding.py: plain, key, value, or hidden here"


def test_on_files_there_are_no_roles(tmp_path: Path) -> None:
    settings = Settings.read({}, ownership=tmp_path / "o.yaml", home=tmp_path / "home", extracts=tmp_path)
    with (
        opened(DOCUMENT, settings, FIRST) as run,
        run.engine.begin() as connection,
        pytest.raises(SettingsError, match="no-roles"),
    ):
        grants.compare(run, connection)
