"""Two records side by side: every field, equal or different, on any width.

Belongs here: fetching and laying out two records. Does not: what is asked about them (`review`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from sor_pipeline.observe import cases
from sor_pipeline.observe.cases import At
from sor_pipeline.ownership.entity import Entity
from sor_pipeline.run import Run
from sor_pipeline.tables import ClaimState
from sor_pipeline.terminal.linkwords import at, system_title, titled
from sor_pipeline.terminal.paper import Paper

HIDDEN = "•••••"
EQUAL, DIFFERENT, ONE_SIDED = "=", "≠", ""


@dataclass(frozen=True)
class Side:
    """What one record says about one field: its text, its comparable form, and what kind of claim it is."""

    text: str | None
    compare: str | None
    state: ClaimState

    @property
    def value(self) -> bool:
        return self.state is ClaimState.value


NOTHING = Side(None, None, ClaimState.never)
Said = Mapping[str, Side]
"""What one record says, by field; fields that its source does not map are missing."""


def records(run: Run, connection: sa.Connection, wanted: Sequence[At]) -> dict[At, Said]:
    """What each of these records says; one query per source."""
    found: dict[At, Said] = {}
    for source in sorted({record[0] for record in wanted}):
        keys = [key for name, key in wanted if name == source]
        for row in connection.execute(cases.said(run.tables, source, keys)).mappings().fetchall():
            found[source, row["_key"]] = {
                name: Side(row[name], row[f"{name}__cmp"], ClaimState(row[f"{name}__state"] or 0))
                for name in run.ownership.sources[source].fields
            }
    return found


def mark(left: Side, right: Side) -> str:
    """Equal or different, as matching compares; nothing where one of them has no value."""
    if not (left.value and right.value):
        return ONE_SIDED
    return EQUAL if left.compare == right.compare else DIFFERENT


def compared(spec: Entity, left: Said, right: Said, mask: bool) -> list[dict[str, Any]]:
    """One row per field about which one of them says something: field, left, mark, right."""
    rows = []
    for name, field in spec.fields.items():
        one, other = left.get(name, NOTHING), right.get(name, NOTHING)
        if one.state is other.state is ClaimState.never:
            continue
        hide = mask and field.personal
        rows.append({"field": name, "left": _text(one, hide), "mark": mark(one, other), "right": _text(other, hide)})
    return rows


def _text(side: Side, hide: bool) -> str | None:
    if side.state is ClaimState.never:
        return None
    if side.state is ClaimState.cleared:
        return "(cleared)"
    text = HIDDEN if hide else side.text or ""
    return f"{text} (placeholder)".strip() if side.state is ClaimState.placeholder else text


def show(run: Run, paper: Paper, entity: str, ends: tuple[At, At], rows: Sequence[Mapping[str, Any]]) -> None:
    """The two records as a table that fits the terminal."""
    spec = run.ownership.entities[entity]
    table = Table(box=SIMPLE_HEAD, pad_edge=False, expand=False)
    table.add_column("field", overflow="fold")
    for number, end in enumerate(ends):
        title = f"{escape(at(end))}\n[dim not bold]{escape(system_title(run.ownership, end[0]))}[/]"
        table.add_column(title, overflow="fold", ratio=1)
        if number == 0:
            table.add_column("", width=1)
    for row in rows:
        style = {EQUAL: "green", DIFFERENT: "bold red"}.get(row["mark"], "")
        sign = f"[{style}]{row['mark']}[/]" if style else ""
        table.add_row(escape(titled(spec, row["field"])), _cell(row["left"]), sign, _cell(row["right"]))
    paper.console.print(table)


def _cell(text: str | None) -> str:
    return "[dim]-[/dim]" if text is None else escape(text)
