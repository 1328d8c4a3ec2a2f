"""What the tools must change.

Belongs here: schema `outbound`. Does not: files of the outbox (`correct`).
"""

from __future__ import annotations

from sor_pipeline.tables.columns import Drawing, count, key, key_count, text


class Sent(Drawing):
    """One table each for corrections, how far each target was compared, and what of it waits for a release."""

    def _of_corrections(self) -> None:
        table = self._table
        self.correction = table(
            "outbound", "correction", "One row per correction: one column of one record of a target system.",
            key("source", "the target's source"), key("source_key"), key("field"), key_count("proposed_in", "publication"),
            text("system"), text("column", "the target's own column"), text("entity"), text("entity_id"),
            text("observed", "the target's text when it was compared"), text("wanted", "the text it must change to"),
            text("owner", "system whose value it is"), text("rule"),
            text("state", "proposed, delivered, confirmed, altered, refused, reverted or superseded"),
            count("closed_in", "publication in which it left the open states"),
        )  # fmt: skip
        self.correction_state = table(
            "outbound", "state", "One row per source that accepts corrections: up to which publication it was compared.",
            key("source"), count("corrected_to", "publication"),
        )  # fmt: skip
        self.correction_wait = table(
            "outbound", "wait", "One row per record that disagreed with a value on hold: compared again until it does not.",
            key("source", "the target"), key("source_key"),
        )  # fmt: skip
