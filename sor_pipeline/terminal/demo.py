"""The demo company played through: day after day, extracts, run, corrections applied; then what was found."""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from sor_pipeline.demo.clock import midnight
from sor_pipeline.demo.play import DOCUMENT, FIGHT, Demo
from sor_pipeline.flow import Passage, opened, pass_through, reading
from sor_pipeline.observe import disagreements, status
from sor_pipeline.ownership.lint import load_checked
from sor_pipeline.run import Run
from sor_pipeline.settings import Settings
from sor_pipeline.terminal.paper import Paper, number, read

FOLDER = "demo"


def play(home: Path, paper: Paper, *, contacts: int, days: int, seed: int) -> list[Passage]:
    """Fill `home` with the demo company's extracts and state, afresh; the document lies beside the extracts."""
    folder = home / FOLDER
    shutil.rmtree(home, ignore_errors=True)
    folder.mkdir(parents=True)
    document = folder / "ownership.yaml"
    shutil.copyfile(DOCUMENT, document)
    settings = Settings.read({}, ownership=document, home=home)
    ownership = load_checked(document)
    company = Demo(folder, seed=seed, contacts=contacts, days=days)
    passages = []
    paper.say(
        f"[bold]{ownership.title}[/bold]: {contacts:,} contacts in nine tools that disagree, {days} days. One document decides: {document}\n"
    )
    with paper.progress() as progress:
        for day in range(1, days + 1):
            progress(f"day {day}: writing extracts")
            written = company.write_day(day)
            with opened(
                ownership, settings, evening_of(day), lambda text, day=day: progress(f"day {day}: {text}")
            ) as run:  # type: ignore[misc]
                passage = pass_through(run)
                taken = sum(company.apply(file).taken for file in outbox_files(settings, passage.publication))
                passages.append(passage)
                tell_day(run, paper, day, len(written), passage, taken)
    with reading(ownership, settings) as run:
        tell_findings(run, paper, company)
    return passages


def evening_of(day: int) -> datetime:
    """The logical time of a day's run: after all of its extracts."""
    return midnight(day).replace(hour=23)


def outbox_files(settings: Settings, publication: int) -> list[Path]:
    """The correction files of one publication, one per source."""
    return sorted(settings.outbox.glob(f"*/{publication}-*.jsonl"))


def tell_day(run: Run, paper: Paper, day: int, files: int, passage: Passage, taken: int) -> None:
    """One line a day, and what was refused."""
    counted = {name: passage.count("publish", name) for name in ("created", "changed", "retired", "conflicts")}
    refused = passage.count("extract", "refused")
    paper.say(
        f"[bold]Day {day}[/bold]: {files} files, {passage.count('stage', 'read'):,} rows; publication {passage.publication} "
        f"({passage.state}): {counted['created']:,} created, {counted['changed']:,} cells changed, {counted['retired']:,} retired; "
        f"{taken:,} corrections applied by the tools"
        + (f"; [yellow]{refused} file refused, everything else went on[/yellow]" if refused else "")
    )
    for fault in passage.faults:
        if not fault.warning:
            paper.say(f"   [yellow]{fault.what}[/yellow] [dim]({fault.where})[/dim]")


def tell_findings(run: Run, paper: Paper, company: Demo) -> None:
    """What the demo is about: where the tools disagree, the fight and its end, where to look next."""
    tables = run.tables
    top = read(run, disagreements.by_field(tables), 10)
    fight = the_fight(run, company)
    unaccounted = number(run, status.unaccounted(tables))
    open_now = len(read(run, disagreements.corrections(tables, None)))
    paper.data({"conflicts": top, "fight": fight, "rows_unaccounted_for": unaccounted, "open_corrections": open_now})
    paper.say("")
    paper.table(
        "The fields on which the tools disagree most", top, ("entity", "field", "owner", "system", "kind", "open")
    )
    paper.table(
        f"The fight: {FIGHT[0]} keeps overwriting one e-mail ({FIGHT[0]} record {company.fighter_key})",
        fight, ("round", "marketing_said", "owner_says", "opened_in", "closed_in"),
        note="it ended when marketing switched its nightly import off: the correction stuck",
    )  # fmt: skip
    paper.say(f"Corrections still open: {open_now:,}. Rows unaccounted for: {unaccounted}.\n")
    paper.say("[bold]Where to look next[/bold]")
    folder = run.settings.ownership
    paper.say(f"  the agreement        {folder}")
    paper.say(
        f"  the conformed tables {run.settings.conformed}   (duckdb -readonly …: SELECT * FROM conformed.contact LIMIT 5)"
    )
    paper.say(f"  the corrections      {run.settings.outbox}")
    hint = f"SOR_OWNERSHIP={folder} SOR_HOME={run.settings.home}"
    paper.say(f"  why a cell is so     {hint} sor why contact {_someone(run)} email")
    paper.say("  the same in Dagster  make ui   (http://localhost:3000)")


def the_fight(run: Run, company: Demo) -> list[dict[str, Any]]:
    """The rounds: each time the marketing platform's e-mail for the fighter disagreed, and when it agreed again."""
    conflict = run.tables.conflict
    rounds = (
        sa.select(conflict.c.claimed, conflict.c.canonical, conflict.c.opened_in, conflict.c.closed_in)
        .where(
            conflict.c.source == FIGHT[0], conflict.c.field == FIGHT[1], conflict.c.source_key == company.fighter_key
        )
        .order_by(conflict.c.opened_in)
    )
    return [
        {
            "round": index,
            "marketing_said": row["claimed"],
            "owner_says": row["canonical"],
            "opened_in": row["opened_in"],
            "closed_in": row["closed_in"],
        }
        for index, row in enumerate(read(run, rounds), 1)
    ]


def _someone(run: Run) -> str:
    """An entity on whose e-mail somebody disagreed."""
    conflict = run.tables.conflict
    found = read(
        run,
        sa.select(conflict.c.entity_id)
        .where(conflict.c.entity == "contact", conflict.c.field == "email")
        .order_by(conflict.c.entity_id),
        1,
    )
    return str(found[0]["entity_id"]) if found else "<id>"
