"""Names that name nothing, and names that cannot be used.

Belongs here: systems, entities, fields, groups, sources, types wherever the document mentions them.
Does not: whether what is named makes sense there.
"""

from __future__ import annotations

from sor_pipeline.ownership.document import system_of
from sor_pipeline.ownership.entity import Entity
from sor_pipeline.ownership.fieldtypes import CATALOGUE
from sor_pipeline.ownership.lint.notebook import Notebook, Path, members
from sor_pipeline.ownership.matching import Linked, Same
from sor_pipeline.ownership.source import Mode

_TAKEN_TABLES = frozenset(
    {
        "change", "conflict", "identity_change", "publication", "state", "id", "affected", "move", "model", "frequency",
        "finding", "claims", "delivery", "ownership", "correction",
    }
)  # fmt: skip
_TABLE_ENDS = ("_source", "_key", "_alias", "_history")
_LINEAGE_ENDS = ("_system", "_key", "_rule", "_since")
_TAKEN_HEADER = "_row"
_TAKEN_COLUMNS = frozenset({"entity_id", "from_publication", "to_publication", "valid_from", "valid_to"})


def check_names(book: Notebook) -> None:
    """unknown-*, *-link, *-reference, reserved-*, lineage-collision, unused-system, empty-group, repeated-name, …"""
    _systems(book)
    _rules(book)
    _entities(book)
    _sources(book)
    _reserved(book)
    for kind in book.ownership.placeholders:
        book.known("type", kind, CATALOGUE, ("placeholders", kind))


def _systems(book: Notebook) -> None:
    used = {system_of(source) for source in (*book.ownership.sources, *book.gaps.left_out("sources"))}
    misspelt = used - set(book.ownership.systems) - book.gaps.left_out("systems")
    for name in book.ownership.systems:
        if name not in used and not misspelt and book.gaps.listed("sources"):
            todo = "add a source, or remove the system"
            book.warn(
                "unused-system",
                ("systems", name),
                f"no source delivers what `{name}` knows",
                "no source",
                f"`{name}.<stream>`",
                todo,
            )
    for path, entity, spec in book.entities():
        book.known("system", spec.owner, book.ownership.systems, (*path, "owner"))
        if book.sources_settled() and not book.ownership.sources_of(entity):
            todo = f"add a source with `entity: {entity}`"
            book.error("entity-without-source", path, f"no source feeds `{entity}`", "no source", "at least one", todo)


def _rules(book: Notebook) -> None:
    systems = book.ownership.systems
    for path, _, _, words in book.ruled():
        if words.owner:
            book.known("system", words.owner, systems, (*path, "owner"))
        _listed(book, words.fallback, (*path, "fallback"))
        for position, exception in enumerate(words.exceptions):
            book.known("system", exception.owner, systems, (*path, "exceptions", position, "owner"))


def _listed(book: Notebook, names: tuple[str, ...], path: Path) -> None:
    for position, name in enumerate(names):
        book.known("system", name, book.ownership.systems, (*path, position))
    once(book, names, path)


def once(book: Notebook, names: tuple[str, ...], path: Path) -> None:
    """Writes `repeated-name` where a list says a name twice."""
    for position, name in enumerate(names):
        if name in names[:position]:
            book.warn(
                "repeated-name",
                (*path, position),
                f"`{name}` is listed twice",
                f"`{name}`",
                "each name once",
                "remove one",
            )


def _entities(book: Notebook) -> None:
    for path, entity, _, declared in book.fields():
        spec = book.ownership.entities[entity]
        if declared.group:
            book.known("group", declared.group, spec.groups, (*path, "group"))
        if declared.to:
            book.known("entity", declared.to, book.ownership.entities, (*path, "to"))
        for key in ("among", "reflect_in"):
            _listed(book, getattr(declared, key), (*path, key))
    for path, entity, spec in book.entities():
        for group in spec.groups:
            if not members(spec, group) and book.gaps.whole(*path, "fields"):
                todo = f"write `group: {group}` at its fields, or remove it"
                book.warn(
                    "empty-group",
                    (*path, "groups", group),
                    f"no field is in the group `{group}`",
                    "no field",
                    "at least two",
                    todo,
                )
        for position, expectation in enumerate(spec.expectations):
            if expectation.field:
                book.known("field", expectation.field, spec.fields, (*path, "expectations", position, "field"))
        _matches(book, path, entity, spec)


