"""Every table, its grain, keys, columns and comments: the only place where names meet SQL.

Belongs here: table and column names, types, comments, derived from the ownership document.
Does not: selects (the step that makes a table), DDL execution (`engine`).

Schemas: `landing` (what was delivered), `staged` (current records), `identity` (what is the
same), `canonical` (candidates with lineage), `audit` (runs, accounts, findings), `steward`
(people's words), `outbound` (corrections), `conformed` (published).

Columns that are ours start with `_` or hold `__`; names of the document never do, so the two
cannot collide. Times are UTC without zone. `_publication` is the number of the publication in
which a row's last change appears for the first time; while it is not yet published, the row is
*pending*, whichever run wrote it. That is how a run that was killed or blocked is taken up again.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import sqlalchemy as sa

from sor_pipeline.engine.base import Expression
from sor_pipeline.ownership.document import Ownership
from sor_pipeline.ownership.entity import Field
from sor_pipeline.ownership.fieldtypes import Stored
from sor_pipeline.ownership.matching import Linked

SCHEMAS = ("landing", "staged", "identity", "canonical", "audit", "steward", "outbound", "conformed")
NO_FIELD = ""
"""Stands for "the whole row" where a field is part of a key."""


class ClaimState(IntEnum):
    """What a record says about a field."""

    never = 0
    value = 1
    cleared = 2
    placeholder = 3


def stored_type(field: Field) -> sa.types.TypeEngine[Any]:
    """The column type of a field's value."""
    types: dict[Stored, sa.types.TypeEngine[Any]] = {
        Stored.text: sa.Text(),
        Stored.decimal: sa.Numeric(18, field.scale),
        Stored.integer: sa.BigInteger(),
        Stored.boolean: sa.Boolean(),
        Stored.date: sa.Date(),
        Stored.timestamp: sa.DateTime(),
    }
    return types[field.kind.stored]


@dataclass(frozen=True)
class Claim:
    """The columns of one field in `staged.<source>`; `compare` is `value` where the type does not fold.

    `raw` (the delivered text) is kept only for fields to which corrections may be written.
    """

    value: Expression
    compare: Expression
    state: Expression
    since: Expression
    raw: Expression | None


@dataclass(frozen=True)
class Cell:
    """The columns of one field in `canonical.<entity>`: value and lineage."""

    value: Expression
    compare: Expression
    system: Expression
    source: Expression
    key: Expression
    rule: Expression
    since: Expression


def claim(selectable: sa.FromClause, field: str) -> Claim:
    """The claim columns of `field` in a staged table or in a select shaped like one."""
    columns = selectable.c
    return Claim(
        value=columns[field],
        compare=columns.get(f"{field}__cmp", columns[field]),
        state=columns[f"{field}__state"],
        since=columns[f"{field}__since"],
        raw=columns.get(f"{field}__raw"),
    )


def cell(selectable: sa.FromClause, field: str) -> Cell:
    """The cell columns of `field` in a canonical table or in a select shaped like one."""
    columns = selectable.c
    return Cell(
        value=columns[field],
        compare=columns.get(f"{field}__cmp", columns[field]),
        system=columns[f"{field}__system"],
        source=columns[f"{field}__source"],
        key=columns[f"{field}__key"],
        rule=columns[f"{field}__rule"],
        since=columns[f"{field}__since"],
    )


def link_column(column: str) -> str:
    """Where stage keeps the text of a source column that links to another record."""
    return f"_link__{column}"


def staged_name(source: str) -> str:
    """`hubspot.contacts` is staged in `staged.hubspot__contacts`."""
    return source.replace(".", "__")


