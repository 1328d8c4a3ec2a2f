"""What is right: the canonical value of every cell, and which records are the same thing.

Belongs here: the answer, worked out from what the generator knows (which record is about whom),
never from files, matching or the ownership document. Does not: any code of the pipeline.

The answer of a day is given what was delivered well up to then: a late or refused file leaves its
tool's last good word standing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import reduce

import polars as pl

from sor_pipeline.demo import days as events
from sor_pipeline.demo.clock import midnight
from sor_pipeline.demo.company import Company
from sor_pipeline.demo.engaged import COUNTED, INTERACTIONS, engagement
from sor_pipeline.demo.spoken import spoke as _spoke
from sor_pipeline.demo.spoken import value as _value
from sor_pipeline.demo.spoken import words as _words
from sor_pipeline.demo.tools.all import STREAMS

State = Callable[[str, int], pl.DataFrame]

OWNER = {
    "contact": "hubspot.contacts",
    "account": "hubspot.companies",
    "deal": "hubspot.deals",
    "employee": "bamboohr.employees",
    "subscription": "stripe.subscriptions",
    "ticket": "zendesk.tickets",
    "product_usage": "amplitude.usage",
}
"""The source whose records the answers are keyed by; interactions belong to three sources alike."""
CHAINS: dict[str, dict[str, tuple[str, ...]]] = {
    "contact": {
        **dict.fromkeys(
            ("email", "first_name", "last_name", "full_name", "stage", "account", "owner", "country"),
            ("hubspot.contacts",),
        ),
        "phone": ("hubspot.contacts", "zendesk.users", "aircall.contacts"),
        "job_title": ("hubspot.contacts", "marketo.leads"),
        "language": ("hubspot.contacts", "mailchimp.members"),
        "tags": ("mailchimp.members", "zendesk.users"),
        "opted_in": ("mailchimp.members", "hubspot.contacts"),
    },
    "account": {
        **dict.fromkeys(("name", "domain", "website", "industry", "phone"), ("hubspot.companies",)),
        **dict.fromkeys(("segment", "territory", "account_manager", "key_account"), ("plan.accounts",)),
        **dict.fromkeys(("currency", "billing_email", "balance", "delinquent"), ("stripe.customers",)),
    },
}
"""Owner and fallbacks of each field; a field that is not listed has the only source of its entity, or is below."""
REFERS_TO: dict[tuple[str, str], str] = {
    ("contact", "account"): "hubspot.companies",
    ("contact", "owner"): "hubspot.owners",
    ("account", "account_manager"): "bamboohr.employees",
    ("deal", "account"): "hubspot.companies",
    ("deal", "owner"): "hubspot.owners",
    ("employee", "manager"): "bamboohr.employees",
    ("subscription", "account"): "stripe.customers",
    ("ticket", "requester"): "zendesk.users",
    ("ticket", "account"): "zendesk.organizations",
    ("product_usage", "account"): "hubspot.companies",
}
ADDRESS = ("street", "city", "subdivision", "postal_code", "country")
STALE_AFTER = timedelta(days=5 * 365)
LISTS = frozenset({"tags"})


@dataclass(frozen=True)
class EntityTruth:
    """One row per entity that has a live record in the source that keys the answer (`source`, `source_key`).

    `values`: `truth`, `source`, `source_key` and one text column per field in standard form as
    DuckDB casts it to text (`12.50`, `true`, `2026-03-01 10:11:12`), null where there is nothing; a
    ref is `<source>/<source_key>` of a record of the entity referred to.
    `owned`: `truth` and one boolean per field: the owner that the rules name has spoken (with a
    value or by clearing it), or a take-rule had something to take. Where it is false, `values` holds
    what fallbacks give.
    """

    values: pl.DataFrame
    owned: pl.DataFrame


@dataclass(frozen=True)
class Truth:
    """The answer of one day. `members`: one row per live record: entity, truth, source, source_key."""

    entities: dict[str, EntityTruth]
    members: pl.DataFrame


def visible(source: str, state: State, day: int, days: int) -> pl.DataFrame:
    """Live records of a source as everything delivered well up to `day` tells them."""
    stream = STREAMS[source]
    seen = max((d for d in range(1, day + 1) if _arrived(source, d, day, days)), default=0)
    rows = state(source, seen) if seen else state(source, 1).clear()
    if stream.mode == "changes":
        for missing in range(2, seen + 1):
            if not _arrived(source, missing, day, days):
                before = state(source, missing - 1)
                news = rows.filter(pl.col("touched") == missing)
                rows = pl.concat([rows.filter(pl.col("touched") != missing), before.join(news, on="key", how="semi")])
    unseen = [field for field, since in (stream.appears or {}).items() if seen < since]
    return rows.filter(~pl.col("gone")).with_columns(pl.lit(None, pl.String).alias(field) for field in unseen)


def _arrived(source: str, of: int, day: int, days: int) -> bool:
    return events.delivered_on(source, of, days) <= day and not events.refused(source, of)


def truth(company: Company, state: State, day: int) -> Truth:
    """The answer of `day`, from the states of all tools."""
    seen = {source: visible(source, state, day, company.days) for source in STREAMS}
    members = pl.concat(
        rows.select(
            entity=pl.lit(STREAMS[source].entity), truth=_about(source), source=pl.lit(source), source_key="key"
        )
        for source, rows in seen.items()
    )
    entities = {"contact": _contacts(seen), "account": _accounts(seen), "interaction": _interactions(seen)}
    for entity in ("deal", "subscription", "ticket", "product_usage", "employee"):
        owner = OWNER[entity]
        rows = _words(seen[owner])
        fields = [name for name in rows.columns if name not in _OURS]
        entities[entity] = _answer(
            entity, owner, rows, {name: _value(name) for name in fields}, {name: _spoke(name) for name in fields}
        )
    return Truth(entities, members.sort("entity", "truth", "source", "source_key"))


_OURS = frozenset({"key", "truth", "arrives", "touched", "changed", "gone", "steady", "crm"})


def _about(source: str) -> pl.Expr:
    """Interactions of three tools are numbered apart."""
    order = list(INTERACTIONS)
    return pl.col("truth") + (order.index(source) * 10**10 if source in order else 0)


def _side_by_side(seen: Mapping[str, pl.DataFrame], sources: tuple[str, ...]) -> pl.DataFrame:
    """The first source's words, beside them the others' as `<source>:<field>`."""
    first = _words(seen[sources[0]])
    for source in sources:
        said = _words(seen[source])
        named = said.select("truth", *(pl.col(n).alias(f"{source}:{n}") for n in said.columns if n != "truth"))
        first = first.join(named, on="truth", how="left", maintain_order="left")
    return first


def _chain(field: str, sources: tuple[str, ...]) -> pl.Expr:
    """The owner where it spoke, else the first fallback that has a value."""
    others = [_value(f"{source}:{field}") for source in sources[1:]]
    own = f"{sources[0]}:{field}"
    return pl.when(_spoke(own)).then(_value(own)).otherwise(pl.coalesce(*others) if others else None)


def _contacts(seen: Mapping[str, pl.DataFrame]) -> EntityTruth:
    crm, mail, desk, leads = "hubspot.contacts", "mailchimp.members", "zendesk.users", "marketo.leads"
    rows = _side_by_side(seen, (crm, mail, desk, leads, "aircall.contacts"))
    chains = CHAINS["contact"]
    values = {field: _chain(field, sources) for field, sources in chains.items()}
    owned = {field: _spoke(f"{sources[0]}:{field}") for field, sources in chains.items()}
    old = rows[f"{crm}:changed"] < midnight(1) - STALE_AFTER
    newer = _value(f"{leads}:job_title")
    has_newer = newer.is_not_null() & pl.lit(old) & _value(f"{crm}:job_title").is_not_null()
    values["job_title"] = pl.when(has_newer).then(newer).otherwise(values["job_title"])
    owned["job_title"] = owned["job_title"] & ~has_newer
    strict = pl.col(f"{crm}:country").is_in(["DE", "AT"])
    values["opted_in"] = pl.when(strict).then(_value(f"{crm}:opted_in")).otherwise(values["opted_in"])
    owned["opted_in"] = pl.when(strict).then(_spoke(f"{crm}:opted_in")).otherwise(owned["opted_in"])
    firsts = [_value(f"{source}:first_seen") for source in (crm, mail, desk, leads)]
    values["first_seen"] = pl.min_horizontal(firsts)
    owned["first_seen"] = values["first_seen"].is_not_null()
    return _answer("contact", crm, rows, values, owned)


def _accounts(seen: Mapping[str, pl.DataFrame]) -> EntityTruth:
    crm, billing, desk, plan = "hubspot.companies", "stripe.customers", "zendesk.organizations", "plan.accounts"
    rows = _side_by_side(seen, (crm, billing, desk, plan))
    chains = CHAINS["account"]
    values = {field: _chain(field, sources) for field, sources in chains.items()}
    owned = {field: _spoke(f"{sources[0]}:{field}") for field, sources in chains.items()}
    public = (_value(f"{plan}:segment") == "public").fill_null(False)
    told = pl.any_horizontal(_spoke(f"{billing}:{field}") for field in ADDRESS)
    for field in ADDRESS:
        billed = pl.when(told).then(_value(f"{billing}:{field}")).otherwise(_value(f"{crm}:{field}"))
        values[field] = pl.when(public).then(_value(f"{crm}:{field}")).otherwise(billed)
        owned[field] = public | told
    counts = [_value(f"{source}:headcount").cast(pl.Int64) for source in (crm, plan)]
    values["headcount"] = pl.max_horizontal(counts).cast(pl.String)
    values["customer_since"] = pl.min_horizontal(_value(f"{source}:customer_since") for source in (crm, billing))
    longer, own = _value(f"{desk}:description"), _value(f"{crm}:description")
    values["description"] = pl.when(longer.str.len_chars() > own.str.len_chars()).then(longer).otherwise(own)
    # A set has no order of its own: the array is sorted by its items as JSON, quotes included.
    names = pl.concat_list('"' + _value(f"{source}:name") + '"' for source in (crm, billing, desk))
    values["known_as"] = "[" + names.list.drop_nulls().list.unique().list.sort().list.join(",") + "]"
    values["billing_metadata"] = '{"hubspot_company_id":"' + pl.col(f"{billing}:crm") + '"}'
    owned["billing_metadata"] = values["billing_metadata"].is_not_null()
    owned |= {
        field: values[field].is_not_null() for field in ("headcount", "customer_since", "description", "known_as")
    }
    rows = rows.join(engagement(seen), on="truth", how="left", maintain_order="left")
    values |= {field: pl.col(field).cast(pl.String) for field in ("last_interaction_at", *COUNTED)}
    values |= {field: values[field].fill_null(zero) for field, zero in COUNTED.items()}
    owned |= {field: values[field].is_not_null() for field in ("last_interaction_at", *COUNTED)}
    return _answer("account", crm, rows, values, owned)


def _interactions(seen: Mapping[str, pl.DataFrame]) -> EntityTruth:
    fields = ("contact", "channel", "kind", "happened_at", "subject", "minutes")
    parts = []
    for source, people in INTERACTIONS.items():
        rows = seen[source]
        known = [
            _value(name).alias(name) if name in rows.columns else pl.lit(None, pl.String).alias(name) for name in fields
        ]
        part = rows.select(_about(source), pl.lit(source).alias("source"), pl.col("key").alias("source_key"), *known)
        parts.append(part.with_columns(contact=pl.concat_str(pl.lit(f"{people}/"), "contact")))
    values = pl.concat(parts)
    return EntityTruth(values, values.select("truth", *(pl.col(name).is_not_null() for name in fields)))


def _answer(
    entity: str, source: str, rows: pl.DataFrame, values: Mapping[str, pl.Expr], owned: Mapping[str, pl.Expr]
) -> EntityTruth:
    answer = rows.select(
        "truth",
        pl.lit(source).alias("source"),
        pl.col("key").alias("source_key"),
        *(_as_stored(entity, name, value).alias(name) for name, value in values.items()),
    )
    return EntityTruth(answer, rows.select("truth", *(value.alias(name) for name, value in owned.items())))


def _as_stored(entity: str, field: str, value: pl.Expr) -> pl.Expr:
    refers = REFERS_TO.get((entity, field))
    if refers:
        return pl.concat_str(pl.lit(f"{refers}/"), value)
    if field in LISTS:
        return pl.concat_str(pl.lit('["'), value, pl.lit('"]'))
    return value


def share_equal(expected: pl.DataFrame, found: pl.DataFrame, owned: pl.DataFrame, fields: list[str]) -> tuple[int, int]:
    """How many owned cells are equal, of how many; `found` has `truth` and the same fields, as text.

    A cell of a row that is missing in `found` counts as unequal.
    """
    said = found.select(
        "truth", pl.lit(True).alias("_found"), *(pl.col(f).cast(pl.String).alias(f"{f}:found") for f in fields)
    )
    spoken = owned.select("truth", *(pl.col(f).alias(f"{f}:owned") for f in fields))
    joined = expected.join(said, on="truth", how="left").join(spoken, on="truth", how="left")
    equal = [
        pl.col(f"{f}:owned") & pl.col("_found").is_not_null() & pl.col(f).eq_missing(pl.col(f"{f}:found"))
        for f in fields
    ]
    counts = joined.select(
        equal=reduce(lambda a, b: a + b, (e.sum() for e in equal)),
        all=reduce(lambda a, b: a + b, (pl.col(f"{f}:owned").sum() for f in fields)),
    )
    return int(counts["equal"].item()), int(counts["all"].item())
