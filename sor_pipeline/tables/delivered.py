"""What was sent to the tools, and whether anything may be sent.

Belongs here: attempts, permits (schema `outbound`), the ledger of the kill switch (schema `steward`).
Does not: corrections themselves (`sent`).
"""

from __future__ import annotations

import sqlalchemy as sa

from sor_pipeline.tables.columns import Drawing, key, key_count, text, time


class Delivered(Drawing):
    """One table each for attempts, what a person permitted although it is over the caps, and the switch."""

    def _of_sending(self) -> None:
        table = self._table
        self.attempt = table(
            "outbound", "attempt", "One row per attempt to send a correction; nothing is taken away.",
            key("source", "the target's source"), key("source_key"), key("field"),
            key_count("proposed_in", "of the correction"), key_count("attempt", "counts up from 1"),
            text("system"), time("at", "logical time of the run that sent it"),
            text("idempotency_key", "32 hex digits: digest of record, fields, publication and wanted texts"),
            text("outcome", "accepted, refused, failed, superseded; unknown: sent, and the answer never came"),
            text("status", "HTTP code or the tool's own"), text("message", "scrubbed: holds no values"),
        )  # fmt: skip
        self.permit = table(
            "outbound", "permit", "One row per correction of a plan over the caps that a person accepted by name.",
            key("source"), key("source_key"), key("field"), key_count("proposed_in"),
            text("system"), text("plan", "its name, as accepted"),
        )  # fmt: skip
        self.switch = table(
            "steward", "switch", "One row per turn of a system's kill switch; the newest rules.",
            key_count("number", "counts up from 1"), text("system"),
            sa.Column("on", sa.Boolean, comment="false: nothing is sent, whatever the document says"),
            text("by"), time("at"), text("reason"),
        )  # fmt: skip
