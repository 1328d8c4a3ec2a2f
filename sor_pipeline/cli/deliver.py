"""Commands about delivering corrections: show the plan, send it, turn a system's kill switch."""

from __future__ import annotations

from typing import Annotated

import typer

from sor_pipeline.cli.place import FAULTS, By, Json, Limit, Reason, document, looking, signed
from sor_pipeline.ownership.document import Ownership
from sor_pipeline.settings import STOP_DELIVERY
from sor_pipeline.terminal.paper import Paper

target = typer.Typer(
    name="target", no_args_is_help=True, rich_markup_mode="rich",
    help="Where corrections are delivered to, and the kill switch of each system.",
)  # fmt: skip
System = Annotated[str, typer.Argument(help="a system of the document with a target")]


def deliver(
    context: typer.Context,
    system: Annotated[str | None, typer.Argument(help="only this system")] = None,
    only_plan: Annotated[bool, typer.Option("--plan", help="show what would be sent, and send nothing")] = False,
    values: Annotated[bool, typer.Option("--values", help="also show personal values")] = False,
    limit: Limit = 50,
    machine: Json = False,
) -> None:
    """Send the open corrections to the systems that are live; for the others, show what would be sent."""
    from sor_pipeline.flow import BRIEFLY, opened, reading
    from sor_pipeline.terminal.delivering import send, show_plans, targets_of

    paper = Paper(machine=machine)
    with document(context) as (ownership, settings):
        _known(ownership, system)
        specs = [ownership.systems[name].target for name in targets_of(ownership, system)]
        if only_plan or not any(spec.live for spec in specs if spec):
            with reading(ownership, settings, paper.notice) as hands:
                show_plans(hands, paper, system, limit, values)
            return
        with paper.progress() as progress, opened(ownership, settings, None, progress, BRIEFLY, True) as hands:
            faults = send(hands, paper, system, limit, values)
    if faults:
        raise typer.Exit(FAULTS)


@target.command("list")
def listed(context: typer.Context, machine: Json = False) -> None:
    """Every target: kind, address, whether anything is sent, and who turned its switch."""
    from sor_pipeline.terminal.delivering import show_targets

    with looking(context, machine) as (hands, paper):
        show_targets(hands, paper)


@target.command()
def stop(context: typer.Context, system: System, reason: Reason, by: By = None, machine: Json = False) -> None:
    """Send nothing more to a system, from its next request on, even of a run that is at work."""
    from sor_pipeline.errors import EngineError
    from sor_pipeline.flow import BRIEFLY, opened
    from sor_pipeline.steward.switches import stop as enter
    from sor_pipeline.steward.switches import stop_now

    paper, who = Paper(machine=machine), signed(by)
    number = None
    with document(context) as (ownership, settings):
        _known(ownership, system)
        stop_now(settings, system, who, reason)
        try:
            with opened(ownership, settings, wait=BRIEFLY, existing=True) as hands:
                number = enter(hands, system)
        except EngineError:
            paper.notice("a run is at work: it stops before its next request; the ledger gets the entry later")
    paper.data({"system": system, "on": False, "number": number})
    paper.say(f"stopped: nothing is sent to {system} until `sor target start {system}`")


@target.command()
def start(context: typer.Context, system: System, reason: Reason, by: By = None, machine: Json = False) -> None:
    """Let a stopped system have its corrections again, if the document says that it is live."""
    from sor_pipeline.deliver.switches import pulled
    from sor_pipeline.flow import BRIEFLY, opened
    from sor_pipeline.steward.switches import start as turn_on

    paper, who = Paper(machine=machine), signed(by)
    with document(context) as (ownership, settings):
        _known(ownership, system)
        with opened(ownership, settings, wait=BRIEFLY, existing=True) as hands:
            number = turn_on(hands, system, who, reason)
            still = pulled(hands, system)
        spec = ownership.systems[system].target
    live = bool(spec and spec.live)
    paper.data({"system": system, "on": True, "number": number, "live": live, "stopped": still or None})
    if still:
        paper.notice(f"{system} is still stopped here: {STOP_DELIVERY} names it")
    paper.say(f"started: {system} is {'live' if live else 'a dry run, as the document says'}")


def _known(ownership: Ownership, system: str | None) -> None:
    """Raises typer.BadParameter for a system that the document does not name, or that has no target."""
    if system is None:
        return
    targets = [name for name, spec in ownership.systems.items() if spec.target]
    if system not in targets:
        named = ", ".join(targets) or "no system has one"
        raise typer.BadParameter(f"{system} is no system with a target: {named}")
