"""`sor review`: what is shown, what each key does, and that nothing decided is ever lost."""

from __future__ import annotations

import io
import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from typer.testing import CliRunner

from sor_pipeline import cli
from sor_pipeline_tests.people_world import ANN, CY, People

BO = ("crm.contacts:2", "desk.users:u2")
TWO_OF_MAIL = ("mail.members:m1", "mail.members:m2")


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three cases: Bo (same e-mail, too large), Cy (similar, 9), Ann's two addresses (similar, 3)."""
    folder = tmp_path_factory.mktemp("people")
    people = People(folder)
    people.run()
    people.forget_cases()
    people.wait(("desk.users:u3", "crm.contacts:3"), weight=3.0, veto="name: two names of their own")
    people.wait(CY, weight=9.0)
    people.wait(BO, kind="too_large", weight=None, rule="same:email", evidence='{"records": 51, "max_size": 50}')
    return folder


@pytest.fixture
def people(ran: Path, tmp_path: Path) -> People:
    shutil.copytree(ran, tmp_path, dirs_exist_ok=True)
    return People(tmp_path)


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


Sitting = Callable[..., Any]


@pytest.fixture
def review(people: People) -> Sitting:
    def sit(answers: str, *words: str) -> Any:
        place = ["--ownership", str(people.document), "--home", str(people.settings.home)]
        result = CliRunner().invoke(cli.app, ["review", *words, *place, "--by", "jo"], input=answers)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert all(len(line) <= 80 for line in result.stdout.splitlines()), result.stdout
        return result

    return sit


def said(people: People) -> list[tuple[str, str, str, int | None, str]]:
    return [(row.kind, f"{row.left_source}:{row.left_key}", f"{row.right_source}:{row.right_key}", row.withdraws, row.reason)
            for row in people.ledger()]  # fmt: skip


def order(output: str) -> list[str]:
    """The cases shown, by the record on the right."""
    return [line.split(": ", 1)[0] + line[-12:] for line in output.splitlines() if line.startswith("Case ")]


# ------------------------------------------------------------------------------------- what is shown


def test_the_strongest_case_comes_first_and_shows_both_records(review: Sitting) -> None:
    shown = review("s\ns\ns\n").stdout
    edges = [line for line in shown.splitlines() if line.startswith("What ties them")]
    assert edges == [
        "What ties them: the same email", "What ties them: similarity (probability 0.830, weight +9.0)",
        "What ties them: similarity (probability 0.830, weight +3.0)",
    ]  # fmt: skip
    for text in ("crm.contacts:2", "desk.users:u2", "Our CRM", "Help desk", "Bo Baker", "Bob Baker", "info@x.example",
                 "name: nickname", "says nothing: email", "Not linked by itself: name: two names of their own", "51 records hang together, max_size is 50",
                 "(placeholder)", "3 open cases", "3 cases still open"):  # fmt: skip
        assert text in shown, text


def test_equal_and_different_are_marked_without_colour(review: Sitting) -> None:
    lines = review("q\n").stdout.splitlines()
    marks = {
        line.split()[0]: [mark for mark in "=≠" if f" {mark} " in line]
        for line in lines
        if line[1:2].isalpha() or line[:1].isalpha()
    }
    assert (marks["email"], marks["name"], marks["city"]) == (["="], ["≠"], ["="])


def test_personal_values_can_be_hidden(review: Sitting) -> None:
    shown = review("s\ns\ns\n", "--mask").stdout
    assert not [text for text in ("@x.example", "Baker", "Cole") if text in shown]
    assert "Bern" in shown
    assert "=" in shown
    assert "•••••" in shown
    data = review("", "--json", "--mask").stdout
    assert "@x.example" not in data
    assert "Baker" not in data


def test_as_json_the_cases_are_listed_and_nobody_is_asked(people: People, review: Sitting) -> None:
    import json

    data = json.loads(review("y\ny\n", "--json", "--limit", "2").stdout)
    assert [(one["left"], one["right"], one["kind"], one["weight"]) for one in data] == [
        (*BO, "too_large", None), (*CY, "review", 9.0),
    ]  # fmt: skip
    assert {"field": "email", "left": "info@x.example", "mark": "=", "right": "info@x.example"} in data[0]["fields"]
    assert said(people) == []


def test_the_limit_counts_what_is_shown(review: Sitting) -> None:
    shown = review("s\n", "--limit", "1").stdout
    assert "3 open cases (the strongest 1 of 3; --limit for more)" in " ".join(shown.split())
    assert shown.count("Case ") == 1


def test_without_open_cases_it_says_so(review: Sitting, people: People) -> None:
    for answers in ("n\nn\nn\nq\n", ""):
        result = review(answers)
    assert (result.exit_code, result.stdout) == (0, "No open cases: nothing waits for a person.\n")
    assert review("", "firm").stdout == "No open cases about firm: nothing waits for a person.\n"
    assert review("", "frim").exit_code == cli.USAGE


# ------------------------------------------------------------------------------------- what each key does


