"""The picture of the flow between systems: who delivers what, and who is corrected. SVG, drawn here.

Belongs here: layout and drawing. It needs no script and no network, follows the page's colours, and every box
is a link. Does not: knowledge of rules (`roles`).

Drawn rather than left to Mermaid, which is 3 MB of script and draws a hundred boxes as a tangle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from sor_pipeline.dictionary.html import Html, element, text
from sor_pipeline.dictionary.roles import Book

ROW, HEIGHT, TOP, LETTER, GAP = 40, 28, 30, 7.4, 76
LONGEST = 24
COLOURS = (
    "#3b7dd8", "#d1495b", "#2a9565", "#b7791f", "#8e5bd0", "#1592a3", "#c2557f", "#6b8e23", "#5c6bc0", "#b5563c",
)  # fmt: skip


@dataclass(frozen=True)
class Arrow:
    """`kind` is `owns`, `delivers` or `corrects`; `tip` says it in words."""

    system: str
    entity: str
    kind: str
    tip: str


@dataclass(frozen=True)
class Box:
    name: str
    x: float
    y: float
    width: float


def arrows(book: Book) -> list[Arrow]:
    """Every arrow of the whole picture, by system, then entity, in the document's order."""
    found: list[Arrow] = []
    for system in book.ownership.systems:
        for entity, number in book.delivered[system].items():
            owned = len(book.owned[system].get(entity, ()))
            tip = f"{system} delivers {number} {_fields(number)} of {entity} and owns {owned}"
            found.append(Arrow(system, entity, "owns" if owned else "delivers", tip))
        for entity, names in book.corrected[system].items():
            tip = f"{system} is corrected in {len(names)} {_fields(len(names))} of {entity}: {', '.join(names)}"
            found.append(Arrow(system, entity, "corrects", tip))
    return found


def _fields(number: int) -> str:
    return "field" if number == 1 else "fields"


def picture(book: Book, shown: Sequence[Arrow], up: str) -> Html:
    """The arrows and their boxes: systems that deliver, entities, systems that are corrected.

    `up` leads from the page to the site's root (`../` or nothing).
    """
    entities = [name for name in book.ownership.entities if any(arrow.entity == name for arrow in shown)]
    order = {name: position for position, name in enumerate(entities)}
    givers = _ordered([arrow for arrow in shown if arrow.kind != "corrects"], order)
    takers = _ordered([arrow for arrow in shown if arrow.kind == "corrects"], order)
    columns = [column for column in (givers, entities, takers) if column]
    if not givers:
        return Html("")
    boxes, width, height = _placed(columns)
    left, middle = boxes[0], boxes[1]
    right = boxes[2] if takers else {}
    colour = {system: COLOURS[index % len(COLOURS)] for index, system in enumerate(book.ownership.systems)}
    heads = [
        element("text", label, x=round(next(iter(column.values())).x + next(iter(column.values())).width / 2), y=16)
        for label, column in zip(("deliver", "entities", "are corrected"), boxes, strict=False)
    ]
    inward = _ports([arrow for arrow in shown if arrow.kind != "corrects"], left, middle)
    outward = _ports([arrow for arrow in shown if arrow.kind == "corrects"], right, middle)
    groups = []
    for system in book.ownership.systems:
        lines = [_line(arrow, left, middle, inward, False) for arrow in shown if _is(arrow, system, False)]
        lines += [_line(arrow, right, middle, outward, True) for arrow in shown if _is(arrow, system, True)]
        ends = [_box(column[system], f"{up}systems/{system}.html") for column in (left, right) if system in column]
        if lines:
            groups.append(element("g", *lines, *ends, class_="system", style=f"--c:{colour[system]}"))
    things = [_box(box, f"{up}entities/{box.name}.html") for box in middle.values()]
    room = f"min-width:{round(width * 0.78)}px;max-width:{round(width * 1.1)}px"
    drawn = element(
        "svg", element("title", "Which system delivers which entity, and which is corrected"),
        element("g", *heads, class_="heads"), *groups, element("g", *things, class_="things"),
        viewBox=f"0 0 {width} {height}", role="img", style=room,
    )  # fmt: skip
    return element("div", drawn, class_="flow", data_search_exclude="")


