"""Commands about who is who: the steward's word, and why records are linked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from sor_pipeline.cli.place import By, Json, Limit, Reason, document, known, looking, signed
from sor_pipeline.run import Run
from sor_pipeline.terminal.paper import Paper

One = Annotated[str, typer.Argument(metavar="A", help="a record: <source>:<key>, e.g. hubspot.contacts:123")]
Other = Annotated[str, typer.Argument(metavar="B", help="another record of the same entity")]


@contextmanager
def deciding(context: typer.Context) -> Iterator[Run]:
    """Hands for writing a person's word down."""
    from sor_pipeline.flow import BRIEFLY, opened

    notice = Paper().notice
    with (
        document(context) as (ownership, settings),
        opened(ownership, settings, wait=BRIEFLY, existing=True, notice=notice) as hands,
    ):
        yield hands


def link(context: typer.Context, one: One, other: Other, reason: Reason, by: By = None, machine: Json = False) -> None:
    """Say that two records are the same; the next run puts them together."""
    from sor_pipeline.steward.decisions import Kind
    from sor_pipeline.terminal.decisions import say_link

    who = signed(by)
    with deciding(context) as hands:
        say_link(hands, Paper(machine=machine), Kind.link, one, other, who, reason)


def unlink(
    context: typer.Context, one: One, other: Other, reason: Reason, by: By = None, machine: Json = False
) -> None:
    """Say that two records are not the same; the next run parts them, whatever ties them."""
    from sor_pipeline.steward.decisions import Kind
    from sor_pipeline.terminal.decisions import say_link

    who = signed(by)
    with deciding(context) as hands:
        say_link(hands, Paper(machine=machine), Kind.unlink, one, other, who, reason)


def withdraw(
    context: typer.Context,
    number: Annotated[int, typer.Argument(metavar="NUMBER", min=1, help="of the decision, as sor decisions lists it")],
    reason: Reason,
    by: By = None,
    machine: Json = False,
) -> None:
    """Take a decision back; the ledger keeps both entries."""
    from sor_pipeline.terminal.decisions import say_withdrawn

    who = signed(by)
    with deciding(context) as hands:
        say_withdrawn(hands, Paper(machine=machine), number, who, reason)


def decisions(
    context: typer.Context,
    entity: Annotated[str | None, typer.Option(help="only about this entity")] = None,
    everything: Annotated[bool, typer.Option("--all", help="also those withdrawn and overruled")] = False,
    limit: Limit = 100,
    machine: Json = False,
) -> None:
    """The decisions in force: who said what about which records, when and why."""
    from sor_pipeline.terminal.decisions import show_decisions

    with looking(context, machine) as (hands, paper):
        known(hands.ownership, entity, None)
        show_decisions(hands, paper, entity, everything, limit)


def review(
    context: typer.Context,
    entity: Annotated[str | None, typer.Argument(help="only this entity")] = None,
    limit: Limit = 50,
    mask: Annotated[bool, typer.Option("--mask", help="hide the values of personal fields")] = False,
    by: By = None,
    machine: Json = False,
) -> None:
    """Walk the open cases, two records side by side: same, different, skip, undo."""
    from sor_pipeline.flow import reading
    from sor_pipeline.terminal.sitting import sit

    paper, who = Paper(machine=machine), signed(by)
    with document(context) as (ownership, settings):
        known(ownership, entity, None)
        with reading(ownership, settings, paper.notice) as hands:
            sit(hands, paper, entity, limit, mask, who)


def why_linked(
    context: typer.Context,
    one: One,
    other: Annotated[
        str | None, typer.Argument(metavar="[B]", help="another record; without it: all that hold A's entity together")
    ] = None,
    values: Annotated[bool, typer.Option("--values", help="also show personal values that records share")] = False,
    chart: Annotated[
        Path | None, typer.Option(help="save Splink's waterfall chart of the two as .html or .json")
    ] = None,
    machine: Json = False,
) -> None:
    """Why two records are the same, edge by edge; or why they are not."""
    from sor_pipeline.flow import reading
    from sor_pipeline.terminal.linkage import show_entity, show_pair
    from sor_pipeline.terminal.similarity import save_chart, suitable

    paper = Paper(machine=machine)
    if chart is not None and (other is None or not suitable(chart)):
        raise typer.BadParameter("--chart takes two records, and a file that ends in .html or .json")
    with document(context) as (ownership, settings), reading(ownership, settings, paper.notice) as hands:
        if other is None:
            show_entity(hands, paper, one, values)
            return
        score = show_pair(hands, paper, one, other, values, chart is not None)
        if chart is not None:
            save_chart(paper, score, chart)
