"""From an extract to the tool and back: proposed, delivered, confirmed; and the commands."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from sor_pipeline import cli
from sor_pipeline.flow import opened
from sor_pipeline.ownership.document import Ownership
from sor_pipeline.ownership.lint import load_checked
from sor_pipeline_tests import fake_targets as fakes
from sor_pipeline_tests.flow_world import Site
from sor_pipeline_tests.published_world import rows_of

HEADER = ("id", "email", "name")


def document(url: str, live: bool = True) -> dict[str, Any]:
    source = {"entity": "contact", "key": "id", "fields": {n: n for n in ("email", "name")}}
    return {
        "systems": {
            "crm": {},
            "mail": {"target": {"kind": "hubspot", "live": live, "url": url, "insecure": True, "secret": "TOOL_TOKEN"}},
        },
        "entities": {
            "contact": {
                "owner": "crm", "match": [{"same": ["email"]}],
                "fields": {"email": {"type": "email", "personal": True}, "name": {"type": "name", "personal": True}},
            }
        },
        "sources": {
            "crm.contacts": {**source, "extract": {"files": "contacts-*.csv"}},
            "mail.members": {**source, "extract": {"files": "members-*.csv"}, "accepts": ["name"], "target": {"object": "contacts"}},
        },
    }  # fmt: skip


@pytest.fixture
def tool(tool_token: None) -> Iterator[fakes.HubSpot]:
    with fakes.serving(fakes.HubSpot()) as fake:
        fake.store["101"] = {"email": "ann@a.test", "name": "Annie"}
        yield fake


def told(site: Site) -> list[tuple[str, str]]:
    with opened(site.document, site.settings) as run:
        corrections, attempts = rows_of(run, run.tables.correction), rows_of(run, run.tables.attempt)
    return [(row["state"], ",".join(a["outcome"] for a in attempts)) for row in corrections]


def day(site: Site, number: int, tool: fakes.HubSpot) -> None:
    site.put("contacts", number, HEADER, [{"id": "1", "email": "ann@a.test", "name": "Ann"}])
    site.put("members", number, HEADER, [{"id": key, **row} for key, row in tool.store.items()])


def test_a_correction_is_delivered_and_confirmed_by_the_next_extract(tmp_path: Path, tool: fakes.HubSpot) -> None:
    site = Site(tmp_path, Ownership.model_validate(document(tool.url)))
    day(site, 0, tool)
    passage = site.run(0)
    assert (passage.count("correct", "proposed"), passage.count("deliver", "accepted")) == (1, 1)
    assert told(site) == [("delivered", "accepted")]
    assert tool.store["101"]["name"] == "Ann"
    again = site.run(0)
    assert (again.count("deliver", "planned"), len([c for c in tool.calls if c[1].endswith("update")])) == (0, 1)
    day(site, 1, tool)
    assert site.run(1).count("correct", "confirmed") == 1
    assert told(site) == [("confirmed", "accepted")]


def test_the_commands(
    tmp_path: Path, tool: fakes.HubSpot, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site(tmp_path, Ownership.model_validate(document(tool.url, live=False)))
    site.settings.ownership.write_text(yaml.safe_dump(document(tool.url, live=False)), encoding="utf-8")
    site.document = load_checked(site.settings.ownership)
    day(site, 0, tool)
    assert site.run(0).count("deliver", "dry_run") == 1

    def sor(*words: str, code: int = 0) -> Any:
        place = ["--ownership", str(site.settings.ownership), "--home", str(site.settings.home)]
        with pytest.raises(SystemExit) as left:
            cli.main([*place, *words, "--json"])
        assert left.value.code == code
        return json.loads(capsys.readouterr().out)

    monkeypatch.setenv("SOR_STOP_DELIVERY", "mail")
    assert sor("target", "start", "mail", "--reason", "x")["stopped"] == "environment"
    monkeypatch.delenv("SOR_STOP_DELIVERY")
    (plan,) = sor("deliver")
    assert (plan["live"], plan["records"], plan["rows"][0]["wanted"]) == (False, 1, "(personal)")
    (plan,) = sor("deliver", "mail", "--plan", "--values")
    assert plan["rows"][0]["wanted"] == "Ann"
    site.settings.ownership.write_text(yaml.safe_dump(document(tool.url)), encoding="utf-8")
    assert sor("target", "stop", "mail", "--reason", "strange", "--by", "me") == {
        "system": "mail",
        "on": False,
        "number": 2,
    }
    (row,) = sor("target", "list")
    assert (row["state"], row["open"], row["last turn"]) == ("stopped (file)", 1, "off by me: strange")
    (said,) = sor("deliver", code=1)
    assert "[delivery-stopped]" in said["faults"][0]
    assert not tool.calls
    assert sor("target", "start", "mail", "--reason", "mended", "--by", "me")["live"] is True
    (said,) = sor("deliver")
    assert said["counts"]["accepted"] == 1
    assert tool.store["101"]["name"] == "Ann"
    with pytest.raises(SystemExit):
        cli.main(["--ownership", str(site.settings.ownership), "--home", str(site.settings.home), "deliver", "--plan"])
    assert "mail: nothing to send" in capsys.readouterr().out
    refused = sor("accept", "delivery:mail:0123", "--reason", "x", code=1)
    assert refused["faults"][0]["code"] == "unknown-subject"
