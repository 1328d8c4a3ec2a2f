"""The command that builds the marts for analysts, with dbt."""

from __future__ import annotations

from typing import Annotated

import typer

from sor_pipeline.cli.place import Json, document
from sor_pipeline.terminal.paper import Paper, near


def marts(
    context: typer.Context,
    prepare: Annotated[bool, typer.Option("--prepare", help="only lay the dbt project out and parse it")] = False,
    afresh: Annotated[
        bool, typer.Option("--afresh", help="all history again, not what is new; on a server: every table made anew")
    ] = False,
    docs: Annotated[bool, typer.Option("--docs", help="also dbt's own pages, as reports/dbt.html")] = False,
    machine: Json = False,
) -> None:
    """Build and test the dbt marts over the conformed tables; readers keep the last ones until all is well."""
    from sor_pipeline.access.grants import follow
    from sor_pipeline.observe.marts.build import build, hands
    from sor_pipeline.observe.marts.build import prepare as parse

    paper = Paper(machine=machine)
    with document(context) as (ownership, settings), paper.progress() as progress:
        run = hands(ownership, settings, progress)
        built = None if prepare else build(run, afresh=afresh, docs=docs)
        manifest = parse(run) if built is None else None
        if built is not None:
            follow(run, paper.notice)
    if built is None:
        paper.data({"manifest": str(manifest)})
        paper.say(f"The dbt project is in {near(settings.dbt)}; Dagster shows its models from now on.")
        return
    paper.data({"results": built.results, "warned": built.warned, "incremental": built.incremental})
    rows = [
        {"what": f"{kind.replace('_', ' ')}s", "well": sum(statuses.values()) - statuses.get("warn", 0),
         "with a warning": statuses.get("warn", 0)}
        for kind, statuses in sorted(built.results.items())
    ]  # fmt: skip
    title = "dbt built what is new" if built.incremental else "dbt built everything"
    paper.table(title, rows, ("what", "well", "with a warning"))
    for name in built.warned:
        paper.say(f"[yellow]warned: {name}[/yellow]")
    place = "the schema marts" if built.file is None else near(built.file)
    paper.say(f"The marts are in {place}; what each holds: sor marts --docs")
