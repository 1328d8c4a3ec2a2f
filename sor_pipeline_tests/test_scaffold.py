"""The draft of a document: loads, lints, guesses well, says why, and survives whatever people call their columns."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sor_pipeline.demo.play import DOCUMENT, generate
from sor_pipeline.errors import SorError
from sor_pipeline.flow import STEPS, opened, pass_through
from sor_pipeline.ownership.document import Ownership
from sor_pipeline.ownership.lint import load_checked, read
from sor_pipeline.ownership.scaffold.names import bare, canonical, entity_of, reference, snake
from sor_pipeline.ownership.scaffold.quoting import flow, scalar
from sor_pipeline.ownership.scaffold.sample import Kind
from sor_pipeline.ownership.source import Mode
from sor_pipeline.ownership.yamltree import compose
from sor_pipeline.settings import Settings
from sor_pipeline.tables import Tables
from sor_pipeline.terminal.scaffold import Draft, draft, readable
from sor_pipeline.terminal.sniff import sniffed

SHARED = Path(__file__).parents[2] / "shared" / "extracts"
NAMESAKES = {"plan.accounts": "plan.territories"}
"""Streams that the demo's document names otherwise than their files."""


def drafted(folder: Path, where: Path) -> tuple[Draft, Ownership]:
    """The draft of a folder, and the document that it is; it must load, lint without errors, and make tables."""
    made = draft(folder)
    file = where / "drafted.yaml"
    file.write_text(made.text, encoding="utf-8")
    reading = read(file)
    assert [str(fault) for fault in reading.faults if not fault.warning] == []
    assert reading.ownership is not None
    Tables(reading.ownership)
    return made, reading.ownership


