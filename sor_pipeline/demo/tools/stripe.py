"""Billing, shaped like Stripe's API: customers as JSON lines, subscriptions as a list; epoch seconds and cents.

Belongs here: what billing believes and how it spells it. Does not: what changes (`days`).
"""

from __future__ import annotations

import polars as pl

from sor_pipeline.demo import names
from sor_pipeline.demo.clock import before, dice
from sor_pipeline.demo.company import Company, chance
from sor_pipeline.demo.tools.hubspot import company_key
from sor_pipeline.demo.tools.spell import epoch, hundredths, instant, plain
from sor_pipeline.demo.tools.stream import Stream, state, twice

_CUSTOMER = 10_000_019
_TWIN = 80_000_000


def _customer(column: str) -> pl.Expr:
    return pl.col(column) * 23 + _CUSTOMER


def _customers(company: Company) -> pl.DataFrame:
    roll, billed = dice(company.seed, "stripe.customers"), company.accounts.filter("is_billed")
    count = billed.height
    billed = billed.with_columns(
        at_home=chance(roll, 0.7, count),
        told=chance(roll, 0.85, count),
        owes=pl.Series(roll.integers(0, 500_000, count)),
        late=chance(roll, 0.08, count),
        age=before(roll, count, 250, 2),
    )
    told = pl.when("told")
    city = (
        pl.when("at_home")
        .then(pl.col("country").replace_strict(names.CITY))
        .otherwise(pl.col("country").replace_strict(names.OTHER_CITY))
    )
    postal = (
        pl.when("at_home")
        .then(pl.col("country").replace_strict(names.POSTAL))
        .otherwise(pl.col("country").replace_strict(names.OTHER_POSTAL))
    )
    region = pl.when(pl.col("country") == "US").then(
        pl.when("at_home").then(pl.lit("US-NY")).otherwise(pl.lit("US-ID"))
    )
    rows = state(
        billed,
        _customer("truth"),
        pl.col("age"),
        {
            "name": pl.when(pl.col("truth") % 7 == 3)
            .then(pl.col("name").str.to_uppercase() + " LTD")
            .otherwise("name"),
            "billing_email": pl.concat_str(pl.lit("billing@"), "domain"),
            "currency": pl.col("country").replace_strict(names.CURRENCY),
            "balance": hundredths("owes"),
            "delinquent": pl.when("late").then(pl.lit("true")).otherwise(pl.lit("false")),
            "street": told.then("street"),
            "city": told.then(city),
            "subdivision": told.then(region),
            "postal_code": told.then(postal),
            "country": told.then("country"),
            "customer_since": (pl.col("created") + pl.duration(days=20)).dt.strftime("%Y-%m-%d %H:%M:%S"),
            "crm": company_key("truth"),
        },
    )
    doubled = twice(
        rows,
        pl.lit(chance(roll, 0.03, count)),
        _TWIN,
        billing_email=pl.lit("accounts.payable@") + pl.col("billing_email").str.split("@").list.last(),
    )
    return doubled.with_columns(key="cus_" + pl.col("key").str.zfill(12))


def _show_customers(rows: pl.DataFrame, _day: int) -> pl.DataFrame:
    return rows.select(
        id="key",
        object=pl.lit("customer"),
        name=plain("name"),
        email=plain("billing_email"),
        currency=plain("currency").str.to_lowercase(),
        balance=plain("balance").str.replace(".", "", literal=True).str.replace(r"^0+(\d)", "${1}"),
        delinquent=plain("delinquent"),
        deleted=pl.when("gone").then(pl.lit("true")).otherwise(pl.lit("false")),
        created=epoch("customer_since"),
        updated=pl.col("changed").dt.epoch("s").cast(pl.String),
        **{
            "address.line1": plain("street"),
            "address.city": plain("city"),
            "address.state": plain("subdivision").str.strip_prefix("US-"),
            "address.postal_code": plain("postal_code"),
            "address.country": plain("country"),
            "metadata.hubspot_company_id": plain("crm"),
        },
    )


def _subscriptions(company: Company) -> pl.DataFrame:
    return state(
        company.subscriptions,
        "sub_" + (pl.col("truth") * 31 + 70_000_001).cast(pl.String).str.zfill(12),
        pl.lit(None, pl.Datetime("us")),
        {
            "account": "cus_" + _customer("account").cast(pl.String).str.zfill(12),
            **{n: pl.col(n) for n in ("plan", "status", "currency")},
            "seats": pl.col("seats").cast(pl.String),
            "price": hundredths("cents"),
            "ends_at_period": pl.when("ends_at_period").then(pl.lit("true")).otherwise(pl.lit("false")),
            "started_at": instant("started"),
            "period_end": (pl.col("started") + pl.duration(days=1_100)).dt.strftime("%Y-%m-%d %H:%M:%S"),
        },
    )


def _show_subscriptions(rows: pl.DataFrame, _day: int) -> pl.DataFrame:
    return rows.select(
        id="key",
        object=pl.lit("subscription"),
        customer=plain("account"),
        status=plain("status"),
        **{
            "plan.nickname": plain("plan"),
            "plan.amount": plain("price").str.replace(".", "", literal=True).str.replace(r"^0+(\d)", "${1}"),
        },
        currency=plain("currency").str.to_lowercase(),
        quantity=plain("seats"),
        cancel_at_period_end=plain("ends_at_period"),
        start_date=epoch("started_at"),
        current_period_end=epoch("period_end"),
    )


STREAMS = (
    Stream(
        "stripe.customers",
        "account",
        "stripe/customers-{date}.jsonl",
        "changes",
        "id",
        _customers,
        _show_customers,
        typed={"balance": "int", "delinquent": "bool", "deleted": "bool", "created": "int", "updated": "int"},
    ),
    Stream(
        "stripe.subscriptions",
        "subscription",
        "stripe/subscriptions-{date}.json",
        "snapshot",
        "id",
        _subscriptions,
        _show_subscriptions,
        records="data",
        typed={
            "plan.amount": "int",
            "quantity": "int",
            "cancel_at_period_end": "bool",
            "start_date": "int",
            "current_period_end": "int",
        },
    ),
)
