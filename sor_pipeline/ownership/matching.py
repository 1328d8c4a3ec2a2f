"""Which records are the same entity: the words of the matching rules.

Belongs here: rules that name fields and sources. Does not: what a rule makes of records (`identify`).
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Discriminator, Tag, model_validator
from pydantic import Field as Attr

from sor_pipeline.ownership.base import Name, Noun


class Same(Noun):
    """Records whose comparable forms of all these fields are equal are one entity."""

    same: tuple[Name, ...] = Attr(min_length=1)
    max_records: int = Attr(20, ge=2, description="a value shared by more records of one system than this links nobody")


class Linked(Noun):
    """One system stores another's key: `{zendesk.users.external_id: hubspot.contacts}`."""

    linked: dict[str, str] = Attr(min_length=1, description="source.column: source whose key it holds")


class Meaning(StrEnum):
    """What a field's values are, where its type and its name do not tell."""

    given = "given"
    family = "family"
    person = "person"
    company = "company"
    street = "street"
    city = "city"
    text = "text"
    exact = "exact"


class Compared(Noun):
    """How one field of a similarity rule is compared: `{headline: {as: company}}`."""

    meaning: Meaning | None = Attr(None, alias="as", description="what its values are; default: by its type and name")
    common: bool = Attr(True, description="whether agreeing on a frequent value says less than on a rare one")


Details = Annotated[
    Annotated[tuple[Name, ...], Tag("[fields]")] | Annotated[Compared, Tag("[compared]")],
    Discriminator(lambda value: "[fields]" if isinstance(value, (list, tuple)) else "[compared]"),
]
Item = Annotated[
    Annotated[Name, Tag("[field]")] | Annotated[dict[Name, Details], Attr(min_length=1), Tag("[detailed]")],
    Discriminator(lambda value: "[detailed]" if isinstance(value, dict) else "[field]"),
]


class Similar(Noun):
    """Records that are probably one entity: `similar: [first_name, last_name, {address: [street, city]}]`."""

    similar: tuple[Item, ...] = Attr(min_length=1, description="fields, groups, or `{label: [fields of one address]}`")
    review: float = Attr(0.7, gt=0, lt=1, description="probability from which a pair becomes a case")
    accept: float = Attr(0.95, gt=0, lt=1, description="probability from which a pair links")
    block: tuple[tuple[Name, ...], ...] = Attr(
        (), description="records are compared where all fields of one of these lists are equal; default: by the fields"
    )
    max_records: int = Attr(
        50, ge=2, le=1000, description="records that share something with more others than this are not compared by it"
    )

    @model_validator(mode="after")
    def _review_before_accept(self) -> Similar:
        if self.review >= self.accept:
            raise ValueError("expected `review` below `accept`: a pair that links needs no review")
        return self

    def items(self) -> Iterator[tuple[str, tuple[Name, ...] | None, Compared]]:
        """What is compared: a name, the fields that it stands for where they are listed, and how."""
        for item in self.similar:
            if isinstance(item, str):
                yield item, None, Compared()
                continue
            for name, detail in item.items():
                yield (name, None, detail) if isinstance(detail, Compared) else (name, detail, Compared())


def _branch(rule: Any) -> str | None:
    """Which rule is meant, so that a fault in it is told once, of that rule."""
    if isinstance(rule, (Same, Linked, Similar)):
        return f"[{type(rule).__name__.lower()}]"
    if not isinstance(rule, dict):
        return None
    return next((f"[{word}]" for word in ("linked", "similar") if word in rule), "[same]")


Match = Annotated[
    Annotated[Same, Tag("[same]")] | Annotated[Linked, Tag("[linked]")] | Annotated[Similar, Tag("[similar]")],
    Discriminator(_branch),
]
