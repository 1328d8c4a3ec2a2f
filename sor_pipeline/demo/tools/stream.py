"""A stream of one tool: its state, its own columns, its file.

Belongs here: the shape that all streams share. Does not: any one tool.

A *state* is a frame of one row per record that the stream will ever have: `key` (source key),
`truth` (number of the true thing), `arrives` and `touched` (days), `changed` (instant), `gone`,
`steady` (never edited by `days`), and canonical fields as text in standard form. Null means never
set, `""` cleared, a leading `?` a placeholder (the rest is what the tool shows).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import polars as pl

from sor_pipeline.demo.company import Company

Mode = Literal["snapshot", "changes", "events"]


@dataclass(frozen=True)
class Stream:
    """`begin` gives the state, `show` turns rows of it into the tool's own columns, all text, same order.

    `path` has `{date}`; `key` is the tool's key column; `stamp` its column of the last change;
    `typed` says which columns are not text where the format has types (`int`, `bool`, `float`, `json`);
    `appears` says on which day the export gains a field's column;
    `records` is the JSON path of the list; `delimiter` and `encoding` matter for CSV.
    """

    source: str
    entity: str
    path: str
    mode: Mode
    key: str
    begin: Callable[[Company], pl.DataFrame]
    show: Callable[[pl.DataFrame, int], pl.DataFrame]
    stamp: str | None = None
    typed: dict[str, str] | None = None
    records: str | None = None
    appears: dict[str, int] | None = None
    delimiter: str = ","
    encoding: str = "utf-8"


def state(
    rows: pl.DataFrame,
    key: pl.Expr,
    changed: pl.Expr | pl.Series,
    fields: dict[str, pl.Expr | pl.Series | None],
    *,
    steady: pl.Expr | None = None,
    extra: tuple[str, ...] = (),
) -> pl.DataFrame:
    """A state of one row per row of `rows` (which has `truth` and may have `arrives`); a field of None is never set."""
    arrives = pl.col("arrives") if "arrives" in rows.columns else pl.lit(1)
    return rows.select(
        key=key.cast(pl.String),
        truth="truth",
        arrives=arrives.cast(pl.Int64),
        touched=arrives.cast(pl.Int64),
        changed=changed,
        gone=pl.lit(False),
        steady=pl.lit(False) if steady is None else steady,
        **{name: pl.lit(None, pl.String) if value is None else value for name, value in fields.items()},
        **{name: pl.col(name) for name in extra},
    )


def twice(rows: pl.DataFrame, chosen: pl.Expr, offset: int, **differing: pl.Expr) -> pl.DataFrame:
    """Adds a second, older record of the same thing for the `chosen` rows; both become steady.

    Where the first record has no value the second has none either, so the first always speaks.
    """
    again = rows.filter(chosen).with_columns(
        key=(pl.col("key").cast(pl.Int64) + offset).cast(pl.String),
        changed=pl.col("changed") - pl.duration(days=200),
        **{n: pl.when(~pl.col(n).str.starts_with("?")).then(value).otherwise(n) for n, value in differing.items()},
    )
    doubled = again["truth"].implode()
    return pl.concat([rows, again]).with_columns(steady=pl.col("steady") | pl.col("truth").is_in(doubled))
