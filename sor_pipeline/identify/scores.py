"""How good matching is, where somebody knows the truth.

Reads: a truth file, `identity.<entity>`, which records live in `staged`. Writes: nothing.

Belongs here: comparing clusters with a truth, in sets. Does not: showing the answer (`terminal`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow as pa
import sqlalchemy as sa

from sor_pipeline.engine.base import Rows, Union
from sor_pipeline.errors import Fault, SettingsError
from sor_pipeline.run import Run
from sor_pipeline.tables import Tables

_NAMES = {"source": ("source",), "key": ("source_key", "key"), "cluster": ("cluster", "entity", "truth", "entity_id")}


@dataclass(frozen=True)
class Scores:
    """Clusters against the truth, over the live records that the truth names.

    `records`: those; `unknown`: rows of the truth without a live record. Of pairs of records: `true` are one
    entity by the truth, `found` by the clusters, `right` by both. `clusters`: of the truth; `exact`: found
    with just its records; `over_merged`: clusters found that hold records of two true ones or more.
    """

    entity: str
    records: int
    unknown: int
    true: int
    found: int
    right: int
    clusters: int
    exact: int
    over_merged: int

    @property
    def precision(self) -> float:
        return self.right / self.found if self.found else 1.0

    @property
    def recall(self) -> float:
        return self.right / self.true if self.true else 1.0

    @property
    def f1(self) -> float:
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0


def read_truth(path: Path) -> pa.Table:
    """A CSV (with a header, comma-separated) or Parquet file: which records are the same.

    Returns one row per record (source, key, cluster as text). Columns `source`; `key` or `source_key`;
    `cluster`, `entity`, `truth` or `entity_id`. Raises SettingsError where a column or the file is missing.
    """
    if not path.is_file():
        raise SettingsError(
            Fault("truth-missing", str(path), "there is no such file", todo="name a CSV or Parquet file")
        )
    try:
        frame = pl.read_parquet(path) if path.suffix == ".parquet" else pl.read_csv(path, infer_schema=False)
    except pl.exceptions.PolarsError as error:
        raise SettingsError(
            Fault("truth-unreadable", str(path), "this is neither a CSV nor a Parquet file", str(error).splitlines()[0],
                  "columns source, key, cluster", "write one line per record")
        ) from error  # fmt: skip
    chosen = {ours: next((name for name in names if name in frame.columns), None) for ours, names in _NAMES.items()}
    missing = [ours for ours, theirs in chosen.items() if theirs is None]
    if missing:
        what, expected = "the truth lacks a column", "columns source, key, cluster"
        todo = f"add {', '.join(missing)}: which record (by source and key) belongs to which cluster"
        raise SettingsError(Fault("truth-columns", str(path), what, ", ".join(frame.columns)[:80], expected, todo))
    told = [pl.col(str(theirs)).cast(pl.String).alias(ours) for ours, theirs in chosen.items()]
    return frame.select(told).drop_nulls().to_arrow()


def measure(run: Run, connection: sa.Connection, entity: str, truth: pa.Table) -> Scores:
    """`truth`: as `read_truth` gives it; a record that it names twice counts where it stands last."""
    known = pl.from_arrow(truth)
    found = pl.from_arrow(run.engine.fetch(connection, _clusters(run.tables, entity)))
    assert isinstance(known, pl.DataFrame)
    assert isinstance(found, pl.DataFrame)
    known = known.unique(["source", "key"], keep="last", maintain_order=True)
    rows = known.join(found, on=["source", "key"], how="inner")
    both = rows.group_by("cluster", "entity_id").len("n")
    theirs, ours = rows.group_by("cluster").len("n"), rows.group_by("entity_id").len("n")
    exact = both.join(theirs, on=["cluster", "n"], how="semi").join(ours, on=["entity_id", "n"], how="semi").height
    mixed = both.group_by("entity_id").len("clusters").filter(pl.col("clusters") > 1).height
    return Scores(
        entity, rows.height, known.height - rows.height, _pairs(theirs), _pairs(ours), _pairs(both), theirs.height,
        exact, mixed,
    )  # fmt: skip


def _clusters(tables: Tables, entity: str) -> Rows | Union:
    """Grain: one live record (source, key, entity_id)."""
    known = tables.identity[entity]
    parts: list[Rows] = []
    for source in tables.ownership.sources_of(entity):
        staged = tables.staged[source]
        parts.append(
            sa.select(known.c.source, known.c.source_key.label("key"), known.c.entity_id)
            .select_from(known.join(staged, known.c.source_key == staged.c._key))
            .where(known.c.source == source, staged.c._deleted_at.is_(None))
        )
    return sa.union_all(*parts) if len(parts) > 1 else parts[0]


def _pairs(sizes: pl.DataFrame) -> int:
    """Pairs of records within groups of these sizes."""
    n = sizes["n"].cast(pl.Int64)
    return int((n * (n - 1) // 2).sum())
