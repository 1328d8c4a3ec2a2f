"""Commands of stewards: words about single cells, and the cases that wait for a person."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from sor_pipeline.cli.identity import deciding
from sor_pipeline.cli.place import By, Json, Limit, Reason, document, known, looking, signed
from sor_pipeline.ownership.stewards import CaseKind
from sor_pipeline.terminal.paper import Paper

override = typer.Typer(
    name="override", no_args_is_help=True, rich_markup_mode="rich",
    help="A person's word about one cell, which stands before every rule until its end condition holds.",
)  # fmt: skip
UNTIL = "date:2026-12-31 (the last day), owner_changes, owner_agrees or verified"


@override.command(name="set")
def set_(
    context: typer.Context,
    entity: Annotated[str, typer.Argument(help="the kind of thing, e.g. contact")],
    name: Annotated[str, typer.Argument(help="its id, or a record of it: <source>:<key>")],
    field: Annotated[str, typer.Argument(help="the field")],
    value: Annotated[str | None, typer.Argument(help="as it would stand in an extract")] = None,
    *,
    until: Annotated[str, typer.Option(help=UNTIL)],
    reason: Reason,
    clear: Annotated[bool, typer.Option("--clear", help="instead of a value: the cell is empty")] = False,
    by: By = None,
    machine: Json = False,
) -> None:
    """Say what a cell is, whatever the rules say; the next run obeys."""
    from sor_pipeline.terminal.overriding import say_set

    if (value is None) is not clear:
        raise typer.BadParameter("give a value, or --clear, and not both")
    who = signed(by)
    with deciding(context) as hands:
        known(hands.ownership, entity, field)
        say_set(hands, Paper(machine=machine), entity, name, field, value, until, who, reason)


@override.command()
def end(
    context: typer.Context,
    number: Annotated[int, typer.Argument(metavar="NUMBER", min=1, help="as sor override list tells it")],
    reason: Reason = "",
    verified: Annotated[bool, typer.Option("--verified", help="it was checked, and its value is right")] = False,
    by: By = None,
    machine: Json = False,
) -> None:
    """End an override: from the next run on the rules decide again."""
    from sor_pipeline.terminal.overriding import say_ended

    who = signed(by)
    with deciding(context) as hands:
        say_ended(hands, Paper(machine=machine), number, who, reason or ("verified" if verified else ""), verified)


@override.command(name="list")
def list_(
    context: typer.Context,
    everything: Annotated[bool, typer.Option("--all", help="also those that are over")] = False,
    limit: Limit = 100,
    machine: Json = False,
) -> None:
    """The overrides in force, and the debt that they are: how old, whose, until when."""
    from sor_pipeline.terminal.overriding import show_overrides

    with looking(context, machine) as (hands, paper):
        show_overrides(hands, paper, everything, limit)


class Verb(StrEnum):
    """What can be done with a case."""

    assign = "assign"
    comment = "comment"
    close = "close"


class Closing(StrEnum):
    """How a case is closed by hand."""

    done = "done"
    accepted = "accepted"
    retry = "retry"


def cases(
    context: typer.Context,
    mine: Annotated[bool, typer.Option("--mine", help="only those of the user of this machine")] = False,
    steward: Annotated[str | None, typer.Option(help="only those of this steward")] = None,
    kind: Annotated[CaseKind | None, typer.Option(help="only those of this kind")] = None,
    overdue: Annotated[bool, typer.Option("--overdue", help="only those whose deadline is over")] = False,
    limit: Limit = 50,
    machine: Json = False,
) -> None:
    """What waits for a person: whose it is, until when, and why."""
    from sor_pipeline.flow import reading
    from sor_pipeline.terminal.casework import show_cases

    paper = Paper(machine=machine)
    who = signed(None) if mine and steward is None else steward
    with document(context) as (ownership, settings), reading(ownership, settings, paper.notice) as hands:
        show_cases(hands, paper, who, kind and kind.value, overdue, limit)


def case(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="CASE", help="its number, or how it begins")],
    verb: Annotated[Verb | None, typer.Argument(help="without one the case is shown")] = None,
    words: Annotated[str | None, typer.Argument(help="assign: to whom; comment: what you say")] = None,
    outcome: Annotated[Closing, typer.Option(help="close: how")] = Closing.done,
    reason: Annotated[str, typer.Option(help="close: why; assign: what for")] = "",
    by: By = None,
    machine: Json = False,
) -> None:
    """One case with all that happened to it; assign it, comment on it, close it."""
    from sor_pipeline.flow import reading
    from sor_pipeline.steward.verbs import Outcome
    from sor_pipeline.terminal import casework

    paper = Paper(machine=machine)
    if (words is None) is (verb in (Verb.assign, Verb.comment)):
        raise typer.BadParameter("assign takes a steward, comment takes words; the others take neither")
    if verb is None and (reason or outcome is not Closing.done):
        raise typer.BadParameter("--reason and --outcome say how a case is closed or assigned: name the verb")
    if verb is None:
        with document(context) as (ownership, settings), reading(ownership, settings, paper.notice) as hands:
            casework.show_case(hands, paper, name)
        return
    who = signed(by)
    with deciding(context) as hands:
        if verb is Verb.assign:
            casework.say_assigned(hands, paper, name, words or "", who, reason)
        elif verb is Verb.comment:
            casework.say_comment(hands, paper, name, who, words or "")
        else:
            casework.say_closed(hands, paper, name, Outcome(outcome.value), who, reason)
