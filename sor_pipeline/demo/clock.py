"""The demo's calendar: which date an extract carries, and when the things in it happened.

Belongs here: days as dates and instants. Does not: what happens on them (`days`).
"""

from __future__ import annotations

import zlib
from datetime import date, datetime, timedelta

import numpy as np
import polars as pl

FIRST_DAY = date(2026, 3, 1)
_SECONDS = 80_000


def date_of(day: int) -> date:
    """Date in the names of the files of `day`, counted from 1."""
    return FIRST_DAY + timedelta(days=day - 1)


def midnight(day: int) -> datetime:
    """When the extracts of `day` are taken: all that they tell happened before."""
    return datetime.combine(date_of(day), datetime.min.time())


def dice(seed: int, purpose: str) -> np.random.Generator:
    """Randomness of one purpose, so that adding another one changes nothing here."""
    return np.random.default_rng([seed, zlib.crc32(purpose.encode())])


def during(day: int, generator: np.random.Generator, count: int) -> pl.Series:
    """`count` instants in the 24 hours that the extracts of `day` report on."""
    start = np.datetime64(midnight(day - 1), "us")
    return pl.Series(start + generator.integers(0, _SECONDS, count).astype("timedelta64[s]"))


def before(generator: np.random.Generator, count: int, oldest: int, newest: int) -> pl.Series:
    """`count` instants between `oldest` and `newest` days before the first extract."""
    start = np.datetime64(midnight(1), "us")
    return pl.Series(start - generator.integers(newest * 86_400, oldest * 86_400, count).astype("timedelta64[s]"))
