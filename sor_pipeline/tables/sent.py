"""What the tools must change.

Belongs here: schema `outbound`. Does not: files of the outbox (`correct`).
"""

from __future__ import annotations

from sor_pipeline.tables.columns import Drawing, count, key, key_count, text, time


class Sent(Drawing):
    """One table each for corrections, broken cells, how far each target was compared, and what of it waits."""

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
            count("reverts", "how often the target had undone the cell, up to and with this one; from 0 after a retry"),
            text("became", "the text that the target last made of this wanted one, where it stored another"),
            text("form", "comparable form of the wanted value; null for a reference and for a blank"),
            time("observed_at", "when the target's record had last changed otherwise than by our own writing"),
            time("observed_since", "the same of the claim"),
        )  # fmt: skip
        self.broken = table(
            "outbound", "broken", "One row per cell that a target undid too often: it is no longer written.",
            key("source", "the target's source"), key("source_key"), key("field"),
            count("reverts", "how often"), count("since", "publication"),
            text("history", "JSON array of its corrections, oldest first: publications, state, owner and rule; no values"),
            count("ended_in", "publication in which a person had it tried again; null while it is broken"),
        )  # fmt: skip
        self.correction_state = table(
            "outbound", "state", "One row per source that accepts corrections: up to which publication it was compared.",
            key("source"), count("corrected_to", "publication"),
        )  # fmt: skip
        self.correction_wait = table(
            "outbound", "wait", "One row per record that disagrees with a value on hold, or of which a cell was closed in the publication that it would be proposed in: compared again until it does not.",
            key("source", "the target"), key("source_key"),
        )  # fmt: skip
