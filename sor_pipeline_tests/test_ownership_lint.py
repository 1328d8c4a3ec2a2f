"""Each lint code has a smallest document that triggers exactly it; `# here` marks the line it must name."""

from __future__ import annotations

from pathlib import Path

import pytest

from sor_pipeline.errors import OwnershipError
from sor_pipeline.ownership.document import Ownership
from sor_pipeline.ownership.entity import Field
from sor_pipeline.ownership.inversion import inverts
from sor_pipeline.ownership.lint import Severity, lint, load_checked, read
from sor_pipeline.ownership.source import Mapping

CLEAN = """
systems: {crm: {role: record}, mail: {role: engagement}}
entities:
  contact:
    owner: crm
    match: [same: [email]]
    fields:
      email: {type: email}
      name: {type: name}
      opted_in: {type: boolean, owner: mail}
sources:
  crm.people:
    entity: contact
    extract: {files: "crm/*.csv"}
    key: id
    fields: {email: mail, name: full_name}
    accepts: []
  mail.members:
    entity: contact
    extract: {files: "mail/*.csv"}
    key: id
    fields: {email: address, name: name, opted_in: status}
    accepts: [email]
"""
EMAIL = "      email: {type: email}\n"
NAME = "      name: {type: name}\n"
CRM = "    fields: {email: mail, name: full_name}\n"
MAIL = "    fields: {email: address, name: name, opted_in: status}\n"
ACCEPTS = "    accepts: [email]\n"
CRM_ACCEPTS = "    accepts: []\n"
SYSTEMS = "systems: {crm: {role: record}, mail: {role: engagement}}\n"
MATCH = "    match: [same: [email]]\n"
OPTED = "      opted_in: {type: boolean, owner: mail}\n"
ACCOUNT = """  account:
    owner: crm
    fields: {title: {}}
"""
ACCOUNTS = """  crm.accounts: {entity: account, key: id, extract: {files: a}, fields: {title: name}}
"""

