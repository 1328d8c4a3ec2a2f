"""What ran and what was found.

Belongs here: schema `audit`, but for the account of rows (`landed`). Does not: what a person says to it (`stewarded`).
"""

from __future__ import annotations

import sqlalchemy as sa

from sor_pipeline.tables.columns import Drawing, count, key, key_count, text, time


class Audited(Drawing):
    """One table each for findings, held cells, looked-at entities and runs."""

    def _of_audit(self) -> None:
        table = self._table
        self.finding = table(
            "audit", "finding", "One row per expectation of the last check of each entity.",
            key("entity"), key("expectation", "stable name: <field>.<rule>, or the user's"), text("field"), text("severity"),
            sa.Column("passed", sa.Boolean, comment="whether it held"), count("checked"), count("failed"),
            text("message"), text("sample", "JSON array of failing entity ids, at most 20"),
            text("rows_query", "SQL that returns all failing rows"), text("declared", "digest of the expectation as declared"),
            count("_publication"),
        )  # fmt: skip
        self.held = table(
            "audit", "held", "One row per cell (or row: field empty) that keeps its last good published value.",
            key("entity"), key("entity_id"), key("field"), key("expectation"), count("_publication"),
        )  # fmt: skip
        self.judged = table(
            "audit", "judged", "One row per expectation whose failing rows one query gives, whatever the rows hold.",
            key("entity"), key("expectation"), text("declared", "digest of the expectation, its column's type and who judged it"),
            text("failing", "SQL of Great Expectations: entity_id of the failing rows"),
        )  # fmt: skip
        self.touched = table(
            "audit", "touched", "One row per entity that one of the last publications looked at: what the published file may lack.",
            key_count("publication"), key("entity"), key("entity_id"),
        )  # fmt: skip
        self.document = table(
            "audit", "document", "One row: the ownership document of the last run here.", key("title", "as it says; may be empty"),
        )  # fmt: skip
        self.version = table(
            "audit", "version", "One row per version that the state was made in or brought to; the largest is what it is of.",
            key_count("version", "goes up by 1 when rows of an older release must be rewritten"), time("at"),
            text("release", "of this package that wrote the row"),
        )  # fmt: skip
        self.lease = table(
            "audit", "lease", "One row: the run that last took the warehouse for itself; on a server only.",
            key("lease"), count("token", "counts up with every holder; only the newest may write"),
            text("who"), time("since", "UTC, by the server's clock"),
        )  # fmt: skip
        self.run = table(
            "audit", "run", "One row per run.",
            key_count("run"), time("started_at"), time("ended_at"), text("state", "running, published, unchanged, blocked or failed"),
            count("publication", "the one it made, if any"), text("counts", "JSON, per step"), text("message"),
        )  # fmt: skip
