"""The marts: generated from the document, right in numbers, and never in anybody's way."""

from __future__ import annotations

import json
import logging
import shutil
import sys
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from sor_pipeline.definitions import build_defs
from sor_pipeline.defs import keys
from sor_pipeline.defs.dbt import sources_as_assets
from sor_pipeline.errors import MartsFailed, SettingsError
from sor_pipeline.observe.marts import build as marts
from sor_pipeline.observe.marts.project import files, generated, lay_out, left_out
from sor_pipeline.ownership.document import Ownership
from sor_pipeline.ownership.lint import load_checked
from sor_pipeline.run import Run
from sor_pipeline.settings import Settings
from sor_pipeline.tables import Tables, grain
from sor_pipeline.terminal.demo import FOLDER
from sor_pipeline_tests.flow_world import DOCUMENT, HEADERS, Site

HOUSE = Path(__file__).parents[1]
DEMO = HOUSE / "sor_pipeline" / "demo" / "ownership.yaml"
NEEDS = yaml.safe_load((HOUSE / "dbt_project" / "dbt_project.yml").read_text(encoding="utf-8"))["vars"]["needs"]
GENERIC = {
    "calendar", "cell_origin", "data_quality_daily", "dim_publication", "fct_conflict_daily", "fct_correction",
    "ownership_coverage", "system_agreement",
}  # fmt: skip
CUSTOMERS = {"account_360", "contact_360", "customer_360", "fct_interaction"}


def models(texts: dict[str, str]) -> set[str]:
    return {Path(name).stem for name in texts if name.startswith("models/") and name.endswith(".sql")}


def ask(file: Path, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(file), read_only=True) as connection:
        return connection.execute(sql).fetchall()


# --- what the document makes ---------------------------------------------------------------------


def test_the_project_in_the_repository_is_the_demo_documents() -> None:
    expected = generated(load_checked(DEMO))
    for name, text in expected.items():
        assert (HOUSE / "dbt_project" / name).read_text(encoding="utf-8") == text, f"{name}: lay it out again"
    found = {
        path.relative_to(HOUSE / "dbt_project").as_posix() for path in (HOUSE / "dbt_project" / "models").rglob("*.*")
    }
    assert {name for name in found if name.startswith(("models/history/", "models/conformed/"))} <= set(expected)


def test_sources_are_all_conformed_tables_with_every_column_told() -> None:
    ownership = load_checked(DEMO)
    tables = Tables(ownership)
    (source,) = yaml.safe_load(generated(ownership)["models/conformed/sources.yml"])["sources"]
    published = {table.name: table for table in tables.metadata.sorted_tables if table.schema == "conformed"}
    assert {table["name"] for table in source["tables"]} == set(published)
    for told in source["tables"]:
        table = published[told["name"]]
        assert [column["name"] for column in told["columns"]] == list(table.columns.keys())
        assert all(column["description"] for column in told["columns"]), told["name"]
        tested = [one for one in told.get("data_tests", []) if "unique_together" in one]
        tested += [one for column in told["columns"] for one in column.get("data_tests", []) if one == "unique"]
        assert tested or len(grain(table)) == 0, f"{told['name']}: nothing holds its grain"


def test_every_model_by_hand_tells_every_column() -> None:
    told = {}
    for path in (HOUSE / "dbt_project" / "models").rglob("*.yml"):
        for model in yaml.safe_load(path.read_text(encoding="utf-8")).get("models", []):
            told[model["name"]] = model
    assert set(told) == {path.stem for path in (HOUSE / "dbt_project" / "models").rglob("*.sql")}
    for model in told.values():
        assert model["description"]
        assert all(column["description"] for column in model["columns"]), model["name"]


def test_marts_about_customers_need_their_entities() -> None:
    assert left_out(load_checked(DEMO), NEEDS) == {}
    missing = left_out(DOCUMENT, NEEDS)["customers"]
    assert {"deal.amount", "account.domain", "contact.owner"} <= set(missing)
    assert models(files(DOCUMENT, Path("b"))) == GENERIC | {"dim_account", "dim_contact"}
    assert models(files(load_checked(DEMO), Path("b"))) >= GENERIC | CUSTOMERS


