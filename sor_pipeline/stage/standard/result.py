"""What a reader gives back, and how a library that knows one text at a time is used on many.

Belongs here: `Standard`, reading over distinct texts. Does not: any type.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl


class UnreadableError(ValueError):
    """A text is not of the type; its message is the reason, a stable kebab-case name."""


@dataclass(frozen=True)
class Standard:
    """As long as the texts read: `value` (null where refused), `reason` (null where read).

    `compare` is the comparable form, given by the types that fold; else the value compares.
    """

    value: pl.Series
    reason: pl.Series
    compare: pl.Series | None = None


def accepted(texts: pl.Series, value: pl.Series, reason: str, compare: pl.Series | None = None) -> Standard:
    """A null value where a text stood means refused for `reason`."""
    refused = texts.is_not_null() & value.is_null()
    return Standard(value, reasons(refused, reason), compare)


def reasons(refused: pl.Series, reason: str) -> pl.Series:
    return pl.select(pl.when(refused).then(pl.lit(reason))).to_series()


def over_distinct(texts: pl.Series, read: Callable[[str], object], kind: type[pl.DataType] | pl.DataType) -> Standard:
    """Each distinct text is read once; `read` raises UnreadableError where it refuses."""
    distinct = texts.drop_nulls().unique()
    values: list[object] = []
    refusals: list[str | None] = []
    for text in distinct:
        try:
            values.append(read(text))
            refusals.append(None)
        except UnreadableError as error:
            values.append(None)
            refusals.append(str(error))
    found = pl.DataFrame(
        {
            "text": distinct,
            "value": pl.Series(values, dtype=kind, strict=True),
            "reason": pl.Series(refusals, dtype=pl.String),
        }
    )
    joined = texts.alias("text").to_frame().join(found, on="text", how="left", maintain_order="left")
    return Standard(joined["value"], joined["reason"])


def prefer(first: Standard, second: Standard) -> Standard:
    """`first` where it read a value, else what `second` says."""
    taken = first.value.is_not_null()
    frame = pl.select(
        value=pl.when(taken).then(first.value).otherwise(second.value),
        reason=pl.when(taken).then(None).otherwise(second.reason),
    )
    return Standard(frame["value"], frame["reason"])


def only_where(texts: pl.Series, mask: pl.Series) -> pl.Series:
    """The texts where the mask holds, null elsewhere."""
    return pl.select(pl.when(mask).then(texts)).to_series()
