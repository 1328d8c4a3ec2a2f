"""The demo company played through: day after day, extracts, run, corrections applied; then what was found."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from rich.markup import escape

from sor_pipeline.demo.clock import midnight
from sor_pipeline.demo.play import DOCUMENT, FIGHT, Demo
from sor_pipeline.flow import Passage, emptied, opened, pass_through, reading
from sor_pipeline.observe import disagreements, status
from sor_pipeline.ownership.lint import load_checked
from sor_pipeline.run import Run
from sor_pipeline.settings import DEFAULT_HOME, WAREHOUSE, Settings
from sor_pipeline.tables import cell, claim
from sor_pipeline.terminal.paper import Paper, Row, near, number, read
from sor_pipeline.terminal.reports import by_field

FOLDER = "demo"


def play(
    home: Path, paper: Paper, *, contacts: int, days: int, seed: int, warehouse: str | None = None
) -> list[Passage]:
    """Fill `home` with the demo company's extracts and state, afresh; the document lies beside the extracts.

    `warehouse`: URL of the warehouse, where that is not a file in `home`.
    """
    folder = home / FOLDER
    document = folder / "ownership.yaml"
    settings = Settings.read({WAREHOUSE: warehouse} if warehouse else {}, ownership=document, home=home)
    emptied(load_checked(DOCUMENT), settings)
    folder.mkdir()
    shutil.copyfile(DOCUMENT, document)
    ownership = load_checked(document)
    company = Demo(folder, seed=seed, contacts=contacts, days=days)
    passages: list[Passage] = []
    rounds: list[dict[str, Any]] = []
    told: set[str] = set()
    paper.say(
        f"[bold]{ownership.title}[/bold]: {contacts:,} contacts in nine tools that disagree. "
        f"{days} days are played, then a quiet one."
    )
    paper.say(f"One document decides: {near(document)}\n")
    with paper.progress() as progress:
        for day in range(1, days + 2):
            progress(f"day {day}: writing extracts")
            written = company.write_day(day)
            with opened(ownership, settings, morning_of(day), progress, notice=paper.notice) as run:
                passage = pass_through(run)
                taken = sum(company.apply(file).taken for file in outbox_files(settings, passage.publication))
                passages.append(passage)
                rounds.append(todays_round(run, company, day))
                tell_day(paper, day, len(written), passage, taken, told, quiet=day > days)
    with reading(ownership, settings) as run:
        tell_findings(run, paper, company, rounds)
    return passages


def morning_of(day: int) -> datetime:
    """The logical time of a day's run: an hour after its extracts were taken."""
    return midnight(day).replace(hour=1)


def outbox_files(settings: Settings, publication: int) -> list[Path]:
    """The correction files of one publication, one per source."""
    return sorted(settings.outbox.glob(f"*/{publication}-*.jsonl"))


def tell_day(paper: Paper, day: int, files: int, passage: Passage, taken: int, told: set[str], *, quiet: bool) -> None:
    """One line a day, and what is refused for the first time."""
    counted = {name: passage.count("publish", name) for name in ("created", "changed", "retired")}
    words = ", ".join(f"{number:,} {name}" for name, number in counted.items() if number) or "nothing new"
    title = f"{'Quiet day' if quiet else 'Day'} {day}"
    paper.say(
        f"[bold]{title}[/bold]: {files} files, {passage.count('stage', 'read'):,} rows; "
        f"publication {passage.publication}: {words}; {taken:,} corrections applied by the tools"
    )
    for fault in passage.faults:
        if not fault.warning and fault.where not in told:
            told.add(fault.where)
            paper.say(
                f"   [yellow]refused: {escape(fault.where)}: {escape(fault.what)}; everything else went on[/yellow]"
            )


def tell_findings(run: Run, paper: Paper, company: Demo, fight: list[dict[str, Any]]) -> None:
    """What the demo is about: where the tools disagree, the fight and its end, where to look next."""
    tables = run.tables
    every = read(run, disagreements.by_field(tables))
    top = [row for row in every if row["kind"] != "missing_at_owner"][:10]
    gaps = sum(row["open"] for row in every if row["kind"] == "missing_at_owner")
    unaccounted = number(run, status.unaccounted(tables))
    open_now = len(read(run, disagreements.corrections(tables, None)))
    paper.data({"conflicts": top, "fight": fight, "rows_unaccounted_for": unaccounted, "open_corrections": open_now})
    paper.say("")
    paper.table(
        "The fields on which the tools disagree most",
        by_field(top),
        ("field", "owner", "system", "kind", "open"),
        note=f"Besides, {gaps:,} values are known to some system and never reached the owner: see sor conflicts.",
    )
    paper.table(
        f"The fight: {FIGHT[0]} keeps overwriting one e-mail (its record {company.fighter_key})",
        in_spans(fight), ("day", "marketing_says", "owner_says", "they", "our_correction", "undone", "written"),
        note=_how_it_ended(run, company, fight),
    )  # fmt: skip
    paper.say(
        f"After a quiet day, on which every tool only obeyed, [bold]{open_now:,} corrections are open[/bold]. "
        f"Rows unaccounted for: {unaccounted}.\n"
    )
    tell_where_to_look(run, paper, top)


