"""The answers of `sor link`, `sor unlink`, `sor withdraw` and `sor decisions`.

Belongs here: gathering what was seen, having it written down, and saying what will come of it.
Does not: refusing (`steward`), acting (`identify`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sor_pipeline.observe import decisions
from sor_pipeline.observe.evidence import Seen, seen
from sor_pipeline.run import Run
from sor_pipeline.steward.decisions import Decision, Kind, decide, paired, ruling
from sor_pipeline.steward.decisions import withdraw as take_back
from sor_pipeline.steward.records import Record, named
from sor_pipeline.terminal.linkwords import counted
from sor_pipeline.terminal.paper import Paper, read

STATES = {"in force": "in force", "overruled": "overruled by {}", "withdrawn": "withdrawn by {}", "withdrawal": ""}


@dataclass(frozen=True)
class Taken:
    """A decision that was written down, and what was known when it was."""

    decision: Decision
    seen: Seen


def take(run: Run, kind: Kind, one: Record, other: Record, by: str, reason: str) -> Taken:
    """Look at the two records, then write the decision down with what was seen.

    Raises DecisionRefused for what cannot be meant.
    """
    with run.engine.begin() as connection:
        pair = paired(run, connection, one, other)
        known = seen(
            run, connection, pair.entity, (pair.left.source, pair.left.key), (pair.right.source, pair.right.key)
        )
    return Taken(decide(run, kind, one, other, by, reason, known.evidence, known.weight), known)


def say_link(run: Run, paper: Paper, kind: Kind, one: str, other: str, by: str, reason: str) -> None:
    """`sor link` and `sor unlink`: done, what comes of it, how to undo it."""
    ownership = run.ownership
    taken = take(run, kind, named(ownership, one), named(ownership, other), by, reason)
    decision, pair = taken.decision, taken.decision.pair
    sides = [None if side is None else {"entity_id": side[0], "records": side[1]} for side in taken.seen.sides]
    outcome = consequence(taken)
    paper.data(
        {
            "decision": decision.number, "kind": decision.kind.value, "entity": pair.entity,
            "left": str(pair.left), "right": str(pair.right), "by": by, "reason": reason,
            "weight": taken.seen.weight, "evidence": taken.seen.evidence, "sides": sides, "next": outcome,
        }
    )  # fmt: skip
    same = f"the same {pair.entity}" if kind is Kind.link else f"two different {pair.entity}s"
    paper.prose(f"Decision {decision.number}: {pair.left} and {pair.right} are {same}.")
    paper.prose(outcome)
    paper.say(f"Take it back: sor withdraw {decision.number} --reason ...")


def consequence(taken: Taken) -> str:
    """What the next run will do, in a sentence."""
    entity, (left, right) = taken.decision.pair.entity, taken.seen.sides
    if left is None or right is None:
        return "The next run (sor run) identifies them and obeys."
    size = counted(left[1], "record")
    if taken.decision.kind is Kind.link:
        if taken.seen.together:
            return f"They are together already ({entity} {left[0]}, {size}), and stay so whatever the rules say."
        if taken.seen.clash:
            return (
                f"The next run (sor run) puts the two together. {taken.seen.clash} says `unique: true` and both sides "
                "hold a record of it: the decision wins, and weaker ties are cut instead (sor why-linked shows which)."
            )
        return (
            f"The next run (sor run) makes one {entity} of {left[0]} ({size}) and {right[0]} "
            f"({counted(right[1], 'record')}); the other id stays as an alias."
        )
    if not taken.seen.together:
        return "They are apart already; from now on no rule and no similarity joins them."
    return (
        f"The next run (sor run) parts them: {entity} {left[0]} ({size}) becomes two; where other records tie them "
        "together, the weakest ties are cut."
    )


def say_withdrawn(run: Run, paper: Paper, number: int, by: str, reason: str) -> None:
    """`sor withdraw`: done, and what holds now."""
    entry = take_back(run, number, by, reason)
    pair = entry.pair
    with run.engine.begin() as connection:
        force = ruling(run, connection, pair)
    paper.data(
        {
            "decision": entry.number, "withdraws": number, "entity": pair.entity, "left": str(pair.left),
            "right": str(pair.right), "by": by, "reason": reason, "now_in_force": force and force[0],
        }
    )  # fmt: skip
    now = (
        f"decision {force[0]} ({force[1].value}) rules again"
        if force
        else "the matching rules alone decide about these two again"
    )
    paper.prose(
        f"Entry {entry.number} withdraws decision {number} on {pair.left} and {pair.right}: from the next run on "
        f"(sor run) {now}."
    )


def show_decisions(run: Run, paper: Paper, entity: str | None, everything: bool, limit: int) -> None:
    """The ledger, newest first."""
    rows = read(run, decisions.ledger(run.tables, entity, everything), limit + 1)
    more, rows = len(rows) > limit, rows[:limit]
    paper.data([dict(row) | {"evidence": json.loads(row["evidence"] or "{}")} for row in rows])
    if not rows:
        whose = f" about {entity}" if entity else ""
        paper.say(
            f"No decisions{whose}{'' if everything else ' are in force'}. Take one: sor review, sor link, sor unlink"
        )
        return
    notes = [] if everything else ["in force only; --all shows withdrawn and overruled ones too"]
    notes += [f"the newest {limit}, --limit for more"] if more else []
    paper.table(
        "Decisions about identity",
        [_line(row, everything) for row in rows],
        note="; ".join([*notes, "take one back: sor withdraw <no> --reason ..."]),
    )


def _line(row: Any, everything: bool) -> dict[str, Any]:
    kind = row["kind"] if row["withdraws"] is None else f"withdraw {row['withdraws']}"
    line = {
        "no": row["decision"],
        "kind": kind,
        "records": f"{row['left_source']}:{row['left_key']}\n{row['right_source']}:{row['right_key']}",
        "why": f"{row['reason']}\n({row['by']}, {row['at']:%Y-%m-%d})",
    }
    state = STATES[row["state"]].format(row["until"])
    pending = "next run" if row["pending"] and row["state"] in ("in force", "withdrawal") else ""
    if everything:
        return line | {"state": "\n".join(filter(None, (state, pending)))}
    return line | {"since": pending or "in force"}
