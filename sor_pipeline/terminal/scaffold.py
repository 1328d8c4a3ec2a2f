"""`sor init`: from a folder of extracts to the text of a first ownership document.

Belongs here: putting together what was seen (`survey`) and what can be guessed of it (`ownership.scaffold`), with the
reading of types lent by `stage`, so that a type is only guessed where its texts will read. Does not: writing the file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from sor_pipeline.errors import Fault, SorError
from sor_pipeline.ownership.entity import Field
from sor_pipeline.ownership.scaffold.assemble import guesses
from sor_pipeline.ownership.scaffold.sample import Kind
from sor_pipeline.ownership.scaffold.writing import written
from sor_pipeline.ownership.source import Mapping
from sor_pipeline.stage.standard import standardise
from sor_pipeline.terminal.survey import Survey, surveyed
from sor_pipeline.terminal.tables import surveyed_tables

_READ_AS_THEY_ARE = ("text", "name", "choice", "ref", "list")


@dataclass(frozen=True)
class Draft:
    """The document's text, and what could not be taken up, one line each."""

    text: str
    notes: tuple[str, ...]


def draft(folder: Path) -> Draft:
    """A document for the extracts below `folder`; the same files give the same bytes.

    Raises SorError where nothing below the folder can be read as an extract.
    """
    folder = Path(folder)
    return _drafted(surveyed(folder), str(folder), "name the folder that holds the extracts")


def draft_from_database(url: str, schema: str) -> Draft:
    """A document for the tables of a schema. A password in `url` is not written: `${DATABASE_PASSWORD}` stands for it.

    Raises SorError where the database cannot be read, or has no such table.
    """
    return _drafted(surveyed_tables(url, schema), schema or "the database", "name the schema with --schema")


def _drafted(survey: Survey, where: str, todo: str) -> Draft:
    if not any(stream.columns for stream in survey.streams):
        found = f"{len(survey.notes)} files, none of them readable" if survey.notes else "no file"
        lines = "\n".join(survey.notes[:20])
        todo += f"; what was found:\n{lines}" if lines else ""
        expected = "at least one CSV, JSON, Parquet or Excel file, or a table"
        raise SorError(Fault("no-extracts", where, "nothing there is an extract", found, expected, todo))
    guessed = guesses(survey.streams, readable)
    lacking = [f"{file}: {why}" for source in guessed.sources.values() for file, why in source.stream.unread]
    notes = tuple(dict.fromkeys((*survey.notes, *lacking)))
    guessed.remarks.extend(notes)
    return Draft(written(guessed), notes)


def readable(kind: Kind, texts: Sequence[str]) -> int:
    """How many of the texts `stage` would read as that kind."""
    if kind.type in _READ_AS_THEY_ARE:
        return len(texts)
    declared = Field(type=kind.type, region=kind.region, scale=9 if kind.type == "decimal" else 2)
    mark = "," if kind.decimal_mark == "," else "."
    mapping = Mapping(
        from_="text", format=kind.format, decimal_mark=mark, true_texts=kind.true_texts, false_texts=kind.false_texts
    )
    read = standardise(pl.Series(texts, dtype=pl.String), declared, mapping)
    return len(texts) - int(read.value.null_count())
