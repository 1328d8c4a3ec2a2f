"""Every field type: texts that it takes, what it makes of them, and what it refuses and why."""

from __future__ import annotations

import json
import unicodedata
from datetime import date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sor_pipeline.ownership.entity import Field
from sor_pipeline.ownership.fieldtypes import CATALOGUE
from sor_pipeline.ownership.source import Mapping
from sor_pipeline.stage.blanks import BLANKS
from sor_pipeline.stage.readings import PLACEHOLDER, VALUE, Reader, Reading
from sor_pipeline.stage.standard.words import fold, folded
from sor_pipeline_tests.stage_world import document

BLNS = Path(__file__).parents[2] / "shared" / "bad_input" / "blns" / "blns.json"
EXTRA: dict[str, dict[str, Any]] = {"choice": {"of": ("lead", "won")}, "ref": {"to": "contact"}, "list": {"of": "text"}}


def read(kind: str, texts: list[str | None], mapping: dict[str, Any] | None = None, **field: Any) -> Reading:
    spec = Field.model_validate({"type": kind, **EXTRA.get(kind, {}), **field})
    how = Mapping.model_validate({"from": "c", **(mapping or {})})
    return Reader(document(), spec, how).read(pl.Series(texts, dtype=pl.String))


TAKEN: list[tuple[str, str, object, dict[str, Any], dict[str, Any]]] = [
    ("text", "  a  B\nc ", "a  B\nc", {}, {}),
    ("text", "A\u030a", "Å", {}, {}),
    ("name", "José \u00a0 Núñez", "José Núñez", {}, {}),
    ("name", "Na", "Na", {}, {}),
    ("email", " Ann.Lee@ACME.example ", "ann.lee@acme.example", {}, {}),
    ("phone", "(315) 982-7436", "+13159827436", {}, {"region": "US"}),
    ("phone", "+49 30 901820", "+4930901820", {}, {}),
    ("phone", "315 982 7436 ext. 12", "+13159827436", {}, {"region": "US"}),
    ("url", "Acme.example/a?b=C", "https://acme.example/a?b=C", {}, {}),
    ("url", "HTTP://ACME.example:80/", "http://acme.example", {}, {}),
    ("url", "http://[::1]:8080/x", "http://[::1]:8080/x", {}, {}),
    ("url", "https://münchen.example/ß", "https://xn--mnchen-3ya.example/ß", {}, {}),
    ("domain", "https://www.Acme.example/x", "acme.example", {}, {}),
    ("domain", "ann@acme.co.example", "acme.co.example", {}, {}),
    ("country", "gbr", "GB", {}, {}),
    ("country", "united states", "US", {}, {}),
    ("country", "Côte d'Ivoire", "CI", {}, {}),
    ("country", "NA", "NA", {}, {}),
    ("subdivision", "US-NY", "US-NY", {}, {}),
    ("subdivision", "new york", "US-NY", {}, {"region": "US"}),
    ("subdivision", "BY", "DE-BY", {}, {"region": "DE"}),
    ("postal_code", "sw1a  1aa", "SW1A 1AA", {}, {}),
    ("postal_code", "00501", "00501", {}, {}),
    ("currency", "usd", "USD", {}, {}),
    ("currency", "€", "EUR", {}, {}),
    ("decimal", "1,234.50", "1234.50", {}, {}),
    ("decimal", "$ -12", "-12.00", {}, {}),
    ("decimal", "(3.1)", "-3.10", {}, {}),
    ("decimal", "1.005", "1.00", {}, {}),
    ("decimal", "1.015", "1.02", {}, {}),
    ("decimal", "1E+3", "1000.00", {}, {}),
    ("decimal", "1 234 567", "1234567.00", {}, {}),
    ("decimal", "1.234,5", "1234.50", {"decimal_mark": ","}, {}),
    ("decimal", "1250", "12.50", {"scale_by": 0.01}, {}),
    ("decimal", "9999999999999999.99", "9999999999999999.99", {}, {}),
    ("decimal", "0.1", "0", {}, {"scale": 0}),
    ("integer", "12.0", 12, {}, {}),
    ("integer", "-9223372036854775808", -(2**63), {}, {}),
    ("boolean", "TRUE", True, {}, {}),
    ("boolean", "n", False, {}, {}),
    ("boolean", "Subscribed", True, {"true_texts": ["subscribed"]}, {}),
    ("boolean", "yes", False, {"false_texts": ["yes"]}, {}),
    ("date", "2024-02-29", date(2024, 2, 29), {}, {}),
    ("date", "2024-02-29T23:59:00-05:00", date(2024, 2, 29), {}, {}),
    ("date", "29/02/2024", date(2024, 2, 29), {"format": "%d/%m/%Y"}, {}),
    ("timestamp", "2024-01-01", datetime(2024, 1, 1), {}, {}),
    ("timestamp", "2024-01-01T10:00", datetime(2024, 1, 1, 10), {}, {}),
    ("timestamp", "2024-01-01 10:00:00.123456789 UTC", datetime(2024, 1, 1, 10, 0, 0, 123456), {}, {}),
    ("timestamp", "2024-01-01T10:00:00-0530", datetime(2024, 1, 1, 15, 30), {}, {}),
    ("timestamp", "2024-07-01 10:00:00", datetime(2024, 7, 1, 14), {"zone": "America/New_York"}, {}),
    ("timestamp", "2024-03-31 02:30:00", datetime(2024, 3, 31, 1, 30), {"zone": "Europe/Berlin"}, {}),
    ("timestamp", "2024-10-27 02:30:00", datetime(2024, 10, 27, 0, 30), {"zone": "Europe/Berlin"}, {}),
    ("timestamp", "1700000000500", datetime(2023, 11, 14, 22, 13, 20, 500000), {"format": "epoch_ms"}, {}),
    ("timestamp", "1/2/2024 3:04 PM", datetime(2024, 1, 2, 15, 4), {"format": "%m/%d/%Y %I:%M %p"}, {}),
    ("choice", "Lead", "lead", {}, {}),
    ("choice", "L", "lead", {"codes": {"L": "lead", "-": "won"}}, {}),
    ("choice", "-", "won", {"codes": {"L": "lead", "-": "won"}}, {}),
    ("json", '{"b": 1, "a": [1.5, "é"]}', '{"a":[1.5,"é"],"b":1}', {}, {}),
    ("ref", " 0012 ", "0012", {}, {}),
    ("list", '["b", "a", "b", null, " "]', '["a","b"]', {}, {}),
    ("list", "10; 9; ;10", "[9,10]", {"separator_in": ";"}, {"of": "integer"}),
    ("list", "B;A", '["x","y"]', {"separator_in": ";", "codes": {"A": "x", "B": "y"}}, {}),
]  # fmt: skip
REFUSED: list[tuple[str, str, str, dict[str, Any], dict[str, Any]]] = [
    ("text", "a\x00b", "control-character", {}, {}),
    ("name", "a\u0085\x07b", "control-character", {}, {}),
    ("email", "ann@acme", "not-an-email", {}, {}),
    ("email", "ann lee@acme.example", "not-an-email", {}, {}),
    ("email", "a@b@acme.example", "not-an-email", {}, {}),
    ("email", "ann..lee@acme.example", "not-an-email", {}, {}),
    ("email", "a@x.example, b@x.example", "not-an-email", {}, {}),
    ("phone", "315 982 7436", "phone-without-country", {}, {}),
    ("phone", "123", "phone-not-valid", {}, {"region": "US"}),
    ("phone", "call me", "not-a-phone", {}, {"region": "US"}),
    ("url", "javascript:alert(1)", "not-a-url", {}, {}),
    ("url", "http://[", "not-a-url", {}, {}),
    ("url", "http://a.example:99999", "not-a-url", {}, {}),
    ("domain", "acme", "not-a-domain", {}, {}),
    ("domain", "1.2.3.4", "not-a-domain", {}, {}),
    ("country", "Atlantis", "unknown-country", {}, {}),
    ("subdivision", "Bavaria-ish", "unknown-subdivision", {}, {"region": "DE"}),
    ("subdivision", "New York", "subdivision-without-country", {}, {}),
    ("postal_code", "#12", "not-a-postal-code", {}, {}),
    ("currency", "dollars", "unknown-currency", {}, {}),
    ("decimal", "12,5", "not-a-number", {}, {}),
    ("decimal", "1,23,456", "not-a-number", {}, {}),
    ("decimal", "1,234'567", "not-a-number", {}, {}),
    ("decimal", "inf", "not-a-number", {}, {}),
    ("decimal", "٣", "not-a-number", {}, {}),
    ("decimal", "12345678901234567", "number-too-large", {}, {}),
    ("decimal", "1e999", "number-too-large", {}, {}),
    ("integer", "9223372036854775808", "number-too-large", {}, {}),
    ("integer", "1.5", "not-whole", {}, {}),
    ("boolean", "maybe", "not-a-boolean", {}, {}),
    ("date", "2024-02-30", "not-a-date", {}, {}),
    ("date", "01/02/2024", "not-a-date", {}, {}),
    ("date", "2024-2-1", "not-in-declared-format", {"format": "%d.%m.%Y"}, {}),
    ("timestamp", "2024-01-01T24:00:00Z", "not-a-time", {}, {}),
    ("timestamp", "2024-01-01T23:59:60Z", "not-a-time", {}, {}),
    ("timestamp", "10000-01-01T00:00:00Z", "not-a-time", {}, {}),
    ("timestamp", "0001-01-01T00:00:01+05:00", "not-a-time", {}, {}),
    ("timestamp", "99999999999999999", "time-out-of-range", {"format": "epoch_s"}, {}),
    ("choice", "Lost", "unlisted-code", {}, {}),
    ("choice", "lead", "unlisted-code", {"codes": {"L": "lead"}}, {}),
    ("json", "{a: 1}", "not-json", {}, {}),
    ("json", '{"a": 1, "a": 2}', "not-json", {}, {}),
    ("json", '"\\ud800"', "not-json", {}, {}),
    ("json", "[" * 100_000, "not-json", {}, {}),
    ("ref", "a\x01", "control-character", {}, {}),
    ("list", '["a\\u0000"]', "control-character", {}, {}),
    ("list", "1;x", "not-a-number", {"separator_in": ";"}, {"of": "integer"}),
    ("list", '{"a": 1}', "not-a-list", {}, {}),
    ("text", "\x1anope", "not-json", {}, {}),
]  # fmt: skip
NOTHING = [
    ("text", "N/A"),
    ("text", "  unknown "),
    ("name", "TEST"),
    ("name", "Ｎ／Ａ"),
    ("email", "Test@Test.com"),
    ("phone", "000-000-0000"),
    ("date", "1900-01-01"),
    ("timestamp", "1900-01-01T00:00:00Z"),
    ("timestamp", "0000-00-00 00:00:00"),
    ("decimal", "null"),
    ("country", "Unknown"),
    ("postal_code", "00000"),
    ("choice", "--"),
]


