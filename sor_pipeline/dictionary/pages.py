"""The whole site of a document: which pages there are, and where they stand.

Belongs here: the list of pages. Does not: their content, or what MkDocs makes of them (`site`).
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from sor_pipeline.dictionary.entities import entity_page
from sor_pipeline.dictionary.overview import field_page, front_page
from sor_pipeline.dictionary.picture import Arrow, arrows
from sor_pipeline.dictionary.roles import Book
from sor_pipeline.dictionary.site import Chapter, build
from sor_pipeline.dictionary.systems import system_page
from sor_pipeline.ownership.document import Ownership


def pages(ownership: Ownership) -> dict[str, str]:
    """Path below the site's root -> Markdown, in reading order."""
    book = Book(ownership)
    every = arrows(book)
    by_entity: dict[str, list[Arrow]] = defaultdict(list)
    by_system: dict[str, list[Arrow]] = defaultdict(list)
    for arrow in every:
        by_entity[arrow.entity].append(arrow)
        by_system[arrow.system].append(arrow)
    return {
        "index.md": front_page(book, every),
        "fields.md": field_page(book),
        **{f"entities/{name}.md": entity_page(book, name, by_entity[name]) for name in ownership.entities},
        **{f"systems/{name}.md": system_page(book, name, by_system[name]) for name in ownership.systems},
    }


def write(ownership: Ownership, output: Path) -> int:
    """Writes the site into the folder `output` and says of how many pages it is made.

    Raises SettingsError (docs-extra-missing, docs-folder-taken).
    """
    made = pages(ownership)
    chapters: list[Chapter] = [("Overview", "index.md"), ("All fields", "fields.md")]
    chapters.append(("Entities", [(name, f"entities/{name}.md") for name in ownership.entities]))
    chapters.append(("Systems", [(name, f"systems/{name}.md") for name in ownership.systems]))
    build(ownership.title or "Ownership", made, chapters, output)
    return len(made)
