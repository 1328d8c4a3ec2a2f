"""What is charted: a figure per development, from the answers.

Belongs here: which numbers, in which colours, and what the chart says in words. Does not: drawing (`charts`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sor_pipeline.observe.report import Answer
from sor_pipeline.page.charts import Row, Series, Spec, areas, bars, drawn, lines, strip

Answers = Mapping[str, Answer]
PUBLICATION = "publication"
KINDS = (
    Series("differs", "differs from the owner", "c1"),
    Series("owner_disagrees_with_itself", "owner against itself", "c2"),
    Series("dangling_reference", "points at nothing", "c3"),
    Series("missing_at_owner", "gap: the owner has none", "c4"),
)
CHANGES = (
    Series("created", "created", "c1"),
    Series("changed", "cells changed", "c2"),
    Series("retired", "retired", "c4"),
)
CORRECTIONS = (
    Series("proposed", "proposed", "c2"),
    Series("agreed", "agreed", "c1"),
    Series("ended_otherwise", "ended otherwise", "c4"),
)
SEVERITIES = (
    Series("block", "block", "bad"),
    Series("hold", "hold", "c2"),
    Series("warn", "warn", "c3"),
)


@dataclass(frozen=True)
class Figure:
    """A chart with its legend, and its numbers as a table: `header`, then `rows` of as many cells."""

    name: str
    title: str
    says: str
    svg: str
    legend: tuple[Series, ...]
    header: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    query: str


def figures(answers: Answers, late: frozenset[str]) -> dict[str, Figure]:
    """Every chart of the page, by name; `late` are sources that are overdue."""
    made = (
        _conflicts(answers),
        _changes(answers),
        _corrections(answers),
        _times(answers),
        _quality(answers),
        _deliveries(answers, late),
    )
    return {one.name: one for one in made}


def _conflicts(answers: Answers) -> Figure:
    rows = [
        {PUBLICATION: r[PUBLICATION], "series": r["kind"], "number": r["open"]} for r in answers["conflicts-trend"].rows
    ]
    return _over_publications(
        areas,
        "open-conflicts",
        "Open conflicts after each publication",
        rows,
        KINDS,
        "conflicts-trend",
        "conflicts open",
    )


def _changes(answers: Answers) -> Figure:
    rows = _melted(answers["publications"].rows, CHANGES)
    title = "What each publication changed"
    return _over_publications(bars, "changes-over-time", title, rows, CHANGES, "publications", "changes")


def _corrections(answers: Answers) -> Figure:
    rows = _melted(answers["corrections-trend"].rows, CORRECTIONS)
    title = "Corrections proposed, and how they ended"
    return _over_publications(
        lines, "corrections-over-time", title, rows, CORRECTIONS, "corrections-trend", "corrections"
    )


def _quality(answers: Answers) -> Figure:
    rows = [
        {PUBLICATION: r[PUBLICATION], "series": r["severity"], "number": r["failed"]}
        for r in answers["quality-trend"].rows
    ]
    title = "Rows that fail an expectation"
    return _over_publications(bars, "quality-over-time", title, rows, SEVERITIES, "quality-trend", "rows fail")


def _over_publications(
    draw: Any, name: str, title: str, rows: Sequence[Row], series: tuple[Series, ...], query: str, what: str
) -> Figure:
    """A figure whose rows hold publication, series and number; series that never have one are left out."""
    used = tuple(one for one in series if any(row["series"] == one.value and row["number"] for row in rows))
    places = {one.value: place for place, one in enumerate(used)}
    kept = [{**row, "place": places[row["series"]]} for row in rows if row["series"] in places]
    numbers = sorted({row[PUBLICATION] for row in rows})
    found = {(row[PUBLICATION], row["series"]): row["number"] for row in kept}
    table = tuple((number, *(found.get((number, one.value), 0) for one in used)) for number in numbers)
    says = "Nothing yet."
    if used and numbers:
        first, last = sum(table[0][1:]), sum(table[-1][1:])
        says = f"{first:,} {what} at publication {numbers[0]}, {last:,} at publication {numbers[-1]}."
    svg = drawn(draw(kept, PUBLICATION, PUBLICATION, used), name, title, says) if kept else ""
    return Figure(name, title, says, svg, used, (PUBLICATION, *(one.title for one in used)), table, query)


def _times(answers: Answers) -> Figure:
    found = answers["corrections-publications"].rows
    series = (Series("agreed", "corrections that agreed", "c1"),)
    counted = {row["publications"]: row["corrections"] for row in found}
    wide = range(1, max(counted) + 1) if counted else ()
    every = sorted({*counted, *(wide if len(wide) <= 20 else ())})
    rows = [{"publications": n, "series": "agreed", "number": counted.get(n, 0), "place": 0} for n in every]
    total = sum(counted.values())
    says = "No correction has agreed yet."
    if total:
        says = f"{counted.get(1, 0):,} of {total:,} agreed one publication later; the slowest took {max(counted)}."
    title = "Publications until a correction agreed"
    svg = (
        drawn(bars(rows, "publications", "publications later", series), "time-to-agreement", title, says)
        if rows
        else ""
    )
    table = tuple((row["publications"], row["corrections"]) for row in found)
    header = ("publications later", "corrections")
    return Figure("time-to-agreement", title, says, svg, (), header, table, "corrections-publications")


def _deliveries(answers: Answers, late: frozenset[str]) -> Figure:
    found = answers["deliveries"].rows
    rows = [
        {"name": r["source"], "at": _milliseconds(r["as_of"]), "late": r["source"] in late} for r in found if r["as_of"]
    ]
    names = sorted({row["name"] for row in rows})
    title, says = (
        "When each source delivered",
        f"{len(rows):,} deliveries of {len(names)} sources; {len(late)} overdue.",
    )
    svg = drawn(strip(rows, names), "deliveries-over-time", title, says) if rows else ""
    table = tuple((r["source"], r["as_of"], r["rows"]) for r in found)
    legend = (Series("", "delivered", "c1"), *((Series("", "source is overdue", "bad"),) if late else ()))
    return Figure("deliveries-over-time", title, says, svg, legend, ("source", "as of", "rows"), table, "deliveries")


def _melted(rows: Sequence[Row], series: Sequence[Series]) -> list[Row]:
    return [{PUBLICATION: r[PUBLICATION], "series": one.value, "number": r[one.value]} for r in rows for one in series]


def _milliseconds(moment: datetime) -> int:
    return int(moment.replace(tzinfo=UTC).timestamp() * 1000)


__all__ = ["Figure", "Spec", "figures"]