@pytest.mark.parametrize(
    ("entity", "field", "change", "missing"),
    [
        ("deal", "stage", {"type": "choice", "of": ["won"]}, "deal.stage = lost"),
        ("deal", "amount", {"type": "text"}, "deal.amount (decimal)"),
        ("ticket", "account", {"type": "ref", "to": "contact"}, "ticket.account (ref account)"),
    ],
)
def test_a_field_that_is_something_else_is_missing(entity: str, field: str, change: Any, missing: str) -> None:
    document = load_checked(DEMO).model_dump(mode="json", by_alias=True, exclude_unset=True)
    document["entities"][entity]["fields"][field] = change
    assert left_out(Ownership.model_validate(document), NEEDS) == {"customers": [missing]}


NASTY: dict[str, Any] = {
    "systems": {"crm": {}},
    "entities": {
        "order": {
            "owner": "crm",
            "title": "{{ 1 / 0 }} order: \"quoted\" 'twice' #x",
            "description": "{% raw %} never closed {# nor this\n- list: [",
            "fields": {
                "select": {"type": "choice", "of": ["it's", "{{ no }}", "b"], "required": True, "personal": True},
                "at": {"type": "choice", "of": ["it's", "ok"], "unique": True},
                "group": {"type": "ref", "to": "order"},
            },
        }
    },
    "sources": {
        "crm.orders": {"entity": "order", "extract": {"files": "o-*.csv"}, "key": "id", "fields": {"at": "at"}}
    },
}


def test_words_of_the_document_are_never_jinja() -> None:
    for name, text in generated(Ownership.model_validate(NASTY)).items():
        if name.endswith(".yml"):
            read = yaml.safe_load(text)
            for source in read.get("sources", []):
                del source["database"], source["schema"]
            said = json.dumps(read)
            assert not [opening for opening in ("{{", "{%", "{#") if opening in said], name


def test_laying_out_again_touches_nothing_and_another_document_leaves_nothing(tmp_path: Path) -> None:
    settings = Settings.read({}, ownership=tmp_path / "o.yaml", home=tmp_path / 'a "home"')
    folder, digest = lay_out(load_checked(DEMO), settings)
    profile = yaml.safe_load((folder / "profiles.yml").read_text(encoding="utf-8"))["sor"]["outputs"]["duckdb"]
    assert profile["path"] == str(folder / "build" / "marts.duckdb")
    assert profile["attach"][0] == {
        "path": str(folder / "build" / "conformed.duckdb"),
        "alias": "conformed",
        "read_only": True,
    }
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    assert lay_out(load_checked(DEMO), settings) == (folder, digest)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()} == before
    _, other = lay_out(DOCUMENT, settings)
    assert other != digest
    assert {path.stem for path in (folder / "models").rglob("*.sql")} == GENERIC | {"dim_account", "dim_contact"}


# --- Dagster --------------------------------------------------------------------------------------


def test_without_dbt_or_before_it_parsed_there_are_no_marts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings.read({}, ownership=DEMO, home=tmp_path / "home")
    caplog.set_level(logging.INFO, logger="sor_pipeline.defs.dbt")
    assert not [
        key for key in build_defs(settings).resolve_asset_graph().get_all_asset_keys() if key.path[0] == "marts"
    ]
    monkeypatch.setattr(marts.importlib.util, "find_spec", lambda _: None)
    build_defs(settings)
    assert [record.getMessage() for record in caplog.records] == [
        "no dbt marts: dbt has not parsed them for this document; run `sor marts --prepare`",
        "no dbt marts: dbt is not installed; install sor-pipeline[dbt]",
    ]


def test_every_source_is_an_asset_of_the_graph(tmp_path: Path) -> None:
    settings = Settings.read({}, ownership=DEMO, home=tmp_path / "home")
    tables = Tables(load_checked(DEMO))
    of_source = sources_as_assets(tables)
    assert set(of_source) == {t.name for t in tables.metadata.sorted_tables if t.schema == "conformed"}
    assert set(of_source.values()) <= {spec.key for spec in build_defs(settings).resolve_all_asset_specs()}
    assert of_source["contact_history"] == keys.conformed("contact")
    assert of_source["correction"] == keys.observed()
    assert of_source["conflict"] == keys.published_together()


# --- built ----------------------------------------------------------------------------------------

