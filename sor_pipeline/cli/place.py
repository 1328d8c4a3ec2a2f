"""Where the options of the whole command point, and what every command shares.

Belongs here: `Place`, the document behind it, exit codes, options that several commands take.
Does not: any command.
"""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from sor_pipeline.ownership.document import Ownership
from sor_pipeline.ownership.lint import load_checked
from sor_pipeline.run import Run
from sor_pipeline.settings import DEFAULT_DOCUMENT, Settings
from sor_pipeline.terminal.paper import Paper

FAULTS, USAGE, BLOCKED, UNAVAILABLE, BUSY = 1, 2, 3, 4, 5

Json = Annotated[bool, typer.Option("--json", help="print one JSON document instead of tables")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=1_000_000, help="rows at most")]
Force = Annotated[bool, typer.Option("--force", help="overwrite a file that is there")]
Reason = Annotated[str, typer.Option(help="why; it is kept with the decision")]
By = Annotated[str | None, typer.Option(help="who decides; default: the user of this machine")]


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


@contextmanager
def document(context: typer.Context) -> Iterator[tuple[Ownership, Settings]]:
    """The document, free of faults, and the settings."""
    place: Place = context.obj
    settings = place.settings()
    yield load_checked(settings.ownership), settings


@contextmanager
def looking(context: typer.Context, machine: bool) -> Iterator[tuple[Run, Paper]]:
    """Hands for looking only, and the paper for what they find."""
    from sor_pipeline.flow import reading

    paper = Paper(machine=machine)
    with document(context) as (ownership, settings), reading(ownership, settings, paper.notice) as hands:
        yield hands, paper


def known(ownership: Ownership, entity: str | None, field: str | None) -> None:
    """Raises typer.BadParameter for an entity or field that the document does not name."""
    if entity is not None and entity not in ownership.entities:
        raise typer.BadParameter(f"{entity} is not an entity of the document: {', '.join(ownership.entities)}")
    fields = {name for kind, spec in ownership.entities.items() if entity in (None, kind) for name in spec.fields}
    if field is not None and field not in fields:
        raise typer.BadParameter(f"no field {field}; there are: {', '.join(sorted(fields))}")


def writable(output: Path | None, settings: Settings, force: bool) -> Path | None:
    """The file that a command may write: new, or to be overwritten by --force, and never one of the state itself.

    Raises typer.BadParameter.
    """
    if output is None:
        return None
    real, home = output.resolve(), settings.home.resolve()
    if real.is_relative_to(home) and real.parent not in (home / "as-of", home / "reports"):
        raise typer.BadParameter(f"{output} lies in the state folder {home}; name a file elsewhere with --output")
    if output.is_dir():
        raise typer.BadParameter(f"{output} is a folder; name a file with --output")
    beside = next((one for one in real.parents if one.exists()), real.parent)
    if not beside.is_dir():
        raise typer.BadParameter(f"{output} cannot be there: {beside} is no folder; name another with --output")
    if output.exists() and not force:
        raise typer.BadParameter(f"{output} exists; name another with --output, or overwrite it with --force")
    return output


def signed(by: str | None) -> str:
    """Who speaks: as told, else the user of this machine."""
    if by is not None:
        return by
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError) as error:
        raise typer.BadParameter("nobody knows who you are here; say it with --by") from error