def _matches(book: Notebook, path: Path, entity: str, spec: Entity) -> None:
    for position, rule in enumerate(spec.match):
        below: Path = (*path, "match", position)
        if isinstance(rule, Same):
            for index, name in enumerate(rule.same):
                book.known("field", name, spec.fields, (*below, "same", index))
        elif isinstance(rule, Linked):
            for column, target in rule.linked.items():
                _link(book, (*below, "linked", column), entity, column, target)
    sources = book.ownership.sources_of(entity)
    events = all(source.extract.mode is Mode.events for source in sources.values())
    certain = book.gaps.whole(*path, "match") and all(book.gaps.whole("sources", name, "extract") for name in sources)
    if not spec.match and not events and len(book.ownership.systems_of(entity)) > 1 and certain:
        todo = "add `match:` with `same: [...]` or `linked: {...}`"
        book.warn(
            "never-matched",
            path,
            f"nothing says which records of `{entity}` are the same",
            "no `match`",
            "a rule",
            todo,
        )


def _link(book: Notebook, path: Path, entity: str, column: str, target: str) -> None:
    parts = column.split(".", 2)
    if len(parts) < 3 or not parts[2]:
        todo = "write it like `zendesk.users.external_id: hubspot.contacts`"
        book.error("bad-link", path, "the link does not name a column", f"`{column}`", "`system.stream.column`", todo)
        return
    for source in (".".join(parts[:2]), target):
        if not book.known("source", source, book.ownership.sources, path):
            continue
        feeds = book.ownership.sources[source].entity
        if feeds != entity and book.gaps.stands("sources", source, "entity"):
            what = f"the link of `{entity}` names a source of another entity"
            found, expected = f"`{source}` feeds `{feeds}`", f"two sources of `{entity}`"
            book.error(
                "foreign-link", path, what, found, expected, f"for a reference use a field of type ref to `{feeds}`"
            )


def _sources(book: Notebook) -> None:
    for path, name, source in book.sources():
        book.known("system", system_of(name), book.ownership.systems, path)
        if not book.known("entity", source.entity, book.ownership.entities, (*path, "entity")):
            continue
        fields = book.ownership.entities[source.entity].fields
        for field in source.fields:
            book.known("field", field, fields, (*path, "fields", field))
        for column in (*source.key, *(column for mapping in source.fields.values() for column in mapping.columns)):
            if column.casefold() == _TAKEN_HEADER:
                what = f"`{name}` reads a column that landing adds itself"
                book.error("reserved-column", path, what, f"`{column}`", "a delivered column", "name another column")
        for position, field in enumerate(source.accepts):
            book.known("field", field, fields, (*path, "accepts", position))
        once(book, source.accepts, (*path, "accepts"))
    _references(book)


def _references(book: Notebook) -> None:
    for path, name, field, source, mapping in book.mappings():
        declared = ("entities", book.ownership.sources[source].entity, "fields", name)
        if field.type != "ref" or field.to not in book.ownership.entities or not book.gaps.whole(*declared):
            continue
        if mapping.refers_to:
            if book.known("source", mapping.refers_to, book.ownership.sources, (*path, "refers_to")):
                target = book.ownership.sources[mapping.refers_to].entity
                if target != field.to and book.gaps.stands("sources", mapping.refers_to, "entity"):
                    what = f"`{name}` refers to a source of another entity"
                    found, expected = f"`{mapping.refers_to}` feeds `{target}`", f"a source of `{field.to}`"
                    book.error(
                        "wrong-reference", (*path, "refers_to"), what, found, expected, "name one of its sources"
                    )
        elif book.ownership.referred_source(source, name) is None and book.sources_settled():
            own = [n for n in book.ownership.sources_of(field.to) if system_of(n) == system_of(source)]
            found = (
                f"{len(own)} sources of `{field.to}` in `{system_of(source)}`"
                if own
                else f"no source of `{field.to}` there"
            )
            what = f"nothing says whose key the text of `{name}` is"
            book.error("unclear-reference", path, what, found, "one source", "add `refers_to: <source>` to the mapping")


def _reserved(book: Notebook) -> None:
    for path, entity, name, _ in book.fields():
        fields = book.ownership.entities[entity].fields
        if name == f"{entity}_id" or name in _TAKEN_COLUMNS:
            what = f"`{name}` is a column of the tables themselves"
            book.error(
                "reserved-field",
                path,
                what,
                f"`{name}`",
                "another name",
                "rename the field, e.g. to what its owner calls it",
            )
        for end in _LINEAGE_ENDS:
            if name.endswith(end) and name.removesuffix(end) in fields:
                of = name.removesuffix(end)
                what = f"`{name}` is also the name of the lineage column of `{of}`"
                book.error(
                    "lineage-collision",
                    path,
                    what,
                    f"`{of}` and `{name}`",
                    f"no field `{of}{end}` beside `{of}`",
                    "rename it",
                )
    for path, entity, _ in book.entities():
        base = next((entity.removesuffix(end) for end in _TABLE_ENDS if entity.endswith(end)), "")
        if entity in _TAKEN_TABLES or base in book.ownership.entities:
            what = f"`{entity}` is the name of a table that is made anyway"
            book.error("reserved-entity", path, what, f"`{entity}`", "another name", "rename the entity")
