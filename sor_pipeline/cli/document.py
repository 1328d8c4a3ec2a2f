"""Commands about the ownership document itself: draft it, lint it, its schema, its data dictionary."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from sor_pipeline import __version__
from sor_pipeline.cli.place import Json
from sor_pipeline.cli.place import document as opened_document
from sor_pipeline.ownership.lint import read as read_document
from sor_pipeline.ownership.schema import json_schema
from sor_pipeline.settings import DEFAULT_DOCUMENT
from sor_pipeline.terminal.paper import Paper, near


def init(
    folder: Annotated[Path | None, typer.Argument(help="folder of extracts", exists=True, file_okay=False)] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="where to write the draft")] = Path("ownership.yaml"),
    force: Annotated[bool, typer.Option("--force", help="overwrite a document that is there")] = False,
    database: Annotated[
        str, typer.Option("--from-database", metavar="URL", help="SQLAlchemy URL; `${NAME}` is from the environment")
    ] = "",
    schema: Annotated[str, typer.Option("--schema", help="of the database: its tables are the extracts")] = "",
    machine: Json = False,
) -> None:
    """Draft an ownership document from a folder of extracts, or a schema of a database; every guess is commented."""
    from sor_pipeline.terminal.scaffold import draft, draft_from_database

    paper = Paper(machine=machine)
    if output.exists() and not force:
        raise typer.BadParameter(f"{output} exists; name another with --output, or overwrite it with --force")
    if bool(folder) == bool(database):
        raise typer.BadParameter("name a folder of extracts, or a database with --from-database")
    drafted = draft_from_database(database, schema) if folder is None else draft(folder)
    output.write_text(drafted.text, encoding="utf-8")
    paper.data({"written": str(output), "notes": drafted.notes})
    for note in drafted.notes:
        paper.say(f"[yellow]{escape(note)}[/yellow]")
    where = "" if output == Path(DEFAULT_DOCUMENT) else f" --ownership {output}"
    base = "" if folder is None or output.absolute().parent == folder.absolute() else f" --extracts {folder}"
    paper.say(f"Wrote {output}. Read every comment and mend it, then:")
    paper.say(f"  sor check{where}\n  sor run{where}{base}")


def check(context: typer.Context, machine: Json = False) -> None:
    """Lint the ownership document: every fault with file, line, found, expected and what to do."""
    paper, settings = Paper(machine=machine), context.obj.settings()
    reading = read_document(settings.ownership)
    paper.data([asdict(fault) for fault in reading.faults])
    if not machine:
        paper.faults(reading.faults)
    ownership = reading.ownership
    if ownership is not None and not reading.severity:
        fields = sum(len(entity.fields) for entity in ownership.entities.values())
        paper.say(
            f"{near(settings.ownership)}: {len(ownership.systems)} systems, {len(ownership.sources)} sources, "
            f"{len(ownership.entities)} entities, {fields} fields; no faults; warnings: {len(reading.faults)}"
        )
    raise typer.Exit(int(reading.severity))


def docs(
    context: typer.Context,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="folder of the site [docs in the state folder]")
    ] = None,
    machine: Json = False,
) -> None:
    """Render the ownership document as a site that opens from disk: the data dictionary."""
    from sor_pipeline.dictionary import write

    paper = Paper(machine=machine)
    with opened_document(context) as (ownership, settings):
        folder = output or settings.home / "docs"
        pages = write(ownership, folder)
    front = near(folder.absolute() / "index.html")
    paper.data({"written": str(front), "pages": pages})
    paper.say(f"Wrote {pages} pages. Open {escape(str(front))} in a browser.")


def schema() -> None:
    """Print the JSON Schema of the ownership document, for editors."""
    typer.echo(json.dumps(json_schema(), indent=2))


def version() -> None:
    """Print the version."""
    typer.echo(__version__)
