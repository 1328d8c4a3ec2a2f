"""The page put together: headline, sections, queries; written in one piece.

Belongs here: what the template is given. Does not: how it looks (`scorecard.html`, `scorecard.css`).
"""

from __future__ import annotations

import re
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from sor_pipeline.engine.files import put_in_place
from sor_pipeline.observe.report import Answer, answers
from sor_pipeline.observe.report.disagreement import GAP, TOP
from sor_pipeline.page import duties, matrices
from sor_pipeline.page.charts import spark
from sor_pipeline.page.matrices import percent
from sor_pipeline.page.trends import Answers, figures
from sor_pipeline.run import Run

NAME = "scorecard.html"
PATIENCE = 2
"""A source is overdue after so many times its interval; as the expectation of freshness has it."""


def write(run: Run, target: Path | None = None, found: Answers | None = None) -> Path:
    """Write the scorecard, by default to `.sor/reports/scorecard.html`; returns where it is. `found`: see `render`.

    Raises SettingsError where the extra `report` is not installed.
    """
    page = render(run, found)
    file = target or run.settings.reports / NAME
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".scorecard-", dir=file.parent) as folder:
        fresh = Path(folder) / NAME
        fresh.write_text(page, encoding="utf-8")
        put_in_place(fresh, file)
    return file


def render(run: Run, found: Answers | None = None) -> str:
    """The page as text: one state of the warehouse gives one page. `found`: what `answers(run)` gave, if asked."""
    found = answers(run) if found is None else found
    here = Path(__file__).parent
    environment = Environment(
        loader=FileSystemLoader(here), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"shown": shown, "spark": spark, "percent": percent, "breakable": breakable}
    style = Markup((here / "scorecard.css").read_text(encoding="utf-8"))
    return environment.get_template(NAME).render(style=style, raw=Markup, **_given(run, found))


def _given(run: Run, found: Answers) -> dict[str, Any]:
    """Everything the template names."""
    ownership, rows = run.ownership, {name: answer.rows for name, answer in found.items()}
    sources = _freshness(run, found)
    late = frozenset(row["source"] for row in sources if row["late"])
    agreement = matrices.agreement_map(ownership, found["agreement"], found["ownership"])
    return {
        "company": ownership.title,
        "ownership": ownership,
        "served": run.engine.served,
        "rows": rows,
        "last": rows["publications"][-1] if rows["publications"] else None,
        "tiles": headline(found),
        "duties": duties.duties(ownership, found, late),
        "figures": figures(found, late),
        "fights": _fights(run, found),
        "agreement": agreement,
        "agreed_fields": sum(len(one.fields) for one in agreement),
        "owning": matrices.ownership_map(ownership, found["ownership"]),
        "roles": matrices.ROLES,
        "corrections": _corrections(run, found),
        "failing": _failing(found),
        "sources": sources,
        "title_of": lambda system: duties.title_of(ownership, system),
        "steward": lambda entity: duties.steward_of_entity(ownership, entity),
        "queries": list(found.values()),
    }


def headline(found: Answers) -> list[dict[str, Any]]:
    """The headline: value, what it is, a note, its query, and whether more is worse (`bad`, `good` or nothing)."""
    systems = found["agreement-by-system"].rows
    agree, compared = (sum(row[name] for row in systems) for name in ("agree", "compared"))
    trend = found["conflicts-trend"].rows
    numbers = [row["publication"] for row in found["publications"].rows]
    now, before = (numbers[-1] if numbers else 0), (numbers[-2] if len(numbers) > 1 else None)
    disagree, gaps = (_open(trend, now, gap) for gap in (False, True))
    corrections = found["corrections"].rows
    waiting = sum(row["corrections"] for row in corrections if row["state"] in duties.OPEN)
    agreed = sum(row["corrections"] for row in corrections if row["state"] == "confirmed")
    held, expected = (sum(row[n] for row in found["quality-by-entity"].rows) for n in ("hold", "expectations"))
    cases = sum(row["open"] for row in found["cases"].rows)
    return [
        {"value": percent(agree, compared), "what": "of what others say agrees with the owner",
         "note": f"{agree:,} of {compared:,} claims", "query": "agreement-by-system", "to": "agreement"},
        {"value": disagree, "what": "claims disagree", "note": _since(trend, before, disagree, gap=False),
         "query": "conflicts-trend", "to": "conflicts"},
        {"value": gaps, "what": "gaps: known to others, not to the owner",
         "note": _since(trend, before, gaps, gap=True),
         "query": "conflicts-trend", "to": "conflicts"},
        {"value": waiting, "what": "corrections open", "note": f"{agreed:,} have agreed",
         "query": "corrections", "to": "corrections"},
        {"value": percent(held, expected), "what": "of expectations hold",
         "note": f"{expected - held:,} of {expected:,} do not",
         "query": "quality-by-entity", "to": "quality"},
        {"value": cases, "what": "cases wait for a person", "note": "records that no rule can decide",
         "query": "cases", "to": "cases"},
    ]  # fmt: skip


