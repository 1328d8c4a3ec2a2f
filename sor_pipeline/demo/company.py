"""The true world of the demo company: who its customers are, what they bought, who works for it.

Belongs here: the truth that no tool knows whole, in the standard form of every field type.
Does not: what a tool believes or how it spells it (`tools`), what changes (`days`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from sor_pipeline.demo import names
from sor_pipeline.demo.clock import before, dice, during

FIGHTER = 0
"""The person whose e-mail the marketing platform keeps overwriting."""
DRAMA = {"DE": "+493023125", "GB": "+4420794600", "FR": "+33199001"}
"""Prefixes reserved for films; three (GB: two) more digits make a number."""


@dataclass(frozen=True)
class Company:
    """The world: one row per true thing in each table, `truth` its number.

    `people`: contacts; `accounts`; `employees` (ours); `deals`, `subscriptions`, `tickets`.
    `arrives` is the day of the first extract that can know the thing.
    """

    seed: int
    days: int
    accounts: pl.DataFrame
    people: pl.DataFrame
    employees: pl.DataFrame
    deals: pl.DataFrame
    subscriptions: pl.DataFrame
    tickets: pl.DataFrame


def found(seed: int, contacts: int, days: int) -> Company:
    """The company with about `contacts` people, over `days` days; the same arguments give the same company."""
    employees = _employees(seed, max(12, min(2_000, contacts // 50)))
    accounts = _accounts(seed, max(10, contacts // 5), employees.height)
    people = _people(seed, max(40, contacts), days, accounts)
    return Company(
        seed=seed,
        days=days,
        accounts=accounts,
        people=people,
        employees=employees,
        deals=_deals(seed, max(12, contacts // 4), days, accounts, employees.height),
        subscriptions=_subscriptions(seed, accounts),
        tickets=_tickets(seed, max(12, contacts // 3), days, people),
    )


def phone(block: int, count: int) -> pl.Series:
    """`count` different 555 numbers (below 10,000 x 348) of one of four disjoint blocks."""
    number = np.arange(count)
    area = np.array(names.AREAS)[(number // 10_000 + block * 87) % len(names.AREAS)]
    line = pl.Series(number % 10_000).cast(pl.String).str.zfill(4)
    return "+1" + pl.Series(area) + "555" + line


def pick(generator: np.random.Generator, words: tuple[str, ...] | list[str], count: int) -> pl.Series:
    """`count` words drawn evenly."""
    return pl.Series(np.array(words)[generator.integers(0, len(words), count)])


def chance(generator: np.random.Generator, share: float, count: int) -> pl.Series:
    """`count` booleans, true with probability `share`."""
    return pl.Series(generator.random(count) < share)


def arrivals(generator: np.random.Generator, share: float, days: int, count: int) -> pl.Series:
    """The day of first appearance: 1, or for `share` of the things a later one."""
    late = generator.random(count) < share
    return pl.Series(np.where(late & (days > 1), generator.integers(2, max(days, 2) + 1, count), 1))


def born(generator: np.random.Generator, arrives: pl.Series, days: int, oldest: int, newest: int) -> pl.Series:
    """When each thing came to be: before the first extract, or on the day that it arrives with."""
    when = pl.DataFrame({"arrives": arrives, "at": before(generator, len(arrives), oldest, newest)})
    for day in range(2, days + 1):
        at = during(day, generator, len(arrives))
        when = when.with_columns(at=pl.when(pl.col("arrives") == day).then(at).otherwise("at"))
    return when["at"]


def _employees(seed: int, count: int) -> pl.DataFrame:
    roll, number = dice(seed, "employees"), np.arange(count)
    first, last = roll.integers(0, len(names.FIRST), count), roll.integers(0, len(names.LAST), count)
    mailbox = pl.Series(np.array(names.FIRST_ASCII)[first]) + "." + pl.Series(np.array(names.LAST_ASCII)[last])
    department = pl.Series(np.array(names.DEPARTMENT)[number % len(names.DEPARTMENT)])
    return pl.DataFrame(
        {
            "truth": number,
            "first_name": np.array(names.FIRST)[first],
            "last_name": np.array(names.LAST)[last],
            "email": mailbox + "." + pl.Series(number + 1).cast(pl.String) + "@larkspur.example",
            "job_title": department + " Associate",
            "department": department,
            "manager": np.where(number == 0, -1, number // 6),
            "hired_on": before(roll, count, 3_000, 60).dt.date(),
        }
    )


def _accounts(seed: int, count: int, employees: int) -> pl.DataFrame:
    roll, number = dice(seed, "accounts"), np.arange(count)
    left, right = np.array(names.FIRM_LEFT), np.array(names.FIRM_RIGHT)
    combination = number * 7 % (len(left) * len(right))
    words = pl.DataFrame(
        {"left": left[combination % len(left)], "right": right[combination // len(left)], "number": number}
    )
    again = pl.col("number") // (len(left) * len(right))
    more = pl.when(again > 0).then(again.cast(pl.String)).otherwise(pl.lit(""))
    named = words.select(
        name=pl.concat_str("left", pl.lit(" "), "right", pl.when(again > 0).then(" " + more).otherwise(pl.lit(""))),
        domain=pl.concat_str(
            pl.col("left").str.to_lowercase(), pl.lit("-"), pl.col("right").str.to_lowercase(), more, pl.lit(".example")
        ),
    )
    return named.with_columns(
        truth=pl.Series(number),
        country=pl.Series(roll.choice(names.COUNTRIES, count, p=names.COUNTRY_SHARES)),
        industry=pick(roll, names.INDUSTRY, count),
        phone=phone(2, count),
        segment=pl.Series(roll.choice(names.SEGMENT, count, p=(0.2, 0.3, 0.4, 0.1))),
        headcount=pl.Series(roll.integers(5, 4_000, count)),
        street=pl.Series(roll.integers(1, 200, count)).cast(pl.String) + " " + pick(roll, names.STREET, count),
        manager=pl.Series(roll.integers(0, employees, count)),
        is_billed=chance(roll, 0.65, count),
        has_desk=chance(roll, 0.5, count),
        is_planned=chance(roll, 0.9, count),
        created=before(roll, count, 1_500, 300),
    )


def _people(seed: int, count: int, days: int, accounts: pl.DataFrame) -> pl.DataFrame:
    roll, number = dice(seed, "people"), np.arange(count)
    first, last = roll.integers(0, len(names.FIRST), count), roll.integers(0, len(names.LAST), count)
    first[FIGHTER], last[FIGHTER] = 0, 0
    employer = roll.integers(0, accounts.height, count)
    arrives = arrivals(roll, 0.02, days, count)
    arrives[FIGHTER] = 1
    mailbox = pl.Series(np.array(names.FIRST_ASCII)[first]) + "." + pl.Series(np.array(names.LAST_ASCII)[last])
    people = pl.DataFrame(
        {
            "truth": number,
            "first_name": np.array(names.FIRST)[first],
            "last_name": np.array(names.LAST)[last],
            "account": employer,
            "domain": accounts["domain"].gather(employer),
            "country": accounts["country"].gather(employer),
            "mailbox": mailbox,
            "phone": phone(0, count),
            "job_title": pick(roll, names.TITLE, count),
            "stage": pick(roll, names.STAGE, count),
            "opted_in": chance(roll, 0.7, count),
            "arrives": arrives,
            "created": born(roll, arrives, days, 1_400, 250),
        }
    )
    return _reached(_present(people, roll))


def _present(people: pl.DataFrame, roll: np.random.Generator) -> pl.DataFrame:
    """Adds which tools know the person; nobody is known to none, the fighter to the four that matter."""
    count, here = people.height, {}
    for tool, share in (("in_crm", 0.92), ("in_mail", 0.6), ("in_marketing", 0.5), ("in_desk", 0.4), ("in_phone", 0.3)):
        here[tool] = chance(roll, share, count)
    people = people.with_columns(**here, is_role=pl.Series(np.arange(count) % 100 >= 98))
    alone = ~pl.any_horizontal("in_crm", "in_mail", "in_marketing", "in_desk", "in_phone")
    fighter, role = pl.col("truth") == FIGHTER, pl.col("is_role")
    return people.with_columns(
        pl.col("in_crm") | alone | role | fighter,
        *((pl.col(c) & ~role) | fighter for c in ("in_mail", "in_marketing", "in_desk")),
        in_phone=pl.col("in_phone") & ~role & ~fighter,
    )


def _reached(people: pl.DataFrame) -> pl.DataFrame:
    """Adds e-mail (role mailboxes are shared by pairs of colleagues), old e-mail, language; films' numbers abroad."""
    pairs = pl.col("truth").shift(1).over((pl.col("truth") - 98) // 100, "is_role")
    partner = pl.when("is_role").then(pairs)
    people = people.with_columns(partner=partner)
    shared = people.select(partner="truth", account_of="account", domain_of="domain", country_of="country")
    people = people.join(shared, on="partner", how="left", maintain_order="left").with_columns(
        account=pl.coalesce("account_of", "account"),
        domain=pl.coalesce("domain_of", "domain"),
        country=pl.coalesce("country_of", "country"),
    )
    own = pl.concat_str("mailbox", pl.lit("."), "truth", pl.lit("@"), "domain")
    email = pl.when("is_role").then("info@" + pl.col("domain")).otherwise(own)
    nth = pl.int_range(pl.len()).over("country")
    film = [
        pl.when((pl.col("country") == country) & (nth < (100 if country == "GB" else 1_000))).then(
            prefix + nth.cast(pl.String).str.zfill(2 if country == "GB" else 3)
        )
        for country, prefix in DRAMA.items()
    ]
    fighter = pl.col("truth") == FIGHTER
    return people.with_columns(
        email=pl.when(fighter).then(pl.concat_str("mailbox", pl.lit("@"), "domain")).otherwise(email),
        old_email=pl.concat_str("mailbox", pl.lit("."), "truth", pl.lit("@former-employer.example")),
        phone=pl.coalesce(*film, "phone"),
        language=pl.col("country").replace_strict(names.LANGUAGE),
    ).drop("account_of", "domain_of", "country_of", "partner", "mailbox")


def _deals(seed: int, count: int, days: int, accounts: pl.DataFrame, employees: int) -> pl.DataFrame:
    roll, number = dice(seed, "deals"), np.arange(count)
    account, arrives = roll.integers(0, accounts.height, count), arrivals(roll, 0.06, days, count)
    return pl.DataFrame(
        {
            "truth": number,
            "account": account,
            "name": accounts["name"].gather(account) + " - order " + pl.Series(number + 1).cast(pl.String),
            "amount": roll.integers(500, 90_000, count) * 100 + 50,
            "currency": accounts["country"].gather(account).replace_strict(names.CURRENCY),
            "stage": pick(roll, names.DEAL_STAGE, count),
            "closes_on": before(roll, count, 40, -150).dt.date(),
            "owner": roll.integers(0, employees, count),
            "arrives": arrives,
            "created": born(roll, arrives, days, 240, 5),
        }
    )


def _subscriptions(seed: int, accounts: pl.DataFrame) -> pl.DataFrame:
    roll = dice(seed, "subscriptions")
    billed = accounts.filter("is_billed")
    count = billed.height
    return billed.select(
        truth=pl.int_range(pl.len()),
        account="truth",
        currency=pl.col("country").replace_strict(names.CURRENCY),
        plan=pick(roll, names.PLAN, count),
        seats=pl.Series(roll.integers(1, 300, count)),
        cents=pl.Series(roll.integers(900, 9_900, count)),
        status=pl.Series(roll.choice(("active", "trialing", "past_due", "canceled"), count, p=(0.8, 0.08, 0.07, 0.05))),
        ends_at_period=chance(roll, 0.05, count),
        started=before(roll, count, 900, 31),
    )


def _tickets(seed: int, count: int, days: int, people: pl.DataFrame) -> pl.DataFrame:
    roll, number = dice(seed, "tickets"), np.arange(count)
    asking = people.filter(pl.col("in_desk") & (pl.col("arrives") == 1))
    requester, arrives = roll.integers(0, asking.height, count), arrivals(roll, 0.12, days, count)
    return pl.DataFrame(
        {
            "truth": number,
            "person": asking["truth"].gather(requester),
            "account": asking["account"].gather(requester),
            "subject": pick(roll, names.SUBJECT, count),
            "status": pick(roll, names.TICKET_STATUS, count),
            "priority": pick(roll, names.PRIORITY, count),
            "arrives": arrives,
            "opened": born(roll, arrives, days, 200, 3),
        }
    )
