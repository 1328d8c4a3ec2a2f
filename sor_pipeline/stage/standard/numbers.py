"""Numbers: exact, never by way of floating point.

Belongs here: signs, grouping, currency signs, rounding. A decimal with more digits than its scale
is rounded half to even. Grouping is accepted where it is unambiguous: groups of three, all by the
same mark, which is not the declared decimal mark.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Decimal, localcontext

import polars as pl

from sor_pipeline.ownership.source import Mapping
from sor_pipeline.stage.blanks import SPACE
from sor_pipeline.stage.standard.result import Standard, UnreadableError, only_where, over_distinct, prefer

_DIGITS = 18
_LONGEST = 60
_LEAST, _GREATEST = -(2**63), 2**63 - 1
_CODE = re.compile(r"^[A-Z]{3}(?=[^A-Za-z])|(?<=[^A-Za-z])[A-Z]{3}$")
_GROUPS = {".": ",'’", ",": ".'’"}


def decimals(raw: pl.Series, scale: int, mapping: Mapping) -> Standard:
    """Values are texts of exactly the number, of at most `scale` digits after the point."""
    read = _reader(mapping)
    slow = lambda text: _to_scale(read(text), scale)  # noqa: E731
    fraction = rf"(?:\.[0-9]{{1,{scale}}})?" if scale else ""
    return _by_shape(raw, mapping, rf"^-?[0-9]{{1,{_DIGITS - scale}}}{fraction}$", pl.String, slow)


def integers(raw: pl.Series, mapping: Mapping) -> Standard:
    read = _reader(mapping)
    return _by_shape(raw, mapping, r"^-?[0-9]{1,18}$", pl.Int64, lambda text: _whole(read(text)))


def _by_shape(
    raw: pl.Series, mapping: Mapping, plain: str, kind: type[pl.DataType], read: Callable[[str], object]
) -> Standard:
    """Texts of the plain shape are the number already; the others are read one by one."""
    simple = (
        raw.str.contains(plain)
        if mapping.scale_by is None and mapping.decimal_mark == "."
        else pl.repeat(False, len(raw), eager=True)
    )
    first = only_where(raw, simple).cast(kind)
    if first.null_count() == raw.null_count():
        return Standard(first, pl.repeat(None, len(raw), dtype=pl.String, eager=True))
    rest = over_distinct(only_where(raw, first.is_null()), read, kind)
    return prefer(Standard(first, rest.reason), rest)


def _reader(mapping: Mapping) -> Callable[[str], Decimal]:
    mark = mapping.decimal_mark
    group = "|".join(re.escape(sign) for sign in _GROUPS[mark]) + f"|[{SPACE}]"
    whole = rf"(?:[0-9]+|[0-9]{{1,3}}(?P<group>{group})[0-9]{{3}}(?:(?P=group)[0-9]{{3}})*)"
    shape = re.compile(
        rf"^[+-]?(?:{whole}(?:{re.escape(mark)}[0-9]*)?|{re.escape(mark)}[0-9]+)(?:[eE][+-]?[0-9]{{1,3}})?$"
    )
    factor = None if mapping.scale_by is None else Decimal(str(mapping.scale_by))

    def read(text: str) -> Decimal:
        bare = _without_currency(text)
        match = shape.match(bare) if len(bare) <= _LONGEST else None
        if match is None:
            raise UnreadableError("not-a-number")
        plain = bare.replace(match["group"], "") if match["group"] else bare
        number = Decimal(plain.replace(mark, "."))
        with localcontext(prec=2 * _LONGEST):
            return number if factor is None else number * factor

    return read


def _without_currency(text: str) -> str:
    """Accounting parentheses become a sign; a currency sign or code at either end goes."""
    text = text.replace("\u2212", "-")
    negative = text.startswith("(") and text.endswith(")")
    if negative:
        text = text[1:-1].strip(SPACE)
    sign = text[:1] if text[:1] in ("-", "+") else ""
    bare = _CODE.sub("", text[len(sign) :].strip(SPACE), count=1).strip(SPACE)
    if bare and unicodedata.category(bare[0]) == "Sc":
        bare = bare[1:].strip(SPACE)
    elif bare and unicodedata.category(bare[-1]) == "Sc":
        bare = bare[:-1].strip(SPACE)
    if negative and (sign or bare[:1] in ("-", "+")):
        raise UnreadableError("not-a-number")
    return ("-" if negative else sign) + bare


def _to_scale(number: Decimal, scale: int) -> str:
    if number.adjusted() >= _DIGITS:
        raise UnreadableError("number-too-large")
    with localcontext(prec=2 * _LONGEST) as context:
        context.rounding = ROUND_HALF_EVEN
        rounded = number.quantize(Decimal(1).scaleb(-scale))
    if abs(rounded) >= Decimal(10) ** (_DIGITS - scale):
        raise UnreadableError("number-too-large")
    return f"{rounded if rounded else abs(rounded):f}"


def _whole(number: Decimal) -> int:
    if number.adjusted() > _DIGITS:
        raise UnreadableError("number-too-large")
    if number != number.to_integral_value():
        raise UnreadableError("not-whole")
    if not _LEAST <= int(number) <= _GREATEST:
        raise UnreadableError("number-too-large")
    return int(number)
