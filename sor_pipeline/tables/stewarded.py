"""What people said, and what waits for them.

Belongs here: schema `steward`. All of it is kept for ever and hangs on source records, never on ids.
"""

from __future__ import annotations

import sqlalchemy as sa

from sor_pipeline.tables.columns import Drawing, count, key, key_count, text, time


class Stewarded(Drawing):
    """One table each for acceptances, decisions, overrides, cases and what happened to them."""

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
            key("case_id", "16 hex digits: digest of entity, kind and what it is about"), text("entity"),
            text("kind", "review, not_unique, too_large (made by identify), conflict, held, refused_extract, broken, refused_correction, blocked, expired_override or unsent"),
            text("field"), text("system"), text("source"), text("source_key"),
            text("left_source"), text("left_key"), text("right_source"), text("right_key"),
            text("rule", "of the edge that waits, the expectation that failed, the code of the refusal, the owner that is disagreed with"),
            sa.Column("weight", sa.Double), text("evidence", "JSON; never a value"),
            count("opened_in", "publication"), count("closed_in", "publication; null while open"),
            text("outcome", "linked, unlinked, gone, or a person's: done, accepted, retry; null while open"),
            count("gone_in", "publication in which what it is about was gone; null while that stands"),
            text("steward", "who has it; null: nobody yet"), time("due_at", "null: no deadline"),
            count("level", "place of the steward in the path of escalation, from 0"),
        )  # fmt: skip
        self.case_event = table(
            "steward", "case_event", "One row per thing that happened to a case; only ever added to, but for notices that could not be sent.",
            key("case_id"), key_count("number", "counts up from 1 per case"),
            time("at"), text("by", "a person, or sor"), text("kind", "open, reopen, assign, comment, escalate, notify or close"),
            text("to", "the steward who has it from here on, or was told"), text("words"),
            count("about", "notify: number of the event that was told"),
        )  # fmt: skip
        self.override = table(
            "steward", "override", "One row per word about one cell, in the order in which they were said; only ever added to.",
            key_count("number", "counts up from 1"), text("kind", "set or end"), count("ends", "end: the number of the one that is over"),
            text("entity"), text("field"), text("source", "of the record that it hangs on"), text("source_key"),
            text("value", "as text; a reference as <source>:<key>; null: the cell is cleared"),
            text("compare", "comparable form, where the type folds"), text("type", "how the value reads: it rests where the field is declared otherwise"),
            text("until", "date, owner_changes, owner_agrees or verified"), sa.Column("until_date", sa.Date, comment="the last day"),
            text("owner", "system that owned the cell when it was set"),
            text("owner_compare", "comparable form of the owner's word when it was set; empty: cleared, null: it had none"),
            text("by"), time("at"), text("reason"),
            text("outcome", "end: withdrawn, replaced, date, owner_changed, owner_agreed, verified or redundant"),
            count("_publication"),
        )  # fmt: skip