def test_each_answer_is_written_with_its_reason(review: Sitting, people: People) -> None:
    result = review("n\ny called them\nskip\nq\n")
    assert said(people) == [
        ("unlink", *BO, None, "reviewed: different"), ("link", *CY, None, "called them"),
    ]  # fmt: skip
    assert "2 decisions taken. 1 case still open." in result.stdout
    row = people.ledger()[1]
    assert (row.by, row.weight) == ("jo", 9.0)
    assert '"levels": {"email": "missing", "name": "nickname"}' in row.evidence
    assert "x.example" not in row.evidence


def test_undo_takes_back_the_last_and_shows_its_case_again(review: Sitting, people: People) -> None:
    shown = review("y\nn\nu\nu\nu\nn\nq\n").stdout
    assert [(kind, withdraws) for kind, *_, withdraws, _ in said(people)] == [
        ("link", None), ("unlink", None), ("withdraw", 2), ("withdraw", 1), ("unlink", None),
    ]  # fmt: skip
    assert [line[:13] for line in shown.splitlines() if line.startswith("Case ")] == [
        "Case 1 of 3: ", "Case 2 of 3: ", "Case 3 of 3: ", "Case 2 of 3: ", "Case 1 of 3: ", "Case 2 of 3: ",
    ]  # fmt: skip
    assert "Nothing to undo in this review" in shown
    assert "1 decision taken. 2 cases still open." in shown


def test_the_last_decision_can_be_undone_too(review: Sitting, people: People) -> None:
    review("s\ns\ny\nu\nn\n")
    assert [(kind, withdraws) for kind, *_, withdraws, _ in said(people)] == [
        ("link", None),
        ("withdraw", 1),
        ("unlink", None),
    ]


def test_what_it_does_not_understand_is_answered_with_help(review: Sitting, people: People) -> None:
    shown = review("?\nwhat\n\nq\n").stdout
    assert shown.count("undo: takes the last decision of this review back") == 2
    assert said(people) == []


@pytest.mark.parametrize("answers", ["", "y\n", "y", "y\n\x04"])
def test_when_nobody_answers_any_more_what_was_decided_is_written(
    review: Sitting, people: People, answers: str
) -> None:
    result = review(answers)
    assert result.exit_code == 0
    assert len(said(people)) == (1 if answers.startswith("y\n") or answers == "y" else 0)


def test_a_word_that_is_refused_leaves_the_case_open(review: Sitting, people: People) -> None:
    people.wait(TWO_OF_MAIL, weight=20.0)
    result = review("s\ny\nn two people\nq\n")
    assert "unique-source" in result.stderr
    assert "Nothing was written." in result.stdout
    assert said(people) == [("unlink", *TWO_OF_MAIL, None, "two people")]


def test_a_decided_case_does_not_come_again_before_the_next_run(review: Sitting) -> None:
    review("n\nq\n")
    assert "2 open cases" in review("q\n").stdout


def test_while_a_run_works_nothing_is_written_and_the_answer_can_be_given_again(
    review: Sitting, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sor_pipeline.terminal.sitting.BRIEFLY", 0.0)
    lock = FileLock(people.settings.home / "run.lock")

    answers = iter(["y", "y", "q"])

    def asked(_: str) -> str:
        if lock.is_locked:
            lock.release()
        elif not said(people):
            lock.acquire()
        return next(answers)

    monkeypatch.setattr("sor_pipeline.terminal.sitting.asked", asked)
    result = review("")
    assert "run-in-progress" in result.stderr
    assert [kind for kind, *_ in said(people)] == ["link"]


# ------------------------------------------------------------------------------------- a real terminal


@contextmanager
def terminal() -> Iterator[tuple[int, int]]:
    main, other = pty.openpty()
    try:
        yield main, other
    finally:
        os.close(main)


def test_at_a_terminal_eighty_columns_wide(people: People) -> None:
    words = [sys.executable, "-c", "from sor_pipeline.cli import main; main()", "review", "--by", "jo",
             "--ownership", str(people.document), "--home", str(people.settings.home)]  # fmt: skip
    house = str(Path(__file__).parents[1])
    environment = {**os.environ, "COLUMNS": "80", "TERM": "xterm-256color", "PYTHONPATH": house}
    shown = io.BytesIO()
    with terminal() as (main, other):
        process = subprocess.Popen(words, stdin=other, stdout=other, stderr=other, env=environment, close_fds=True)
        os.close(other)
        for answer in (b"n two of them\n", b"u\n", b"q\n"):
            while not shown.getvalue().endswith(b"> "):
                shown.write(os.read(main, 4096))
            shown.write(b"\n")
            os.write(main, answer)
        while True:
            try:
                some = os.read(main, 4096)
            except OSError:
                break
            if not some:
                break
            shown.write(some)
        assert process.wait(30) == 0
    assert b"\x1b[" in shown.getvalue()
    assert b"0 decisions taken" in shown.getvalue()
    assert [(kind, reason) for kind, _, _, _, reason in said(people)] == [
        ("unlink", "two of them"),
        ("withdraw", "undone in review"),
    ]


def test_the_two_records_of_a_case_are_linked_in_the_way_the_table_orders_them(review: Sitting, people: People) -> None:
    people.wait(ANN[::-1], weight=50.0)
    review("s\ny\nq\n")
    assert said(people)[0][1:3] == ANN
