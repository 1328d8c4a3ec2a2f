"""The `when` language: text to a checked condition.

Belongs here: parsing (SQLGlot), the whitelist, the check of names and types.
Does not: what a condition means in SQL or on plain values (`conditions`).

The language: fields of the entity; 'text', numbers, true, false; dates and times as text;
`= != < <= > >=`, `in (...)`, `between`, `like`, `is null`, and `and or not ( )`. Text has no
order here, because engines disagree about it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NoReturn

import sqlalchemy as sa
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.parser import Parser
from sqlglot.tokenizer_core import Token, TokenType
from sqlglot.tokens import Tokenizer

from sor_pipeline.errors import Fault, OwnershipError
from sor_pipeline.ownership.conditions import (
    AllOf,
    Always,
    AnyOf,
    Columns,
    Compare,
    IsNull,
    Like,
    Literal,
    Not,
    OneOf,
    Reads,
    Test,
    Value,
    Values,
)
from sor_pipeline.ownership.entity import Field
from sor_pipeline.ownership.fieldtypes import Stored
from sor_pipeline.ownership.literals import EXPECTED, NUMBER, SPELLING, day, instant
from sor_pipeline.ownership.suggest import did_you_mean, one_of, shown

MAX_LENGTH = 2000
_LANGUAGE = "fields, literals, = != < <= > >=, in, between, like, is null, and, or, not"
_WORDS = frozenset({"and", "or", "not", "in", "is", "null", "like", "between", "true", "false"})
_COMPARISONS: dict[type[exp.Expr], str] = {
    exp.EQ: "=", exp.NEQ: "!=", exp.LT: "<", exp.LTE: "<=", exp.GT: ">", exp.GTE: ">=",
}  # fmt: skip
_MIRRORED = {"=": "=", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_ARGUMENTS: dict[type[exp.Expr], set[str]] = {
    exp.In: {"this", "expressions"}, exp.Between: {"this", "low", "high"}, exp.Like: {"this", "expression", "negate"},
}  # fmt: skip
_NUMERIC = (Stored.integer, Stored.decimal)


@dataclass(frozen=True)
class Condition:
    """A checked condition over one entity's fields: `text` as written, `fields` that it reads."""

    text: str
    fields: frozenset[str]
    test: Test

    def to_clause(self, columns: Columns) -> sa.ColumnElement[bool]:
        """The condition over these columns (field name -> column of its stored type); true or false, never null."""
        return sa.func.coalesce(self.test.clause(columns), sa.false())

    def holds(self, values: Values) -> bool:
        """The condition over plain values of the stored types; a field that is absent is null."""
        return self.test.verdict(values) is True

    @property
    def constant(self) -> bool | None:
        """True or False where the condition is that, whatever the values; None where they matter."""
        return None if self.fields else self.test.verdict({})


def parse(text: str, fields: Mapping[str, Field], where: str = "") -> Condition:
    """The condition that `text` says about an entity's `fields`.

    Raises OwnershipError (condition-syntax, condition-not-allowed, condition-unknown-field, condition-type).
    """
    reading = _Reading(text, fields, where)
    return Condition(text.strip(), *reading.read())


