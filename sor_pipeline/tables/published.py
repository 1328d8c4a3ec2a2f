"""What people and tools read.

Belongs here: schema `conformed`, and the open conflicts that it is made from. Does not: how it changes (`publish`).
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from sor_pipeline.ownership.entity import Field
from sor_pipeline.tables.columns import Drawing, count, key, key_count, stored_type, text, time


class Published(Drawing):
    """`conformed`, `sources`, `keys`, `alias`, `history` per entity; one table each for publications, changes, conflicts."""

    def _of_publications(self) -> None:
        """What is published besides the entities."""
        table = self._table
        self.publication = table(
            "conformed", "publication", "One row per publication: one atomic change of all conformed tables.",
            key_count("publication", "counts up from 1, no gaps"), time("published_at", "logical time of the run"),
            text("fingerprint", "of the ownership document in force"), count("created", "entities new with it"), count("changed", "cells"),
            count("retired", "entities without a living record from it on"),
            count("conflicts", "open after it"),
        )  # fmt: skip
        self.change = table(
            "conformed", "change", "One row per canonical cell that changed, or entity created or retired (field empty).",
            key_count("publication", "the one that brought it"), key("entity", "kind of thing, e.g. contact"),
            key("entity_id", "the <entity>_id of its table"), key("field", "column of its table; empty: the whole row"),
            text("kind", "created, changed, retired or revived"), text("old", "as text"), text("new", "as text"),
            text("cause", "claim, decision, identity, rule, deletion, reference or release of a hold"), text("system", "whose value it now is"),
        )  # fmt: skip
        self.identity_change = table(
            "conformed", "identity_change", "One row per publication and two ids between which records went: a merge or a split.",
            key_count("publication", "the one that brought it"), key("entity", "kind of thing, e.g. contact"),
            key("from_id", "the <entity>_id that lost records"), key("to_id", "the <entity>_id that gained them"),
            text("kind", "merge: from_id is retired; split: to_id is new; move: both live on"), count("records", "that went"),
            text("cause", "what made or undid the link: a matching rule, similar, a decision, claim, deletion or rule"),
        )  # fmt: skip
        self.open_conflict = self._conflict("canonical", "One row per claim that disagrees now.")
        self.conflict = self._conflict(
            "conformed", "One row per claim that disagrees, or disagreed, with the canonical value."
        )

    def _conflict(self, schema: str, comment: str) -> sa.Table:
        history = schema == "conformed"
        return self._table(
            schema, "conflict", comment,
            key("entity", "kind of thing, e.g. contact"), key("entity_id", "the <entity>_id of its table"), key("field", "column of its table"),
            key("source", "whose record claims otherwise"), key("source_key", "that record, by its system's own key"),
            *([key_count("opened_in", "publication")] if history else []),
            text("kind", "differs, missing_at_owner, owner_disagrees_with_itself or dangling_reference"),
            text("system", "of the claim"), text("owner", "system whose value is canonical"),
            text("claimed", "the claim, as text; null where it was cleared"), text("canonical", "the canonical value, as text"),
            *([count("closed_in", "publication; null while open")] if history else []),
        )  # fmt: skip

    def _conformed(self, entity: str) -> sa.Table:
        spec = self.ownership.entities[entity]
        values = [
            sa.Column(n, stored_type(f), comment=_described(n, f, self._owner_words(entity, n)))
            for n, f in spec.fields.items()
        ]
        comment = f"One row per {spec.title or entity}. {spec.description}".strip()
        return self._table("conformed", entity, comment, key(f"{entity}_id", "stable id"), *values)

    def _owner_words(self, entity: str, field: str) -> str:
        rule, summary = self.ownership.rule_of(entity, field), self._fields(entity)[field].summary
        if summary:
            return f"counted: {summary.words}"
        return f"owner: {rule.owner}" if rule.owner else f"takes the {rule.take} of {', '.join(rule.among)}"

    def _sources(self, entity: str) -> sa.Table:
        columns: list[sa.Column[Any]] = [key(f"{entity}_id", "stable id")]
        for name in self._fields(entity):
            columns.append(text(f"{name}_system", f"system that says {name}; steward: a person decided"))
            columns.append(
                text(f"{name}_key", f"its record that says {name}; the number of the override where a person decided")
            )
            columns.append(
                text(
                    f"{name}_rule", "rule that decided: decision, owner, exception, fallback, stale_owner, take or hold"
                )
            )
            columns.append(time(f"{name}_since", f"when that system's {name} changed"))
        return self._table("conformed", f"{entity}_source", f"One row per {entity}: who says so, per cell.", *columns)

    def _keys(self, entity: str) -> sa.Table:
        return self._table(
            "conformed", f"{entity}_key", f"One row per record: the {entity} that it is, by every system's own key.",
            key("source", "<system>.<stream>"), key("source_key", "the record, by its system's own key"),
            text("system", "the source's"), text(f"{entity}_id", "stable id"),
        )  # fmt: skip

    def _alias(self, entity: str) -> sa.Table:
        return self._table(
            "conformed", f"{entity}_alias", f"One row per retired id of {entity} that another took over: what it is called now.",
            key("alias_id", "the retired id"), text(f"{entity}_id", "the id to use instead; itself never an alias"),
            count("since_publication", "the one from which on the alias holds"),
        )  # fmt: skip

    def _history(self, entity: str) -> sa.Table:
        values = [
            sa.Column(n, stored_type(f), comment=_described(n, f, self._owner_words(entity, n)))
            for n, f in self._fields(entity).items()
        ]
        history = self._table(
            "conformed", f"{entity}_history", f"One row per {entity} and version: what was published, from when to when.",
            key(f"{entity}_id", "stable id"), key_count("from_publication", "the one that brought this version"), time("valid_from", "logical time of the publication"),
            count("to_publication", "the one that ended it; null for the current version"),
            time("valid_to", "null for the current version"), *values,
        )  # fmt: skip
        history.info["keeps"] = ("from_publication", "valid_from", "to_publication", "valid_to")
        return history


def _described(name: str, field: Field, owner: str) -> str:
    words = field.description or field.title or name.replace("_", " ")
    kind = f"{field.to}_id" if field.to else f"{field.type} of {field.of}" if isinstance(field.of, str) else field.type
    return f"{words} ({kind}; {owner}{'; personal' if field.personal else ''})"