CASES: dict[str, tuple[str, list[tuple[str, str]]]] = {
    "system of the entity": ("unknown-system", [("    owner: crm\n", "    owner: crn  # here\n")]),
    "system of a field": ("unknown-system", [(OPTED, "      opted_in: {type: boolean, owner: male}  # here\n")]),
    "system of a fallback": ("unknown-system", [(NAME, "      name: {type: name, fallback: [mial]}  # here\n")]),
    "system of an exception": (
        "unknown-system",
        [
            (
                NAME,
                "      name:\n        exceptions:\n        - when: opted_in\n"
                "          owner: x  # here\n          reason: r\n",
            )
        ],
    ),
    "system to reflect in": ("unknown-system", [(NAME, "      name: {type: name, reflect_in: [mial]}  # here\n")]),
    "system to take from": (
        "unknown-system",
        [(NAME, "      name: {type: name, take: longest, among: [mail, mial]}  # here\n")],
    ),
    "system of a source": (
        "unknown-system",
        [("  mail.members:\n", "  male.members:  # here\n"), (OPTED, ""), (MAIL, "    fields: {email: a}\n")],
    ),
    "entity of a source": (
        "unknown-entity",
        [(ACCEPTS, ACCEPTS + "  mail.x: {entity: contcat, key: id, extract: {files: a}}  # here\n")],
    ),
    "entity of a ref": ("unknown-entity", [(NAME, "      name: {type: ref, to: acount}  # here\n")]),
    "group": ("unknown-group", [(NAME, "      name: {type: name, group: adress}  # here\n")]),
    "empty group": ("empty-group", [("    owner: crm\n", "    owner: crm\n    groups: {address: {}}  # here\n")]),
    "field that is mapped": (
        "unknown-field",
        [(MAIL, "    fields: {email: address, name: name, opted_in: status, nme: a}  # here\n")],
    ),
    "field that is accepted": ("unknown-field", [(ACCEPTS, "    accepts: [email, nme]  # here\n")]),
    "field that matches": ("unknown-field", [(MATCH, "    match: [same: [email, phone]]  # here\n")]),
    "field of an expectation": (
        "unknown-field",
        [(MATCH, MATCH + "    expectations:\n    - {expect: expect_x, field: emial}  # here\n")],
    ),
    "type of placeholders": ("unknown-type", [("sources:\n", "placeholders: {emial: [x]}  # here\nsources:\n")]),
    "source of a link": (
        "unknown-source",
        [(MATCH, "    match:\n    - linked: {mail.members.crm_id: crm.contacts}  # here\n")],
    ),
    "source of a link's column": (
        "unknown-source",
        [(MATCH, "    match:\n    - linked: {mail.member.crm_id: crm.people}  # here\n")],
    ),
    "link without column": ("bad-link", [(MATCH, "    match:\n    - linked: {mail.members: crm.people}  # here\n")]),
    "link to another entity": (
        "foreign-link",
        [
            (MATCH, "    match:\n    - linked: {mail.members.x: crm.accounts}  # here\n"),
            ("sources:\n", ACCOUNT + "sources:\n" + ACCOUNTS),
        ],
    ),
    "source referred to": (
        "unknown-source",
        [
            (NAME, "      name: {type: ref, to: account}\n"),
            ("sources:\n", ACCOUNT + "sources:\n" + ACCOUNTS),
            (MAIL, "    fields: {email: a, opted_in: b}\n"),
            (CRM, "    fields: {email: a, name: {from: b, refers_to: crm.acounts}}  # here\n"),
        ],
    ),
    "reference to a source of another entity": (
        "wrong-reference",
        [
            (NAME, "      name: {type: ref, to: account}\n"),
            ("sources:\n", ACCOUNT + "sources:\n" + ACCOUNTS),
            (MAIL, "    fields: {email: a, opted_in: b}\n"),
            (CRM, "    fields: {email: a, name: {from: b, refers_to: mail.members}}  # here\n"),
        ],
    ),
    "reference whose source is not clear": (
        "unclear-reference",
        [
            (NAME, "      name: {type: ref, to: account}\n"),
            ("sources:\n", ACCOUNT + "sources:\n" + ACCOUNTS),
            (MAIL, "    fields: {email: a, opted_in: b, name: account}  # here\n"),
        ],
    ),
    "field named like the key": (
        "reserved-field",
        [(NAME, NAME + "      contact_id: {}  # here\n"), (CRM, "    fields: {email: a, name: b, contact_id: c}\n")],
    ),
    "field named like a lineage column": (
        "lineage-collision",
        [(NAME, NAME + "      email_key: {}  # here\n"), (CRM, "    fields: {email: a, name: b, email_key: c}\n")],
    ),
    "entity named like a table": (
        "reserved-entity",
        [
            (
                "sources:\n",
                "  contact_history: {owner: crm, fields: {title: {}}}  # here\nsources:\n"
                + ACCOUNTS.replace("entity: account", "entity: contact_history"),
            )
        ],
    ),
    "entity named like a shared table": (
        "reserved-entity",
        [
            (
                "sources:\n",
                "  conflict: {owner: crm, fields: {title: {}}}  # here\nsources:\n"
                + ACCOUNTS.replace("entity: account", "entity: conflict"),
            )
        ],
    ),
    "entity without source": (
        "entity-without-source",
        [("sources:\n", "  account: {owner: crm, fields: {title: {}}}  # here\nsources:\n")],
    ),
    "no match": ("never-matched", [(MATCH, ""), ("  contact:\n", "  contact:  # here\n")]),
    "system unused": ("unused-system", [(SYSTEMS, SYSTEMS.replace("}}\n", "}, desk: {}}  # here\n"))]),
    "twice in a fallback": ("repeated-name", [(NAME, "      name: {type: name, fallback: [mail, mail]}  # here\n")]),
    "twice in accepts": ("repeated-name", [(ACCEPTS, "    accepts: [email, email]  # here\n")]),
    "rule in a lock-step group": (
        "two-owners",
        [
            ("    owner: crm\n", "    owner: crm\n    groups: {address: {}}\n"),
            (NAME, "      name: {group: address, owner: mail}  # here\n"),
        ],
    ),
    "take in a lock-step group": (
        "two-owners",
        [
            ("    owner: crm\n", "    owner: crm\n    groups: {address: {}}\n"),
            (NAME, "      name: {group: address, take: longest}  # here\n"),
        ],
    ),
    "take and owner": ("two-owners", [(NAME, "      name: {take: longest, owner: mail}  # here\n")]),
    "owner maps nothing": (
        "owner-maps-nothing",
        [(CRM, "    fields: {email: mail}\n"), (NAME, "      name: {type: name}  # here\n")],
    ),
    "exception owner maps nothing": (
        "owner-maps-nothing",
        [
            (
                OPTED,
                "      opted_in:\n        type: boolean\n        owner: mail\n"
                "        exceptions:\n        - {when: email is null, owner: crm, reason: r}  # here\n",
            )
        ],
    ),
    "fallback maps nothing": (
        "owner-maps-nothing",
        [(OPTED, "      opted_in: {type: boolean, owner: mail, fallback: [crm]}  # here\n")],
    ),
    "among maps nothing": (
        "owner-maps-nothing",
        [(OPTED, "      opted_in: {type: boolean, take: latest, among: [crm, mail]}  # here\n")],
    ),
    "owner without source": (
        "owner-without-source",
        [
            ("    owner: crm\n", "    owner: desk  # here\n"),
            (SYSTEMS, SYSTEMS.replace("}}\n", "}, desk: {}}\n")),
            (
                "sources:\n",
                "  ticket: {owner: desk, fields: {title: {}}}\nsources:\n"
                "  desk.tickets: {entity: ticket, key: id, extract: {files: a}, fields: {title: a}}\n",
            ),
        ],
    ),
    "field that nobody maps": ("unmapped-field", [(NAME, NAME + "      phone: {type: phone}  # here\n")]),
    "owner as its own fallback": (
        "fallback-names-owner",
        [(NAME, "      name: {type: name, fallback: [crm]}  # here\n")],
    ),
    "take latest is written back": (
        "take-written-back",
        [(NAME, "      name: {type: name, take: latest}\n"), (ACCEPTS, "    accepts: [email, name]  # here\n")],
    ),
    "take longest is written back": (
        "take-written-back",
        [
            (NAME, "      name: {type: name, take: longest, among: [mail, crm]}\n"),
            (ACCEPTS, "    accepts: [email, name]  # here\n"),
        ],
    ),
    "stale without fallback": (
        "setting-without-effect",
        [(NAME, "      name: {type: name, stale_after: 90 days}  # here\n")],
    ),
    "among without take": ("setting-without-effect", [(NAME, "      name: {type: name, among: [mail]}  # here\n")]),
    "to without ref": ("setting-without-effect", [(NAME, "      name: {type: name, to: contact}  # here\n")]),
    "format of a text": (
        "setting-without-effect",
        [(MAIL, "    fields: {email: a, opted_in: b, name: {from: c, format: x}}  # here\n")],
    ),
    "condition that cannot be read": (
        "condition-syntax",
        [(NAME, "      name: {exceptions: [{when: email =, owner: mail, reason: r}]}  # here\n")],
    ),
    "condition with a function": (
        "condition-not-allowed",
        [(NAME, "      name: {exceptions: [{when: lower(email), owner: mail, reason: r}]}  # here\n")],
    ),
    "condition on an unknown field": (
        "condition-unknown-field",
        [(NAME, "      name: {exceptions: [{when: emial is null, owner: mail, reason: r}]}  # here\n")],
    ),
    "condition of another type": (
        "condition-type",
        [(NAME, "      name: {exceptions: [{when: opted_in = 1, owner: mail, reason: r}]}  # here\n")],
    ),
    "condition on itself": (
        "condition-on-itself",
        [(NAME, "      name: {exceptions: [{when: name is null, owner: mail, reason: r}]}  # here\n")],
    ),
    "conditions in a ring": (
        "cyclic-condition",
        [
            (EMAIL, "      email: {type: email, exceptions: [{when: name is null, owner: mail, reason: r}]}  # here\n"),
            (NAME, "      name: {exceptions: [{when: email is null, owner: mail, reason: r}]}\n"),
        ],
    ),
    "exception after the same": (
        "unreachable-rule",
        [
            (
                NAME,
                "      name:\n        exceptions:\n"
                "        - {when: opted_in, owner: mail, reason: r}\n"
                "        - {when: (opted_in = true), owner: crm, reason: r}  # here\n",
            )
        ],
    ),
    "exception that always holds": (
        "unreachable-rule",
        [(NAME, "      name: {exceptions: [{when: 'true', owner: mail, reason: r}]}  # here\n")],
    ),
    "exception that never holds": (
        "unreachable-rule",
        [(NAME, "      name: {exceptions: [{when: 'false', owner: mail, reason: r}]}  # here\n")],
    ),
    "exception that names the owner": (
        "unreachable-rule",
        [(NAME, "      name: {exceptions: [{when: opted_in, owner: crm, reason: r}]}  # here\n")],
    ),
    "code outside of the choice": (
        "code-outside-choice",
        [
            (NAME, "      name: {type: choice, of: [a, b]}\n"),
            (
                MAIL,
                "    fields:\n      email: x\n      opted_in: y\n      name:\n"
                "        from: z\n        codes:\n          Old: c  # here\n",
            ),
        ],
    ),
    "constant outside of the choice": (
        "code-outside-choice",
        [
            (NAME, "      name: {type: choice, of: [a, b]}\n"),
            (MAIL, "    fields: {email: x, opted_in: y, name: {constant: c}}  # here\n"),
        ],
    ),
    "pattern that is none": ("bad-pattern", [(NAME, "      name: {type: name, pattern: '[a'}  # here\n")]),
    "pattern with look-around": ("bad-pattern", [(NAME, "      name: {type: name, pattern: '(?=a)b'}  # here\n")]),
    "range without values": (
        "bad-range",
        [
            (NAME, NAME + "      n: {type: integer, min: 5, max: 4}  # here\n"),
            (CRM, "    fields: {email: a, name: b, n: c}\n"),
        ],
    ),
    "zone of the changes": (
        "unknown-zone",
        [(ACCEPTS, ACCEPTS + "    changed_at: x\n    changed_at_zone: Europe/Berln  # here\n")],
    ),
    "zone outside of the list": (
        "unknown-zone",
        [(ACCEPTS, ACCEPTS + "    changed_at: x\n    changed_at_zone: ../../x  # here\n")],
    ),
    "format without year": (
        "bad-format",
        [(ACCEPTS, ACCEPTS + "    changed_at: x\n    changed_at_format: '%d.%m.'  # here\n")],
    ),
    "format of unknown parts": (
        "bad-format",
        [(ACCEPTS, ACCEPTS + "    changed_at: x\n    changed_at_format: '%Y-%Q'  # here\n")],
    ),
    "half of the day": (
        "bad-format",
        [(ACCEPTS, ACCEPTS + "    changed_at: x\n    changed_at_format: '%Y-%m-%d %I'  # here\n")],
    ),
    "changes without time": (
        "changes-without-time",
        [
            ("  mail.members:\n", "  mail.members:  # here\n"),
            ('{files: "mail/*.csv"}', '{files: "mail/*.csv", mode: changes}'),
        ],
    ),
    "events with deletions": (
        "events-deleted",
        [('{files: "mail/*.csv"}', '{files: "mail/*.csv", mode: events, deleted: gone}  # here')],
    ),
    "encoding": ("unknown-encoding", [('{files: "mail/*.csv"}', '{files: "mail/*.csv", encoding: utf8000}  # here')]),
    "text of true and false": (
        "text-of-both",
        [(MAIL, "    fields: {email: x, name: z, opted_in: {from: y, true_texts: [a], false_texts: [a]}}  # here\n")],
    ),
    "accepted without mapping": ("accepts-unmapped", [(CRM_ACCEPTS, "    accepts: [opted_in]  # here\n")]),
    "lossy mapping": (
        "lossy-mapping",
        [
            (MAIL, "    fields: {email: {join: [user, host]}, name: name, opted_in: status}\n"),
            (ACCEPTS, "    accepts: [email]  # here\n"),
        ],
    ),
    "no code for a value": (
        "code-for-none",
        [
            (NAME, "      name: {type: choice, of: [a, b]}\n"),
            (MAIL, "    fields: {email: x, opted_in: y, name: {from: z, codes: {A: a}}}\n"),
            (ACCEPTS, "    accepts: [name]  # here\n"),
        ],
    ),
    "owner accepts its own": ("accepts-own", [(ACCEPTS, "    accepts: [email, opted_in]  # here\n")]),
    "reflected without a column": (
        "reflect-not-accepted",
        [
            (NAME, "      name: {type: name, reflect_in: [mail]}  # here\n"),
            (MAIL, "    fields: {email: address, name: {join: [a, b]}, opted_in: status}\n"),
        ],
    ),
    "reflected and asked": (
        "reflect-speaks",
        [(NAME, "      name: {type: name, fallback: [mail], reflect_in: [mail]}  # here\n")],
    ),
    "two fields that swap columns": (
        "written-in-circles",
        [
            (CRM, "    fields: {email: mail, name: full_name, opted_in: full_name}\n"),
            (NAME, "      name: {type: text}\n"),
            (OPTED, "      opted_in: {type: text, owner: mail}\n"),
            (MAIL, "    fields: {email: address, name: status, opted_in: status}\n"),
            (CRM_ACCEPTS, "    accepts: [opted_in]  # here\n"),
            (ACCEPTS, "    accepts: [name]\n"),
        ],
    ),
    "a column that says two things": (
        "written-over",
        [
            (MAIL, "    fields: {email: address, name: address, opted_in: status}\n"),
            (NAME, "      name: {type: text, fallback: [mail]}\n"),
            (ACCEPTS, "    accepts: [email]  # here\n"),
        ],
    ),
    "written where staleness is judged": (
        "stale-written-back",
        [
            (NAME, "      name: {type: name, fallback: [mail], stale_after: 2 days}\n"),
            (ACCEPTS, "    accepts: [name]  # here\n"),
        ],
    ),
    "a choice that reads as nothing": (
        "written-as-nothing",
        [
            (NAME, "      name: {type: choice, of: [a, Unknown], placeholders: [unknown]}\n"),
            (ACCEPTS, "    accepts: [name]  # here\n"),
        ],
    ),
    "codes that are one when read": (
        "codes-do-not-return",
        [
            (NAME, "      name: {type: choice, of: [a, b]}\n"),
            (MAIL, '    fields: {email: x, opted_in: y, name: {from: z, codes: {"A": a, "A ": b}}}\n'),
            (ACCEPTS, "    accepts: [name]  # here\n"),
        ],
    ),
}

