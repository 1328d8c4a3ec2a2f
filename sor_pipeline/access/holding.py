"""What each column may hold: nothing personal, a source's key, a field's value, or something that stays hidden.

Belongs here: that judgement, for every table that a role reads. Does not: the masks made of it (`masks`).

What nobody judged is hidden: a text column that a later release adds is shown to nobody who is not to see personal
values until it is named here (a test sees to that).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import sqlalchemy as sa

from sor_pipeline.ownership.document import Ownership, personal_fields, system_of
from sor_pipeline.tables import Tables

READ = ("audit", "steward", "outbound", "conformed")
"""Schemas that a role reads without being trusted with personal values."""


class Holds(StrEnum):
    """`plain`: shown; `hidden`: never; `key`: a record's own key; `value`: a field's value, as the row says which."""

    plain = "plain"
    hidden = "hidden"
    key = "key"
    value = "value"


@dataclass(frozen=True)
class Held:
    """What a column holds. `by`: for a key, the column with its source or system."""

    holds: Holds
    by: str = ""


PLAIN, HIDDEN, VALUE = Held(Holds.plain), Held(Holds.hidden), Held(Holds.value)
_KEYS = {"source_key": "source", "left_key": "left_source", "right_key": "right_source"}
_VALUES = {
    ("conformed", "change"): ("old", "new"),
    ("conformed", "conflict"): ("claimed", "canonical"),
    ("conformed", "correction"): ("observed", "wanted"),
    ("outbound", "correction"): ("observed", "wanted", "became", "form"),
    ("steward", "override"): ("value", "compare", "owner_compare"),
}
_HIDDEN = {("outbound", "attempt"): ("idempotency_key",)}
"""Digests of a value: who guesses the value can tell."""
_PLAIN_TEXTS = frozenset([
    "entity", "entity_id", "field", "source", "system", "owner", "rule", "state", "kind", "cause", "severity",
    "expectation", "fingerprint", "batch", "title", "release", "from_id", "to_id", "alias_id", "column", "outcome",
    "until", "type", "plan", "status", "code", "left_source", "right_source", "case_id", "steward", "by", "to",
    "reason", "words", "message", "subject", "evidence", "sample", "rows_query", "failing", "declared", "counts",
    "history", "lease", "who",
])  # fmt: skip
"""Text columns of our own tables that hold names, codes, ids or words that are never a personal field's value."""


def held(tables: Tables, table: sa.Table) -> dict[str, Held]:
    """Column by column, in the table's order."""
    entity, kind = _entity(tables, table)
    fields = tables.ownership.entities[entity].fields if entity else {}
    personal = personal_fields(fields)
    answer: dict[str, Held] = {}
    for column in table.columns:
        name = column.name
        if kind == "source" and name.endswith("_key"):
            answer[name] = Held(Holds.key, f"{name.removesuffix('_key')}_system")
        elif kind in ("conformed", "history"):
            answer[name] = HIDDEN if name in personal else PLAIN
        elif kind == "source" or (kind is not None and name in (f"{entity}_id", "alias_id")):
            answer[name] = PLAIN
        else:
            answer[name] = _of_ours(table, column)
    return answer


def _of_ours(table: sa.Table, column: sa.Column[object]) -> Held:
    where, name = (str(table.schema), table.name), column.name
    if name in _VALUES.get(where, ()):
        return VALUE
    if name in _KEYS and _KEYS[name] in table.columns:
        return Held(Holds.key, _KEYS[name])
    hidden = name in _HIDDEN.get(where, ())
    return PLAIN if not hidden and (not isinstance(column.type, sa.Text) or name in _PLAIN_TEXTS) else HIDDEN


def _entity(tables: Tables, table: sa.Table) -> tuple[str | None, str | None]:
    """The entity that a published table is about, and which of its tables it is."""
    kinds = {
        "conformed": tables.conformed, "source": tables.sources, "keys": tables.keys, "alias": tables.alias,
        "history": tables.history,
    }  # fmt: skip
    for kind, made in kinds.items():
        for entity, one in made.items():
            if one is table:
                return entity, kind
    return None, None


def mixed(columns: dict[str, Held]) -> bool:
    """Whether what a column holds depends on the row."""
    return any(one.holds in (Holds.key, Holds.value) for one in columns.values())


def open_fields(ownership: Ownership) -> dict[str, list[str]]:
    """The fields of each entity that are not personal; what the document does not name is not open.

    A reference is as open as the keys of what it may name: a correction and a dangling conflict hold such a key.
    """
    shut = {ownership.sources[name].entity for name in ownership.sources if _personal_key(ownership, name)}
    return {
        name: [field for field, spec in entity.fields.items() if not spec.personal and spec.to not in shut]
        for name, entity in ownership.entities.items()
    }


def references(ownership: Ownership) -> dict[str, list[str]]:
    """The fields of each entity whose text in a tool is a record's key."""
    return {name: [f for f, spec in entity.fields.items() if spec.to] for name, entity in ownership.entities.items()}


def open_sources(ownership: Ownership) -> list[str]:
    """The sources whose keys are no personal field's value."""
    return [name for name in ownership.sources if not _personal_key(ownership, name)]


def open_systems(ownership: Ownership) -> list[str]:
    """The systems none of whose sources has personal keys."""
    closed = {system_of(name) for name in ownership.sources if _personal_key(ownership, name)}
    return [name for name in ownership.systems if name not in closed]


def _personal_key(ownership: Ownership, source: str) -> bool:
    """A column of the key is read by a personal field."""
    spec = ownership.sources[source]
    fields = ownership.entities[spec.entity].fields
    read: set[str] = set()
    for name, mapping in spec.fields.items():
        if fields[name].personal:
            read |= {part for column in mapping.columns for part in (column, column.partition(".")[0])}
    return bool(read & set(spec.key))
