"""The answer of `sor why-linked`: the way from one record to another, or why there is none.

Belongs here: finding the reasons in the order in which they count, and printing them. Does not:
fetching (`observe.linkage`), wording (`linkwords`), scoring (`similarity`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from rich.markup import escape

from sor_pipeline.observe.cases import At
from sor_pipeline.observe.linkage import Linkage, linkage, placed
from sor_pipeline.observe.path import Step, path, spanning
from sor_pipeline.ownership.matching import Same, Similar
from sor_pipeline.run import Run
from sor_pipeline.steward.decisions import paired
from sor_pipeline.steward.records import entity_of, named
from sor_pipeline.tables import ClaimState
from sor_pipeline.terminal import sides
from sor_pipeline.terminal.linkwords import at, counted, distrusted, held, kept_apart, listed, tied, titled
from sor_pipeline.terminal.paper import Paper
from sor_pipeline.terminal.similarity import Scored, scored

_RECORDS = 200


@dataclass(frozen=True)
class Question:
    """Two records of one entity, where each is, and everything about the entities that they are in."""

    run: Run
    connection: sa.Connection
    entity: str
    ends: tuple[At, At]
    places: tuple[str | None, str | None]
    known: Linkage

    @property
    def together(self) -> bool:
        return self.places[0] is not None and self.places[0] == self.places[1]


def show_pair(run: Run, paper: Paper, one: str, other: str, values: bool, chart: bool = False) -> Scored | None:
    """Why two records are the same entity, or why not. Returns similarity's account of the two,
    where there is one and they are apart, or a `chart` needs it."""
    with run.engine.begin() as connection:
        pair = paired(run, connection, named(run.ownership, one), named(run.ownership, other))
        first, second = named(run.ownership, one), named(run.ownership, other)
        ends = ((first.source, first.key), (second.source, second.key))
        places = tuple(connection.execute(placed(run.tables, pair.entity, end)).scalar() for end in ends)
        known = linkage(run, connection, pair.entity, sorted({place for place in places if place}))
        question = Question(run, connection, pair.entity, ends, (places[0], places[1]), known)
        asked = chart or not question.together
        score = scored(run, connection, pair.entity, ends) if asked else None
        way = path(known.ties, *ends) if question.together else None
        reasons = [] if way else why_not(question, values)
        soon = coming(question)
        steps = _steps(question, way or [], values)
    paper.data(
        {
            "entity": pair.entity, "records": [at(end) for end in ends], "entity_ids": list(places),
            "together": question.together, "path": steps, "why_not": reasons, "coming": soon and soon[1],
            "similar": None if score is None else score.as_data(),
        }
    )  # fmt: skip
    _say(question, paper, steps, reasons, score, soon)
    return score


def _steps(question: Question, way: list[Step], values: bool) -> list[dict[str, Any]]:
    spec = question.run.ownership.entities[question.entity]
    steps = []
    for step in way:
        similar = step.tie.rule == "similar"
        score = scored(question.run, question.connection, question.entity, (step.start, step.end)) if similar else None
        steps.append(
            {
                "from": at(step.start), "to": at(step.end), "rule": step.tie.rule,
                "because": tied(spec, step.tie, step.start, step.end, values),
                "weight": step.tie.weight, "probability": step.tie.probability,
                "levels": score.words if score else [],
            }
        )  # fmt: skip
    return steps


def coming(question: Question) -> tuple[int, str] | None:
    """The decision on the two that no run has obeyed yet: its number, and what it will do."""
    ends = set(question.ends)
    for tie in () if question.together else question.known.ties:
        if tie.rule.startswith("decision") and set(tie.ends) == ends:
            return _number(tie.rule), f"{tie.rule} links them ({tie.said}): the next run (sor run) obeys"
    for one in question.known.apart if question.together else ():
        if one.guard == "decision" and set(one.ends) == ends:
            return _number(one.rule), f"{one.rule} keeps them apart ({one.detail}): the next run (sor run) obeys"
    return None


def _never_one(question: Question) -> str | None:
    """The source of both, where the document says that its records are never the same."""
    source = question.ends[0][0]
    both = source == question.ends[1][0]
    return source if both and question.run.ownership.sources[source].unique else None


def _number(rule: str) -> int:
    return int(rule.removeprefix("decision "))


def why_not(question: Question, values: bool) -> list[str]:
    """Why the two are not tied, what weighs most first; said of the two, else of those that they are with."""
    spec = question.run.ownership.entities[question.entity]
    known, ends = question.known, set(question.ends)
    if question.together:
        return ["nothing ties them any more: what tied them has changed since the last run; sor run looks again"]
    across = [
        one for one in known.apart if {known.member[end] for end in one.ends} == set(question.places)
    ]  # fmt: skip
    order = ("decision", "unlink", "unique", "max_size", "review")
    across.sort(key=lambda one: (set(one.ends) != ends, order.index(one.guard) if one.guard in order else len(order)))
    reasons = [kept_apart(spec, one) for one in across[:5]]
    never = _never_one(question)
    if never:
        reasons.insert(0, f"{never} says `unique: true`: no two of its records are the same {question.entity}")
    shared = [tie for tie in known.ties if not tie.trusted and ends <= set(tie.ends)]
    reasons += [distrusted(spec, tie, values) for tie in shared]
    untied = [place is None for place in question.places]
    if any(untied):
        new = listed([at(end) for end, missing in zip(question.ends, untied, strict=True) if missing])
        reasons.append(f"{new} was not identified yet: sor run")
    return reasons or _nothing_shared(question)


def _nothing_shared(question: Question) -> list[str]:
    """Rule by rule, what the two would have to have in common."""
    run, entity = question.run, question.entity
    spec = run.ownership.entities[entity]
    said = sides.records(run, question.connection, question.ends)
    reasons = []
    for rule in (rule for rule in spec.match if isinstance(rule, Same)):
        missing: list[str] = []
        for field in rule.same:
            title = titled(spec, field)
            claims = [(end, said[end].get(field, sides.NOTHING)) for end in question.ends if end in said]
            for end, side in claims:
                if side.state is ClaimState.placeholder:
                    missing.append(f"{at(end)} has a placeholder as {title}")
                elif not side.value:
                    missing.append(f"{at(end)} has no {title}")
            if all(side.value for _, side in claims) and len({side.compare for _, side in claims}) > 1:
                missing.append(f"their {title} differs")
        thing = f"the same {listed([titled(spec, field) for field in rule.same])}"
        reasons.append(f"not {thing}: {'; '.join(missing)}" if missing else f"{thing}, but it links nobody")
    linked = [holder for rule in spec.match for holder in getattr(rule, "linked", ())]
    mine = [holder for holder in linked if holder.rpartition(".")[0] in {end[0] for end in question.ends}]
    reasons += [f"no key of the other in {holder}" for holder in mine]
    readable = reasons or any(isinstance(rule, Similar) for rule in spec.match)
    return reasons if readable else ["no matching rule reads anything that both could have in common"]


def _say(
    question: Question, paper: Paper, steps: list[dict[str, Any]], reasons: list[str], score: Scored | None,
    soon: tuple[int, str] | None,
) -> None:  # fmt: skip
    entity, known = question.entity, question.known
    names = " and ".join(at(end) for end in question.ends)
    places = [f"{p}, {counted(len(known.of(p)), 'record')}" if p else "none yet" for p in question.places]
    if question.together:
        paper.prose(f"{names} are the same {entity} ({places[0]}):")
    else:
        paper.prose(f"{names} are two {entity}s ({places[0]}; {places[1]}):")
    if steps:
        paper.say(f"\n  [bold]{escape(steps[0]['from'])}[/bold]")
    for step in steps:
        paper.prose(step["because"], "    │ ", "    │ ")
        for line in step["levels"]:
            paper.prose(line, "    │   ", "    │     ")
        paper.say(f"  [bold]{escape(step['to'])}[/bold]")
    for reason in reasons:
        paper.prose(reason, "  - ", "    ")
    if score and not question.together:
        if not any(one.guard == "review" and set(one.ends) == set(question.ends) for one in known.apart):
            paper.prose(score.why_not(), "  - ", "    ")
        for line in score.words:
            paper.prose(line, "      ", "        ")
    if soon:
        paper.prose(soon[1], "  ! ", "    ")
    paper.say(f"\nIf that is wrong: {_undo(question, soon)}")


def _undo(question: Question, soon: tuple[int, str] | None) -> str:
    left, right = (_quoted(at(end)) for end in question.ends)
    words = [
        one.rule for one in question.known.apart if one.guard == "decision" and set(one.ends) == set(question.ends)
    ]
    never = _never_one(question)
    if never and not soon and not words:
        return f"take `unique` out of {never} in the document"
    if soon or words:
        return f"sor withdraw {soon[0] if soon else _number(words[0])} --reason ..."
    return f"sor {'unlink' if question.together else 'link'} {left} {right} --reason ..."


def _quoted(name: str) -> str:
    """A record's name as a shell takes it."""
    import shlex

    return escape(shlex.quote(name))