@pytest.mark.parametrize(("kind", "text", "value", "mapping", "field"), TAKEN)
def test_taken(kind: str, text: str, value: object, mapping: dict[str, Any], field: dict[str, Any]) -> None:
    reading = read(kind, [text, None], mapping, **field)
    assert reading.reason.to_list() == [None, None]
    assert reading.said.to_list() == [VALUE, None]
    taken = reading.value[0]
    if kind == "decimal":
        assert isinstance(value, str)
        assert float(taken) == float(value)
        assert pl.Series([taken]).str.to_decimal(scale=2)[0] == pl.Series([value]).str.to_decimal(scale=2)[0]
    else:
        assert taken == value


@pytest.mark.parametrize(("kind", "text", "reason", "mapping", "field"), REFUSED)
def test_refused(kind: str, text: str, reason: str, mapping: dict[str, Any], field: dict[str, Any]) -> None:
    reading = read(kind, [text], mapping, **field)
    assert reading.reason.to_list() == [reason]
    assert reading.said.to_list() == [None]
    assert reading.value.to_list() == [None]


@pytest.mark.parametrize(("kind", "text"), NOTHING)
def test_placeholders(kind: str, text: str) -> None:
    assert read(kind, [text], region="US").said.to_list() == [PLACEHOLDER]