def rows(path: Path, *lines: Sequence[str], delimiter: str = ",", encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding=encoding, newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows(lines)
    return path


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("company")
    generate(folder, contacts=120, days=4)
    return folder


@pytest.fixture(scope="module")
def guessed(demo: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Draft, Ownership]:
    return drafted(demo, tmp_path_factory.mktemp("document"))


# ------------------------------------------------------------------------------------- the demo's tools


def test_the_same_files_give_the_same_bytes(demo: Path, guessed: tuple[Draft, Ownership]) -> None:
    assert draft(demo) == guessed[0]


def test_every_stream_of_the_demo_gets_its_entity_key_and_time(guessed: tuple[Draft, Ownership]) -> None:
    right, made = load_checked(DOCUMENT), guessed[1]
    for name, source in right.sources.items():
        found = made.sources[NAMESAKES.get(name, name)]
        assert (name, found.entity) == (name, source.entity)
        assert (name, set(found.key)) == (name, set(source.key))
        assert (name, found.changed_at, found.changed_at_format) == (name, source.changed_at, source.changed_at_format)
        for setting in ("records", "sheet", "header_row", "encoding"):
            assert getattr(found.extract, setting) == getattr(source.extract, setting), (name, setting)
        assert found.extract.delimiter in (source.extract.delimiter, ","), name
    assert {n: s.owner for n, s in made.entities.items() if n != "interaction"} == {
        n: s.owner for n, s in right.entities.items() if n != "interaction"
    }


def test_the_demo_s_modes_and_deletions(guessed: tuple[Draft, Ownership]) -> None:
    right, made = load_checked(DOCUMENT), guessed[1]
    for name, source in right.sources.items():
        assert (name, made.sources[NAMESAKES.get(name, name)].extract.mode) == (name, source.extract.mode)
    assert made.sources["mailchimp.members"].extract.deleted == {"status": ("archived",)}
    assert made.sources["zendesk.users"].extract.deleted.keys() == {"active"}


def test_most_columns_get_the_type_that_a_person_gave_them(guessed: tuple[Draft, Ownership]) -> None:
    right, made = load_checked(DOCUMENT), guessed[1]
    same, other = [], []
    for name, source in right.sources.items():
        found = made.sources[NAMESAKES.get(name, name)]
        types = {
            m.from_: made.entities[found.entity].fields[field].type for field, m in found.fields.items() if m.from_
        }
        for field, mapping in source.fields.items():
            if mapping.from_ in types:
                kind = right.entities[source.entity].fields[field].type
                (same if types[mapping.from_] == kind else other).append(
                    (name, mapping.from_, kind, types[mapping.from_])
                )
    share = len(same) / (len(same) + len(other))
    print(f"\n{share:.0%} of {len(same) + len(other)} mapped columns get the same type; others: {other}")
    assert share >= 0.8


def test_references_and_links_of_the_demo_are_found(guessed: tuple[Draft, Ownership]) -> None:
    made = guessed[1]
    contact = made.entities["contact"].fields
    assert (contact["account"].to, contact["owner"].to) == ("account", "employee")
    assert made.sources["hubspot.contacts"].fields["owner"].refers_to == "hubspot.owners"
    assert made.sources["stripe.subscriptions"].fields["account"].refers_to == "stripe.customers"
    assert made.entities["employee"].fields["manager"].to == "employee"
    links = {c: t for rule in made.entities["contact"].match for c, t in getattr(rule, "linked", {}).items()}
    assert links["zendesk.users.external_id"] == "hubspot.contacts"
    assert links["mailchimp.members.merge_fields.CRMID"] == "hubspot.contacts"
    assert any(getattr(rule, "same", ()) == ("email",) for rule in made.entities["contact"].match)


def test_the_demo_s_broken_files_are_named_and_the_rest_is_not_harmed(guessed: tuple[Draft, Ownership]) -> None:
    text = guessed[0].text
    assert [note.split(":")[0] for note in guessed[0].notes] == [
        "bamboohr/employees-2026-03-04.csv.zst",
        "aircall/contacts-2026-03-03.csv",
    ]
    assert all(note.split(":")[0] in text for note in guessed[0].notes)
    assert "activity-resent" in text  # the wider glob takes it in, and says so


def test_every_guess_says_why(guessed: tuple[Draft, Ownership]) -> None:
    silent = []
    for line in guessed[0].text.splitlines():
        bare_line = line.strip()
        opens = bare_line.endswith(":") or bare_line.startswith(("#", "changed_at_format"))
        if bare_line and not opens and "  # " not in line:
            silent.append(line)
    assert silent == []
    assert "# unique in" in guessed[0].text
    assert "blank in the sample" not in guessed[0].text or "# not mapped, blank" in guessed[0].text


def test_a_run_with_the_draft_publishes(tmp_path: Path) -> None:
    """Without `check`, whose library takes its time and which has its own tests."""
    generate(tmp_path / "extracts", contacts=40, days=2)
    _, ownership = drafted(tmp_path / "extracts", tmp_path)
    document = tmp_path / "drafted.yaml"
    where = Settings.read({}, ownership=document, home=tmp_path / "home", extracts=tmp_path / "extracts")
    with opened(ownership, where, datetime(2026, 3, 6)) as run:
        passage = pass_through(run, tuple(step for step in STEPS if step.name != "check"))
    assert passage.state == "published"
    assert passage.count("stage", "rejected_cells") <= 0.01 * passage.count("stage", "read")
    assert passage.count("publish", "created") > 0


# ------------------------------------------------------------------------------------- real exports


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the shared extracts")
@pytest.mark.parametrize("tool", ["hubspot", "marketo", "salesforce", "stripe", "zendesk"])
def test_a_real_export_gives_a_clean_draft(tool: str, tmp_path: Path) -> None:
    _, made = drafted(SHARED / tool, tmp_path)
    assert list(made.systems) == [tool]


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the shared extracts")
def test_all_real_exports_together(tmp_path: Path) -> None:
    made, ownership = drafted(SHARED, tmp_path)
    assert list(ownership.systems) == ["hubspot", "marketo", "salesforce", "stripe", "zendesk"]
    assert ownership.sources["hubspot.contact"].entity == ownership.sources["salesforce.contact"].entity == "contact"
    assert ownership.sources["stripe.customer"].entity == "account"
    assert ownership.entities["deal"].owner in ("hubspot", "salesforce")
    assert made.notes


# ------------------------------------------------------------------------------------- odd folders


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SorError, match="no-extracts"):
        draft(tmp_path)


