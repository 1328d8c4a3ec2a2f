"""Reading the document: every fault with its line, and no input that gives anything but a document or faults."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sor_pipeline.errors import Fault, OwnershipError
from sor_pipeline.ownership.document import Ownership
from sor_pipeline.ownership.lint import read
from sor_pipeline.ownership.load import load, load_with_places
from sor_pipeline.ownership.schema import json_schema
from sor_pipeline.ownership.yamltree import MAX_BYTES, MAX_DEPTH
from sor_pipeline_tests.test_ownership_lint import CASES, CLEAN

jsonschema = pytest.importorskip("jsonschema")

VALIDATOR = jsonschema.Draft202012Validator(json_schema())

FULL = """
# every short form and every kind of setting
title: Acme
every: day
placeholders: {email: [test@test.com, none], text: [0000]}
systems:
  hubspot:   {title: HubSpot CRM, role: record, steward: revops@acme.example}
  mailchimp: {title: Mailchimp, role: engagement}
  stripe:    {title: Stripe, role: record}
entities:
  contact:
    owner: hubspot
    match:
      - same: [email]
      - {same: [phone], max_records: 5}
      - linked: {mailchimp.members.crm_id: hubspot.contacts}
    groups: {address: {title: Address}}
    fields:
      email: {type: email, required: true, unique: true, personal: true, placeholders: [no@no.no]}
      phone: {type: phone, region: US}
      stage: {type: choice, of: [lead, customer, 007, true, NO]}
      street: {group: address}
      country: {type: country, group: address}
      mrr: {type: decimal, scale: 2, owner: stripe, min: 0, max: 1e6, tolerance: 0.01, reflect_in: [hubspot]}
      tags: {type: list, of: text, take: all}
      since: {type: date, stale_after: 90 days, fallback: [mailchimp]}
      opted_in:
        type: boolean
        owner: mailchimp
        severity: {required: block}
        exceptions:
          - {when: "country in ('DE', 'AT')", owner: hubspot, reason: double opt-in is kept in the CRM}
    expectations:
      - expect: expect_column_values_to_match_regex
        field: email
        with: {regex: '^.+@.+$', mostly: 0.9, catch: [true, 1, null, NO, 007, {deep: 1.5}]}
        severity: hold
sources:
  hubspot.contacts:
    entity: contact
    extract: {files: "hubspot/contacts-*.csv", mode: changes, every: day, deleted: archived, limits: {bad_rows: 0.5}}
    key: id
    changed_at: lastmodifieddate
    fields:
      email: email
      phone: phone
      stage: {from: lifecyclestage, codes: {2: lead, Customer: customer, 007: 007, NO: NO, true: true}}
      street: {join: [street_1, street_2], separator: ", "}
      country: properties.country
      opted_in: {from: optin, true_texts: [J], false_texts: [N]}
      since: {from: created, format: '%d.%m.%Y'}
      mrr: mrr
    only: {type: [person, 1]}
    accepts: [email, mrr]
  mailchimp.members:
    entity: contact
    extract: {files: [a.json, b.json], format: json, records: data.rows}
    key: [list_id, member_id]
    fields: {email: email_address, opted_in: status, tags: {from: tags, separator_in: ","}, since: joined}
  stripe.customers:
    entity: contact
    extract: {table: customers, url: "${STRIPE_URL}", mode: snapshot, max_shrink: 0.5}
    key: id
    fields: {email: email, mrr: {from: mrr_cents, scale_by: 0.01}}
