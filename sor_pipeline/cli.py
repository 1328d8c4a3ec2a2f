"""The command `sor`: arguments in, exit codes out.

Belongs here: parsing. What is done is in `flow`, what is asked in `observe`, what is printed in `terminal`.

Exit codes: 0 done; 1 the document has faults, or the thing asked for does not exist; 2 wrong usage,
or nothing that can be read; 3 an expectation blocked the publication; 4 the warehouse is in use or damaged.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from sor_pipeline import __version__
from sor_pipeline.errors import EngineError, Fault, OwnershipError, PublicationBlocked, SettingsError, SorError
from sor_pipeline.ownership.document import Ownership
from sor_pipeline.ownership.lint import UNREADABLE, load_checked
from sor_pipeline.ownership.lint import read as read_document
from sor_pipeline.ownership.schema import json_schema
from sor_pipeline.settings import DEFAULT_DOCUMENT, Settings
from sor_pipeline.terminal.anywhere import Anywhere
from sor_pipeline.terminal.paper import Paper, near

FAULTS, USAGE, BLOCKED, UNAVAILABLE = 1, 2, 3, 4


app = typer.Typer(
    cls=Anywhere, help="One ownership document says which system is right; sor makes it so.",
    epilog="Exit codes: 0 done, 1 faults or not found, 2 usage, 3 publication blocked, 4 warehouse unavailable.",
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich",
)  # fmt: skip

Json = Annotated[bool, typer.Option("--json", help="print one JSON document instead of tables")]
Limit = Annotated[int, typer.Option("--limit", min=1, help="rows at most")]


@dataclass(frozen=True)
class Place:
    """Where the options of the whole command point."""

    ownership: Path | None
    home: Path | None
    extracts: Path | None

    def settings(self) -> Settings:
        """Where nothing names a document, none is here and the demo was played: the demo's."""
        found = Settings.read(ownership=self.ownership, home=self.home, extracts=self.extracts)
        named = self.ownership or os.environ.get("SOR_OWNERSHIP") or found.ownership.exists()
        demo = found.home / "demo" / DEFAULT_DOCUMENT
        if named or not demo.exists():
            return found
        return Settings.read(ownership=demo, home=self.home, extracts=self.extracts)


@app.callback()
def whole(
    context: typer.Context,
    ownership: Annotated[
        Path | None, typer.Option(help="ownership document, file or folder [SOR_OWNERSHIP, ownership.yaml]")
    ] = None,
    home: Annotated[Path | None, typer.Option(help="state folder [SOR_HOME, .sor]")] = None,
    extracts: Annotated[
        Path | None, typer.Option(help="folder that `files:` start from [SOR_EXTRACTS, beside the document]")
    ] = None,
) -> None:
    """One ownership document says which system is right; sor makes it so."""
    context.obj = Place(ownership, home, extracts)


@contextmanager
def _document(context: typer.Context) -> Iterator[tuple[Ownership, Settings]]:
    place: Place = context.obj
    settings = place.settings()
    yield load_checked(settings.ownership), settings


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="folder of extracts", exists=True, file_okay=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="where to write the draft")] = Path("ownership.yaml"),
    force: Annotated[bool, typer.Option("--force", help="overwrite a document that is there")] = False,
    machine: Json = False,
) -> None:
    """Draft an ownership document from a folder of extracts; every guess is commented."""
    from sor_pipeline.terminal.scaffold import draft

    paper = Paper(machine=machine)
    if output.exists() and not force:
        raise typer.BadParameter(f"{output} exists; name another with --output, or overwrite it with --force")
    drafted = draft(folder)
    output.write_text(drafted.text, encoding="utf-8")
    paper.data({"written": str(output), "notes": drafted.notes})
    for note in drafted.notes:
        paper.say(f"[yellow]{escape(note)}[/yellow]")
    where = "" if output == Path(DEFAULT_DOCUMENT) else f" --ownership {output}"
    base = "" if output.absolute().parent == folder.absolute() else f" --extracts {folder}"
    paper.say(f"Wrote {output}. Read every comment and mend it, then:")
    paper.say(f"  sor check{where}\n  sor run{where}{base}")


@app.command()
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


@app.command()
def run(
    context: typer.Context,
    as_of: Annotated[datetime | None, typer.Option(help="logical time of the run, UTC; default: now")] = None,
    machine: Json = False,
) -> None:
    """One pass: extract, stage, identify, resolve, check, publish, correct."""
    from sor_pipeline.flow import opened, pass_through
    from sor_pipeline.terminal.passage import as_data, tell

    paper = Paper(machine=machine)
    with (
        _document(context) as (ownership, settings),
        paper.progress() as progress,
        opened(ownership, settings, as_of, progress) as hands,
    ):
        passage = pass_through(hands)
    paper.data(as_data(passage))
    tell(passage, settings, paper)
    if passage.state == "blocked":
        raise typer.Exit(BLOCKED)


@app.command()
def status(context: typer.Context, machine: Json = False) -> None:
    """What is published, what ran, what each source delivered, what does not hold."""
    from sor_pipeline.flow import reading
    from sor_pipeline.terminal.reports import show_status

    with _document(context) as (ownership, settings), reading(ownership, settings) as hands:
        show_status(hands, Paper(machine=machine))


