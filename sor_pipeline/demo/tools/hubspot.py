"""The CRM, shaped like HubSpot's exports: contacts, companies, deals, owners, each a daily CSV snapshot.

Belongs here: what the CRM believes and how it spells it. Does not: what changes (`days`).
"""

from __future__ import annotations

import numpy as np
import polars as pl

from sor_pipeline.demo import names
from sor_pipeline.demo.clock import before, dice
from sor_pipeline.demo.company import FIGHTER, Company, chance, phone
from sor_pipeline.demo.tools.spell import (
    at,
    coded,
    hundredths,
    instant,
    key_of,
    land,
    national,
    plain,
    said,
    shouted,
    truth_text,
)
from sor_pipeline.demo.tools.stream import Stream, state, twice

LIFECYCLE = {"lead": "marketingqualifiedlead", "opportunity": "opportunity", "customer": "customer", "churned": "other"}
PIPELINE = {
    "appointment": "appointmentscheduled",
    "qualified": "qualifiedtobuy",
    "proposal": "presentationscheduled",
    "won": "closedwon",
    "lost": "closedlost",
}
LANGUAGE_SINCE = 3
"""The day on which the export gains the column `hs_language`."""
SHOWN = ("last_interaction__c", "open_tickets__c", "mrr__c", "usage_30d__c")
"""Columns that the CRM only shows: blank until somebody writes to them."""
TWIN = 900_000_000


def contact_key(column: str = "truth") -> pl.Expr:
    return key_of(column, 78_000_001, 13)


def company_key(column: str = "account") -> pl.Expr:
    return key_of(column, 21_000_003, 7)


def owner_key(column: str) -> pl.Expr:
    """Only people of Sales own things: every fifth employee."""
    return key_of(f"{column}_sales", 44_023_000, 1)


