"""The pages about the whole: the front page with the picture, and the list of all fields.

Belongs here: their order. Does not: what one entity or system says (`entities`, `systems`).
"""

from __future__ import annotations

from collections.abc import Sequence

from sor_pipeline.dictionary import wording
from sor_pipeline.dictionary.html import Html, block, element, facts, link, table, text
from sor_pipeline.dictionary.picture import Arrow, picture
from sor_pipeline.dictionary.roles import Book

_LEGEND = (
    ("owns", "a bold line: the system delivers the entity and owns at least one of its fields"),
    ("delivers", "a thin line: it delivers values, and others own them"),
    ("corrects", "a dashed line: the system is told to correct its own values"),
)


def front_page(book: Book, shown: Sequence[Arrow]) -> str:
    """Counts, the picture of the flow, systems and entities."""
    ownership = book.ownership
    fields = sum(len(entity.fields) for entity in ownership.entities.values())
    counted = (
        f"{len(ownership.systems)} systems deliver {len(ownership.sources)} sources of {len(ownership.entities)} "
        f"entities with {fields:,} fields. This site says which system is right about each of them, and why."
    )
    legend = element("p", *(element("span", says, class_=f"key {kind}") for kind, says in _LEGEND), class_="legend")
    every = [("The flow runs every", wording.duration(ownership.every))] if ownership.every else []
    parts = [
        f"# {'The ownership document' if not ownership.title else 'Who is right about what'}\n\n",
        block(element("p", counted), facts(every)),
        "## The flow between systems { #the-flow }\n\n",
        block(element("p", "Each box leads to its page."), picture(book, shown, ""), legend),
        "## Entities { #entities }\n\n",
        block(_unsearched(("Entity", "What it is", "Owner", "Steward", "Fields"), _entities(book))),
        "## Systems { #systems }\n\n",
        block(_unsearched(("System", "Called", "Role", "Steward", "Owns", "Corrected in"), _systems(book))),
    ]
    return "".join(parts)


def _entities(book: Book) -> list[tuple[object, ...]]:
    return [
        (wording.entity(name, ""), said.description, wording.system(said.owner, ""), said.steward, len(said.fields))
        for name, said in book.ownership.entities.items()
    ]


def _systems(book: Book) -> list[tuple[object, ...]]:
    def number(by_entity: dict[str, list[str]]) -> str:
        return f"{sum(map(len, by_entity.values())):,} fields" if by_entity else ""

    return [
        (wording.system(name, ""), said.title, said.role.value, said.steward,
         number(book.owned[name]), number(book.corrected[name]))
        for name, said in book.ownership.systems.items()
    ]  # fmt: skip


def field_page(book: Book) -> str:
    """Every field of every entity, in one table: for those who search by eye."""
    rows = [
        (
            link(f"entities/{entity}.html", entity),
            link(f"entities/{entity}.html#{name}", name),
            text(spec.fields[name].type),
            wording.by_whom(roles, ""),
            wording.systems(roles.corrected, ""),
        )
        for entity, spec in book.ownership.entities.items()
        for name, roles in book.fields[entity].items()
    ]
    return "# All fields\n\n" + block(_unsearched(("Entity", "Field", "Type", "Owner", "Corrected in"), rows))


def _unsearched(head: Sequence[object], rows: Sequence[Sequence[object]]) -> Html:
    """A table of what other pages say in full: those are what a search should find."""
    return element("div", table(head, rows), data_search_exclude="")