@app.command()
def conflicts(
    context: typer.Context,
    entity: Annotated[str | None, typer.Option(help="only this entity, conflict by conflict")] = None,
    field: Annotated[str | None, typer.Option(help="only this field, conflict by conflict")] = None,
    limit: Limit = 20,
    machine: Json = False,
) -> None:
    """The fields on which systems disagree most; with --entity or --field each open conflict."""
    from sor_pipeline.flow import reading
    from sor_pipeline.terminal.reports import show_conflicts

    with _document(context) as (ownership, settings), reading(ownership, settings) as hands:
        _known(ownership, entity, field)
        show_conflicts(hands, Paper(machine=machine), entity, field, limit)


@app.command()
def why(
    context: typer.Context,
    entity: Annotated[str, typer.Argument(help="the kind of thing, e.g. contact")],
    name: Annotated[str, typer.Argument(help="its id, or any system's key of a record of it")],
    field: Annotated[str | None, typer.Argument(help="one field, with everybody's claim")] = None,
    machine: Json = False,
) -> None:
    """Why a cell holds what it holds: value, system, record, rule, and everybody's claim."""
    from sor_pipeline.flow import reading
    from sor_pipeline.terminal.reports import show_why

    paper = Paper(machine=machine)
    with _document(context) as (ownership, settings), reading(ownership, settings) as hands:
        _known(ownership, entity, field)
        if not show_why(hands, paper, entity, name, field):
            paper.aside.print(f"[red]no {entity} has the id or key {escape(name)}[/red]")
            raise typer.Exit(FAULTS)


@app.command()
def corrections(
    context: typer.Context,
    system: Annotated[str | None, typer.Argument(help="only this system")] = None,
    limit: Limit = 50,
    machine: Json = False,
) -> None:
    """What each system must change to agree with the conformed tables."""
    from sor_pipeline.flow import reading
    from sor_pipeline.terminal.reports import show_corrections

    with _document(context) as (ownership, settings), reading(ownership, settings) as hands:
        if system is not None and system not in ownership.systems:
            raise typer.BadParameter(f"{system} is not a system of the document: {', '.join(ownership.systems)}")
        show_corrections(hands, Paper(machine=machine), system, limit)


@app.command()
def accept(
    context: typer.Context,
    subject: Annotated[str, typer.Argument(help="as the refusal names it, e.g. shrink:hubspot.contacts:<batch>")],
    by: Annotated[str, typer.Option(help="who accepts")],
    reason: Annotated[str, typer.Option(help="why")],
    machine: Json = False,
) -> None:
    """Accept by name what a guard stopped; the next run goes on with it."""
    from sor_pipeline.flow import opened
    from sor_pipeline.steward.acceptances import accept as write_down

    with _document(context) as (ownership, settings), opened(ownership, settings) as hands:
        fresh = write_down(hands, subject, by, reason)
    paper = Paper(machine=machine)
    paper.data({"subject": subject, "fresh": fresh})
    paper.say(f"{'accepted' if fresh else 'was accepted already'}: {escape(subject)}")


@app.command()
def demo(
    context: typer.Context,
    contacts: Annotated[int, typer.Option(min=50, help="size of the company")] = 400,
    days: Annotated[int, typer.Option(min=1, max=30, help="days to play; a quiet one follows")] = 6,
    seed: Annotated[int, typer.Option(help="another seed is another company")] = 7,
    machine: Json = False,
) -> None:
    """Play the synthetic company: nine tools that disagree, day after day. Empties the state folder."""
    from sor_pipeline.terminal.demo import play

    settings: Settings = context.obj.settings()
    if settings.home.exists() and any(settings.home.iterdir()) and not (settings.home / "demo").is_dir():
        raise typer.BadParameter(f"{settings.home} holds the state of something else; name another folder with --home")
    play(settings.home, Paper(machine=machine), contacts=contacts, days=days, seed=seed)


@app.command()
def schema() -> None:
    """Print the JSON Schema of the ownership document, for editors."""
    typer.echo(json.dumps(json_schema(), indent=2))


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


def _known(ownership: Ownership, entity: str | None, field: str | None) -> None:
    if entity is not None and entity not in ownership.entities:
        raise typer.BadParameter(f"{entity} is not an entity of the document: {', '.join(ownership.entities)}")
    fields = {name for kind, spec in ownership.entities.items() if entity in (None, kind) for name in spec.fields}
    if field is not None and field not in fields:
        raise typer.BadParameter(f"no field {field}; there are: {', '.join(sorted(fields))}")


EXIT_CODES: tuple[tuple[type[SorError], int], ...] = (
    (OwnershipError, FAULTS), (SettingsError, USAGE), (PublicationBlocked, BLOCKED), (EngineError, UNAVAILABLE),
    (SorError, FAULTS),
)  # fmt: skip


def main(arguments: list[str] | None = None) -> Any:
    """Entry point: faults are printed whole, never as a traceback; with `--json` also as one document."""
    try:
        return app(args=arguments)
    except SorError as error:
        faults = error.faults
        code = next(code for kind, code in EXIT_CODES if isinstance(error, kind))
        code = USAGE if any(fault.code in UNREADABLE for fault in faults) else code
    except OSError as error:
        todo = "see to the disk and its permissions, then run again: nothing half-done is published"
        faults = (Fault("disk", str(error.filename or ""), "a file cannot be read or written", str(error), "", todo),)
        code = UNAVAILABLE
    paper = Paper(machine="--json" in (sys.argv if arguments is None else arguments))
    paper.data({"faults": [asdict(fault) for fault in faults]})
    paper.faults(faults)
    sys.exit(code)
