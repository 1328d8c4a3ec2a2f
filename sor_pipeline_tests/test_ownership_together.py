"""Faults of form and contradictions come in one go, and none of them would be gone once the others are mended."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import sor_pipeline.demo
from sor_pipeline.errors import Fault, OwnershipError
from sor_pipeline.ownership.lint import Reading, read
from sor_pipeline.ownership.load import _plain, load, survey
from sor_pipeline.ownership.yamltree import compose
from sor_pipeline_tests.test_ownership_lint import CLEAN

DEMO = Path(sor_pipeline.demo.__file__).parent / "ownership.yaml"
NOBODY = "nobody_at_all"


def told(faults: list[Fault]) -> set[tuple[str, str]]:
    return {(fault.code, fault.what) for fault in faults}


@pytest.fixture
def document(tmp_path: Path) -> Path:
    return tmp_path / "ownership.yaml"


def read_text(document: Path, text: str) -> Reading:
    document.write_text(text, encoding="utf-8")
    return read(document)


def codes(document: Path, *edits: tuple[str, str]) -> list[tuple[str, int]]:
    """Code and line of every fault of CLEAN after the edits, as they are told."""
    text = CLEAN.lstrip()
    for old, new in edits:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return [(fault.code, int(fault.where.rpartition(":")[2])) for fault in read_text(document, text).faults]


EMAIL = ("{type: email}", "{type: emial}")
OWNER = ("opted_in: {type: boolean, owner: mail}", "opted_in: {type: boolean, owner: male}")


@pytest.mark.parametrize(
    ("edits", "expected"),
    [
        ([EMAIL, OWNER], [("bad-value", 7), ("unknown-system", 9)]),
        ([("{role: record}", "{rol: record}"), OWNER], [("unknown-key", 1), ("unknown-system", 9)]),
        ([("    owner: crm\n", "    ownr: crm\n"), OWNER], [("unknown-key", 4), ("unknown-system", 9)]),
        ([("    owner: crm\n", "    owner: [crm]\n"), OWNER], [("wrong-shape", 4), ("unknown-system", 9)]),
        ([("    owner: crm\n", ""), OWNER], [("missing-key", 3), ("unknown-system", 8)]),
        ([("entities:\n", "entites:\n")], [("unknown-key", 2)]),
        ([("sources:\n", "sorces:\n")], [("unknown-key", 10)]),
        # a name that was declared, but ill-formed, is known
        ([("      name: {type: name}", "      name: [name]")], [("wrong-shape", 8)]),
        ([("      name: {type: name}", "      Name: {type: name}")], [("bad-name", 8)]),
        ([("mail: {role: engagement}", "mail: [x]")], [("wrong-shape", 1)]),
        ([("  crm.people:", "  people:")], [("bad-name", 11)]),
        ([("{email: mail, name: full_name}", "[email]")], [("wrong-shape", 15)]),
        ([("{email: mail, name: full_name}", "{email: mail, name: {frm: full_name}}")], [("unknown-key", 15)]),
        ([("same: [email]", "same: [emial, [x]]")], [("unknown-field", 5), ("wrong-shape", 5)]),
        # what belongs to nobody because its owner is unread is not told
        ([("  mail.members:\n    entity: contact\n", "  mail.members:\n    entity: [contact]\n")], [("wrong-shape", 18)]),
        ([("accepts: [email]", "accepts: [email, {}, nme]")], [("unknown-field", 22), ("wrong-shape", 22)]),
        # of YAML
        ([("      name: {type: name}\n", "      name: {type: name}\n      name: {type: email}\n"), OWNER],
         [("duplicate-key", 9), ("unknown-system", 10)]),
        ([("{type: name}", "!odd {type: nmae}"), OWNER], [("yaml-tag", 8), ("bad-value", 8), ("unknown-system", 9)]),
        ([("      name: {type: name}\n", "      <<: {name: {type: name}}\n")], [("yaml-merge", 8)]),
        ([("    owner: crm\n", "    <<: *base\n")], [("yaml-merge", 4), ("yaml-alias", 4)]),
    ],
)  # fmt: skip
def test_all_faults_in_one_go(document: Path, edits: list[tuple[str, str]], expected: list[tuple[str, int]]) -> None:
    assert sorted(codes(document, *edits)) == sorted(expected)


def test_faults_are_told_by_line(document: Path) -> None:
    lines = [line for _, line in codes(document, EMAIL, OWNER, ("accepts: [email]", "accepts: [emial]"))]
    assert lines == sorted(lines)
    assert len(lines) == 3


def test_there_is_no_document_while_it_has_faults_of_form(document: Path) -> None:
    reading = read_text(document, CLEAN.replace(*EMAIL))
    assert reading.ownership is None
    assert reading.severity == 1
    with pytest.raises(OwnershipError):
        load(document)


def test_a_file_that_cannot_be_parsed_hides_nothing_of_the_others(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("systems: {crm: {}, mail: {}", encoding="utf-8")
    (tmp_path / "b.yaml").write_text(CLEAN.lstrip().split("\n", 1)[1].replace(*EMAIL), encoding="utf-8")
    assert [fault.code for fault in read(tmp_path).faults] == ["yaml-syntax", "bad-value"]


def test_a_later_round_tells_what_an_earlier_one_hid(document: Path) -> None:
    """Pydantic judges a noun as a whole only when each of its parts is well-formed."""
    assert codes(document, ("{type: name}", "{type: choice, scale: 99}")) == [("bad-value", 8), ("bad-value", 8)]


# --- any one damage, any one contradiction ---------------------------------------------------------------------

Place = tuple[str | int, ...]


def demo() -> dict[str, Any]:
    root, faults = compose(DEMO.read_bytes(), "demo")
    assert root is not None
    assert not faults
    data = _plain(root, False)
    assert isinstance(data, dict)
    return data


def places(data: Any, path: Place = ()) -> Iterator[Place]:
    if path:
        yield path
    steps = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for step, below in steps:
        yield from places(below, (*path, step))


def at(data: Any, path: Place) -> Any:
    for step in path:
        data = data[step]
    return data


def damage(chance: random.Random, data: dict[str, Any], path: Place) -> str:
    """Make one part ill-formed, in a way that says nothing else than what was there; returns the way."""
    parent, step = at(data, path[:-1]), path[-1]
    way = chance.choice(["shape", "text", "rename", "misname", "gone"])
    if way == "shape" or isinstance(parent, list):
        parent[step] = [["§"]] if isinstance(parent[step], dict) else {"§": "§"}
    elif way == "text":
        parent[step] = "§"
    else:
        value = parent.pop(step)
        if way != "gone":
            parent[f"{step}x" if way == "rename" else f"Bad {step}"] = value
    return way


def contradict(chance: random.Random, data: dict[str, Any]) -> Place:
    """Name something that is not there; returns where."""
    entity = chance.choice(list(data["entities"]))
    source = chance.choice(list(data["sources"]))
    fields, spec = data["entities"][entity]["fields"], data["sources"][source]
    name = chance.choice(list(fields))
    way = chance.choice(["owner", "fallback", "reflect", "mapped", "accepted", "expectation", "match", "entity owner"])
    if way == "owner":
        fields[name]["owner"] = NOBODY
    elif way == "fallback":
        fields[name].setdefault("fallback", []).append(NOBODY)
    elif way == "reflect":
        fields[name].setdefault("reflect_in", []).append(NOBODY)
    if way in ("owner", "fallback", "reflect"):
        return ("entities", entity, "fields", name)
    if way == "mapped":
        spec.setdefault("fields", {})[NOBODY] = "column"
        return ("sources", source, "fields", NOBODY)
    if way == "accepted":
        spec.setdefault("accepts", []).append(NOBODY)
        return ("sources", source, "accepts")
    if way == "expectation":
        data["entities"][entity].setdefault("expectations", []).append({"expect": "expect_x", "field": NOBODY})
        return ("entities", entity, "expectations")
    if way == "match":
        data["entities"][entity].setdefault("match", []).append({"same": [NOBODY]})
        return ("entities", entity, "match")
    data["entities"][entity]["owner"] = NOBODY
    return ("entities", entity, "owner")


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**9))
def test_no_contradiction_is_told_that_mending_would_end(document: Path, seed: int) -> None:
    chance = random.Random(seed)
    data = demo()
    wrong = contradict(chance, data)
    meant = told(read_text(document, json.dumps(data)).faults)
    assert any(NOBODY in what for _, what in meant)
    broken = copy.deepcopy(data)
    where = chance.choice([place for place in places(broken) if NOBODY not in place])
    assume(at(broken, where) != NOBODY)
    way = damage(chance, broken, where)
    faults = read_text(document, json.dumps(broken)).faults
    found = survey(document)
    assume(found.misfits)
    assert len(faults) == len(set(faults))
    contradictions = told(faults) - told(found.misfits)
    assert contradictions <= meant, (where, wrong)
    apart = where[: len(wrong)] != wrong and wrong[: len(where)] != where and len(where) >= 4
    if apart and where[2] == "fields" and way != "misname":  # what was misnamed may be what the other names
        assert any(NOBODY in what for _, what in contradictions), (where, wrong)