def test_a_folder_of_junk_is_refused_and_says_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(bytes(range(256)) * 20)
    (tmp_path / "notes.bin").write_bytes(b"\x00\x01")
    with pytest.raises(SorError, match=r"x\.csv"):
        draft(tmp_path)


def test_one_file_of_a_flat_folder_takes_the_folder_s_name(tmp_path: Path) -> None:
    folder = tmp_path / "pipedrive"
    rows(folder / "people.csv", ["id", "email"], ["1", "a@x.example"], ["2", "b@x.example"])
    _, made = drafted(folder, tmp_path)
    assert made.sources["pipedrive.people"].entity == "contact"
    assert made.sources["pipedrive.people"].extract.files == ("people.csv",)


def test_prefixes_of_a_flat_folder_are_systems(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    rows(folder / "hubspot_contacts.csv", ["id", "email"], ["1", "a@x.example"])
    rows(folder / "stripe_customers.csv", ["id", "company", "email"], ["c1", "X", "a@x.example"])
    _, made = drafted(folder, tmp_path)
    assert set(made.sources) == {"hubspot.contacts", "stripe.customers"}


def test_nested_folders_and_dates_in_folders(tmp_path: Path) -> None:
    for day in ("2026-01-01", "2026-01-02"):
        rows(tmp_path / "in" / "crm" / "eu" / day / "leads.csv", ["id", "email"], ["1", "a@x.example"])
    _, made = drafted(tmp_path / "in", tmp_path)
    assert made.sources["crm.eu_leads"].extract.files == ("crm/eu/*/leads.csv",)
    assert made.every is not None


def test_parts_and_dates_become_one_glob_and_a_number_in_a_name_stays(tmp_path: Path) -> None:
    for name in ("a-2026-01-01-0001", "a-2026-01-01-0002", "a-2026-01-02-0001"):
        rows(tmp_path / "in" / "s" / f"{name}.csv", ["id", "x"], [name, "y"])
    rows(tmp_path / "in" / "s" / "product_2.csv", ["id", "x"], ["1", "y"])
    _, made = drafted(tmp_path / "in", tmp_path)
    assert {source.extract.files[0] for source in made.sources.values()} == {"s/a-*.csv", "s/product_2.csv"}


def test_duplicate_headers_and_junk_are_listed_and_the_good_file_stays(tmp_path: Path) -> None:
    rows(tmp_path / "in" / "s" / "contacts.csv", ["id", "email"], ["1", "a@x.example"])
    rows(tmp_path / "in" / "s" / "twice.csv", ["id", "email", "email"], ["1", "a", "b"])
    (tmp_path / "in" / "s" / "junk.csv").write_bytes(b"\x00\xff" * 5000)
    (tmp_path / "in" / "s" / "cut.csv.gz").write_bytes(gzip.compress(b"id,x\n1,2\n" * 500)[:30])
    (tmp_path / "in" / "s" / "book.xlsx").write_bytes(b"PK\x03\x04 not a workbook")
    (tmp_path / "in" / "s" / "half.json").write_text('{"users": [{"id": 1}')
    made, ownership = drafted(tmp_path / "in", tmp_path)
    assert list(ownership.sources) == ["s.contacts"]
    for name in ("twice.csv", "junk.csv", "cut.csv.gz", "book.xlsx", "half.json"):
        assert any(note.startswith(f"s/{name}: ") for note in made.notes), name
        assert f"#   s/{name}: " in made.text


def test_delimiters_and_encodings_are_sniffed_and_written_down(tmp_path: Path) -> None:
    header, line = ["id", "name", "note"], ["7", "Zoë", "x, y"]
    for number, sign in enumerate(",;\t|"):
        for encoding in ("utf-8", "latin-1", "utf-16"):
            path = rows(
                tmp_path / "in" / "s" / f"{encoding.replace('-', '')}_{'abcd'[number]}.csv",
                header,
                line,
                delimiter=sign,
                encoding=encoding,
            )
            found = sniffed("t", path)
            assert found is not None
            assert (found.delimiter, found.encoding) == (sign, encoding)
    _, made = drafted(tmp_path / "in", tmp_path)
    assert {source.extract.delimiter for source in made.sources.values()} == {",", ";", "\t", "|"}
    assert {source.extract.encoding for source in made.sources.values()} == {"utf-8", "latin-1", "utf-16"}


def test_titles_above_the_header_and_several_sheets(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    first = book.active
    assert first is not None
    first.title = "People"
    for line in (["Our people"], [], ["Key", "Mail"], ["a1", "a@x.example"], ["a2", "b@x.example"]):
        first.append(line)
    second = book.create_sheet("Firms")
    for line in (["id", "domain"], ["f1", "x.example"]):
        second.append(line)
    (tmp_path / "in").mkdir()
    book.save(tmp_path / "in" / "book.xlsx")
    _, made = drafted(tmp_path / "in", tmp_path)
    extracts = {source.extract.sheet: source.extract.header_row for source in made.sources.values()}
    assert extracts == {"People": 3, "Firms": 1}


def test_json_by_path_by_line_and_by_both_suffixes(tmp_path: Path) -> None:
    records = [{"id": n, "a": {"b": {"deep": f"x{n}"}}, "tags": ["p"]} for n in range(5)]
    folder = tmp_path / "in" / "s"
    folder.mkdir(parents=True)
    (folder / "deep.json").write_text(json.dumps({"result": {"items": records, "few": [{}]}, "count": 5}))
    (folder / "list.json").write_text(json.dumps(records))
    (folder / "lines.json").write_text("\n".join(map(json.dumps, records)))
    _, made = drafted(tmp_path / "in", tmp_path)
    assert made.sources["s.deep"].extract.records == "result.items"
    assert made.sources["s.lines"].extract.format == "jsonl"
    assert made.sources["s.list"].fields["a_b_deep"].from_ == "a.b.deep"
    assert made.entities["list"].fields["tags"].type == "list"


# ------------------------------------------------------------------------------------- single guesses


def one(tmp_path: Path, header: Sequence[str], *lines: Sequence[str], name: str = "contacts") -> Ownership:
    rows(tmp_path / "in" / "s" / f"{name}.csv", header, *lines)
    return drafted(tmp_path / "in", tmp_path)[1]


def test_types_by_name_and_texts(tmp_path: Path) -> None:
    header = [
        "Id",
        "E-Mail",
        "Mobile",
        "PLZ zip",
        "joined",
        "born",
        "seen_at",
        "Score",
        "Umsatz amount",
        "ok_flag",
        "code",
    ]
    lines = [
        [f"{n}", f"u{n}@x.example", f"+49 30 90182{n:03}", f"0{1000 + n}", f"{n + 1:02}.02.2024", f"2000-01-{n + 1:02}",
         str(1_700_000_000_000 + n), str(n), f"1.234,5{n % 10}", str(n % 2), f"00{n}"]
        for n in range(20)
    ]  # fmt: skip
    fields = one(tmp_path, header, *lines).entities["contact"].fields
    assert {name: field.type for name, field in fields.items()} == {
        "email": "email",
        "mobile_phone": "phone",
        "plz_zip": "text",
        "joined": "date",
        "born": "date",
        "seen_at": "timestamp",
        "score": "integer",
        "umsatz_amount": "decimal",
        "ok_flag": "boolean",
        "code": "text",
    }


def test_formats_are_written_into_the_mapping(tmp_path: Path) -> None:
    lines = [[f"{n}", f"{n + 1:02}.02.2024", str(1_700_000_000 + n), f"1.234,5{n % 10}"] for n in range(20)]
    made = one(tmp_path, ["id", "joined", "seen_at", "amount"], *lines).sources["s.contacts"].fields
    assert (made["joined"].format, made["seen_at"].format, made["amount"].decimal_mark) == ("%d.%m.%Y", "epoch_s", ",")


def test_blank_columns_are_listed_and_nothing_is_lost(tmp_path: Path) -> None:
    rows(tmp_path / "in" / "s" / "contacts.csv", ["id", "email", "never"], ["1", "a@x.example", ""])
    made, _ = drafted(tmp_path / "in", tmp_path)
    assert "# not mapped, blank in the sample: never" in made.text


def test_choices_need_few_texts_that_repeat(tmp_path: Path) -> None:
    lines = [[str(n), ("new", "old")[n % 2], f"kind {n}", "same"] for n in range(40)]
    fields = one(tmp_path, ["id", "status", "type", "stage"], *lines).entities["contact"].fields
    assert (fields["status"].type, fields["status"].of) == ("choice", ("new", "old"))
    assert (fields["type"].type, fields["stage"].type) == ("text", "text")


def test_a_key_of_two_columns_and_none_at_all(tmp_path: Path) -> None:
    pairs = [[str(n // 3), str(n % 3), "x"] for n in range(9)]
    assert one(tmp_path / "a", ["team_id", "user_id", "note"], *pairs).sources["s.contacts"].key == (
        "team_id",
        "user_id",
    )
    rows(tmp_path / "b" / "s" / "logs.csv", ["x", "y"], ["1", "1"], ["1", "1"])
    made, _ = drafted(tmp_path / "b", tmp_path)
    assert "NOT unique" in made.text


def test_files_that_do_not_repeat_their_keys_are_changes_not_snapshots(tmp_path: Path) -> None:
    for day in (1, 2, 3):
        lines = [[f"{day}{n}", f"2026-01-0{day}T00:00:00Z"] for n in range(5)]
        rows(tmp_path / "in" / "s" / f"contacts-2026-01-0{day}.csv", ["id", "updated_at"], *lines)
    made = drafted(tmp_path / "in", tmp_path)[1].sources["s.contacts"]
    assert (made.extract.mode, made.changed_at) == (Mode.changes, "updated_at")


def test_a_column_that_reads_otherwise_gets_a_field_of_its_own(tmp_path: Path) -> None:
    good = [[str(n), f"u{n}@x.example"] for n in range(10)]
    rows(tmp_path / "in" / "hubspot" / "contacts.csv", ["id", "email"], *good)
    rows(
        tmp_path / "in" / "other" / "people.csv", ["id", "email"], ["1", "9f86d081884c7d65"], ["2", "60303ae22b998861"]
    )
    made = drafted(tmp_path / "in", tmp_path)[1]
    assert made.entities["contact"].fields["email"].type == "email"
    assert made.sources["other.people"].fields["email_other"].from_ == "email"


@pytest.mark.parametrize(
    ("column", "entity", "field"),
    [
        ("property_firstname", "contact", "first_name"),
        ("merge_fields.FNAME", "contact", "first_name"),
        ("hs_createdate", "deal", "created_at"),
        ("segment__c", "account", "segment"),
        ("title", "contact", "job_title"),
        ("title", "ticket", "title"),
        ("dealname", "deal", "name"),
        ("deal_currency_code", "deal", "currency"),
        ("address.line1", "account", "street"),
        ("Work Email", "employee", "email"),
        ("2nd e-mail?", "contact", "n_2nd_e_mail"),
    ],
)
def test_names_of_fields(column: str, entity: str, field: str) -> None:
    assert canonical(column, entity) == field


def test_names_of_references_and_entities() -> None:
    assert reference("associatedcompanyid", "account") == "account"
    assert reference("hubspot_owner_id", "employee") == "owner"
    assert reference("requester_id", "contact") == "requester"
    assert reference("Account Manager (No.)", "employee") == "account_manager"
    assert entity_of("people", "x", set())[0] == "contact"
    assert entity_of("deal_contact", "x", set())[0] == "deal_contact"
    assert entity_of("customers", "x", {"id", "company"})[0] == "account"
    assert entity_of("customers", "x", {"id", "email"})[0] == "contact"
    assert entity_of("email_event_bounce", "x", set())[0] == "interaction"
    assert bare("客户") == snake("客户") != snake("订单")


def test_a_type_is_lent_only_where_stage_reads_it() -> None:
    assert readable(Kind(type="email"), ["a@x.example", "nobody"]) == 1
    assert readable(Kind(type="timestamp", format="epoch_s"), ["1700000000", "x"]) == 1
    assert readable(Kind(type="decimal", decimal_mark=","), ["1.234,50", "1.234.5"]) == 1


# ------------------------------------------------------------------------------------- hostile names

HOSTILE = [
    "yes", "null", "~", "#", "a: b", "a #b", "- x", "{a}", "[b]", "*c", "&d", "!e", "%f", "@g", "`h`", "'i'", '"j"',
    "k\\l", "ключ", "名前", "é\u0301", "🙂", "<<", "1", "1.5", "true", "a,b", "select", "entity_id", "email_system",
    "valid_from", "x\u2028y", "x\ty", "?", ":", "contact_id_key", "0x1", "  pad", "_system", "a.b.c", "%(x)s",
]  # fmt: skip


def test_hostile_column_names_come_back_as_they_are(tmp_path: Path) -> None:
    header = ["id", "email", *HOSTILE]
    lines = [[str(n), f"u{n}@x.example", *(f"v{n} {place}" for place in range(len(HOSTILE)))] for n in range(4)]
    made = one(tmp_path, header, *lines)
    mapped = {mapping.from_ for mapping in made.sources["s.contacts"].fields.values()}
    assert mapped == {"email", *HOSTILE}


def test_hostile_files_sheets_and_codes(tmp_path: Path) -> None:
    for number, name in enumerate(
        ["change", "state", "contact", "contact_history", "yes", "[a]", "{b}", "it's", "客户", "a b #c", "null"]
    ):
        lines = [[str(n), ("yes", "no: #1", "null")[n % 3], str(number)] for n in range(30)]
        rows(tmp_path / "in" / "on" / f"{name}.csv", ["id", "status", "entity_id"], *lines)
    made = drafted(tmp_path / "in", tmp_path)[1]
    assert len(made.sources) == 11
    assert all(
        set(field.of or ()) == {"yes", "no: #1", "null"}
        for e in made.entities.values()
        for f, field in e.fields.items()
        if f == "status"
    )


@given(st.text(max_size=60))
@settings(max_examples=300, deadline=None)
def test_any_text_survives_quoting(text: str) -> None:
    text = text.encode("utf-8", "replace").decode()
    tree, faults = compose(f"{scalar(text)}: [{scalar(text)}, {flow({text: text})}]\n".encode(), "x.yaml")
    assert faults == []
    assert tree is not None
    assert tree.entries is not None
    [(key, (_, node))] = tree.entries.items()
    assert key == text
    assert node.items is not None
    assert (node.items[0].text, node.items[0].empty) == (text, False)


_NAME = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30).map(str.strip).filter(bool)


@given(
    st.lists(_NAME, min_size=1, max_size=8, unique_by=str.casefold),
    st.lists(st.text(max_size=12), min_size=8, max_size=8),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_header_gives_a_clean_draft(tmp_path: Path, names: list[str], cells: list[str]) -> None:
    records = [dict(zip(names, cells, strict=False)) | {"id": number} for number in range(3)]
    folder = tmp_path / "in" / "s"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "things.json").write_text(
        json.dumps([r for r in records if "_row" not in r] or [{"id": 1}]), encoding="utf-8"
    )
    try:
        made = draft(tmp_path / "in")
    except SorError:
        return  # extract refuses such a header
    (tmp_path / "d.yaml").write_text(made.text, encoding="utf-8")
    reading = read(tmp_path / "d.yaml")
    assert [str(fault) for fault in reading.faults if not fault.warning] == []
