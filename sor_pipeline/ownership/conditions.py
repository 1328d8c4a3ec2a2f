"""The tree of a checked condition, and its two meanings: a SQL clause and a verdict on plain values.

Belongs here: the nodes, both translations, and nothing else; parsing and checking is `expressions`.
Both follow SQL's three-valued logic: a comparison with null is unknown.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Protocol

import sqlalchemy as sa

from sor_pipeline.ownership.fieldtypes import Stored

Value = str | int | Decimal | bool | date | datetime
Columns = Mapping[str, sa.ColumnElement[Any]]
Values = Mapping[str, object]

COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class Operand(Protocol):
    """A field or a literal."""

    def element(self, columns: Columns, /) -> sa.ColumnElement[Any]: ...
    def value(self, values: Values, /) -> object: ...


class Test(Protocol):
    """A condition or part of one."""

    def clause(self, columns: Columns, /) -> sa.ColumnElement[bool]: ...
    def verdict(self, values: Values, /) -> bool | None: ...


@dataclass(frozen=True)
class Reads:
    """The value of a field."""

    field: str

    def element(self, columns: Columns) -> sa.ColumnElement[Any]:
        return columns[self.field]

    def value(self, values: Values) -> object:
        return values.get(self.field)


@dataclass(frozen=True)
class Literal:
    """A value written in the condition, already of the type that it is compared with."""

    literal: Value
    stored: Stored

    def element(self, _: Columns) -> sa.ColumnElement[Any]:
        if self.stored is Stored.boolean:
            return sa.true() if self.literal else sa.false()
        if self.stored is Stored.date:  # cast: a date loses its type where the clause is rendered for another engine
            return sa.cast(sa.literal(self.literal, sa.Date()), sa.Date())
        if self.stored is Stored.timestamp:
            return sa.cast(sa.literal(self.literal, sa.DateTime()), sa.DateTime())
        if isinstance(self.literal, Decimal):
            return sa.literal(self.literal, sa.Numeric())
        return sa.literal(self.literal, sa.BigInteger() if isinstance(self.literal, int) else sa.Text())

    def value(self, _: Values) -> object:
        return self.literal


@dataclass(frozen=True)
class Compare:
    """`left operator right`, both of one type."""

    comparison: str
    left: Operand
    right: Operand

    def clause(self, columns: Columns) -> sa.ColumnElement[bool]:
        result = COMPARISONS[self.comparison](self.left.element(columns), self.right.element(columns))
        return sa.type_coerce(result, sa.Boolean())

    def verdict(self, values: Values) -> bool | None:
        left, right = self.left.value(values), self.right.value(values)
        return None if left is None or right is None else bool(COMPARISONS[self.comparison](left, right))


@dataclass(frozen=True)
class OneOf:
    """`operand in (literals)`."""

    operand: Operand
    choices: tuple[Literal, ...]

    def clause(self, columns: Columns) -> sa.ColumnElement[bool]:
        return self.operand.element(columns).in_([choice.element(columns) for choice in self.choices])

    def verdict(self, values: Values) -> bool | None:
        value = self.operand.value(values)
        return None if value is None else any(value == choice.literal for choice in self.choices)


@dataclass(frozen=True)
class Like:
    """`operand like pattern`: `%` any text, `_` any character; case counts."""

    operand: Operand
    pattern: str

    def clause(self, columns: Columns) -> sa.ColumnElement[bool]:
        return self.operand.element(columns).like(sa.literal(self.pattern, sa.Text()))

    def verdict(self, values: Values) -> bool | None:
        value = self.operand.value(values)
        if value is None:
            return None
        parts = {"%": ".*", "_": "."}
        expression = "".join(parts.get(letter, re.escape(letter)) for letter in self.pattern)
        return re.fullmatch(expression, str(value), re.DOTALL) is not None


@dataclass(frozen=True)
class IsNull:
    """`operand is null`: never unknown."""

    operand: Operand

    def clause(self, columns: Columns) -> sa.ColumnElement[bool]:
        return self.operand.element(columns).is_(None)

    def verdict(self, values: Values) -> bool | None:
        return self.operand.value(values) is None


@dataclass(frozen=True)
class Always:
    """`true` or `false` alone."""

    holds: bool

    def clause(self, _: Columns) -> sa.ColumnElement[bool]:
        return sa.true() if self.holds else sa.false()

    def verdict(self, _: Values) -> bool | None:
        return self.holds


@dataclass(frozen=True)
class Not:
    """The contrary; of unknown, unknown."""

    test: Test

    def clause(self, columns: Columns) -> sa.ColumnElement[bool]:
        return sa.not_(self.test.clause(columns))

    def verdict(self, values: Values) -> bool | None:
        verdict = self.test.verdict(values)
        return None if verdict is None else not verdict


@dataclass(frozen=True)
class AllOf:
    """`and`: false if one is false, else unknown if one is unknown."""

    tests: tuple[Test, ...]

    def clause(self, columns: Columns) -> sa.ColumnElement[bool]:
        return sa.and_(*(test.clause(columns) for test in self.tests))

    def verdict(self, values: Values) -> bool | None:
        verdicts = [test.verdict(values) for test in self.tests]
        return False if False in verdicts else None if None in verdicts else True


@dataclass(frozen=True)
class AnyOf:
    """`or`: true if one is true, else unknown if one is unknown."""

    tests: tuple[Test, ...]

    def clause(self, columns: Columns) -> sa.ColumnElement[bool]:
        return sa.or_(*(test.clause(columns) for test in self.tests))

    def verdict(self, values: Values) -> bool | None:
        verdicts = [test.verdict(values) for test in self.tests]
        return True if True in verdicts else None if None in verdicts else False
