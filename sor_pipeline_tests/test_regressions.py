"""Faults that were found once: the smallest world that showed each of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from sor_pipeline.errors import SettingsError
from sor_pipeline.flow import reading
from sor_pipeline.observe.why import cells, found
from sor_pipeline.ownership.document import Ownership
from sor_pipeline.ownership.lint import lint
from sor_pipeline_tests.flow_world import Site


def source(entity: str, stream: str, *fields: str, **more: Any) -> dict[str, Any]:
    """A source whose columns are called as the fields; a snapshot that may shrink, unless `extract` says otherwise."""
    extract = {"files": f"{stream}-*.csv", "mode": "snapshot", "max_shrink": 1} | more.pop("extract", {})
    return {"entity": entity, "key": "id", "fields": {name: name for name in fields}, "extract": extract} | more


def document(entities: dict[str, Any], sources: dict[str, Any]) -> Ownership:
    systems: dict[str, Any] = {name.split(".")[0]: {} for name in sources}
    return Ownership.model_validate({"systems": systems, "entities": entities, "sources": sources})


def rows(header: str, *lines: str) -> tuple[tuple[str, ...], list[dict[str, str]]]:
    columns = tuple(header.split(","))
    return columns, [dict(zip(columns, line.split(","), strict=True)) for line in lines]


def warehouse(site: Site, statement: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(site.settings.home / "warehouse.duckdb")) as connection:
        return connection.execute(statement).fetchall()


REFERRING = document(
    {
        "account": {"owner": "crm", "fields": {"name": {"type": "name"}}},
        "contact": {"owner": "crm", "fields": {"account": {"type": "ref", "to": "account"}}},
    },
    {"crm.accounts": source("account", "accounts", "name"), "crm.contacts": source("contact", "contacts", "account")},
)


def test_a_reference_to_a_deleted_record_leads_nowhere_until_the_record_is_back(tmp_path: Path) -> None:
    site = Site(tmp_path, REFERRING)
    site.put("accounts", 0, *rows("id,name", "p,Acme"))
    site.put("contacts", 0, *rows("id,account", "1,p"))
    site.run(0)
    (there,) = site.query("SELECT account FROM conformed.contact")
    site.put("accounts", 1, *rows("id,name", "q,Other"))
    site.run(1)
    assert site.query("SELECT account FROM conformed.contact") == [(None,)]
    assert site.query("SELECT kind, claimed FROM conformed.conflict WHERE closed_in IS NULL") == [
        ("dangling_reference", "p")
    ]
    site.put("accounts", 2, *rows("id,name", "p,Acme", "q,Other"))
    site.run(2)
    assert site.query("SELECT account FROM conformed.contact") == [there]
    assert site.query("SELECT kind FROM conformed.conflict WHERE closed_in IS NULL") == []


def test_keys_of_several_columns_never_run_together(tmp_path: Path) -> None:
    made = document(
        {"line": {"owner": "shop", "fields": {"text": {}}}},
        {"shop.lines": source("line", "lines", "text", key=["a", "b"])},
    )
    site = Site(tmp_path, made)
    site.put("lines", 0, *rows("a,b,text", "x|y,z,one", "x,y|z,two", "v\\,|w,three", "v,\\|w,four", "m,n,five"))
    site.run(0)
    assert site.query("SELECT count(*) FROM conformed.line") == [(5,)]
    assert ("m|n",) in site.query("SELECT source_key FROM conformed.line_key")


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        ("integer", "9223372036854775807", "-9223372036854775807"),
        ("decimal", "9999999999999999.99", "-9999999999999999.99"),
    ],
)
def test_numbers_at_both_ends_are_only_far_apart(tmp_path: Path, kind: str, one: str, other: str) -> None:
    fields = {"code": {}, "size": {"type": kind, "tolerance": 0.5}}
    made = document(
        {"item": {"owner": "crm", "match": [{"same": ["code"]}], "fields": fields}},
        {
            "crm.items": source("item", "items", "code", "size"),
            "web.items": source("item", "pages", "code", "size", accepts=["size"]),
        },
    )
    site = Site(tmp_path, made)
    site.put("items", 0, *rows("id,code,size", f"1,k,{one}"))
    site.put("pages", 0, *rows("id,code,size", f"1,k,{other}"))
    site.run(0)
    assert site.query("SELECT kind, canonical FROM conformed.conflict") == [("differs", one)]
    assert site.corrections() == [("web.items", "1", "size", other, one)]


def _tags(kind: dict[str, Any], accepts: list[str]) -> Ownership:
    return document(
        {"item": {"owner": "crm", "match": [{"same": ["code"]}], "fields": {"code": {}, "tags": {**kind, "take": "all"}}}},
        {
            "crm.items": source("item", "items", "code", "tags"),
            "web.items": source("item", "pages", "code", "tags", accepts=accepts),
        },
    )  # fmt: skip


def test_all_items_of_all_lists_are_one_list(tmp_path: Path) -> None:
    made = _tags({"type": "list", "of": "text"}, [])
    for source_name in made.sources.values():
        object.__setattr__(source_name.fields["tags"], "separator_in", ";")
    site = Site(tmp_path, made)
    site.put("items", 0, *rows("id,code,tags", "1,k,a;b"))
    site.put("pages", 0, *rows("id,code,tags", "1,k,b;c"))
    site.run(0)
    assert site.query("SELECT tags FROM conformed.item") == [('["a","b","c"]',)]


def test_all_values_need_a_field_that_can_hold_them(tmp_path: Path) -> None:
    assert "take-all-type" in {fault.code for fault in lint(_tags({"type": "integer"}, []))}
    assert "take-all-type" not in {fault.code for fault in lint(_tags({"type": "text"}, []))}


def test_all_values_are_never_written_back_as_one() -> None:
    assert "take-written-back" in {fault.code for fault in lint(_tags({"type": "text"}, ["tags"]))}


def test_no_field_is_called_as_a_column_of_the_history() -> None:
    made = document(
        {"item": {"owner": "crm", "fields": {"to_publication": {}}}},
        {"crm.items": source("item", "items", "to_publication")},
    )
    assert "reserved-field" in {fault.code for fault in lint(made)}


def test_what_the_document_no_longer_has_blocks_nothing(tmp_path: Path) -> None:
    site = Site(tmp_path, REFERRING)
    site.put("accounts", 0, *rows("id,name", "p,Acme"))
    site.run(0)
    warehouse(site, "INSERT INTO audit.finding (entity, expectation, severity, passed, failed) VALUES ('former', 'x', 'block', false, 1)")  # fmt: skip
    site.put("accounts", 1, *rows("id,name", "p,Other"))
    assert site.run(1).state == "published"


def test_a_record_that_is_selected_again_is_alive_again(tmp_path: Path) -> None:
    def selecting(**more: Any) -> Ownership:
        changes = {"mode": "changes", "deleted": {"gone": ["1"]}}
        return document(
            {"contact": {"owner": "crm", "fields": {"name": {"type": "name"}}}},
            {"crm.contacts": source("contact", "contacts", "name", extract=changes, **more)},
        )

    site = Site(tmp_path, selecting())
    site.put("contacts", 0, *rows("id,name,kind,gone", "1,Ann,old,0", "2,Bob,new,0"))
    site.run(0)
    site.document = selecting(only={"kind": ["new"]})
    site.run(1)
    assert site.query("SELECT name FROM conformed.contact") == [("Bob",)]
    site.put("contacts", 2, *rows("id,name,kind,gone", "1,Ann,new,0"))
    site.run(2)
    assert site.query("SELECT name FROM conformed.contact ORDER BY name") == [("Ann",), ("Bob",)]


def test_a_group_is_as_fresh_as_its_freshest_field(tmp_path: Path) -> None:
    made = document(
        {
            "contact": {
                "owner": "crm", "match": [{"same": ["code"]}],
                "groups": {"address": {"fallback": ["web"], "stale_after": "2 days"}},
                "fields": {"code": {}, "country": {"type": "country", "group": "address"}, "city": {"group": "address"}},
            }
        },
        {
            "crm.contacts": source("contact", "contacts", "code", "country", "city"),
            "web.users": source("contact", "users", "code", "country", "city"),
        },
    )  # fmt: skip
    site = Site(tmp_path, made)
    site.put("contacts", 0, *rows("id,code,country,city", "1,k,DE,Ulm"))
    site.put("users", 1, *rows("id,code,country,city", "1,k,DE,Rom"))
    site.put("contacts", 3, *rows("id,code,country,city", "1,k,DE,Bonn"))
    site.run(4)
    assert site.query("SELECT city FROM conformed.contact") == [("Bonn",)]


@pytest.mark.parametrize("column", ["filename", "_file", 'say "%(x)s" :y'])
def test_a_column_may_have_any_name(tmp_path: Path, column: str) -> None:
    spec = source("item", "items", "code", fields={"code": column})
    site = Site(tmp_path, document({"item": {"owner": "crm", "fields": {"code": {}}}}, {"crm.items": spec}))
    for day in (0, 1):
        site.put("items", day, ("id", column), [{"id": "1", column: f"v{day}"}])
    site.run(1)
    assert site.query("SELECT code FROM conformed.item") == [("v1",)]


def _accepting(**more: Any) -> set[str]:
    fields: dict[str, Any] = {"code": {}, "one": {}, "two": {}}
    kind = {
        "owner": "crm",
        "match": [{"same": ["code"]}, {"linked": {"web.items.link": "crm.items"}}],
        "fields": fields,
    }
    web = {"fields": {"code": "code", "one": "text", "two": "other"}, "accepts": ["one"]} | more
    owner = source("item", "items", "code", "one", "two")
    made = document({"item": kind}, {"crm.items": owner, "web.items": source("item", "pages", **web)})
    return {fault.code for fault in lint(made) if not fault.warning}


def test_corrections_never_fight_each_other_or_move_the_record() -> None:
    assert _accepting() == set()
    both = {"code": "code", "one": "text", "two": "text"}
    assert _accepting(fields=both, accepts=["one", "two"]) == {"accepts-shared"}
    for more in (
        {"key": "text"}, {"key": ["id", "text"]}, {"only": {"text": ["a"]}}, {"changed_at": "text"},
        {"extract": {"mode": "changes", "deleted": {"text": ["a"]}}, "changed_at": "at"},
        {"fields": {"code": "code", "one": "link", "two": "other"}},
    ):  # fmt: skip
        assert _accepting(**more) == {"accepts-key"}, more


def test_a_mapping_reads_no_column_of_ours() -> None:
    assert _accepting(fields={"code": "_row", "one": "text"}) == {"reserved-column"}
    assert _accepting(key="_row") == {"reserved-column"}


def test_a_stale_owner_is_not_corrected_by_its_fallback(tmp_path: Path) -> None:
    fields = {"code": {}, "city": {"fallback": ["web"], "stale_after": "1 day"}}
    made = document(
        {"item": {"owner": "crm", "match": [{"same": ["code"]}], "fields": fields}},
        {
            "crm.items": source("item", "items", "code", "city", accepts=["city"]),
            "web.items": source("item", "pages", "code", "city"),
            "desk.items": source("item", "cards", "code", "city", accepts=["city"]),
        },
    )
    site = Site(tmp_path, made)
    for stream in ("items", "cards"):
        site.put(stream, 0, *rows("id,code,city", "1,k,Ulm"))
    site.put("pages", 4, *rows("id,code,city", "1,k,Rom"))
    site.run(5)
    assert site.query("SELECT city FROM conformed.item") == [("Rom",)]
    assert site.corrections() == [("desk.items", "1", "city", "Ulm", "Rom")]


def test_a_deleted_key_of_the_target_is_replaced_by_another_of_the_same_entity(tmp_path: Path) -> None:
    account = {"owner": "crm", "match": [{"same": ["code"]}], "fields": {"code": {}}}
    contact = {
        "owner": "crm", "match": [{"same": ["mail"]}],
        "fields": {"mail": {"type": "email"}, "account": {"type": "ref", "to": "account"}},
    }  # fmt: skip
    made = document(
        {"account": account, "contact": contact},
        {
            "crm.accounts": source("account", "accounts", "code"),
            "desk.orgs": source("account", "orgs", "code"),
            "crm.contacts": source("contact", "contacts", "mail", "account"),
            "desk.users": source("contact", "users", "mail", "account", accepts=["account"]),
        },
    )
    site = Site(tmp_path, made)
    site.put("accounts", 0, *rows("id,code", "p,k"))
    site.put("orgs", 0, *rows("id,code", "a,k", "b,k"))
    site.put("contacts", 0, *rows("id,mail,account", "1,a@x.example,p"))
    site.put("users", 0, *rows("id,mail,account", "7,a@x.example,a"))
    site.run(0)
    assert site.corrections() == []
    site.put("orgs", 1, *rows("id,code", "b,k"))
    site.run(1)
    assert site.corrections() == [("desk.users", "7", "account", "a", "b")]


def test_an_id_that_was_merged_twice_still_leads_to_its_entity(tmp_path: Path) -> None:
    site = Site(tmp_path, REFERRING)
    site.put("accounts", 0, *rows("id,name", "p,Acme"))
    site.run(0)
    ((live,),) = site.query("SELECT account_id FROM conformed.account")
    warehouse(site, f"INSERT INTO identity.id VALUES ('account', 'a', 1, 2, 'b'), ('account', 'b', 1, 3, '{live}')")
    with reading(REFERRING, site.settings) as run, run.engine.begin() as connection:
        assert connection.execute(found(run.tables, "account", "a")).scalars().all() == [live]


def test_a_question_about_what_no_run_has_seen_is_answered_in_words(tmp_path: Path) -> None:
    site = Site(tmp_path, REFERRING)
    site.put("accounts", 0, *rows("id,name", "p,Acme"))
    site.run(0)
    newer = REFERRING.model_dump(by_alias=True)
    newer["entities"]["account"]["fields"]["city"] = {}
    made = Ownership.model_validate(newer)
    with (
        pytest.raises(SettingsError, match="document-changed"),
        reading(made, site.settings) as run,
        run.engine.begin() as connection,
    ):
        connection.execute(cells(run.tables, "account", "x")).fetchall()


def test_a_unique_source_is_no_longer_said_to_be_without_effect() -> None:
    made = document({"item": {"owner": "crm", "fields": {"code": {}}}}, {"crm.items": source("item", "items", "code", unique=True)})  # fmt: skip
    assert lint(made) == []


def test_what_vanished_while_the_entity_was_called_otherwise_is_retired_when_it_is_back(tmp_path: Path) -> None:
    def called(name: str) -> Ownership:
        return document({name: {"owner": "crm", "fields": {"code": {}}}}, {"crm.items": source(name, "items", "code")})

    site = Site(tmp_path, called("item"))
    site.put("items", 0, *rows("id,code", "1,a", "2,b"))
    site.run(0)
    site.document = called("thing")
    site.put("items", 1, *rows("id,code", "2,b"))
    site.run(1)
    site.document = called("item")
    site.run(2)
    assert site.query("SELECT code FROM conformed.item") == [("b",)]


def test_what_may_no_longer_be_written_is_withdrawn_and_proposed_again_when_it_may(tmp_path: Path) -> None:
    def accepting(*names: str) -> Ownership:
        return document(
            {"item": {"owner": "crm", "match": [{"same": ["code"]}], "fields": {"code": {}, "city": {}}}},
            {
                "crm.items": source("item", "items", "code", "city"),
                "web.items": source("item", "pages", "code", "city", accepts=list(names)),
            },
        )

    site = Site(tmp_path, accepting("city"))
    site.put("items", 0, *rows("id,code,city", "1,k,Ulm"))
    site.put("pages", 0, *rows("id,code,city", "1,k,Rom"))
    site.run(0)
    wanted = [("web.items", "1", "city", "Rom", "Ulm")]
    assert site.corrections() == wanted
    site.document = accepting()
    site.run(1)
    assert site.corrections() == []
    site.document = accepting("city")
    site.run(2)
    assert site.corrections() == wanted