WARNINGS = {
    "accepts-own",
    "changes-without-time",
    "code-for-none",
    "empty-group",
    "never-matched",
    "repeated-name",
    "setting-without-effect",
    "stale-written-back",
    "unmapped-field",
    "unused-system",
    "written-over",
}


def written(folder: Path, text: str) -> Path:
    path = folder / "ownership.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_clean_document_has_no_fault(tmp_path: Path) -> None:
    reading = read(written(tmp_path, CLEAN))
    assert reading.faults == []
    assert reading.severity is Severity.clean


@pytest.mark.parametrize("case", CASES)
def test_each_code_is_triggered_alone_at_its_line(case: str, tmp_path: Path) -> None:
    code, changes = CASES[case]
    text = CLEAN
    for old, new in changes:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    lines = [number for number, line in enumerate(text.splitlines(), 1) if "# here" in line]
    path = written(tmp_path, text)
    reading = read(path)
    assert reading.ownership is not None, reading.faults
    assert [(fault.code, fault.where) for fault in reading.faults] == [(code, f"{path}:{lines[0]}")], reading.faults
    fault = reading.faults[0]
    assert fault.warning is (code in WARNINGS)
    assert fault.what
    assert fault.found
    assert reading.severity is (Severity.clean if fault.warning else Severity.faults)


