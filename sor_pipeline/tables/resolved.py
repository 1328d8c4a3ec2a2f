"""Candidates with lineage, and what they were resolved with.

Belongs here: schema `canonical`. Does not: what is published of it (`published`).
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from sor_pipeline.tables.columns import Drawing, count, key, stored_type, text, time


class Resolved(Drawing):
    """`canonical` per entity, and the state of each."""

    def _of_resolve(self) -> None:
        table = self._table
        self.canonical_state = table(
            "canonical", "state", "One row per entity: what its canonical rows were resolved with.",
            key("entity"), text("fingerprint", "of the whole document"), time("resolved_at", "logical time of the last resolve"),
        )  # fmt: skip

    def _canonical(self, entity: str) -> sa.Table:
        """Grain: one live entity; key `entity_id`."""
        columns: list[sa.Column[Any]] = [key("entity_id"), count("_publication")]
        for name, field in self._fields(entity).items():
            columns.append(sa.Column(name, stored_type(field)))
            if field.kind.folds:
                columns.append(text(f"{name}__cmp"))
            columns += [text(f"{name}__{part}") for part in ("system", "source", "key", "rule")]
            columns.append(time(f"{name}__since"))
        return self._table("canonical", entity, f"One row per live {entity}: each cell with its lineage.", *columns)
