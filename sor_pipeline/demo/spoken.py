"""What a record of a tool's state says about a field: a value, a clearing, or nothing.

Belongs here: reading `tools.stream`'s marks. Does not: whose word counts (`truth`).
"""

from __future__ import annotations

import polars as pl


def words(rows: pl.DataFrame) -> pl.DataFrame:
    """One row per true thing: the newest record, then the smallest key; a thing's older records repeat its blanks."""
    ordered = rows.sort("changed", "key", descending=[True, False], nulls_last=True)
    return ordered.unique("truth", keep="first", maintain_order=True).sort("truth")


def spoke(column: str) -> pl.Expr:
    """A value or a clearing; neither blank nor placeholder."""
    return (pl.col(column).is_not_null() & ~pl.col(column).str.starts_with("?")).fill_null(False)


def value(column: str) -> pl.Expr:
    return pl.when(spoke(column) & (pl.col(column) != "")).then(pl.col(column))
