"""The e-mail platform, shaped like Mailchimp's: members as JSON lines with `merge_fields`, campaign activity.

Belongs here: what the e-mail platform believes and how it spells it. Does not: what changes (`days`).
"""

from __future__ import annotations

import numpy as np
import polars as pl

from sor_pipeline.demo.clock import before, dice, during
from sor_pipeline.demo.company import FIGHTER, Company, chance
from sor_pipeline.demo.tools.hubspot import contact_key
from sor_pipeline.demo.tools.spell import at, instant, key_of, plain, said, spaced, truth_text
from sor_pipeline.demo.tools.stream import Stream, state

MEMBER_BASE, MEMBER_STEP = 104_000_009, 17


def _members(company: Company) -> pl.DataFrame:
    roll = dice(company.seed, "mailchimp.members")
    people = company.people.filter("in_mail")
    count = people.height
    wrong = chance(roll, 0.04, count) & people["in_crm"] & (people["truth"] != FIGHTER)
    # Whoever is not in the CRM is known here alone or by the same e-mail, so it must be the right one.
    agrees = chance(roll, 0.85, count)
    people = people.with_columns(
        wrong=wrong, agrees=agrees, age=before(roll, count, 200, 2), call=chance(roll, 0.6, count)
    )
    subscribed = pl.when("agrees").then("opted_in").otherwise(~pl.col("opted_in"))
    return state(
        people.with_columns(subscribed=subscribed),
        key_of("truth", MEMBER_BASE, MEMBER_STEP),
        pl.when(pl.col("arrives") > 1).then("created").otherwise("age"),
        {
            "email": pl.when("wrong").then("old_email").otherwise("email"),
            "first_name": pl.when(pl.col("truth") % 9 == 2).then(pl.lit("?N/A")).otherwise("first_name"),
            "last_name": pl.col("last_name"),
            "phone": pl.when("call").then("phone"),
            "opted_in": truth_text("subscribed"),
            "language": pl.col("language"),
            "crm": pl.when("in_crm").then(contact_key()),
            "tags": pl.when(pl.col("truth") % 3 == 0)
            .then(pl.lit("newsletter"))
            .when(pl.col("truth") % 3 == 1)
            .then(pl.lit("event")),
            "first_seen": instant("created"),
        },
        steady=pl.col("truth") == FIGHTER,
        extra=("agrees", "in_crm"),
    )


def _show_members(rows: pl.DataFrame, _day: int) -> pl.DataFrame:
    status = pl.when("gone").then(pl.lit("archived")).when(pl.col("opted_in") == "true").then(pl.lit("subscribed"))
    return rows.select(
        contact_id="key",
        email_address=plain("email"),
        status=status.otherwise(pl.lit("unsubscribed")),
        **{
            "merge_fields.FNAME": plain("first_name"),
            "merge_fields.LNAME": plain("last_name"),
            "merge_fields.PHONE": spaced("phone"),
            "merge_fields.CRMID": plain("crm"),
        },
        language=plain("language"),
        vip=pl.when(pl.col("truth") % 50 == 0).then(pl.lit("true")).otherwise(pl.lit("false")),
        tags=pl.when(pl.col("tags").is_null()).then(pl.lit("[]")).otherwise('["' + pl.col("tags") + '"]'),
        timestamp_opt=said("first_seen", "%Y-%m-%dT%H:%M:%S+00:00"),
        last_changed=at("changed", "%Y-%m-%dT%H:%M:%S+00:00"),
    )


def _activity(company: Company) -> pl.DataFrame:
    """Campaign events of all days; `arrives` is the day whose file carries the event."""
    members = company.people.filter(pl.col("in_mail") & (pl.col("arrives") == 1))
    each = max(5, members.height // 4)
    days = [_one_day(company, members["truth"].to_numpy(), day, each) for day in range(1, company.days + 1)]
    events = pl.concat(days).with_columns(truth=pl.int_range(pl.len()))
    return state(
        events,
        key_of("truth", 5_500_000_001, 3),
        pl.col("at"),
        {
            "contact": key_of("member", MEMBER_BASE, MEMBER_STEP),
            "channel": pl.lit("email"),
            "kind": pl.col("kind"),
            "happened_at": instant("at"),
            "subject": pl.concat_str(pl.lit("Spring letter "), "arrives"),
        },
    )


def _one_day(company: Company, members: np.ndarray, day: int, count: int) -> pl.DataFrame:
    roll = dice(company.seed, f"mailchimp.activity.{day}")
    return pl.DataFrame(
        {
            "member": members[roll.integers(0, len(members), count)],
            "kind": np.array(("open", "click", "bounce"))[roll.choice(3, count, p=(0.7, 0.27, 0.03))],
            "at": during(day, roll, count),
            "arrives": np.full(count, day),
        }
    )


def _show_activity(rows: pl.DataFrame, _day: int) -> pl.DataFrame:
    return rows.select(
        activity_id="key",
        contact_id=plain("contact"),
        action=plain("kind"),
        campaign_title=plain("subject"),
        timestamp=said("happened_at", "%Y-%m-%dT%H:%M:%S+00:00"),
    )


STREAMS = (
    Stream(
        "mailchimp.members",
        "contact",
        "mailchimp/members-{date}.jsonl",
        "changes",
        "contact_id",
        _members,
        _show_members,
        "last_changed",
        typed={"vip": "bool", "tags": "json"},
    ),
    Stream(
        "mailchimp.activity",
        "interaction",
        "mailchimp/activity-{date}.jsonl.gz",
        "events",
        "activity_id",
        _activity,
        _show_activity,
    ),
)
