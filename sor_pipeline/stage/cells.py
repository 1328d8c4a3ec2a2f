"""From the columns of a landed batch to the texts of the mapped cells, in SQL.

Belongs here: `from`, `join`, `constant`, dotted paths into JSON, the key, the digest, why a row is
rejected. Does not: what a text means (`observations`).

A mapped text is null where the batch has no such column (nothing was observed), else what was
delivered, '' for a missing value. Where a path leads into something that is not JSON, the text is
what was delivered behind UNREADABLE, a control character that no readable cell holds.
"""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa

from sor_pipeline.ownership.loaders import ANY
from sor_pipeline.ownership.source import Mapping, Mode
from sor_pipeline.stage.blanks import BLANKS
from sor_pipeline.stage.staging import Staging

UNREADABLE = "\x1a"
KEY_SEPARATOR, _ESCAPE = "|", "\\"
_CONTROL = r"[\x01-\x1f\x7f]"
_BLANK = "[" + "".join(rf"\x{ord(one):02x}" if ord(one) < 0x100 else one for one in BLANKS) + "]"
_BLANK_END = f"^{_BLANK}|{_BLANK}$"
Text = sa.ColumnElement[str]


class Cells:
    """The mapped cells of the batches that share one set of columns; `landed` is a relation over them."""

    def __init__(self, staging: Staging, landed: sa.FromClause, columns: Collection[str]) -> None:
        self._staging = staging
        self._landed = landed
        self._columns = columns

    def column(self, name: str) -> Text | None:
        """A delivered cell, by its column's name or by a dotted path into a column of JSON; None without either."""
        if name in self._columns:
            return sa.type_coerce(self._landed.c[name], sa.Text)
        parts = name.split(".")
        for length in range(len(parts) - 1, 0, -1):
            holder = ".".join(parts[:length])
            if holder in self._columns:
                return _inside(sa.type_coerce(self._landed.c[holder], sa.Text), parts[length:])
        return None

    def trimmed(self, name: str) -> Text:
        """The cell without blanks around it; '' where it is missing."""
        cell = self.column(name)
        return sa.literal("") if cell is None else sa.func.coalesce(trim(cell), "")

    def key(self) -> Text:
        parts = [self.trimmed(name) for name in self._staging.spec.key]
        return parts[0] if len(parts) == 1 else sa.func.concat_ws(KEY_SEPARATOR, *map(_escaped, parts))

    def rejection(self) -> Text:
        """Why the row is no record, null where it is one."""
        spec = self._staging.spec
        parts = [self.trimmed(name) for name in spec.key]
        blank = sa.or_(*(part == "" for part in parts))
        control = sa.or_(*(sa.func.regexp_matches(part, _CONTROL) for part in parts))
        chosen = [self.trimmed(name).in_(texts) for name, texts in spec.only.items()]
        whens = [(blank, sa.literal("blank-key")), (control, sa.literal("control-character-in-key"))]
        whens += [(sa.not_(sa.and_(*chosen)), sa.literal("not-selected"))] if chosen else []
        return sa.case(*whens, else_=sa.null())

    def changed(self) -> Text | None:
        """Text of the time at which the row says that it changed; None if the batch does not say."""
        name = self._staging.spec.changed_at
        return None if name is None or self.column(name) is None else self.trimmed(name)

    def flagged(self) -> sa.ColumnElement[bool]:
        """Whether the row says that the record is deleted; only the mode `changes` has such words."""
        if self._staging.mode is not Mode.changes:
            return sa.false()
        deleted = self._staging.spec.extract.deleted.items()
        flags = [self.trimmed(name) != "" if ANY in texts else self.trimmed(name).in_(texts) for name, texts in deleted]
        return sa.or_(sa.false(), *flags)

    def link(self, name: str) -> Text | None:
        """Another record's key, '' where blank; None if the batch has no such column."""
        return None if self.column(name) is None else self.trimmed(name)

    def mapped(self, mapping: Mapping) -> Text | None:
        """The text that a field is read from; None if the batch has none of its columns."""
        if mapping.constant is not None:
            return sa.literal(mapping.constant)
        present = [cell for name in mapping.columns if (cell := self.column(name)) is not None]
        if not present:
            return None
        if not mapping.join:
            return sa.func.coalesce(present[0], "")
        return sa.func.concat_ws(mapping.separator, *(sa.func.nullif(trim(cell), "") for cell in present))

    def digest(self) -> Text:
        """md5 over all that staging reads of a row, each text behind its length so that none passes for another."""
        staging = self._staging
        texts: list[Text | None] = [self.mapped(m) for m in staging.mappings.values() if m.constant is None]
        texts += [self.link(name) for name in staging.links]
        texts += [self.changed()] if staging.spec.changed_at else []
        texts += [self.trimmed(name) for name in staging.spec.extract.deleted]
        parts = [part for text in texts for part in _measured(text)]
        return sa.func.md5(sa.func.concat(sa.literal(""), *parts))


def trim(text: Text) -> Text:
    """Without blanks around it. Looking first is ten times as fast as trimming what needs none."""
    return sa.case((sa.func.regexp_matches(text, _BLANK_END), sa.func.trim(text, BLANKS)), else_=text)


def _escaped(part: Text) -> Text:
    """One of several parts of a key, so that different parts never join to the same key."""
    once = sa.func.replace(part, _ESCAPE, _ESCAPE * 2)
    return sa.func.replace(once, KEY_SEPARATOR, _ESCAPE + KEY_SEPARATOR)


def _measured(text: Text | None) -> tuple[Text, ...]:
    if text is None:
        return (sa.literal("!"),)
    filled = sa.func.coalesce(text, "")
    return (sa.cast(sa.func.length(filled), sa.Text), sa.literal(":"), filled)


def _inside(holder: Text, path: list[str]) -> Text:
    """The text at a path in JSON; null where there is nothing at it."""
    pointer = "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in path)
    return sa.case(
        (trim(sa.func.coalesce(holder, "")) == "", sa.null()),
        (sa.func.json_valid(holder), sa.func.json_extract_string(holder, pointer)),
        else_=sa.func.concat(sa.func.chr(ord(UNREADABLE)), holder),
    )