def _sales(rows: pl.DataFrame, column: str) -> pl.DataFrame:
    return rows.with_columns((pl.col(column) // 5 * 5).alias(f"{column}_sales"))


def _contacts(company: Company) -> pl.DataFrame:
    roll = dice(company.seed, "hubspot.contacts")
    managers = company.accounts.select(account="truth", owner="manager")
    people = company.people.filter("in_crm").join(managers, on="account", maintain_order="left")
    people = _sales(people, "owner")
    count = people.height
    luck = pl.DataFrame({name: roll.random(count) for name in ("mail", "call", "title", "tongue", "old")})
    people = people.with_columns(luck, age=before(roll, count, 240, 2), decade=before(roll, count, 2_800, 2_500))
    plainly = ~pl.col("is_role") & (pl.col("truth") != FIGHTER) & (pl.col("arrives") == 1)
    stale = (pl.col("old") < 0.06) & plainly
    blank = pl.lit(None, pl.String)
    email = (
        pl.when((pl.col("mail") < 0.03) & plainly & ~pl.col("in_phone"))
        .then(blank)
        .when((pl.col("mail") > 0.99) & plainly & ~pl.col("in_phone"))
        .then(pl.lit("?test@test.com"))
        .otherwise("email")
    )
    call = (
        pl.when(pl.col("truth") == FIGHTER)
        .then("phone")
        .when(pl.col("call") < 0.1)
        .then(blank)
        .when(pl.col("call") > 0.985)
        .then(pl.lit("?000-000-0000"))
        .otherwise("phone")
    )
    title = (
        pl.when(pl.col("title") < 0.05)
        .then(blank)
        .when(pl.col("title") > 0.98)
        .then(pl.lit("?N/A"))
        .otherwise("job_title")
    )
    changed = pl.when(stale).then("decade").when(pl.col("arrives") > 1).then("created").otherwise("age")
    created = pl.when(stale).then("decade").otherwise("created").dt.strftime("%Y-%m-%d %H:%M:%S")
    rows = state(
        people,
        contact_key(),
        changed,
        {
            **{n: pl.col(n) for n in ("first_name", "last_name", "stage", "country")},
            "email": email,
            "phone": call,
            "job_title": title,
            "account": company_key(),
            "owner": owner_key("owner"),
            "opted_in": truth_text("opted_in"),
            "language": pl.when(pl.col("tongue") > 0.2).then("language"),
            "first_seen": created,
        },
        steady=stale | ~plainly,
        extra=("in_phone", "in_mail", "in_marketing", "in_desk"),
    )
    rows = rows.with_columns(full_name=pl.concat_str("first_name", pl.lit(" "), "last_name"))
    other = phone(1, count)
    chosen = (
        chance(roll, 0.03, count) & rows["email"].is_not_null() & ~rows["steady"] & ~rows["email"].str.starts_with("?")
    )
    return twice(rows.with_columns(other=other), pl.lit(chosen), TWIN, phone=pl.col("other")).drop("other")


def _show_contacts(rows: pl.DataFrame, day: int) -> pl.DataFrame:
    shown = rows.select(
        id="key",
        firstname=plain("first_name"),
        lastname=plain("last_name"),
        email=shouted("email"),
        phone=national("phone"),
        jobtitle=plain("job_title"),
        lifecyclestage=coded("stage", LIFECYCLE),
        associatedcompanyid=plain("account"),
        hubspot_owner_id=plain("owner"),
        country=land("country"),
        newsletter_consent=coded("opted_in", {"true": "Yes", "false": "No"}),
        hs_language=plain("language"),
        createdate=said("first_seen", "%Y-%m-%dT%H:%M:%S.000Z"),
        lastmodifieddate=at("changed", "%Y-%m-%dT%H:%M:%S.000Z"),
    )
    return shown if day >= LANGUAGE_SINCE else shown.drop("hs_language")


def _companies(company: Company) -> pl.DataFrame:
    roll, accounts = dice(company.seed, "hubspot.companies"), company.accounts
    count = accounts.height
    accounts = _sales(accounts, "manager").with_columns(
        guess=pl.Series(np.array(names.SEGMENT)[roll.integers(0, 3, count)]), age=before(roll, count, 240, 2)
    )
    rows = state(
        accounts,
        company_key("truth"),
        pl.col("age"),
        {
            **{n: pl.col(n) for n in ("name", "domain", "industry", "phone", "country", "street")},
            "city": pl.col("country").replace_strict(names.CITY),
            "subdivision": pl.when(pl.col("country") == "US").then(pl.lit("US-NY")),
            "postal_code": pl.col("country").replace_strict(names.POSTAL),
            "headcount": pl.col("headcount").cast(pl.String),
            "segment": pl.when(pl.col("segment") == "public").then("segment").otherwise("guess"),
            "description": pl.concat_str("name", pl.lit(": "), "industry"),
            "account_manager": owner_key("manager"),
            "website": pl.concat_str(pl.lit("https://"), "domain", pl.lit("/about")),
            "customer_since": instant("created"),
        },
    )
    chosen = chance(roll, 0.04, count)
    return twice(rows, pl.lit(chosen), TWIN, name=pl.col("name") + " (old)")


def _show_companies(rows: pl.DataFrame, _day: int) -> pl.DataFrame:
    return rows.select(
        id="key",
        name=plain("name"),
        domain=pl.when(pl.col("truth") % 4 == 0).then("www." + plain("domain")).otherwise(plain("domain")),
        industry=plain("industry"),
        phone=national("phone"),
        address=plain("street"),
        city=plain("city"),
        state=plain("subdivision").str.strip_prefix("US-"),
        zip=plain("postal_code"),
        country=land("country"),
        numberofemployees=plain("headcount"),
        segment__c=plain("segment"),
        description=plain("description"),
        website=plain("website"),
        hubspot_owner_id=plain("account_manager"),
        createdate=said("customer_since", "%Y-%m-%dT%H:%M:%S.000Z"),
        **dict.fromkeys(SHOWN, pl.lit("")),
        hs_lastmodifieddate=at("changed", "%Y-%m-%dT%H:%M:%S.000Z"),
    )


def _deals(company: Company) -> pl.DataFrame:
    deals = _sales(company.deals, "owner")
    changed = pl.col("created") + pl.duration(hours=3)
    return state(
        deals,
        key_of("truth", 9_064_000_007, 11),
        pl.when(pl.col("arrives") > 1).then("created").otherwise(changed),
        {
            **{n: pl.col(n) for n in ("name", "currency", "stage")},
            "account": company_key(),
            "amount": pl.when(pl.col("truth") % 29 != 5).then(hundredths("amount")),
            "closes_on": pl.col("closes_on").dt.strftime("%Y-%m-%d"),
            "owner": owner_key("owner"),
        },
    )


def _show_deals(rows: pl.DataFrame, _day: int) -> pl.DataFrame:
    return rows.select(
        dealId="key",
        dealname=plain("name"),
        amount=plain("amount"),
        deal_currency_code=plain("currency"),
        dealstage=coded("stage", PIPELINE),
        closedate=plain("closes_on"),
        associatedcompanyid=plain("account"),
        hubspot_owner_id=plain("owner"),
        hs_lastmodifieddate=at("changed", "%Y-%m-%dT%H:%M:%S.000Z"),
    )


def _owners(company: Company) -> pl.DataFrame:
    sales = company.employees.filter(pl.col("department") == "Sales")
    roll = dice(company.seed, "hubspot.owners")
    fields: dict[str, pl.Expr | pl.Series | None] = {n: pl.col(n) for n in ("first_name", "last_name", "email")}
    return state(sales, key_of("truth", 44_023_000, 1), before(roll, sales.height, 600, 100), fields)


def _show_owners(rows: pl.DataFrame, _day: int) -> pl.DataFrame:
    return rows.select(
        owner_id="key",
        email=shouted("email"),
        first_name=plain("first_name").str.to_uppercase(),
        last_name=plain("last_name"),
        type=pl.lit("PERSON"),
        updated_at=at("changed", "%Y-%m-%d %H:%M:%S.000"),
    )


STREAMS = (
    Stream(
        "hubspot.contacts",
        "contact",
        "hubspot/contacts-{date}.csv",
        "snapshot",
        "id",
        _contacts,
        _show_contacts,
        "lastmodifieddate",
        appears={"language": LANGUAGE_SINCE},
    ),
    Stream(
        "hubspot.companies",
        "account",
        "hubspot/companies-{date}.csv",
        "snapshot",
        "id",
        _companies,
        _show_companies,
        "hs_lastmodifieddate",
    ),
    Stream(
        "hubspot.deals",
        "deal",
        "hubspot/deals-{date}.csv",
        "snapshot",
        "dealId",
        _deals,
        _show_deals,
        "hs_lastmodifieddate",
    ),
    Stream(
        "hubspot.owners",
        "employee",
        "hubspot/owners-{date}.csv",
        "snapshot",
        "owner_id",
        _owners,
        _show_owners,
        "updated_at",
    ),
)
