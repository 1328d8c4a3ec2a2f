"""Summary fields: counted over other entities, always as if counted anew, and corrected where a tool shows something else."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sor_pipeline.ownership.document import Ownership
from sor_pipeline.ownership.lint import lint
from sor_pipeline_tests.flow_world import FIRST, Site
from sor_pipeline_tests.test_regressions import document, rows, source

ACCOUNT: dict[str, Any] = {
    "name": {"type": "name"},
    "tickets": {"type": "integer", "summary": {"of": "ticket", "by": "account", "aggregate": "count", "where": "status = 'open'"}},
    "last_at": {"type": "timestamp", "summary": {"of": "interaction", "by": "contact.account", "aggregate": "max", "field": "at"}},
    "last_channel": {"type": "text", "summary": {"of": "interaction", "by": "contact.account", "aggregate": "latest", "field": "channel", "at": "at"}},
    "mrr": {"type": "decimal", "summary": {"of": "subscription", "by": "account", "aggregate": "sum", "field": "price", "times": "seats", "where": "status = 'active'"}},
    "events": {"type": "integer", "summary": {"of": "interaction", "by": "contact.account", "aggregate": "count", "at": "at", "within": "30 days"}},
}  # fmt: skip


def made(**account: Any) -> Ownership:
    """Accounts stand first in the document, and are resolved last: what they count over comes before."""
    fields = ACCOUNT | account
    crm = source("account", "accounts", "name", "tickets", "events", accepts=["tickets"])
    return document(
        {
            "account": {"owner": "crm", "fields": fields},
            "contact": {"owner": "crm", "fields": {"account": {"type": "ref", "to": "account"}}},
            "ticket": {"owner": "desk", "fields": {"account": {"type": "ref", "to": "account"}, "status": {"type": "choice", "of": ["open", "closed"]}}},
            "subscription": {
                "owner": "pay",
                "fields": {
                    "account": {"type": "ref", "to": "account"}, "status": {}, "seats": {"type": "integer"}, "price": {"type": "decimal"},
                },
            },
            "interaction": {
                "owner": "desk",
                "fields": {"contact": {"type": "ref", "to": "contact"}, "at": {"type": "timestamp"}, "channel": {}},
            },
        },
        {
            "crm.accounts": crm,
            "crm.contacts": source("contact", "contacts", "account"),
            "desk.tickets": source("ticket", "tickets", "status") | {
                "fields": {"status": "status", "account": {"from": "account", "refers_to": "crm.accounts"}}
            },
            "desk.events": source("interaction", "events", "at", "channel") | {
                "fields": {"at": "at", "channel": "channel", "contact": {"from": "contact", "refers_to": "crm.contacts"}}
            },
            "pay.subscriptions": source("subscription", "subscriptions") | {
                "fields": {
                    "status": "status", "seats": "seats", "price": "price",
                    "account": {"from": "account", "refers_to": "crm.accounts"},
                }
            },
        },
    )  # fmt: skip


def world(site: Site, day: int, **given: list[str]) -> None:
    headers = {
        "accounts": "id,name,tickets,events", "contacts": "id,account", "tickets": "id,account,status",
        "events": "id,contact,at,channel", "subscriptions": "id,account,status,seats,price",
    }  # fmt: skip
    for stream, lines in given.items():
        site.put(stream, day, *rows(headers[stream], *lines))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path, made())
    world(
        site, 0, accounts=["p,Acme,9,", "q,Beta,,"], contacts=["1,p", "2,q"],
        tickets=["a,p,open", "b,p,open", "c,p,closed", "d,q,closed"],
        events=["x,1,2026-02-20 10:00:00,phone", "y,1,2026-02-01 10:00:00,email", "z,2,2026-01-01 00:00:00,email"],
        subscriptions=["s,p,active,3,10.50", "t,p,active,1,0.01", "u,p,canceled,9,9"],
    )  # fmt: skip
    site.run(0)
    return site


def told(site: Site) -> dict[str, tuple[Any, ...]]:
    names = ", ".join(ACCOUNT)
    return {row[0]: row[1:] for row in site.query(f"SELECT {names} FROM conformed.account")}


def test_they_are_counted(site: Site) -> None:
    seen = {name: (*values[:3], float(values[3]), values[4]) for name, values in told(site).items()}
    assert seen == {
        "Acme": (2, datetime(2026, 2, 20, 10), "phone", 31.51, 2),
        "Beta": (0, datetime(2026, 1, 1), "email", 0.0, 0),
    }
    assert site.query("SELECT DISTINCT tickets_rule, tickets_system FROM conformed.account_source") == [
        ("summary", None)
    ]


def test_a_tool_that_shows_something_else_is_corrected(site: Site) -> None:
    assert site.corrections() == [("crm.accounts", "p", "tickets", "9", "2"), ("crm.accounts", "q", "tickets", "", "0")]
    assert ("tickets", "differs") in site.query("SELECT field, kind FROM conformed.conflict WHERE closed_in IS NULL")
    world(site, 1, accounts=["p,Acme,2,", "q,Beta,0,"])
    site.run(1)
    assert site.corrections() == []
    world(site, 2, accounts=["p,Acme,77,", "q,Beta,0,"])  # somebody edits what the tool only shows
    site.run(2)
    assert site.corrections() == [("crm.accounts", "p", "tickets", "77", "2")]


def test_what_changes_elsewhere_is_counted_again_and_only_there(site: Site) -> None:
    world(site, 1, tickets=["a,q,open", "b,p,open", "c,p,closed", "d,q,closed"])
    passage = site.run(1)
    assert {name: values[0] for name, values in told(site).items()} == {"Acme": 1, "Beta": 1}
    assert ("tickets", "summary") in site.query("SELECT field, cause FROM conformed.change WHERE publication = 2")
    world(site, 2, contacts=["1,q", "2,q"])
    site.run(2)
    assert {name: values[4] for name, values in told(site).items()} == {"Acme": 0, "Beta": 2}
    world(site, 3, tickets=["d,q,closed"], contacts=["2,q"], events=["z,2,2026-01-01 00:00:00,email"])
    passage = site.run(3)
    assert {name: values[0] for name, values in told(site).items()} == {"Acme": 0, "Beta": 0}
    assert passage.count("resolve", "affected") > 0
    assert site.run(3).count("resolve", "affected") == 0


def test_time_takes_rows_out_of_their_window(site: Site) -> None:
    site.run(25)  # 2026-03-26: the one of 20 February is older than 30 days, that of 1 February was already
    assert {name: values[4] for name, values in told(site).items()} == {"Acme": 0, "Beta": 0}


KEYS = st.sampled_from("pq")
MOVES = st.tuples(
    st.dictionaries(st.sampled_from("12"), KEYS, max_size=2),
    st.dictionaries(st.sampled_from("ab"), st.tuples(KEYS, st.sampled_from(["open", "closed"])), max_size=2),
    st.dictionaries(
        st.sampled_from("xyz"),
        st.tuples(st.sampled_from("129"), st.integers(0, 60), st.sampled_from(["phone", "email"])),
        max_size=3,
    ),
    st.sets(KEYS, min_size=1),
)


@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
@given(days=st.lists(MOVES, min_size=2, max_size=4))
def test_one_run_a_day_gives_what_one_run_gives(days: list[Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    daily, once = (Site(tmp_path_factory.mktemp(name), made()) for name in ("daily", "once"))
    for place in (daily, once):
        for day, (contacts, tickets, events, accounts) in enumerate(days):
            moments = {key: FIRST - timedelta(days=old) for key, (_, old, _) in events.items()}
            world(
                place, day, accounts=[f"{key},Name {key},," for key in sorted(accounts)],
                contacts=[f"{key},{account}" for key, account in contacts.items()],
                tickets=[f"{key},{account},{status}" for key, (account, status) in tickets.items()],
                events=[f"{key},{contact},{moments[key]},{channel}" for key, (contact, _, channel) in events.items()],
            )  # fmt: skip
            if place is daily:
                place.run(day)
    for place in (daily, once):
        place.run(9)
    assert told(daily) == told(once) if once.settings.conformed.exists() else not daily.settings.conformed.exists()


def faults(**summary: Any) -> list[str]:
    given = {"of": "ticket", "by": "account", "aggregate": "count"} | summary
    return [fault.code for fault in lint(made(odd={"type": "integer", "summary": given}))]


def test_what_cannot_be_counted_is_refused_before_any_run() -> None:
    assert faults() == []
    assert faults(of="tickets") == ["unknown-entity"]
    assert faults(by="status") == ["summary-path"]
    assert faults(of="interaction", by="contact") == ["summary-path"]
    assert faults(where="colour = 'red'") == ["condition-unknown-field"]
    assert faults(aggregate="sum", field="status") == ["summary-type"]
    assert faults(aggregate="max", field="status") == ["summary-type"]
    assert faults(aggregate="count", at="status", within="1 day") == ["summary-type"]
    owned = made(
        odd={"type": "integer", "owner": "crm", "summary": {"of": "ticket", "by": "account", "aggregate": "count"}}
    )
    assert [fault.code for fault in lint(owned)] == ["two-owners"]


def test_a_circle_is_refused() -> None:
    looped = made()
    contact = looped.entities["contact"]
    field = {"type": "integer", "summary": {"of": "account", "by": "main", "aggregate": "count"}}
    both = looped.model_dump(mode="python", by_alias=True, exclude_defaults=True)
    both["entities"]["contact"]["fields"] = {"account": {"type": "ref", "to": "account"}, "odd": field}
    both["entities"]["account"]["fields"]["main"] = {"type": "ref", "to": "contact"}
    assert contact is not None
    assert "summary-circle" in [fault.code for fault in lint(Ownership.model_validate(both))]
