"""The answers of `sor deliver` and `sor target`.

Belongs here: showing plans, outcomes and switches. Does not: sending (`deliver`), turning a switch (`steward`).
"""

from __future__ import annotations

from typing import Any

from rich.markup import escape

from sor_pipeline.deliver.plan import Plan, planned, subject_of
from sor_pipeline.deliver.step import run as deliver
from sor_pipeline.deliver.switches import stopped
from sor_pipeline.errors import Fault
from sor_pipeline.ownership.document import Ownership, personal_fields, system_of
from sor_pipeline.run import Run
from sor_pipeline.steward.switches import newest_turns
from sor_pipeline.terminal.paper import Paper, near, read

HIDDEN = "(personal)"


def targets_of(ownership: Ownership, system: str | None) -> tuple[str, ...]:
    """Systems with a target: that one, or all."""
    return tuple(name for name, spec in ownership.systems.items() if spec.target and system in (None, name))


def show_plans(run: Run, paper: Paper, system: str | None, limit: int, values: bool) -> None:
    """What would be sent to each system; nothing is."""
    answer = []
    for name in targets_of(run.ownership, system):
        plan = _plan(run, name)
        answer.append(_told(run, paper, plan, limit, values))
        if not plan.rows.height:
            paper.say(f"{name}: nothing to send")
    paper.data(answer)
    _nothing(run, paper, system)


def send(run: Run, paper: Paper, system: str | None, limit: int, values: bool) -> tuple[Fault, ...]:
    """Show each system's plan, then deliver it; returns what stopped systems."""
    answer: list[dict[str, Any]] = []
    faults: list[Fault] = []
    for name in targets_of(run.ownership, system):
        told = _told(run, paper, _plan(run, name), limit, values)
        outcome = deliver(run, name)
        answer.append({**told, "counts": outcome.counts, "faults": [str(fault) for fault in outcome.faults]})
        faults += outcome.faults
        said = ", ".join(f"{count:,} {what.replace('_', ' ')}" for what, count in outcome.counts.items() if count)
        paper.say(f"{name}: {said or 'nothing to send'}")
    paper.data(answer)
    _nothing(run, paper, system)
    paper.faults(faults)
    return tuple(faults)


def show_targets(run: Run, paper: Paper) -> None:
    """Every target: where it is, whether anything is sent to it, and who stopped it."""
    turns = {row["system"]: row for row in read(run, newest_turns(run.tables))}
    rows = []
    for name in targets_of(run.ownership, None):
        target = run.ownership.systems[name].target
        if target is None:
            continue
        where = stopped(run, name)
        turn = turns.get(name, {})
        rows.append(
            {
                "system": name,
                "kind": target.kind.value,
                "where": target.base or str(near(run.settings.outbox / name)),
                "state": f"stopped ({where})" if where else "live" if target.live else "dry run",
                "open": _plan(run, name).rows.height,
                "last turn": f"{'on' if turn['on'] else 'off'} by {turn['by']}: {turn['reason']}" if turn else "",
            }
        )
    paper.data(rows)
    if rows:
        paper.table("Targets", rows, note="turn one off with `sor target stop <system> --reason ...`")
    _nothing(run, paper, None)


def waiting_plans(run: Run) -> dict[str, str]:
    """Systems whose plan is over the caps, and the name of exactly that plan."""
    plans = {name: _plan(run, name) for name in targets_of(run.ownership, None)}
    return {name: plan.name for name, plan in plans.items() if plan.over}


def _plan(run: Run, system: str) -> Plan:
    target = run.ownership.systems[system].target
    if target is None:
        raise ValueError(system)
    return planned(run, system, target)


def _told(run: Run, paper: Paper, plan: Plan, limit: int, values: bool) -> dict[str, Any]:
    personal = {
        source: personal_fields(run.ownership.entities[spec.entity].fields)
        for source, spec in run.ownership.sources.items()
        if system_of(source) == plan.system
    }
    rows = []
    for row in plan.rows.head(limit).iter_rows(named=True):
        hide = row["field"] in personal[row["source"]] and not values
        texts = [HIDDEN if hide and row[side] else row[side] for side in ("observed", "wanted")]
        rows.append(
            {"source": row["source"], "source_key": row["source_key"], "field": row["field"], "column": row["column"],
             "observed": texts[0], "wanted": texts[1], "last": row["outcome"]}
        )  # fmt: skip
    target = run.ownership.systems[plan.system].target
    live = bool(target and target.live)
    if rows:
        title = f"{plan.system}: plan {plan.name}, {plan.records:,} records, {plan.rows.height:,} fields"
        shown = [
            {
                "record": f"{row['source']} {row['source_key']}",
                "column": row["column"],
                "observed, and wanted": f"{row['observed'] or '(blank)'}\n→ {row['wanted'] or '(blank)'}",
                "last attempt": row["last"] or "",
            }
            for row in rows
        ]
        state = "live" if live else "dry run: nothing is sent until `live: true`"
        paper.table(title, shown, note=f"{state}; at most {limit} rows; --values shows personal ones")
    if plan.over:
        paper.say(escape(f"over the caps: {plan.over}. To let it go: sor accept {subject_of(plan)} --reason '...'"))
    return {
        "system": plan.system, "plan": plan.name, "live": live, "records": plan.records, "fields": plan.rows.height,
        "over": plan.over, "rows": rows,
    }  # fmt: skip


def _nothing(run: Run, paper: Paper, system: str | None) -> None:
    if not targets_of(run.ownership, system):
        paper.say("No system has a `target`: corrections are files in the outbox, for people to take.")
