"""A field that is counted together from rows of another entity: what engagement comes to.

Belongs here: the words of a summary, and the way from its rows to the entity. Does not: counting (`resolve`).
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field as Attr
from pydantic import model_validator

from sor_pipeline.ownership.base import Duration, Name, Noun

PATH_PATTERN = r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*){0,3}$"
RULE = "summary"
"""The rule of a cell that no system says."""


class Aggregate(StrEnum):
    """How many rows become one value; `latest` is the value of the row with the newest `at`."""

    number = "count"
    sum = "sum"
    max = "max"
    min = "min"
    latest = "latest"


class Summary(Noun):
    """The value is counted from canonical rows of another entity that refer to this one.

    Without such rows `count` and `sum` are 0, the others null.
    """

    of: Name = Attr(description="the entity whose rows are counted, e.g. ticket")
    by: str = Attr(
        pattern=PATH_PATTERN,
        description="its ref field that leads here; over other entities: `contact.account`",
    )
    aggregate: Aggregate
    field: Name | None = Attr(
        None, description="of its fields, the one that is added up or compared; `count` takes none"
    )
    times: Name | None = Attr(None, description="sum: a number of the same row to multiply by, e.g. seats")
    where: str | None = Attr(None, description="condition over its fields: only these rows, e.g. `status = 'open'`")
    at: Name | None = Attr(None, description="its date or timestamp; for `latest` and `within`")
    within: Duration | None = Attr(None, description="only rows whose `at` is younger than this when the run is made")

    @property
    def path(self) -> tuple[str, ...]:
        """The ref fields from a row to the entity, in order."""
        return tuple(self.by.split("."))

    @property
    def words(self) -> str:
        """`sum of price times seats of subscription where status = 'active'`."""
        times = f" times {self.times}" if self.times else ""
        what = f"{self.aggregate} of {self.field}{times} of {self.of}" if self.field else f"number of {self.of}"
        where = f" where {self.where}" if self.where else ""
        days = f", {self.at} within {self.within.total_seconds() / 86400:g} days" if self.within else ""
        return f"{what}{where}{days}"

    @property
    def zero(self) -> bool:
        """Whether no row means 0."""
        return self.aggregate in (Aggregate.number, Aggregate.sum)

    @model_validator(mode="after")
    def _says_what_it_needs(self) -> Summary:
        if (self.aggregate is Aggregate.number) != (self.field is None):
            raise ValueError("`count` takes no `field`, every other aggregate needs one")
        if self.times and self.aggregate is not Aggregate.sum:
            raise ValueError("`times` belongs to `sum`")
        needs = self.aggregate is Aggregate.latest or self.within is not None
        if needs and self.at is None:
            raise ValueError("`latest` and `within` need the row's time in `at`")
        if self.at is not None and not needs:
            raise ValueError("`at` belongs to `latest` and `within`")
        return self
