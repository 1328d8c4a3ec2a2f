"""What every noun of the document shares: frozen, and nothing unknown accepted."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, StringConstraints

_UNITS = {"minute": 60, "hour": 3600, "day": 86400, "week": 604800, "month": 2592000, "year": 31536000}
_LONGEST = 1000 * _UNITS["year"]
_DURATION = re.compile(r"^(?:([0-9]{1,9})\s+)?(minute|hour|day|week|month|year)s?$")


class Noun(BaseModel):
    """Base of every model of the document."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, coerce_numbers_to_str=True, allow_inf_nan=False
    )


def parse_duration(text: object) -> object:
    """`90 days`, `week`, `hour` as a timedelta (a month is 30 days, a year 365)."""
    if not isinstance(text, str):
        return text
    match = _DURATION.match(text.strip().lower())
    if match is None:
        raise ValueError("expected a duration like `90 days`, `6 hours`, `week`")
    count = int(match.group(1) or 1)
    if not 0 < count * _UNITS[match.group(2)] <= _LONGEST:
        raise ValueError("expected a duration of more than nothing and at most 1000 years")
    return timedelta(seconds=count * _UNITS[match.group(2)])


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration, json_schema_input_type=str),
    PlainSerializer(lambda value: f"{int(value.total_seconds() // 60)} minutes", return_type=str),
]


def _number_or_duration(text: object) -> object:
    """`1000` as a number, else a duration."""
    return int(text) if isinstance(text, str) and re.fullmatch(r"[0-9]{1,18}", text.strip()) else parse_duration(text)


Reach = Annotated[
    timedelta | int,
    BeforeValidator(_number_or_duration, json_schema_input_type=str | int),
    PlainSerializer(str, return_type=str),
]
"""How far before a place: a duration for times, a number for numbers."""

NAME_PATTERN = r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$"
SOURCE_PATTERN = r"^[a-z][a-z0-9]*(_[a-z0-9]+)*\.[a-z][a-z0-9]*(_[a-z0-9]+)*$"

Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN, max_length=40)]
"""A system, entity or field: lower snake case, no double underscore (those are ours)."""

SourceName = Annotated[str, StringConstraints(pattern=SOURCE_PATTERN, max_length=60)]
"""`system.stream`, as in `hubspot.contacts`."""
