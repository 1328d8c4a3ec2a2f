"""Places and money: countries, subdivisions, postal codes, currencies, as ISO writes them.

Belongs here: codes and names of `pycountry`, and the few everyday names that it lacks.
"""

from __future__ import annotations

from functools import cache

import polars as pl
import pycountry

from sor_pipeline.stage.standard.result import Standard, UnreadableError, accepted, only_where, over_distinct
from sor_pipeline.stage.standard.words import fold, single_spaced

_EVERYDAY = {
    "uk": "GB",
    "great britain": "GB",
    "england": "GB",
    "scotland": "GB",
    "wales": "GB",
    "northern ireland": "GB",
    "u.s.": "US",
    "u.s.a.": "US",
    "united states of america": "US",
    "america": "US",
    "russia": "RU",
    "south korea": "KR",
    "north korea": "KP",
    "iran": "IR",
    "syria": "SY",
    "vietnam": "VN",
    "laos": "LA",
    "holland": "NL",
    "the netherlands": "NL",
    "czech republic": "CZ",
    "turkey": "TR",
    "ivory coast": "CI",
    "cape verde": "CV",
    "macedonia": "MK",
    "swaziland": "SZ",
    "burma": "MM",
    "brunei": "BN",
    "palestine": "PS",
    "uae": "AE",
    "hong kong": "HK",
}
_SIGNS = {
    "€": "EUR",
    "£": "GBP",
    "us$": "USD",
    "₹": "INR",
    "₽": "RUB",
    "₺": "TRY",
    "₩": "KRW",
    "₪": "ILS",
    "₴": "UAH",
    "฿": "THB",
}
_POSTAL = r"^[0-9A-Z](?:[0-9A-Z -]{0,10}[0-9A-Z])$"
_PAIR = "\x1f"


def countries(raw: pl.Series) -> Standard:
    return over_distinct(raw, _country, pl.String)


def subdivisions(raw: pl.Series, region: str | None, within: pl.Series | None) -> Standard:
    """`within`: the country of the same row where there is one, else `region`."""
    home = pl.lit(region, dtype=pl.String)
    country = home if within is None else pl.coalesce(pl.lit(within), home)
    pairs = pl.select(pl.concat_str([country.fill_null(""), pl.lit(raw)], separator=_PAIR)).to_series()
    return over_distinct(pairs, _subdivision, pl.String)


def postal_codes(raw: pl.Series) -> Standard:
    upper = single_spaced(raw.str.to_uppercase())
    return accepted(raw, only_where(upper, upper.str.contains(_POSTAL)), "not-a-postal-code")


def currencies(raw: pl.Series) -> Standard:
    return over_distinct(raw, _currency, pl.String)


def _country(text: str) -> str:
    code = _countries().get(fold(text, accents=False))
    if code is None:
        raise UnreadableError("unknown-country")
    return code


def _subdivision(pair: str) -> str:
    country, text = pair.split(_PAIR, 1)
    folded = fold(text, accents=False)
    code = _subdivisions().get((country, folded)) or _subdivisions().get(("", folded))
    if code is None:
        raise UnreadableError("unknown-subdivision" if country else "subdivision-without-country")
    return code


def _currency(text: str) -> str:
    code = _SIGNS.get(text.lower()) or text.upper()
    if code not in _currencies():
        raise UnreadableError("unknown-currency")
    return code


@cache
def _countries() -> dict[str, str]:
    """Folded code or name -> alpha-2."""
    found: dict[str, str] = {}
    for country in pycountry.countries:
        spelled = [country.alpha_2, country.alpha_3, country.name]
        spelled += [getattr(country, part) for part in ("official_name", "common_name") if hasattr(country, part)]
        if ", " in country.name:
            spelled.append(" ".join(reversed(country.name.split(", ", 1))))
        found |= {fold(words, accents=False): country.alpha_2 for words in spelled}
    return _EVERYDAY | found


@cache
def _subdivisions() -> dict[tuple[str, str], str]:
    """(alpha-2, folded code or name) -> ISO 3166-2; full codes also without country.

    A name that two subdivisions of a country share (a city and its region) goes to the higher one.
    """
    found: dict[tuple[str, str], str] = {}
    for place in sorted(pycountry.subdivisions, key=lambda place: (place.parent_code is not None, place.code)):
        short = place.code.split("-", 1)[1]
        found[("", fold(place.code))] = place.code
        for spelled in (short, place.name, place.code):
            found.setdefault((place.country_code, fold(spelled, accents=False)), place.code)
    return found


@cache
def _currencies() -> frozenset[str]:
    return frozenset(currency.alpha_3 for currency in pycountry.currencies)
