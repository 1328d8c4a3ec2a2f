"""The catalogue of field types: what each is stored as and how it compares.

Belongs here: facts about a type that several steps need.
Does not: the conversion of raw text into a type (`stage`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Stored(StrEnum):
    """The column type that a field's value has in every table."""

    text = "text"
    decimal = "decimal"
    integer = "integer"
    boolean = "boolean"
    date = "date"
    timestamp = "timestamp"  # UTC, without zone


@dataclass(frozen=True)
class FieldType:
    """`folds`: the comparable form differs from the value, so stage keeps it beside it."""

    name: str
    stored: Stored
    folds: bool
    meaning: str


CATALOGUE: dict[str, FieldType] = {
    kind.name: kind
    for kind in (
        FieldType("text", Stored.text, True, "any text; compares without case and repeated space"),
        FieldType("name", Stored.text, True, "a person's or company's name; compares without case, accents, space"),
        FieldType("email", Stored.text, False, "one mailbox, lower case"),
        FieldType("phone", Stored.text, False, "E.164 (ITU-T), as +13155550123"),
        FieldType("url", Stored.text, False, "absolute URL, scheme and host lower case"),
        FieldType("domain", Stored.text, False, "host name, lower case, without www."),
        FieldType("country", Stored.text, False, "ISO 3166-1 alpha-2"),
        FieldType("subdivision", Stored.text, False, "ISO 3166-2, as US-NY"),
        FieldType("postal_code", Stored.text, False, "upper case, single spaces"),
        FieldType("currency", Stored.text, False, "ISO 4217 alphabetic"),
        FieldType("decimal", Stored.decimal, False, "exact decimal of `scale` digits"),
        FieldType("integer", Stored.integer, False, "64-bit whole number"),
        FieldType("boolean", Stored.boolean, False, "true or false"),
        FieldType("date", Stored.date, False, "calendar day"),
        FieldType("timestamp", Stored.timestamp, False, "instant, kept in UTC"),
        FieldType("choice", Stored.text, False, "one of the listed codes"),
        FieldType("json", Stored.text, False, "JSON, keys sorted, no spaces"),
        FieldType("ref", Stored.text, False, "entity_id of another entity"),
        FieldType("list", Stored.text, False, "JSON array of distinct sorted values of the type in `of`"),
    )
}
