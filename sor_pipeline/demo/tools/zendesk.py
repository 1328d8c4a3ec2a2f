"""The help desk, shaped like Zendesk's incremental API: users, organizations, tickets under a record path.

Belongs here: what the help desk believes and how it spells it. Does not: what changes (`days`).
"""

from __future__ import annotations

import numpy as np
import polars as pl

from sor_pipeline.demo.clock import before, dice, during
from sor_pipeline.demo.company import FIGHTER, Company, chance, phone
from sor_pipeline.demo.tools.hubspot import company_key, contact_key
from sor_pipeline.demo.tools.spell import at, instant, key_of, plain, said
from sor_pipeline.demo.tools.stream import Stream, state

USER_BASE, USER_STEP = 396_331_000_001, 7
ORGANIZATION_BASE, ORGANIZATION_STEP = 370_326_000_003, 11
TICKET_BASE, TICKET_STEP = 16_001, 1


def _organization(column: str) -> pl.Expr:
    return key_of(column, ORGANIZATION_BASE, ORGANIZATION_STEP)


def _users(company: Company) -> pl.DataFrame:
    roll = dice(company.seed, "zendesk.users")
    served = company.accounts.select(account="truth", has_desk="has_desk")
    people = company.people.filter("in_desk").join(served, on="account", maintain_order="left")
    count = people.height
    wrong = chance(roll, 0.04, count) & people["in_crm"] & (people["truth"] != FIGHTER)
    luck = pl.Series(roll.random(count))
    people = people.with_columns(wrong=wrong, luck=luck, other=phone(1, count), age=before(roll, count, 200, 2))
    call = (
        pl.when(pl.col("luck") < 0.2)
        .then(pl.lit(None, pl.String))
        .when(pl.col("luck") > 0.9)
        .then("other")
        .otherwise("phone")
    )
    return state(
        people,
        key_of("truth", USER_BASE, USER_STEP),
        pl.when(pl.col("arrives") > 1).then("created").otherwise("age"),
        {
            "email": pl.when("wrong").then("old_email").otherwise("email"),
            "full_name": pl.concat_str("first_name", pl.lit(" "), "last_name"),
            "phone": call,
            "account": pl.when("has_desk").then(_organization("account")),
            "crm": pl.when("in_crm").then(contact_key()),
            "tags": pl.when(pl.col("truth") % 4 == 0).then(pl.lit("vip")),
            "first_seen": instant("created"),
        },
        steady=pl.col("truth") == FIGHTER,
        extra=("in_crm",),
    )


def _show_users(rows: pl.DataFrame, _day: int) -> pl.DataFrame:
    return rows.select(
        id="key",
        url=pl.concat_str(pl.lit("https://larkspur.zendesk.example/api/v2/users/"), "key", pl.lit(".json")),
        active=pl.when("gone").then(pl.lit("false")).otherwise(pl.lit("true")),
        name=plain("full_name"),
        email=plain("email"),
        phone=plain("phone"),
        external_id=plain("crm"),
        organization_id=plain("account"),
        role=pl.lit("end-user"),
        suspended=pl.lit("false"),
        tags=pl.when(pl.col("tags").is_null()).then(pl.lit("[]")).otherwise('["' + pl.col("tags") + '"]'),
        created_at=said("first_seen"),
        updated_at=at("changed"),
    )


def _organizations(company: Company) -> pl.DataFrame:
    roll, served = dice(company.seed, "zendesk.organizations"), company.accounts.filter("has_desk")
    return state(
        served.with_columns(age=before(roll, served.height, 300, 2)),
        _organization("truth"),
        pl.col("age"),
        {
            "name": pl.when(pl.col("truth") % 6 == 1).then(pl.concat_str("name", pl.lit(" Inc."))).otherwise("name"),
            "description": pl.when(pl.col("truth") % 3 == 0).then(
                pl.concat_str(
                    "name",
                    pl.lit(": "),
                    "industry",
                    pl.lit(" (help desk since "),
                    pl.col("created").dt.year(),
                    pl.lit(")"),
                )
            ),
            "crm": company_key("truth"),
        },
    )


