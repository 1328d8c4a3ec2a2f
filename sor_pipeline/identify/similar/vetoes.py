"""What keeps two records apart whatever else agrees: relatives share almost everything.

Belongs here: contradictions between two people, and agreement that tells a person from nobody.
Does not: weights. A pair with a veto is at most a case for a person, never a link.
"""

from __future__ import annotations

import polars as pl

from sor_pipeline.identify.similar.features import GENERATION, SEX
from sor_pipeline.identify.similar.levels import Comparison

A_GENERATION = 13
"""Years: dates of birth this far apart are parent and child, not a mistyped digit."""
_COMMON, _COMMON_RECORDS = 0.0005, 10
"""A spelling that so many records have, by share and by number, is no typing error."""
_NAMES = frozenset({"given", "family", "person", "company"})
_TELLING = frozenset({"given", "person", "date", "email", "id", "company", "domain"})
"""Kinds of parts that members of a household, or two firms at one address, do not share."""


def carried(comparisons: tuple[Comparison, ...]) -> tuple[str, ...]:
    """Columns of features that vetoes need beside those that are compared."""
    known = [f"{one.name}__known" for one in comparisons if one.part.kind in ("given", "person")]
    return (GENERATION, SEX, *known)


def veto(comparisons: tuple[Comparison, ...], records: int) -> pl.Expr:
    """The reason why a scored pair (gamma columns, carried columns with `_l` and `_r`) must not link; null: none.

    `records`: that the model learned from. What only one record can have (a unique field) lifts every veto. A
    mailbox of their own lifts a mistyped date or name, but not another name: couples and twins share mailboxes.
    """
    proven = _agrees(comparisons, "id")
    reasons = [
        (_apart(GENERATION), "one is junior or senior, the other is not"),
        (_apart(SEX), "their titles differ in sex"),
    ]
    reachable = _same(comparisons, "email")
    reasons += [
        (_differs(one), f"{one.name} differs") for one in comparisons if _contradicts(one) and one.part.kind != "date"
    ]
    for one in comparisons:
        if one.part.kind == "date":
            reasons.append((_differs(one) & ~reachable, f"{one.name} differs"))
            reasons.append((_generation(one) & ~reachable, f"{one.name}: a generation apart"))
        if one.part.kind in ("given", "person"):
            reasons.append((_two_names(one, records) & ~reachable, f"{one.name}: two names of their own"))
    kinds = {one.part.kind for one in comparisons}
    if kinds - _NAMES - {"mark"}:
        reasons.append((~_agrees(comparisons, *(kinds - _NAMES - {"mark"}), hints=True), "nothing but the name agrees"))
    if kinds & {"given", "person"}:
        telling = kinds & _TELLING
        reasons.append((~_agrees(comparisons, *telling), "nothing tells them from relatives"))
    expression = pl.lit(None, pl.String)
    for holds, reason in reversed(reasons):
        expression = pl.when(holds.fill_null(value=False)).then(pl.lit(reason)).otherwise(expression)
    return pl.when(proven).then(pl.lit(None, pl.String)).otherwise(expression).alias("veto")


def _apart(column: str) -> pl.Expr:
    return pl.col(f"{column}_l") != pl.col(f"{column}_r")


def _position(one: Comparison) -> pl.Expr:
    """Of the level from the best; -1 where nothing was compared."""
    gamma = pl.col(f"gamma_{one.name}")
    return pl.when(gamma < 0).then(-1).otherwise(len(one.speaking) - 1 - gamma)


def _contradicts(one: Comparison) -> bool:
    return any(level.differs for level in one.levels)


def _differs(one: Comparison) -> pl.Expr:
    return _position(one).is_in([n for n, level in enumerate(one.speaking) if level.differs])


def _agrees(comparisons: tuple[Comparison, ...], *kinds: str, hints: bool = False) -> pl.Expr:
    agreeing = [
        _position(one).is_in([n for n, level in enumerate(one.speaking) if level.agrees or (hints and level.hints)])
        for one in comparisons
        if one.part.kind in kinds
    ]
    return pl.any_horizontal(*agreeing) if agreeing else pl.lit(value=False)


_SAME_MAILBOX = ("same", "one or two letters off")


def _same(comparisons: tuple[Comparison, ...], kind: str) -> pl.Expr:
    """The whole address is the same, or all but a letter or two."""
    same = [
        _position(one).is_in([n for n, level in enumerate(one.speaking) if level.label in _SAME_MAILBOX])
        for one in comparisons
        if one.part.kind == kind
    ]
    return pl.any_horizontal(*same) if same else pl.lit(value=False)


def _generation(one: Comparison) -> pl.Expr:
    years = [pl.col(f"{one.name}__year_{side}").cast(pl.Int32, strict=False) for side in "lr"]
    return (years[0] - years[1]).abs() >= A_GENERATION


def _two_names(one: Comparison, records: int) -> pl.Expr:
    """Both are names that people have, one or two letters apart: Alexander and Alexandra."""
    close = [n for n, level in enumerate(one.speaking) if level.label in ("one letter off", "alike")]
    common = max(_COMMON, _COMMON_RECORDS / max(records, 1))
    both = [
        pl.col(f"{one.name}__known_{side}") | (pl.col(f"tf_{one.name}__v_{side}") >= common).fill_null(value=False)
        for side in "lr"
    ]
    return both[0] & both[1] & _position(one).is_in(close)