def test_all_faults_are_told_in_one_go_by_line(tmp_path: Path) -> None:
    text = CLEAN.replace("owner: crm\n", "owner: crn\n").replace("accepts: [email]", "accepts: [emial]")
    text = text.replace("same: [email]", "same: [mail]")
    faults = read(written(tmp_path, text)).faults
    assert [fault.code for fault in faults] == ["unknown-system", "unknown-field", "unknown-field"]
    assert [fault.todo for fault in faults] == ["did you mean `crm`?", "did you mean `email`?", "did you mean `email`?"]


def test_an_exception_that_guards_a_later_one_may_name_the_owner(tmp_path: Path) -> None:
    new = """      name:
        exceptions:
        - {when: email is null, owner: crm, reason: r}
        - {when: opted_in, owner: mail, reason: r}
"""
    assert read(written(tmp_path, CLEAN.replace(NAME, new))).faults == []


def test_the_group_decides_for_its_fields(tmp_path: Path) -> None:
    text = CLEAN.replace("    owner: crm\n", "    owner: crm\n    groups: {address: {owner: mail}}\n")
    text = text.replace(NAME, "      name: {group: address}\n      city: {group: address}\n")
    faults = read(written(tmp_path, text.replace(CRM, "    fields: {email: a, name: b, city: c}\n"))).faults
    assert [(fault.code, fault.what) for fault in faults] == [
        ("owner-maps-nothing", "`mail` decides `city`, but none of its sources maps a column to it")
    ]


