"""Which records are the same thing.

Belongs here: schema `identity`. Does not: what people decided about it (`stewarded`).

A pair of records is written once, the smaller (source, source_key) on the left.
"""

from __future__ import annotations

import sqlalchemy as sa

from sor_pipeline.tables.columns import Drawing, count, key, key_count, text, time


class Identified(Drawing):
    """`identity`, `token`, `block`, `pair`, `refused` per entity; one table each for ids, moves, models, affected entities."""

    def _of_identity(self) -> None:
        """Ids, what happened to them, and what similarity was learned."""
        table = self._table
        self.id = table(
            "identity", "id", "One row per entity id ever given; never rebuilt.",
            key("entity"), key("entity_id"), count("born", "publication of birth"),
            count("retired", "publication in which no live record was left, or it was merged away"),
            text("merged_into", "the id that took over, where there is one"),
        )  # fmt: skip
        self.move = table(
            "identity", "move", "One row per publication and record that went from one entity to another; never rebuilt.",
            key_count("publication"), key("entity"), key("source"), key("source_key"),
            text("from_id"), text("to_id"),
            text("cause", "what made or undid the link: a matching rule's name, similar, decision <number>, claim, deletion or rule"),
        )  # fmt: skip
        self.model = table(
            "identity", "model", "One row per similarity model ever trained; the newest of an entity is in force.",
            key("entity"), key("fingerprint", "of what it was trained for and what it learned"),
            time("trained_at"), count("records", "that it learned from"), text("settings", "JSON, as Splink reads it"),
        )  # fmt: skip
        self.frequency = table(
            "identity", "frequency", "One row per model, field and comparable value: how common it was in training.",
            key("fingerprint"), key("field"), key("value", long=True), sa.Column("share", sa.Double, comment="of the records that have one"),
        )  # fmt: skip
        self.identity_state = table(
            "identity", "state", "One row per entity: what its clusters were made with.",
            key("entity"), text("fingerprint", "of the whole document"), text("model", "fingerprint of the similarity model; null without one"),
        )  # fmt: skip
        self.affected = table(
            "identity", "affected", "One row per entity to be resolved again before the next publication.",
            key("entity"), key("entity_id"), text("cause", "claim, identity, reference, staleness, rule or release"),
        )  # fmt: skip

    def _identity(self, entity: str) -> sa.Table:
        return self._table(
            "identity", entity, f"One row per record of {entity}, live or deleted: which {entity} it is.",
            key("source"), key("source_key"), text("entity_id"), count("_publication"),
        )  # fmt: skip

    def _token(self, entity: str) -> sa.Table:
        return self._table(
            "identity", f"{entity}__token", "One row per live record and thing it has in common with others: an edge to a shared node.",
            key("source"), key("source_key"), key("rule", "same:<fields> or linked:<source.column>"), key("token", long=True),
            text("distrust", "why the value means nothing wherever it stands; null where it may link"),
        )  # fmt: skip

    def _distrusted(self, entity: str) -> sa.Table:
        return self._table(
            "identity", f"{entity}__distrusted", "One row per token that two or more records hold and that links nobody.",
            key("rule"), key("token", long=True),
            text("reason", "role-mailbox, mail-provider, placeholder, digest-of-nothing, masked, trivial-number, max_records or strangers"),
            count("records", "that hold it"),
        )  # fmt: skip

    def _block(self, entity: str) -> sa.Table:
        return self._table(
            "identity", f"{entity}__block", "One row per live record and thing for which similarity compares it with others: never an edge.",
            key("source"), key("source_key"), key("rule", "number of the blocking rule, in the rule's order"), key("token", long=True),
        )  # fmt: skip

    def _pair(self, entity: str) -> sa.Table:
        return self._table(
            "identity", f"{entity}__pair", "One row per two live records that similarity finds worth a look.",
            *_two_records(), sa.Column("weight", sa.Double, comment="log2 of the Bayes factor"),
            sa.Column("probability", sa.Double, comment="0 to 1"), text("levels", "JSON: comparison level by comparison"),
            text("verdict", "accept or review"), text("veto", "why it is at most for review although its weight says accept"),
            count("_publication"),
        )  # fmt: skip

    def _refused(self, entity: str) -> sa.Table:
        return self._table(
            "identity", f"{entity}__refused", "One row per edge that a guard or a decision kept from joining two clusters.",
            *_two_records(), key("rule", "of the edge: same:<fields>, linked:<source.column>, similar or decision <number>"),
            text("guard", "unlink, unique or max_size"), text("detail", "which decision, which source, which size"),
            count("_publication"),
        )  # fmt: skip


def _two_records() -> tuple[sa.Column[str], ...]:
    return key("left_source"), key("left_key"), key("right_source"), key("right_key")
