"""The answers of `sor grants`: the statements, what was applied, what differs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby

from rich.markup import escape

from sor_pipeline.access import grants
from sor_pipeline.access.excess import Finding
from sor_pipeline.access.plan import Statement
from sor_pipeline.access.roles import ROLES, WORDS
from sor_pipeline.run import Run
from sor_pipeline.terminal.paper import Paper


def show_script(run: Run, paper: Paper, prefix: str) -> None:
    """The whole description as a script for psql, with comments; nothing is changed."""
    with run.engine.begin() as connection:
        statements = grants.script(run, connection, prefix)
    paper.data({"statements": [asdict(statement) for statement in statements]})
    for line in (*_roles(prefix), "BEGIN;", *_lines(statements), "COMMIT;"):
        paper.say(escape(line))


def show_applied(run: Run, paper: Paper, prefix: str) -> None:
    """Make the description true, in one transaction."""
    with run.engine.begin() as connection:
        statements = grants.apply(run, connection, prefix)
    paper.data({"applied": [asdict(statement) for statement in statements]})
    if not statements:
        paper.say("Nothing to apply: the rights are as described.")
        return
    paper.say(f"[green]Applied[/green] {len(statements):,} statements in one transaction.")
    paper.say(f"Put people and tools into the roles, e.g. GRANT {prefix}analyst TO <login>;")


def show_differences(run: Run, paper: Paper, prefix: str) -> bool:
    """What is not as described; True where nothing is."""
    with run.engine.begin() as connection:
        statements, findings = grants.check(run, connection, prefix)
    paper.data({"statements": [asdict(one) for one in statements], "findings": [asdict(one) for one in findings]})
    for line in _lines(statements):
        paper.say(escape(line))
    _tell(paper, findings)
    if not (statements or findings):
        paper.say("The rights are as described.")
    elif statements:
        paper.say(f"[yellow]{len(statements):,} statements would make them so[/yellow]: sor grants --apply")
    return not (statements or findings)


def _tell(paper: Paper, findings: Sequence[Finding]) -> None:
    for finding in findings:
        paper.say(f"[red]{escape(finding.what)}[/red]")
        paper.say(f"  do: {escape(finding.todo)}")


def _roles(prefix: str) -> list[str]:
    lines = []
    for role in ROLES:
        lines.append(f"-- {prefix}{role.name}: {role.words}")
        lines += [f"--     {place}: {WORDS[how]}" for place, how in role.reach]
    return lines


def _lines(statements: Sequence[Statement]) -> list[str]:
    lines = []
    for heading, group in groupby(statements, key=lambda statement: statement.heading):
        lines += [f"-- {heading}", *(f"{statement.text};" for statement in group)]
    return lines
