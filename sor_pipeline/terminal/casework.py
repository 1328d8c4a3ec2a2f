"""The answers of `sor cases` and `sor case`.

Belongs here: cases as people read them, what to type next, and having a word about one written down. Does not:
refusing (`steward`), the review of pairs (`review`).
"""

from __future__ import annotations

import json
from typing import Any

from sor_pipeline.observe import casebook
from sor_pipeline.run import Run
from sor_pipeline.steward import verbs
from sor_pipeline.steward.verbs import Outcome
from sor_pipeline.terminal.paper import Paper, Row, read

_NEXT = {
    "review": "sor review {entity}",
    "not_unique": "sor review {entity}",
    "too_large": "sor review {entity}",
    "conflict": "sor conflicts --entity {entity} --field {field}",
    "held": "sor status",
    "blocked": "sor status",
    "refused_extract": "sor status",
    "broken": "sor why {entity} {source_key} {field}; then sor case {case_id} close --outcome retry --reason ...",
    "refused_correction": "sor why {entity} {source_key} {field}; "
    "then sor case {case_id} close --outcome retry --reason ...",
    "expired_override": "sor override set {entity} {source}:{source_key} {field} ...; "
    "or sor case {case_id} close --reason ...",
    "unsent": "sor corrections {system}",
}
"""What a steward types next, by kind of case."""
SHORT = 8
"""Digits of a case's number that a table shows; the commands take as many as are enough."""


def show_cases(run: Run, paper: Paper, steward: str | None, kind: str | None, overdue: bool, limit: int) -> None:
    """The open cases, the most urgent first."""
    rows = read(run, casebook.chosen(casebook.waiting(run.tables, run.now), steward, kind, overdue), limit + 1)
    more, rows = len(rows) > limit, rows[:limit]
    paper.data([_told(row) for row in rows])
    if not rows:
        whose = f" for {steward}" if steward else ""
        paper.say(f"No {'overdue ' if overdue else ''}case{whose} is open.")
        return
    note = f"the first {limit}, --limit for more; " if more else ""
    paper.table("Open cases", [_line(run, row) for row in rows], note=f"{note}one of them: sor case <case>")


def _line(run: Run, row: Row) -> dict[str, Any]:
    due = row["due_at"]
    deadline = "" if due is None else f"\nby {due:%Y-%m-%d %H:%M}{' (overdue)' if row['overdue'] else ''}"
    return {
        "case": row["case_id"][:SHORT],
        "about": f"{row['kind'].replace('_', ' ')}: {about(row)}",
        "with": f"{title(run, row['steward'])}{deadline}",
        "what": evidence_in_words(row["evidence"]),
    }


def about(row: Row) -> str:
    """What the case is about: entity and field, systems, rule, source."""
    cell = ".".join(filter(None, (row["entity"], row["field"]))) or "everything"
    of_two = row["kind"] == "conflict" and row["rule"]
    against = row["system"] and (f"{row['system']} against {row['rule']}" if of_two else row["system"])
    rule = row["rule"] if row["kind"] != "conflict" else None
    return ", ".join(filter(None, (cell, row["source"] or against, rule)))


def title(run: Run, steward: str | None) -> str:
    """What people call the steward."""
    spec = run.ownership.stewards.get(steward or "")
    return (spec.title if spec else "") or steward or "nobody"


def evidence_in_words(text: str | None) -> str:
    """The numbers of the evidence; what is nested in it is in `sor case` and in --json."""
    said = json.loads(text or "{}")
    return ", ".join(
        f"{name.replace('_', ' ')} {value}" for name, value in said.items() if isinstance(value, int | float)
    )


def _told(row: Row) -> dict[str, Any]:
    return dict(row) | {"evidence": json.loads(row["evidence"] or "{}"), "next": next_step(row)}


def next_step(row: Row) -> str:
    """The next command to type."""
    if row["kind"] == "blocked" and row["rule"] == "churn":
        return "sor run: it names what to give to sor accept"
    if row["kind"] == "refused_extract" and row["rule"] == "not-staged":
        return "sor run: it names what to give to sor accept"
    return _NEXT[row["kind"]].format_map(row)


