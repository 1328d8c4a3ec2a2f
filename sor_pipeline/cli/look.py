"""Commands that only look: what is published, what disagrees, why, what must be corrected."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from sor_pipeline.cli.place import FAULTS, Json, Limit, known, looking


def status(context: typer.Context, machine: Json = False) -> None:
    """What is published, what ran, what each source delivered, what does not hold."""
    from sor_pipeline.terminal.reports import show_status

    with looking(context, machine) as (hands, paper):
        show_status(hands, paper)


def conflicts(
    context: typer.Context,
    entity: Annotated[str | None, typer.Option(help="only this entity, conflict by conflict")] = None,
    field: Annotated[str | None, typer.Option(help="only this field, conflict by conflict")] = None,
    limit: Limit = 20,
    machine: Json = False,
) -> None:
    """The fields on which systems disagree most; with --entity or --field each open conflict."""
    from sor_pipeline.terminal.reports import show_conflicts

    with looking(context, machine) as (hands, paper):
        known(hands.ownership, entity, field)
        show_conflicts(hands, paper, entity, field, limit)


def why(
    context: typer.Context,
    entity: Annotated[str, typer.Argument(help="the kind of thing, e.g. contact")],
    name: Annotated[str, typer.Argument(help="its id, or any system's key of a record of it")],
    field: Annotated[str | None, typer.Argument(help="one field, with everybody's claim")] = None,
    machine: Json = False,
) -> None:
    """Why a cell holds what it holds: value, system, record, rule, and everybody's claim."""
    from sor_pipeline.terminal.reports import show_why

    with looking(context, machine) as (hands, paper):
        known(hands.ownership, entity, field)
        if not show_why(hands, paper, entity, name, field):
            paper.aside.print(f"[red]no {entity} has the id or key {escape(name)}[/red]")
            raise typer.Exit(FAULTS)


def corrections(
    context: typer.Context,
    system: Annotated[str | None, typer.Argument(help="only this system")] = None,
    limit: Limit = 50,
    machine: Json = False,
) -> None:
    """What each system must change to agree with the conformed tables."""
    from sor_pipeline.terminal.reports import show_corrections

    with looking(context, machine) as (hands, paper):
        if system is not None and system not in hands.ownership.systems:
            raise typer.BadParameter(f"{system} is not a system of the document: {', '.join(hands.ownership.systems)}")
        show_corrections(hands, paper, system, limit)


def suggest(
    context: typer.Context,
    entity: Annotated[str | None, typer.Option(help="only this entity")] = None,
    field: Annotated[str | None, typer.Option(help="only this field")] = None,
    limit: Limit = 5,
    machine: Json = False,
) -> None:
    """Who should own the fields that are fought over most, with the evidence; writes nothing."""
    from sor_pipeline.terminal.suggesting import suggest as show

    with looking(context, machine) as (hands, paper):
        known(hands.ownership, entity, field)
        show(hands, paper, entity, field, limit)
