"""Commands for people who read elsewhere: the scorecard, the tables of a past day, Parquet files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from sor_pipeline.cli.place import Force, Json, looking, writable
from sor_pipeline.terminal.paper import near


def report(
    context: typer.Context,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="default: reports/scorecard.html in the state folder")
    ] = None,
    force: Force = False,
    machine: Json = False,
) -> None:
    """Write the scorecard: one page that says which systems agree, where they do not, and who must act."""
    from sor_pipeline.page.scorecard import write

    with looking(context, machine) as (hands, paper):
        file = write(hands, writable(output, hands.settings, force))
    paper.data({"written": str(file)})
    paper.say(f"Wrote {near(file.absolute())}: open it in any browser; it needs no network.")


def as_of(
    context: typer.Context,
    date: Annotated[str, typer.Argument(help="a day, a timestamp (UTC), or the number of a publication")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="default: as-of/<date>.duckdb in the state folder")
    ] = None,
    force: Force = False,
    machine: Json = False,
) -> None:
    """Put all entities as they were published then into a DuckDB file of their own."""
    from sor_pipeline.observe.asof import line, write

    with looking(context, machine) as (hands, paper):
        past, file = write(hands, date, writable(output, hands.settings, force))
        query = line(hands, next(iter(hands.ownership.entities)), past.published_at)
    paper.data(
        {"publication": past.publication, "published_at": past.published_at, "written": str(file), "query": query}
    )
    paper.say(f"Publication {past.publication} of {past.published_at:%Y-%m-%d %H:%M} UTC is in {near(file.absolute())}")
    paper.say("One entity of it, without a file, from the published one:")
    paper.say(escape(f"  {query}"))


def export(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="new, empty, or an earlier export; it is replaced whole")],
    machine: Json = False,
) -> None:
    """Write the conformed tables as Parquet files, with a manifest."""
    from sor_pipeline.observe.parquet import MANIFEST, export

    with looking(context, machine) as (hands, paper):
        done = export(hands, folder)
    paper.data({"publication": done.publication, "tables": done.tables, "rows": done.rows, "folder": str(folder)})
    paper.say(
        f"Wrote {done.tables} tables of publication {done.publication} ({done.rows:,} rows) "
        f"to {near(folder.absolute())}; {MANIFEST} says what each holds."
    )
