"""Days and instants as a target writes them: strptime formats read backwards, part by part.

Belongs here: the formats. Engines spell their own formatting functions differently, so a text is
put together from `extract`ed parts, which they share. Names of months and days are English.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable
from typing import Any, TypeAlias

import sqlalchemy as sa

Text: TypeAlias = sa.ColumnElement[str]
Moment: TypeAlias = sa.ColumnElement[Any]

_PIECE = re.compile(r"%(.)|([^%]+)", re.DOTALL)


def _part(moment: Moment, name: str) -> sa.ColumnElement[int]:
    return sa.cast(sa.func.floor(sa.extract(name, moment)), sa.BigInteger)


def _padded(number: sa.ColumnElement[int], width: int) -> Text:
    return sa.func.lpad(sa.cast(number, sa.Text), width, "0")


def _micros(moment: Moment) -> sa.ColumnElement[int]:
    """Millionths of the current second."""
    return _part(moment, "microseconds") % 1_000_000


def _named(moment: Moment, part: str, names: list[str], first: int) -> Text:
    number = _part(moment, part)
    return sa.case(*((number == position, sa.literal(name, sa.Text)) for position, name in enumerate(names, first)))


def _twelve(moment: Moment) -> sa.ColumnElement[int]:
    return (_part(moment, "hour") + 11) % 12 + 1


_SUNDAY_FIRST = [6, 0, 1, 2, 3, 4, 5]
_WRITERS: dict[str, Callable[[Moment], Text]] = {
    "Y": lambda m: _padded(_part(m, "year"), 4),
    "m": lambda m: _padded(_part(m, "month"), 2),
    "d": lambda m: _padded(_part(m, "day"), 2),
    "j": lambda m: _padded(_part(m, "doy"), 3),
    "H": lambda m: _padded(_part(m, "hour"), 2),
    "I": lambda m: _padded(_twelve(m), 2),
    "M": lambda m: _padded(_part(m, "minute"), 2),
    "S": lambda m: _padded(_part(m, "second"), 2),
    "f": lambda m: _padded(_micros(m), 6),
    "p": lambda m: sa.case((_part(m, "hour") < 12, "AM"), else_="PM"),
    "b": lambda m: _named(m, "month", list(calendar.month_abbr)[1:], 1),
    "B": lambda m: _named(m, "month", list(calendar.month_name)[1:], 1),
    "a": lambda m: _named(m, "dow", [calendar.day_abbr[day] for day in _SUNDAY_FIRST], 0),
    "A": lambda m: _named(m, "dow", [calendar.day_name[day] for day in _SUNDAY_FIRST], 0),
    "z": lambda _: sa.literal("+0000", sa.Text),
    "Z": lambda _: sa.literal("UTC", sa.Text),
    "%": lambda _: sa.literal("%", sa.Text),
}


def day(value: Moment, form: str | None) -> Text | None:
    """A date column as text; None where the format holds a directive that is not written."""
    if form is None:
        return sa.cast(value, sa.Text)
    return _formed(sa.cast(value, sa.DateTime), form)


def instant(value: Moment, form: str | None, zone: str) -> Text | None:
    """A UTC timestamp column as text; null where the format drops a part of a second that the value has.

    Without a format: ISO 8601 ending in Z. A format that names the zone is written in UTC.
    """
    if form is None:
        return sa.func.replace(sa.cast(value, sa.Text), " ", "T") + sa.literal("Z", sa.Text)
    smallest = {"epoch_s": 1_000_000, "epoch_ms": 1_000}.get(form, 1 if "%f" in form else 1_000_000)
    local = value
    if zone != "UTC" and "%z" not in form and "%Z" not in form:
        local = sa.func.timezone(
            zone, sa.func.timezone("UTC", value, type_=sa.DateTime(timezone=True)), type_=sa.DateTime
        )
    text = _formed(local, form)
    if text is None or smallest == 1:
        return text
    return sa.case((_micros(value) % smallest == 0, text))


def _formed(moment: Moment, form: str) -> Text | None:
    if form in ("epoch_s", "epoch_ms"):
        units = sa.extract("epoch", moment) * (1 if form == "epoch_s" else 1000)
        return sa.cast(sa.cast(sa.func.round(units), sa.BigInteger), sa.Text)
    text: Text = sa.literal("", sa.Text)
    for letter, between in _PIECE.findall(form):
        if letter and letter not in _WRITERS:
            return None
        text = text + (_WRITERS[letter](moment) if letter else sa.literal(between, sa.Text))
    return text
