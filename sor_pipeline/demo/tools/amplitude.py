"""Product analytics, shaped like a warehouse export of Amplitude: usage per account and day, as Parquet.

Belongs here: what analytics counted. Does not: anything about people.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from sor_pipeline.demo.clock import date_of, dice, midnight
from sor_pipeline.demo.company import Company
from sor_pipeline.demo.tools.hubspot import company_key
from sor_pipeline.demo.tools.spell import plain
from sor_pipeline.demo.tools.stream import Stream, state


def _usage(company: Company) -> pl.DataFrame:
    """Usage of all days; the file of a day tells of the day before it."""
    accounts = company.subscriptions.filter(pl.col("status") != "canceled")["account"]
    days = [_one_day(company, accounts, day) for day in range(1, company.days + 1)]
    return state(
        pl.concat(days).with_columns(truth=pl.int_range(pl.len())),
        pl.concat_str(company_key(), pl.lit("|"), "day"),
        pl.col("at"),
        {
            "account": company_key(),
            **{n: pl.col(n).cast(pl.String) for n in ("day", "active_users", "events")},
            "hours": pl.col("hours"),
        },
    )


def _one_day(company: Company, accounts: pl.Series, day: int) -> pl.DataFrame:
    roll, count = dice(company.seed, f"amplitude.usage.{day}"), len(accounts)
    users = roll.integers(0, 200, count)
    hours = pl.Series(users // 3).cast(pl.String) + pl.Series(
        np.array((".25", ".50", ".75"))[roll.integers(0, 3, count)]
    )
    return pl.DataFrame(
        {"account": accounts, "active_users": users, "events": users * roll.integers(3, 40, count), "hours": hours}
    ).with_columns(
        day=pl.lit(date_of(day - 1).isoformat()), arrives=pl.lit(day), at=pl.lit(midnight(day)).cast(pl.Datetime("us"))
    )


def _show_usage(rows: pl.DataFrame, _day: int) -> pl.DataFrame:
    return rows.select(
        company_id=plain("account"),
        day=plain("day"),
        active_users=plain("active_users"),
        events=plain("events"),
        hours=plain("hours"),
    )


STREAMS = (
    Stream(
        "amplitude.usage",
        "product_usage",
        "amplitude/usage-{date}.parquet",
        "events",
        "company_id",
        _usage,
        _show_usage,
        typed={"day": "date", "active_users": "int", "events": "int", "hours": "float"},
    ),
)
