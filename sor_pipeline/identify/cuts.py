"""Cutting the components that may not be whole, and the account of it.

Belongs here: walking through them one by one, what was refused, and which of it a person must look at.
Does not: the algorithm for one component (`constrained`), finding the broken ones (`clusters`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import sqlalchemy as sa

from sor_pipeline.identify.components import Numbers
from sor_pipeline.identify.constrained import Refusal, constrained
from sor_pipeline.identify.edges import SIMILAR, Edges, every
from sor_pipeline.identify.work import Work

_REFUSED = {
    "left": pa.int64(), "right": pa.int64(), "rule": pa.string(), "guard": pa.string(), "detail": pa.string(),
}  # fmt: skip
_STOPPED = {
    "left": pa.int64(), "right": pa.int64(), "kind": pa.string(), "rule": pa.string(), "weight": pa.float64(),
    "evidence": pa.string(),
}  # fmt: skip


NOT_UNIQUE = -1
"""Stands for the source of a node whose source may say the same thing twice."""


@dataclass(frozen=True)
class Cuts:
    """`refused`: one row per edge between two clusters (left, right, rule, guard, detail). `stopped`: one row per
    merge that the document's limits stopped (left, right, kind, rule, weight, evidence). left, right are nodes."""

    refused: pa.Table
    stopped: pa.Table


@dataclass(frozen=True)
class Limits:
    """What clusters may not hold: two nodes of one unique source (`names[source[node]]`; `source` is empty where no
    source is unique), two that were unlinked (`apart`: left, right, decision), more than `max_size` nodes."""

    names: tuple[str, ...]
    source: Numbers
    apart: tuple[Numbers, Numbers, Numbers]
    max_size: int

    def unique(self, nodes: Sequence[int]) -> dict[int, str]:
        """The source of each of the nodes whose source is unique."""
        if not self.names:
            return {}
        codes = self.source[nodes].tolist()
        return {node: self.names[code] for node, code in zip(nodes, codes, strict=True) if code != NOT_UNIQUE}


def no_cuts() -> Cuts:
    return Cuts(_table([], _REFUSED), _table([], _STOPPED))


def cut(work: Work, edges: Edges, label: Numbers, broken: Numbers, limits: Limits) -> Cuts:
    """Put the least nodes of their parts into `label` for all nodes of the broken components."""
    nodes = np.flatnonzero(np.isin(label, broken))
    nodes = nodes[np.argsort(label[nodes], kind="stable")]
    left, right, rule, weight = _sorted(_fetched(work, edges, nodes), label)
    of_node, of_edge = label[nodes], label[left]
    of_apart = np.where(label[limits.apart[0]] == label[limits.apart[1]], label[limits.apart[0]], -1)
    refused: list[tuple[Any, ...]] = []
    stopped: list[tuple[Any, ...]] = []
    for component in broken.tolist():
        mine = nodes[slice(*np.searchsorted(of_node, [component, component + 1]))].tolist()
        here = slice(*np.searchsorted(of_edge, [component, component + 1]))
        pairs = list(zip(left[here].tolist(), right[here].tolist(), strict=True))
        decided = zip(*(column[of_apart == component].tolist() for column in limits.apart), strict=True)
        parts, refusals = constrained(mine, pairs, decided, limits.unique(mine), limits.max_size)
        rules, weights = rule[here].tolist(), weight[here].tolist()
        refused += [(*pairs[one.edge], rules[one.edge], one.guard, one.detail) for one in refusals]
        stopped += [
            (
                *pairs[one.edge],
                kind,
                rules[one.edge],
                weights[one.edge] if rules[one.edge] == SIMILAR else None,
                evidence,
            )
            for one, kind, evidence in _for_people(pairs, refusals, parts, limits.max_size)
        ]
        label[list(parts)] = list(parts.values())
    return Cuts(_table(refused, _REFUSED), _table(stopped, _STOPPED))


def _fetched(work: Work, edges: Edges, nodes: npt.NDArray[Any]) -> pa.Table:
    named = work.run.engine.scan_arrow(work.connection, "identify_broken", pa.table({"node": nodes}))
    return work.run.engine.fetch(work.connection, every(work, edges, work.keep("cut", sa.select(named))))


def _sorted(rows: pa.Table, label: Numbers) -> tuple[Numbers, Numbers, npt.NDArray[Any], npt.NDArray[Any]]:
    """left, right, rule, weight: component by component, from the strongest edge to the weakest."""
    left, right, strength = (rows.column(n).to_numpy().astype(np.int64) for n in ("left", "right", "strength"))
    weight = rows.column("weight").to_numpy(zero_copy_only=False).astype(float)
    rule = rows.column("rule").to_numpy(zero_copy_only=False).astype(str)
    order = np.lexsort((rule, right, left, -np.nan_to_num(weight), strength, label[left]))
    return left[order], right[order], rule[order], weight[order]


def _for_people(
    pairs: Sequence[tuple[int, int]], refusals: Sequence[Refusal], parts: dict[int, int], max_size: int
) -> list[tuple[Refusal, str, str]]:
    """The refusals that become cases, with kind and evidence.

    Two records of a unique source: the strongest edge between two clusters stands for all between them. Too
    large: one case for the whole component, however many edges were refused.
    """
    cases = []
    seen: set[tuple[int, int]] = set()
    for one in refusals:
        left, right = pairs[one.edge]
        between = (min(parts[left], parts[right]), max(parts[left], parts[right]))
        if one.guard == "unique" and between not in seen:
            seen.add(between)
            cases.append((one, "not_unique", json.dumps({"unique": one.detail})))
    large = [one for one in refusals if one.guard == "max_size"]
    if large:
        facts = {"records": len(parts), "max_size": max_size, "refused": len(large)}
        cases.append((large[0], "too_large", json.dumps(facts)))
    return cases


def _table(rows: list[tuple[Any, ...]], columns: dict[str, pa.DataType]) -> pa.Table:
    values = list(zip(*rows, strict=True)) or [()] * len(columns)
    arrays = [pa.array(value, kind) for value, kind in zip(values, columns.values(), strict=True)]
    return pa.table(arrays, names=list(columns))