def _how_it_ended(run: Run, company: Demo, fight: Sequence[Row]) -> str:
    """The breaker's day, and the case that it opened."""
    broke = next((row["day"] for row in fight if not row["written"]), None)
    if broke is None:
        return "It goes on: every import undoes the correction. Undone twice, the cell is no longer written."
    case = run.tables.case
    about = (case.c.kind == "broken", case.c.source == FIGHT[0], case.c.source_key == company.fighter_key)
    opened_case = read(run, sa.select(case.c.case_id).where(*about), 1)
    waits = f"Case {opened_case[0]['case_id']} waits for a steward: `sor cases`." if opened_case else ""
    undone = max(row["undone"] for row in fight)
    return (
        f"Undone {undone} times, the cell is no longer written from day {broke} on; the conflict stays open. {waits} "
        "The conformed e-mail was its owner's all along."
    )


def in_spans(fight: Sequence[Row]) -> list[Row]:
    """Days in a row that are alike in all else, as one row."""
    spans: list[dict[str, Any]] = []
    for row in fight:
        same = spans and all(spans[-1][name] == row[name] for name in row if name != "day")
        if same:
            spans[-1]["last"] = row["day"]
        else:
            spans.append({**row, "last": row["day"]})
    days = (f"{one['day']} to {one['last']}" if one["last"] != one["day"] else str(one["day"]) for one in spans)
    return [{**one, "day": day} for one, day in zip(spans, days, strict=True)]


def tell_where_to_look(run: Run, paper: Paper, top: list[Row]) -> None:
    """Files to open and commands to try; the commands can be copied as they stand."""
    home = near(run.settings.home)
    sor = f"{command()} --home {home}" if str(home) != DEFAULT_HOME else command()
    paper.say("[bold]Where to look next[/bold]")
    paper.say(f"  the agreement          {near(run.settings.ownership)}")
    published = "schema conformed of the database" if run.engine.served else near(run.settings.conformed)
    paper.say(f"  the conformed tables   {published}")
    paper.say(f"  the corrections        {near(run.settings.outbox)}")
    paper.say(f"  what is published      {sor} status")
    paper.say(f"  who disagrees on what  {sor} conflicts")
    for row in [one for one in top if one["entity"] == "contact"][:1]:
        paper.say(f"  why a cell is so       {sor} why contact {_someone(run, row)} {row['field']}")
    paper.say("  the same in Dagster    make ui   (http://localhost:3000)")


def command() -> Path:
    """How this command was called, so that it can be called again."""
    called = Path(sys.argv[0])
    return near(called.absolute()) if called.name == "sor" and shutil.which("sor") is None else Path("sor")


def todays_round(run: Run, company: Demo, day: int) -> dict[str, Any]:
    """What the marketing platform said today about the fighter's e-mail, what its owner says, and our correction."""
    staged, identity, canonical = (
        run.tables.staged[FIGHT[0]],
        run.tables.identity["contact"],
        run.tables.canonical["contact"],
    )
    correction = run.tables.correction
    says, holds = claim(staged, FIGHT[1]), cell(canonical, FIGHT[1])
    mine = sa.and_(identity.c.source == FIGHT[0], identity.c.source_key == staged.c._key)
    row = read(
        run,
        sa.select(says.value.label("said"), holds.value.label("owner"))
        .select_from(staged.join(identity, mine).join(canonical, canonical.c.entity_id == identity.c.entity_id))
        .where(staged.c._key == company.fighter_key),
    )[0]
    told = (
        sa.select(correction.c.state, correction.c.reverts)
        .where(
            correction.c.source == FIGHT[0],
            correction.c.source_key == company.fighter_key,
            correction.c.field == FIGHT[1],
        )
        .order_by(correction.c.proposed_in.desc())
    )
    states = read(run, told, 1)
    shut = run.tables.broken
    cell_of = (shut.c.source == FIGHT[0], shut.c.source_key == company.fighter_key)
    broken = read(run, sa.select(shut.c.since).where(*cell_of))
    return {
        "day": day,
        "marketing_says": row["said"],
        "owner_says": row["owner"],
        "they": "agree" if row["said"] == row["owner"] else "disagree",
        "our_correction": states[0]["state"] if states else None,
        "undone": states[0]["reverts"] if states else 0,
        "written": not broken,
    }


def _someone(run: Run, about: Row) -> str:
    """The first entity on which two systems disagree so."""
    conflict = run.tables.conflict
    same = [conflict.c[name] == about[name] for name in ("entity", "field", "owner", "system", "kind")]
    found = sa.select(conflict.c.entity_id).where(conflict.c.closed_in.is_(None), *same)
    return str(read(run, found.order_by(conflict.c.entity_id), 1)[0]["entity_id"])
