"""A question: a select with a name, and the SQL that anybody can ask again.

Belongs here: asking and spelling out. Does not: any question of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
import sqlglot

from sor_pipeline.engine.base import Rows
from sor_pipeline.run import Run
from sor_pipeline.tables import Tables

WINDOW = 60
"""Publications that a trend looks back on."""
_DIALECTS = {"postgresql": "postgres"}
"""SQLGlot's name of an engine, where it is another one."""


@dataclass(frozen=True)
class Question:
    """`name` is its anchor on the page; `title` says in one line what a row is."""

    name: str
    title: str
    select: Rows


@dataclass(frozen=True)
class Answer:
    """`sql` gives the same rows; `published`: it needs the conformed tables only."""

    question: Question
    rows: tuple[dict[str, Any], ...]
    sql: str
    published: bool


def asked(run: Run, connection: sa.Connection, question: Question) -> Answer:
    """The rows, and the statement as text that runs on the warehouse or on the published file."""
    rows = connection.execute(question.select).mappings().fetchall()
    text = str(question.select.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True}))
    named = [part for part in sa.sql.visitors.iterate(question.select) if isinstance(part, sa.Table)]
    schemas = {table.schema for table in named}
    return Answer(
        question,
        tuple(dict(row) for row in rows),
        _laid_out(text, connection.dialect.name),
        schemas == {run.tables.publication.schema},
    )


def _laid_out(text: str, dialect: str) -> str:
    """The statement as people lay it out, or as it is where SQLGlot does not know a word of it."""
    named = _DIALECTS.get(dialect, dialect)
    try:
        return sqlglot.transpile(text, read=named, write=named, pretty=True)[0]
    except sqlglot.ParseError:
        return text


def last(tables: Tables) -> sa.ScalarSelect[int]:
    """Number of the last publication."""
    return sa.select(sa.func.max(tables.publication.c.publication)).scalar_subquery()


def recent(tables: Tables) -> sa.ColumnElement[bool]:
    """Publications of the window that trends look at."""
    return tables.publication.c.publication > last(tables) - WINDOW
