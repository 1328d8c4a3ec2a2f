"""What agreement is worth, learned from pairs that nobody has labelled, and from those that somebody has.

Belongs here: expectation maximisation over counted patterns of agreement, in arrays. Does not: pairs or records.

Every blocking rule gives pairs of which an unknown share is one entity. A comparison that a rule
presupposes always agrees among its pairs, so it learns nothing from them; the others do. What little data
would say is held by what `levels` expects (`m`, `u` there), worth `TRUST_M` matches and `TRUST_U` pairs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sor_pipeline.identify.similar.levels import Comparison

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
TRUST_M, TRUST_U = 20.0, 500.0
LEAST_M, LEAST_U = 0.002, 0.000002
MOST_SAME = 10.0
"""At most all but one in so many of the random pairs that agree are taken to be the same."""
SMALL = 1000
"""With fewer records than this, two of them are as rarely the same as if there were so many."""
_STEPS = 40


@dataclass(frozen=True)
class Patterns:
    """Distinct patterns of agreement among candidate pairs.

    `level`: per pattern and comparison the position of the level from the best (0), -1 where nothing was
    compared. `rule`: the blocking rule that found them (-1: none, a label). `label`: 1 and 0 where a person
    said so, else -1. `pairs`: how many; `whole`: how many of the pairs of all records they stand for, each
    pair counted at one rule only.
    """

    level: Ints
    rule: Ints
    label: Ints
    pairs: Floats
    whole: Floats


@dataclass(frozen=True)
class Learned:
    """Per comparison the probabilities of its levels; `prior`: that two random records are the same.

    `matches`: how many pairs of one entity there seem to be.
    """

    m: tuple[Floats, ...]
    u: tuple[Floats, ...]
    prior: float
    matches: float


def learned(
    comparisons: tuple[Comparison, ...],
    patterns: Patterns,
    presupposed: npt.NDArray[np.bool_],
    random: dict[str, list[float | None]],
    sampled: float,
    records: int,
) -> Learned:
    """`presupposed[rule, comparison]`; `random`: shares of levels among `sampled` random pairs."""
    expected_m = [np.array([level.m for level in one.speaking]) for one in comparisons]
    expected_u = [np.array([level.u for level in one.speaking]) for one in comparisons]
    seen = [np.array([share or 0.0 for share in random[one.name]]) for one in comparisons]
    m = [row / row.sum() for row in expected_m]
    pairs = max(records * (records - 1) / 2, SMALL * (SMALL - 1) / 2)
    prior, matches = 1.0 / max(records, SMALL), 0.0
    u = [_random(share, its, row, 0.0, sampled) for share, its, row in zip(seen, m, expected_u, strict=True)]
    free = ~presupposed[patterns.rule]
    free[patterns.rule < 0] = True
    m = _matching(patterns, free, m, u, expected_m)
    prior, matches = _prior(patterns, m, u, prior, pairs)
    same = matches / max(records * (records - 1) / 2, 1.0)
    u = [_random(share, its, row, same, sampled) for share, its, row in zip(seen, m, expected_u, strict=True)]
    m = _matching(patterns, free, m, u, expected_m)
    prior, matches = _prior(patterns, m, u, prior, pairs)
    return Learned(tuple(m), tuple(u), prior, matches)


def _random(share: Floats, m: Floats, expected: Floats, same: float, sampled: float) -> Floats:
    """Shares among records that are not the same: what was seen at random, less what the same records did to it."""
    same = min(same, 0.5)
    apart = np.maximum(share - same * m, share / MOST_SAME) / (1.0 - same)
    weighed = (apart * sampled + expected / expected.sum() * TRUST_U) / (sampled + TRUST_U)
    floored = np.maximum(weighed, LEAST_U)
    return np.asarray(floored / floored.sum())


def _weights(level: Ints, m: list[Floats], u: list[Floats]) -> Floats:
    """Natural log of m/u per pattern and comparison; 0 where nothing was compared."""
    columns = []
    for number, (its, random) in enumerate(zip(m, u, strict=True)):
        row = np.append(np.log(its / random), 0.0)
        columns.append(row[level[:, number]])
    return np.stack(columns, axis=1)


def _matching(patterns: Patterns, free: npt.NDArray[np.bool_], m: list[Floats], u: list[Floats],
              expected: list[Floats]) -> list[Floats]:  # fmt: skip
    rules = int(patterns.rule.max(initial=-1)) + 1
    share = np.full(rules + 1, 0.2)
    for _ in range(_STEPS):
        weight = (_weights(patterns.level, m, u) * free).sum(axis=1) + np.log(share / (1 - share))[patterns.rule]
        same = 1.0 / (1.0 + np.exp(-np.clip(weight, -500, 500)))
        same = np.where(patterns.label >= 0, patterns.label, same)
        count = same * patterns.pairs
        found = np.bincount(patterns.rule % (rules + 1), count, rules + 1)
        among = np.bincount(patterns.rule % (rules + 1), patterns.pairs, rules + 1)
        share = np.clip((found + 1.0) / (among + 5.0), 0.001, 0.999)
        m = [_level_shares(patterns.level[:, n], count * free[:, n], row) for n, row in enumerate(expected)]
    return m


def _level_shares(level: Ints, count: Floats, expected: Floats) -> Floats:
    compared = level >= 0
    found = np.bincount(level[compared], count[compared], expected.size)
    weighed = (found + expected / expected.sum() * TRUST_M) / (found.sum() + TRUST_M)
    floored = np.maximum(weighed, LEAST_M)
    return np.asarray(floored / floored.sum())


def _prior(patterns: Patterns, m: list[Floats], u: list[Floats], prior: float, pairs: float) -> tuple[float, float]:
    """The share of all pairs that the candidates explain, to a fixed point."""
    weight = _weights(patterns.level, m, u).sum(axis=1)
    matches = 0.0
    for _ in range(_STEPS):
        odds = np.log(prior / (1 - prior))
        same = 1.0 / (1.0 + np.exp(-np.clip(weight + odds, -500, 500)))
        same = np.where(patterns.label >= 0, patterns.label, same)
        matches = float((same * patterns.whole).sum())
        prior = float(np.clip((matches + 0.5) / (pairs + 1.0), 1e-9, 0.01))
    return prior, matches
