"""What engagement comes to, per account: the answer for the fields that no tool says.

Belongs here: counting over what every channel's tool believes. Does not: code of the pipeline.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce

import polars as pl

from sor_pipeline.demo.spoken import value, words
from sor_pipeline.demo.tools.spell import hundredths

INTERACTIONS = {
    "mailchimp.activity": "mailchimp.members",
    "zendesk.comments": "zendesk.users",
    "aircall.calls": "aircall.contacts",
}
"""Each channel's events, and the source whose records they are about."""
COUNTED = {"open_tickets": "0", "mrr": "0.00", "usage_30d": "0"}
"""What nothing comes to."""


def engagement(seen: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
    """One row per account that anything leads to: `truth` and what it comes to, as text."""

    def of(source: str, rows: pl.DataFrame, field: str = "account") -> pl.DataFrame:
        """`rows` with `about`: the truth of the record that `field` is the key of."""
        keyed = seen[source].select(pl.col("key").alias(field), about="truth")
        return rows.with_columns(value(field).alias(field)).join(keyed, on=field, how="inner")

    people = of("hubspot.companies", words(seen["hubspot.contacts"])).select("truth", account="about")
    moments = pl.concat(
        of(source, seen[events_of], "contact").select(truth="about", at=value("happened_at"))
        for events_of, source in INTERACTIONS.items()
    )
    last = moments.join(people, on="truth").group_by(truth="account").agg(last_interaction_at=pl.max("at"))
    waiting = value("status").is_in(["new", "open", "pending"])
    tickets = of("zendesk.organizations", seen["zendesk.tickets"]).filter(waiting)
    paying = value("status").is_in(["active", "past_due"])
    paid = of("stripe.customers", seen["stripe.subscriptions"]).filter(paying)
    cents = value("price").str.replace(".", "", literal=True).cast(pl.Int64) * value("seats").cast(pl.Int64)
    usage = of("hubspot.companies", seen["amplitude.usage"])
    counted = [
        tickets.group_by(truth="about").agg(open_tickets=pl.len().cast(pl.String)),
        paid.group_by(truth="about").agg(cents=cents.sum()).select("truth", mrr=hundredths("cents")),
        usage.group_by(truth="about").agg(usage_30d=value("events").cast(pl.Int64).sum().cast(pl.String)),
    ]
    return reduce(lambda one, other: one.join(other, on="truth", how="full", coalesce=True), counted, last)
