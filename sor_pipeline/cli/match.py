"""Commands about similarity: learn a model, measure what matching finds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sor_pipeline.cli.place import Json, document, known, looking
from sor_pipeline.ownership.document import Ownership
from sor_pipeline.ownership.matching import Similar
from sor_pipeline.terminal.paper import Paper

group = typer.Typer(
    name="match", no_args_is_help=True, rich_markup_mode="rich",
    help="Similarity: learn what agreement is worth, measure what matching finds.",
)  # fmt: skip
Entity = Annotated[str | None, typer.Argument(help="only this entity; default: all with a `similar` rule")]


@group.command()
def train(context: typer.Context, entity: Entity = None, machine: Json = False) -> None:
    """Learn from the records that are there, without labels; the new model is in force from the next run on."""
    from sor_pipeline.flow import BRIEFLY, opened
    from sor_pipeline.terminal.matching import learn, tell_trained

    paper = Paper(machine=machine)
    with document(context) as (ownership, settings):
        known(ownership, entity, None)
        names = _similar(ownership, entity)
        with (
            paper.progress() as progress,
            opened(ownership, settings, None, progress, BRIEFLY, existing=True, notice=paper.notice) as hands,
        ):
            trained = [learn(hands, name) for name in names]
    tell_trained(trained, paper)


@group.command()
def score(
    context: typer.Context,
    truth: Annotated[
        Path, typer.Option(help="CSV or Parquet: source, key, cluster; records of one cluster are the same")
    ],
    entity: Entity = None,
    machine: Json = False,
) -> None:
    """Compare what matching found with a truth: precision, recall, F1, exact and over-merged clusters."""
    from sor_pipeline.terminal.matching import measured, tell_scores

    with looking(context, machine) as (hands, paper):
        known(hands.ownership, entity, None)
        scores = measured(hands, truth, entity)
    tell_scores(scores, paper)


def _similar(ownership: Ownership, entity: str | None) -> list[str]:
    """Entities with a similarity rule, or the one named. Raises typer.BadParameter where there is none."""
    ruled = [name for name, spec in ownership.entities.items() if any(isinstance(r, Similar) for r in spec.match)]
    if entity is not None and entity not in ruled:
        others = f"; {', '.join(ruled)} has one" if ruled else ""
        raise typer.BadParameter(f"{entity} has no `similar` rule in the document{others}: there is nothing to train")
    if not ruled:
        raise typer.BadParameter(
            "no entity of the document has a `similar` rule: write one, e.g. match: [similar: [name, email, phone]]"
        )
    return [entity] if entity else ruled
