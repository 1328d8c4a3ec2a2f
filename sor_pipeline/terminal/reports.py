"""The answers of `sor status`, `sor conflicts`, `sor why` and `sor corrections`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.markup import escape

from sor_pipeline.observe import casebook, cases, disagreements, overrides, status, why
from sor_pipeline.run import Run
from sor_pipeline.tables import ClaimState
from sor_pipeline.terminal.casework import in_words
from sor_pipeline.terminal.paper import Paper, Row, near, number, read

SEVERITIES = "warn: published and reported; hold: what fails keeps its last good value; block: nothing is published"
KINDS = {
    "differs": "differs",
    "missing_at_owner": "owner has none",
    "owner_disagrees_with_itself": "owner against itself",
}
"""Kinds of conflict as a narrow table says them."""

WAITING = {"review": "to review", "not_unique": "against `unique`", "too_large": "too large"}
"""Kinds of open case as a line says them."""


def show_status(run: Run, paper: Paper) -> None:
    """What is published, what ran, what each source delivered, what does not hold."""
    tables = run.tables
    publication = read(run, status.publications(tables), 1)
    answer: dict[str, Any] = {
        "publication": publication[0] if publication else None,
        "state": next(iter(read(run, status.versions(tables), 1)), None),
        "runs": read(run, status.runs(tables), 5),
        "sources": read(run, status.sources(tables)),
        "refused": read(run, status.refusals(tables)),
        "entities": read(run, status.entities(tables)),
        "findings": read(run, status.findings(tables), 50),
        "changes": read(run, status.changes(tables), 20),
        "cases": read(run, cases.by_kind(tables)),
        "cases_by_steward": read(run, casebook.by_steward(tables)),
        "rows_unaccounted_for": number(run, status.unaccounted(tables)),
    }
    paper.data(answer)
    published = "schema conformed of the database" if run.engine.served else near(run.settings.conformed)
    if not publication:
        paper.say("Nothing is published yet.")
    else:
        last = publication[0]
        paper.say(
            f"[bold]Publication {last['publication']}[/bold] of {last['published_at']:%Y-%m-%d %H:%M} UTC: "
            f"{last['created']:,} created, {last['changed']:,} cells changed, {last['retired']:,} retired; "
            f"{last['conflicts']:,} conflicts open. Read it in {published}"
        )
    if answer["cases"]:
        paper.say(f"[yellow]Waiting for a person:[/yellow] {cases_in_words(answer['cases'])}. Next: sor review")
    if answer["cases_by_steward"]:
        paper.say(f"[yellow]Open cases:[/yellow] {escape(in_words(answer['cases_by_steward'], run))}. Next: sor cases")
    if answer["state"]:
        made, since = answer["state"], f"{answer['state']['at']:%Y-%m-%d %H:%M}"
        paper.say(f"[dim]State version {made['version']}, since {since}, release {made['release']}[/dim]")
    brief = [dict(row) | {"message": (row["message"] or "").partition("\n")[0] or None} for row in answer["runs"]]
    if brief and brief[0]["state"] == "blocked":
        paper.say(f"[red]The last run published nothing:[/red] {escape(answer['runs'][0]['message'])}")
    paper.table("Runs", brief, ("run", "started_at", "state", "publication", "message"))
    paper.table("Entities", answer["entities"])
    note = f"rows unaccounted for: {answer['rows_unaccounted_for']}"
    paper.table("Sources", answer["sources"], note=note)
    if answer["refused"]:
        paper.table("Refused deliveries", answer["refused"], ("source", "delivered_as", "code"))
    if answer["findings"]:
        paper.table(
            "What does not hold",
            answer["findings"],
            ("entity", "expectation", "severity", "failed", "checked"),
            SEVERITIES,
        )


def cases_in_words(rows: Sequence[Row]) -> str:
    """`contact: 2 to review, 1 too large`."""
    by_entity: dict[str, list[str]] = {}
    for row in rows:
        kind = WAITING.get(row["kind"], row["kind"])
        by_entity.setdefault(row["entity"], []).append(f"{row['open']:,} {kind}")
    return "; ".join(f"{entity}: {', '.join(words)}" for entity, words in by_entity.items())


def show_conflicts(run: Run, paper: Paper, entity: str | None, field: str | None, limit: int) -> None:
    """The fields on which systems disagree most; with an entity or field, each open conflict."""
    if entity or field:
        rows = read(run, disagreements.each(run.tables, entity, field), limit)
        paper.data(rows)
        names = (*(() if field else ("field",)), "kind", "who_says_what")
        paper.table(
            f"Open conflicts{f' on {field}' if field else ''}",
            [
                {
                    "id": row["entity_id"] if entity else f"{row['entity']} {row['entity_id']}",
                    "field": row["field"],
                    "kind": KINDS.get(row["kind"], row["kind"].replace("_", " ")),
                    "who_says_what": f"{row['owner'] or 'nobody'}: {_of_the_owner(row)}\n"
                    f"{row['system']} {row['source_key']}: {row['claimed'] or '(cleared)'}",
                }
                for row in rows
            ],
            ("id", *names),
            note=f"the first line is what the owner says; at most {limit} rows, --limit for more",
        )
    else:
        rows = read(run, disagreements.by_field(run.tables), limit)
        paper.data(rows)
        paper.table(
            "Open conflicts by field and pair of systems",
            by_field(rows),
            note=f"since: publication in which the oldest was opened; at most {limit} rows, --limit for more",
        )
    if not rows:
        paper.say("No open conflicts.")


def by_field(rows: Sequence[Row]) -> list[Row]:
    """Numbers of open conflicts as a table that fits."""
    return [
        {
            "field": f"{row['entity']}.{row['field']}",
            "owner": row["owner"],
            "system": row["system"],
            "kind": KINDS.get(row["kind"], row["kind"].replace("_", " ")),
            "open": row["open"],
            "since": row["since_publication"],
        }
        for row in rows
    ]


def _of_the_owner(conflict: Row) -> str:
    """A value that only a fallback has is canonical, and still not the owner's."""
    return "-" if conflict["kind"] == "missing_at_owner" else conflict["canonical"] or "-"


