"""Conditions: what the language takes and refuses, and that SQL and Python agree on every one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from sor_pipeline.errors import Fault, OwnershipError
from sor_pipeline.ownership.entity import Field
from sor_pipeline.ownership.expressions import parse

FIELDS = {
    "word": Field(),
    "order": Field(type="name"),
    "size": Field(type="integer"),
    "price": Field(type="decimal", scale=2),
    "total": Field(type="decimal", scale=9),
    "flag": Field(type="boolean"),
    "on": Field(type="boolean"),
    "day": Field(type="date"),
    "date": Field(type="date"),
    "at": Field(type="timestamp"),
    "stage": Field(type="choice", of=("lead", "it's")),
    "country": Field(type="country"),
}
TYPES: dict[str, sa.types.TypeEngine[Any]] = {
    "word": sa.Text(),
    "order": sa.Text(),
    "size": sa.BigInteger(),
    "price": sa.Numeric(18, 2),
    "total": sa.Numeric(18, 9),
    "flag": sa.Boolean(),
    "on": sa.Boolean(),
    "day": sa.Date(),
    "date": sa.Date(),
    "at": sa.DateTime(),
    "stage": sa.Text(),
    "country": sa.Text(),
}
TABLE = sa.Table("t", sa.MetaData(), *(sa.Column(sa.sql.quoted_name(name, True), kind) for name, kind in TYPES.items()))
COLUMNS: dict[str, sa.ColumnElement[Any]] = {name: TABLE.c[name] for name in TYPES}


def fault(text: str) -> Fault:
    with pytest.raises(OwnershipError) as caught:
        parse(text, FIELDS, "here:1")
    assert len(caught.value.faults) == 1
    assert caught.value.faults[0].where == "here:1"
    return caught.value.faults[0]


@pytest.fixture(scope="module")
def connection() -> Iterator[sa.Connection]:
    engine = sa.create_engine("duckdb:///:memory:")
    with engine.connect() as connection:
        TABLE.create(connection)
        yield connection
    engine.dispose()


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("word = 'x'", {"word"}),
        ('"order" = word', {"order", "word"}),
        ("order <> 'x' AND NOT (size >= 1 or date is not null)", {"order", "size", "date"}),
        ("price between -1 and 2.50", {"price"}),
        ("flag", {"flag"}),
        ("not on", {"on"}),
        ("stage in ('lead', 'it''s')", {"stage"}),
        ("word not like 'a_%'", {"word"}),
        ("'2024-02-29' < day", {"day"}),
        ("at >= '2024-01-01T00:00:00+02:00'", {"at"}),
        ("size < total", {"size", "total"}),
        ("true", set()),
    ],
)
def test_what_the_language_takes(text: str, fields: set[str]) -> None:
    condition = parse(f"  {text} ", FIELDS)
    assert condition.fields == fields
    assert condition.text == text


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "condition-syntax"),
        ("word =", "condition-syntax"),
        ("word = 'x", "condition-syntax"),
        ("word = 'x'; drop table t", "condition-syntax"),
        ("size in ()", "condition-syntax"),
        ("(" * 900 + "flag" + ")" * 900, "condition-syntax"),
        ("not " * 490 + "flag", "condition-syntax"),
        ("flag or " * 1000 + "flag", "condition-syntax"),
        ("wrod = 'x'", "condition-unknown-field"),
        ('word = "DE"', "condition-unknown-field"),
        ("word = $1", "condition-unknown-field"),
        ("lower(word) = 'x'", "condition-type"),
        ("flag = (select true)", "condition-not-allowed"),
        ("size in (select 1)", "condition-not-allowed"),
        ("select 1", "condition-not-allowed"),
        ("word ilike 'x'", "condition-not-allowed"),
        ("word like 'x' escape '!'", "condition-not-allowed"),
        ("word like order", "condition-not-allowed"),
        ("t.word = 'x'", "condition-not-allowed"),
        ("size + 1 = 2", "condition-type"),
        ("size = 1 + 1", "condition-not-allowed"),
        ("flag is true", "condition-not-allowed"),
        ("size between symmetric 1 and 2", "condition-not-allowed"),
        ("case when flag then on end", "condition-not-allowed"),
        ("exists (select 1)", "condition-not-allowed"),
        ("word = ?", "condition-not-allowed"),
        ("word = :x", "condition-not-allowed"),
        ("*", "condition-not-allowed"),
        ("1 = 1", "condition-type"),
        ("word", "condition-type"),
        ("word = null", "condition-type"),
        ("word = 1", "condition-type"),
        ("word < 'x'", "condition-type"),
        ("size = '1'", "condition-type"),
        ("size = 1e5", "condition-type"),
        ("size = 1234567890123456789", "condition-type"),
        ("flag = 1", "condition-type"),
        ("flag > false", "condition-type"),
        ("day = 20240101", "condition-type"),
        ("day = '2024-13-01'", "condition-type"),
        ("day = '24-1-1'", "condition-type"),
        ("day = at", "condition-type"),
        ("at = 'yesterday'", "condition-type"),
        ("at = '0001-01-01 00:00+10:00'", "condition-type"),
        ("stage = 'leed'", "condition-type"),
        ("country = 'de'", "condition-type"),
        ("size like '1%'", "condition-type"),
        ("word like 'a\\%'", "condition-type"),
    ],
)
def test_what_the_language_refuses(text: str, code: str) -> None:
    assert fault(text).code == code


def test_refusals_help() -> None:
    assert fault("wrod = 'x'").todo == "did you mean `word`?"
    assert fault('word = "Germany"').todo == "text is written in single quotes, as in 'DE'"
    assert fault("stage = 'leed'").todo == "did you mean `lead`?"


def test_nothing_is_pasted_into_the_statement() -> None:
    clause = parse("word = 'x'' or 1=1 --' and size in (7, 8) and day = '2024-01-01'", FIELDS).to_clause(COLUMNS)
    compiled = clause.compile(dialect=sa.create_engine("duckdb:///:memory:").dialect)
    assert "1=1" not in str(compiled)
    assert "2024" not in str(compiled)
    assert set(compiled.params.values()) == {"x' or 1=1 --", 7, 8, date(2024, 1, 1)}


def test_an_unknown_condition_does_not_hold() -> None:
    for text in ("word = 'x'", "word != 'x'", "not word = 'x'", "size in (1)", "size not in (1)", "not flag"):
        assert parse(text, FIELDS).holds({}) is False
    assert parse("word is null", FIELDS).holds({})
    assert parse("flag or true", FIELDS).holds({})


def test_the_constant_conditions() -> None:
    assert parse("true or false", FIELDS).constant is True
    assert parse("not true", FIELDS).constant is False
    assert parse("flag or true", FIELDS).constant is None


TEXTS = ["", "a", "A", "ab", "a%", "a_b", "é", "a\nb", "it's", "x' or 1=1 --", "😀", " a"]
NUMBERS = [-2, -1, 0, 1, 2, 10**17]
DECIMALS = [Decimal(text) for text in ("-1.50", "0.00", "0.01", "1.00", "2.50", "999999999.99")]
DAYS = [date(1, 1, 1), date(1970, 1, 1), date(2024, 2, 29), date(9999, 12, 31)]
TIMES = [datetime(1970, 1, 1), datetime(2024, 2, 29, 12, 30), datetime(2024, 2, 29, 12, 30, 0, 1)]
VALUES: dict[str, list[Any]] = {
    "word": TEXTS,
    "order": TEXTS,
    "size": NUMBERS,
    "price": DECIMALS,
    "total": DECIMALS,
    "flag": [True, False],
    "on": [True, False],
    "day": DAYS,
    "date": DAYS,
    "at": TIMES,
    "stage": ["lead", "it's"],
    "country": ["DE", "AT"],
}
SAME_TYPE = [{"word", "order", "stage", "country"}, {"size", "price", "total"}, {"flag", "on"}, {"day", "date"}, {"at"}]
ORDERED = {"size", "price", "total", "day", "date", "at"}


def written(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, Decimal)):
        return str(value)
    return "'" + str(value).replace("'", "''") + "'"


@st.composite
def comparisons(draw: st.DrawFn) -> str:
    field = draw(st.sampled_from(sorted(FIELDS)))
    literal = st.sampled_from(VALUES[field]).map(written)
    operators = ["=", "!=", "<>"] + (["<", "<=", ">", ">="] if field in ORDERED else [])
    forms = ["compare", "mirrored", "field", "in", "not in", "null", "not null"]
    forms += ["between", "not between"] if field in ORDERED else []
    forms += ["like", "not like"] if field in ("word", "order") else []
    forms += ["flag"] if field in ("flag", "on") else []
    form = draw(st.sampled_from(forms))
    operator = draw(st.sampled_from(operators))
    if form == "compare":
        return f"{field} {operator} {draw(literal)}"
    if form == "mirrored":
        return f"{draw(literal)} {operator} {field}"
    if form == "field":
        other = draw(st.sampled_from(sorted(next(kinds for kinds in SAME_TYPE if field in kinds))))
        return f"{field} {operator} {other}"
    if form.endswith("in"):
        return f"{field} {form} ({', '.join(draw(st.lists(literal, min_size=1, max_size=3)))})"
    if form.endswith("null"):
        return f"{field} is {form}"
    if form.endswith("between"):
        return f"{field} {form} {draw(literal)} and {draw(literal)}"
    if form.endswith("like"):
        pattern = "".join(draw(st.lists(st.sampled_from(["%", "_", "a", "A", "é", "'", "\n", "[", "."]), max_size=4)))
        return f"{field} {form} {written(pattern)}"
    return field


CONDITIONS = st.recursive(
    comparisons() | st.sampled_from(["true", "false"]),
    lambda inner: st.one_of(
        inner.map(lambda test: f"not {test}"),
        inner.map(lambda test: f"({test})"),
        st.tuples(inner, st.sampled_from(["and", "or", "AND"]), inner).map(" ".join),
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(lambda parts: f"not ({' '.join(parts)})"),
    ),
    max_leaves=6,
)
ROWS = st.fixed_dictionaries({name: st.none() | st.sampled_from(values) for name, values in VALUES.items()})


@settings(max_examples=120, deadline=None)
@given(text=CONDITIONS, rows=st.lists(ROWS, min_size=1, max_size=4))
def test_sql_and_python_agree(connection: sa.Connection, text: str, rows: list[dict[str, Any]]) -> None:
    condition = parse(text, FIELDS)
    connection.execute(sa.delete(TABLE))
    connection.execute(sa.insert(TABLE), rows)
    held = connection.execute(sa.select(*TABLE.c, condition.to_clause(COLUMNS).label("held"))).mappings().all()
    for row in held:
        assert row["held"] is condition.holds({name: row[name] for name in TYPES}), (text, dict(row))


@settings(max_examples=150, deadline=None)
@given(text=CONDITIONS, rows=st.lists(ROWS, min_size=1, max_size=3))
def test_our_parse_means_what_the_engine_s_own_parser_means(
    connection: sa.Connection, text: str, rows: list[dict[str, Any]]
) -> None:
    """The text is valid SQL: precedence and three-valued logic must be the engine's."""
    parts = re.split(r"('(?:[^']|'')*')", text)
    names = re.compile(rf"\b({'|'.join(FIELDS)})\b")
    text = "".join(part if part.startswith("'") else names.sub(r'"\1"', part) for part in parts)
    connection.execute(sa.delete(TABLE))
    connection.execute(sa.insert(TABLE), rows)
    ours = parse(text, FIELDS).to_clause(COLUMNS)
    theirs = sa.func.coalesce(sa.literal_column(f"({text})", sa.Boolean()), sa.false())
    pairs = connection.execute(sa.select(ours, theirs).select_from(TABLE)).all()
    assert all(mine == engine for mine, engine in pairs), (text, pairs)


WORDS = ["word", "and", "not", "in", "is", "null", "case", "select", "like", "between", "1", "date", "interval", "::"]
PIECES = [*"()'\"=<>,.*-+/;:?@$[]{}|& ", *WORDS]


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=60) | st.lists(st.sampled_from(PIECES), max_size=25).map(" ".join))
def test_any_text_gives_a_condition_or_a_fault(text: str) -> None:
    try:
        parse(text, FIELDS)
    except OwnershipError as error:
        fault = error.faults[0]
        assert str(fault)
