"""From a field's type to its reader.

Belongs here: the choice, and the reading of list items by their own type.
"""

from __future__ import annotations

import polars as pl

from sor_pipeline.ownership.entity import Field
from sor_pipeline.ownership.source import Mapping
from sor_pipeline.stage.standard import codes, mailbox, nested, numbers, phone, places, times, web, words
from sor_pipeline.stage.standard.nested import Items
from sor_pipeline.stage.standard.result import Standard, accepted


def standardise(
    raw: pl.Series, field: Field, mapping: Mapping, *, countries: pl.Series | None = None, items: Items | None = None
) -> Standard:
    """Read texts as the field's type.

    `countries`: per text, the country of its row (subdivision). `items`: reads the items of a list.
    """
    match field.type:
        case "text":
            return words.texts(raw)
        case "name":
            return words.names(raw)
        case "email":
            return mailbox.emails(raw)
        case "phone":
            return phone.phones(raw, field.region)
        case "url":
            return web.urls(raw)
        case "domain":
            return web.domains(raw)
        case "country":
            return places.countries(raw)
        case "subdivision":
            return places.subdivisions(raw, field.region, countries)
        case "postal_code":
            return places.postal_codes(raw)
        case "currency":
            return places.currencies(raw)
        case "decimal":
            return numbers.decimals(raw, field.scale, mapping)
        case "integer":
            return numbers.integers(raw, mapping)
        case "boolean":
            return codes.booleans(raw, mapping)
        case "date":
            return times.dates(raw, mapping.format, mapping.zone)
        case "timestamp":
            return times.timestamps(raw, mapping.format, mapping.zone)
        case "choice":
            return codes.choices(raw, field.of if isinstance(field.of, tuple) else ())
        case "json":
            return nested.documents(raw)
        case "ref":
            return accepted(raw, raw, "not-a-key")
        case "list" if items is not None:
            return nested.lists(raw, mapping.separator_in, item_of(field).kind.stored, items)
        case _:
            return accepted(raw, pl.repeat(None, len(raw), dtype=pl.String, eager=True), "list-in-a-list")


def item_of(field: Field) -> Field:
    """The field that one item of a list would be; codes of a choice come from the mapping."""
    kind = field.of if isinstance(field.of, str) else "text"
    return field.model_copy(update={"type": "text" if kind == "choice" else kind, "of": None})
