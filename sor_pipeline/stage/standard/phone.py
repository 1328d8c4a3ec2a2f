"""Telephone numbers: E.164, by the numbering plans that `phonenumbers` knows.

Belongs here: numbers that some plan allows. An extension is not part of E.164 and is left out.
"""

from __future__ import annotations

import phonenumbers
import polars as pl

from sor_pipeline.stage.standard.result import Standard, UnreadableError, over_distinct


def phones(raw: pl.Series, region: str | None) -> Standard:
    """`region`: country assumed where the number names none."""
    return over_distinct(raw, lambda text: _phone(text, region), pl.String)


def _phone(text: str, region: str | None) -> str:
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException as error:
        no_country = error.error_type == phonenumbers.NumberParseException.INVALID_COUNTRY_CODE
        raise UnreadableError("phone-without-country" if no_country and region is None else "not-a-phone") from None
    if not phonenumbers.is_valid_number(number):
        raise UnreadableError("phone-not-valid")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