def _show_organizations(rows: pl.DataFrame, _day: int) -> pl.DataFrame:
    return rows.select(
        id="key",
        name=plain("name"),
        details=plain("description"),
        external_id=plain("crm"),
        updated_at=at("changed"),
    )


def _tickets(company: Company) -> pl.DataFrame:
    roll = dice(company.seed, "zendesk.tickets")
    served = company.accounts.select(account="truth", has_desk="has_desk")
    tickets = company.tickets.join(served, on="account", maintain_order="left")
    channel = pl.Series(np.array(("web", "email", "api"))[roll.integers(0, 3, tickets.height)])
    return state(
        tickets.with_columns(channel=channel),
        key_of("truth", TICKET_BASE, TICKET_STEP),
        pl.col("opened") + pl.duration(minutes=5),
        {
            **{n: pl.col(n) for n in ("subject", "status", "channel")},
            "priority": pl.when(pl.col("truth") % 7 != 0).then("priority"),
            "requester": key_of("person", USER_BASE, USER_STEP),
            "account": pl.when("has_desk").then(_organization("account")),
            "opened_at": instant("opened"),
        },
    )


def _show_tickets(rows: pl.DataFrame, _day: int) -> pl.DataFrame:
    return rows.select(
        id="key",
        subject=plain("subject"),
        status=pl.when("gone").then(pl.lit("deleted")).otherwise(plain("status")),
        priority=plain("priority"),
        requester_id=plain("requester"),
        organization_id=plain("account"),
        **{"via.channel": plain("channel")},
        is_public=pl.lit("true"),
        created_at=said("opened_at"),
        updated_at=at("changed"),
    )


def _comments(company: Company) -> pl.DataFrame:
    """Answers by customers, of all days; `arrives` is the day whose file carries the comment."""
    tickets = company.tickets.filter(pl.col("arrives") == 1)
    each = max(4, tickets.height // 6)
    days = [_one_day(company, tickets, day, each) for day in range(1, company.days + 1)]
    return state(
        pl.concat(days).with_columns(truth=pl.int_range(pl.len())),
        key_of("truth", 880_000_001, 5),
        pl.col("at"),
        {
            "contact": key_of("person", USER_BASE, USER_STEP),
            "channel": pl.lit("help_desk"),
            "kind": pl.lit("comment"),
            "happened_at": instant("at"),
            "subject": pl.col("subject"),
        },
    )


def _one_day(company: Company, tickets: pl.DataFrame, day: int, count: int) -> pl.DataFrame:
    roll = dice(company.seed, f"zendesk.comments.{day}")
    chosen = tickets.select("person", "subject")[pl.Series(roll.integers(0, tickets.height, count))]
    return chosen.with_columns(at=during(day, roll, count), arrives=pl.lit(day))


def _show_comments(rows: pl.DataFrame, _day: int) -> pl.DataFrame:
    return rows.select(
        id="key",
        author_id=plain("contact"),
        ticket_subject=plain("subject"),
        public=pl.lit("true"),
        created_at=said("happened_at"),
    )


_USER_TYPES = {"active": "bool", "suspended": "bool", "tags": "json", "id": "int", "organization_id": "int"}
STREAMS = (
    Stream(
        "zendesk.users",
        "contact",
        "zendesk/users-{date}.json",
        "changes",
        "id",
        _users,
        _show_users,
        "updated_at",
        typed=_USER_TYPES,
        records="users",
    ),
    Stream(
        "zendesk.organizations",
        "account",
        "zendesk/organizations-{date}.json",
        "snapshot",
        "id",
        _organizations,
        _show_organizations,
        "updated_at",
        typed={"id": "int"},
        records="organizations",
    ),
    Stream(
        "zendesk.tickets",
        "ticket",
        "zendesk/tickets-{date}.json",
        "changes",
        "id",
        _tickets,
        _show_tickets,
        "updated_at",
        typed={"id": "int", "requester_id": "int", "organization_id": "int", "is_public": "bool"},
        records="tickets",
    ),
    Stream(
        "zendesk.comments",
        "interaction",
        "zendesk/comments-{date}.json",
        "events",
        "id",
        _comments,
        _show_comments,
        typed={"id": "int", "author_id": "int", "public": "bool"},
        records="comments",
    ),
)
