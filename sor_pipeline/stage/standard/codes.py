"""Closed lists: booleans and choices.

Belongs here: the usual spellings of true and false. Lists that a mapping declares win over them.
"""

from __future__ import annotations

import polars as pl

from sor_pipeline.ownership.source import Mapping
from sor_pipeline.stage.standard.result import Standard, UnreadableError, over_distinct
from sor_pipeline.stage.standard.words import fold

_USUAL = dict.fromkeys(("true", "t", "yes", "y", "1"), True) | dict.fromkeys(("false", "f", "no", "n", "0"), False)


def booleans(raw: pl.Series, mapping: Mapping) -> Standard:
    known = _USUAL | {fold(t): True for t in mapping.true_texts} | {fold(t): False for t in mapping.false_texts}

    def read(text: str) -> bool:
        value = known.get(fold(text))
        if value is None:
            raise UnreadableError("not-a-boolean")
        return value

    return over_distinct(raw, read, pl.Boolean)


def choices(raw: pl.Series, codes: tuple[str, ...]) -> Standard:
    """A code as listed, or one that differs from exactly one listed code by case and space only."""
    by_form: dict[str, set[str]] = {}
    for code in codes:
        by_form.setdefault(fold(code), set()).add(code)

    def read(text: str) -> str:
        found = {text} & set(codes) or by_form.get(fold(text), set())
        if len(found) != 1:
            raise UnreadableError("unlisted-code")
        return next(iter(found))

    return over_distinct(raw, read, pl.String)