class Tables:
    """All tables of one ownership document, as SQLAlchemy `Table`s in one `MetaData`.

    Per source: `staged[source]`. Per entity: `identity`, `token`, `canonical`, and the published
    `conformed`, `sources`, `keys`, `history`. The rest is one table each.
    """

    def __init__(self, ownership: Ownership) -> None:
        self.metadata = sa.MetaData()
        self.ownership = ownership
        self._of_deliveries()
        self._of_entities()
        self._of_runs()
        self._of_publications()
        self.staged = {name: self._staged(name) for name in ownership.sources}
        self.identity = {name: self._identity(name) for name in ownership.entities}
        self.token = {name: self._token(name) for name in ownership.entities}
        self.canonical = {name: self._canonical(name) for name in ownership.entities}
        self.conformed = {name: self._conformed(name) for name in ownership.entities}
        self.sources = {name: self._sources(name) for name in ownership.entities}
        self.keys = {name: self._keys(name) for name in ownership.entities}
        self.history = {name: self._history(name) for name in ownership.entities}

    def _table(self, schema: str, name: str, comment: str, *columns: sa.Column[Any]) -> sa.Table:
        return sa.Table(name, self.metadata, *columns, schema=schema, comment=comment)

    def _of_deliveries(self) -> None:
        """What came and how it was staged: no name of the document is in these."""
        table, text, key = self._table, _text, _key
        self.batch = table(
            "landing", "batch", "One row per batch: one delivered extract, landed as Parquet.",
            key("source"), key("batch", "as_of and the start of the content's digest"),
            _time("as_of", "logical time of the batch"), text("delivered_as", "name under which it came"),
            text("content", "SHA-256 of the delivered bytes"), text("columns", "header, as a JSON array"),
            _count("rows", "rows landed"), _count("bad_rows", "rows that could not be read; see <batch>.rejects.parquet"),
            _count("_publication"),
        )  # fmt: skip
        self.delivery = table(
            "landing", "delivery", "One row per name under which something was delivered, as last seen: unchanged ones are not read again.",
            key("source"), key("delivered_as"), _count("size", "bytes"), _count("modified_ns"),
            text("content", "SHA-256 of the delivered bytes"), text("batch", "null where it was refused"),
        )  # fmt: skip
        self.refusal = table(
            "landing", "refusal", "One row per delivery that was refused, until it is delivered well.",
            key("source"), key("delivered_as"), text("content", "SHA-256 of the delivered bytes"),
            text("code"), text("message"), _time("refused_at"),
        )  # fmt: skip
        self.source_state = table(
            "staged", "source_state", "One row per source: what its staged records were made with.",
            key("source"), text("fingerprint", "of mapping and types"), _time("as_of", "newest batch staged"),
        )  # fmt: skip
        self.reject = table(
            "staged", "reject", "One row per rejected row (field empty) or rejected cell.",
            key("source"), key("batch"), _key_count("row", "row number in the batch, from 1"), key("field"),
            text("source_key"), text("column", "the source's column"), text("raw", "as delivered"), text("reason"),
            _count("_publication"),
        )  # fmt: skip
        self.account = table(
            "audit", "account", "One row per staged batch: read = new + unchanged + superseded + duplicate + rejected.",
            key("source"), key("batch"), *(_count(n) for n in ACCOUNT), _count("_publication"),
        )  # fmt: skip

    def _of_entities(self) -> None:
        """Ids, and what was resolved and found of them."""
        table, text, key = self._table, _text, _key
        self.id = table(
            "identity", "id", "One row per entity id ever given; never rebuilt.",
            key("entity"), key("entity_id"), _count("born", "publication of birth"),
            _count("retired", "publication in which no live record was left, or it was merged away"),
            text("merged_into", "the id that took over, where there is one"),
        )  # fmt: skip
        self.affected = table(
            "identity", "affected", "One row per entity to be resolved again before the next publication.",
            key("entity"), key("entity_id"), text("cause", "claim, identity, reference, staleness, rule or release"),
        )  # fmt: skip
        self.canonical_state = table(
            "canonical", "state", "One row per entity: what its canonical rows were resolved with.",
            key("entity"), text("fingerprint", "of the whole document"), _time("resolved_at", "logical time of the last resolve"),
        )  # fmt: skip
        self.open_conflict = self._conflict("canonical", "One row per claim that disagrees now.")
        self.finding = table(
            "audit", "finding", "One row per expectation of the last check of each entity.",
            key("entity"), key("expectation", "stable name: <field>.<rule>, or the user's"), text("field"), text("severity"),
            sa.Column("passed", sa.Boolean, comment="whether it held"), _count("checked"), _count("failed"),
            text("message"), text("sample", "JSON array of failing entity ids, at most 20"),
            text("rows_query", "SQL that returns all failing rows"), text("declared", "digest of the expectation as declared"),
            _count("_publication"),
        )  # fmt: skip
        self.held = table(
            "audit", "held", "One row per cell (or row: field empty) that keeps its last good published value.",
            key("entity"), key("entity_id"), key("field"), key("expectation"), _count("_publication"),
        )  # fmt: skip
        self.touched = table(
            "audit", "touched", "One row per entity that one of the last publications looked at: what the published file may lack.",
            _key_count("publication"), key("entity"), key("entity_id"),
        )  # fmt: skip

    def _of_runs(self) -> None:
        """Runs, people's words and corrections."""
        table, text, key = self._table, _text, _key
        self.run = table(
            "audit", "run", "One row per run.",
            _key_count("run"), _time("started_at"), _time("ended_at"), text("state", "running, published, unchanged, blocked or failed"),
            _count("publication", "the one it made, if any"), text("counts", "JSON, per step"), text("message"),
        )  # fmt: skip
        self.acceptance = table(
            "steward", "acceptance", "One row per thing a person accepted by name.",
            key("subject", "e.g. shrink:hubspot.contacts:<batch>"), text("by"), text("reason"), _time("at"),
        )  # fmt: skip
        self.correction = table(
            "outbound", "correction", "One row per correction: one column of one record of a target system.",
            key("source", "the target's source"), key("source_key"), key("field"), _key_count("proposed_in", "publication"),
            text("system"), text("column", "the target's own column"), text("entity"), text("entity_id"),
            text("observed", "the target's text when it was compared"), text("wanted", "the text it must change to"),
            text("owner", "system whose value it is"), text("rule"),
            text("state", "proposed, delivered, confirmed, altered, refused, reverted or superseded"),
            _count("closed_in", "publication in which it left the open states"),
        )  # fmt: skip
        self.correction_state = table(
            "outbound", "state", "One row per source that accepts corrections: up to which publication it was compared.",
            key("source"), _count("corrected_to", "publication"),
        )  # fmt: skip

    def _of_publications(self) -> None:
        """What is published besides the entities."""
        table, text, key = self._table, _text, _key
        self.publication = table(
            "conformed", "publication", "One row per publication: one atomic change of all conformed tables.",
            _key_count("publication", "counts up from 1, no gaps"), _time("published_at", "logical time of the run"),
            text("fingerprint", "of the ownership document in force"), _count("created", "entities new with it"), _count("changed", "cells"),
            _count("retired", "entities without a living record from it on"),
            _count("conflicts", "open after it"),
        )  # fmt: skip
        self.change = table(
            "conformed", "change", "One row per canonical cell that changed, or entity created or retired (field empty).",
            _key_count("publication", "the one that brought it"), key("entity", "kind of thing, e.g. contact"),
            key("entity_id", "the <entity>_id of its table"), key("field", "column of its table; empty: the whole row"),
            text("kind", "created, changed, retired or revived"), text("old", "as text"), text("new", "as text"),
            text("cause", "claim, identity, rule, deletion, reference or release of a hold"), text("system", "whose value it now is"),
        )  # fmt: skip
        self.conflict = self._conflict(
            "conformed", "One row per claim that disagrees, or disagreed, with the canonical value."
        )

    def _conflict(self, schema: str, comment: str) -> sa.Table:
        history = schema == "conformed"
        return self._table(
            schema, "conflict", comment,
            _key("entity", "kind of thing, e.g. contact"), _key("entity_id", "the <entity>_id of its table"), _key("field", "column of its table"),
            _key("source", "whose record claims otherwise"), _key("source_key", "that record, by its system's own key"),
            *([_key_count("opened_in", "publication")] if history else []),
            _text("kind", "differs, missing_at_owner, owner_disagrees_with_itself or dangling_reference"),
            _text("system", "of the claim"), _text("owner", "system whose value is canonical"),
            _text("claimed", "the claim, as text; null where it was cleared"), _text("canonical", "the canonical value, as text"),
            *([_count("closed_in", "publication; null while open")] if history else []),
        )  # fmt: skip

    def _fields(self, entity: str) -> dict[str, Field]:
        return self.ownership.entities[entity].fields

    def _staged(self, source: str) -> sa.Table:
        """Grain: one current record of the source; key `_key`."""
        spec = self.ownership.sources[source]
        columns: list[sa.Column[Any]] = [
            _key("_key", "source key; several columns are joined with |, which a backslash precedes inside a column"),
            _time("_changed_at", "when the row says that it last changed, else as_of"),
            _time("_as_of", "of the batch that made the record what it is"),
            _text("_batch"),
            _count("_row"),
            _text("_digest", "of the mapped cells as delivered: equal means unchanged"),
            _time("_deleted_at", "null while the record lives"),
            _count("_publication"),
        ]
        columns += [
            _text(link_column(c), f"{c} as delivered: another record's key") for c in self.linked_columns(source)
        ]
        for name in spec.fields:
            field = self._fields(spec.entity)[name]
            columns.append(sa.Column(name, stored_type(field), comment=field.title or name))
            if field.kind.folds:
                columns.append(_text(f"{name}__cmp", "comparable form"))
            columns.append(
                sa.Column(f"{name}__state", sa.SmallInteger, comment="0 never, 1 value, 2 cleared, 3 placeholder")
            )
            columns.append(_time(f"{name}__since", "when this source's value changed"))
            if name in spec.accepts:
                columns.append(_text(f"{name}__raw", "as delivered"))
        return self._table("staged", staged_name(source), f"One row per record of {source}.", *columns)

    def linked_columns(self, source: str) -> tuple[str, ...]:
        """Columns of the source that a `linked` rule of its entity reads."""
        rules = self.ownership.entities[self.ownership.sources[source].entity].match
        holders = [holder for rule in rules if isinstance(rule, Linked) for holder in rule.linked]
        mine = (holder.removeprefix(f"{source}.") for holder in holders if holder.startswith(f"{source}."))
        return tuple(dict.fromkeys(mine))

    def _identity(self, entity: str) -> sa.Table:
        return self._table(
            "identity", entity, f"One row per record of {entity}, live or deleted: which {entity} it is.",
            _key("source"), _key("source_key"), _text("entity_id"), _count("_publication"),
        )  # fmt: skip

    def _token(self, entity: str) -> sa.Table:
        return self._table(
            "identity", f"{entity}__token", "One row per live record and thing it has in common with others: an edge to a shared node.",
            _key("source"), _key("source_key"), _key("rule", "same:<fields> or linked:<source.column>"), _key("token"),
        )  # fmt: skip

    def _canonical(self, entity: str) -> sa.Table:
        """Grain: one live entity; key `entity_id`."""
        columns: list[sa.Column[Any]] = [_key("entity_id"), _count("_publication")]
        for name, field in self._fields(entity).items():
            columns.append(sa.Column(name, stored_type(field)))
            if field.kind.folds:
                columns.append(_text(f"{name}__cmp"))
            columns += [_text(f"{name}__{part}") for part in ("system", "source", "key", "rule")]
            columns.append(_time(f"{name}__since"))
        return self._table("canonical", entity, f"One row per live {entity}: each cell with its lineage.", *columns)

    def _conformed(self, entity: str) -> sa.Table:
        spec = self.ownership.entities[entity]
        values = [
            sa.Column(n, stored_type(f), comment=_described(n, f, self._owner_words(entity, n)))
            for n, f in spec.fields.items()
        ]
        comment = f"One row per {spec.title or entity}. {spec.description}".strip()
        return self._table("conformed", entity, comment, _key(f"{entity}_id", "stable id"), *values)

    def _owner_words(self, entity: str, field: str) -> str:
        rule = self.ownership.rule_of(entity, field)
        return f"owner: {rule.owner}" if rule.owner else f"takes the {rule.take} of {', '.join(rule.among)}"

    def _sources(self, entity: str) -> sa.Table:
        columns: list[sa.Column[Any]] = [_key(f"{entity}_id", "stable id")]
        for name in self._fields(entity):
            columns.append(_text(f"{name}_system", f"system that says {name}"))
            columns.append(_text(f"{name}_key", f"its record that says {name}"))
            columns.append(
                _text(f"{name}_rule", "rule that decided: owner, exception, fallback, stale_owner, take or hold")
            )
            columns.append(_time(f"{name}_since", f"when that system's {name} changed"))
        return self._table("conformed", f"{entity}_source", f"One row per {entity}: who says so, per cell.", *columns)

    def _keys(self, entity: str) -> sa.Table:
        return self._table(
            "conformed", f"{entity}_key", f"One row per record: the {entity} that it is, by every system's own key.",
            _key("source", "<system>.<stream>"), _key("source_key", "the record, by its system's own key"),
            _text("system", "the source's"), _text(f"{entity}_id", "stable id"),
        )  # fmt: skip

    def _history(self, entity: str) -> sa.Table:
        values = [
            sa.Column(n, stored_type(f), comment=_described(n, f, self._owner_words(entity, n)))
            for n, f in self._fields(entity).items()
        ]
        return self._table(
            "conformed", f"{entity}_history", f"One row per {entity} and version: what was published, from when to when.",
            _key(f"{entity}_id", "stable id"), _key_count("from_publication", "the one that brought this version"), _time("valid_from", "logical time of the publication"),
            _count("to_publication", "the one that ended it; null for the current version"),
            _time("valid_to", "null for the current version"), *values,
        )  # fmt: skip


