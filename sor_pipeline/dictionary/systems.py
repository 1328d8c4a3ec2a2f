"""A page per system: what it owns, what it delivers, what it is corrected in.

Belongs here: the page's order, and what a source's delivery is in words. Does not: rules of fields (`wording`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sor_pipeline.dictionary import wording
from sor_pipeline.dictionary.html import Html, block, code, element, facts, joined, link, table
from sor_pipeline.dictionary.picture import Arrow, picture
from sor_pipeline.dictionary.roles import Book
from sor_pipeline.ownership.document import system_of
from sor_pipeline.ownership.source import Extract, Mode, Source

_ROLES = {
    "record": "system of record: masters some data",
    "engagement": "system of engagement: where interaction happens",
}
_MODES = {
    Mode.snapshot: "whole snapshots: what is missing is deleted",
    Mode.changes: "changes only",
    Mode.events: "events: rows are only added",
}


def system_page(book: Book, name: str, shown: list[Arrow]) -> str:
    """The page of one system; `shown` are its arrows in the whole picture."""
    spec = book.ownership.systems[name]
    parts = [f"# {name}\n\n", block(element("p", spec.description)) if spec.description else ""]
    called = spec.title if spec.title != name else ""
    parts.append(block(facts([("Called", called), ("Role", _ROLES[spec.role]), ("Steward", spec.steward or "")])))
    parts.append(block(picture(book, shown, wording.UP)))
    parts.append(_section("Owns", "what-it-owns", _fields(book.owned[name]), "It owns nothing."))
    corrected = _fields(book.corrected[name])
    parts.append(_section("Is corrected in", "what-is-corrected", corrected, "Nothing is written to it."))
    reflected = _fields(_reflected(book, name))
    parts.append(_section("Shows read-only", "what-it-shows", reflected, "") if reflected else "")
    sources = {source: spec for source, spec in book.ownership.sources.items() if system_of(source) == name}
    parts.append("## Delivers { #what-it-delivers }\n\n")
    parts += [_source(book, source, spec) for source, spec in sources.items()] or ["It delivers nothing.\n\n"]
    return "".join(parts)


def _section(title: str, anchor: str, content: Html, without: str) -> str:
    return f"## {title} {{ #{anchor} }}\n\n{block(content or element('p', without))}"


def _fields(by_entity: Mapping[str, Sequence[str]]) -> Html:
    rows = [
        (wording.entity(entity), joined(link(f"../entities/{entity}.html#{name}", name) for name in names))
        for entity, names in by_entity.items()
    ]
    return table(("Entity", "Fields"), rows)


def _reflected(book: Book, system: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for entity, fields in book.fields.items():
        for name, roles in fields.items():
            if system in roles.reflected:
                found.setdefault(entity, []).append(name)
    return found


def _source(book: Book, name: str, spec: Source) -> str:
    fields = book.ownership.entities[spec.entity].fields
    rows = [
        (
            link(f"../entities/{spec.entity}.html#{field}", field),
            wording.origin(mapping),
            wording.reading(mapping),
            _written(wording.not_written(fields[field], mapping)) if field in spec.accepts else "",
        )
        for field, mapping in spec.fields.items()
        if field in fields
    ]
    intro = element("p", spec.description) if spec.description else ""
    about = facts(
        [
            ("Entity", wording.entity(spec.entity)),
            ("Delivered as", _delivery(spec.extract)),
            ("Every", wording.duration(spec.extract.every) if spec.extract.every else ""),
            ("A record's key", joined(map(code, spec.key), " + ")),
            ("Changed at", code(spec.changed_at) if spec.changed_at else "the time of the delivery"),
            ("Only rows where", _only(spec.only)),
            ("Deleted where", _only(spec.extract.deleted)),
            ("Records", "never two of one entity" if spec.unique else ""),
        ]
    )
    mapped = table(("Field", "Column", "Read as", "Corrected"), rows)
    return f"### `{name}` {{ #{wording.anchor(name)} }}\n\n{block(intro, about, mapped)}"


def _written(reason: str) -> str:
    return f"no: {reason}" if reason else "yes"


def _delivery(extract: Extract) -> Html:
    if extract.files:
        where = joined(map(code, extract.files))
        what = f"{where}, {_MODES[extract.mode]}"
    else:
        what = f"{code(extract.table) if extract.table else 'a query'} in a database, {_MODES[extract.mode]}"
    return Html(what)


def _only(conditions: Mapping[str, Sequence[str]]) -> Html:
    def told(texts: Sequence[str]) -> Html:
        return Html("is not blank") if tuple(texts) == ("*",) else Html(f"is {joined(map(code, texts), ' or ')}")

    return joined((Html(f"{code(column)} {told(texts)}") for column, texts in conditions.items()), "; ")
