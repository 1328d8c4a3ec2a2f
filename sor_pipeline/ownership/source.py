"""One stream of extracts of a system: how it is delivered and what its columns mean.

Belongs here: delivery (`Extract`) and mapping (`Mapping`, `Source`).
Does not: reading files (`extract`) or converting text (`stage`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

from pydantic import Field as Attr
from pydantic import field_validator, model_validator

from sor_pipeline.ownership.base import Duration, Name, Noun, Reach, SourceName
from sor_pipeline.ownership.loaders import deletion_texts
from sor_pipeline.ownership.target import SourceTarget


class Mode(StrEnum):
    """`snapshot` deletes what is missing; `changes` carries a deletion flag; `events` only adds."""

    snapshot = "snapshot"
    changes = "changes"
    events = "events"


class Drift(StrEnum):
    """What a delivery of another shape leads to: it is told and taken, held back until accepted, or ends the run."""

    accept = "accept"
    hold = "hold"
    stop = "stop"


class Limits(Noun):
    """How much bad input an extract may hold before it is refused whole."""

    bad_rows: float = Attr(0.01, ge=0, le=1, description="share of rows that may be rejected")


class Extract(Noun):
    """How a source is delivered: exactly one of `files`, `table`, `query`."""

    files: tuple[str, ...] = Attr((), description="globs below the extracts folder")
    table: str | None = Attr(None, description="table of the database in `url`")
    query: str | None = Attr(None, description="select statement for the database in `url`")
    url: str | None = Attr(None, description="SQLAlchemy URL; `${NAME}` is taken from the environment")

    cursor: str | None = Attr(
        None,
        description="table, query: column that grows with every change; then only what is new is read, and what has "
        "no value in it",
    )
    overlap: Reach | None = Attr(
        None,
        description="how far before the newest value of `cursor` is read again, to find late rows: a duration for "
        "times, a number for numbers; default: an hour for times, else nothing",
    )
    timeout: Duration | None = Attr(None, description="table, query: how long one statement may take; default: an hour")
    format: Literal["csv", "tsv", "jsonl", "json", "parquet", "excel"] | None = Attr(
        None, description="default: from the file's suffix"
    )
    delimiter: str | None = Attr(None, min_length=1, max_length=1)
    quote: str = Attr('"', max_length=1)
    escape: str | None = Attr(None, max_length=1)
    encoding: str = "utf-8"
    header_row: int = Attr(1, ge=1, description="line of the header, counted from 1; lines above it are skipped")
    records: str | None = Attr(None, description="JSON: dotted path to the list of records")
    sheet: str | None = Attr(None, description="Excel: name of the sheet; default: the first")

    mode: Mode = Mode.snapshot
    every: Duration | None = Attr(None, description="how often a new extract is due")
    as_of: Literal["name", "manifest", "modified"] = Attr(
        "name", description="where the batch's logical time is read; `name` falls back to the file's modification time"
    )
    max_shrink: float = Attr(0.3, ge=0, le=1, description="snapshot: share of records that may vanish at once")
    deleted: dict[str, tuple[str, ...]] = Attr(
        default_factory=dict, description="changes: column and the texts in it that mean deleted"
    )
    drift: Drift = Attr(
        Drift.accept,
        description="columns added, removed or retyped since the last batch: `accept` tells it and takes them, "
        "`hold` keeps the delivery back until it is accepted by name, `stop` ends the run",
    )
    limits: Limits = Limits()

    @field_validator("files", mode="before")
    @classmethod
    def _one_glob(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("deleted", mode="before")
    @classmethod
    def _one_flag(cls, value: Any) -> Any:
        """`deleted: is_deleted` means the usual spellings of true in that column; `_ab_cdc_deleted_at`: any text.

        `{column: "*"}` is short for `{column: ["*"]}`.
        """
        if isinstance(value, str):
            return {value: deletion_texts(value)}
        if isinstance(value, dict):
            return {name: (texts,) if isinstance(texts, str) else texts for name, texts in value.items()}
        return value

    @model_validator(mode="after")
    def _one_way_in(self) -> Extract:
        if sum(map(bool, (self.files, self.table, self.query))) != 1:
            raise ValueError("an extract names exactly one of `files`, `table`, `query`")
        if (self.table or self.query) and not self.url:
            raise ValueError("`table` and `query` need the database in `url`")
        if self.cursor and (self.files or self.mode is Mode.snapshot):
            raise ValueError("a `cursor` reads what is new in a table or query: with `mode: changes` or `mode: events`")
        if self.overlap is not None and not self.cursor:
            raise ValueError("an `overlap` needs the `cursor` that it goes back from")
        return self


class Mapping(Noun):
    """Where one field's text comes from in a row, and how it is written there.

    Exactly one of `from`, `join`, `constant`. `from` may be a dotted path into a column of JSON
    (`properties.email`) where no column has the whole name.
    """

    from_: str | None = Attr(None, alias="from")
    join: tuple[str, ...] = Attr((), description="columns put together with `separator`; blanks left out")
    separator: str = " "
    constant: str | None = None
    codes: dict[str, str] = Attr(
        default_factory=dict, description="the source's code: our code; an unlisted code is a finding"
    )
    format: str | None = Attr(None, description="date, timestamp: strptime format; or `epoch_s`, `epoch_ms`")
    zone: str = Attr("UTC", description="timestamp: zone of texts that name none")
    decimal_mark: Literal[".", ","] = "."
    scale_by: float | None = Attr(None, description="number: multiply by this (cents: 0.01)")
    true_texts: tuple[str, ...] = Attr(
        (), description="boolean: texts that mean true, besides the usual; the first is written back"
    )
    false_texts: tuple[str, ...] = Attr(
        (), description="boolean: texts that mean false, besides the usual; the first is written back"
    )
    separator_in: str | None = Attr(None, description="list: what separates the items in the text; default: JSON array")
    refers_to: SourceName | None = Attr(
        None, description="ref: source whose key the text is; default: the system's own source of that entity"
    )

    @model_validator(mode="after")
    def _one_origin(self) -> Mapping:
        if sum((self.from_ is not None, bool(self.join), self.constant is not None)) != 1:
            raise ValueError("a mapping names exactly one of `from`, `join`, `constant`")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        """The source's columns that this mapping reads."""
        return self.join or ((self.from_,) if self.from_ else ())


class Source(Noun):
    """One stream of extracts and its mapping to an entity's fields."""

    entity: Name
    extract: Extract
    key: tuple[str, ...] = Attr(min_length=1, description="column, or columns, that name a record")
    changed_at: str | None = Attr(
        None, description="column with the time the row last changed; default: the batch's as_of"
    )
    changed_at_format: str | None = None
    changed_at_zone: str = "UTC"
    title: str = ""
    description: str = ""
    fields: dict[Name, Mapping] = Attr(default_factory=dict)
    only: dict[str, tuple[str, ...]] = Attr(
        default_factory=dict,
        description="keep rows whose column holds one of these texts; others are rejected as `not-selected`",
    )
    accepts: tuple[Name, ...] = Attr((), description="fields to which corrections may be written")
    target: SourceTarget | None = Attr(None, description="how its records are addressed in the system's target")
    unique: bool = Attr(False, description="two records of this source are never the same entity")

    @field_validator("key", mode="before")
    @classmethod
    def _one_column(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("fields", mode="before")
    @classmethod
    def _short_mapping(cls, value: Any) -> Any:
        """`email: email_address` is short for `email: {from: email_address}`."""
        if not isinstance(value, dict):
            return value
        return {name: {"from": spec} if isinstance(spec, str) else spec for name, spec in value.items()}
