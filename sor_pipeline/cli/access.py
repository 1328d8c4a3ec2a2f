"""Who may read what on a server."""

from __future__ import annotations

from typing import Annotated

import typer

from sor_pipeline.cli.place import FAULTS, Json, document
from sor_pipeline.terminal.paper import Paper


def grants(
    context: typer.Context,
    apply: Annotated[bool, typer.Option("--apply", help="make it so, in one transaction")] = False,
    check: Annotated[bool, typer.Option("--check", help="tell what is not so; exit code 1 where anything is")] = False,
    prefix: Annotated[str, typer.Option(help="how the roles' names begin: they are everybody's on a server")] = "sor_",
    machine: Json = False,
) -> None:
    """Least-privilege roles of a PostgreSQL warehouse: print the statements, apply them, or check them."""
    from sor_pipeline.access.grants import refuse
    from sor_pipeline.flow import BRIEFLY, opened, reading
    from sor_pipeline.terminal.access import show_applied, show_differences, show_script

    if apply and check:
        raise typer.BadParameter("either --apply or --check")
    paper = Paper(machine=machine)
    with document(context) as (ownership, settings):
        refuse(settings, prefix)
        if apply:
            with opened(ownership, settings, wait=BRIEFLY, existing=True, notice=paper.notice) as hands:
                show_applied(hands, paper, prefix)
            return
        with reading(ownership, settings, paper.notice) as hands:
            if not check:
                show_script(hands, paper, prefix)
            elif not show_differences(hands, paper, prefix):
                raise typer.Exit(FAULTS)
