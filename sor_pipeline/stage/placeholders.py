"""Texts that stand where a value should be and mean nothing.

Belongs here: the built-in lists per field type, and which texts a field takes for placeholders.
Does not: what a placeholder does to a claim (`fold`). Lists leave out words that are real values of
the type: `NA` is a country and a family name, `none` can be a choice.
"""

from __future__ import annotations

from sor_pipeline.ownership.document import Ownership
from sor_pipeline.ownership.entity import Field
from sor_pipeline.stage.standard.words import fold

_MARKS = (
    "-",
    "--",
    "---",
    ".",
    "..",
    "...",
    "?",
    "??",
    "???",
    "_",
    "*",
    "**",
    "***",
    "/",
    "n/a",
    "n.a.",
    "#n/a",
    "#null!",
)
_WORDS = (
    "unknown",
    "undefined",
    "not provided",
    "[not provided]",
    "(not set)",
    "not set",
    "not available",
    "tbd",
    "tba",
    "(blank)",
    "(none)",
)
_NULLS = ("null", "none", "nil", "nan", "na", "<null>", "\\n")
_GENERAL = (*_MARKS, *_WORDS)
_NOBODY = (
    "test",
    "testing",
    "test test",
    "dummy",
    "asdf",
    "xxx",
    "xxxx",
    "first name",
    "last name",
    "firstname",
    "lastname",
    "no name",
    "noname",
)
_MAILBOXES = (
    "test@test.com",
    "test@test.test",
    "test@example.com",
    "test@example.org",
    "asdf@asdf.com",
    "none@none.com",
    "noemail@noemail.com",
    "no@email.com",
    "noemail@example.com",
    "no-email@example.com",
    "no@no.com",
    "na@na.com",
    "unknown@unknown.com",
    "example@example.com",
)
_DAYS = ("0000-00-00", "0001-01-01", "1900-01-01", "9999-12-31", "00/00/0000")
_MIDNIGHTS = tuple(f"{day}{mark}00:00:00" for day in _DAYS for mark in "T ")

BUILT_IN: dict[str, tuple[str, ...]] = {
    "text": (*_GENERAL, *_NULLS),
    "name": (*_GENERAL, *_NOBODY, "<null>"),
    "email": (*_GENERAL, *_NULLS, *_MAILBOXES, "test", "no email", "noemail"),
    "phone": (
        *_GENERAL,
        *_NULLS,
        *(digit * n for digit in "0123456789" for n in range(5, 13)),
        "0",
        "123456789",
        "1234567890",
    ),
    "url": (*_GENERAL, *_NULLS, "http://", "https://", "http://www", "www"),
    "domain": (*_GENERAL, *_NULLS, "example.com", "test.com", "none.com"),
    "country": (*_GENERAL, "null", "none", "xx", "zz", "international"),
    "subdivision": (*_GENERAL, "null", "none", "xx", "other"),
    "postal_code": (*_GENERAL, *_NULLS, "0", "0000", "00000", "00000-0000", "99999", "xxxxx"),
    "currency": (*_GENERAL, *_NULLS, "xxx"),
    "decimal": (*_GENERAL, *_NULLS),
    "integer": (*_GENERAL, *_NULLS),
    "boolean": (*_GENERAL, *_NULLS),
    "date": (*_GENERAL, *_NULLS, *_DAYS, *_MIDNIGHTS),
    "timestamp": (*_GENERAL, *_NULLS, *_DAYS, *_MIDNIGHTS),
    "choice": (*_MARKS, "#null!", "null", "nan"),
    "json": ("null",),
    "ref": (*_GENERAL, "null", "none"),
    "list": (*_GENERAL, *_NULLS),
}
"""Per field type, as a person would write them; they are compared by comparable form."""


def placeholders(ownership: Ownership, field: Field) -> frozenset[str]:
    """Comparable forms of all texts that mean nothing in this field: built in, the document's, its own.

    A code that the field lists is a value, unless the field itself says otherwise.
    """
    listed = (*BUILT_IN[field.type], *ownership.placeholders.get(field.type, ()))
    codes = field.of if isinstance(field.of, tuple) else ()
    return frozenset(map(fold, listed)) - frozenset(map(fold, codes)) | frozenset(map(fold, field.placeholders))
