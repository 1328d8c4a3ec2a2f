"""Text and names: how they are written and how they compare.

Belongs here: Unicode forms. Values are NFC; comparable forms are NFKC, case-folded, with single
spaces, and for names without accents.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

import polars as pl

from sor_pipeline.stage.blanks import BLANKS
from sor_pipeline.stage.standard.result import Standard, accepted, only_where

_SPACES = re.compile(f"[{BLANKS}]+")


def texts(raw: pl.Series) -> Standard:
    value = composed(raw)
    return accepted(raw, value, "not-text", compare=folded(value))


def names(raw: pl.Series) -> Standard:
    value = single_spaced(composed(raw))
    return accepted(raw, value, "not-text", compare=folded(value, accents=False))


def composed(raw: pl.Series) -> pl.Series:
    """NFC."""
    return raw if is_ascii(raw).all() else raw.str.normalize("NFC")


def single_spaced(raw: pl.Series) -> pl.Series:
    return raw.str.replace_all(f"[{BLANKS}]+", " ")


def folded(raw: pl.Series, *, accents: bool = True) -> pl.Series:
    """The comparable form of each text: as `fold` makes it, for whole columns."""
    plain = is_ascii(raw)
    ascii_form = single_spaced(raw.str.to_lowercase())
    if plain.all():
        return ascii_form
    other = only_where(raw, ~plain)
    form = other.str.normalize("NFKC").str.to_lowercase()
    form = (
        form.to_frame("form")
        .select(pl.col("form").str.replace_many(_beyond_lower_case()))
        .to_series()
        .str.normalize("NFKC")
    )
    if not accents:
        bare = form.str.normalize("NFD").str.replace_all(r"\p{Mn}", "").str.normalize("NFC")
        form = pl.select(pl.when(bare == "").then(form).otherwise(bare)).to_series()
    form = single_spaced(form).str.strip_chars(BLANKS)
    return pl.select(pl.when(plain).then(ascii_form).when(form == "").then(other).otherwise(form)).to_series()


def is_ascii(raw: pl.Series) -> pl.Series:
    return raw.str.len_bytes() == raw.str.len_chars()


@cache
def _beyond_lower_case() -> dict[str, str]:
    """Lower-case letters that Unicode folds further, such as ß and ς."""
    letters = (chr(code) for code in range(0x80, 0x1F000) if not 0xD800 <= code < 0xE000)
    return {letter: letter.casefold() for letter in letters if letter.lower() == letter != letter.casefold()}


def fold(text: str, *, accents: bool = True) -> str:
    """One text's comparable form."""
    form = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    if not accents:
        bare = "".join(c for c in unicodedata.normalize("NFD", form) if unicodedata.category(c) != "Mn")
        form = unicodedata.normalize("NFC", bare) or form
    return _SPACES.sub(" ", form).strip(BLANKS) or text