class _Reading:
    def __init__(self, text: str, fields: Mapping[str, Field], where: str) -> None:
        self.text, self.fields, self.where = text, fields, where
        self.reads: set[str] = set()

    def read(self) -> tuple[frozenset[str], Test]:
        if len(self.text) > MAX_LENGTH:
            self.refuse(
                "condition-syntax",
                "the condition is too long",
                f"{len(self.text):,} characters",
                f"at most {MAX_LENGTH:,}",
            )
        try:
            parsed = Parser().parse(self.tokens(), self.text)
            if len(parsed) != 1 or parsed[0] is None:
                found = "nothing" if not self.text.strip() else shown(self.text)
                self.refuse("condition-syntax", "not one condition", found, "one condition, as in `country = 'DE'`")
            test = self.test(parsed[0])
        except RecursionError:
            self.refuse("condition-syntax", "nested too deeply", shown(self.text), "fewer parentheses")
        except SqlglotError as error:
            reason = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).split("\n")[0][:120]
            todo = "text is written in single quotes, as in 'DE'"
            self.refuse(
                "condition-syntax", "the condition cannot be read", f"{shown(self.text)}: {reason}", _LANGUAGE, todo
            )
        return frozenset(self.reads), test

    def refuse(self, code: str, what: str, found: str = "", expected: str = "", todo: str = "") -> NoReturn:
        raise OwnershipError(Fault(code, self.where, what, found, expected, todo))

    def tokens(self) -> list[Token]:
        """SQLGlot's tokens, fields marked as names so that `order` or `date` may be one."""
        marked = []
        for token in Tokenizer().tokenize(self.text):
            named = token.text in self.fields and token.text not in _WORDS
            if named and token.token_type not in (TokenType.STRING, TokenType.NUMBER):
                name = Token(TokenType.IDENTIFIER, token.text, token.line, token.col, token.start, token.end)
                marked.append(name)
            else:
                marked.append(token)
        return marked

    def test(self, node: Any) -> Test:  # noqa: RET503 - the last line never returns
        kind = type(node)
        known = _ARGUMENTS.get(kind)
        if known is not None and {name for name, value in node.args.items() if value} - known:
            self.not_allowed(node)
        if kind is exp.Paren:
            return self.test(node.this)
        if kind in (exp.And, exp.Or):
            tests = tuple(self.test(part) for part in node.flatten())
            return AllOf(tests) if kind is exp.And else AnyOf(tests)
        if kind is exp.Not:
            return Not(self.test(node.this))
        if kind is exp.Boolean:
            return Always(bool(node.this))
        if kind is exp.Column:
            return self.flag(node)
        if kind in _COMPARISONS:
            return self.compare(_COMPARISONS[kind], node.this, node.expression)
        if kind is exp.Between:
            return AllOf(
                (self.compare(">=", node.this, node.args["low"]), self.compare("<=", node.this, node.args["high"]))
            )
        if kind is exp.In:
            return self.one_of(node)
        if kind is exp.Is and type(node.expression) is exp.Null:
            return IsNull(Reads(self.name(node.this)))
        if kind is exp.Like:
            return self.like(node)
        self.not_allowed(node)

    def not_allowed(self, node: Any) -> NoReturn:
        what = "the condition uses something that the language does not have"
        self.refuse(
            "condition-not-allowed", what, _sql(node), _LANGUAGE, "say it with these, or map it to a field of its own"
        )

    def name(self, node: Any) -> str:
        """The field that the node names."""
        if type(node) is not exp.Column or node.table or type(node.this) is not exp.Identifier:
            self.not_allowed(node)
        name = str(node.name)
        if name not in self.fields:
            quoted = bool(node.this.args.get("quoted"))
            otherwise = "text is written in single quotes, as in 'DE'" if quoted else "name a field of this entity"
            todo = did_you_mean(name, self.fields, otherwise)
            expected = one_of(self.fields)
            self.refuse(
                "condition-unknown-field", f"`{name[:60]}` is no field of the entity", _sql(node), expected, todo
            )
        self.reads.add(name)
        return name

    def stored(self, name: str) -> Stored:
        return self.fields[name].kind.stored

    def flag(self, node: Any) -> Test:
        name = self.name(node)
        if self.stored(name) is not Stored.boolean:
            self.wrong_type(name, f"`{name}` alone", "a comparison, as in `country = 'DE'`")
        return Compare("=", Reads(name), Literal(True, Stored.boolean))

    def wrong_type(self, name: str, found: str, expected: str, todo: str = "") -> NoReturn:
        field = self.fields[name]
        self.refuse("condition-type", f"`{name}` ({field.type}) cannot be compared like this", found, expected, todo)

    def compare(self, comparison: str, left: Any, right: Any) -> Test:
        if type(left) is not exp.Column:
            left, right, comparison = right, left, _MIRRORED[comparison]
        if type(left) is not exp.Column:
            self.refuse(
                "condition-type", "the comparison names no field", f"{_sql(left)}, {_sql(right)}", "a field on one side"
            )
        name = self.name(left)
        stored = self.stored(name)
        if comparison not in ("=", "!=") and stored in (Stored.text, Stored.boolean):
            self.wrong_type(
                name, f"`{comparison}`", "`=`, `!=`, `in` or `is null`", "text has no order that all engines share"
            )
        if type(right) is exp.Column:
            other = self.name(right)
            if stored is not self.stored(other) and not {stored, self.stored(other)} <= set(_NUMERIC):
                self.wrong_type(name, f"`{other}` ({self.fields[other].type})", "a field of the same type")
            return Compare(comparison, Reads(name), Reads(other))
        return Compare(comparison, Reads(name), self.literal(name, right))

    def one_of(self, node: exp.In) -> Test:
        name = self.name(node.this)
        if not node.expressions:
            self.refuse("condition-syntax", "the list of `in` is empty", _sql(node), "at least one value")
        return OneOf(Reads(name), tuple(self.literal(name, choice) for choice in node.expressions))

    def like(self, node: exp.Like) -> Test:
        name, pattern = self.name(node.this), node.expression
        if self.stored(name) is not Stored.text:
            self.wrong_type(name, "`like`", "a field of text")
        if type(pattern) is not exp.Literal or not pattern.is_string:
            self.not_allowed(node)
        if "\\" in pattern.this:
            self.wrong_type(
                name, _sql(pattern), "a pattern without backslash", "engines disagree about what it escapes"
            )
        test = Like(Reads(name), str(pattern.this))
        return Not(test) if node.args.get("negate") else test

    def literal(self, name: str, node: Any) -> Literal:
        """The literal as a value of the field's type."""
        stored = self.stored(name)
        negative = type(node) is exp.Neg
        inner = node.this if negative else node
        if type(inner) is exp.Null:
            self.wrong_type(name, "`null`", "`is null` or `is not null`")
        if type(inner) is exp.Boolean and not negative:
            if stored is not Stored.boolean:
                self.wrong_type(name, _sql(node), EXPECTED[stored])
            return Literal(bool(inner.this), stored)
        if type(inner) is not exp.Literal or (negative and inner.is_string):
            self.not_allowed(node)
        if inner.is_string is (stored in _NUMERIC) or stored is Stored.boolean:
            self.wrong_type(name, _sql(node), EXPECTED[stored])
        if not inner.is_string and stored not in _NUMERIC:
            self.wrong_type(name, _sql(node), EXPECTED[stored])
        return Literal(self.value(name, stored, str(inner.this), negative), stored)

    def value(self, name: str, stored: Stored, text: str, negative: bool) -> Value:
        if stored in _NUMERIC:
            if not NUMBER.fullmatch(text):
                self.wrong_type(name, f"`{text[:60]}`", "a number of at most 18 digits, 9 after the point, no exponent")
            number = -Decimal(text) if negative else Decimal(text)
            return int(number) if number == number.to_integral_value() else number
        if stored is Stored.text:
            return self.spelled(name, text)
        try:
            return day(text) if stored is Stored.date else instant(text)
        except ValueError:
            self.wrong_type(name, f"'{text[:60]}'", EXPECTED[stored])

    def spelled(self, name: str, text: str) -> str:
        field = self.fields[name]
        if field.type == "choice" and isinstance(field.of, tuple) and text not in field.of:
            self.wrong_type(
                name, f"'{text[:60]}'", one_of(field.of), did_you_mean(text, field.of, "name one of its codes")
            )
        pattern, expected = SPELLING.get(field.type, (None, ""))
        if pattern and not pattern.fullmatch(text):
            self.wrong_type(name, f"'{text[:60]}'", expected, "no value of the field is ever written like this")
        return text


def _sql(node: Any) -> str:
    return shown(node.sql() if isinstance(node, exp.Expr) else node)
