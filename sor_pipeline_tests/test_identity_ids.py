"""Ids over the whole flow: aliases, episodes, undo, rebuild, the churn gate; and values that mean nothing."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sqlalchemy as sa

from sor_pipeline.engine.duckdb import DuckDBEngine
from sor_pipeline.flow import opened
from sor_pipeline.identify.hollow import hollow, hollow_key
from sor_pipeline.ownership.document import Ownership
from sor_pipeline.steward.acceptances import accept
from sor_pipeline.steward.decisions import Kind, decide, withdraw
from sor_pipeline.steward.records import Record
from sor_pipeline.terminal.acceptance import churning
from sor_pipeline_tests.flow_world import FIRST, HEADERS, QUICK, Site

CONTACTS, MEMBERS = HEADERS["contacts"], HEADERS["members"]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def contact(key: str, email: str = "", **more: str) -> dict[str, str]:
    return {"id": key, "email": email, **more}


def member(key: str, email: str = "", day: int = 0, **more: str) -> dict[str, str]:
    return {"id": key, "email": email, "gone": "0", "at": (FIRST + timedelta(days=day)).isoformat(sep=" "), **more}


def private(site: Site, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(site.settings.home / "warehouse.duckdb"), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def told(site: Site) -> dict[str, list[tuple[Any, ...]]]:
    """What is published now, without the account of how it came about."""
    found = site.everything()
    return {name: found[name] for name in CURRENT}


CURRENT = ("contact", "contact_source", "contact_key", "contact_alias", "account", "account_key", "account_alias")


def canonical(site: Site) -> list[tuple[Any, ...]]:
    return private(site, "SELECT * EXCLUDE (_publication) FROM canonical.contact ORDER BY ALL")


def two_people(site: Site) -> None:
    site.put(
        "contacts", 0, CONTACTS, [contact("1", "ann@x.example", name="Ann"), contact("2", "z@x.example", name="Zoe")]
    )
    site.put("members", 0, MEMBERS, [member("x", "ann.b@y.example", name="Ann B"), member("y", "zoe@y.example")])
    site.run(0)


def test_a_merge_undone_restores_ids_rows_and_tells_the_episode(site: Site) -> None:
    two_people(site)
    before, rows = told(site), canonical(site)
    ids = dict(site.query("SELECT source_key, contact_id FROM conformed.contact_key"))
    with opened(site.document, site.settings, FIRST + timedelta(days=1)) as run:
        one, other = Record("crm.contacts", "1"), Record("mail.members", "x")
        number = decide(run, Kind.link, one, other, "pat", "same person").number
    assert site.run(1).state == "published"
    merged = dict(site.query("SELECT source_key, contact_id FROM conformed.contact_key"))
    assert merged["1"] == merged["x"]
    gone = ({ids["1"], ids["x"]} - {merged["1"]}).pop()
    assert site.query("SELECT * FROM conformed.contact_alias") == [(gone, merged["1"], 2)]
    assert site.query("SELECT * FROM conformed.identity_change") == [
        (2, "contact", gone, merged["1"], "merge", 1, f"decision {number}")
    ]
    with opened(site.document, site.settings, FIRST + timedelta(days=2)) as run:
        entry = withdraw(run, number, "pat", "it was not").number
    assert site.run(2).state == "published"
    assert told(site) == before
    assert canonical(site) == rows
    assert site.query("SELECT * FROM conformed.identity_change WHERE publication = 3") == [
        (3, "contact", merged["1"], gone, "split", 1, f"decision {entry}")
    ]
    versions = site.query(
        f"SELECT from_publication, to_publication FROM conformed.contact_history WHERE contact_id = '{gone}' ORDER BY 1"
    )
    assert versions == [(1, 2), (3, None)]
    kinds = site.query(f"SELECT publication, kind, cause FROM conformed.change WHERE entity_id = '{gone}' ORDER BY 1")
    assert kinds == [(1, "created", "claim"), (2, "retired", "identity"), (3, "revived", "identity")]


def test_a_merge_taken_back_before_it_was_published_never_was(site: Site) -> None:
    two_people(site)
    before = site.everything()
    for day, name in ((1, "ann@x.example"), (2, "ann.b@y.example")):
        site.put("members", day, MEMBERS, [member("x", name, day, name="Ann B")])
        site.run(day, [step for step in QUICK if step.name not in ("publish", "correct")])
    assert private(site, "SELECT * FROM identity.move") == []
    site.run(2)
    after = site.everything()
    assert {name: after[name] for name in ("contact", "contact_key", "contact_alias", "identity_change")} == {
        name: before[name] for name in ("contact", "contact_key", "contact_alias", "identity_change")
    }


def test_aliases_lead_to_the_living_id_over_chains_and_the_file_follows(site: Site) -> None:
    site.put("contacts", 0, CONTACTS, [contact("1", "a@x.example")])
    site.put(
        "members", 0, MEMBERS, [member("x", "b@x.example"), member("y", "c@x.example"), member("z", "c@x.example")]
    )
    site.run(0)
    first = dict(site.query("SELECT source_key, contact_id FROM conformed.contact_key"))
    site.put("members", 1, MEMBERS, [member("x", "a@x.example", 1)])
    site.run(1)
    site.put("contacts", 2, CONTACTS, [contact("1", "c@x.example")])
    site.put("members", 2, MEMBERS, [member("x", "c@x.example", 2)])
    site.run(2)
    living = {row[0] for row in site.query("SELECT DISTINCT contact_id FROM conformed.contact_key")}
    assert len(living) == 1
    aliases = dict(site.query("SELECT alias_id, contact_id FROM conformed.contact_alias"))
    assert aliases.keys() == set(first.values()) - living
    assert set(aliases.values()) == living
    assert site.query("SELECT * FROM conformed.contact_alias ORDER BY ALL") == private(
        site, "SELECT * FROM conformed.contact_alias ORDER BY ALL"
    ), "the file that grew by differences holds what the warehouse holds"
    assert {row[-1] for row in site.query("SELECT * FROM conformed.identity_change")} == {"same:email"}


@pytest.mark.parametrize("leaves", ["x", "z"])
def test_of_two_halves_the_id_stays_with_what_did_not_change(site: Site, leaves: str) -> None:
    """Found by the differential law, against a model that gave it to the smaller key."""
    site.put("contacts", 0, CONTACTS, [])
    site.put("members", 0, MEMBERS, [member("x", "a@x.example"), member("z", "a@x.example")])
    site.run(0)
    keys = "SELECT source_key, contact_id FROM conformed.contact_key ORDER BY 1"
    before = dict(site.query(keys))
    assert before["x"] == before["z"]
    site.put("members", 1, MEMBERS, [member(leaves, "b@x.example", 1)])
    site.run(1)
    after = dict(site.query(keys))
    stays = {"x": "z", "z": "x"}[leaves]
    assert (after[stays], after[leaves] == before[leaves]) == (before[stays], False)


def test_splits_and_what_caused_them(site: Site) -> None:
    site.put("contacts", 0, CONTACTS, [contact("1", "a@x.example"), contact("2", "b@x.example")])
    site.put("members", 0, MEMBERS, [member("x", "a@x.example"), member("y", "b@x.example", crm_id="1")])
    site.run(0)
    site.put("members", 1, MEMBERS, [member("y", "b@x.example", 1)])
    site.run(1)
    (episode,) = site.query("SELECT kind, records, cause FROM conformed.identity_change")
    assert episode == ("split", 2, "claim")


def test_a_rebuild_that_keeps_ids_and_decisions_gives_the_same_ids(site: Site) -> None:
    two_people(site)
    site.put("members", 1, MEMBERS, [member("x", "z@x.example", 1, name="Ann B")])
    with opened(site.document, site.settings, FIRST + timedelta(days=1)) as run:
        decide(run, Kind.link, Record("crm.contacts", "1"), Record("mail.members", "y"), "pat", "same person")
    site.run(1)
    before = site.query("SELECT * FROM conformed.contact_key ORDER BY ALL")
    with opened(site.document, site.settings, FIRST + timedelta(days=2)) as run, run.engine.begin() as connection:
        kept = {run.tables.id, run.tables.decision, run.tables.acceptance, *run.tables.identity.values()}
        for table in run.tables.metadata.sorted_tables:
            if table not in kept:
                connection.execute(sa.delete(table))
    site.settings.conformed.unlink()
    site.run(3)
    assert site.query("SELECT * FROM conformed.contact_key ORDER BY ALL") == before
    aliases = site.query("SELECT alias_id FROM conformed.contact_alias")
    assert aliases, "aliases are for ever, also over a rebuild"


# The churn gate.


def crowd(site: Site, count: int, day: int, **linked: str) -> None:
    rows = [member(f"m{n}", f"m{n}@y.example", day, **({"crm_id": f"{n}"} if linked else {})) for n in range(count)]
    site.put("members", day, MEMBERS, rows)


def with_members(site: Site) -> None:
    site.put("contacts", 0, CONTACTS, [contact(f"{n}", f"c{n}@x.example") for n in range(60)])
    crowd(site, 60, 0)
    site.run(0)


def test_many_ids_at_once_wait_until_they_are_accepted_by_name(site: Site) -> None:
    with_members(site)
    before = site.everything()
    crowd(site, 40, 1, linked="yes")
    passage = site.run(1)
    assert passage.state == "blocked"
    (fault,) = (fault for fault in passage.faults if fault.code == "identity-churn")
    assert "40 of 120 ids (33.3%); linked:mail.members.crm_id: 40" in fault.found
    subject = next(word for word in fault.todo.split() if word.startswith("churn:contact:"))
    assert site.everything() == before
    assert site.run(1).state == "blocked", "the next run waits as well"
    with opened(site.document, site.settings, FIRST + timedelta(days=1)) as run:
        accept(run, subject, "pat", "the link is right", churning(run))
    crowd(site, 41, 2, linked="yes")
    assert site.run(2).state == "blocked", "accepting is for exactly this change"
    (fault,) = (fault for fault in site.run(2).faults if fault.code == "identity-churn")
    with opened(site.document, site.settings, FIRST + timedelta(days=2)) as run:
        subject = next(word for word in fault.todo.split() if word.startswith("churn:"))
        accept(run, subject, "pat", "right", churning(run))
    assert site.run(3).state == "published"
    assert site.query("SELECT count(*) FROM conformed.contact_alias") == [(41,)]


def test_a_changed_document_is_named_and_taking_it_back_opens_the_gate(site: Site) -> None:
    with_members(site)
    contacts = site.document.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    contacts["entities"]["contact"]["match"].append({"same": ["name"], "max_records": 1000})
    contacts["entities"]["contact"]["max_size"] = 1000
    site.put("contacts", 1, CONTACTS, [contact(f"{n}", f"c{n}@x.example", name="Same Name") for n in range(60)])
    site.run(1)
    original, site.document = site.document, Ownership.model_validate(contacts)
    passage = site.run(2)
    assert passage.state == "blocked"
    (fault,) = (fault for fault in passage.faults if fault.code == "identity-churn")
    assert "the ownership document changed since the last publication" in fault.found
    assert "same:name: 59" in fault.found
    site.document = original
    assert site.run(3).state in ("published", "unchanged")
    assert site.query("SELECT count(DISTINCT contact_id) FROM conformed.contact_key") == [(120,)]


def test_few_ids_births_and_deletions_never_stop(site: Site) -> None:
    with_members(site)
    crowd(site, 24, 1, linked="yes")
    assert site.run(1).state == "published"
    site.put("contacts", 2, CONTACTS, [contact(f"{n}", f"c{n}@x.example") for n in range(24)])
    rows = [member(f"m{n}", f"m{n}@y.example", 2, gone="1") for n in range(30, 60)]
    site.put("members", 2, MEMBERS, [*rows, *(member(f"n{n}", f"n{n}@y.example", 2) for n in range(50))])
    assert site.run(2).state == "published"


# Values that mean nothing.


@pytest.fixture(scope="module")
def asked() -> Iterator[Any]:
    with tempfile.TemporaryDirectory() as folder:
        engine = DuckDBEngine(Path(folder) / "w.duckdb")

        def ask(kind: str, value: str) -> str | None:
            text = sa.literal(value if kind == "key" else value.lower(), sa.Text)  # comparable forms are
            reason = hollow_key(text) if kind == "key" else hollow(kind, text)
            if reason is None:
                return None
            with engine.begin() as connection:
                return connection.execute(sa.select(reason)).scalar_one_or_none()

        yield ask
        engine.close()


NOTHING = {
    "digest-of-nothing": [
        *(("text", hashlib.new(n, t.encode()).hexdigest()) for n in ("md5", "sha1", "sha256", "sha512") for t in ("", " ", "null", "NULL", "n/a", "Unknown")),
        ("text", hashlib.md5(b"none").hexdigest().upper()),
        ("text", "1B2M2Y8AsgTpgAmY7PhCfg=="),
        ("email", f"{hashlib.md5(b'').hexdigest()}@x.example"),
        ("key", hashlib.sha1(b"").hexdigest()),
    ],
    "masked": [
        ("text", "*****"), ("text", "XXX-XX-XXXX"), ("text", "***-**-1234"), ("text", "••••"), ("phone", "### ### ####"),
        ("email", "j***@x.example"), ("email", "xxxx@x.example"), ("name", "xxxx"), ("name", "X"),
    ],
    "trivial-number": [
        ("phone", "+10000000000"), ("phone", "+15555555555"), ("phone", "+11234567890"), ("text", "0000000000"),
        ("text", "123-456-7890"), ("phone", "+499999999999"),
    ],
    "placeholder": [
        ("email", "test@test.com"), ("email", "none@example.com"), ("email", "example@email.com"), ("email", "na@na.com"),
        ("email", "noemail@acme.example"), ("email", "foo@bar.invalid"), ("email", "unknown@corp.example"),
        ("text", "N/A"), ("text", "Example@email.com".lower()), ("domain", "example.com"), ("key", "0"), ("key", "null"), ("key", "000"),
    ],
    "role-mailbox": [("email", "no-reply@acme.example"), ("email", "info+de@acme.example")],
    "mail-provider": [("domain", "gmail.com")],
}  # fmt: skip
SOMETHING = [
    ("email", "ann@example.com"), ("email", "x@e.com"), ("email", "max@company.com"), ("email", "user1@company1.example"),
    ("email", "test.pilot@acme.example"), ("phone", "+13155550123"), ("phone", "+493012345670"), ("text", "12345"),
    ("text", "1111"), ("text", hashlib.md5(b"ann").hexdigest()), ("name", "Null"), ("name", "Xaver"), ("domain", "acme.example"),
    ("key", "7"), ("key", "100"), ("text", "maxx exxon"),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "kind", "value"), [(r, *one) for r, many in NOTHING.items() for one in many])
def test_values_that_mean_nothing(asked: Any, reason: str, kind: str, value: str) -> None:
    assert asked(kind, value) == reason


@pytest.mark.parametrize(("kind", "value"), SOMETHING)
def test_values_that_mean_something(asked: Any, kind: str, value: str) -> None:
    assert asked(kind, value) is None


def test_what_links_nobody_is_counted_by_rule_and_reason(site: Site) -> None:
    site.put("contacts", 0, CONTACTS, [contact("1", "info@x.example"), contact("2", "info@x.example")])
    site.put("members", 0, MEMBERS, [member("x", "noemail@x.example"), member("y", "noemail@x.example")])
    passage = site.run(0)
    assert passage.count("identify", "distrusted") == 2
    assert passage.count("identify", "distrusted same:email role-mailbox") == 1
    assert passage.count("identify", "distrusted same:email placeholder") == 1
    assert private(site, "SELECT rule, reason, records FROM identity.contact__distrusted ORDER BY ALL") == [
        ("same:email", "placeholder", 2), ("same:email", "role-mailbox", 2),
    ]  # fmt: skip
    site.put("contacts", 1, CONTACTS, [contact("1", "info@x.example"), contact("2", "two@x.example")])
    assert site.run(1).count("identify", "distrusted") == 1


def test_rules_look_again_when_the_document_is_another(site: Site) -> None:
    two_people(site)
    spec = site.document.entities["contact"]
    entities = {**site.document.entities, "contact": spec.model_copy(update={"title": "person"})}
    site.document = site.document.model_copy(update={"entities": entities})
    passage = site.run(1)
    assert passage.count("identify", "looked_at") == 4
