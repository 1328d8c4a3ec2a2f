"""The demo company: equal bytes for equal seeds, files that say what the truth says, corrections taken to heart."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
from datetime import datetime
from pathlib import Path

import phonenumbers
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import python_calamine

from sor_pipeline.demo import days as events
from sor_pipeline.demo.play import DOCUMENT, Demo, generate
from sor_pipeline.demo.tools.all import STREAMS
from sor_pipeline.demo.truth import REFERS_TO, Truth, share_equal
from sor_pipeline.ownership.document import Ownership
from sor_pipeline.ownership.lint import lint
from sor_pipeline.ownership.load import load_with_places

LAST = 5


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    return generate(tmp_path_factory.mktemp("extracts"), contacts=600)


@pytest.fixture(scope="module")
def document() -> Ownership:
    return load_with_places(DOCUMENT)[0]


@pytest.fixture(scope="module")
def answer(demo: Demo) -> Truth:
    return demo.truth(LAST)


def digests(folder: Path) -> dict[str, str]:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def rows_of(path: Path, encoding: str = "utf-8", delimiter: str = ",") -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_bytes().decode(encoding)), delimiter=delimiter))


def by_key(frame: pl.DataFrame) -> dict[str, dict[str, str | None]]:
    return {row["source_key"]: row for row in frame.to_dicts()}


def corrections(*rows: tuple[str, str, str, str, str]) -> pa.Table:
    names = ("source", "source_key", "column", "observed", "wanted")
    return pa.table({name: [row[n] for row in rows] for n, name in enumerate(names)})


# ------------------------------------------------------------------------------------- determinism


def test_same_seed_same_bytes(tmp_path: Path) -> None:
    one, two, other = (generate(tmp_path / n, contacts=150, seed=s) for n, s in (("a", 3), ("b", 3), ("c", 4)))
    assert digests(one.folder) == digests(two.folder)
    assert digests(one.folder) != digests(other.folder)


@pytest.mark.parametrize(("contacts", "days"), [(1, 1), (40, 2), (100, 3), (99, 7)])
def test_any_size_and_any_number_of_days(tmp_path: Path, contacts: int, days: int) -> None:
    demo = generate(tmp_path, contacts=contacts, days=days)
    for day in range(1, days + 1):
        assert demo.truth(day).entities["contact"].values.height > 0


def test_no_half_written_file_is_left(demo: Demo) -> None:
    assert not list(demo.folder.rglob("*.part"))


# ------------------------------------------------------------------------------------- the document


def test_document_has_no_fault() -> None:
    faults = lint(*load_with_places(DOCUMENT))
    assert [str(fault) for fault in faults] == []


def test_document_and_generator_name_the_same_things(demo: Demo, document: Ownership, answer: Truth) -> None:
    assert set(document.sources) == set(STREAMS)
    for source, spec in document.sources.items():
        stream = STREAMS[source]
        assert (spec.entity, spec.extract.mode.value) == (stream.entity, stream.mode)
        shown = demo.shown(source, LAST)
        heads = {name.split(".")[0] for name in shown.columns} | set(shown.columns)
        assert {c for m in spec.fields.values() for c in m.columns} <= heads, source
        assert set(spec.key) <= heads
        assert spec.changed_at is None or spec.changed_at in heads
    assert {name: set(kind.fields) for name, kind in document.entities.items()} == {
        name: set(entity.values.columns) - {"truth", "source", "source_key"} for name, entity in answer.entities.items()
    }


def test_document_uses_every_kind_of_rule(document: Ownership) -> None:
    fields = [field for entity in document.entities.values() for field in entity.fields.values()]
    groups = [group for entity in document.entities.values() for group in entity.groups.values()]
    assert any(f.take for f in fields)
    assert any(f.fallback for f in fields)
    assert any(f.stale_after for f in fields)
    assert any(f.exceptions for f in fields)
    assert any(g.exceptions for g in groups)
    assert any(f.reflect_in for f in fields)
    assert any(s.accepts for s in document.sources.values())
    assert any(e.expectations for e in document.entities.values())


def test_globs_find_every_file(demo: Demo, document: Ownership) -> None:
    found = {p for s in document.sources.values() for glob in s.extract.files for p in demo.folder.glob(glob)}
    assert found == {p for p in demo.folder.rglob("*") if p.is_file()}


# ------------------------------------------------------------------------------------------- shapes


def test_shapes_that_tools_export(demo: Demo) -> None:
    call = rows_of(demo.folder / "aircall/calls-2026-03-01.csv", "latin-1", ";")[0]
    assert "," in call["minutes"]
    assert call["line"] == "Büro Köln"
    member = json.loads((demo.folder / "mailchimp/members-2026-03-01.jsonl").read_text("utf-8").splitlines()[0])
    assert set(member["merge_fields"]) == {"FNAME", "LNAME", "PHONE", "CRMID"}
    assert isinstance(member["vip"], bool)
    listed = json.loads((demo.folder / "stripe/subscriptions-2026-03-01.json").read_text("utf-8"))
    assert listed["count"] == len(listed["data"])
    assert isinstance(listed["data"][0]["plan"]["amount"], int)
    events_of_day = gzip.decompress((demo.folder / "mailchimp/activity-2026-03-01.jsonl.gz").read_bytes()).splitlines()
    assert json.loads(events_of_day[0])["action"] in {"open", "click", "bounce"}
    usage = pq.read_schema(demo.folder / "amplitude/usage-2026-03-01.parquet")
    assert pa.types.is_date(usage.field("day").type)
    sheet = python_calamine.CalamineWorkbook.from_path(str(demo.folder / "plan/territories-2026-03-01.xlsx"))
    assert sheet.get_sheet_by_name("Plan").to_python()[2][0] == "Plan No."


def test_column_appears_on_the_third_day(demo: Demo) -> None:
    heads = {d: rows_of(demo.folder / f"hubspot/contacts-2026-03-0{d}.csv")[0].keys() for d in (1, 2, 3, 4)}
    assert {d: "hs_language" in head for d, head in heads.items()} == {1: False, 2: False, 3: True, 4: True}


def test_every_trouble_is_there(tmp_path: Path) -> None:
    demo = Demo(tmp_path, contacts=600)
    written = {day: {p.relative_to(tmp_path).as_posix() for p in demo.write_day(day)} for day in range(1, LAST + 1)}
    assert "hubspot/deals-2026-03-02.csv" not in written[2]
    assert {"hubspot/deals-2026-03-02.csv", "zendesk/tickets-2026-03-02.json"} <= written[4]
    again = tmp_path / "mailchimp/activity-resent-2026-03-02.jsonl.gz"
    assert again.read_bytes() == (tmp_path / "mailchimp/activity-2026-03-02.jsonl.gz").read_bytes()
    assert "id" not in rows_of(tmp_path / "aircall/contacts-2026-03-03.csv", "latin-1", ";")[0]
    with pytest.raises(OSError), pa.input_stream(str(tmp_path / "bamboohr/employees-2026-03-04.csv.zst")) as cut:  # noqa: PT011
        cut.read()
    contacts = rows_of(tmp_path / "hubspot/contacts-2026-03-01.csv")
    assert {"000-000-0000", ""} <= {row["phone"] for row in contacts}
    assert {"test@test.com", ""} <= {row["email"] for row in contacts}
    assert any(row["email"].startswith("info@") for row in contacts)
    assert len({row["email"] for row in contacts}) < len(contacts) - 20
    later = {row["id"] for row in rows_of(tmp_path / "hubspot/contacts-2026-03-05.csv")}
    assert {row["id"] for row in contacts} - later, "nobody was deleted in the CRM"
    lines = (tmp_path / "stripe/customers-2026-03-01.jsonl").read_text("utf-8").splitlines()
    assert not any(json.loads(line)["deleted"] for line in lines)
    assert "7" in {row["leadStatus"] for row in rows_of(tmp_path / "marketo/leads-2026-03-01.csv")}


def test_a_phone_is_cleared_by_its_owner(demo: Demo, answer: Truth) -> None:
    files = [rows_of(demo.folder / f"hubspot/contacts-2026-03-0{d}.csv") for d in (1, 5)]
    before, after = ({row["id"]: row["phone"] for row in rows} for rows in files)
    cleared = [key for key, phone in after.items() if not phone and before.get(key)]
    assert cleared
    known = by_key(answer.entities["contact"].values)
    assert all(known[key]["phone"] is None for key in cleared if key in known)


def test_numbers_are_valid_and_mailboxes_are_examples(demo: Demo) -> None:
    people = demo.company.people
    assert all(phonenumbers.is_valid_number(phonenumbers.parse(n)) for n in people["phone"])
    assert all(email.endswith(".example") for email in (*people["email"], *people["old_email"]))
    assert people["phone"].is_unique().all()


# -------------------------------------------------------------------------------------------- truth


def plain_phone(text: str) -> str:
    digits = "".join(c for c in text if c.isdigit() or c == "+")
    return digits if digits.startswith("+") else f"+1{digits}"


@pytest.mark.parametrize("day", [1, 3, LAST])
def test_truth_of_contacts_is_what_the_crm_wrote(demo: Demo, day: int) -> None:
    """A naive reading of the newest snapshot: what the CRM owns and says must be the truth."""
    answer = demo.truth(day).entities["contact"]
    written = {row["id"]: row for row in rows_of(demo.folder / f"hubspot/contacts-2026-03-0{day}.csv")}
    owned = {row["truth"]: row for row in answer.owned.to_dicts()}
    land = {"United States": "US", "Germany": "DE", "United Kingdom": "GB", "France": "FR", "Austria": "AT"}
    checked = 0
    for row in answer.values.to_dicts():
        said, mine = written[row["source_key"]], owned[row["truth"]]
        email = said["email"].lower()
        assert row["email"] == (None if email in ("", "test@test.com") else email)
        assert row["full_name"] == f"{said['firstname']} {said['lastname']}"
        assert row["country"] == land.get(said["country"], said["country"])
        assert row["account"] == f"hubspot.companies/{said['associatedcompanyid']}"
        if mine["phone"]:
            assert row["phone"] == (plain_phone(said["phone"]) if said["phone"] else None)
        if mine["job_title"]:
            assert row["job_title"] == (said["jobtitle"] or None)
        if mine["opted_in"] and row["country"] in ("DE", "AT"):
            assert row["opted_in"] == {"Yes": "true", "No": "false"}[said["newsletter_consent"]]
        if mine["language"]:
            assert row["language"] == said["hs_language"]
        checked += 1
    live = set(demo.truth(day).members.filter(pl.col("source") == "hubspot.contacts")["source_key"])
    assert live == set(written)
    assert checked > 500


def test_truth_of_employees_survives_the_cut_file(demo: Demo) -> None:
    with pa.input_stream(str(demo.folder / "bamboohr/employees-2026-03-03.csv.zst")) as whole:
        written = list(csv.DictReader(io.StringIO(whole.read().decode())))
    known = by_key(demo.truth(4).entities["employee"].values)
    assert set(known) == {row["Employee #"] for row in written}
    for row in written:
        said = known[row["Employee #"]]
        assert said["job_title"] == row["Job Title"]
        assert said["hired_on"] == datetime.strptime(row["Hire Date"], "%m/%d/%Y").date().isoformat()
        assert said["active"] == ("true" if row["Status"] == "Active" else "false")


@pytest.mark.parametrize("day", range(1, LAST + 1))
def test_truth_of_tickets_is_the_fold_of_what_came(demo: Demo, day: int) -> None:
    current: dict[str, dict[str, object]] = {}
    for of in range(1, day + 1):
        if events.delivered_on("zendesk.tickets", of, LAST) <= day:
            path = demo.folder / f"zendesk/tickets-2026-03-0{of}.json"
            current |= {str(row["id"]): row for row in json.loads(path.read_text("utf-8"))["tickets"]}
    alive = {key: row for key, row in current.items() if row["status"] != "deleted"}
    known = by_key(demo.truth(day).entities["ticket"].values)
    assert set(known) == set(alive)
    assert all(known[key]["status"] == row["status"] for key, row in alive.items())


def test_truth_of_the_address_is_one_record_in_lock_step(demo: Demo, answer: Truth) -> None:
    customers: dict[str, dict[str, dict[str, str | None]]] = {}
    for of in range(1, LAST + 1):
        for line in (demo.folder / f"stripe/customers-2026-03-0{of}.jsonl").read_text("utf-8").splitlines():
            row = json.loads(line)
            customers[row["id"]] = row
    by_company: dict[str, list[dict[str, dict[str, str | None]]]] = {}
    for row in customers.values():
        if not row["deleted"]:
            by_company.setdefault(str(row["metadata"]["hubspot_company_id"]), []).append(row)
    billed = 0
    for row in answer.entities["account"].values.to_dicts():
        mine = by_company.get(row["source_key"], [])
        if row["segment"] == "public" or not mine or mine[0]["address"]["line1"] is None:
            continue
        address = mine[0]["address"]
        assert (row["street"], row["city"], row["postal_code"]) == (
            address["line1"],
            address["city"],
            address["postal_code"],
        )
        billed += 1
    assert billed > 30


def test_members_name_every_live_record_once(demo: Demo, answer: Truth) -> None:
    assert answer.members.select("source", "source_key").is_unique().all()
    for entity, column in REFERS_TO:
        texts = answer.entities[entity].values[column].drop_nulls()
        known = answer.members.select(pl.concat_str("source", pl.lit("/"), "source_key")).to_series()
        gone = texts.filter(~texts.is_in(known.implode()))
        # A customer or a requester may be deleted while others still know the account or person.
        assert gone.len() <= texts.len() * 0.1, (entity, column)


def test_records_of_one_person_have_a_link_or_a_key_in_common(demo: Demo) -> None:
    """Joined by hand: whoever is one person in truth has a stored key, an e-mail, or number and name in common."""
    people = demo.truth(LAST).members.filter(pl.col("entity") == "contact")
    states = {source: demo.state(source, LAST) for source in people["source"].unique().to_list()}
    crm = {row["truth"]: row for row in states["hubspot.contacts"].sort("key", descending=True).to_dicts()}
    for source, rows in states.items():
        for row in rows.filter(~pl.col("gone")).to_dicts():
            mine = crm.get(row["truth"])
            if source == "hubspot.contacts" or mine is None or mine["gone"] or row.get("crm"):
                continue
            same_mail = row["email"] is not None and row["email"] == mine["email"]
            assert same_mail or (row["phone"], row["last_name"]) == (mine["phone"], mine["last_name"]), (source, row)


def test_share_counts_only_what_owners_said(answer: Truth) -> None:
    entity = answer.entities["account"]
    fields = ["name", "segment"]
    equal, all_cells = share_equal(entity.values, entity.values, entity.owned, fields)
    assert equal == all_cells == int(entity.owned.select(pl.sum_horizontal(pl.col(fields).sum())).item())
    worse = entity.values.with_columns(name=pl.lit("someone else"))
    assert share_equal(entity.values, worse, entity.owned, fields)[0] < all_cells
    assert share_equal(entity.values, entity.values.head(1), entity.owned, fields)[0] == 2


# -------------------------------------------------------------------------------- corrections, fight


def lead(demo: Demo, day: int) -> dict[str, str]:
    rows = rows_of(demo.folder / f"marketo/leads-2026-03-0{day}.csv")
    return next(row for row in rows if row["id"] == demo.fighter_key)


def test_the_fight(tmp_path: Path) -> None:
    """Each import of the old list undoes the correction of the day before; on quiet days nobody imports."""
    demo = Demo(tmp_path, contacts=150)
    right = demo.company.people["email"][0]
    seen = []
    for day in range(1, LAST + 1):
        demo.write_day(day)
        row = lead(demo, day)
        seen.append(row["email"] == right)
        if row["email"] != right and day < 5:
            wish = ("marketo.leads", demo.fighter_key, "email", row["email"], right)
            assert demo.apply(corrections(wish)).taken == 1
    assert seen == [False, True, False, True, False]
    assert [lead(demo, day)["updatedAt"][:10] for day in (2, 3, 4, 5)] == [f"2026-03-0{day}" for day in (1, 2, 3, 4)]


def test_corrections_are_compared_before_they_are_taken(tmp_path: Path) -> None:
    demo = Demo(tmp_path, contacts=150)
    demo.write_day(1)
    company = rows_of(tmp_path / "hubspot/companies-2026-03-01.csv")[0]
    asked = corrections(
        ("hubspot.companies", company["id"], "segment__c", company["segment__c"], "enterprise-x"),
        ("hubspot.companies", company["id"], "city", "somewhere else", "Oslo"),
        ("hubspot.companies", "0", "city", "", "Oslo"),
        ("hubspot.companies", company["id"], "no such column", "", "x"),
        ("nowhere.things", "1", "a", "", "b"),
    )
    applied = demo.apply(asked)
    assert (applied.taken, applied.refused) == (1, 4)
    demo.write_day(2)
    now = rows_of(tmp_path / "hubspot/companies-2026-03-02.csv")[0]
    assert (now["segment__c"], now["city"]) == ("enterprise-x", company["city"])
    assert now["hs_lastmodifieddate"] == "2026-03-01T23:00:00.000Z"


def test_corrections_from_a_file_reach_nested_columns_and_changes(tmp_path: Path) -> None:
    demo = Demo(tmp_path, contacts=150)
    demo.write_day(1)
    calm = demo.state("mailchimp.members", 3).filter(pl.col("touched") == 1)["key"].to_list()
    lines = (tmp_path / "mailchimp/members-2026-03-01.jsonl").read_text("utf-8").splitlines()
    member = next(row for row in map(json.loads, lines) if row["contact_id"] in calm)
    wish = {
        "system": "mailchimp",
        "source": "mailchimp.members",
        "source_key": member["contact_id"],
        "column": "merge_fields.LNAME",
        "observed": member["merge_fields"]["LNAME"],
        "wanted": "Newname",
        "rule": "owner",
    }
    outbox = tmp_path / "outbox.jsonl"
    outbox.write_text(json.dumps(wish) + "\n", "utf-8")
    assert demo.apply(outbox).taken == 1
    demo.write_day(2)
    changed = [
        json.loads(line) for line in (tmp_path / "mailchimp/members-2026-03-02.jsonl").read_text("utf-8").splitlines()
    ]
    mine = [row for row in changed if row["contact_id"] == member["contact_id"]]
    assert mine[0]["merge_fields"]["LNAME"] == "Newname"
    demo.write_day(3)
    later = (tmp_path / "mailchimp/members-2026-03-03.jsonl").read_text("utf-8")
    assert '"Newname"' not in later, "a change is reported once"


def test_an_empty_outbox_is_fine(tmp_path: Path) -> None:
    demo = Demo(tmp_path, contacts=60)
    demo.write_day(1)
    empty = tmp_path / "empty.jsonl"
    empty.write_bytes(b"")
    assert demo.apply(empty).taken == 0
    assert demo.apply(corrections()).taken == 0


def test_truth_does_not_depend_on_corrections(tmp_path: Path) -> None:
    calm, busy = Demo(tmp_path / "a", contacts=150), Demo(tmp_path / "b", contacts=150)
    busy.write_day(1)
    row = lead(busy, 1)
    busy.apply(corrections(("marketo.leads", row["id"], "email", row["email"], "someone@else.example")))
    assert calm.truth(3).entities["contact"].values.equals(busy.truth(3).entities["contact"].values)
