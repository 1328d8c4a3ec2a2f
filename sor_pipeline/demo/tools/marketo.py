"""Marketing automation, shaped like Marketo's lead export: CSV with its own numeric codes.

Belongs here: what marketing believes, and the list that it re-imports every night. Does not: what changes (`days`).
"""

from __future__ import annotations

import polars as pl

from sor_pipeline.demo.clock import before, dice
from sor_pipeline.demo.company import FIGHTER, Company, chance
from sor_pipeline.demo.tools.hubspot import TWIN, contact_key
from sor_pipeline.demo.tools.spell import at, coded, instant, key_of, plain, said
from sor_pipeline.demo.tools.stream import Stream, state, twice

LEAD_STATUS = {"lead": "1", "opportunity": "2", "customer": "3", "churned": "9", "recycled": "7"}
"""7 is a code that nobody told the ownership document about."""


def _leads(company: Company) -> pl.DataFrame:
    roll = dice(company.seed, "marketo.leads")
    people = company.people.filter("in_marketing")
    count = people.height
    fighter = pl.col("truth") == FIGHTER
    wrong = chance(roll, 0.03, count) & people["in_crm"]
    people = people.with_columns(wrong=wrong, luck=pl.Series(roll.random(count)), age=before(roll, count, 200, 2))
    stage = (
        pl.when(pl.col("luck") < 0.1)
        .then(pl.lit("lead"))
        .when(pl.col("luck") > 0.985)
        .then(pl.lit("recycled"))
        .otherwise("stage")
    )
    rows = state(
        people,
        key_of("truth", 1_031_000, 3),
        pl.when(pl.col("arrives") > 1).then("created").otherwise("age"),
        {
            "email": pl.when(pl.col("wrong") | fighter).then("old_email").otherwise("email"),
            "first_name": pl.col("first_name"),
            "last_name": pl.col("last_name"),
            "job_title": pl.when(pl.col("luck") > 0.9)
            .then(pl.lit("Buyer"))
            .when(pl.col("luck") > 0.3)
            .then("job_title"),
            "stage": stage,
            "country": pl.col("country"),
            "crm": pl.when("in_crm").then(contact_key()),
            "first_seen": instant("created"),
        },
        steady=fighter,
    )
    chosen = chance(roll, 0.03, count) & ~rows["steady"]
    return twice(rows, pl.lit(chosen), TWIN)


def _show_leads(rows: pl.DataFrame, _day: int) -> pl.DataFrame:
    return rows.select(
        id="key",
        email=plain("email"),
        firstName=plain("first_name"),
        lastName=plain("last_name"),
        title=plain("job_title"),
        leadStatus=coded("stage", LEAD_STATUS),
        country=plain("country"),
        unsubscribed=pl.lit("0"),
        crmContactId=plain("crm"),
        createdAt=said("first_seen"),
        updatedAt=at("changed"),
    )


STREAMS = (
    Stream("marketo.leads", "contact", "marketo/leads-{date}.csv", "snapshot", "id", _leads, _show_leads, "updatedAt"),
)
