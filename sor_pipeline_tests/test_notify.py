"""Notices: stewards hear of their cases through a real web server, once, and nothing that fails stops a run."""

from __future__ import annotations

import dataclasses
import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from sor_pipeline.flow import opened
from sor_pipeline.run import Outcome, Run
from sor_pipeline.settings import Settings
from sor_pipeline.steward import notices, step
from sor_pipeline_tests.test_cases import DAY, NOW, conflict, document, write

apprise = pytest.importorskip("apprise")


class Hook(HTTPServer):
    """A webhook that keeps what it gets; `status` is what it answers."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.status = 200
        self.got: list[dict[str, Any]] = []

    @property
    def url(self) -> str:
        return f"json://127.0.0.1:{self.server_port}/?token=hush"


class _Answer(BaseHTTPRequestHandler):
    server: Hook

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.status == 200:
            self.server.got.append(json.loads(body))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        return


@pytest.fixture
def hook() -> Iterator[Hook]:
    server = Hook()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def run(tmp_path: Path, hook: Hook, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    monkeypatch.setenv("OPS_URL", hook.url)
    monkeypatch.delenv("BOSS_URL", raising=False)
    spec = {"ops": {"title": "Operations", "notify": ["${OPS_URL}"]}, "sales": {}, "boss": {"notify": ["${BOSS_URL}"]}}
    place = Settings.read({}, ownership=tmp_path / "ownership.yaml", home=tmp_path / "home", extracts=tmp_path)
    with opened(document(stewards=spec), place, NOW) as hands:
        write(hands, hands.tables.publication, publication=1, published_at=NOW)
        yield hands


def at(run: Run, after: timedelta = timedelta(0)) -> Outcome:
    return step.run(dataclasses.replace(run, now=NOW + after))


def test_a_steward_hears_of_new_cases_once(run: Run, hook: Hook) -> None:
    conflict(run, "email", 4)
    assert at(run).counts["notified"] == 1
    conflict(run, "country", 4)
    assert [at(run, timedelta(hours=hours)).counts["notified"] for hours in (1, 2)] == [1, 0]
    first, second = hook.got
    assert first["title"] == "1 case for Operations"
    assert "conflict: contact.email (mail), due 2026-03-02 12:00 UTC: sor case " in first["message"]
    assert "contact.country" in second["message"]
    assert "contact.email" not in second["message"]


def test_escalated_and_quiet_where_the_address_is_nothing(
    run: Run, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOSS_URL", " ")
    conflict(run, "email", 4)
    at(run)
    outcome = at(run, 2 * DAY)
    assert (outcome.counts["escalated"], outcome.counts["notified"], outcome.faults) == (1, 0, ())
    assert at(run, 4 * DAY).counts["escalated"] == 1
    assert len(hook.got) == 1


def test_an_address_that_is_not_set_is_told_when_there_is_news(
    run: Run, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    conflict(run, "email", 4)
    assert [at(run, days * DAY).faults for days in (0, 2)] == [(), ()]  # nothing for the boss yet
    late = at(run, 4 * DAY)
    assert (late.counts["escalated"], late.counts["unnotified"]) == (1, 1)
    assert [(fault.code, fault.where) for fault in late.faults] == [("notice-failed", "stewards.boss")]
    monkeypatch.setenv("BOSS_URL", hook.url)
    assert at(run, 4 * DAY).counts["notified"] == 1


def test_a_notice_that_fails_fails_no_run_and_is_tried_again(
    run: Run, hook: Hook, capfd: pytest.CaptureFixture[str]
) -> None:
    conflict(run, "email", 4)
    hook.status = 500
    outcome = at(run)
    assert (outcome.counts["unnotified"], outcome.counts["notified"], outcome.counts["opened"]) == (1, 0, 1)
    assert [(fault.code, fault.warning) for fault in outcome.faults] == [("notice-failed", True)]
    captured = capfd.readouterr()
    assert "hush" not in str(outcome.faults[0]) + captured.out + captured.err
    hook.status = 200
    assert [at(run).counts["notified"] for _ in range(3)] == [1, 0, 0]
    assert len(hook.got) == 1


def test_a_server_that_is_not_there(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    conflict(run, "email", 4)
    for url in ("json://127.0.0.1:9/", "nonsense"):
        monkeypatch.setenv("OPS_URL", url)
        assert at(run).counts["unnotified"] == 1


def test_killed_while_sending_nobody_is_told_twice(run: Run, hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def sent(url: str, title: str, body: str) -> str | None:
        assert send(url, title, body) is None
        raise Killed

    send = notices.send
    conflict(run, "email", 4)
    with monkeypatch.context() as patch:
        patch.setattr(notices, "send", sent)
        with pytest.raises(Killed):
            at(run)
    assert at(run).counts["notified"] == 0
    assert len(hook.got) == 1


def test_many_cases_are_one_short_notice_without_keys(run: Run, hook: Hook) -> None:
    for number in range(30):
        write(run, run.tables.broken, source="mail.members", source_key=f"ann{number}@secret.example", field="name",
              reverts=2, since=1, history="[]")  # fmt: skip
    assert at(run).counts["notified"] == 30
    (told,) = hook.got
    lines = told["message"].splitlines()
    assert (told["title"], len(lines)) == ("30 cases for Operations", notices.LINES + 2)
    assert lines[-2:] == ["and 10 more", "All of them: sor cases --steward ops"]
    assert "secret" not in told["message"]


def test_the_history_says_who_was_told(run: Run, hook: Hook) -> None:
    conflict(run, "email", 4)
    at(run)
    event = run.tables.case_event
    with run.engine.begin() as connection:
        rows = connection.execute(
            sa.select(event.c.kind, event.c.to, event.c.about).order_by(event.c.number)
        ).fetchall()
    assert [tuple(row) for row in rows] == [("open", "ops", None), ("notify", "ops", 1)]


def test_without_apprise_it_says_what_is_missing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "apprise", None)
    conflict(run, "email", 4)
    assert "extra `notify`" in str(at(run).faults[0])
