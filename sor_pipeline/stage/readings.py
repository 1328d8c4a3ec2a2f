"""What the texts of one field say: value, blank, placeholder or nothing readable.

Belongs here: code lists, placeholders, control characters, around the reading by type.
Does not: rows, tables, what a claim does to an earlier one (`fold`).
"""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from sor_pipeline.ownership.document import Ownership
from sor_pipeline.ownership.entity import Field
from sor_pipeline.ownership.source import Mapping
from sor_pipeline.stage.blanks import BLANKS
from sor_pipeline.stage.cells import UNREADABLE
from sor_pipeline.stage.placeholders import placeholders
from sor_pipeline.stage.standard import Standard, standardise
from sor_pipeline.stage.standard.dispatch import item_of
from sor_pipeline.stage.standard.result import only_where
from sor_pipeline.stage.standard.words import folded

BLANK, VALUE, PLACEHOLDER = 0, 1, 3
"""What a cell said; null says nothing: not delivered, or refused for a reason."""
_CONTROL = r"\p{Cc}"
_CONTROL_BUT_LINES = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x{9f}]"
_OF_MANY_LINES = ("text", "json", "list")
_PUNCTUATION = r"[\s().+/-]"


@dataclass(frozen=True)
class Reading:
    """As long as the texts: `said`, `value` (where VALUE), `compare` (if the type folds), `reason` of a refusal."""

    said: pl.Series
    value: pl.Series
    compare: pl.Series | None
    reason: pl.Series


class Reader:
    """Reads the cells of one field as one source writes them."""

    def __init__(self, ownership: Ownership, field: Field, mapping: Mapping) -> None:
        self._ownership = ownership
        self._field = field
        self._mapping = mapping
        self._codes = {} if field.type == "list" else {code.strip(BLANKS): ours for code, ours in mapping.codes.items()}
        self._placeholders = placeholders(ownership, field)

    def read(self, texts: pl.Series, countries: pl.Series | None = None) -> Reading:
        """`countries`: per text, the country of its row, for a subdivision."""
        frame = texts.str.strip_chars(BLANKS).alias("text").to_frame()
        ours = (
            pl.col("text").replace_strict(self._codes, default=None, return_dtype=pl.String)
            if self._codes
            else pl.col("text")
        )
        frame = frame.with_columns(ours.alias("meant"))
        decoded = pl.col("meant").is_not_null() if self._codes else pl.lit(False)
        frame = frame.with_columns(
            blank=(pl.coalesce("meant", "text") == "").fill_null(False),
            nothing=self._means_nothing(frame["text"]) & ~frame.select(decoded).to_series(),
        )
        frame = frame.with_columns(reason=self._refusal())
        readable = ~frame["blank"] & ~frame["nothing"] & frame["reason"].is_null()
        standard = self._standard(only_where(frame["meant"], readable), countries)
        return self._weigh(frame, standard)

    def _refusal(self) -> pl.Expr:
        """Why a text is not even tried; null where it is."""
        control = _CONTROL_BUT_LINES if self._field.type in _OF_MANY_LINES else _CONTROL
        return (
            pl.when(pl.col("blank") | pl.col("nothing") | pl.col("text").is_null())
            .then(pl.lit(None, dtype=pl.String))
            .when(pl.col("text").str.starts_with(UNREADABLE))
            .then(pl.lit("not-json"))
            .when(pl.col("text").str.contains(control))
            .then(pl.lit("control-character"))
            .when(pl.col("meant").is_null())
            .then(pl.lit("unlisted-code"))
        )

    def _means_nothing(self, texts: pl.Series) -> pl.Series:
        """Whether a text's comparable form is a placeholder's; a phone's also without its punctuation."""
        short = only_where(texts, texts.str.len_bytes() <= max(map(len, self._placeholders), default=0) * 4)
        found = folded(short).is_in(list(self._placeholders)).fill_null(False)
        if self._field.type == "phone":
            found |= short.str.replace_all(_PUNCTUATION, "").is_in(list(self._placeholders)).fill_null(False)
        return found

    def _standard(self, texts: pl.Series, countries: pl.Series | None) -> Standard:
        if texts.null_count() == len(texts):
            texts = texts.cast(pl.String)
        return standardise(texts, self._field, self._mapping, countries=countries, items=self._items)

    def _items(self, texts: pl.Series) -> Standard:
        """Items of a list are cells of their own type; blanks and placeholders among them count as nothing."""
        reading = Reader(self._ownership, item_of(self._field), self._mapping).read(texts)
        return Standard(reading.value, reading.reason)

    def _weigh(self, frame: pl.DataFrame, standard: Standard) -> Reading:
        """The standard form too may turn out to be a placeholder, or to hold nothing."""
        value, reason = standard.value, frame["reason"]
        empty = pl.repeat(False, len(frame), dtype=pl.Boolean, eager=True)
        nothing = frame["nothing"]
        if value.dtype == pl.String and self._field.type != "decimal":
            control = value.str.contains(_CONTROL if self._field.type != "text" else _CONTROL_BUT_LINES).fill_null(
                False
            )
            reason = pl.select(pl.when(control).then(pl.lit("control-character")).otherwise(reason)).to_series()
            empty = (value == ("[]" if self._field.type == "list" else "")).fill_null(False)
        form = _as_written(value, self._field.type)
        if form is not None:
            nothing = nothing | form.is_in(list(self._placeholders)).fill_null(False)
        columns = pl.DataFrame({"blank": frame["blank"] | empty, "nothing": nothing, "value": value})
        columns = columns.with_columns(
            reason=pl.select(pl.coalesce(pl.lit(reason), pl.lit(standard.reason))).to_series()
        )
        said = (
            pl.when(pl.col("reason").is_not_null())
            .then(None)
            .when(pl.col("blank"))
            .then(BLANK)
            .when(pl.col("nothing"))
            .then(PLACEHOLDER)
            .when(pl.col("value").is_not_null())
            .then(VALUE)
        )
        columns = columns.with_columns(said=said.cast(pl.Int16))
        valued = columns["said"].eq_missing(VALUE)
        compare = None if standard.compare is None else only_where(standard.compare, valued)
        return Reading(columns["said"], only_where(value, valued), compare, columns["reason"])


def _as_written(value: pl.Series, kind: str) -> pl.Series | None:
    """The standard form as a placeholder list would write it, for the types that are written in many ways."""
    if kind == "date":
        return value.dt.to_string("%Y-%m-%d")
    if kind == "timestamp":
        return value.dt.to_string("%Y-%m-%dt%H:%M:%S")
    return folded(value) if kind in ("email", "domain") else None
