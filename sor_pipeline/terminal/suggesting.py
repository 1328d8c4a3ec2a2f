"""The answer of `sor suggest`: the fields that are fought over, the evidence, and who should own them."""

from __future__ import annotations

from typing import Any

from sor_pipeline.observe.suggest.asked import corrected, fought_over, mapping_sources, said
from sor_pipeline.observe.suggest.proposal import Proposal, Witness, propose, witnesses
from sor_pipeline.run import Run
from sor_pipeline.terminal.paper import Paper, Row, read

_MUCH = 100_000


def suggest(run: Run, paper: Paper, entity: str | None, field: str | None, limit: int) -> None:
    """Rank the fields in conflict; per field the evidence of each system and a proposal. Writes nothing."""
    ranked = [row for row in read(run, fought_over(run.tables), _MUCH) if _asked(run, row, entity, field)]
    if not ranked and field is not None:
        named = [
            name for name, spec in run.ownership.entities.items() if field in spec.fields and entity in (None, name)
        ]
        ranked = [{"entity": name, "field": field, "open": 0, "ever": 0, "entities": 0} for name in named]
    answer = [_studied(run, row) for row in ranked[:limit]]
    paper.data([_as_data(one) for one in answer])
    if not answer:
        paper.say("No system ever disagreed about a field: nothing to suggest.")
        return
    for place, (row, known, proposal) in enumerate(answer, start=1):
        _show(run, paper, place, row, known, proposal)
    paper.prose(
        "Nothing was written. An owner is the company's choice: the evidence says who agrees with whom, "
        "not who is right. Change the document where you are convinced, then run `sor check`."
    )


def _asked(run: Run, row: Row, entity: str | None, field: str | None) -> bool:
    """What the document still has, and a system can own."""
    spec = run.ownership.entities.get(row["entity"])
    known = spec is not None and row["field"] in spec.fields and spec.fields[row["field"]].summary is None
    return known and entity in (None, row["entity"]) and field in (None, row["field"])


def _studied(run: Run, row: Row) -> tuple[Row, list[Witness], Proposal]:
    entity, field = row["entity"], row["field"]
    run.progress(f"looking at {entity}.{field}")
    if not mapping_sources(run.tables, entity, field):
        return row, [], propose([])
    known = witnesses(read(run, said(run.tables, entity, field)), read(run, corrected(run.tables, entity, field)))
    return row, known, propose(known, run.ownership.rule_of(entity, field).owner)


def _as_data(one: tuple[Row, list[Witness], Proposal]) -> dict[str, Any]:
    row, known, proposal = one
    systems = [vars(witness) | {"fill": witness.fill, "agreement": witness.agreement} for witness in known]
    return {**row, "systems": systems, "proposal": vars(proposal)}


def _show(run: Run, paper: Paper, place: int, row: Row, known: list[Witness], proposal: Proposal) -> None:
    entity, field = row["entity"], row["field"]
    rule = run.ownership.rule_of(entity, field)
    now = rule.owner or f"nobody (the {rule.take} of {', '.join(rule.among)})"
    paper.table(
        f"{place}. {entity}.{field}: {row['open']:,} conflicts open, {row['ever']:,} ever; owned by {now}",
        [
            {
                "system": one.system, "records": one.records, "filled": f"{one.fill:.1%}", "newest": one.newest,
                "agrees": "-" if one.agreement is None else f"{one.agreement:.1%} of {one.compared:,}",
                "stuck": f"{one.stuck:,} of {one.corrected:,}" if one.corrected else "-",
            }
            for one in known
        ],
    )  # fmt: skip
    if proposal.owner is None:
        paper.say(f"No proposal: {proposal.reasons[0]}.\n")
        return
    verdict = "keep" if proposal.owner == rule.owner else "consider"
    paper.say(f"[bold]{verdict} owner: {proposal.owner}[/bold] ({proposal.strength})")
    for reason in proposal.reasons:
        paper.prose(reason, "  - ", "    ")
    if proposal.owner != rule.owner:
        fallback = f", fallback: [{', '.join(proposal.fallback)}]" if proposal.fallback else ""
        paper.say(
            f"  in the document: entities.{entity}.fields.{field}: {{owner: {proposal.owner}{fallback}}}".replace(
                "[", "\\["
            )
        )
    paper.say("")