needs_dbt = pytest.mark.skipif(not marts.installed(), reason="dbt is not installed")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Two systems, two entities, one day; no entity that the marts about customers need."""
    site = Site(tmp_path_factory.mktemp("marts"))
    day(site, 0, [("1", "Ann"), ("2", "Bob")], [("x", "Anne"), ("y", "Bob")])
    return site


def day(site: Site, number: int, contacts: list[tuple[str, str]], members: list[tuple[str, str]]) -> None:
    stamp = f"2026-03-0{number + 1} 00:00:00"
    site.put("accounts", number, HEADERS["accounts"], [{"id": "p", "name": "Pine"}])
    site.put("contacts", number, HEADERS["contacts"], [
        {"id": key, "email": f"m{key}@x.example", "name": name, "account": "p"} for key, name in contacts
    ])  # fmt: skip
    site.put("members", number, HEADERS["members"], [
        {"id": key, "email": f"m{n}@x.example", "name": name, "crm_id": str(n), "gone": "0", "at": stamp}
        for n, (key, name) in enumerate(members, 1)
    ])  # fmt: skip
    site.run(number + 1)


def hands(site: Site) -> Run:
    return marts.hands(site.document, site.settings)


def everything(file: Path) -> dict[str, list[tuple[Any, ...]]]:
    names = [row[0] for row in ask(file, "SELECT table_name FROM duckdb_tables() ORDER BY 1")]
    return {name: ask(file, f'SELECT * FROM "{name}" ORDER BY ALL') for name in names}


@needs_dbt
def test_marts_of_any_document_built_bit_by_bit_are_those_built_at_once(site: Site) -> None:
    first = marts.build(hands(site))
    assert not first.incremental
    assert set(first.results["model"]) == {"success"}
    assert first.results["unit_test"] == {"pass": 3}
    file = site.settings.marts
    assert set(everything(file)) == GENERIC | {"dim_account", "dim_contact"}
    with duckdb.connect() as reader:
        reader.execute(f"ATTACH '{file}' AS was (READ_ONLY)")
        day(site, 1, [("1", "Anna"), ("3", "Cy")], [("x", "Anna"), ("y", "Rob")])
        day(site, 3, [("1", "Anna"), ("3", "Cy")], [("x", "Annie"), ("y", "Rob")])
        assert marts.build(hands(site)).incremental
        assert reader.execute("SELECT count(*) FROM was.dim_contact").fetchall() == [(2,)]
    bit_by_bit = everything(file)
    assert not marts.build(hands(site), afresh=True).incremental
    assert everything(file) == bit_by_bit
    right_in_numbers(site)


def right_in_numbers(site: Site) -> None:
    """Against the published tables, counted here."""
    file = site.settings.marts
    assert ask(file, "SELECT count(*) FROM dim_contact") == site.query("SELECT count(*) FROM conformed.contact_history")
    days = [row[0] for row in ask(file, "SELECT date_day FROM calendar ORDER BY 1")]
    published = [row[0].date() for row in site.query("SELECT published_at FROM conformed.publication ORDER BY 1")]
    assert days[0] == published[0]
    assert days[-1] == published[-1]
    assert len(days) == (days[-1] - days[0]).days + 1 > len(set(published))
    still_open = site.query("SELECT count(*) FROM conformed.conflict WHERE closed_in IS NULL")
    assert (
        ask(file, f"SELECT sum(open_at_end) FROM fct_conflict_daily WHERE date_day = DATE '{days[-1]}'") == still_open
    )
    filled = site.query("SELECT count(*), count(name) FROM conformed.contact")
    covered = "SELECT rows_published, filled FROM ownership_coverage WHERE entity = 'contact' AND field = 'name'"
    assert ask(file, covered) == filled
    differing = site.query(
        "SELECT count(*) FROM conformed.conflict WHERE closed_in IS NULL AND entity = 'contact' AND field = 'name' "
        "AND system = 'mail' AND kind = 'differs' AND claimed IS NOT NULL"
    )
    agreed = "SELECT differing FROM system_agreement WHERE entity = 'contact' AND field = 'name' AND system = 'mail'"
    assert ask(file, agreed) == differing
    corrections = site.query("SELECT count(*) FROM conformed.correction")
    assert ask(file, "SELECT count(*) FROM fct_correction") == corrections


@needs_dbt
def test_what_cannot_be_built_leaves_the_last_marts(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    run = hands(site)
    folder, digest = lay_out(site.document, site.settings)
    before = site.settings.marts.read_bytes() if site.settings.marts.exists() else b""
    with pytest.raises(RuntimeError), marts.building(run, folder, digest):
        raise RuntimeError
    with marts.building(run, folder, digest) as _:
        with pytest.raises(MartsFailed) as busy, marts.building(run, folder, digest):
            pass
        shutil.copyfile(site.settings.conformed, folder / "build" / "marts.duckdb")
    assert busy.value.faults[0].code == "marts-in-progress"
    assert site.settings.marts.read_bytes() == site.settings.conformed.read_bytes()
    site.settings.marts.write_bytes(before)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(MartsFailed) as failed:
        marts.build(run)
    assert failed.value.faults[0].code == "dbt-failed"
    assert site.settings.marts.read_bytes() == before


def test_nothing_published_or_another_document_is_said(tmp_path: Path, site: Site) -> None:
    empty = marts.hands(DOCUMENT, Settings.read({}, ownership=tmp_path / "o.yaml", home=tmp_path / "home"))
    other = marts.hands(DOCUMENT.model_copy(update={"title": "another"}), site.settings)
    for run in (empty, other):
        with pytest.raises(SettingsError) as raised, marts.building(run, run.settings.dbt, ""):
            pass
        assert raised.value.faults[0].code == "nothing-to-build-of"


@pytest.fixture(scope="module")
def demo(played: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's state with its marts built."""
    home = tmp_path_factory.mktemp("demo_marts") / "home"
    home.mkdir()
    shutil.copyfile(played / "conformed.duckdb", home / "conformed.duckdb")
    document = played / FOLDER / "ownership.yaml"
    marts.build(marts.hands(load_checked(document), Settings.read({}, ownership=document, home=home)))
    return home