def show_entity(run: Run, paper: Paper, name: str, values: bool) -> None:
    """All records of the entity that one record is, and the edges that hold them together."""
    record = named(run.ownership, name)
    with run.engine.begin() as connection:
        entity = entity_of(run, connection, record)
        entity_id = connection.execute(placed(run.tables, entity, (record.source, record.key))).scalar()
        known = linkage(run, connection, entity, [entity_id] if entity_id else [])
    spec = run.ownership.entities[entity]
    kept = spanning(known.ties)
    edges: list[dict[str, Any]] = [
        {"rule": tie.rule, "because": held(spec, tie, values), "records": [at(end) for end in tie.ends]} for tie in kept
    ]
    members = [at(end) for end in known.of(entity_id or "")]
    apart = [kept_apart(spec, one) for one in known.apart if one.guard == "decision"]
    paper.data({"entity": entity, "entity_id": entity_id, "records": members, "edges": edges, "apart": apart})
    if entity_id is None:
        paper.say(f"{escape(name)} was not identified yet: sor run")
        return
    paper.say(f"[bold]{entity} {entity_id}[/bold]: {counted(len(members), 'record')}")
    for member in members[:_RECORDS]:
        paper.say(f"  {escape(member)}")
    if len(members) > _RECORDS:
        paper.say(f"  ... and {len(members) - _RECORDS:,} more; --json lists all")
    if edges:
        paper.say("\nHeld together by, strongest first:")
    for edge in edges[:_RECORDS]:
        few = (
            edge["records"] if len(edge["records"]) <= 6 else [*edge["records"][:5], f"{len(edge['records']) - 5} more"]
        )
        paper.prose(edge["because"], "  - ", "    ")
        paper.prose(", ".join(few), "      ", "      ")
    for line in apart:
        paper.prose(line, "  ! ", "    ")
    if len(members) > 1:
        paper.say("\nThe way between two of them: sor why-linked A B")
