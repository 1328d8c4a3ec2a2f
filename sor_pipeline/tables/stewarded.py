"""What people said, and what waits for them.

Belongs here: schema `steward`. All of it is kept for ever and hangs on source records, never on ids.
"""

from __future__ import annotations

import sqlalchemy as sa

from sor_pipeline.tables.columns import Drawing, count, key, key_count, text, time


class Stewarded(Drawing):
    """One table each for acceptances, decisions and cases."""

    def _of_stewards(self) -> None:
        table = self._table
        self.acceptance = table(
            "steward", "acceptance", "One row per thing a person accepted by name.",
            key("subject", "e.g. shrink:hubspot.contacts:<batch>"), text("by"), text("reason"), time("at"),
        )  # fmt: skip
        self.decision = table(
            "steward", "decision", "One row per decision, in the order in which they were taken; only ever added to.",
            key_count("decision", "counts up from 1"), text("entity"), text("kind", "link, unlink or withdraw"),
            text("left_source"), text("left_key"), text("right_source"), text("right_key"),
            count("withdraws", "the decision that no longer holds from here on"),
            text("by"), time("at"), text("reason"), text("evidence", "JSON: what was seen when it was taken"),
            sa.Column("weight", sa.Double, comment="of the pair when it was taken; null where similarity said nothing"),
            count("_publication"),
        )  # fmt: skip
        self.case = table(
            "steward", "case", "One row per thing that a person must look at.",
            key("case_id", "16 hex digits: digest of entity, kind and records"), text("entity"),
            text("kind", "review, not_unique or too_large"),
            text("left_source"), text("left_key"), text("right_source"), text("right_key"),
            text("rule", "of the edge that waits"), sa.Column("weight", sa.Double), text("evidence", "JSON"),
            count("opened_in", "publication"), count("closed_in", "publication; null while open"),
            text("outcome", "linked, unlinked or gone; null while open"),
        )  # fmt: skip
