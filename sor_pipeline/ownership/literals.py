"""What a literal of a condition must look like to be compared with a field of a type.

Belongs here: spellings, and the reading of numbers, dates and times.
Does not: which comparisons a type allows (`expressions`).
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

from sor_pipeline.ownership.fieldtypes import Stored

NUMBER = re.compile(r"[0-9]{1,18}(\.[0-9]{0,9})?|\.[0-9]{1,9}")
SPELLING = {
    "email": (re.compile(r"[^A-Z\s]+"), "lower case"),
    "domain": (re.compile(r"[^A-Z\s]+"), "lower case"),
    "phone": (re.compile(r"\+[0-9]{4,15}"), "E.164, as '+13155550123'"),
    "country": (re.compile(r"[A-Z]{2}"), "ISO 3166-1 alpha-2, as 'DE'"),
    "subdivision": (re.compile(r"[A-Z]{2}-[A-Z0-9]{1,3}"), "ISO 3166-2, as 'US-NY'"),
    "currency": (re.compile(r"[A-Z]{3}"), "ISO 4217, as 'EUR'"),
}
"""How a type's values are written: a literal that is not can never be equal to one."""

EXPECTED = {
    Stored.text: "text in single quotes",
    Stored.integer: "a number",
    Stored.decimal: "a number",
    Stored.boolean: "true or false",
    Stored.date: "a date as 'YYYY-MM-DD'",
    Stored.timestamp: "a time as 'YYYY-MM-DD HH:MM:SS', UTC unless it names its offset",
}
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}([ T][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}:[0-9]{2})?)?"
)


def day(text: str) -> date:
    if not _DAY.fullmatch(text):
        raise ValueError(text)
    return date.fromisoformat(text)


def instant(text: str) -> datetime:
    """UTC without zone."""
    if not _INSTANT.fullmatch(text):
        raise ValueError(text)
    moment = datetime.fromisoformat(text)
    try:
        return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment
    except OverflowError as error:
        raise ValueError(text) from error