ACCOUNT = ("read", "new", "unchanged", "superseded", "duplicate", "rejected", "deleted")
"""Counts of `audit.account`; `deleted` counts records, not rows, and is not part of the sum."""


def _described(name: str, field: Field, owner: str) -> str:
    words = field.description or field.title or name.replace("_", " ")
    kind = f"{field.to}_id" if field.to else f"{field.type} of {field.of}" if isinstance(field.of, str) else field.type
    return f"{words} ({kind}; {owner}{'; personal' if field.personal else ''})"


def _text(name: str, comment: str | None = None) -> sa.Column[Any]:
    return sa.Column(name, sa.Text, comment=comment)


def _key(name: str, comment: str | None = None) -> sa.Column[Any]:
    """Part of the grain. Not a PRIMARY KEY: on DuckDB its index makes merges slow; a test holds uniqueness."""
    return sa.Column(name, sa.Text, nullable=False, comment=comment, info={"key": True})


def _key_count(name: str, comment: str | None = None) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger, nullable=False, comment=comment, info={"key": True})


def _time(name: str, comment: str | None = None) -> sa.Column[Any]:
    return sa.Column(name, sa.DateTime, comment=comment)


def _count(name: str, comment: str | None = None) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger, comment=comment)


def grain(table: sa.Table) -> tuple[sa.Column[Any], ...]:
    """The columns that name a row."""
    return tuple(column for column in table.columns if column.info.get("key"))
