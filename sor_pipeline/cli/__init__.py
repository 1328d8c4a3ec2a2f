"""The command `sor`: arguments in, exit codes out.

Belongs here: parsing; a file per group of commands. What is done is in `flow`, what is asked in
`observe`, what people decide in `steward`, what is printed in `terminal`.

Exit codes: 0 done; 1 the document has faults, or the thing asked for does not exist; 2 wrong usage,
or nothing that can be read; 3 an expectation blocked the publication; 4 the warehouse cannot be worked with; 5 another
run is at work.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from sor_pipeline.cli import access, deliver, document, identity, look, marts, match, read, simulate, stewarding, work
from sor_pipeline.cli.place import BLOCKED, BUSY, FAULTS, UNAVAILABLE, USAGE, Place
from sor_pipeline.errors import EngineError, Fault, OwnershipError, PublicationBlocked, SettingsError, SorError
from sor_pipeline.ownership.lint import UNREADABLE
from sor_pipeline.terminal.anywhere import Anywhere
from sor_pipeline.terminal.paper import Paper

__all__ = ["BLOCKED", "BUSY", "FAULTS", "UNAVAILABLE", "USAGE", "app", "main"]

app = typer.Typer(
    cls=Anywhere, help="One ownership document says which system is right; sor makes it so.",
    epilog="Exit codes: 0 done, 1 faults or not found, 2 usage, 3 publication blocked, 4 warehouse unavailable, "
    "5 another run is at work.",
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich",
)  # fmt: skip
GROUPS: dict[str, tuple[Callable[..., None], ...]] = {
    "The document": (document.init, document.check, document.docs, document.schema),
    "Work": (work.run, work.demo, work.accept),
    "Who is who": (
        identity.review, identity.link, identity.unlink, identity.decisions, identity.withdraw, identity.why_linked,
    ),
    "Deliver": (deliver.deliver, simulate.simulate),
    "Stewards": (stewarding.cases, stewarding.case),
    "Read": (read.report, marts.marts, read.as_of, read.export),
    "Server": (access.grants,),
    "Look": (look.status, look.conflicts, look.why, look.corrections, look.suggest, document.version),
}  # fmt: skip
"""Commands as the help lists them."""


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


for panel, commands in GROUPS.items():
    for command in commands:
        app.command(rich_help_panel=panel)(command)
app.add_typer(match.group, rich_help_panel="Who is who")
app.add_typer(deliver.target, rich_help_panel="Deliver")
app.add_typer(stewarding.override, rich_help_panel="Stewards")


EXIT_CODES: tuple[tuple[type[SorError], int], ...] = (
    (OwnershipError, FAULTS), (SettingsError, USAGE), (PublicationBlocked, BLOCKED), (EngineError, UNAVAILABLE),
    (SorError, FAULTS),
)  # fmt: skip


def _in_text(arguments: list[str]) -> None:
    """Raises SettingsError for an argument that no database and no file can hold."""
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError as error:
            shown = argument.encode(errors="backslashreplace").decode()
            raise SettingsError(
                Fault("argument-not-text", "", "an argument is not text in UTF-8", shown, "UTF-8", "write it in UTF-8")
            ) from error


def main(arguments: list[str] | None = None) -> Any:
    """Entry point: faults are printed whole, never as a traceback; with `--json` also as one document."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        _in_text(given)
        return app(args=arguments)
    except SorError as error:
        faults = error.faults
        code = next(code for kind, code in EXIT_CODES if isinstance(error, kind))
        code = USAGE if any(fault.code in UNREADABLE for fault in faults) else code
        code = BUSY if any(fault.code == "run-in-progress" for fault in faults) else code
    except OSError as error:
        todo = "see to the disk and its permissions, then run again: nothing half-done is published"
        faults = (Fault("disk", str(error.filename or ""), "a file cannot be read or written", str(error), "", todo),)
        code = UNAVAILABLE
    paper = Paper(machine="--json" in given)
    paper.data({"faults": [asdict(fault) for fault in faults]})
    paper.faults(faults)
    sys.exit(code)