def test_placeholders_of_document_and_field() -> None:
    ownership = document().model_copy(update={"placeholders": {"name": ("Nobody",)}})
    reader = Reader(ownership, Field(type="name", placeholders=("House",)), Mapping.model_validate({"from": "c"}))
    assert reader.read(pl.Series(["nobody", "HOUSE", "Ann"])).said.to_list() == [PLACEHOLDER, PLACEHOLDER, VALUE]


def test_a_listed_code_is_no_placeholder() -> None:
    assert read("choice", ["n/a"], of=("n/a", "yes")).said.to_list() == [VALUE]


def test_subdivision_lies_in_the_country_of_its_row() -> None:
    reader = Reader(document(), Field(type="subdivision", region="US"), Mapping.model_validate({"from": "c"}))
    found = reader.read(pl.Series(["BE", "WA", "CA"]), pl.Series(["DE", "AU", None]))
    assert found.value.to_list() == ["DE-BE", "AU-WA", "US-CA"]


def test_comparable_forms() -> None:
    assert compared("name", ["JOSÉ  Núñez", "Straße"]) == ["jose nunez", "strasse"]
    assert compared("text", ["Ｆｕｌｌ É", "ΣΑΣ"]) == ["full é", "σασ"]


def compared(kind: str, texts: list[str | None]) -> list[object]:
    compare = read(kind, texts).compare
    assert compare is not None
    return compare.to_list()


