"""The command that plays corrections forward on a copy."""

from __future__ import annotations

from typing import Annotated

import typer

from sor_pipeline.cli.place import FAULTS, Json
from sor_pipeline.cli.place import document as opened_document
from sor_pipeline.terminal.paper import Paper


def simulate(
    context: typer.Context,
    rounds: Annotated[int, typer.Option(min=2, max=20, help="rounds of extract, resolve, correct")] = 4,
    target: Annotated[
        list[str] | None,
        typer.Option(help="SYSTEM=MODEL: obedient (all are, unless told), slow, stubborn, lower, truncate, zeros"),
    ] = None,
    machine: Json = False,
) -> None:
    """Play corrections forward on a copy: does every cell come to rest? Exit code 1 if one does not."""
    from sor_pipeline.flow import reading
    from sor_pipeline.simulate.play import models_of
    from sor_pipeline.terminal.simulation import play

    paper = Paper(machine=machine)
    told: dict[str, str] = {}
    for text in target or ():
        system, equals, model = text.partition("=")
        if not equals:
            raise typer.BadParameter(f"{text} is not SYSTEM=MODEL, such as marketo=stubborn")
        told[system] = model
    with opened_document(context) as (ownership, settings):
        models = models_of(ownership, told)
        with reading(ownership, settings, paper.notice) as run:
            rests = play(run, paper, rounds, models)
    if not rests:
        raise typer.Exit(FAULTS)
