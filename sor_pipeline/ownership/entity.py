"""A kind of thing, its groups and its fields.

Belongs here: what a canonical attribute is. Where its values come from is `source`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Tag, model_validator
from pydantic import Field as Attr

from sor_pipeline.ownership.base import Name, Noun
from sor_pipeline.ownership.fieldtypes import CATALOGUE, FieldType
from sor_pipeline.ownership.matching import Match
from sor_pipeline.ownership.rules import Blank, Ruled, Take
from sor_pipeline.ownership.summary import Summary

TypeName = Literal[
    "text", "name", "email", "phone", "url", "domain", "country", "subdivision", "postal_code", "currency",
    "decimal", "integer", "boolean", "date", "timestamp", "choice", "json", "ref", "list",
]  # fmt: skip


Of = Annotated[
    Annotated[tuple[str, ...], Tag("[codes]")] | Annotated[TypeName, Tag("[type]")],
    Discriminator(lambda value: "[type]" if isinstance(value, str) else "[codes]"),
]


class Severity(StrEnum):
    """`warn` publishes and reports; `hold` keeps the last good value; `block` publishes nothing."""

    warn = "warn"
    hold = "hold"
    block = "block"


class Expectation(Noun):
    """Any Great Expectations expectation by its own name, e.g. `expect_column_values_to_match_regex`."""

    expect: str
    field: Name | None = Attr(None, description="the column, where the expectation takes one")
    arguments: dict[str, Any] = Attr(default_factory=dict, alias="with")
    severity: Severity = Severity.warn
    description: str = ""


class Severities(Noun):
    """Severity of each expectation that is derived from a field's own declaration."""

    required: Severity = Severity.warn
    unique: Severity = Severity.warn
    of: Severity = Severity.hold
    pattern: Severity = Severity.hold
    range: Severity = Severity.hold
    ref: Severity = Severity.warn


class Field(Ruled):
    """One canonical attribute."""

    type: TypeName = "text"
    title: str = ""
    description: str = ""
    personal: bool = Attr(False, description="values never appear in messages, metadata or findings")
    required: bool = False
    unique: bool = False
    group: Name | None = None

    of: Of | None = Attr(None, description="choice: the codes; list: the type of its items")
    to: Name | None = Attr(None, description="ref: the entity referred to")
    region: str | None = Attr(
        None, pattern="^[A-Z]{2}$", description="phone, subdivision: country assumed where none is written"
    )
    scale: int = Attr(2, ge=0, le=9, description="decimal: digits after the point")
    tolerance: float = Attr(0.0, ge=0, description="numbers this close do not conflict")
    min: float | None = None
    max: float | None = None
    pattern: str | None = Attr(None, description="regular expression that the whole value must match")

    take: Take | None = Attr(None, description="instead of `owner`, for a field that nobody masters")
    among: tuple[Name, ...] = Attr((), description="systems that `take` chooses from; default: all that map the field")
    summary: Summary | None = Attr(
        None, description="instead of `owner`: counted together from rows of another entity; no system says it"
    )
    blank: Blank = Blank.clears
    placeholders: tuple[str, ...] = Attr((), description="texts that mean nothing here, besides those of the type")
    reflect_in: tuple[Name, ...] = Attr(
        (), description="systems that show the value read-only: they take corrections of it and never speak for it"
    )
    severity: Severities = Severities()

    @property
    def kind(self) -> FieldType:
        return CATALOGUE[self.type]

    @model_validator(mode="after")
    def _type_has_what_it_needs(self) -> Field:
        if self.type == "choice" and not (isinstance(self.of, tuple) and self.of):
            raise ValueError("a choice needs its codes in `of: [...]`")
        if self.type == "ref" and self.to is None:
            raise ValueError("a ref needs the entity it refers to in `to: ...`")
        if self.type == "list" and not isinstance(self.of, str):
            raise ValueError("a list needs the type of its items in `of: ...`")
        return self


class Group(Ruled):
    """Fields taken from one record in lock-step, such as an address."""

    title: str = ""
    description: str = ""


class Entity(Noun):
    """A kind of thing: contact, account, deal."""

    owner: Name = Attr(description="system of record of every field that does not say otherwise")
    title: str = ""
    description: str = ""
    steward: str | None = Attr(None, description="who decides what no rule can")
    match: tuple[Match, ...] = ()
    groups: dict[Name, Group] = Attr(default_factory=dict)
    fields: dict[Name, Field] = Attr(min_length=1)
    expectations: tuple[Expectation, ...] = ()
    max_drift: float = Attr(0.5, gt=0, description="share by which the number of rows may change between publications")
    drift_severity: Severity = Severity.warn
    max_size: int = Attr(50, ge=2, description="records in one cluster at most; what would be larger becomes a case")
    max_churn: float = Attr(
        0.01, ge=0, le=1, description="share of the existing ids that one publication may retire or re-key unaccepted"
    )
