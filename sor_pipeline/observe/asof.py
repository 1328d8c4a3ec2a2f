"""What was published at a point in the past: every entity's table as it then was.

Two clocks. *When we published it*: `valid_from` and `valid_to` of `<entity>_history`, and the
publication's number; that is the clock of this module. *When it was true at the source*:
`<field>_since` of `<entity>_source`; no step back in time is needed to ask it.

The one-line query that everybody can write is `line(entity)`.

Belongs here: which publication a date means, and the tables as of it. Does not: making the file (`engine`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import sqlalchemy as sa

from sor_pipeline.engine.base import Rows
from sor_pipeline.engine.snapshot import write_snapshot
from sor_pipeline.errors import Fault, NeverPublished
from sor_pipeline.run import Run
from sor_pipeline.tables import Tables, grain

_DIGITS = 18
"""Of a publication's number at most; no warehouse counts further."""


@dataclass(frozen=True)
class Past:
    """One publication: its number, and its logical time (UTC, no zone)."""

    publication: int
    published_at: datetime


def meant(run: Run, connection: sa.Connection, asked: str) -> Past:
    """The publication that was the last one at `asked`: a day (its end, UTC), a timestamp, or a publication's number.

    Raises NeverPublished where nothing was published by then, or the text is none of the three.
    """
    table = run.tables.publication
    if _is_number(asked):
        wanted = table.c.publication == int(asked)
    else:
        moment, whole_day = _moment(asked)
        wanted = table.c.published_at < moment if whole_day else table.c.published_at <= moment
    last = sa.select(table.c.publication, table.c.published_at).where(wanted)
    found = connection.execute(last.order_by(table.c.publication.desc()).limit(1)).fetchall()
    if not found:
        raise NeverPublished(_never(run, connection, asked))
    return Past(found[0].publication, found[0].published_at)


def _is_number(asked: str) -> bool:
    return asked.isascii() and asked.isdigit() and len(asked) <= _DIGITS


def _moment(asked: str) -> tuple[datetime, bool]:
    """The instant that is asked about, and whether it is the end of a day, itself not part of it."""
    try:
        if len(asked) <= len("2026-03-05"):
            return datetime.combine(date.fromisoformat(asked), datetime.min.time()) + timedelta(days=1), True
        stamp = datetime.fromisoformat(asked)
        return (stamp.astimezone(UTC).replace(tzinfo=None) if stamp.tzinfo else stamp), False
    except (ValueError, OverflowError) as error:
        raise NeverPublished(
            Fault("as-of-date", "", "this is no point in time", asked, "2026-03-05, 2026-03-05T14:00 (UTC unless it "
                  "names an offset), or the number of a publication", "ask again")
        ) from error  # fmt: skip


def _never(run: Run, connection: sa.Connection, asked: str) -> Fault:
    table = run.tables.publication
    ends = sa.select(
        sa.func.min(table.c.publication),
        sa.func.min(table.c.published_at),
        sa.func.max(table.c.publication),
        sa.func.max(table.c.published_at),
    )
    first, began, last, ended = connection.execute(ends).one()
    if first is None:
        return Fault("never-published", "", "nothing is published yet", asked, "a publication", "run `sor run` first")
    return Fault(
        "never-published", "", "nothing was published by then", asked,
        f"from publication {first} of {began:%Y-%m-%d %H:%M} UTC to {last} of {ended:%Y-%m-%d %H:%M} UTC",
        "ask for a later time, or one of these numbers",
    )  # fmt: skip


def version(tables: Tables, entity: str, publication: int) -> Rows:
    """Grain: one entity of that publication; columns as `conformed.<entity>`, from its history alone."""
    history, table = tables.history[entity], tables.conformed[entity]
    return (
        sa.select(*(history.c[column.name] for column in table.columns))
        .where(
            history.c.from_publication <= publication,
            sa.or_(history.c.to_publication.is_(None), history.c.to_publication > publication),
        )
        .order_by(*(history.c[column.name] for column in grain(table)))
    )


def write(run: Run, asked: str, target: Path | None = None) -> tuple[Past, Path]:
    """Put every entity as then published, and `publication` up to it, into a DuckDB file; says which, and where.

    Default: `.sor/as-of/<what was asked>.duckdb`. Raises NeverPublished.
    """
    with run.engine.begin() as connection:
        past = meant(run, connection, asked)
        file = target or run.settings.home / "as-of" / f"{_named(asked)}.duckdb"
        write_snapshot(file, _tables(run, connection, past))
    return past, file


def _named(asked: str) -> str:
    """What was asked, as a file is called."""
    if _is_number(asked):
        return f"publication-{int(asked)}"
    moment, whole_day = _moment(asked)
    return f"{moment - timedelta(days=1):%Y-%m-%d}" if whole_day else f"{moment:%Y-%m-%dT%H%M%S}"


def _tables(run: Run, connection: sa.Connection, past: Past) -> Iterator[tuple[sa.Table, pa.Table]]:
    publication = run.tables.publication
    until = sa.select(publication).where(publication.c.publication <= past.publication)
    yield publication, run.engine.fetch(connection, until.order_by(publication.c.publication))
    for entity, table in run.tables.conformed.items():
        yield table, run.engine.fetch(connection, version(run.tables, entity, past.publication))


def line(run: Run, entity: str, moment: datetime) -> str:
    """The same for one entity and one instant, as a line of SQL that runs on the published file."""
    history = run.tables.history[entity]
    ended = sa.or_(history.c.valid_to.is_(None), history.c.valid_to > moment)
    query = sa.select(sa.text("*")).select_from(history).where(history.c.valid_from <= moment, ended)
    with run.engine.begin() as connection:
        compiled = query.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True})
    return " ".join(str(compiled).split())
