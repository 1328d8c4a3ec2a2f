"""Places in a cursor: up to where a table was read, and from where to go on.

Belongs here: values of cursors as text, their order, going back by the overlap. Does not: reading (`readers.database`),
which place was reached (`registry`).

A place is written `<kind> <value>`, with kind one of `zoned`, `naive`, `date`, `number`, `text`. Places of different
kinds are never compared: where a cursor's type changed, the table is read whole.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

USUAL_OVERLAP = timedelta(hours=1)
_EPOCH = re.compile(r"1\d{9}(\.\d+)?")
_DAY = timedelta(days=1)


class UnusableCursor(ValueError):
    """A cursor, or an overlap, that cannot be gone back from; the text says why, without a value."""


@dataclass(frozen=True)
class Position:
    """A value of the cursor."""

    kind: str
    value: Any

    def __str__(self) -> str:
        text = self.value.isoformat() if isinstance(self.value, date) else str(self.value)
        return f"{self.kind} {text}"

    @classmethod
    def of(cls, value: object) -> Position:
        """A value as the driver gives it. Raises UnusableCursor for one without an order that engines share."""
        match value:
            case datetime():
                return cls("zoned", value.astimezone(UTC)) if value.tzinfo else cls("naive", value)
            case date():
                return cls("date", value)
            case bool():
                raise UnusableCursor("its values are true and false")
            case int() | Decimal() | float():
                number = Decimal(repr(value) if isinstance(value, float) else value)
                if number.is_finite():
                    return cls("number", number)
                raise UnusableCursor("its greatest value is no number")
            case str():
                return cls("text", value)
        raise UnusableCursor(f"its values are of type {type(value).__name__}")

    @classmethod
    def read(cls, text: str) -> Position:
        """What `str` wrote."""
        kind, _, value = text.partition(" ")
        if kind in ("zoned", "naive"):
            return cls(kind, datetime.fromisoformat(value))
        if kind == "date":
            return cls(kind, date.fromisoformat(value))
        return cls(kind, Decimal(value) if kind == "number" else value)

    def reached(self, before: Position | None, now: datetime) -> Position:
        """The place reached where this is the greatest value now and `before` was reached earlier.

        A value in the future is not waited for: what changes until then would stay unseen.
        """
        mine = self
        if self.kind == "zoned":
            mine = Position(self.kind, min(self.value, now.replace(tzinfo=UTC)))
        elif self.kind == "naive":
            mine = Position(self.kind, min(self.value, now + _DAY))  # of a zone that nobody named
        elif self.kind == "date":
            mine = Position(self.kind, min(self.value, (now + _DAY).date()))
        elif self.kind == "text":
            mine = self._text_reached(now)
        return before if before and before.kind == mine.kind and before.value > mine.value else mine

    def back(self, overlap: timedelta | int | None) -> Position:
        """The place `overlap` before this one. Raises UnusableCursor where the one cannot be taken from the other."""
        try:
            if self.kind in ("zoned", "naive"):
                return Position(self.kind, self.value - _duration(overlap))
            if self.kind == "date":
                return Position(self.kind, self.value - max(_duration(overlap), timedelta()))
            if self.kind == "number":
                return Position(self.kind, self.value - _number(overlap))
            return Position(self.kind, self._text_back(overlap))
        except OverflowError:
            return self

    def _text_reached(self, now: datetime) -> Position:
        """Texts of times are capped as times are; others have no future."""
        if _EPOCH.fullmatch(self.value):
            latest = str(int(now.replace(tzinfo=UTC).timestamp()))
            return self if Decimal(self.value) <= int(latest) else Position(self.kind, latest)
        moment = _moment(self.value)
        return self if moment is None or moment <= now + _DAY else Position(self.kind, _spelt(now + _DAY, self.value))

    def _text_back(self, overlap: timedelta | int | None) -> str:
        """Texts of times (ISO, or seconds since 1970) know durations; the spelling stays, so that texts still sort."""
        if overlap == 0:
            return str(self.value)
        if _EPOCH.fullmatch(self.value):
            return str(Decimal(self.value) - int(_seconds(overlap)))
        moment = _moment(self.value)
        if moment is not None:
            return _spelt(moment - _duration(overlap), self.value)
        if overlap is None:
            return str(self.value)
        raise UnusableCursor("its values are texts without an order that can be gone back in")


def _duration(overlap: timedelta | int | None) -> timedelta:
    if overlap is None:
        return USUAL_OVERLAP
    if isinstance(overlap, timedelta):
        return overlap
    if overlap == 0:
        return timedelta()
    raise UnusableCursor("its values are times, and `overlap` is a number")


def _number(overlap: timedelta | int | None) -> int:
    if isinstance(overlap, timedelta):
        raise UnusableCursor("its values are numbers, and `overlap` is a duration")
    return overlap or 0


def _seconds(overlap: timedelta | int | None) -> float:
    return overlap if isinstance(overlap, int) else _duration(overlap).total_seconds()


def _moment(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text).replace(tzinfo=None)
    except ValueError:
        return None


def _spelt(moment: datetime, like: str) -> str:
    """As far as both have it: a shorter text sorts before the longer ones that it begins."""
    text = moment.isoformat(sep=like[10] if len(like) > 10 else "T", timespec="seconds")
    return text[: len(like)]
