"""How tools spell things: telephone numbers, instants, booleans, blanks.

Belongs here: standard form to a tool's spelling, as Polars expressions. Does not: which tool spells how.
"""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from sor_pipeline.demo import names


def plain(field: str) -> pl.Expr:
    """The text as it is; a cleared cell is empty, a placeholder loses its mark."""
    return pl.col(field).str.strip_prefix("?").fill_null("").alias(field)


def national(field: str) -> pl.Expr:
    """`+12125550123` as `(212) 555-0123`; other countries' numbers keep their prefix."""
    return plain(field).str.replace(r"^\+1(\d{3})(\d{3})(\d{4})$", "(${1}) ${2}-${3}")


def spaced(field: str) -> pl.Expr:
    """`+12125550123` as `+1 212-555-0123`; other countries' numbers as they are."""
    return plain(field).str.replace(r"^\+1(\d{3})(\d{3})(\d{4})$", "+1 ${1}-${2}-${3}")


def shouted(field: str) -> pl.Expr:
    """Every fifth row in capitals: nobody means anything by it."""
    return pl.when(pl.col("truth") % 5 == 1).then(plain(field).str.to_uppercase()).otherwise(plain(field))


def coded(field: str, codes: Mapping[str, str]) -> pl.Expr:
    """Our code as the tool's code; what is no code of ours is shown as it is."""
    return plain(field).replace(dict(codes))


def land(field: str) -> pl.Expr:
    """Every third row says `Germany`, the others `DE`."""
    return pl.when(pl.col("truth") % 3 == 0).then(coded(field, names.COUNTRY_NAMES)).otherwise(plain(field))


def at(field: str, form: str = "%Y-%m-%dT%H:%M:%SZ") -> pl.Expr:
    """An instant (or text of one in standard form) in the tool's form; blank where there is none."""
    return pl.col(field).cast(pl.Datetime("us")).dt.strftime(form).fill_null("")


def said(field: str, form: str = "%Y-%m-%dT%H:%M:%SZ") -> pl.Expr:
    """As `at`, of a field in standard form (`2026-03-01 10:11:12`)."""
    return pl.col(field).str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us").dt.strftime(form).fill_null("")


def epoch(field: str) -> pl.Expr:
    """An instant in standard form as seconds since 1970."""
    moment = pl.col(field).str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us")
    return moment.dt.epoch("s").cast(pl.String).fill_null("")


def instant(column: str) -> pl.Expr:
    """An instant column in standard form: UTC, to the second."""
    return pl.col(column).dt.strftime("%Y-%m-%d %H:%M:%S")


def truth_text(column: str) -> pl.Expr:
    """A boolean column in standard form."""
    return pl.when(column).then(pl.lit("true")).otherwise(pl.lit("false"))


def hundredths(column: str) -> pl.Expr:
    """Whole cents as a decimal of two digits in standard form."""
    cents = pl.col(column)
    return pl.concat_str((cents // 100).cast(pl.String), pl.lit("."), (cents % 100).cast(pl.String).str.zfill(2))


def key_of(column: str, base: int, step: int) -> pl.Expr:
    """A tool's own number for a true thing."""
    return (pl.col(column) * step + base).cast(pl.String)
