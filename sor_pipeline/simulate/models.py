"""What a system makes of a correction: models of targets.

Belongs here: the models. Does not: how what they store is read again (`extracts`).
"""

from __future__ import annotations

from enum import StrEnum

import polars as pl

SHORT = 20
"""Characters that a target with short columns keeps."""


class Model(StrEnum):
    """`obedient` stores what it is sent; `slow` does so a round later; `stubborn` puts back in the next round what it
    had; `lower`, `truncate` and `zeros` store it in lower case, cut off, without zeros before it."""

    obedient = "obedient"
    slow = "slow"
    stubborn = "stubborn"
    lowers = "lower"
    truncate = "truncate"
    zeros = "zeros"


def stored(told: pl.DataFrame, before: pl.DataFrame, models: dict[str, Model]) -> pl.DataFrame:
    """What the targets store in a round: one row per cell (source, source_key, field, text).

    `told` are the corrections of this round, `before` those of the one before, both with system, observed, wanted;
    `models` says of systems what they are; others are obedient.
    """
    told, before = (_with_model(frame, models) for frame in (told, before))
    now = told.filter(pl.col("model") != Model.slow).with_columns(text=_made())
    late = before.filter(pl.col("model") == Model.slow).with_columns(text="wanted")
    back = before.filter(pl.col("model") == Model.stubborn).with_columns(text=pl.col("observed").fill_null(""))
    cell = ["source", "source_key", "field"]
    return pl.concat([frame.select(*cell, "text") for frame in (now, late, back)]).unique(cell, keep="first")


def _with_model(frame: pl.DataFrame, models: dict[str, Model]) -> pl.DataFrame:
    known = {system: str(model) for system, model in models.items()}
    model = pl.col("system").replace_strict(known, default=str(Model.obedient), return_dtype=pl.String)
    return frame.with_columns(model=model)


def _made() -> pl.Expr:
    wanted = pl.col("wanted")
    return (
        pl.when(pl.col("model") == Model.lowers)
        .then(wanted.str.to_lowercase())
        .when(pl.col("model") == Model.truncate)
        .then(wanted.str.slice(0, SHORT))
        .when(pl.col("model") == Model.zeros)
        .then(wanted.str.strip_chars_start("0"))
        .otherwise(wanted)
    )