def _open(trend: tuple[dict[str, Any], ...], publication: int, gap: bool) -> int:
    return sum(row["open"] for row in trend if row["publication"] == publication and (row["kind"] == GAP) == gap)


def _since(trend: tuple[dict[str, Any], ...], before: int | None, now: int, *, gap: bool) -> str:
    """How it moved since the publication before."""
    if before is None:
        return "first publication"
    moved = now - _open(trend, before, gap)
    return f"{abs(moved):,} {'more' if moved > 0 else 'fewer'} than before" if moved else "as many as before"


def _fights(run: Run, found: Answers) -> list[dict[str, Any]]:
    """The fields with most conflicts, each with its trend and who disagrees with whom."""
    numbers = [row["publication"] for row in found["publications"].rows]
    trend = {
        (row["entity"], row["field"], row["publication"]): row["open"] for row in found["conflicts-trend-by-field"].rows
    }
    pairs: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in found["conflicts-by-pair"].rows:
        pairs[row["entity"], row["field"]].append(row)
    return [
        {
            **row,
            "trend": [trend.get((row["entity"], row["field"], number), 0) for number in numbers],
            "pairs": _by_system(pairs[row["entity"], row["field"]]),
            "owners": _named(run, (pair["owner"] for pair in pairs[row["entity"], row["field"]])),
        }
        for row in found["conflicts-by-field"].rows[:TOP]
        if row["disagree"] or row["gaps"]
    ]


def _by_system(pairs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Open conflicts of one field by the system that claims otherwise, the most first; `gaps` are among them."""
    counted: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for pair in pairs:
        counted[pair["system"]][0] += pair["open"]
        counted[pair["system"]][1] += pair["open"] if pair["kind"] == GAP else 0
    made = [{"system": system, "open": number, "gaps": gaps} for system, (number, gaps) in counted.items()]
    return sorted(made, key=lambda one: (-one["open"], one["system"]))


def _named(run: Run, systems: Iterable[str | None]) -> str:
    """The systems by title, each once, in the document's order."""
    present = set(systems)
    return ", ".join(duties.title_of(run.ownership, one) for one in run.ownership.systems if one in present)


def _corrections(run: Run, found: Answers) -> list[dict[str, Any]]:
    """One row per system: corrections by state, and how long it took to agree."""
    took = {row["system"]: row for row in found["corrections-time"].rows}
    counted: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for row in found["corrections"].rows:
        counted[row["system"]]["open" if row["state"] in duties.OPEN else row["state"]] += row["corrections"]
    order = [*run.ownership.systems, *sorted(counted.keys() - run.ownership.systems.keys())]
    return [{"system": one, "states": counted[one], "took": took.get(one)} for one in order if one in counted]


def _failing(found: Answers) -> list[dict[str, Any]]:
    """Expectations that do not hold, each with the rows that failed publication by publication."""
    trend: dict[tuple[str, str], list[int]] = defaultdict(list)
    for row in found["quality-trend-by-expectation"].rows:
        trend[row["entity"], row["expectation"]].append(row["failed"] or 0)
    return [{**row, "trend": trend[row["entity"], row["expectation"]]} for row in found["quality"].rows]


def _freshness(run: Run, found: Answers) -> list[dict[str, Any]]:
    """Every source of the document: what it delivered, how old that is, whether it is overdue.

    Old is measured against the newest logical time that anything here knows, not against the reader's clock.
    """
    delivered = {row["source"]: row for row in found["freshness"].rows}
    known = [row["newest"] for row in delivered.values() if row["newest"]]
    known += [row["published_at"] for row in found["publications"].rows]
    made = []
    for source, spec in run.ownership.sources.items():
        row, every = delivered.get(source), spec.extract.every
        age = max(known) - row["newest"] if row and row["newest"] else None
        late = every is not None and bool(known) and (age is None or age > PATIENCE * every)
        made.append({"source": source, "every": every, "age": age, "late": late, "delivered": row})
    return made


def shown(value: object) -> str:
    """A value as people read it."""
    if value is None:
        return "–"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d" if value.time() == time.min else "%Y-%m-%d %H:%M")
    if isinstance(value, timedelta):
        return _span(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float | Decimal):
        return f"{value:,.1f}".removesuffix(".0")
    return str(value)


def breakable(name: str) -> Markup:
    """A long name that may be broken where its parts meet."""
    return Markup(re.sub(r"([._@]|: )", r"\1<wbr>", str(escape(name))))


def _span(length: timedelta) -> str:
    """`2 days`, `6 hours`: the largest unit that fills once."""
    seconds = int(length.total_seconds())
    for unit, size in (("week", 604800), ("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= size and (seconds % size == 0 or seconds >= 2 * size or unit != "week"):
            number = seconds // size
            return f"{number} {unit}{'s' if number != 1 else ''}"
    return "now"


__all__ = ["Answer", "render", "write"]
