"""`sor why-linked`: the way between two records, and every reason why there is none; similarity's commands."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from sor_pipeline import cli
from sor_pipeline_tests.people_world import ANN, CY, People

HOME = "mail.members:m:3 x"
Ask = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("people")
    People(folder).run()
    return folder


@pytest.fixture
def people(ran: Path, tmp_path: Path) -> People:
    shutil.copytree(ran, tmp_path, dirs_exist_ok=True)
    return People(tmp_path)


@pytest.fixture
def ask(people: People, monkeypatch: pytest.MonkeyPatch) -> Ask:
    monkeypatch.setenv("COLUMNS", "80")

    def asked(*words: str) -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        code: object = 0
        with redirect_stdout(out), redirect_stderr(err):
            try:
                cli.main([*words, "--ownership", str(people.document), "--home", str(people.settings.home)])
            except SystemExit as ended:
                code = ended.code
        return int(str(code or 0)), out.getvalue(), err.getvalue()

    return asked


def told(ask: Ask, *words: str) -> str:
    """What is printed, its line breaks between words undone; no line is wider than the terminal."""
    code, out, err = ask("why-linked", *words)
    assert code == 0, err
    assert all(len(line) <= 80 for line in out.splitlines()), out
    return " ".join(out.replace("│", "").split())


def data(ask: Ask, *words: str) -> Any:
    return json.loads(ask("why-linked", *words, "--json")[1])


# ------------------------------------------------------------------------------------- the way


def test_the_way_is_told_edge_by_edge(ask: Ask, people: People) -> None:
    found = data(ask, "crm.contacts:1", "desk.users:u1")
    assert [(step["from"], step["to"], step["rule"]) for step in found["path"]] == [
        ("crm.contacts:1", "desk.users:u1", "linked:desk.users.crm_id")
    ]
    assert (found["together"], found["why_not"], found["entity_ids"][0]) == (True, [], found["entity_ids"][1])
    words = told(ask, "mail.members:m1", "desk.users:u1")
    assert "are the same contact" in words
    assert "both hold the same email crm.contacts:1 desk.users:u1 names crm.contacts:1 in its column crm_id" in words
    assert "If that is wrong: sor unlink mail.members:m1 desk.users:u1 --reason ..." in words


def test_personal_values_are_shown_on_request_only(ask: Ask) -> None:
    for words in (ANN, ANN[:1]):
        assert "@x.example" not in told(ask, *words)
        assert "@x.example" not in json.dumps(data(ask, *words))
        assert "(ann@x.example)" in told(ask, *words, "--values")


def test_one_record_stands_for_its_entity(ask: Ask) -> None:
    found = data(ask, "mail.members:m1")
    assert found["records"] == ["crm.contacts:1", "desk.users:u1", "mail.members:m1"]
    assert [edge["rule"] for edge in found["edges"]] == ["linked:desk.users.crm_id", "same:email"]
    assert "3 records" in told(ask, "mail.members:m1")
    assert "1 record" in told(ask, "crm.contacts:4")


# ------------------------------------------------------------------------------------- why not


@pytest.mark.parametrize(
    ("pair", "reason"),
    [
        (CY, "not the same email: their email differs"),
        (("crm.contacts:4", "crm.contacts:3"), "not the same email: crm.contacts:4 has no email"),
        (("crm.contacts:3", "desk.users:u3"), "not the same email: desk.users:u3 has a placeholder as email"),
        (("crm.contacts:3", "desk.users:u3"), "no key of the other in desk.users.crm_id"),
        (("crm.contacts:2", "desk.users:u2"), "both hold the same email, but it is a mailbox that a role reads, not a person"),
        (("mail.members:m1", "mail.members:m2"), "mail.members says `unique: true`: no two of its records are the same contact"),
        (("desk.users:u1", HOME), "are tied by the same email, but it would join two records of a source that says `unique: true`"),
    ],
)  # fmt: skip
def test_why_two_records_are_apart(pair: tuple[str, str], reason: str, ask: Ask) -> None:
    for words in (pair, pair[::-1]):
        assert reason in " ".join(data(ask, *words)["why_not"])
        assert reason in told(ask, *words)
    assert "@x.example" not in told(ask, *pair)


def test_a_pair_that_waits_for_review_says_so(ask: Ask, people: People) -> None:
    people.wait(CY, veto="name: two names of their own")
    assert "are similar (probability 0.830, weight +5.0) and wait for sor review; not linked by itself: name" in told(
        ask, *CY
    )


def test_a_decision_is_told_before_and_after_the_run_that_obeys(ask: Ask, people: People) -> None:
    assert ask("link", *CY, "--reason", "called him", "--by", "jo")[0] == 0
    assert ask("unlink", *ANN, "--reason", "two Anns", "--by", "jo")[0] == 0
    assert "! decision 1 links them (jo," in told(ask, *CY)
    assert "If that is wrong: sor withdraw 1" in told(ask, *CY)
    assert "! decision 2 keeps them apart (jo," in told(ask, *ANN)
    people.run(2)
    assert data(ask, *CY)["path"][0]["rule"] == "decision 1"
    assert "called him" in told(ask, *CY)
    assert data(ask, *ANN)["why_not"][0].startswith("decision 2 keeps crm.contacts:1 and mail.members:m1 apart (jo,")
    assert "If that is wrong: sor withdraw 2" in told(ask, *ANN)
    through = told(ask, "desk.users:u1", "mail.members:m1")
    assert "decision 2 keeps crm.contacts:1 and mail.members:m1 apart" in through


def test_what_no_run_has_seen_yet_says_so(ask: Ask, people: People) -> None:
    from sor_pipeline.flow import STEPS, opened, pass_through
    from sor_pipeline_tests.people_world import NOW

    people.deliver(2, {"mail/members": "id,email,name\nm1,ann@x.example,Ann A\nm9,cy@x.example,C\n"})
    with opened(people.ownership, people.settings, NOW.replace(day=2)) as hands:
        pass_through(hands, STEPS[:2])
    assert "mail.members:m9 was not identified yet: sor run" in told(ask, "crm.contacts:3", "mail.members:m9")
    assert "was not identified yet" in told(ask, "mail.members:m9")
    assert ask("link", "crm.contacts:3", "mail.members:m9", "--reason", "x")[0] == 0


def test_a_link_across_a_unique_source_says_that_weaker_ties_are_cut(ask: Ask) -> None:
    said = " ".join(ask("link", "desk.users:u1", HOME, "--reason", "x")[1].split())
    assert "mail.members says `unique: true` and both sides hold a record of it" in said


# ------------------------------------------------------------------------------------- similarity

FIRST = ("Ann", "Bo", "Cy", "Di", "Ed", "Flo", "Gus", "Hal", "Ida", "Jan", "Kim", "Lou", "Max", "Ned", "Ola")
LAST = ("Abbot", "Baker", "Cole", "Dunn", "Evans", "Frost", "Green", "Hill", "Irwin", "Jones", "King", "Lane")


@pytest.fixture(scope="module")
def alike(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """180 people of whom every other stands in the mailer too, his surname mistyped; a model, and a run with it."""
    folder = tmp_path_factory.mktemp("alike")
    people = People(folder)
    text = people.document.read_text(encoding="utf-8")
    text = text.replace("      - same: [email]\n", "      - similar: [email, name, city]\n    max_churn: 1\n")
    text = text.replace("{email: email, name: name}\n", "{email: email, name: name, city: city}\n")
    people.document.write_text(text, encoding="utf-8")
    everybody = [(f"{a} {b}", f"{a}.{b}@{b}.example".lower(), f"Town {n % 7}") for n, (a, b) in
                 enumerate((a, b) for a in FIRST for b in LAST)]  # fmt: skip
    crm = [f"{n},{email},{name},{city}" for n, (name, email, city) in enumerate(everybody)]
    mail = [f"{n},{email},{name}{name[-1]},{city}" for n, (name, email, city) in enumerate(everybody) if n % 2]
    people.deliver(2, {"crm/contacts": "\n".join(["id,email,name,city", *crm]),
                       "mail/members": "\n".join(["id,email,name,city", *mail])})  # fmt: skip
    people.run(2)
    return folder


@pytest.fixture
def similar(alike: Path, tmp_path: Path, people: People) -> People:
    shutil.rmtree(tmp_path)
    shutil.copytree(alike, tmp_path)
    return People.at(tmp_path)


def test_train_then_explain_then_score(similar: People, ask: Ask, tmp_path: Path) -> None:
    code, out, _ = ask("match", "train")
    assert code == 0
    assert all(len(line) <= 80 for line in out.splitlines()), out
    assert "contact: learned from" in out
    assert "What agreement is worth (contact)" in out
    trained = json.loads(ask("match", "train", "contact", "--json")[1])[0]
    assert (trained["entity"], trained["records"]) == ("contact", 273)
    assert trained["weights"]["email"]["same"] > 5 > 0 > trained["weights"]["name"]["different"]
    similar.run(3)

    found = data(ask, "crm.contacts:1", "mail.members:1")
    assert [step["rule"] for step in found["path"]] == ["similar"]
    assert any(line.startswith("email: same") for line in found["path"][0]["levels"])
    apart = told(ask, "crm.contacts:1", "crm.contacts:100")
    assert "not similar enough" in apart
    assert "name: different" in apart

    for name in ("w.html", "w.json"):
        assert f"Waterfall chart: {name}" in ask(
            "why-linked", "crm.contacts:1", "mail.members:1", "--chart", str(tmp_path / name)
        )[1].replace(f"{tmp_path}/", "")
    assert "$schema" in json.loads((tmp_path / "w.json").read_text(encoding="utf-8"))
    page = (tmp_path / "w.html").read_text(encoding="utf-8")
    assert "<html" in page.lower()
    assert "abbot" not in page.lower()

    truth = tmp_path / "truth.csv"
    rows = [f"crm.contacts,{n},{n}" for n in range(180)] + [f"mail.members,{n},{n}" for n in range(1, 180, 2)]
    truth.write_text("\n".join(["source,key,cluster", *rows, "crm.contacts,nobody,1"]), encoding="utf-8")
    score = json.loads(ask("match", "score", "--truth", str(truth), "--json")[1])
    assert [(one["entity"], one["records"], one["unknown"]) for one in score] == [("contact", 270, 1)]
    assert score[0]["precision"] == 1
    assert score[0]["recall"] > 0.9
    words = ask("match", "score", "contact", "--truth", str(truth))[1]
    assert all(len(line) <= 80 for line in words.splitlines()), words
    assert "counted nowhere: 1 record of the truth." in " ".join(words.split())


@pytest.mark.parametrize(
    ("text", "code"),
    [("", "truth-unreadable"), ("a,b\n1,2\n", "truth-columns"), ("source,key,cluster\nx.y,1,1\n", "truth-of-others"),
     ("a,b\n1,2,3\n", "truth-unreadable"), (None, "truth-missing")],
)  # fmt: skip
def test_a_truth_that_cannot_be_used(text: str | None, code: str, ask: Ask, tmp_path: Path) -> None:
    truth = tmp_path / "truth.csv"
    if text is not None:
        truth.write_text(text, encoding="utf-8")
    ended, _, err = ask("match", "score", "--truth", str(truth))
    assert (ended, code in err) == (cli.USAGE, True), err