"""


@pytest.fixture
def document(tmp_path: Path) -> Path:
    return tmp_path / "ownership.yaml"


def faults_of(path: Path, content: str | bytes) -> list[Fault]:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(OwnershipError) as caught:
        load(path)
    assert caught.value.faults
    return list(caught.value.faults)


def only(path: Path, content: str | bytes) -> tuple[str, str]:
    """Code and line of the one fault."""
    faults = faults_of(path, content)
    assert len(faults) == 1, faults
    return faults[0].code, faults[0].where.removeprefix(str(path)).lstrip(":")


def test_scalars_keep_their_text(document: Path) -> None:
    document.write_text(FULL, encoding="utf-8")
    ownership = load(document)
    contact = ownership.entities["contact"]
    assert contact.fields["stage"].of == ("lead", "customer", "007", "true", "NO")
    assert ownership.sources["hubspot.contacts"].fields["stage"].codes == {
        "2": "lead",
        "Customer": "customer",
        "007": "007",
        "NO": "NO",
        "true": "true",
    }
    assert ownership.placeholders["text"] == ("0000",)
    assert ownership.sources["hubspot.contacts"].only == {"type": ("person", "1")}
    assert contact.fields["mrr"].max == 1e6
    assert contact.expectations[0].arguments["catch"] == [True, 1, None, "NO", 7, {"deep": 1.5}]
    assert ownership.sources["hubspot.contacts"].extract.deleted["archived"][0] == "true"


def test_the_full_document_lints_without_error(document: Path) -> None:
    document.write_text(FULL, encoding="utf-8")
    assert [fault for fault in read(document).faults if not fault.warning] == []


def test_every_part_knows_its_line(document: Path) -> None:
    document.write_text(CLEAN, encoding="utf-8")
    _, places = load_with_places(document)
    lines = CLEAN.splitlines()

    def line(*path: str | int) -> str:
        return lines[int(places.at(*path).rsplit(":", 1)[1]) - 1].strip()

    assert line("entities", "contact", "fields", "email", "type") == "email: {type: email}"
    assert line("entities", "contact", "owner") == "owner: crm"
    assert line("sources", "mail.members", "accepts", 0) == "accepts: [email]"
    assert line("sources", "mail.members", "accepts", 99) == "accepts: [email]"
    assert places.at("nothing") == str(document)


@pytest.mark.parametrize(
    ("content", "code", "line"),
    [
        ("", "document-empty", ""),
        ("# nothing\n---\n", "document-empty", ""),
        ("null", "document-empty", ""),
        ("just text", "wrong-shape", "1"),
        ("\n- a\n- b\n", "wrong-shape", "2"),
        ("a: 1\nsystems:\n  x: {}\n  y: {}\n  x: {}\n", "duplicate-key", "5"),
        ("a:\n  b: 1\n\tc: 2\n", "yaml-tab", "3"),
        ("a: [1, 2\nb: 3\n", "yaml-syntax", "2"),
        ("a: 'x\n", "yaml-syntax", "2"),
        ('a: "\\UFFFFFFFF"', "yaml-syntax", "1"),
        ("a: 1\nb: !!python/object/apply:os.system [echo]\n", "yaml-tag", "2"),
        ("a: !secret x\n", "yaml-tag", "1"),
        ("a: *nothing\n", "yaml-alias", "1"),
        ("a: &a [*a]\n", "yaml-alias", "1"),
        ("a: 1\n---\nb: 2\n", "yaml-documents", "2"),
        ("a:\n  <<: {b: 1}\n", "yaml-merge", "2"),
        ("? [a, b]\n: 1\n", "yaml-key", "1"),
        ("[" * 50_000, "yaml-depth", "1"),
        ("{a: " * 50_000, "yaml-depth", "1"),
        ("- " * 50_000, "yaml-depth", "1"),
        ("? " * 50_000, "yaml-depth", "1"),
        (b"\xff\xfe\x00a", "document-not-text", "1"),
        (b"a: 1\nb: \xff\n", "document-not-text", "2"),
        (b"a: 1\n\x00", "document-not-text", "2"),
        ("x" * (MAX_BYTES + 1), "document-too-large", ""),
        ("a: &x " + "[1,1,1,1,1,1,1,1,1,1]\n" + "b: [" + "*x, " * 1200 + "]\n", "yaml-alias-bomb", "2"),
    ],
)
def test_broken_yaml_is_one_clear_fault(document: Path, content: str | bytes, code: str, line: str) -> None:
    found, where = only(document, content)
    assert found == code
    assert where == line or (code == "yaml-syntax" and where in ("", "1", "2"))  # libyaml and PyYAML point differently


def test_the_billion_laughs_are_refused(document: Path) -> None:
    laughs = "a0: &a0 [lol, lol]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30))
    assert only(document, laughs)[0] == "yaml-alias-bomb"


def test_small_aliases_are_allowed(document: Path) -> None:
    text = CLEAN.replace("{type: email}", "&mail {type: email}").replace("{type: name}", "*mail")
    document.write_text(text, encoding="utf-8")
    assert load(document).entities["contact"].fields["name"].type == "email"


def test_ten_megabytes_of_noise(document: Path) -> None:
    assert only(document, random.Random(1).randbytes(10_000_000))[0] == "document-too-large"


def test_a_large_document_of_unknown_keys_is_told_briefly(document: Path) -> None:
    faults = faults_of(document, "".join(f"k{n}: {{a: [1]}}\n" for n in range(20_000)))
    assert len(faults) == 101
    assert "more-faults" in {fault.code for fault in faults}


def test_the_byte_order_mark_is_no_text(document: Path) -> None:
    document.write_bytes(b"\xef\xbb\xbf" + CLEAN.encode())
    assert load(document).systems


def test_missing_unreadable_and_empty_places(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.yaml", tmp_path / ("x" * 300), tmp_path):
        with pytest.raises(OwnershipError) as caught:
            load(path)
        assert caught.value.faults[0].code in ("document-missing", "document-unreadable")
    (tmp_path / "folder.yaml").mkdir()
    with pytest.raises(OwnershipError) as caught:
        load(tmp_path)
    assert caught.value.faults[0].code == "document-unreadable"


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root reads everything")
def test_no_permission(document: Path) -> None:
    document.write_text(CLEAN, encoding="utf-8")
    document.chmod(0)
    assert read(document).severity == 2


def test_a_folder_is_merged_section_by_section(tmp_path: Path) -> None:
    head, sources = CLEAN.split("sources:\n")
    people, members = sources.split("  mail.members:")
    (tmp_path / "1.yaml").write_text(head, encoding="utf-8")
    (tmp_path / "2.yml").write_text("sources:\n" + people, encoding="utf-8")
    (tmp_path / "3.yaml").write_text("sources:\n  mail.members:" + members, encoding="utf-8")
    (tmp_path / "4.yaml").write_text("# empty\n", encoding="utf-8")
    (tmp_path / "notes.txt").write_text("not: [read", encoding="utf-8")
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "a.yaml").write_text(CLEAN, encoding="utf-8")
    assert load(tmp_path) == load(tmp_path / "one")
    _, places = load_with_places(tmp_path)
    assert places.at("sources", "mail.members", "key") == f"{tmp_path / '3.yaml'}:5"


def test_a_key_in_two_files_is_told_with_both_places(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(CLEAN, encoding="utf-8")
    (tmp_path / "b.yaml").write_text("title: x\nsystems:\n  crm: {}\n  desk: {}\n", encoding="utf-8")
    (tmp_path / "c.yaml").write_text("title: y\n", encoding="utf-8")
    with pytest.raises(OwnershipError) as caught:
        load(tmp_path)
    told = {(fault.code, fault.where, fault.found) for fault in caught.value.faults}
    assert told == {
        ("duplicate-key", f"{tmp_path / 'b.yaml'}:3", f"first at {tmp_path / 'a.yaml'}:2"),
        ("duplicate-key", f"{tmp_path / 'c.yaml'}:1", f"first at {tmp_path / 'b.yaml'}:1"),
    }


def test_faults_of_all_files_come_together(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: [", encoding="utf-8")
    (tmp_path / "b.yaml").write_text("b: !x 1\nb: 2\n", encoding="utf-8")
    with pytest.raises(OwnershipError) as caught:
        load(tmp_path)
    assert [fault.code for fault in caught.value.faults] == ["yaml-syntax", "yaml-tag", "duplicate-key"]


@pytest.mark.parametrize(
    ("old", "new", "code", "found", "todo"),
    [
        ("role: record", "rol: record", "unknown-key", "`rol`", "did you mean `role`?"),
        ("role: record", "role: recrod", "bad-value", "`recrod`", "did you mean `record`?"),
        ("{type: name}", "{type: nmae}", "bad-value", "`nmae`", "did you mean `name`?"),
        ("{type: name}", "{type: name, required: perhaps}", "bad-value", "`perhaps`", ""),
        ("{type: name}", "{type: name, min: low}", "bad-value", "`low`", ""),
        ("{type: name}", "{type: name, min: nan}", "bad-value", "`nan`", ""),
        ("{type: name}", "{type: name, scale: 99}", "bad-value", "`99`", ""),
        ("{type: name}", "{type: name, stale_after: soon}", "bad-value", "`soon`", ""),
        ("{type: name}", "{type: name, stale_after: 999999999 years}", "bad-value", "`999999999 years`", ""),
        ("{type: name}", "{type: name, region: us}", "bad-value", "`us`", ""),
        ("{type: name}", "{type: choice}", "bad-value", "keys type", ""),
        ("{type: name}", "{type: ref}", "bad-value", "keys type", ""),
        ("{type: name}", "{type: list, of: [a]}", "bad-value", "keys of, type", ""),
        ("{type: name}", "[name]", "wrong-shape", "a list of 1 items", ""),
        ("{type: name}", "", "wrong-shape", "nothing", ""),
        ("same: [email]", "smae: [email]", "unknown-key", "`smae`", "did you mean `same`?"),
        ("same: [email]", "linked: [email]", "wrong-shape", "a list of 1 items", ""),
        ("[same: [email]]", "[email]", "wrong-shape", "`email`", ""),
        ("[same: [email]]", "[same: []]", "bad-value", "an empty list", ""),
        ("      opted_in:", "      OptedIn:", "bad-name", "`OptedIn`", ""),
        ("  crm.people:", "  people:", "bad-name", "`people`", "name the system, a dot, the stream"),
        ("  crm.people:", "  crm.a__b:", "bad-name", "`crm.a__b`", "name the system, a dot, the stream"),
        ('files: "crm/*.csv"', 'files: "crm/*.csv", table: x', "bad-value", "keys files, table", ""),
        ("email: address", "email: {frmo: address}", "unknown-key", "`frmo`", "did you mean `from`?"),
        ("email: address", "email: {from: address, constant: x}", "bad-value", "keys constant, from", ""),
        ("email: address", "email: [address]", "wrong-shape", "a list of 1 items", ""),
    ],
)
def test_what_the_models_refuse(document: Path, old: str, new: str, code: str, found: str, todo: str) -> None:
    assert CLEAN.count(old) == 1
    line = CLEAN[: CLEAN.index(old) + len(old)].count("\n") + 1
    faults = [fault for fault in faults_of(document, CLEAN.replace(old, new)) if fault.code != "missing-key"]
    assert [(f.code, f.where, f.found) for f in faults] == [(code, f"{document}:{line}", found)]
    assert not todo or faults[0].todo == todo
    assert faults[0].expected


def test_what_is_missing_is_named_where_it_belongs(document: Path) -> None:
    faults = faults_of(document, CLEAN.replace("    owner: crm\n", "").replace("    key: id\n", "", 1))
    assert [(f.code, f.what, f.where) for f in faults] == [
        ("missing-key", "`owner` is missing in `entities.contact`", f"{document}:4"),
        ("missing-key", "`key` is missing in `sources.crm.people`", f"{document}:11"),
    ]
    assert faults[0].expected == "system of record of every field that does not say otherwise"


PIECES = [
    *"{}[]:,-?&*!|>'\"%@`#\n\t ~<=",
    "<<",
    "---",
    "...",
    "&a",
    "*a",
    "systems",
    "entities",
    "sources",
    "when",
    "true",
    "0x1",
]
MANGLED = st.tuples(
    st.integers(0, len(FULL)), st.integers(0, 40), st.lists(st.sampled_from(PIECES), max_size=4).map("".join)
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.binary(max_size=200), st.lists(st.sampled_from(PIECES), max_size=60).map(lambda p: "".join(p).encode())
    )
)
@example(b"%YAML 9.9\n---\na: 1")
@example(b"%TAG ! x\n---\n!a b")
@example(b"systems: {a: {}}\nentities: {a: {owner: a, fields: {a: {of: !!set {}}}}}")
def test_any_bytes_give_a_document_or_faults(document: Path, content: bytes) -> None:
    _never_another_exception(document, content)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(MANGLED, min_size=1, max_size=3))
def test_any_damage_to_a_document_gives_a_document_or_faults(
    document: Path, damage: list[tuple[int, int, str]]
) -> None:
    text = FULL
    for start, length, instead in damage:
        text = text[:start] + instead + text[start + length :]
    _never_another_exception(document, text.encode())


def _never_another_exception(document: Path, content: bytes) -> None:
    document.write_bytes(content)
    try:
        assert isinstance(load(document), Ownership)
    except OwnershipError as refused:
        faults = refused.faults
        assert all(fault.code and fault.where and fault.what for fault in faults)
    reading = read(document)
    assert all(str(fault) for fault in reading.faults)
    assert reading.ownership is not None or reading.severity


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["systems", "entities", "sources", "a", "owner", "fields", "of", "match", "a.b"]),
                inner,
                max_size=3,
            )
        ),
        max_leaves=20,
    )
)
def test_any_data_gives_a_document_or_faults(document: Path, data: object) -> None:
    _never_another_exception(
        document, json.dumps({"systems": data, "entities": {"a": data}, "sources": {"a.b": data}}).encode()
    )


def test_depth_is_bounded_before_recursion_is(document: Path) -> None:
    fits = "a: " + "[" * (MAX_DEPTH - 1) + "]" * (MAX_DEPTH - 1)
    assert {fault.code for fault in faults_of(document, fits)} == {"unknown-key", "missing-key"}
    assert only(document, "a: " + "[" * MAX_DEPTH + "]" * MAX_DEPTH)[0] == "yaml-depth"


def yaml_1_2(text: str) -> object:
    """The document as an editor's YAML 1.2 parser sees it."""
    from ruamel.yaml import YAML

    return json.loads(json.dumps(YAML(typ="safe", pure=True).load(text)))


def schema_faults(text: str) -> list[str]:
    return [error.json_path + ": " + error.message for error in VALIDATOR.iter_errors(yaml_1_2(text))]


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema())
    assert json_schema()["$schema"].endswith("2020-12/schema")
    assert json.loads(json.dumps(json_schema())) == json_schema()


@pytest.mark.parametrize("text", [CLEAN, FULL], ids=["clean", "full"])
def test_the_schema_accepts_valid_documents(text: str) -> None:
    assert schema_faults(text) == []


@pytest.mark.parametrize("case", CASES)
def test_the_schema_leaves_to_lint_what_is_lint_s(case: str) -> None:
    text = CLEAN
    for old, new in CASES[case][1]:
        text = text.replace(old, new)
    assert schema_faults(text) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("role: record", "rol: record"),
        ("{type: name}", "{type: nmae}"),
        ("      opted_in:", "      OptedIn:"),
        ("  crm.people:", "  people:"),
        ("same: [email]", "smae: [email]"),
        ("email: address", "email: {form: address}"),
        ("email: address", "email: [address]"),
    ],
)
def test_the_schema_refuses_what_the_models_refuse(old: str, new: str) -> None:
    assert schema_faults(CLEAN.replace(old, new))