def _is(arrow: Arrow, system: str, corrects: bool) -> bool:
    return arrow.system == system and (arrow.kind == "corrects") is corrects


def _ordered(shown: Sequence[Arrow], order: Mapping[str, int]) -> list[str]:
    """Systems by the mean height of what they are joined to, so that few lines cross."""
    heights: dict[str, list[int]] = {}
    for arrow in shown:
        heights.setdefault(arrow.system, []).append(order[arrow.entity])
    return sorted(heights, key=lambda system: sum(heights[system]) / len(heights[system]))


def _placed(columns: Sequence[Sequence[str]]) -> tuple[list[dict[str, Box]], int, int]:
    tallest = max(len(column) for column in columns)
    height = TOP + tallest * ROW
    x = 4.0
    placed = []
    for column in columns:
        width = max(96.0, max(len(_short(name)) for name in column) * LETTER + 22)
        spread = (height - TOP) / len(column)
        placed.append(
            {name: Box(name, x, TOP + spread * (row + 0.5) - HEIGHT / 2, width) for row, name in enumerate(column)}
        )
        x += width + GAP
    return placed, round(x - GAP + 4), height


Ports = Mapping[tuple[str, str, str], float]


def _ports(shown: Sequence[Arrow], systems: Mapping[str, Box], entities: Mapping[str, Box]) -> Ports:
    """Where on a box's side each line ends: (side, system, entity) -> y. Lines of one box do not share a point."""
    found: dict[tuple[str, str, str], float] = {}
    for side, boxes, others in (("system", systems, entities), ("entity", entities, systems)):
        for name, box in boxes.items():
            mine = [arrow for arrow in shown if getattr(arrow, side) == name]
            mine.sort(key=lambda arrow: others[arrow.entity if side == "system" else arrow.system].y)
            for place, arrow in enumerate(mine):
                offset = (place - (len(mine) - 1) / 2) * min(6.0, (HEIGHT - 8) / max(1, len(mine) - 1))
                found[side, arrow.system, arrow.entity] = box.y + HEIGHT / 2 + offset
    return found


def _line(arrow: Arrow, systems: Mapping[str, Box], entities: Mapping[str, Box], ports: Ports, out: bool) -> Html:
    system, entity = systems[arrow.system], entities[arrow.entity]
    here, there = ports["system", arrow.system, arrow.entity], ports["entity", arrow.system, arrow.entity]
    points = ((entity.x + entity.width, there), (system.x, here)) if out else (
        (system.x + system.width, here), (entity.x, there))  # fmt: skip
    return element("path", element("title", arrow.tip), class_=arrow.kind, d=_curve(points))


def _curve(points: Sequence[tuple[float, float]]) -> str:
    """From the first point to the second, leaving and arriving level, with a head of an arrow."""
    ((x1, y1), (x2, y2)) = next(iter(pairwise(points)))
    bend = (x2 - x1) / 2
    return (
        f"M{x1:.0f} {y1:.1f}C{x1 + bend:.0f} {y1:.1f} {x2 - bend:.0f} {y2:.1f} {x2 - 2:.0f} {y2:.1f}"
        f"m-6-3.5l6 3.5l-6 3.5"
    )


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}…"


def _box(box: Box, target: str) -> Html:
    frame = Html(f'<rect x="{box.x:.0f}" y="{box.y:.0f}" width="{box.width:.0f}" height="{HEIGHT}" rx="6"/>')
    label = element("text", _short(box.name), x=round(box.x + box.width / 2), y=round(box.y + HEIGHT / 2 + 4.5))
    return element("a", element("title", text(box.name)), frame, label, href=target)