def test_a_ring_through_a_group_is_found(tmp_path: Path) -> None:
    rule = "{exceptions: [{when: opted_in, owner: mail, reason: r}]}"
    text = CLEAN.replace("    owner: crm\n", f"    owner: crm\n    groups: {{address: {rule}}}\n")
    text = text.replace(NAME, "      name: {group: address}\n")
    exception = (
        "exceptions: [{when: name is null, owner: mail, reason: r}, {when: email is null, owner: mail, reason: r}]"
    )
    text = text.replace(OPTED, f"      opted_in: {{type: boolean, owner: crm, {exception}}}\n")
    text = text.replace(CRM, "    fields: {email: mail, name: full_name, opted_in: y}\n")
    assert [fault.code for fault in read(written(tmp_path, text)).faults] == ["cyclic-condition"]


def test_a_document_built_in_code_is_linted_by_path(tmp_path: Path) -> None:
    ownership = Ownership.model_validate(
        {
            "systems": {"crm": {}},
            "entities": {"contact": {"owner": "crm", "fields": {"email": {"owner": "mail"}}}},
            "sources": {
                "crm.a": {"entity": "contact", "extract": {"files": "a"}, "key": "id", "fields": {"email": "e"}}
            },
        }
    )
    assert [(f.code, f.where) for f in lint(ownership)] == [("unknown-system", "entities.contact.fields.email.owner")]