def show_corrections(run: Run, paper: Paper, system: str | None, limit: int) -> None:
    """What each system must change to agree."""
    rows = read(run, disagreements.corrections(run.tables, system), limit)
    paper.data(rows)
    if rows:
        paper.table(
            "Open corrections",
            [
                {
                    "record": f"{row['source']} {row['source_key']}",
                    "column": row["column"],
                    "observed, and wanted": f"{row['observed'] or '(blank)'}\n→ {row['wanted'] or '(blank)'}",
                    "owner": row["owner"],
                    "state": row["state"],
                }
                for row in rows
            ],
            note=f"as files: {near(run.settings.outbox)}; at most {limit} rows, --limit for more",
        )
    else:
        paper.say("No open corrections: every system that takes them agrees.")


def show_why(run: Run, paper: Paper, entity: str, name: str, field: str | None) -> bool:
    """Where each cell's value comes from, and what every record says; False when nothing has that name."""
    ids = [row["entity_id"] for row in read(run, why.found(run.tables, entity, name), 10)]
    answer = []
    for entity_id in ids:
        held = [row for row in read(run, why.cells(run.tables, entity, entity_id)) if field in (None, row["field"])]
        said = [row for row in read(run, why.claims(run.tables, entity, entity_id)) if field in (None, row["field"])]
        said = [dict(row) | {"state": ClaimState(row["state"]).name} for row in said if row["state"] is not None]
        decided = [one for row in held if row["rule"] == "decision" for one in _decided(run, row)]
        answer.append({"entity_id": entity_id, "cells": held, "claims": said, "overrides": decided})
        paper.table(f"{entity} {entity_id}", held, ("field", "value", "system", "key", "rule", "since"))
        if field:
            gone = ("deleted_at",) if any(row["deleted_at"] for row in said) else ()
            columns = ("system", "key", "state", "claimed", "since", *gone)
            paper.table(f"What everybody says about {field}", said, columns)
            paper.say(_rule(run, entity, field, held))
        for one in decided:
            until = f"date:{one['until_date']}" if one["until_date"] else one["until"]
            words = f"{one['field']} is what {one['by']} decided on {one['at']:%Y-%m-%d} ({one['reason']})"
            paper.say(f"[bold]In force: [/bold]{escape(words)}, override {one['number']}, until {until}.")
    paper.data(answer)
    return bool(ids)


def _decided(run: Run, cell: Row) -> list[Row]:
    """The override that decides the cell."""
    return [dict(row) | {"field": cell["field"]} for row in read(run, overrides.one(run.tables, int(cell["key"])))]


def _rule(run: Run, entity: str, field: str, held: list[Row]) -> str:
    """The rule in words, with the reason where an exception decided."""
    rule = run.ownership.rule_of(entity, field)
    decided = held[0]["rule"] if held else None
    summary = run.ownership.entities[entity].fields[field].summary
    taken = summary.words if summary else f"{rule.take} of {', '.join(rule.among)}"
    words = [f"{field} takes the {taken}." if rule.take else f"{field} is owned by {rule.owner}."]
    words += [f"Fallback: {', '.join(rule.fallback)}."] if rule.fallback else []
    silent = bool(held) and held[0]["value"] is None and decided != "decision"
    words += ["Nobody who may speak has a value."] if silent else []
    words += [
        f"{'[bold]In force: [/bold]' if decided == 'exception' and held[0]['system'] == e.owner else ''}"
        f"Exception: {e.owner} where {e.when} ({e.reason})."
        for e in rule.exceptions
    ]
    return " ".join(words)