@given(st.lists(st.text(), max_size=40), st.booleans())
def test_columns_fold_as_single_texts_do(texts: list[str], accents: bool) -> None:
    """Over letters of the Unicode version that Python knows."""
    known = ("".join(c for c in text if unicodedata.category(c) not in ("Cc", "Cn", "Cs", "Mn")) for text in texts)
    trimmed = [text for part in known if (text := part.strip(BLANKS))]
    series = pl.Series(trimmed, dtype=pl.String)
    assert folded(series, accents=accents).to_list() == [fold(text, accents=accents) for text in trimmed]


@given(
    st.lists(st.one_of(st.none(), st.text(max_size=30)), min_size=1, max_size=30), st.sampled_from(sorted(CATALOGUE))
)
def test_no_text_crashes_a_reader(texts: list[str | None], kind: str) -> None:
    clean = [None if text is None else text.encode("utf-8", "ignore").decode() for text in texts]
    holds(read(kind, clean, region="US"))


@pytest.mark.skipif(not BLNS.exists(), reason="the shared folder is not here")
@pytest.mark.parametrize("kind", sorted(CATALOGUE))
def test_naughty_strings(kind: str) -> None:
    holds(read(kind, json.loads(BLNS.read_text("utf-8")), region="US"))


def holds(reading: Reading) -> None:
    """A value has no reason, a reason no value, and no control character gets through."""
    for said, value, reason in zip(reading.said, reading.value, reading.reason, strict=True):
        assert (value is not None) == (said == VALUE)
        assert reason is None or said is None
        if isinstance(value, str):
            assert not any(unicodedata.category(c) == "Cc" and c not in "\t\n\r" for c in value)
            assert unicodedata.is_normalized("NFC", value) or said != VALUE
