"""Dates and instants.

Belongs here: ISO texts, declared formats, epochs, zones. Instants are kept in UTC without zone, to
the microsecond (further digits are cut). A text without zone is in the zone of its mapping: an hour
that a change of clocks repeats is read as the first one, an hour that it skips as if the clock had
not been put forward. A text without time is midnight. Years 1 to 9999.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import polars as pl

from sor_pipeline.stage.standard.result import Standard, UnreadableError, accepted, only_where, over_distinct

_TIME = r"(?:[T ](?P<clock>[0-2][0-9]:[0-5][0-9])(?P<second>:[0-5][0-9])?(?:[.,](?P<fraction>[0-9]{1,9}))?"
_ZONE = r" ?(?P<zone>Z|z|UTC|GMT)?(?P<sign>[+-])?(?P<hours>[01][0-9])?:?(?P<minutes>[0-5][0-9])?)?"
_ISO = rf"^(?P<day>[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}){_TIME}{_ZONE}$"
_WHOLE_ZONE = r"(?:Z|z|UTC|GMT|[+-][01][0-9](?::?[0-5][0-9])?)$"
_PLAIN = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]{1,9})?)?)?$"
_EPOCH = re.compile(r"^-?[0-9]{1,17}(?:\.[0-9]{1,9})?$")
_EPOCHS = {"epoch_s": 1, "epoch_ms": 1000}
_START = datetime(1970, 1, 1, tzinfo=UTC)
_STAMP = pl.Datetime("us")


def timestamps(raw: pl.Series, pattern: str | None = None, zone: str = "UTC") -> Standard:
    if pattern is not None:
        read = _formatted(pattern, zone)
        return over_distinct(raw, lambda text: _in_utc(read(text)), _STAMP)
    parts = _parts(raw)
    zoned = pl.col("zone").is_not_null() | pl.col("sign").is_not_null()
    local = parts.select(pl.when(~zoned).then(pl.col("at"))).to_series()
    exact = parts.select(pl.when(zoned).then(pl.col("at") - pl.duration(minutes=pl.col("offset")))).to_series()
    at = pl.select(pl.coalesce(pl.lit(exact), pl.lit(_from_zone(local, zone)))).to_series()
    return accepted(raw, only_where(at, at.dt.year().is_between(1, 9999)), "not-a-time")


def dates(raw: pl.Series, pattern: str | None = None, zone: str = "UTC") -> Standard:
    """The day as written; where an instant is written, the day that its text names."""
    if pattern is not None:
        read = _formatted(pattern, zone)
        return over_distinct(raw, lambda text: read(text).date(), pl.Date)
    return accepted(raw, _parts(raw).select(pl.col("at").dt.date()).to_series(), "not-a-date")


def _parts(raw: pl.Series) -> pl.DataFrame:
    """Per text: `at` (as written, null where not ISO), `zone`, `sign`, `offset` (minutes)."""
    shape = raw.str.contains(_PLAIN) | raw.str.contains(_WHOLE_ZONE)
    parts = only_where(raw, shape).str.extract_groups(_ISO).struct.unnest()
    second = pl.col("second").fill_null(":00")
    stamp = pl.concat_str([pl.col("day"), pl.lit(" "), pl.col("clock").fill_null("00:00"), second])
    whole = stamp.str.to_datetime("%Y-%m-%d %H:%M:%S", strict=False, time_unit="us")
    micros = pl.col("fraction").fill_null("0").str.pad_end(9, "0").str.head(6).cast(pl.Int64)
    minutes = pl.col("hours").cast(pl.Int64) * 60 + pl.col("minutes").fill_null("0").cast(pl.Int64)
    possible = (pl.col("day") >= "0001") & ~(pl.col("fraction").is_not_null() & pl.col("second").is_null())
    return parts.select(
        pl.when(possible).then(whole + pl.duration(microseconds=micros)).alias("at"),
        "zone",
        "sign",
        pl.when(pl.col("sign") == "-").then(-minutes).otherwise(minutes).fill_null(0).alias("offset"),
    )


def _from_zone(local: pl.Series, zone: str) -> pl.Series:
    if zone == "UTC" or local.null_count() == len(local):
        return local
    utc = (
        local.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
        .dt.convert_time_zone("UTC")
        .dt.replace_time_zone(None)
    )
    skipped = local.filter(utc.is_null() & local.is_not_null()).unique()
    if skipped.is_empty():
        return utc
    read = pl.Series(
        [at.replace(tzinfo=ZoneInfo(zone)).astimezone(UTC).replace(tzinfo=None) for at in skipped], dtype=_STAMP
    )
    lookup = pl.DataFrame({"local": skipped, "read": read})
    joined = pl.DataFrame({"local": local, "utc": utc}).join(lookup, on="local", how="left", maintain_order="left")
    return joined.select(pl.coalesce("utc", "read")).to_series()


def _formatted(pattern: str, zone: str) -> Callable[[str], datetime]:
    """A reader of one text to an instant with zone."""
    home = ZoneInfo(zone)

    def epoch(text: str) -> datetime:
        if not _EPOCH.match(text):
            raise UnreadableError("not-a-time")
        micros = int(Decimal(text) * 1_000_000 / _EPOCHS[pattern])
        try:
            return (_START + timedelta(microseconds=micros)).astimezone(home)
        except OverflowError:
            raise UnreadableError("time-out-of-range") from None

    def written(text: str) -> datetime:
        try:
            at = datetime.strptime(text, pattern)
        except ValueError:
            raise UnreadableError("not-in-declared-format") from None
        return at if at.tzinfo else at.replace(tzinfo=home)

    return epoch if pattern in _EPOCHS else written


def _in_utc(at: datetime) -> datetime:
    try:
        return at.astimezone(UTC).replace(tzinfo=None)
    except OverflowError:
        raise UnreadableError("time-out-of-range") from None
