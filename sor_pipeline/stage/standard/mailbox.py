"""E-mail addresses: one mailbox, NFC, lower case.

Belongs here: a plain test of shape (one @, a domain with a dot, no spaces or list punctuation).
Does not: whether anybody reads it.
"""

from __future__ import annotations

import polars as pl

from sor_pipeline.stage.standard.result import Standard, accepted, only_where
from sor_pipeline.stage.standard.words import composed

_LONGEST = 254
_SHAPE = r'^[^\s@"(),:;<>\[\]\\]{1,64}@[^\s@"(),:;<>\[\]\\.][^\s@"(),:;<>\[\]\\]*\.[^\s@"(),:;<>\[\]\\.]{2,}$'
_DOTS = r"\.\.|^\.|\.@|-\.|@-"


def emails(raw: pl.Series) -> Standard:
    lower = composed(raw.str.to_lowercase())
    good = lower.str.contains(_SHAPE) & ~lower.str.contains(_DOTS) & (lower.str.len_chars() <= _LONGEST)
    return accepted(raw, only_where(lower, good), "not-an-email")
