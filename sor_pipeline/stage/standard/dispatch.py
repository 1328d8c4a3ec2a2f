"""From a field's type to its reader.

Belongs here: the choice, and which field an item of a list would be.
"""

from __future__ import annotations

from collections.abc import Callable

import polars as pl

from sor_pipeline.ownership.entity import Field
from sor_pipeline.ownership.source import Mapping
from sor_pipeline.stage.standard import codes, mailbox, nested, numbers, phone, places, times, web, words
from sor_pipeline.stage.standard.nested import Items
from sor_pipeline.stage.standard.result import Standard, accepted

_BY_TEXT: dict[str, Callable[[pl.Series], Standard]] = {
    "text": words.texts,
    "name": words.names,
    "email": mailbox.emails,
    "url": web.urls,
    "domain": web.domains,
    "country": places.countries,
    "postal_code": places.postal_codes,
    "currency": places.currencies,
    "json": nested.documents,
    "ref": lambda raw: accepted(raw, raw, "not-a-key"),
}
"""Types that the text alone decides."""
_BY_DECLARATION: dict[str, Callable[[pl.Series, Field, Mapping], Standard]] = {
    "phone": lambda raw, field, _: phone.phones(raw, field.region),
    "decimal": lambda raw, field, mapping: numbers.decimals(raw, field.scale, mapping),
    "integer": lambda raw, _, mapping: numbers.integers(raw, mapping),
    "boolean": lambda raw, _, mapping: codes.booleans(raw, mapping),
    "date": lambda raw, _, mapping: times.dates(raw, mapping.format, mapping.zone),
    "timestamp": lambda raw, _, mapping: times.timestamps(raw, mapping.format, mapping.zone),
    "choice": lambda raw, field, _: codes.choices(raw, field.of if isinstance(field.of, tuple) else ()),
}
"""Types that also need what the field or its mapping declares."""


def standardise(
    raw: pl.Series, field: Field, mapping: Mapping, *, countries: pl.Series | None = None, items: Items | None = None
) -> Standard:
    """Read texts as the field's type.

    `countries`: per text, the country of its row (subdivision). `items`: reads the items of a list.
    """
    if field.type in _BY_TEXT:
        return _BY_TEXT[field.type](raw)
    if field.type in _BY_DECLARATION:
        return _BY_DECLARATION[field.type](raw, field, mapping)
    if field.type == "subdivision":
        return places.subdivisions(raw, field.region, countries)
    if items is None:
        raise TypeError(f"a {field.type} is read item by item")
    return nested.lists(raw, mapping.separator_in, item_of(field).kind.stored, items)


def item_of(field: Field) -> Field:
    """The field that one item of a list would be: codes of a choice come from the mapping, a list in a list is JSON."""
    kind = field.of if isinstance(field.of, str) else "text"
    plain = {"choice": "text", "list": "json"}.get(kind, kind)
    return field.model_copy(update={"type": plain, "of": None})
