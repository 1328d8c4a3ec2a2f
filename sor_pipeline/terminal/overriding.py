"""The answers of `sor override set`, `end` and `list`.

Belongs here: having a word written down, saying what comes of it, and the debt that words are. Does not: refusing
(`steward`), obeying (`resolve`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from sor_pipeline.errors import DecisionRefused, Fault
from sor_pipeline.observe import overrides
from sor_pipeline.run import Run
from sor_pipeline.steward.overrides import End, Until, Word, end_condition, end_override, set_override
from sor_pipeline.terminal.cell import Place, Read, owner_says, place, read_value
from sor_pipeline.terminal.linkwords import counted
from sor_pipeline.terminal.paper import Paper, Row, read

MASKED = "(personal)"
OLD = 90
"""Days after which an override is an old one."""


def say_set(
    run: Run, paper: Paper, entity: str, name: str, field: str, value: str | None, until: str, by: str, reason: str
) -> None:
    """`sor override set`: done, what it replaces, how to undo it. `value` None clears the cell."""
    word, at = _word(run, entity, name, field, value, until)
    number, replaced = set_override(run, word, by, reason)
    personal = run.ownership.entities[entity].fields[field].personal
    paper.data(
        {
            "override": number, "entity": entity, "entity_id": at.entity_id, "field": field,
            "record": str(word.record), "value": MASKED if personal and word.value else word.value,
            "until": str(word.end), "replaces": replaced, "by": by, "reason": reason,
        }
    )  # fmt: skip
    what = "is empty" if word.value is None else "is what you said"
    paper.prose(
        f"Override {number}: from the next run on (sor run) {field} of {entity} {at.entity_id} {what}, "
        f"{_until(word.end)}."
    )
    paper.prose(f"It hangs on {word.record} and follows that record through merges and splits.")
    if replaced:
        paper.prose(f"It takes the place of override {', '.join(map(str, replaced))}.")
    paper.say(f"Take it back: sor override end {number} --reason ...")


def _word(run: Run, entity: str, name: str, field: str, value: str | None, until: str) -> tuple[Word, Place]:
    end = end_condition(until, run.now.date())
    with run.engine.begin() as connection:
        at = place(run, connection, entity, name, field)
        said = None if value is None else read_value(run, connection, entity, at, field, value)
        owner, its_word = owner_says(run, connection, entity, at, field)
    _can_end(run, entity, field, end, owner)
    _changes_something(run, entity, field, at, said, end, its_word)
    text, compare = (said.value, said.compare) if said else (None, None)
    return Word(entity, field, at.record, text, compare, end, owner, its_word), at


def _can_end(run: Run, entity: str, field: str, end: End, owner: str | None) -> None:
    where = f"{entity}.{field}"
    if end.until in (Until.owner_changes, Until.owner_agrees) and owner is None:
        raise DecisionRefused(
            Fault("until-never", where, "nobody owns this field, so its owner never speaks", str(end),
                  "a date, or verified", "end it with --until date:... or --until verified")
        )  # fmt: skip
    if end.until is Until.owner_changes and run.ownership.entities[entity].fields[field].to is not None:
        raise DecisionRefused(Fault("until-never", where, "a reference changes whenever records are merged", str(end),
                                    "owner_agrees, a date, or verified", "choose another --until"))  # fmt: skip


def _changes_something(
    run: Run, entity: str, field: str, at: Place, said: Read | None, end: End, its_word: str | None
) -> None:
    """Raises DecisionRefused for a word that would be over at once."""
    spec = run.ownership.entities[entity].fields[field]
    where, value = f"{entity}.{field}", said and said.value
    same = at.rule not in (None, "decision") and value == at.value and spec.to is None
    agrees = (
        end.until is Until.owner_agrees
        and its_word is not None
        and its_word == ((said and (said.compare or said.value)) or "")
    )
    if same or (agrees and spec.to is None):
        raise DecisionRefused(
            Fault("override-redundant", where, "the rules say the same already" if same else "the owner agrees already",
                  f"rule {at.rule} of {at.system}", "another value", "nothing is left to do; see it with "
                  f"`sor why {entity} {at.entity_id} {field}`")
        )  # fmt: skip


def _until(end: End) -> str:
    return {
        Until.date: f"up to and including {end.day}",
        Until.owner_changes: "until the owner says something else than now",
        Until.owner_agrees: "until the owner says the same",
        Until.verified: "until somebody says that it is verified",
    }[end.until] + ", or the rules say the same"


def say_ended(run: Run, paper: Paper, number: int, by: str, reason: str, verified: bool) -> None:
    """`sor override end`: done, and what holds now."""
    entry, entity, field = end_override(run, number, by, reason, verified=verified)
    paper.data(
        {
            "entry": entry, "ends": number, "entity": entity, "field": field, "verified": verified, "by": by,
            "reason": reason,
        }
    )  # fmt: skip
    paper.prose(
        f"Entry {entry} ends override {number}: from the next run on (sor run) the rules decide {entity}.{field} again."
    )


def show_overrides(run: Run, paper: Paper, everything: bool, limit: int) -> None:
    """The ledger, newest first, and the debt that it is."""
    rows = read(run, overrides.ledger(run.tables, run.now.date(), everything))
    told = [_told(run, row) for row in rows]
    debt = debt_of([row for row in told if row["ended_at"] is None])
    paper.data({"overrides": told[:limit], "debt": debt})
    if not rows:
        paper.say(f"No overrides{'' if everything else ' are in force'}. Set one: sor override set")
        return
    note = "" if everything else "in force only; --all shows those that are over; "
    lines = [_line(row) for row in told[:limit]]
    paper.table("Overrides", lines, note=f"{note}end one: sor override end <no> --reason ...")
    for line in _debt_in_words(debt):
        paper.prose(line)


def _told(run: Run, row: Row) -> dict[str, Any]:
    entity = run.ownership.entities.get(row["entity"])
    field = entity.fields.get(row["field"]) if entity else None
    hidden = row["value"] is not None and (field is None or field.personal)
    end = row["until_date"] and f"date:{row['until_date']}"
    age = (run.now - row["at"]).days
    return dict(row) | {"value": MASKED if hidden else row["value"], "until": end or row["until"], "age_days": age}


def debt_of(standing: Sequence[Row]) -> dict[str, Any]:
    """How many stand, how old, by field, author and end condition; which are overdue, at rest or overruled."""
    ages = sorted(row["age_days"] for row in standing)
    return {
        "in_force": len(standing),
        "oldest_days": ages[-1] if ages else None,
        "median_days": ages[len(ages) // 2] if ages else None,
        "older_than_90_days": sum(age > OLD for age in ages),
        "by_field": _counts(f"{row['entity']}.{row['field']}" for row in standing),
        "by_author": _counts(row["by"] for row in standing),
        "by_end": _counts(row["until"].partition(":")[0] for row in standing),
        "by_state": _counts(row["state"] for row in standing),
    }


def _counts(names: Any) -> dict[str, int]:
    return dict(sorted(Counter(names).items(), key=lambda item: (-item[1], item[0])))


def _debt_in_words(debt: dict[str, Any]) -> list[str]:
    if not debt["in_force"]:
        return []
    by = {name: ", ".join(f"{key} {number}" for key, number in debt[f"by_{name}"].items())
          for name in ("field", "author", "end", "state")}  # fmt: skip
    return [
        f"Debt: {counted(debt['in_force'], 'override')}, the oldest {debt['oldest_days']} days old, "
        f"{debt['older_than_90_days']} older than {OLD} days.",
        f"By field: {by['field']}. By author: {by['author']}. By end: {by['end']}. State: {by['state']}.",
    ]


def _line(row: Row) -> dict[str, Any]:
    value = "(cleared)" if row["value"] is None else row["value"]
    over = f"\n({row['ended_by']}: {row['ended_why']})" if row["ended_at"] is not None else ""
    return {
        "no": row["number"],
        "cell": f"{row['entity']}.{row['field']}\n{row['source']}:{row['source_key']}",
        "value": value,
        "until": row["until"],
        "why": f"{row['reason']}\n({row['by']}, {row['at']:%Y-%m-%d})",
        "state": f"{row['state']}{over}",
    }
