"""The phone system: contacts and calls as CSV of a European office: `;`, Latin-1, decimal comma, local time.

Belongs here: what the phone system believes and how it spells it. Does not: what changes (`days`).
"""

from __future__ import annotations

import numpy as np
import polars as pl

from sor_pipeline.demo.clock import dice, during
from sor_pipeline.demo.company import Company, chance
from sor_pipeline.demo.tools.hubspot import STREAMS as CRM
from sor_pipeline.demo.tools.spell import instant, key_of, plain, spaced
from sor_pipeline.demo.tools.stream import Stream, state

CONTACT_BASE, CONTACT_STEP = 500_001, 2


def _contacts(company: Company) -> pl.DataFrame:
    roll, people = dice(company.seed, "aircall.contacts"), company.people.filter("in_phone")
    # Only who has the same number in the CRM may be known here without an e-mail: that is what links them.
    crm = CRM[0].begin(company).filter(pl.col("phone").str.starts_with("+")).unique("truth", maintain_order=True)
    people = people.join(crm.select("truth", reached=pl.lit(True)), on="truth", how="left", maintain_order="left")
    silent = chance(roll, 0.3, people.height) & people["reached"].fill_null(False)
    return state(
        people.with_columns(silent=silent),
        key_of("truth", CONTACT_BASE, CONTACT_STEP),
        pl.lit(None, pl.Datetime("us")),
        {
            "first_name": pl.col("first_name"),
            "last_name": pl.col("last_name"),
            "phone": pl.col("phone"),
            "email": pl.when(~pl.col("silent")).then("email"),
        },
    )


def _show_contacts(rows: pl.DataFrame, _day: int) -> pl.DataFrame:
    return rows.select(
        id="key",
        first_name=plain("first_name"),
        last_name=plain("last_name"),
        phone_number=spaced("phone"),
        email=plain("email"),
    )


def _calls(company: Company) -> pl.DataFrame:
    """Calls of all days; `arrives` is the day whose file carries the call."""
    people = company.people.filter(pl.col("in_phone") & (pl.col("arrives") == 1))["truth"].to_numpy()
    days = [_one_day(company, people, day, max(4, len(people) // 5)) for day in range(1, company.days + 1)]
    return state(
        pl.concat(days).with_columns(truth=pl.int_range(pl.len())),
        key_of("truth", 7_700_001, 1),
        pl.col("at"),
        {
            "contact": key_of("person", CONTACT_BASE, CONTACT_STEP),
            "channel": pl.lit("phone"),
            "kind": pl.col("kind"),
            "happened_at": instant("at"),
            "minutes": pl.col("quarters").cast(pl.String),
        },
    )


def _one_day(company: Company, people: np.ndarray, day: int, count: int) -> pl.DataFrame:
    roll = dice(company.seed, f"aircall.calls.{day}")
    return pl.DataFrame(
        {
            "person": people[roll.integers(0, len(people), count)],
            "kind": np.array(("inbound", "outbound"))[roll.integers(0, 2, count)],
            "at": during(day, roll, count),
            "quarters": pl.Series(roll.integers(1, 60, count)).cast(pl.String)
            + pl.Series(np.array((".00", ".25", ".50", ".75"))[roll.integers(0, 4, count)]),
            "arrives": np.full(count, day),
        }
    )


def _show_calls(rows: pl.DataFrame, _day: int) -> pl.DataFrame:
    local = pl.col("changed").dt.replace_time_zone("UTC").dt.convert_time_zone("Europe/Berlin")
    return rows.select(
        call_id="key",
        contact_id=plain("contact"),
        direction=plain("kind"),
        started=local.dt.strftime("%d.%m.%Y %H:%M:%S"),
        minutes=plain("minutes").str.replace(".", ",", literal=True),
        line=pl.lit("Büro Köln"),
    )


STREAMS = (
    Stream(
        "aircall.contacts",
        "contact",
        "aircall/contacts-{date}.csv",
        "snapshot",
        "id",
        _contacts,
        _show_contacts,
        delimiter=";",
        encoding="latin-1",
    ),
    Stream(
        "aircall.calls",
        "interaction",
        "aircall/calls-{date}.csv",
        "events",
        "call_id",
        _calls,
        _show_calls,
        delimiter=";",
        encoding="latin-1",
    ),
)