def test_severity_is_the_exit_code(tmp_path: Path) -> None:
    assert read(written(tmp_path, CLEAN)).severity == 0
    assert read(written(tmp_path, CLEAN.replace(NAME, NAME + "      x: {}\n"))).severity == 0  # a warning
    assert read(written(tmp_path, CLEAN.replace("owner: mail", "owner: x"))).severity == 1
    assert read(written(tmp_path, "a: [")).severity == 1
    assert read(tmp_path / "absent").severity == 2
    assert read(tmp_path / "a\0b").severity == 2


def test_load_checked_lets_warnings_pass_and_nothing_else(tmp_path: Path) -> None:
    assert load_checked(written(tmp_path, CLEAN.replace(NAME, NAME + "      x: {}\n"))).entities
    with pytest.raises(OwnershipError) as caught:
        load_checked(written(tmp_path, CLEAN.replace("owner: mail", "owner: x").replace(NAME, NAME + "      x: {}\n")))
    assert [fault.code for fault in caught.value.faults] == ["unknown-system"]


FIELDS = {
    "text": Field(),
    "integer": Field(type="integer"),
    "decimal": Field(type="decimal"),
    "boolean": Field(type="boolean"),
    "date": Field(type="date"),
    "timestamp": Field(type="timestamp"),
    "choice": Field(type="choice", of=("a", "b")),
    "list": Field(type="list", of="text"),
}


