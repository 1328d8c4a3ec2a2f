"""Secrets and values kept out of everything that is written down.

Belongs here: reading a secret, and wording what a tool said without repeating what it was told.
Does not: requests.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping

from sor_pipeline.deliver.connector import Record

_LONGEST = 200
_HIDDEN = "…"
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'|`[^`]*`|“[^”]*”|\[[^\]]*\]|\{[^}]*\}")
_TELLING = re.compile(r"\S*@\S*|\S*\d{3,}\S*|https?://\S+")
_CODE = re.compile(r"[A-Za-z0-9_.\- ]{1,60}")


class Secret:
    """A secret by the name of its environment variable; shows itself to nobody who prints it."""

    def __init__(self, variable: str, value: str) -> None:
        self.variable = variable
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return f"Secret({self.variable})"

    __str__ = __repr__


def secret_named(variable: str | None, environ: Mapping[str, str] | None = None) -> Secret | None:
    """The secret in an environment variable; None where there is no variable, or nothing in it."""
    value = (os.environ if environ is None else environ).get(variable or "", "").strip()
    return Secret(str(variable), value) if value else None


def code_of(text: object) -> str:
    """A tool's own code as it may be written down: a short word; anything else may hold a value."""
    word = str(text or "").strip()
    return word if _CODE.fullmatch(word) and not _TELLING.search(word) else ""


def scrubbed(message: object, record: Record, hidden: Iterable[str] = ()) -> str:
    """What a tool said about a record, without values: none at all where a personal field is among them."""
    if any(write.personal for write in record.writes):
        return ""
    text = _QUOTED.sub(_HIDDEN, str(message or ""))
    values = {record.key, *hidden}
    for write in record.writes:
        values |= {write.wanted, write.observed or ""}
    for value in sorted((value for value in values if value.strip()), key=len, reverse=True):
        text = re.sub(re.escape(value), _HIDDEN, text, flags=re.IGNORECASE)
    return _TELLING.sub(_HIDDEN, " ".join(text.split()))[:_LONGEST]
