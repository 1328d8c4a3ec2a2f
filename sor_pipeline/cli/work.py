"""Commands that make something happen: a run, an acceptance, the demo."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from sor_pipeline.cli.place import BLOCKED, By, Json, Reason, document, signed
from sor_pipeline.settings import Settings
from sor_pipeline.terminal.paper import Paper


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
        document(context) as (ownership, settings),
        paper.progress() as progress,
        opened(ownership, settings, as_of, progress, notice=paper.notice) as hands,
    ):
        passage = pass_through(hands)
    paper.data(as_data(passage))
    tell(passage, settings, paper)
    if passage.state == "blocked":
        raise typer.Exit(BLOCKED)


def accept(
    context: typer.Context,
    subject: Annotated[str, typer.Argument(help="as the refusal names it, e.g. shrink:hubspot.contacts:<batch>")],
    reason: Reason,
    by: By = None,
    machine: Json = False,
) -> None:
    """Accept by name what a guard stopped; the next run goes on with it."""
    from sor_pipeline.flow import BRIEFLY, opened
    from sor_pipeline.terminal.acceptance import say_accepted

    who, paper = signed(by), Paper(machine=machine)
    with (
        document(context) as (ownership, settings),
        opened(ownership, settings, wait=BRIEFLY, existing=True, notice=paper.notice) as hands,
    ):
        say_accepted(hands, paper, subject, who, reason)


def demo(
    context: typer.Context,
    contacts: Annotated[int, typer.Option(min=50, help="size of the company")] = 400,
    days: Annotated[int, typer.Option(min=1, max=30, help="days to play; a quiet one follows")] = 6,
    seed: Annotated[int, typer.Option(help="another seed is another company")] = 7,
    machine: Json = False,
) -> None:
    """Play the synthetic company: nine tools that disagree, day after day. Empties the state folder."""
    from sor_pipeline.flow import served
    from sor_pipeline.terminal.demo import play

    settings: Settings = context.obj.settings()
    if settings.home.exists() and any(settings.home.iterdir()) and not (settings.home / "demo").is_dir():
        raise typer.BadParameter(f"{settings.home} holds the state of something else; name another folder with --home")
    server = settings.warehouse_url if served(settings) else None
    play(settings.home, Paper(machine=machine), contacts=contacts, days=days, seed=seed, warehouse=server)