@needs_dbt
def test_customer_360_has_every_customer_once_and_its_money_once(demo: Path) -> None:
    with duckdb.connect() as both:
        both.execute(f"ATTACH '{demo / 'marts.duckdb'}' AS marts (READ_ONLY)")
        both.execute(f"ATTACH '{demo / 'conformed.duckdb'}' AS conformed (READ_ONLY)")

        def one(sql: str) -> Any:
            return both.execute(sql).fetchone()

        for kind in ("account", "contact"):
            rows = one(f"SELECT count(*), count(DISTINCT customer_id) FROM marts.customer_360 WHERE kind = '{kind}'")
            assert rows == one(f"SELECT count(*), count(*) FROM conformed.{kind}")
        paid = "status IN ('active', 'past_due') AND account IS NOT NULL"
        mixed = "account IN (SELECT account_id FROM marts.account_360 WHERE subscriptions > 0 AND mrr IS NULL)"
        assert one("SELECT sum(mrr), sum(seats) FROM marts.customer_360") == (
            one(f"SELECT sum(seats * price) FROM conformed.subscription WHERE {paid} AND NOT {mixed}")[0],
            one(f"SELECT sum(seats) FROM conformed.subscription WHERE {paid}")[0],
        )
        for measure, sql in {
            "tickets": "SELECT count(*) FROM conformed.ticket WHERE {ref} IS NOT NULL",
            "interactions": "SELECT count(*) FROM conformed.interaction i JOIN conformed.contact c ON c.contact_id = i.contact WHERE {who} IS NOT NULL",
        }.items():
            for kind, ref, who in (("account", "account", "c.account"), ("contact", "requester", "c.contact_id")):
                found = one(f"SELECT sum({measure}) FROM marts.customer_360 WHERE kind = '{kind}'")
                assert found == one(sql.format(ref=ref, who=who)), (kind, measure)
        conflicts = (
            "SELECT count(*) FROM conformed.conflict WHERE closed_in IS NULL AND entity IN ('account', 'contact')"
        )
        assert one("SELECT sum(open_conflicts) FROM marts.customer_360") == one(conflicts)
        assert one("SELECT max(date_day) FROM marts.calendar")[0] > date(2026, 3, 1)


@needs_dbt
def test_dagster_draws_the_models_behind_what_is_published(demo: Path, played: Path) -> None:
    pytest.importorskip("dagster_dbt")
    settings = Settings.read({}, ownership=played / FOLDER / "ownership.yaml", home=demo)
    graph = build_defs(settings).resolve_asset_graph()
    parents = graph.get(keys.mart("customer_360")).parent_keys
    assert parents == {keys.mart("account_360"), keys.mart("contact_360")}
    assert graph.get(keys.mart("dim_contact")).parent_keys == {keys.conformed("contact")}
    assert keys.observed() in graph.get(keys.mart("fct_correction")).parent_keys
    checked = {key.asset_key for key in graph.asset_check_keys}
    assert {keys.mart("customer_360"), keys.conformed("contact")} <= checked
    metrics = json.loads((settings.dbt / "target" / "semantic_manifest.json").read_text(encoding="utf-8"))["metrics"]
    assert {"open_conflicts", "monthly_recurring_revenue", "failure_rate"} <= {metric["name"] for metric in metrics}
