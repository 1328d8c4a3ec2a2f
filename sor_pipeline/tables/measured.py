"""What is published about the data: how good, how agreed, how fresh, whose.

Belongs here: the tables of schema `conformed` that are measures, not entities. Does not: filling them
(`publish.measures`; corrections: `observe`). None of them holds a value of a field, but for corrections.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from sor_pipeline.tables.columns import Drawing, count, key, key_count, text, time
from sor_pipeline.tables.landed import ACCOUNT

ROLES = {
    "owns": "its word is the canonical value",
    "exception": "owns it where a written condition holds",
    "fallback": "is asked where the owner never had a value",
    "taken_from": "one of those that a take-rule chooses from",
    "contributes": "a source of it maps the field",
    "corrected": "a source of it accepts corrections of the field",
    "reflected": "shows the value and is to follow it",
}
"""What a system can be to a field; columns of `conformed.ownership`."""
COUNTED = {
    "records": "live records of the source",
    "values": "of them with a value",
    "cleared": "had a value, now blank",
    "placeholders": "with a text that means nothing",
}
"""Columns of `conformed.claims`."""


class Measured(Drawing):
    """One table each for findings, claims, deliveries, ownership and corrections, as published."""

    def _of_measures(self) -> None:
        table = self._table
        self.published_finding = table(
            "conformed", "finding", "One row per publication and expectation: whether it held.",
            _publication(), _entity(), key("expectation", "stable name: <field>.<rule>, or the user's"),
            text("field", "column of its table; null where it is about the row or the table"),
            text("severity", "warn: reported; hold: the last good value stays; block: nothing is published"),
            sa.Column("passed", sa.Boolean, comment="whether it held"), count("checked", "rows looked at"), count("failed", "rows for which it did not hold"),
        )  # fmt: skip
        self.published_claims = table(
            "conformed", "claims", "One row per publication, field and source that maps it: how much the source has to say.",
            _publication(), _entity(), _field(), key("source", "<system>.<stream>"), text("system", "the source's"),
            *(count(name, words) for name, words in COUNTED.items()),
        )  # fmt: skip
        self.published_delivery = table(
            "conformed", "delivery", "One row per batch that was staged: what became of its rows.",
            key("source", "<system>.<stream>"), key("batch", "as_of and the start of the content's digest"), text("system", "the source's"),
            time("as_of", "logical time of the batch"), count("rows", "that could be read"), count("bad_rows", "that could not be read"),
            *(count(name, _OF_ACCOUNT[name]) for name in ACCOUNT), count("publication", "the first that knew it"),
        )  # fmt: skip
        self.published_ownership = table(
            "conformed", "ownership", "One row per field and system that has a part in it: the ownership document as a table.",
            _entity(), _field(), key("system", "of the document"),
            *(sa.Column(name, sa.Boolean, comment=words) for name, words in ROLES.items()),
        )  # fmt: skip
        self.published_correction = table(
            "conformed", "correction", "One row per correction: one column of one record that a system must change, or had to.",
            key("source", "the target's source"), key("source_key", "the target's record, by its own key"), key("field", "column of its entity's table"),
            key_count("proposed_in", "publication"), text("system", "the target"), text("column", "the target's own column"),
            text("entity", "kind of thing, e.g. contact"), text("entity_id", "the <entity>_id of its table"),
            text("observed", "the target's text when it was compared"), text("wanted", "the text it must change to"),
            text("owner", "system whose value it is"), text("rule", "that decided the value"),
            text("state", "proposed, delivered, confirmed, altered, refused, reverted or superseded"),
            count("closed_in", "publication in which it left the open states; null while open"),
        )  # fmt: skip


def _publication() -> sa.Column[Any]:
    return key_count("publication", "the one it was measured for")


def _entity() -> sa.Column[Any]:
    return key("entity", "kind of thing, e.g. contact")


def _field() -> sa.Column[Any]:
    return key("field", "column of its table")


_OF_ACCOUNT = {
    "read": "rows read: new, unchanged, superseded, duplicate and rejected together",
    "new": "rows that made a record say something else",
    "unchanged": "rows that repeated what the record said",
    "superseded": "rows of keys for which a later row speaks",
    "duplicate": "rows that said the same twice in the batch",
    "rejected": "rows that are no record",
    "deleted": "records that it deleted",
}
