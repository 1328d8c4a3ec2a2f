"""Which expectations the ownership document states about an entity.

Belongs here: the derivation, document to expectations; importable without Great Expectations or a
database, for whoever lists them. Does not: numbers that only the warehouse knows (`bind`), running
them (`validate`, `counted`).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from sor_pipeline.ownership.document import Ownership
from sor_pipeline.ownership.entity import Entity, Field, Severity
from sor_pipeline.ownership.fieldtypes import Stored

VOLUME = "volume"
PLACEHOLDERS = "placeholders"
ROWS_QUERY = "unexpected_rows_expectation"
_ROW_COUNT = "expect_table_row_count_to_be_between"
_REGEX = "expect_column_values_to_match_regex"
_NEVER_REJECTED = ("text", "name")

STANDARD_FORM = {
    "email": r"[^@\s]+@[^@\s]+",
    "phone": r"\+[0-9]{3,15}",
    "url": r"[a-z][a-z0-9+.-]*:\S+",
    "domain": r"[^\s/@]+",
    "country": r"[A-Z]{2}",
    "subdivision": r"[A-Z]{2}-[A-Z0-9]{1,3}",
    "currency": r"[A-Z]{3}",
}
"""What every value of a type looks like at least; narrower truths are stage's to hold."""


_LASTING = {
    _REGEX, "expect_column_values_to_not_match_regex",
    "expect_column_values_to_not_be_null", "expect_column_values_to_be_null",
    "expect_column_values_to_be_in_set", "expect_column_values_to_not_be_in_set",
    "expect_column_values_to_be_between", "expect_column_values_to_be_unique",
}  # fmt: skip
_LASTING_WORDS = {"column", "regex", "value_set", "min_value", "max_value", "strict_min", "strict_max"}


@dataclass(frozen=True)
class Expected:
    """One expectation of an entity.

    `name` is unique in the entity and stable; `field` is empty where it is about whole rows or the
    table. `type` is the name by which Great Expectations knows it, empty where this package counts
    itself; `where` is its path in the document.
    """

    entity: str
    name: str
    field: str
    rule: str
    severity: Severity
    description: str
    where: str
    type: str = ""
    arguments: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Changes when the expectation is declared differently: a reason to check again."""
        words = [self.name, self.severity, self.type, self.arguments]
        return hashlib.sha256(json.dumps(words, sort_keys=True, default=str).encode()).hexdigest()[:16]


def lasting(expected: Expected) -> bool:
    """Whether its failing rows are those of one query, whatever the rows hold, and it passes where there are none.

    Not so with `mostly`, a row condition, or bounds that are computed from the rows themselves.
    """
    return expected.type == ROWS_QUERY or (expected.type in _LASTING and expected.arguments.keys() <= _LASTING_WORDS)


def expectations(ownership: Ownership, entity: str) -> tuple[Expected, ...]:
    """All expectations of the entity: of its fields, of its volume, of its sources, and the user's own."""
    kind = ownership.entities[entity]
    found: list[Expected] = []
    for name, spec in kind.fields.items():
        found += _of_field(entity, name, spec)
        if spec.type not in _NEVER_REJECTED and ownership.mapping_systems(entity, name):
            found.append(_rejected(entity, name))
    found.append(_placeholders(entity))
    found.append(_volume(entity, kind))
    found += _freshness(ownership, entity)
    found += _own(entity, kind)
    return tuple(_named_apart(found))


