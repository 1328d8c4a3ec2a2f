"""What happens in the demo company between two extracts, and which deliveries go wrong.

Belongs here: edits in the tools, late, bad and repeated files, the fight over an e-mail.
Does not: how a file is written (`write`), what is right (`truth`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from sor_pipeline.demo import names
from sor_pipeline.demo.clock import dice, during
from sor_pipeline.demo.company import phone
from sor_pipeline.demo.tools.stream import Stream

LATE = {("hubspot.deals", 2): 4, ("zendesk.tickets", 2): 4}
"""Whose file of which day is delivered on which later day. A late snapshot changes nothing, late changes do."""
WRONG_HEADER = frozenset({("aircall.contacts", 3)})
CUT_SHORT = frozenset({("bamboohr.employees", 4)})
AGAIN = {("mailchimp.activity", 2): 3}
"""Whose file of which day comes once more, on which day, under another name."""
IMPORTS = 2
"""Every so many days, from the third on, marketing imports its old list over the fighter's e-mail."""


def imported_last(day: int, days: int) -> int:
    """The last day up to `day` before whose extract the old list was imported; 0: none. On quiet days nobody does."""
    return max((of for of in range(1 + IMPORTS, min(day, days) + 1, IMPORTS)), default=0)


@dataclass(frozen=True)
class Edit:
    """Each day, `share` of the records for which `only` holds get `value` in `field`."""

    field: str
    share: float
    value: Callable[[pl.DataFrame, int], pl.Expr | pl.Series]
    only: pl.Expr


def _real(field: str) -> pl.Expr:
    return pl.col(field).is_not_null() & (pl.col(field) != "") & ~pl.col(field).str.starts_with("?")


def _next(words: tuple[str, ...], field: str) -> Callable[[pl.DataFrame, int], pl.Expr]:
    """The word after the one that is there, round and round."""
    return lambda *_: pl.col(field).replace(dict(zip(words, (*words[1:], words[0]), strict=True)))


def _always(text: str) -> Callable[[pl.DataFrame, int], pl.Expr]:
    return lambda *_: pl.lit(text)


def _gone(*_: object) -> pl.Expr:
    return pl.lit(True)


def _flipped(*_: object) -> pl.Expr:
    return pl.when(pl.col("opted_in") == "true").then(pl.lit("false")).otherwise(pl.lit("true"))


def _title(_: pl.DataFrame, day: int) -> pl.Expr:
    return pl.lit(names.NEW_TITLE[day % len(names.NEW_TITLE)])


_ANY = pl.lit(True)
_OTHERS = pl.sum_horizontal("in_phone", "in_mail", "in_marketing", "in_desk")
_UNREFERRED = ~pl.any_horizontal("in_phone", "in_mail", "in_desk")
_EVEN = pl.col("truth") % 2 == 0

EDITS: dict[str, tuple[Edit, ...]] = {
    "hubspot.contacts": (
        # Who is known to the phone system keeps number and e-mail: they are what links the two records.
        Edit("phone", 0.04, lambda rows, _: phone(3, rows.height), _real("phone") & ~pl.col("in_phone")),
        Edit("phone", 0.03, _always(""), _real("phone") & ~pl.col("in_phone")),
        Edit(
            "email",
            0.02,
            lambda _, day: pl.col("email").str.replace("@", f".{day}@"),
            _real("email") & ~pl.col("in_phone"),
        ),
        Edit("job_title", 0.04, _title, _real("job_title")),
        Edit("stage", 0.05, _next(names.STAGE, "stage"), _ANY),
        Edit("gone", 0.03, _gone, _UNREFERRED & (_OTHERS <= 1)),
    ),
    "hubspot.companies": (Edit("phone", 0.03, lambda rows, _: phone(3, rows.height), _ANY),),
    "hubspot.deals": (
        Edit("stage", 0.08, _next(names.DEAL_STAGE, "stage"), _ANY),
        Edit("amount", 0.04, lambda _, day: pl.lit(f"{day}5000.00"), _real("amount")),
        Edit("gone", 0.02, _gone, _ANY),
    ),
    "mailchimp.members": (
        Edit("opted_in", 0.05, _flipped, _EVEN),
        Edit("gone", 0.02, _gone, ~_EVEN & pl.col("agrees") & pl.col("in_crm")),
    ),
    "marketo.leads": (Edit("stage", 0.04, _next(names.STAGE, "stage"), _ANY),),
    "zendesk.users": (
        Edit("phone", 0.03, lambda rows, _: phone(1, rows.height), _real("phone")),
        Edit("gone", 0.01, _gone, pl.col("in_crm")),
    ),
    "zendesk.tickets": (
        Edit("status", 0.15, _next(names.TICKET_STATUS, "status"), pl.col("status") != "closed"),
        Edit("gone", 0.01, _gone, _ANY),
    ),
    "stripe.customers": (
        Edit("balance", 0.1, lambda _, day: pl.lit(f"{day}9.90"), _ANY),
        Edit("street", 0.04, lambda _, day: pl.lit(f"{day} Harbour Square"), _real("street")),
        Edit("gone", 0.01, _gone, _ANY),
    ),
    "stripe.subscriptions": (
        Edit("seats", 0.06, lambda _, day: (pl.col("seats").cast(pl.Int64) + day).cast(pl.String), _ANY),
        Edit("status", 0.02, _always("past_due"), pl.col("status") == "active"),
    ),
    "bamboohr.employees": (
        Edit("job_title", 0.08, _title, _ANY),
        Edit("active", 0.03, _always("false"), _ANY),
    ),
    "plan.accounts": (
        Edit("segment", 0.04, _next(names.SEGMENT[:3], "segment"), pl.col("segment") != "public"),
        Edit("territory", 0.02, _always("rest_of_europe"), _ANY),
    ),
}


def believed(stream: Stream, base: pl.DataFrame, seed: int, day: int, busy: int) -> pl.DataFrame:
    """The state of a stream as its tool has it when the extracts of `day` are taken; `base` is the first state.

    Nobody edits anything after day `busy`.
    """
    rows = base
    for today in range(2, min(day, busy) + 1):
        for number, edit in enumerate(EDITS.get(stream.source, ())):
            rows = _edited(rows, edit, seed, f"{stream.source}.{number}.{today}", today)
    return rows.filter(pl.col("arrives") <= day)


def _edited(rows: pl.DataFrame, edit: Edit, seed: int, purpose: str, day: int) -> pl.DataFrame:
    roll = dice(seed, purpose)
    luck, when = pl.Series(roll.random(rows.height)), during(day, roll, rows.height)
    rows = rows.with_columns(
        _hit=(pl.lit(luck) < edit.share) & edit.only & (pl.col("arrives") < day) & ~pl.col("gone") & ~pl.col("steady")
    )
    timed = pl.col("_hit") & pl.col("changed").is_not_null()
    return rows.with_columns(
        pl.when("_hit").then(edit.value(rows, day)).otherwise(edit.field).alias(edit.field),
        touched=pl.when("_hit").then(pl.lit(day, pl.Int64)).otherwise("touched"),
        # Two edits of one day keep the later time, or the row's own clock would run backwards.
        changed=pl.when(timed).then(pl.max_horizontal("changed", pl.lit(when))).otherwise("changed"),
    ).drop("_hit")


def delivered_on(source: str, day: int, days: int) -> int:
    """The day on which the file of `day` arrives; a delay beyond the last day is none."""
    late = LATE.get((source, day), day)
    return late if late <= days else day


def refused(source: str, day: int) -> bool:
    """Whether the file of `day` is one that must be refused."""
    return (source, day) in WRONG_HEADER | CUT_SHORT