@pytest.mark.parametrize(
    ("kind", "mapping", "good"),
    [
        ("text", {"from": "a"}, True),
        ("text", {"from": "a.b"}, False),
        ("text", {"join": ["a", "b"]}, False),
        ("text", {"constant": "x"}, False),
        ("choice", {"from": "a", "codes": {"A": "a", "B": "b"}}, True),
        ("choice", {"from": "a", "codes": {"A": "a", "AA": "a"}}, False),
        ("boolean", {"from": "a", "true_texts": ["J"], "false_texts": ["N"]}, True),
        ("boolean", {"from": "a", "true_texts": ["J"]}, False),
        ("boolean", {"from": "a", "codes": {"J": "true", "N": "false"}}, True),
        ("decimal", {"from": "a", "scale_by": 0.01}, True),
        ("decimal", {"from": "a", "scale_by": 1000}, True),
        ("decimal", {"from": "a", "scale_by": 0.5}, True),
        ("decimal", {"from": "a", "scale_by": 3}, False),
        ("decimal", {"from": "a", "scale_by": 0.3}, False),
        ("decimal", {"from": "a", "scale_by": 0}, False),
        ("integer", {"from": "a", "decimal_mark": ","}, True),
        ("date", {"from": "a"}, True),
        ("date", {"from": "a", "format": "%d.%m.%Y"}, True),
        ("date", {"from": "a", "format": "%d.%m.%y"}, False),
        ("date", {"from": "a", "format": "%Y-%m"}, False),
        ("date", {"from": "a", "format": "%Y%%m%%d"}, False),
        ("timestamp", {"from": "a", "format": "epoch_ms"}, True),
        ("timestamp", {"from": "a", "format": "%Y-%m-%d %H:%M:%S"}, True),
        ("timestamp", {"from": "a", "format": "%Y-%m-%d %H:%M"}, False),
        ("timestamp", {"from": "a", "format": "%Y-%m-%d %H:%M:%S", "zone": "Europe/Berlin"}, False),
        ("timestamp", {"from": "a", "format": "%Y-%m-%d %H:%M:%S%z", "zone": "Europe/Berlin"}, True),
        ("timestamp", {"from": "a", "format": "%Y-%m-%d %H:%M:%S", "zone": "Asia/Tokyo"}, True),
        ("list", {"from": "a"}, False),
    ],
)
def test_inverts(kind: str, mapping: dict[str, object], good: bool) -> None:
    reason = inverts(FIELDS[kind], Mapping.model_validate(mapping))
    assert (reason is None) is good, reason


def test_the_example_of_the_design_is_a_document(tmp_path: Path) -> None:
    design = Path(__file__).parents[2] / "shared" / "design.md"
    if not design.exists():
        pytest.skip("the shared folder is absent")
    example = design.read_text(encoding="utf-8").split("## 5.")[1].split("```yaml\n")[1].split("```")[0]
    reading = read(written(tmp_path, example))
    assert reading.ownership is not None
    codes = {
        fault.code for fault in reading.faults if not fault.warning
    }  # it is cut short: sources and an entity are left out
    assert codes <= {
        "unknown-entity",
        "unknown-source",
        "unknown-system",
        "unknown-field",
        "accepts-unmapped",
        "reflect-not-accepted",
        "owner-without-source",
        "owner-maps-nothing",
        "condition-unknown-field",
    }


@pytest.mark.parametrize("take", ["max", "min", "latest", "earliest", "most_common", "longest"])
def test_a_take_is_written_only_where_it_does_not_ask(tmp_path: Path, take: str) -> None:
    def codes(among: str) -> set[str]:
        text = CLEAN.replace(NAME, f"      name: {{type: name, take: {take}, among: [{among}]}}\n")
        (tmp_path / "o.yaml").write_text(text.replace(ACCEPTS, "    accepts: [name]\n"), encoding="utf-8")
        return {fault.code for fault in read(tmp_path / "o.yaml").faults}

    assert codes("crm, mail") == codes("mail") == {"take-written-back"}
    assert codes("crm") == set()