def _of_field(entity: str, name: str, spec: Field) -> Iterator[Expected]:
    def derived(rule: str, severity: Severity, words: str, kind: str, **arguments: Any) -> Expected:
        where = f"entities.{entity}.fields.{name}"
        if kind != ROWS_QUERY:
            arguments["column"] = name
        return Expected(entity, f"{name}.{rule}", name, rule, severity, f"{name} {words}", where, kind, arguments)

    severity = spec.severity
    if spec.required:
        yield derived("required", severity.required, "is never empty", "expect_column_values_to_not_be_null")
    if spec.unique:
        yield derived("unique", severity.unique, "is unique", "expect_column_values_to_be_unique")
    if spec.type in STANDARD_FORM:
        words = f"is a well-formed {spec.type}"
        yield derived("type", Severity.warn, words, _REGEX, regex=whole(STANDARD_FORM[spec.type]))
    if spec.type == "choice" and isinstance(spec.of, tuple):
        words = f"is one of {', '.join(spec.of)}"
        yield derived("of", severity.of, words, "expect_column_values_to_be_in_set", value_set=list(spec.of))
    if spec.pattern is not None:
        yield derived("pattern", severity.pattern, f"matches {spec.pattern}", _REGEX, regex=whole(spec.pattern))
    if spec.kind.stored in (Stored.decimal, Stored.integer) and (spec.min is not None or spec.max is not None):
        bounds = {"min_value": _number(spec.min), "max_value": _number(spec.max)}
        yield derived("range", severity.range, _range_words(spec), "expect_column_values_to_be_between", **bounds)
    if spec.to is not None:
        yield derived("ref", severity.ref, f"refers to a live {spec.to}", ROWS_QUERY, to=spec.to)


def whole(pattern: str) -> str:
    """Anchored, so that it means the same where `~` matches the whole value and where it searches."""
    return f"^(?:{pattern})$"


def _number(bound: float | None) -> float | int | None:
    return int(bound) if bound is not None and bound.is_integer() else bound


def _range_words(spec: Field) -> str:
    least = f"at least {_number(spec.min)}" if spec.min is not None else ""
    most = f"at most {_number(spec.max)}" if spec.max is not None else ""
    return f"is {' and '.join(filter(None, (least, most)))}"


def _rejected(entity: str, name: str) -> Expected:
    words = f"every delivered {name} can be read"
    return Expected(
        entity, f"{name}.rejected", name, "rejected", Severity.warn, words, f"entities.{entity}.fields.{name}"
    )


def _placeholders(entity: str) -> Expected:
    """One for all fields: they stay until somebody cleans them up, and one lasting warning is enough."""
    words = f"no claim about {entity} is a placeholder"
    return Expected(entity, PLACEHOLDERS, "", PLACEHOLDERS, Severity.warn, words, f"entities.{entity}.fields")


def _volume(entity: str, kind: Entity) -> Expected:
    words = f"the number of rows is within {kind.max_drift:.0%} of the published one"
    where, arguments = f"entities.{entity}.max_drift", {"max_drift": kind.max_drift}
    return Expected(entity, VOLUME, "", VOLUME, kind.drift_severity, words, where, _ROW_COUNT, arguments)


def _freshness(ownership: Ownership, entity: str) -> Iterator[Expected]:
    for name, source in ownership.sources_of(entity).items():
        if source.extract.every is not None:
            words, where = f"{name} delivers every {_span(source.extract.every)}", f"sources.{name}.extract.every"
            arguments = {"source": name, "seconds": int(source.extract.every.total_seconds())}
            yield Expected(entity, f"freshness.{name}", "", "freshness", Severity.warn, words, where, "", arguments)


def _span(every: timedelta) -> str:
    seconds = int(every.total_seconds())
    unit, length = next(((u, n) for u, n in (("day", 86400), ("hour", 3600)) if seconds % n == 0), ("minute", 60))
    count = seconds // length
    return unit if count == 1 else f"{count} {unit}s"


def _own(entity: str, kind: Entity) -> Iterator[Expected]:
    for position, own in enumerate(kind.expectations):
        name = f"{own.field}.{own.expect}" if own.field else own.expect
        words = own.description or f"{own.field or entity}: {own.expect.replace('_', ' ')}"
        arguments = {**({"column": own.field} if own.field else {}), **own.arguments}
        where = f"entities.{entity}.expectations.{position}"
        yield Expected(entity, name, own.field or "", "own", own.severity, words, where, own.expect, arguments)


def _named_apart(found: list[Expected]) -> Iterator[Expected]:
    """The second of the same name is `<name>.2`, and so on."""
    seen: Counter[str] = Counter()
    for expected in found:
        seen[expected.name] += 1
        count = seen[expected.name]
        yield replace(expected, name=f"{expected.name}.{count}") if count > 1 else expected
