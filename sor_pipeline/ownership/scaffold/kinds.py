"""What type the texts of a column are: by its name, and only where they read as that type.

Belongs here: types and their spellings. Does not: which column is a key or a reference (`keys`, `links`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sor_pipeline.ownership.scaffold.names import bare
from sor_pipeline.ownership.scaffold.sample import Column, Kind, Reads
from sor_pipeline.ownership.scaffold.words import (
    CODED,
    FALSE,
    FLAGS,
    IDS,
    MONEY,
    PAIRS,
    PEOPLE,
    PROSE,
    TRUE,
    words,
)

ENOUGH = 0.9
"""Share of texts that must read as a type."""
MOST_CODES = 12
_JUDGED = 200
"""Distinct texts that are judged; a sample of a sample, so that phone numbers of thousands of rows take no minute."""
_REGIONS = ("US", "GB", "DE", "FR", "NL", "ES", "IT", "AU", "CA", "IN", "BR", "CH", "AT", "SE", "IE")
_WHOLE = re.compile(r"-?\d{1,18}")
_POINT = re.compile(r"-?(?:\d{1,3}(?:,\d{3})+|\d*)\.(\d{1,9})|-?\d{1,3}(?:,\d{3})+")
_COMMA = re.compile(r"-?(?:\d{1,3}(?:\.\d{3})+|\d*),(\d{1,9})|-?\d{1,3}(?:\.\d{3})+")
_CODE = re.compile(r"[a-z][a-z0-9_-]{1,29}")
_PADDED = re.compile(r"-?0\d+")
_EPOCH_S, _EPOCH_MS = re.compile(r"[12]\d{9}"), re.compile(r"[12]\d{12}")
_DAY_FORMATS = (
    "%m/%d/%Y",
    "%d/%m/%Y",
    "%d.%m.%Y",
    "%Y/%m/%d",
    "%d-%m-%Y",
    "%Y%m%d",
    "%d %b %Y",
    "%b %d, %Y",
    "%B %d, %Y",
    "%m/%d/%y",
)
_CLOCKS = ("%H:%M:%S", "%H:%M", "%I:%M %p", "%I:%M:%S %p", "%H:%M:%S.%f")
_DATED = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}|\d{8}|\b\d{1,2} [A-Za-z]{3}|[A-Za-z]{3,9} \d{1,2}, \d{4}")
_TIMELY = words("at on date time timestamp created updated modified start end since until changed day month")


@dataclass(frozen=True)
class Guess:
    """A kind, and why in a few words."""

    kind: Kind
    why: str


def guess(column: Column, name: str, entity: str, reads: Reads, *, in_country: bool = False) -> Guess:
    """The kind of a column whose canonical name is `name`; text where nothing else reads."""
    if not column.texts:
        return Guess(Kind(), "nothing but blanks and placeholders in the sample")
    judge = _Judge(column, [*bare(column.name).split("_"), *name.split("_")], name, entity, reads)
    steps = (
        judge.nested,
        judge.contact,
        judge.web,
        lambda: judge.place(in_country),
        judge.boolean,
        judge.time,
        judge.choice,
        judge.number,
    )
    return next((found for step in steps if (found := step())), None) or judge.words_only()


class _Judge:
    """One column before its judge: each method gives a guess, or None where it is not that."""

    def __init__(self, column: Column, words: Sequence[str], name: str, entity: str, reads: Reads) -> None:
        self._column, self._words, self._name, self._entity, self._reads = column, words, name, entity, reads
        self._texts = column.texts[:_JUDGED]

    def nested(self) -> Guess | None:
        if all(text.startswith("[") for text in self._texts):
            parsed = [_parsed(text) for text in self._texts]
            if all(isinstance(value, list) for value in parsed):
                items = [item for value in parsed if isinstance(value, list) for item in value]
                if any(isinstance(item, list | dict) for item in items):
                    return Guess(Kind(type="json"), "JSON arrays of objects")
                return Guess(Kind(type="list", of="text"), "JSON arrays")
        if all(text.startswith("{") for text in self._texts) and self._fits(Kind(type="json")):
            return Guess(Kind(type="json"), "JSON objects")
        return None

    def contact(self) -> Guess | None:
        if self._named("email", "mail") or all("@" in text for text in self._texts):
            found = self._if_reads(Kind(type="email"), "addresses", 0.8)
            if found:
                return found
        if self._named("phone", "mobile", "tel", "telephone", "fax", "cell"):
            return self._phone()
        return None

    def _phone(self) -> Guess | None:
        local = any(not text.startswith(("+", "00")) for text in self._texts)
        tried = [Kind(type="phone", region=region) for region in (_REGIONS if local else (None,))]
        best = max(tried, key=self._share)
        where = f"region {best.region} where no country is written" if best.region else "all with country code"
        return self._if_reads(best, where, 0.6)

    def web(self) -> Guess | None:
        absolute = all(text.startswith(("http://", "https://")) for text in self._texts)
        if absolute or self._named("url", "website", "homepage"):
            return self._if_reads(Kind(type="url"), "addresses of pages")
        return self._if_reads(Kind(type="domain"), "host names") if self._named("domain") else None

    def place(self, in_country: bool) -> Guess | None:
        if self._named("country"):
            return self._if_reads(Kind(type="country"), "countries", 0.8)
        if self._named("currency"):
            return self._if_reads(Kind(type="currency"), "currencies", 0.8)
        if self._name.endswith("postal_code"):
            return self._if_reads(Kind(type="postal_code"), "postal codes", 0.8)
        if self._name.endswith("subdivision") and in_country:
            best = max((Kind(type="subdivision", region=region) for region in _REGIONS), key=self._share)
            found = self._if_reads(best, f"most are of {best.region}", 0.8)
            return Guess(Kind(type="subdivision"), found.why) if found else None
        return None

    def boolean(self) -> Guess | None:
        folded = {text.lower() for text in self._texts}
        if len(folded) > 2:
            return None
        if folded <= TRUE | FALSE and (not folded <= {"0", "1"} or set(self._words) & FLAGS):
            return self._if_reads(Kind(type="boolean"), f"only {_listed(sorted(self._texts))}")
        for yes, no in PAIRS:
            if folded == {yes, no}:
                texts = {text.lower(): text for text in self._texts}
                kind = Kind(type="boolean", true_texts=(texts[yes],), false_texts=(texts[no],))
                return self._if_reads(kind, f"only {texts[yes]} and {texts[no]}")
        return None

    def time(self) -> Guess | None:
        if self._every(_EPOCH_S) or self._every(_EPOCH_MS):
            if not set(self._words) & _TIMELY or self._named_id():
                return None
            kind = Kind(type="timestamp", format="epoch_s" if self._every(_EPOCH_S) else "epoch_ms")
            return self._if_reads(kind, "digits of a Unix time")
        if not _DATED.search(self._texts[0]) or (self._every(_WHOLE) and not set(self._words) & _TIMELY):
            return None
        return self._iso() or self._formatted()

    def _iso(self) -> Guess | None:
        if all(len(text) <= 10 for text in self._texts):
            return self._if_reads(Kind(type="date"), "days as ISO writes them")
        return self._if_reads(Kind(type="timestamp"), "times as ISO writes them", 0.99) or self._if_reads(
            Kind(type="timestamp", format="%Y-%m-%d %H:%M:%S"), "times, not quite as ISO writes them"
        )

    def _formatted(self) -> Guess | None:
        days = [Kind(type="date", format=form) for form in _DAY_FORMATS]
        forms = [
            f"{day}{between}{clock}" for day in ("%Y-%m-%d", *_DAY_FORMATS) for clock in _CLOCKS for between in " T"
        ]
        times = [Kind(type="timestamp", format=form) for form in forms]
        fits = [kind for kind in (*days, *times) if self._fits(kind)]
        if not fits:
            return None
        swapped = {form for kind in fits if (form := (kind.format or "")[:5]) in ("%m/%d", "%d/%m")}
        doubt = "; day and month could be the other way round" if len(swapped) == 2 else ""
        return Guess(fits[0], f"the format reads {self._said(fits[0])}{doubt}")

    def number(self) -> Guess | None:
        if self._is_id() or any(_PADDED.fullmatch(text) for text in self._texts):
            return None
        if self._every(_WHOLE):
            if self._last() & MONEY:
                return self._if_reads(Kind(type="decimal"), "whole numbers so far, an amount by its name")
            return self._if_reads(Kind(type="integer"), "whole numbers")
        for mark, shape in ((".", _POINT), (",", _COMMA)):
            found = [match for text in self._texts if (match := shape.fullmatch(text))]
            whole = sum(bool(_WHOLE.fullmatch(text)) for text in self._texts)
            if found and len(found) + whole >= ENOUGH * len(self._texts):
                scale = max(len(match[1] or "") for match in found)
                kind = Kind(
                    type="decimal", decimal_mark=None if mark == "." else ",", scale=scale if scale > 2 else None
                )
                return self._if_reads(
                    kind, f"numbers of up to {scale} digits after the {'point' if mark == '.' else 'comma'}"
                )
        return None

    def _is_id(self) -> bool:
        """Digits that name something: by the column's name, or because no two rows share them and they are long."""
        return self._named_id() or (
            self._column.unique
            and self._column.rows >= 20
            and all(len(text) >= 7 and text.isdigit() for text in self._texts)
        )

    def _named_id(self) -> bool:
        return bool(self._last() & IDS) or self._column.name.endswith(("Id", "ID"))

    def _last(self) -> set[str]:
        """The last word of the field's and of the column's name: what the thing is."""
        return {self._name.rpartition("_")[2], bare(self._column.name).rpartition("_")[2]}

    def choice(self) -> Guess | None:
        codes = sorted(self._column.counts)
        last = self._last()
        if not 2 <= len(codes) <= MOST_CODES or last & PROSE or self._is_id() or any(len(code) > 40 for code in codes):
            return None
        often = self._column.filled
        coded = bool(last & CODED) and often >= 2 * len(codes) and often >= 4
        plain = often >= 30 and often >= 10 * len(codes) and all(_CODE.fullmatch(code) for code in codes)
        if not (coded or plain) or len({bool(_WHOLE.fullmatch(code)) for code in codes}) > 1:
            return None
        return Guess(Kind(type="choice", of=tuple(codes)), f"{len(codes)} different texts in {often:,} cells")

    def words_only(self) -> Guess:
        if self._name in ("first_name", "last_name", "full_name", "middle_name") and self._entity in PEOPLE:
            return Guess(Kind(type="name"), "by its name")
        if self._name == "name" and self._entity == "account":
            return Guess(Kind(type="name"), "by its name")
        if self._is_id() and self._every(_WHOLE):
            return Guess(Kind(), "digits that name something stay text")
        if any(_PADDED.fullmatch(text) for text in self._texts) and self._every(_WHOLE):
            return Guess(Kind(), "leading zeros: stays text")
        return Guess(
            Kind(),
            "nothing narrower reads" if self._named("email", "phone", "country", "url", "domain") else "any text",
        )

    def _named(self, *words: str) -> bool:
        return any(word in words for word in self._words) or any(
            self._name.endswith(word) for word in words if len(word) > 4
        )

    def _every(self, shape: re.Pattern[str]) -> bool:
        return all(shape.fullmatch(text) for text in self._texts)

    def _share(self, kind: Kind) -> float:
        return self._reads(kind, self._texts) / len(self._texts)

    def _fits(self, kind: Kind, enough: float = ENOUGH) -> bool:
        return self._share(kind) >= enough

    def _said(self, kind: Kind) -> str:
        return f"{self._reads(kind, self._texts):,} of {len(self._texts):,} texts"

    def _if_reads(self, kind: Kind, what: str, enough: float = ENOUGH) -> Guess | None:
        return Guess(kind, f"{what}: {self._said(kind)} read") if self._fits(kind, enough) else None


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _listed(texts: Iterable[str]) -> str:
    return ", ".join(texts)
