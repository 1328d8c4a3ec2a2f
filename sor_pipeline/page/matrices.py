"""Fields by systems: who owns what, and who agrees with whom.

Belongs here: the two tables as cells with words. Does not: their look (the template).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sor_pipeline.observe.report import Answer
from sor_pipeline.ownership.document import Ownership

ROLES = (
    ("owns", "O", "owner: its word is the canonical value"),
    ("exception", "E", "owner where a written exception holds"),
    ("fallback", "F", "fallback: asked where the owner never had a value"),
    ("taken_from", "T", "one of those that the field is taken from"),
    ("contributes", "·", "contributes: maps the field, and is compared"),
    ("corrected", "✎", "corrected: takes corrections of the field"),
    ("reflected", "⇠", "reflects: shows the value and is to follow it"),
)
"""What a system can be to a field: column of the answer, sign, words. The first five exclude each other on the page."""
STRONG = 5


@dataclass(frozen=True)
class Cell:
    """One field and one system: a sign or a share, in words for who cannot see it, and a class for its look."""

    text: str = ""
    words: str = ""
    look: str = ""


@dataclass(frozen=True)
class Matrix:
    """One entity: `systems` name the columns; per field one cell for each of them."""

    entity: str
    title: str
    systems: tuple[str, ...]
    fields: tuple[tuple[str, tuple[Cell, ...]], ...]


def ownership_map(ownership: Ownership, answer: Answer) -> list[Matrix]:
    """What each system is to each field, by entity; systems without a part in an entity are left out."""
    return _matrices(ownership, {_place(row): _role(row) for row in answer.rows})


def agreement_map(ownership: Ownership, answer: Answer, owning: Answer) -> list[Matrix]:
    """How much of what each system says agrees, for fields of which several systems speak."""
    owners = {_place(row) for row in owning.rows if row["owns"]}
    spoken: dict[tuple[str, str], int] = {}
    for row in answer.rows:
        spoken[row["entity"], row["field"]] = spoken.get((row["entity"], row["field"]), 0) + 1
    several = [row for row in answer.rows if spoken[row["entity"], row["field"]] > 1]
    return _matrices(ownership, {_place(row): _share(row, _place(row) in owners) for row in several})


def _place(row: Mapping[str, Any]) -> tuple[str, str, str]:
    return row["entity"], row["field"], row["system"]


def _matrices(ownership: Ownership, cells: Mapping[tuple[str, str, str], Cell]) -> list[Matrix]:
    """In the document's order."""
    made = []
    for entity, kind in ownership.entities.items():
        systems = tuple(one for one in ownership.systems if any((entity, f, one) in cells for f in kind.fields))
        rows = tuple(
            (field, tuple(cells.get((entity, field, system), Cell()) for system in systems))
            for field in kind.fields
            if any((entity, field, system) in cells for system in systems)
        )
        if rows:
            made.append(Matrix(entity, kind.title or entity.replace("_", " "), systems, rows))
    return made


def _role(row: Mapping[str, Any]) -> Cell:
    strong = next((role for role in ROLES[:STRONG] if row[role[0]]), None)
    besides = [role for role in ROLES[STRONG:] if row[role[0]]]
    said = [*([strong] if strong else []), *besides]
    return Cell(
        " ".join(sign for _, sign, _ in said), "; ".join(words for _, _, words in said), strong[0] if strong else ""
    )


def _share(row: Mapping[str, Any], owner: bool) -> Cell:
    """In steps of look: a0 is half or less, a4 everything."""
    claims, gaps, compared, agree = row["claims"], row["gaps"], row["compared"], row["agree"]
    besides = f"; {gaps:,} where the owner has none" if gaps else ""
    if not compared:
        words = "says nothing" if not claims else f"nothing to compare{besides}"
        return Cell("–", words, "none")
    share = agree / compared
    words = f"{agree:,} of {compared:,} agree{besides}{'; owner' if owner else ''}"
    step = 4 if agree == compared else max(0, min(3, int((share - 0.5) * 8)))
    return Cell(percent(agree, compared), words, f"a{step}{' own' if owner else ''}")


def percent(part: int, whole: int) -> str:
    """`97 %`; never 100 where something is missing, never 0 where something is there."""
    if not whole:
        return "–"
    share = 100 * part / whole
    rounded = 100 if part == whole else 0 if not part else min(99, max(1, round(share)))
    return f"{rounded} %"