def show_case(run: Run, paper: Paper, name: str) -> None:
    """One case with its history, its evidence and what to do next."""
    with run.engine.begin() as connection:
        row = dict(verbs.found(run, connection, name)._mapping)
    row["overdue"] = row["closed_in"] is None and row["due_at"] is not None and row["due_at"] < run.now
    happened = read(run, casebook.events(run.tables, row["case_id"]))
    paper.data(_told(row) | {"events": happened})
    state = "open" if row["closed_in"] is None else f"closed in publication {row['closed_in']} ({row['outcome']})"
    paper.say(f"[bold]Case {row['case_id']}[/bold]: {row['kind'].replace('_', ' ')}")
    paper.prose(f"{about(row)}; {state}, opened in publication {row['opened_in']}.")
    due = f", due {row['due_at']:%Y-%m-%d %H:%M} UTC{' (overdue)' if row['overdue'] else ''}" if row["due_at"] else ""
    paper.prose(f"With {title(run, row['steward'])}{due}.")
    for side in ("left", "right"):
        if row[f"{side}_source"]:
            paper.prose(f"{side}: {row[f'{side}_source']}:{row[f'{side}_key']}")
    if row["source_key"]:
        paper.prose(f"record: {row['source']}:{row['source_key']}")
    for key, value in json.loads(row["evidence"] or "{}").items():
        paper.prose(f"{key}: {value if isinstance(value, int | float | str) else json.dumps(value)}", "  ", "    ")
    paper.table("What happened", [_event(run, one) for one in happened])
    if row["closed_in"] is None:
        paper.say(f"Next: {next_step(row)}")


def _event(run: Run, one: Row) -> dict[str, Any]:
    words = None if one["kind"] in ("notify", "notifying") else one["words"]
    return {
        "at": one["at"],
        "by": one["by"],
        "what": one["kind"],
        "to": one["to"] and title(run, one["to"]),
        "words": words,
    }


def say_assigned(run: Run, paper: Paper, name: str, to: str, by: str, words: str) -> None:
    """`sor case <id> assign`: done, and whether anybody hears of it."""
    case_id = verbs.assign(run, name, to, by, words)
    paper.data({"case_id": case_id, "steward": to, "by": by})
    spec = run.ownership.stewards.get(to)
    told = "the next run tells them" if spec and spec.notify else "the document has no address of theirs: tell them"
    paper.prose(f"Case {case_id} is with {title(run, to)} now; {told}. Its deadline stays.")


def say_comment(run: Run, paper: Paper, name: str, by: str, words: str) -> None:
    """`sor case <id> comment`: done."""
    case_id = verbs.comment(run, name, by, words)
    paper.data({"case_id": case_id, "by": by})
    paper.prose(f"Kept with case {case_id}.")


def say_closed(run: Run, paper: Paper, name: str, outcome: Outcome, by: str, reason: str) -> None:
    """`sor case <id> close`: done, and what comes of it."""
    case_id = verbs.close(run, name, outcome, by, reason)
    paper.data({"case_id": case_id, "outcome": outcome.value, "by": by})
    further = {
        Outcome.retry: "the next run tries again",
        Outcome.done: "it opens again when what it is about was gone and comes back",
        Outcome.accepted: "it opens again when what it is about was gone and comes back",
    }[outcome]
    paper.prose(f"Case {case_id} is closed ({outcome.value}); {further}.")


def in_words(rows: list[Row], run: Run) -> str:
    """Open cases by steward: `Revenue operations: 2 conflict, 1 held, the first due 2026-03-04`."""
    by_steward: dict[str, list[Row]] = {}
    for row in rows:
        by_steward.setdefault(title(run, row["steward"]), []).append(row)
    said = []
    for who, mine in by_steward.items():
        due = min((row["next_due"] for row in mine if row["next_due"]), default=None)
        kinds: dict[str, int] = {}
        for row in mine:
            kinds[row["kind"]] = kinds.get(row["kind"], 0) + row["open"]
        what = ", ".join(f"{number:,} {kind.replace('_', ' ')}" for kind, number in kinds.items())
        said.append(f"{who}: {what}{f', the first due {due:%Y-%m-%d}' if due else ''}")
    return "; ".join(said)
